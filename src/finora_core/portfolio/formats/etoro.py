"""eToro's account activity, in US dollars. A contract for difference is no holding."""

from collections.abc import Iterator, Mapping
from typing import Any

from finora_core.plugins import ActivityLine, ActivityName
from finora_core.portfolio.formats.reading import (
    Row,
    Table,
    Unreadable,
    instant,
    number,
    sized,
    symbol,
)

_MONEY: Mapping[str, ActivityName] = {
    "Interest Payment": "interest", "Withdraw Fee": "fee", "Withdrawal Conversion Fee": "fee",
    "Overnight fee": "fee", "Overnight refund": "fee", "Withdraw Request": "withdraw",
    "Deposit": "deposit", "SDRT": "tax",
}  # fmt: skip


class Etoro(Table):
    name = "etoro"
    institution = "etoro"
    header = ("Date", "Type", "Details", "Amount", "Units", "Realized Equity Change")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        said, amount = row["Type"], number(row["Amount"])
        line: dict[str, Any] = {
            "place": row.place,
            "at": instant(row["Date"], "%d/%m/%Y %H:%M:%S"),
            "note": f"{said} {row['Details'].strip('-')}".strip(),
            "raw": list(row.values),
        }
        if said in _MONEY:
            if amount.strip("-0."):
                kind = _MONEY[said]
                yield ActivityLine(kind=kind, asset="USD", quantity=amount, **line)
            return
        if said not in ("Dividend", "Open Position", "Position closed"):
            raise Unreadable(f"{said!r} is not known")
        asset = symbol("ticker", row["Details"].split("/")[0])
        if said == "Dividend":
            yield ActivityLine(kind="dividend", asset=asset, counter=(amount, "USD"), **line)
            return
        if row["Asset type"] == "CFD":
            raise Unreadable("a contract for difference is no holding")
        sign = 1 if said == "Open Position" else -1
        yield ActivityLine(
            kind="buy" if sign > 0 else "sell",
            asset=asset,
            quantity=sized(row["Units"], sign, "."),
            counter=(sized(row["Amount"], -sign), "USD"),
            **line,
        )
