"""The rules' engine, without a database: conditions, actions, order, and patterns that end."""

import random
import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora import Amount, Refusal, currency
from finora_core.categories.rules.actions import actions_of, plain_action
from finora_core.categories.rules.conditions import (
    RecordFacts,
    View,
    compiled,
    condition_of,
    needles,
    plain_condition,
)
from finora_core.categories.rules.model import Rule, RuleBook
from finora_core.categories.rules.patterns import MAX_NODES, Pattern
from finora_core.kernel.ids import new_id
from finora_core.records.model import Part

EUR = currency("EUR")
FACTS = RecordFacts(
    id=UUID(int=1),
    account="Giro",
    account_id=UUID(int=2),
    on_date=date(2026, 1, 31),
    amount=Amount(-12_34, EUR),
    description="STRASSE 7 Café",
    counterparty="Ada & Co",
    merchant_key="STRASSE CAFÉ",
    category="Food:Out",
    tags=("trip", "work"),
    source="camt",
)


def rule(condition: object, *actions: object, **more: Any) -> Rule:
    return Rule(
        **{"id": new_id(), "name": "a rule"}
        | more
        | {"condition": condition_of(condition), "actions": actions_of(list(actions))}
    )


def to(category: str) -> dict[str, object]:
    return {"op": "set", "field": "category", "value": category}


LOOKS = st.sampled_from(["description", "note", "merchant", "category", "tags", "account"])
TESTS = st.one_of(
    st.builds(
        lambda field, value: {"field": field, "op": "contains", "value": value},
        LOOKS, st.sampled_from(["a", "food", "trip", "new"]),
    ),
    st.just({"field": "amount", "op": "lt", "value": "0"}),
    st.just({"field": "date", "op": "equals", "value": "2026-01"}),
    st.just({"all": []}),
)  # fmt: skip
ACTIONS = st.one_of(
    st.sampled_from(["Food", "Fun:Film", ""]).map(to),
    st.sampled_from(["note", "merchant", "description"]).map(
        lambda field: {"op": "set", "field": field, "value": f"new {field}"}
    ),
    st.just({"op": "append", "field": "note", "value": "!"}),
    st.just({"op": "add_tags", "value": ["a"]}),
    st.just({"op": "clear_tags"}),
    st.just({"op": "skip_review"}),
    st.just(
        {"op": "split", "value": [
            {"category": "P", "method": "percent", "value": "30"},
            {"category": "R", "method": "remainder"}]}
    ),
)  # fmt: skip


@pytest.mark.spec("S3-19", partial=True)
@given(
    drawn=st.lists(
        st.tuples(TESTS, st.lists(ACTIONS, min_size=1, max_size=3), st.booleans()),
        min_size=1, max_size=16,
    ),
    locked=st.sets(st.sampled_from(["category", "note", "tags", "merchant"])),
    booked=st.booleans(),
    split=st.booleans(),
)  # fmt: skip
def test_what_a_book_does_not_look_at_changes_nothing(
    drawn: Sequence[tuple[object, Sequence[object], bool]],
    locked: set[str],
    booked: bool,
    split: bool,
) -> None:
    book = RuleBook.of(
        rule(condition, *does, continues=goes, priority=place)
        for place, (condition, does, goes) in enumerate(drawn)
    )
    parts = (Part("A", Amount(-34, EUR)), Part("B", Amount(-12_00, EUR)))
    facts = attrs.evolve(
        FACTS, locked=frozenset(locked), booked=booked, parts=parts if split else (),
        category="" if split else FACTS.category,
    )  # fmt: skip
    unseen = RecordFacts(
        id=UUID(int=0), account="", account_id=UUID(int=0), on_date=date.min,
        amount=Amount(0, EUR), description="",
    )  # fmt: skip

    def seen(names: Iterable[str]) -> RecordFacts:
        return attrs.evolve(unseen, **{name: getattr(facts, name) for name in names})

    matching = book.matching(View(seen(book.asks)))
    assert book.effect(seen(book.touches), matching) == book.apply(facts)


