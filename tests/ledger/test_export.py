"""The export is read by beancount and by hledger themselves: without a complaint, to the same
balances, and back into the very same accounts and entries."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import attrs
import pytest
from beancount import loader
from beancount.core import data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import Books
from finora import Account, AccountKind, Amount, Asset, Entry, Finora, ImportRequest, Posting, Scope
from finora_core.kernel.amount import units_of
from finora_core.kernel.ids import new_id
from finora_core.ledger.export import UnknownExport, exported
from finora_core.ledger.model import EntryWords, Flow, is_rate

HLEDGER = shutil.which("hledger")
needs_hledger = pytest.mark.skipif(not HLEDGER, reason="hledger is not installed")

ASSETS = [
    Asset("EUR", 2), Asset("JPY", 0), Asset("eip155:1/slip44:60", 18), Asset("TRUE", 3),
    Asset("eip155:1/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", 6),
    Asset("eip155:1/erc20:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", 18),
    Asset("eur", 2), Asset("1INCH", 36), Asset("x", 1), Asset("points:shop_1-", 0),
    Asset("points/shop_1.", 4), Asset("s" * 200, 2),
]  # fmt: skip
NAMES = [
    "Giro", "giro", "Giro (joint)", "🐷 savings", "a:b", "a-b", "a;b", 'the "pot"', "(all)", "[x]",
    "éclair", "ñ", "中文", "ß", "½", "--", "1", "  ; x".strip(), "ǅ", "!", "* star",
    "e\N{COMBINING ACUTE ACCENT}clair",
]  # fmt: skip

names = st.one_of(
    st.sampled_from(NAMES),
    st.text(min_size=1, max_size=30).filter(
        lambda name: name.isprintable() and name == name.strip()
    ),
)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
units = st.one_of(
    st.integers(-10_000, 10_000), st.integers(-(2**256 - 1), 2**256 - 1), st.just(2**256 - 1)
)


@st.composite
def accounts_of(draw: st.DrawFn) -> list[Account]:
    return [
        Account(
            id=new_id(),
            name=name,
            kind=draw(st.sampled_from(AccountKind)),
            floor=draw(st.sampled_from([None, 0, -(10**30)])),
            asset=draw(st.sampled_from([None, "EUR", ASSETS[4].id])),
            owner=draw(st.sampled_from([None, new_id()])),
        )
        for name in draw(st.lists(names, min_size=2, max_size=8, unique=True))
    ]


@st.composite
def postings_of(draw: st.DrawFn, accounts: Sequence[Account]) -> tuple[Posting, ...]:
    asset = draw(st.sampled_from(ASSETS))
    moved = [n for n in draw(st.lists(units, min_size=1, max_size=4)) if n] or [1]
    rest = -sum(moved)
    moved += [rest] if rest else [7, -7]
    return tuple(
        Posting(draw(st.sampled_from(accounts)).id, Amount(number, asset)) for number in moved
    )


@st.composite
def books_of(draw: st.DrawFn) -> tuple[list[Account], list[Entry], list[EntryWords]]:
    accounts, entries = draw(accounts_of()), list[Entry]()
    for _ in range(draw(st.integers(0, 8))):
        exchange = draw(st.booleans())
        postings = draw(postings_of(accounts)) + (draw(postings_of(accounts)) if exchange else ())
        entry = Entry(
            id=new_id(),
            on_date=draw(st.dates(date(1000, 1, 1))),
            postings=postings,
            cause=draw(st.sampled_from(["entry", "record", "a cause, [odd]; %41:"])),
            flow=Flow.EXCHANGE if exchange else draw(st.sampled_from([*Flow][:3])),
            reference=draw(st.none() | texts),
            rate=draw(st.decimals("1e-30", "1e30", allow_nan=False).filter(is_rate))
            if exchange
            else None,
            rate_source=draw(texts.filter(bool)) if exchange else None,
            recorded_at=datetime(2026, 1, 1, tzinfo=UTC)
            + timedelta(microseconds=draw(st.integers(0, 10**15))),
        )
        entries.append(entry)
        if draw(st.booleans()):
            entries.append(attrs.evolve(entry.reversal(new_id()), recorded_at=entry.recorded_at))
    entries.sort(key=lambda entry: (entry.on_date, entry.id))
    words = [
        EntryWords(
            entry_id=entry.id, on_date=entry.on_date, description=draw(texts),
            counterparty=draw(st.none() | texts), category=draw(texts),
        )
        for entry in entries if draw(st.booleans())
    ]  # fmt: skip
    return accounts, entries, words


Balances = dict[tuple[UUID, str], int]


def balances_of(entries: Sequence[Entry]) -> Balances:
    """Whole units by account and asset, as the entries have it."""
    sums = Counter[tuple[UUID, str]]()
    for entry in entries:
        for posting in entry.postings:
            sums[posting.account_id, posting.amount.asset.id] += posting.amount.units
    return {key: number for key, number in sums.items() if number}


@attrs.frozen
class Read:
    """What a reader made of an export: names as the tool has them, to what they stand for."""

    accounts: Mapping[str, Account]
    assets: Mapping[str, Asset]
    entries: Sequence[Entry]


def account_from(facts: Mapping[str, str]) -> Account:
    return Account(
        id=UUID(facts["id"]),
        name=facts["name"],
        kind=AccountKind(facts["kind"]),
        floor=int(facts["floor"]) if "floor" in facts else None,
        asset=facts.get("asset"),
        owner=UUID(facts["owner"]) if "owner" in facts else None,
    )


def entry_from(facts: Mapping[str, str], on: date, postings: Sequence[Posting]) -> Entry:
    return Entry(
        id=UUID(facts["id"]),
        on_date=on,
        postings=tuple(postings),
        cause=facts["cause"],
        flow=Flow(facts["flow"]),
        reference=facts.get("reference"),
        reverses=UUID(facts["reverses"]) if "reverses" in facts else None,
        rate=Decimal(facts["rate"]) if "rate" in facts else None,
        rate_source=facts.get("rate-source"),
        recorded_at=datetime.fromisoformat(facts["recorded-at"]),
    )


# --- beancount -----------------------------------------------------------------------------------


def load_beancount(text: str) -> Read:
    """As beancount itself reads it; its arithmetic takes as many digits as it is told to."""
    with localcontext(prec=400):
        directives, errors, _ = loader.load_string(text)
    assert errors == [], errors[:3]
    # Nor does it complain with the 28 digits that its own commands compute with.
    assert loader.load_string(text)[1] == []
    found = [directive for directive in directives if isinstance(directive, data.Transaction)]
    accounts = {
        directive.account: account_from(directive.meta)
        for directive in directives
        if isinstance(directive, data.Open)
    }
    assets = {
        directive.currency: Asset(directive.meta["id"], int(directive.meta["scale"]))
        for directive in directives
        if isinstance(directive, data.Commodity)
    }

    def posting(said: Any) -> Posting:
        asset = assets[said.units.currency]
        return Posting(
            accounts[said.account].id,
            Amount(units_of(format(said.units.number, "f"), asset.scale), asset),
        )

    entries = [
        entry_from(one.meta, one.date, [posting(leg) for leg in one.postings]) for one in found
    ]
    return Read(accounts, assets, entries)


def same(read: Read, accounts: Sequence[Account], entries: Sequence[Entry]) -> None:
    assert sorted(read.accounts.values(), key=lambda account: account.id) == sorted(
        accounts, key=lambda account: account.id
    )
    assert {entry.id: entry for entry in read.entries} == {entry.id: entry for entry in entries}
    assert len(read.entries) == len(entries)


@given(books_of())
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_beancount_reads_the_same_books(
    books: tuple[list[Account], list[Entry], list[EntryWords]],
) -> None:
    accounts, entries, words = books
    read = load_beancount("".join(exported("beancount", accounts, entries, words)))
    same(read, accounts, entries)
    assert balances_of(read.entries) == balances_of(entries)


def test_words_become_payee_and_narration() -> None:
    account = Account(id=new_id(), name="Giro", kind=AccountKind.ASSET)
    eur = ASSETS[0]
    entry = Entry(
        id=new_id(),
        on_date=date(2026, 1, 2),
        postings=(Posting(account.id, Amount(5, eur)), Posting(account.id, Amount(-5, eur))),
    )
    words = EntryWords(
        entry_id=entry.id, on_date=entry.on_date, description='say "cheese"; please',
        counterparty="Käse|Haus", category="Food",
    )  # fmt: skip
    beancount = "".join(exported("beancount", [account], [entry], [words]))
    assert '2026-01-02 * "Käse|Haus" "say \\"cheese\\"; please"\n' in beancount
    assert '  category: "Food"\n' in beancount
    hledger = "".join(exported("hledger", [account], [entry], [words]))
    assert '2026-01-02 * Käse/Haus | say "cheese", please\n' in hledger
    assert "  ; category:Food\n" in hledger


def test_names_that_meet_after_mapping_are_told_apart() -> None:
    accounts = [
        Account(id=new_id(), name=name, kind=AccountKind.ASSET) for name in ("a:b", "a;b", "A-b")
    ]
    lines = list(exported("beancount", accounts, []))
    opened = [line.split()[2] for line in lines if " open " in line]
    assert opened == ["Assets:A-b", "Assets:A-b-2", "Assets:A-b-3"]


@pytest.mark.parametrize(
    "legs",
    [
        (2**256 - 1, 1 - 2**256),
        # Each fits into 28 digits, and the sum of two does not.
        (6 * 10**27 + 3, 6 * 10**27 + 3, -6 * 10**27 - 3, -6 * 10**27 - 3),
    ],
)
@pytest.mark.parametrize("scale", [0, 18, 36])
def test_what_beancount_rounds_it_does_not_complain_of(legs: tuple[int, ...], scale: int) -> None:
    account = Account(id=new_id(), name="Vault", kind=AccountKind.ASSET)
    token = Asset("token", scale)
    postings = tuple(Posting(account.id, Amount(number, token)) for number in legs)
    entry = Entry(id=new_id(), on_date=date(2026, 1, 1), postings=postings)
    _, errors, _ = loader.load_string("".join(exported("beancount", [account], [entry])))
    assert errors == [], errors[0].message


def test_the_outside_is_a_part_of_equity() -> None:
    world = Account(id=new_id(), name="World", kind=AccountKind.OUTSIDE)
    assert "1970-01-01 open Equity:Outside:World\n" in exported("beancount", [world], [])
    assert "account Equity:Outside:World\n" in exported("hledger", [world], [])


def test_another_tool_is_refused(finora: Finora, scope: Scope) -> None:
    with pytest.raises(UnknownExport, match="beancount, hledger") as refused:
        finora.export(scope, "excel")
    assert refused.value.code == "UNKNOWN_EXPORT"


# --- hledger -------------------------------------------------------------------------------------


def hledger(journal: str, folder: Path, *command: str) -> str:
    path = folder / "books.journal"
    path.write_text(journal, encoding="utf-8", newline="")
    done = subprocess.run(
        [str(HLEDGER), "-f", str(path), *command],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def declared(journal: str, kind: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The directives of one kind with their tags."""
    for name, tags in re.findall(rf"^{kind} (.*)\n((?:  ; .*\n)*)", journal, re.MULTILINE):
        said = (line.removeprefix("  ; ").partition(":") for line in tags.splitlines())
        yield name, {key: unquote(value) for key, _, value in said}


