"""Which events people are written about."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from finora_core.identity.people.model import ChallengeMade, LetterAsked, PersonChanged
from finora_core.identity.sessions.model import SessionEnded, SessionOpened, SignInFailed
from finora_core.identity.tenants.model import MemberInvited
from finora_core.jobs.model import FaultSeen, Handler, JobFailed, Progress, Subscription
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Scope
from finora_core.notices.service import NoticeService

QUEUE, PAUSE_S = "mail", 30
_NOTICES: Mapping[str, tuple[str, tuple[str, Plain]]] = {
    "locked": (SignInFailed.type, ("locked", True)),
    "new_sign_in": (SessionOpened.type, ("known", False)),
    "session_reused": (SessionEnded.type, ("reason", "reused")),
    "password_changed": (PersonChanged.type, ("change", "password")),
}

SUBSCRIPTIONS = (
    Subscription(event=LetterAsked.type, job="mail.asked", queue=QUEUE, pause_s=PAUSE_S),
    Subscription(
        event=ChallengeMade.type,
        job="mail.challenge",
        queue=QUEUE,
        pause_s=PAUSE_S,
        subject="challenge",
    ),
    Subscription(
        event=MemberInvited.type, job="mail.invite", queue=QUEUE, pause_s=PAUSE_S, subject="invite"
    ),
    Subscription(
        event=JobFailed.type, job="mail.failed", queue=QUEUE, pause_s=PAUSE_S, subject="failed"
    ),
    Subscription(
        event=FaultSeen.type, job="mail.fault", queue=QUEUE, pause_s=PAUSE_S, subject="fault"
    ),
    *(
        Subscription(event=event, job=f"mail.{kind}", queue=QUEUE, pause_s=PAUSE_S, only=only)
        for kind, (event, only) in _NOTICES.items()
    ),
)


NOTIFIED = ("locked", "new_sign_in", "session_reused", "password_changed", "failed", "fault",
            "budget_reached")  # fmt: skip
"""What notifiers are given too. Not what holds a link or a code that opens a door: that goes to an
address that was proven to be somebody's, and nowhere else."""
NOTIFIED_QUEUE, _ATTEMPTS = "notices", 6


def notified(name: str, subscriptions: Iterable[Subscription]) -> Sequence[Subscription]:
    """Of these the ones that a notifier has a job for: each its own, so that one that is down
    delays neither letters nor another notifier."""
    return [
        attrs.evolve(
            each,
            job=_job(name, each.job.removeprefix("mail.")),
            queue=NOTIFIED_QUEUE,
            attempts=_ATTEMPTS,
        )
        for each in subscriptions
        if each.job.startswith("mail.") and each.job.removeprefix("mail.") in NOTIFIED
    ]


def notifying(name: str, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    """Of handlers of letters, made with that notifier as their way, its own."""
    return {_job(name, kind): handlers[f"mail.{kind}"] for kind in NOTIFIED}


def _job(name: str, kind: str) -> str:
    return f"notices.{name}.{kind}"


def handlers(notices: Callable[[], NoticeService]) -> dict[str, Handler]:
    """`notices` is asked for when there is a letter to write: who sends none needs no mail."""

    def tell(kind: str) -> Handler:
        def run(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
            return notices().notice(kind, scope, payload)

        return run

    def challenge(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return notices().challenge(scope, payload, progress)

    def invite(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return notices().invite(scope, payload, progress)

    found = {f"mail.{kind}": tell(kind) for kind in _NOTICES}

    def asked(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return notices().asked(scope, payload, progress)

    def failed(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return notices().failed(scope, payload)

    def fault(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return notices().fault(scope, payload)

    return found | {
        "mail.asked": asked,
        "mail.challenge": challenge,
        "mail.invite": invite,
        "mail.failed": failed,
        "mail.fault": fault,
    }
