"""Records of one tenant, and services whose rules, classifier and model a test decides."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from uuid import UUID

import attrs
import pytest

from finora import Account, Amount, Finora, NewRecord, Record, Scope, currency
from finora_adapters.postgres.work import Postgres
from finora_core.categories.pipeline.model import Example, Guess, Line
from finora_core.categories.pipeline.service import Classifiers, PipelineService
from finora_core.categories.rules.actions import Set
from finora_core.categories.rules.conditions import Test
from finora_core.categories.rules.model import Rule
from finora_core.intelligence.model import Line as Told
from finora_core.intelligence.model import Suggestion
from finora_core.jobs.service import JobRunner
from finora_core.kernel.outcome import Ok, Outcome

EUR = currency("EUR")


@pytest.fixture
def giro(finora: Finora, scope: Scope) -> Account:
    return finora.ledger.open_account(scope, "Giro", asset="EUR")


Enter = Callable[..., Record]


@pytest.fixture
def enter(finora: Finora, scope: Scope, giro: Account) -> Enter:
    def enter(text: str = "Rewe 17", amount: str = "-5.00", day: int = 1, **more: str) -> Record:
        new = NewRecord(
            account_id=giro.id,
            on_date=date(2026, 1, day),
            amount=Amount.parse(amount, EUR),
            description=text,
            **more,
        )
        return finora.records.create(scope, new)

    return enter


@attrs.frozen
class Oracle:
    """A classifier and a model that know what they were told."""

    answers: Mapping[str, Guess] = attrs.field(factory=dict)
    asked: list[Sequence[Told]] = attrs.field(factory=list)
    failing: list[Outcome[Mapping[UUID, Suggestion]]] = attrs.field(factory=list)
    taught: list[Sequence[Example]] = attrs.field(factory=list)

    def learn(self, examples: Sequence[Example]) -> "Oracle":
        self.taught.append(examples)
        return self

    def classify(self, lines: Sequence[Line]) -> Mapping[UUID, Guess]:
        return {
            line.id: self.answers[line.facts.description]
            for line in lines
            if line.facts.description in self.answers
        }

    def suggest(
        self, scope: Scope, lines: Sequence[Told], categories: Sequence[str]
    ) -> Outcome[Mapping[UUID, Suggestion]]:
        self.asked.append(lines)
        if self.failing:
            return self.failing.pop()
        return Ok({line.id: self._suggestion(line.description) for line in lines})

    def _suggestion(self, text: str) -> Suggestion:
        guess = self.answers.get(text, Guess(category="", confidence=0, rationale="NONE_FITS"))
        return Suggestion(category=guess.category, confidence=guess.confidence,
                          rationale=guess.rationale, model="stub")  # fmt: skip


def merchant_rules(by_merchant: Mapping[str, tuple[str, UUID]]) -> list[Rule]:
    """Rules that give a category to a merchant."""
    return [
        Rule(
            id=rule_id,
            name=merchant,
            condition=Test("merchant_key", "equals", merchant),
            actions=(Set("category", category),),
        )
        for merchant, (category, rule_id) in by_merchant.items()
    ]


Process = Callable[..., Mapping[str, int]]


@pytest.fixture
def process(finora: Finora, scope: Scope, database: Postgres) -> Process:
    """Run the jobs that are ready, with these rules in place of the tenant's and these steps; how
    they ended."""

    def process(
        rules: Sequence[Rule] | None = None,
        similar: Oracle | None = None,
        model: Oracle | None = None,
    ) -> Mapping[str, int]:
        if rules is not None:
            for rule in finora.rules.list(scope).items:
                finora.rules.remove(scope, rule.id)
            finora.rules.add_all(scope, rules)
        service = PipelineService(
            database.begin, None if similar is None else Classifiers(similar.learn), model
        )
        runner: JobRunner = finora._runner
        handlers = {
            **runner.handlers,
            "records.plan": service.plan,
            "records.process": service.run,
            "records.reprocess": service.run,
        }
        return attrs.evolve(runner, handlers=handlers).run()

    return process
