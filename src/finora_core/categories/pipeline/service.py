"""Records through rules, likeness and a model, five hundred at a time."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from uuid import UUID

import attrs

from finora_core.categories.pipeline.model import (
    AGAIN,
    BATCH,
    MOST_EXAMPLES,
    PASSING,
    Case,
    Change,
    Chosen,
    Example,
    Line,
    Mark,
    RecordsProcessed,
    RecordsWaiting,
    ReprocessAsked,
    Reprocessed,
    answered,
    change_of,
    counted,
    guessed,
    opened,
    refused,
    remembered,
    silence_of,
    told_of,
)
from finora_core.categories.pipeline.ports import Classifier, Learn, Model, PipelineWork
from finora_core.intelligence.model import Suggestion
from finora_core.jobs.model import Progress
from finora_core.kernel.errors import Unavailable
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import derived_id, new_id
from finora_core.kernel.outcome import Ok, Outcome, Partial
from finora_core.kernel.scope import Claim, Scope
from finora_core.kernel.work import Begin, retried
from finora_core.records.model import BadRecord, RecordFilter, ReviewSettings, Ruling, Status

SHOWN = 100
"""Changes that a wish to look again lists."""
_TENANTS = 32


Lesson = tuple[Mark, Sequence[Example]]


@attrs.define
class Classifiers:
    """Classifiers of the tenants that were seen last, each made anew when people decided more."""

    learn: Learn
    _made: "OrderedDict[UUID, tuple[Mark, Classifier]]" = attrs.field(factory=OrderedDict)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)
    _learning: threading.Lock = attrs.field(factory=threading.Lock)

    def lesson(self, scope: Scope, work: PipelineWork) -> Lesson | None:
        """What there is to learn from; None where what was learnt before still serves."""
        mark = work.memory.mark()
        if self._known(scope, mark) is not None:
            return None
        return mark, work.memory.examples(MOST_EXAMPLES)

    def of(self, scope: Scope, lesson: Lesson | None) -> Classifier | None:
        """Outside of any transaction: learning takes its time."""
        if lesson is None:
            with self._lock:
                known = self._made.get(scope.tenant_id)
            return known and known[1]
        mark, examples = lesson
        # One after the other: two runners of one tenant would learn the same at the same time.
        with self._learning:
            if (known_too := self._known(scope, mark)) is not None:
                return known_too
            made = self.learn(examples)
            with self._lock:
                self._made[scope.tenant_id] = (mark, made)
                self._made.move_to_end(scope.tenant_id)
                while len(self._made) > _TENANTS:
                    self._made.popitem(last=False)
            return made

    def _known(self, scope: Scope, mark: Mark) -> Classifier | None:
        with self._lock:
            known = self._made.get(scope.tenant_id)
        return known[1] if known is not None and known[0].serves(mark) else None


@attrs.frozen(kw_only=True)
class _Task:
    """What one job has to do."""

    chosen: Chosen
    dry_run: bool = False
    reprocess_id: UUID | None = None
    last_try: bool = False
    """Whoever does not answer now will not be asked again."""


@attrs.frozen(kw_only=True)
class _Tally:
    """How far a job is. A transaction that is tried again begins from the one before it."""

    after: UUID | None = None
    examined: int = 0
    counts: Counter[str] = attrs.field(factory=Counter)
    changes: tuple[Change, ...] = ()

    def plus(self, told: Sequence[tuple[Case, Ruling]]) -> "_Tally":
        changes = (*self.changes, *(change_of(*each) for each in told[:SHOWN]))[:SHOWN]
        counts = self.counts + counted([ruling for _, ruling in told])
        return attrs.evolve(self, counts=counts, changes=changes)

    def result(self, task: _Task) -> Reprocessed:
        return Reprocessed(
            dry_run=task.dry_run,
            examined=self.examined,
            changed=self.counts["records"],
            counts=self.counts,
            changes=self.changes if task.reprocess_id is not None else (),
        )


@attrs.frozen(kw_only=True)
class _Step:
    """What one transaction left: records that a model is to be asked about, or the job's result."""

    tally: _Tally
    last: bool
    asked: tuple[Case, ...] = ()
    result: Reprocessed | None = None


