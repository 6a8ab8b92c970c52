"""Formance's numscript cases: scripts that say who pays whom in which shares, with the postings
they must make. A script is read here into plain postings, by `Amount.split`, and posted; what it
cannot pay must be refused by the ledger and not by the reader."""

import json
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import lcm
from typing import Any
from uuid import UUID

import attrs
import pytest

from books import Books, entry
from finora import AccountKind, Amount, Asset
from finora_core.ledger.model import InsufficientFunds
from shared_data import SHARED, needs_shared

pytestmark = needs_shared

FILE = SHARED / "ledger" / "numscript-cases.json"

WITHOUT = {
    "script-tests/override-account-meta": "accounts have no free metadata",
    "script-tests/set-tx-meta": "entries have a reference and no free metadata",
    "script-tests/sub-monetaries": "it computes metadata only",
}

# Numscript gives what is left to the first shares in the order of writing; Finora gives it to the
# largest remainders, whatever the order.
OTHER_ROUNDING = {
    "script-tests/dynamic-allocation": [("a", "b", 12), ("a", "c", 2), ("a", "d", 1)],
    "script-tests/source-allotment": [("a", "d", 60), ("b", "d", 36), ("c", "d", 4)],
}

Chunk = tuple[str, int]
TOKEN = re.compile(
    r'"[^"]*"|//[^\n]*|#![^\n]*|@[\w:$]+|\$\w+|\d[\d_]*(?:\.\d+)?%|\d[\d_]*|[A-Z]\w*(?:/\d+)?'
    r"|[a-z_]\w*|[\[\](){}=*+/,-]"
)


def cases() -> Iterator[Any]:
    if not FILE.exists():
        return
    for name, case in json.loads(FILE.read_text()).items():
        for number, spec in enumerate(case["specs"]["testCases"]):
            if name not in WITHOUT:
                yield pytest.param(name, case["script"], case["specs"], spec, id=f"{name}-{number}")


@attrs.frozen
class Source:
    """Who pays: an account, or several in order, or in shares; each up to a most."""

    account: str = ""
    overdraft: int | None = 0
    most: int | None = None
    several: tuple["Source", ...] = ()
    shares: tuple[tuple[Fraction | None, "Source"], ...] = ()


@attrs.frozen
class Target:
    """Who is paid: an account, or nobody (kept); in order up to a most, or in shares."""

    account: str | None = None
    order: tuple[tuple[int | None, "Target"], ...] = ()
    shares: tuple[tuple[Fraction | None, "Target"], ...] = ()


def split(units: int, shares: list[Fraction | None]) -> list[int]:
    """Shares of a whole, as `Amount.split` makes them; None is what remains."""
    rest = 1 - sum(share for share in shares if share is not None)
    exact = [rest if share is None else share for share in shares]
    whole = lcm(*(share.denominator for share in exact), (1 - sum(exact)).denominator)
    weights = {n: int(share * whole) for n, share in enumerate(exact)}
    return [part.units for part in Amount(units, Asset("x", 0)).split(weights).values()]


