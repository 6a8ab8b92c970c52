"""The books as they are, as they were on a day, as they were known, and at a sealed place."""

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest

from books import DAY, EUR, Books, entry, sealed
from finora import AccountKind, Amount, Finora, currency
from finora_core.kernel.ids import new_id
from finora_core.ledger.model import (
    Account,
    BalanceSheet,
    Line,
    SealNotFound,
    TrialBalance,
)

NEXT = DAY + timedelta(days=1)


def said(trial: TrialBalance) -> dict[str, int]:
    assert not any(trial.sums.values())
    return {f"{line.account.name} {line.amount.asset}": line.amount.units for line in trial.lines}


def test_every_balance_that_is_not_nothing_is_in_it_and_the_sums_are_zero(
    books: Books, cash: UUID, world: UUID
) -> None:
    empty = books.open("Emptied")
    books.pay(cash, empty, 1)
    books.pay(empty, cash, 1)
    books.pay(world, cash, 5, currency("USD"))
    assert said(books.ledger.trial_balance(books.scope)) == {
        "Cash EUR": 10_000, "World EUR": -10_000, "Cash USD": 5, "World USD": -5,
    }  # fmt: skip


def test_a_day_includes_itself_and_what_was_booked_into_it_later(
    books: Books, cash: UUID, world: UUID
) -> None:
    books.ledger.post_many(books.scope, [entry((cash, -300), (world, 300), on=NEXT)])
    trial = books.ledger.trial_balance
    assert said(trial(books.scope, on=DAY - timedelta(days=1))) == {}
    assert said(trial(books.scope, on=DAY))["Cash EUR"] == 10_000
    assert said(trial(books.scope, on=NEXT))["Cash EUR"] == 9_700
    books.ledger.post_many(books.scope, [entry((cash, -5), (world, 5), on=DAY)])
    assert said(trial(books.scope, on=DAY))["Cash EUR"] == 9_995
    assert said(trial(books.scope, on=date.max)) == said(trial(books.scope))


def test_what_was_known_does_not_change_when_more_is_learnt(
    books: Books, cash: UUID, world: UUID
) -> None:
    made = books.pay(cash, world, 300)
    known: datetime = books.ledger.entry(books.scope, made.id).recorded_at
    then = books.ledger.trial_balance(books.scope, known_at=known)
    assert said(then)["Cash EUR"] == 9_700
    books.ledger.post_many(
        books.scope, [entry((cash, -1), (world, 1), on=DAY - timedelta(days=400))]
    )
    books.ledger.reverse(books.scope, made.id)
    assert books.ledger.trial_balance(books.scope, known_at=known) == then
    assert said(books.ledger.trial_balance(books.scope, on=DAY))["Cash EUR"] == 9_999
    both = books.ledger.trial_balance(books.scope, on=DAY - timedelta(days=1), known_at=known)
    assert said(both) == {}


@pytest.mark.invariant("I-14")
def test_a_sealed_place_gives_the_same_answer_for_ever(
    finora: Finora, books: Books, cash: UUID, world: UUID
) -> None:
    trial = books.ledger.trial_balance
    places: dict[int, TrialBalance] = {}
    for n in range(1, 6):
        made = books.pay(cash, world, n)
        books.ledger.post_many(
            books.scope, [entry((cash, -n), (world, n), on=DAY - timedelta(days=n))]
        )
        held = books.ledger.hold(books.scope, cash, Amount(5, EUR))
        books.ledger.post_hold(books.scope, held.id, world)
        if n % 2:
            books.ledger.reverse(books.scope, made.id)
        seq = sealed(finora, books.scope)
        places[seq] = trial(books.scope, at_seal=seq)
        assert said(places[seq]) == said(trial(books.scope))
    assert len(set(map(str, places.values()))) == 5
    assert {seq: trial(books.scope, at_seal=seq) for seq in places} == places


@pytest.mark.parametrize("seq", [0, -1, 10**6])
def test_a_place_that_is_not_sealed_has_no_answer_yet(
    finora: Finora, books: Books, cash: UUID, seq: int
) -> None:
    sealed(finora, books.scope)
    with pytest.raises(SealNotFound):
        books.ledger.trial_balance(books.scope, at_seal=seq)


def test_places_between_are_the_books_as_they_grew(
    finora: Finora, books: Books, cash: UUID, world: UUID
) -> None:
    before = sealed(finora, books.scope)
    for _ in range(4):
        books.pay(cash, world, 10)
    after = sealed(finora, books.scope)
    grown = [
        said(books.ledger.trial_balance(books.scope, at_seal=seq)).get("Cash EUR", 0)
        for seq in range(before, after + 1)
    ]
    assert grown == [10_000, 9_990, 9_980, 9_970, 9_960]


def test_assets_are_liabilities_and_equity(books: Books, cash: UUID, world: UUID) -> None:
    debt = books.open("Loan", AccountKind.LIABILITY)
    rent = books.open("Rent", AccountKind.EXPENSE)
    pay = books.open("Salary", AccountKind.INCOME)
    own = books.open("Capital", AccountKind.EQUITY)
    for source, target, units in (
        (debt, cash, 500), (pay, cash, 3_000), (cash, rent, 800), (own, cash, 50),
    ):  # fmt: skip
        books.pay(source, target, units)
    sheet = books.ledger.balance_sheet(books.scope)
    assert {line.account.name: line.amount.units for line in sheet.assets} == {"Cash": 12_750}
    assert {line.account.name: line.amount.units for line in sheet.liabilities} == {"Loan": -500}
    assert {line.account.name: line.amount.units for line in sheet.equity} == {
        "World": -10_000, "Salary": -3_000, "Rent": 800, "Capital": -50,
    }  # fmt: skip
    assert sheet.net_worth == (Amount(12_250, EUR),)
    assert books.ledger.balance_sheet(books.scope, on=DAY - timedelta(days=1)).assets == ()


def test_net_worth_is_per_asset_and_never_added_up_across() -> None:
    def line(kind: AccountKind, amount: Amount) -> Line:
        return Line(account=Account(id=new_id(), name="x", kind=kind), amount=amount)

    sheet = BalanceSheet.of(
        TrialBalance(
            (
                line(AccountKind.ASSET, Amount(5, currency("USD"))),
                line(AccountKind.ASSET, Amount(7, EUR)),
                line(AccountKind.LIABILITY, Amount(-9, EUR)),
                line(AccountKind.OUTSIDE, Amount(-99, EUR)),
            )
        )
    )
    assert sheet.net_worth == (Amount(-2, EUR), Amount(5, currency("USD")))


def test_the_accounts_of_a_report_are_the_accounts(books: Books, cash: UUID) -> None:
    account = books.ledger.account(books.scope, cash)
    for trial in (
        books.ledger.trial_balance(books.scope),
        books.ledger.trial_balance(books.scope, on=DAY),
    ):
        assert account in [line.account for line in trial.lines]
        assert all(type(line.account.floor) in (int, type(None)) for line in trial.lines)
