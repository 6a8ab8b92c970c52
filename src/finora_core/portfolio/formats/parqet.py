"""Parqet: trades and dividends, in German notation."""

from collections.abc import Iterator
from typing import Any

from finora_core.plugins import ActivityLine, ActivityName
from finora_core.portfolio.formats.reading import (
    Row,
    Table,
    Unreadable,
    currency,
    instant,
    money,
    number,
    security,
    sized,
    symbol,
)


class Parqet(Table):
    name = "parqet"
    institution = "parqet"
    settles = False
    delimiter = ";"
    header = ("datetime", "date", "time", "price", "shares", "amount", "tax", "fee")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        said, code = row["type"], currency(row["currency"])
        crypto = row["assettype"] == "Crypto"
        line: dict[str, Any] = {
            "place": row.place,
            "at": instant(row["datetime"]),
            "asset": symbol("crypto", row["identifier"]) if crypto else security(row["identifier"]),
            "fee": money(row["fee"], code, ","),
            "tax": money(row["tax"], code, ","),
            "note": row["holdingname"],
            "raw": list(row.values),
        }
        if said == "Dividend":
            paid = (number(row["amount"], ","), code)
            shares = number(row["shares"], ",")
            yield ActivityLine(kind="dividend", counter=paid, shares=shares, **line)
        elif said in ("Buy", "Sell"):
            sign = 1 if said == "Buy" else -1
            yield ActivityLine(
                kind="buy" if sign > 0 else "sell",
                quantity=sized(row["shares"], sign, ","),
                price=number(row["price"], ","),
                quote=code,
                counter=(sized(row["amount"], -sign, ","), code),
                **line,
            )
        elif said in ("TransferIn", "TransferOut"):
            sign = 1 if said == "TransferIn" else -1
            kind: ActivityName = "transfer_in" if sign > 0 else "transfer_out"
            yield ActivityLine(kind=kind, quantity=sized(row["shares"], sign, ","), **line)
        else:
            raise Unreadable(f"{said!r} is not known")
