"""Broker files: every export of `../shared/data/portfolio/brokers` becomes the activities it tells
of, once; what cannot be read is set aside."""

import io
import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora import Finora, ImportRequest, Scope
from finora_core.plugins import ActivityFormat, ActivityLine, FaultyLine, StatementRefused
from finora_core.portfolio.formats import EVERY
from finora_core.portfolio.formats.reading import Unreadable, number
from finora_core.portfolio.model import ActivityFilter
from shared_data import SHARED, needs_shared

FORMATS = {each.name: each for each in EVERY}
FOLDER = SHARED / "portfolio"
pytestmark = needs_shared


def read(path: Path) -> tuple[ActivityFormat, list[ActivityLine | FaultyLine]]:
    head = path.read_bytes()[:65536]
    best = max(EVERY, key=lambda each: each.recognises(head, path.name))
    with path.open("rb") as file:
        return best, list(best.read(file))


def kinds(found: list[ActivityLine | FaultyLine]) -> dict[str, int]:
    return dict(Counter("aside" if isinstance(each, FaultyLine) else each.kind for each in found))


# The converter that counted them leaves out money that is paid in and out, and whatever its price
# provider did not know; `differs` says where else ours is another.
EXPORTS: Mapping[str, tuple[str, int, dict[str, int], str]] = {
    "bitvavo": ("bitvavo", 21,
                {"buy": 10, "sell": 2, "reward": 9, "deposit": 7, "withdraw": 6}, ""),
    "coinbase": ("coinbase", 4,
                 {"reward": 2, "buy": 2, "transfer_in": 1, "transfer_out": 1, "swap_out": 2},
                 "coins sent, received and swapped"),
    "degiro": ("degiro", 27, {"buy": 11, "sell": 3, "dividend": 9, "fee": 5},
               "a stock dividend: shares for nothing"),
    "delta": ("delta", 2,
              {"buy": 2, "sell": 1, "dividend": 1, "deposit": 1, "withdraw": 1, "reward": 1},
              "coins, which it did not look up"),
    "etoro": ("etoro", 27,
              {"interest": 1, "dividend": 11, "fee": 4, "withdraw": 1, "sell": 3, "buy": 3,
               "tax": 1, "aside": 3},
              "contracts for difference are set aside"),
    "freetrade": ("freetrade", 9,
                  {"buy": 3, "airdrop": 1, "dividend": 4, "interest": 1, "deposit": 1,
                   "withdraw": 1}, ""),
    "ibkr-trades": ("ibkr", 8, {"buy": 8, "aside": 3}, ""),
    "parqet": ("parqet", 26, {"buy": 18, "sell": 2, "dividend": 7}, "one that it did not know"),
    "relai": ("relai", 3, {"buy": 2, "sell": 1}, ""),
    "revolut-crypto": ("revolut_crypto", 6,
                       {"buy": 6, "sell": 1, "reward": 3, "transfer_in": 1, "transfer_out": 1},
                       "coins sent, received, earned"),
    "revolut-invest": ("revolut_invest", 7,
                       {"buy": 3, "sell": 1, "dividend": 1, "fee": 1, "deposit": 1, "withdraw": 1,
                       "split": 1}, ""),
    "traderepublic": ("traderepublic_short", 6,
                      {"buy": 4, "sell": 2, "dividend": 1, "deposit": 1, "withdraw": 1},
                      "one that it did not know"),
    "trading212": ("trading212", 11,
                   {"buy": 4, "sell": 1, "dividend": 3, "interest": 1, "transfer_out": 1,
                    "deposit": 1, "split": 2}, "a split, of two lines"),
    "xtb": ("xtb", 34,
            {"buy": 15, "sell": 2, "dividend": 8, "tax": 6, "interest": 3, "unknown": 3,
             "deposit": 6, "withdraw": 1, "aside": 1}, "taxes are told apart from dividends"),
}  # fmt: skip
_MONEY_ONLY = {"deposit", "withdraw", "aside"}


