"""Interactive Brokers: a Flex query of trades."""

from collections.abc import Iterator

from finora_core.plugins import ActivityLine
from finora_core.portfolio.formats.reading import (
    Row,
    Table,
    Unreadable,
    currency,
    instant,
    money,
    negated,
    number,
    security,
    sized,
)


class IbkrTrades(Table):
    name = "ibkr"
    institution = "interactive_brokers"
    settles = False
    header = ("Buy/Sell", "TradeDate", "ISIN", "Quantity", "TradePrice", "TradeMoney")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        if not row["ISIN"]:
            raise Unreadable("an exchange of currencies that does not say of which")
        sign = {"BUY": 1, "SELL": -1}.get(row["Buy/Sell"])
        if sign is None:
            raise Unreadable(f"{row['Buy/Sell']!r} is not known")
        code = currency(row["CurrencyPrimary"])
        yield ActivityLine(
            place=row.place,
            kind="buy" if sign > 0 else "sell",
            at=instant(row["TradeDate"], "%Y%m%d"),
            asset=security(row["ISIN"]),
            quantity=sized(row["Quantity"], sign, "."),
            price=number(row["TradePrice"], "."),
            quote=code,
            counter=(sized(row["TradeMoney"], -sign, "."), code),
            fee=money(
                negated(number(row["IBCommission"], ".")), currency(row["IBCommissionCurrency"]),
                ".",
            ),
            raw=list(row.values),
        )  # fmt: skip
