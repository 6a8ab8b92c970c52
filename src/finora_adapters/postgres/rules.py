"""Rules, and their runs over records that are there."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import date
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, delete, insert, select, text, update

from finora_adapters.postgres import schema
from finora_adapters.postgres.ledger import PgAssets
from finora_adapters.postgres.records import listed
from finora_adapters.postgres.streams import streamed
from finora_core.categories.rules.actions import actions_of, plain_action
from finora_core.categories.rules.conditions import RecordFacts, View, condition_of, plain_condition
from finora_core.categories.rules.model import (
    NO_EFFECT,
    ChangeKind,
    Effect,
    FieldChange,
    GroupNotFound,
    Rule,
    RuleBook,
    RuleGroup,
    RuleNotFound,
    RuleRun,
    RunFilter,
    RunNotFound,
    RunState,
    changes_of,
    in_order,
)
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.kernel.plain import to_plain
from finora_core.records.model import Part

_RULE, _GROUP = schema.rule, schema.rule_group
_OF_RULE = [column for column in _RULE.c if column.name != "tenant_id"]
_OF_GROUP = (_GROUP.c.id, _GROUP.c.name, _GROUP.c.priority, _GROUP.c.stop)
_GIVEN = ("group_id", "name", "priority", "continues", "active")

_HIT = text("""
update finora.rule r set hits = r.hits + h.hits, last_hit_at = now()
from unnest(cast(:ids as uuid[]), cast(:hits as bigint[])) h (id, hits)
where r.tenant_id = :tenant and r.id = h.id
""")
_LOCK = text("""
select id from finora.rule where tenant_id = :tenant and id = any(cast(:ids as uuid[]))
order by id for update
""")


@attrs.frozen
class PgRules:
    connection: Connection
    tenant_id: UUID

    def all(self) -> Sequence[Rule]:
        query = select(*_OF_RULE).where(_RULE.c.tenant_id == self.tenant_id)
        rows = self.connection.execute(query).mappings()
        return in_order(map(_rule, rows), self.groups())

    def groups(self) -> Sequence[RuleGroup]:
        query = select(*_OF_GROUP).where(_GROUP.c.tenant_id == self.tenant_id)
        rows = self.connection.execute(query.order_by(_GROUP.c.priority, _GROUP.c.name)).mappings()
        return [RuleGroup(**row) for row in rows]

    def book(self) -> RuleBook:
        rows = self.connection.execute(select(*_OF_RULE).where(_RULE.c.tenant_id == self.tenant_id))
        return RuleBook.of(map(_rule, rows.mappings()), self.groups())

    def get(self, rule_id: UUID) -> Rule:
        query = select(*_OF_RULE).where(*self._at(rule_id)).with_for_update()
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            raise RuleNotFound(f"no rule {rule_id}")
        return _rule(row)

    def add(self, rule: Rule) -> None:
        values = {"tenant_id": self.tenant_id, "id": rule.id} | _values(rule)
        self.connection.execute(insert(_RULE).values(values))

    def save(self, rule: Rule) -> None:
        self.connection.execute(update(_RULE).where(*self._at(rule.id)).values(_values(rule)))

    def remove(self, rule_id: UUID) -> None:
        self.connection.execute(delete(_RULE).where(*self._at(rule_id)))

    def hit(self, hits: Mapping[UUID, int]) -> None:
        ids = sorted(hits)
        values = {"tenant": self.tenant_id, "ids": ids}
        # In one order, whoever counts at the same time.
        self.connection.execute(_LOCK, values)
        self.connection.execute(_HIT, values | {"hits": [hits[each] for each in ids]})

    def get_group(self, group_id: UUID) -> RuleGroup:
        mine = (_GROUP.c.tenant_id == self.tenant_id, _GROUP.c.id == group_id)
        row = self.connection.execute(select(*_OF_GROUP).where(*mine)).mappings().one_or_none()
        if row is None:
            raise GroupNotFound(f"no group of rules {group_id}")
        return RuleGroup(**row)

    def add_group(self, group: RuleGroup) -> None:
        values = {"tenant_id": self.tenant_id} | attrs.asdict(group)
        self.connection.execute(insert(_GROUP).values(values))

    def save_group(self, group: RuleGroup) -> None:
        mine = (_GROUP.c.tenant_id == self.tenant_id, _GROUP.c.id == group.id)
        values = {"name": group.name, "priority": group.priority, "stop": group.stop}
        self.connection.execute(update(_GROUP).where(*mine).values(values))

    def remove_group(self, group_id: UUID) -> None:
        of_group = (_RULE.c.tenant_id == self.tenant_id, _RULE.c.group_id == group_id)
        self.connection.execute(update(_RULE).where(*of_group).values(group_id=None))
        mine = (_GROUP.c.tenant_id == self.tenant_id, _GROUP.c.id == group_id)
        self.connection.execute(delete(_GROUP).where(*mine))

    def _at(self, rule_id: UUID) -> tuple[Any, Any]:
        return _RULE.c.tenant_id == self.tenant_id, _RULE.c.id == rule_id


def _rule(row: Mapping[Any, Any]) -> Rule:
    return Rule(
        **{str(name): value for name, value in row.items()}
        | {
            "condition": condition_of(row["condition"]),
            "actions": actions_of(row["actions"]),
        }
    )


def _values(rule: Rule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in _GIVEN} | {
        "condition": plain_condition(rule.condition),
        "actions": [plain_action(action) for action in rule.actions],
    }


# --- runs ---

# What rules see of a record, with what stands there when they do not look. What is closed keeps its
# category, as if a person had set it: a label there would be refused.
_NIL = UUID(int=0)
_COLUMNS: Mapping[str, tuple[str, object]] = {
    "id": ("r.id", _NIL),
    "account": ("a.name", ""),
    "account_id": ("r.account_id", _NIL),
    "on_date": ("r.on_date", date.min),
    "units": ("r.units", 0),
    "asset": ("r.asset", ""),
    "description": ("r.description", ""),
    "counterparty": ("r.counterparty", None),
    "merchant_key": ("r.merchant_key", ""),
    "merchant": ("r.merchant", None),
    "category": ("coalesce(l.category, '')", ""),
    "tags": ("r.tags", ""),
    "note": ("r.note", ""),
    "source": ("r.source", ""),
    "locked": (
        """case when r.on_date <= (select coalesce(finora.closed_through(), '-infinity'))
          and exists (select from finora.entry e where e.tenant_id = r.tenant_id
            and e.id = r.entry_id and e.on_date <= (select finora.closed_through()))
          then concat_ws(',', nullif(r.locked, ''), 'category') else r.locked end""",
        "",
    ),
    "booked": ("r.entry_id is not null", True),
    "parts": ("l.parts", None),
}
_UNSEEN = {name: blank for name, (_, blank) in _COLUMNS.items()}
_RECORD = "from finora.record r"
_ACCOUNT = "join finora.account a on a.tenant_id = r.tenant_id and a.id = r.account_id"
_LABELLED = """
left join lateral (
  select l.category, case when (select exists (select from finora.label_part
      where tenant_id = :tenant)) then (
    select cast(json_agg(json_build_array(s.category, s.units::text) order by s.part) as text)
    from finora.label_part s where s.tenant_id = l.tenant_id and s.entry_id = l.entry_id
      and s.number = l.number) end as parts
  from finora.label l where l.tenant_id = r.tenant_id and l.entry_id = r.entry_id
  order by l.number desc limit 1
) l on true
"""
_MINE = "where r.tenant_id = :tenant and not r.void"
_ALL = ", ".join(f"{column} as {name}" for name, (column, _) in _COLUMNS.items())
_FACTS = f"select {_ALL} {_RECORD} {_ACCOUNT} {_LABELLED} {_MINE}"
_ALIKE = 20_000
"""How many kinds of records a preview remembers before it starts to learn them again."""
_WHERE = """
  and (cast(:since as date) is null or r.on_date >= :since)
  and (cast(:until as date) is null or r.on_date <= :until)
  and (cast(:account as uuid) is null or r.account_id = :account)
