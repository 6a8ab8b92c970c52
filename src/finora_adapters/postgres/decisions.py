"""Why records have their categories: decisions, the labels that follow, the settings of review."""

import json
from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert as upsert

from finora_adapters.postgres import schema
from finora_core.records.model import (
    Decision,
    DecisionSource,
    DecisionVerdict,
    ReviewSettings,
    Ruling,
)

# Each of the three goes from the given records to the tables by key, whatever the planner thinks of
# their sizes: see functions.py.
_APPEND = text("""
insert into finora.decision (tenant_id, record_id, number, source, verdict, category, confidence,
  rationale, rule_id, neighbours, model, note, decided_by, was)
select :tenant, g.record, r.decisions + g.step, g.source, g.verdict, g.category, g.confidence,
  g.rationale, g.rule, g.neighbours, g.model, g.note, g.person,
  case when g.verdict in ('approved', 'overridden') then jsonb_build_object(
    'status', r.status, 'suggested', r.suggested, 'confidence', r.confidence, 'locked', r.locked,
    'reviewed_at', r.reviewed_at, 'decision', r.decisions, 'entry', r.entry_id, 'label', (
      select max(l.number) from finora.label l
      where l.tenant_id = :tenant and l.entry_id = r.entry_id)) end
from jsonb_to_recordset(cast(:rows as jsonb)) as g (record uuid, step int, source text,
  verdict text, category text, confidence int, rationale text, rule uuid, neighbours jsonb,
  model text, note text, person uuid)
cross join lateral (select r.decisions, r.status, r.suggested, r.confidence, r.locked,
    r.reviewed_at, r.entry_id from finora.record r
  where r.tenant_id = :tenant and r.id = g.record offset 0) r
""")
# Parts come before their label.
_PARTS = text("""
insert into finora.label_part (tenant_id, entry_id, number, part, category, units)
select :tenant, r.entry_id, coalesce(l.number, 0) + 1, p.part, p.said ->> 0,
  cast(p.said ->> 1 as numeric)
from jsonb_to_recordset(cast(:rows as jsonb)) as g (record uuid, parts jsonb)
cross join lateral (select entry_id from finora.record r
  where r.tenant_id = :tenant and r.id = g.record and r.entry_id is not null offset 0) r
left join lateral (select number from finora.label l
  where l.tenant_id = :tenant and l.entry_id = r.entry_id order by number desc limit 1) l on true
cross join lateral jsonb_array_elements(g.parts) with ordinality p (said, part)
""")
_LABEL = text("""
insert into finora.label (tenant_id, entry_id, number, category, flow, source, set_by, rule_id)
select :tenant, r.entry_id, coalesce(l.number, 0) + 1, g.category, coalesce(l.flow, e.flow),
  g.source, :by, g.rule
from jsonb_to_recordset(cast(:rows as jsonb)) as g (record uuid, category text, source text,
  rule uuid)
cross join lateral (select entry_id from finora.record r
  where r.tenant_id = :tenant and r.id = g.record and r.entry_id is not null offset 0) r
cross join lateral (select flow from finora.entry e
  where e.tenant_id = :tenant and e.id = r.entry_id offset 0) e
left join lateral (select number, flow from finora.label l
  where l.tenant_id = :tenant and l.entry_id = r.entry_id order by number desc limit 1) l on true
order by r.entry_id
""")
# What a person decided is theirs: locked against automation, and an example to it.
_MOVE = text("""
update finora.record r set status = g.status, suggested = g.suggested, confidence = g.confidence,
  decisions = r.decisions + g.steps,
  reviewed_at = case when g.status in ('approved', 'overridden') then now() end,
  locked = case when g.status not in ('approved', 'overridden') then r.locked else (
    select string_agg(distinct field, ',' order by field) from
      unnest(string_to_array(r.locked, ',') || array['category']) field) end
from jsonb_to_recordset(cast(:rows as jsonb)) as g (record uuid, status text, suggested text,
  confidence int, steps int)
where r.tenant_id = :tenant and r.id = g.record
""")
# Taking back: the label that was there is said again, by whom it was said; a link that somebody
# made since stays. The person's step, and the one that holds again, are the trace's next two.
_WAS = text("""
select d.was from finora.decision d
join finora.record r on r.tenant_id = d.tenant_id and r.id = d.record_id
where d.tenant_id = :tenant and d.record_id = :record and d.number = :before + 1
  and d.was ->> 'entry' = r.entry_id::text
""")
_BACK_PARTS = text("""
insert into finora.label_part (tenant_id, entry_id, number, part, category, units)
select :tenant, p.entry_id, l.number + 1, p.part, p.category, p.units
from finora.label_part p
cross join lateral (select max(number) as number from finora.label l
  where l.tenant_id = :tenant and l.entry_id = p.entry_id) l
where p.tenant_id = :tenant and p.entry_id = :entry and p.number = :label and l.number > :label
""")
_BACK_LABEL = text("""
insert into finora.label (tenant_id, entry_id, number, category, flow, source, set_by, rule_id)
select :tenant, l.entry_id, l.number + 1, coalesce(w.category, ''), l.flow,
  coalesce(w.source, 'human'), coalesce(w.set_by, :by), w.rule_id
from (select * from finora.label where tenant_id = :tenant and entry_id = :entry
  order by number desc limit 1) l
left join finora.label w on w.tenant_id = :tenant and w.entry_id = :entry and w.number = :label
where l.number > :label
""")
_BACK_SAID = text("""
insert into finora.decision (tenant_id, record_id, number, source, verdict, category, confidence,
  rationale, decided_by)
select :tenant, r.id, r.decisions + 1, 'human', 'none', '', 0, 'TAKEN_BACK', :by
from finora.record r where r.tenant_id = :tenant and r.id = :record
""")
_BACK_AGAIN = text("""
insert into finora.decision (tenant_id, record_id, number, source, verdict, category, confidence,
  rationale, rule_id, neighbours, model, note, decided_by, was)
select :tenant, r.id, r.decisions + 2, d.source, d.verdict, d.category, d.confidence, d.rationale,
  d.rule_id, d.neighbours, d.model, d.note, d.decided_by, d.was
from finora.record r join finora.decision d on d.tenant_id = :tenant and d.record_id = r.id
  and d.number = :last
where r.tenant_id = :tenant and r.id = :record
""")
_BACK_MOVE = text("""
update finora.record r set status = w.status, suggested = w.suggested, confidence = w.confidence,
  reviewed_at = w.reviewed_at,
  decisions = r.decisions + case when :last = 0 then 1 else 2 end,
  locked = case when 'category' = any(string_to_array(w.locked, ',')) then r.locked
    else array_to_string(array_remove(string_to_array(r.locked, ','), 'category'), ',') end
from jsonb_to_record(cast(:was as jsonb)) as w (status text, suggested text, confidence smallint,
  locked text, reviewed_at timestamptz)
where r.tenant_id = :tenant and r.id = :record
""")
_OF = text("""
select source, verdict, category, confidence, rationale, rule_id, neighbours, model, note, number,
  decided_by, decided_at
from finora.decision where tenant_id = :tenant and record_id = :record order by number
""")
_LAST = text("""
select d.source, d.verdict, d.category, d.confidence, d.rationale, d.rule_id, d.neighbours, d.model,
  d.note, d.number, d.decided_by, d.decided_at, r.id as record_id
from finora.record r join finora.decision d on d.tenant_id = :tenant and d.record_id = r.id
  and d.number = r.decisions
where r.tenant_id = :tenant and r.id = any(cast(:ids as uuid[]))
""")
_BARRED = text("""
select r.id from finora.record r
left join finora.statement_import i on i.tenant_id = r.tenant_id and i.id = r.import_id
where r.tenant_id = :tenant and r.id = any(cast(:ids as uuid[]))
  and coalesce(r.entered_by, i.asked_by) = :person
""")
# A condition on a record `r`: what is closed keeps its label, one there would be refused.
IS_CLOSED = """coalesce(r.on_date <= (select finora.closed_through()) and exists (
  select from finora.entry c where c.tenant_id = r.tenant_id and c.id = r.entry_id
    and c.on_date <= (select finora.closed_through())), false)"""
