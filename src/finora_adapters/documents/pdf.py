"""PDF files, for people to print and keep. The font comes inside a package and has Latin, Greek and
Cyrillic; what it lacks is shown as a box, and is whole in every other format."""

import logging
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import fontpkg_noto_sans  # type: ignore[import-untyped]  # it has no types
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from finora_core.insights.reports.model import ReportTooLarge
from finora_core.insights.reports.tables import Cell, Document, Table
from finora_core.kernel.amount import Amount

MOST_ROWS = 5_000
_FONT = "Noto Sans"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_HIDDEN = frozenset(
    {
        "id",
        "account_id",
        "booked_on",
        "bank_id",
        "source",
        "level",
        "status",
        "merchant",
        "note",
        "tags",
        "split",
    }
)
"""Columns that are of use to programs only."""
_SHORT = frozenset({"date", "month", "currency", "state", "kind", "converted", "side", "revision"})
_LINE = 5

# It tells of every character that the font lacks.
logging.getLogger("fpdf").setLevel(logging.ERROR)
logging.getLogger("fontTools").setLevel(logging.ERROR)


@cache
def _font() -> Path:
    [upright] = [
        path
        for path in (Path(fontpkg_noto_sans.ROOT) / "files").glob("NotoSans*.ttf")
        if "Italic" not in path.name
    ]
    return upright


class PdfWriter:
    def write(self, document: Document, out: BinaryIO) -> None:
        pdf = _Pages(orientation="landscape", format="A4")
        pdf.set_title(document.title)
        # The same content is the same bytes.
        pdf.set_creation_date(_EPOCH)
        pdf.add_font(_FONT, fname=_font())
        pdf.set_font(_FONT, size=8)
        pdf.add_page()
        pdf.set_font_size(14)
        _say(pdf, document.title, 9)
        pdf.set_font_size(8)
        for name, value in document.facts:
            _say(pdf, f"{name}: {value}", _LINE)
        number = 0
        for table in document.tables:
            number = _table(pdf, table, number)
        out.write(pdf.output())


class _Pages(FPDF):
    def footer(self) -> None:
        self.set_y(-12)
        self.cell(0, 6, str(self.page_no()), align="C")


def _say(pdf: FPDF, text: str, height: int) -> None:
    pdf.cell(0, height, _shown(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _table(pdf: FPDF, table: Table, number: int) -> int:
    columns = [(at, name) for at, name in enumerate(table.columns) if name not in _HIDDEN]
    weights = [1 if name in _SHORT else 2 for _, name in columns]
    part = pdf.epw / sum(weights)
    widths = [part * weight for weight in weights]
    pdf.ln(3)
    pdf.set_font_size(10)
    _say(pdf, table.name, 7)
    pdf.set_font_size(8)
    _row(pdf, [name for _, name in columns], widths, "B")
    for row in table.rows:
        number += 1
        if number > MOST_ROWS:
            raise ReportTooLarge(f"a PDF has at most {MOST_ROWS:,} lines; ask for CSV or XLSX")
        if pdf.will_page_break(_LINE):
            pdf.add_page()
            _row(pdf, [name for _, name in columns], widths, "B")
        _row(pdf, [row[at] for at, _ in columns], widths)
    return number


def _row(pdf: FPDF, cells: list[Any], widths: list[Any], border: Any = 0) -> None:
    for width, cell in zip(widths, cells, strict=True):
        number = isinstance(cell, Amount | int)
        text = _text(cell)
        if number:
            # A sum is never cut: it is written small enough.
            size = pdf.font_size_pt
            while pdf.get_string_width(text) > width - 1 and pdf.font_size_pt > 1:
                pdf.set_font_size(pdf.font_size_pt - 1)
            pdf.cell(width, _LINE, text, border=border, align="R")
            pdf.set_font_size(size)
        else:
            pdf.cell(width, _LINE, _fit(pdf, text, width), border=border)
    pdf.ln(_LINE)


def _text(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case Amount():
            return cell.text
        case date():
            return cell.isoformat()
    return _shown(str(cell))


def _shown(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _fit(pdf: FPDF, text: str, width: Any) -> str:
    """Text cut to its column, and marked as cut."""
    room = width - 2
    if pdf.get_string_width(text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if pdf.get_string_width(f"{text[:middle]}…") <= room:
            low = middle
        else:
            high = middle - 1
    return f"{text[:low]}…"
