"""Holds: money reserved, then paid, given free, or run out of time; once."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from books import DAY, EUR, Books
from finora import AccountKind, Amount, Finora, Scope, currency
from finora_adapters.postgres.work import Postgres
from finora_core.kernel.amount import AssetMismatch
from finora_core.kernel.ids import new_id
from finora_core.ledger import model
from finora_core.ledger.model import Hold, HoldOutcome

PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def shop(books: Books) -> UUID:
    return books.open("Shop", AccountKind.EXPENSE)


@pytest.fixture
def hold(books: Books, cash: UUID) -> Callable[..., Hold]:
    def make(units: int = 4_000, **given: object) -> Hold:
        return books.ledger.hold(books.scope, cash, Amount(units, EUR), **given)

    return make


def state(books: Books, account: UUID) -> tuple[int, int, int]:
    return books.units(account), books.held(account), books.available(account)


@pytest.mark.invariant("I-04")
def test_a_hold_reserves_without_moving(
    books: Books, cash: UUID, hold: Callable[..., Hold]
) -> None:
    made = hold(reference="order 7")
    assert state(books, cash) == (10_000, 4_000, 6_000)
    assert books.ledger.find_hold(books.scope, made.id) == made
    assert made.outcome is None
    with pytest.raises(model.InsufficientFunds):
        hold(6_001)
    hold(6_000)
    assert books.available(cash) == 0


def test_a_hold_is_paid_whole(
    books: Books, cash: UUID, shop: UUID, hold: Callable[..., Hold]
) -> None:
    made = hold(reference="order 7")
    paid = books.ledger.post_hold(books.scope, made.id, shop, on_date=DAY)
    assert (paid.cause, paid.reference, paid.on_date) == ("hold", "order 7", DAY)
    assert state(books, cash) == (6_000, 0, 6_000)
    assert books.units(shop) == 4_000
    assert books.ledger.find_hold(books.scope, made.id).outcome is HoldOutcome.POSTED


@pytest.mark.invariant("I-08")
def test_a_hold_is_paid_in_part_and_the_rest_returns(
    books: Books, cash: UUID, shop: UUID, hold: Callable[..., Hold]
) -> None:
    made = hold(10_000)
    books.ledger.post_hold(books.scope, made.id, shop, Amount(1, EUR))
    assert state(books, cash) == (9_999, 0, 9_999)


@pytest.mark.invariant("I-08")
@pytest.mark.parametrize("first", ["post", "void", "expire"])
@pytest.mark.parametrize("second", ["post", "void", "expire"])
def test_a_hold_ends_once(
    books: Books, cash: UUID, shop: UUID, hold: Callable[..., Hold], first: str, second: str
) -> None:
    made = hold(expires_at=PAST if first == "expire" else None)
    acts: dict[str, Callable[[], object]] = {
        "post": lambda: books.ledger.post_hold(books.scope, made.id, shop),
        "void": lambda: books.ledger.void_hold(books.scope, made.id),
        "expire": lambda: books.ledger.expire_holds(books.scope),
    }
    acts[first]()
    after = state(books, cash)
    if second == "expire":
        assert acts[second]() == 0
    else:
        with pytest.raises(model.HoldEnded):
            acts[second]()
    assert state(books, cash) == after == ((6_000, 0, 6_000) if first == "post" else
                                           (10_000, 0, 10_000))  # fmt: skip


def test_a_payment_that_cannot_arrive_leaves_the_hold_open(
    books: Books, cash: UUID, hold: Callable[..., Hold]
) -> None:
    full = books.open("Full", AccountKind.LIABILITY, floor=0)
    made = hold()
    with pytest.raises(model.InsufficientFunds):  # money in lowers a liability, which has nothing
        books.ledger.post_hold(books.scope, made.id, full)
    with pytest.raises(model.AccountNotFound):
        books.ledger.post_hold(books.scope, made.id, new_id())
    with pytest.raises(AssetMismatch):
        books.ledger.post_hold(books.scope, made.id, full, Amount(1, currency("USD")))
    assert state(books, cash) == (10_000, 4_000, 6_000)
    assert books.ledger.find_hold(books.scope, made.id).outcome is None


def test_a_hold_on_a_liability_is_paid_out_of_it(books: Books, world: UUID) -> None:
    deposit = books.open("Deposit of a customer", AccountKind.LIABILITY, floor=0)
    books.pay(deposit, world, 500)
    assert state(books, deposit) == (-500, 0, 500)
    made = books.ledger.hold(books.scope, deposit, Amount(300, EUR))
    assert state(books, deposit) == (-500, 300, 200)
    books.ledger.post_hold(books.scope, made.id, world, Amount(200, EUR))
    assert state(books, deposit) == (-300, 0, 300)
    assert books.units(world) == 300


def test_a_hold_runs_out_by_the_clock_of_the_database(
    books: Books, database: Postgres, cash: UUID, shop: UUID, hold: Callable[..., Hold]
) -> None:
    with database.look() as connection:
        now: datetime = connection.scalar(text("select clock_timestamp()"))
    made = hold(expires_at=now + timedelta(milliseconds=400))
    ended = books.ledger.expire_holds(books.scope)
    while not ended:
        time.sleep(0.05)
        ended = books.ledger.expire_holds(books.scope)
    assert ended == 1
    assert books.ledger.find_hold(books.scope, made.id).outcome is HoldOutcome.EXPIRED
    with database.look() as connection:
        after: datetime = connection.scalar(text("select clock_timestamp()"))
    assert after >= made.expires_at
    assert state(books, cash) == (10_000, 0, 10_000)


def test_a_hold_past_its_time_is_not_paid_and_can_be_voided(
    books: Books, cash: UUID, shop: UUID, hold: Callable[..., Hold]
) -> None:
    made = hold(expires_at=PAST)
    with pytest.raises(model.HoldExpired):
        books.ledger.post_hold(books.scope, made.id, shop)
    assert books.held(cash) == 4_000
    books.ledger.void_hold(books.scope, made.id)
    assert state(books, cash) == (10_000, 0, 10_000)


def test_a_new_hold_first_frees_what_ran_out_on_its_balance(
    books: Books, cash: UUID, hold: Callable[..., Hold]
) -> None:
    other = books.open("Other")
    spent = hold(9_000, expires_at=PAST)
    elsewhere = books.ledger.hold(books.scope, other, Amount(1, EUR), expires_at=PAST)
    dollar = Amount(1, currency("USD"))
    books.pay(other, cash, 1, dollar.asset)
    dollars = books.ledger.hold(books.scope, cash, dollar, expires_at=PAST)
    hold(9_500)
    find = books.ledger.find_hold
    assert find(books.scope, spent.id).outcome is HoldOutcome.EXPIRED
    assert find(books.scope, elsewhere.id).outcome is None
    assert find(books.scope, dollars.id).outcome is None
    assert state(books, cash) == (10_000, 9_500, 500)


def test_a_sweep_ends_only_what_ran_out_and_only_of_its_tenant(
    books: Books, finora: Finora, stranger: Scope, hold: Callable[..., Hold]
) -> None:
    theirs = finora.ledger.open_account(stranger, "Theirs").id
    kept = finora.ledger.hold(stranger, theirs, Amount(5, EUR), expires_at=PAST)
    hold(100, expires_at=datetime(2999, 1, 1, tzinfo=UTC))
    hold(100)
    hold(100, expires_at=PAST)
    assert books.ledger.expire_holds(books.scope) == 1
    assert books.ledger.expire_holds(books.scope) == 0
    assert finora.ledger.find_hold(stranger, kept.id).outcome is None


def test_a_sweep_takes_a_thousand_at_a_time(undone: Books, store: Postgres) -> None:
    account = undone.open("A")
    with store.begin(undone.scope) as work:
        work.connection.execute(
            text(
                "insert into finora.hold (tenant_id, id, account_id, asset, units, expires_at) "
                "select :t, gen_random_uuid(), :a, 'EUR', n, '2020-01-01Z' "
                "from generate_series(1, 1200) n"
            ),
            {"t": undone.scope.tenant_id, "a": account},
        )
    assert undone.held(account) == 1200 * 1201 // 2
    sweeps = [undone.ledger.expire_holds(undone.scope) for _ in range(3)]
    assert sweeps == [1000, 200, 0]
    assert undone.held(account) == 0


def test_a_hold_expires_at_an_instant_and_says_plain_things(hold: Callable[..., Hold]) -> None:
    with pytest.raises(model.BadPosting):
        hold(expires_at=PAST.replace(tzinfo=None))
    with pytest.raises(model.BadPosting):
        hold(reference="a\x00b")
