"""How a record gets its category: rules first, then what people said of records like it, then a
model; and what each step may decide alone. Pure: what the steps know is given."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import attrs

from finora_core.categories.rules.conditions import RecordFacts
from finora_core.categories.rules.model import NO_EFFECT, Effect
from finora_core.intelligence.model import Line as Told
from finora_core.intelligence.model import Suggestion
from finora_core.kernel.amount import Amount
from finora_core.kernel.events import Plain
from finora_core.kernel.outcome import Down, Ok, Outcome, OverBudget, Partial, RateLimited
from finora_core.ledger.model import Flow
from finora_core.records.model import (
    HUMAN,
    SURE,
    Decision,
    DecisionSource,
    DecisionVerdict,
    Part,
    RecordFilter,
    ReviewSettings,
    Ruling,
    Status,
)

BATCH = 500
"""How many records one job takes, and one transaction."""

WAITING = frozenset({Status.RECEIVED, Status.PROCESSING, Status.FAILED})
AGAIN = frozenset(Status) - HUMAN
"""What can be looked at again: all but what a person decided."""

NEIGHBOURS = 5
MOST_EXAMPLES = 50_000
STALE = timedelta(hours=1)


@attrs.frozen(kw_only=True)
class Chosen:
    """Which records to look at, in the order of their ids; None asks nothing."""

    first: UUID | None = None
    last: UUID | None = None
    ids: tuple[UUID, ...] | None = None
    wanted: RecordFilter | None = None
    statuses: frozenset[Status] = WAITING


@attrs.frozen(kw_only=True)
class Line:
    """A record as the pipeline sees it."""

    facts: RecordFacts
    status: Status
    flow: Flow
    category: str
    """Of the label in force."""
    parts: tuple[Part, ...] = ()
    """That it is divided into by the label in force."""
    labelled_by: str
    """Who set it: `statement`, `human`, a step of ours; empty where there is no label."""
    stated: str
    """The category that its file named."""
    suggested: str
    confidence: int | None
    decisions: int

    @property
    def id(self) -> UUID:
        return self.facts.id

    @property
    def key(self) -> "Key":
        return self.facts.merchant_key, self.facts.amount.units > 0


Key = tuple[str, bool]
"""A merchant, and whether the money came in."""


@attrs.frozen(kw_only=True)
class Taught:
    """What a person said of a record."""

    record_id: UUID
    category: str
    corrected: bool
    """They set it themselves; else they approved what was suggested."""


@attrs.frozen(kw_only=True)
class Example:
    """A record about which a person decided, for a classifier to learn from."""

    id: UUID
    account_id: UUID
    amount: Amount
    merchant_key: str
    category: str
    corrected: bool
    """They set it themselves; else they approved what was suggested."""


@attrs.frozen(kw_only=True)
class Mark:
    """How far people have come with deciding."""

    decided: int
    """Records they decided about."""
    latest: datetime | None

    def serves(self, now: "Mark") -> bool:
        """What was learnt here is as good as new: at most one decision in twenty is missing, and
        none of more than an hour ago. What a merchant was corrected to is remembered apart."""
        if self.latest is None or now.latest is None:
            return self.latest == now.latest
        grown = abs(now.decided - self.decided)
        return grown * 20 <= self.decided and now.latest - self.latest <= STALE


@attrs.frozen(kw_only=True)
class Guess:
    """What a classifier takes a record for; '' for nothing."""

    category: str
    confidence: int
    neighbours: tuple[UUID, ...] = ()
    rationale: str = ""


def told_of(line: Line) -> Told:
    """What a model is told of a record."""
    facts = line.facts
    return Told(
        id=line.id,
        description=facts.description,
        counterparty=facts.counterparty,
        amount=str(facts.amount),
        direction="in" if facts.amount.units > 0 else "out",
        date=facts.on_date,
    )


def remembered(taught: Sequence[Taught]) -> Decision | None:
    """What people said of this merchant's records, newest first. The last five count: corrections,
    and approvals since the newest of them; where there is no correction, approvals. If they
    agree, so it is; if not, a person has to say, and the commonest is suggested."""
    newest = next((place for place, each in enumerate(taught) if each.corrected), len(taught))
    pool = [each for place, each in enumerate(taught) if each.corrected or place < newest]
    pool = pool[:NEIGHBOURS]
    if not pool:
        return None
    counts = Counter(each.category for each in pool)
    # Of equally common ones the newest: a counter keeps the order in which it met them.
    [(category, count)] = counts.most_common(1)
    agreed = len(counts) == 1
    return Decision(
        source=DecisionSource.SIMILAR,
        verdict=DecisionVerdict.AUTO if agreed else DecisionVerdict.SUGGESTED,
        category=category,
        confidence=SURE * count // len(pool),
        rationale="SAME_MERCHANT" if agreed else "CONFLICTING_CORRECTIONS",
        neighbours=tuple(each.record_id for each in pool),
    )


def guessed(guess: Guess, settings: ReviewSettings) -> Decision | None:
    """What the tenant lets likeness decide or suggest."""
    if not guess.category or guess.confidence < settings.similar_suggested:
        return None
    return Decision(
        source=DecisionSource.SIMILAR,
        verdict=DecisionVerdict.AUTO
        if guess.confidence >= settings.similar_auto
        else DecisionVerdict.SUGGESTED,
        category=guess.category,
        confidence=guess.confidence,
        rationale=guess.rationale or "ALIKE",
        neighbours=guess.neighbours,
    )


def answered(said: Suggestion, settings: ReviewSettings) -> Decision:
    """What the tenant lets a model decide or suggest."""
    verdict = DecisionVerdict.NONE
    if said.category:
        sure = said.confidence >= settings.model_auto
        verdict = DecisionVerdict.AUTO if sure else DecisionVerdict.SUGGESTED
    return Decision(
        source=DecisionSource.MODEL,
        verdict=verdict,
        category=said.category,
        confidence=said.confidence if said.category else 0,
        rationale=said.rationale,
        model=said.model or None,
    )


def refused(code: str) -> Decision:
    """No model answered, for this reason."""
    return Decision(source=DecisionSource.MODEL, verdict=DecisionVerdict.NONE, rationale=code)


PASSING = frozenset({"NO_ANSWER", "MODEL_UNAVAILABLE"})
"""Reasons for which a model is asked again later."""


def silence_of(outcome: Outcome[Any]) -> str:
    """Why a model left records without an answer, as a code."""
    match outcome:
        case Ok() | Partial():
            return "NO_ANSWER"
        case OverBudget():
            return "MODEL_BUDGET"
        case RateLimited() | Down():
            return "MODEL_UNAVAILABLE"
        case _:
            return "MODEL_REFUSED"


@attrs.frozen(kw_only=True)
class Case:
    """A record on its way through the steps, with what they said so far."""

    line: Line
    effect: Effect = NO_EFFECT
    said: tuple[Decision, ...] = ()
    closed: bool = False
    """No further step is asked."""

    def saying(self, decision: Decision | None) -> "Case":
        if decision is None:
            return self
        closed = (
            decision.verdict is DecisionVerdict.AUTO
            or decision.rationale == "CONFLICTING_CORRECTIONS"
        )
        return attrs.evolve(self, said=(*self.said, decision), closed=closed)

    def ruling(self) -> Ruling:
        """What becomes of the record: the step that was sure decides, else a person does, with the
        best suggestion before them."""
        line, said = self.line, self.said
        if said and said[0].verdict is DecisionVerdict.APPROVED:
            return self._ruled(Status.APPROVED, said[0], line.category, parts=line.parts)
        decided = next((each for each in said if each.verdict is DecisionVerdict.AUTO), None)
        if decided is not None:
            parts = self.effect.split or () if decided.source is DecisionSource.RULE else ()
            if decided.source is DecisionSource.MATCH:
                parts = line.parts
            return self._ruled(Status.PROCESSED, decided, decided.category, parts=parts)
        hints = [each for each in said if each.verdict is DecisionVerdict.SUGGESTED]
        if not hints and not any(each.verdict is DecisionVerdict.NONE for each in said):
            nothing = Decision(
                source=DecisionSource.SIMILAR,
                verdict=DecisionVerdict.NONE,
                rationale="NOTHING_LIKE_IT",
            )
            return attrs.evolve(self, said=(*said, nothing)).ruling()
        best = max(hints, key=lambda each: each.confidence) if hints else said[-1]
        status = Status.PROCESSED if self.effect.skip_review else Status.NEEDS_REVIEW
        if line.labelled_by == "human":
            return self._ruled(status, best, line.category, best.category, line.parts)
        return self._ruled(status, best, "", best.category)

    def _ruled(
        self,
        status: Status,
        by: Decision,
        category: str,
        suggested: str = "",
        parts: tuple[Part, ...] = (),
    ) -> Ruling:
        stays = (category, parts) == (self.line.category, self.line.parts)
        return Ruling(
            record_id=self.line.id,
            status=status,
            decisions=self.said,
            label=None if stays else category,
            parts=() if stays else parts,
            suggested=suggested,
            confidence=by.confidence,
        )

    def changes(self, ruling: Ruling) -> bool:
        """Whether it says anything new of a record that was looked at before."""
        line = self.line
        if ruling.label is not None or set(self.effect.values) - {"category"}:
            return True
        before = (line.status, line.suggested, line.confidence)
        return before != (ruling.status, ruling.suggested, ruling.confidence)


def opened(line: Line, effect: Effect, settings: ReviewSettings) -> Case:
    """The record with what needs no memory: a person's word, a transfer, a rule, its file."""
    case = Case(line=line, effect=effect)
    if "category" in line.facts.locked:
        return _entered(case, settings)
    if line.flow is not Flow.FLOW:
        return case.saying(
            Decision(source=DecisionSource.MATCH, verdict=DecisionVerdict.AUTO, confidence=SURE,
                     category=line.category, rationale=line.flow.value.upper())
        )  # fmt: skip
    if (category := effect.values.get("category")) or effect.split:
        return case.saying(
            Decision(source=DecisionSource.RULE, verdict=DecisionVerdict.AUTO, confidence=SURE,
                     category=str(category or ""), rationale="SPLIT" if effect.split else "RULE",
                     rule_id=effect.by.get("category"))
        )  # fmt: skip
    if effect.unfit is not None:
        case = case.saying(
            Decision(source=DecisionSource.RULE, verdict=DecisionVerdict.NONE,
                     rationale="SPLIT_UNFIT", rule_id=effect.unfit)
        )  # fmt: skip
    if line.stated:
        return case.saying(
            Decision(source=DecisionSource.STATEMENT, verdict=DecisionVerdict.AUTO, confidence=SURE,
                     category=line.stated, rationale="NAMED_BY_FILE")
        )  # fmt: skip
    return case


