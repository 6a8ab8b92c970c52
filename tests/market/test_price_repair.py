"""Faulty histories and what they come to, against the repairs that yfinance's own tests expect."""

import csv
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora_core.market.prices.files import BadPrices, History, is_history, read_history
from finora_core.market.prices.model import midnight
from finora_core.market.prices.repair import Bar, Fault, Mended, adjusted, decimal_of, mend

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "market" / "yfinance"
needs_files = pytest.mark.skipif(not FOLDER.exists(), reason="the histories are not there")

# Their repaired files have 15 digits, ours all that the source sent.
DIGITS = Fraction(1, 10**14)
# Theirs holds what the exchange's real prices were (0.12029 of 0.053): the ratio is published with
# four digits, 0.4406, so that it says no more than half of the last one, 1.1e-4 of it.
RATIO = Fraction(1, 10**5)
# Theirs went through 32-bit floats: 60.000002 stands for 60.0000023841858, and 60 too.
SINGLE = Fraction(1, 10**7)
# Their dividends take the close in 64-bit floats.
PAIRS = [
    ("4063-T-1d-bad-stock-split", Fault.SPLIT, 9, DIGITS),
    ("MOB-ST-1d-bad-stock-split", Fault.SPLIT, 1, DIGITS),
    ("DEX-AX-1d-bad-stock-split", Fault.SPLIT, 15, RATIO),
    ("AET-L-1d-100x-error", Fault.UNIT, 14, DIGITS),
    ("ASAI-L-1h-bad-unit", Fault.UNIT, 1, SINGLE),
    ("8TRA-DE-1d-missing-div-adjust", Fault.DIVIDEND, 2, DIGITS),
]


def history(name: str) -> History:
    with (FOLDER / f"{name}.csv").open("rb") as file:
        assert is_history(file)
        return read_history(file)


@needs_files
@pytest.mark.spec("S0-48", partial=True)
@pytest.mark.parametrize(("name", "fault", "days", "tolerance"), PAIRS)
def test_a_faulty_history_comes_out_as_its_repair(
    name: str, fault: Fault, days: int, tolerance: Fraction
) -> None:
    faulty, fixed = history(name), history(f"{name}-fixed")
    mended = mend(faulty.bars)
    assert not mended.unclear and {fix.fault for fix in mended.fixes} == {fault}
    assert len(mended.fixes) == days
    wanted = sorted(fixed.bars, key=lambda bar: bar.at)
    assert [bar.at for bar in mended.bars] == [bar.at for bar in wanted]
    for bar, other in zip(mended.bars, wanted, strict=True):
        for field in ("open", "high", "low", "close", "adjusted"):
            one, two = getattr(bar, field), getattr(other, field)
            assert abs(one - two) <= tolerance * two, (bar.at, field, one, two)
        assert (bar.volume, bar.dividend, bar.split) == (other.volume, other.dividend, other.split)
    # Mending again changes nothing.
    assert mend(mended.bars) == Mended(bars=mended.bars, fixes=())
    assert mend(fixed.bars).fixes == ()


@needs_files
def test_a_clean_history_is_left_as_it_is() -> None:
    clean = history("KMR-L-1d-no-bad-divs")
    mended = mend(clean.bars)
    assert mended == Mended(bars=tuple(sorted(clean.bars, key=lambda bar: bar.at)), fixes=())
    assert len(mended.bars) == 665 and any(bar.dividend for bar in mended.bars)


@needs_files
def test_closes_less_dividends_are_what_the_source_adjusts_by() -> None:
    bars = mend(history("8TRA-DE-1d-missing-div-adjust").bars).bars
    assert adjusted(bars) == [bar.adjusted for bar in bars]
    assert adjusted(bars)[1] == bars[1].close - Fraction(7, 10)


DAY = date(2026, 1, 5)


def bars(*closes: str, volume: int | None = None, **split: str) -> list[Bar]:
    return [
        Bar(
            at=midnight(DAY + timedelta(number)),
            close=Fraction(close),
            volume=volume,
            split=Fraction(split.get(f"on_{number}", "0")),
        )
        for number, close in enumerate(closes)
    ]


def test_one_day_in_another_unit() -> None:
    mended = mend(bars("1.01", "1.02", "103", "1.01", "1.00"))
    assert [str(decimal_of(bar.close)) for bar in mended.bars][2] == "1.03"
    [fix] = mended.fixes
    assert (fix.fault, fix.before, fix.after) == (Fault.UNIT, 103, Fraction(103, 100))


