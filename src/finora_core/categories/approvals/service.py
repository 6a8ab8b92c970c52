"""What reviewers do: look at the queue, approve, override, set the rules of reviewing."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, timedelta
from uuid import UUID

import attrs

from finora_core.categories.approvals.model import (
    MOST,
    BulkAction,
    ItemOutcome,
    Overridden,
    Proposal,
    RecordApproved,
    RecordOverridden,
    ReviewSettingsChanged,
    SourceAccuracy,
    TooManyAtOnce,
    proposal_of,
)
from finora_core.categories.approvals.ports import ReviewWork
from finora_core.categories.pipeline.model import RecordsProcessed, counted
from finora_core.categories.rules.model import (
    MAX_PRIORITY,
    MAX_RULES,
    RuleChanged,
    RuleCreated,
    TooManyRules,
)
from finora_core.kernel.errors import Refusal
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.ledger.model import PeriodClosed
from finora_core.records.model import (
    BadRecord,
    ChangedSince,
    Decision,
    DecisionSource,
    DecisionVerdict,
    DutiesSeparate,
    Record,
    RecordEdited,
    RecordNotFound,
    ReviewSettings,
    Ruling,
)

MAX_DAYS = 3_660


@attrs.frozen
class ReviewService:
    begin: Begin[ReviewWork]

    def queue(
        self, scope: Scope, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[Record]:
        """Records that wait for a person, the least certain first, then the oldest."""
        with self.begin(scope) as work:
            return work.reviews.queue(cursor, checked_limit(limit))

    def reasons(self, scope: Scope, ids: Collection[UUID]) -> Mapping[UUID, Decision]:
        """The last thing that was said of each of these records, as far as anything was."""
        with self.begin(scope) as work:
            return work.decisions.last(ids)

    @retried
    def approve(self, scope: Scope, record_id: UUID, *, seen: int | None = None) -> Record:
        """The category that the record has, or that is suggested, is right. With `seen`, only if
        that is still the number of its last decision. Of two reviewers the second gets a Conflict.
        Raises RecordNotFound, BadStatus, AlreadyReviewed, NothingSuggested, DutiesSeparate."""
        with self.begin(scope) as work:
            record = self._open(work, scope, record_id)
            _write(work, [record.approved(scope.user_id, seen)])
            work.events.record(RecordApproved(record_id))
            return work.done(work.records.get(record_id))

    @retried
    def override(
        self,
        scope: Scope,
        record_id: UUID,
        category: str,
        *,
        note: str | None = None,
        seen: int | None = None,
        make_rule: bool = False,
    ) -> Overridden:
        """The record has this category. What a person decided can be overridden by who says which
        decision they saw; else the second of two reviewers gets a Conflict. Proposes a rule for
        the merchant; makes it with `make_rule`, before all others. Raises as `approve` does, and
        TooManyRules."""
        with self.begin(scope) as work:
            record = self._open(work, scope, record_id)
            ruling = record.overridden(category, scope.user_id, note, seen)
            _write(work, [ruling])
            work.events.record(RecordOverridden(record_id))
            proposal, rule_id = proposal_of(record, ruling.label or ""), None
            if make_rule:
                if proposal is None:
                    raise BadRecord("a record without a merchant or a category makes no rule")
                rule_id = _made(work, proposal, record_id)
            changed = work.records.get(record_id)
            return work.done(Overridden(record=changed, proposal=proposal, rule_id=rule_id))

    @retried
    def take_back(self, scope: Scope, record_id: UUID, *, before: int | None = None) -> Record:
        """Undo one's last decision about the record, or all of one's own after the decision of
        number `before`: everything is as it was. A rule that was made with it stays. Raises
        RecordNotFound, PeriodClosed, and ChangedSince where anybody said anything since."""
        with self.begin(scope) as work:
            record = self._open(work, scope, record_id)
            after = record.decisions - 1 if before is None else before
            undone = [each for each in work.decisions.of(record_id) if each.number > after]
            own = all(each.decided_by == scope.user_id and each.verdict in _SAID for each in undone)
            if not undone or not own:
                raise ChangedSince("that is not the last thing that you said of it")
            if work.decisions.closed((record_id,)):
                raise PeriodClosed("its period is closed: its category stays as it is")
            if not work.decisions.take_back(record_id, after):
                raise ChangedSince("nobody knows any more what was before")
            work.events.record(RecordEdited(record_id, "taken_back"))
            work.events.record(RecordsProcessed({"records": 1, "taken_back": 1}))
            return work.done(work.records.get(record_id))

    @retried
    def bulk(
        self,
        scope: Scope,
        action: BulkAction,
        ids: Sequence[UUID],
        *,
        category: str | None = None,
        note: str | None = None,
    ) -> Sequence[ItemOutcome]:
        """Approve or override up to 500 records; what cannot be done to one keeps none of the
        others back. The outcomes are in the order of `ids`."""
        if not 1 <= len(ids) <= MOST or len(set(ids)) != len(ids):
            raise TooManyAtOnce(f"1 to {MOST} records, each once; not {len(ids)}")
        if (action is BulkAction.OVERRIDE) != (category is not None):
            raise BadRecord("a category is what overriding needs, and nothing else")
        act = _acts(action, category or "", note, scope.user_id)
        with self.begin(scope) as work:
            found = work.records.some(ids)
            barred = work.decisions.barred(scope.user_id, ids)
            closed = work.decisions.closed(ids)
            rulings: list[Ruling] = []
            refusals: dict[UUID, Refusal] = {}
            for record_id in ids:
                try:
                    if record_id not in found:
                        raise RecordNotFound(f"no record {record_id}")
                    if record_id in barred:
                        raise DutiesSeparate(_BARRED)
                    if record_id in closed:
                        raise PeriodClosed("its period is closed: its category stays as it is")
                    rulings.append(act(found[record_id]))
                except Refusal as refusal:
                    refusals[record_id] = refusal
            _write(work, rulings)
            said = RecordApproved if action is BulkAction.APPROVE else RecordOverridden
            for ruling in rulings:
                work.events.record(said(ruling.record_id))
            now = work.records.some([ruling.record_id for ruling in rulings])
            return work.done([_outcome(each, refusals.get(each), now.get(each)) for each in ids])

    def settings(self, scope: Scope) -> ReviewSettings:
        with self.begin(scope) as work:
            return work.decisions.settings()

    @retried
    def change_settings(self, scope: Scope, **given: int | bool) -> ReviewSettings:
        """What is not given stays; records that were looked at stay as they are. Raises
        BadRecord."""
        with self.begin(scope) as work:
            changed: ReviewSettings = attrs.evolve(work.decisions.settings(), **given)  # type: ignore[arg-type]  # by name
            work.decisions.set(changed)
            work.events.record(ReviewSettingsChanged(attrs.asdict(changed)))
            return work.done(changed)

    def accuracy(self, scope: Scope, since: date, until: date) -> Sequence[SourceAccuracy]:
        """How often each step decided alone, and how often people said otherwise, by week."""
        if not timedelta(0) <= until - since <= timedelta(MAX_DAYS):
            raise BadRecord(f"from {since} to {until} is not 1 to {MAX_DAYS} days")
        with self.begin(scope) as work:
            return work.reviews.accuracy(since, until)

    def _open(self, work: ReviewWork, scope: Scope, record_id: UUID) -> Record:
        record = work.records.get(record_id, lock=True)
        if record_id in work.decisions.barred(scope.user_id, (record_id,)):
            raise DutiesSeparate(_BARRED)
        return record


def _write(work: ReviewWork, rulings: Sequence[Ruling]) -> None:
    if rulings:
        work.decisions.write(rulings)
        work.events.record(RecordsProcessed(counted(rulings)))


def _made(work: ReviewWork, proposal: Proposal, record_id: UUID) -> UUID:
    """The rule that the merchant has, saying this now; or a new one, first of all."""
    rules = work.rules.all()
    # Where a rule had the category wrong, it must not be asked after this one. Others go on.
    sure = [each for each in work.decisions.of(record_id) if each.verdict is DecisionVerdict.AUTO]
    wrong = bool(sure) and sure[-1].source is DecisionSource.RULE
    rule = proposal.rule(new_id(), continues=not wrong)
    same = next((each for each in rules if each.condition == rule.condition), None)
    if same is not None:
        work.rules.save(proposal.into(same))
        work.events.record(RuleChanged(same.id, "changed"))
        return same.id
    if len(rules) >= MAX_RULES:
        raise TooManyRules(f"a tenant has at most {MAX_RULES} rules")
    if rules and rules[0].group_id is None and rules[0].priority == 0:
        for each in rules:
            if each.group_id is None:
                later = min(each.priority + 1, MAX_PRIORITY)
                work.rules.save(attrs.evolve(each, priority=later))
    work.rules.add(rule)
    work.events.record(RuleCreated(rule.id))
    return rule.id


_SAID = (DecisionVerdict.APPROVED, DecisionVerdict.OVERRIDDEN)
_BARRED = "you brought it in: in this tenant another member approves"


def _acts(
    action: BulkAction, category: str, note: str | None, by: UUID
) -> Callable[[Record], Ruling]:
    if action is BulkAction.APPROVE:
        return lambda record: record.approved(by)
    return lambda record: record.overridden(category, by, note)


def _outcome(record_id: UUID, refusal: Refusal | None, record: Record | None) -> ItemOutcome:
    if refusal is not None:
        return ItemOutcome(id=record_id, ok=False, code=refusal.code, message=refusal.message)
    return ItemOutcome(id=record_id, ok=True, record=record)
