"""Reports as tables, which every format writes in its own way; and the two that need nothing but
text. A cell holds text, a number, a day or money, and never a formula."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import attrs

from finora_core.insights.reports.model import CashFlow, ProfitLoss, SheetReport
from finora_core.insights.wallet.model import Flows
from finora_core.kernel.amount import Amount
from finora_core.ledger.model import Account, Balance, StatementRow
from finora_core.market.rates.model import Rate
from finora_core.records.exported.model import RECORD_COLUMNS, guarded
from finora_core.records.model import Record

Cell = str | int | date | Amount | None
Row = Sequence[Cell]


@attrs.frozen
class Table:
    """`rows` can be read once."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Row]


@attrs.frozen
class Document:
    title: str
    facts: Sequence[tuple[str, str]]
    """What the report is of, and what it lacks."""
    tables: Sequence[Table]


# --- what each kind has in it ---


def _flows(flows: Flows) -> tuple[Cell, ...]:
    return flows.income, flows.expense, flows.net


def profit_and_loss(report: ProfitLoss) -> Document:
    """`month` is empty in a line of the whole period, `category` in the sum of all."""

    def rows() -> Iterator[Row]:
        for result, base in (*((each, "no") for each in report.assets), (report.in_base, "yes")):
            code = result.asset.id
            yield code, base, "", 0, None, *_flows(result.total)
            for month, flows in zip(report.months, result.months, strict=True):
                yield code, base, "", 0, month, *_flows(flows)
            for line in result.lines:
                path = line.path or "(none)"
                yield code, base, path, line.level, None, *_flows(line.total)
                for month, flows in zip(report.months, line.months, strict=True):
                    if flows.income or flows.expense:
                        yield code, base, path, line.level, month, *_flows(flows)

    other = [
        (each.asset.id, each.transfers, each.openings, each.exchanges, each.change)
        for each in report.assets
    ]
    waiting = [
        (each.asset.id, each.records, each.income, each.expense) for each in report.unapproved
    ]
    columns = ("currency", "converted", "category", "level", "month", "income", "expense", "net")
    return Document(
        "Profit and loss",
        _facts(report.since, report.until, report.closing, report.in_base.gap),
        (
            Table("profit and loss", columns, rows()),
            Table(
                "not income or expense",
                ("currency", "transfers", "openings", "exchanges", "change"),
                other,
            ),
            Table("not approved", ("currency", "records", "income", "expense"), waiting),
            _rates(report.in_base.rates),
        ),
    )


def balance_sheet(report: SheetReport) -> Document:
    sheet = report.sheet
    sides = (("assets", sheet.assets), ("liabilities", sheet.liabilities), ("equity", sheet.equity))
    rows = [
        (side, line.account.name, line.account.kind.value, line.amount, line.amount.asset.id)
        for side, lines in sides
        for line in lines
    ]
    base = report.in_base
    sums = [
        (name, amount, amount.asset.id)
        for name, amount in (
            ("assets", base.assets.total),
            ("liabilities", base.liabilities.total),
            ("net worth", base.net_worth),
        )
    ]
    return Document(
        "Balance sheet",
        _facts(None, report.on, report.closing, base.gap),
        (
            Table("balance sheet", ("side", "account", "kind", "amount", "currency"), rows),
            Table("converted", ("side", "amount", "currency"), sums),
            _rates(base.rates),
        ),
    )


def cash_flow(report: CashFlow) -> Document:
    columns = (
        "currency", "account", "opening", "income", "expense", "transfers", "openings",
        "exchanges", "closing",
    )  # fmt: skip
    rows = [
        (each.closing.asset.id, each.account, each.opening, each.income, each.expense,
         each.transfers, each.openings, each.exchanges, each.closing)
        for each in report.lines
    ]  # fmt: skip
    base = report.in_base
    whole = [(base.closing.asset.id, base.opening, base.income, base.expense, base.other,
              base.revaluation, base.closing)]  # fmt: skip
    names = ("currency", "opening", "income", "expense", "other", "revaluation", "closing")
    return Document(
        "Cash flow",
        _facts(report.since, report.until, report.closing, base.gap),
        (
            Table("cash flow", columns, rows),
            Table("converted", names, whole),
            _rates(base.rates),
        ),
    )


