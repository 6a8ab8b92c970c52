"""Credentials and data keys, sealed and wrapped: nothing here is plain."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, text

from finora_adapters.postgres.events import Control
from finora_core.secrets.model import (
    DataKey,
    KeyUse,
    Sealed,
    SealedField,
    Secret,
    SecretKeyWrong,
    SecretNotFound,
    Wrapped,
)
from finora_core.secrets.ports import KeyRing

_COLUMNS = (
    "s.id, s.user_id, s.institution, s.type, s.version, s.is_active, s.created_at, s.changed_at, "
    "s.last_used_at, s.expires_at, s.sync_blocked_until, s.failures, "
    "array(select f.name from finora.secret_field f where f.tenant_id = s.tenant_id "
    "and f.secret_id = s.id order by f.name) as fields"
)
_MINE = "s.tenant_id = :tenant and s.user_id = :person"
_PUT = text(
    "insert into finora.secret as s "
    "(tenant_id, id, user_id, institution, type, version, expires_at) "
    "values (:tenant, :id, :person, :institution, :type, :version, :expires) "
    "on conflict (tenant_id, id) do update set type = excluded.type, version = excluded.version, "
    "expires_at = excluded.expires_at, changed_at = now(), is_active = true, failures = 0, "
    "sync_blocked_until = null"
)
_CLEAR = text("delete from finora.secret_field where tenant_id = :tenant and secret_id = :id")
_FIELD = text(
    "insert into finora.secret_field (tenant_id, secret_id, name, data_key_id, nonce, content) "
    "values (:tenant, :secret, :name, :key, :nonce, :content)"
)
_RESEAL = text(
    "update finora.secret_field set data_key_id = :key, nonce = :nonce, content = :content "
    "where tenant_id = :tenant and secret_id = :secret and name = :name"
)
# One statement, so that fields, version and keys are of one moment, whoever changes them.
_SEALED = text(
    f"select {_COLUMNS}, f.name, f.nonce, f.content, f.data_key_id, k.kek_version, k.wrapped, "
    "k.created_at as key_created_at "
    "from finora.secret s "
    "join finora.secret_field f on f.tenant_id = s.tenant_id and f.secret_id = s.id "
    "join finora.data_key k on k.tenant_id = f.tenant_id and k.id = f.data_key_id "
    f"where {_MINE} and s.id = :id order by f.name"
)
_OTHERS = text(
    "select s.id, s.user_id, s.institution, s.version, f.name, f.nonce, f.content, f.data_key_id "
    "from finora.secret_field f "
    "join finora.secret s on s.tenant_id = f.tenant_id and s.id = f.secret_id "
    "where f.tenant_id = :tenant and f.data_key_id <> :but order by f.secret_id, f.name"
)
_NEWEST = "order by created_at desc, id desc limit 1"
_UNUSED = text(
    "delete from finora.data_key k where k.tenant_id = :tenant and k.id <> "
    f"(select id from finora.data_key where tenant_id = :tenant {_NEWEST}) "
    "and not exists (select from finora.secret_field f "
    "where f.tenant_id = k.tenant_id and f.data_key_id = k.id)"
)
_LOCK = text("select pg_advisory_xact_lock(hashtextextended('finora data keys ' || :tenant, 0))")
_KEY = "id, kek_version, wrapped, created_at"


@attrs.frozen
class PgSecrets:
    connection: Connection
    tenant_id: UUID
    user_id: UUID

    def find(self, institution: str) -> Secret | None:
        row = self._run(f"select {_COLUMNS} from finora.secret s where {_MINE} "
                        "and s.institution = :institution", institution=institution)  # fmt: skip
        return None if row is None else _secret(row)

    def get(self, secret_id: UUID) -> Secret:
        row = self._run(
            f"select {_COLUMNS} from finora.secret s where {_MINE} and s.id = :id", id=secret_id
        )
        if row is None:
            raise SecretNotFound(f"no credential {secret_id}")
        return _secret(row)

    def list(self) -> Sequence[Secret]:
        query = text(f"select {_COLUMNS} from finora.secret s where {_MINE} order by s.institution")
        return [_secret(row) for row in self.connection.execute(query, self._mine())]

    def put(self, secret: Secret, fields: Sequence[SealedField]) -> Secret:
        values = self._mine() | {
            "id": secret.id,
            "institution": secret.institution,
            "type": secret.type,
            "version": secret.version,
            "expires": secret.expires_at,
        }
        self.connection.execute(_PUT, values)
        self.connection.execute(_CLEAR, values)
        self.connection.execute(_FIELD, [_values(self.tenant_id, field) for field in fields])
        return self.get(secret.id)

    def sealed(self, secret_id: UUID) -> tuple[Secret, Sequence[tuple[SealedField, DataKey]]]:
        rows = self.connection.execute(_SEALED, self._mine() | {"id": secret_id}).all()
        if not rows:
            raise SecretNotFound(f"no credential {secret_id}")
        found = [
            (
                _field(row),
                DataKey(
                    id=row.data_key_id,
                    wrapped=Wrapped(row.kek_version, bytes(row.wrapped)),
                    created_at=row.key_created_at,
                ),
            )
            for row in rows
        ]
        return _secret(rows[0]), found

    def used(self, secret_id: UUID) -> None:
        self._change("last_used_at = now()", secret_id)

    def worked(self, secret_id: UUID) -> Secret:
        self._change("failures = 0, sync_blocked_until = null", secret_id)
        return self.get(secret_id)

    def failed(self, secret_id: UUID, blocked_until: datetime | None, stopped: bool) -> Secret:
        self._change(
            "failures = failures + 1, sync_blocked_until = :until, "
            "is_active = is_active and not :stopped",
            secret_id,
            until=blocked_until,
            stopped=stopped,
        )
        return self.get(secret_id)

    def remove(self, secret_id: UUID) -> Secret:
        secret = self.get(secret_id)
        values = self._mine() | {"id": secret_id}
        self.connection.execute(_CLEAR, values)
        self.connection.execute(
            text(f"delete from finora.secret s where {_MINE} and s.id = :id"), values
        )
        return secret

    def _mine(self) -> dict[str, object]:
        return {"tenant": self.tenant_id, "person": self.user_id}

    def _run(self, query: str, **values: object) -> Row[Any] | None:
        return self.connection.execute(text(query), self._mine() | values).first()

    def _change(self, change: str, secret_id: UUID, **values: object) -> None:
        statement = text(f"update finora.secret s set {change} where {_MINE} and s.id = :id")
        self.connection.execute(statement, self._mine() | {"id": secret_id} | values)


@attrs.frozen
class PgDataKeys:
    connection: Connection
    tenant_id: UUID

    def lock(self) -> None:
        self.connection.execute(_LOCK, {"tenant": str(self.tenant_id)})

    def newest(self) -> DataKey | None:
        query = text(f"select {_KEY} from finora.data_key where tenant_id = :tenant {_NEWEST}")
        row = self.connection.execute(query, {"tenant": self.tenant_id}).first()
        return None if row is None else _key(row)

    def list(self) -> Sequence[DataKey]:
        query = text(f"select {_KEY} from finora.data_key where tenant_id = :tenant order by id")
        return [_key(row) for row in self.connection.execute(query, {"tenant": self.tenant_id})]

    def add(self, key_id: UUID, wrapped: Wrapped) -> None:
        statement = text(
            "insert into finora.data_key (tenant_id, id, kek_version, wrapped) "
            "values (:tenant, :id, :version, :wrapped)"
        )
        self._write(statement, key_id, wrapped)

    def note(self, version: int, check: bytes) -> None:
        note_version(self.connection, version, check)

    def rewrap(self, key_id: UUID, wrapped: Wrapped) -> None:
        statement = text(
            "update finora.data_key set kek_version = :version, wrapped = :wrapped "
            "where tenant_id = :tenant and id = :id"
        )
        self._write(statement, key_id, wrapped)

    def fields(self, but: UUID) -> Sequence[SealedField]:
        rows = self.connection.execute(_OTHERS, {"tenant": self.tenant_id, "but": but})
        return [_field(row) for row in rows]

    def reseal(self, fields: Sequence[SealedField]) -> None:
        if fields:
            values = [_values(self.tenant_id, field) for field in fields]
            self.connection.execute(_RESEAL, values)

    def drop_unused(self) -> int:
        return self.connection.execute(_UNUSED, {"tenant": self.tenant_id}).rowcount

    def _write(self, statement: Any, key_id: UUID, wrapped: Wrapped) -> None:
        values = {"tenant": self.tenant_id, "id": key_id, "version": wrapped.version,
                  "wrapped": wrapped.content}  # fmt: skip
        self.connection.execute(statement, values)


def note_version(connection: Connection, version: int, check: bytes) -> None:
    """Note the first use of a key-encryption key. Raises SecretKeyWrong where that version was
    another key."""
    values = {"version": version, "check": check}
    added = text(
        "insert into finora.key_version (version, check_value) values (:version, :check) "
        "on conflict (version) do nothing"
    )
    connection.execute(added, values)
    known = text("select check_value from finora.key_version where version = :version")
    if bytes(connection.scalar(known, values)) != check:
        raise SecretKeyWrong(
            f"key {version} of FINORA_SECRET_KEYS is another one than this database knows under "
            "that version: set that one, or give a new key a new version"
        )


def key_problems(connection: Connection, ring: KeyRing) -> list[str]:
    """What is wrong with the key-encryption keys of these settings, for this database. The
    connection sees data keys of all tenants."""
    problems = []
    for row in connection.execute(_KNOWN):
        if row.version not in ring.versions:
            if row.held:
                problems.append(f"key {row.version} is missing, and {row.held} keys are under it")
        elif ring.check(row.version) != bytes(row.check_value):
            problems.append(f"key {row.version} is another one than this database knows")
    return problems


_KNOWN = text("""
select v.version, v.check_value,
  (select count(*) from finora.data_key k where k.kek_version = v.version)
  + (select count(*) from finora.signing_key s where s.kek_version = v.version
    and (s.retires_at is null or s.retires_at > now())) as held