def load_hledger(journal: str, folder: Path) -> Read:
    """Entries as hledger prints them; directives, which it does not print, as they stand."""
    accounts = {name: account_from(tags) for name, tags in declared(journal, "account")}
    assets = {
        name.partition(" ")[2].strip('"'): Asset(tags["id"], int(tags["scale"]))
        for name, tags in declared(journal, "commodity")
    }

    def posting(line: str) -> Posting:
        name, _, amount = line.strip().partition("  ")
        number, _, commodity = amount.strip().partition(" ")
        asset = assets[commodity.strip('"')]
        return Posting(accounts[name].id, Amount(units_of(number, asset.scale), asset))

    # Its JSON has the tags as it understands them, but rounds amounts to ten places.
    tagged = json.loads(hledger(journal, folder, "print", "-O", "json"))
    blocks = hledger(journal, folder, "print").split("\n\n")
    printed = [block.split("\n") for block in blocks if block.strip()]
    entries = [
        entry_from(
            {key: unquote(value) for key, value in one["ttags"]},
            date.fromisoformat(one["tdate"]),
            [posting(line) for line in lines[1:] if line and not line.lstrip().startswith(";")],
        )
        for one, lines in zip(tagged, printed, strict=True)
    ]
    return Read(accounts, assets, entries)


