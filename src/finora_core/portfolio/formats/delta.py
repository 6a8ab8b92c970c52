"""Delta: an app's own table of coins, shares and money."""

from collections.abc import Iterator
from typing import Any

from finora_core.plugins import ActivityLine, ActivityName
from finora_core.portfolio.formats.reading import (
    Row,
    Table,
    Unreadable,
    coin,
    currency,
    instant,
    money,
    sized,
    symbol,
)


class Delta(Table):
    name = "delta"
    institution = "manual"
    header = ("Date", "Way", "Base amount", "Base currency (name)", "Base type", "Quote amount")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        way = row["Way"]
        asset = _asset(row["Base currency (name)"], row["Base type"])
        quote = _code(row["Quote currency"])
        line: dict[str, Any] = {
            "place": row.place,
            "at": instant(row["Date"]),
            "asset": asset,
            "fee": money(row["Fee amount"], coin(_code(row["Fee currency (name)"])), ".")
            if row["Fee amount"]
            else None,
            "note": row["Notes"],
            "raw": list(row.values),
        }
        amount = row["Base amount"]
        if way in ("BUY", "SELL"):
            sign = 1 if way == "BUY" else -1
            yield ActivityLine(
                kind="buy" if sign > 0 else "sell",
                quantity=sized(amount, sign, "."),
                counter=(sized(row["Quote amount"], -sign, "."), coin(quote)),
                **line,
            )
        elif way == "DIVIDEND":
            paid = (sized(row["Quote amount"], 1, "."), currency(quote))
            yield ActivityLine(kind="dividend", counter=paid, **line)
        elif way == "DEPOSIT":
            # What it calls a deposit from staking is one.
            reward = row["Sent/Received from"] in ("DIVIDENDS", "STAKING", "MINING", "AIRDROP")
            kind: ActivityName = "reward" if reward else "deposit"
            yield ActivityLine(kind=kind, quantity=sized(amount, 1, "."), **line)
        elif way == "WITHDRAW":
            yield ActivityLine(kind="withdraw", quantity=sized(amount, -1, "."), **line)
        else:
            raise Unreadable(f"{way!r} is not known")


def _code(text: str) -> str:
    """`SOL (Solana)` is SOL."""
    return text.split(" (")[0]


def _asset(text: str, kind: str) -> str:
    match kind:
        case "CRYPTO":
            return symbol("crypto", _code(text))
        case "FIAT":
            return currency(_code(text))
        case _:
            return symbol("ticker", _code(text))
