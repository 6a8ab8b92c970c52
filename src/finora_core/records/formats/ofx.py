"""OFX 1 (SGML), OFX 2 (XML) and QFX: one tolerant reader, strict about what is money.

Banks leave out closing tags, reorder elements and bend both grammars, so this is no SGML and no XML
parser. Three generators, each linear in the file and bounded in memory: tags, parts (a
transaction, a balance, an account, ...), statement items.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import BinaryIO, ClassVar, Literal

import attrs

from finora_core.plugins import (
    FaultyLine,
    StatementAccount,
    StatementBalance,
    StatementEmpty,
    StatementItem,
    StatementLine,
    StatementRefused,
    StatementTooLarge,
)
from finora_core.records.formats.numbers import BadNumber, plain_number
from finora_core.text_files import open_text, text_of_head

# Limits, each far above what a bank writes.
_LONGEST_VALUE = 1 << 13
_DEEPEST = 30
_MOST_TAGS = 512
_MOST_IDLE_TAGS = 500_000
_MOST_COMMENT = 1 << 20
_MOST_STATEMENTS = 10_000
_MOST_ERRORS = 100
_MOST_FAULTS = 10_000

_STATEMENTS: Mapping[str, Literal["asset", "liability"]] = {
    "STMTRS": "asset",
    "CCSTMTRS": "liability",
    "INVSTMTRS": "asset",
}
_ACCOUNTS = {"BANKACCTFROM", "CCACCTFROM", "INVACCTFROM"}
_HEAD = _ACCOUNTS | {"CURDEF"}
_TRANSACTIONS = {"STMTTRN", "STMTTRNP"}
_PARTS = _ACCOUNTS | _TRANSACTIONS | {"LEDGERBAL", "AVAILBAL", "STATUS"}
_LISTS = {"BANKTRANLIST", "BANKTRANLISTP", "INVTRANLIST", "INVBANKTRAN"}
_ENVELOPES = {
    "OFX", "SIGNONMSGSRSV1", "SONRS", "BANKMSGSRSV1", "STMTTRNRS", "CREDITCARDMSGSRSV1",
    "CCSTMTTRNRS", "INVSTMTMSGSRSV1", "INVSTMTTRNRS",
}  # fmt: skip
# These hold elements and never text, and their beginning ends a part that was left open.
_STRUCTURE = _PARTS | _LISTS | _ENVELOPES | set(_STATEMENTS)
# These hold elements inside a part, unless a bank wrote text into them.
_NESTED = {"PAYEE", "CURRENCY", "ORIGCURRENCY", "BANKACCTTO", "CCACCTTO"}


@attrs.frozen
class OfxStatements:
    """Statements in OFX or QFX files: bank, card, and the cash side of an investment account."""

    name: ClassVar[str] = "ofx"

    def recognises(self, head: bytes, filename: str) -> int:
        """Sure where the file begins as OFX does; a file name alone is a weak hint."""
        text = text_of_head(head)
        if re.search(r"<\?OFX\s|\bOFXHEADER\s*:", text):
            return 100
        if re.search(r"<OFX\b[^<>]{0,200}>", text, re.IGNORECASE):
            return 95
        return 30 if filename.lower().endswith((".ofx", ".qfx")) else 0

    def layout(self, head: bytes) -> str | None:
        """None: OFX needs no answers."""
        return None

    def read(self, file: BinaryIO, answers: Mapping[str, str]) -> Iterator[StatementItem]:
        """See StatementFormat. A file that ends before `</OFX>` is cut off and refused."""
        faults = 0
        for item in _items(file):
            if isinstance(item, FaultyLine):
                faults += 1
                if faults > _MOST_FAULTS:
                    raise StatementRefused.at(
                        item.place, f"more than {_MOST_FAULTS:,} lines cannot be read"
                    )
            yield item


# --- tags ----------------------------------------------------------------------------------------


_Tag = tuple[int, str, bool, str]
"""Place, name, whether it closes, and the text between it and the next tag."""

# Possessive quantifiers: no text makes these patterns slow. A `<` that begins none of this is text,
# since banks write `A < B` into memos.
_MARKUP = re.compile(
    r"<!--|<!\[CDATA\[|<\?|<!(?i:DOCTYPE|ELEMENT|ENTITY|ATTLIST|NOTATION|\[)"
    r"|<(?P<closing>/?)(?P<name>[A-Za-z][A-Za-z0-9._-]{0,63}+)"
    r"(?:\s++[A-Za-z_][\w:.-]*+\s*+=\s*+(?:\"[^\"<>]*+\"|'[^'<>]*+'))*+\s*+(?P<empty>/?)>",
    re.ASCII,
)
_ENDS = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>"}
_UNFINISHED = re.compile(r"</?[A-Za-z][^<>]*+\Z", re.ASCII)
_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos|nbsp));")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": "\u00a0"}


class _Text:
    """The text after a tag, gathered in pieces, with a limit."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.size = 0
        self.skipped = 0

    def skip(self, comment: str, place: int) -> None:
        self.skipped += len(comment)
        if self.skipped > _MOST_COMMENT:
            raise StatementTooLarge.at(place, f"more than {_MOST_COMMENT:,} characters of comment")

    def add(self, piece: str, place: int) -> None:
        self.size += len(piece)
        if self.size > _LONGEST_VALUE:
            raise StatementTooLarge.at(
                place, f"a text between tags is longer than {_LONGEST_VALUE:,} characters"
            )
        self.pieces.append(piece)

    def take(self) -> str:
        text = "".join(self.pieces).strip()
        self.pieces, self.size = [], 0
        return text