def hledger_balances(journal: str, folder: Path, read: Read) -> Balances:
    shown = hledger(journal, folder, "balance", "--flat", "-N", "--layout=bare", "-O", "csv")
    rows = list(csv.DictReader(io.StringIO(shown)))
    found = {}
    for row in rows:
        if row["commodity"] and Decimal(row["balance"]):
            asset = read.assets[row["commodity"].strip('"')]
            key = read.accounts[row["account"]].id, asset.id
            found[key] = units_of(row["balance"], asset.scale)
    return found


@needs_hledger
@given(books_of())
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_hledger_reads_the_same_books(
    tmp_path: Path, books: tuple[list[Account], list[Entry], list[EntryWords]]
) -> None:
    accounts, entries, words = books
    journal = "".join(exported("hledger", accounts, entries, words))
    read = load_hledger(journal, tmp_path)
    hledger(journal, tmp_path, "check", "--strict")
    same(read, accounts, entries)
    assert hledger_balances(journal, tmp_path, read) == balances_of(entries)


# --- from the books ------------------------------------------------------------------------------


def stored(finora: Finora, scope: Scope) -> Balances:
    return {
        (balance.account.id, balance.amount.asset.id): balance.amount.units
        for balance in finora.ledger.balances(scope)
        if balance.amount
    }


