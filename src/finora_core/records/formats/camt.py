"""CAMT.052, .053 and .054 of ISO 20022, in every version, as XML or several of them in a zip.

The XML is read as a stream with expat. Elements are told apart by local name and by their place
below the statement, so every version and prefix reads alike; a DOCTYPE is refused outright, and
with it every entity.
"""

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import BinaryIO, ClassVar, Literal
from xml.parsers import expat

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

# An element as JSON: its text, or its children by local name (a list where a name repeats).
# An amount is {"@Ccy": ..., "#text": ...}.
Json = str | dict[str, "Json"] | list["Json"]

_CHUNK = 65_536
_DEEPEST = 64
_LONGEST_TAG = 1 << 20
_MOST_NAMES = 10_000  # distinct names of elements and attributes; CAMT has some 800
_HEADER = 1_000  # elements within which the CAMT message must begin
_MOST_NODES = 50_000  # elements of one entry
_MOST_TEXT = 4 << 20  # characters of one entry
_MOST_DETAILS = 200  # of a batch; the others are counted in `raw`, not kept

_MOST_MEMBERS = 1_000
_MOST_UNPACKED = 100_000_000
_HIGHEST_RATIO = 100
_LARGEST_READ = 1 << 20
_BROKEN = (zipfile.BadZipFile, NotImplementedError, ValueError, OSError)  # as zipfile says it

_MESSAGE = "BkToCstmr"
_STATEMENTS = ("Stmt", "Rpt", "Ntfctn")
_KEPT = ("Acct", "Bal", "Ntry")
_NAME = ("Pty/Nm", "Nm", "Agt/FinInstnId/Nm")
_OPENING = ("OPBD", "PRCD")
_CLOSING = "CLBD"

_AMOUNT = re.compile(r"[0-9]*\.?[0-9]*", re.ASCII)
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T[0-9:.]+)?(?:Z|[+-][0-9:]{5})?", re.ASCII)
_NO_VALUE = re.compile(r"(?:not ?provided|no(?:n|ne)?[- ]?ref|none|n/?a|unknown|[0. -]*)", re.I)


@attrs.frozen
class CamtStatements:
    """Statements (.053), intraday reports (.052) and notifications (.054).

    An entry is one line, also where it stands for a batch: only then do the booked lines lead
    from the opening to the closing balance. A batch's transactions are in `raw`; its text is the
    entry's own, else their remittance texts, and it has no counterparty. Pending and future
    entries are lines that are not booked.

    A place is the ordinal of the entry in the file, over all members of a zip: most banks write
    the whole XML in one line. The reason of a fault names the line as well.
    """

    name: ClassVar[str] = "camt"

    def recognises(self, head: bytes, filename: str) -> int:
        """95 for a CAMT message, also as the first XML of a zip; else 0."""
        return 95 if _is_camt(_first_member(head) if head[:2] == b"PK" else head) else 0

    def layout(self, head: bytes) -> str | None:
        """None: the format leaves no question open."""
        return None

    def read(self, file: BinaryIO, answers: Mapping[str, str]) -> Iterator[StatementItem]:
        """Yield the items of the message, or of every .xml in the zip in order of its names."""
        magic = file.read(2)
        file.seek(0)
        if not magic:
            raise StatementEmpty.at(1, "the file is empty")
        documents = _documents(file) if magic == b"PK" else [("", _chunks(file))]
        statements = entries = 0
        for member, chunks in documents:
            document = _Document(member, entries)
            yield from document.read(chunks)
            statements += document.statements
            entries = document.entries
        if not statements:
            raise StatementEmpty.at("the file", "it holds no statement, report or notification")


# --- recognition ---------------------------------------------------------------------------------


def _is_camt(head: bytes) -> bool:
    # Without its NULs, UTF-16 reads like ASCII.
    text = head.replace(b"\0", b"").lstrip(b"\xff\xfe\xef\xbb\xbf \t\r\n")
    return text.startswith(b"<") and (b"BkToCstmr" in text or b"xsd:camt.05" in text)


def _first_member(head: bytes) -> bytes:
    """The beginning of the first .xml that the first bytes of a zip hold."""
    for header in re.finditer(rb"PK\x03\x04", head):
        at = header.start()
        method = int.from_bytes(head[at + 8 : at + 10], "little")
        size = int.from_bytes(head[at + 26 : at + 28], "little")
        extra = int.from_bytes(head[at + 28 : at + 30], "little")
        if not head[at + 30 : at + 30 + size].lower().endswith(b".xml"):
            continue
        packed = head[at + 30 + size + extra :]
        if method == zipfile.ZIP_STORED:
            return packed
        try:
            return zlib.decompressobj(-15).decompress(packed, _CHUNK)
        except zlib.error:
            return b""
    return b""


