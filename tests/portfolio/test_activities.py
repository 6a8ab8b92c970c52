"""Activities: a holding is its ledger balance, nothing leaves what was not there, facts stay."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from finora import Amount, Asset, Finora, Refusal, Scope, currency
from finora_adapters.postgres.work import Postgres
from finora_core.ledger.model import AccountKind
from finora_core.portfolio.institutions import CATALOGUE
from finora_core.portfolio.model import (
    AccountType,
    Activity,
    ActivityFilter,
    ActivityKind,
    InstitutionType,
    PortfolioAccount,
    Running,
)
from finora_core.portfolio.posting import Books, entry_of
from finora_core.portfolio.service import NewActivity
from together import errors, together

EUR, USD = currency("EUR"), currency("USD")
VWCE = Asset("isin:IE00BK5BQT80", 8)
BTC = Asset("crypto:BTC", 18)
START = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def broker(finora: Finora, scope: Scope) -> PortfolioAccount:
    for asset in (VWCE, BTC):
        finora.ledger.register_asset(scope, asset)
    return finora.portfolio.open_account(scope, "Main", "degiro")


def shares(quantity: str) -> Amount:
    return Amount.parse(quantity, VWCE)


def eur(amount: str) -> Amount:
    return Amount.parse(amount, EUR)


def new(
    broker: PortfolioAccount, kind: str, quantity: str | Amount = "0", **given: Any
) -> NewActivity:
    counted = shares(quantity) if isinstance(quantity, str) else quantity
    plain: dict[str, Any] = {"asset": VWCE.id, "at": START, "quantity": counted}
    return NewActivity(account_id=broker.id, kind=ActivityKind(kind), **(plain | given))


def held(finora: Finora, scope: Scope) -> dict[str, str]:
    return {
        str(each.quantity.asset): each.quantity.text for each in finora.portfolio.holdings(scope)
    }


def balances(finora: Finora, scope: Scope, name: str) -> dict[str, str]:
    found = (each for each in finora.ledger.balances(scope) if each.account.name == name)
    return {each.amount.asset.id: each.amount.text for each in found if each.amount}


@pytest.mark.spec("S0-46")
def test_a_holding_is_its_ledger_balance(
    finora: Finora, scope: Scope, broker: PortfolioAccount
) -> None:
    add = finora.portfolio.add
    add(scope, new(broker, "deposit", asset="EUR", quantity=eur("1000.00")))
    at = START + timedelta(hours=1)
    add(scope, new(broker, "buy", "4", at=at, price=Decimal("100.125"), quote=EUR, fee=eur("1.50"),
                   settled=True))  # fmt: skip
    add(scope, new(broker, "dividend", at=at, counter=eur("10.00"), tax=eur("2.64"), settled=True))
    add(scope, new(broker, "sell", "-1.5", at=at, price=Decimal("110"), quote=EUR, settled=True))
    # 1000 - 400.50 - 1.50 + 10 - 2.64 + 165
    assert held(finora, scope) == {"EUR": "770.36", VWCE.id: "2.50000000"}
    assert balances(finora, scope, "DEGIRO: Main") == held(finora, scope)
    assert balances(finora, scope, "Investment fees") == {"EUR": "1.50"}
    assert balances(finora, scope, "Withheld taxes") == {"EUR": "2.64"}
    assert balances(finora, scope, "Investment income") == {"EUR": "-10.00"}
    assert balances(finora, scope, "Conversion") == {"EUR": "235.50", VWCE.id: "-2.50000000"}


@pytest.mark.spec("S0-46", partial=True)
def test_every_kind_moves_what_it_says(
    finora: Finora, scope: Scope, broker: PortfolioAccount
) -> None:
    add = finora.portfolio.add
    for number, (kind, quantity) in enumerate((
        ("opening_balance", "10"), ("reward", "1"), ("airdrop", "1"), ("transfer_in", "2"),
        ("transfer_out", "-3"), ("unknown", "0.5"), ("interest", "0.5"), ("fee", "-0.25"),
        ("tax", "-0.25"), ("withdraw", "-1"), ("deposit", "1"),
    )):  # fmt: skip
        add(scope, new(broker, kind, quantity, at=START + timedelta(minutes=number)))
    add(scope, new(broker, "swap_out", "-2", counter=Amount.parse("0.01", BTC),
                   at=START + timedelta(hours=1)))  # fmt: skip
    assert held(finora, scope) == {VWCE.id: "9.50000000", BTC.id: "0.010000000000000000"}
    assert balances(finora, scope, "Opening balances") == {VWCE.id: "-10.00000000"}
    assert balances(finora, scope, "Outside") == {VWCE.id: "0.50000000"}
    kinds = {each.kind.value for each in finora.portfolio.list(scope, limit=50).items}
    assert len(kinds) == 12


@pytest.mark.spec("S0-46", partial=True)
def test_money_that_nobody_tells_of_comes_from_outside(
    finora: Finora, scope: Scope, broker: PortfolioAccount
) -> None:
    bought = finora.portfolio.add(
        scope, new(broker, "buy", "3", price=Decimal("33.335"), quote=EUR, fee=eur("1.00"))
    )
    # 100.005 is half a cent: to even, once.
    assert bought.counter == eur("-100.00")
    assert held(finora, scope) == {VWCE.id: "3.00000000"}
    assert balances(finora, scope, "Outside") == {"EUR": "-101.00"}


def test_a_gift_and_nothing_at_all_are_entered(
    finora: Finora, scope: Scope, broker: PortfolioAccount
) -> None:
    gift = finora.portfolio.add(scope, new(broker, "buy", "1", price=Decimal(0), quote=EUR))
    nothing = finora.portfolio.add(scope, new(broker, "buy", price=Decimal(0), quote=EUR))
    assert gift.counter is None
    assert finora.portfolio.get(scope, nothing.id).entry_id is None
    assert held(finora, scope) == {VWCE.id: "1.00000000"}


@pytest.mark.parametrize(
    ("kind", "given", "part"),
    [
        ("buy", {"quantity": shares("-1")}, "quantity"),
        ("sell", {"quantity": shares("1")}, "quantity"),
        ("dividend", {}, "counter"),
        ("dividend", {"quantity": shares("1"), "counter": eur("1.00")}, "counter"),
        ("swap_in", {"quantity": shares("1")}, "counter"),
        ("deposit", {"quantity": shares("1"), "counter": eur("-1.00")}, "counter"),
        ("buy", {"quantity": shares("1"), "counter": eur("1.00")}, "counter"),
        ("buy", {"quantity": shares("1"), "counter": shares("-1")}, "counter"),
        ("buy", {"quantity": shares("1"), "price": Decimal(1)}, "price"),
        ("buy", {"quantity": shares("1"), "price": Decimal("NaN"), "quote": EUR}, "price"),
        ("buy", {"quantity": shares("1"), "price": Decimal(-1), "quote": EUR}, "price"),
        ("buy", {"quantity": eur("1.00")}, "quantity"),
        ("buy", {"quantity": shares("1"), "at": START.replace(tzinfo=None)}, "at"),
    ],
)
def test_what_a_kind_cannot_be_is_refused(
    finora: Finora, scope: Scope, broker: PortfolioAccount, kind: str, given: Any, part: str
) -> None:
    with pytest.raises(Refusal) as caught:
        finora.portfolio.add(scope, new(broker, kind, **given))
    assert caught.value.code == "BAD_ACTIVITY"
    assert caught.value.details[0][0] == part
    assert held(finora, scope) == {}


@pytest.mark.spec("S0-46", partial=True)
def test_no_more_is_sold_than_was_held_then(
    finora: Finora, scope: Scope, broker: PortfolioAccount
) -> None:
    add = finora.portfolio.add
    add(scope, new(broker, "buy", "5", price=Decimal(10), quote=EUR))
    add(scope, new(broker, "sell", "-4", at=START + timedelta(days=10), price=Decimal(10),
                   quote=EUR))  # fmt: skip
    for days, quantity in ((-1, "-1"), (5, "-2"), (20, "-1.00000001")):
        with pytest.raises(Refusal) as caught:
            add(scope, new(broker, "sell", quantity, at=START + timedelta(days=days)))
        assert caught.value.code == "INSUFFICIENT_HOLDING"
    add(scope, new(broker, "sell", "-1", at=START + timedelta(days=5)))
    assert held(finora, scope) == {}


@pytest.mark.spec("S0-46", partial=True)
def test_what_was_wrong_is_ended_by_a_reversal(
    finora: Finora, scope: Scope, broker: PortfolioAccount
) -> None:
    service = finora.portfolio
    first = service.add(scope, new(broker, "buy", "5", price=Decimal(10), quote=EUR))
    second = service.correct(scope, first.id, new(broker, "buy", "4", price=Decimal(10), quote=EUR))
    assert held(finora, scope) == {VWCE.id: "4.00000000"}
    old = service.get(scope, first.id)
    assert (old.replaced_by, old.quantity) == (second.id, shares("5"))
    assert [each.id for each in service.list(scope).items] == [second.id]
    assert len(service.list(scope, ActivityFilter(ended=True)).items) == 2
    with pytest.raises(Refusal, match="before"):
        service.delete(scope, first.id)
    service.add(scope, new(broker, "sell", "-3", at=START + timedelta(days=1)))
    with pytest.raises(Refusal) as caught:
        service.delete(scope, second.id)
    assert caught.value.code == "INSUFFICIENT_HOLDING"
    assert held(finora, scope) == {VWCE.id: "1.00000000"}


def test_facts_of_the_portfolio_do_not_change(
    finora: Finora, scope: Scope, broker: PortfolioAccount, admin: Engine
) -> None:
    finora.portfolio.add(scope, new(broker, "buy", "5"))
    for sql in ("update finora.activity set units = 1", "delete from finora.activity"):
        with pytest.raises(DBAPIError, match="FACT_IMMUTABLE"), admin.begin() as connection:
            connection.execute(text(sql))


@pytest.mark.spec("S0-45")
def test_accounts_are_at_institutions_of_a_shared_catalogue(
    finora: Finora, scope: Scope, stranger: Scope
) -> None:
    service = finora.portfolio
    assert {each.type for each in CATALOGUE.values()} <= set(InstitutionType)
    assert [each.id for each in service.institutions(scope)] == [
        each.id for each in service.institutions(stranger)
    ]
    service.open_account(scope, "Main", "bitvavo", AccountType.CRYPTO)
    service.open_account(scope, "Main")
    with pytest.raises(Refusal) as caught:
        service.open_account(scope, "Main", "bitvavo")
    assert caught.value.code == "ACCOUNT_EXISTS"
    with pytest.raises(Refusal, match="manual"):
        service.open_account(scope, "Main", "no-such-bank")
    service.open_account(stranger, "Main", "bitvavo")
    found = [(each.institution.id, each.name) for each in service.accounts(scope)]
    assert found == [("bitvavo", "Main"), ("manual", "Main")]


@pytest.mark.spec("S2-24")
def test_an_account_belongs_to_a_user_and_has_a_balance_and_transactions(
    finora: Finora, scope: Scope, stranger: Scope
) -> None:
    opened = finora.portfolio.open_account(scope, "Giro", "ing", AccountType.CHECKING)
    card = finora.portfolio.open_account(scope, "Card", "ing", AccountType.CREDIT_CARD)
    assert (opened.owner, opened.type) == (scope.user_id, AccountType.CHECKING)
    assert finora.ledger.account(scope, card.id).kind is AccountKind.LIABILITY
    finora.portfolio.add(scope, new(opened, "deposit", asset="EUR", quantity=eur("12.34")))
    [balance] = finora.ledger.balances(scope, opened.id)
    assert balance.amount == eur("12.34")
    assert [each.amount for each in finora.ledger.statement(scope, opened.id).items] == [
        eur("12.34")
    ]
    assert finora.portfolio.accounts(stranger) == []
    with pytest.raises(Refusal, match="no portfolio account"):
        finora.portfolio.holdings(stranger, opened.id)
    with pytest.raises(Refusal, match="no portfolio account"):
        finora.portfolio.add(stranger, new(opened, "deposit", asset="EUR", quantity=eur("1.00")))


def test_two_that_sell_the_last_share_at_once_sell_it_once(
    finora: Finora, scope: Scope, broker: PortfolioAccount
) -> None:
    finora.portfolio.add(scope, new(broker, "buy", "1"))
    later = START + timedelta(days=1)
    sell = partial(finora.portfolio.add, scope, new(broker, "sell", "-1", at=later))
    results = together(*[sell] * 8)
    assert len(errors(results)) == 7
    assert held(finora, scope) == {}


def test_an_error_undoes_everything(store: Postgres, finora: Finora, scope: Scope) -> None:
    with pytest.raises(RuntimeError), store.begin(scope) as work:
        assert work.portfolio_accounts.all() == []
        raise RuntimeError


_MOVES = st.lists(st.tuples(st.integers(0, 40), st.integers(-20, 20)), max_size=30)


@given(booked=_MOVES, at=st.integers(-1, 41))
def test_what_is_free_to_leave_never_makes_a_holding_negative(
    booked: list[tuple[int, int]], at: int
) -> None:
    steps = [(START + timedelta(days=day), units) for day, units in booked]
    when = START + timedelta(days=at)
    free = Running(steps).available(when)
    by_day = [sum(units for day, units in booked if day <= last) for last in range(at, 42)]
    # At most what the end of any day from then on has; less only where a day dips within itself.
    assert free <= min(by_day)
    inward = [(day, units) for day, units in booked if units > 0]
    assert Running((START + timedelta(days=d), u) for d, u in inward).available(when) == sum(
        units for day, units in inward if day <= at
    )


_BOOKS = Books(**{name: uuid4() for name in
                  ("conversion", "outside", "opening", "income", "fees", "taxes")})  # fmt: skip


@given(
    kind=st.sampled_from(sorted(ActivityKind)),
    units=st.integers(-(10**12), 10**12),
    money=st.integers(-(10**9), 10**9),
    fee=st.none() | st.integers(-(10**6), 10**6),
    settled=st.booleans(),
)
def test_every_entry_balances(
    kind: ActivityKind, units: int, money: int, fee: int | None, settled: bool
) -> None:
    try:
        activity = Activity(
            id=UUID(int=1), account_id=UUID(int=2), kind=kind, quantity=Amount(units, VWCE),
            at=START, counter=Amount(money, EUR), settled=settled,
            fee=None if fee is None else Amount(fee, EUR),
        )  # fmt: skip
    except Refusal:
        return
    entry = entry_of(activity, UUID(int=3), _BOOKS)  # an Entry checks that it balances
    moved = (
        [posting for posting in entry.postings if posting.account_id == UUID(int=2)]
        if entry
        else []
    )
    of_asset = sum(each.amount.units for each in moved if each.amount.asset == VWCE)
    assert of_asset == units
    if not settled:
        assert all(each.amount.asset == VWCE for each in moved)
