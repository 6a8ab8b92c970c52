"""The one way to a language model, what is asked on it, and texts as vectors."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import attrs

from finora_core.intelligence.model import (
    MOST_LINES,
    Line,
    Suggestion,
    nothing_to_choose,
)
from finora_core.intelligence.ports import (
    Answer,
    Embeddings,
    IntelligenceWork,
    LanguageModel,
    Neighbour,
    Question,
    Use,
    Used,
)
from finora_core.intelligence.questions import CategoryQuestion
from finora_core.intelligence.redaction import Redactor
from finora_core.kernel.breaker import Breaker
from finora_core.kernel.errors import Unavailable
from finora_core.kernel.ids import new_id
from finora_core.kernel.outcome import (
    Ambiguous,
    AuthExpired,
    Down,
    Missing,
    Ok,
    Outcome,
    OverBudget,
    Partial,
    RateLimited,
    Unsupported,
)
from finora_core.kernel.scope import Claim, Scope
from finora_core.kernel.work import Begin, retried

log = logging.getLogger(__name__)


class ModelResting(Unavailable):
    """The language model failed several times, or asked for a pause."""

    code = "MODEL_RESTING"


_BYTES_A_TOKEN = 3
"""Texts of banks have a little more."""


@attrs.frozen
class Models:
    """Every question to a language model passes `call_model`."""

    begin: Begin[IntelligenceWork]
    model: LanguageModel
    breaker: Breaker
    daily_tokens: int
    """What one tenant may use on one day."""

    def call_model(
        self,
        scope: Scope,
        question: Question,
        *,
        subjects: Sequence[UUID] = (),
        names: Iterable[str] = (),
    ) -> Outcome[Answer]:
        """Ask without what belongs to people, within the tenant's budget, outside of any
        transaction. `subjects` are ids of what the question is about, all of the scope's tenant;
        `names` are hidden beside those of the tenant's members. `value` of the answer is whatever
        the model said: the caller checks it.
        """
        refused = self.breaker.refused()
        if refused is not None:
            return refused
        scope = _apart(scope)
        redactor = Redactor.knowing((*self._members(scope), *names))
        data = {key: redactor.value(value) for key, value in question.data.items()}
        question = attrs.evolve(question, data=data)
        use = Use(
            id=new_id(),
            purpose=question.name,
            subjects=tuple(subjects),
            reserved=_estimate(question) + question.most_tokens,
        )
        wait = self._reserve(scope, use)
        if wait is not None:
            return _noted(scope, use, OverBudget(wait))
        try:
            outcome = self.model.ask(question)
        # A stranger's code; and what it says may hold what was asked.
        except Exception as error:
            outcome = Down(f"the model's adapter raised {type(error).__name__}")
        self.breaker.note(outcome)
        self._settle(scope, use, _used(use, outcome))
        return _noted(scope, use, outcome)

    def require(self) -> None:
        """Raise ModelResting while the model is not asked. It is asked nothing for this: a question
        costs money."""
        seconds = self.breaker.open_s
        if seconds:
            raise ModelResting(f"it is asked again in {seconds} s", facts={"retry_after": seconds})

    def tokens_today(self, scope: Scope) -> int:
        """What the tenant used today, with what is under way."""
        with self.begin(scope) as work:
            return work.model_use.tokens_today()

    @retried
    def _members(self, scope: Scope) -> list[str]:
        with self.begin(scope) as work:
            return [member.name for member in work.members.list()]

    @retried
    def _reserve(self, scope: Scope, use: Use) -> int | None:
        """None, or for how many seconds there is no budget."""
        with self.begin(scope) as work:
            if work.model_use.reserve(use, self.daily_tokens):
                return None
            now = work.now.astimezone(UTC)
            midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
            return -(-(midnight - now) // timedelta(seconds=1))

    @retried
    def _settle(self, scope: Scope, use: Use, used: Used) -> None:
        with self.begin(scope) as work:
            work.model_use.settle(use.id, used)


@attrs.frozen
class Categoriser:
    """Asks a model for the categories of lines."""

    models: Models

    def suggest(
        self,
        scope: Scope,
        lines: Sequence[Line],
        categories: Sequence[str],
        names: Iterable[str] = (),
    ) -> Outcome[Mapping[UUID, Suggestion]]:
        """A category of the list, or none, for each line. A line that is missing in the answer was
        not answered, and can be asked about again: then it is Partial, whose gap says why. What
        stops the first question is told as it is. Call it outside of any transaction.
        """
        once = {line.id: line for line in lines}
        if not categories:
            return Ok(nothing_to_choose(once.values()))
        found: dict[UUID, Suggestion] = {}
        names = tuple(names)
        for batch in _batches(tuple(once.values())):
            about = CategoryQuestion.about(new_id(), batch, tuple(dict.fromkeys(categories)))
            ids = [line.id for line in batch]
            asked = self.models.call_model(scope, about.question, subjects=ids, names=names)
            if not isinstance(asked, Ok | Partial):
                stopped = _failure(asked)
                # The rest is asked about again, and then this is told.
                return Partial(found, type(stopped).__name__) if found else stopped
            said, model = about.read(asked.value.value), str(asked.value.model)[:100]
            found |= {each: attrs.evolve(one, model=model) for each, one in said.items()}
        left = len(once) - len(found)
        return Partial(found, f"{left} not answered") if left else Ok(found)


@attrs.frozen
class Likeness:
    """A tenant's texts as vectors, each made once, and which of them are most alike."""

    begin: Begin[IntelligenceWork]
    embeddings: Embeddings

    def remember(self, scope: Scope, texts: Sequence[str]) -> Outcome[int]:
        """Keep a vector of each; tells how many were new."""
        scope, space = _apart(scope), self.embeddings.model
        with self.begin(scope) as work:
            missing = work.vectors.missing(space, texts)
        if not missing:
            return Ok(0)
        made = self.embeddings.embed(missing)
        if not isinstance(made, Ok):
            return _failure(made)
        with self.begin(scope) as work:
            work.vectors.add(space, tuple(zip(missing, made.value, strict=True)))
        return Ok(len(missing))

    def nearest(self, scope: Scope, text: str, limit: int = 5) -> Outcome[Sequence[Neighbour]]:
        """The remembered texts that are most like it, nearest first."""
        made = self.embeddings.embed([text])
        if not isinstance(made, Ok):
            return _failure(made)
        with self.begin(_apart(scope)) as work:
            return Ok(work.vectors.nearest(self.embeddings.model, made.value[0], limit))


