"""Figures for people, and the months of the picture."""

from datetime import date

import pytest

from finora_core.insights.wallet.model import Flows, MonthFlows
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset, currency
from finora_web.pages.show import courses, day, figure, share

EUR, JPY, ETHER = currency("EUR"), currency("JPY"), Asset("eip155:1/slip44:60", 18)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (Amount(-123456789, EUR), "−1,234,567.89"),
        (Amount(5, EUR), "0.05"),
        (Amount(0, EUR), "0.00"),
        (Amount(-1234, JPY), "−1,234"),
        (Amount(1_500_000_000_000_000_000, ETHER), "1.50"),
        (Amount(1, ETHER), "0.000000000000000001"),
        (Amount(2**256 - 1, Asset("points:x", 0)), f"{2**256 - 1:,}"),
    ],
)
def test_a_figure_has_every_unit(amount: Amount, shown: str) -> None:
    assert figure(amount) == shown


def test_days_are_the_same_whether_dates_or_text() -> None:
    assert day(date(2026, 3, 1)) == day("2026-03-01") == "1 Mar 2026"


def test_a_bar_of_something_is_seen() -> None:
    assert share(Amount(1, EUR), 1_000_000, 100) == 1
    assert share(Amount(0, EUR), 1_000_000, 100) == 0
    assert share(Amount(-1_000_000, EUR), 1_000_000, 100) == 100
    assert share(Amount(0, EUR), 0, 100) == 0


def test_each_asset_has_every_month_and_the_busiest_comes_first() -> None:
    def flows(income: int, asset: Asset) -> Flows:
        return Flows(income=Amount(income, asset), expense=Amount(0, asset))

    months = [
        MonthFlows(month=date(2026, 1, 1), flows=(flows(100, EUR), flows(7, JPY))),
        MonthFlows(month=date(2026, 2, 1), flows=(flows(3, JPY),)),
    ]
    yen, euro = courses(months)
    assert (yen.asset, euro.asset) == (JPY, EUR)
    assert [month.flows.income.units for month in euro.months] == [100, 0]
    assert [month.into for month in yen.months] == [100, 42]
    assert courses([]) == []