@pytest.mark.spec("S3-18")
@pytest.mark.parametrize(
    ("field", "op", "value", "holds"),
    [
        ("description", "equals", "straße 7 CAFÉ", True),
        ("description", "not_equals", "x", True),
        ("description", "contains", "7 caf", True),
        ("description", "not_contains", "7", False),
        ("description", "starts", "strasse", True),
        ("description", "ends", "é", True),
        ("description", "one_of", ["a", "Strasse 7 café"], True),
        ("description", "regex", r"^stra.*\d caf", True),
        ("description", "not_regex", r"\d", False),
        ("counterparty", "equals", "ada & co", True),
        ("merchant", "equals", "STRASSE CAFÉ", True),
        ("note", "empty", None, True),
        ("note", "equals", "", True),
        ("note", "not_empty", None, False),
        ("category", "starts", "food:", True),
        ("account", "one_of", ["giro", "savings"], True),
        ("account_id", "equals", str(UUID(int=2)), True),
        ("currency", "equals", "eur", True),
        ("source", "not_one_of", ["csv", "ofx"], True),
        ("direction", "equals", "out", True),
        ("tags", "equals", "TRIP", True),
        ("tags", "contains", "or", True),
        ("tags", "not_equals", "trip", False),
        ("tags", "empty", None, False),
        ("amount", "equals", "-12.340", True),
        ("amount", "lt", "-12.339", True),
        ("amount", "gte", "-12.34", True),
        ("amount", "between", ["-12", "-13"], True),
        ("amount_abs", "gt", "12.339999999999999999999", True),
        ("amount_abs", "approx", "11.48", True),
        ("amount_abs", "approx", "11.47", False),
        ("amount_abs", "one_of", ["1", "12.34"], True),
        ("date", "equals", "2026-01", True),
        ("date", "not_equals", "2025", True),
        ("date", "before", "2026-02-01", True),
        ("date", "after", "2026-01-31", False),
        ("date", "gte", "2026-01-31", True),
        ("date", "between", ["2026-02-01", "2026-01-01"], True),
        ("date", "approx", "2026-02-02", True),
        (
            "date",
            "equals",
            {"start": "2025-01-01", "frequency": "monthly", "interval": 1, "days": [-1]},
            True,
        ),
        ("date", "equals", {"start": "2026-01-17", "frequency": "weekly", "interval": 2}, True),
        ("date", "approx", {"start": "2025-02-02", "frequency": "yearly", "interval": 1}, True),
        ("date", "equals", {"start": "2026-01-01", "frequency": "daily", "interval": 7}, False),
    ],
)
def test_a_test_of_a_field(field: str, op: str, value: object, holds: bool) -> None:
    plain = {"field": field, "op": op} | ({} if value is None else {"value": value})
    condition = condition_of(plain)
    assert compiled(condition)(View(FACTS)) is holds
    assert plain_condition(condition) == plain


@pytest.mark.parametrize(
    "plain",
    [
        3, [], {}, {"all": 3}, {"all": [], "any": []}, {"field": "description"},
        {"field": "nope", "op": "equals", "value": "x"},
        {"field": "description", "op": "gt", "value": "x"},
        {"field": "description", "op": "contains", "value": ""},
        {"field": "description", "op": "contains", "value": 3},
        {"field": "description", "op": "contains", "value": "x" * 501},
        {"field": "description", "op": "contains", "value": "\ud800"},
        {"field": "description", "op": "empty", "value": "x"},
        {"field": "description", "op": "regex", "value": "(a"},
        {"field": "amount", "op": "equals", "value": "1e3"},
        {"field": "amount", "op": "equals", "value": "NaN"},
        {"field": "amount", "op": "between", "value": ["1"]},
        {"field": "date", "op": "before", "value": "2026-01"},
        {"field": "date", "op": "equals", "value": "2026-02-30"},
        {"field": "date", "op": "gt", "value": {"start": "2026-01-01", "frequency": "daily"}},
        {"field": "date", "op": "equals", "value": {"start": "2026-01-01", "frequency": "x"}},
        {"field": "direction", "op": "equals", "value": "up"},
        {"any": [{"all": []}] * 201},
    ],
)  # fmt: skip
def test_a_condition_that_cannot_be_read_is_refused_with_its_place(plain: object) -> None:
    with pytest.raises(Refusal) as refused:
        condition_of({"all": [plain]})
    assert refused.value.code in ("BAD_RULE", "BAD_PATTERN")
    assert refused.value.details[0][0].startswith("condition")
    deep: object = {"all": []}
    for _ in range(9):
        deep = {"any": [deep]}
    with pytest.raises(Refusal):
        condition_of(deep)


