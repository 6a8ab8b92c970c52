"""Records: the lines of somebody's books as received, and what importing them means."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from finora_core.kernel.events import Plain
from finora_core.ledger.model import Flow


class RecordNotFound(NotFound):
    """There is no such record in this tenant."""

    code = "RECORD_NOT_FOUND"


class RecordVoid(Conflict):
    """The record was deleted; it is kept and does not change any more."""

    code = "RECORD_VOID"


class RecordChanged(Conflict):
    """The record has changed since it was read; read it again."""

    code = "RECORD_CHANGED"


class BadRecord(Invalid):
    """The record's fields do not fit together."""

    code = "BAD_RECORD"


class BadStatus(Conflict):
    """The record's status does not lead there."""

    code = "ILLEGAL_STATUS"


class AlreadyReviewed(Conflict):
    """Somebody decided about the record a moment ago; read it again."""

    code = "ALREADY_REVIEWED"


class ChangedSince(Conflict):
    """What is to be taken back is not the last thing that you said of the record, or nobody knows
    what was before."""

    code = "CHANGED_SINCE"


class NothingSuggested(Conflict):
    """The record has no category that could be approved: override it with one."""

    code = "NOTHING_SUGGESTED"


class DutiesSeparate(Forbidden):
    """Who brought a record in does not approve it: in this tenant another member must."""

    code = "SEPARATION_OF_DUTIES"


class AccountNeeded(Invalid):
    """The file names no account: say which account it is of."""

    code = "ACCOUNT_NEEDED"


class AccountMismatch(Invalid):
    """The file is of another account than the one named."""

    code = "ACCOUNT_MISMATCH"


class CurrencyNeeded(Invalid):
    """The file names no currency and its account has none yet: say which."""

    code = "CURRENCY_NEEDED"


class ControlSumWrong(Invalid):
    """The statement's opening balance and lines do not give its closing balance."""

    code = "CONTROL_SUM"


class UnknownFormat(Invalid):
    """No installed statement format recognises the file."""

    code = "UNKNOWN_FORMAT"


class BadCategory(Invalid):
    """A category is a path of names with `:` between them, of at most 200 characters in all."""

    code = "BAD_CATEGORY"


class BadTags(Invalid):
    """A tag has 1 to 50 characters and no comma; a record has at most 50."""

    code = "BAD_TAGS"


class BadSplit(Invalid):
    """The parts of a split must be of the record's asset, not zero, and sum to its amount."""

    code = "BAD_SPLIT"


class SplitStands(Conflict):
    """The record is split into parts of its present amount; give it one category first."""

    code = "SPLIT_STANDS"


class ImportNotFound(NotFound):
    """There is no such import in this tenant."""

    code = "IMPORT_NOT_FOUND"


class BankState(StrEnum):
    PENDING = "pending"
    """Announced by the bank; posts nothing yet."""
    BOOKED = "booked"


class Status(StrEnum):
    """Where the review of a record stands."""

    RECEIVED = "received"
    PROCESSING = "processing"
    PROCESSED = "processed"
    NEEDS_REVIEW = "needs_review"
    APPROVED = "approved"
    OVERRIDDEN = "overridden"
    FAILED = "failed"

    def to(self, wanted: "Status") -> "Status":
        """`wanted`, if this status leads there; raises BadStatus."""
        if wanted not in _LEADS_TO[self]:
            raise BadStatus(f"a record that is {self} cannot become {wanted}")
        return wanted


_LEADS_TO: Mapping[Status, frozenset[Status]] = {
    Status.RECEIVED: frozenset({Status.PROCESSING, Status.APPROVED, Status.OVERRIDDEN}),
    # A person's word is taken at any time, also while a model is asked.
    Status.PROCESSING: frozenset(
        {Status.PROCESSED, Status.NEEDS_REVIEW, Status.FAILED, Status.OVERRIDDEN}
    ),
    Status.PROCESSED: frozenset({Status.PROCESSING, Status.APPROVED, Status.OVERRIDDEN}),
    Status.NEEDS_REVIEW: frozenset({Status.PROCESSING, Status.APPROVED, Status.OVERRIDDEN}),
    Status.APPROVED: frozenset({Status.OVERRIDDEN}),
    Status.OVERRIDDEN: frozenset({Status.OVERRIDDEN}),
    Status.FAILED: frozenset({Status.PROCESSING, Status.OVERRIDDEN}),
}

