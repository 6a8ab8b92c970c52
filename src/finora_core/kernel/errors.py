"""What the user can be told: refusals, each with a stable public code."""

from collections.abc import Mapping
from typing import ClassVar


class FinoraError(Exception):
    """Base of every error Finora raises on purpose."""


class Refusal(FinoraError):
    """Something the caller asked for and cannot have; nothing was changed.

    `code` is public API (UPPER_SNAKE). `details` names places in the input as
    (path, message) pairs; `facts` are machine-readable data about the refusal.
    """

    code: ClassVar[str] = "REFUSED"

    def __init__(
        self,
        message: str,
        *,
        details: tuple[tuple[str, str], ...] = (),
        facts: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.facts = dict(facts or {})


class NotFound(Refusal):
    """There is no such thing, or it is not the caller's."""

    code = "NOT_FOUND"


class Unauthenticated(Refusal):
    """Nobody knows who is asking."""

    code = "UNAUTHENTICATED"


class Forbidden(Refusal):
    """The caller is known and may not do this."""

    code = "FORBIDDEN"


class Conflict(Refusal):
    """The request is sound and the present state does not allow it."""

    code = "CONFLICT"


class Invalid(Refusal):
    """The input is wrong whatever the state."""

    code = "INVALID"


class Unavailable(Refusal):
    """It would be allowed, and something it needs does not answer now; try again."""

    code = "UNAVAILABLE"


class Limited(Refusal):
    """A limit is used up; `facts["retry_after"]` says for how many seconds."""

    code = "LIMITED"