@attrs.frozen
class PipelineService:
    begin: Begin[PipelineWork]
    classifiers: Classifiers | None = None
    model: Model | None = None

    @retried
    def plan(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """The job `records.plan`: a job for every five hundred records that wait, of whichever
        file. Whoever comes first takes them; the second finds nothing to do."""
        with self.begin(scope) as work:
            spans = work.lines.waiting()
            for first, last in spans:
                work.events.record(RecordsWaiting(first, last))
            return work.done({"jobs": len(spans)})

    @retried
    def reprocess(
        self,
        scope: Scope,
        wanted: RecordFilter | None = None,
        *,
        ids: Sequence[UUID] | None = None,
        dry_run: bool = False,
    ) -> tuple[UUID, UUID]:
        """Look again at the records that the filter asks for, or at these, and at all without
        either; never at those that a person decided about. Returns the wish's id and its job's.
        With `dry_run` the job says what would change, no model asked. Raises AccountNotFound and
        RecordNotFound for what to look at."""
        if ids is not None and not 1 <= len(ids) <= BATCH:
            raise BadRecord(f"1 to {BATCH} records by id, not {len(ids)}")
        reprocess_id = new_id()
        with self.begin(scope) as work:
            if wanted is not None and wanted.account_id is not None:
                work.accounts.get(wanted.account_id)
            for record_id in ids or ():
                work.records.get(record_id)
            work.reprocesses.add(reprocess_id, wanted, ids, dry_run, scope.user_id)
            work.events.record(ReprocessAsked(reprocess_id, dry_run))
            job_id = derived_id("records.reprocess", str(scope.user_id), str(reprocess_id),
                                scope.request_id)  # fmt: skip
            return work.done((reprocess_id, job_id))

    def run(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """The jobs `records.process` and `records.reprocess`: each transaction takes five hundred
        records and decides all that needs no model. A model is asked between transactions; what it
        is asked about stays `processing`, and is asked again if it does not answer."""
        task, tally, lesson = self._begin(scope, payload)
        classifier = None if self.classifiers is None else self.classifiers.of(scope, lesson)
        while True:
            step = self._step(scope, task, tally, classifier)
            if step.asked:
                step = self._ask(scope, task, step)
            if step.last:
                return step.result
            tally = step.tally
            progress(tally.examined)

    @retried
    def _begin(
        self, scope: Scope, payload: Mapping[str, Plain]
    ) -> tuple[_Task, _Tally, Lesson | None]:
        with self.begin(scope) as work:
            task, tally = _read(work, payload)
            lesson = None if self.classifiers is None else self.classifiers.lesson(scope, work)
            # Said beforehand: if this attempt dies, nobody is left to say it. It is the worst that
            # can become of them, and holds until this very attempt says better.
            if isinstance(scope.cause, Claim) and not task.dry_run:
                job = work.jobs.get(scope.cause.job_id)
                if job.attempts >= job.max_attempts:
                    task = attrs.evolve(task, last_try=True)
                    waiting = frozenset({Status.RECEIVED, Status.PROCESSING})
                    work.lines.fail(attrs.evolve(task.chosen, statuses=waiting))
        return task, tally, lesson

    @retried
    def _step(
        self, scope: Scope, task: _Task, tally: _Tally, classifier: Classifier | None
    ) -> _Step:
        with self.begin(scope) as work:
            lines = work.lines.take(task.chosen, tally.after, lock=not task.dry_run)
            settings = work.decisions.settings()
            cases = _judged(work, lines, settings, classifier)
            asks = self.model is not None and settings.ask_model and not task.dry_run
            asked = tuple(case for case in cases if asks and not case.closed)
            told = _write(work, task, [case for case in cases if case.closed or not asks])
            work.lines.hold([case.line.id for case in asked])
            tally = attrs.evolve(
                tally,
                after=lines[-1].id if lines else tally.after,
                examined=tally.examined + len(lines),
            ).plus(told)
            last = len(lines) < BATCH or lines[-1].id == task.chosen.last
            if asked:
                return _Step(tally=tally, last=last, asked=asked)
            return _close(work, task, tally, last)

    def _ask(self, scope: Scope, task: _Task, step: _Step) -> _Step:
        assert self.model is not None
        with self.begin(scope) as work:
            known = work.memory.categories()
        outcome: Outcome[Mapping[UUID, Suggestion]] = Ok({})
        if known:
            outcome = self.model.suggest(scope, [told_of(case.line) for case in step.asked], known)
        answers = outcome.value if isinstance(outcome, Ok | Partial) else {}
        silence: str | None = silence_of(outcome) if known else "NO_CATEGORIES"
        if silence in PASSING and not task.last_try:
            silence = None
        step = self._settle(scope, task, step, answers, frozenset(known), silence)
        if silence is None and (left := _left(step, answers)):
            # They stay as they are, and are asked about again when the job is.
            raise Unavailable(f"a model left {left} records unanswered")
        return step

    @retried
    def _settle(
        self,
        scope: Scope,
        task: _Task,
        step: _Step,
        answers: Mapping[UUID, Suggestion],
        known: frozenset[str],
        silence: str | None,
    ) -> _Step:
        """Those that were answered; the others too, where `silence` says why they are not."""
        with self.begin(scope) as work:
            held = Chosen(
                ids=tuple(case.line.id for case in step.asked),
                statuses=frozenset({Status.PROCESSING}),
            )
            # What a person decided meanwhile, or another runner settled, is not theirs any more.
            still = {line.id: line.decisions for line in work.lines.take(held, None, lock=True)}
            settings = work.decisions.settings()
            cases = []
            for case in step.asked:
                if still.get(case.line.id) != case.line.decisions:
                    continue
                said = answers.get(case.line.id)
                # By id, and of the tenant's own categories: whatever else was answered is nothing.
                if said is None:
                    if silence is not None:
                        cases.append(case.saying(refused(silence)))
                elif said.category and said.category not in known:
                    cases.append(case.saying(refused("NO_SUCH_CATEGORY")))
                else:
                    cases.append(case.saying(answered(said, settings)))
            told = _write(work, task, cases, always=True)
            step = attrs.evolve(step, tally=step.tally.plus(told))
            if silence is None and _left(step, answers):
                return step
            return _close(work, task, step.tally, step.last)


def _left(step: _Step, answers: Mapping[UUID, Suggestion]) -> int:
    return sum(case.line.id not in answers for case in step.asked)


def _judged(
    work: PipelineWork,
    lines: Sequence[Line],
    settings: ReviewSettings,
    classifier: Classifier | None,
) -> list[Case]:
    """The records after all steps but the model."""
    if not lines:
        return []
    book = work.rules.book()
    cases = [opened(line, book.apply(line.facts), settings) for line in lines]
    keys = {case.line.key for case in cases if not case.closed and case.line.key[0]}
    taught = work.memory.of(keys) if keys else {}
    cases = [
        case if case.closed else case.saying(remembered(taught.get(case.line.key, ())))
        for case in cases
    ]
    rest = [case.line for case in cases if not case.closed]
    if not rest or classifier is None:
        return cases
    guesses = classifier.classify(rest)
    return [
        case.saying(guessed(guesses[case.line.id], settings))
        if not case.closed and case.line.id in guesses
        else case
        for case in cases
    ]


def _read(work: PipelineWork, payload: Mapping[str, Plain]) -> tuple[_Task, _Tally]:
    if "reprocess" in payload:
        reprocess_id = UUID(str(payload["reprocess"]))
        chosen, dry_run, after, counts = work.reprocesses.get(reprocess_id)
        kept = Counter(counts)
        examined = kept.pop("examined", 0)
        task = _Task(
            chosen=attrs.evolve(chosen, statuses=AGAIN), dry_run=dry_run, reprocess_id=reprocess_id
        )
        return task, _Tally(after=after, examined=examined, counts=kept)
    if "record" in payload:
        ids = (UUID(str(payload["record"])),)
        return _Task(chosen=Chosen(ids=ids, statuses=AGAIN)), _Tally()
    first, last = UUID(str(payload["first"])), UUID(str(payload["last"]))
    return _Task(chosen=Chosen(first=first, last=last)), _Tally()


def _write(
    work: PipelineWork, task: _Task, cases: Sequence[Case], *, always: bool = False
) -> list[tuple[Case, Ruling]]:
    """Those of which something new is said, with what is; `always` for those that were held."""
    told = [
        (case, ruling)
        for case, ruling in ((case, case.ruling()) for case in cases)
        if always or case.changes(ruling)
    ]
    if told and not task.dry_run:
        rulings = [ruling for _, ruling in told]
        work.decisions.write(rulings)
        effects = {case.line.id: case.effect for case, _ in told if case.effect.rules}
        if effects:
            work.lines.rewrite(effects)
            work.rules.hit(Counter(rule for effect in effects.values() for rule in effect.rules))
        work.events.record(RecordsProcessed(counted(rulings)))
    return told


def _close(work: PipelineWork, task: _Task, tally: _Tally, last: bool) -> _Step:
    if task.reprocess_id is not None and tally.after is not None and not task.dry_run:
        kept = {"examined": tally.examined, **tally.counts}
        work.reprocesses.advance(task.reprocess_id, tally.after, kept)
    result = work.done(tally.result(task)) if last else None
    return _Step(tally=tally, last=last, result=result)
