"""Rows of stored files: the tenant's view, and the sweeper's over all tenants."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from finora_adapters.postgres.events import Control
from finora_adapters.postgres.schema import stored_file
from finora_core.files.model import FileNotFound, FileState, StoredFile
from finora_core.files.ports import Reference
from finora_core.kernel.page import Page, decode_cursor, encode_cursor

_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:object, 2))")

_COLUMNS = [column for column in stored_file.c if column.name != "tenant_id"]


def hold_object(connection: Connection, tenant_id: UUID, key: str) -> None:
    """Wait for a sweep of this object, and keep others from it until the transaction ends."""
    connection.execute(_LOCK, {"object": f"{tenant_id}/{key}"})


@attrs.frozen
class PgFiles:
    connection: Connection
    tenant_id: UUID

    def add(self, file: StoredFile) -> bool:
        row = attrs.asdict(file) | {"tenant_id": self.tenant_id}
        del row["created_at"]  # The database says when.
        insert = upsert(stored_file).values(row).on_conflict_do_nothing()
        return self.connection.scalar(insert.returning(stored_file.c.id)) is not None

    def get(self, file_id: UUID, *, lock: bool = False) -> StoredFile:
        query = select(*_COLUMNS).where(self._at(file_id))
        row = self.connection.execute(query.with_for_update() if lock else query).first()
        if row is None:
            raise _unknown(file_id)
        return _file(row)

    def list(self, cursor: str | None, limit: int) -> Page[StoredFile]:
        query = (
            select(*_COLUMNS)
            .where(stored_file.c.tenant_id == self.tenant_id)
            .order_by(stored_file.c.created_at.desc(), stored_file.c.id.desc())
            .limit(limit + 1)
        )
        if cursor is not None:
            at, last = decode_cursor(cursor, (datetime, UUID))
            query = query.where(
                text("(created_at, id) < (:at, cast(:last as uuid))").bindparams(at=at, last=last)
            )
        rows = self.connection.execute(query).all()
        items = tuple(_file(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        return Page(items, encode_cursor(items[-1].created_at.isoformat(), str(items[-1].id)))

    def save(self, file: StoredFile) -> None:
        change = {
            "key": file.key,
            "media_type": file.media_type,
            "bytes": file.bytes,
            "sha256": file.sha256,
            "state": file.state,
            "reason": file.reason,
            "expires_at": file.expires_at,
        }
        self.connection.execute(update(stored_file).where(self._at(file.id)).values(change))

    def delete(self, file_id: UUID) -> None:
        if not self.connection.execute(delete(stored_file).where(self._at(file_id))).rowcount:
            raise _unknown(file_id)

    def hold(self, key: str) -> None:
        hold_object(self.connection, self.tenant_id, key)

    def _at(self, file_id: UUID) -> ColumnElement[bool]:
        return and_(stored_file.c.tenant_id == self.tenant_id, stored_file.c.id == file_id)


def _unknown(file_id: UUID) -> FileNotFound:
    return FileNotFound(f"no file {file_id}")


def _file(row: Row[Any]) -> StoredFile:
    values = dict(row._mapping)
    sha256 = None if row.sha256 is None else bytes(row.sha256)
    return StoredFile(**values | {"state": FileState(row.state), "sha256": sha256})


_EXPIRE = text("delete from finora.stored_file where expires_at <= now()")
# A tenant's id sorts as the text of it does; a key as its bytes, as the store lists them.
_REFERENCES = text("""
select tenant_id, key, bytes, due from (
  select tenant_id, key, bytes, state <> 'announced' as due from finora.stored_file
  union all
  select tenant_id, file_key, bytes, true from finora.statement_import
) named
where (cast(:after as uuid) is null or tenant_id >= :after)
  and (cast(:upto as uuid) is null or tenant_id <= :upto)
  and (cast(:after as uuid) is null or (tenant_id, key collate "C") > (:after, :after_key))
  and (cast(:upto as uuid) is null or (tenant_id, key collate "C") <= (:upto, :upto_key))
order by tenant_id, key collate "C"
""")
_REFERRED = text("""
select exists (select from finora.stored_file where tenant_id = :tenant and key = :key)
  or exists (select from finora.statement_import where tenant_id = :tenant and file_key = :key)
""")


@attrs.frozen
class PgFileRows:
    database: Control

    def expire(self) -> int:
        with self.database.control() as connection:
            return connection.execute(_EXPIRE).rowcount

    def references(
        self, after: tuple[UUID, str] | None, upto: tuple[UUID, str] | None
    ) -> Sequence[Reference]:
        first, last = after or (None, ""), upto or (None, "")
        values = {"after": first[0], "after_key": first[1], "upto": last[0], "upto_key": last[1]}
        with self.database.control() as connection:
            return [Reference(**row) for row in connection.execute(_REFERENCES, values).mappings()]

    @contextmanager
    def unreferenced(self, tenant_id: UUID, key: str) -> Iterator[bool]:
        with self.database.control() as connection:
            hold_object(connection, tenant_id, key)
            # Its own statement: a row that the lock waited for is seen.
            referred = connection.scalar(_REFERRED, {"tenant": tenant_id, "key": key})
            yield not referred
