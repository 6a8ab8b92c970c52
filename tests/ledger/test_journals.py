"""Journals of ledger, hledger and beancount, posted here: the balances are what those programs say.

A small reader takes what a ledger needs of a journal. Two of their liberties have no counterpart,
and are put on accounts of their own: an unbalanced "virtual" posting, and what one asset cost in
another, which here goes through a conversion account.
"""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
from beancount import loader
from beancount.core import data

from books import Books
from finora import AccountKind, Amount, Asset, Posting
from finora_core.kernel.amount import units_of
from finora_core.kernel.ids import new_id
from finora_core.ledger.model import Entry, TrialBalance
from shared_data import SHARED, needs_shared

pytestmark = needs_shared

FOLDER = SHARED / "ledger"
VIRTUAL, CONVERSION = "Virtual", "Conversion"

Money = tuple[str, Decimal]
Balances = dict[str, dict[str, Decimal]]


@attrs.frozen
class Leg:
    account: str
    money: Money
    cost: Money | None = None
    """What it weighs in its entry, where that is another asset."""


@attrs.frozen
class Movement:
    on: date
    legs: tuple[Leg, ...]

    @property
    def balanced(self) -> tuple[Leg, ...]:
        """With what makes each asset cancel: a conversion."""
        off: dict[str, Decimal] = defaultdict(Decimal)
        for leg in self.legs:
            off[leg.money[0]] += leg.money[1]
        return self.legs + tuple(Leg(CONVERSION, (asset, -n)) for asset, n in off.items() if n)


# --- the reader ----------------------------------------------------------------------------------

DATE = re.compile(r"(?:(\d{4})[/-])?(\d{1,2})[/-](\d{1,2})\b")
LEG = re.compile(r"(?:[*!] )?([^;]+?)(?:\s{2,}|\t)\s*([^;]*?)\s*(?:;.*)?$")


def money(text: str) -> Money:
    """`$1,000.00`, `$ -5`, `-20 EUR`, `500.00€`, `10.00`, `3 "A B"`; `($1 + $2)` is their sum."""
    if text.startswith("("):
        parts = [money(part) for part in text.strip("()").split(" + ")]
        return parts[0][0], sum((n for _, n in parts), Decimal())
    digits = re.search(r"-?[\d,]*\.?\d+", text)
    assert digits, text
    asset = (text[: digits.start()] + text[digits.end() :]).strip().strip('"')
    return asset or "none", Decimal(digits[0].replace(",", ""))


def read(text: str) -> Iterator[Movement]:
    """The transactions of a journal. Automatic and periodic ones are no facts, and left out."""
    known: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    blocks = re.split(r"\n(?=\S)", "\n" + text.partition("\ncomment\n")[0])
    for block in blocks:
        head, *lines = block.strip("\n").split("\n")
        started = DATE.match(head)
        if started:
            year, month, day = started.groups()
            legs = tuple(_legs([line.strip() for line in lines], known))
            for leg in legs:
                known[leg.account][leg.money[0]] += leg.money[1]
            if legs:
                yield Movement(date(int(year or 2026), int(month), int(day)), legs)


def _legs(lines: Iterable[str], known: Mapping[str, Mapping[str, Decimal]]) -> Iterator[Leg]:
    weights: dict[str, Decimal] = defaultdict(Decimal)
    rest = None
    for line in lines:
        match = LEG.match(line + "  ")
        if not match or line.startswith(";"):
            continue
        account, what = match[1].strip(), match[2]
        what, _, asserted = re.split(r"\s*(==?\*?)\s*", what, maxsplit=1) if "=" in what else (
            what, "", "")  # fmt: skip
        if account.startswith("("):
            account = account.strip("()")
            asset, n = money(what)
            yield from (Leg(account, (asset, n)), Leg(VIRTUAL, (asset, -n)))
            continue
        account = account.strip("[]")
        if not what and asserted:
            yield from _assigned(account, money(asserted), known, weights)
        elif not what:
            rest = account
        else:
            units, _, price = re.split(r"\s*(@@?|\{)\s*", what, maxsplit=1) if "@" in what else (
                what, "", "")  # fmt: skip
            leg = Leg(account, money(units))
            if price:
                each, n = money(price)
                total = n.copy_sign(leg.money[1]) if "@@" in what else n * leg.money[1]
                leg = attrs.evolve(leg, cost=(each, total))
            asset, weight = leg.cost or leg.money
            weights[asset] += weight
            if leg.money[1]:
                yield leg
    for asset, weight in weights.items():
        assert rest or not weight, (asset, weight)
        if weight:
            yield Leg(str(rest), (asset, -weight))