"""
_LATEST = "order by r.on_date desc, r.id desc limit :last"
_STRETCH = text(f"""{_FACTS}{_WHERE} and r.id > coalesce(
  (select last_id from finora.rule_run where tenant_id = :tenant and id = :run),
  cast('00000000-0000-0000-0000-000000000000' as uuid))
order by r.id limit :limit for update of r""")
_AMONG = f"{_FACTS} and r.id = any(cast(:ids as uuid[])) order by r.id"
_COUNT = text(f"select count(*) {_RECORD} {_MINE}{_WHERE}")

REWRITE = text("""
update finora.record r set
  description = coalesce(x.description, r.description),
  note = coalesce(x.note, r.note),
  tags = coalesce(x.tags, r.tags),
  merchant = case when x.merchant is null then r.merchant else nullif(x.merchant, '') end
from jsonb_to_recordset(cast(:rows as jsonb))
  x (id uuid, description text, note text, tags text, merchant text)
where r.tenant_id = :tenant and r.id = x.id
""")
_SPLIT = text("""
insert into finora.label_part (tenant_id, entry_id, number, part, category, units)
select :tenant, r.entry_id, coalesce(l.number, 0) + 1, p.part, p.said ->> 0,
  cast(p.said ->> 1 as numeric)
from jsonb_to_recordset(cast(:rows as jsonb)) x (id uuid, parts jsonb)
join finora.record r on r.tenant_id = :tenant and r.id = x.id
left join lateral (select number from finora.label l where l.tenant_id = :tenant
  and l.entry_id = r.entry_id order by number desc limit 1) l on true
