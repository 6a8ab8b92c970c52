"""Trade Republic: the table its app writes today, and the shorter one of before."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from finora_core.plugins import ActivityLine, ActivityName
from finora_core.portfolio.formats.reading import (
    Row,
    Table,
    Unreadable,
    currency,
    header_of,
    instant,
    money,
    negated,
    number,
    security,
    sized,
    symbol,
)

_KINDS: Mapping[str, ActivityName] = {
    "Storting": "deposit", "Deposit": "deposit", "Einzahlung": "deposit",
    "Onttrekking": "withdraw", "Withdrawal": "withdraw", "Removal": "withdraw",
    "Auszahlung": "withdraw", "Entnahme": "withdraw",
    "Aankoop": "buy", "Buy": "buy", "Kauf": "buy",
    "Verkoop": "sell", "Sell": "sell", "Verkauf": "sell",
    "Dividend": "dividend", "Dividende": "dividend",
    "Interest": "interest", "Rente": "interest", "Zinsen": "interest",
}  # fmt: skip


class TradeRepublic(Table):
    """In the account's currency, of which it says nothing: it is always the euro."""

    name = "traderepublic_short"
    institution = "trade_republic"
    delimiter = ";"
    header = ("Datum", "Transactietype", "Waarde (netto)", "Opmerking", "ISIN", "Aantal")
    headers: ClassVar = (
        header,
        ("Date", "Type", "Value", "Note", "ISIN", "Shares"),
        ("Datum", "Typ", "Wert", "Notiz", "ISIN", "Stück"),
    )

    def recognises(self, head: bytes, filename: str) -> int:
        cells = tuple(header_of(head, self.delimiter))
        return 95 if cells[:6] in self.headers else 0

    def line(self, row: Row) -> Iterator[ActivityLine]:
        day, said, value, note, isin, shares, fee, tax, *_ = (*row.values, *[""] * 8)
        kind = _KINDS.get(said.strip())
        if kind is None:
            raise Unreadable(f"{said[:40]!r} is not known")
        line: dict[str, Any] = {"place": row.place, "at": instant(day), "note": note.strip(),
                "raw": list(row.values)}  # fmt: skip
        if kind in ("deposit", "withdraw", "interest"):
            yield ActivityLine(kind=kind, asset="EUR", quantity=number(value), **line)
            return
        paid: dict[str, Any] = {
            "fee": money(negated(number(fee or "0")), "EUR", "."),
            "tax": money(negated(number(tax or "0")), "EUR", "."),
            "net": (number(value), "EUR"),
            "asset": security(isin),
        }
        if kind == "dividend":
            yield ActivityLine(kind="dividend", **paid, **line)
        else:
            quantity = sized(shares, 1 if kind == "buy" else -1)
            yield ActivityLine(kind=kind, quantity=quantity, **paid, **line)


class TradeRepublicExport(Table):
    name = "traderepublic"
    institution = "trade_republic"
    header = ("datetime", "date", "account_type", "category", "type", "asset_class", "name")

    def line(self, row: Row) -> Iterator[ActivityLine]:
        said, code = row["type"], currency(row["currency"])
        fee = money(negated(number(row["fee"] or "0", ".")), code, ".")
        tax = money(negated(number(row["tax"] or "0", ".")), code, ".")
        amount = number(row["amount"] or "0", ".")
        line: dict[str, Any] = {
            "place": row.place,
            "at": instant(row["datetime"]),
            "external_id": row["transaction_id"] or None,
            "note": row["description"],
            "fee": fee,
            "tax": tax,
            "raw": list(row.values),
        }
        if row["category"] == "TRADING" and said in ("BUY", "SELL"):
            sign = 1 if said == "BUY" else -1
            yield ActivityLine(
                kind="buy" if sign > 0 else "sell",
                asset=_asset(row),
                quantity=sized(row["shares"], sign, "."),
                price=number(row["price"], "."),
                quote=code,
                counter=(amount, code),
                **line,
            )
        elif said == "DIVIDEND":
            # A correction takes one back: its amount is below zero, and its tax comes again.
            shares = number(row["shares"], ".") if row["shares"] else None
            yield ActivityLine(
                kind="dividend", asset=_asset(row), counter=(amount, code), shares=shares, **line
            )
        elif said in _CASH:
            kind = _CASH[said]
            if kind in ("transfer_in", "transfer_out"):
                kind = "withdraw" if amount.startswith("-") else "deposit"
            yield ActivityLine(kind=kind, asset=code, quantity=amount, **line)
        else:
            raise Unreadable(f"{said!r} is not known")


_CASH: Mapping[str, ActivityName] = {
    "TRANSFER_IN": "transfer_in", "TRANSFER_OUT": "transfer_out",
    "TRANSFER_INBOUND": "transfer_in", "TRANSFER_OUTBOUND": "transfer_out",
    "CUSTOMER_INPAYMENT": "transfer_in", "CUSTOMER_OUTPAYMENT": "transfer_out",
    "INTEREST_PAYMENT": "interest", "CARD_TRANSACTION": "transfer_out",
}  # fmt: skip


def _asset(row: Row) -> str:
    if row["asset_class"] == "CRYPTO":
        return symbol("crypto", row["symbol"])
    return security(row["symbol"])
