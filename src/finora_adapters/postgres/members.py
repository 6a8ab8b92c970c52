"""One tenant, its members and invitations; and the tenants of one person."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, and_, delete, insert, select, text, update

from finora_adapters.postgres.schema import invite, membership, tenant
from finora_core.identity.roles import Role
from finora_core.identity.tenants.model import Invite, Member, Tenant, TenantKind

_MINE = text("select * from finora.my_tenants()")
_MEMBERS = text("select * from finora.members()")
_INVITE = [column for column in invite.c if column.name != "tenant_id"]


@attrs.frozen
class PgMembers:
    connection: Connection
    tenant_id: UUID

    def add_tenant(self, new: Tenant, key: str) -> None:
        values = {
            "tenant_id": self.tenant_id,
            "key": key,
            "kind": new.kind.value,
            "name": new.name,
            "base_asset": new.base_asset,
        }
        self.connection.execute(insert(tenant).values(values))

    def tenant(self) -> Tenant | None:
        query = select(tenant).where(tenant.c.tenant_id == self.tenant_id)
        row = self.connection.execute(query).first()
        if row is None:
            return None
        return Tenant(
            id=row.tenant_id,
            kind=TenantKind(row.kind),
            name=row.name or row.key,
            base_asset=row.base_asset,
            created_at=row.recorded_at,
        )

    def lock(self) -> None:
        query = select(tenant.c.tenant_id).where(tenant.c.tenant_id == self.tenant_id)
        self.connection.execute(query.with_for_update())

    def rename(self, name: str, base_asset: str) -> None:
        change = update(tenant).where(tenant.c.tenant_id == self.tenant_id)
        self.connection.execute(change.values(name=name, base_asset=base_asset))

    def mine(self) -> Sequence[Tenant]:
        return [
            Tenant(
                id=row.tenant_id,
                kind=TenantKind(row.kind),
                name=row.name or str(row.tenant_id),
                base_asset=row.base_asset,
                created_at=row.created_at,
                role=Role(row.role),
            )
            for row in self.connection.execute(_MINE)
        ]

    def list(self) -> Sequence[Member]:
        return [
            Member(**(dict(row._mapping) | {"role": Role(row.role)}))
            for row in self.connection.execute(_MEMBERS)
        ]

    def role(self, user_id: UUID) -> Role | None:
        found = self.connection.scalar(select(membership.c.role).where(self._member(user_id)))
        return None if found is None else Role(found)

    def add(self, user_id: UUID, role: Role) -> None:
        values = {"tenant_id": self.tenant_id, "user_id": user_id, "role": role.value}
        self.connection.execute(insert(membership).values(values))

    def set_role(self, user_id: UUID, role: Role) -> None:
        change = update(membership).where(self._member(user_id)).values(role=role.value)
        self.connection.execute(change)

    def remove(self, user_id: UUID) -> None:
        self.connection.execute(delete(membership).where(self._member(user_id)))

    def add_invite(self, new: Invite) -> None:
        values = {
            "tenant_id": self.tenant_id,
            "id": new.id,
            "email": new.email,
            "role": new.role.value,
            "invited_by": new.invited_by,
            "expires_at": new.expires_at,
        }
        self.connection.execute(insert(invite).values(values))

    def invite(self, invite_id: UUID) -> Invite | None:
        query = select(*_INVITE).where(self._invite(invite_id)).with_for_update()
        row = self.connection.execute(query).first()
        return None if row is None else _read(row)

    def invites(self) -> Sequence[Invite]:
        query = select(*_INVITE).where(invite.c.tenant_id == self.tenant_id)
        return [_read(row) for row in self.connection.execute(query.order_by(invite.c.id.desc()))]

    def accept(self, invite_id: UUID) -> None:
        self._set(invite_id, "accepted_at")

    def withdraw(self, invite_id: UUID) -> None:
        self._set(invite_id, "withdrawn_at")

    def _set(self, invite_id: UUID, column: str) -> None:
        change = update(invite).where(self._invite(invite_id))
        self.connection.execute(change.values({column: text("now()")}))

    def _member(self, user_id: UUID) -> Any:
        return and_(membership.c.tenant_id == self.tenant_id, membership.c.user_id == user_id)

    def _invite(self, invite_id: UUID) -> Any:
        return and_(invite.c.tenant_id == self.tenant_id, invite.c.id == invite_id)


def _read(row: Row[Any]) -> Invite:
    return Invite(**(dict(row._mapping) | {"role": Role(row.role)}))