cross join lateral jsonb_array_elements(x.parts) with ordinality p (said, part)
where x.parts is not null
""")
# What is restored comes again from whom it came before.
_LABEL = text("""
insert into finora.label (tenant_id, entry_id, number, category, flow, source, set_by, rule_id)
select :tenant, r.entry_id, coalesce(l.number, 0) + 1, x.category, coalesce(l.flow, e.flow),
  coalesce(was.source, 'rule'), coalesce(was.set_by, :by),
  case when :restoring then was.rule_id else x.rule end
from jsonb_to_recordset(cast(:rows as jsonb)) x (id uuid, category text, rule uuid)
join finora.record r on r.tenant_id = :tenant and r.id = x.id
join finora.entry e on e.tenant_id = :tenant and e.id = r.entry_id
left join lateral (select number, flow from finora.label l where l.tenant_id = :tenant
  and l.entry_id = r.entry_id order by number desc limit 1) l on true
left join lateral (select source, set_by, rule_id from finora.label w
  where :restoring and w.tenant_id = :tenant and w.entry_id = r.entry_id
    and w.category = x.category and w.number < l.number order by number desc limit 1) was on true
where x.category is not null
""")
# A run's word is a step of the record's trace, and so is taking it back. What has no category then
# waits for a person again.
_TRACE = text("""
with moved as (
  update finora.record r set suggested = '', decisions = r.decisions + 1,
    confidence = case when r.status in ('approved', 'overridden') then r.confidence
      when :restoring then 0 else 10000 end,
    status = case when r.status in ('approved', 'overridden') then r.status
      when :restoring and x.category = '' and x.parts is null and l.flow = 'flow'
        then 'needs_review' else 'processed' end
  from jsonb_to_recordset(cast(:rows as jsonb)) x (id uuid, category text, rule uuid, parts jsonb)
  cross join lateral (select entry_id from finora.record e
    where e.tenant_id = :tenant and e.id = x.id offset 0) e
  cross join lateral (select flow from finora.label l where l.tenant_id = :tenant
    and l.entry_id = e.entry_id order by number desc limit 1) l
  where r.tenant_id = :tenant and r.id = x.id
  returning r.id, r.decisions, x.category, x.rule
)
insert into finora.decision (tenant_id, record_id, number, source, verdict, category, confidence,
  rationale, rule_id, decided_by)
select :tenant, m.id, m.decisions, 'rule', case when :restoring then 'none' else 'auto' end,
  m.category, case when :restoring then 0 else 10000 end,
  case when :restoring then 'RULE_RUN_UNDONE' else 'RULE_RUN' end, m.rule, :by
