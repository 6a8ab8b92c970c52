"""MT940 customer statements and MT942 interim reports of SWIFT, as banks write them.

Read strictly: an amount is digits, one decimal comma, digits. What is not written so is set aside,
never guessed at.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import BinaryIO, ClassVar, Literal

import attrs

from finora_core.kernel.currencies import DIGITS
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

_LONGEST_FIELD = 1 << 20  # characters of one field with its continuation lines
_MOST_NOISE = 1_000  # lines in a row outside of any message

# Only these open a field: a line of free text may well begin with ":15:".
_FIELD = re.compile(
    r":(20|21|25P?|28C?|60[FM]|61|62[FM]|64|65|86|34F|13D?|90[CD]|NS):(.*)", re.DOTALL
)
_ENVELOPE = re.compile(r"-\}|\{[1-5S]:")
_KIND = re.compile(r"\{2:[IO](94[0-9])", re.ASCII)
_END = re.compile(r"-(?:XXX)?\s*")

_NUMBER = r"[0-9]+,[0-9]*"
_BALANCE = re.compile(rf"([CD])([0-9]{{6}})([A-Z]{{3}})({_NUMBER})\s*", re.ASCII)
_FLOOR = re.compile(r"([A-Z]{3})[CD]?[0-9]", re.ASCII)
_DAYS_AND_MARK = re.compile(r"([0-9]{6})([0-9]{4})?(RC|RD|EC|ED|C|D)[A-Z]?", re.ASCII)
_AMOUNT_AND_TYPE = re.compile(rf"({_NUMBER})(?:[A-Z][A-Z0-9]{{3}}(.*))?\s*", re.ASCII)
_MONEY_OUT = ("D", "RC", "ED")  # RC takes back a credit

# A field 86 in sub-fields: the German transaction code, then a mark before every sub-field.
_CODED = re.compile(r"\s*[0-9]{3}([?>~^#|])(?=[0-9]{2})", re.ASCII)
_POSTING_TEXT = ("00",)
_PURPOSE = tuple(str(code) for code in (*range(20, 30), *range(60, 64)))
_NAME = ("32", "33")
_SEPA = re.compile(
    r"(EREF|KREF|MREF|CRED|DEBT|COAM|OAMT|SVWZ|ABWA|ABWE|BREF|RREF|DDAT|PURP|IBAN|BIC)\+"
)
# A field 86 in code words, as Dutch banks write it.
_WORD = re.compile(
    r"/(TRTP|TRCD|EREF|IREF|KREF|PREF|CREF|MARF|CSID|CNTP|IBAN|BIC|NAME|ADDR|ORDP|BENM|REMI|PURP"
    r"|ULTD|ULTB|ULTC|RTRN|ISDT|NRTX|SVCL|EXCH|CHGS)/"
)
_REMITTANCE_KIND = re.compile(r"USTD//|STRD/(?:CUR|ISO)/")
# A line as wide as this was cut by force: the next one goes on in the middle of a word.
_LINE_WIDTH, _SUBFIELD_WIDTH = 65, 27

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
_REFERENCE = re.compile(r"[0-9A-Za-z/.-]{10,35}", re.ASCII)


@attrs.frozen
class Mt940Statements:
    """MT940 statements and MT942 interim reports.

    A line's day is its entry date, the value date where it has none. Pages of one statement
    (:62M: to :60M:) are one statement, whose opening balance is the first page's :60F: and whose
    closing balance is the last page's :62F:. The entries of an MT942 are on the account but on no
    statement yet: they are given as not booked, so that the MT940 that follows claims them. So
    are entries that are only expected (EC, ED).
    """

    name: ClassVar[str] = "mt940"

    def recognises(self, head: bytes, filename: str) -> int:
        """95 for the fields of a message, 60 for :61: lines alone, else 0."""
        text = text_of_head(head).replace("\r", "\n")
        if re.search(r"^:20:", text, re.M) and re.search(r"^:(?:25P?|60[FM]|61|34F):", text, re.M):
            return 95
        return 60 if re.search(r"^:61:[0-9]{6}", text, re.M) else 0

    def layout(self, head: bytes) -> str | None:
        """None: the format leaves no question open."""
        return None

    def read(self, file: BinaryIO, answers: Mapping[str, str]) -> Iterator[StatementItem]:
        """Yield the items of every message of the file."""
        reader = _Reader()
        for field in _fields(open_text(file)):
            yield from reader.take(field)
        yield from reader.end()
        if not reader.statements:
            raise StatementEmpty.at("the file", "it holds no MT940 or MT942 message")


# --- fields --------------------------------------------------------------------------------------


@attrs.define
class _Field:
    """A field with its lines. The tag is "{" for an envelope, "-" for the end of a message."""

    tag: str
    place: int
    lines: list[str]


def _fields(lines: Iterator[tuple[int, str]]) -> Iterator[_Field]:
    field = _Field("-", 0, [])
    size = noise = 0
    for place, line in lines:
        for piece in _pieces(line):
            opened = _opened(place, piece)
            if opened is not None:
                yield field
                field, size, noise = opened, 0, 0
            elif field.tag in ("-", "{"):
                noise += 1
            else:
                field.lines.append(piece)
            size += len(piece) + 1
            if size > _LONGEST_FIELD:
                raise StatementTooLarge.at(place, "a field is longer than 1 MiB")
            if noise > _MOST_NOISE:
                raise _not_mt940(place)
    yield field


def _not_mt940(place: int) -> StatementRefused:
    return StatementEmpty.at(place, f"{_MOST_NOISE:,} lines in a row belong to no MT940 message")


def _pieces(line: str) -> Iterator[str]:
    """An envelope apart from the field that may follow it on its line."""
    before, mark, after = line.rpartition("{4:")
    if mark and _ENVELOPE.match(line):
        yield before + mark
        if after:
            yield after
    else:
        yield line


def _opened(place: int, line: str) -> _Field | None:
    if match := _FIELD.fullmatch(line):
        return _Field(match[1], place, [match[2]])
    if _ENVELOPE.match(line):
        return _Field("{", place, [line])
    return _Field("-", place, []) if _END.fullmatch(line) else None


# --- messages ------------------------------------------------------------------------------------


@attrs.define
class _Message:
    """What is known of the message that is being read."""

    interim: bool
    number: str | None = None
    bank: str | None = None
    page_of: str = ""
    """The statement's number, of which this message is a page."""
    asset: str | None = None
    begun: bool = False
    opened_at: int | None = None