def test_half_and_half_is_told_and_left() -> None:
    half = bars("1.01", "1.02", "103", "101")
    assert mend(half).fixes == () and "one unit" in mend(half).unclear[0]
    assert {float(bar.close) > 50 for bar in mend(half, right=Fraction(100)).bars} == {True}
    assert {float(bar.close) > 50 for bar in mend(half, right=Fraction(1)).bars} == {False}
    # Where there was trade is what they were worth.
    traded = [attrs.evolve(bar, volume=7 if bar.close > 50 else 0) for bar in half]
    assert {float(bar.close) > 50 for bar in mend(traded).bars} == {True}


def test_a_market_that_moves_much_is_no_fault() -> None:
    wild = bars("10", "30", "9", "45", "12", on_3="4")
    assert mend(wild).fixes == () and "smaller than what prices did" in mend(wild).unclear[0]
    # A fall by half where nothing was split is a fall by half.
    assert mend(bars("10", "10", "5", "5")) == Mended(
        bars=tuple(bars("10", "10", "5", "5")), fixes=()
    )
    # As many shares again is a tenth: nothing that can be told.
    assert mend(bars("10", "10", "9", on_2="11/10")).fixes == ()


def test_what_jumps_after_its_split_is_told_and_left() -> None:
    odd = bars("10", "10", "5", "10", on_1="2")
    assert mend(odd).fixes == () and "after it too" in mend(odd).unclear[0]


def test_nothing_and_one_day_are_histories() -> None:
    assert mend([]).bars == () and mend(bars("5", on_0="2")).fixes == ()


@given(
    st.lists(st.decimals("9.5", "10", places=4), min_size=4, max_size=12),
    st.sampled_from([Fraction(2), Fraction(3), Fraction(1, 4), Fraction(10)]),
    st.data(),
)
def test_a_split_that_was_left_out_comes_back_exactly(
    closes: list[Decimal], ratio: Fraction, data: st.DataObject
) -> None:
    day = data.draw(st.integers(1, len(closes) - 1))
    good = [
        Bar(at=midnight(DAY + timedelta(n)), close=Fraction(close), split=ratio if n == day else 0)
        for n, close in enumerate(closes)
    ]
    bad = [bar.times(ratio) if n < day else bar for n, bar in enumerate(good)]
    mended = mend(bad)
    assert list(mended.bars) == good and len(mended.fixes) == day
    assert mend(good).fixes == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Open,High,Low,Close\n1,1,1,1\n", "no column date"),
        (b"Date,Open,High,Low,Close\n2026-01-01,1,1,1\n", "line 2 has 4 cells"),
        (b"Date,Open,High,Low,Close\nyesterday,1,1,1,1\n", "line 2: 'yesterday' is no instant"),
        (b"Date,Open,High,Low,Close\n2026-02-30,1,1,1,1\n", "line 2: '2026-02-30' is no day"),
        (b"Date,Open,High,Low,Close\n2026-01-01,1,1,1,-1\n", "line 2: '-1' is no close"),
        (b"Date,Open,High,Low,Close\n2026-01-01,1,1,1,1e400\n", "no close"),
        (b"Date,Open,High,Low,Close\n2026-01-01,1,1,inf,1\n", "no low"),
        (b"Date,Open,High,Low,Close\n2026-01-01,1,1,1,\xff\n", "UTF-8"),
    ],
)
def test_a_file_that_is_no_history_is_refused_with_its_line(
    content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "history.csv"
    path.write_bytes(content)
    with path.open("rb") as file, pytest.raises(BadPrices, match=said):
        read_history(file)


def test_a_zero_is_a_gap_and_no_price(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    rows = [("Date", "Open", "High", "Low", "Close"), ("2026-01-01", 1, 1, 1, "1e-05"),
            ("2026-01-02", 0, 0, 0, 0), ("2026-01-03", "", "", "", "")]  # fmt: skip
    with path.open("w", newline="") as written:
        csv.writer(written).writerows(rows)
    with path.open("rb") as file:
        found = read_history(file)
    assert [bar.close for bar in found.bars] == [Fraction(1, 100_000)]
    assert [each.line for each in found.set_aside] == [3, 4]