from moved m
""")
_KEEP = text("""
insert into finora.rule_change (tenant_id, run_id, record_id, field, rule_id, before, after, kind)
select :tenant, :run, x.record_id, x.field, x.rule_id, x.before, x.after,
  case when x.locked then 'locked' else 'changed' end
from jsonb_to_recordset(cast(:rows as jsonb))
  x (record_id uuid, field text, rule_id uuid, before jsonb, after jsonb, locked boolean)
""")
_TO_UNDO = text("""
select record_id, field, rule_id, before, after from finora.rule_change
where tenant_id = :tenant and run_id = :run and kind = 'changed' and record_id in (
  select distinct record_id from finora.rule_change
  where tenant_id = :tenant and run_id = :run and kind = 'changed' order by 1 limit :limit)
order by record_id, field
""")
_SETTLE = text("""
update finora.rule_change c set kind = :kind
from jsonb_to_recordset(cast(:rows as jsonb)) x (record_id uuid, field text)
where c.tenant_id = :tenant and c.run_id = :run and c.record_id = x.record_id
  and c.field = x.field
""")
_RUN = """
select id, state, wanted, jsonb_array_length(rules -> 'rules') as rules, examined, matched, changed,
  locked, restored, kept, asked_by, recorded_at
from finora.rule_run where tenant_id = :tenant
"""
_ADVANCE = text("""
update finora.rule_run set last_id = coalesce(:last, last_id), examined = examined + :examined,
  matched = matched + :matched, changed = changed + :changed, locked = locked + :locked,
  restored = restored + :restored, kept = kept + :kept
