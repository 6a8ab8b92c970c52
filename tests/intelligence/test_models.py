"""The door to language models, over the database: what passes, what it costs, whose it is."""

import json
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
from sqlalchemy import Engine, text

from finora import Finora, Scope
from finora_adapters.models.local import LocalModel
from finora_adapters.postgres.work import Postgres
from finora_core.intelligence.model import Line, Suggestion
from finora_core.intelligence.service import Categoriser, Models
from finora_core.kernel.breaker import Breaker
from finora_core.kernel.clock import SystemClock
from finora_core.kernel.outcome import (
    AuthExpired,
    Down,
    Ok,
    Outcome,
    OverBudget,
    Partial,
    RateLimited,
)
from finora_core.plugins import Answer, LanguageModel, Question
from together import together

CATEGORIES = ["Household:Rent", "Food", "Travel:Train"]


def a_line(description: str = "FOOD MARKET", **more: Any) -> Line:
    given = {"amount": "-12.34 EUR", "direction": "out", "date": date(2026, 1, 5)} | more
    return Line(id=uuid4(), description=description, **given)


@attrs.define
class Scripted:
    """Answers as it is told, and keeps what it was asked."""

    outcome: Callable[[Question], Outcome[Answer]]
    asked: list[Question] = attrs.field(factory=list)

    def ask(self, question: Question) -> Outcome[Answer]:
        self.asked.append(question)
        return self.outcome(question)


def chooses(category: int = 0, **usage: int) -> Callable[[Question], Outcome[Answer]]:
    """The category of that number for every line."""

    def answer(question: Question) -> Outcome[Answer]:
        data: Any = question.data
        code = data["categories"][category]["code"]
        said = [
            {"id": line["id"], "category": code, "confidence": 90, "why": "description"}
            for line in data["lines"]
        ]
        return Ok(Answer(value={"answers": said}, model="m-1", **usage))

    return answer


