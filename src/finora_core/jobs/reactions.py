"""What the clock starts for every installation."""

from collections.abc import Callable, Mapping
from datetime import datetime

from finora_core.identity.erasure.model import ErasureAsked
from finora_core.jobs.model import Handler, Progress, Schedule, Subscription
from finora_core.jobs.ports import JobWork, Queue
from finora_core.jobs.watch import WATCH, Watch
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin
from finora_core.secrets.model import ResealAsked, RewrapAsked

SCHEDULES = (
    Schedule(name="jobs.purge", cron="17 * * * *"),
    Schedule(name="books.verify", cron="*/15 * * * *"),
    Schedule(name="files.sweep", cron="41 * * * *"),
    Schedule(name="audit.anchor", cron="3 * * * *"),
    Schedule(name="audit.verify", cron="23 3 * * *"),
    Schedule(name="people.tidy", cron="29 * * * *"),
    Schedule(name=WATCH, cron="*/5 * * * *"),
)

# Of slices that know no jobs; their services have the handlers.
SUBSCRIPTIONS = (
    Subscription(
        event=RewrapAsked.type,
        job="secrets.rewrap",
        queue="schedules",
        attempts=5,
        subject="version",
    ),
    Subscription(event=ResealAsked.type, job="secrets.reseal", queue="schedules", subject="before"),
    Subscription(
        event=ErasureAsked.type,
        job="people.erase",
        queue="schedules",
        attempts=1,
        subject="user",
    ),
)


def handlers(
    begin: Begin[JobWork],
    queue: Queue,
    verify: Callable[[], int],
    sweep: Callable[[], object],
    forget: Callable[[], int],
    anchor: Callable[[Scope], object],
    audit: Callable[[], object],
    outdated: Callable[[], object],
    watch: Watch,
) -> dict[str, Handler]:
    """`verify` raises when the books are broken, and else says how many tenants it looked at;
    `sweep` takes away what is left of files, and says how much; `forget` deletes nonces whose time
    is over, `outdated` sessions, links, guesses and invitations; `anchor` writes one and ends its
    job, `audit` checks the logs, and both raise where they are not as they were; `watch` tells of
    what failed."""

    def purge(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return {"forgotten": queue.purge(), "nonces": forget()}

    def check(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return {"tenants": verify()}

    def tidy(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return sweep()

    def look(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return audit()

    def part(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return outdated()

    def note(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return anchor(scope)

    def heed(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return watch.look(scope, datetime.fromisoformat(str(payload["due_at"])))

    found = {
        "jobs.purge": purge,
        "books.verify": check,
        "files.sweep": tidy,
        "audit.verify": look,
        "people.tidy": part,
    }
    return {name: _ended(begin, handler) for name, handler in found.items()} | {
        "audit.anchor": note,
        WATCH: heed,
    }


def _ended(begin: Begin[JobWork], handler: Handler) -> Handler:
    """A handler whose effect is not in one transaction, and may be had twice: only its end is
    fenced."""

    def run(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        result = handler(scope, payload, progress)
        with begin(scope) as work:
            return work.done(result)

    return run
