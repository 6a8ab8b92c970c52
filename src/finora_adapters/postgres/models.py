"""What a tenant asked of language models, and its texts as vectors."""

from collections.abc import Sequence
from uuid import UUID

import attrs
from sqlalchemy import Connection, text

from finora_adapters.postgres.driver import run
from finora_core.intelligence.ports import Neighbour, Use, Used
from finora_core.kernel.scope import Scope
from finora_core.plugins import Vector

# One tenant's questions one after another, for the moment of two statements: each sees the others.
_LOCK = "select pg_advisory_xact_lock(hashtextextended(%(tenant)s || ' model_use', 0))"
_TODAY = (
    "select coalesce(sum(case state when 'sending' then reserved else tokens_in + tokens_out end), "
    "0) from finora.model_use where tenant_id = %(tenant)s "
    "and on_date = (now() at time zone 'utc')::date"
)
_RESERVE = (
    "insert into finora.model_use (tenant_id, id, user_id, on_date, purpose, subjects, reserved) "
    "values (%(tenant)s, %(id)s, %(user)s, (now() at time zone 'utc')::date, %(purpose)s, "
    "to_jsonb(%(subjects)s::uuid[]), %(reserved)s)"
)
_SETTLE = (
    "update finora.model_use set state = %(state)s, model = %(model)s, tokens_in = %(read)s, "
    "tokens_out = %(written)s, cost_micros = %(cost)s, settled_at = clock_timestamp() "
    "where tenant_id = %(tenant)s and id = %(id)s and state = 'sending'"
)
_MISSING = text(
    "select w.key from unnest(cast(:keys as text[])) with ordinality w (key, place) "
    "where not exists (select from finora.embedding e "
    "where e.tenant_id = :tenant and e.model = :model and e.key = w.key) "
    "group by w.key order by min(w.place)"
)
_ADD = text(
    "insert into finora.embedding (tenant_id, model, key, dimension, vector) "
    "values (:tenant, :model, :key, :dimension, cast(:vector as vector)) on conflict do nothing"
)
# <=> is the cosine's distance; of a vector without a length it is NaN, and of no use.
_NEAREST = text(
    "select key, round((1 - distance) * 10000)::int as likeness from ("
    "select key, vector <=> cast(:vector as vector) as distance from finora.embedding "
    "where tenant_id = :tenant and model = :model and dimension = :dimension) found "
    "where distance <> 'NaN' order by distance, key limit :limit"
)


@attrs.frozen
class PgModelUse:
    connection: Connection
    scope: Scope

    def reserve(self, use: Use, most_tokens: int) -> bool:
        mine = {"tenant": str(self.scope.tenant_id)}
        run(self.connection, _LOCK, mine)
        # A statement of its own: it sees what was committed while the lock was waited for.
        if self.tokens_today() + use.reserved > most_tokens:
            return False
        values = {
            "id": use.id,
            "user": self.scope.user_id,
            "purpose": use.purpose,
            "subjects": list(use.subjects),
            "reserved": use.reserved,
        }
        run(self.connection, _RESERVE, mine | values)
        return True

    def settle(self, use_id: UUID, used: Used) -> None:
        values = {
            "tenant": self.scope.tenant_id,
            "id": use_id,
            "state": "answered" if used.answered else "failed",
            "model": used.model,
            "read": used.tokens_in,
            "written": used.tokens_out,
            "cost": used.cost_micros,
        }
        run(self.connection, _SETTLE, values)

    def tokens_today(self) -> int:
        row = run(self.connection, _TODAY, {"tenant": str(self.scope.tenant_id)}).fetchone()
        return int(row[0]) if row else 0


@attrs.frozen
class PgVectors:
    connection: Connection
    tenant_id: UUID

    def missing(self, model: str, keys: Sequence[str]) -> Sequence[str]:
        values = {"tenant": self.tenant_id, "model": model, "keys": list(keys)}
        return [str(key) for key in self.connection.scalars(_MISSING, values)]

    def add(self, model: str, vectors: Sequence[tuple[str, Vector]]) -> None:
        mine = {"tenant": self.tenant_id, "model": model}
        rows = [
            mine | {"key": key, "dimension": len(vector), "vector": _written(vector)}
            for key, vector in vectors
        ]
        if rows:
            self.connection.execute(_ADD, rows)

    def nearest(self, model: str, vector: Vector, limit: int) -> Sequence[Neighbour]:
        values = {
            "tenant": self.tenant_id,
            "model": model,
            "dimension": len(vector),
            "vector": _written(vector),
            "limit": limit,
        }
        return [
            Neighbour(key=row.key, likeness=row.likeness)
            for row in self.connection.execute(_NEAREST, values)
        ]


def _written(vector: Vector) -> str:
    return f"[{','.join(map(repr, vector))}]"
