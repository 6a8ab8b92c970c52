"""Keys of the data provider: what each may ask, what it has asked, and what that cost."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, Literal
from uuid import UUID

import attrs

from finora_core.kernel.errors import Forbidden, Invalid, Limited, NotFound
from finora_core.kernel.events import Plain

MOST_IN_WINDOW = 10_000
MOST_SECONDS = 86_400
MOST_IN_MONTH = 10**12


class BadQuota(Invalid):
    """A quota is 1 or more requests a month, and 1 to 10,000 in a window of 1 second to a day."""

    code = "BAD_QUOTA"


class KeyNotFound(NotFound):
    """There is no such key of the data provider in this tenant."""

    code = "DATA_KEY_NOT_FOUND"


class KeyBlocked(Forbidden):
    """The key is good, and whoever runs the data provider has blocked it: its bill is open."""

    code = "BILLING_BLOCKED"


class QuotaUsed(Limited):
    """The key has asked as often as it may, in its window or its month; `facts["retry_after"]` says
    for how many seconds."""

    code = "QUOTA_USED"


@attrs.frozen
class Window:
    """At most so many requests in any so many seconds."""

    requests: int
    seconds: int


@attrs.frozen(kw_only=True)
class Quota:
    """None is no limit."""

    monthly: int | None = None
    """Requests in a calendar month, UTC."""
    window: Window | None = None
    """Requests in any so many seconds."""

    def __attrs_post_init__(self) -> None:
        if self.monthly is not None and not 1 <= self.monthly <= MOST_IN_MONTH:
            raise BadQuota(f"{self.monthly} requests a month are no quota")
        window = self.window
        if window is not None and not (
            1 <= window.requests <= MOST_IN_WINDOW and 1 <= window.seconds <= MOST_SECONDS
        ):
            raise BadQuota(f"{window.requests} requests in {window.seconds} s are no quota")


@attrs.frozen(kw_only=True)
class Plan:
    """What the operator decided about one key."""

    key_id: UUID
    quota: Quota
    blocked_at: datetime | None = None


KeyState = Literal["valid", "blocked", "revoked", "expired"]


@attrs.frozen(kw_only=True)
class DataKey:
    """A token that may ask sources, as its operator sees it."""

    id: UUID
    name: str
    state: KeyState
    quota: Quota
    used: int
    """Requests of this month, as far as they are written down."""
    cost_micros: int


@attrs.frozen
class Account:
    """What is counted together: a key in a month. Of a person who asks in person, the key is the
    person."""

    tenant_id: UUID
    key_id: UUID
    month: date
    """Its first day."""

    @classmethod
    def at(cls, tenant_id: UUID, key_id: UUID, now: datetime) -> "Account":
        return cls(tenant_id, key_id, now.astimezone(UTC).date().replace(day=1))

    @property
    def ends(self) -> datetime:
        """When the next month begins."""
        after = (self.month + timedelta(days=31)).replace(day=1)
        return datetime(after.year, after.month, 1, tzinfo=UTC)


@attrs.frozen(kw_only=True)
class Reading:
    """What one meter stood at: of one key, on one day, at one source. A meter only goes up, so that
    of several readings the highest holds, however often and in whatever order they are written."""

    key_id: UUID
    on_date: date
    source: str
    meter: UUID
    requests: int
    cost_micros: int


@attrs.frozen(kw_only=True)
class Usage:
    """What a key asked one source on one day, and what that cost."""

    key_id: UUID
    on_date: date
    source: str
    requests: int
    cost_micros: int


@attrs.frozen(kw_only=True)
class Allowance:
    """How far a quota is used."""

    name: Literal["month", "window"]
    most: int
    left: int
    resets_s: int
    """Until all of it is there again; of a window, until the next request of it is."""
    seconds: int
    """How long it is."""


@attrs.frozen
class DataKeyChanged:
    """The operator set what a key may: the log says since when."""

    type: ClassVar[str] = "data_key.changed"

    plan: Plan

    def payload(self) -> Mapping[str, Plain]:
        window = self.plan.quota.window
        return {
            "key": str(self.plan.key_id),
            "monthly": self.plan.quota.monthly,
            "requests": None if window is None else window.requests,
            "seconds": None if window is None else window.seconds,
            "blocked": self.plan.blocked_at is not None,
        }


def window_of(text: str) -> Window | None:
    """`requests/seconds`; None where it is empty. Raises BadQuota."""
    if not text:
        return None
    requests, _, seconds = text.partition("/")
    if not (text.isascii() and requests.isdecimal() and seconds.isdecimal() and len(text) < 20):
        raise BadQuota(f"{text[:20]!r} is not requests/seconds")
    window = Window(int(requests), int(seconds))
    Quota(window=window)
    return window
