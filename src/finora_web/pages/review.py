"""The queue of what waits for a person: approved, overridden, taken back; by key or by button."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import attrs
from flask import Response, g, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as Answer

from finora_core.categories.approvals.model import BulkAction, ItemOutcome, Proposal
from finora_core.kernel.errors import Refusal
from finora_core.kernel.scope import Scope
from finora_core.records.model import Decision, Record, Status
from finora_web.contract import Paged
from finora_web.errors import BadRequest, status_of
from finora_web.gate import Gate
from finora_web.pages.account.frame import framed
from finora_web.pages.caller import caller
from finora_web.pages.forms import query, sent
from finora_web.pages.reasons import SOURCES, reason
from finora_web.services import Services

_SHOWN = 25
_SAID = {
    "approved": "Approved.",
    "overridden": "The category is changed.",
    "rule": "The category is changed, and the rule is made.",
    "back": "Taken back: it is as it was.",
}
_WORDS: dict[str, Any] = {"sources": SOURCES, "reason": reason}


@attrs.frozen(kw_only=True)
class Item:
    """A record of the queue with the last thing that was said of it."""

    record: Record
    last: Decision | None

    @property
    def percent(self) -> int | None:
        confidence = self.record.confidence
        return None if confidence is None else confidence // 100


@attrs.frozen
class Review:
    gate: Gate

    def page(self) -> Response:
        return self._page(caller(self.gate, "books:read"))

    def approve(self, record_id: UUID) -> Answer:
        def act(app: Services, scope: Scope) -> dict[str, Any]:
            record = app.review.approve(scope, record_id, seen=_seen())
            return {"record": record, "done": "approved"}

        return self._act(record_id, act)

    def override(self, record_id: UUID) -> Answer:
        def act(app: Services, scope: Scope) -> dict[str, Any]:
            category = sent("category")
            if not category:
                raise BadRequest("Say which category it has.", details=(("category", "missing"),))
            found = app.review.override(
                scope,
                record_id,
                category,
                note=sent("note") or None,
                seen=_seen(),
                make_rule=bool(sent("make_rule")),
            )
            made = found.rule_id is not None
            proposal: Proposal | None = None if made else found.proposal
            done = "rule" if made else "overridden"
            return {"record": found.record, "done": done, "proposal": proposal}

        return self._act(record_id, act)

    def take_back(self, record_id: UUID) -> Answer:
        """Everything is as it was before one said something; it waits again, where it waited."""

        def act(app: Services, scope: Scope) -> dict[str, Any]:
            before = _number("before")
            return {"record": app.review.take_back(scope, record_id, before=before), "done": "back"}

        return self._act(record_id, act)

    def bulk(self) -> Answer:
        """Approve all that were ticked; what could not be is said."""
        scope = caller(self.gate, "books:write")
        try:
            ids = [UUID(each) for each in request.form.getlist("id")]
            if not ids:
                raise BadRequest("Tick the records first.")
            found = self.gate.services.review.bulk(scope, BulkAction.APPROVE, ids)
        except ValueError as error:
            raise BadRequest("the form is not whole") from error
        except Refusal as refusal:
            return self._page(scope, refusal)
        return self._page(scope, outcomes=found)

    def _act(self, record_id: UUID, act: Callable[[Services, Scope], dict[str, Any]]) -> Answer:
        """The line as it is now; the whole page where there is no script."""
        scope = caller(self.gate, "books:write")
        app = self.gate.services
        part = "HX-Request" in request.headers
        try:
            shown = act(app, scope)
        except Refusal as refusal:
            if not part:
                return self._page(scope, refusal)
            g.code = refusal.code
            item = self._item(scope, app.records.get(scope, record_id))
            text = render_template("_review_item.html", item=item, refusal=refusal,
                                   may=scope.permissions, **_WORDS)  # fmt: skip
            return make_response(text, status_of(refusal))
        if not part:
            return redirect(f"/review?said={shown['done']}", 303)
        if shown["done"] == "back" and shown["record"].status is Status.NEEDS_REVIEW:
            item = self._item(scope, shown["record"])
            text = render_template("_review_item.html", item=item, refusal=None, back=True,
                                   may=scope.permissions, **_WORDS)  # fmt: skip
            return make_response(text)
        before = _number("before", _number("seen"))
        return make_response(render_template("_reviewed.html", said=_SAID, before=before, **shown))

    def _page(
        self,
        scope: Scope,
        refusal: Refusal | None = None,
        outcomes: tuple[ItemOutcome, ...] | Any = (),
    ) -> Response:
        app = self.gate.services
        found = app.review.queue(scope, cursor=query(Paged).cursor, limit=_SHOWN)
        return framed(
            app,
            scope,
            "review.html",
            refusal,
            said=_SAID,
            items=self._items(scope, found.items),
            next=found.next,
            approved=sum(1 for each in outcomes if each.ok),
            left=[each for each in outcomes if not each.ok],
            **_WORDS,
        )

    def _item(self, scope: Scope, record: Record) -> Item:
        return self._items(scope, [record])[0]

    def _items(self, scope: Scope, records: Sequence[Record]) -> list[Item]:
        reasons = self.gate.services.review.reasons(scope, [each.id for each in records])
        return [Item(record=each, last=reasons.get(each.id)) for each in records]


def _number(name: str, otherwise: int | None = None) -> int | None:
    text = sent(name)
    return int(text) if text.isdecimal() and len(text) < 6 else otherwise


def _seen() -> int | None:
    return _number("seen")