@pytest.mark.spec("S0-46", partial=True)
@pytest.mark.parametrize("export", sorted(EXPORTS))
def test_an_export_tells_of_its_activities(export: str) -> None:
    name, counted, wanted, differs = EXPORTS[export]
    found, lines = read(FOLDER / "brokers" / f"{export}-export.csv")
    assert (found.name, kinds(lines)) == (name, wanted)
    ours = sum(count for kind, count in wanted.items() if kind not in _MONEY_ONLY)
    assert (ours == counted) or differs


def test_the_lines_say_what_the_files_say() -> None:
    """One of each kind of trouble, figure by figure."""

    def one(export: str, place: int) -> ActivityLine:
        _, lines = read(FOLDER / "brokers" / f"{export}-export.csv")
        found = [each for each in lines if each.place == place]
        assert isinstance(found[0], ActivityLine)
        return found[0]

    vici = one("degiro", 22)
    assert (vici.asset, vici.quantity, vici.price, vici.quote) == (
        "isin:US9256521090", "1", "33.9", "USD",
    )  # fmt: skip
    assert vici.fee == ("1.00", "EUR")
    coke = one("degiro", 10)
    assert (coke.counter, coke.tax) == (("0.44", "USD"), ("0.07", "USD"))
    aviva = one("degiro", 56)
    assert (aviva.price, aviva.quote, aviva.quantity) == ("4.96", "GBP", "-4")
    nvidia = one("freetrade", 11)
    assert (nvidia.net, nvidia.fee) == (("-1996.75", "GBP"), ("7.76", "GBP"))
    allianz = one("parqet", 20)
    assert (allianz.counter, allianz.tax, allianz.fee) == (
        ("1578", "EUR"), ("14.83", "EUR"), ("1", "EUR"),
    )  # fmt: skip
    converted = one("coinbase", 6)
    assert (converted.quantity, converted.counter) == (
        "-0.00363125", ("156.145683", "crypto:XRP"),
    )  # fmt: skip


def _said(text: str, call: str) -> str | None:
    found = re.search(rf'{call}\(\s*(?:"EUR", )?"?([^")]*)"?\)', text)
    return found[1] if found else None


@pytest.mark.parametrize("number_", ["02", "03", "04"])
def test_trade_republic_in_full(number_: str) -> None:
    cases = json.loads((FOLDER / "brokers" / "pp-traderepublic.expected.json").read_text())
    case = next(each for each in cases if each["test"].endswith(number_))
    found, lines = read(FOLDER / "brokers" / f"pp-traderepublic-{number_}.csv")
    assert found.name == "traderepublic"
    activities = [each for each in lines if isinstance(each, ActivityLine)]
    told = [text for what, text in case["asserts"] if what == "results"]
    items = [text for text in told if "security(" not in text]
    assert len(activities) == len(lines) == len(items)
    for text in items:
        # A correction of a dividend is one with what it takes back; theirs is one with a warning.
        kind = re.search(r"(purchase|sale|removal|deposit|dividend)\(", text)
        assert kind is not None
        at = str(_said(text, "hasDate"))
        [line] = [each for each in activities if _same_time(each, at)]
        assert line.kind == {"purchase": "buy", "sale": "sell", "removal": "withdraw"}.get(
            kind[1], kind[1]
        )
        fee, tax = (Decimal(each[0]) if each else Decimal(0) for each in (line.fee, line.tax))
        assert fee == Decimal(str(_said(text, "hasFees")))
        assert tax == Decimal(str(_said(text, "hasTaxes")))
        gross = Decimal(line.counter[0] if line.counter else line.quantity)
        net = gross - fee - tax
        signed = line.kind == "dividend"
        assert (gross if signed else abs(gross)) == Decimal(str(_said(text, "hasGrossValue")))
        assert (net if signed else abs(net)) == Decimal(str(_said(text, "hasAmount")))
        shares = line.shares or (line.quantity if line.counter else "0")
        assert abs(Decimal(shares)) == Decimal(str(_said(text, "hasShares")))
        if note := _said(text, "hasNote"):
            assert line.note.startswith(note.split("(")[0].strip())
    named = [text for text in told if "security(" in text]
    assets = {line.asset for line in activities if line.counter}
    for text in named:
        isin, ticker = _said(text, "hasIsin"), _said(text, "hasTicker")
        assert (f"isin:{isin}" if isin != "null" else f"crypto:{ticker}") in assets
    assert len(assets) == len(named)


