"""Files in a plugin's store. It keeps objects by name and is believed in nothing else: names, whose
they are, and whether the bytes are those that were put are settled here."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import attrs

from finora_adapters.storage.named import ObjectTaken, name_of, place_of, spooled
from finora_core.files.ports import (
    KEY,
    Listed,
    ObjectNotFound,
    Readable,
    StorageUnavailable,
    Stored,
)
from finora_core.kernel.outcome import (
    AuthExpired,
    Down,
    Missing,
    Ok,
    Outcome,
    RateLimited,
    Unsupported,
)
from finora_core.plugins import Blob, Storages, answer_of

T = TypeVar("T")
_log = logging.getLogger("finora.plugins")
_PAGE = 1_000


@attrs.frozen
class PluginObjects:
    name: str
    store: Storages = attrs.field(repr=False)
    secrets: Sequence[str] = attrs.field(default=(), repr=False)
    """Of its credentials: what it raises may hold them."""

    def put(self, tenant_id: UUID, file: Readable, limit: int | None = None) -> Stored:
        with spooled(file, limit) as (spool, stored):
            name = name_of(tenant_id, stored.key)
            self._done(self.store.put, name, spool, stored.bytes)
        # What is acknowledged is there: rows will refer to it.
        if self._stat(name).bytes != stored.bytes:
            raise self._lies("it kept another length than was put")
        return stored

    @contextmanager
    def open(self, tenant_id: UUID, key: str) -> Iterator[BinaryIO]:
        name = name_of(tenant_id, key)
        file = self._found(self.store.open, name)
        if not callable(getattr(file, "read", None)) or not callable(getattr(file, "close", None)):
            raise self._lies("it opens what is no file")
        with closing(file), spooled(_Reading(self, file)) as (spool, stored):
            # Of an upload that nobody looked at yet the digest is not known.
            if stored.key != key and "/" not in key:
                raise self._lies("it gives other bytes than were put")
            yield spool

    def stat(self, tenant_id: UUID, key: str) -> Listed:
        blob = self._stat(name_of(tenant_id, key))
        return Listed(tenant_id=tenant_id, key=key, bytes=blob.bytes, written_at=blob.written_at)

    def delete(self, tenant_id: UUID, key: str) -> None:
        self._done(self.store.delete, name_of(tenant_id, key))

    def forget(self, tenant_id: UUID) -> None:
        for page in self._pages(f"{tenant_id}/"):
            for blob in page:
                if KEY.fullmatch(key := blob.name.removeprefix(f"{tenant_id}/")):
                    self.delete(tenant_id, key)

    def pages(self) -> Iterator[Sequence[Listed]]:
        for page in self._pages(""):
            listed = [
                Listed(
                    tenant_id=place[0], key=place[1], bytes=blob.bytes, written_at=blob.written_at
                )
                for blob in page
                if (place := place_of(blob.name)) is not None
            ]
            if listed:
                yield listed

    def upload_url(self, tenant_id: UUID, key: str, size: int, seconds: int) -> str | None:
        return self._url(self.store.upload_url, name_of(tenant_id, key), size, seconds)

    def download_url(
        self, tenant_id: UUID, key: str, name: str, media_type: str, seconds: int
    ) -> str | None:
        store = self.store
        return self._url(store.download_url, name_of(tenant_id, key), name, media_type, seconds)

    # What belongs to no tenant has a name that none of a tenant's has.

    def names(self, prefix: str) -> Iterator[str]:
        """Of the objects under the prefix, without it, in order."""
        for page in self._pages(prefix):
            yield from (blob.name.removeprefix(prefix) for blob in page)

    def read(self, name: str) -> bytes:
        """A small object. Raises ObjectNotFound."""
        with closing(self._found(self.store.open, name)) as file:
            return b"".join(iter(lambda: _Reading(self, file).read(1 << 16), b""))

    def create(self, name: str, content: bytes) -> None:
        """A small object; never in place of another. Raises ObjectTaken."""
        if not self._typed(self._found(self.store.create, name, content), bool):
            raise ObjectTaken(name)

    # --- how --------------------------------------------------------------------------------------

    def _pages(self, prefix: str) -> Iterator[Sequence[Blob]]:
        after = ""
        while page := self._found(self.store.list, prefix, after):
            if type(page) not in (list, tuple) or len(page) > _PAGE:
                raise self._lies("it lists no page of objects")
            for blob in page:
                self._checked(blob)
                if not (blob.name.startswith(prefix) and blob.name > after):
                    raise self._lies("it lists what was not asked, or in no order")
                after = blob.name
            yield page

    def _stat(self, name: str) -> Blob:
        blob = self._checked(self._found(self.store.stat, name))
        if blob.name != name:
            raise self._lies("it tells of another object than was asked")
        return blob

    def _checked(self, blob: Any) -> Blob:
        self._typed(blob, Blob)
        size, at = self._typed(blob.bytes, int), self._typed(blob.written_at, datetime)
        self._typed(blob.name, str)
        if size < 0 or at.utcoffset() is None:
            raise self._lies("it tells an object's length or time wrong")
        return blob  # type: ignore[no-any-return]  # its type was just looked at

    def _url(self, method: Callable[..., Outcome[str]], *given: object) -> str | None:
        match self._answer(method, given):
            case Unsupported():
                return None
            case outcome:
                url = self._typed(self._value(outcome, "a URL"), str)
        if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
            raise self._lies("it signs what is no https URL")
        return url

    def _done(self, method: Callable[..., Outcome[None]], *given: object) -> None:
        self._value(self._answer(method, given), str(given[0]))

    def _found(self, method: Callable[..., Outcome[T]], *given: object) -> T:
        return self._value(self._answer(method, given), str(given[0]))

    def _answer(self, method: Callable[..., Outcome[T]], given: Sequence[object]) -> Outcome[T]:
        try:
            return answer_of(lambda: method(*given))
        # Whatever a stranger's code raises, an exit too.
        except (Exception, SystemExit) as error:
            raise self.broken(error) from None

    def _value(self, outcome: Outcome[T], name: str) -> T:
        match outcome:
            case Ok(value):
                return value
            case Missing():
                raise ObjectNotFound(f"the stored file {name.rpartition('/')[2][:12]!r} is gone")
            case RateLimited(after):
                raise StorageUnavailable(f"the store {self.name} takes nothing for {after} s")
            case AuthExpired():
                raise StorageUnavailable(f"the store {self.name} refuses its credentials")
            case Down(reason):
                _log.error("storage %s: %s", self.name, self._redacted(str(reason)))
                raise StorageUnavailable(f"the store {self.name} does not answer")
        raise self._lies(f"it answers with {type(outcome).__name__}")

    def _typed(self, value: Any, kind: type[T]) -> T:
        if type(value) is not kind:
            raise self._lies(f"it answers with {type(value).__name__}, and no {kind.__name__}")
        return value

    def broken(self, error: BaseException) -> StorageUnavailable:
        said = self._redacted(f"{type(error).__name__}: {error}")
        _log.error("storage %s crashes: %s", self.name, said)
        return StorageUnavailable(f"the store {self.name} crashes: {type(error).__name__}")

    def _lies(self, what: str) -> StorageUnavailable:
        _log.error("storage %s: %s", self.name, what)
        return StorageUnavailable(f"the store {self.name} breaks its contract: {what}")

    def _redacted(self, said: str) -> str:
        for secret in self.secrets:
            said = said.replace(secret, "***")
        return " ".join(said.split())[:500]


@attrs.frozen
class _Reading:
    """What a plugin opened, read by us."""

    owner: PluginObjects
    file: Any

    def read(self, size: int, /) -> bytes:
        try:
            piece = self.file.read(size)
        except (Exception, SystemExit) as error:
            raise self.owner.broken(error) from None
        if not isinstance(piece, bytes):
            raise self.owner.broken(TypeError("it reads what are no bytes"))
        return piece


def fields_of(credentials: Mapping[str, str]) -> Sequence[str]:
    """What of them is to be in no text: short ones stand there by chance."""
    return [each for each in credentials.values() if len(each) >= 8]
