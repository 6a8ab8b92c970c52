"""Stored files, what may be done with them, and what they are called."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.kernel.errors import Conflict, Invalid, NotFound
from finora_core.kernel.events import Plain

MAX_NAME = 200
UPLOAD_URL_S = 15 * 60
"""How long a presigned upload may be begun."""
DOWNLOAD_URL_S = 60 * 60
ANNOUNCED_S = 60 * 60
"""How long an announced file waits for its confirmation."""
TEMPORARY_S = 30 * 24 * 60 * 60


class FileNotFound(NotFound):
    """There is no such file in this tenant."""

    code = "FILE_NOT_FOUND"


class BadFileName(Invalid):
    """A file's name has at least one printable character besides its folders and dots."""

    code = "BAD_FILE_NAME"


class FileEmpty(Invalid):
    """The file has no bytes."""

    code = "FILE_EMPTY"


class FileLength(Conflict):
    """What was uploaded has another length than was announced."""

    code = "FILE_LENGTH"


class FileNotUploaded(Conflict):
    """The file was announced, and its bytes are not there yet."""

    code = "FILE_NOT_UPLOADED"


class FileExpired(Conflict):
    """The file was temporary, or was not confirmed in time; upload it again."""

    code = "FILE_EXPIRED"


class FileQuarantined(Conflict):
    """The file is set aside for what it is or pretends to be; it can be deleted only."""

    code = "FILE_QUARANTINED"


class FileState(StrEnum):
    ANNOUNCED = "announced"
    """Somebody may upload it, and has not said that it is there."""
    KEPT = "kept"
    QUARANTINED = "quarantined"
    """Its bytes are kept as evidence and not given out; `reason` says why."""


@attrs.frozen(kw_only=True)
class StoredFile:
    """A file of one tenant. `bytes` is its length; of an announced one, the announced length."""

    id: UUID
    user_id: UUID
    key: str
    """Of its object: its digest in hexadecimal, or where an upload goes until it is confirmed."""
    name: str
    media_type: str
    sha256: bytes | None
    bytes: int
    state: FileState
    reason: str | None
    created_at: datetime
    expires_at: datetime | None

    def check_live(self, now: datetime) -> None:
        """Raise FileExpired where its time is over, swept or not."""
        if self.expires_at is not None and self.expires_at <= now:
            raise FileExpired(f"the file {self.id} expired at {self.expires_at.isoformat()}")

    def check_readable(self, now: datetime) -> None:
        """Raise FileNotUploaded, FileQuarantined or FileExpired."""
        self.check_live(now)
        if self.state is FileState.ANNOUNCED:
            raise FileNotUploaded(f"the file {self.id} was announced and is not confirmed")
        if self.state is FileState.QUARANTINED:
            raise FileQuarantined(f"the file {self.id} is set aside: {self.reason}")


def clean_name(name: str) -> str:
    """The base name of what a client calls its file, at most 200 characters: folders, also those
    of Windows, are cut off, and what does not print is left out. Raises BadFileName."""
    base = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(sign for sign in base if sign.isprintable()).strip()
    if not shown.strip(". "):
        raise BadFileName("the file has no name")
    if len(shown) > MAX_NAME:
        # The ending says what the file is, so the stem gives way.
        stem, dot, ending = shown.rpartition(".")
        kept = dot + ending if stem and len(ending) < 20 else ""
        shown = (shown[: MAX_NAME - len(kept)] + kept).strip()
    return shown


@attrs.frozen
class FileAnnounced:
    type: ClassVar[str] = "file.announced"

    file_id: UUID
    bytes: int

    def payload(self) -> Mapping[str, Plain]:
        return {"file": str(self.file_id), "bytes": self.bytes}


@attrs.frozen
class FileKept:
    type: ClassVar[str] = "file.kept"

    file_id: UUID
    media_type: str
    bytes: int

    def payload(self) -> Mapping[str, Plain]:
        return {"file": str(self.file_id), "media_type": self.media_type, "bytes": self.bytes}


@attrs.frozen
class FileSetAside:
    type: ClassVar[str] = "file.quarantined"

    file_id: UUID
    reason: str

    def payload(self) -> Mapping[str, Plain]:
        return {"file": str(self.file_id), "reason": self.reason}


@attrs.frozen
class FileDeleted:
    type: ClassVar[str] = "file.deleted"

    file_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"file": str(self.file_id)}