_CLOSED = text(
    "select r.id from finora.record r where r.tenant_id = :tenant "
    f"and r.id = any(cast(:ids as uuid[])) and {IS_CLOSED}"
)
# How labels, which are older than decisions, name who set them.
_LABELLED_BY = {
    DecisionSource.SIMILAR: "embedding",
    DecisionSource.MODEL: "llm",
}


@attrs.frozen
class PgDecisions:
    connection: Connection
    tenant_id: UUID
    person: UUID | None = None
    """Who writes."""

    def write(self, rulings: Sequence[Ruling]) -> None:
        steps = [
            self._step(ruling.record_id, step, decision)
            for ruling in rulings
            for step, decision in enumerate(ruling.decisions, start=1)
        ]
        labels = [_label(each) for each in rulings if each.label is not None]
        moves = [
            {
                "record": each.record_id.hex,
                "status": each.status,
                "suggested": each.suggested,
                "confidence": each.confidence,
                "steps": len(each.decisions),
            }
            for each in rulings
        ]
        self._run(_APPEND, steps)
        self._run(_PARTS, [label for label in labels if label["parts"]])
        self._run(_LABEL, labels, by=self.person)
        self._run(_MOVE, moves)

    def take_back(self, record_id: UUID, before: int) -> bool:
        asked = {"tenant": self.tenant_id, "record": record_id, "before": before}
        was = self.connection.scalar(_WAS, asked)
        if was is None:
            return False
        given = asked | {
            "entry": was["entry"],
            "label": was["label"] or 0,
            "last": was["decision"],
            "by": self.person,
        }
        for statement in (_BACK_PARTS, _BACK_LABEL, _BACK_SAID, _BACK_AGAIN):
            self.connection.execute(statement, given)
        self.connection.execute(_BACK_MOVE, given | {"was": json.dumps(was)})
        return True

    def _step(self, record_id: UUID, step: int, said: Decision) -> dict[str, object]:
        person = said.decided_by or self.person
        return {
            "record": record_id.hex,
            "step": step,
            "source": said.source,
            "verdict": said.verdict,
            "category": said.category,
            "confidence": said.confidence,
            "rationale": said.rationale,
            "rule": said.rule_id and said.rule_id.hex,
            "neighbours": [str(each) for each in said.neighbours] or None,
            "model": said.model,
            "note": said.note,
            "person": person and person.hex,
        }

    def of(self, record_id: UUID) -> Sequence[Decision]:
        rows = self.connection.execute(_OF, {"tenant": self.tenant_id, "record": record_id})
        return [_decision(dict(row._mapping)) for row in rows]

    def last(self, ids: Collection[UUID]) -> Mapping[UUID, Decision]:
        rows = self.connection.execute(_LAST, {"tenant": self.tenant_id, "ids": list(ids)})
        found = (dict(row._mapping) for row in rows)
        return {row.pop("record_id"): _decision(row) for row in found}

    def barred(self, person: UUID, ids: Collection[UUID]) -> Set[UUID]:
        if not self.settings().separate_duties:
            return frozenset()
        values = {"tenant": self.tenant_id, "ids": list(ids), "person": person}
        return frozenset(self.connection.scalars(_BARRED, values))

    def closed(self, ids: Collection[UUID]) -> Set[UUID]:
        values = {"tenant": self.tenant_id, "ids": list(ids)}
        return frozenset(self.connection.scalars(_CLOSED, values))

    def settings(self) -> ReviewSettings:
        table = schema.review_setting
        names = [field.name for field in attrs.fields(ReviewSettings)]
        query = table.select().where(table.c.tenant_id == self.tenant_id)
        row = self.connection.execute(query).one_or_none()
        if row is None:
            return ReviewSettings()
        return ReviewSettings(**{name: getattr(row, name) for name in names})

    def set(self, settings: ReviewSettings) -> None:
        values = attrs.asdict(settings)
        insert = upsert(schema.review_setting).values(tenant_id=self.tenant_id, **values)
        self.connection.execute(
            insert.on_conflict_do_update(constraint="review_setting_pkey", set_=values)
        )

    def _run(self, statement: Any, rows: Sequence[Mapping[str, object]], **more: object) -> None:
        # As one JSON text: a driver's array of five hundred ids costs more than its insert.
        if rows:
            values = {"tenant": self.tenant_id, "rows": json.dumps(rows)} | more
            self.connection.execute(statement, values)


def _decision(row: dict[str, Any]) -> Decision:
    return Decision(
        **row
        | {
            "source": DecisionSource(row["source"]),
            "verdict": DecisionVerdict(row["verdict"]),
            "neighbours": tuple(UUID(each) for each in row["neighbours"] or ()),
        }
    )


def _label(ruling: Ruling) -> dict[str, object]:
    decided = next(
        (each for each in ruling.decisions if each.verdict is DecisionVerdict.AUTO),
        ruling.decisions[-1],
    )
    return {
        "record": ruling.record_id.hex,
        "category": ruling.label,
        "parts": [[part.category, str(part.amount.units)] for part in ruling.parts] or None,
        "source": _LABELLED_BY.get(decided.source, decided.source.value),
        "rule": decided.rule_id and decided.rule_id.hex,
    }
