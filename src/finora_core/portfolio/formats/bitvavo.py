"""Bitvavo: every movement, money too."""

from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from finora_core.plugins import ActivityLine, ActivityName
from finora_core.portfolio.formats.reading import (
    Row,
    Table,
    Unreadable,
    coin,
    instant,
    money,
    number,
)

_KINDS: Mapping[str, ActivityName] = {
    "buy": "buy", "sell": "sell", "deposit": "deposit", "withdrawal": "withdraw",
    "staking": "reward", "affiliate": "reward", "rebate": "reward",
}  # fmt: skip


class Bitvavo(Table):
    name = "bitvavo"
    institution = "bitvavo"
    header = ("Timezone", "Date", "Time", "Type", "Currency", "Amount", "Quote Currency")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        if row["Status"] not in ("Completed", "Distributed"):
            raise Unreadable(f"it is {row['Status']!r}, not done")
        kind = _KINDS.get(row["Type"])
        if kind is None:
            raise Unreadable(f"{row['Type']!r} is not known")
        at = instant(f"{row['Date']} {row['Time']}")
        try:
            at = at.replace(tzinfo=ZoneInfo(row["Timezone"]))
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise Unreadable(f"{row['Timezone'][:40]!r} is no time zone") from error
        traded = kind in ("buy", "sell")
        yield ActivityLine(
            place=row.place,
            kind=kind,
            at=at,
            asset=coin(row["Currency"]),
            quantity=number(row["Amount"], "."),
            price=number(row["Quote Price"], ".") if traded else None,
            quote=coin(row["Quote Currency"]) if traded else None,
            net=money(row["Received / Paid Amount"], coin(row["Received / Paid Currency"]), ".")
            if traded
            else None,
            fee=money(row["Fee amount"], coin(row["Fee currency"]), ".")
            if row["Fee amount"]
            else None,
            external_id=row["Transaction ID"] or None,
            raw=list(row.values),
        )
