"""Records, their revisions and their labels."""

import json
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar
from uuid import UUID

import attrs
from sqlalchemy import Connection, TextClause, text
from sqlalchemy import Row as SqlRow

from finora_adapters.postgres.decisions import PgDecisions
from finora_adapters.postgres.ledger import PgAssets
from finora_adapters.postgres.streams import streamed
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.kernel.plain import to_plain
from finora_core.ledger.model import EntryWords, Flow
from finora_core.records.model import (
    BankState,
    Part,
    Record,
    RecordDetail,
    RecordFilter,
    RecordNotFound,
    Status,
)
from finora_core.records.ports import Row

# The label in force is the one with the highest number; most entries have none.
SELECT = """
select r.id, r.account_id, a.name as account, r.on_date, r.units, r.asset, r.description,
  r.counterparty, r.merchant_key, r.bank_id, r.bank_state, r.status, r.source, r.void, r.entry_id,
  r.revision, r.recorded_at, r.merchant, r.note, r.tags, r.locked, r.suggested, r.confidence,
  r.decisions, coalesce(l.category, '') as category, l.flow, s.parts, e.on_date as booked_on
from finora.record r
left join finora.entry e on e.tenant_id = r.tenant_id and e.id = r.entry_id
join finora.account a on a.tenant_id = r.tenant_id and a.id = r.account_id
left join lateral (select number, category, flow from finora.label l
  where l.tenant_id = r.tenant_id and l.entry_id = r.entry_id
  order by number desc limit 1) l on true
left join lateral (
  select json_agg(json_build_array(s.category, s.units::text) order by s.part) as parts
  from finora.label_part s where s.tenant_id = r.tenant_id and s.entry_id = r.entry_id
    and s.number = l.number
) s on true
where r.tenant_id = :tenant
"""

_ADD = text("""
insert into finora.record (tenant_id, id, received_account_id, identity, occurrence, source,
  account_id, on_date, units, asset, description, counterparty, merchant_key, bank_id, bank_state,
  entry_id, edited, entered_by)
select :tenant, :id, :account_id, cast(:identity as uuid),
  (select coalesce(max(occurrence) + 1, 0) from finora.record where tenant_id = :tenant
    and received_account_id = :account_id and identity = cast(:identity as uuid)),
  :source, :account_id, :on_date, :units, :asset, :description, :counterparty, :merchant_key,
  :bank_id, :bank_state, :entry_id, true, :by
""")

_SAVE = text("""
update finora.record set account_id = :account_id, on_date = :on_date, units = :units,
  asset = :asset, description = :description, counterparty = :counterparty,
  merchant_key = :merchant_key, bank_id = :bank_id, bank_state = :bank_state, void = :void,
  entry_id = :entry_id, edited = true
where tenant_id = :tenant and id = :id
""")
_ANNOTATE = text("""
update finora.record set merchant = :merchant, note = :note, tags = :tags, locked = :locked
where tenant_id = :tenant and id = :id
""")

# Parts come before their label. A label that leaves the category leaves its parts, too.
_PARTS = text("""
insert into finora.label_part (tenant_id, entry_id, number, part, category, units)
select :tenant, :entry, number + 1, p.part, p.category, p.units
from (select coalesce(max(number), 0) as number from finora.label
  where tenant_id = :tenant and entry_id = :entry) l
cross join unnest(cast(:categories as text[]), cast(:units as numeric[]))
  with ordinality p (category, units, part)
""")
_KEEP_PARTS = text("""
insert into finora.label_part (tenant_id, entry_id, number, part, category, units)
select s.tenant_id, s.entry_id, s.number + 1, s.part, s.category, s.units
from finora.label_part s where s.tenant_id = :tenant and s.entry_id = :entry
  and s.number = (select max(number) from finora.label
    where tenant_id = :tenant and entry_id = :entry)
""")
_MOVE_PARTS = text("""
insert into finora.label_part (tenant_id, entry_id, number, part, category, units)
select s.tenant_id, :to, 1, s.part, s.category, s.units
from finora.label_part s where s.tenant_id = :tenant and s.entry_id = :entry
  and s.number = (select max(number) from finora.label
    where tenant_id = :tenant and entry_id = :entry)
""")
_MOVE = text("""
insert into finora.label (tenant_id, entry_id, number, category, flow, source, set_by, rule_id)
select tenant_id, :to, 1, category, flow, source, set_by, rule_id from finora.label
where tenant_id = :tenant and entry_id = :entry order by number desc limit 1
""")
_LABEL = text("""
insert into finora.label (tenant_id, entry_id, number, category, flow, source, set_by, rule_id)
select e.tenant_id, e.id, coalesce(l.number, 0) + 1, coalesce(:category, l.category, ''),
  coalesce(:flow, l.flow, e.flow), :source, :set_by, :rule
from finora.entry e left join lateral (select number, category, flow from finora.label l
  where l.tenant_id = e.tenant_id and l.entry_id = e.id order by number desc limit 1) l on true
where e.tenant_id = :tenant and e.id = :entry
""")

