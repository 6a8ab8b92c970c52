"""A backup as one file: a tar archive that is written and read once, front to back.

    finora-backup.json   what this is; read first, so that what is not ours is refused at once
    database/00000000    what pg_dump wrote, in pieces, since nobody knows its length before its end
    seals/00000000       the last link of every tenant's seal, a line each
    f/TENANT/SHA256      the stored files, each called by its content
    manifest.json        counts and digests
    sha256               the digest of every byte before it: without it the file is no whole backup

Nothing is held in memory but one piece. `tar` unpacks it.
"""

import hashlib
import json
import os
import re
import secrets
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import attrs

from finora_core.kernel.errors import Conflict, Invalid

FORMAT = 1
PIECE = 8 << 20
HEAD, MANIFEST, END = "finora-backup.json", "manifest.json", "sha256"
DATABASE, SEALS = "database", "seals"
_BLOCK = 512
_SMALL = 1 << 20
_FILE = re.compile(r"f/([0-9a-f]{32})/([0-9a-f]{64})")


class BackupExists(Conflict):
    """There is a file of this name already; a backup replaces nothing."""

    code = "BACKUP_EXISTS"


class BackupForeign(Invalid):
    """The file is no backup that Finora wrote."""

    code = "BACKUP_FOREIGN"


class BackupDamaged(Invalid):
    """The backup was cut short or changed after it was written."""

    code = "BACKUP_DAMAGED"


class BackupNewer(Invalid):
    """The backup was made by a newer release, or by a newer Postgres, than would restore it."""

    code = "BACKUP_NEWER"


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


@attrs.define
class Writer:
    """Members, one after the other, with a digest of everything so far."""

    file: BinaryIO
    whole: Any = attrs.field(factory=hashlib.sha256)
    length: int = 0

    def add(self, name: str, size: int, content: Iterable[bytes]) -> None:
        """A member of exactly `size` bytes."""
        self._put(_header(name, size))
        left = size
        for piece in content:
            left -= len(piece)
            self._put(piece)
        if left:
            raise BackupDamaged(f"{name} changed its length while it was read")
        self._put(bytes(-size % _BLOCK))

    def add_text(self, name: str, text: str) -> None:
        self.add(name, len(text.encode()), [text.encode()])

    def add_pieces(self, name: str, content: Iterable[bytes]) -> dict[str, object]:
        """Members `name/00000000` and on, of what has no known length; its length and digest."""
        digest, size, number, waiting = hashlib.sha256(), 0, 0, bytearray()
        for part in content:
            digest.update(part)
            size += len(part)
            waiting += part
            while len(waiting) >= PIECE:
                self.add(f"{name}/{number:08}", PIECE, [bytes(waiting[:PIECE])])
                del waiting[:PIECE]
                number += 1
        if waiting:
            self.add(f"{name}/{number:08}", len(waiting), [bytes(waiting)])
        return {"bytes": size, "sha256": digest.hexdigest()}

    def end(self) -> None:
        self.add_text(END, self.whole.hexdigest())
        self._put(bytes(2 * _BLOCK))

    def _put(self, data: bytes) -> None:
        self.file.write(data)
        self.whole.update(data)
        self.length += len(data)


def file_name(tenant_id: UUID, key: str) -> str:
    return f"f/{tenant_id.hex}/{key}"


