"""The list of categories."""

from uuid import UUID

import attrs
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from finora_adapters.postgres import schema
from finora_core.categories.model import Category, CategoryExists, CategoryNotFound
from finora_core.kernel.page import Page, decode_cursor, encode_cursor

_TABLE = schema.category
_SHOWN = (_TABLE.c.name, _TABLE.c.note, _TABLE.c.created_at, _TABLE.c.archived_at)


@attrs.frozen
class PgCategories:
    connection: Connection
    tenant_id: UUID

    def list(self, cursor: str | None, limit: int, *, archived: bool) -> Page[Category]:
        query = select(*_SHOWN).where(_TABLE.c.tenant_id == self.tenant_id)
        if not archived:
            query = query.where(_TABLE.c.archived_at.is_(None))
        if cursor is not None:
            (last,) = decode_cursor(cursor, (str,))
            query = query.where(_TABLE.c.name.collate("C") > last)
        query = query.order_by(_TABLE.c.name.collate("C")).limit(limit + 1)
        rows = self.connection.execute(query).mappings().all()
        items = tuple(Category(**row) for row in rows[:limit])
        return Page(items, encode_cursor(items[-1].name) if len(rows) > limit else None)

    def get(self, name: str) -> Category:
        mine = (_TABLE.c.tenant_id == self.tenant_id, _TABLE.c.name == name)
        row = self.connection.execute(select(*_SHOWN).where(*mine)).mappings().one_or_none()
        if row is None:
            raise CategoryNotFound(f"no category {name[:200]!r}")
        return Category(**row)

    def add(self, name: str, note: str) -> None:
        row = upsert(_TABLE).values(tenant_id=self.tenant_id, name=name, note=note)
        added = row.on_conflict_do_nothing().returning(_TABLE.c.name)
        if self.connection.scalar(added) is None:
            raise CategoryExists(f"there is a category {name!r}")

    def archive(self, name: str, archived: bool) -> None:
        mine = (_TABLE.c.tenant_id == self.tenant_id, _TABLE.c.name == name)
        at = func.coalesce(_TABLE.c.archived_at, func.now()) if archived else None
        self.connection.execute(update(_TABLE).where(*mine).values(archived_at=at))
