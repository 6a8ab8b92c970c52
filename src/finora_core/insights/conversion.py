"""Several assets as one, by dated rates: alike in wallet, budgets, goals and explanations."""

from collections.abc import Iterable, Sequence
from datetime import date

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.outcome import Ok, Partial
from finora_core.market.rates.model import RateTable
from finora_core.market.rates.ports import Rates


def table_of(rates: Rates, amounts: Iterable[Amount], to: Asset, days: Iterable[date]) -> RateTable:
    """The rates that convert these amounts on these days; nothing is read where all are in `to`."""
    others = {amount.asset.id for amount in amounts if amount and amount.asset != to}
    return rates.table(others, to.id, sorted(set(days))) if others else RateTable({})


def as_one(
    rates: Rates, amounts: Sequence[Amount], to: Asset, on: date
) -> Ok[Amount] | Partial[Amount]:
    """The amounts as one in `to` at the rates of a day; what has none is a gap and not a zero."""
    return table_of(rates, amounts, to, [on]).sum(amounts, to, on).outcome