@pytest.fixture
def lived_in(finora: Finora, scope: Scope, books: Books) -> Scope:
    """Books with an import, a token, an exchange, a reversal and holds in them."""
    said = b"Date,Amount,Description\n2026-01-02,-3.50,Caf\xc3\xa9\n2026-01-02,-3.50,Caf\xc3\xa9\n"
    finora.import_file(
        scope, io.BytesIO(said), ImportRequest(account="Giro 🐷", currency="EUR"), name="giro.csv"
    )
    token = finora.ledger.register_asset(scope, ASSETS[5])
    world, wallet = books.open("World", AccountKind.OUTSIDE), books.open("a: wallet")
    books.pay(world, wallet, 2**255, token)
    finora.ledger.reverse(scope, books.pay(world, wallet, 2**255, token).id)
    eur = ASSETS[0]
    sold = Amount(10**18, token)
    finora.ledger.exchange(scope, wallet, sold, eur, Decimal("1234.567"), "a, source")
    kept, paid = (
        finora.ledger.hold(scope, wallet, Amount(3 * 10**18, token), reference=reference)
        for reference in ("kept", "paid; [2026-01-01] %2C,")
    )
    finora.ledger.post_hold(scope, paid.id, world, Amount(10**18, token))
    assert kept.outcome is None
    return scope


def test_the_face_exports_what_is_stored(finora: Finora, lived_in: Scope) -> None:
    text = "".join(finora.export(lived_in, "beancount"))
    read = load_beancount(text)
    same(read, finora.ledger.accounts(lived_in), list(finora.ledger.entries(lived_in)))
    assert balances_of(read.entries) == stored(finora, lived_in)
    assert text.count('"Café"') == 2


@needs_hledger
def test_hledger_agrees_with_what_is_stored(
    finora: Finora, lived_in: Scope, tmp_path: Path
) -> None:
    journal = "".join(finora.export(lived_in, "hledger"))
    read = load_hledger(journal, tmp_path)
    same(read, finora.ledger.accounts(lived_in), list(finora.ledger.entries(lived_in)))
    assert hledger_balances(journal, tmp_path, read) == stored(finora, lived_in)


def test_another_tenants_books_are_not_exported(
    finora: Finora, lived_in: Scope, stranger: Scope
) -> None:
    assert list(finora.export(stranger, "beancount")) == []


def test_nothing_is_kept_while_it_streams() -> None:
    """Twenty thousand entries would be more than ten megabytes."""
    accounts = [Account(id=new_id(), name=name, kind=AccountKind.ASSET) for name in ("a", "b")]

    def entries(count: int) -> Iterator[Entry]:
        for number in range(1, count + 1):
            legs = zip(accounts, (number, -number), strict=True)
            yield Entry(
                id=new_id(),
                on_date=date(2026, 1, 1),
                postings=tuple(Posting(account.id, Amount(n, ASSETS[0])) for account, n in legs),
            )

    tracemalloc.start()
    for _ in exported("beancount", accounts, entries(20_000)):
        pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000
