"""The queue of reviewers, and how right the steps before them were."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import attrs
from sqlalchemy import Connection, text

from finora_adapters.postgres.decisions import IS_CLOSED
from finora_adapters.postgres.ledger import PgAssets
from finora_adapters.postgres.records import SELECT, record_of
from finora_core.categories.approvals.model import SourceAccuracy
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.records.model import DecisionSource, Record

_QUEUE = f"{SELECT} and r.status = 'needs_review' and r.entry_id is not null and not {IS_CLOSED}"
_AFTER = (
    " and (r.confidence, r.on_date, r.id) > (cast(:confidence as smallint), cast(:day as date), "
    "cast(:last as uuid))"
)
# What a person said next of the record is what a step's answer is held to. A step that knew of no
# category cannot be overridden. What was taken back
# was said again after it, and counts once.
_ACCURACY = text("""
select date_trunc('week', d.decided_at at time zone 'UTC')::date as week, d.source,
  count(*) as decided, count(*) filter (where d.verdict = 'auto') as auto,
  count(h.category) as reviewed,
  count(*) filter (where h.category <> d.category) as overridden
from finora.decision d
left join lateral (select h.category from finora.decision h
  where h.tenant_id = d.tenant_id and h.record_id = d.record_id and h.number > d.number
    and h.source = 'human' and d.category <> ''
  order by h.number limit 1) h on true
where d.tenant_id = :tenant and d.source <> 'human' and not exists (
    select from finora.decision b where b.tenant_id = d.tenant_id and b.record_id = d.record_id
      and b.number > d.number and b.rationale = 'TAKEN_BACK')
  and d.decided_at >= cast(:since as date)::timestamp at time zone 'UTC'
  and d.decided_at < (cast(:until as date) + 1)::timestamp at time zone 'UTC'
group by 1, 2 order by 1, 2
""")


@attrs.frozen
class PgReviews:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def queue(self, cursor: str | None, limit: int) -> Page[Record]:
        values: dict[str, object] = {"tenant": self.tenant_id, "limit": limit + 1}
        query = _QUEUE
        if cursor is not None:
            confidence, day, last = decode_cursor(cursor, (int, date, UUID))
            values |= {"confidence": confidence, "day": day, "last": last}
            query += _AFTER
        query += " order by r.confidence, r.on_date, r.id limit :limit"
        rows = self.connection.execute(text(query), values).all()
        items = tuple(record_of(row, self.assets) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        end = items[-1]
        return Page(items, encode_cursor(end.confidence or 0, end.on_date.isoformat(), str(end.id)))

    def accuracy(self, since: date, until: date) -> Sequence[SourceAccuracy]:
        values = {"tenant": self.tenant_id, "since": since, "until": until}
        return [
            SourceAccuracy(**dict(row._mapping) | {"source": DecisionSource(row.source)})
            for row in self.connection.execute(_ACCURACY, values)
        ]
