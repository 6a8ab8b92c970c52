"""Where files are kept: the objects, and the rows that say whose they are."""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import BinaryIO, Protocol
from uuid import UUID

import attrs

from finora_core.files.model import StoredFile
from finora_core.kernel.errors import Invalid, NotFound, Unavailable
from finora_core.kernel.page import Page
from finora_core.kernel.work import Contended, Work

CHUNK = 1 << 20

KEY = re.compile(r"[0-9a-f]{64}|temp/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Every key there is: a digest, or the place of an upload that is not confirmed. So no key can name
another tenant's object, or a path outside the store."""


def upload_key(file_id: UUID) -> str:
    return f"temp/{file_id}"


class ObjectNotFound(NotFound):
    """The stored file is not there any more."""

    code = "OBJECT_NOT_FOUND"


class FileTooLarge(Invalid):
    """The file is larger than is taken."""

    code = "FILE_TOO_LARGE"

    @classmethod
    def over(cls, limit: int) -> "FileTooLarge":
        """`limit` in bytes."""
        return cls(f"the file has more than {limit} bytes", facts={"limit": limit})


class StorageUnavailable(Unavailable):
    """The store of files does not answer; nothing was changed, try again."""

    code = "STORAGE_UNAVAILABLE"


@attrs.frozen(kw_only=True)
class Stored:
    """`key` names the object within its tenant; the same content has the same key."""

    key: str
    sha256: bytes
    bytes: int


@attrs.frozen(kw_only=True)
class Listed:
    """What the store says of an object. `written_at` is the time of its last writing."""

    tenant_id: UUID
    key: str
    bytes: int
    written_at: datetime


class Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class Objects(Protocol):
    """Every method raises StorageUnavailable where the store is elsewhere and does not answer."""

    def put(self, tenant_id: UUID, file: Readable, limit: int | None = None) -> Stored:
        """Keep what is read from the file, streamed, and return once it is durable. Raises
        FileTooLarge after `limit` bytes, without reading on and keeping nothing."""

    def open(self, tenant_id: UUID, key: str) -> AbstractContextManager[BinaryIO]:
        """A seekable file at its start. Raises ObjectNotFound; never another tenant's object."""

    def stat(self, tenant_id: UUID, key: str) -> Listed:
        """Raises ObjectNotFound."""

    def delete(self, tenant_id: UUID, key: str) -> None:
        """Forget it, if it is there."""

    def forget(self, tenant_id: UUID) -> None:
        """Delete every object of the tenant. To be called when no row refers to one."""

    def pages(self) -> Iterator[Sequence[Listed]]:
        """Every object of every tenant, in the order of (tenant, key) as text, a thousand at a
        time. What Finora did not put there is not shown."""

    def upload_url(self, tenant_id: UUID, key: str, size: int, seconds: int) -> str | None:
        """A URL that takes one PUT of exactly `size` bytes; None where bytes go through Finora."""

    def download_url(
        self, tenant_id: UUID, key: str, name: str, media_type: str, seconds: int
    ) -> str | None:
        """A URL that gives the object as an attachment called `name`; None as above."""


class Files(Protocol):
    def add(self, file: StoredFile) -> bool:
        """False where a file with this id is there already."""

    def get(self, file_id: UUID, *, lock: bool = False) -> StoredFile:
        """Raises FileNotFound."""

    def list(self, cursor: str | None, limit: int) -> Page[StoredFile]:
        """Newest first."""

    def save(self, file: StoredFile) -> None:
        """What became of an announced file."""

    def delete(self, file_id: UUID) -> None:
        """Raises FileNotFound."""

    def hold(self, key: str) -> None:
        """No sweep takes the object of this key away until the transaction ends."""


class FilesWork(Work, Protocol):
    @property
    def now(self) -> datetime: ...

    @property
    def files(self) -> Files: ...


def check_swept(objects: Objects, tenant_id: UUID, stored: Stored) -> None:
    """Raise Contended where a sweep took the object between its putting and the transaction that
    refers to it. To be called after `hold`; put it again, then."""
    try:
        objects.stat(tenant_id, stored.key)
    except ObjectNotFound as error:
        raise Contended("the file was swept away while it was put; try again") from error


@attrs.frozen(kw_only=True)
class Reference:
    """A row, of whatever table, that says that an object is there."""

    tenant_id: UUID
    key: str
    bytes: int
    due: bool
    """Whether the object must be there: not while it is only announced."""


class FileRows(Protocol):
    """The sweeper's side, over all tenants. Each call is a transaction of its own."""

    def expire(self) -> int:
        """Delete the rows whose time is over, announced or temporary; returns how many."""

    def references(
        self, after: tuple[UUID, str] | None, upto: tuple[UUID, str] | None
    ) -> Sequence[Reference]:
        """Of the objects whose (tenant, key) is greater than `after` and not greater than `upto`,
        in that order; None is the end. An object may have several."""

    def unreferenced(self, tenant_id: UUID, key: str) -> AbstractContextManager[bool]:
        """Whether no row refers to the object. None begins to, until the block ends."""
