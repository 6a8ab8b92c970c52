"""Deleting a person, and tenants whole, as the role that alone may."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID

import attrs
from sqlalchemy import Connection, text

from finora_adapters.postgres.access import ERASER, PEOPLE
from finora_adapters.postgres.events import PgEvents
from finora_adapters.postgres.members import PgMembers
from finora_adapters.postgres.people import PgPeople
from finora_adapters.postgres.schema import SCHEMA, metadata, tenant
from finora_adapters.postgres.versions import raise_version
from finora_adapters.postgres.warrants import Warrants
from finora_core.identity.erasure.model import Tie
from finora_core.identity.people.model import IdentityKind, Person
from finora_core.jobs.model import Subscription
from finora_core.kernel.events import Event
from finora_core.kernel.scope import Scope
from finora_core.mail.model import BadAddress, address_key

# The log last: its sealer has to wait from there on.
_LOG = ("job", "seal", "event")
_CHILDREN_FIRST = [table.name for table in reversed(metadata.sorted_tables)]
_HAS_TENANT = {t.name for t in metadata.tables.values() if "tenant_id" in t.columns}
OF_TENANT = (*(n for n in _CHILDREN_FIRST if n in _HAS_TENANT - {"version", *_LOG}), *_LOG)
"""In the order in which their rows can be deleted. A tenant's `version` stays, as a closed door."""
OF_PERSON = tuple(name for name in _CHILDREN_FIRST if name in PEOPLE - {"person"})

# Who uses a tenant with a large job in it waits for that, and so does this.
_PATIENCE = text("select set_config('lock_timeout', '5min', true)")
_NOW = text(
    "select current_setting('role'), coalesce(current_setting('finora.tenant', true), ''), "
    "coalesce(current_setting('finora.user', true), '')"
)
_BE = text(
    "select set_config('role', :role, true), set_config('finora.tenant', :tenant, true), "
    "set_config('finora.user', :person, true), set_config('finora.warrant', :warrant, true)"
)
_CLOSE = text(
    "insert into finora.version as v (tenant_id, number, closed) values (:tenant, 1, true) "
    "on conflict (tenant_id) do update set number = v.number + 1, closed = true, "
    "changed_at = clock_timestamp() returning number"
)
# The sealer's: it must not seal what is being deleted.
_NO_SEALS = text("select pg_advisory_xact_lock(0x5EA1)")
_NOBODY = text(
    "update finora.person set home_id = null, name = '', locale = 'en', currency = 'EUR', "
    "roles = '', password = null, codes = null, code_step = null, banned_at = null, "
    "preferences = '{}', erased_at = now() where user_id = :user"
)
_INVITED = text(
    "select tenant_id, id, email from finora.invite "
    "where lower(split_part(email, '@', 1)) = any(:names)"
)
_UNINVITE = text("delete from finora.invite where tenant_id = :tenant and id = :id")
_LEAVE = text("delete from finora.membership where tenant_id = :tenant and user_id = :user")
# Replies are kept for repeats; some say who a member is, or whom somebody invited.
_UNSAY = text(
    "delete from finora.command where tenant_id = :tenant and (user_id = :user or exists ("
    "select from unnest(cast(:said as text[])) s where position(convert_to(s, 'UTF8') in reply) > 0"
    "))"
)


