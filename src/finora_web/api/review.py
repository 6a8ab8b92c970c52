"""Reviewing: what became of records by itself, and what people say to it."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from finora_core.categories.approvals.model import BulkAction
from finora_core.kernel.scope import Scope
from finora_core.records.model import DecisionSource
from finora_web.api.records import Confidence, RecordOut, Wanted, filter_of
from finora_web.contract import (
    Day,
    Id,
    In,
    Listed,
    Name,
    Out,
    Paged,
    Routes,
    Single,
    Text,
    listed,
    whole,
)
from finora_web.services import Services

routes = Routes("review")

Seen = Annotated[int, Field(ge=0, le=32_767)]


class ApproveIn(In):
    seen: Seen | None = Field(
        None, description="Only if this is still the number of the record's last decision."
    )


class OverrideIn(In):
    category: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
    note: Text | None = None
    seen: Seen | None = Field(
        None,
        description="Only if this is still the number of the record's last decision. Needed to "
        "override what a person decided.",
    )
    make_rule: bool = Field(False, description="Also make the rule that the correction proposes.")


class TakeBackIn(In):
    before: Seen | None = Field(
        None,
        description="Take back all your decisions after the one of this number; just the last one, "
        "if not given.",
    )


class RuleProposalOut(Out):
    merchant_key: str
    direction: str
    category: str


class OverriddenOut(Out):
    record: RecordOut
    proposal: RuleProposalOut | None = Field(description="The rule that the correction proposes.")
    rule_id: UUID | None = Field(description="The rule that was made of it.")


class BulkIn(In):
    action: BulkAction
    ids: Annotated[list[Id], Field(min_length=1, max_length=500)]
    category: Name | None = Field(None, description="What `override` needs.")
    note: Text | None = None


class ItemOut(Out):
    id: UUID
    ok: bool
    code: str | None = Field(description="Of the refusal.")
    message: str | None
    record: RecordOut | None


class LookAgainIn(In):
    dry_run: bool = Field(False, description="Say what would change, and change nothing.")


class ReprocessIn(Wanted):
    dry_run: bool = Field(False, description="Say what would change, and change nothing.")


class ReprocessOut(Out):
    reprocess_id: UUID
    job_id: UUID = Field(description="Its result says what became of the records.")


class SettingsOut(Out):
    similar_auto: int = Field(description="From here on likeness decides alone.")
    similar_suggested: int = Field(description="From here on likeness suggests.")
    model_auto: int = Field(description="From here on a model decides alone.")
    ask_model: bool
    separate_duties: bool = Field(description="Who brought a record in may not approve it.")


class SettingsIn(In):
    similar_auto: Confidence | None = None
    similar_suggested: Confidence | None = None
    model_auto: Confidence | None = None
    ask_model: bool | None = None
    separate_duties: bool | None = None


class AccuracyQuery(In):
    since: Day
    until: Day


class AccuracyOut(Out):
    week: date = Field(description="Its Monday.")
    source: DecisionSource
    decided: int
    auto: int
    reviewed: int
    overridden: int
    auto_share: int = Field(description="Of those decided, in hundredths of a percent.")
    override_rate: int | None = Field(
        description="Of those reviewed, in hundredths of a percent; null for none."
    )


def _asked(asked: tuple[UUID, UUID]) -> object:
    return {"data": {"reprocess_id": asked[0], "job_id": asked[1]}}


@routes.get("/review", "books:read", Listed[RecordOut], shape=listed)
def review_queue(app: Services, scope: Scope, query: Paged) -> object:
    """Records that wait for a person, the least certain first, then the oldest."""
    return app.review.queue(scope, cursor=query.cursor, limit=query.limit)


@routes.get("/review/settings", "books:read", Single[SettingsOut])
def review_settings(app: Services, scope: Scope) -> object:
    """When records need no person, and who may decide."""
    return app.review.settings(scope)


@routes.patch("/review/settings", "tenant:write", Single[SettingsOut])
def change_review_settings(app: Services, scope: Scope, body: SettingsIn) -> object:
    """What is not given stays; records that were looked at stay as they are."""
    return app.review.change_settings(scope, **body.model_dump(exclude_none=True))


@routes.post("/records/{record_id}/approve", "books:write", Single[RecordOut])
def approve_record(app: Services, scope: Scope, record_id: UUID, body: ApproveIn) -> object:
    """The category that the record has, or that is suggested, is right."""
    return app.review.approve(scope, record_id, seen=body.seen)


@routes.post("/records/{record_id}/override", "books:write", Single[OverriddenOut])
def override_record(app: Services, scope: Scope, record_id: UUID, body: OverrideIn) -> object:
    """The record has this category; the next of its merchant gets it too."""
    return app.review.override(
        scope,
        record_id,
        body.category,
        note=body.note,
        seen=body.seen,
        make_rule=body.make_rule,
    )


@routes.post("/records/{record_id}/take-back", "books:write", Single[RecordOut])
def take_back_record(app: Services, scope: Scope, record_id: UUID, body: TakeBackIn) -> object:
    """Undo what you decided last: the record is as it was before. A rule made with it stays."""
    return app.review.take_back(scope, record_id, before=body.before)


@routes.post("/records/bulk", "books:write", Listed[ItemOut], shape=whole)
def bulk_records(app: Services, scope: Scope, body: BulkIn) -> object:
    """Approve or override up to 500 records; what cannot be done to one keeps no other back."""
    return app.review.bulk(scope, body.action, body.ids, category=body.category, note=body.note)


@routes.post("/records/{record_id}/reprocess", "books:write", Single[ReprocessOut], status=202,
             shape=_asked, limit="ai")  # fmt: skip
def reprocess_record(app: Services, scope: Scope, record_id: UUID, body: LookAgainIn) -> object:
    """Look again at one record."""
    return app.pipeline.reprocess(scope, ids=[record_id], dry_run=body.dry_run)


@routes.post("/records/reprocess", "books:write", Single[ReprocessOut], status=202, shape=_asked,
             limit="ai")  # fmt: skip
def reprocess_records(app: Services, scope: Scope, body: ReprocessIn) -> object:
    """Look again at the records that are wanted, or at all; never at what a person decided."""
    return app.pipeline.reprocess(scope, filter_of(app, scope, body), dry_run=body.dry_run)


@routes.get("/reports/accuracy", "books:read", Listed[AccuracyOut], shape=whole)
def accuracy_report(app: Services, scope: Scope, query: AccuracyQuery) -> object:
    """How often each step decided alone, and how often people said otherwise, by week."""
    return app.review.accuracy(scope, query.since, query.until)