def _assigned(
    account: str, wanted: Money, known: Mapping[str, Mapping[str, Decimal]],
    weights: dict[str, Decimal],
) -> Iterator[Leg]:  # fmt: skip
    """What is missing of a balance that is given instead of an amount; 0 is of every asset."""
    there: dict[str, Decimal] = defaultdict(Decimal)
    for name, sums in known.items():
        if name == account or name.startswith(f"{account}:"):
            for asset, n in sums.items():
                there[asset] += n
    assets = there if not wanted[1] else {wanted[0]: there[wanted[0]]}
    for asset, n in list(assets.items()):
        if wanted[1] - n:
            weights[asset] += wanted[1] - n
            yield Leg(account, (asset, wanted[1] - n))


# --- posting -------------------------------------------------------------------------------------

KINDS = {"liabilities": AccountKind.LIABILITY, "income": AccountKind.INCOME,
         "expenses": AccountKind.EXPENSE, "equity": AccountKind.EQUITY}  # fmt: skip


def post(books: Books, journal: str, movements: Iterable[Movement]) -> None:
    """All of a journal as one batch. An asset has as many places as the journal writes of it."""
    movements = list(movements)
    scales: dict[str, int] = defaultdict(int)
    for movement in movements:
        for leg in movement.balanced:
            asset, n = leg.money
            scales[asset] = max(scales[asset], -int(n.as_tuple().exponent))
    assets = {
        name: books.ledger.register_asset(books.scope, Asset(_id(journal, name), scale))
        for name, scale in scales.items()
    }
    names = {leg.account for movement in movements for leg in movement.balanced}
    accounts = {
        name: books.open(name, KINDS.get(name.split(":")[0].lower(), AccountKind.ASSET))
        for name in sorted(names)
    }

    def posting(leg: Leg) -> Posting:
        asset, n = leg.money
        units = units_of(f"{n:f}", scales[asset])
        return Posting(accounts[leg.account], Amount(units, assets[asset]))

    entries = [
        Entry(id=new_id(), on_date=each.on, postings=tuple(map(posting, each.balanced)))
        for each in movements
    ]
    assert books.ledger.post_many(books.scope, entries) == len(movements)


def _id(journal: str, name: str) -> str:
    return f"test:{journal}:{name.encode().hex()}"


def balances(trial: TrialBalance) -> Balances:
    assert not any(trial.sums.values())
    found: Balances = defaultdict(dict)
    for line in trial.lines:
        name = bytes.fromhex(line.amount.asset.id.rpartition(":")[2]).decode()
        found[line.account.name][name] = line.amount.decimal
    return {name: sums for name, sums in found.items() if name not in (VIRTUAL, CONVERSION)}


def lines(rows: Iterable[tuple[str, str]]) -> Balances:
    """(amount, account) rows of a printed report."""
    found: Balances = defaultdict(dict)
    for amount, account in rows:
        asset, n = money(amount)
        if n:
            found[account][asset] = n
    return dict(found)


# --- ledger and hledger --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["borrowing", "goal-budget-1", "multicurrency", "quickstart"])
def test_hledger_says_the_same(books: Books, name: str) -> None:
    file = f"hledger-{name}.journal"
    post(books, file, read((FOLDER / file).read_text()))
    with (FOLDER / "expected" / f"{file}.balance.csv").open() as expected:
        rows = [row for row in csv.reader(expected) if row[0] not in ("account", "total")]
    wanted = lines((amount, account) for account, amounts in rows for amount in amounts.split(", "))
    assert balances(books.ledger.trial_balance(books.scope)) == wanted


@pytest.mark.parametrize(
    ("name", "automatic"), [("drewr3", "Liabilities:Tithe"), ("sample", "Liabilities:Taxes")]
)
def test_ledger_says_the_same(books: Books, name: str, automatic: str) -> None:
    """Without the account that only their automatic transactions write to."""
    file = f"ledger-{name}.dat"
    post(books, file, read((FOLDER / file).read_text()))
    printed = (FOLDER / "expected" / f"{file}.ledger.txt").read_text().partition("-----")[0]
    rows: list[tuple[str, str]] = []
    pending: list[str] = []  # several assets of an account are printed above its name
    for line in printed.splitlines():
        amount, _, account = line.strip().partition("  ")
        pending.append(amount)
        if account:
            rows += [(each, account.strip()) for each in pending]
            pending = []
    wanted = lines(rows)
    assert wanted.pop(automatic)
    found = balances(books.ledger.trial_balance(books.scope))
    assert {account: _with_children(account, found) for account in found} == wanted


def _with_children(account: str, found: Balances) -> dict[str, Decimal]:
    """What ledger prints beside an account is also what lies below it."""
    whole: dict[str, Decimal] = defaultdict(Decimal)
    for name, sums in found.items():
        if name == account or name.startswith(f"{account}:"):
            for asset, n in sums.items():
                whole[asset] += n
    return dict(whole)


LEDGER_TESTS = FOLDER / "ledger-tests.json"