from finora.key_version v order by v.version
""")
_NOT_UNDER = text("select distinct tenant_id from finora.data_key where kek_version <> :version "
                  "order by tenant_id")  # fmt: skip
_OLDER = text("select distinct tenant_id from finora.data_key where created_at < :before "
              "order by tenant_id")  # fmt: skip
_USES = text("""
select v.version, v.first_used_at, count(k.id) as data_keys, min(k.created_at) as oldest
from finora.key_version v left join finora.data_key k on k.kek_version = v.version
group by v.version, v.first_used_at
""")


@attrs.frozen
class PgKeyHolders:
    database: Control

    def not_under(self, version: int) -> Sequence[UUID]:
        with self.database.control() as connection:
            return connection.scalars(_NOT_UNDER, {"version": version}).all()

    def older_than(self, before: datetime) -> Sequence[UUID]:
        with self.database.control() as connection:
            return connection.scalars(_OLDER, {"before": before}).all()

    def uses(self) -> Mapping[int, KeyUse]:
        with self.database.control() as connection:
            rows = connection.execute(_USES).mappings()
            return {row["version"]: KeyUse(**row) for row in rows}

    def now(self) -> datetime:
        with self.database.control() as connection:
            now: datetime = connection.execute(text("select now()")).scalar_one()
            return now


def _values(tenant_id: UUID, field: SealedField) -> dict[str, object]:
    return {
        "tenant": tenant_id,
        "secret": field.secret_id,
        "name": field.name,
        "key": field.data_key_id,
        "nonce": field.sealed.nonce,
        "content": field.sealed.content,
    }


def _field(row: Row[Any]) -> SealedField:
    return SealedField(
        secret_id=row.id,
        user_id=row.user_id,
        institution=row.institution,
        version=row.version,
        name=row.name,
        data_key_id=row.data_key_id,
        sealed=Sealed(bytes(row.nonce), bytes(row.content)),
    )


def _key(row: Row[Any]) -> DataKey:
    wrapped = Wrapped(row.kek_version, bytes(row.wrapped))
    return DataKey(id=row.id, wrapped=wrapped, created_at=row.created_at)


def _secret(row: Row[Any]) -> Secret:
    names = [field.name for field in attrs.fields(Secret)]
    values = {name: getattr(row, name) for name in names}
    return Secret(**values | {"fields": tuple(row.fields)})