_Failure = RateLimited | OverBudget | AuthExpired | Unsupported | Missing | Down


def _failure(outcome: Outcome[Any]) -> _Failure:
    """What is no answer, whatever the answer would have been."""
    if isinstance(outcome, Ok | Partial | Ambiguous):
        return Down("it answered in a way that was not asked for")
    return outcome


def _apart(scope: Scope) -> Scope:
    """The same asker in transactions of their own: they finish no command. A job's claim holds for
    them too."""
    return scope if isinstance(scope.cause, Claim) else attrs.evolve(scope, cause=None)


def _batches(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    for first in range(0, len(lines), MOST_LINES):
        yield lines[first : first + MOST_LINES]


def _estimate(question: Question) -> int:
    """Tokens of the question: rather too many than too few."""
    sent = json.dumps([question.data, question.schema], ensure_ascii=False)
    return -(-len((question.instructions + sent).encode()) // _BYTES_A_TOKEN)


def _used(use: Use, outcome: Outcome[Answer]) -> Used:
    """What may have been billed counts, where nobody says what was."""
    match outcome:
        case Ok(value=answer) | Partial(value=answer):
            read, written = _count(answer.tokens_in), _count(answer.tokens_out)
            cost = _count(answer.cost_micros) or 0
            if read is None or written is None:
                read, written = use.reserved, 0
            return Used(
                answered=True,
                model=str(answer.model)[:100],
                tokens_in=read,
                tokens_out=written,
                cost_micros=cost,
            )
        case Down():
            return Used(answered=False, tokens_in=use.reserved)
        case _:
            return Used(answered=False)


def _count(said: object) -> int | None:
    """A number that somebody else says, if it can be one."""
    return said if type(said) is int and 0 <= said < 10**12 else None


def _noted(scope: Scope, use: Use, outcome: Outcome[Answer]) -> Outcome[Answer]:
    # By reference only: ids, counts and kinds, of which none tells what was asked or answered.
    log.info(
        "a model was asked",
        extra={
            "call": str(use.id),
            "tenant": str(scope.tenant_id),
            "request_id": scope.request_id,
            "purpose": use.purpose,
            "subjects": len(use.subjects),
            "outcome": type(outcome).__name__,
        },
    )
    return outcome
