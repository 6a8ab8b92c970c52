"""What people do with rules: write them, try them, let them run over the past, undo that."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby
from uuid import UUID

import attrs

from finora_core.categories.rules.conditions import BadRule, RecordFacts
from finora_core.categories.rules.importers import ImportedRules
from finora_core.categories.rules.model import (
    MAX_RULES,
    ChangeKind,
    Effect,
    FieldChange,
    RecordDifference,
    Rule,
    RuleBook,
    RuleChanged,
    RuleCreated,
    RuleGroup,
    RulePreview,
    RuleRun,
    RuleRunRequested,
    RulesRan,
    RuleUndoRequested,
    RunFilter,
    RunState,
    RunUndone,
    TooManyRules,
    changes_of,
    current,
    in_order,
)
from finora_core.categories.rules.ports import RulesWork
from finora_core.jobs.model import Progress
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import derived_id, new_id
from finora_core.kernel.page import (
    DEFAULT_LIMIT,
    BadCursor,
    Page,
    checked_limit,
    decode_cursor,
    encode_cursor,
)
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried

_STRETCH = 1_000
"""Records of one transaction of a run."""
MAX_PREVIEW = 1_000_000


@attrs.frozen
class RuleService:
    begin: Begin[RulesWork]

    # --- rules ---

    def list(
        self, scope: Scope, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[Rule]:
        """In the order in which they are asked."""
        with self.begin(scope) as work:
            rules = work.rules.all()
        start, size = 0, checked_limit(limit)
        if cursor is not None:
            (last,) = decode_cursor(cursor, (UUID,))
            places = {rule.id: place for place, rule in enumerate(rules, 1)}
            if last not in places:
                raise BadCursor("the rule at which the page before ended is gone")
            start = places[last]
        page = tuple(rules[start : start + size])
        more = len(rules) > start + size
        return Page(page, encode_cursor(str(page[-1].id)) if more else None)

    def get(self, scope: Scope, rule_id: UUID) -> Rule:
        with self.begin(scope) as work:
            return work.rules.get(rule_id)

    @retried
    def create(self, scope: Scope, rule: Rule) -> Rule:
        """Add a rule; `id` is the caller's choice, as new_id() makes them."""
        with self.begin(scope) as work:
            self._add(work, [rule])
            return work.done(work.rules.get(rule.id))

    @retried
    def add_all(
        self, scope: Scope, rules: Iterable[Rule], groups: Iterable[RuleGroup] = ()
    ) -> Sequence[Rule]:
        """Add rules with the groups that they are in, or none of them."""
        made = tuple(rules)
        with self.begin(scope) as work:
            for group in groups:
                work.rules.add_group(group)
            self._add(work, made)
            return work.done(made)

    @retried
    def take(self, scope: Scope, imported: ImportedRules) -> ImportedRules:
        """Keep rules that were read from another program's export. A group whose name is there
        already is that group."""
        with self.begin(scope) as work:
            there = {group.name: group for group in work.rules.groups()}
            ids = {group.id: there.get(group.name, group).id for group in imported.groups}
            for group in imported.groups:
                if group.name not in there:
                    work.rules.add_group(group)
            rules = tuple(
                attrs.evolve(rule, group_id=ids.get(rule.group_id) if rule.group_id else None)
                for rule in imported.rules
            )
            self._add(work, rules)
            groups = tuple(there.get(group.name, group) for group in imported.groups)
            return work.done(attrs.evolve(imported, rules=rules, groups=groups))

    @retried
    def change(self, scope: Scope, rule_id: UUID, **given: object) -> Rule:
        """Change a rule's name, condition, actions, priority, continues, group_id or active."""
        if not set(given) <= {"name", "condition", "actions", "priority", "continues", "group_id",
                              "active"}:  # fmt: skip
            raise BadRule("of a rule one changes what one gave it")
        with self.begin(scope) as work:
            old = work.rules.get(rule_id)
            new = attrs.evolve(old, **given)  # type: ignore[arg-type]  # names were checked above
            if new.group_id is not None:
                work.rules.get_group(new.group_id)
            work.rules.save(new)
            what = "changed"
            if set(given) == {"active"}:
                what = "enabled" if new.active else "disabled"
            work.events.record(RuleChanged(rule_id, what))
            return work.done(work.rules.get(rule_id))

    @retried
    def remove(self, scope: Scope, rule_id: UUID) -> None:
        """What it did stays, and stays explained."""
        with self.begin(scope) as work:
            work.rules.get(rule_id)
            work.rules.remove(rule_id)
            work.events.record(RuleChanged(rule_id, "deleted"))
            work.done(None)

    @retried
    def reorder(self, scope: Scope, rule_ids: Sequence[UUID]) -> Sequence[Rule]:
        """Let these rules be asked in this order: their priorities become 10, 20, 30."""
        if len(set(rule_ids)) != len(rule_ids) or len(rule_ids) > MAX_RULES:
            raise BadRule("an order names each rule once")
        with self.begin(scope) as work:
            for rule_id in sorted(rule_ids):
                place = (rule_ids.index(rule_id) + 1) * 10
                work.rules.save(attrs.evolve(work.rules.get(rule_id), priority=place))
                work.events.record(RuleChanged(rule_id, "reordered"))
            return work.done(work.rules.all())

    # --- groups ---

    def groups(self, scope: Scope) -> Sequence[RuleGroup]:
        with self.begin(scope) as work:
            return work.rules.groups()

    @retried
    def create_group(self, scope: Scope, group: RuleGroup) -> RuleGroup:
        """Raises GroupExists for a name that is taken."""
        with self.begin(scope) as work:
            work.rules.add_group(group)
            work.events.record(RuleChanged(group.id, "grouped"))
            return work.done(group)

    @retried
    def remove_group(self, scope: Scope, group_id: UUID) -> None:
        """Its rules stay, without a group."""
        with self.begin(scope) as work:
            work.rules.get_group(group_id)
            work.rules.remove_group(group_id)
            work.events.record(RuleChanged(group_id, "ungrouped"))
            work.done(None)

    # --- without writing ---

    def preview(
        self,
        scope: Scope,
        wanted: RunFilter | None = None,
        *,
        draft: Rule | None = None,
        rule_ids: Iterable[UUID] | None = None,
        last: int | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> RulePreview:
        """What would change, exactly, latest records first: by a rule that is not kept yet, by
        some of the rules, or by all that are active. `last` looks at so many records only. Raises
        AccountNotFound and RuleNotFound for what to look at."""
        if last is not None and not 1 <= last <= MAX_PREVIEW:
            raise BadRule(f"a preview looks at 1 to {MAX_PREVIEW} records")
        size, after = checked_limit(limit), None
        if cursor is not None:
            day, record_id = decode_cursor(cursor, (date, UUID))
            after = (day, record_id.bytes)
        wanted = wanted or RunFilter()
        with self.begin(scope) as work:
            _check_account(work, wanted)
            book = _book(work, draft, rule_ids)
            examined = matched = changed = locked = 0
            shown: list[UUID] = []
            last_day, end = date.min, None
            for day, record_id, effect in work.rule_runs.effects(book, wanted, last):
                examined += 1
                if not effect.rules:
                    continue
                matched += 1
                changed += effect.changes
                locked += bool(effect.locked)
                if end is not None or not (effect.changes or effect.locked):
                    continue
                if after is not None and (day, record_id) >= after:
                    continue
                if len(shown) == size:
                    end = encode_cursor(last_day.isoformat(), str(shown[-1]))
                    continue
                shown.append(UUID(bytes=record_id))
                last_day = day
            found = work.rule_runs.among(shown, lock=False)
            seen = RulePreview(
                examined=examined,
                matched=matched,
                changed=changed,
                locked=locked,
                items=tuple(
                    _difference(facts, book.apply(facts))
                    for facts in map(found.get, shown)
                    if facts is not None
                ),
                next=end,
            )
            return work.done(seen)

    # --- over what is there ---

    @retried
    def apply(
        self,
        scope: Scope,
        wanted: RunFilter | None = None,
        *,
        rule_ids: Iterable[UUID] | None = None,
    ) -> tuple[RuleRun, UUID]:
        """Ask that rules go over the records that are there, as they are now; returns the run and
        its job. What a person has set stays. Raises AccountNotFound and RuleNotFound."""
        run_id = new_id()
        chosen = None if rule_ids is None else set(rule_ids)
        with self.begin(scope) as work:
            run = wanted or RunFilter()
            _check_account(work, run)
            rules = _chosen(work, chosen)
            work.rule_runs.add(run_id, run, rules, work.rules.groups(), scope.user_id)
            work.events.record(RuleRunRequested(run_id))
            return work.done((work.rule_runs.get(run_id), self._job("rules.run", scope, run_id)))

    @retried
    def ask_undo(self, scope: Scope, run_id: UUID) -> tuple[RuleRun, UUID]:
        """Ask that a run's changes be undone; if it still runs, it stops. Raises RunUndone for one
        that was undone before."""
        with self.begin(scope) as work:
            run = work.rule_runs.get(run_id, lock=True)
            if run.state not in (RunState.WAITING, RunState.DONE):
                raise RunUndone(f"run {run_id} is {run.state}")
            work.rule_runs.state(run_id, RunState.UNDOING)
            work.events.record(RuleUndoRequested(run_id))
            return work.done((work.rule_runs.get(run_id), self._job("rules.undo", scope, run_id)))

    def runs(
        self, scope: Scope, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[RuleRun]:
        """Latest first."""
        with self.begin(scope) as work:
            return work.rule_runs.list(cursor, checked_limit(limit))

    def get_run(self, scope: Scope, run_id: UUID) -> RuleRun:
        with self.begin(scope) as work:
            return work.rule_runs.get(run_id)

    def run_changes(
        self,
        scope: Scope,
        run_id: UUID,
        *,
        kind: ChangeKind | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[tuple[ChangeKind, FieldChange]]:
        """What a run changed and what it left, and what an undo restored and what it left."""
        with self.begin(scope) as work:
            work.rule_runs.get(run_id)
            return work.rule_runs.changes(run_id, kind, cursor, checked_limit(limit))

    def run(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> RuleRun:
        """The job `rules.run`: a thousand records a transaction, and on from there after a
        break."""
        run_id = UUID(str(payload["run"]))
        with self.begin(scope) as work:
            run, book = work.rule_runs.get(run_id), work.rule_runs.book(run_id)
            all_records = work.rule_runs.count(run.wanted)
        while True:
            progress(run.examined, max(all_records, run.examined))
            run, over = self._run_stretch(scope, run_id, book)
            if over:
                return run

    def undo(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> RuleRun:
        """The job `rules.undo`: every field that still says what the run wrote, and that no person
        has set since, says again what it said before."""
        run_id = UUID(str(payload["run"]))
        while True:
            run, over = self._undo_stretch(scope, run_id)
            if over:
                return run
            progress(run.restored + run.kept, run.changed)

    @retried
    def _run_stretch(self, scope: Scope, run_id: UUID, book: RuleBook) -> tuple[RuleRun, bool]:
        with self.begin(scope) as work:
            runs = work.rule_runs
            run = runs.get(run_id, lock=True)
            found: Sequence[RecordFacts] = ()
            if run.state is RunState.WAITING:
                found = runs.stretch(run_id, run.wanted, _STRETCH)
                if not found:
                    runs.state(run_id, RunState.DONE)
            if not found:
                return work.done(runs.get(run_id)), True
            effects = [(facts, book.apply(facts)) for facts in found]
            done = [(facts, effect) for facts, effect in effects if effect.rules]
            written = runs.write(run_id, done, scope.user_id)
            hits = Counter(rule for _, effect in done for rule in effect.rules)
            if hits:
                work.rules.hit(hits)
            locked = sum(change.locked for change in written)
            runs.advance(
                run_id,
                found[-1].id,
                examined=len(found),
                matched=len(done),
                changed=len(written) - locked,
                locked=locked,
            )
            work.events.record(RulesRan(run_id, len(found)))
            return runs.get(run_id), False

    @retried
    def _undo_stretch(self, scope: Scope, run_id: UUID) -> tuple[RuleRun, bool]:
        with self.begin(scope) as work:
            runs = work.rule_runs
            run = runs.get(run_id, lock=True)
            changes = runs.to_undo(run_id, _STRETCH) if run.state is RunState.UNDOING else ()
            if not changes:
                if run.state is RunState.UNDOING:
                    runs.state(run_id, RunState.UNDONE)
                return work.done(runs.get(run_id)), True
            now = runs.among(sorted({change.record_id for change in changes}))
            restored: list[FieldChange] = []
            kept: list[FieldChange] = []
            for record_id, of_record in groupby(changes, key=lambda change: change.record_id):
                facts = now.get(record_id)
                for change in of_record:
                    (restored if _restorable(facts, change) else kept).append(change)
            runs.restore(run_id, restored, scope.user_id)
            runs.settle(run_id, restored, ChangeKind.RESTORED)
            runs.settle(run_id, kept, ChangeKind.KEPT)
            runs.advance(run_id, None, restored=len(restored), kept=len(kept))
            work.events.record(RulesRan(run_id, len(now)))
            return runs.get(run_id), False

    def _add(self, work: RulesWork, rules: Sequence[Rule]) -> None:
        if len(work.rules.all()) + len(rules) > MAX_RULES:
            raise TooManyRules(f"a tenant has at most {MAX_RULES} rules")
        for rule in rules:
            if rule.group_id is not None:
                work.rules.get_group(rule.group_id)
            work.rules.add(rule)
            work.events.record(RuleCreated(rule.id))

    def _job(self, name: str, scope: Scope, run_id: UUID) -> UUID:
        return derived_id(name, str(scope.user_id), str(run_id), scope.request_id)


def _check_account(work: RulesWork, wanted: RunFilter) -> None:
    if wanted.account_id is not None:
        work.accounts.get(wanted.account_id)


def _chosen(work: RulesWork, chosen: set[UUID] | None) -> Sequence[Rule]:
    """The active rules, or the named ones whether they are active or not. Raises RuleNotFound."""
    if chosen is None:
        return [rule for rule in work.rules.all() if rule.active]
    found = [attrs.evolve(work.rules.get(rule_id), active=True) for rule_id in sorted(chosen)]
    return in_order(found, work.rules.groups())


def _book(work: RulesWork, draft: Rule | None, rule_ids: Iterable[UUID] | None) -> RuleBook:
    if draft is not None:
        return RuleBook.of([attrs.evolve(draft, active=True)])
    if rule_ids is None:
        return work.rules.book()
    return RuleBook.of(_chosen(work, set(rule_ids)), work.rules.groups())


def _difference(facts: RecordFacts, effect: Effect) -> RecordDifference:
    return RecordDifference(
        id=facts.id,
        on_date=facts.on_date,
        amount=facts.amount,
        description=facts.description,
        changes=changes_of(facts, effect),
        rules=effect.rules,
    )


def _restorable(facts: RecordFacts | None, change: FieldChange) -> bool:
    """Whether the field still says what the run made of it, and nobody has set it since."""
    if facts is None or change.field in facts.locked:
        return False
    return current(facts, change.field) in (change.after, change.before)