# --- archives ------------------------------------------------------------------------------------


@attrs.frozen
class _BoundedReads:
    """A file as zipfile needs it. zipfile reads a central directory of any size in one go and
    makes an object of each of its records; a statement's directory is small."""

    file: BinaryIO

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(min(size, _LARGEST_READ + 1) if size >= 0 else _LARGEST_READ + 1)
        if len(data) > _LARGEST_READ:
            raise StatementTooLarge.at("the archive", "its directory is larger than 1 MiB")
        return data


def _documents(file: BinaryIO) -> Iterator[tuple[str, Iterator[bytes]]]:
    try:
        archive = zipfile.ZipFile(_BoundedReads(file))
    except _BROKEN as error:
        raise StatementRefused.at("the archive", f"it cannot be opened: {error}") from None
    for info in _xml_members(archive.infolist()):
        yield info.filename[:80], _unpacked(archive, info)


def _xml_members(members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    if len(members) > _MOST_MEMBERS:
        raise StatementTooLarge.at("the archive", f"it has more than {_MOST_MEMBERS:,} entries")
    if any(info.filename.lower().endswith(".zip") for info in members):
        raise StatementRefused.at("the archive", "it holds another archive")
    # macOS adds __MACOSX/._name.xml, which is no XML, to every zip it makes.
    chosen = [
        info
        for info in members
        if info.filename.lower().endswith(".xml") and not info.filename.startswith("__MACOSX/")
    ]
    if not chosen:
        raise StatementRefused.at("the archive", "it holds no .xml file")
    # The sizes are claims, but zipfile never unpacks more of a member than it claims.
    if sum(info.file_size for info in chosen) > _MOST_UNPACKED:
        raise StatementTooLarge.at("the archive", "it unpacks to more than 100 MB")
    for info in chosen:
        if info.file_size > _HIGHEST_RATIO * info.compress_size:
            raise StatementTooLarge.at(
                info.filename[:80], f"it is packed more than {_HIGHEST_RATIO} times"
            )
        if info.flag_bits & 1 or info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise StatementRefused.at(info.filename[:80], "it is encrypted or packed unusually")
    return sorted(chosen, key=lambda info: info.filename)


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(info) as member:
            while chunk := member.read(_CHUNK):
                yield chunk
    except (*_BROKEN, zlib.error, EOFError) as error:
        raise StatementRefused.at(info.filename[:80], f"it cannot be unpacked: {error}") from None


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


# --- one document --------------------------------------------------------------------------------


@attrs.define
class _Element:
    """An element under way, of those that are kept."""

    name: str
    currency: str | None
    nodes_before: int
    text_before: int
    children: dict[str, Json] = attrs.field(factory=dict)
    text: list[str] = attrs.field(factory=list)

    def add(self, name: str, value: Json) -> None:
        before = self.children.get(name)
        if before is None:
            self.children[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            self.children[name] = [before, value]

    def value(self) -> Json:
        if self.children:
            return self.children
        text = "".join(self.text)
        return {"@Ccy": self.currency, "#text": text} if self.currency else text


@attrs.frozen
class _Balance:
    currency: str | None
    where: str
    item: StatementBalance | FaultyLine


@attrs.define
class _Statement:
    """What is known of the statement that is being read."""

    depth: int
    account: Json = attrs.field(factory=dict)
    number: str | None = None
    asset: str | None = None
    balances: dict[str, _Balance] = attrs.field(factory=dict)
    other_currency: str | None = None
    begun: bool = False
    opened: bool = False


@attrs.define
class _Document:
    """Turns the events of one XML document into statement items."""

    member: str
    entries: int
    """Counted on from the documents before it."""
    statements: int = 0
    items: list[StatementItem] = attrs.field(factory=list)
    _path: list[str] = attrs.field(factory=list)
    _kept: list[_Element] = attrs.field(factory=list)
    _line: int = 0
    _statement: _Statement | None = None
    _in_message: bool = False
    _elements: int = 0
    _nodes: int = 0
    _text: int = 0
    _left_out: int = 0
    _parser: expat.XMLParserType = attrs.field(init=False)

    def read(self, chunks: Iterable[bytes]) -> Iterator[StatementItem]:
        names: dict[str, str] = {}
        self._parser = expat.ParserCreate(intern=names)
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.EntityDeclHandler = self._doctype
        self._parser.ExternalEntityRefHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        fed = 0
        for chunk in chunks:
            self._feed(chunk, last=False)
            fed += len(chunk)
            # expat scans an unfinished tag or comment anew with every chunk, and keeps every name.
            if fed - self._parser.CurrentByteIndex > _LONGEST_TAG:
                raise self._too_large("a tag or comment is longer than 1 MiB")
            if len(names) > _MOST_NAMES:
                raise self._too_large(f"there are more than {_MOST_NAMES:,} different names")
            yield from self.items
            self.items.clear()
        self._feed(b"", last=True)
        if not self._in_message:
            raise self._refusal("this is XML, but no CAMT message")
        yield from self.items

    def _feed(self, chunk: bytes, last: bool) -> None:
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise self._refusal(f"the XML is cut short or not well-formed: {reason}") from None
        except (ValueError, LookupError) as error:
            raise self._refusal(f"the encoding cannot be read: {error}") from None

    def _where(self) -> int | str:
        line = self._parser.CurrentLineNumber
        return f"{self.member}, line {line}" if self.member else line

    def _where_kept(self) -> str:
        """Where the account, balance or entry begins that is being read."""
        return f"{self.member}, line {self._line}" if self.member else f"line {self._line}"

    def _refusal(self, reason: str) -> StatementRefused:
        return StatementRefused.at(self._where(), reason)

    def _too_large(self, reason: str) -> StatementRefused:
        return StatementTooLarge.at(self._where(), reason)

    # expat's events

    def _doctype(self, *declaration: object) -> int:
        raise self._refusal("it declares a document type or an entity; a statement needs neither")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        parent = self._path[-1] if self._path else ""
        self._path.append(name)
        if len(self._path) > _DEEPEST:
            raise self._refusal(f"elements are nested more than {_DEEPEST} deep")
        if self._kept:
            self._keep(name, attributes)
        elif self._statement is not None:
            if name in _KEPT and len(self._path) == self._statement.depth + 1:
                self._line = self._parser.CurrentLineNumber
                self._nodes = self._text = self._left_out = 0
                self._keep(name, attributes)
        elif self._in_message:
            if name in _STATEMENTS and parent.startswith(_MESSAGE):
                self._statement = _Statement(len(self._path))
                self.statements += 1
        else:
            self._elements += 1
            self._in_message = name.startswith(_MESSAGE)
            if self._elements > _HEADER:
                raise self._refusal("this is XML, but no CAMT message")

    def _keep(self, name: str, attributes: dict[str, str]) -> None:
        self._kept.append(_Element(name, attributes.get("Ccy"), self._nodes, self._text))
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise self._too_large(f"one {self._kept[0].name} has more than {_MOST_NODES:,} parts")

    def _characters(self, text: str) -> None:
        if self._kept:
            self._kept[-1].text.append(text)
            self._text += len(text)
            if self._text > _MOST_TEXT:
                raise self._too_large(f"one {self._kept[0].name} is longer than 4 MiB")

    def _end(self, name: str) -> None:
        self._path.pop()
        if self._kept:
            element = self._kept.pop()
            if not self._kept:
                self._take(element.name, element.value())
            elif element.name == "TxDtls" and _count(self._kept[-1], "TxDtls") >= _MOST_DETAILS:
                self._left_out += 1
                self._nodes, self._text = element.nodes_before, element.text_before
            else:
                self._kept[-1].add(element.name, element.value())
        elif self._statement is not None and len(self._path) < self._statement.depth:
            self._begin(self._statement, None)
            self._close(self._statement)
            self._statement = None

    # what the events add up to

    def _take(self, name: str, value: Json) -> None:
        statement = self._statement
        assert statement is not None  # only a statement's own children are kept
        if name == "Acct":
            statement.account = value
        elif name == "Bal":
            self._take_balance(statement, value)
        else:
            self.entries += 1
            self._begin(statement, _currency(value))
            self._take_entry(statement, value)

    def _take_balance(self, statement: _Statement, value: Json) -> None:
        code = _text(value, "Tp/CdOrPrtry/Cd", "Tp/CdOrPrtry/Prtry", "Tp/Cd")
        statement.other_currency = statement.other_currency or _currency(value)
        if code in _OPENING or code == _CLOSING:
            kind: Literal["opening", "closing"] = "closing" if code == _CLOSING else "opening"
            balance = _balance(kind, value, self._where_kept(), self.entries + 1)
            statement.balances[code] = _outer(statement.balances.get(code), balance)
        # The others are intermediate, expected or available: they are no control.

    def _begin(self, statement: _Statement, currency: str | None) -> None:
        if not statement.begun:
            statement.begun = True
            booked = [balance.currency for balance in statement.balances.values()]
            account = _account(statement.account)
            statement.asset = next(
                filter(None, [account.asset, *booked, currency, statement.other_currency]), None
            )
            statement.number = account.number
            self.items.append(attrs.evolve(account, asset=statement.asset))
        if not statement.opened:
            opening = next(filter(None, map(statement.balances.get, _OPENING)), None)
            statement.opened = opening is not None
            self._give_balance(statement, opening)

    def _close(self, statement: _Statement) -> None:
        self._give_balance(statement, statement.balances.get(_CLOSING))

    def _give_balance(self, statement: _Statement, balance: _Balance | None) -> None:
        if balance is None:
            return
        item = balance.item
        if isinstance(item, StatementBalance) and balance.currency not in (None, statement.asset):
            item = FaultyLine(
                place=item.place,
                reason=f"{balance.where}: the {item.kind} balance is in {balance.currency}, "
                f"the account in {statement.asset}",
            )
        self.items.append(item)

    def _take_entry(self, statement: _Statement, value: Json) -> None:
        entry = _entry(value, statement, self.entries)
        if isinstance(entry, FaultyLine):
            entry = attrs.evolve(entry, reason=f"{self._where_kept()}: {entry.reason}")
        elif entry is not None and self._left_out and isinstance(value, dict):
            value["TxDtls left out"] = str(self._left_out)
        if entry is not None:
            self.items.append(entry)


# --- reading elements ----------------------------------------------------------------------------


class _Unreadable(Exception):
    """A value is missing or cannot be read; the message says so in plain words."""


def _count(element: _Element, name: str) -> int:
    found = element.children.get(name, [])
    return len(found) if isinstance(found, list) else 1


def _all(value: Json, path: str) -> list[Json]:
    found = [value]
    for name in path.split("/"):
        below: list[Json] = []
        for one in found:
            child = one.get(name) if isinstance(one, dict) else None
            if isinstance(child, list):
                below += child
            elif child is not None:
                below.append(child)
        found = below
        if not found:
            break
    return found


def _texts(value: Json, *paths: str) -> list[str]:
    """The texts at the paths that are not empty, in order of the paths."""
    texts = []
    for path in paths:
        for one in _all(value, path):
            text = one.get("#text") if isinstance(one, dict) else one
            if isinstance(text, str) and (text := text.strip()):
                texts.append(text)
    return texts


def _text(value: Json, *paths: str) -> str:
    """The first text at the first path that has one, or nothing."""
    for path in paths:
        if texts := _texts(value, path):
            return texts[0]
    return ""


def _named(text: str) -> str | None:
    """The text, unless it is one of those that banks write for want of a value."""
    return None if _NO_VALUE.fullmatch(text) else text


def _currency(value: Json) -> str | None:
    return _text(value, "Amt/@Ccy") or None


def _account(value: Json) -> StatementAccount:
    number = _text(value, "Id/IBAN", "Id/Othr/Id", "Id/PrtryAcct/Id", "Id/BBAN", "Id/UPIC")
    bank = "Svcr/FinInstnId"
    return StatementAccount(
        number="".join(number.split()) or None,
        asset=_text(value, "Ccy") or None,
        name=_text(value, "Nm", "Ownr/Nm", "Ownr/Pty/Nm") or None,
        bank=_text(
            value,
            f"{bank}/BICFI",
            f"{bank}/BIC",
            f"{bank}/CmbndId/BIC",
            f"{bank}/ClrSysMmbId/MmbId",
        )
        or None,
    )


def _amount(value: Json) -> str:
    """The amount with its sign: CdtDbtInd says which way the money of this entry or balance goes.

    RvslInd does not turn it round: a CRDT entry that is a reversal is money in, and takes back
    an earlier debit.
    """
    text, direction = _text(value, "Amt"), _text(value, "CdtDbtInd")
    if direction not in ("CRDT", "DBIT"):
        raise _Unreadable(f"{direction[:20]!r} is neither CRDT nor DBIT")
    if not _AMOUNT.fullmatch(text):
        raise _Unreadable(f"{text[:40]!r} is not an amount")
    try:
        return ("-" if direction == "DBIT" else "") + plain_number(text)
    except BadNumber as error:
        raise _Unreadable(str(error)) from None


def _day(text: str) -> date:
    """The date as the bank wrote it, whatever the time of day and zone."""
    match = _DATE.fullmatch(text)
    try:
        return date.fromisoformat(match[1] if match else "")
    except ValueError:
        raise _Unreadable(f"{text[:40]!r} is not a date" if text else "it has no date") from None


def _balance(kind: Literal["opening", "closing"], value: Json, where: str, place: int) -> _Balance:
    try:
        day = _day(_text(value, "Dt/Dt", "Dt/DtTm", "Dt"))
        item: StatementBalance | FaultyLine = StatementBalance(
            kind=kind, date=day, amount=_amount(value), place=place
        )
    except _Unreadable as error:
        item = FaultyLine(place=place, reason=f"{where}: the {kind} balance: {error}")
    return _Balance(_currency(value), where, item)


def _outer(one: _Balance | None, other: _Balance) -> _Balance:
    """Of two balances of a kind (some banks give one a day), the one that bounds the statement."""
    if one is None or isinstance(other.item, FaultyLine):
        return other
    if isinstance(one.item, FaultyLine):
        return one
    pick = max if other.item.kind == "closing" else min
    # A tie goes to the last closing and to the first opening balance.
    days = {one.item.date: one, other.item.date: other}
    if other.item.kind != "closing":
        days[one.item.date] = one
    return days[pick(days)]


def _entry(value: Json, statement: _Statement, place: int) -> StatementLine | FaultyLine | None:
    status = _text(value, "Sts/Cd", "Sts/Prtry", "Sts")
    if status == "INFO":
        # Information only: it is not on the account, neither now nor later.
        return None
    if status not in ("BOOK", "PDNG", "FUTR", ""):
        return FaultyLine(place=place, reason=f"the status {status[:20]!r} is unknown")
    booked = status in ("BOOK", "")
    currency = _currency(value) or statement.asset
    amount = None
    try:
        amount = _amount(value)
        day = _day(_text(value, "BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm"))
    except _Unreadable as error:
        # Only what is booked in the account's currency counts for the control sum.
        counts = booked and currency == statement.asset
        return FaultyLine(place=place, reason=str(error), amount=amount if counts else None)
    details = _all(value, "NtryDtls/TxDtls") + _all(value, "TxDtls")
    single = details[0] if len(details) == 1 else None
    return StatementLine(
        place=place,
        date=day,
        amount=amount,
        description=_description(value, details),
        counterparty=_counterparty(value, single, statement.number) if single else None,
        bank_id=_named(_text(value, "AcctSvcrRef")),
        booked=booked,
        asset=currency if currency != statement.asset else None,
        raw=value,
    )


def _description(entry: Json, details: list[Json]) -> str:
    own = _text(entry, "AddtlNtryInf")
    texts = list(dict.fromkeys(filter(None, map(_remittance, details))))
    if len(details) == 1:
        return next(iter(texts), "") or _text(details[0], "AddtlTxInf") or own
    return own or " ".join(texts)


def _remittance(detail: Json) -> str:
    free = _texts(detail, "RmtInf/Ustrd")
    strict = "RmtInf/Strd"
    return " ".join(
        free
        or _texts(detail, f"{strict}/CdtrRefInf/Ref", f"{strict}/CdtrRefInf/CdtrRef")
        or _texts(detail, f"{strict}/AddtlRmtInf", f"{strict}/RfrdDocInf/Nb")
    )


def _counterparty(entry: Json, detail: Json, own: str | None) -> str | None:
    credit = _text(entry, "CdtDbtInd") == "CRDT"
    reversal = _text(entry, "RvslInd") in ("true", "1")
    # The parties of a reversal keep the roles they had in the payment that it takes back.
    sides = ("Dbtr", "Cdtr") if credit != reversal else ("Cdtr", "Dbtr")
    for parties in _all(detail, "RltdPties"):
        for side in sides:
            account = _text(parties, f"{side}Acct/Id/IBAN", f"{side}Acct/Id/Othr/Id")
            if own is None or "".join(account.split()) != own:
                paths = [f"{role}/{path}" for role in (side, f"Ultmt{side}") for path in _NAME]
                named = next(filter(_named, _texts(parties, *paths)), None)
                if named is not None:
                    return named
    return None
