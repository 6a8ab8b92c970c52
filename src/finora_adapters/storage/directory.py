"""Files in a directory: one folder a tenant, one file a content."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import attrs

from finora_core.files.ports import ObjectNotFound, Stored

_KEY = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


@attrs.frozen
class DirectoryObjects:
    root: Path

    def put(self, tenant_id: UUID, file: BinaryIO) -> Stored:
        folder = self.root / str(tenant_id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".part-", delete=False) as part:
            try:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    part.write(chunk)
                part.flush()
                os.fsync(part.fileno())
                os.replace(part.name, folder / digest.hexdigest())
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
        return Stored(key=digest.hexdigest(), sha256=digest.digest(), bytes=size)

    @contextmanager
    def open(self, tenant_id: UUID, key: str) -> Iterator[BinaryIO]:
        try:
            file = self._path(tenant_id, key).open("rb")
        except FileNotFoundError as error:
            raise ObjectNotFound(f"the stored file {key[:12]} is gone") from error
        with file:
            yield file

    def delete(self, tenant_id: UUID, key: str) -> None:
        self._path(tenant_id, key).unlink(missing_ok=True)

    def _path(self, tenant_id: UUID, key: str) -> Path:
        # A key is a digest and nothing else, so no key can name a path outside the folder.
        if not _KEY.fullmatch(key):
            raise ObjectNotFound("the stored file is gone")
        return self.root / str(tenant_id) / key