@attrs.define
class HandClock(SystemClock):
    at: datetime = datetime(2026, 11, 21, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


def models(
    database: Postgres, model: LanguageModel, tokens: int = 10**9, clock: HandClock | None = None
) -> Models:
    return Models(database.begin, model, Breaker(clock or HandClock()), tokens)


def rows(admin: Engine, scope: Scope) -> Sequence[Any]:
    query = text("select * from finora.model_use where tenant_id = :t order by recorded_at, id")
    with admin.connect() as connection:
        return connection.execute(query, {"t": scope.tenant_id}).all()


def test_lines_get_categories_of_the_list(database: Postgres, scope: Scope) -> None:
    lines = [a_line() for _ in range(120)]
    model = Scripted(chooses(1))
    said = Categoriser(models(database, model)).suggest(scope, lines, CATEGORIES)
    wanted = Suggestion(
        category="Food", confidence=9_000, rationale="MODEL_DESCRIPTION", model="m-1"
    )
    assert said == Ok({line.id: wanted for line in lines})
    assert [len(question.data["lines"]) for question in model.asked] == [50, 50, 20]  # type: ignore[arg-type]  # JSON


@pytest.mark.spec("S2-45", partial=True)
def test_without_any_setting_a_local_model_answers_the_same_always(
    finora: Finora, scope: Scope
) -> None:
    lines = [a_line("Food Market Wien"), a_line("XYZ"), a_line("", counterparty="Train Travel AG")]
    first = finora.categoriser.suggest(scope, lines, CATEGORIES)
    assert isinstance(first, Ok)
    assert [first.value[line.id].category for line in lines] == ["Food", "", "Travel:Train"]
    assert [first.value[line.id].confidence for line in lines] == [3_000, 0, 4_500]
    assert finora.categoriser.suggest(scope, lines[::-1], CATEGORIES) == first
    assert finora.models.tokens_today(scope) == 0


def test_without_categories_nothing_is_asked(database: Postgres, scope: Scope) -> None:
    model = Scripted(chooses())
    line = a_line()
    said = Categoriser(models(database, model)).suggest(scope, [line], [])
    nothing = Suggestion(category="", confidence=0, rationale="NO_CATEGORIES")
    assert (said, model.asked) == (Ok({line.id: nothing}), [])


# --- what leaves ---------------------------------------------------------------------------------


@pytest.mark.spec("S3-25")
def test_what_is_sent_holds_nothing_of_people(
    database: Postgres, scope: Scope, caplog: pytest.LogCaptureFixture, admin: Engine
) -> None:
    with admin.begin() as connection:
        named = text("update finora.person set name = 'Zenobia Quist' where user_id = :id")
        connection.execute(named, {"id": scope.user_id})
    line = a_line(
        "Gift zenobia QUIST DE89370400440532013000 4111-1111-1111-1111 a@b.example",
        counterparty="Bruno Kessler +43 664 1234567",
    )
    model = Scripted(chooses())
    categories = ["Gifts:Zenobia", "Food"]
    with caplog.at_level(logging.DEBUG):
        Categoriser(models(database, model)).suggest(scope, [line], categories, ["Bruno Kessler"])
    [question] = model.asked
    sent = json.dumps(question.data)
    for secret in ("obia", "uist", "8937", "4111", "@", "Bruno", "essler", "664"):
        assert secret.casefold() not in sent.casefold(), secret
    assert "Gift [name] [name] [iban] [card] [email]" in sent and "Gifts:[name]" in sent
    # The log has ids and counts; so has the row.
    [record] = [each for each in caplog.records if each.name.startswith("finora_core.intel")]
    told = json.dumps({key: str(value) for key, value in vars(record).items()})
    [row] = rows(admin, scope)
    for secret in ("Gift", "Zenobia", "Food", "4111", "-12.34"):
        assert secret not in told and secret not in str(row)
    assert str(row.id) in told and row.subjects == [str(line.id)]


@pytest.mark.spec("S3-26", partial=True)
def test_no_question_has_tools(database: Postgres, scope: Scope) -> None:
    model = Scripted(chooses())
    Categoriser(models(database, model)).suggest(scope, [a_line()], CATEGORIES)
    assert {field.name for field in attrs.fields(type(model.asked[0]))} == {
        "name", "instructions", "data", "schema", "most_tokens"}  # fmt: skip


def test_nothing_is_asked_inside_a_transaction(database: Postgres, scope: Scope) -> None:
    seen = []

    def answer(question: Question) -> Outcome[Answer]:
        seen.append(database.engine.pool.checkedout())  # type: ignore[attr-defined]  # of its pool
        return chooses()(question)

    before = database.engine.pool.checkedout()  # type: ignore[attr-defined]  # of its pool
    Categoriser(models(database, Scripted(answer))).suggest(scope, [a_line()], CATEGORIES)
    assert seen == [before]


# --- whose it is ---------------------------------------------------------------------------------


@pytest.mark.invariant("I-39")
@pytest.mark.invariant("T-17")
def test_twins_with_equal_texts_are_never_mixed(
    database: Postgres, scope: Scope, stranger: Scope, admin: Engine, finora: Finora
) -> None:
    """Both have the same texts and other categories; a question holds those of one alone."""
    mine = [a_line(f"SHOP {n} {'A' * n}") for n in range(60)]
    theirs = [attrs.evolve(line, id=uuid4()) for line in mine]
    model = Scripted(chooses())
    categoriser = Categoriser(models(database, model))
    asked = together(
        *[lambda: categoriser.suggest(scope, mine, ["Mine:One"])] * 4,
        *[lambda: categoriser.suggest(stranger, theirs, ["Theirs:Two"])] * 4,
    )
    for said, lines, category in zip(
        asked, [mine] * 4 + [theirs] * 4, ["Mine:One"] * 4 + ["Theirs:Two"] * 4, strict=True
    ):
        assert isinstance(said, Ok)
        assert set(said.value) == {line.id for line in lines}
        assert {each.category for each in said.value.values()} == {category}
    for question in model.asked:
        assert json.dumps(question.data).count('"name"') == 1
    for who, lines in ((scope, mine), (stranger, theirs)):
        sent = {subject for row in rows(admin, who) for subject in row.subjects}
        assert sent == {str(line.id) for line in lines}
    finora.likeness.remember(scope, [line.description for line in mine])
    near = finora.likeness.nearest(stranger, mine[0].description)
    assert near == Ok([])


# --- what it costs -------------------------------------------------------------------------------


@pytest.mark.spec("S3-27", partial=True)
def test_over_budget_nothing_is_asked(database: Postgres, scope: Scope, stranger: Scope) -> None:
    model = Scripted(chooses(tokens_in=4_000, tokens_out=1_000))
    door = models(database, model, tokens=9_000)
    categoriser = Categoriser(door)
    for _ in range(2):
        assert isinstance(categoriser.suggest(scope, [a_line()], CATEGORIES), Ok)
    assert door.tokens_today(scope) == 10_000
    said = categoriser.suggest(scope, [a_line()], CATEGORIES)
    assert isinstance(said, OverBudget) and 0 < said.retry_after <= 86_400
    assert len(model.asked) == 2
    # One tenant's budget is no other's.
    assert isinstance(categoriser.suggest(stranger, [a_line()], CATEGORIES), Ok)


@pytest.mark.spec("S3-27", partial=True)
def test_a_budget_of_nothing_asks_nothing(database: Postgres, scope: Scope) -> None:
    model = Scripted(chooses())
    said = Categoriser(models(database, model, tokens=0)).suggest(scope, [a_line()], CATEGORIES)
    assert isinstance(said, OverBudget) and model.asked == []


@pytest.mark.spec("S3-27", partial=True)
@pytest.mark.invariant("T-18")
def test_32_at_once_do_not_overspend(database: Postgres, scope: Scope, admin: Engine) -> None:
    """What is under way counts as the most that it can take."""
    model = Scripted(chooses(tokens_in=500, tokens_out=100))
    door = models(database, model, tokens=5_000)
    line = a_line()
    said = together(*[lambda: Categoriser(door).suggest(scope, [line], CATEGORIES)] * 32)
    assert {type(each) for each in said} == {Ok, OverBudget}
    assert door.tokens_today(scope) <= 5_000
    assert len(model.asked) == len(rows(admin, scope)) == sum(isinstance(x, Ok) for x in said)


@pytest.mark.parametrize(("outcome", "state", "counted"), [
    (Ok(Answer(value=None, model="m", tokens_in=7, tokens_out=5, cost_micros=3)), "answered", 12),
    (Ok(Answer(value=None, model="m")), "answered", "reserved"),
    (Ok(Answer(value=None, model="m", tokens_in=-7, tokens_out=5)), "answered", "reserved"),
    (Down("no answer in 30 s"), "failed", "reserved"),
    (RateLimited(9), "failed", 0),
    (AuthExpired(), "failed", 0),
])  # fmt: skip
def test_what_may_have_been_billed_counts(
    database: Postgres, scope: Scope, admin: Engine, outcome: Any, state: str, counted: Any
) -> None:
    door = models(database, Scripted(lambda question: outcome))
    said = Categoriser(door).suggest(scope, [a_line()], CATEGORIES)
    assert said == (Partial({}, "1 not answered") if isinstance(outcome, Ok) else outcome)
    [row] = rows(admin, scope)
    assert row.state == state and row.settled_at is not None
    assert door.tokens_today(scope) == (row.reserved if counted == "reserved" else counted)


def test_a_process_that_dies_leaves_its_question_counted(
    database: Postgres, scope: Scope, admin: Engine
) -> None:
    class Killed(BaseException):
        pass

    def die(question: Question) -> Outcome[Answer]:
        raise Killed

    door = models(database, Scripted(die))
    with pytest.raises(Killed):
        Categoriser(door).suggest(scope, [a_line()], CATEGORIES)
    [row] = rows(admin, scope)
    assert row.state == "sending" and door.tokens_today(scope) == row.reserved > 0


# --- when it fails -------------------------------------------------------------------------------


def test_a_failed_batch_leaves_its_lines_and_says_so(database: Postgres, scope: Scope) -> None:
    lines = [a_line() for _ in range(120)]
    model = Scripted(lambda question: RateLimited(20) if model.asked[1:] else chooses()(question))
    said = Categoriser(models(database, model)).suggest(scope, lines, CATEGORIES)
    assert isinstance(said, Partial) and said.gap == "RateLimited"
    assert set(said.value) == {line.id for line in lines[:50]}


def test_an_adapter_that_raises_is_down_and_tells_no_text(
    database: Postgres, scope: Scope, caplog: pytest.LogCaptureFixture
) -> None:
    def break_(question: Question) -> Outcome[Answer]:
        raise RuntimeError(str(question.data))

    with caplog.at_level(logging.DEBUG):
        said = Categoriser(models(database, Scripted(break_))).suggest(
            scope, [a_line("SECRET SHOP")], CATEGORIES
        )
    assert said == Down("the model's adapter raised RuntimeError")
    assert "SECRET" not in caplog.text


@pytest.mark.invariant("F-24")
def test_a_model_that_fails_is_left_alone_for_a_while(database: Postgres, scope: Scope) -> None:
    clock = HandClock()
    outcomes: list[Outcome[Answer]] = []
    model = Scripted(lambda question: outcomes[0] if outcomes else chooses()(question))
    categoriser = Categoriser(models(database, model, clock=clock))

    def ask() -> object:
        return categoriser.suggest(scope, [a_line()], CATEGORIES)

    outcomes = [Down("it answers 500")]
    assert [ask() for _ in range(3)] == [Down("it answers 500")] * 3
    assert [ask() for _ in range(5)] == [Down("it failed; again in 30 s")] * 5
    assert len(model.asked) == 3
    clock.at += timedelta(seconds=30)
    assert ask() == Down("it answers 500")
    assert ask() == Down("it failed; again in 60 s")
    clock.at += timedelta(seconds=60)
    outcomes = []
    assert isinstance(ask(), Ok) and isinstance(ask(), Ok)
    outcomes = [RateLimited(17)]
    assert [ask(), ask()] == [RateLimited(17)] * 2
    clock.at += timedelta(seconds=10)
    assert ask() == RateLimited(7)
    clock.at += timedelta(seconds=7)
    outcomes = []
    assert isinstance(ask(), Ok)


def test_ids_are_the_callers_whatever_they_are(database: Postgres, scope: Scope) -> None:
    """The same line twice is one line."""
    line = a_line()
    said = Categoriser(models(database, LocalModel())).suggest(scope, [line, line], CATEGORIES)
    assert isinstance(said, Ok) and list(said.value) == [line.id]
    assert isinstance(line.id, UUID)