# Of 23 files these have a report of balances; what the others try is the report, not the books.
WITHOUT = dict.fromkeys(
    ("cmd-equity", "cmd-register", "opt-basis", "opt-cost", "opt-exchange", "opt-gain",
     "opt-market", "opt-no-rounding", "opt-quantity", "feat-fixated-prices"),
    "how holdings are valued, and lines of a register: portfolio and prices, not the ledger",
) | dict.fromkeys(
    ("opt-lots", "opt-lot-prices"), "lots lie on activities, and units do not convert by a rule",
) | dict.fromkeys(
    ("opt-cleared", "opt-pending", "opt-real"), "an entry has no such states: a fact is a fact",
) | {
    "opt-period": "a report by week or year",
    "dir-commodity": "an option of their parser",
}  # fmt: skip


def ledger_test(name: str, args: str) -> tuple[str, list[str]]:
    """The journal, and the printed lines above the total of one command."""
    found = json.loads(LEDGER_TESTS.read_text())[name]
    printed = next(case["expected"] for case in found["cases"] if case["args"] == args)
    return found["journal"], printed.partition("-----")[0].rstrip("-").splitlines()


@pytest.mark.parametrize(
    ("name", "args"),
    [("cmd-balance", "bal --flat"), ("feat-balance_assert", "balance"),
     ("feat-balance-assignments", "bal"), ("opt-depth", "bal --depth 1")],
)  # fmt: skip
def test_ledgers_own_tests_of_balances_hold(books: Books, name: str, args: str) -> None:
    journal, printed = ledger_test(name, args)
    post(books, name, read(journal))
    depth = int(args.split()[-1]) if "--depth" in args else 99
    rolled: Balances = defaultdict(lambda: defaultdict(Decimal))
    for account, sums in balances(books.ledger.trial_balance(books.scope)).items():
        for asset, n in sums.items():
            rolled[":".join(account.split(":")[:depth])][asset] += n
    wanted = lines(tuple(line.strip().split("  ", 1)) for line in printed)  # type: ignore[misc]  # two
    assert {name: dict(sums) for name, sums in rolled.items()} == wanted


def test_ledgers_balances_with_what_is_not_cleared_hold(books: Books) -> None:
    journal, printed = ledger_test("cmd-cleared", "cleared")
    post(books, "cmd-cleared", read(journal))
    rows = [(line.split()[0], line.split()[-1]) for line in printed]
    assert balances(books.ledger.trial_balance(books.scope)) == lines(rows)


def test_ledgers_months_are_trial_balances_at_their_ends(books: Books) -> None:
    journal, printed = ledger_test("opt-monthly", "reg --monthly books")
    post(books, "opt-monthly", read(journal))
    assert len(printed) == 24
    for line in printed:
        _, _, until, account, _, total = line.split()
        year, month, day = until.split("-")
        months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905  # plain
        end = date(2000 + int(year), months.index(month) + 1, int(day))
        then = balances(books.ledger.trial_balance(books.scope, on=end))
        asset, n = money(total)
        assert then[account][asset] == n, line


def test_every_ledger_test_is_run_or_says_why_not() -> None:
    run = {"cmd-balance", "feat-balance_assert", "feat-balance-assignments", "opt-depth",
           "cmd-cleared", "opt-monthly"}  # fmt: skip
    assert run | set(WITHOUT) == set(json.loads(LEDGER_TESTS.read_text()))
    assert not run & set(WITHOUT)


# --- beancount -----------------------------------------------------------------------------------


def movements(path: Path) -> tuple[list[Movement], list[data.Balance]]:
    entries, problems, _ = loader.load_file(str(path))
    assert problems == []
    made = [
        Movement(
            each.date,
            tuple(
                Leg(leg.account, (leg.units.currency, leg.units.number))
                for leg in each.postings
                if leg.units.number
            ),
        )
        for each in entries
        if isinstance(each, data.Transaction)
    ]
    return made, [each for each in entries if isinstance(each, data.Balance)]


@pytest.mark.parametrize("name", ["basic", "vesting", "example"])
def test_beancount_says_the_same_at_the_end_and_at_every_assertion(
    undone: Books, name: str
) -> None:
    file = f"beancount-{name}.beancount"
    made, assertions = movements(FOLDER / file)
    expected = json.loads((FOLDER / "expected" / "beancount-balances.json").read_text())[file]
    assert (len(made), len(assertions)) == (
        expected["transactions"], expected["balance_assertions"],
    )  # fmt: skip
    post(undone, file, (each for each in made if each.legs))
    wanted = {
        account: {asset: Decimal(n) for asset, n in sums.items() if Decimal(n)}
        for account, sums in expected["balances"].items()
    }
    trial = undone.ledger.trial_balance
    found = balances(trial(undone.scope))
    assert found == {account: sums for account, sums in wanted.items() if sums}
    for each in assertions:
        # Theirs holds at the start of its day.
        then = balances(trial(undone.scope, on=each.date - timedelta(days=1)))
        own = [
            sums.get(each.amount.currency, Decimal())
            for account, sums in then.items()
            if account == each.account or account.startswith(f"{each.account}:")
        ]
        places = -int(each.amount.number.as_tuple().exponent)
        assert abs(sum(own) - each.amount.number) <= Decimal(1).scaleb(-places), each