@attrs.define
class _Reader:
    """Turns fields into statement items."""

    statements: int = 0
    _message: _Message | None = None
    _interim_next: bool = False
    _page: _Message | None = None
    """The message before, where it ended as a page that is not the last."""
    _line: _Field | None = None
    _details: list[_Field] = attrs.field(factory=list)

    def take(self, field: _Field) -> Iterator[StatementItem]:
        if field.tag in ("86", "NS"):
            # Elsewhere than after a :61: it speaks of the whole statement.
            if self._line is not None:
                self._details.append(field)
            return
        yield from self._end_line()
        if field.tag in ("20", "-", "{"):
            yield from self._end_message()
        if field.tag == "{":
            if kind := _KIND.search(field.lines[0]):
                self._interim_next = kind[1] == "942"
        elif field.tag != "-":
            if self._message is None:
                self._message = _Message(self._interim_next)
                self._interim_next = False
            yield from self._take(self._message, field)

    def end(self) -> Iterator[StatementItem]:
        yield from self._end_line()
        yield from self._end_message()

    def _take(self, message: _Message, field: _Field) -> Iterator[StatementItem]:
        if field.tag in ("25", "25P"):
            message.number, message.bank = _account(field.lines)
        elif field.tag in ("28", "28C"):
            message.page_of = field.lines[0].partition("/")[0].strip()
        elif field.tag in ("34F", "13", "13D"):
            message.interim = message.interim or message.opened_at is None
            floor = _FLOOR.match(field.lines[0])
            message.asset = message.asset or (floor[1] if floor else None)
        elif field.tag in ("60F", "60M"):
            yield from self._open(message, field)
        elif field.tag == "61":
            yield from self._begin(message)
            self._line = field
        elif field.tag in ("62F", "62M"):
            yield from self._close(message, field)

    def _open(self, message: _Message, field: _Field) -> Iterator[StatementItem]:
        currency, item = _balance("opening", field)
        message.begun, message.asset, message.opened_at = False, currency, field.place
        yield from self._begin(message, goes_on=field.tag == "60M")
        if field.tag == "60F" and not message.interim:
            yield item

    def _begin(self, message: _Message, goes_on: bool = False) -> Iterator[StatementItem]:
        if message.begun:
            return
        message.begun = True
        page, self._page = self._page, None
        if goes_on and page is not None and _same_statement(page, message):
            message.asset = page.asset
            return
        self.statements += 1
        yield StatementAccount(number=message.number, asset=message.asset, bank=message.bank)

    def _close(self, message: _Message, field: _Field) -> Iterator[StatementItem]:
        currency, item = _balance("closing", field)
        message.asset, message.opened_at = message.asset or currency, None
        yield from self._begin(message)
        if currency not in (None, message.asset):
            reason = f"the closing balance is in {currency}, the opening one in {message.asset}"
            item = FaultyLine(place=field.place, reason=reason)
        if field.tag == "62M":
            self._page = message
        elif not message.interim:
            yield item

    def _end_message(self) -> Iterator[StatementItem]:
        message, self._message = self._message, None
        if message is None:
            return
        if message.number is not None:
            yield from self._begin(message)
        if message.opened_at is not None and not message.interim:
            # Without it nothing shows that lines are missing.
            reason = "the statement has no closing balance: the file may be cut short"
            yield FaultyLine(place=message.opened_at, reason=reason)

    def _end_line(self) -> Iterator[StatementItem]:
        line, details = self._line, self._details
        self._line, self._details = None, []
        if line is not None and self._message is not None:
            yield _statement_line(line, details, self._message)