@attrs.frozen
class PgErasure:
    connection: Connection
    scope: Scope
    subscriptions: Mapping[str, tuple[Subscription, ...]]
    raised: dict[UUID, int]
    """Where it notes the new versions of tenants."""
    warrants: Warrants

    def person(self, user_id: UUID) -> Person | None:
        self.connection.execute(_PATIENCE)
        with self._in(self.scope.tenant_id, user_id):
            return PgPeople(self.connection, user_id).get(lock=True)

    def mails(self, user_id: UUID) -> Sequence[str]:
        with self._in(self.scope.tenant_id, user_id):
            found = PgPeople(self.connection, user_id).identities()
        return [each.subject for each in found if each.kind is IdentityKind.EMAIL]

    def ties(self, user_id: UUID, *, lock: bool = False) -> Sequence[Tie]:
        with self._in(self.scope.tenant_id, user_id):
            mine = PgMembers(self.connection, self.scope.tenant_id).mine()
        found = []
        for each in mine:
            with self._in(each.id, user_id):
                if lock:
                    query = tenant.select().where(tenant.c.tenant_id == each.id)
                    self.connection.execute(query.with_for_update(key_share=True))
                members = PgMembers(self.connection, each.id).list()
            found.append(Tie(each, tuple(members)))
        return found

    def rows_of(self, user_id: UUID) -> Mapping[str, int]:
        with self._erasing(self.scope.tenant_id, user_id):
            return self._count(OF_PERSON, user_id)

    def rows_in(self, tenant_id: UUID) -> Mapping[str, int]:
        with self._erasing(tenant_id, self.scope.user_id):
            return self._count(OF_TENANT, tenant_id)

    def forget(self, user_id: UUID, mails: Sequence[str]) -> int:
        with self._erasing(self.scope.tenant_id, user_id):
            rows = sum(self._delete(table, user_id) for table in OF_PERSON)
            self.connection.execute(_NOBODY, {"user": user_id})
            invites = self.connection.execute(
                _INVITED, {"names": [key.partition("@")[0] for key in mails]}
            ).all()
        for tenant_id, invite_id, email in invites:
            # An invitation has the address as somebody wrote it.
            if _key(email) in mails:
                with self._erasing(tenant_id, user_id):
                    gone = {"tenant": tenant_id, "id": invite_id}
                    rows += self.connection.execute(_UNINVITE, gone).rowcount
                    self._unsay(tenant_id, user_id, email)
        return rows

    def erase(self, tenant_id: UUID) -> int:
        with self._erasing(tenant_id, self.scope.user_id):
            number = self.connection.scalar(_CLOSE, {"tenant": tenant_id})
            self.raised[tenant_id] = int(number)
            rows = 0
            for table in OF_TENANT:
                if table == "seal":
                    self.connection.execute(_NO_SEALS)
                rows += self._delete(table, tenant_id)
            return rows

    def leave(self, tenant_id: UUID, user_id: UUID, event: Event) -> None:
        with self._erasing(tenant_id, user_id):
            # With it go the person's tokens and credentials there.
            self.connection.execute(_LEAVE, {"tenant": tenant_id, "user": user_id})
            self._unsay(tenant_id, user_id)
        with self._in(tenant_id, user_id):
            there = attrs.evolve(self.scope, tenant_id=tenant_id)
            PgEvents(self.connection, there, self.subscriptions).record(event)
            self.raised[tenant_id] = raise_version(self.connection, tenant_id)

    def _unsay(self, tenant_id: UUID, user_id: UUID, *said: str) -> None:
        values = {"tenant": tenant_id, "user": user_id, "said": [str(user_id), *said]}
        self.connection.execute(_UNSAY, values)

    def _delete(self, table: str, owner: UUID) -> int:
        delete = text(f"delete from {SCHEMA}.{table} where {_owner(table)} = :owner")
        return self.connection.execute(delete, {"owner": owner}).rowcount

    def _count(self, tables: Sequence[str], owner: UUID) -> dict[str, int]:
        parts = (
            f"select '{name}', count(*) from {SCHEMA}.{name} where {_owner(name)} = :owner"
            for name in tables
        )
        found = self.connection.execute(text(" union all ".join(parts)), {"owner": owner})
        return {name: count for name, count in found if count}

    def _erasing(self, tenant_id: UUID, user_id: UUID) -> AbstractContextManager[None]:
        return self._be(ERASER, tenant_id, user_id)

    def _in(self, tenant_id: UUID, user_id: UUID) -> AbstractContextManager[None]:
        return self._be(None, tenant_id, user_id)

    @contextmanager
    def _be(self, role: str | None, tenant_id: UUID, user_id: UUID) -> Iterator[None]:
        """See that tenant's and that person's rows, as that role or as the present one."""
        now, place, person = self.connection.execute(_NOW).one()
        there = self.warrants.place(tenant_id, user_id)
        self.connection.execute(_BE, {"role": role or now, **there})
        yield
        # Not after an error: then the transaction is over, and all this with it.
        self.connection.execute(_BE, {"role": now, **self.warrants.place(place, person)})


def _owner(table: str) -> str:
    return "user_id" if table in PEOPLE else "tenant_id"


def _key(email: str) -> str | None:
    try:
        return address_key(email)
    except BadAddress:
        return None
