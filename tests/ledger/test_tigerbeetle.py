"""TigerBeetle's table tests: each row is an event with the result it must have, then the balances.

Its debit account is a liability here (credit is its natural side), so that debits and credits keep
their sides; a pending transfer is a hold on the debit account. What Finora has no word for is
listed with the reason.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import attrs
import pytest
from sqlalchemy import text

from books import DAY, EUR, Books, entry
from finora import AccountKind, Amount, Asset, Finora, Posting
from finora_adapters.postgres.work import Postgres
from finora_core.kernel.errors import Refusal
from finora_core.kernel.ids import new_id
from finora_core.ledger.model import Entry
from shared_data import SHARED, needs_shared

pytestmark = needs_shared

FILE = SHARED / "ledger" / "tigerbeetle-tables.json"

WITHOUT = {
    "create_accounts": "accounts have neither ids, ledgers, codes nor flags that a caller chooses",
    "linked accounts": "accounts are opened one at a time, by name",
    "linked_event_chain_open": "accounts are opened one at a time, by name",
    "create_transfers: balancing_debit | balancing_credit (*_must_not_exceed_*)":
        "no transfer pays less than it was asked to",
    "create_transfers: per-transfer balance invariant":
        "a batch is judged by what it comes to, not transfer by transfer",
}  # fmt: skip

# A result code of theirs and the refusal that stands for it; None is done.
RESULTS: dict[str, str | None] = {
    "created": None,
    "debit_account_not_found": "ACCOUNT_NOT_FOUND",
    "credit_account_not_found": "ACCOUNT_NOT_FOUND",
    "exceeds_credits": "INSUFFICIENT_FUNDS",
    "exceeds_debits": "INSUFFICIENT_FUNDS",
    "exceeds_pending_transfer_amount": "HOLD_EXCEEDED",
    "pending_transfer_not_found": "HOLD_NOT_FOUND",
    "pending_transfer_already_posted": "HOLD_ENDED",
    "pending_transfer_already_voided": "HOLD_ENDED",
    "pending_transfer_expired": "HOLD_ENDED",
}

_IDS = "ids are made by the ledger; a repeated request has an idempotency key"
_FLAGS = "there are no flags: each thing one can do is a call of its own"
_LEDGERS = "an account holds any asset; what a transfer moves says which"
_BOUND = "128-bit counters of debits and credits; ours is one balance, bounded by 1e78"
NO_COUNTERPART = {
    "accounts_must_be_different": "a transfer to itself is balanced and moves nothing",
    "accounts_must_have_the_same_ledger": _LEDGERS,
    "transfer_must_have_the_same_ledger_as_accounts": _LEDGERS,
    "ledger_must_not_be_zero": _LEDGERS,
    "pending_transfer_has_different_ledger": _LEDGERS,
    "code_must_not_be_zero": "causes are text",
    "pending_transfer_has_different_code": "causes are text",
    "closing_transfer_must_be_pending": "accounts are not closed",
    "pending_transfer_has_different_amount": "a void names no amount",
    "pending_transfer_has_different_credit_account_id": "the hold knows its account; who is paid "
    "is said when it is posted",
    "pending_transfer_has_different_debit_account_id": "the hold knows its account",
    "pending_transfer_not_pending": "a hold and an entry have ids of different kinds",
    "pending_id_must_be_zero": _FLAGS,
    "pending_id_must_be_different": _IDS,
    "pending_id_must_not_be_zero": _IDS,
    "pending_id_must_not_be_int_max": _IDS,
    "flags_are_mutually_exclusive": _FLAGS,
    "reserved_flag": _FLAGS,
    "timeout_reserved_for_pending_transfer": _FLAGS,
    "timestamp_must_be_zero": "the database says when",
    "overflows_timeout": "a hold expires at an instant",
} | dict.fromkeys(
    ("overflows_debits_pending", "overflows_credits_pending", "overflows_debits_posted",
     "overflows_credits_posted", "overflows_debits", "overflows_credits"), _BOUND,
) | dict.fromkeys(
    ("exists", "id_already_failed", "id_must_not_be_zero", "id_must_not_be_int_max",
     "debit_account_id_must_not_be_zero", "debit_account_id_must_not_be_int_max",
     "credit_account_id_must_not_be_zero", "credit_account_id_must_not_be_int_max",
     *(f"exists_with_different_{what}" for what in (
         "ledger", "flags", "debit_account_id", "credit_account_id", "amount", "user_data_128",
         "user_data_64", "user_data_32", "timeout", "code", "pending_id"))), _IDS,
)  # fmt: skip

# Where they do something that Finora refuses on purpose.
NOTHING_MOVES = "BAD_POSTING"  # a transfer of nothing, and a hold posted with nothing

# Their largest integer, from which negative numbers in the tables count down.
MOST = 10**30
SECOND = 2  # of theirs, in ours: this machine may be busy


def tables() -> dict[str, list[list[str]]]:
    if not FILE.exists():
        return {}
    tests = json.loads(FILE.read_text())["tests"]
    return {test["test"]: [row.split() for row in test["table"]] for test in tests}


def number(text_: str) -> int:
    if text_ == "_":
        return 0
    return MOST + int(text_) if text_.startswith("-") else int(text_.lstrip("AT"))


@attrs.frozen(kw_only=True)
class Transfer:
    """A row `transfer id debit credit amount pending_id _ _ _ timeout ledger code linked PEN POS
    VOI ... result`."""

    id: str
    debit: str
    credit: str
    amount: int | None
    pending: str
    timeout: int
    kind: str
    result: str

    @classmethod
    def read(cls, row: list[str]) -> "Transfer":
        kinds = [flag for flag in row[13:16] if flag != "_"]
        return cls(
            id=row[1], debit=row[2], credit=row[3],
            amount=None if row[4] in ("-0", "_") else number(row[4]), pending=row[5],
            timeout=number(row[9]), kind=kinds[0] if kinds else "", result=row[-1],
        )  # fmt: skip


@attrs.define
class Machine:
    """Goes through a table and does each row on the ledger."""

    books: Books
    database: Postgres
    accounts: dict[str, UUID] = attrs.field(factory=dict)
    holds: dict[str, UUID] = attrs.field(factory=dict)
    targets: dict[str, str] = attrs.field(factory=dict)
    entries: dict[str, Entry] = attrs.field(factory=dict)
    done: list[str] = attrs.field(factory=list)

    def run(self, rows: list[list[str]]) -> None:
        for row in rows:
            getattr(self, f"on_{row[0]}")(row)

    def on_commit(self, row: list[str]) -> None: ...

    def on_account(self, row: list[str]) -> None:
        # D<C: its debits stay below its credits, which is a liability that is not overdrawn.
        limited = {"D<C": (AccountKind.LIABILITY, 0), "C<D": (AccountKind.ASSET, 0)}
        flag = next((flag for flag in row if flag in limited), "")
        kind, floor = limited.get(flag, (AccountKind.LIABILITY, None))
        self.accounts[row[1]] = self.books.open(row[1], kind, floor)

    def on_setup(self, row: list[str]) -> None:
        """Debits pending, debits posted, credits pending, credits posted; the whole at once, since
        debits of a limited account may only come with its credits."""
        account = self.accounts[row[1]]
        debits_pending, debits, credits_pending, credits_ = map(number, row[2:6])
        other = self.account("the other side")
        legs = [(account, debits), (account, -credits_), (other, credits_ - debits)]
        moved = [(who, units) for who, units in legs if units]
        if moved:
            self.books.ledger.post_many(self.books.scope, [entry(*moved)])
        kind = self.books.ledger.account(self.books.scope, account).kind
        pending = credits_pending if kind is AccountKind.ASSET else debits_pending
        if pending:  # of what the account pays; what is about to come in reserves nothing
            self.books.ledger.hold(self.books.scope, account, Amount(pending, EUR))

    def account(self, name: str) -> UUID:
        if name == "the other side" and name not in self.accounts:
            self.accounts[name] = self.books.open(name, AccountKind.EQUITY)
        return self.accounts.get(name, new_id())

    def on_tick(self, row: list[str]) -> None:
        if row[1].startswith("-"):
            return  # their clock near its end; ours has none
        until = self.now() + timedelta(seconds=SECOND * int(row[1]))
        while self.now() < until:
            time.sleep(0.05)
        self.books.ledger.expire_holds(self.books.scope)

    def now(self) -> datetime:
        with self.database.look() as connection:
            return connection.scalar(text("select clock_timestamp()")) or datetime.now(UTC)

    def on_transfer(self, row: list[str]) -> None:
        transfer = Transfer.read(row)
        if transfer.result in NO_COUNTERPART:
            return
        wanted = RESULTS[transfer.result]
        if not transfer.amount and transfer.amount is not None and wanted is None:
            wanted = NOTHING_MOVES
        try:
            self.act(transfer)
        except Refusal as refusal:
            assert refusal.code == wanted, (row, refusal)
        else:
            assert wanted is None, row
        self.done.append(transfer.result)
        if wanted == NOTHING_MOVES and transfer.kind == "POS":
            self.books.ledger.void_hold(self.books.scope, self.holds[transfer.pending])

    def act(self, transfer: Transfer) -> None:
        ledger, scope = self.books.ledger, self.books.scope
        amount = None if transfer.amount is None else Amount(transfer.amount, EUR)
        match transfer.kind:
            case "PEN":
                assert amount is not None
                lasts = timedelta(seconds=SECOND * transfer.timeout)
                held = ledger.hold(
                    scope,
                    self.account(transfer.debit),
                    amount,
                    expires_at=self.now() + lasts if lasts else None,
                )
                if transfer.result == "credit_account_not_found":  # here, only when it is posted
                    try:
                        ledger.post_hold(scope, held.id, self.account(transfer.credit))
                    finally:
                        ledger.void_hold(scope, held.id)
                self.holds[transfer.id], self.targets[transfer.id] = held.id, transfer.credit
            case "POS":
                to = self.account(self.targets[transfer.pending])
                hold = self.holds[transfer.pending]
                self.entries[transfer.id] = ledger.post_hold(scope, hold, to, amount)
            case "VOI":
                if transfer.result == "exceeds_pending_transfer_amount":
                    to = self.account(self.targets[transfer.pending])
                    ledger.post_hold(scope, self.holds[transfer.pending], to, amount)
                ledger.void_hold(scope, self.holds.get(transfer.pending, new_id()))
            case _:
                assert amount is not None
                legs = (Posting(self.account(transfer.debit), amount),
                        Posting(self.account(transfer.credit), -amount))  # fmt: skip
                self.entries[transfer.id] = ledger.post(scope, legs, on_date=DAY)

    def on_lookup_account(self, row: list[str]) -> None:
        """Credits pending have no counterpart: only the side that pays reserves."""
        if len(row) < 6:
            return
        account = self.accounts[row[1]]
        rows = self.books.ledger.statement(self.books.scope, account, limit=1000).items
        debits = sum(each.amount.units for each in rows if each.amount.units > 0)
        credits_ = -sum(each.amount.units for each in rows if each.amount.units < 0)
        pending, posted, _, credited = map(number, row[2:6])
        assert (debits, credits_) == (posted, credited), row
        assert self.books.held(account) == pending, row
        self.done.append("lookup_account")

    def on_lookup_transfer(self, row: list[str]) -> None:
        if row[2:] == ["amount", "0"]:
            assert row[1] not in self.entries
        elif row[2] == "amount":
            made = self.books.ledger.entry(self.books.scope, self.entries[row[1]].id)
            assert made.postings[0].amount.units == number(row[3]), row
        elif row[1] in self.entries:
            made = self.books.ledger.entry(self.books.scope, self.entries[row[1]].id)
            assert made.postings == self.entries[row[1]].postings
            assert row[3] == "true"


@pytest.fixture
def machine(books: Books, database: Postgres) -> Machine:
    return Machine(books, database)


@pytest.mark.invariant("I-05")
def test_transfers_and_their_limits(machine: Machine) -> None:
    machine.run(tables()["create_transfers/lookup_transfers"])
    assert {"exceeds_credits", "exceeds_debits", "debit_account_not_found",
            "credit_account_not_found"} < set(machine.done)  # fmt: skip
    assert machine.done.count("lookup_account") == 2


@pytest.mark.invariant("I-08")
def test_two_phase_transfers(machine: Machine) -> None:
    machine.run(tables()["create/lookup 2-phase transfers"])
    assert {"exceeds_pending_transfer_amount", "pending_transfer_not_found",
            "pending_transfer_already_posted", "pending_transfer_already_voided",
            "pending_transfer_expired"} < set(machine.done)  # fmt: skip
    assert machine.done.count("lookup_account") == 4


def test_a_chain_that_fails_is_undone(machine: Machine, finora: Finora) -> None:
    """Their second transfer is in no ledger; ours is in an asset that nobody knows."""
    rows = tables()["create_transfers: failed linked-chains are undone"]
    machine.run([row for row in rows if row[0] == "account"])
    chain = [Transfer.read(row) for row in rows if row[0] == "transfer"][:2]
    assert [each.result for each in chain] == ["linked_event_failed", "ledger_must_not_be_zero"]
    entries = [
        entry((machine.account(each.debit), each.amount or 0),
              (machine.account(each.credit), -(each.amount or 0)), asset=asset)
        for each, asset in zip(chain, (EUR, Asset(f"nobody:{new_id()}", 0)), strict=True)
    ]  # fmt: skip
    with pytest.raises(Refusal, match="nobody"):
        machine.books.ledger.post_many(machine.books.scope, entries)
    machine.run([row for row in rows if row[0] == "lookup_account"])
    assert machine.done.count("lookup_account") == 2


def test_the_transfers_of_an_account(machine: Machine) -> None:
    rows = tables()["get_account_transfers: single-phase"]
    first_query = next(at for at, row in enumerate(rows) if row[0] == "get_account_transfers")
    machine.run(rows[:first_query])
    for query, limit in ((first_query, 10), (first_query + 6, 2)):
        assert rows[query][0] == "get_account_transfers"
        assert int(rows[query][8]) == limit
        answer = []
        for row in rows[query + 1 :]:
            if row[0] != "get_account_transfers_result":
                break
            answer.append(machine.entries[row[1]].id)
        page = machine.books.ledger.statement(
            machine.books.scope, machine.accounts[rows[query][1]], limit=limit
        )
        assert [row.entry_id for row in page.items] == answer
        assert (page.next is None) == (limit == 10)


def test_every_table_and_every_result_is_run_or_says_why_not() -> None:
    run = {
        "create_transfers/lookup_transfers", "create/lookup 2-phase transfers",
        "create_transfers: failed linked-chains are undone", "get_account_transfers: single-phase",
    }  # fmt: skip
    assert run | set(WITHOUT) == set(tables())
    results = {row[-1] for name in run for row in tables()[name] if row[0] == "transfer"}
    assert results <= set(RESULTS) | set(NO_COUNTERPART) | {"linked_event_failed"}
    assert not set(RESULTS) & set(NO_COUNTERPART)
