"""Coinbase: what became of coins; money is told of only as what they cost."""

import re
from collections.abc import Iterator
from typing import Any

from finora_core.plugins import ActivityLine
from finora_core.portfolio.formats.reading import (
    Row,
    Table,
    Unreadable,
    coin,
    currency,
    instant,
    money,
    number,
    sized,
)

_CONVERTED = re.compile(r"Converted ([0-9.,]+) (\S+) to ([0-9.,]+) (\S+)")
_REWARDS = ("Staking Income", "Rewards Income", "Learning Reward", "Inflation Reward")


class Coinbase(Table):
    name = "coinbase"
    institution = "coinbase"
    settles = False
    header = ("ID", "Timestamp", "Transaction Type", "Asset", "Quantity Transacted")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        said, asset = row["Transaction Type"], coin(row["Asset"])
        shape: dict[str, Any] = {
            "place": row.place,
            "at": instant(row["Timestamp"], "%Y-%m-%d %H:%M:%S %Z"),
            "asset": asset,
            "external_id": row["ID"] or None,
            "note": row["Notes"],
            "raw": list(row.values),
        }
        price: dict[str, Any] = {
            "price": number(row["Price at Transaction"], "."),
            "quote": currency(row["Price Currency"]),
        }
        amount = row["Quantity Transacted"]
        if said in _REWARDS:
            yield ActivityLine(kind="reward", quantity=sized(amount, 1, "."), **price, **shape)
        elif said == "Send":
            yield ActivityLine(kind="transfer_out", quantity=sized(amount, -1, "."), **shape)
        elif said == "Receive":
            yield ActivityLine(kind="transfer_in", quantity=sized(amount, 1, "."), **shape)
        elif said in ("Buy", "Sell", "Advanced Trade Buy", "Advanced Trade Sell"):
            sign = 1 if said.endswith("Buy") else -1
            yield ActivityLine(
                kind="buy" if sign > 0 else "sell",
                quantity=sized(amount, sign, "."),
                counter=(sized(row["Subtotal"], -sign, "."), price["quote"]),
                fee=money(row["Fees and/or Spread"], price["quote"], "."),
                **price,
                **shape,
            )
        elif said == "Convert" and (found := _CONVERTED.search(row["Notes"])):
            # Its price is of the sold coin in money that was never there.
            yield ActivityLine(
                kind="swap_out",
                quantity=sized(found[1], -1, "."),
                counter=(number(found[3], "."), coin(found[4])),
                **price,
                **shape,
            )
        else:
            raise Unreadable(f"{said!r} is not known")