def _tags(lines: Iterator[tuple[int, str]]) -> Iterator[_Tag]:
    """The tags with the text that follows each; what precedes the first has the name ""."""
    text = _Text()
    place, name, closing = 1, "", False
    until = ""  # what ends the comment, instruction or CDATA section that is open
    for number, line in _unbroken(lines):
        at = 0
        while True:
            if until:
                end = line.find(until, at)
                inner = line[at:] if end < 0 else line[at:end]
                if until == "]]>":
                    text.add(inner, number)
                else:
                    text.skip(inner, number)
                if end < 0:
                    break
                at, until = end + len(until), ""
            match = _MARKUP.search(line, at)
            if match is None:
                text.add(_plain(line[at:]), number)
                break
            if match.start() > at:
                text.add(_plain(line[at : match.start()]), number)
            at = match.end()
            if match["name"] is None:
                until = _ENDS.get(match[0], "")
                if not until:
                    raise StatementRefused.at(number, "declares a document type or entities")
                continue
            yield place, name, closing, text.take()
            place, name, closing = number, match["name"].upper(), bool(match["closing"])
            if match["empty"] and not closing:
                yield place, name, False, ""
                closing = True
    yield place, name, closing, text.take()


def _unbroken(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The text in pieces that break no tag; a tag broken over several lines comes in one piece."""
    start, held, size = 0, list[str](), 0
    for number, line in lines:
        line += "\n"
        if held:
            held.append(line)
            size += len(line)
            if size > _LONGEST_VALUE:
                raise StatementTooLarge.at(start, "a tag that is not closed")
            if ">" not in line:
                continue
            number, line, held = start, "".join(held), []
        # Only the last `<` of a line can begin a tag that goes on in the next.
        last = line.rfind("<")
        if last > line.rfind(">") and _UNFINISHED.match(line, last):
            yield number, line[:last]
            start, held, size = number, [line[last:]], len(line) - last
        else:
            yield number, line
    if held:
        yield start, "".join(held)


def _plain(text: str) -> str:
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    if match[3]:
        return _ENTITIES[match[3]]
    code = int(match[1]) if match[1] else int(match[2], 16)
    # A reference to what is no character stays as it was written.
    printable = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code <= 0x10FFFF
    return chr(code) if printable else match[0]


# --- parts ---------------------------------------------------------------------------------------


@attrs.frozen
class _Part:
    """A piece of the file that matters: the beginning of a statement (`STMTRS`, ...), its `CURDEF`,
    its account, a transaction, a balance, a status; `END` where a statement ends."""

    place: int
    name: str
    fields: Mapping[str, str] = attrs.field(factory=dict)


class _Frame:
    """An open element. An unknown one is certain to hold elements only when its closing tag comes:
    it may as well be an empty one that is never closed."""

    __slots__ = ("certain", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.certain = name in _STRUCTURE or name in _NESTED


class _Assembly:
    """The open elements, and the part that is being gathered; `ready` are the parts found."""

    def __init__(self) -> None:
        self.ready: list[_Part] = []
        self.statements = 0
        self.stack: list[_Frame] = []
        self.names: list[str] = []
        self.in_statement = False
        self.part: tuple[int, str, int] | None = None
        """Place, name, and the depth of its frame."""
        self.fields: list[tuple[tuple[_Frame, ...], str, str]] = []
        self.leaf = ""
        self.in_part = 0
        self.idle = 0

    def take(self, place: int, name: str, closing: bool, text: str) -> None:
        if not closing:
            self._open(place, name, text)
        elif name != self.leaf:
            self._close(name)
        # After `<MEMO>text`, `</MEMO>` is the closing tag of no open element.
        self.leaf = name if text and not closing and name not in _STRUCTURE else ""
        if self.part is not None and self.part[1] in _TRANSACTIONS:
            self.in_part += 1
        else:
            self.in_part = 0
            self.idle += 1
        if self.in_part > _MOST_TAGS or self.idle > _MOST_IDLE_TAGS:
            raise StatementTooLarge.at(place, "holds more elements than a statement does")

    def _open(self, place: int, name: str, text: str) -> None:
        if name != "OFX" and not self.stack:
            raise StatementRefused.at(place, f"<{name}> stands outside <OFX>")
        if name in _STRUCTURE:
            self._structure(place, name)
        elif text:
            self._leaf(place, name, text)
            return
        if len(self.stack) >= _DEEPEST:
            raise StatementRefused.at(place, f"elements nest deeper than {_DEEPEST}")
        self.stack.append(_Frame(name))
        self.names.append(name)

    def _close(self, name: str) -> None:
        """Close the innermost element of that name and all in it; none of that name is no harm."""
        if name not in self.names:
            return
        for depth in range(len(self.stack) - 1, -1, -1):
            frame = self.stack[depth]
            if frame.name == name:
                frame.certain = True
                self._cut(depth)
                return
            if frame.name in _STRUCTURE and name not in _STRUCTURE:
                return  # the closing tag of a leaf cannot reach out of the part it stands in

    def _structure(self, place: int, name: str) -> None:
        if self.part is not None:
            self._cut(self.part[2])
        if name in _STATEMENTS:
            self._end_statement()
            self.in_statement = True
            self.statements += 1
            if self.statements > _MOST_STATEMENTS:
                raise StatementTooLarge.at(place, f"more than {_MOST_STATEMENTS:,} statements")
            self.ready.append(_Part(place, name))
        elif name in _TRANSACTIONS and not self.in_statement:
            raise StatementRefused.at(place, "a transaction outside any statement")
        elif name in _PARTS:
            self.part, self.in_part = (place, name, len(self.stack)), 0

    def _leaf(self, place: int, name: str, text: str) -> None:
        if self.part is not None:
            inner = tuple(self.stack[self.part[2] + 1 :])
            self.fields.append((inner, name, text))
        elif self.in_statement and name == "CURDEF":
            self.ready.append(_Part(place, name, {name: text}))
        elif self.in_statement and name == "TRNAMT":
            raise StatementRefused.at(place, "an amount outside any transaction")

    def _end_statement(self) -> None:
        for depth, name in enumerate(self.names):
            if name in _STATEMENTS:
                self._cut(depth)
                return

    def _cut(self, depth: int) -> None:
        if self.part is not None and self.part[2] >= depth:
            self.ready.append(_Part(self.part[0], self.part[1], self._gathered()))
            self.part = None
        if self.in_statement and not _STATEMENTS.keys().isdisjoint(self.names[depth:]):
            self.in_statement = False
            self.ready.append(_Part(0, "END"))
        del self.stack[depth:], self.names[depth:]

    def _gathered(self) -> dict[str, str]:
        """The part's elements, inner ones as `PAYEE.NAME`. One that occurs twice has both texts, so
        that two transactions run into one have no readable amount and are set aside."""
        fields: dict[str, str] = {}
        for frames, name, text in self.fields:
            key = ".".join([*(frame.name for frame in frames if frame.certain), name])
            fields[key] = f"{fields[key]}\n{text}" if key in fields else text
        self.fields = []
        return fields


def _parts(file: BinaryIO) -> Iterator[_Part]:
    assembly = _Assembly()
    begun = empty = False
    for place, name, closing, text in _tags(open_text(file, _declared(file))):
        if not name:
            empty = not text
            continue
        empty = False
        begun = begun or (name == "OFX" and not closing)
        if not begun:
            raise StatementRefused.at(place, f"<{name}> comes before <OFX>: this is no OFX file")
        assembly.take(place, name, closing, text)
        if assembly.ready:
            yield from assembly.ready
            assembly.ready.clear()
    if empty:
        raise StatementEmpty.at(1, "the file is empty")
    if not begun:
        raise StatementRefused.at(1, "there is no <OFX> in it: this is no OFX file")
    if assembly.stack:
        raise StatementRefused.at(place, "the file ends before </OFX>: it is cut off")


def _declared(file: BinaryIO) -> str | None:
    """The encoding that the header names, as far as it is one byte a character."""
    file.seek(0)
    header = text_of_head(file.read(2048))
    prolog = re.search(r"<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([\w-]{1,30})", header)
    if prolog:
        return prolog[1]
    charset = re.search(r"CHARSET\s*:\s*(?:WINDOWS-?|CP|ISO-?)?([0-9]{4})(-[0-9]{1,2})?", header)
    if charset is None:
        return None
    return f"iso8859{charset[2]}" if charset[2] else f"cp{charset[1]}"


# --- items ---------------------------------------------------------------------------------------


@attrs.frozen
class _Head:
    """What a statement says of its account."""

    kind: Literal["asset", "liability"]
    number: str | None = None
    bank: str | None = None
    currency: str | None = None

    @property
    def complete(self) -> bool:
        return self.number is not None and self.currency is not None

    def account(self) -> StatementAccount:
        return StatementAccount(
            number=self.number, asset=self.currency, bank=self.bank, kind=self.kind
        )

    def with_part(self, part: _Part) -> "_Head":
        if part.name == "CURDEF":
            told = attrs.evolve(self, currency=part.fields["CURDEF"].upper())
        else:
            credit = part.fields.get("ACCTTYPE", "").upper() == "CREDITLINE"
            told = attrs.evolve(
                self,
                kind="liability" if credit else self.kind,
                number=part.fields.get("ACCTID", self.number),
                bank=part.fields.get("BANKID", self.bank),
            )
        for before, now in ((self.number, told.number), (self.currency, told.currency)):
            if before not in (None, now):
                raise StatementRefused.at(part.place, f"one statement, both of {before} and {now}")
        return told


def _items(file: BinaryIO) -> Iterator[StatementItem]:
    head: _Head | None = None  # of the statement that is open
    heads: list[_Head] = []
    statements, opened = 0, False
    errors: list[FaultyLine] = []
    for part in _parts(file):
        if part.name == "STATUS":
            if len(errors) < _MOST_ERRORS:
                errors += _bank_error(part)
        elif part.name in _STATEMENTS:
            statements += 1
            head, opened = _Head(_STATEMENTS[part.name]), False
        elif head is None or part.name == "AVAILBAL":
            continue
        elif part.name in _HEAD:
            head = head.with_part(part)
        else:
            if not opened:
                if part.name != "END" and not head.complete:
                    # Its account or currency may follow its lines.
                    heads = heads or _heads(file)
                    head = heads[statements - 1]
                yield head.account()
                opened = True
            if part.name == "END":
                head = None
            elif part.name == "LEDGERBAL":
                yield _balance(part)
            else:
                yield _line(part, head.currency)
    if not statements:
        if errors:
            raise StatementRefused.at(errors[0].place, errors[0].reason)
        raise StatementEmpty.at(1, "there is no statement in this file")
    yield from errors


def _heads(file: BinaryIO) -> list[_Head]:
    """The head of each statement of the file; the file stands afterwards where it stood."""
    stood = file.tell()
    heads: list[_Head] = []
    within = False
    for part in _parts(file):
        if part.name in _STATEMENTS:
            heads.append(_Head(_STATEMENTS[part.name]))
            within = True
        elif part.name == "END":
            within = False
        elif within and part.name in _HEAD:
            heads[-1] = heads[-1].with_part(part)
    file.seek(stood)
    return heads


def _bank_error(part: _Part) -> list[FaultyLine]:
    code = part.fields.get("CODE", "0")
    severity = part.fields.get("SEVERITY", "").upper()
    if severity in ("INFO", "WARN") or (severity != "ERROR" and not code.strip("0")):
        return []
    message = part.fields.get("MESSAGE", "no message")
    return [FaultyLine(place=part.place, reason=f"the bank answered {code[:20]}: {message[:300]}")]


def _line(part: _Part, currency: str | None) -> StatementLine | FaultyLine:
    fields = part.fields
    pending = part.name == "STMTTRNP"
    if "CORRECTFITID" in fields or "CORRECTACTION" in fields:
        reason = "corrects an earlier transaction; it is none of its own"
        return FaultyLine(place=part.place, reason=reason)
    amount: str | None = None
    try:
        asset = _line_currency(fields, currency)
        text = _amount(_needed(fields, "TRNAMT"))
        # Money of another currency does not count for this statement's sum.
        amount = text if asset is None else None
        day = _day(_needed(fields, "DTTRAN" if pending else "DTPOSTED"))
    except ValueError as error:
        return FaultyLine(place=part.place, reason=str(error), amount=amount)
    name = fields.get("NAME") or fields.get("PAYEE.NAME") or fields.get("PAYEE")
    return StatementLine(
        place=part.place,
        date=day,
        amount=text,
        description=fields.get("MEMO") or name or "",
        counterparty=name,
        bank_id=fields.get("FITID"),
        booked=not pending,
        asset=asset,
        raw=fields,
    )


def _balance(part: _Part) -> StatementBalance | FaultyLine:
    try:
        return StatementBalance(
            kind="observed",
            date=_day(_needed(part.fields, "DTASOF")),
            amount=_amount(_needed(part.fields, "BALAMT")),
            place=part.place,
        )
    except ValueError as error:
        return FaultyLine(place=part.place, reason=f"balance: {error}")


def _needed(fields: Mapping[str, str], name: str) -> str:
    if name not in fields:
        raise ValueError(f"{name} is missing")
    return fields[name]


def _line_currency(fields: Mapping[str, str], currency: str | None) -> str | None:
    """None for the statement's own. An ORIGCURRENCY is only told: its amount was converted."""
    own = fields.get("CURRENCY.CURSYM") or fields.get("CURRENCY")
    if own is None:
        if any(name.startswith("CURRENCY.") for name in fields):
            raise ValueError("CURRENCY names no currency")
        return None
    return own.upper() if own.upper() != currency else None


def _amount(text: str) -> str:
    """OFX writes point or comma before the fraction and groups nothing; some banks group."""
    if "," not in text:
        try:
            return plain_number(text)
        except BadNumber:
            return plain_number(text, ",")
    try:
        grouped = plain_number(text)
    except BadNumber:
        return plain_number(text, ",")
    try:
        fraction = plain_number(text, ",")
    except BadNumber:
        return grouped
    if Decimal(grouped) == Decimal(fraction):
        return grouped
    raise BadNumber(f"{text[:40]!r} can be read as {grouped} and as {fraction}")


_WHEN = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})"
    r"(?:([0-9]{2})([0-9]{2})(?:([0-9]{2})(?:[.,][0-9]{1,6})?)?)?"
    r"\s*(?:\[(?:([+-]?[0-9]{0,2}(?:\.[0-9]{1,2})?)(?::[^\]\[]{0,40})?|[A-Z]{2,5})\])?"
)
_FURTHEST_OFFSET = 14


@lru_cache(maxsize=1024)
def _day(text: str) -> date:
    """The local date that was written; raises ValueError where date, time or offset is nonsense."""
    match = _WHEN.fullmatch(text)
    nonsense = ValueError(f"{text[:40]!r} is no date")
    if match is None or not 1900 <= int(match[1]) < 2200:
        raise nonsense
    hour, minute, second = (int(match[n] or 0) for n in (4, 5, 6))
    # `[-:EST]` is written too.
    offset = Decimal((match[7] or "").lstrip("+-") or 0)
    if hour > 23 or minute > 59 or second > 59 or offset > _FURTHEST_OFFSET:
        raise nonsense
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise nonsense from None
