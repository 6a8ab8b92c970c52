"""Trading 212: every movement, in the account's currency."""

import re
from collections.abc import Iterator
from typing import Any

import attrs

from finora_core.plugins import ActivityLine, ActivityName
from finora_core.portfolio.formats.reading import (
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


class Trading212(Table):
    name = "trading212"
    institution = "trading_212"
    header = ("Action", "Time", "ISIN", "Ticker", "Name")

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
        elif said.startswith("Stock split"):
            raise Unreadable("a split is two lines of one share: enter what came, for nothing")
        else:
            raise Unreadable(f"{said!r} is not known")


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
