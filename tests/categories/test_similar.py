"""The similarity step: what people decided, asked about other lines."""

import csv
import random
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finora_core.categories.similar.calibration import Steps
from finora_core.categories.similar.memory import Memory
from finora_core.categories.similar.model import (
    SURE,
    BadThresholds,
    Decision,
    Line,
    Thresholds,
    Verdict,
    Why,
)
from finora_core.kernel.amount import units_of
from finora_core.records.model import merchant_key
from shared_data import SHARED, needs_shared

ANY = Thresholds(auto=SURE, suggest=0)


def decision(number: int, key: str, category: str, *, corrected: bool = False) -> Decision:
    line = Line(key=key, direction="out", account="Card", units=-1000 - number)
    return Decision(record_id=UUID(int=number), line=line, category=category, corrected=corrected)


def shops() -> list[Decision]:
    """Three merchants, each of one category, often enough to be sure of."""
    names = (("SHELL KINGS ROAD", "Fuel"), ("ASDA SUPERSTORE", "Food"), ("TRAINLINE", "Travel"))
    return [decision(n, *names[n % 3]) for n in range(300)]


@pytest.mark.spec("S3-22", partial=True)
def test_a_known_merchant_is_labelled_and_explained_by_its_latest_decisions() -> None:
    likely = Memory.of(shops()).classify(Line(key="ASDA SUPERSTORE", direction="out"))
    assert (likely.category, likely.verdict, likely.why) == ("Food", Verdict.AUTO, Why.KNOWN)
    assert likely.neighbours == tuple(UUID(int=n) for n in (298, 295, 292, 289, 286))


def test_a_new_branch_is_told_by_its_words_and_explained_by_the_branch_it_is_like() -> None:
    likely = Memory.of(shops()).classify(Line(key="SHELL PENHALE", direction="out"), ANY)
    assert (likely.category, likely.why) == ("Fuel", Why.WORDS)
    assert likely.neighbours == (UUID(int=297),)


@pytest.mark.parametrize("key", ["QQQ", "", "ŽŽŽŽ", "日本"])
def test_a_merchant_of_which_nothing_was_seen_goes_to_review_without_a_guess(key: str) -> None:
    likely = Memory.of(shops()).classify(Line(key=key, direction="out"), ANY)
    assert (likely.category, likely.confidence) == ("", 0)
    assert (likely.verdict, likely.why) == (Verdict.NONE, Why.STRANGE)


def test_an_empty_memory_knows_nothing() -> None:
    assert Memory.of(()).classify(Line(key="ASDA", direction="out")).verdict is Verdict.NONE


@pytest.mark.spec("S3-24", partial=True)
def test_a_correction_holds_for_its_merchant_and_direction_until_a_human_says_otherwise() -> None:
    said = [*shops(), decision(900, "ASDA SUPERSTORE", "Gifts", corrected=True)]
    memory = Memory.of(said)
    likely = memory.classify(Line(key="ASDA SUPERSTORE", direction="out"))
    assert (likely.category, likely.confidence, likely.why) == ("Gifts", SURE, Why.CORRECTED)
    assert likely.verdict is Verdict.AUTO
    other = memory.classify(Line(key="ASDA SUPERSTORE", direction="in"), ANY)
    assert other.why is not Why.CORRECTED


@pytest.mark.spec("S3-24", partial=True)
@pytest.mark.parametrize(
    ("said", "category", "verdict"),
    [
        (("Food", "Gifts"), "", Verdict.NONE),
        (("Food", "Gifts", "Gifts"), "Gifts", Verdict.SUGGESTED),
        (("Food", "Gifts", "Food", "Gifts", "Toys"), "", Verdict.NONE),
        (("Food", "Gifts", "Gifts", "Gifts", "Gifts", "Gifts"), "Gifts", Verdict.AUTO),
    ],
)
def test_conflicting_corrections_are_voted_on_and_go_to_review(
    said: Sequence[str], category: str, verdict: Verdict
) -> None:
    memory = Memory.of(decision(n, "ASDA", each, corrected=True) for n, each in enumerate(said))
    likely = memory.classify(Line(key="ASDA", direction="out"))
    assert (likely.category, likely.verdict) == (category, verdict)


@pytest.mark.spec("S3-23", partial=True)
def test_thresholds_decide_what_is_automatic() -> None:
    memory, line = Memory.of(shops()), Line(key="ASDA SUPERSTORE", direction="out")
    sure = memory.classify(line).confidence
    assert 9_000 < sure < SURE
    strict = Thresholds(auto=sure + 1, suggest=sure)
    assert memory.classify(line, strict).verdict is Verdict.SUGGESTED
    stricter = Thresholds(auto=SURE, suggest=sure + 1)
    assert memory.classify(line, stricter).verdict is Verdict.NONE
    with pytest.raises(BadThresholds):
        Thresholds(auto=5_000, suggest=6_000)


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_decisions_changes_no_category(chance: random.Random) -> None:
    made = shops()[:60]
    mixed = list(made)
    chance.shuffle(mixed)
    line = Line(key="SHELL PENHALE", direction="out", account="Card", units=-1500)
    one, other = (Memory.of(said).evidence.likeliest(line) for said in (made, mixed))
    assert one == other


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=300))
def test_confidence_rises_with_the_claim_and_stays_within_bounds(
    tried: list[tuple[float, bool]],
) -> None:
    steps = Steps.of(tried)
    said = [steps.at(claim / 20) for claim in range(21)]
    assert said == sorted(said)
    assert all(0 <= each < SURE for each in said)


def test_many_lines_are_answered_in_their_order() -> None:
    memory = Memory.of(shops())
    lines = [Line(key=key, direction="out") for key in ("TRAINLINE", "ASDA SUPERSTORE") * 50]
    assert memory.classify_many(lines, ANY) == [memory.classify(line, ANY) for line in lines]


def council(name: str) -> list[Decision]:
    """A month of card purchases as their bookkeepers labelled them."""
    with (SHARED / "categorise" / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for number, row in enumerate(rows):
        spent = units_of(row["ORIGINAL GROSS AMT"].replace(",", ""), 2)
        line = Line(
            key=merchant_key(row["MERCHANT NAME"]),
            direction="in" if spent < 0 else "out",
            account=row["Directorate"],
            units=-spent,
        )
        label = row["TRANS CAC DESC 1"]
        found.append(Decision(record_id=UUID(int=number), line=line, category=label))
    return found


@needs_shared
@pytest.mark.parametrize(
    ("learnt", "asked", "least"), [("2014-08", "2016-04", 0.43), ("2016-04", "2014-08", 0.55)]
)
def test_one_months_labels_tell_anothers(learnt: str, asked: str, least: float) -> None:
    """What is reached, held: docs/categorising.md says how far it is from what was wanted."""
    memory = Memory.of(council(f"birmingham-pcard-{learnt}.csv"))
    others = council(f"birmingham-pcard-{asked}.csv")
    given = memory.classify_many([each.line for each in others], ANY)
    right = sum(a.category == b.category for a, b in zip(given, others, strict=True))
    assert right / len(others) >= least
