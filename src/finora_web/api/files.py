"""Files somebody keeps here: receipts, pictures, tables."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, BinaryIO
from urllib.parse import quote
from uuid import UUID

from flask import Response, redirect
from pydantic import BeforeValidator, Field

from finora_core.files.model import FileState
from finora_core.kernel.scope import Scope
from finora_web.contract import In, Listed, Name, Out, Paged, Routes, Single, listed
from finora_web.services import Services

routes = Routes("files")

_CHUNK = 1 << 16


MediaType = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_.+/;= -]*$")]


class FileOut(Out):
    id: UUID
    user_id: UUID
    name: str
    media_type: str
    bytes: int
    sha256: Annotated[str, BeforeValidator(lambda it: it.hex() if it else it)] | None
    state: FileState
    reason: str | None = Field(description="Why it was set aside.")
    created_at: datetime
    expires_at: datetime | None


class FileQuery(In):
    name: Name
    media_type: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_.+/;= -]*$")] | None = (
        None
    )
    temporary: bool = Field(False, description="Kept for 30 days.")


class NewFileIn(In):
    name: Name
    size: Annotated[int, Field(ge=1, le=1 << 40)] = Field(description="Its exact length in bytes.")
    media_type: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_.+/;= -]*$")] | None = (
        None
    )


class AnnouncedOut(Out):
    file: FileOut
    upload_url: str | None = Field(
        description="Where a PUT of the bytes goes; null: to `/files/{file_id}/content`."
    )


@routes.get("/files", "files:read", Listed[FileOut], shape=listed)
def list_files(app: Services, scope: Scope, query: Paged) -> object:
    """Files, newest first."""
    return app.files.list(scope, cursor=query.cursor, limit=query.limit)


@routes.post("/files", "files:write", Single[FileOut], status=201, uploads="file")
def keep_file(app: Services, scope: Scope, query: FileQuery, file: BinaryIO) -> object:
    """Keep a file: its bytes are the body, or the part `file` of a form. One that is not what it
    pretends to be is set aside: its state is `quarantined`."""
    return app.files.keep(scope, file, query.name, query.media_type, temporary=query.temporary)


@routes.post("/files/announcements", "files:write", Single[AnnouncedOut], status=201,
             shape=lambda it: {"data": {"file": it[0], "upload_url": it[1]}})  # fmt: skip
def announce_file(app: Services, scope: Scope, body: NewFileIn) -> object:
    """Make room for a file whose bytes go straight to the store."""
    return app.files.announce(scope, body.name, body.size, body.media_type)


@routes.post("/files/{file_id}/content", "files:write", Single[FileOut], uploads="file")
def upload_file(app: Services, scope: Scope, file_id: UUID, file: BinaryIO) -> object:
    """The bytes of an announced file, where the store gave no URL for them."""
    return app.files.upload(scope, file_id, file)


@routes.post("/files/{file_id}/confirmation", "files:write", Single[FileOut])
def confirm_file(app: Services, scope: Scope, file_id: UUID) -> object:
    """Say that an announced file is uploaded."""
    return app.files.confirm(scope, file_id)


@routes.get("/files/{file_id}", "files:read", Single[FileOut])
def get_file(app: Services, scope: Scope, file_id: UUID) -> object:
    """What is known of a file."""
    return app.files.get(scope, file_id)


@routes.get("/files/{file_id}/content", "files:read", None,
            media_type="application/octet-stream", also=("302", "409"))  # fmt: skip
def download_file(app: Services, scope: Scope, file_id: UUID) -> object:
    """The bytes; or a redirect to where they are, good for an hour."""
    file, url = app.files.download(scope, file_id)
    if url is not None:
        return redirect(url, 302)
    opened = app.files.open(scope, file_id)
    _, content = opened.__enter__()

    def chunks() -> Iterator[bytes]:
        while chunk := content.read(_CHUNK):
            yield chunk

    answer = Response(chunks(), mimetype=file.media_type)
    answer.content_length = file.bytes
    # Shown by no browser, whatever the bytes are.
    answer.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.name)}"
    answer.call_on_close(lambda: opened.__exit__(None, None, None))
    return answer


@routes.delete("/files/{file_id}", "files:write", Single[None])
def delete_file(app: Services, scope: Scope, file_id: UUID) -> object:
    """Forget a file."""
    return app.files.delete(scope, file_id)
