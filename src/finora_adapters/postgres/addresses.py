"""Address rows of one person."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, and_, delete, insert, select, update

from finora_adapters.postgres.schema import address
from finora_core.identity.addresses.model import Address

_COLUMNS = [column for column in address.c if column.name != "user_id"]


@attrs.frozen
class PgAddresses:
    connection: Connection
    user_id: UUID

    def list(self) -> Sequence[Address]:
        mine = address.c.user_id == self.user_id
        query = select(*_COLUMNS).where(mine).order_by(address.c.created_at, address.c.id)
        return [
            Address(**(dict(row._mapping) | {"lines": tuple(row.lines)}))
            for row in self.connection.execute(query)
        ]

    def add(self, new: Address) -> None:
        own = {"user_id": self.user_id, "id": new.id, "is_default": new.is_default}
        values = _written(new) | own
        self.connection.execute(insert(address).values(values))

    def change(self, changed: Address) -> None:
        values = _written(changed)
        self.connection.execute(update(address).where(self._at(changed.id)).values(values))

    def make_default(self, address_id: UUID | None) -> None:
        # Two statements: of one the key would be broken between its rows.
        mine = and_(address.c.user_id == self.user_id, address.c.is_default)
        self.connection.execute(update(address).where(mine).values(is_default=False))
        if address_id is not None:
            change = update(address).where(self._at(address_id))
            self.connection.execute(change.values(is_default=True))

    def remove(self, address_id: UUID) -> None:
        self.connection.execute(delete(address).where(self._at(address_id)))

    def _at(self, address_id: UUID) -> Any:
        return and_(address.c.user_id == self.user_id, address.c.id == address_id)


def _written(given: Address) -> dict[str, Any]:
    values = attrs.asdict(given) | {"lines": list(given.lines)}
    # The database says when; which it is, and which is the default, is said apart.
    del values["id"], values["created_at"], values["is_default"]
    return values