def _same_statement(page: _Message, message: _Message) -> bool:
    return (
        page.number == message.number
        and page.page_of == message.page_of
        and message.asset in (None, page.asset)
    )


# --- reading fields ------------------------------------------------------------------------------


class _Unreadable(Exception):
    """A field cannot be read; the message says so in plain words."""

    def __init__(self, reason: str, amount: str | None = None) -> None:
        super().__init__(reason)
        self.amount = amount


@attrs.frozen
class _Entry:
    """The first line of a field 61."""

    date: date
    amount: str
    expected: bool
    bank_reference: str


def _statement_line(
    field: _Field, details: list[_Field], message: _Message
) -> StatementLine | FaultyLine:
    try:
        entry = _entry(field.lines[0])
    except _Unreadable as error:
        amount = None if message.interim else error.amount
        return FaultyLine(place=field.place, reason=str(error), amount=amount)
    texts = {"61": field.lines}
    for detail in details:
        texts.setdefault(detail.tag, []).extend(detail.lines)
    description, counterparty = _described(texts.get("86", []))
    return StatementLine(
        place=field.place,
        date=entry.date,
        amount=entry.amount,
        description=description or " ".join(field.lines[1:]).strip(),
        counterparty=counterparty or None,
        bank_id=entry.bank_reference if _lasts(entry.bank_reference) else None,
        booked=not (message.interim or entry.expected),
        raw={tag: "\n".join(lines) for tag, lines in texts.items()},
    )


def _entry(text: str) -> _Entry:
    start = _DAYS_AND_MARK.match(text)
    if start is None:
        raise _Unreadable(f"{text[:40]!r} does not begin with a date and a debit or credit mark")
    value_date, entry_date, mark = start.groups()
    rest = _AMOUNT_AND_TYPE.fullmatch(text, start.end())
    if rest is None:
        raise _bad_amount(text[start.end() :], mark)
    amount = _signed(rest[1], mark)
    counts = None if mark in ("EC", "ED") else amount
    day = _day(value_date, counts)
    return _Entry(
        date=_entry_day(entry_date, day, counts) if entry_date else day,
        amount=amount,
        expected=mark in ("EC", "ED"),
        bank_reference=(rest[2] or "").partition("//")[2].strip(),
    )


def _signed(text: str, mark: str) -> str:
    try:
        return ("-" if mark in _MONEY_OUT else "") + plain_number(text, ",")
    except BadNumber as error:
        raise _Unreadable(str(error)) from None


def _bad_amount(rest: str, mark: str) -> _Unreadable:
    """Why the rest of a :61: after its mark is refused, with the amount if a reader would see it.

    It is not imported, but the closing balance must know of it.
    """
    text = re.split("[A-Z]", rest, maxsplit=1)[0].strip()
    try:
        amount = None if mark in ("EC", "ED") else _signed(text, mark)
    except _Unreadable:
        amount = None
    if re.fullmatch(_NUMBER, text, re.ASCII):
        return _Unreadable(f"no transaction type follows the amount {text[:40]!r}", amount)
    return _Unreadable(f"{text[:40]!r} is not an amount with one decimal comma", amount)


