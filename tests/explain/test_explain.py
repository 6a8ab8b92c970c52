"""Any figure is the sum of its parts, to the last unit, down to the postings and where they came
from."""

import random
from datetime import date, timedelta
from pathlib import Path

import pytest

from finora import (
    AccountKind,
    Amount,
    Finora,
    ImportRequest,
    NewRecord,
    RecordChange,
    Scope,
    currency,
)
from finora_core.insights.explain.model import BadFigure, By, Direction, Figure
from finora_core.insights.explain.service import ExplainService
from finora_core.kernel.asset import UnknownAsset
from finora_core.kernel.errors import NotFound
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import BadCursor, encode_cursor

EUR = currency("EUR")
START = date(2025, 11, 20)
CATEGORIES = ("", "Food", "Food:Out", "Food:Out:Lunch", "Foodless", "Home:Rent", "Home")
"""`Foodless` begins as `Food` does, and is not below it."""
CSV = b"Date,Amount,Description\n2026-01-30,-4.50,Bakery\n2026-01-31,1200.00,Salary\n"


def walk(explain: ExplainService, scope: Scope, figure: Figure, limit: int = 3) -> int:
    """Every level below a figure, checked; how many postings it came to."""
    pages = [explain.explain(scope, figure, limit=limit)]
    while pages[-1].next is not None:
        pages.append(explain.explain(scope, figure, cursor=pages[-1].next, limit=limit))
    parts = [part for page in pages for part in page.parts]
    assert {(page.amount, page.postings, page.by) for page in pages} == {
        (pages[0].amount, pages[0].postings, pages[0].by)
    }
    assert sum(part.amount.units for part in parts) == pages[0].amount.units, figure
    assert len({(part.label, part.figure, part.entry_id) for part in parts}) == len(parts)
    if pages[0].by is By.POSTING:
        for part in parts:
            assert part.entry_id is not None
            assert part.entry_id == explain.origin(scope, part.entry_id).entry.id
        return len(parts)
    assert sum(part.postings for part in parts) == pages[0].postings
    found = 0
    for part in parts:
        assert part.figure is not None
        assert explain.explain(scope, part.figure).amount == part.amount
        found += walk(explain, scope, part.figure, limit)
    return found


def euros(units: int) -> Amount:
    return Amount(units, EUR)


@pytest.fixture(scope="module")
def busy(finora: Finora) -> Scope:
    """A quarter of a life with two accounts and corrections of every kind."""
    scope = finora.scope(tenant=f"explained-{new_id()}", user="u")
    chance = random.Random(5)
    accounts = [
        finora.ledger.open_account(scope, name, kind).id
        for name, kind in (("Giro", AccountKind.ASSET), ("Card", AccountKind.LIABILITY))
    ]
    for number in range(60):
        new = NewRecord(
            account_id=chance.choice(accounts),
            on_date=START + timedelta(days=chance.randint(0, 100)),
            amount=euros(chance.choice((-1, 1)) * chance.randint(1, 9_999)),
            description=f"Shop {number}",
            category=chance.choice(CATEGORIES),
        )
        record = finora.records.create(scope, new)
        match chance.randint(0, 5):
            case 0:
                finora.records.delete(scope, record.id)
            case 1:
                change = RecordChange(amount=euros(-777), on_date=START + timedelta(days=50))
                finora.records.change(scope, record.id, change)
            case 2:
                finora.records.categorise(scope, record.id, chance.choice(CATEGORIES[1:]))
            case _:
                pass
    return scope


@pytest.mark.parametrize("direction", [None, Direction.IN, Direction.OUT])
@pytest.mark.parametrize("since", [None, START, START + timedelta(days=13)])
@pytest.mark.parametrize("length", [0, 9, 30, 72, 200])
def test_every_level_adds_up(
    finora: Finora, busy: Scope, direction: Direction | None, since: date | None, length: int
) -> None:
    figure = Figure(asset="EUR", since=since, until=(since or START) + timedelta(days=length),
                    direction=direction)  # fmt: skip
    assert walk(finora.explain, busy, figure) or length < 72


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_is_explained_with_what_is_below_it(
    finora: Finora, busy: Scope, category: str
) -> None:
    until = START + timedelta(days=200)
    figure = Figure(asset="EUR", until=until, since=START, direction=Direction.OUT,
                    category=category)  # fmt: skip
    assert walk(finora.explain, busy, figure)

    def below(name: str) -> bool:
        return name == category or bool(category and name.startswith(f"{category}:"))

    spent = [
        record.amount.units
        for record in finora.records.list(busy, limit=1000).items
        if record.amount.units < 0 and below(record.category)
    ]
    assert finora.explain.explain(busy, figure).amount.units == sum(spent)


