"""Trading 212: every movement, in the account's currency."""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import attrs

from finora_core.plugins import ActivityLine, ActivityName, FaultyLine
from finora_core.portfolio.formats.reading import (
    Lines,
    Row,
    Table,
    Unreadable,
    added,
    currency,
    instant,
    money,
    negated,
    number,
    security,
    sized,
    whole,
)

_ID = re.compile(r"[A-Z]{3}\d+")
_FEES = ("Currency conversion fee", "Stamp duty reserve tax", "Transaction fee", "Finra fee")
_SPLIT = {"Stock split close": -1, "Stock split open": 1}


class Trading212(Table):
    name = "trading212"
    institution = "trading_212"
    header = ("Action", "Time", "ISIN", "Ticker", "Name")

    def read(self, file: BinaryIO) -> Lines:
        """A split is two lines of one share: what closes the old ones, and what opens the new."""
        closed: dict[str, ActivityLine] = {}
        for line in super().read(file):
            if not isinstance(line, ActivityLine) or line.kind != "split":
                yield line
            elif line.quantity.startswith("-"):
                if line.asset in closed:
                    yield _half(closed[line.asset])
                closed[line.asset] = line
            elif line.asset in closed:
                yield from (closed.pop(line.asset), line)
            else:
                yield _half(line)
        yield from map(_half, closed.values())

    def line(self, row: Row) -> Iterator[ActivityLine]:
        row = _in_place(row)
        said, code = row["Action"], currency(row["Currency (Total)"])
        line: dict[str, Any] = {
            "place": row.place,
            "at": instant(row["Time"]),
            "external_id": row["ID"] or None,
            "note": row["Name"] or row["Notes"],
            "raw": list(row.values),
        }
        total = row["Total"]
        if said in ("Deposit", "Withdrawal"):
            sign = 1 if said == "Deposit" else -1
            kind: ActivityName = "deposit" if sign > 0 else "withdraw"
            yield ActivityLine(kind=kind, asset=code, quantity=sized(total, sign, "."), **line)
        elif said.startswith(("Interest on cash", "Lending interest")):
            yield ActivityLine(kind="interest", asset=code, quantity=number(total, "."), **line)
        elif said.startswith("Dividend"):
            # The tax is in the share's currency: what came is told.
            yield ActivityLine(
                kind="dividend",
                asset=security(row["ISIN"], row["Ticker"]),
                counter=(number(total, "."), code),
                shares=row["No. of shares"] or None,
                **line,
            )
        elif said.endswith((" buy", " sell")):
            yield _trade(row, code, line)
        elif said == "Stock distribution":
            yield ActivityLine(
                kind="buy",
                asset=security(row["ISIN"], row["Ticker"]),
                quantity=sized(row["No. of shares"], 1, "."),
                price="0",
                quote=code,
                **line,
            )
        elif said in ("Transfer out", "Transfer in"):
            sign = 1 if said == "Transfer in" else -1
            yield ActivityLine(
                kind="transfer_in" if sign > 0 else "transfer_out",
                asset=security(row["ISIN"], row["Ticker"]),
                quantity=sized(row["No. of shares"], sign, "."),
                **line,
            )
        elif said in _SPLIT:
            yield ActivityLine(
                kind="split",
                asset=security(row["ISIN"], row["Ticker"]),
                quantity=sized(row["No. of shares"], _SPLIT[said], "."),
                **line,
            )
        else:
            raise Unreadable(f"{said!r} is not known")


def _half(line: ActivityLine) -> FaultyLine:
    return FaultyLine(place=line.place, reason="half of a split: its other line is not in the file")


def _trade(row: Row, code: str, line: dict[str, Any]) -> ActivityLine:
    sign = 1 if row["Action"].endswith(" buy") else -1
    price, quote = whole(
        number(row["Price / share"], "."), currency(row["Currency (Price / share)"])
    )
    fee = added(*(number(row[name] or "0", ".") for name in _FEES))
    made = ActivityLine(
        kind="buy" if sign > 0 else "sell",
        asset=security(row["ISIN"], row["Ticker"]),
        quantity=sized(row["No. of shares"], sign, "."),
        price=price,
        quote=quote,
        **line,
    )
    paid = sized(row["Total"], -sign, ".")
    return attrs.evolve(made, net=(paid, code), fee=money(negated(sized(fee, -1)), code, "."))


def _in_place(row: Row) -> Row:
    """Newer lines have notes and id before the shares, also below an older header."""
    moved = [*row.values[:5], *row.values[7:12], *row.values[12:]]
    if not _ID.fullmatch(row["Price / share"]):
        return row
    names = list(row.cells)
    cells = dict(zip(names, moved, strict=False)) | {"ID": row["Price / share"]}
    return attrs.evolve(row, cells=cells)
