"""Goals: a target, and the shares of accounts that are meant for it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.insights.model import NoForecast, Reason
from finora_core.kernel.amount import Amount, allocate
from finora_core.kernel.errors import Conflict, Invalid, NotFound
from finora_core.kernel.events import Plain
from finora_core.kernel.outcome import Ok, Partial

MOST_GOALS = 200
MOST_SHARES = 50
TRAILING = timedelta(days=90)
"""What the last contributions are."""
LEAST_HISTORY = timedelta(days=28)
FARTHEST = timedelta(days=36_525)


class GoalNotFound(NotFound):
    """There is no such goal in this tenant."""

    code = "GOAL_NOT_FOUND"


class BadGoal(Invalid):
    """A part of the goal is missing, too long, or not what it should be."""

    code = "BAD_GOAL"


class TooManyGoals(Conflict):
    """A tenant has at most 200 goals: delete one first."""

    code = "TOO_MANY_GOALS"


@attrs.frozen
class Share:
    """`percent` of what an account holds."""

    account_id: UUID
    percent: int

    def __attrs_post_init__(self) -> None:
        if type(self.percent) is not int or not 1 <= self.percent <= 100:
            raise _bad("shares", "a share is 1 to 100 per cent")


@attrs.frozen(kw_only=True)
class Goal:
    id: UUID
    name: str
    target: Amount
    by: date | None = None
    """When it is wanted."""
    shares: tuple[Share, ...] = ()
    created_by: UUID
    created_at: datetime | None = None
    reached_at: datetime | None = None
    """When it was first seen reached; it stays, whatever is taken out later."""

    def __attrs_post_init__(self) -> None:
        if (
            not 1 <= len(self.name) <= 200
            or self.name != self.name.strip()
            or not self.name.isprintable()
        ):
            raise _bad("name", "1 to 200 printable characters, no blanks around")
        if self.target.units <= 0:
            raise _bad("target", "it is more than zero")
        accounts = [share.account_id for share in self.shares]
        if len(accounts) > MOST_SHARES or len(set(accounts)) < len(accounts):
            raise _bad("shares", f"at most {MOST_SHARES} accounts, each once")


@attrs.frozen(kw_only=True)
class GoalShare:
    """What an attached account gives to a goal."""

    account_id: UUID
    percent: int
    amount: Amount
    promised: int
    """Per cent of the account that all goals together count on; more than 100 is too much."""
    gap: str | None = None
    """What of it has no rate, and is not in the amount."""


@attrs.frozen(kw_only=True)
class GoalStatus:
    goal: Goal
    current: Ok[Amount] | Partial[Amount]
    """The sum of the shares; partial where accounts hold assets that have no rate."""
    shares: tuple[GoalShare, ...]
    forecast: Ok[date] | NoForecast
    """When it is reached, if as much comes in as in the last 90 days."""

    @property
    def missing(self) -> Amount:
        """What is still to come; zero once it is there."""
        left = self.goal.target - self.current.value
        return left if left.units > 0 else Amount(0, left.asset)

    @property
    def progress(self) -> int:
        """In basis points of the target, rounded down; below zero where accounts are in debt."""
        return self.current.value.units * 10_000 // self.goal.target.units

    @property
    def reached(self) -> bool:
        return self.goal.target <= self.current.value

    @property
    def in_time(self) -> bool | None:
        """Whether the forecast keeps the goal's day; None where it has none or nobody can tell."""
        if self.goal.by is None or isinstance(self.forecast, NoForecast):
            return None
        return self.forecast.value <= self.goal.by


@attrs.frozen(kw_only=True)
class Grown:
    """What came into an account since a day, opening balances apart."""

    account_id: UUID
    amount: Amount


def promised_of(goals: Iterable[Goal]) -> Mapping[UUID, Mapping[UUID, int]]:
    """account -> goal -> per cent."""
    found: dict[UUID, dict[UUID, int]] = {}
    for goal in goals:
        for share in goal.shares:
            found.setdefault(share.account_id, {})[goal.id] = share.percent
    return found


def shared_out(units: int, percents: Mapping[UUID, int]) -> Mapping[UUID, int]:
    """What each goal has of an account: nothing is lost or made by rounding. Where goals count on
    more than there is, each has its share all the same, and together they have that much more."""
    whole = sum(percents.values())
    if whole <= 100:
        shares = allocate(units, {str(goal): each for goal, each in percents.items()}
                          | {"": 100 - whole})  # fmt: skip
    else:
        sign = -1 if units < 0 else 1
        shares = allocate(
            sign * (abs(units) * whole // 100), {str(goal): each for goal, each in percents.items()}
        )
    return {goal: shares[str(goal)] for goal in percents}


def forecast_of(
    missing: Amount,
    shares: Sequence[Share],
    grown: Iterable[Grown],
    history: timedelta | None,
    today: date,
    *,
    lacking: bool = False,
) -> Ok[date] | NoForecast:
    """The day on which `missing` will have come in, at the rate of the trailing days: `grown` is
    what came in the last 90 days, or in the whole `history`, where that is shorter. `lacking` is
    whether there is more that has no rate, so that less may be missing."""
    if missing.units <= 0:
        return Ok(today)
    if not shares:
        return NoForecast(Reason.NO_ACCOUNTS)
    percent = {share.account_id: share.percent for share in shares}
    own = [each for each in grown if each.account_id in percent and each.amount]
    if lacking or any(each.amount.asset != missing.asset for each in own):
        return NoForecast(Reason.NO_RATE)
    if history is None or history < LEAST_HISTORY:
        return NoForecast(Reason.TOO_LITTLE_HISTORY)
    # In hundredths of a unit over all those days; whole until the one division at the end.
    came = sum(each.amount.units * percent[each.account_id] for each in own)
    if came <= 0:
        return NoForecast(Reason.NOT_GROWING)
    days = -(-missing.units * 100 * min(history, TRAILING).days // came)
    if days > FARTHEST.days:
        return NoForecast(Reason.TOO_FAR)
    return Ok(today + timedelta(days=days))


def _bad(part: str, said: str) -> BadGoal:
    return BadGoal(f"{part}: {said}", details=((part, said),))


@attrs.frozen(kw_only=True)
class GoalChanged:
    type: ClassVar[str] = "goal.changed"

    goal_id: UUID
    what: str
    """created, changed, deleted"""
    target: Amount

    def payload(self) -> Mapping[str, Plain]:
        return {
            "goal": str(self.goal_id),
            "what": self.what,
            "target": str(self.target.units),
            "asset": self.target.asset.id,
        }


@attrs.frozen(kw_only=True)
class GoalReached:
    """There is as much as was wanted; told once a goal."""

    type: ClassVar[str] = "goal.reached"

    goal_id: UUID
    user_id: UUID
    current: Amount

    def payload(self) -> Mapping[str, Plain]:
        return {
            "goal": str(self.goal_id),
            "user": str(self.user_id),
            "current": str(self.current.units),
            "asset": self.current.asset.id,
        }
