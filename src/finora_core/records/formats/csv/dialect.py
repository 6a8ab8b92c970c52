"""How a file is written: encoding, delimiter, quote, what stands before the lines, the header."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import BinaryIO

import attrs

from finora_core.plugins import StatementEmpty, StatementRefused, StatementTooLarge
from finora_core.records.formats.csv import dates, money
from finora_core.records.formats.csv.words import roles_of

HEAD = 65_536
MAX_COLUMNS = 64
MAX_LINE = 1 << 20
MAX_LINES = 10_000_000
MAX_RECORD_LINES = 1000
_CHUNK = 1 << 18
_LOOKED_AT = 300  # rows that decide the delimiter

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|"}
_CANDIDATES = (";", ",", "\t", "|")
_SEP_LINE = re.compile(r'"?sep=(.)"?')
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ENCODINGS = ("utf-8", "utf-16", "cp", "iso8859", "koi8", "mac-", "shift_jis", "gb", "big5", "euc_")

Record = tuple[int, list[str]]
"""The line number a record starts on, and its cells."""


@attrs.frozen(kw_only=True)
class Dialect:
    encoding: str
    delimiter: str
    quote: str = '"'
    skip_space: bool = False
    start: int = 1
    """Line number of the first row of data."""
    names: tuple[str, ...] | None = None
    """The header; None where the file has none."""
    width: int = 0
    least: int = 0
    """Columns a row must have; those after it have no name and were empty so far."""
    preamble: tuple[tuple[str, ...], ...] = ()


@attrs.frozen
class Sample:
    """The rows of data in the first 64 KiB."""

    dialect: Dialect
    rows: list[Record]
    complete: bool
    """Whether these are all there are."""


# --- bytes ---------------------------------------------------------------------------------------


def _bom(head: bytes) -> str | None:
    return next((encoding for bom, encoding in _BOMS.items() if head.startswith(bom)), None)


def survey(file: BinaryIO, named: str | None) -> str:
    """Read the whole file once in bounded memory: its encoding, or why it is no text.

    `cp1252` stands for any one-byte encoding; the header decides which.
    """
    file.seek(0)
    known = _bom(file.read(4)) or {"utf-16": "utf-16-le"}.get(named or "", named)
    decoder = codecs.getincrementaldecoder(known or "utf-8")("replace" if known else "strict")
    wide = known is not None and known.startswith("utf-16")
    encoding, line, held, seen, letters = known or "utf-8", 1, 0, False, False
    file.seek(0)
    while chunk := file.read(_CHUNK):
        seen = True
        if (b"\0" in chunk) if not wide else ("\0" in decoder.decode(chunk)):
            raise StatementRefused.at(_line_of(chunk, line), "holds a NUL; this is no text")
        first, last = chunk.find(b"\n"), max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        if last < 0:
            held += len(chunk)
        else:
            held += min(at for at in (first, chunk.find(b"\r")) if at >= 0)
        if held > MAX_LINE:
            raise StatementTooLarge.at(line, "is longer than 1 MiB")
        if last >= 0:
            held = len(chunk) - last - 1
        line += chunk.count(b"\n") or chunk.count(b"\r")
        if line > MAX_LINES:
            raise StatementTooLarge.at(line, f"{MAX_LINES:,} lines are most")
        if encoding == "utf-8" and not known and not chunk.isascii():
            encoding, letters = _still_utf8(decoder, chunk, letters)
    if not seen:
        raise StatementEmpty("the file is empty")
    return encoding


def _still_utf8(
    decoder: codecs.IncrementalDecoder, chunk: bytes, letters: bool
) -> tuple[str, bool]:
    """Whether it is UTF-8 so far; `letters` that need it have been seen before."""
    try:
        return "utf-8", not decoder.decode(chunk).isascii() or letters
    except UnicodeDecodeError as error:
        # A broken letter after good ones is a broken letter, not another encoding.
        letters = letters or not error.object[: error.start].isascii()
        decoder.reset()
        return "utf-8" if letters else "cp1252", letters


def _line_of(chunk: bytes, line: int) -> int:
    before = chunk[: chunk.find(b"\0")]
    return line + (before.count(b"\n") or before.count(b"\r"))


def encoding_answer(answers: Mapping[str, str]) -> str | None:
    """The encoding the caller names, where it is one of text that we know."""
    if not (name := answers.get("encoding")):
        return None
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        found = ""
    if not found.startswith(_ENCODINGS) or found == "cp65001":
        raise StatementRefused.at("encoding", f"{name[:40]!r} is no text encoding known here")
    return found


# --- records -------------------------------------------------------------------------------------


def _watched(lines: Iterable[str], pending: list[str]) -> Iterator[str]:
    """Hand lines to csv.reader, keeping those of the record it is at. It asks for another line
    while `pending` is not empty only inside a quote."""
    size = 0
    for line in lines:
        size = size + len(line) if pending else 0
        if size > MAX_LINE or len(pending) >= MAX_RECORD_LINES:
            raise _Unclosed
        pending.append(line)
        yield line
    if pending:
        pending.append("")


class _Unclosed(Exception):
    pass


def _well_formed(lines: list[str], dialect: Dialect) -> bool:
    try:
        return len(list(_reader(lines, dialect, strict=True))) == 1
    except csv.Error:
        return False


def _reader(lines: Iterable[str], dialect: Dialect, *, strict: bool = False) -> Iterator[list[str]]:
    return csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        skipinitialspace=dialect.skip_space,
        strict=strict,
    )


def _records(lines: Iterable[str], dialect: Dialect) -> Iterator[tuple[int, list[str] | None]]:
    pending: list[str] = []
    line = 0
    try:
        for row in _reader(_watched(lines, pending), dialect):
            place = line + 1
            if len(pending) == 1:
                line = place
                pending.clear()
                if row:
                    yield place, row
                continue
            # Over several lines only where the quotes are in order: a stray quote would
            # otherwise swallow the lines up to the next one.
            good = _well_formed(pending, dialect)
            line += len(pending) - (not pending[-1])
            pending.clear()
            if good:
                yield place, row
            else:
                yield from ((at, None) for at in range(place, line + 1))
    except _Unclosed:
        raise StatementRefused.at(line + 1, "a quote opens here and is not closed") from None
    except csv.Error as error:
        reason = "a field is too long" if "field limit" in str(error) else str(error)
        raise StatementRefused.at(line + 1, reason) from None


def records(
    file: BinaryIO, dialect: Dialect
) -> Generator[tuple[int, list[str] | None], None, None]:
    """The records from `dialect.start` on with their line numbers; None for a line that belongs
    to a quoted text that does not end as it should."""
    file.seek(0)
    text = io.TextIOWrapper(file, dialect.encoding, errors="replace", newline="")
    try:
        found = _records(text, dialect)
        for place, row in found:
            if place >= dialect.start:
                yield place, row
                break
        yield from found
    finally:
        text.detach()


# --- the dialect of a text -----------------------------------------------------------------------


def is_date(cell: str) -> bool:
    return bool(dates.readings(cell))


def is_number(cell: str) -> bool:
    return bool(money.readings(cell))


def moves_money(row: list[str]) -> bool:
    """Whether a row holds a date and beside it a number: it can be a statement line."""
    days = [is_date(cell) for cell in row]
    return any(days) and any(
        is_number(cell) for cell, day in zip(row, days, strict=True) if not day
    )


_Tried = tuple[Dialect, list[Record], StatementRefused | None]


def _parse(text: str, dialect: Dialect) -> tuple[list[Record], StatementRefused | None]:
    """The rows, as far as they can be read, and what stopped it."""
    found: list[Record] = []
    try:
        for place, row in _records(io.StringIO(text, newline=""), dialect):
            if row is not None and any(cell.strip() for cell in row):
                found.append((place, row))
    except StatementRefused as refused:
        return found, refused
    return found, None


def _modal_width(rows: Iterable[list[str]]) -> int:
    widths = Counter(len(row) for row in rows)
    return max(widths, key=lambda width: (widths[width], width), default=0)


def _score(rows: list[Record]) -> tuple[int, int, int, int]:
    looked = [row for _, row in rows[:_LOOKED_AT] if row]
    width = _modal_width(looked)
    if width > MAX_COLUMNS:
        return 0, 0, sum(len(row) == width for row in looked), width
    fitting = [row for row in looked if len(row) == width > 1]
    known = max((len([1 for cell in row if roles_of(cell)]) for row in looked[:40]), default=0)
    return sum(map(moves_money, fitting)), known if width > 1 else 0, len(fitting), width


def _quote(text: str, delimiter: str) -> str:
    """A single quote where it encloses cells and the double one does not."""
    if '"' in text:
        return '"'
    mark = re.escape(delimiter)
    enclosed = re.findall(rf"(?:^|{mark})'[^'\r\n]*'(?={mark}|\r?$)", text, re.MULTILINE)
    return "'" if len(enclosed) > text.count("\n") else '"'


def _delimiter_answer(answers: Mapping[str, str]) -> str | None:
    answer = answers.get("delimiter")
    if not answer:
        return None
    delimiter = _DELIMITERS.get(answer.lower(), answer)
    if len(delimiter) != 1 or delimiter in "\"'\r\n\0 " or delimiter.isalnum():
        raise StatementRefused.at("delimiter", f"{answer[:20]!r} is no delimiter")
    return delimiter


def _with_delimiter(text: str, encoding: str, delimiter: str) -> _Tried:
    quote = _quote(text, delimiter)
    dialect = Dialect(encoding=encoding, delimiter=delimiter, quote=quote)
    rows, refused = _parse(text, dialect)
    # `a, "b, c"`: some write a blank before each quote, which then is none to csv.
    blank = sum(any(re.match(f" +{quote}", cell) for cell in row) for _, row in rows)
    if blank * 2 > len(rows):
        dialect = attrs.evolve(dialect, skip_space=True)
        rows, refused = _parse(text, dialect)
    return dialect, rows, refused


def _best(text: str, encoding: str, answers: Mapping[str, str]) -> tuple[Dialect, list[Record]]:
    said = _delimiter_answer(answers)
    if said is None and (match := _SEP_LINE.match(text)) and match[1] in _CANDIDATES:
        said = match[1]
    tried = [_with_delimiter(text, encoding, one) for one in ([said] if said else _CANDIDATES)]
    dialect, rows, refused = max(tried, key=lambda one: _score(one[1]))
    if not rows:
        raise refused or StatementEmpty("the file holds no rows")
    return dialect, rows


def _header_answer(answers: Mapping[str, str]) -> int | None:
    answer = answers.get("header")
    if not answer:
        return None
    if not re.fullmatch("[0-9]{1,6}", answer, re.ASCII):
        raise StatementRefused.at("header", f"{answer[:20]!r} is no line number")
    return int(answer)


def _names_columns(row: list[str]) -> int:
    """How many cells are known names of columns; 0 where the row cannot be a header."""
    cells = [cell for cell in row if cell.strip()]
    known = [roles for cell in cells if (roles := roles_of(cell))]
    telling = any(role in roles for roles in known for role in ("date", "amount", "debit"))
    if len(known) < 2 or not telling or any(is_date(cell) for cell in cells):
        return 0
    return len(known)


def _reads_as_names(row: list[str], width: int) -> bool:
    cells = [cell for cell in row if cell.strip()]
    return len(cells) >= max(2, width // 2) and not any(
        is_date(cell) or is_number(cell) or not re.search(r"[^\W\d_]", cell) for cell in cells
    )


def _header(rows: list[Record], width: int, first: int) -> int | None:
    """The index of the header in `rows`; `first` is that of the first row that moves money."""
    scored = [(_names_columns(row), at) for at, (_, row) in enumerate(rows[:first])]
    best = max(scored, default=(0, 0))
    if best[0]:
        return best[1]
    before = first - 1 if first < len(rows) else 0
    if first and _reads_as_names(rows[before][1], width):
        return before
    return None


def _trimmed(row: list[str]) -> list[str]:
    kept = len(row)
    while kept and not row[kept - 1].strip():
        kept -= 1
    return row[:kept]


def _layered(dialect: Dialect, rows: list[Record], answers: Mapping[str, str]) -> Dialect:
    """Add what stands where: preamble, header, data."""
    moving = [row for _, row in rows[:_LOOKED_AT] if moves_money(row)]
    width = _modal_width(moving)
    first = next(
        (at for at, (_, row) in enumerate(rows) if len(row) == width and moves_money(row)),
        len(rows),
    )
    said = _header_answer(answers)
    if said is None:
        header = _header(rows, width, first)
    else:
        header = next((at for at, (place, _) in enumerate(rows) if place == said), None)
        if said and header is None:
            raise StatementRefused.at("header", f"no row starts on line {said}")
    if header is None:
        # With no header the data start at the first row as wide as they are, or like them.
        begin = next(
            (at for at, (_, row) in enumerate(rows) if len(row) == width or moves_money(row)),
            len(rows),
        )
        return _sized(dialect, rows, begin, None, width)
    names = [name.strip() for name in _trimmed(rows[header][1])]
    # A row as wide as the header is right, whatever most rows are.
    as_named = any(len(row) == len(names) and moves_money(row) for _, row in rows[header + 1 :])
    return _sized(dialect, rows, header + 1, names, len(names) if as_named or not width else width)


def _sized(
    dialect: Dialect, rows: list[Record], begin: int, names: list[str] | None, wide: int
) -> Dialect:
    """The dialect with rows of `wide` cells from `rows[begin]` on."""
    header = names or []
    width = max(wide, len(header))
    if width > MAX_COLUMNS:
        place = rows[max(begin - 1, 0)][0]
        raise StatementTooLarge.at(place, f"has {width} columns; {MAX_COLUMNS} is most")
    used = max((len(_trimmed(row)) for _, row in rows[begin:] if len(row) <= width), default=0)
    start = rows[begin][0] if names is None and begin < len(rows) else rows[begin - 1][0] + 1
    return attrs.evolve(
        dialect,
        start=start,
        names=None if names is None else (*header, *[""] * (width - len(header))),
        width=width,
        least=min(wide, max(used, len(header))),
        preamble=tuple(tuple(row) for _, row in rows[: begin if names is None else begin - 1]),
    )


def _written(text: str, encoding: str, answers: Mapping[str, str]) -> tuple[Dialect, list[Record]]:
    dialect, rows = _best(text, encoding, answers)
    return _layered(dialect, rows, answers), rows


def _decoded(head: bytes, encoding: str, cut: bool) -> str:
    text = head.decode(encoding, errors="replace")
    if cut:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    return text


def sample(head: bytes, encoding: str, answers: Mapping[str, str]) -> Sample:
    """Look at the first 64 KiB of a file in `encoding` and say how it is written."""
    cut = len(head) >= HEAD
    text = _decoded(head, encoding, cut)
    if not text.strip():
        raise StatementEmpty("the file holds no text")
    dialect, rows = _written(text, encoding, answers)
    if encoding == "cp1252" and "encoding" not in answers and not text.isascii():
        eastern = _written(_decoded(head, "cp1250", cut), "cp1250", answers)
        if _known_names(eastern[0]) > _known_names(dialect):
            dialect, rows = eastern
    return Sample(dialect, [record for record in rows if record[0] >= dialect.start], not cut)


def _known_names(dialect: Dialect) -> int:
    return sum(bool(roles_of(name)) for name in dialect.names or ())


def encoding_of(head: bytes) -> str:
    """The encoding as far as the first bytes tell."""
    if found := _bom(head):
        return found
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