@pytest.mark.parametrize(
    "plain",
    [
        [], 3, [3], [{"op": "nope"}], [{"op": "set", "field": "amount", "value": "1"}],
        [{"op": "set", "field": "category", "value": "A::B"}],
        [{"op": "set", "field": "category"}], [{"op": "skip_review", "value": "x"}],
        [{"op": "set", "field": "description", "value": " "}],
        [{"op": "add_tags", "value": []}], [{"op": "add_tags", "value": ["a,b"]}],
        [{"op": "split", "value": [{"category": "A", "method": "remainder"}]}],
        [{"op": "split", "value": [{"category": "A", "method": "percent", "value": "60"}] * 2}],
        [{"op": "split", "value": [{"category": "A", "method": "percent", "value": "40"}] * 2}],
        [{"op": "split", "value": [{"category": "A", "method": "fixed", "value": "x"}] * 2}],
        [{"op": "skip_review"}] * 21,
    ],
)  # fmt: skip
def test_an_action_that_cannot_be_read_is_refused_with_its_place(plain: object) -> None:
    with pytest.raises(Refusal) as refused:
        actions_of(plain)
    assert refused.value.details[0][0].startswith("actions")


def test_actions_go_to_json_and_back() -> None:
    plain = [
        to("A:B"), {"op": "append", "field": "note", "value": "!"},
        {"op": "prepend", "field": "description", "value": "?"},
        {"op": "add_tags", "value": ["a", "b"]}, {"op": "remove_tags", "value": ["a"]},
        {"op": "clear_tags"}, {"op": "skip_review"},
        {"op": "split", "value": [
            {"category": "A", "method": "fixed", "value": "-1.50"},
            {"category": "B", "method": "percent", "value": "12.5"},
            {"category": "", "method": "remainder"}]},
    ]  # fmt: skip
    assert [plain_action(action) for action in actions_of(plain)] == plain


def test_trees_nest() -> None:
    said = {"field": "direction", "op": "equals", "value": "out"}
    not_said = {"none": [said]}
    for plain, holds in (
        ({"all": []}, True), ({"any": []}, False), ({"none": []}, True),
        ({"all": [said, {"any": [not_said, said]}]}, True),
        ({"none": [{"all": [said, not_said]}]}, True), ({"any": [not_said]}, False),
    ):  # fmt: skip
        condition = condition_of(plain)
        assert compiled(condition)(View(FACTS)) is holds
        assert plain_condition(condition) == plain


def test_an_effect_says_what_differs_by_whom_and_what_is_locked() -> None:
    every: dict[str, object] = {"all": []}
    tags = rule(every, {"op": "add_tags", "value": ["trip", "new"]}, continues=True)
    word = rule(
        {"field": "tags", "op": "equals", "value": "new"},
        to("Food:Out"), {"op": "set", "field": "merchant", "value": "Café"},
        {"op": "set", "field": "note", "value": "x"}, {"op": "skip_review"}, priority=1,
    )  # fmt: skip
    never = rule(every, to("Other"), priority=2)
    book = RuleBook.of([never, word, tags])
    effect = book.apply(attrs.evolve(FACTS, locked=frozenset({"note"})))
    assert effect.values == {"tags": ("new", "trip", "work"), "merchant": "Café"}
    assert effect.rules == (tags.id, word.id)
    assert effect.by == {"tags": tags.id, "merchant": word.id}
    assert effect.locked == {"note": word.id}
    assert effect.skip_review
    assert not book.apply(attrs.evolve(FACTS, locked=frozenset({"tags"}))).skip_review


