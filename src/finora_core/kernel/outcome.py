"""Outcomes: what the outside world answers. Unknown is an answer of its own, never a zero."""

from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Ok(Generic[T]):
    value: T


@attrs.frozen
class Partial(Generic[T]):
    """Some of it: `value` holds what is known, `gap` says what is missing."""

    value: T
    gap: str


@attrs.frozen
class RateLimited:
    """Ask again after this many seconds."""

    retry_after: int


@attrs.frozen
class OverBudget:
    """What the tenant may use up is used up for this many seconds; nothing was asked."""

    retry_after: int


@attrs.frozen
class AuthExpired:
    """The credential no longer opens the door."""


@attrs.frozen
class Unsupported:
    """The provider never answers this question."""


@attrs.frozen
class Missing:
    """The provider is well and has no such thing."""


@attrs.frozen
class Ambiguous(Generic[T]):
    """Several things fit; the caller must choose."""

    candidates: tuple[T, ...]


@attrs.frozen
class Down:
    """The provider did not answer, or not in a way that can be trusted."""

    reason: str


@attrs.frozen
class Unknown:
    """Payments only: it may or may not have happened. Never retried blindly."""

    reason: str


Outcome = (
    Ok[T]
    | Partial[T]
    | RateLimited
    | OverBudget
    | AuthExpired
    | Unsupported
    | Missing
    | Ambiguous[T]
    | Down
)
