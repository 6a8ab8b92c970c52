"""Posting: what goes in whole, what is refused with a name, and that a refusal leaves nothing."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from books import DAY, EUR, Books, entry
from finora import AccountKind, Amount, Asset, Finora, Posting, Scope, currency
from finora_adapters.postgres.errors import translated
from finora_adapters.postgres.ledger import AssetExists
from finora_adapters.postgres.work import Postgres
from finora_core.kernel.amount import MAX_UNITS, AssetMismatch, BadAmount
from finora_core.kernel.asset import CURRENCIES, UnknownAsset
from finora_core.kernel.errors import Refusal
from finora_core.kernel.ids import new_id
from finora_core.ledger import model, service
from finora_core.ledger.model import MAX_POSTINGS, Account, Flow, Hold, HoldOutcome
from finora_core.ledger.service import LedgerService

PAST = datetime(2020, 1, 1, tzinfo=UTC)
LATER = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture
def provoke(
    books: Books, finora: Finora, database: Postgres, admin: Engine, world: UUID, cash: UUID
) -> Callable[[str], object]:
    """Does what must be refused with the code."""
    ledger, scope = books.ledger, books.scope
    nobody, same = new_id(), entry((cash, -1), (world, 1))

    def held(expires_at: datetime | None = None) -> Hold:
        return ledger.hold(scope, cash, Amount(100, EUR), expires_at=expires_at)

    def voided() -> Hold:
        return ledger.void_hold(scope, held().id)

    def reverse_twice() -> None:
        made = books.pay(cash, world, 5)
        for _ in range(2):
            ledger.reverse(scope, made.id)

    def add_later() -> None:
        made = books.pay(cash, world, 5)
        sql = (
            "insert into finora.posting (tenant_id, entry_id, line, account_id, asset, units, "
            "on_date) values (:t, :e, 7, :a, 'EUR', 5, :d), (:t, :e, 8, :a, 'EUR', -5, :d)"
        )
        values = {"t": scope.tenant_id, "e": made.id, "a": cash, "d": DAY}
        with database.begin(scope) as work:
            work.connection.execute(text(sql), values)

    def expire_early() -> None:
        with database.begin(scope) as work:
            work.holds.end(held(LATER).id, HoldOutcome.EXPIRED)

    def change_fact() -> None:
        with translated(), admin.begin() as connection:
            connection.execute(text("set local role finora_migrator"))
            connection.execute(text("delete from finora.posting"))

    def post_into_closed() -> None:
        closed = DAY - timedelta(days=400)
        finora.closings.close(scope, closed)
        books.ledger.post(
            scope, [Posting(cash, Amount(-5, EUR)), Posting(world, Amount(5, EUR))], on_date=closed
        )

    acts: dict[str, Callable[[], object]] = {
        "ACCOUNT_NOT_FOUND": lambda: books.pay(cash, nobody, 5),
        "ACCOUNT_EXISTS": lambda: books.open("Cash"),
        "BAD_ACCOUNT": lambda: books.open(" Cash"),
        "ENTRY_NOT_FOUND": lambda: ledger.reverse(scope, nobody),
        "ENTRY_EXISTS": lambda: [ledger.post_many(scope, [same]) for _ in range(2)],
        "SEAL_NOT_FOUND": lambda: ledger.trial_balance(scope, at_seal=10**9),
        "UNBALANCED": lambda: ledger.post(
            scope, [Posting(cash, Amount(-5, EUR)), Posting(world, Amount(4, EUR))]
        ),
        "BAD_POSTING": lambda: books.pay(cash, world, 0),
        "ENTRY_CLOSED": add_later,
        "ALREADY_REVERSED": reverse_twice,
        "INSUFFICIENT_FUNDS": lambda: books.pay(cash, world, 10_001),
        "HOLD_NOT_FOUND": lambda: ledger.void_hold(scope, nobody),
        "HOLD_ENDED": lambda: ledger.void_hold(scope, voided().id),
        "HOLD_EXCEEDED": lambda: ledger.post_hold(scope, held().id, world, Amount(101, EUR)),
        "HOLD_EXPIRED": lambda: ledger.post_hold(scope, held(PAST).id, world),
        "HOLD_NOT_EXPIRED": expire_early,
        "FACT_IMMUTABLE": change_fact,
        "BATCH_TOO_LARGE": lambda: ledger.post_many(scope, [same] * 10_001),
        "PERIOD_CLOSED": post_into_closed,
        "BAD_RATE": lambda: ledger.exchange(
            scope, cash, Amount(5, EUR), currency("USD"), Decimal(0), "none"
        ),
    }  # fmt: skip
    return lambda code: acts[code]()


REFUSALS: dict[str, type[Refusal]] = {
    kind.code: kind
    for module in (model, service)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Refusal) and kind.__module__ == module.__name__
}


@pytest.mark.parametrize("code", REFUSALS)
def test_every_refusal_of_the_ledger_is_raised_and_changes_nothing(
    code: str, provoke: Callable[[str], object], books: Books, cash: UUID, world: UUID
) -> None:
    with pytest.raises(REFUSALS[code]) as caught:
        provoke(code)
    assert caught.value.code == code
    assert caught.value.message
    assert books.units(cash) == -books.units(world)
    assert books.available(cash) == books.units(cash) - books.held(cash)
    books.pay(cash, world, 1)  # the next good request is fine


def test_a_refused_entry_leaves_no_row_and_no_event(
    books: Books, database: Postgres, cash: UUID, world: UUID
) -> None:
    def rows() -> list[int]:
        with database.begin(books.scope) as work:
            counts = (
                work.connection.scalar(text(f"select count(*) from finora.{table}"))
                for table in ("entry", "posting", "event", "balance", "total", "hold", "hold_end")
            )
            return [int(count or 0) for count in counts]

    before = rows()
    good, fine = entry((cash, -1), (world, 1)), entry((cash, -2), (world, 2))
    bad = entry((cash, -20_000), (world, 20_000))
    with pytest.raises(model.InsufficientFunds):
        books.ledger.post_many(books.scope, [good, bad, fine])
    with pytest.raises(model.InsufficientFunds):
        books.ledger.hold(books.scope, cash, Amount(20_000, EUR))
    assert rows() == before


def test_an_entry_comes_back_as_it_was_posted(books: Books, cash: UUID, world: UUID) -> None:
    made = books.ledger.post(
        books.scope,
        [Posting(cash, Amount(-300, EUR)), Posting(world, Amount(100, EUR)),
         Posting(world, Amount(200, EUR))],
        on_date=DAY,
        reference="Müller & Söhne 💶 №7",
    )  # fmt: skip
    assert books.ledger.entry(books.scope, made.id) == made
    assert made.recorded_at is not None


@pytest.mark.spec("S1-6")
def test_amounts_of_uint256_size_are_posted_and_added_exactly(books: Books, world: UUID) -> None:
    token = books.ledger.register_asset(books.scope, Asset(f"eip155:1/erc20:{world}", 18))
    vault = books.open("Vault")
    huge = 2**255 + 12_345_678_901_234_567_890
    for _ in range(3):
        books.pay(world, vault, huge, token)
    books.pay(world, vault, 2**256 - 1, token)
    assert books.units(vault, token) == 3 * huge + 2**256 - 1
    assert books.available(vault, token) == 3 * huge + 2**256 - 1
    page = books.ledger.statement(books.scope, vault)
    assert [row.amount.units for row in page.items] == [huge] * 3 + [2**256 - 1]
    assert page.items[-1].balance.units == 3 * huge + 2**256 - 1
    assert page.items[0].amount.text == Amount(huge, token).text


@pytest.mark.invariant("I-11")
def test_what_is_larger_than_the_ledger_holds_is_refused(books: Books, world: UUID) -> None:
    vault = books.open("Vault")
    for units in (MAX_UNITS + 1, 10**5000):
        with pytest.raises(BadAmount):
            books.pay(world, vault, units)
        with pytest.raises(BadAmount):
            books.ledger.hold(books.scope, vault, Amount(units, EUR))
    books.pay(world, vault, MAX_UNITS)
    with pytest.raises(BadAmount):
        books.pay(world, vault, 1)
    with pytest.raises(BadAmount):
        books.pay(vault, world, MAX_UNITS - 1) and books.pay(world, vault, MAX_UNITS)
    with pytest.raises(BadAmount):
        books.ledger.hold(books.scope, world, Amount(MAX_UNITS, EUR))
    assert books.units(vault) == 1


@pytest.mark.parametrize("units", [-1, -10_000, 0])
def test_money_is_not_fetched_by_paying_less_than_nothing(
    books: Books, cash: UUID, world: UUID, units: int
) -> None:
    amount = Amount(units, EUR)
    held = books.ledger.hold(books.scope, cash, Amount(100, EUR))
    for act in (
        lambda: books.ledger.transfer(books.scope, world, cash, amount),
        lambda: books.ledger.exchange(books.scope, cash, amount, EUR, Decimal(1), "test"),
        lambda: books.ledger.hold(books.scope, cash, amount),
        lambda: books.ledger.post_hold(books.scope, held.id, world, amount),
    ):
        with pytest.raises(model.BadPosting):
            act()
    assert (books.units(cash), books.held(cash)) == (10_000, 100)


@pytest.mark.invariant("I-01")
@pytest.mark.parametrize(
    "legs", [[], [(0, 5)], [(0, 5), (1, -4)], [(0, 5), (1, -5), (0, 1)], [(0, 0), (1, 0)],
             [(0, 5), (1, -5), (1, 0)]],
    ids=str,
)  # fmt: skip
def test_an_entry_has_two_postings_that_cancel(
    books: Books, cash: UUID, world: UUID, legs: list[tuple[int, int]]
) -> None:
    postings = [Posting((cash, world)[at], Amount(units, EUR)) for at, units in legs]
    with pytest.raises((model.Unbalanced, model.BadPosting)):
        books.ledger.post(books.scope, postings)


@pytest.mark.invariant("I-01")
def test_two_assets_do_not_balance_each_other(books: Books, cash: UUID, world: UUID) -> None:
    with pytest.raises(model.Unbalanced) as caught:
        books.ledger.post(
            books.scope,
            [Posting(cash, Amount(-5, EUR)), Posting(world, Amount(5, currency("USD")))],
        )
    assert dict(caught.value.details) == {"EUR": "off by -0.05 EUR", "USD": "off by 0.05 USD"}


def test_an_asset_in_another_scale_than_its_own_is_refused(books: Books, world: UUID) -> None:
    """Ten thousand cents that a caller counts as tenths of cents would be a hundred euros."""
    vault = books.open("Vault")
    for wrong in (Asset("EUR", 3), Asset("EUR", 0)):
        with pytest.raises(AssetMismatch):
            books.pay(world, vault, 10_000, wrong)
        with pytest.raises(AssetMismatch):
            books.ledger.hold(books.scope, vault, Amount(1, wrong))
        with pytest.raises(AssetExists):
            books.ledger.register_asset(books.scope, wrong)
    token = books.ledger.register_asset(books.scope, Asset(f"points:{world}", 2))
    assert books.ledger.asset(books.scope, token.id) == token
    with pytest.raises(AssetMismatch):
        books.pay(world, vault, 1, Asset(token.id, 4))
    assert books.units(vault, token) == 0


def test_an_asset_that_nobody_registered_is_unknown(books: Books, world: UUID) -> None:
    vault, ghost = books.open("Vault"), Asset(f"ghost:{world}", 2)
    for act in (
        lambda: books.pay(world, vault, 1, ghost),
        lambda: books.ledger.hold(books.scope, vault, Amount(1, ghost)),
        lambda: books.ledger.asset(books.scope, ghost.id),
        lambda: books.ledger.open_account(books.scope, "G", asset=ghost.id),
    ):
        with pytest.raises(UnknownAsset):
            act()


def test_every_currency_is_in_the_books_with_its_scale(store: Postgres) -> None:
    with store.look() as connection:
        rows = connection.execute(text("select id, scale from finora.asset")).all()
    known = {row.id: row.scale for row in rows}
    assert {asset.id: known.get(asset.id) for asset in CURRENCIES} == {
        asset.id: asset.scale for asset in CURRENCIES
    }


@pytest.mark.parametrize(
    "given", [{"reference": "a\x00b"}, {"reference": "\ud800"}, {"reference": "x" * 1001},
              {"cause": ""}, {"cause": "a\nb"}, {"cause": "x" * 101}, {"rate": Decimal("NaN")},
              {"rate": Decimal(0)}, {"rate": Decimal(-1)}, {"rate": Decimal("Infinity")},
              {"rate": Decimal("sNaN")}, {"rate": Decimal("1e-101")}, {"rate": Decimal("1e101")},
              {"rate_source": "\x00"}, {"flow": Flow.EXCHANGE}],
    ids=str,
)  # fmt: skip
def test_an_entry_that_could_not_be_kept_is_no_entry(given: dict[str, Any]) -> None:
    one, other = new_id(), new_id()
    with pytest.raises(model.BadPosting):
        entry((one, 1), (other, -1), **given)


def test_an_entry_has_a_most_of_postings(books: Books, cash: UUID, world: UUID) -> None:
    half = MAX_POSTINGS // 2
    legs = [Posting(cash, Amount(-1, EUR))] * half + [Posting(world, Amount(1, EUR))] * half
    assert len(books.ledger.post(books.scope, legs).postings) == MAX_POSTINGS
    with pytest.raises(model.BadPosting):
        books.ledger.post(books.scope, [*legs, *legs[:1], *legs[-1:]])


@pytest.mark.parametrize(
    "name", ["", " ", " x", "x ", "x" * 201, "a\nb", "a\x00b", "\ud800", "\u202egnp.exe"], ids=repr
)
def test_an_account_needs_a_plain_name(books: Books, name: str) -> None:
    with pytest.raises(model.BadAccount):
        books.open(name)


@pytest.mark.parametrize("floor", [1, 10_000, True, 0.5, Decimal(0), -(10**78)])
def test_a_floor_is_whole_and_not_above_nothing(floor: Any) -> None:
    with pytest.raises(model.BadAccount):
        Account(id=new_id(), name="x", kind=AccountKind.ASSET, floor=floor)


@pytest.mark.invariant("I-05")
@pytest.mark.parametrize("kind", list(AccountKind))
def test_a_floor_holds_on_the_natural_side_of_every_kind(
    books: Books, world: UUID, kind: AccountKind
) -> None:
    account = books.open(f"A {kind}", kind, floor=-500)
    sign = kind.normal
    legs = lambda units: [  # noqa: E731  # two words for two postings
        Posting(account, Amount(sign * units, EUR)), Posting(world, Amount(-sign * units, EUR)),
    ]  # fmt: skip
    books.ledger.post(books.scope, legs(-500))
    assert books.available(account) == -500
    with pytest.raises(model.InsufficientFunds):
        books.ledger.post(books.scope, legs(-1))
    books.ledger.post(books.scope, legs(2_000))
    assert (books.available(account), books.units(account)) == (1_500, sign * 1_500)


def test_a_transfer_to_itself_moves_nothing(books: Books, cash: UUID) -> None:
    books.pay(cash, cash, 99_999)
    assert books.units(cash) == 10_000


def test_ten_thousand_entries_are_posted_as_one(undone: Books) -> None:
    a, b = undone.open("A", floor=0), undone.open("B", AccountKind.OUTSIDE)
    entries = [entry((a, 3), (b, -3)), *(entry((a, -1), (b, 1)) for _ in range(2))] * 3_333
    entries = [entry(*((p.account_id, p.amount.units) for p in e.postings)) for e in entries]
    entries.append(entry((a, 1), (b, -1)))
    assert undone.ledger.post_many(undone.scope, entries) == 10_000
    assert undone.units(a) == 3_334
    found = Counter(each.id for each in undone.ledger.entries(undone.scope))
    assert found == Counter(each.id for each in entries)


def test_a_batch_is_judged_as_a_whole_and_an_empty_one_is_fine(
    books: Books, cash: UUID, world: UUID
) -> None:
    out, back = entry((cash, -15_000), (world, 15_000)), entry((cash, 9_000), (world, -9_000))
    assert books.ledger.post_many(books.scope, [out, back]) == 2
    assert books.units(cash) == 4_000
    assert books.ledger.post_many(books.scope, []) == 0


def test_entries_are_streamed_by_business_date(books: Books, cash: UUID, world: UUID) -> None:
    days = [DAY + timedelta(days=n) for n in (3, -2, 0, 9)]
    made = [entry((cash, -1), (world, 1), on=day) for day in days]
    books.ledger.post_many(books.scope, made)
    streamed = list(books.ledger.entries(books.scope))
    assert [each.on_date for each in streamed] == sorted([DAY, *days])
    assert {each.id for each in made} < {each.id for each in streamed}


def test_another_tenant_sees_and_moves_nothing(
    books: Books, stranger: Scope, cash: UUID, world: UUID
) -> None:
    ledger, made = books.ledger, books.pay(cash, world, 5)
    held = ledger.hold(books.scope, cash, Amount(5, EUR))
    thief = ledger.open_account(stranger, "Thief").id
    for act in (
        lambda: ledger.account(stranger, cash),
        lambda: ledger.balances(stranger, cash),
        lambda: ledger.statement(stranger, cash),
        lambda: ledger.transfer(stranger, cash, thief, Amount(1, EUR)),
        lambda: ledger.hold(stranger, cash, Amount(1, EUR)),
        lambda: ledger.exchange(stranger, cash, Amount(1, EUR), EUR, Decimal(1), "x"),
    ):
        with pytest.raises(model.AccountNotFound):
            act()
    for act in (
        lambda: ledger.entry(stranger, made.id),
        lambda: ledger.reverse(stranger, made.id),
    ):
        with pytest.raises(model.EntryNotFound):
            act()
    for act in (
        lambda: ledger.find_hold(stranger, held.id),
        lambda: ledger.void_hold(stranger, held.id),
        lambda: ledger.post_hold(stranger, held.id, thief),
    ):
        with pytest.raises(model.HoldNotFound):
            act()
    with pytest.raises(model.AccountNotFound):
        ledger.post_hold(books.scope, held.id, thief)
    assert list(ledger.entries(stranger)) == []
    assert ledger.trial_balance(stranger).lines == ()
    assert [account.name for account in ledger.accounts(stranger)] == ["Thief"]
    assert books.available(cash) == 9_990


def test_repositories_work_in_a_transaction_that_is_rolled_back(
    store: Postgres, stranger: Scope, finora: Finora
) -> None:
    ledger = LedgerService(store.begin)
    account = ledger.open_account(stranger, "Gone").id
    assert ledger.account(stranger, account).name == "Gone"
    with pytest.raises(model.AccountNotFound):
        finora.ledger.account(stranger, account)
