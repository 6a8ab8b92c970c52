"""Rules over real books: previews that write nothing, runs, and their exact undoing."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from finora import (
    Account,
    Amount,
    Finora,
    NewRecord,
    Record,
    RecordChange,
    RecordFilter,
    Refusal,
    Scope,
    currency,
)
from finora_core.categories.rules.actions import actions_of
from finora_core.categories.rules.conditions import condition_of
from finora_core.categories.rules.model import ChangeKind, Rule, RuleGroup, RuleRun, RunFilter
from finora_core.jobs.model import Job
from finora_core.kernel.ids import new_id
from finora_core.records.model import Part

EUR = currency("EUR")


def rule(condition: object, *actions: object, **more: Any) -> Rule:
    return Rule(
        **{"id": new_id(), "name": "a rule"}
        | more
        | {"condition": condition_of(condition), "actions": actions_of(list(actions))}
    )


def has(text: str, field: str = "description") -> dict[str, object]:
    return {"field": field, "op": "contains", "value": text}


def to(category: str) -> dict[str, object]:
    return {"op": "set", "field": "category", "value": category}


@attrs.frozen
class Home:
    """A tenant with an account."""

    finora: Finora
    scope: Scope
    account: Account

    def enter(self, units: int, text: str, day: int = 1, **more: str) -> UUID:
        new = NewRecord(
            account_id=self.account.id,
            on_date=date(2026, 1, day),
            amount=Amount(units, EUR),
            description=text,
            **more,
        )
        return self.finora.records.create(self.scope, new).id

    def add(self, *rules: Rule) -> None:
        for each in rules:
            self.finora.rules.create(self.scope, each)

    def get(self, record_id: UUID) -> Record:
        return self.finora.records.get(self.scope, record_id)

    def said(self) -> dict[UUID, tuple[object, ...]]:
        """Everything that rules can change, of every record."""
        page = self.finora.records.list(self.scope, RecordFilter(), limit=1000)
        return {
            r.id: (r.category, r.parts, r.tags, r.note, r.merchant, r.description)
            for r in page.items
        }

    def run(self, wanted: RunFilter | None = None, **more: Any) -> RuleRun:
        return done(self.finora.run_rules(self.scope, wanted, **more))

    def undo(self, run: RuleRun) -> RuleRun:
        return done(self.finora.undo_rules(self.scope, run.id))

    def changed(self, run: RuleRun, kind: ChangeKind) -> list[tuple[UUID, str]]:
        page = self.finora.rules.run_changes(self.scope, run.id, kind=kind, limit=1000)
        return [(change.record_id, change.field) for _, change in page.items]


def done(run: RuleRun | Job) -> RuleRun:
    assert isinstance(run, RuleRun), run
    return run


@pytest.fixture
def home(finora: Finora, scope: Scope) -> Home:
    return Home(finora, scope, finora.ledger.open_account(scope, "Giro", asset="EUR"))


@pytest.mark.spec("S3-19")
def test_a_preview_writes_nothing_and_is_what_the_run_then_does(home: Home) -> None:
    coffee = home.enter(-350, "COFFEE 17", 3)
    tea = home.enter(-250, "Tea house", 2, category="Food:Tea")
    home.enter(-990, "Cinema", 1)
    shop = rule(
        {"any": [has("coffee"), has("TEA")]},
        to("Food"), {"op": "add_tags", "value": ["drinks"]},
    )  # fmt: skip
    before = home.said()
    seen = home.finora.rules.preview(home.scope, draft=shop)
    assert (seen.examined, seen.matched, seen.changed, seen.locked) == (3, 2, 2, 1)
    assert [item.id for item in seen.items] == [coffee, tea]
    shown = [(c.field, c.before, c.after, c.locked) for c in seen.items[0].changes]
    assert shown == [("category", "", "Food", False), ("tags", [], ["drinks"], False)]
    locked = [(c.field, c.before, c.locked) for c in seen.items[1].changes]
    assert locked == [("tags", [], False), ("category", "Food:Tea", True)]
    assert home.said() == before
    assert home.finora.rules.preview(home.scope, draft=shop, last=1).examined == 1
    first = home.finora.rules.preview(home.scope, draft=shop, limit=1)
    rest = home.finora.rules.preview(home.scope, draft=shop, limit=1, cursor=first.next)
    assert [item.id for item in (*first.items, *rest.items)] == [coffee, tea]
    assert rest.next is None

    home.add(shop)
    run = home.run()
    assert (run.examined, run.matched, run.changed, run.locked) == (3, 2, 3, 1)
    assert home.get(coffee).category == "Food"
    assert home.get(tea).category == "Food:Tea"
    assert home.changed(run, ChangeKind.LOCKED) == [(tea, "category")]
    kept = home.finora.rules.get(home.scope, shop.id)
    assert (kept.hits, kept.overridden) == (2, 0)
    assert kept.last_hit_at is not None
    home.finora.records.categorise(home.scope, coffee, "Work")
    assert home.finora.rules.get(home.scope, shop.id).overridden == 1
    assert home.run().changed == 0


@pytest.mark.spec("S3-20")
def test_a_run_over_some_days_is_undone_but_for_what_a_person_changed_since(home: Home) -> None:
    one, two, three = (home.enter(-1_000, f"Market {day}", day) for day in (1, 2, 3))
    home.add(
        rule(
            has("market"),
            {"op": "split", "value": [
                {"category": "Food", "method": "percent", "value": "33.33"},
                {"category": "Home", "method": "remainder"}]},
            {"op": "set", "field": "merchant", "value": "Market"},
            {"op": "append", "field": "note", "value": "weekly"},
        )
    )  # fmt: skip
    before = home.said()
    run = home.run(RunFilter(since=date(2026, 1, 2)))
    assert run.changed == 6
    assert home.get(two).parts == (
        Part("Food", Amount(-333, EUR)), Part("Home", Amount(-667, EUR)))  # fmt: skip
    assert home.get(one).parts == ()
    home.finora.records.change(home.scope, three, RecordChange(note="mine"))
    home.finora.records.categorise(home.scope, two, "Food")
    undone = home.undo(run)
    assert (undone.restored, undone.kept) == (4, 2)
    assert home.changed(run, ChangeKind.KEPT) == sorted([(two, "category"), (three, "note")])
    after = home.said()
    assert after[one] == before[one]
    assert after[two] == ("Food", *before[two][1:])
    assert after[three] == (*before[three][:3], "mine", *before[three][4:])
    with pytest.raises(Refusal) as refused:
        home.finora.rules.ask_undo(home.scope, run.id)
    assert refused.value.code == "RULE_RUN_UNDONE"


TEXTS = ("coffee bar", "tea house", "cinema", "market")
conditions = st.one_of(
    st.sampled_from(TEXTS).map(has),
    st.sampled_from(["Food", "Fun"]).map(lambda name: has(name, "category")),
    st.sampled_from(["a", "b"]).map(lambda tag: {"field": "tags", "op": "equals", "value": tag}),
    st.just({"all": []}),
)
actions = st.one_of(
    st.sampled_from(["Food", "Fun:Film", ""]).map(to),
    st.lists(st.sampled_from("abc"), min_size=1).map(lambda t: {"op": "add_tags", "value": t}),
    st.sampled_from("ab").map(lambda tag: {"op": "remove_tags", "value": [tag]}),
    st.just({"op": "clear_tags"}),
    st.sampled_from(["note", "merchant", "description"]).map(
        lambda field: {"op": "set", "field": field, "value": f"new {field}"}
    ),
    st.sampled_from(["append", "prepend"]).map(
        lambda op: {"op": op, "field": "note", "value": "!"}
    ),
    st.integers(1, 99).map(
        lambda percent: {"op": "split", "value": [
            {"category": "P", "method": "percent", "value": str(percent)},
            {"category": "R", "method": "remainder"}]}
    ),
)  # fmt: skip
edits = st.sampled_from(["category", "split", "note", "tags", "merchant", "description"])


@pytest.mark.spec("S3-20", partial=True)
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    drawn=st.lists(
        st.tuples(conditions, st.lists(actions, min_size=1, max_size=3), st.booleans()),
        min_size=1, max_size=5,
    ),
    earlier=st.lists(st.tuples(st.integers(0, 5), edits), max_size=3),
    later=st.lists(st.tuples(st.integers(0, 5), edits), max_size=4),
)  # fmt: skip
def test_undoing_restores_every_touched_field_but_what_people_changed(
    finora: Finora,
    drawn: Sequence[tuple[object, Sequence[object], bool]],
    earlier: Sequence[tuple[int, str]],
    later: Sequence[tuple[int, str]],
) -> None:
    scope = finora.scope(tenant=f"t-{new_id()}", user="u1")
    home = Home(finora, scope, finora.ledger.open_account(scope, "Giro", asset="EUR"))
    records = [home.enter(-997, TEXTS[place % 4], place + 1) for place in range(6)]
    for place, field in earlier:
        edit(home, records[place], field, "earlier")
    home.add(*(rule(c, *does, continues=goes, priority=n)
               for n, (c, does, goes) in enumerate(drawn)))  # fmt: skip
    before = home.said()
    run = home.run()
    written = home.said()
    touched = set(home.changed(run, ChangeKind.CHANGED))
    assert {key for key in before if before[key] != written[key]} == {key for key, _ in touched}
    locked = {(records[place], field_of(field)) for place, field in earlier}
    assert not touched & locked
    assert set(home.changed(run, ChangeKind.LOCKED)) <= locked
    for place, field in later:
        edit(home, records[place], field, "later")
    people = {(records[place], field_of(field)) for place, field in later}
    edited = home.said()
    undone = home.undo(run)
    assert undone.restored + undone.kept == len(touched) == run.changed
    assert set(home.changed(run, ChangeKind.KEPT)) == touched & people
    after = home.said()
    for record in records:
        for field, places in PLACES.items():
            wanted = edited if (record, field) in people else before
            assert [after[record][n] for n in places] == [wanted[record][n] for n in places]


PLACES = {"category": (0, 1), "tags": (2,), "note": (3,), "merchant": (4,), "description": (5,)}


def field_of(edit: str) -> str:
    return "category" if edit == "split" else edit


def edit(home: Home, record_id: UUID, field: str, word: str) -> None:
    records, scope = home.finora.records, home.scope
    match field:
        case "category":
            records.categorise(scope, record_id, word)
        case "split":
            parts = [Part(word, Amount(-1, EUR)), Part("rest", Amount(-996, EUR))]
            records.split(scope, record_id, parts)
        case "tags":
            records.change(scope, record_id, RecordChange(tags=(word,)))
        case _:
            records.change(scope, record_id, RecordChange(**{field: word}))


def test_order_groups_and_stops(home: Home) -> None:
    record = home.enter(-100, "everything")
    every: dict[str, object] = {"all": []}

    def tag(name: str, **more: Any) -> Rule:
        return rule(every, {"op": "add_tags", "value": [name]}, **more)

    first, second = (RuleGroup(id=new_id(), name=n, priority=p, stop=s)
                     for n, p, s in (("one", 1, False), ("two", 2, True)))  # fmt: skip
    third = RuleGroup(id=new_id(), name="three", priority=3)
    for group in (third, second, first):
        home.finora.rules.create_group(home.scope, group)
    home.add(
        tag("alone", continues=True, priority=9),
        tag("a", group_id=first.id, priority=1),
        tag("never", group_id=first.id, priority=2),
        tag("c", group_id=second.id, priority=2),
        tag("b", group_id=second.id, priority=1, continues=True),
        tag("nor", group_id=third.id),
        tag("off", active=False),
    )
    home.run()
    assert home.get(record).tags == ("a", "alone", "b", "c")
    names = [each.actions for each in home.finora.rules.list(home.scope).items]
    assert len(names) == 7
    page = home.finora.rules.list(home.scope, limit=3)
    rest = home.finora.rules.list(home.scope, cursor=page.next)
    assert [each.actions for each in (*page.items, *rest.items)] == names
    home.finora.rules.remove_group(home.scope, first.id)
    order = [each.id for each in home.finora.rules.list(home.scope).items][:4]
    again = home.finora.rules.reorder(home.scope, order[::-1])
    assert [each.id for each in again][:4] == order[::-1]
    with pytest.raises(Refusal) as refused:
        home.finora.rules.create_group(home.scope, attrs.evolve(third, id=new_id()))
    assert refused.value.code == "RULE_GROUP_EXISTS"


def test_a_run_that_was_broken_off_goes_on_and_one_that_is_undone_stops(home: Home) -> None:
    records = [home.enter(-100, "market", 1 + n % 28) for n in range(4)]
    home.add(rule(has("market"), to("Food")))
    rules = home.finora.rules
    run, _ = rules.apply(home.scope)
    told: list[tuple[int, int | None]] = []
    payload = {"run": str(run.id)}
    book = rules.get_run(home.scope, run.id)
    assert book.rules == 1
    rules.ask_undo(home.scope, run.id)
    stopped = rules.run(home.scope, payload, lambda done, total=None: told.append((done, total)))
    assert (stopped.state, stopped.examined) == ("undoing", 0)
    assert rules.undo(home.scope, payload, lambda done, total=None: None).state == "undone"
    assert all(home.get(each).category == "" for each in records)
    home.finora.run_jobs()


def test_another_tenant_sees_none_of_it(home: Home, stranger: Scope) -> None:
    made = rule(has("x"), to("Food"))
    home.add(made)
    home.enter(-1, "x")
    run = home.run()
    rules = home.finora.rules
    for ask in (
        lambda: rules.get(stranger, made.id),
        lambda: rules.get_run(stranger, run.id),
        lambda: rules.ask_undo(stranger, run.id),
        lambda: rules.remove(stranger, made.id),
    ):
        with pytest.raises(Refusal) as refused:
            ask()
        assert refused.value.code in ("RULE_NOT_FOUND", "RULE_RUN_NOT_FOUND")
    assert rules.list(stranger).items == ()


def test_the_list_of_categories_knows_what_is_used(home: Home) -> None:
    record = home.enter(-100, "x", category="Food:Tea")
    home.finora.records.split(
        home.scope, record, [Part("Home", Amount(-1, EUR)), Part("Fun", Amount(-99, EUR))]
    )
    made = home.finora.categories.create(home.scope, " Food : Wine ", "rarely")
    assert (made.name, made.parent, made.note) == ("Food:Wine", "Food", "rarely")
    names = [each.name for each in home.finora.categories.list(home.scope).items]
    assert names == ["Food:Tea", "Food:Wine", "Fun", "Home"]
    home.finora.categories.archive(home.scope, "Fun")
    page = home.finora.categories.list(home.scope, limit=2)
    rest = home.finora.categories.list(home.scope, cursor=page.next)
    assert [each.name for each in (*page.items, *rest.items)] == ["Food:Tea", "Food:Wine", "Home"]
    for act, code in (
        (lambda: home.finora.categories.create(home.scope, "Fun"), "CATEGORY_EXISTS"),
        (lambda: home.finora.categories.create(home.scope, "A::B"), "BAD_CATEGORY"),
        (lambda: home.finora.categories.archive(home.scope, "Nope"), "CATEGORY_NOT_FOUND"),
    ):
        with pytest.raises(Refusal) as refused:
            act()
        assert refused.value.code == code