def test_what_is_explained_is_what_the_wallet_says(finora: Finora, busy: Scope) -> None:
    until = START + timedelta(days=55)
    [worth] = finora.wallet.networth(busy, 1, today=until)
    owned = finora.explain.explain(busy, Figure(asset="EUR", until=until))
    assert (owned.amount,) == worth.amounts
    assert owned.by is By.ACCOUNT
    for balance in finora.ledger.balances(busy):
        if balance.account.kind in (AccountKind.ASSET, AccountKind.LIABILITY):
            figure = Figure(asset="EUR", until=date(2100, 1, 1), account_id=balance.account.id)
            assert finora.explain.explain(busy, figure).amount == balance.amount
    flows = finora.wallet.cashflow(busy, START, until)
    spent = Figure(asset="EUR", since=START, until=until, direction=Direction.OUT)
    said = sum(flow.expense.units for day in flows for flow in day.flows)
    assert finora.explain.explain(busy, spent).amount.units == said


def test_an_entry_tells_the_line_it_came_of_and_who_named_it(
    finora: Finora, scope: Scope, tmp_path: Path
) -> None:
    request = ImportRequest(account="Giro", currency="EUR")
    path = tmp_path / "giro.csv"
    path.write_bytes(CSV)
    finora.import_file(scope, path, request)
    [bread] = [each for each in finora.records.list(scope).items if each.amount.units < 0]
    finora.records.categorise(scope, bread.id, "Food")
    finora.records.categorise(scope, bread.id, "Food:Bread")
    assert bread.entry_id is not None
    origin = finora.explain.origin(scope, bread.entry_id)
    assert [label.category for label in origin.labels] == ["Food", "Food:Bread"]
    assert {label.set_by for label in origin.labels} == {scope.user_id}
    assert origin.received is not None
    assert (origin.received.file, origin.received.record_id) == ("giro.csv", bread.id)
    assert "Bakery" in str(origin.received.raw)
    changed = finora.records.change(scope, bread.id, RecordChange(amount=euros(-500)))
    assert changed.entry_id is not None
    later = finora.explain.origin(scope, changed.entry_id)
    assert later.received is not None
    assert later.received.record_id == bread.id
    was = finora.explain.origin(scope, bread.entry_id)
    assert was.reversed_by is not None
    assert was.received is not None
    mirror = finora.explain.origin(scope, was.reversed_by)
    assert mirror.entry.reverses == bread.entry_id
    assert mirror.received is not None


def test_what_does_not_fit_is_refused(finora: Finora, scope: Scope, stranger: Scope) -> None:
    giro = finora.ledger.open_account(stranger, "Giro", AccountKind.ASSET).id
    with pytest.raises(BadFigure):
        Figure(asset="EUR", since=date(2026, 2, 1), until=date(2026, 1, 1))
    for figure in (
        Figure(asset="EUR", until=START, account_id=giro),
        Figure(asset="NONE", until=START),
    ):
        with pytest.raises((NotFound, UnknownAsset)):
            finora.explain.explain(scope, figure)
    with pytest.raises(NotFound):
        finora.explain.origin(scope, new_id())
    for since, until in ((None, date.max), (None, date.min), (date(9999, 12, 2), date.max),
                         (date.min, date(9999, 12, 30))):  # fmt: skip
        nothing = finora.explain.explain(scope, Figure(asset="EUR", since=since, until=until))
        assert nothing.amount == euros(0)
    nothing = finora.explain.explain(scope, Figure(asset="EUR", until=START))
    assert (nothing.amount, nothing.parts, nothing.next) == (euros(0), (), None)
    for cursor in ("x", "W10", encode_cursor("2026-01-01", "x", 1)):
        day = Figure(asset="EUR", until=START, since=START)
        with pytest.raises(BadCursor):
            finora.explain.explain(scope, day, cursor=cursor)