HUMAN = frozenset({Status.APPROVED, Status.OVERRIDDEN})
"""A person decided: automation leaves the record alone, and learns from it."""

SURE = 10_000
"""All of the confidence there is: it is counted in hundredths of a percent."""


class DecisionSource(StrEnum):
    """Who or what says which category a record has."""

    STATEMENT = "statement"
    """The file that brought it names one."""
    MATCH = "match"
    """It is one end of a transfer between own accounts, which has none."""
    RULE = "rule"
    SIMILAR = "similar"
    """Records like it, about which a person decided."""
    MODEL = "model"
    HUMAN = "human"


class DecisionVerdict(StrEnum):
    """What a decision did."""

    AUTO = "auto"
    """It was sure enough to stand without a person."""
    SUGGESTED = "suggested"
    NONE = "none"
    APPROVED = "approved"
    OVERRIDDEN = "overridden"


@attrs.frozen(kw_only=True)
class Decision:
    """One step of how a record got its category; appended, never changed. All of them, in order,
    are the record's reasoning trace."""

    source: DecisionSource
    verdict: DecisionVerdict
    category: str = ""
    confidence: int = 0
    rationale: str = ""
    """A code and, where one helps, names of categories: nothing about a person."""
    rule_id: UUID | None = None
    neighbours: tuple[UUID, ...] = ()
    """The records that it was judged by."""
    model: str | None = None
    note: str | None = None
    """What the person who decided had to say."""
    number: int = 0
    decided_by: UUID | None = None
    decided_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Ruling:
    """What becomes of one record: its new status, what its trace gains, what its label says."""

    record_id: UUID
    status: Status
    decisions: tuple[Decision, ...]
    label: str | None = None
    """The category to label it with; None leaves the label."""
    parts: "tuple[Part, ...]" = ()
    """In place of a category: what it is divided into. The label is empty then."""
    suggested: str = ""
    confidence: int = 0


@attrs.frozen(kw_only=True)
class ReviewSettings:
    """When a tenant's records need no person, and which persons may decide."""

    similar_auto: int = 9_200
    similar_suggested: int = 8_000
    model_auto: int = 8_500
    ask_model: bool = True
    separate_duties: bool = False
    """Who imported or entered a record may not approve it."""

    def __attrs_post_init__(self) -> None:
        for name in ("similar_auto", "similar_suggested", "model_auto"):
            if not 0 <= getattr(self, name) <= SURE:
                raise BadRecord(f"{name} is between 0 and {SURE}")
        if self.similar_suggested > self.similar_auto:
            raise BadRecord("what suggests is not above what decides")


@attrs.frozen
class Part:
    """What of a split record belongs to one category. `amount` has a sign of its own."""

    category: str
    amount: Amount


LOCKABLE = ("category", "tags", "description", "note", "merchant", "counterparty", "flow")
"""Fields that are locked against automation once a person has set them."""