def records(
    found: Iterable[tuple[Record, date | None]], since: date | None, until: date | None
) -> Document:
    """The columns that `records/formats/finora.py` reads again."""
    rows = (
        (str(each.id), each.on_date, booked, each.account, str(each.account_id), each.amount,
         each.amount.asset.id, each.description, each.counterparty, each.category,
         each.status.value, each.bank_state.value, each.bank_id, each.source,
         each.merchant, each.note, ",".join(each.tags), split_of(each))
        for each, booked in found
    )  # fmt: skip
    table = Table("records", RECORD_COLUMNS, rows)
    return Document("Records", _facts(since, until, None, None), (table,))


def split_of(record: Record) -> str:
    """`Food=-7.00; Fun=-3.00`; empty where it is one category's."""
    return "; ".join(f"{part.category}={part.amount.text}" for part in record.parts)


def statement(
    account: Account,
    rows: Iterable[StatementRow],
    since: date | None,
    until: date | None,
) -> Document:
    lines = (
        (each.on_date, each.cause, each.reference, each.amount, each.balance, each.amount.asset.id)
        for each in rows
    )
    columns = ("date", "what", "reference", "amount", "balance", "currency")
    facts = (("account", account.name), *_facts(since, until, None, None))
    return Document("Statement of account", facts, (Table("statement", columns, lines),))


def books(
    accounts: Iterable[Account],
    balances: Iterable[Balance],
    found: Iterable[tuple[Record, date | None]],
) -> Document:
    opened = [(str(each.id), each.name, each.kind.value, each.asset or "") for each in accounts]
    held = [
        (str(each.account.id), each.account.name, each.amount, each.held, each.available,
         each.amount.asset.id)
        for each in balances
    ]  # fmt: skip
    return Document(
        "Books",
        (),
        (
            Table("accounts", ("id", "name", "kind", "currency"), opened),
            Table(
                "balances",
                ("account_id", "account", "amount", "held", "available", "currency"),
                held,
            ),
            records(found, None, None).tables[0],
        ),
    )


def _rates(rates: Iterable[Rate]) -> Table:
    rows = [
        (each.on_date, each.base, each.quote, format(each.value, "f"), each.source, each.revision)
        for each in rates
    ]
    return Table("rates", ("date", "base", "quote", "value", "source", "revision"), rows)


def _facts(
    since: date | None, until: date | None, closing: int | None, gap: str | None
) -> tuple[tuple[str, str], ...]:
    said = (("since", since), ("until", until), ("as of closing", closing), ("not converted", gap))
    return tuple((name, str(value)) for name, value in said if value is not None)


# --- CSV and JSON ---


@attrs.frozen
class CsvWriter:
    """One table is a CSV file; several are a ZIP file of one each."""

    def write(self, document: Document, out: BinaryIO) -> None:
        if len(document.tables) == 1:
            self._table(document.tables[0], out)
            return
        with ZipFile(out, "w", ZIP_DEFLATED) as archive:
            for table in document.tables:
                # The same content is the same bytes.
                entry = ZipInfo(f"{table.name.replace(' ', '-')}.csv", (1980, 1, 1, 0, 0, 0))
                entry.compress_type = ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as file:
                    self._table(table, file)

    def _table(self, table: Table, out: object) -> None:
        text = io.TextIOWrapper(out, "utf-8", newline="")  # type: ignore[type-var]  # writable bytes
        written = csv.writer(text, quoting=csv.QUOTE_ALL)
        written.writerow(table.columns)
        for row in table.rows:
            written.writerow([csv_cell(cell) for cell in row])
        text.flush()
        text.detach()


def csv_cell(cell: Cell) -> str:
    """Money and days are not text: a minus before digits is one."""
    match cell:
        case None:
            return ""
        case Amount():
            return cell.text
        case date():
            return cell.isoformat()
        case int():
            return str(cell)
    return guarded(cell)


@attrs.frozen
class JsonWriter:
    """Every value as the API has it, streamed."""

    def write(self, document: Document, out: BinaryIO) -> None:
        def put(text: str) -> None:
            out.write(text.encode("utf-8", "backslashreplace"))

        head: Mapping[str, object] = {"title": document.title, "facts": dict(document.facts)}
        put(json.dumps(head, ensure_ascii=False)[:-1] + ', "tables": {')
        for number, table in enumerate(document.tables):
            put(f"{', ' if number else ''}{json.dumps(table.name)}: [")
            for at, row in enumerate(table.rows):
                cells = {name: _plain(cell) for name, cell in zip(table.columns, row, strict=True)}
                put((",\n" if at else "\n") + json.dumps(cells, ensure_ascii=False))
            put("]")
        put("}}\n")


def _plain(cell: Cell) -> object:
    if isinstance(cell, Amount):
        return {"amount": cell.text, "asset": cell.asset.id}
    return cell.isoformat() if isinstance(cell, date) else cell
