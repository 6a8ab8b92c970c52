"""Records: the lines of somebody's books."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from finora_core.kernel.amount import Amount
from finora_core.kernel.scope import Scope
from finora_core.records.model import (
    BankState,
    DecisionSource,
    DecisionVerdict,
    NewRecord,
    Part,
    RecordChange,
    RecordFilter,
    Status,
)
from finora_web.contract import (
    Code,
    Day,
    Decimal,
    Id,
    In,
    Listed,
    MoneyIn,
    MoneyOut,
    Name,
    Out,
    Paged,
    Routes,
    Single,
    Text,
    listed,
)
from finora_web.errors import BadRequest
from finora_web.money import money
from finora_web.services import Services

routes = Routes("records")

Confidence = Annotated[
    int, Field(ge=0, le=10_000, description="In hundredths of a percent: 9200 is 92 %.")
]
Lockable = Literal["category", "tags", "description", "note", "merchant", "counterparty", "flow"]
Kind = Annotated[
    Literal["income", "expense"] | None,
    Field(description="What the sign must agree with: positive is income, negative expense."),
]


class SplitPartOut(Out):
    category: str
    amount: MoneyOut


Tag = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[^,\x00-\x1f]+$")]


class RecordOut(Out):
    id: UUID
    account_id: UUID
    account: str
    on_date: date
    amount: MoneyOut = Field(description="Positive is money into the account.")
    direction: Literal["in", "out"]
    description: str
    counterparty: str | None
    merchant_key: str
    bank_id: str | None
    bank_state: BankState
    status: Status
    category: str = Field(description="Empty for one that is split.")
    parts: list[SplitPartOut] = Field(description="Of one that is split.")
    merchant: str | None
    note: str
    tags: list[str]
    locked: list[str] = Field(description="Fields that a person has set; automation leaves them.")
    source: str
    void: bool
    entry_id: UUID | None
    revision: int
    recorded_at: datetime
    suggested: str = Field(description="The category that waits for a person's approval.")
    confidence: int | None = Field(
        description="In its category or the one suggested, in hundredths of a percent; "
        "null for a record that was not looked at yet."
    )
    decisions: int = Field(description="How many decisions its reasoning trace has.")


class DecisionOut(Out):
    number: int
    source: DecisionSource
    verdict: DecisionVerdict
    category: str
    confidence: int = Field(description="In hundredths of a percent.")
    rationale: str
    rule_id: UUID | None
    neighbours: list[UUID] = Field(description="The records that it was judged by.")
    model: str | None
    note: str | None
    decided_by: UUID | None
    decided_at: datetime | None


class RecordDetailOut(Out):
    record: RecordOut
    raw: Any = Field(description="The line as it was received.")
    revisions: list[dict[str, Any]] = Field(description="Earlier revisions, oldest first.")
    reasoning_trace: list[DecisionOut] = Field(
        description="Why it has its category, oldest decision first."
    )


class NewRecordIn(In):
    account_id: Id
    on_date: Day
    amount: MoneyIn
    description: Text
    counterparty: Text | None = None
    category: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] = ""
    type: Kind = None


class RecordChangeIn(In):
    account_id: Id | None = None
    on_date: Day | None = None
    amount: MoneyIn | None = None
    description: Text | None = None
    counterparty: Text | None = None
    merchant: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] | None = Field(
        None, description="Empty takes it away."
    )
    note: Text | None = None
    tags: Annotated[list[Tag], Field(max_length=50)] | None = None
    type: Kind = None
    revision: Annotated[int, Field(ge=0, le=32_767)] | None = Field(
        None, description="Change it only if this is still its latest revision."
    )


class CategoryIn(In):
    category: Name


class SplitPartIn(In):
    category: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
    amount: MoneyIn


class SplitIn(In):
    parts: Annotated[list[SplitPartIn], Field(min_length=2, max_length=100)] = Field(
        description="They sum to the record's amount, to the last unit."
    )


class UnlockIn(In):
    fields: Annotated[list[Lockable], Field(min_length=1, max_length=7)]


class TransferIn(In):
    other: Id = Field(description="The record at the other end.")
    linked: bool = True


class TransferOut(Out):
    one: RecordOut
    other: RecordOut


class Wanted(In):
    """Which records; what is not given asks nothing."""

    account_id: Id | None = None
    since: Day | None = None
    until: Day | None = None
    category: Name | None = None
    below: bool = Field(False, description="The category with all that is below it.")
    merchant: Name | None = Field(None, description="In its name, or its key.")
    tag: Tag | None = None
    text: Name | None = Field(None, description="In description or counterparty.")
    asset: Code | None = Field(None, description="Of the limits `least` and `most`.")
    least: Decimal | None = None
    most: Decimal | None = None
    status: Status | None = None
    source: Name | None = None
    bank_state: BankState | None = None
    least_confidence: Confidence | None = None
    most_confidence: Confidence | None = None
    with_void: bool = False


class RecordQuery(Paged, Wanted):
    """A page of the records that are wanted."""


@routes.get("/records", "books:read", Listed[RecordOut], shape=listed)
def list_records(app: Services, scope: Scope, query: RecordQuery) -> object:
    """Records, latest business date first."""
    wanted = filter_of(app, scope, query)
    return app.records.list(scope, wanted, cursor=query.cursor, limit=query.limit)


def filter_of(app: Services, scope: Scope, query: Wanted) -> RecordFilter:
    least, most = (_limit(app, scope, query, text) for text in (query.least, query.most))
    return RecordFilter(
        account_id=query.account_id,
        since=query.since,
        until=query.until,
        category=query.category,
        below=query.below,
        merchant=query.merchant,
        tag=query.tag,
        text=query.text,
        least=least,
        most=most,
        status=query.status,
        source=query.source,
        bank_state=query.bank_state,
        least_confidence=query.least_confidence,
        most_confidence=query.most_confidence,
        with_void=query.with_void,
    )


@routes.post("/records", "books:write", Single[RecordOut], status=201)
def create_record(app: Services, scope: Scope, body: NewRecordIn) -> object:
    """Enter a record by hand."""
    new = NewRecord(
        account_id=body.account_id,
        on_date=body.on_date,
        amount=money(app, scope, body.amount),
        description=body.description,
        counterparty=body.counterparty,
        category=body.category,
    )
    return app.records.create(scope, new, kind=body.type)


@routes.get("/records/{record_id}", "books:read", Single[RecordDetailOut])
def get_record(app: Services, scope: Scope, record_id: UUID) -> object:
    """One record, with what was received and what it said before."""
    return app.records.detail(scope, record_id)


@routes.patch("/records/{record_id}", "books:write", Single[RecordOut])
def change_record(app: Services, scope: Scope, record_id: UUID, body: RecordChangeIn) -> object:
    """A new revision; earlier ones are kept."""
    change = RecordChange(
        account_id=body.account_id,
        on_date=body.on_date,
        amount=None if body.amount is None else money(app, scope, body.amount),
        description=body.description,
        counterparty=body.counterparty,
        merchant=body.merchant,
        note=body.note,
        tags=None if body.tags is None else tuple(body.tags),
    )
    return app.records.change(scope, record_id, change, kind=body.type, revision=body.revision)


@routes.delete("/records/{record_id}", "books:write", Single[RecordOut])
def delete_record(app: Services, scope: Scope, record_id: UUID) -> object:
    """Undo its entry and mark it void; it is kept."""
    return app.records.delete(scope, record_id)


@routes.post("/records/{record_id}/category", "books:write", Single[RecordOut])
def categorise_record(app: Services, scope: Scope, record_id: UUID, body: CategoryIn) -> object:
    """Label the record; moves no money."""
    return app.records.categorise(scope, record_id, body.category)


@routes.post("/records/{record_id}/split", "books:write", Single[RecordOut])
def split_record(app: Services, scope: Scope, record_id: UUID, body: SplitIn) -> object:
    """Divide the record among categories; moves no money."""
    parts = [Part(part.category, money(app, scope, part.amount)) for part in body.parts]
    return app.records.split(scope, record_id, parts)


@routes.post("/records/{record_id}/unlock", "books:write", Single[RecordOut])
def unlock_record(app: Services, scope: Scope, record_id: UUID, body: UnlockIn) -> object:
    """Let rules write these fields again; they keep their values."""
    return app.records.unlock(scope, record_id, body.fields)


@routes.post("/records/{record_id}/transfer", "books:write", Single[TransferOut],
             shape=lambda ends: {"data": {"one": ends[0], "other": ends[1]}})  # fmt: skip
def link_transfer(app: Services, scope: Scope, record_id: UUID, body: TransferIn) -> object:
    """Say that two records are the two ends of one transfer, or that they are not."""
    return app.records.link_transfer(scope, record_id, body.other, linked=body.linked)


def _limit(app: Services, scope: Scope, query: Wanted, text: str | None) -> Amount | None:
    if text is None:
        return None
    if query.asset is None:
        raise BadRequest("a limit needs its asset", details=(("asset", "is missing"),))
    return money(app, scope, MoneyIn(amount=text, asset=query.asset))
