"""Payments that come again and again: looked at, confirmed, ignored."""

from typing import Any
from uuid import UUID

import attrs
from flask import Response, redirect
from werkzeug.wrappers import Response as Answer

from finora_core.insights.recurring.model import Recurring, Verdict
from finora_core.kernel.scope import Scope
from finora_core.records.model import RecordNotFound
from finora_web.contract import Paged
from finora_web.gate import Gate
from finora_web.pages.account.frame import framed
from finora_web.pages.caller import caller
from finora_web.pages.forms import query, sent

_SAID = {
    "confirmed": "Confirmed.",
    "ignored": "Ignored: the forecast leaves it out from now on.",
    "open": "Taken back.",
}
_RECORDS = 12


class Asked(Paged):
    ignored: bool = False


@attrs.frozen
class RecurringPage:
    gate: Gate

    def page(self) -> Response:
        scope = caller(self.gate, "books:read")
        asked = query(Asked)
        app = self.gate.services
        found = app.recurring.list(
            scope, ignored=asked.ignored, cursor=asked.cursor, limit=asked.limit
        )
        return framed(
            app,
            scope,
            "plan/recurring.html",
            said=_SAID,
            found=found.items,
            next=found.next,
            ignored=asked.ignored,
        )

    def records(self, recurring_id: UUID) -> Response:
        """The payments it was found in."""
        scope = caller(self.gate, "books:read")
        app = self.gate.services
        one = next((each for each in _all(self.gate, scope) if each.id == recurring_id), None)
        records: list[Any] = []
        for record_id in one.records[: -_RECORDS - 1 : -1] if one else ():
            try:
                records.append(app.records.get(scope, record_id))
            except RecordNotFound:
                continue
        return framed(app, scope, "plan/recurring_records.html", said={}, one=one, records=records)

    def judge(self, recurring_id: UUID) -> Answer:
        scope = caller(self.gate, "books:write")
        said = sent("verdict")
        verdict = Verdict(said) if said in set(Verdict) else None
        self.gate.services.recurring.judge(scope, recurring_id, verdict)
        ignored = "ignored=1&" if sent("ignored") else ""
        return redirect(f"/recurring?{ignored}said={verdict.value if verdict else 'open'}", 303)


def _all(gate: Gate, scope: Scope) -> list[Recurring]:
    found: list[Recurring] = []
    cursor = None
    while True:
        page = gate.services.recurring.list(scope, ignored=True, cursor=cursor, limit=1_000)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found