def test_a_split_that_does_not_fit_splits_nothing_and_says_so() -> None:
    fixed = [{"category": name, "method": "fixed", "value": "-5.00"} for name in "AB"]
    fits = rule({"all": []}, {"op": "split", "value": fixed})
    effect = RuleBook.of([fits]).apply(FACTS)
    assert (effect.unfit, effect.split, effect.changes) == (fits.id, None, False)
    ten = attrs.evolve(FACTS, amount=Amount(-1000, EUR))
    assert [p.amount.units for p in RuleBook.of([fits]).apply(ten).split or ()] == [-500, -500]
    # Of an asset without cents, half a unit is no amount.
    yen = attrs.evolve(FACTS, amount=Amount(-11, currency("JPY")))
    odd = [{"category": name, "method": "fixed", "value": "-5.50"} for name in "AB"]
    assert RuleBook.of([rule({"all": []}, {"op": "split", "value": odd})]).apply(yen).unfit
    rest = [
        {"category": "A", "method": "fixed", "value": "-12.34"},
        {"category": "B", "method": "remainder"},
    ]
    whole = RuleBook.of([rule({"all": []}, {"op": "split", "value": rest})]).apply(FACTS)
    assert (whole.split, whole.values) == (None, {"category": "A"})
    pending = attrs.evolve(FACTS, booked=False)
    assert not RuleBook.of([fits]).apply(attrs.evolve(pending, amount=ten.amount)).changes


@given(
    units=st.integers(-(10**12), 10**12).filter(bool),
    fixed=st.lists(st.integers(-(10**6), 10**6), max_size=3),
    percents=st.lists(st.integers(1, 2_000), max_size=5),
    rests=st.integers(1, 4),
)
def test_a_split_loses_no_unit(
    units: int, fixed: list[int], percents: list[int], rests: int
) -> None:
    shares = [
        *({"category": "F", "method": "fixed", "value": Amount(n, EUR).text} for n in fixed),
        *({"category": "P", "method": "percent", "value": f"{n // 100}.{n % 100:02}"}
          for n in percents),
        *({"category": "R", "method": "remainder"} for _ in range(rests)),
    ]  # fmt: skip
    if len(shares) < 2:
        shares.append({"category": "R", "method": "remainder"})
    (split,) = actions_of([{"op": "split", "value": shares}])
    parts = split.divide(Amount(units, EUR))  # type: ignore[union-attr]  # it is a split
    assert parts is not None
    assert sum(part.amount.units for part in parts) == units
    left = units - sum(fixed)
    for part, percent in zip(parts[len(fixed) :], percents, strict=False):
        assert abs(part.amount.units * 10_000 - left * percent) < 10_000
    mirrored = [s | {"value": s["value"].removeprefix("-") if s["value"].startswith("-")
                     else f"-{s['value']}"} if s["method"] == "fixed" else s
                for s in shares]  # fmt: skip
    (back,) = actions_of([{"op": "split", "value": mirrored}])
    negative = back.divide(Amount(-units, EUR))  # type: ignore[union-attr]  # it is a split
    assert [p.amount.units for p in negative or ()] == [-p.amount.units for p in parts]


