"""Relai: bitcoin bought from, and sold to, a bank account."""

from collections.abc import Iterator

from finora_core.plugins import ActivityLine
from finora_core.portfolio.formats.reading import (
    Row,
    Table,
    Unreadable,
    currency,
    instant,
    money,
    number,
    sized,
)


class Relai(Table):
    name = "relai"
    institution = "relai"
    settles = False
    header = ("Date", "Transaction Type", "BTC Amount", "BTC Price", "Currency Pair")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        sign = {"Buy": 1, "Sell": -1}.get(row["Transaction Type"])
        if sign is None:
            raise Unreadable(f"{row['Transaction Type']!r} is not known")
        code = currency(row["Fiat Currency"])
        yield ActivityLine(
            place=row.place,
            kind="buy" if sign > 0 else "sell",
            at=instant(row["Date"]),
            asset="crypto:BTC",
            quantity=sized(row["BTC Amount"], sign, "."),
            price=number(row["BTC Price"], "."),
            quote=code,
            counter=(sized(row["Fiat Amount (excl. fees)"], -sign, "."), code),
            fee=money(row["Fee"], currency(row["Fee Currency"]), "."),
            external_id=row["Operation ID"] or None,
            raw=list(row.values),
        )
