"""Warrants: what shows the database that a transaction is for the tenant and person it names.

Row security goes by `finora.tenant` and `finora.user`, which any statement may set. So they count
only with a warrant beside them: an HMAC of both, under a key that no run-time role can read. Who
gets a statement into a transaction may name another tenant there, and sees no row of it.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from functools import lru_cache
from uuid import UUID

import attrs
from sqlalchemy import Connection, text

_NOBODY = UUID(int=0)
_BLOCK = 64
_REMEMBERED = 10_000
_SET = text(
    "select set_config('finora.tenant', :tenant, true), set_config('finora.user', :person, true), "
    "set_config('finora.warrant', :warrant, true)"
)
_SET_WARRANT = text("select set_config('finora.warrant', :warrant, true)")


class Warrants:
    """Makes warrants under the newest of FINORA_SECRET_KEYS."""

    def __init__(self, key: bytes) -> None:
        @lru_cache(_REMEMBERED)
        def sign(said: str) -> str:
            return hmac.digest(key, said.encode(), "sha256").hex()

        self._sign = sign

    def of(self, tenant: UUID | str, person: UUID | str) -> str:
        """The value of `finora.warrant` beside these two, each '' where none is named."""
        return self._sign(f"{tenant} {person}")

    @property
    def control(self) -> str:
        """With what the control role sees all tenants."""
        return self._sign("control")

    def place(self, tenant: UUID | str, person: UUID | str) -> Mapping[str, str]:
        """The values `tenant`, `person` and `warrant` of a statement that sets all three."""
        return {"tenant": str(tenant), "person": str(person), "warrant": self.of(tenant, person)}

    def be(self, connection: Connection, tenant: UUID | str, person: UUID | str) -> None:
        """See the rows of this tenant and this person, until the transaction ends."""
        connection.execute(_SET, self.place(tenant, person))

    def be_control(self, connection: Connection) -> None:
        """Count as the control role, where the connection has taken it."""
        connection.execute(_SET_WARRANT, {"warrant": self.control})


@attrs.frozen
class Pads:
    """A key as HMAC starts with it, so that Postgres, which has SHA-256 alone, can check."""

    inner: bytes
    outer: bytes

    @classmethod
    def of(cls, key: bytes) -> "Pads":
        block = hashlib.sha256(key).digest() if len(key) > _BLOCK else key
        block = block.ljust(_BLOCK, b"\0")
        return cls(bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block))


_ADD = text(
    "insert into finora.warrant_key (inner_pad, outer_pad, enforced) values (:inner, :outer, :on) "
    "on conflict (inner_pad) do update set enforced = excluded.enforced"
)
_ENFORCED = text("select coalesce(bool_or(enforced), false) from finora.warrant_key")
_REMOVE = text("delete from finora.warrant_key where not inner_pad = any(:known)")


def install(connection: Connection, keys: Iterable[bytes], *, enforce: bool) -> None:
    """Make these the keys whose warrants count, as the migrator. Until it was once told to enforce
    them, a tenant that is only named counts too: so does the release before, which still serves
    while this one is rolled out."""
    pads = [Pads.of(key) for key in keys]
    on = enforce or enforced(connection)
    connection.execute(_REMOVE, {"known": [each.inner for each in pads]})
    for each in pads:
        connection.execute(_ADD, {"inner": each.inner, "outer": each.outer, "on": on})


def enforced(connection: Connection) -> bool:
    """Whether a tenant counts with its warrant only; for a login that sees everything."""
    return bool(connection.scalar(_ENFORCED))


def counts(connection: Connection, warrants: Warrants) -> bool:
    """Whether the database takes these warrants; asked in a transaction of its own."""
    warrants.be(connection, _NOBODY, _NOBODY)
    return connection.scalar(text("select finora.finora_tenant()")) is not None