def _entered(case: Case, settings: ReviewSettings) -> Case:
    """A person entered it with its category; where duties are separate another one approves."""
    shared = settings.separate_duties
    said = Decision(
        source=DecisionSource.HUMAN,
        verdict=DecisionVerdict.SUGGESTED if shared else DecisionVerdict.APPROVED,
        category=case.line.category,
        confidence=SURE,
        rationale="ENTERED",
    )
    return attrs.evolve(case, said=(said,), closed=True)


def counted(rulings: Sequence[Ruling]) -> Counter[str]:
    """How many records ended how, and by which step."""
    counts: Counter[str] = Counter()
    for ruling in rulings:
        decided = next((d for d in ruling.decisions if d.verdict is DecisionVerdict.AUTO), None)
        if decided is not None:
            counts["auto"] += 1
            counts[decided.source.value] += 1
        elif ruling.status in HUMAN:
            counts["human"] += 1
        elif ruling.suggested:
            counts["suggested"] += 1
        else:
            counts["unknown"] += 1
    counts["records"] = len(rulings)
    return counts


# --- events ---


@attrs.frozen
class RecordsWaiting:
    """Up to five hundred records wait to be processed, from the first to the last id."""

    type: ClassVar[str] = "records.waiting"

    first: UUID
    last: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"first": str(self.first), "last": str(self.last)}


