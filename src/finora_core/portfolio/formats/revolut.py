"""Revolut: its table of coins, and its table of shares."""

from collections.abc import Iterator
from typing import Any

from finora_core.plugins import ActivityLine, ActivityName
from finora_core.portfolio.formats.reading import (
    Row,
    Table,
    Unreadable,
    currency,
    instant,
    number,
    signed_money,
    sized,
    symbol,
)


class RevolutCrypto(Table):
    name = "revolut_crypto"
    institution = "revolut"
    settles = False
    header = ("Symbol", "Type", "Quantity", "Price", "Value", "Fees", "Date")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        said = row["Type"]
        if said in ("Stake", "Unstake"):
            return
        line: dict[str, Any] = {
            "place": row.place,
            "at": instant(row["Date"], "%b %d, %Y, %I:%M:%S %p"),
            "asset": symbol("crypto", row["Symbol"]),
            "raw": list(row.values),
        }
        amount = row["Quantity"]
        if said in ("Buy", "Sell"):
            sign = 1 if said == "Buy" else -1
            price, quote = signed_money(row["Price"])
            value, code = signed_money(row["Value"])
            fee = signed_money(row["Fees"])
            yield ActivityLine(
                kind="buy" if sign > 0 else "sell",
                quantity=sized(amount, sign, "."),
                price=price,
                quote=quote,
                counter=(sized(value, -sign, "."), code),
                fee=fee if fee[0].strip("0.") else None,
                **line,
            )
        elif said in ("Send", "Receive"):
            sign = 1 if said == "Receive" else -1
            kind: ActivityName = "transfer_in" if sign > 0 else "transfer_out"
            yield ActivityLine(kind=kind, quantity=sized(amount, sign, "."), **line)
        elif said in ("Staking reward", "Learn reward"):
            yield ActivityLine(kind="reward", quantity=sized(amount, 1, "."), **line)
        else:
            raise Unreadable(f"{said!r} is not known")


class RevolutInvest(Table):
    name = "revolut_invest"
    institution = "revolut"
    header = ("Date", "Ticker", "Type", "Quantity", "Price per share", "Total Amount", "Currency")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        said, code = row["Type"], currency(row["Currency"])
        if said.startswith("TRANSFER FROM REVOLUT"):
            # From one firm of theirs to another: it is the same account.
            return
        line: dict[str, Any] = {"place": row.place, "at": instant(row["Date"]), "note": said,
                "raw": list(row.values)}  # fmt: skip
        total = row["Total Amount"]
        if said in ("CASH TOP-UP", "CASH WITHDRAWAL"):
            sign = 1 if said == "CASH TOP-UP" else -1
            kind: ActivityName = "deposit" if sign > 0 else "withdraw"
            yield ActivityLine(kind=kind, asset=code, quantity=sized(total, sign, "."), **line)
        elif said == "CUSTODY FEE":
            yield ActivityLine(kind="fee", asset=code, quantity=number(total, "."), **line)
        elif said.startswith(("BUY", "SELL")):
            sign = 1 if said.startswith("BUY") else -1
            yield ActivityLine(
                kind="buy" if sign > 0 else "sell",
                asset=symbol("ticker", row["Ticker"]),
                quantity=sized(row["Quantity"], sign),
                price=number(row["Price per share"], "."),
                quote=code,
                counter=(sized(total, -sign, "."), code),
                **line,
            )
        elif said.startswith("DIVIDEND"):
            asset = symbol("ticker", row["Ticker"])
            paid = (number(total, "."), code)
            yield ActivityLine(kind="dividend", asset=asset, counter=paid, **line)
        elif said == "STOCK SPLIT":
            asset = symbol("ticker", row["Ticker"])
            yield ActivityLine(kind="split", asset=asset, quantity=number(row["Quantity"]), **line)
        else:
            raise Unreadable(f"{said!r} is not known")
