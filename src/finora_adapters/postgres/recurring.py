"""The records that recurring payments are found in, and what people said of those."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

import attrs
from sqlalchemy import Connection, and_, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from finora_adapters.postgres.ledger import PgAssets
from finora_adapters.postgres.schema import recurring_verdict
from finora_core.insights.recurring.model import (
    LEAST_OFTEN,
    MOST_LINES,
    MOST_OFTEN,
    RecurringLine,
    Verdict,
)

# Labels are looked up for what is left: most merchants are seen once, or far too often.
_LINES = text("""
select r.id, r.on_date, r.units, r.asset, r.merchant_key from (
  select r.id, r.on_date, r.units, r.asset, r.merchant_key, r.entry_id,
    count(*) over stream as seen
  from finora.record r
  where r.tenant_id = :tenant and r.on_date > :since and r.on_date <= :until and not r.void
    and r.bank_state = 'booked' and r.entry_id is not null and r.merchant_key <> ''
  window stream as (partition by r.merchant_key, r.asset, r.units > 0)
) r
left join lateral (select flow from finora.label l where l.tenant_id = :tenant
  and l.entry_id = r.entry_id order by number desc limit 1) l on true
where r.seen between :least and :most and coalesce(l.flow, 'flow') = 'flow'
order by r.seen, r.merchant_key, r.asset, r.units > 0, r.on_date, r.id limit :lines
""")


@attrs.frozen
class PgRecurring:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def lines(self, since: date, until: date) -> Sequence[RecurringLine]:
        bounds = {"least": LEAST_OFTEN, "most": MOST_OFTEN, "lines": MOST_LINES}
        values = {"tenant": self.tenant_id, "since": since, "until": until} | bounds
        assets = self.assets
        return [
            RecurringLine(
                row.id, row.on_date, int(row.units), assets.get(row.asset), row.merchant_key
            )
            for row in self.connection.execute(_LINES, values)
        ]

    def verdicts(self) -> Mapping[UUID, Verdict]:
        mine = recurring_verdict.c.tenant_id == self.tenant_id
        query = select(recurring_verdict.c.id, recurring_verdict.c.verdict).where(mine)
        return {row.id: Verdict(row.verdict) for row in self.connection.execute(query)}

    def judge(self, recurring_id: UUID, verdict: Verdict | None, by: UUID) -> None:
        table = recurring_verdict
        if verdict is None:
            mine = and_(table.c.tenant_id == self.tenant_id, table.c.id == recurring_id)
            self.connection.execute(delete(table).where(mine))
            return
        said = {"verdict": verdict.value, "said_by": by, "said_at": func.now()}
        values = {"tenant_id": self.tenant_id, "id": recurring_id} | said
        added = upsert(table).values(values)
        self.connection.execute(
            added.on_conflict_do_update(index_elements=["tenant_id", "id"], set_=said)
        )