@attrs.define
class Script:
    """Reads a script and runs it over balances: who pays whom how much, in order."""

    tokens: list[str]
    variables: dict[str, Any]
    balances: dict[tuple[str, str], int]
    saved: Callable[[str, str, int], None]
    payments: list[tuple[str, str, str, int]] = attrs.field(factory=list)
    reserved: dict[tuple[str, str], int] = attrs.field(factory=dict)
    asset: str = ""

    def run(self) -> None:
        while self.tokens:
            getattr(self, f"_do_{self._next()}")()

    def _next(self, wanted: str | None = None) -> str:
        token = self.tokens.pop(0)
        assert wanted in (None, token), (wanted, token)
        return token

    def _take(self, *wanted: str) -> bool:
        if self.tokens[: len(wanted)] != list(wanted):
            return False
        del self.tokens[: len(wanted)]
        return True

    # statements

    def _do_vars(self) -> None:
        self._next("{")
        while not self._take("}"):
            kind, name = self._next(), self._next()[1:]
            if self._take("="):
                self.variables[name] = self._value()
            elif kind == "portion":
                self.variables[name] = portion(self.variables[name])
            elif kind == "number":
                self.variables[name] = int(self.variables[name])
            elif kind == "monetary":
                asset, units = self.variables[name].split()
                self.variables[name] = (asset, int(units))

    def _do_save(self) -> None:
        asset, units = self._value()
        self._next("from")
        account = self._account()
        free = max(0, self.balances.get((account, asset), 0))
        units = free if units is None else min(units, free)
        if units:
            self.reserved[account, asset] = self.reserved.get((account, asset), 0) + units
            self.saved(account, asset, units)

    def _do_send(self) -> None:
        self.asset, units = self._value()
        self._next("(")
        for word in ("source", "="):
            self._next(word)
        source = self._source()
        for word in ("destination", "="):
            self._next(word)
        target = self._target()
        self._next(")")
        self._move(joined(self._pull(source, units, units is not None)), target)

    def _do_set_tx_meta(self) -> None:
        while self._next() != ")":
            pass

    # values

    def _value(self) -> Any:
        value = self._plain()
        while self.tokens and self.tokens[0] in "+-":
            sign = 1 if self._next() == "+" else -1
            other = self._plain()
            value = (value[0], value[1] + sign * other[1])
        return value

    def _plain(self) -> Any:
        token = self._next()
        match token[0]:
            case "-":
                value = self._plain()
                return (value[0], -value[1]) if isinstance(value, tuple) else -value
            case "[":
                asset = self._plain()
                units = None if self._take("*") else self._value()
                self._next("]")
                return asset, units
            case "$":
                return self.variables[token[1:]]
            case digit if digit.isdigit():
                return int(token.replace("_", ""))
        if token in ("balance", "overdraft"):
            self._next("(")
            account = self._account()
            self._next(",")
            asset = self._plain()
            self._next(")")
            units = self.balances.get((account, asset), 0)
            return asset, max(0, -units) if token == "overdraft" else units
        return token

    def _account(self) -> str:
        token = self._next()
        return str(self.variables[token[1:]]) if token[0] == "$" else token[1:]

    def _portion(self) -> Fraction | None:
        if self._take("remaining"):
            return None
        first = self._next()
        if first.endswith("%"):
            return portion(first)
        value = self.variables[first[1:]] if first[0] == "$" else int(first)
        if isinstance(value, Fraction):
            return value
        self._next("/")
        other = self._next()
        return Fraction(value, self.variables[other[1:]] if other[0] == "$" else int(other))

    # who pays, who is paid

    def _source(self) -> Source:
        if self._take("max"):
            _, most = self._value()
            self._next("from")
            return Source(most=max(0, most), several=(self._source(),))
        if self._take("{"):
            parts: list[Any] = []
            shared = self.tokens[0] == "remaining" or self.tokens[0][0].isdigit()
            while not self._take("}"):
                if shared:
                    share = self._portion()
                    self._next("from")
                    parts.append((share, self._source()))
                else:
                    parts.append(self._source())
            return Source(shares=tuple(parts)) if shared else Source(several=tuple(parts))
        account = self._account()
        overdraft: int | None = None if account == "world" else 0
        if self._take("allowing", "unbounded", "overdraft"):
            overdraft = None
        elif self._take("allowing", "overdraft", "up", "to"):
            overdraft = max(0, self._value()[1])
        return Source(account=account, overdraft=overdraft)

    def _target(self) -> Target:
        if self._take("kept"):
            return Target()
        if not self._take("{"):
            return Target(account=self._account())
        parts: list[Any] = []
        in_order = self.tokens[0] == "max"
        while not self._take("}"):
            if in_order:
                limit = self._value()[1] if self._take("max") else self._portion()
            else:
                limit = self._portion()
            self._take("to")
            parts.append((limit, self._target()))
        return Target(order=tuple(parts)) if in_order else Target(shares=tuple(parts))

    # money

    def _pull(self, source: Source, units: int | None, must: bool) -> list[Chunk]:
        """Take `units`, or all there is, out of the source. What it must pay and does not have is
        put on its last account, for the ledger to refuse."""
        if source.most is not None:
            units = source.most if units is None else min(units, source.most)
        if source.shares:
            assert units is not None
            parts = split(units, [share for share, _ in source.shares])
            return [
                chunk
                for part, (_, each) in zip(parts, source.shares, strict=True)
                for chunk in self._pull(each, part, must)
            ]
        pulled: list[Chunk] = []
        for at, each in enumerate(source.several):
            left = None if units is None else units - sum(n for _, n in pulled)
            last = must and source.most is None and at == len(source.several) - 1
            pulled += self._pull(each, left, last)
        if source.account:
            key = source.account, self.asset
            free = units
            if source.overdraft is not None:
                free = self.balances.get(key, 0) - self.reserved.get(key, 0) + source.overdraft
                free = max(0, free) if units is None else max(0, min(free, units))
            assert free is not None
            taken = units if must and units is not None else free
            self.balances[key] = self.balances.get(key, 0) - taken
            pulled.append((source.account, taken))
        return pulled

    def _move(self, pulled: list[Chunk], target: Target) -> None:
        queue = list(pulled)
        for account, units in self._places(target, sum(n for _, n in pulled)):
            while units and queue:
                source, there = queue.pop(0)
                part = min(units, there)
                units -= part
                if part < there:
                    queue.insert(0, (source, there - part))
                back = source if account is None else account
                key = back, self.asset
                self.balances[key] = self.balances.get(key, 0) + part
                if part and account is not None:
                    self.payments.append((source, account, self.asset, part))

    def _places(self, target: Target, units: int) -> Iterator[tuple[str | None, int]]:
        if target.shares:
            parts = split(units, [share for share, _ in target.shares])
            for part, (_, each) in zip(parts, target.shares, strict=True):
                yield from self._places(each, part)
        elif target.order:
            for most, each in target.order:
                part = units if most is None else min(units, max(0, most))
                yield from self._places(each, part)
                units -= part
        else:
            yield target.account, units


