"""What a form is told of a refusal, in words, and at which of its fields."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from finora_core.identity.sessions.model import AccountLocked
from finora_core.kernel.errors import Refusal
from finora_web.limits import RateLimited

_WORDS: Mapping[str, str] = {
    "IDENTITY_TAKEN": "This passkey or account belongs to somebody already.",
    "INVITE_FOR_ANOTHER": "This invitation was sent to another address. Sign in with the address "
    "that got the letter, and verify it first.",
    "PASSKEY_REFUSED": "Nobody here has this passkey. Sign in another way, and add it under "
    "“Ways to sign in”.",
    "TICKET_INVALID": "This took too long, or was sent twice. Begin again.",
    "RATE_LIMITS_UNAVAILABLE": "Nobody can sign in at the moment. Try again soon.",
}
_PLACES: Mapping[str, str] = {
    "ALREADY_MEMBER": "email",
    "BAD_ADDRESS": "email",
    "BAD_PROFILE": "name",
    "BAD_TENANT": "name",
    "BAD_TOKEN": "name",
    "BAD_CATEGORY": "category",
    "CODE_INVALID": "code",
    "CREDENTIALS_INVALID": "password",
    "PASSWORD_WEAK": "password",
    "UNKNOWN_ASSET": "currency",
}


def told(refusal: Refusal) -> str:
    wait_s = refusal.facts.get("retry_after")
    if isinstance(refusal, AccountLocked) and isinstance(wait_s, int):
        opens = datetime.now(UTC) + timedelta(seconds=wait_s)
        return (
            f"Too many wrong guesses. It is locked for {span(wait_s)}, until {opens:%H:%M} UTC: "
            "wait, or set a new password."
        )
    if isinstance(refusal, RateLimited) and isinstance(wait_s, int):
        return f"Too many tries from your network. Try again in {span(wait_s)}."
    return _WORDS.get(refusal.code) or sentence(refusal.message)


def place(refusal: Refusal | None) -> str:
    """The field that is wrong; empty where it is none."""
    if refusal is None:
        return ""
    return refusal.details[0][0] if refusal.details else _PLACES.get(refusal.code, "")


def sentence(message: str) -> str:
    """With a capital and a stop, unless it begins with the name of something."""
    first = message.partition(" ")[0]
    shown = message[:1].upper() + message[1:] if first.isalpha() else message
    return f"{shown}." if shown and shown[-1].isalnum() else shown


def span(seconds: int) -> str:
    """`40 seconds`, `30 minutes`, rounded up."""
    if seconds < 90:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    return f"{-(-seconds // 60)} minutes"


FILTERS: dict[str, Callable[..., str]] = {"told": told, "place": place}
