"""Many at once: no money is made or lost, one of several wins, and nobody sees half a transfer.

The checkers are first turned on naive books (read, think, write), which they must catch.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID

import attrs
import pytest
from sqlalchemy import Engine, text

from books import DAY, EUR, Books, entry
from finora import AccountKind, Amount, Command, Posting, Replayed, Scope, currency
from finora_core.kernel.errors import Refusal
from finora_core.kernel.work import CommandInFlight, CommandKeyReused
from finora_core.ledger import model
from finora_core.ledger.model import Entry
from finora_core.ledger.service import CONVERSION, LedgerService
from together import errors, together

# --- what must be true of a history --------------------------------------------------------------


def paid_out_at_most(start: int, paid: Sequence[int], left: int) -> bool:
    """Nothing was paid that was not there, and the rest is still there."""
    return sum(paid) <= start and left == start - sum(paid)


def conserved(snapshots: Sequence[Sequence[int]], whole: int) -> bool:
    """Every reader saw all the money, and no debts (Jepsen's bank)."""
    return all(sum(seen) == whole and min(seen) >= 0 for seen in snapshots)


@attrs.frozen
class Op:
    """One call on an account as its client saw it: between `began` and `ended` it took effect."""

    began: int
    ended: int
    units: int
    """Above zero paid in, below zero taken out; zero is a look at the balance."""
    answer: int
    """The balance seen; or 1 for done, 0 for refused."""

    def after(self, balance: int) -> int | None:
        """The balance after it; None if with this balance it would have answered otherwise."""
        if not self.units:
            return balance if self.answer == balance else None
        possible = balance + self.units >= 0
        if possible != bool(self.answer):
            return None
        return balance + self.units if possible else balance


def linearizable(history: Sequence[Op], start: int) -> bool:
    """Whether some order of the calls, true to their times, explains every answer (Wing, Gong)."""
    dead: set[tuple[frozenset[int], int]] = set()

    def explain(left: frozenset[int], balance: int) -> bool:
        if not left:
            return True
        if (left, balance) in dead:
            return False
        dead.add((left, balance))
        first_end = min(history[at].ended for at in left)
        return any(
            explain(left - {at}, after)
            for at in left
            if history[at].began <= first_end and (after := history[at].after(balance)) is not None
        )

    return explain(frozenset(range(len(history))), start)


# --- books that are wrong ------------------------------------------------------------------------


class Naive:
    """A balance that is read, thought about and written back. It must be caught."""

    def __init__(self, engine: Engine, start: int) -> None:
        self.engine = engine
        self.run("create table public.naive (id int primary key, units bigint)")
        self.run(f"insert into public.naive values (0, {start}), (1, {start}), (2, {start})")

    def run(self, sql: str) -> int:
        with self.engine.begin() as connection:
            result = connection.execute(text(sql))
            return int(result.scalar() or 0) if result.returns_rows else 0

    def look(self, at: int = 0) -> int:
        return self.run(f"select units from public.naive where id = {at}")

    def add(self, units: int, at: int = 0) -> bool:
        there = self.look(at)
        time.sleep(0.01)
        if there + units < 0:
            return False
        self.run(f"update public.naive set units = {there + units} where id = {at}")
        return True

    def move(self, source: int, target: int, units: int) -> None:
        if self.add(-units, source):
            self.add(units, target)


@pytest.fixture
def naive(admin: Engine) -> Iterator[Naive]:
    yield Naive(admin, 1_000)
    with admin.begin() as connection:
        connection.execute(text("drop table public.naive"))


# --- T-04, I-05: one balance, many hands ---------------------------------------------------------

HANDS, RATE = 64, Decimal(1)


@pytest.mark.invariant("T-04")
@pytest.mark.invariant("I-05")
def test_a_balance_is_paid_out_once_however_many_ask(books: Books, world: UUID) -> None:
    purse = books.open("Purse", floor=0)
    for _ in range(15):
        start = 1_000 - books.units(purse)
        if start:
            books.pay(world, purse, start)
        units = random.choice([50, 70, 300])
        results = together(*[lambda u=units: books.pay(purse, world, u)] * HANDS)
        refused = errors(results)
        assert {type(error) for error in refused} == {model.InsufficientFunds}
        paid = [units] * (HANDS - len(refused))
        assert paid_out_at_most(1_000, paid, books.units(purse))
        assert len(paid) == 1_000 // units, "a refusal while there was enough"


@pytest.mark.invariant("T-04")
def test_the_same_check_catches_books_that_read_then_write(naive: Naive) -> None:
    results = together(*[lambda: naive.add(-300)] * 8)
    assert not errors(results)
    assert not paid_out_at_most(1_000, [300] * results.count(True), naive.look())


@pytest.mark.invariant("T-04")
def test_holds_and_payments_share_one_balance(books: Books, world: UUID) -> None:
    purse = books.open("Purse", floor=0)
    books.pay(world, purse, 1_000)
    amount = Amount(100, EUR)
    acts: list[Callable[[], object]] = [lambda: books.pay(purse, world, 100)] * 16
    acts += [lambda: books.ledger.hold(books.scope, purse, amount)] * 16
    acts += [
        lambda: books.ledger.exchange(books.scope, purse, amount, currency("USD"), RATE, "x")
    ] * 8
    random.shuffle(acts)
    refused = errors(together(*acts))
    assert {type(error) for error in refused} == {model.InsufficientFunds}
    assert len(acts) - len(refused) == 10
    assert books.available(purse) == 0


# --- I-15: order, snapshots ----------------------------------------------------------------------


def client(add: Callable[[int], bool], look: Callable[[], int], seed: int) -> list[Op]:
    """A few random calls on one account, with the times at which they began and ended."""
    choice, history = random.Random(seed), []
    for _ in range(5):
        units = choice.choice([0, 0, -400, -300, 200])
        began = time.monotonic_ns()
        answer = look() if not units else int(add(units))
        history.append(Op(began, time.monotonic_ns(), units, answer))
    return history


@pytest.mark.invariant("I-15")
def test_an_account_is_linearizable(books: Books, world: UUID) -> None:
    for round_ in range(6):
        purse = books.open(f"Purse {round_}", floor=0)
        books.pay(world, purse, 1_000)

        def add(units: int, purse: UUID = purse) -> bool:
            source, target = (world, purse) if units > 0 else (purse, world)
            try:
                books.pay(source, target, abs(units))
            except model.InsufficientFunds:
                return False
            return True

        histories = together(
            *[
                lambda seed=seed, purse=purse: client(add, lambda: books.units(purse), seed)
                for seed in range(round_ * 8, round_ * 8 + 6)
            ]
        )
        assert not errors(histories)
        history = [op for each in histories for op in each]
        assert linearizable(history, 1_000), history


@pytest.mark.invariant("I-15")
def test_the_same_checker_catches_books_that_lose_a_write(naive: Naive) -> None:
    histories = together(*[lambda seed=s: client(naive.add, naive.look, seed) for s in range(6)])
    assert not errors(histories)
    assert not linearizable([op for each in histories for op in each], 1_000)


@pytest.mark.parametrize(
    ("history", "whole"),
    [([Op(0, 9, -600, 1), Op(0, 9, -600, 0), Op(1, 2, 0, 1_000)], True),
     ([Op(0, 9, -600, 1), Op(0, 9, -600, 1)], False),
     ([Op(0, 1, -600, 1), Op(2, 3, 0, 1_000)], False),
     ([Op(0, 3, -600, 1), Op(2, 3, 0, 1_000)], True),
     ([Op(0, 1, -600, 0)], False),
     ([Op(0, 5, 0, 400), Op(1, 6, -600, 1), Op(7, 8, 0, 400)], True)],
    ids=str,
)  # fmt: skip
def test_the_checker_knows_right_from_wrong(history: list[Op], whole: bool) -> None:
    assert linearizable(history, 1_000) is whole


def bank(
    move: Callable[[int, int, int], object], look: Callable[[], Sequence[int]]
) -> list[Sequence[int]]:
    """Six clerks move money at random while two readers look; what the readers saw."""

    def clerk(seed: int) -> None:
        choice = random.Random(seed)
        for _ in range(12):
            source, target = choice.sample(range(3), 2)
            move(source, target, choice.randint(1, 700))

    def reader() -> list[Sequence[int]]:
        return [look() for _ in range(25)]

    results = together(*[lambda s=s: clerk(s) for s in range(6)], reader, reader)
    assert not errors(results)
    return [seen for each in results[-2:] for seen in each] + [look()]


@pytest.mark.invariant("I-15")
def test_every_reader_of_the_bank_sees_all_the_money(books: Books, world: UUID) -> None:
    accounts = [books.open(name, floor=0) for name in "ABC"]
    for account in accounts:
        books.pay(world, account, 1_000)

    def move(source: int, target: int, units: int) -> None:
        with contextlib.suppress(model.InsufficientFunds):
            books.pay(accounts[source], accounts[target], units)

    def look() -> list[int]:
        found = {b.account.id: b.amount.units for b in books.ledger.balances(books.scope)}
        return [found.get(account, 0) for account in accounts]

    def trial() -> list[int]:
        lines = books.ledger.trial_balance(books.scope).lines
        found = {line.account.id: line.amount.units for line in lines}
        assert not sum(found.values())
        return [found.get(account, 0) for account in accounts]

    for each in (look, trial):
        snapshots = bank(move, each)
        assert conserved(snapshots, 3_000)
        assert len(set(map(tuple, snapshots))) > 3, "nothing happened while they looked"


@pytest.mark.invariant("I-15")
def test_the_same_bank_catches_naive_books(naive: Naive) -> None:
    assert not conserved(bank(naive.move, lambda: [naive.look(at) for at in range(3)]), 3_000)


# --- no deadlock reaches a caller ----------------------------------------------------------------


def test_opposing_transfers_do_not_deadlock(books: Books, world: UUID) -> None:
    accounts = [books.open(name) for name in "ABCDE"]

    def shuffle(seed: int) -> None:
        choice = random.Random(seed)
        for _ in range(10):
            legs = [(account, 1) for account in choice.sample(accounts, 3)]
            other = choice.choice([a for a in accounts if a not in dict(legs)])
            books.ledger.post_many(books.scope, [entry(*legs, (other, -3))])
            books.pay(*choice.sample(accounts, 2), 1)

    assert not errors(together(*[lambda s=s: shuffle(s) for s in range(16)]))
    assert sum(books.units(account) for account in accounts) == 0


def test_first_payments_into_new_accounts_do_not_deadlock(books: Books, world: UUID) -> None:
    for round_ in range(4):
        accounts = [books.open(f"{round_}{name}") for name in "ABCD"]
        one, other = [(a, 1) for a in accounts], [(a, 1) for a in reversed(accounts)]
        acts = [
            lambda legs=legs: books.ledger.post_many(books.scope, [entry(*legs, (world, -4))])
            for legs in (one, other) * 6
        ]
        assert not errors(together(*acts))
        assert [books.units(account) for account in accounts] == [12] * 4


def test_opposing_holds_are_paid_without_a_deadlock(books: Books, world: UUID) -> None:
    a, b = books.open("A", floor=0), books.open("B", floor=0)
    for account in (a, b):
        books.pay(world, account, 1_000)
    holds = [
        (books.ledger.hold(books.scope, source, Amount(10, EUR)).id, target)
        for source, target in [(a, b), (b, a)] * 8
    ]
    once = Once(books)
    acts = [lambda h=h, to=to: once("post_hold", h, to) for h, to in holds]
    assert not errors(together(*acts))
    assert (books.available(a), books.available(b)) == (1_000, 1_000)


class Once:
    """The ledger without its second tries: a deadlock would be seen."""

    def __init__(self, books: Books) -> None:
        self.books = books

    def __call__(self, name: str, *given: Any, **more: Any) -> Any:
        use_case = getattr(LedgerService, name).__wrapped__
        return use_case(self.books.ledger, self.books.scope, *given, **more)


def test_batches_over_many_months_and_accounts_do_not_deadlock(books: Books) -> None:
    accounts, once = [books.open(name) for name in "ABCDE"], Once(books)
    for one, other in permutations(accounts, 2):
        books.pay(one, other, 1)

    def batches(seed: int) -> None:
        choice = random.Random(seed)
        for _ in range(6):
            legs = [choice.sample(accounts, 2) for _ in range(20)]
            days = [DAY + timedelta(days=31 * choice.randrange(12)) for _ in legs]
            once("post_many", [entry((a, 1), (b, -1), on=day) for (a, b), day in
                               zip(legs, days, strict=True)])  # fmt: skip

    assert not errors(together(*[lambda s=s: batches(s) for s in range(12)]))


def test_no_mix_of_payments_and_holds_deadlocks(books: Books) -> None:
    accounts, dollar, once = [books.open(name) for name in "ABCDE"], currency("USD"), Once(books)
    for one, other in permutations(accounts, 2):  # every balance is there
        for asset in (EUR, dollar):
            books.pay(one, other, 1, asset)
    books.ledger.exchange(books.scope, accounts[0], Amount(1, EUR), dollar, RATE, "x")
    holds: list[UUID] = []

    def anything(seed: int) -> None:
        choice = random.Random(seed)
        for _ in range(30):
            one, other = choice.sample(accounts, 2)
            unit = Amount(1, choice.choice([EUR, dollar]))
            recent = holds[-8:]
            try:
                match choice.randrange(6):
                    case 0:
                        past = choice.choice([None, None, datetime(2020, 1, 1, tzinfo=UTC)])
                        holds.append(once("hold", one, unit, expires_at=past).id)
                    case 1 if recent:
                        once("post_hold", choice.choice(recent), other)
                    case 2 if recent:
                        once("void_hold", choice.choice(recent))
                    case 3:
                        once("expire_holds")
                    case 4:
                        once("exchange", one, Amount(1, EUR), dollar, RATE, "x", into=other)
                    case _:
                        once("post", [Posting(one, -unit), Posting(other, unit)])
            except (model.HoldEnded, model.HoldExpired):
                pass

    assert not errors(together(*[lambda s=s: anything(s) for s in range(16)]))


# --- one of many wins ----------------------------------------------------------------------------


@pytest.mark.invariant("I-09")
def test_one_of_many_reversals_wins(books: Books, cash: UUID, world: UUID) -> None:
    for _ in range(4):
        made = books.pay(cash, world, 100)
        results = together(*[lambda e=made.id: books.ledger.reverse(books.scope, e)] * 16)
        assert [type(error) for error in errors(results)] == [model.AlreadyReversed] * 15
        assert books.units(cash) == 10_000


@pytest.mark.invariant("I-08")
@pytest.mark.parametrize("expired", [False, True])
def test_one_of_many_ends_of_a_hold_wins(
    books: Books, cash: UUID, world: UUID, expired: bool
) -> None:
    for _ in range(5):
        started = books.units(cash)
        past = books.ledger.entry(books.scope, books.pay(cash, cash, 1).id).recorded_at
        held = books.ledger.hold(
            books.scope, cash, Amount(100, EUR), expires_at=past if expired else None
        )
        acts: list[Callable[[], object]] = [
            lambda h=held.id: books.ledger.post_hold(books.scope, h, world, Amount(60, EUR)),
            lambda h=held.id: books.ledger.void_hold(books.scope, h),
            lambda: books.ledger.expire_holds(books.scope),
        ] * 5
        results = together(*acts)
        won = [r for r in results if not isinstance(r, Exception) and r != 0]
        assert len(won) == 1, results
        assert {type(error) for error in errors(results)} <= {model.HoldEnded, model.HoldExpired}
        paid = 60 if isinstance(won[0], Entry) else 0
        assert not (expired and paid)
        assert (books.units(cash), books.held(cash)) == (started - paid, 0)


def test_one_of_many_accounts_gets_the_name(books: Books) -> None:
    results = together(*[lambda: books.open("Same")] * 12)
    assert [type(error) for error in errors(results)] == [model.AccountExists] * 11
    assert len(books.ledger.accounts(books.scope)) == 1


def test_many_first_exchanges_make_one_conversion_account(books: Books, cash: UUID) -> None:
    sold, dollar = Amount(10, EUR), currency("USD")
    results = together(
        *[lambda: books.ledger.exchange(books.scope, cash, sold, dollar, RATE, "x")] * 12
    )
    assert not errors(results)
    names = [account.name for account in books.ledger.accounts(books.scope)]
    assert names.count(CONVERSION) == 1
    assert books.units(cash, dollar) == 120


# --- I-16: the same command, many times ----------------------------------------------------------


def command(scope: Scope, key: str, fingerprint: bytes = b"same") -> Scope:
    def encode(result: object) -> bytes:
        assert isinstance(result, Entry)
        return f"201 {result.id}".encode()

    return attrs.evolve(scope, cause=Command(key=key, fingerprint=fingerprint, encode=encode))


@pytest.mark.invariant("I-16")
def test_a_command_sent_many_times_has_one_effect_and_one_answer(
    books: Books, cash: UUID, world: UUID
) -> None:
    def send(key: str, fingerprint: bytes = b"same") -> bytes:
        try:
            scope = command(books.scope, key, fingerprint)
            made = books.ledger.transfer(scope, cash, world, Amount(10, EUR))
        except Replayed as replayed:
            return replayed.reply
        return f"201 {made.id}".encode()

    for n in range(6):
        key = f"pay-{n}"
        results = together(*[lambda key=key: send(key)] * 16)
        answers = {answer for answer in results if isinstance(answer, bytes)}
        assert len(answers) == 1
        assert {type(error) for error in errors(results)} <= {CommandInFlight}
        assert answers == {send(key)}
        with pytest.raises(CommandKeyReused):
            send(key, b"other")
        assert books.units(cash) == 10_000 - 10 * (n + 1)


@pytest.mark.invariant("I-16")
def test_a_key_is_its_tenants_and_its_users_own(
    books: Books, stranger: Scope, cash: UUID, world: UUID
) -> None:
    other = attrs.evolve(books.scope, user_id=stranger.user_id)
    made = [
        books.ledger.transfer(command(scope, "key"), cash, world, Amount(1, EUR))
        for scope in (books.scope, other)
    ]
    assert len({each.id for each in made}) == 2
    theirs = Books(books.ledger, stranger)
    a, b = theirs.open("A"), theirs.open("B", AccountKind.OUTSIDE)
    ledger: LedgerService = books.ledger
    assert ledger.transfer(command(stranger, "key"), a, b, Amount(1, EUR)).id
    with pytest.raises(Replayed) as caught:
        ledger.transfer(command(other, "key"), cash, world, Amount(1, EUR))
    assert caught.value.reply == f"201 {made[1].id}".encode()


@pytest.mark.invariant("I-16")
def test_a_refused_command_may_be_sent_again(books: Books, cash: UUID, world: UUID) -> None:
    scope = command(books.scope, "key")
    for _ in range(2):
        with pytest.raises(model.InsufficientFunds):
            books.ledger.transfer(scope, cash, world, Amount(10_001, EUR))
    books.pay(world, cash, 1)
    assert books.ledger.transfer(scope, cash, world, Amount(10_001, EUR))
    with pytest.raises(Replayed):
        books.ledger.transfer(scope, cash, world, Amount(10_001, EUR))


def test_every_refusal_in_a_race_is_a_refusal(books: Books, cash: UUID, world: UUID) -> None:
    """Whatever twenty clients do to each other's entries and holds, none meets a raw error."""
    entries: list[UUID] = [books.pay(cash, world, 1).id for _ in range(5)]
    holds = [books.ledger.hold(books.scope, cash, Amount(1_000, EUR)).id for _ in range(5)]

    def anything(seed: int) -> None:
        choice = random.Random(seed)
        for _ in range(8):
            act = choice.choice([
                lambda: books.ledger.reverse(books.scope, choice.choice(entries)),
                lambda: books.ledger.void_hold(books.scope, choice.choice(holds)),
                lambda: books.ledger.post_hold(books.scope, choice.choice(holds), world),
                lambda: books.ledger.hold(books.scope, cash, Amount(4_000, EUR)),
                lambda: books.pay(cash, world, 3_000),
                lambda: books.pay(world, cash, 3_000),
                lambda: books.open("Same"),
            ])  # fmt: skip
            try:
                act()
            except Refusal as refusal:
                assert refusal.code in {
                    "ALREADY_REVERSED", "HOLD_ENDED", "INSUFFICIENT_FUNDS", "ACCOUNT_EXISTS",
                }, refusal  # fmt: skip

    assert not errors(together(*[lambda s=s: anything(s) for s in range(20)]))
