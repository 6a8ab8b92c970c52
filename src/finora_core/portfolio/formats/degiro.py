"""DEGIRO's account statement, in the languages it is written in: trades, dividends, fees. What
only sweeps and exchanges money between its own pockets moves no holding."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import attrs

from finora_core.plugins import ActivityLine, FaultyLine
from finora_core.portfolio.formats.reading import (
    Lines,
    Row,
    Table,
    Unreadable,
    added,
    header_of,
    instant,
    negated,
    number,
    rows_of,
    security,
    sized,
    whole,
)

_TRADE = re.compile(
    r"\b(?P<way>Koop|Verkoop|Buy|Sell|Compra|Venta|Venda|Achat|Vente|Kauf|Verkauf|Acquisto|Vendita)"
    r" (?P<quantity>[\d.,\s]+?) .*?@ ?(?P<price>[\d.,]+) (?P<quote>[A-Za-z]{3})"
)
_SOLD = ("Verkoop", "Sell", "Venta", "Venda", "Vente", "Verkauf", "Vendita")
_FEE = re.compile(
    r"transactiekosten|courtage|transaction (?:and/or|fee)|comissões|comisiones|"
    r"transaktionsgebühr|commissioni",
    re.I,
)
_DIVIDEND = re.compile(r"^divid[a-z]*$", re.I)
_TAX = re.compile(r"dividendbelasting|impôts sur dividende|dividend tax|retención|quellensteuer|"
                  r"imposto", re.I)  # fmt: skip
_COST = re.compile(r"aansluitingskosten|connection fee|corporate action kosten|exchange fee", re.I)
_SAME = ("PRODUCTWIJZIGING", "PRODUCT CHANGE", "Conversion Fonds")


class Degiro(Table):
    name = "degiro"
    institution = "degiro"
    settles = False
    header = ("Datum", "Tijd", "Valutadatum", "Product", "ISIN", "Omschrijving")

    def recognises(self, head: bytes, filename: str) -> int:
        cells = header_of(head, self.delimiter)
        return 95 if len(cells) == 12 and cells[4] == "ISIN" and cells[8] == cells[10] == "" else 0

    def read(self, file: BinaryIO) -> Lines:
        """A trade's fee and a dividend's tax are lines of their own: they are told with it."""
        rows = list(rows_of(file, self.delimiter))
        beside = _beside(rows)
        for row in rows:
            try:
                yield from _line(row, beside)
            except Unreadable as error:
                yield FaultyLine(place=row.place, reason=str(error))


_Beside = dict[tuple[str, ...], list[tuple[str, str]]]


def _said(row: Row) -> str:
    return row.values[5].strip() if len(row.values) > 5 else ""


def _moved(row: Row) -> tuple[str, str]:
    """Amount and currency, which stand in the eighth column and the one without a name."""
    return row.values[8].strip(), row.values[7].strip()


def _order(row: Row) -> tuple[str, ...]:
    # The end of an order's id may stand in a line of its own.
    return ("order", row.values[4].strip(), row.values[11].strip()[:23])


def _event(row: Row) -> tuple[str, ...]:
    return ("dividend", row.values[4].strip(), row.values[2].strip(), _moved(row)[1])


def _beside(rows: list[Row]) -> _Beside:
    found: _Beside = {}
    for row in rows:
        if len(row.values) < 12 or not row.values[8].strip():
            continue
        amount, code = _moved(row)
        if _FEE.search(_said(row)) and row.values[11].strip():
            found.setdefault(_order(row), []).append((negated(number(amount)), code))
        elif _TAX.search(_said(row)):
            found.setdefault(_event(row), []).append((negated(number(amount)), code))
    return found


def _line(row: Row, beside: _Beside) -> Iterator[ActivityLine]:
    said = _said(row)
    if len(row.values) < 12:
        raise Unreadable("fewer than 12 columns")
    if any(word in said for word in _SAME) or not row.values[0].strip():
        return
    trade = _TRADE.search(said)
    cost = _COST.search(said)
    dividend = _DIVIDEND.search(said) and not _TAX.search(said)
    if not (trade or cost or dividend):
        return
    day = f"{row.values[0].strip()} {row.values[1].strip()}"
    isin = row.values[4].strip()
    line = ActivityLine(
        place=row.place,
        kind="fee",
        at=instant(day, "%d-%m-%Y %H:%M"),
        asset=row.values[7].strip(),
        note=said,
        raw=list(row.values),
    )
    amount, code = _moved(row)
    if trade:
        yield _trade(line, trade, isin, beside.pop(_order(row), []))
    elif dividend:
        taxes = beside.pop(_event(row), [])
        taken = added(*(each for each, _ in taxes))
        yield attrs.evolve(
            line,
            kind="dividend",
            asset=security(isin),
            counter=(number(amount), code),
            tax=(taken, code) if taken.strip("-0.") else None,
        )
    else:
        yield attrs.evolve(line, quantity=number(amount))


def _trade(
    line: ActivityLine, trade: re.Match[str], isin: str, fees: list[tuple[str, str]]
) -> ActivityLine:
    sign = -1 if trade["way"] in _SOLD else 1
    price, quote = whole(number(trade["price"], ","), trade["quote"])
    fee = added(*(each for each, _ in fees))
    return attrs.evolve(
        line,
        kind="sell" if sign < 0 else "buy",
        asset=security(isin),
        quantity=sized(trade["quantity"], sign, ","),
        price=price,
        quote=quote,
        fee=(fee, fees[0][1]) if fees and fee.strip("-0.") else None,
        external_id=None,
    )
