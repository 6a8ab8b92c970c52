"""Statements: complete, in order, each line with the balance after it, whatever the page size."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import accumulate
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import DAY, EUR, Books, entry
from finora import AccountKind, currency
from finora_core.kernel.page import BadCursor, BadLimit, encode_cursor
from finora_core.ledger.model import StatementRow

USD = currency("USD")


def pages(books: Books, account: UUID, limit: int, **given: date | None) -> Iterator[StatementRow]:
    cursor = None
    while True:
        page = books.ledger.statement(books.scope, account, cursor=cursor, limit=limit, **given)
        assert len(page.items) <= limit
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


@pytest.fixture
def busy(books: Books, world: UUID) -> UUID:
    """An account with 20 postings over five days, in two assets, posted out of order."""
    account = books.open("Busy")
    order = [7, 3, 0, 9, 4, 1, 8, 2, 6, 5]
    for n in order:
        day = DAY + timedelta(days=n // 2)
        books.ledger.post_many(
            books.scope,
            [
                entry((account, 10 + n), (world, -10 - n), on=day),
                entry((account, -n - 1), (world, n + 1), on=day, asset=USD),
            ],
        )
    return account


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 19, 20, 21, 1000])
def test_pages_of_any_size_make_the_same_statement(books: Books, busy: UUID, limit: int) -> None:
    rows = list(pages(books, busy, limit))
    assert rows == list(books.ledger.statement(books.scope, busy, limit=1000).items)
    assert len({(row.entry_id, row.amount.asset.id) for row in rows}) == len(rows) == 20
    assert [row.on_date for row in rows] == sorted(row.on_date for row in rows)


@pytest.mark.parametrize("asset", [EUR, USD], ids=str)
def test_each_line_has_the_balance_after_it(books: Books, busy: UUID, asset: object) -> None:
    rows = [row for row in pages(books, busy, 3) if row.amount.asset == asset]
    running = list(accumulate(row.amount.units for row in rows))
    assert [row.balance.units for row in rows] == running
    assert running[-1] == books.units(busy, asset)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(since=st.integers(-1, 6), until=st.integers(-1, 6), limit=st.integers(1, 8))
def test_a_span_of_days_is_cut_out_of_the_whole_with_its_balances(
    books: Books, since: int, until: int, limit: int
) -> None:
    account = next((a.id for a in books.ledger.accounts(books.scope) if a.name == "Span"), None)
    if account is None:
        account, world = books.open("Span"), books.open("World", AccountKind.OUTSIDE)
        days = [DAY + timedelta(days=n) for n in (0, 0, 1, 3, 3, 3, 5)]
        books.ledger.post_many(
            books.scope, [entry((account, 1), (world, -1), on=day) for day in days]
        )
    first, last = DAY + timedelta(days=since), DAY + timedelta(days=until)
    whole = list(pages(books, account, 1000))
    cut = list(pages(books, account, limit, since=first, until=last))
    assert cut == [row for row in whole if first <= row.on_date <= last]


def test_a_line_added_behind_the_cursor_neither_repeats_nor_drops_another(
    books: Books, busy: UUID, world: UUID
) -> None:
    before = list(pages(books, busy, 1000))
    first = books.ledger.statement(books.scope, busy, limit=5)
    late = entry((busy, 1), (world, -1), on=DAY - timedelta(days=9))
    books.ledger.post_many(books.scope, [late])
    rest = books.ledger.statement(books.scope, busy, cursor=first.next, limit=1000)
    assert [row.entry_id for row in (*first.items, *rest.items)] == [r.entry_id for r in before]
    assert rest.items[-1].balance.units == books.units(busy, rest.items[-1].amount.asset)


def test_one_entry_may_touch_an_account_many_times(books: Books, world: UUID) -> None:
    account = books.open("Split")
    books.ledger.post_many(books.scope, [entry(*((account, n) for n in range(1, 8)), (world, -28))])
    rows = list(pages(books, account, 2))
    assert [row.amount.units for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row.balance.units for row in rows] == [1, 3, 6, 10, 15, 21, 28]


def test_a_long_statement_is_complete(undone: Books) -> None:
    account, world = undone.open("Long"), undone.open("World", AccountKind.OUTSIDE)
    day = lambda n: DAY + timedelta(days=n % 28)  # noqa: E731  # short
    made = [entry((account, n), (world, -n), on=day(n)) for n in range(1, 2_501)]
    undone.ledger.post_many(undone.scope, made)
    rows = list(pages(undone, account, 1000))
    assert sorted(row.amount.units for row in rows) == list(range(1, 2_501))
    assert rows[-1].balance.units == sum(range(1, 2_501)) == undone.units(account)


def test_an_account_without_postings_has_an_empty_statement(books: Books) -> None:
    assert list(pages(books, books.open("New"), 10)) == []


@pytest.mark.parametrize(
    "cursor", ["", "x", encode_cursor("2026-03-01"), encode_cursor("now", "x", 1),
               encode_cursor("2026-03-01", "x'; --", 1), encode_cursor("2026-03-01", "\x00", 1)],
)  # fmt: skip
def test_a_made_up_cursor_is_refused(books: Books, cash: UUID, cursor: str) -> None:
    with pytest.raises(BadCursor):
        books.ledger.statement(books.scope, cash, cursor=cursor)


def test_a_page_has_a_most(books: Books, cash: UUID) -> None:
    for limit in (0, -1, 1001):
        with pytest.raises(BadLimit):
            books.ledger.statement(books.scope, cash, limit=limit)
