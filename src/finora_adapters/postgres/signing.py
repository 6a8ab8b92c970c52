"""The keys of our own tokens: wrapped in the table, ready in the process."""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

import attrs
from sqlalchemy import Connection, text

from finora_adapters.postgres.secrets import note_version
from finora_core.kernel.errors import Refusal
from finora_core.secrets.model import (
    GRACE,
    KEY_BYTES,
    SecretKeyMissing,
    SecretKeyWrong,
    SigningKey,
    Wrapped,
    place_of_signing_key,
)
from finora_core.secrets.ports import KeyRing

KEPT_S = 60.0
AGAIN_S = 1.0

_LOCK = text("select pg_advisory_xact_lock(0x51671)")
_LIVE = text(
    "select kid, kek_version, wrapped, created_at, retires_at, now() as at "
    "from finora.signing_key where retires_at is null or retires_at > now() "
    "order by retires_at is null desc, created_at desc, kid"
)
_ADD = text(
    "insert into finora.signing_key (kid, kek_version, wrapped) "
    "values (:kid, :version, :wrapped) returning created_at"
)
_MOVE = text(
    "update finora.signing_key set kek_version = :version, wrapped = :wrapped where kid = :kid"
)
_RETIRE = text("update finora.signing_key set retires_at = now() + :grace where retires_at is null")
_FORGET = text("delete from finora.signing_key where retires_at <= now() or kid = any(:lost)")


class Database(Protocol):
    def look(self) -> AbstractContextManager[Connection]: ...

    def control(self) -> AbstractContextManager[Connection]: ...


@attrs.frozen
class _Row:
    kid: str
    wrapped: Wrapped
    created_at: datetime
    retires_at: datetime | None
    left_s: float | None
    """Seconds until it retires, as of when it was read."""


@attrs.frozen
class _Kept:
    """What was read at `at`: each key, or why it could not be unwrapped, and when it is over."""

    at: float
    newest: str | None
    keys: dict[str, tuple[SigningKey | Refusal, float | None]]


_NOTHING = _Kept(float("-inf"), None, {})


@attrs.define
class PgSigningKeys:
    """Read again after a minute; for a kid that is not known, which another process may have just
    made, at most once a second, whatever kids strangers send."""

    database: Database
    ring: KeyRing
    clock: Callable[[], float] = time.monotonic
    _kept: _Kept = _NOTHING
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def current(self) -> SigningKey:
        kept = self._read(KEPT_S)
        if kept.newest is None:
            self._make_first()
            kept = self._read(0)
        assert kept.newest is not None  # made above, and never without another in its place
        return _usable(kept.keys[kept.newest][0])

    def find(self, kid: str) -> SigningKey | None:
        kept = self._read(KEPT_S)
        if kid not in kept.keys:
            kept = self._read(AGAIN_S)
        found, ends = kept.keys.get(kid, (None, None))
        if found is None or (ends is not None and ends <= self.clock()):
            return None
        return _usable(found)

    def all(self) -> Sequence[SigningKey]:
        # What another process signs with since a moment ago counts too.
        found = self._read(AGAIN_S).keys.values()
        at = self.clock()
        live = [key for key, ends in found if ends is None or ends > at]
        return [key for key in live if isinstance(key, SigningKey)]

    def rotate(self) -> tuple[SigningKey, Sequence[str]]:
        with self.database.control() as connection:
            connection.execute(_LOCK)
            lost = [row.kid for row in _rows(connection) if isinstance(self._key(row), Refusal)]
            connection.execute(_FORGET, {"lost": lost})
            connection.execute(_RETIRE, {"grace": GRACE})
            made = self._add(connection)
        self._read(0)
        return made, lost

    def rewrap(self) -> int:
        left = 0
        with self.database.control() as connection:
            connection.execute(_LOCK)
            for row in _rows(connection):
                if row.wrapped.version == self.ring.newest:
                    continue
                key = self._key(row)
                if isinstance(key, Refusal):
                    left += 1
                else:
                    self._write(connection, _MOVE, key.kid, key.secret)
        return left

    def list(self) -> Sequence[tuple[str, int, datetime, datetime | None]]:
        with self.database.look() as connection:
            return [
                (row.kid, row.wrapped.version, row.created_at, row.retires_at)
                for row in _rows(connection)
            ]

    def _make_first(self) -> None:
        with self.database.control() as connection:
            connection.execute(_LOCK)
            # Another process may have been first.
            if not any(row.retires_at is None for row in _rows(connection)):
                self._add(connection)

    def _add(self, connection: Connection) -> SigningKey:
        kid, secret = secrets.token_hex(8), secrets.token_bytes(KEY_BYTES)
        created_at = self._write(connection, _ADD, kid, secret).scalar_one()
        return SigningKey(kid=kid, secret=secret, created_at=created_at, retires_at=None)

    def _write(self, connection: Connection, statement: Any, kid: str, secret: bytes) -> Any:
        wrapped = self.ring.wrap(secret, place_of_signing_key(kid))
        note_version(connection, wrapped.version, self.ring.check(wrapped.version))
        values = {"kid": kid, "version": wrapped.version, "wrapped": wrapped.content}
        return connection.execute(statement, values)

    def _read(self, older_than: float) -> _Kept:
        """What is kept, read again if it is as old as that, in seconds."""
        with self._lock:
            at = self.clock()
            if at - self._kept.at < older_than:
                return self._kept
            with self.database.look() as connection:
                rows = _rows(connection)
            newest = next((row.kid for row in rows if row.retires_at is None), None)
            keys = {
                row.kid: (self._key(row), None if row.left_s is None else at + row.left_s)
                for row in rows
            }
            self._kept = _Kept(at, newest, keys)
            return self._kept

    def _key(self, row: _Row) -> SigningKey | Refusal:
        try:
            secret = self.ring.unwrap(row.wrapped, place_of_signing_key(row.kid))
        except (SecretKeyMissing, SecretKeyWrong) as refusal:
            return refusal
        return SigningKey(
            kid=row.kid, secret=secret, created_at=row.created_at, retires_at=row.retires_at
        )


def _rows(connection: Connection) -> list[_Row]:
    """Those that verify, the one that signs first."""
    return [
        _Row(
            kid=row.kid,
            wrapped=Wrapped(row.kek_version, bytes(row.wrapped)),
            created_at=row.created_at,
            retires_at=row.retires_at,
            left_s=(row.retires_at - row.at).total_seconds() if row.retires_at else None,
        )
        for row in connection.execute(_LIVE)
    ]


def _usable(found: SigningKey | Refusal) -> SigningKey:
    if isinstance(found, Refusal):
        raise type(found)(found.message)
    return found