def _same_time(line: ActivityLine, said: str) -> bool:
    return line.at == datetime.fromisoformat(said).replace(tzinfo=UTC)


def bring(finora: Finora, scope: Scope, path: Path, **asked: Any) -> Any:
    return finora.import_file(scope, path, ImportRequest(**asked))


@pytest.mark.spec("S0-46", partial=True)
@pytest.mark.parametrize("export", sorted(EXPORTS))
def test_an_export_is_imported_once(finora: Finora, scope: Scope, export: str) -> None:
    path = FOLDER / "brokers" / f"{export}-export.csv"
    asked = {"currency": "EUR"} if export == "xtb" else {}
    first = bring(finora, scope, path, **asked)
    again = bring(finora, scope, path, **asked)
    assert first["format"] == EXPORTS[export][0]
    assert first["added"] > 0
    assert first["read"] == first["added"] + first["existing"] + first["set_aside_count"]
    # Nothing comes twice; what a file begins in the middle of was opened once.
    assert (again["added"], again["set_aside_count"]) == (0, first["set_aside_count"])
    reasons = {each["reason"] for each in first["set_aside"]}
    assert all(reasons)
    found = finora.portfolio.list(scope, limit=1000).items
    assert len(found) == first["added"] + len(first["differences"])
    assert again["differences"] == []
    for each in finora.portfolio.holdings(scope):
        assert each.quantity.units > 0 or each.quantity.asset.id in ("EUR", "USD", "GBP", "SEK")
        of_asset = finora.portfolio.list(
            scope, ActivityFilter(asset=each.quantity.asset.id), limit=1000
        )
        assert of_asset.items


def test_money_of_a_file_that_tells_of_all_of_it_adds_up(finora: Finora, scope: Scope) -> None:
    bring(finora, scope, FOLDER / "brokers" / "bitvavo-export.csv")
    # 125.00 paid in and 37.08 earned; 137.45 spent and 24.63 paid out.
    cash = [each for each in finora.portfolio.holdings(scope) if each.quantity.asset.id == "EUR"]
    assert cash == []
    moved = finora.portfolio.list(scope, ActivityFilter(asset="EUR"), limit=100).items
    assert len(moved) == 19


def test_equal_lines_of_one_file_stay_two(finora: Finora, scope: Scope) -> None:
    head = "Symbol,Type,Quantity,Price,Value,Fees,Date\n"
    line = 'BTC,Buy,0.5,"€10.00",€5.00,€0.00,"May 5, 2020, 10:10:57 PM"\n'

    def bring_text(text: str) -> Any:
        return finora.import_file(scope, io.BytesIO(text.encode()), name="revolut.csv")

    assert bring_text(head + line * 2)["added"] == 2
    assert bring_text(head + line * 3)["added"] == 1
    assert bring_text(head + line)["added"] == 0
    [held] = finora.portfolio.holdings(scope)
    assert held.quantity.text == "1.500000000000000000"


def test_a_preview_writes_nothing(finora: Finora, scope: Scope) -> None:
    path = FOLDER / "brokers" / "relai-export.csv"
    with path.open("rb") as file:
        found = finora.imports.preview(scope, file, path.name)
    assert (found.format, found.read) == ("relai", 3)
    assert finora.portfolio.accounts(scope) == []


def test_two_accounts_at_a_broker_ask_which(finora: Finora, scope: Scope) -> None:
    finora.portfolio.open_account(scope, "One", "relai")
    finora.portfolio.open_account(scope, "Two", "relai")
    path = FOLDER / "brokers" / "relai-export.csv"
    job = bring(finora, scope, path)
    assert job.reason == "ACCOUNT_NEEDED"
    assert bring(finora, scope, path, account="Two")["added"] == 3


