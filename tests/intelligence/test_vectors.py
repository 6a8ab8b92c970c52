"""Texts as vectors: made once, kept by tenant and model, searched by likeness."""

import math
from collections.abc import Sequence
from typing import ClassVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from finora import Finora, Scope
from finora_adapters.models.hashing import HashingEmbeddings
from finora_adapters.models.minilm import MiniLmEmbeddings
from finora_adapters.postgres.work import Postgres
from finora_core.intelligence.service import Likeness
from finora_core.kernel.outcome import Down, Ok, Outcome
from finora_core.plugins import Vector

HASHING = HashingEmbeddings()


def cosine(one: Vector, two: Vector) -> float:
    return sum(a * b for a, b in zip(one, two, strict=True))


def vector(text: str) -> Vector:
    made = HASHING.embed([text])
    assert isinstance(made, Ok)
    return made.value[0]


@given(st.text())
def test_a_text_is_always_the_same_vector_of_length_one(said: str) -> None:
    made = vector(said)
    assert made == vector(said) and len(made) == HASHING.dimension
    assert math.isclose(cosine(made, made), 1) or not any(made)


def test_texts_that_are_written_alike_are_near() -> None:
    def near(one: str, two: str) -> float:
        return cosine(vector(one), vector(two))

    assert near("REWE MARKT 123", "Rewe Markt 987") > 0.6
    assert near("NETFLIX.COM", "netflix com") > 0.6
    assert near("REWE MARKT", "DEUTSCHE BAHN") < 0.2


@attrs.define
class Counted:
    """Another space, which can be out of order."""

    outcome: Outcome[Sequence[Vector]] | None = None
    asked: list[str] = attrs.field(factory=list)
    model: ClassVar[str] = "other-2"
    dimension: ClassVar[int] = 2

    def embed(self, texts: Sequence[str]) -> Outcome[Sequence[Vector]]:
        self.asked += texts
        return self.outcome or Ok([[1.0, 0.0] if text < "m" else [0.6, 0.8] for text in texts])


@pytest.mark.spec("S3-22", partial=True)
def test_the_nearest_are_found_exactly(finora: Finora, scope: Scope, stranger: Scope) -> None:
    texts = [f"{shop} {town}" for shop in ("REWE", "SPAR", "NETFLIX") for town in ("WIEN", "GRAZ")]
    assert finora.likeness.remember(scope, texts) == Ok(6)
    assert finora.likeness.remember(scope, [*texts, "OMV", "OMV"]) == Ok(1)
    found = finora.likeness.nearest(scope, "rewe linz", limit=3)
    assert isinstance(found, Ok)
    assert {each.key for each in found.value[:2]} == {"REWE WIEN", "REWE GRAZ"}
    likeness = {each: round(cosine(vector("rewe linz"), vector(each)) * 10_000) for each in texts}
    wanted = sorted(((size, key) for key, size in likeness.items()), key=lambda x: (-x[0], x[1]))
    wanted = wanted[:3]
    assert [(each.likeness, each.key) for each in found.value] == wanted
    assert finora.likeness.nearest(stranger, "REWE WIEN") == Ok([])


@pytest.mark.spec("S3-22", partial=True)
def test_spaces_of_two_models_never_mix(
    finora: Finora, database: Postgres, scope: Scope, admin: Engine
) -> None:
    other = Likeness(database.begin, Counted())
    assert finora.likeness.remember(scope, ["a", "z"]) == Ok(2)
    assert other.remember(scope, ["a", "z"]) == Ok(2)
    found = other.nearest(scope, "b")
    assert isinstance(found, Ok)
    assert [(each.key, each.likeness) for each in found.value] == [("a", 10_000), ("z", 6_000)]
    with admin.connect() as connection:
        query = text("select model, dimension, count(*) from finora.embedding "
                     "where tenant_id = :t group by 1, 2 order by 1")  # fmt: skip
        kept = connection.execute(query, {"t": scope.tenant_id}).all()
    assert [tuple(each) for each in kept] == [("hashing-512", 512, 2), ("other-2", 2, 2)]


def test_a_text_is_made_a_vector_once(database: Postgres, scope: Scope) -> None:
    embeddings = Counted()
    likeness = Likeness(database.begin, embeddings)
    for _ in range(3):
        likeness.remember(scope, ["x", "y", "x"])
    assert embeddings.asked == ["x", "y"]


def test_what_fails_is_told_and_keeps_nothing(database: Postgres, scope: Scope) -> None:
    embeddings = Counted(Down("gone"))
    likeness = Likeness(database.begin, embeddings)
    assert likeness.remember(scope, ["x"]) == Down("gone")
    assert likeness.nearest(scope, "x") == Down("gone")
    embeddings.outcome = None
    assert likeness.nearest(scope, "x") == Ok([])


def test_a_text_in_which_there_is_nothing_is_like_nothing(finora: Finora, scope: Scope) -> None:
    assert finora.likeness.remember(scope, ["", "REWE"]) == Ok(2)
    assert finora.likeness.nearest(scope, "  ") == Ok([])
    found = finora.likeness.nearest(scope, "REWE")
    assert isinstance(found, Ok) and [each.key for each in found.value] == ["REWE"]


def test_minilm_sees_that_texts_mean_alike_or_says_what_it_lacks() -> None:
    """Where `finora[ml]` is not installed, that is an outcome like any other."""
    made = MiniLmEmbeddings().embed(["petrol station", "fuel", "greengrocer", ""])
    if isinstance(made, Down):
        assert "install finora[ml]" in made.reason
        return
    assert isinstance(made, Ok)
    petrol, fuel, greens, _ = made.value
    assert len(petrol) == MiniLmEmbeddings().dimension
    assert cosine(petrol, fuel) > cosine(petrol, greens)
