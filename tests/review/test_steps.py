"""What each step may decide alone: pure, on made-up records."""

from datetime import date
from uuid import UUID, uuid4

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora import Amount, Refusal, currency
from finora_core.categories.pipeline.model import (
    Case,
    Guess,
    Line,
    Taught,
    answered,
    counted,
    guessed,
    opened,
    refused,
    remembered,
)
from finora_core.categories.rules.conditions import RecordFacts
from finora_core.categories.rules.model import NO_EFFECT, Effect
from finora_core.intelligence.model import Suggestion
from finora_core.ledger.model import Flow
from finora_core.records.model import SURE, DecisionVerdict, ReviewSettings, Status

USUAL = ReviewSettings()
RULE = uuid4()


def line(**given: object) -> Line:
    facts = RecordFacts(
        id=uuid4(), account="Giro", account_id=uuid4(), on_date=date(2026, 1, 1),
        amount=Amount(-500, currency("EUR")), description="Rewe 17", merchant_key="REWE",
        locked=frozenset({"category"} if given.get("labelled_by") == "human" else ()),
    )  # fmt: skip
    usual: dict[str, object] = {
        "facts": facts, "status": Status.RECEIVED, "flow": Flow.FLOW, "category": "",
        "labelled_by": "", "stated": "", "suggested": "", "confidence": None, "decisions": 0,
    }  # fmt: skip
    return Line(**usual | given)  # type: ignore[arg-type]  # by name


def rule(category: str) -> Effect:
    return Effect(values={"category": category}, rules=(RULE,), by={"category": RULE})


def taught(*said: str) -> list[Taught]:
    """Newest first; a correction is written with a `!`."""
    return [
        Taught(record_id=uuid4(), category=each.rstrip("!"), corrected=each.endswith("!"))
        for each in said
    ]


@pytest.mark.spec("S3-23", partial=True)
@pytest.mark.parametrize(
    ("confidence", "verdict"),
    [(SURE, "auto"), (9_200, "auto"), (9_199, "suggested"), (8_000, "suggested"), (7_999, None)],
)
def test_likeness_decides_suggests_or_says_nothing(confidence: int, verdict: str | None) -> None:
    found = guessed(Guess(category="Food", confidence=confidence), USUAL)
    assert (found and found.verdict) == verdict


@pytest.mark.spec("S3-23", partial=True)
@pytest.mark.parametrize(
    ("category", "confidence", "verdict"),
    [("Food", 8_500, "auto"), ("Food", 8_499, "suggested"), ("Food", 0, "suggested"),
     ("", 9_000, "none")],
)  # fmt: skip
def test_a_model_decides_suggests_or_says_nothing(
    category: str, confidence: int, verdict: str
) -> None:
    said = Suggestion(category=category, confidence=confidence, rationale="MODEL_GUESS")
    assert answered(said, USUAL).verdict == verdict


@pytest.mark.spec("S3-23")
def test_thresholds_are_the_tenants() -> None:
    strict = ReviewSettings(similar_auto=SURE, similar_suggested=9_500, model_auto=SURE)
    assert guessed(Guess(category="Food", confidence=9_400), strict) is None
    found = guessed(Guess(category="Food", confidence=9_999), strict)
    assert found is not None and found.verdict is DecisionVerdict.SUGGESTED
    for wrong in ({"similar_auto": SURE + 1}, {"model_auto": -1}, {"similar_suggested": 9_999}):
        with pytest.raises(Refusal) as refusal:
            ReviewSettings(**wrong)
        assert refusal.value.code == "BAD_RECORD"


@pytest.mark.spec("S3-21", partial=True)
@pytest.mark.spec("S3-23", partial=True)
def test_a_rule_outranks_the_file_and_the_file_all_that_is_learnt() -> None:
    """A rule decides with all the confidence there is, and is named."""
    case = opened(line(stated="Groceries", category="Groceries"), rule("Food"), USUAL)
    [said] = case.said
    assert (said.source, said.rule_id, said.confidence) == ("rule", RULE, SURE)
    ruling = case.ruling()
    assert (ruling.status, ruling.label) == (Status.PROCESSED, "Food")
    case = opened(line(stated="Groceries", category="Groceries"), NO_EFFECT, USUAL)
    assert case.closed and case.said[0].source == "statement"
    assert case.ruling().label is None


def test_a_transfer_has_no_category_whatever_a_rule_says() -> None:
    case = opened(line(flow=Flow.TRANSFER), rule("Food"), USUAL)
    ruling = case.ruling()
    assert (ruling.status, ruling.label, ruling.decisions[0].rationale) == (
        Status.PROCESSED, None, "TRANSFER",
    )  # fmt: skip


def test_what_a_person_entered_stands() -> None:
    """Where duties are separate it stands too, and another person approves it."""
    own = line(category="Food", labelled_by="human")
    ruling = opened(own, rule("Rent"), USUAL).ruling()
    assert (ruling.status, ruling.label) == (Status.APPROVED, None)
    separate = attrs.evolve(USUAL, separate_duties=True)
    ruling = opened(own, rule("Rent"), separate).ruling()
    assert (ruling.status, ruling.label, ruling.suggested) == (Status.NEEDS_REVIEW, None, "Food")


