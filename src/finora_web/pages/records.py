"""The table of records: filters, pages, and categories that are changed in place."""

from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import attrs
from flask import Response, make_response, render_template, request
from pydantic import Field

from finora_core.kernel.errors import Refusal
from finora_core.kernel.page import MAX_LIMIT
from finora_core.kernel.scope import Scope
from finora_core.records.model import Record, RecordChange, RecordFilter
from finora_web.contract import Name, Paged
from finora_web.errors import BadRequest, status_of
from finora_web.gate import Gate
from finora_web.pages.account.frame import frame
from finora_web.pages.caller import caller
from finora_web.pages.forms import query
from finora_web.pages.own import own_accounts

_LATEST = 10


class Asked(Paged):
    """What the form above the table says."""

    text: Name | None = None
    account_id: UUID | None = None
    since: date | None = None
    until: date | None = None
    category: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")] | None = None
    exactly: bool = False
    """Without what is below the category."""
    uncategorised: bool = False
    with_void: bool = False

    @property
    def wanted(self) -> RecordFilter:
        return RecordFilter(
            account_id=self.account_id,
            since=self.since,
            until=self.until,
            category="" if self.uncategorised else self.category,
            below=not self.exactly,
            text=self.text,
            with_void=self.with_void,
        )

    @property
    def words(self) -> dict[str, str]:
        """As it stands in an address, without what asks nothing."""
        given = self.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
        return {
            name: "1" if value is True else str(value) for name, value in given.items() if value
        }

    @property
    def address(self) -> str:
        """Of the page that shows just these."""
        return f"/records?{urlencode(self.words)}" if self.words else "/records"

    def after(self, cursor: str) -> str:
        """Where the rows come from that follow the cursor."""
        return f"/parts/records?{urlencode(self.words | {'cursor': cursor})}"


@attrs.frozen
class Records:
    gate: Gate

    def page(self) -> str:
        scope = caller(self.gate, "books:read")
        return render_template(
            "records.html", frame=frame(self.gate.services, scope), **self.listed(scope)
        )

    def part(self) -> Response:
        """The table; or, after a cursor, the rows that go on below it."""
        scope = caller(self.gate, "books:read")
        asked = query(Asked)
        rows = self.listed(scope)
        if asked.cursor is not None:
            return make_response(render_template("_rows.html", **rows))
        answer = make_response(render_template("_records.html", **rows))
        answer.headers["HX-Replace-Url"] = asked.address
        return answer

    def listed(self, scope: Scope) -> dict[str, Any]:
        asked = query(Asked)
        app = self.gate.services
        page = app.records.list(scope, asked.wanted, cursor=asked.cursor, limit=asked.limit)
        return {
            "records": page.items,
            "next": page.next,
            "asked": asked,
            "own": own_accounts(self.gate.services, scope),
            "may": scope.permissions,
        }

    def latest(self, scope: Scope) -> dict[str, Any]:
        """The first of them all."""
        page = self.gate.services.records.list(scope, limit=_LATEST)
        return {"records": page.items, "next": None, "asked": Asked(), "may": scope.permissions}

    def latest_part(self) -> str:
        scope = caller(self.gate, "books:read")
        return render_template("_records.html", **self.latest(scope))

    def accounts(self) -> str:
        """What there is to choose from above the table."""
        scope = caller(self.gate, "books:read")
        return render_template(
            "_accounts.html", own=own_accounts(self.gate.services, scope), asked=query(Asked)
        )

    def category(self, record_id: UUID) -> str:
        """The cell as it is."""
        scope = caller(self.gate, "books:read")
        record = self.gate.services.records.get(scope, record_id)
        return _cell("_category.html", scope, record)

    def edit_category(self, record_id: UUID) -> str:
        """The cell as a form."""
        scope = caller(self.gate, "books:read")
        record = self.gate.services.records.get(scope, record_id)
        return render_template("_category_form.html", record=record, value=record.category)

    def categorise(self, record_id: UUID) -> Response:
        scope = caller(self.gate, "books:write")
        value = request.form.get("category", "").strip()
        try:
            if not 1 <= len(value) <= 200 or not value.isprintable():
                raise BadRequest("a category has 1 to 200 printable characters")
            record = self.gate.services.records.categorise(scope, record_id, value)
        except Refusal as refusal:
            # Said in the cell, where what was typed is still to be seen.
            record = self.gate.services.records.get(scope, record_id)
            shown = render_template(
                "_category_form.html", record=record, value=value, refusal=refusal
            )
            return make_response(shown, status_of(refusal))
        return make_response(_cell("_category.html", scope, record))

    # --- notes ---

    def note(self, record_id: UUID) -> str:
        scope = caller(self.gate, "books:read")
        return _cell("_note.html", scope, self.gate.services.records.get(scope, record_id))

    def edit_note(self, record_id: UUID) -> str:
        scope = caller(self.gate, "books:read")
        record = self.gate.services.records.get(scope, record_id)
        return render_template("_note_form.html", record=record, value=record.note)

    def write_note(self, record_id: UUID) -> Response:
        """An empty one takes it away."""
        scope = caller(self.gate, "books:write")
        value = request.form.get("note", "").strip()
        try:
            record = self.gate.services.records.change(scope, record_id, RecordChange(note=value))
        except Refusal as refusal:
            record = self.gate.services.records.get(scope, record_id)
            shown = render_template("_note_form.html", record=record, value=value, refusal=refusal)
            return make_response(shown, status_of(refusal))
        return make_response(_cell("_note.html", scope, record))

    def categories(self) -> str:
        """What there is to choose from."""
        scope = caller(self.gate, "books:read")
        found = self.gate.services.categories.list(scope, limit=MAX_LIMIT)
        return render_template("_categories.html", categories=found.items)


def _cell(template: str, scope: Scope, record: Record) -> str:
    """The cell as it is, with the focus on it."""
    return render_template(template, record=record, focus=True, may=scope.permissions)
