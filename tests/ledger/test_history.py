"""Random histories of posts, batches, reversals and holds, beside a plain model that a reader can
check: the same calls are refused for the same reason, and every report says the same."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import DAY, EUR, Books, entry
from finora import AccountKind, Amount, Finora, Scope, currency
from finora_core.kernel.errors import Refusal
from finora_core.ledger.model import TrialBalance

USD = currency("USD")
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)

# Name, kind, floor. Two without a floor on either side, so that money can come from somewhere.
ACCOUNTS = (
    ("Cash", AccountKind.ASSET, 0),
    ("Credit line", AccountKind.ASSET, -50),
    ("Deposits", AccountKind.LIABILITY, 0),
    ("Shop", AccountKind.INCOME, None),
    ("World", AccountKind.OUTSIDE, None),
)
FLOORS = [floor for _, _, floor in ACCOUNTS]
NORMALS = [kind.normal for _, kind, _ in ACCOUNTS]

Slot = tuple[int, str]
Legs = tuple[tuple[int, str, int], ...]


class No(Exception):
    """The model refuses, with the code that the ledger must give."""


@attrs.define
class Posted:
    day: date
    legs: Legs
    mirror: bool = False
    undone: bool = False


@attrs.define
class Held:
    slot: Slot
    units: int
    expired: bool
    ended: bool = False


@attrs.define
class Model:
    """Books as a few dictionaries: slow, obvious, and with no database in it."""

    units: dict[Slot, int] = attrs.field(factory=lambda: defaultdict(int))
    held: dict[Slot, int] = attrs.field(factory=lambda: defaultdict(int))
    entries: list[Posted] = attrs.field(factory=list)
    holds: list[Held] = attrs.field(factory=list)

    def available(self, slot: Slot) -> int:
        return NORMALS[slot[0]] * self.units[slot] - self.held[slot]

    def check(self, slots: set[Slot]) -> None:
        for slot in slots:
            floor = FLOORS[slot[0]]
            if floor is not None and self.available(slot) < floor:
                raise No("INSUFFICIENT_FUNDS")

    def post(self, *made: Posted) -> None:
        """All of them or none, judged by what they come to together."""
        touched: set[Slot] = set()
        for each in made:
            for account, asset, units in each.legs:
                self.units[account, asset] += units
                touched.add((account, asset))
        self.entries += made
        self.check(touched)

    def reverse(self, number: int) -> None:
        done = self.entries[number]
        if done.mirror or done.undone:
            raise No("ALREADY_REVERSED")
        done.undone = True
        self.post(Posted(done.day, tuple((a, s, -u) for a, s, u in done.legs), mirror=True))

    def hold(self, slot: Slot, units: int, expired: bool) -> None:
        self.sweep(slot)
        self.held[slot] += units
        self.holds.append(Held(slot, units, expired))
        self.check({slot})

    def end(self, number: int, *, posting: bool) -> Held:
        hold = self.holds[number]
        if hold.ended:
            raise No("HOLD_ENDED")
        if posting and hold.expired:
            raise No("HOLD_EXPIRED")
        hold.ended = True
        self.held[hold.slot] -= hold.units
        return hold

    def pay_hold(self, number: int, to: int, units: int | None, day: date) -> None:
        paid = self.holds[number].units if units is None else units
        if paid > self.holds[number].units:
            raise No("HOLD_EXCEEDED")
        account, asset = self.end(number, posting=True).slot
        out = -NORMALS[account] * paid
        self.post(Posted(day, ((account, asset, out), (to, asset, -out))))

    def sweep(self, slot: Slot | None = None) -> int:
        swept = [
            number
            for number, hold in enumerate(self.holds)
            if hold.expired and not hold.ended and slot in (None, hold.slot)
        ]
        for number in swept:
            self.end(number, posting=False)
        return len(swept)

    def balances(self, until: date = date.max) -> dict[Slot, int]:
        sums: Counter[Slot] = Counter()
        for each in self.entries:
            for account, asset, units in each.legs:
                if each.day <= until:
                    sums[account, asset] += units
        return {slot: units for slot, units in sums.items() if units}


ACCOUNT, ASSET = st.integers(0, len(ACCOUNTS) - 1), st.sampled_from(["EUR", "USD"])
DAYS = st.integers(0, 4).map(lambda n: DAY + timedelta(days=n))
TRANSFER = st.tuples(ACCOUNT, ACCOUNT, ASSET, st.integers(1, 120), DAYS)
OPERATION = st.one_of(
    st.tuples(st.just("post"), TRANSFER),
    st.tuples(st.just("post"), TRANSFER),
    st.tuples(st.just("batch"), st.lists(TRANSFER, min_size=1, max_size=5)),
    st.tuples(st.just("reverse"), st.integers(0, 6)),
    st.tuples(st.just("hold"), ACCOUNT, ASSET, st.integers(1, 80), st.booleans()),
    st.tuples(st.just("pay_hold"), st.integers(0, 9), ACCOUNT, st.none() | st.integers(1, 99)),
    st.tuples(st.just("void"), st.integers(0, 9)),
    st.tuples(st.just("sweep")),
)


@attrs.define
class Run:
    """The model and the ledger, going through the same history."""

    books: Books
    accounts: list[UUID]
    model: Model = attrs.field(factory=Model)
    entry_ids: list[UUID] = attrs.field(factory=list)
    hold_ids: list[UUID] = attrs.field(factory=list)
    known: dict[datetime, dict[Slot, int]] = attrs.field(factory=dict)

    def step(self, operation: tuple[Any, ...]) -> None:
        name, *given = operation
        before = deepcopy(self.model)
        try:
            really = getattr(self, f"_{name}")(*given)
        except No as said:
            self.model, expected = before, str(said)
            really = self.call
        else:
            expected = None
        try:
            really()
        except Refusal as refusal:
            assert refusal.code == expected, (operation, refusal)
            self.model = before
        else:
            assert expected is None, (operation, "was not refused")

    # Each prepares the real call, then moves the model, which may refuse.

    call: Callable[[], object] = lambda: None

    def _post(self, transfer: tuple[Any, ...]) -> Callable[[], None]:
        return self._batch([transfer])

    def _batch(self, transfers: list[tuple[Any, ...]]) -> Callable[[], None]:
        made = [
            Posted(day, ((source, asset, -units), (target, asset, units)))
            for source, target, asset, units, day in transfers
        ]

        def call() -> None:
            entries = [
                entry(
                    *((self.accounts[account], units) for account, _, units in each.legs),
                    asset=currency(each.legs[0][1]),
                    on=each.day,
                )
                for each in made
            ]
            self.books.ledger.post_many(self.books.scope, entries)
            self.entry_ids += [each.id for each in entries]
            written = self.books.ledger.entry(self.books.scope, entries[0].id).recorded_at
            self._note(written)

        return self._then(call, lambda: self.model.post(*made))

    def _reverse(self, number: int) -> Callable[[], None]:
        if not self.model.entries:
            return lambda: None
        number %= len(self.model.entries)

        def call() -> None:
            made = self.books.ledger.reverse(self.books.scope, self.entry_ids[number])
            self.entry_ids.append(made.id)
            self._note(made.recorded_at)

        return self._then(call, lambda: self.model.reverse(number))

    def _hold(self, account: int, asset: str, units: int, expired: bool) -> Callable[[], None]:
        def call() -> None:
            made = self.books.ledger.hold(
                self.books.scope,
                self.accounts[account],
                Amount(units, currency(asset)),
                expires_at=PAST if expired else FUTURE,
            )
            self.hold_ids.append(made.id)

        return self._then(call, lambda: self.model.hold((account, asset), units, expired))

    def _pay_hold(self, number: int, to: int, units: int | None) -> Callable[[], None]:
        if not self.model.holds:
            return lambda: None
        number %= len(self.model.holds)
        asset = currency(self.model.holds[number].slot[1])
        amount = None if units is None else Amount(units, asset)

        def call() -> None:
            made = self.books.ledger.post_hold(
                self.books.scope, self.hold_ids[number], self.accounts[to], amount, on_date=DAY
            )
            self.entry_ids.append(made.id)
            self._note(made.recorded_at)

        return self._then(call, lambda: self.model.pay_hold(number, to, units, DAY))

    def _void(self, number: int) -> Callable[[], None]:
        if not self.model.holds:
            return lambda: None
        number %= len(self.model.holds)
        call = lambda: self.books.ledger.void_hold(  # noqa: E731  # one call, named
            self.books.scope, self.hold_ids[number]
        )
        return self._then(call, lambda: self.model.end(number, posting=False))

    def _sweep(self) -> Callable[[], None]:
        swept: list[int] = []

        def call() -> None:
            assert self.books.ledger.expire_holds(self.books.scope) == swept[0]

        return self._then(call, lambda: swept.append(self.model.sweep()))

    def _then(self, call: Callable[[], object], move: Callable[[], object]) -> Any:
        self.call = call
        move()
        return call

    def _note(self, written: datetime | None) -> None:
        assert written is not None
        self.known[written] = self.model.balances()

    # What the ledger reports.

    def check(self) -> None:
        ledger, scope, model = self.books.ledger, self.books.scope, self.model
        for account, account_id in enumerate(self.accounts):
            for asset in (EUR, USD):
                slot = (account, asset.id)
                assert self.books.units(account_id, asset) == model.units[slot]
                assert self.books.held(account_id, asset) == model.held[slot]
                assert self.books.available(account_id, asset) == model.available(slot)
            self.check_statement(account)
        assert self.seen(ledger.trial_balance(scope)) == model.balances()
        for n in range(-1, 6):
            day = DAY + timedelta(days=n)
            assert self.seen(ledger.trial_balance(scope, on=day)) == model.balances(day)
        for written, then in self.known.items():
            assert self.seen(ledger.trial_balance(scope, known_at=written)) == then
        sheet = ledger.balance_sheet(scope)
        lines = (*sheet.assets, *sheet.liabilities, *sheet.equity)
        assert self.seen(TrialBalance(lines)) == model.balances()

    def check_statement(self, account: int) -> None:
        rows, cursor = [], None
        while True:
            page = self.books.ledger.statement(
                self.books.scope, self.accounts[account], cursor=cursor, limit=3
            )
            rows += page.items
            cursor = page.next
            if cursor is None:
                break
        wanted = Counter(
            (each.day, asset, units)
            for each in self.model.entries
            for at, asset, units in each.legs
            if at == account
        )
        assert Counter((r.on_date, r.amount.asset.id, r.amount.units) for r in rows) == wanted
        running: Counter[str] = Counter()
        for row in rows:
            running[row.amount.asset.id] += row.amount.units
            assert row.balance.units == running[row.amount.asset.id]
        assert [row.on_date for row in rows] == sorted(row.on_date for row in rows)

    def seen(self, trial: TrialBalance) -> Mapping[Slot, int]:
        assert not any(trial.sums.values())
        return {
            (self.accounts.index(line.account.id), line.amount.asset.id): line.amount.units
            for line in trial.lines
        }


@pytest.mark.invariant("I-03")
@pytest.mark.invariant("I-04")
@pytest.mark.invariant("I-05")
@pytest.mark.invariant("I-08")
@pytest.mark.invariant("I-09")
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(operations=st.lists(OPERATION, min_size=5, max_size=25))
def test_the_ledger_does_what_the_model_does(
    finora: Finora, scope: Scope, operations: list[tuple[Any, ...]]
) -> None:
    books = Books(finora.ledger, finora.scope(tenant=f"t-{uuid4()}", user="u1"))
    run = Run(books, [books.open(name, kind, floor) for name, kind, floor in ACCOUNTS])
    for operation in operations:
        run.step(operation)
    run.check()
