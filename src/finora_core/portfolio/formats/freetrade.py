"""Freetrade: every movement, in the account's currency."""

from collections.abc import Iterator
from typing import Any

from finora_core.plugins import ActivityLine, ActivityName
from finora_core.portfolio.formats.reading import (
    Row,
    Table,
    Unreadable,
    added,
    currency,
    instant,
    money,
    number,
    security,
    sized,
)


class Freetrade(Table):
    name = "freetrade"
    institution = "freetrade"
    header = ("Title", "Type", "Timestamp", "Account Currency", "Total Amount", "Buy / Sell")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        said = row["Type"]
        if said in ("MONTHLY_STATEMENT", "TAX_CERTIFICATE"):
            return
        code = currency(row["Account Currency"])
        line: dict[str, Any] = {
            "place": row.place,
            "at": instant(row["Timestamp"]),
            "external_id": row["Order ID"] or None,
            "note": row["Title"],
            "raw": list(row.values),
        }
        total = row["Total Amount"]
        if said in ("TOP_UP", "INTEREST_FROM_CASH"):
            kind: ActivityName = "deposit" if said == "TOP_UP" else "interest"
            yield ActivityLine(kind=kind, asset=code, quantity=sized(total, 1, "."), **line)
        elif said == "WITHDRAWAL":
            yield ActivityLine(kind="withdraw", asset=code, quantity=sized(total, -1, "."), **line)
        elif said in ("DIVIDEND", "PROPERTY"):
            # The tax is in the share's currency: what came is told.
            yield ActivityLine(
                kind="dividend",
                asset=security(row["ISIN"], row["Ticker"]),
                counter=(number(total, "."), code),
                shares=row["Quantity"] or None,
                **line,
            )
        elif said in ("ORDER", "FREESHARE_ORDER"):
            yield self._order(row, code, line)
        else:
            raise Unreadable(f"{said!r} is not known")

    def _order(self, row: Row, code: str, line: dict[str, Any]) -> ActivityLine:
        sign = 1 if row["Buy / Sell"] == "BUY" else -1
        free = row["Type"] == "FREESHARE_ORDER"
        fee = added(*(number(row[name] or "0", ".") for name in ("Stamp Duty", "FX Fee Amount")))
        shape: dict[str, Any] = {
            "asset": security(row["ISIN"], row["Ticker"]),
            "quantity": sized(row["Quantity"], sign, "."),
            "price": number(row["Price per Share in Account Currency"], "."),
            "quote": code,
        }
        if free:
            # Worth what it says, and nobody paid.
            return ActivityLine(kind="airdrop", **shape, **line)
        return ActivityLine(
            kind="buy" if sign > 0 else "sell",
            net=(sized(row["Total Amount"], -sign, "."), code),
            fee=money(fee, code, "."),
            **shape,
            **line,
        )