def test_what_a_person_unlocked_stays_until_something_is_sure() -> None:
    own = line(category="Food", labelled_by="human", status=Status.PROCESSED)
    own = attrs.evolve(own, facts=attrs.evolve(own.facts, locked=frozenset()))
    ruling = opened(own, NO_EFFECT, USUAL).ruling()
    assert (ruling.status, ruling.label) == (Status.NEEDS_REVIEW, None)
    assert opened(own, rule("Rent"), USUAL).ruling().label == "Rent"


def test_nothing_known_goes_to_review_and_says_so() -> None:
    ruling = Case(line=line()).ruling()
    assert (ruling.status, ruling.label, ruling.confidence) == (Status.NEEDS_REVIEW, None, 0)
    assert [each.rationale for each in ruling.decisions] == ["NOTHING_LIKE_IT"]
    skips = Case(line=line(), effect=Effect(skip_review=True)).ruling()
    assert skips.status is Status.PROCESSED


@pytest.mark.spec("S3-15", partial=True)
def test_each_step_that_spoke_is_in_the_trace_and_the_surest_hint_is_shown() -> None:
    case = Case(line=line()).saying(guessed(Guess(category="Food", confidence=8_100), USUAL))
    said = Suggestion(category="Rent", confidence=8_300, rationale="MODEL_GUESS")
    case = case.saying(answered(said, USUAL))
    ruling = case.ruling()
    assert [(each.source, each.category) for each in ruling.decisions] == [
        ("similar", "Food"), ("model", "Rent"),
    ]  # fmt: skip
    assert (ruling.suggested, ruling.confidence, ruling.label) == ("Rent", 8_300, None)
    silent = Case(line=line()).saying(refused("MODEL_BUDGET")).ruling()
    assert [each.rationale for each in silent.decisions] == ["MODEL_BUDGET"]


def test_a_label_whose_reason_is_gone_goes_too() -> None:
    """What a rule said before is taken back when nothing says it any more."""
    before = line(category="Food", labelled_by="rule", status=Status.PROCESSED, confidence=SURE)
    ruling = Case(line=before).ruling()
    assert (ruling.status, ruling.label) == (Status.NEEDS_REVIEW, "")


def test_the_same_again_says_nothing_new() -> None:
    seen = line(category="Food", labelled_by="rule", status=Status.PROCESSED, confidence=SURE)
    case = opened(seen, rule("Food"), USUAL)
    assert not case.changes(case.ruling())
    assert case.changes(attrs.evolve(case.ruling(), label="Rent"))


@pytest.mark.parametrize(
    ("said", "category", "verdict"),
    [
        (("Food!",), "Food", "auto"),
        (("Food",), "Food", "auto"),
        (("Food", "Rent"), "Food", "suggested"),
        # A correction outranks every approval before it; one after it is a person's word as well.
        (("Food!", "Rent", "Rent"), "Food", "auto"),
        (("Rent", "Food!"), "Rent", "suggested"),
        (("Food!", "Rent!"), "Food", "suggested"),
        (("Rent!", "Food!", "Rent!"), "Rent", "suggested"),
        # Five in a row, and what was before is over.
        (("Food!", "Food!", "Food!", "Food!", "Food!", "Rent!"), "Food", "auto"),
    ],
)
def test_what_people_said_of_a_merchant(said: list[str], category: str, verdict: str) -> None:
    found = remembered(taught(*said))
    assert found is not None
    assert (found.category, found.verdict) == (category, verdict)
    assert 1 <= len(found.neighbours) <= 5


def test_conflicting_corrections_end_in_review_whatever_comes_after() -> None:
    case = Case(line=line()).saying(remembered(taught("Food!", "Rent!")))
    assert case.closed and case.ruling().status is Status.NEEDS_REVIEW


@given(st.lists(st.tuples(st.sampled_from(["A", "B", "C"]), st.booleans()), max_size=20))
def test_memory_agrees_with_itself(said: list[tuple[str, bool]]) -> None:
    """Auto exactly where the last five that count agree; confidence is the share of them."""
    found = remembered([
        Taught(record_id=UUID(int=place), category=category, corrected=corrected)
        for place, (category, corrected) in enumerate(said)
    ])  # fmt: skip
    if not said:
        assert found is None
        return
    assert found is not None
    judged = [said[neighbour.int][0] for neighbour in found.neighbours]
    assert (found.verdict is DecisionVerdict.AUTO) == (len(set(judged)) == 1)
    assert found.confidence == SURE * judged.count(found.category) // len(judged)
    assert judged.count(found.category) == max(judged.count(each) for each in judged)


def test_counts_add_up() -> None:
    rulings = [
        opened(line(), rule("Food"), USUAL).ruling(),
        opened(line(stated="Rent", category="Rent"), NO_EFFECT, USUAL).ruling(),
        Case(line=line()).ruling(),
        Case(line=line()).saying(guessed(Guess(category="A", confidence=8_500), USUAL)).ruling(),
        opened(line(category="Food", labelled_by="human"), NO_EFFECT, USUAL).ruling(),
    ]
    assert counted(rulings) == {
        "records": 5, "auto": 2, "rule": 1, "statement": 1, "unknown": 1, "suggested": 1,
        "human": 1,
    }  # fmt: skip