where tenant_id = :tenant and id = :run
""")
_COUNTED = ("examined", "matched", "changed", "locked", "restored", "kept")


@attrs.frozen
class PgRuleRuns:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def effects(
        self, book: RuleBook, wanted: RunFilter, last: int | None
    ) -> Iterator[tuple[date, bytes, Effect]]:
        asks, touches = _columns_of(book.asks), _columns_of(book.touches)
        columns = ", ".join(_COLUMNS[name][0] for name in (*asks, *touches))
        account = _ACCOUNT if "account" in asks else ""
        label = _LABELLED if {"category", "parts"} & {*asks, *touches} else ""
        # Ids as bytes: to make a hundred thousand UUIDs takes longer than all the rest.
        query = text(f"select r.on_date, uuid_send(r.id), {columns} {_RECORD} {account} {label} "
                     f"{_MINE}{_WHERE} {_LATEST}")  # fmt: skip
        matches: dict[tuple[Any, ...], tuple[int, ...]] = {}
        effects: dict[tuple[Any, ...], Effect] = {}
        values = self._where(wanted) | {"last": last}
        split = 2 + len(asks)
        with streamed(self.connection, query, values) as rows:
            for row in rows:
                asked = row[2:split]
                places = matches.get(asked)
                if places is None:
                    places = book.matching(View(self._seen(asks, asked)))
                    _keep(matches, asked, places)
                if not places:
                    yield row[0], row[1], NO_EFFECT
                    continue
                kind = (places, *row[split:])
                effect = effects.get(kind)
                if effect is None:
                    effect = book.effect(self._seen(touches, row[split:]), places)
                    _keep(effects, kind, effect)
                yield row[0], row[1], effect

    def count(self, wanted: RunFilter) -> int:
        return int(self.connection.scalar(_COUNT, self._where(wanted)) or 0)

    def add(
        self,
        run_id: UUID,
        wanted: RunFilter,
        rules: Iterable[Rule],
        groups: Iterable[RuleGroup],
        by: UUID,
    ) -> None:
        kept = {
            "rules": [to_plain({"id": rule.id} | _values(rule)) for rule in rules],
            "groups": [to_plain(group) for group in groups],
        }
        row = {"id": run_id, "wanted": to_plain(wanted), "rules": kept, "asked_by": by}
        self.connection.execute(insert(schema.rule_run).values({"tenant_id": self.tenant_id} | row))

    def get(self, run_id: UUID, *, lock: bool = False) -> RuleRun:
        query = f"{_RUN} and id = :run" + (" for update" if lock else "")
        row = self.connection.execute(text(query), self._run(run_id)).first()
        if row is None:
            raise RunNotFound(f"no run of rules {run_id}")
        return _run(row)

    def list(self, cursor: str | None, limit: int) -> Page[RuleRun]:
        values: dict[str, object] = {"tenant": self.tenant_id, "limit": limit + 1}
        where = ""
        if cursor is not None:
            (values["last"],) = decode_cursor(cursor, (UUID,))
            where = " and id < :last"
        query = text(f"{_RUN}{where} order by id desc limit :limit")
        rows = self.connection.execute(query, values).all()
        items = tuple(map(_run, rows[:limit]))
        return Page(items, encode_cursor(str(items[-1].id)) if len(rows) > limit else None)

    def book(self, run_id: UUID) -> RuleBook:
        query = text("select rules from finora.rule_run where tenant_id = :tenant and id = :run")
        kept = self.connection.scalar(query, self._run(run_id))
        if kept is None:
            raise RunNotFound(f"no run of rules {run_id}")
        return RuleBook.of(
            (_rule(row | {"id": UUID(row["id"]), "group_id": _id(row["group_id"])})
             for row in kept["rules"]),
            (RuleGroup(**group | {"id": UUID(group["id"])}) for group in kept["groups"]),
        )  # fmt: skip

    def stretch(self, run_id: UUID, wanted: RunFilter, limit: int) -> Sequence[RecordFacts]:
        values = self._where(wanted) | {"run": run_id, "limit": limit}
        return [self._facts(row) for row in self.connection.execute(_STRETCH, values)]

    def among(self, records: Iterable[UUID], *, lock: bool = True) -> Mapping[UUID, RecordFacts]:
        values = {"tenant": self.tenant_id, "ids": list(records)}
        query = text(_AMONG + (" for update of r" if lock else ""))
        return {row.id: self._facts(row) for row in self.connection.execute(query, values)}

    def write(
        self, run_id: UUID, done: Sequence[tuple[RecordFacts, Effect]], by: UUID
    ) -> Sequence[FieldChange]:
        changes = [change for facts, effect in done for change in changes_of(facts, effect)]
        self._say([change for change in changes if not change.locked], by, restoring=False)
        self._each(_KEEP, [to_plain(change) for change in changes], run=run_id)
        return changes

    def restore(self, run_id: UUID, changes: Sequence[FieldChange], by: UUID) -> None:
        back = [attrs.evolve(c, after=c.before, before=c.after) for c in changes]
        self._say(back, by, restoring=True)

    def _say(self, changes: Sequence[FieldChange], by: UUID, *, restoring: bool) -> None:
        words: dict[UUID, dict[str, object]] = {}
        labels: list[dict[str, object]] = []
        for change in changes:
            value: Any = change.after
            if change.field == "category":
                parts = value if isinstance(value, list) else None
                labels.append({"id": str(change.record_id), "rule": str(change.rule_id),
                               "category": "" if parts else value, "parts": parts})  # fmt: skip
            else:
                said = ",".join(value) if change.field == "tags" else value
                row = words.setdefault(change.record_id, {"id": str(change.record_id)})
                row[change.field] = said
        self._each(REWRITE, list(words.values()))
        self._each(_SPLIT, [label for label in labels if label["parts"]])
        self._each(_LABEL, labels, by=by, restoring=restoring)
        self._each(_TRACE, labels, by=by, restoring=restoring)

    def settle(self, run_id: UUID, changes: Sequence[FieldChange], kind: ChangeKind) -> None:
        rows = [{"record_id": str(c.record_id), "field": c.field} for c in changes]
        self._each(_SETTLE, rows, run=run_id, kind=kind.value)

    def advance(self, run_id: UUID, last_id: UUID | None, **counted: int) -> None:
        counts = dict.fromkeys(_COUNTED, 0) | counted
        self.connection.execute(_ADVANCE, self._run(run_id) | {"last": last_id} | counts)

    def state(self, run_id: UUID, state: RunState) -> None:
        query = text("update finora.rule_run set state = :state "
                     "where tenant_id = :tenant and id = :run")  # fmt: skip
        self.connection.execute(query, self._run(run_id) | {"state": state.value})

    def to_undo(self, run_id: UUID, records: int) -> Sequence[FieldChange]:
        rows = self.connection.execute(_TO_UNDO, self._run(run_id) | {"limit": records})
        return [FieldChange(**row) for row in rows.mappings()]

    def changes(
        self, run_id: UUID, kind: ChangeKind | None, cursor: str | None, limit: int
    ) -> Page[tuple[ChangeKind, FieldChange]]:
        values: dict[str, object] = self._run(run_id) | {"limit": limit + 1}
        where = ""
        if kind is not None:
            values["kind"], where = kind.value, " and kind = :kind"
        if cursor is not None:
            values["last"], values["field"] = decode_cursor(cursor, (UUID, str))
            where += " and (record_id, field) > (cast(:last as uuid), :field)"
        query = text(
            "select record_id, field, rule_id, before, after, kind from finora.rule_change "
            f"where tenant_id = :tenant and run_id = :run{where} "
            "order by record_id, field limit :limit"
        )
        found = []
        for row in self.connection.execute(query, values).mappings():
            said = ChangeKind(row["kind"])
            rest = {name: value for name, value in row.items() if name != "kind"}
            found.append((said, FieldChange(**rest, locked=said is ChangeKind.LOCKED)))
        items = tuple(found[:limit])
        if len(found) <= limit:
            return Page(items)
        last = items[-1][1]
        return Page(items, encode_cursor(str(last.record_id), last.field))

    def _each(self, statement: Any, rows: Sequence[object], **values: object) -> None:
        if rows:
            given = {"tenant": self.tenant_id, "rows": json.dumps(rows)} | values
            self.connection.execute(statement, given)

    def _run(self, run_id: UUID) -> dict[str, object]:
        return {"tenant": self.tenant_id, "run": run_id}

    def _where(self, wanted: RunFilter) -> dict[str, object]:
        return {
            "tenant": self.tenant_id,
            "since": wanted.since,
            "until": wanted.until,
            "account": wanted.account_id,
        }

    def _seen(self, columns: Sequence[str], values: Iterable[object]) -> RecordFacts:
        """Facts of which no more is known than this."""
        return self._facts((_UNSEEN | dict(zip(columns, values, strict=True))).values())

    def _facts(self, row: Any) -> RecordFacts:
        (record_id, account, account_id, on_date, units, asset, description, counterparty,
         merchant_key, merchant, category, tags, note, source, locked, booked,
         parts) = row  # fmt: skip
        held = json.loads(parts) if parts else ()
        return RecordFacts(
            id=record_id,
            account=account,
            account_id=account_id,
            on_date=on_date,
            amount=self.assets.amount(units, asset),
            description=description,
            counterparty=counterparty,
            merchant_key=merchant_key,
            merchant=merchant,
            category=category,
            tags=listed(tags),
            note=note,
            source=source,
            locked=frozenset(listed(locked)),
            parts=tuple(Part(name, self.assets.amount(n, asset)) for name, n in held),
            booked=booked,
        )


def _columns_of(facts: Set[str]) -> Sequence[str]:
    wanted = facts | {"asset"} | ({"units"} if "amount" in facts else set())
    return [name for name in _COLUMNS if name in wanted]


def _keep(known: dict[Any, Any], kind: object, value: object) -> None:
    if len(known) >= _ALIKE:
        known.clear()
    known[kind] = value


def _run(row: Row[Any]) -> RuleRun:
    wanted = row.wanted
    return RuleRun(
        **dict(row._mapping)
        | {
            "state": RunState(row.state),
            "wanted": RunFilter(
                since=_day(wanted["since"]),
                until=_day(wanted["until"]),
                account_id=_id(wanted["account_id"]),
            ),
        }
    )


def _day(said: str | None) -> date | None:
    return None if said is None else date.fromisoformat(said)


def _id(said: str | None) -> UUID | None:
    return None if said is None else UUID(said)
