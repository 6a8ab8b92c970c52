"""Records: the lines of somebody's books as received, and what importing them means."""

import hashlib
import re
from collections.abc import Mapping
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


class Verdict(StrEnum):
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
    verdict: Verdict
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
        if not category:
            raise NothingSuggested("there is no category to approve: override it with one")
        return self._said(status, Verdict.APPROVED, category, by, None)

    def overridden(
        self, category: str, by: UUID, note: str | None = None, seen: int | None = None
    ) -> Ruling:
        """It has this category. Who knows of the last decision (`seen`, its number) may also
        change what a person decided. Raises BadStatus, AlreadyReviewed, BadRecord, RecordVoid."""
        category = category.strip()
        check_text(category, note or "")
        if len(category) > MAX_CATEGORY:
            raise BadRecord(f"a category has at most {MAX_CATEGORY} characters")
        self._check_open(seen)
        if self.status in HUMAN and seen is None:
            raise AlreadyReviewed(f"the record is {self.status} by now")
        return self._said(self.status.to(Status.OVERRIDDEN), Verdict.OVERRIDDEN, category, by, note)

    def _check_open(self, seen: int | None) -> None:
        if self.void:
            raise RecordVoid("the record was deleted")
        if self.entry_id is None:
            raise BadRecord("a pending record has nothing to categorise yet")
        if seen is not None and seen != self.decisions:
            raise AlreadyReviewed(f"its last decision is number {self.decisions}, not {seen}")

    def _said(
        self, status: Status, verdict: Verdict, category: str, by: UUID, note: str | None
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
            label=category,
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
    text: str | None = None
    """Contained in description or counterparty, whatever the case."""
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


@attrs.frozen(kw_only=True)
class RecordChange:
    """New values of a record; None leaves what is there."""

    account_id: UUID | None = None
    on_date: date | None = None
    amount: Amount | None = None
    description: str | None = None
    counterparty: str | None = None

    def __attrs_post_init__(self) -> None:
        check_text(self.description or "", self.counterparty or "")

    @property
    def moves_money(self) -> bool:
        return not (self.account_id is None and self.on_date is None and self.amount is None)


MAX_TEXT = 4_000
MAX_CATEGORY = 200


def check_text(*texts: str) -> None:
    """Raise BadRecord for a text that is too long or cannot be stored."""
    for text in texts:
        if len(text) > MAX_TEXT:
            raise BadRecord(f"a text of {len(text)} characters; at most {MAX_TEXT}")
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise BadRecord("a text holds characters that are not text")


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
    """created, changed, deleted, categorised, linked"""

    def payload(self) -> Mapping[str, Plain]:
        return {"record": str(self.record_id), "what": self.what}
