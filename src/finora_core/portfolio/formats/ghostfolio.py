"""Ghostfolio's import files: JSON as it exports, and tables with a header of one of many names.

A file in which one activity cannot be read is refused whole, with the place named: somebody wrote
it by hand, and writes the line anew sooner than the rest.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, BinaryIO, ClassVar

from finora_core.plugins import ActivityLine, StatementRefused
from finora_core.portfolio.formats.reading import (
    Unreadable,
    currency,
    header_of,
    instant,
    money,
    negated,
    number,
    rows_of,
    sized,
    symbol,
    whole,
)
from finora_core.text_files import whole_text

LARGEST = 64 << 20
"""Bytes: all of it is in memory at once."""
_SOURCES = {
    "YAHOO", "MANUAL", "COINGECKO", "ALPHA_VANTAGE", "EOD_HISTORICAL_DATA", "GHOSTFOLIO",
    "FINANCIAL_MODELING_PREP", "GOOGLE_SHEETS", "RAPID_API",
}  # fmt: skip
_DAYS = ("%d-%m-%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y%m%d", "%Y/%m/%d")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "date": ("date", "tradedate", "datetime"),
    "symbol": ("code", "symbol", "ticker"),
    "dataSource": ("datasource",),
    "currency": ("currency", "ccy", "currencyprimary"),
    "unitPrice": ("price", "unitprice", "tradeprice", "value"),
    "quantity": ("quantity", "qty", "shares", "units"),
    "type": ("action", "buy/sell", "type"),
    "fee": ("fee", "ibcommission", "commission"),
    "comment": ("note", "comment"),
}
_NEEDED = ("date", "symbol", "currency", "unitPrice", "quantity", "type")


class GhostfolioJson:
    name: ClassVar[str] = "ghostfolio_json"
    institution: ClassVar[str] = "manual"
    settles: ClassVar[bool] = False

    def recognises(self, head: bytes, filename: str) -> int:
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
        return 90 if start and (b'"activities"' in head or b'"meta"' in head) else 0

    def read(self, file: BinaryIO) -> Iterator[ActivityLine]:
        text = whole_text(file, LARGEST)
        try:
            # Numbers as they were written: 0.1 is a tenth.
            said = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
            items = said["activities"]
            named = {each.get("symbol"): each.get("name") for each in said.get("assetProfiles", ())}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise StatementRefused.at("activities", "this is no list of activities") from error
        if not isinstance(items, list):
            raise StatementRefused.at("activities", "this is no list of activities")
        yield from _read(
            (place, f"activities.{place - 1}", item, named) for place, item in enumerate(items, 1)
        )


class GhostfolioCsv:
    name: ClassVar[str] = "ghostfolio_csv"
    institution: ClassVar[str] = "manual"
    settles: ClassVar[bool] = False

    def recognises(self, head: bytes, filename: str) -> int:
        columns = _columns(header_of(head, ","))
        return 92 if all(name in columns for name in _NEEDED) else 0

    def read(self, file: BinaryIO) -> Iterator[ActivityLine]:
        def items() -> Iterator[_Item]:
            for row in rows_of(file, ","):
                columns = _columns(row.cells)
                item = {name: row.cells[column].strip() for name, column in columns.items()}
                yield row.place, row.place, item, {}

        yield from _read(items())


_Item = tuple[int, int | str, Any, Mapping[Any, Any]]


def _columns(header: Iterable[str]) -> dict[str, str]:
    """What each field's column is called here: the first of its names that there is."""
    there = {name.strip().lower(): name for name in header}
    found = ((field, [there[name] for name in names if name in there])
             for field, names in _NAMES.items())  # fmt: skip
    return {field: columns[0] for field, columns in found if columns}


def _read(items: Iterable[_Item]) -> Iterator[ActivityLine]:
    for place, where, item, named in items:
        try:
            if not isinstance(item, dict):
                raise Unreadable("it is no activity")
            fields = {str(key): "" if value is None else str(value) for key, value in item.items()}
            yield _line(place, fields, named)
        except Unreadable as error:
            raise StatementRefused.at(where, str(error)) from error


def _line(place: int, item: Mapping[str, str], named: Mapping[Any, Any]) -> ActivityLine:
    source = item.get("dataSource", "") or "YAHOO"
    if source not in _SOURCES:
        raise Unreadable(f"{source[:40]!r} is no source of data")
    said = item.get("type", "").lower()
    price, code = whole(number(item.get("unitPrice", ""), "."), currency(item.get("currency", "")))
    quantity = number(item.get("quantity", ""), ".")
    name = item.get("symbol", "")
    # A thing of one's own is known by its name, which an export has elsewhere.
    own = (named.get(name) or name) if source == "MANUAL" else None
    line: dict[str, Any] = {
        "place": place,
        "at": instant(item.get("date", ""), *_DAYS),
        "fee": money(_fee(item.get("fee", "")), code, "."),
        "note": item.get("comment", ""),
        "external_id": item.get("id") or None,
        "raw": dict(item),
    }
    if said == "fee":
        return ActivityLine(kind="fee", asset=code, **line)
    asset = f"own:{own}" if own is not None else symbol("ticker", name)
    if said in ("buy", "sell", "item"):
        sign = -1 if said == "sell" else 1
        return ActivityLine(
            kind="sell" if sign < 0 else "buy",
            asset=asset,
            quantity=sized(quantity, sign, "."),
            price=price,
            quote=code,
            **line,
        )
    if said in ("dividend", "interest"):
        paid = _times(price, quantity)
        if said == "interest":
            return ActivityLine(kind="interest", asset=code, quantity=paid, **line)
        return ActivityLine(
            kind="dividend", asset=asset, counter=(paid, code), shares=quantity, **line
        )
    raise Unreadable(f"{said[:40]!r} is not known")


def _fee(text: str) -> str:
    """Brokers whose table is taken as it is write what was paid below zero."""
    plain = number(text or "0", ".")
    return negated(plain) if plain.startswith("-") else plain


def _times(price: str, quantity: str) -> str:
    return format(Decimal(price) * Decimal(quantity), "f")
