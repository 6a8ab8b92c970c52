"""XTB's cash operations, in the account's currency, of which the file says nothing."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from finora_core.plugins import ActivityLine, ActivityName
from finora_core.portfolio.formats.reading import (
    Row,
    Table,
    Unreadable,
    instant,
    money,
    negated,
    number,
    sized,
    symbol,
)

_TRADE = re.compile(r"(OPEN|CLOSE) BUY ([0-9.]+)(?:/[0-9.]+)? @ ([0-9.]+)")
_BOUGHT = ("Stocks/ETF purchase", "Ações/ETF compra", "Stock purchase")
_SOLD = ("Stocks/ETF sale", "Ações/ETF vende", "Stock sale")
_MONEY: Mapping[str, ActivityName] = {
    "Deposit": "deposit", "Withdrawal": "withdraw", "Free funds interests": "interest",
    "Free funds interest": "interest", "Free funds interests tax": "tax",
    "Profit/Loss (FX/CFD)": "unknown", "Swap": "fee",
}  # fmt: skip


class Xtb(Table):
    name = "xtb"
    institution = "xtb"
    delimiter = ";"
    header = ("ID", "Type", "Time", "Symbol", "Comment", "Amount")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        said = row["Type"]
        amount = number(row["Amount"], ".")
        line: dict[str, Any] = {
            "place": row.place,
            "at": instant(row["Time"], "%d.%m.%Y %H:%M:%S"),
            "external_id": row["ID"] or None,
            "note": row["Comment"],
            "raw": list(row.values),
        }
        if said in _BOUGHT or said in _SOLD:
            trade = _TRADE.search(row["Comment"])
            if trade is None:
                raise Unreadable("its comment does not say how many")
            sign = 1 if said in _BOUGHT else -1
            # Its price is in the share's currency, which the file does not say.
            yield ActivityLine(
                kind="buy" if sign > 0 else "sell",
                asset=symbol("ticker", row["Symbol"]),
                quantity=sized(trade[2], sign, "."),
                counter=(amount, ""),
                **line,
            )
        elif said in ("Dividend", "Spin off"):
            asset = symbol("ticker", row["Symbol"])
            yield ActivityLine(kind="dividend", asset=asset, counter=(amount, ""), **line)
        elif said == "Withholding tax":
            asset = symbol("ticker", row["Symbol"])
            yield ActivityLine(kind="tax", asset=asset, tax=money(negated(amount), "", "."), **line)
        elif said in _MONEY or said == "Transfer":
            kind: ActivityName = _MONEY.get(said) or (
                "withdraw" if amount.startswith("-") else "deposit"
            )
            if amount.strip("-0."):
                yield ActivityLine(kind=kind, asset="", quantity=amount, **line)
        else:
            raise Unreadable(f"{said!r} is not known")
