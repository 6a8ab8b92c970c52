"""Files in and out: streamed, bounded, and judged by their bytes."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import BinaryIO
from uuid import UUID

import attrs

from finora_core.files.model import (
    ANNOUNCED_S,
    DOWNLOAD_URL_S,
    TEMPORARY_S,
    UPLOAD_URL_S,
    FileAnnounced,
    FileDeleted,
    FileEmpty,
    FileKept,
    FileLength,
    FileNotUploaded,
    FileSetAside,
    FileState,
    StoredFile,
    clean_name,
)
from finora_core.files.ports import (
    FilesWork,
    FileTooLarge,
    ObjectNotFound,
    Objects,
    Readable,
    StorageUnavailable,
    Stored,
    check_swept,
    upload_key,
)
from finora_core.files.sniff import HEAD, UNKNOWN_MEDIA_TYPE, Verdict, judge
from finora_core.kernel.ids import derived_id, new_id
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried


@attrs.frozen
class FileService:
    begin: Begin[FilesWork]
    objects: Objects
    max_bytes: int = 8 << 20

    def keep(
        self,
        scope: Scope,
        stream: Readable,
        name: str,
        media_type: str | None = None,
        *,
        temporary: bool = False,
    ) -> StoredFile:
        """Keep what the stream gives, as `name`; `media_type` is what its sender says it is. A
        temporary file is kept for 30 days. It may come back quarantined.

        The same content and name under the same request id is one file. Raises BadFileName,
        FileEmpty, FileTooLarge, StorageUnavailable.
        """
        shown = clean_name(name)
        stored, verdict = self._put(scope, stream, shown, media_type, self.max_bytes)
        file_id = derived_id("file", str(scope.tenant_id), scope.request_id, stored.key, shown)
        return self._add(scope, file_id, shown, stored, verdict, temporary)

    @retried
    def announce(
        self, scope: Scope, name: str, size: int, media_type: str | None = None
    ) -> tuple[StoredFile, str | None]:
        """Make room for a file of exactly `size` bytes. Its bytes go to the URL with a PUT, and
        `confirm` follows; where there is no URL, they go to `upload`. Both within the hour."""
        shown = clean_name(name)
        if size < 1:
            raise FileEmpty("a file has at least one byte")
        if size > self.max_bytes:
            raise FileTooLarge.over(self.max_bytes)
        file_id = new_id()
        key = upload_key(file_id)
        url = self.objects.upload_url(scope.tenant_id, key, size, UPLOAD_URL_S)
        with self.begin(scope) as work:
            file = StoredFile(
                id=file_id,
                user_id=scope.user_id,
                key=key,
                name=shown,
                media_type=_claimed(media_type),
                bytes=size,
                sha256=None,
                state=FileState.ANNOUNCED,
                reason=None,
                created_at=work.now,
                expires_at=work.now + timedelta(seconds=ANNOUNCED_S),
            )
            work.files.add(file)
            work.events.record(FileAnnounced(file_id, size))
            return work.done((file, url))

    def upload(self, scope: Scope, file_id: UUID, stream: Readable) -> StoredFile:
        """The bytes of an announced file, where no URL takes them; confirms it.

        Raises FileNotFound, FileExpired, FileLength, StorageUnavailable.
        """
        file = self._announced(scope, file_id)
        if file.state is not FileState.ANNOUNCED:
            return file
        try:
            stored, verdict = self._put(scope, stream, file.name, file.media_type, file.bytes)
        except FileTooLarge as error:
            raise FileLength(f"{file.bytes} bytes were announced, and there are more") from error
        return self._settle(scope, file, stored, verdict)

    def confirm(self, scope: Scope, file_id: UUID) -> StoredFile:
        """The announced file is uploaded: look at it and keep it. May be said again.

        Raises FileNotFound, FileNotUploaded, FileExpired, FileLength, StorageUnavailable.
        """
        file = self._announced(scope, file_id)
        if file.state is not FileState.ANNOUNCED:
            return file
        try:
            # The URL may be written to once more: what is judged is what is kept, a copy.
            with self.objects.open(scope.tenant_id, file.key) as uploaded:
                stored, verdict = self._put(
                    scope, uploaded, file.name, file.media_type, self.max_bytes
                )
        except ObjectNotFound as error:
            raise FileNotUploaded(f"the bytes of file {file_id} are not there") from error
        kept = self._settle(scope, file, stored, verdict)
        with suppress(StorageUnavailable):  # A sweep takes what stays.
            self.objects.delete(scope.tenant_id, file.key)
        return kept

    def get(self, scope: Scope, file_id: UUID) -> StoredFile:
        with self.begin(scope) as work:
            return work.files.get(file_id)

    def list(
        self, scope: Scope, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[StoredFile]:
        """Newest first."""
        with self.begin(scope) as work:
            return work.files.list(cursor, checked_limit(limit))

    def download(self, scope: Scope, file_id: UUID) -> tuple[StoredFile, str | None]:
        """The file and a URL that gives it for an hour; without a URL, `open` gives the bytes.

        Raises FileNotFound, FileNotUploaded, FileQuarantined, FileExpired.
        """
        file = self._readable(scope, file_id)
        url = self.objects.download_url(
            scope.tenant_id, file.key, file.name, file.media_type, DOWNLOAD_URL_S
        )
        return file, url

    @contextmanager
    def open(self, scope: Scope, file_id: UUID) -> Iterator[tuple[StoredFile, BinaryIO]]:
        """The file and its bytes, seekable. Raises as `download`, ObjectNotFound and
        StorageUnavailable."""
        file = self._readable(scope, file_id)
        with self.objects.open(scope.tenant_id, file.key) as content:
            yield file, content

    @retried
    def delete(self, scope: Scope, file_id: UUID) -> None:
        """Forget the file. Its bytes go with the next sweep, unless another file has the same."""
        with self.begin(scope) as work:
            work.files.delete(file_id)
            work.events.record(FileDeleted(file_id))
            work.done(None)

    def _readable(self, scope: Scope, file_id: UUID) -> StoredFile:
        with self.begin(scope) as work:
            file = work.files.get(file_id)
            file.check_readable(work.now)
            return file

    def _announced(self, scope: Scope, file_id: UUID) -> StoredFile:
        with self.begin(scope) as work:
            file = work.files.get(file_id)
            if file.state is not FileState.ANNOUNCED:
                return work.done(file)
            file.check_live(work.now)
            return file

    def _put(
        self, scope: Scope, stream: Readable, name: str, claimed: str | None, limit: int
    ) -> tuple[Stored, Verdict]:
        peeked = _Peeked.at(stream)
        if not peeked.head:
            raise FileEmpty(f"{name} has no bytes")
        verdict = judge(peeked.head, name, claimed)
        return self.objects.put(scope.tenant_id, peeked, limit), verdict

    @retried
    def _add(
        self,
        scope: Scope,
        file_id: UUID,
        name: str,
        stored: Stored,
        verdict: Verdict,
        temporary: bool,
    ) -> StoredFile:
        with self.begin(scope) as work:
            file = StoredFile(
                id=file_id,
                user_id=scope.user_id,
                key=stored.key,
                name=name,
                media_type=verdict.media_type,
                bytes=stored.bytes,
                sha256=stored.sha256,
                state=FileState.QUARANTINED if verdict.reason else FileState.KEPT,
                reason=verdict.reason,
                created_at=work.now,
                expires_at=work.now + timedelta(seconds=TEMPORARY_S) if temporary else None,
            )
            work.files.hold(stored.key)
            check_swept(self.objects, scope.tenant_id, stored)
            if work.files.add(file):
                work.events.record(_event(file))
            return work.done(work.files.get(file_id))

    @retried
    def _settle(
        self, scope: Scope, announced: StoredFile, stored: Stored, verdict: Verdict
    ) -> StoredFile:
        if stored.bytes != announced.bytes:
            raise FileLength(f"{announced.bytes} bytes were announced and {stored.bytes} uploaded")
        with self.begin(scope) as work:
            file = work.files.get(announced.id, lock=True)
            if file.state is not FileState.ANNOUNCED:
                return work.done(file)
            file.check_live(work.now)
            work.files.hold(stored.key)
            check_swept(self.objects, scope.tenant_id, stored)
            kept = attrs.evolve(
                file,
                key=stored.key,
                media_type=verdict.media_type,
                sha256=stored.sha256,
                state=FileState.QUARANTINED if verdict.reason else FileState.KEPT,
                reason=verdict.reason,
                expires_at=None,
            )
            work.files.save(kept)
            work.events.record(_event(kept))
            return work.done(kept)


def _claimed(media_type: str | None) -> str:
    # It is kept until the bytes are there to judge it by, and came from outside.
    fit = media_type and media_type.isprintable() and len(media_type) <= 200
    return media_type if media_type and fit else UNKNOWN_MEDIA_TYPE


def _event(file: StoredFile) -> FileKept | FileSetAside:
    if file.reason is not None:
        return FileSetAside(file.id, file.reason)
    return FileKept(file.id, file.media_type, file.bytes)


@attrs.define
class _Peeked:
    """A stream whose beginning was looked at, and which is read from its beginning all the same."""

    stream: Readable
    head: bytes
    left: bytes

    @classmethod
    def at(cls, stream: Readable) -> "_Peeked":
        head = b""
        # A socket gives less than it was asked for.
        while len(head) < HEAD and (more := stream.read(HEAD - len(head))):
            head += more
        return cls(stream, head, head)

    def read(self, size: int, /) -> bytes:
        if self.left:
            given, self.left = self.left[:size], self.left[size:]
            return given
        return self.stream.read(size)