@attrs.frozen(kw_only=True)
class Record:
    """One line. `amount` is positive for money into the account."""

    id: UUID
    account_id: UUID
    account: str
    """The account's name."""
    on_date: date
    amount: Amount
    description: str
    counterparty: str | None
    merchant_key: str
    bank_id: str | None
    bank_state: BankState
    status: Status
    category: str
    """Empty for one that is split."""
    parts: tuple[Part, ...] = ()
    """Of one that is split among categories; they sum to its amount."""
    merchant: str | None = None
    """Its name as a person or a rule gave it; else `merchant_key` is what is known."""
    note: str = ""
    tags: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    """Fields that a person has set; automation leaves them."""
    flow: Flow | None
    """How its label says that it counts; None for one without a label."""
    source: str
    """The format or connector that brought it first; `manual` for one entered by hand."""
    void: bool
    entry_id: UUID | None
    revision: int
    recorded_at: datetime
    suggested: str = ""
    """The category that waits for a person's approval."""
    confidence: int | None = None
    """In its category, or in the one suggested; None for one that was not looked at yet."""
    decisions: int = 0
    """How many its reasoning trace has."""

    @property
    def direction(self) -> str:
        return "in" if self.amount.units > 0 else "out"

    def approved(self, by: UUID, seen: int | None = None) -> Ruling:
        """Its category, or the one suggested, is right. Raises BadStatus, AlreadyReviewed,
        NothingSuggested, RecordVoid."""
        self._check_open(seen)
        status = self.status.to(Status.APPROVED)
        category = self.suggested or self.category
        if not category and not self.parts:
            raise NothingSuggested("there is no category to approve: override it with one")
        # Its own label stays as it is, with its parts.
        label = self.suggested or None
        return self._said(status, DecisionVerdict.APPROVED, category, by, label=label)

    def overridden(
        self, category: str, by: UUID, note: str | None = None, seen: int | None = None
    ) -> Ruling:
        """It has this category. Who knows of the last decision (`seen`, its number) may also
        change what a person decided. Raises BadStatus, AlreadyReviewed, BadRecord, RecordVoid."""
        check_text(note or "")
        category = category_path(category)
        self._check_open(seen)
        if self.status in HUMAN and seen is None:
            raise AlreadyReviewed(f"the record is {self.status} by now")
        return self._said(
            self.status.to(Status.OVERRIDDEN),
            DecisionVerdict.OVERRIDDEN,
            category,
            by,
            note,
            category,
        )

    def divided(self, parts: "Iterable[Part]", by: UUID) -> Ruling:
        """Its amount is of these categories. Raises BadStatus, BadSplit, BadRecord, RecordVoid."""
        self._check_open(None)
        found = checked_parts(parts, self.amount)
        status = self.status.to(Status.OVERRIDDEN)
        said = self._said(status, DecisionVerdict.OVERRIDDEN, "", by, label="")
        return attrs.evolve(said, parts=found)

    def released(self, by: UUID) -> Ruling:
        """Automation may judge it again; its label stays until something else is sure. What a
        person decided is no example any more."""
        said = Decision(
            source=DecisionSource.HUMAN,
            verdict=DecisionVerdict.NONE,
            category=self.category,
            rationale="UNLOCKED",
            decided_by=by,
        )
        return Ruling(record_id=self.id, status=Status.PROCESSED, decisions=(said,))

    def _check_open(self, seen: int | None) -> None:
        if self.void:
            raise RecordVoid("the record was deleted")
        if self.entry_id is None:
            raise BadRecord("a pending record has nothing to categorise yet")
        if seen is not None and seen != self.decisions:
            raise AlreadyReviewed(f"its last decision is number {self.decisions}, not {seen}")

    def _said(
        self,
        status: Status,
        verdict: DecisionVerdict,
        category: str,
        by: UUID,
        note: str | None = None,
        label: str | None = None,
    ) -> Ruling:
        said = Decision(
            source=DecisionSource.HUMAN,
            verdict=verdict,
            category=category,
            confidence=SURE,
            note=note,
            decided_by=by,
        )
        return Ruling(
            record_id=self.id,
            status=status,
            decisions=(said,),
            label=label,
            confidence=SURE,
        )


@attrs.frozen(kw_only=True)
class RecordDetail:
    """A record with what was received, and every earlier revision, oldest first."""

    record: Record
    raw: object
    revisions: tuple[Mapping[str, object], ...]
    reasoning_trace: tuple[Decision, ...]


@attrs.frozen(kw_only=True)
class RecordFilter:
    """What to list; None asks nothing. Amounts are in the asset's units, signed."""

    account_id: UUID | None = None
    since: date | None = None
    until: date | None = None
    category: str | None = None
    below: bool = False
    """The category with all that is below it: Food with Food:Market."""
    text: str | None = None
    """Contained in description or counterparty, whatever the case."""
    merchant: str | None = None
    """Contained in the merchant's name, or in its key where it has none."""
    tag: str | None = None
    least: Amount | None = None
    most: Amount | None = None
    status: Status | None = None
    source: str | None = None
    bank_state: BankState | None = None
    least_confidence: int | None = None
    most_confidence: int | None = None
    with_void: bool = False


@attrs.frozen(kw_only=True)
class NewRecord:
    """A record entered by hand."""

    account_id: UUID
    on_date: date
    amount: Amount
    description: str
    counterparty: str | None = None
    category: str = ""

    def __attrs_post_init__(self) -> None:
        check_text(self.description, self.counterparty or "", self.category)
        object.__setattr__(self, "category", category_path(self.category))