_REVISIONS = text("""
select number, account_id, on_date, units::text as units, asset, description, counterparty, bank_id,
  bank_state, status, void, replaced_at, replaced_by, merchant, note, tags
from finora.revision where tenant_id = :tenant and record_id = :id order by number
""")


@attrs.frozen
class PgRecords:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    SELECT: ClassVar[str] = SELECT
    """A record as it is; conditions and an order may follow."""

    def add(self, row: Row, identity: bytes, source: str, by: UUID) -> None:
        said = {"identity": identity.hex(), "source": source, "by": by}
        self.connection.execute(_ADD, self._values(row) | said)

    def get(self, record_id: UUID, *, lock: bool = False) -> Record:
        query = SELECT + "and r.id = :id" + (" for update of r" if lock else "")
        found = self.connection.execute(text(query), {"tenant": self.tenant_id, "id": record_id})
        row = found.first()
        if row is None:
            raise RecordNotFound(f"no record {record_id}")
        return record_of(row, self.assets)

    def some(self, ids: Collection[UUID]) -> Mapping[UUID, Record]:
        query = SELECT + "and r.id = any(cast(:ids as uuid[])) order by r.id for update of r"
        values = {"tenant": self.tenant_id, "ids": list(ids)}
        return {
            row.id: record_of(row, self.assets)
            for row in self.connection.execute(text(query), values)
        }

    def detail(self, record_id: UUID) -> RecordDetail:
        record = self.get(record_id)
        where = {"tenant": self.tenant_id, "id": record_id}
        raw = self.connection.scalar(
            text("select raw from finora.record where tenant_id = :tenant and id = :id"), where
        )
        revisions = self.connection.execute(_REVISIONS, where).mappings()
        return RecordDetail(
            record=record,
            raw=None if raw is None else json.loads(raw),
            revisions=tuple(
                {key: to_plain(value) for key, value in row.items()} for row in revisions
            ),
            reasoning_trace=tuple(PgDecisions(self.connection, self.tenant_id).of(record_id)),
        )

    def save(self, row: Row) -> None:
        self.connection.execute(_SAVE, self._values(row))

    def annotate(
        self,
        record_id: UUID,
        merchant: str | None,
        note: str,
        tags: Iterable[str],
        locked: Iterable[str],
    ) -> None:
        values = {"merchant": merchant, "note": note, "tags": ",".join(tags)}
        values["locked"] = ",".join(sorted(locked))
        self.connection.execute(_ANNOTATE, {"tenant": self.tenant_id, "id": record_id} | values)

    def label(
        self,
        entry_id: UUID,
        category: str | None,
        flow: str | None,
        source: str,
        set_by: UUID,
        *,
        parts: Sequence[Part] = (),
        rule_id: UUID | None = None,
    ) -> None:
        entry = {"tenant": self.tenant_id, "entry": entry_id}
        if parts:
            shares = {
                "categories": [part.category for part in parts],
                "units": [part.amount.units for part in parts],
            }
            self.connection.execute(_PARTS, entry | shares)
        elif category is None:
            self.connection.execute(_KEEP_PARTS, entry)
        values = {"category": "" if parts else category, "flow": flow, "source": source}
        self.connection.execute(_LABEL, entry | values | {"set_by": set_by, "rule": rule_id})

    def move_label(self, entry_id: UUID, to: UUID) -> None:
        entries = {"tenant": self.tenant_id, "entry": entry_id, "to": to}
        self.connection.execute(_MOVE_PARTS, entries)
        self.connection.execute(_MOVE, entries)

    def list(self, wanted: RecordFilter, cursor: str | None, limit: int) -> Page[Record]:
        conditions, values = conditions_of(wanted)
        if cursor is not None:
            day, last = decode_cursor(cursor, (date, UUID))
            conditions.append("(r.on_date, r.id) < (cast(:day as date), cast(:last as uuid))")
            values |= {"day": day, "last": last}
        where = "".join(f" and {condition}" for condition in conditions)
        query = text(f"{SELECT}{where} order by r.on_date desc, r.id desc limit :limit")
        values |= {"tenant": self.tenant_id, "limit": limit + 1}
        rows = self.connection.execute(query, values).all()
        items = tuple(record_of(row, self.assets) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        return Page(items, encode_cursor(items[-1].on_date.isoformat(), str(items[-1].id)))

    def every(
        self, query: TextClause, values: Mapping[str, Any]
    ) -> Generator[tuple[Record, date | None], None, None]:
        """What a query that begins with SELECT finds, streamed, with the day of its entry."""
        with streamed(self.connection, query, {"tenant": self.tenant_id, **values}) as rows:
            for row in rows:
                yield record_of(row, self.assets), row.booked_on

    def of(self, record_ids: Sequence[UUID]) -> Sequence[Record]:
        """Those of these that are there, in no order."""
        query = text(SELECT + "and r.id = any(:ids)")
        values = {"tenant": self.tenant_id, "ids": [*record_ids]}
        return [record_of(row, self.assets) for row in self.connection.execute(query, values)]

    def _values(self, row: Row) -> dict[str, Any]:
        values = {field.name: getattr(row, field.name) for field in attrs.fields(Row)}
        amount = values.pop("amount")
        return values | {
            "tenant": self.tenant_id,
            "units": amount.units,
            "asset": amount.asset.id,
            "bank_state": row.bank_state.value,
        }


def record_of(row: SqlRow[Any], assets: PgAssets) -> Record:
    """A row of SELECT."""
    values = dict(row._mapping)
    del values["booked_on"]
    units, asset = values.pop("units"), values.pop("asset")
    parts = values.pop("parts") or ()
    return Record(
        **values
        | {
            "amount": assets.amount(units, asset),
            "bank_state": BankState(row.bank_state),
            "status": Status(row.status),
            "flow": Flow(row.flow) if row.flow else None,
            "parts": tuple(Part(name, assets.amount(n, asset)) for name, n in parts),
            "tags": listed(row.tags),
            "locked": listed(row.locked),
        }
    )


def listed(joined: str) -> tuple[str, ...]:
    """What a column has with commas between."""
    return tuple(joined.split(",")) if joined else ()


_WORDS = text("""
select e.id as entry_id, e.on_date, r.description, r.counterparty,
  coalesce(l.category, '') as category
from finora.record r
join finora.entry e on e.tenant_id = r.tenant_id and e.id = r.entry_id
left join lateral (select category from finora.label l where l.tenant_id = r.tenant_id
  and l.entry_id = r.entry_id order by number desc limit 1) l on true
where r.tenant_id = :tenant order by e.on_date, e.id
""")


@attrs.frozen
class PgWords:
    """What records and labels say of entries."""

    connection: Connection
    tenant_id: UUID

    def all(self) -> Generator[EntryWords, None, None]:
        with streamed(self.connection, _WORDS, {"tenant": self.tenant_id}) as rows:
            for row in rows:
                yield EntryWords(**row._mapping)


def conditions_of(wanted: RecordFilter) -> tuple[list[str], dict[str, Any]]:
    """What is asked of a record `r` and its label `l`, as SQL conditions and their values."""
    conditions, values = [], dict[str, Any]()

    def ask(condition: str, **value: object) -> None:
        if None not in value.values():
            conditions.append(condition)
            values.update(value)

    ask("r.account_id = :account", account=wanted.account_id)
    ask("r.on_date >= :since", since=wanted.since)
    ask("r.on_date <= :until", until=wanted.until)
    ask(
        "(coalesce(l.category, '') = :category or starts_with(l.category, cast(:below as text)) "
        "or exists (select from finora.label_part s where s.tenant_id = r.tenant_id "
        "and s.entry_id = r.entry_id and s.number = l.number and (s.category = :category "
        "or starts_with(s.category, cast(:below as text)))))",
        category=wanted.category,
    )
    if wanted.category is not None:
        # Nothing begins with null.
        values["below"] = f"{wanted.category}:" if wanted.category and wanted.below else None
    ask("position(',' || :tag || ',' in ',' || r.tags || ',') > 0", tag=wanted.tag)
    if wanted.merchant is not None:
        ask("coalesce(r.merchant, r.merchant_key) ilike :merchant",
            merchant=f"%{_literal(wanted.merchant)}%")  # fmt: skip
    ask("r.status = :status", status=wanted.status and wanted.status.value)
    ask("r.source = :source", source=wanted.source)
    ask("r.bank_state = :bank_state", bank_state=wanted.bank_state and wanted.bank_state.value)
    for name, bound, sign in (("least", wanted.least, ">="), ("most", wanted.most, "<=")):
        if bound is not None:
            ask(f"r.units {sign} :{name}", **{name: bound.units})
            ask(f"r.asset = :{name}_asset", **{f"{name}_asset": bound.asset.id})
    if wanted.text is not None:
        ask("(coalesce(r.counterparty, '') || ' ' || r.description) ilike :text",
            text=f"%{_literal(wanted.text)}%")  # fmt: skip
    ask("r.confidence >= :least_confidence", least_confidence=wanted.least_confidence)
    ask("r.confidence <= :most_confidence", most_confidence=wanted.most_confidence)
    if not wanted.with_void:
        conditions.append("not r.void")
    return conditions, values


def _literal(text: str) -> str:
    """The text as a pattern that only it matches."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