@attrs.frozen
class RecordsProcessed:
    """So many records got a category, a suggestion or neither, by which steps; or a person's word,
    one event for all that they decided at once."""

    type: ClassVar[str] = "records.processed"

    counts: Mapping[str, int]

    def payload(self) -> Mapping[str, Plain]:
        return dict(self.counts)


@attrs.frozen
class ReprocessAsked:
    type: ClassVar[str] = "records.reprocess_asked"

    reprocess_id: UUID
    dry_run: bool

    def payload(self) -> Mapping[str, Plain]:
        return {"reprocess": str(self.reprocess_id), "dry_run": self.dry_run}


@attrs.frozen(kw_only=True)
class Change:
    """What another look at a record would change, or did."""

    record_id: UUID
    status: Status
    category: str
    """That it had."""
    new_status: Status
    new_category: str
    suggested: str
    source: DecisionSource
    confidence: int


@attrs.frozen(kw_only=True)
class Reprocessed:
    """What became of a wish to look at records again."""

    dry_run: bool
    examined: int
    changed: int
    counts: Mapping[str, int]
    changes: tuple[Change, ...]
    """The first of them."""


def change_of(case: Case, ruling: Ruling) -> Change:
    last = ruling.decisions[-1]
    line = case.line
    return Change(
        record_id=line.id,
        status=line.status,
        category=line.category,
        new_status=ruling.status,
        new_category=line.category if ruling.label is None else ruling.label,
        suggested=ruling.suggested,
        source=last.source,
        confidence=ruling.confidence,
    )
