"""Records as the pipeline takes them, what people taught, and wishes to look again."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, text

from finora_adapters.postgres import schema
from finora_adapters.postgres.decisions import IS_CLOSED
from finora_adapters.postgres.ledger import PgAssets
from finora_adapters.postgres.records import conditions_of, listed
from finora_adapters.postgres.rules import REWRITE
from finora_core.categories.pipeline.model import (
    BATCH,
    MOST_EXAMPLES,
    Chosen,
    Example,
    Key,
    Line,
    Mark,
    Taught,
)
from finora_core.categories.rules.conditions import RecordFacts
from finora_core.categories.rules.model import Effect
from finora_core.kernel.errors import NotFound
from finora_core.kernel.plain import to_plain
from finora_core.ledger.model import Flow
from finora_core.records.model import BankState, Part, RecordFilter, Status


class ReprocessNotFound(NotFound):
    """There is no such wish to look at records again."""

    code = "REPROCESS_NOT_FOUND"


_WAITING = text(f"""
select min(id::text)::uuid as first, max(id::text)::uuid as last from (
  select id, (row_number() over (order by id) - 1) / :batch as part from finora.record r
  where tenant_id = :tenant and status = 'received' and entry_id is not null and not {IS_CLOSED}
) r group by part order by part
""")
# What the file said is a label too, under that of whoever said otherwise.
_TAKE = f"""
select r.id, a.name as account, r.account_id, r.on_date, r.units, r.asset, r.description,
  r.counterparty, r.merchant_key, r.merchant, r.tags, r.note, r.locked, r.source, r.status,
  r.suggested, r.confidence, r.decisions, coalesce(l.category, '') as category,
  case when (select exists (select from finora.label_part where tenant_id = :tenant)) then
    (select json_agg(json_build_array(s.category, s.units::text) order by s.part)
      from finora.label_part s where s.tenant_id = r.tenant_id and s.entry_id = r.entry_id
        and s.number = l.number) end as parts,
  coalesce(l.flow, e.flow) as flow, coalesce(l.source, '') as labelled_by,
  case when l.source = 'statement' then l.category when l.number > 1 then
    (select s.category from finora.label s where s.tenant_id = r.tenant_id
      and s.entry_id = r.entry_id and s.source = 'statement' order by s.number desc limit 1)
  end as stated
from finora.record r
join finora.account a on a.tenant_id = r.tenant_id and a.id = r.account_id
cross join lateral (select flow from finora.entry e
  where e.tenant_id = r.tenant_id and e.id = r.entry_id offset 0) e
left join lateral (select number, category, flow, source from finora.label l
  where l.tenant_id = r.tenant_id and l.entry_id = r.entry_id order by number desc limit 1) l
  on true
where r.tenant_id = :tenant and r.entry_id is not null and r.status = any(:statuses)
  and not {IS_CLOSED}
"""
_HOLD = text("""
update finora.record set status = 'processing'
where tenant_id = :tenant and id = any(cast(:ids as uuid[]))
""")
_TAUGHT = text("""
select k.merchant_key, k.inward, t.id, t.corrected, t.category
from unnest(cast(:keys as text[]), cast(:inward as boolean[])) k (merchant_key, inward)
cross join lateral (
  select r.id, r.status = 'overridden' as corrected, l.category
  from finora.record r
  cross join lateral (select category from finora.label l where l.tenant_id = r.tenant_id
    and l.entry_id = r.entry_id order by number desc limit 1) l
  where r.tenant_id = :tenant and r.merchant_key = k.merchant_key and r.reviewed_at is not null
    and r.entry_id is not null and (r.units > 0) = k.inward and l.category <> ''
  order by r.reviewed_at desc, r.id desc limit 20
) t
""")
_MARK = text("""
select count(*) as decided, max(reviewed_at) as latest from (
  select reviewed_at from finora.record where tenant_id = :tenant and reviewed_at is not null
    and entry_id is not null order by reviewed_at desc limit :limit) r
""")
_EXAMPLES = text("""
select r.id, r.account_id, r.units, r.asset, r.merchant_key, l.category,
  r.status = 'overridden' as corrected