OK = {"btceur.json": 1, "btcusd.csv": 1, "btcusd.json": 1, "derived-currency.json": 1,
      "novn-buy-and-sell.json": 2, "penthouse-apartment.csv": 1, "sample.csv": 5, "sample.json": 5,
      "vti-buy-on-ibkr.csv": 1, "without-accounts.json": 4}  # fmt: skip


@pytest.mark.parametrize("name", sorted(OK))
def test_ghostfolio_files_come_in(finora: Finora, scope: Scope, name: str) -> None:
    result = bring(finora, scope, FOLDER / "ghostfolio" / "import" / "ok" / name)
    assert (result["added"], result["set_aside_count"]) == (OK[name], 0)
    assert bring(finora, scope, FOLDER / "ghostfolio" / "import" / "ok" / name)["added"] == 0


def test_hundredths_and_things_of_ones_own_are_what_they_are(finora: Finora, scope: Scope) -> None:
    files = FOLDER / "ghostfolio" / "import" / "ok"
    bring(finora, scope, files / "derived-currency.json")
    bring(finora, scope, files / "sample.json")
    found = finora.portfolio.list(scope, limit=100).items
    [rand] = [each for each in found if each.quantity.asset.id == "ticker:JSE.JO"]
    assert (rand.price, rand.quote and rand.quote.id) == (Decimal("108.75"), "ZAR")
    own = [each for each in found if each.quantity.asset.id.startswith("own:")]
    assert [each.counter and each.counter.text for each in own] == ["-500000.00"]


NOT_OK = {"invalid-currency.csv": "line 2", "invalid-data-source.json": "activities.0",
          "invalid-date.json": "activities.0", "invalid-fee.csv": "line 2",
          "invalid-multi-line.csv": "line 4", "invalid-symbol.csv": "line 2",
          "invalid-type.json": "activities.0"}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NOT_OK))
def test_a_ghostfolio_file_with_a_mistake_is_refused_whole(
    finora: Finora, scope: Scope, name: str
) -> None:
    job = bring(finora, scope, FOLDER / "ghostfolio" / "import" / "not-ok" / name)
    assert job.reason == "STATEMENT_UNREADABLE"
    assert NOT_OK[name] in job.message
    assert finora.portfolio.accounts(scope) == []


def test_what_is_no_file_of_anybody_is_refused(finora: Finora, scope: Scope) -> None:
    path = FOLDER / "ghostfolio" / "import" / "not-ok" / "unexpected-format.json"
    assert bring(finora, scope, path).reason == "UNKNOWN_FORMAT"


@pytest.mark.parametrize(
    ("said", "meant"),
    [("1 757,95", "1757.95"), ("(0,10)", "-0.10"), ("-$30.93", "-30.93"), ("4,581.91", "4581.91"),
     ("1.234,5", "1234.5"), ("1.234.567", "1234567"), ("+5", "5"), ("-0", "0"), ("007", "7"),
     ("-.5", None), ("1e5", None), ("NaN", None), ("", None), ("1-2", None), ("\u0661", None)],
)  # fmt: skip
def test_numbers_as_people_write_them(said: str, meant: str | None) -> None:
    if meant is None:
        with pytest.raises(Unreadable):
            number(said)
    else:
        assert number(said) == meant


@given(data=st.binary(max_size=300), name=st.sampled_from(sorted(FORMATS)), kept=st.integers(0, 9))
def test_no_bytes_make_a_format_fail_otherwise(data: bytes, name: str, kept: int) -> None:
    format_ = FORMATS[name]
    header = getattr(format_, "header", ("Date", "Code"))
    mark = getattr(format_, "delimiter", ",")
    start = mark.join(header).encode() + b"\n" if kept else b""
    assert 0 <= format_.recognises(start + data, "x.csv") <= 100
    try:
        for each in format_.read(io.BytesIO(start + data)):
            assert isinstance(each, ActivityLine | FaultyLine)
    except StatementRefused:
        pass