words = st.sampled_from(["market", "mar", "tea", "café", "ab", "7"])
leaves = st.builds(
    lambda field, op, value: {"field": field, "op": op, "value": value},
    st.sampled_from(["description", "counterparty", "merchant"]),
    st.sampled_from(["contains", "starts", "ends", "equals", "not_contains"]),
    words,
)
trees = st.recursive(
    leaves,
    lambda inner: st.builds(
        lambda kind, parts: {kind: parts},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)


@given(
    drawn=st.lists(st.tuples(trees, st.booleans(), words), min_size=13, max_size=25),
    texts=st.lists(st.lists(words, max_size=3).map(" ".join), min_size=3, max_size=3),
)
def test_the_index_changes_nothing(
    drawn: Sequence[tuple[object, bool, str]], texts: list[str]
) -> None:
    rules = [
        rule(condition, {"op": "append", "field": "description", "value": word},
             {"op": "add_tags", "value": [str(n)]}, continues=goes, priority=n)
        for n, (condition, goes, word) in enumerate(drawn)
    ]  # fmt: skip
    facts = attrs.evolve(FACTS, description=texts[0], counterparty=texts[1], merchant=texts[2])
    book = RuleBook.of(rules)
    assert book._index is not None
    assert book.apply(facts) == attrs.evolve(book, index=None).apply(facts)
    for each in rules:
        wanted = needles(each.condition)
        if compiled(each.condition)(View(facts)) and wanted is not None:
            assert any(text in getattr(View(facts), field) for field, text in wanted)


# --- patterns ---

EVIL = [
    ("(a+)+$", "a" * 4_000 + "!"),
    ("^(a|a)*$", "a" * 4_000 + "!"),
    ("(a|aa)+$", "a" * 4_000 + "!"),
    ("^([a-zA-Z]+)*$", "a" * 4_000 + "!"),
    ("(.*)*x", "a" * 4_000),
    (".*.*.*.*=.*", "a" * 4_000),
    ("(x+x+)+y", "x" * 4_000),
    (r"^(\w+\s?)*$", "word " * 800 + "!"),
    (r"(\d+)*[^\d]$", "1" * 4_000),
    ("(a?){60}a{60}", "a" * 59),
    ("^(([a-z])+.)+[0-9]([a-z])+$", "a" * 4_000),
    (r"^([\w.-])+@(([\w-])+\.)+\w{2,4}$", "a@" + "a." * 1_900 + "!"),
    ("((a{0,5}){0,5}){0,5}b", "a" * 4_000),
]


@pytest.mark.spec("S3-20", partial=True)
@pytest.mark.timeout(20)
@pytest.mark.parametrize(("pattern", "text"), EVIL)
def test_no_pattern_hangs(pattern: str, text: str) -> None:
    """The standard library's engine takes minutes to ages for most of them."""
    assert not Pattern(pattern).search(text)


@pytest.mark.timeout(60)
def test_a_pattern_that_is_always_new_costs_no_more_memory() -> None:
    chance = random.Random(1)
    pattern = Pattern("(a|b)*c(a|b|c){12}d")
    for _ in range(40):
        pattern.search("".join(chance.choice("abc") for _ in range(4_000)))
    assert sum(len(state.after) for state in pattern._states.values()) <= 21_000


def test_patterns_that_could_take_forever_or_mean_nothing_are_refused() -> None:
    for text in ("(a", "a)", "[a", "*a", "a**", "a*+", r"(a)\1", "(?=a)", "(?!a)", "(?<=a)b",
                 "(?>a)", "a{3,2}", "[z-a]", "\\", r"\q", r"\x1", "(" * 21 + ")" * 21, "x" * 201,
                 f"a{{{MAX_NODES + 1}}}", "(a{50}){50}", "^*", "(?i", "(?P<name"):  # fmt: skip
        with pytest.raises(Refusal) as refused:
            Pattern(text)
        assert refused.value.code == "BAD_PATTERN", text


atoms = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "^", "$", r"\b", r"\B", "(a|b)",
                         "(?:bc)", r"\d", " ", r"\w", "(b|)", "[b-c1]"])  # fmt: skip
counts = st.sampled_from(["", "", "*", "+", "?", "{1,2}", "{2}", "*?", "{,2}", "{1,}"])


@given(
    pieces=st.lists(st.tuples(atoms, counts), min_size=1, max_size=5),
    text=st.text("abcA1_ ", min_size=1, max_size=8),
)
def test_patterns_mean_what_they_mean_elsewhere(pieces: list[tuple[str, str]], text: str) -> None:
    pattern = "".join(atom + count for atom, count in pieces)
    try:
        mine = Pattern(pattern)
    except Refusal:
        return
    assert mine.search(text) is bool(re.search(pattern, text, re.IGNORECASE))
