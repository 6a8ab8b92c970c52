"""The event feed, for other programs, and the check of the chain that it is read from."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from finora_core.audit.model import Feed, FeedFilter, FlawKind
from finora_core.kernel.scope import Scope
from finora_web.contract import Id, In, Instant, Out, Paged, Routes, Single
from finora_web.services import Services

routes = Routes("events")

MOST_CHECKED = 10_000

Seq = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]
EventType = Annotated[str, Field(pattern=r"^[a-z0-9_.]{1,100}$", examples=["entries.posted"])]


class EventOut(Out):
    seq: int = Field(description="Its place in the tenant's order: without a gap, and for ever.")
    id: UUID
    type: str
    payload: dict[str, Any]
    actor: UUID
    source_agent: str
    trace_id: str = Field(description="The request that caused it, through its jobs too.")
    recorded_at: datetime
    sealed_at: datetime
    hash: str = Field(validation_alias="hash_text", description="Of this link of the chain.")


class EventsPageOut(Out):
    next: str | None
    complete_to: int = Field(
        description="Everything up to this number is known; ask for what comes after it later."
    )


class EventsOut(Out):
    """A page of the feed."""

    success: Literal[True] = True
    data: list[EventOut]
    page: EventsPageOut


class EventQuery(Paged):
    type: EventType | None = None
    since: Instant | None = Field(None, description="Recorded at this instant or later.")
    until: Instant | None = Field(None, description="Recorded before this instant.")
    actor: Id | None = None
    after: Seq = Field(0, description="Sealed after this number; a cursor goes before it.")


class FlawOut(Out):
    kind: FlawKind
    seq: int | None
    event_id: UUID | None
    said: str


class CheckedOut(Out):
    whole: bool
    first: int
    last: int = Field(description="Links from `first` to this one were checked and are whole.")
    flaw: FlawOut | None = Field(description="The first link that is not as it was sealed.")
    next: int | None = Field(description="Go on after this number; null at the chain's end.")


class CheckQuery(In):
    after: Seq = 0


def _fed(feed: Feed) -> object:
    page = {"next": feed.next, "complete_to": feed.complete_to}
    return {"data": list(feed.items), "page": page}


@routes.get("/events", "events:read", EventsOut, shape=_fed)
def list_events(app: Services, scope: Scope, query: EventQuery) -> object:
    """Events in the order in which they were sealed. What is not sealed yet, for a few seconds,
    is not shown."""
    wanted = FeedFilter(type=query.type, since=query.since, until=query.until, actor=query.actor)
    return app.audit.events(
        scope, wanted, after=query.after, cursor=query.cursor, limit=query.limit
    )


@routes.get("/audit/verification", "events:read", Single[CheckedOut])
def verify_events(app: Services, scope: Scope, query: CheckQuery) -> object:
    """Check ten thousand links of the tenant's chain. It shows every change but that of the whole
    chain by the database's owner, which the anchors show."""
    return app.audit.verify(scope, after=query.after, limit=MOST_CHECKED)
