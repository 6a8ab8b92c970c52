"""Where files are kept."""

from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol
from uuid import UUID

import attrs

from finora_core.kernel.errors import NotFound


class ObjectNotFound(NotFound):
    """The stored file is not there any more."""

    code = "OBJECT_NOT_FOUND"


@attrs.frozen(kw_only=True)
class Stored:
    """`key` names the object within its tenant; the same content has the same key."""

    key: str
    sha256: bytes
    bytes: int


class Objects(Protocol):
    def put(self, tenant_id: UUID, file: BinaryIO) -> Stored:
        """Keep the file's content, streamed, and return once it is durable."""

    def open(self, tenant_id: UUID, key: str) -> AbstractContextManager[BinaryIO]:
        """A seekable file at its start. Raises ObjectNotFound; never another tenant's object."""

    def delete(self, tenant_id: UUID, key: str) -> None:
        """Forget it, if it is there."""
