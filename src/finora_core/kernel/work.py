"""Work: one open transaction, as far as a slice can see it."""

import functools
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ParamSpec, Protocol, TypeVar

from finora_core.kernel.errors import Conflict, FinoraError, Invalid, Unavailable
from finora_core.kernel.events import Event
from finora_core.kernel.scope import Scope

Result = TypeVar("Result")
WorkT_co = TypeVar("WorkT_co", covariant=True)


class Replayed(FinoraError):
    """The command was finished before; `reply` is what it answered then, byte for byte."""

    def __init__(self, reply: bytes) -> None:
        super().__init__("this command was finished before")
        self.reply = reply


class CommandInFlight(Conflict):
    """The same command runs at this moment; ask again for its reply."""

    code = "IDEMPOTENCY_KEY_IN_FLIGHT"


class CommandKeyReused(Invalid):
    """The idempotency key was used before for a request with another content."""

    code = "IDEMPOTENCY_KEY_REUSED"


class StaleClaim(Conflict):
    """The job was claimed again by another runner; what this one did is undone."""

    code = "STALE_CLAIM"


class Events(Protocol):
    def record(self, event: Event) -> None:
        """Write the event, and one job row for each of its subscriptions, in this transaction."""


class Work(Protocol):
    """What every slice sees of a transaction; slices add the repositories they use."""

    @property
    def events(self) -> Events: ...

    def done(self, result: Result) -> Result:
        """Close the cause: store the command's reply or the job's completion; returns `result`."""


class Begin(Protocol[WorkT_co]):
    """`with begin(scope) as work:` commits on a clean exit and rolls back on any exception.

    It takes the scope's cause first. A finished command raises Replayed, a twin in flight
    CommandInFlight, a key with another fingerprint CommandKeyReused, a claim whose epoch has
    passed StaleClaim.
    """

    def __call__(self, scope: Scope) -> AbstractContextManager[WorkT_co]: ...


class Contended(Unavailable):
    """The database gave the race to another transaction; nothing was changed, try again."""

    code = "TRY_AGAIN"


Params = ParamSpec("Params")
_TRIES = 4


def retried(use_case: Callable[Params, Result]) -> Callable[Params, Result]:
    """Run a use case again, a few times, when the database rolled it back for a deadlock or a
    serialization failure. Sound because nothing leaves before commit."""

    @functools.wraps(use_case)
    def run(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        for attempt in range(1, _TRIES):
            try:
                return use_case(*args, **kwargs)
            except Contended:
                time.sleep(random.uniform(0, 0.02 * 2**attempt))
        return use_case(*args, **kwargs)

    return run