def _day(text: str, amount: str | None = None) -> date:
    year, month, day = int(text[:2]), int(text[2:4]), int(text[4:])
    try:
        return date(year + (1900 if year >= 80 else 2000), month, day)
    except ValueError:
        raise _Unreadable(f"{text!r} is not a date", amount) from None


def _entry_day(text: str, value_date: date, amount: str | None) -> date:
    """The day of an entry date, which has no year: the one within half a year of the value date."""
    for year in (value_date.year, value_date.year - 1, value_date.year + 1):
        try:
            day = date(year, int(text[:2]), int(text[2:]))
        except ValueError:
            continue
        if abs((day - value_date).days) <= 183:
            return day
    raise _Unreadable(f"{text!r} is not a date near {value_date}", amount)


def _balance(
    kind: Literal["opening", "closing"], field: _Field
) -> tuple[str | None, StatementBalance | FaultyLine]:
    """Its currency, and the balance."""
    text, place = field.lines[0], field.place
    match = _BALANCE.fullmatch(text)
    try:
        if match is None:
            raise _Unreadable(f"{text[:40]!r} is not a balance")
        amount, day = _signed(match[4], match[1]), _day(match[2])
    except _Unreadable as error:
        reason = f"the {kind} balance: {error}"
        return match and match[3], FaultyLine(place=place, reason=reason)
    return match[3], StatementBalance(kind=kind, date=day, amount=amount, place=place)


def _account(lines: list[str]) -> tuple[str | None, str | None]:
    """Number and bank of `bank/number`, `number`, or a number with the bank on the next line."""
    bank, _, number = lines[0].partition("/")
    if not number.strip():
        number, bank = bank, (lines[1] if len(lines) > 1 else "")
    return _without_currency("".join(number.split())) or None, bank.strip() or None


def _without_currency(number: str) -> str:
    # Seychelles IBANs end with the currency by right: they prove whole.
    if number[-3:] in DIGITS and _IBAN.fullmatch(number[:-3]) and not _is_iban(number):
        return number[:-3]
    return number


def _is_iban(text: str) -> bool:
    if not _IBAN.fullmatch(text):
        return False
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def _lasts(reference: str) -> bool:
    """Whether a bank reference looks like the id of one entry. Words, short constants and dates
    stand in its place as often, and one that is shared would make two purchases one."""
    digits = [character for character in reference if character in "0123456789"]
    return (
        _REFERENCE.fullmatch(reference) is not None and len(digits) >= 6 and len(set(digits)) >= 2
    )


# --- field 86 ------------------------------------------------------------------------------------


def _described(lines: list[str]) -> tuple[str, str]:
    """Description and counterparty, in whichever of the usual ways the bank wrote them."""
    text = "".join(lines)
    if coded := _CODED.match(text):
        return _from_subfields(text[coded.end() - 1 :], coded[1])
    text = _folded(lines, _LINE_WIDTH)
    return _from_words(text) if _WORD.match(text) else (text, "")


def _folded(pieces: list[str], width: int) -> str:
    return "".join(
        piece if len(piece) >= width else piece.rstrip() + " " for piece in pieces
    ).strip()


def _from_subfields(text: str, mark: str) -> tuple[str, str]:
    parts = re.split(re.escape(mark) + "([0-9]{2})", text)
    subfields = list(zip(parts[1::2], parts[2::2], strict=True))

    def of(codes: tuple[str, ...]) -> str:
        return _folded([part for code, part in subfields if code in codes], _SUBFIELD_WIDTH)

    return _purpose(of(_PURPOSE)) or of(_POSTING_TEXT), of(_NAME)


def _purpose(text: str) -> str:
    """Of a SEPA purpose in keywords, what the payer wrote; else all of it."""
    parts = _SEPA.split(text)
    keyed = dict(zip(parts[1::2], parts[2::2], strict=True))
    return (keyed.get("SVWZ") or parts[0]).strip()


def _from_words(text: str) -> tuple[str, str]:
    parts = _WORD.split(text)
    words = {word: value.strip(" /") for word, value in zip(parts[1::2], parts[2::2], strict=True)}
    purpose = _REMITTANCE_KIND.sub("", words.get("REMI", ""), count=1)
    # /CNTP/account/bank/name/city
    counterparty = words.get("NAME") or "".join(words.get("CNTP", "").split("/")[2:3])
    return purpose or words.get("TRTP") or text, counterparty.strip()