@contextmanager
def published(path: Path) -> Iterator[BinaryIO]:
    """A file that has its name when it is whole and on disk, and leaves nothing otherwise. Raises
    BackupExists."""
    path = path.absolute()
    if os.path.lexists(path):
        raise BackupExists(f"{path} exists")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(opened, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            # Unlike a rename it replaces nothing, whoever was quicker.
            os.link(part, path)
        except FileExistsError as error:
            raise BackupExists(f"{path} exists") from error
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@attrs.frozen
class Member:
    name: str
    size: int
    content: Iterator[bytes]
    """To be read to its end before the next member is asked for."""


@attrs.define
class _Digested:
    file: BinaryIO
    digest: Any = attrs.field(factory=hashlib.sha256)

    def read(self, size: int) -> bytes:
        """Exactly so much. Raises BackupDamaged at the end of the file."""
        data = self.file.read(size)
        if len(data) != size:
            raise BackupDamaged("the file ends in the middle of the backup")
        self.digest.update(data)
        return data


def _members(file: BinaryIO) -> Iterator[Member]:
    """Every member up to the one that ends it, which is checked."""
    source = _Digested(file)
    while True:
        before = source.digest.hexdigest()
        header = source.read(_BLOCK)
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise BackupDamaged("the backup is damaged: a header is unreadable") from error
        if not info.isreg():
            raise BackupDamaged(f"the backup is damaged: {info.name!r} is no file")
        if info.name == END:
            if header != _header(END, len(before)) or source.read(len(before)) != before.encode():
                raise BackupDamaged("the backup is not what was written: its digest differs")
            if source.read(-info.size % _BLOCK + 2 * _BLOCK).strip(b"\0") or file.read(1):
                raise BackupDamaged("something was appended to the backup")
            return
        yield Member(info.name, info.size, _pieces(source, info.size))
        source.read(-info.size % _BLOCK)


def _pieces(source: _Digested, size: int) -> Iterator[bytes]:
    while size:
        piece = source.read(min(size, 1 << 20))
        size -= len(piece)
        yield piece


def _members_of_ours(file: BinaryIO) -> Iterator[Member]:
    start = file.read(_BLOCK)
    file.seek(0)
    if not start.startswith(HEAD.encode() + b"\0"):
        raise BackupForeign("this is not a backup that Finora wrote")
    return _members(file)


def _head(member: Member) -> Mapping[str, Any]:
    head = _json(member)
    if head.get("format") != FORMAT:
        raise BackupNewer(
            f"the backup has format {head.get('format')!r:.20}, this release {FORMAT}"
        )
    return head


def _json(member: Member) -> Mapping[str, Any]:
    if member.size > _SMALL:
        raise BackupDamaged(f"the backup is damaged: {member.name} is too long")
    try:
        value = json.loads(b"".join(member.content))
    except ValueError as error:
        raise BackupDamaged(f"the backup is damaged: {member.name} is unreadable") from error
    if not isinstance(value, dict):
        raise BackupDamaged(f"the backup is damaged: {member.name} is unreadable")
    return value


@attrs.define
class _Tally:
    """What was met, to be compared with what the manifest says."""

    head: Mapping[str, Any] = attrs.field(factory=dict)
    manifest: Mapping[str, Any] | None = None
    digests: dict[str, Any] = attrs.field(
        factory=lambda: {name: hashlib.sha256() for name in (DATABASE, SEALS)}
    )
    sizes: dict[str, int] = attrs.field(factory=lambda: {DATABASE: 0, SEALS: 0})
    numbers: dict[str, int] = attrs.field(factory=lambda: {DATABASE: 0, SEALS: 0})
    files: int = 0
    file_bytes: int = 0

    def agree(self) -> bool:
        if self.manifest is None:
            return False
        pieces = all(
            self.manifest.get(name)
            == {"bytes": self.sizes[name], "sha256": self.digests[name].hexdigest()}
            for name in (DATABASE, SEALS)
        )
        files = self.manifest.get("files", {})
        counted = (files.get("count"), files.get("bytes")) == (self.files, self.file_bytes)
        return pieces and counted


def unpack(
    path: Path, database: Path, seals: Path, told: Callable[[str, int], None]
) -> Mapping[str, Any]:
    """Check every byte of the backup, write the dump and the seals' last links to the two files,
    and return the manifest. Nothing else is touched."""
    tally = _Tally()
    with path.open("rb") as file, database.open("wb") as dump, seals.open("wb") as links:
        for member in _members_of_ours(file):
            group, _, rest = member.name.partition("/")
            if member.name == HEAD:
                tally.head = _head(member)
            elif member.name == MANIFEST:
                tally.manifest = _json(member)
            elif group in tally.sizes and rest == f"{tally.numbers[group]:08}":
                tally.numbers[group] += 1
                for piece in member.content:
                    tally.digests[group].update(piece)
                    tally.sizes[group] += len(piece)
                    (dump if group == DATABASE else links).write(piece)
            elif found := _FILE.fullmatch(member.name):
                digest = hashlib.sha256()
                for piece in member.content:
                    digest.update(piece)
                if digest.hexdigest() != found[2]:
                    raise BackupDamaged(f"the stored file {found[2][:12]} is not what was written")
                tally.files += 1
                tally.file_bytes += member.size
            else:
                raise BackupDamaged(f"the backup is damaged: {member.name[:80]!r} is unknown")
            told("checked", file.tell())
    if not tally.agree() or tally.manifest is None:
        raise BackupDamaged("the backup is damaged: its parts are not those of its manifest")
    return {**tally.manifest, **tally.head}


@attrs.define
class _Reading:
    """A member as something with `read`."""

    content: Iterator[bytes]
    rest: bytes = b""

    def read(self, size: int, /) -> bytes:
        if not self.rest:
            self.rest = next(self.content, b"")
        piece, self.rest = self.rest[:size], self.rest[size:]
        return piece


def stored_files(path: Path) -> Iterator[tuple[UUID, str, _Reading]]:
    """Tenant, key and content of every stored file, to be read before the next."""
    with path.open("rb") as file:
        for member in _members_of_ours(file):
            if found := _FILE.fullmatch(member.name):
                reading = _Reading(member.content)
                yield UUID(found[1]), found[2], reading
            for _ in member.content:
                pass
