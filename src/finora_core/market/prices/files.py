"""Files of prices: a plain table of facts, and the histories that Yahoo's users download."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import BinaryIO

import attrs

from finora_core.kernel.errors import Invalid
from finora_core.market.prices.model import Granularity, Line, midnight
from finora_core.market.prices.repair import Bar, decimal_of

MAX_HISTORY = 16 << 20
"""A history is read whole; a table of facts is not, and may have any length."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?[0-5]\d)", re.ASCII
)
_VALUE = re.compile(r"(0|[1-9][0-9]{0,29})(\.[0-9]{1,40})?", re.ASCII)
# As programs write a small number.
_NUMBER = re.compile(r"[0-9]{1,30}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:/._-]{0,199}", re.ASCII)
_TIMES = ("date", "datetime", "at", "time", "timestamp")
_PRICES = ("price", "close", "value")
_ZERO = re.compile(r"0*(\.0*)?")


class BadPrices(Invalid):
    """The file of prices is not one that can be read; nothing of it was taken."""

    code = "BAD_PRICES"


@attrs.frozen
class SetAside:
    """A line of a history without a price: its day is a gap."""

    line: int
    said: str


@attrs.frozen
class History:
    bars: Sequence[Bar]
    set_aside: Sequence[SetAside]


def is_history(file: BinaryIO) -> bool:
    """Whether it has a history's columns. Leaves the file at its beginning."""
    file.seek(0)
    head = file.readline(4096).decode("utf-8-sig", "replace")
    file.seek(0)
    names = {each.strip().lower() for each in head.split(",")}
    return {"open", "high", "low", "close"} <= names


def read_lines(file: BinaryIO, asset: str | None, quote: str | None) -> Iterator[Line]:
    """A table with a column for the day or the instant and one for the price; for the asset and the
    quote too, where they are not given. Days have a daily price, instants one of theirs. Raises
    BadPrices with the line."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        rows = csv.reader(text, strict=True)
        head = [cell.strip().lower() for cell in next(rows, [])]
        when, what = _column(head, _TIMES), _column(head, _PRICES)
        own = _optional(head, "asset"), _optional(head, "quote")
        if (own[0] is None and asset is None) or (own[1] is None and quote is None):
            raise BadPrices("neither the file nor the request says which asset, and in what")
        yield from _facts(rows, len(head), when, what, own, (asset or "", quote or ""))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadPrices("this is no CSV file in UTF-8") from error
    finally:
        # The file is the caller's, and stays open.
        text.detach()


def _facts(
    rows: Iterator[list[str]],
    width: int,
    when: int,
    what: int,
    own: tuple[int | None, int | None],
    given: tuple[str, str],
) -> Iterator[Line]:
    day_of, value_of, id_of = _DAY.fullmatch, _VALUE.fullmatch, _ID.fullmatch
    days: dict[str, str] = {}
    ids: set[str] = set()
    of_asset, of_quote = own
    asset, quote = given
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != width:
            raise BadPrices(f"line {number} has {len(row)} cells and not {width}")
        at, value = row[when], row[what]
        if of_asset is not None:
            asset = row[of_asset]
        if of_quote is not None:
            quote = row[of_quote]
        for each in (asset, quote):
            if each not in ids:
                if not id_of(each):
                    raise BadPrices(f"line {number}: {each[:40]!r} is no asset")
                ids.add(each)
        if asset == quote:
            raise BadPrices(f"line {number}: {asset} has no price in itself")
        if not value_of(value) or _ZERO.fullmatch(value):
            raise BadPrices(f"line {number}: {value[:40]!r} is no price")
        kind = "daily"
        known = days.get(at)
        if known is None:
            if day_of(at):
                known = days[at] = _day(number, at)
            else:
                known, kind = _instant(number, at).isoformat(), "intraday"
        yield asset, quote, known, kind, value


def _column(head: Sequence[str], names: Sequence[str]) -> int:
    for name in names:
        if name in head:
            return head.index(name)
    raise BadPrices(f"line 1 has no column {names[0]}")


def _optional(head: Sequence[str], name: str) -> int | None:
    return head.index(name) if name in head else None


def _day(number: int, cell: str) -> str:
    try:
        return midnight(date.fromisoformat(cell)).isoformat()
    except ValueError as error:
        raise BadPrices(f"line {number}: {cell[:40]!r} is no day") from error


def _instant(number: int, cell: str) -> datetime:
    try:
        if not _INSTANT.fullmatch(cell):
            raise ValueError(cell)
        return datetime.fromisoformat(cell).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadPrices(f"line {number}: {cell[:40]!r} is no instant with its zone") from error


def read_history(file: BinaryIO) -> History:
    """Raises BadPrices with the line. A line without a price is set aside: a zero is none."""
    content = file.read(MAX_HISTORY + 1)
    if len(content) > MAX_HISTORY:
        raise BadPrices(f"the file has more than {MAX_HISTORY >> 20} MB")
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        head = [cell.strip().lower() for cell in next(rows, [])]
        when = _column(head, _TIMES)
        read, aside = [], []
        for number, row in enumerate(rows, start=2):
            if not row:
                continue
            if len(row) != len(head):
                raise BadPrices(f"line {number} has {len(row)} cells and not {len(head)}")
            local = _local(number, row[when])
            cells = dict(zip(head, row, strict=True))
            if not _price(number, cells, "close"):
                aside.append(SetAside(number, "it has no close"))
                continue
            read.append((local, _bar(number, local, cells)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadPrices("this is no CSV file in UTF-8") from error
    # An hour's history has an hour that is not midnight; a day's is filed under its own day,
    # wherever its exchange is.
    if any(local.time() != time() for local, _ in read):
        hours = [attrs.evolve(bar, granularity=Granularity.INTRADAY) for _, bar in read]
        return History(hours, aside)
    days = [attrs.evolve(bar, at=midnight(local.date())) for local, bar in read]
    return History(days, aside)


def _local(number: int, cell: str) -> datetime:
    if _DAY.fullmatch(cell):
        return datetime.fromisoformat(_day(number, cell))
    _instant(number, cell)
    return datetime.fromisoformat(cell)


def _bar(number: int, local: datetime, cells: dict[str, str]) -> Bar:
    return Bar(
        at=local.astimezone(UTC),
        close=_price(number, cells, "close"),
        open=_price(number, cells, "open") or None,
        high=_price(number, cells, "high") or None,
        low=_price(number, cells, "low") or None,
        adjusted=_price(number, cells, "adj close") or None,
        volume=round(_price(number, cells, "volume")) if cells.get("volume") else None,
        dividend=_price(number, cells, "dividends"),
        split=_price(number, cells, "stock splits"),
    )


def _price(number: int, cells: dict[str, str], name: str) -> Fraction:
    """Zero where there is none."""
    cell = cells.get(name, "").strip()
    if cell in ("", "nan", "NaN"):
        return Fraction(0)
    if not _NUMBER.fullmatch(cell):
        raise BadPrices(f"line {number}: {cell[:40]!r} is no {name}")
    return Fraction(Decimal(cell))


def lines_of(bars: Sequence[Bar], asset: str, quote: str) -> Iterator[Line]:
    for bar in bars:
        value = format(decimal_of(bar.close), "f")
        yield asset, quote, bar.at.isoformat(), bar.granularity.value, value
