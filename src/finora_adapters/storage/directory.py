"""Files in a directory: one folder a tenant, one file a content."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

import attrs

from finora_core.files.ports import (
    CHUNK,
    KEY,
    FileTooLarge,
    Listed,
    ObjectNotFound,
    Readable,
    Stored,
    upload_key,
)

_PAGE = 1000


@attrs.frozen
class DirectoryObjects:
    root: Path

    def put(self, tenant_id: UUID, file: Readable, limit: int | None = None) -> Stored:
        folder = self.root / str(tenant_id)
        # Where an upload would lie: a crash leaves it to the sweep.
        part = folder / upload_key(uuid4())
        part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest, size = hashlib.sha256(), 0
        try:
            with part.open("xb") as written:
                while chunk := file.read(CHUNK):
                    size += len(chunk)
                    if limit is not None and size > limit:
                        raise FileTooLarge.over(limit)
                    digest.update(chunk)
                    written.write(chunk)
                written.flush()
                os.fsync(written.fileno())
            os.replace(part, folder / digest.hexdigest())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        # The name is durable when its folder is, and a folder when its own is.
        for each in (folder, self.root):
            sync(each)
        return Stored(key=digest.hexdigest(), sha256=digest.digest(), bytes=size)

    @contextmanager
    def open(self, tenant_id: UUID, key: str) -> Iterator[BinaryIO]:
        try:
            file = self._path(tenant_id, key).open("rb")
        except FileNotFoundError as error:
            raise _gone(key) from error
        with file:
            yield file

    def stat(self, tenant_id: UUID, key: str) -> Listed:
        try:
            return _listed(tenant_id, key, self._path(tenant_id, key).stat())
        except FileNotFoundError as error:
            raise _gone(key) from error

    def delete(self, tenant_id: UUID, key: str) -> None:
        self._path(tenant_id, key).unlink(missing_ok=True)

    def forget(self, tenant_id: UUID) -> None:
        # Once more where somebody wrote into it meanwhile; what comes after that, a sweep finds.
        for _ in range(2):
            shutil.rmtree(self.root / str(tenant_id), ignore_errors=True)
        sync(self.root)

    def pages(self) -> Iterator[Sequence[Listed]]:
        page: list[Listed] = []
        for found in self._all():
            page.append(found)
            if len(page) == _PAGE:
                yield page
                page = []
        if page:
            yield page

    def upload_url(self, tenant_id: UUID, key: str, size: int, seconds: int) -> str | None:
        return None

    def download_url(
        self, tenant_id: UUID, key: str, name: str, media_type: str, seconds: int
    ) -> str | None:
        return None

    def _all(self) -> Iterator[Listed]:
        for tenant_id in _tenants(self.root):
            folder = self.root / str(tenant_id)
            # Digests come before "temp/", as the text of their keys does.
            for place in (folder, folder / "temp"):
                for name in _names(place):
                    key = (place / name).relative_to(folder).as_posix()
                    # Put in place or deleted while this was listed: it is no news for a sweep.
                    try:
                        found = (place / name).stat()
                    except FileNotFoundError:
                        continue
                    if KEY.fullmatch(key):
                        yield _listed(tenant_id, key, found)

    def _path(self, tenant_id: UUID, key: str) -> Path:
        # The grammar of keys has no way out of the folder.
        if not KEY.fullmatch(key):
            raise _gone(key)
        return self.root / str(tenant_id) / key


def _gone(key: str) -> ObjectNotFound:
    return ObjectNotFound(f"the stored file {key[:12]!r} is gone")


def _listed(tenant_id: UUID, key: str, found: os.stat_result) -> Listed:
    written = datetime.fromtimestamp(found.st_mtime, tz=UTC)
    return Listed(tenant_id=tenant_id, key=key, bytes=found.st_size, written_at=written)


def _tenants(root: Path) -> Iterator[UUID]:
    for name in _names(root):
        try:
            tenant_id = UUID(name)
        except ValueError:
            continue
        if str(tenant_id) == name:
            yield tenant_id


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def sync(folder: Path) -> None:
    """Make the names in the folder durable."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows keeps no folder open.
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