@attrs.frozen(kw_only=True)
class RecordChange:
    """New values of a record; None leaves what is there."""

    account_id: UUID | None = None
    on_date: date | None = None
    amount: Amount | None = None
    description: str | None = None
    counterparty: str | None = None
    merchant: str | None = None
    """Empty takes it away."""
    note: str | None = None
    tags: tuple[str, ...] | None = None

    def __attrs_post_init__(self) -> None:
        check_text(self.description or "", self.counterparty or "", self.note or "")
        check_text(self.merchant or "")
        if len(self.merchant or "") > 200:
            raise BadRecord("a merchant's name has at most 200 characters")
        if self.tags is not None:
            object.__setattr__(self, "tags", checked_tags(self.tags))

    @property
    def fields(self) -> frozenset[str]:
        """What it says of the fields that can be locked."""
        named = ("description", "counterparty", "merchant", "note", "tags")
        return frozenset(name for name in named if getattr(self, name) is not None)

    @property
    def moves_money(self) -> bool:
        return not (self.account_id is None and self.on_date is None and self.amount is None)


MAX_TEXT = 4_000
MAX_CATEGORY = 200
MAX_TAG = 50
MAX_TAGS = 50
MAX_PARTS = 100


def check_text(*texts: str) -> None:
    """Raise BadRecord for a text that is too long or cannot be stored."""
    for text in texts:
        if len(text) > MAX_TEXT:
            raise BadRecord(f"a text of {len(text)} characters; at most {MAX_TEXT}")
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise BadRecord("a text holds characters that are not text")


