"""Workbooks. Text is written as text, whatever it begins with: no cell is ever a formula."""

from datetime import date
from typing import Any, BinaryIO

import xlsxwriter  # type: ignore[import-untyped]  # it has no types

from finora_core.insights.reports.model import ReportTooLarge
from finora_core.insights.reports.tables import Cell, Document, Table
from finora_core.kernel.amount import Amount

MOST_ROWS = 1_048_575
"""What a sheet has, without its heading."""
_EXACT_DIGITS = 15
"""A spreadsheet computes with so many; a longer amount is written as text, so that none is lost."""
_LONGEST = 32_767


class XlsxWriter:
    def write(self, document: Document, out: BinaryIO) -> None:
        # Rows go to disk as they come. Nothing is guessed: no formula, no link, no number.
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        with xlsxwriter.Workbook(out, options) as book:
            book.set_properties({"title": document.title, "author": "Finora"})
            head = book.add_format({"bold": True, "bottom": 1})
            day = book.add_format({"num_format": "yyyy-mm-dd"})
            formats: dict[int, Any] = {}
            if document.facts:
                facts = Table("about", ("what", "value"), document.facts)
                self._sheet(book, facts, head, day, formats)
            for table in document.tables:
                self._sheet(book, table, head, day, formats)

    def _sheet(self, book: Any, table: Table, head: Any, day: Any, formats: dict[int, Any]) -> None:
        sheet = book.add_worksheet(table.name[:31])
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(table.columns) - 1, 16)
        for column, name in enumerate(table.columns):
            sheet.write_string(0, column, name, head)
        for number, row in enumerate(table.rows, start=1):
            if number > MOST_ROWS:
                raise ReportTooLarge(f"a sheet has at most {MOST_ROWS:,} lines")
            for column, cell in enumerate(row):
                self._cell(sheet, number, column, cell, book, day, formats)

    def _cell(
        self,
        sheet: Any,
        row: int,
        column: int,
        cell: Cell,
        book: Any,
        day: Any,
        formats: dict[int, Any],
    ) -> None:
        match cell:
            case None:
                return
            case Amount():
                if len(str(abs(cell.units))) > _EXACT_DIGITS:
                    sheet.write_string(row, column, cell.text)
                    return
                scale = cell.asset.scale
                if scale not in formats:
                    places = f"#,##0.{'0' * scale}" if scale else "#,##0"
                    formats[scale] = book.add_format({"num_format": places})
                sheet.write_number(row, column, cell.decimal, formats[scale])
            case date():
                # The calendar of a sheet begins in 1900.
                if cell.year < 1901:
                    sheet.write_string(row, column, cell.isoformat())
                else:
                    sheet.write_datetime(row, column, cell, day)
            case int():
                sheet.write_number(row, column, cell)
            case str():
                sheet.write_string(row, column, _clean(cell)[:_LONGEST])


def _clean(text: str) -> str:
    """XML has no place for most controls, nor for half characters."""
    kept = "".join(sign for sign in text if sign >= " " or sign in "\t\n")
    return kept.encode("utf-8", "replace").decode()