def portion(text: str) -> Fraction:
    return Fraction(text.removesuffix("%")) / 100 if text.endswith("%") else Fraction(text)


def joined(chunks: list[Chunk]) -> list[Chunk]:
    """Neighbours of one account as one."""
    whole: list[Chunk] = []
    for account, units in chunks:
        if whole and whole[-1][0] == account:
            whole[-1] = (account, whole[-1][1] + units)
        elif units:
            whole.append((account, units))
    return whole


@attrs.define
class Chart:
    """The accounts of one script, opened with the balances that it starts from."""

    books: Books
    script: str
    ids: dict[str, UUID] = attrs.field(factory=dict)
    limits: dict[str, int | None] = attrs.field(factory=dict)

    def asset(self, name: str) -> Asset:
        # `/2` is the scale; one of 123 is none of ours, and those cases are about units only.
        scale = int(name.partition("/")[2] or 0)
        asset = Asset(f"numscript:{name}", scale if scale <= 36 else 0)
        return self.books.ledger.register_asset(self.books.scope, asset)

    def account(self, name: str, start: int = 0) -> UUID:
        if name not in self.ids:
            kind, floor = AccountKind.ASSET, min(0, start)
            pattern = rf"@{name}\s+allowing overdraft up to \[[^\]\s]+ (\d+)\]"
            lines = [int(line) for line in re.findall(pattern, self.script)]
            if name == "world" or re.search(rf"@{name}\s+allowing unbounded", self.script):
                self.ids[name] = self.books.open(name, AccountKind.OUTSIDE)
            else:
                self.ids[name] = self.books.open(name, kind, min([floor, *(-n for n in lines)]))
        return self.ids[name]


@pytest.mark.parametrize(("name", "script", "specs", "case"), list(cases()))
def test_a_script_makes_the_postings_that_it_must(
    books: Books, name: str, script: str, specs: dict[str, Any], case: dict[str, Any]
) -> None:
    chart = Chart(books, script)
    given = books.open("where the balances come from", AccountKind.EQUITY)
    start: dict[tuple[str, str], int] = {}
    for each in case.get("balances", specs.get("balances", [])):
        start[each["account"], each["asset"]] = each["amount"]
        account = chart.account(each["account"], each["amount"])
        if each["amount"]:
            legs = (account, each["amount"]), (given, -each["amount"])
            made = entry(*legs, asset=chart.asset(each["asset"]))
            books.ledger.post_many(books.scope, [made])

    def save(account: str, asset: str, units: int) -> None:
        amount = Amount(units, chart.asset(asset))
        books.ledger.hold(books.scope, chart.account(account), amount)

    reader = Script(
        [token for token in TOKEN.findall(script) if not token.startswith(("//", "#!"))],
        dict(specs.get("variables", {}) | case.get("variables", {})),
        dict(start),
        save,
    )
    reader.run()
    entries = [
        entry((chart.account(source), -units), (chart.account(target), units),
              asset=chart.asset(asset))
        for source, target, asset, units in reader.payments
    ]  # fmt: skip
    if case.get("expect.error.missingFunds"):
        with pytest.raises(InsufficientFunds):
            books.ledger.post_many(books.scope, entries)
        return
    books.ledger.post_many(books.scope, entries)
    wanted = [(p["source"], p["destination"], p["amount"]) for p in case["expect.postings"]]
    wanted = OTHER_ROUNDING.get(name, wanted)
    assert [(source, target, units) for source, target, _, units in reader.payments] == wanted
    names = {account: account_name for account_name, account in chart.ids.items()}
    posted = [books.ledger.entry(books.scope, each.id).postings for each in entries]
    assert [
        (names[source.account_id], names[target.account_id], target.amount.units)
        for source, target in posted
    ] == wanted


def test_every_script_is_run_or_says_why_not() -> None:
    names = set(json.loads(FILE.read_text()))
    assert len(names) == 57
    assert set(WITHOUT) | set(OTHER_ROUNDING) < names
    run = {each.values[0] for each in cases()}
    assert run | set(WITHOUT) == names
    assert not run & set(WITHOUT)


def test_the_expected_roundings_lose_nothing_either() -> None:
    scripts = json.loads(FILE.read_text())
    for name, ours in OTHER_ROUNDING.items():
        theirs = scripts[name]["specs"]["testCases"][0]["expect.postings"]
        assert sum(units for *_, units in ours) == sum(each["amount"] for each in theirs)