def category_path(text: str) -> str:
    """The path of a category, without blanks around its names; empty for none. Raises BadCategory
    for a name that is empty, or too long a path."""
    names = [name.strip() for name in text.split(":")]
    path = ":".join(names)
    if not path:
        return ""
    if not all(names) or len(path) > MAX_CATEGORY or not path.isprintable():
        raise BadCategory(f"{text[:40]!r} is not a path of names with `:` between them")
    return path


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags in order, each once. Raises BadTags."""
    found = sorted({tag.strip() for tag in tags})
    for tag in found:
        if not 1 <= len(tag) <= MAX_TAG or "," in tag or not tag.isprintable():
            raise BadTags(f"{tag[:40]!r} is no tag: 1 to {MAX_TAG} characters without a comma")
    if len(found) > MAX_TAGS:
        raise BadTags(f"a record has at most {MAX_TAGS} tags, not {len(found)}")
    return tuple(found)


def checked_parts(parts: Iterable[Part], amount: Amount) -> tuple[Part, ...]:
    """Parts that sum to the amount. Raises BadSplit, BadCategory."""
    found = tuple(Part(category_path(part.category), part.amount) for part in parts)
    if not 2 <= len(found) <= MAX_PARTS:
        raise BadSplit(f"a split has 2 to {MAX_PARTS} parts")
    if any(part.amount.asset != amount.asset or not part.amount for part in found):
        raise BadSplit(f"every part is of {amount.asset.id} and not zero")
    whole = Amount(sum(part.amount.units for part in found), amount.asset)
    if whole != amount:
        raise BadSplit(
            f"the parts sum to {whole}, the record is {amount}: {amount - whole} is missing",
            facts={"missing": (amount - whole).text},
        )
    return found


def signed_amount(amount: Amount, kind: str | None) -> Amount:
    """Check a sign against a stated `type` (income or expense): positive is income. A type that
    does not agree is refused, never corrected."""
    if kind is None:
        return amount
    if kind not in ("income", "expense"):
        raise BadRecord(f"type is income or expense, not {kind!r}")
    if (kind == "income") != (amount.units > 0):
        raise BadRecord(f"{amount} is not an {kind}: positive is income, negative is expense")
    return amount


# --- what makes a line the same line ---


def identity_of(
    source: str, on_date: date, units: int, asset: str, text: str, bank_id: str | None
) -> bytes:
    """128 bits that two sightings of one line in one format share: by the bank's id where there is
    one, by the folded text where there is none. Equal lines without an id are told apart by
    counting; lines of different formats by date and amount, when they are merged."""
    what = f"b\x1f{bank_id}" if bank_id else f"t\x1f{' '.join(text.casefold().split())}"
    said = f"{source}\x1f{on_date.isoformat()}\x1f{units}\x1f{asset}\x1f{what}"
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()


_NOISE = re.compile(r"[^\w\s&'.-]|[_#*]")
_HAS_DIGIT = re.compile(r"\S*\d\S*")


@lru_cache(maxsize=65_536)
def merchant_key(text: str) -> str:
    """The merchant as far as it stays the same from visit to visit: upper case, without words that
    carry digits (store, card and reference numbers, dates), one blank between words.

    `"STARBUCKS #1234 Seattle 12/03"` is `"STARBUCKS SEATTLE"`. A text of digits alone keeps them.
    """
    words = _NOISE.sub(" ", _HAS_DIGIT.sub(" ", text)).upper().split()
    return " ".join(words)[:200] or " ".join(text.upper().split())[:200]


# --- imports ---


@attrs.frozen(kw_only=True)
class ImportRequest:
    """How to read a file. `answers` settle what its format asks; `account` is for files that name
    none; `accept_difference` imports a statement whose control sum is wrong, and is kept with
    who said so."""

    account: str | None = None
    currency: str | None = None
    format: str | None = None
    answers: Mapping[str, str] = attrs.field(factory=dict)
    accept_difference: bool = False

    def __attrs_post_init__(self) -> None:
        check_text(self.account or "", self.currency or "", self.format or "")
        check_text(*self.answers.keys(), *self.answers.values())


@attrs.frozen(kw_only=True)
class SetAside:
    place: int
    reason: str


@attrs.frozen(kw_only=True)
class AccountCounts:
    """What a file said about one account."""

    id: UUID
    name: str
    number: str | None
    opened: bool
    """The account was opened by this import."""


@attrs.frozen(kw_only=True)
class Difference:
    """A balance that the bank states and the books do not give: lines are missing, or doubled."""

    account: str
    on_date: date
    stated: Amount
    booked: Amount


@attrs.frozen(kw_only=True)
class ImportResult:
    """What became of a file's lines: read = added + existing + claimed + set aside.

    `existing` were there already; `claimed` are lines that another format, or a pending line, had
    brought before. `set_aside` names the first thousand of them.
    """

    file: str
    format: str
    accounts: tuple[AccountCounts, ...]
    read: int
    added: int
    existing: int
    claimed: int
    set_aside_count: int
    set_aside: tuple[SetAside, ...]
    differences: tuple[Difference, ...] = ()
    accepted_difference: str | None = None


@attrs.frozen(kw_only=True)
class PreviewLine:
    place: int
    on_date: date
    amount: Amount
    description: str
    counterparty: str | None
    bank_id: str | None
    booked: bool


@attrs.frozen(kw_only=True)
class Preview:
    """What a file says, before anything is written."""

    file: str
    format: str
    accounts: tuple[AccountCounts, ...]
    read: int
    lines: tuple[PreviewLine, ...]
    """The first of them."""
    set_aside_count: int
    set_aside: tuple[SetAside, ...]
    difference: str | None
    """How far the control sum is off, in words, where it is."""


@attrs.frozen(kw_only=True)
class Merged:
    """How many staged lines ended how."""

    added: int
    existing: int
    claimed: int


@attrs.frozen
class ImportRequested:
    type: ClassVar[str] = "import.requested"

    import_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"import": str(self.import_id)}


@attrs.frozen
class RecordsIngested:
    """A file's lines are in the books."""

    type: ClassVar[str] = "records.ingested"

    import_id: UUID
    format: str
    added: int
    claimed: int
    accepted_difference: bool

    def payload(self) -> Mapping[str, Plain]:
        return {
            "import": str(self.import_id),
            "format": self.format,
            "added": self.added,
            "claimed": self.claimed,
            "accepted_difference": self.accepted_difference,
        }


@attrs.frozen
class RecordEdited:
    type: ClassVar[str] = "record.edited"

    record_id: UUID
    what: str
    """created, changed, deleted, categorised, split, unlocked, linked"""

    def payload(self) -> Mapping[str, Plain]:
        return {"record": str(self.record_id), "what": self.what}
