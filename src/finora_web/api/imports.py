"""Statements in: upload, then ask the job how far it is."""

from datetime import date
from typing import Annotated, Any, BinaryIO
from uuid import UUID

from pydantic import Field

from finora_core.kernel.scope import Scope
from finora_core.records.model import ImportRequest
from finora_web.contract import Code, In, MoneyOut, Name, Out, Routes, Single
from finora_web.errors import BadRequest
from finora_web.services import Services
from finora_web.strict import read_json

routes = Routes("imports")


class ImportQuery(In):
    name: Name = Field("statement", description="The file's name.")
    account: Name | None = Field(None, description="Name or id, for files that name no account.")
    currency: Code | None = None
    format: Name | None = Field(None, description="Where it should not be recognised.")
    accept_difference: bool = Field(
        False, description="Import a statement whose control sum is wrong."
    )
    answers: Annotated[str, Field(max_length=4_000)] | None = Field(
        None, description='What the format asked, as JSON: `{"date_order": "dmy"}`.'
    )

    def request(self) -> ImportRequest:
        return ImportRequest(
            account=self.account,
            currency=self.currency,
            format=self.format,
            answers=_answers(self.answers),
            accept_difference=self.accept_difference,
        )


class Accepted(Out):
    import_id: UUID
    job_id: UUID


class ImportOut(Out):
    result: dict[str, Any] | None = Field(
        description="What became of its lines, as in docs/cli.md; null while it is not done."
    )


class CountsOut(Out):
    id: UUID
    name: str
    number: str | None
    opened: bool


class PreviewLineOut(Out):
    place: int
    on_date: date
    amount: MoneyOut
    description: str
    counterparty: str | None
    bank_id: str | None
    booked: bool


class SetAsideOut(Out):
    place: int
    reason: str


class PreviewOut(Out):
    file: str
    format: str
    accounts: list[CountsOut]
    read: int
    lines: list[PreviewLineOut]
    set_aside_count: int
    set_aside: list[SetAsideOut]
    difference: str | None


@routes.post("/imports", "books:write", Single[Accepted], status=202, uploads="statement",
             shape=lambda ids: {"data": {"import_id": ids[0], "job_id": ids[1]}})  # fmt: skip
def import_statement(app: Services, scope: Scope, query: ImportQuery, file: BinaryIO) -> object:
    """Take a statement in, as it is, as the request's body (`application/octet-stream`) or as the
    part `file` of a form. Its job imports it: all of it, or nothing."""
    return app.imports.submit(scope, file, query.name, query.request())


@routes.post("/imports/preview", "books:read", Single[PreviewOut], uploads="preview")
def preview_statement(app: Services, scope: Scope, query: ImportQuery, file: BinaryIO) -> object:
    """Read a statement of up to 4 MB and say what it holds; writes nothing."""
    return app.imports.preview(scope, file, query.name, query.request())


@routes.get("/imports/{import_id}", "books:read", Single[ImportOut],
            shape=lambda result: {"data": {"result": result}})  # fmt: skip
def get_import(app: Services, scope: Scope, import_id: UUID) -> object:
    """What became of a statement."""
    return app.imports.result(scope, import_id)


def _answers(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    said = read_json(text.encode())
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        raise BadRequest("answers is no JSON object of texts", details=(("answers", "not JSON"),))
    return said
