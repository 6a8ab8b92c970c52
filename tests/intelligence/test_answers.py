"""What is believed of an answer: joined by name, checked against the list, one by one."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora_core.intelligence.model import MOST_LINES, Line, Suggestion
from finora_core.intelligence.questions import CategoryQuestion
from finora_core.kernel.ids import derived_id

CATEGORIES = ["Household:Rent", "Food", "Travel:Train"]
CALL = derived_id("call")


def question(count: int = 8) -> CategoryQuestion:
    lines = [
        Line(id=derived_id(str(n)), description=f"line {n}", amount="-1.00 EUR",
             date=date(2026, 1, 1))
        for n in range(count)
    ]  # fmt: skip
    return CategoryQuestion.about(CALL, lines, CATEGORIES)


QUESTION = question()
NAMES, CODES = list(QUESTION.lines), list(QUESTION.categories)


def claim(name: str, code: str | None = CODES[1], percent: object = 90) -> dict[str, Any]:
    return {"id": name, "category": code, "confidence": percent, "why": "description"}


CLAIMS = st.builds(
    claim,
    st.sampled_from(NAMES),
    st.sampled_from([*CODES, None]),
    st.integers(0, 100),
)
ONE_EACH = st.lists(CLAIMS, unique_by=lambda each: each["id"])


@pytest.mark.spec("S3-25", partial=True)
@given(ONE_EACH, st.randoms(use_true_random=False))
def test_permuting_and_doubling_change_nothing(claims: list[dict[str, Any]], random: Any) -> None:
    said = QUESTION.read({"answers": claims})
    other = [*claims, *claims[::2]]
    random.shuffle(other)
    assert QUESTION.read({"answers": other}) == said
    assert set(said) == {QUESTION.lines[each["id"]] for each in claims}
    for each in said.values():
        assert each.category in {*CATEGORIES, ""} and 0 <= each.confidence <= 10_000


@given(ONE_EACH, st.integers(0, 8))
def test_a_cut_answer_is_the_part_that_came(claims: list[dict[str, Any]], count: int) -> None:
    whole = QUESTION.read({"answers": claims})
    cut = QUESTION.read({"answers": claims[:count]})
    assert cut == {QUESTION.lines[each["id"]]: whole[QUESTION.lines[each["id"]]]
                   for each in claims[:count]}  # fmt: skip


@given(ONE_EACH, st.lists(st.text(), max_size=5))
def test_unknown_lines_are_refused(claims: list[dict[str, Any]], strange: list[str]) -> None:
    foreign = [claim(name) for name in strange if name not in NAMES]
    foreign += [claim(str(derived_id("0"))), claim(name="0"), claim(NAMES[0].upper() + "x")]
    said = QUESTION.read({"answers": [*foreign, *claims, *foreign]})
    assert said == QUESTION.read({"answers": claims})


@pytest.mark.spec("S3-26", partial=True)
@pytest.mark.parametrize("bad", [
    {"category": "Food"}, {"confidence": True}, {"confidence": 90.0}, {"confidence": 101},
    {"confidence": -1}, {"confidence": "90"}, {"why": "https://evil.example"}, {"id": None},
    {"id": ["x"]}, {"category": ["c"]}, {"extra": "x"}, {"why": {}},
])  # fmt: skip
def test_what_keeps_not_to_the_schema_is_thrown_away_alone(bad: dict[str, Any]) -> None:
    spoilt = claim(NAMES[0]) | bad
    said = QUESTION.read({"answers": [spoilt, claim(NAMES[1]), "x", None, [], {}]})
    good = {QUESTION.lines[NAMES[1]]: Suggestion(category="Food", confidence=9_000,
                                                 rationale="MODEL_DESCRIPTION")}  # fmt: skip
    # A category by its name and not its code is none of the list: a human decides.
    first = said.pop(QUESTION.lines[NAMES[0]], None)
    assert first is None or (first.category, first.confidence) == ("", 0)
    assert said == good


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["answers", "id", "category", "confidence", "why", "x"]), inner),
))  # fmt: skip
def test_any_json_at_all_is_no_trouble(answer: object) -> None:
    assert QUESTION.read(answer) == {}


@pytest.mark.parametrize(("claims", "rationale"), [
    ([claim(NAMES[0], CODES[0]), claim(NAMES[0], CODES[1])], "CONTRADICTORY"),
    ([claim(NAMES[0], CODES[0], 90), claim(NAMES[0], CODES[0], 10)], "CONTRADICTORY"),
    ([claim(NAMES[0], None)], "NO_CATEGORY_FITS"),
    ([claim(NAMES[0], "Household:Rent")], "NO_SUCH_CATEGORY"),
])  # fmt: skip
def test_what_is_not_believed_has_no_category_and_says_why(
    claims: list[dict[str, Any]], rationale: str
) -> None:
    nothing = Suggestion(category="", confidence=0, rationale=rationale)
    assert QUESTION.read({"answers": claims}) == {QUESTION.lines[NAMES[0]]: nothing}
    assert QUESTION.read({"answers": claims[::-1]}) == {QUESTION.lines[NAMES[0]]: nothing}


def test_a_question_has_names_of_its_own() -> None:
    """A text of one question says nothing to the next."""
    lines = [Line(id=UUID(int=n), description="", date=date(2026, 1, 1)) for n in range(9)]
    one = CategoryQuestion.about(derived_id("1"), lines, CATEGORIES)
    two = CategoryQuestion.about(derived_id("2"), lines, CATEGORIES)
    assert not set(one.lines) & set(two.lines)
    with pytest.raises(ValueError):
        question(MOST_LINES + 1)


def test_categories_have_codes_that_differ() -> None:
    many = CategoryQuestion.about(CALL, [], [f"k{n}" for n in range(2_000)])
    assert len(many.categories) == 2_000
