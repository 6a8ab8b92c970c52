"""Wallet figures. Per asset, always; one figure over several assets says what it leaves out."""

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.errors import Invalid
from finora_core.kernel.outcome import Ok, Partial


class BadPeriod(Invalid):
    """The period is empty, too long, or not one of week, month, year."""

    code = "BAD_PERIOD"


class Period(StrEnum):
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"

    def first_day(self, today: date) -> date:
        """Of the period that holds `today`; weeks begin on Monday (ISO 8601)."""
        match self:
            case Period.WEEK:
                return date.fromordinal(today.toordinal() - today.weekday())
            case Period.MONTH:
                return today.replace(day=1)
            case Period.YEAR:
                return today.replace(month=1, day=1)


@attrs.frozen(kw_only=True)
class Flows:
    """Money into and out of own accounts in one asset; transfers between them are neither.
    `expense` is negative or zero."""

    income: Amount
    expense: Amount

    @property
    def net(self) -> Amount:
        return self.income + self.expense


@attrs.frozen
class Moved:
    """What one category moved into or out of own accounts on one day, or in the month from it."""

    day: date
    category: str
    direction: str
    amount: Amount

    def undone(self) -> "Moved":
        """The same taken away, from the month it is in."""
        return Moved(self.day.replace(day=1), self.category, self.direction, -self.amount)


@attrs.frozen(kw_only=True)
class CategoryTotal:
    category: str
    spent: Amount
    """Negative: money out."""


@attrs.frozen(kw_only=True)
class MonthFlows:
    month: date
    """Its first day."""
    flows: tuple[Flows, ...]


@attrs.frozen(kw_only=True)
class DayFlows:
    day: date
    flows: tuple[Flows, ...]


@attrs.frozen(kw_only=True)
class Summary:
    period: Period
    since: date
    until: date
    total: Ok[Amount] | Partial[Amount]
    """In the tenant's base asset, at the rates of `until`. Partial where an asset has none; the gap
    names it."""
    balances: tuple[Amount, ...]
    """What all own accounts hold, per asset."""
    flows: tuple[Flows, ...]
    top_categories: tuple[CategoryTotal, ...]
    """Where most was spent; at most five an asset."""
    trend: tuple[MonthFlows, ...]
    """The last six months, oldest first."""
    generated_at: datetime


@attrs.frozen(kw_only=True)
class Worth:
    """Net worth at the end of `day`: the last of its month, or the present day."""

    day: date
    amounts: tuple[Amount, ...]


def flows_of(moved: Iterable[Moved]) -> tuple[Flows, ...]:
    """Income and expense per asset, by asset id; an asset that did not move is left out."""
    sums: dict[Asset, dict[str, int]] = {}
    for each in moved:
        of_asset = sums.setdefault(each.amount.asset, {"in": 0, "out": 0})
        of_asset[each.direction] += each.amount.units
    return tuple(
        Flows(income=Amount(units["in"], asset), expense=Amount(units["out"], asset))
        for asset, units in sorted(sums.items(), key=lambda item: item[0].id)
        if any(units.values())
    )


def spending_of(moved: Iterable[Moved], top: int) -> tuple[CategoryTotal, ...]:
    """The `top` categories of each asset by money out; ties by name."""
    sums: dict[tuple[Asset, str], int] = {}
    for each in moved:
        if each.direction == "out":
            key = each.amount.asset, each.category
            sums[key] = sums.get(key, 0) + each.amount.units
    ranked: dict[Asset, list[CategoryTotal]] = {}
    for (asset, category), units in sorted(
        sums.items(), key=lambda item: (item[0][0].id, item[1], item[0][1])
    ):
        if units < 0:
            total = CategoryTotal(category=category, spent=Amount(units, asset))
            ranked.setdefault(asset, []).append(total)
    return tuple(total for totals in ranked.values() for total in totals[:top])