from (
  select * from finora.record r where r.tenant_id = :tenant and r.reviewed_at is not null
    and r.entry_id is not null order by r.reviewed_at desc, r.id desc limit :limit
) r
cross join lateral (select category from finora.label l where l.tenant_id = :tenant
  and l.entry_id = r.entry_id order by number desc limit 1) l
where l.category <> '' order by r.reviewed_at, r.id
""")
_CATEGORIES = text("""
select name from finora.category where tenant_id = :tenant and archived_at is null order by name
""")


@attrs.frozen
class PgLines:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def waiting(self) -> Sequence[tuple[UUID, UUID]]:
        rows = self.connection.execute(_WAITING, {"tenant": self.tenant_id, "batch": BATCH})
        return [(row.first, row.last) for row in rows]

    def take(
        self, chosen: Chosen, after: UUID | None, *, lock: bool, limit: int = BATCH
    ) -> Sequence[Line]:
        conditions, values = _conditions(chosen, after)
        where = "".join(f" and {condition}" for condition in conditions)
        locked = " for update of r" if lock else ""
        query = text(f"{_TAKE}{where} order by r.id limit :limit{locked}")
        values |= {"tenant": self.tenant_id, "limit": limit}
        return [self._line(row) for row in self.connection.execute(query, values).all()]

    def hold(self, ids: Collection[UUID]) -> None:
        if ids:
            self.connection.execute(_HOLD, {"tenant": self.tenant_id, "ids": list(ids)})

    def fail(self, chosen: Chosen) -> None:
        conditions, values = _conditions(chosen, None)
        where = "".join(f" and {condition}" for condition in conditions)
        # Through the same look at the records as `take`, for a filter may ask of their labels.
        query = text(
            "update finora.record set status = 'failed' where tenant_id = :tenant "
            f"and id in (select id from ({_TAKE}{where}) r)"
        )
        self.connection.execute(query, values | {"tenant": self.tenant_id})

    def rewrite(self, effects: Mapping[UUID, Effect]) -> None:
        rows = []
        for record_id, effect in effects.items():
            words = {field: ",".join(said) if isinstance(said, tuple) else said
                     for field, said in effect.values.items() if field != "category"}  # fmt: skip
            if words:
                rows.append({"id": record_id.hex} | words)
        if rows:
            values = {"tenant": self.tenant_id, "rows": json.dumps(rows)}
            self.connection.execute(REWRITE, values)

    def _line(self, row: Sequence[Any]) -> Line:
        # Unpacked: there are many, and a name costs three times as much to look up.
        (record_id, account, account_id, on_date, units, asset, description, counterparty,
         merchant_key, merchant, tags, note, locked, source, status, suggested, confidence,
         decisions, category, parts, flow, labelled_by, stated) = row  # fmt: skip
        theirs = frozenset(listed(locked))
        divided = tuple(Part(name, self.assets.amount(n, asset)) for name, n in parts or ())
        by_person = "category" in theirs
        facts = RecordFacts(
            id=record_id,
            account=account,
            account_id=account_id,
            on_date=on_date,
            amount=self.assets.amount(units, asset),
            description=description,
            counterparty=counterparty,
            merchant_key=merchant_key,
            merchant=merchant,
            # What automation said before is no fact to judge by.
            category=category if by_person else stated or "",
            tags=listed(tags),
            note=note,
            source=source,
            locked=theirs,
            parts=divided if by_person else (),
        )
        return Line(
            facts=facts,
            status=Status(status),
            flow=Flow(flow),
            category=category,
            parts=divided,
            labelled_by=labelled_by,
            stated=stated or "",
            suggested=suggested,
            confidence=confidence,
            decisions=decisions,
        )


def _conditions(chosen: Chosen, after: UUID | None) -> tuple[list[str], dict[str, Any]]:
    conditions: list[str] = []
    values: dict[str, Any] = {"statuses": [status.value for status in chosen.statuses]}
    if chosen.wanted is not None:
        found, given = conditions_of(chosen.wanted)
        conditions += found
        values |= given
    if after is not None:
        conditions.append("r.id > :after")
        values["after"] = after
    if chosen.first is not None:
        conditions.append("r.id >= :first")
        values["first"] = chosen.first
    if chosen.last is not None:
        conditions.append("r.id <= :last")
        values["last"] = chosen.last
    if chosen.ids is not None:
        conditions.append("r.id = any(cast(:ids as uuid[]))")
        values["ids"] = list(chosen.ids)
    return conditions, values


@attrs.frozen
class PgMemory:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def of(self, keys: Collection[Key]) -> Mapping[Key, Sequence[Taught]]:
        values = {
            "tenant": self.tenant_id,
            "keys": [merchant for merchant, _ in keys],
            "inward": [inward for _, inward in keys],
        }
        found: dict[Key, list[Taught]] = defaultdict(list)
        for row in self.connection.execute(_TAUGHT, values):
            taught = Taught(record_id=row.id, category=row.category, corrected=row.corrected)
            found[row.merchant_key, row.inward].append(taught)
        return found

    def mark(self) -> Mark:
        values = {"tenant": self.tenant_id, "limit": MOST_EXAMPLES}
        return Mark(**self.connection.execute(_MARK, values).one()._mapping)

    def examples(self, limit: int) -> Sequence[Example]:
        values = {"tenant": self.tenant_id, "limit": limit}
        return [
            Example(
                id=record_id,
                account_id=account_id,
                amount=self.assets.amount(units, asset),
                merchant_key=merchant_key,
                category=category,
                corrected=corrected,
            )
            for record_id, account_id, units, asset, merchant_key, category, corrected in (
                self.connection.execute(_EXAMPLES, values)
            )
        ]

    def categories(self) -> Sequence[str]:
        return self.connection.scalars(_CATEGORIES, {"tenant": self.tenant_id}).all()


@attrs.frozen
class PgReprocesses:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def add(
        self,
        reprocess_id: UUID,
        wanted: RecordFilter | None,
        ids: Sequence[UUID] | None,
        dry_run: bool,
        by: UUID,
    ) -> None:
        row = {
            "tenant_id": self.tenant_id,
            "id": reprocess_id,
            "wanted": {
                "filter": None if wanted is None else _plain(wanted),
                "ids": None if ids is None else [str(each) for each in ids],
            },
            "dry_run": dry_run,
            "asked_by": by,
        }
        self.connection.execute(schema.reprocess.insert().values(row))

    def get(self, reprocess_id: UUID) -> tuple[Chosen, bool, UUID | None, Mapping[str, int]]:
        table = schema.reprocess
        query = table.select().where(table.c.tenant_id == self.tenant_id,
                                     table.c.id == reprocess_id)  # fmt: skip
        row = self.connection.execute(query).one_or_none()
        if row is None:
            raise ReprocessNotFound(f"no wish {reprocess_id}")
        ids, wanted = row.wanted["ids"], row.wanted["filter"]
        chosen = Chosen(
            ids=None if ids is None else tuple(UUID(each) for each in ids),
            wanted=None if wanted is None else self._filter(wanted),
        )
        return chosen, row.dry_run, row.after, row.counts or {}

    def advance(self, reprocess_id: UUID, after: UUID, counts: Mapping[str, int]) -> None:
        table = schema.reprocess
        self.connection.execute(
            table.update()
            .where(table.c.tenant_id == self.tenant_id, table.c.id == reprocess_id)
            .values(after=after, counts=dict(counts))
        )

    def _filter(self, plain: Mapping[str, Any]) -> RecordFilter:
        given = dict(plain)
        for name, read in (("account_id", UUID), ("since", date.fromisoformat),
                           ("until", date.fromisoformat), ("status", Status),
                           ("bank_state", BankState)):  # fmt: skip
            if given[name] is not None:
                given[name] = read(given[name])
        for name in ("least", "most"):
            if given[name] is not None:
                given[name] = self.assets.amount(int(given[name]["units"]), given[name]["asset"])
        return RecordFilter(**given)


def _plain(wanted: RecordFilter) -> dict[str, Any]:
    amounts = {
        name: None if bound is None else {"units": str(bound.units), "asset": bound.asset.id}
        for name, bound in (("least", wanted.least), ("most", wanted.most))
    }
    plain = to_plain(wanted)
    assert isinstance(plain, dict)
    return plain | amounts
