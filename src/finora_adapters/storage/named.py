"""What stores that keep objects by name have in common: a tenant's prefix, the content's digest,
and a spool for what is hashed before it is sent."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast
from uuid import UUID

from finora_core.files.ports import CHUNK, KEY, FileTooLarge, ObjectNotFound, Readable, Stored

IN_MEMORY = 1 << 20


class ObjectTaken(Exception):
    """There is an object of this name already."""


def gone(key: str) -> ObjectNotFound:
    return ObjectNotFound(f"the stored file {key[:12]!r} is gone")


def name_of(tenant_id: UUID, key: str) -> str:
    # The grammar of keys has no way into another tenant's prefix.
    if not KEY.fullmatch(key):
        raise gone(key)
    return f"{tenant_id}/{key}"


def place_of(name: str) -> tuple[UUID, str] | None:
    """Tenant and key; None for an object that is none of Finora's."""
    tenant, _, key = name.partition("/")
    try:
        tenant_id = UUID(tenant)
    except ValueError:
        return None
    return (tenant_id, key) if str(tenant_id) == tenant and KEY.fullmatch(key) else None


@contextmanager
def spooled(file: Readable, limit: int | None = None) -> Iterator[tuple[BinaryIO, Stored]]:
    """All of the file, from its start, and what it is: the name is the content's digest, so all is
    read before the first byte is sent. Raises FileTooLarge."""
    digest, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            if limit is not None and size > limit:
                raise FileTooLarge.over(limit)
            digest.update(chunk)
            spool.write(chunk)
        spool.seek(0)
        stored = Stored(key=digest.hexdigest(), sha256=digest.digest(), bytes=size)
        yield cast(BinaryIO, spool), stored
