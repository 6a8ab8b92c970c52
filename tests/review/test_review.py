"""What reviewers do with what became of records by itself."""

from datetime import date
from uuid import uuid4

import attrs
import pytest
from sqlalchemy import Engine, text

from finora import Amount, Finora, Record, RecordChange, RecordFilter, Refusal, Scope, currency
from finora_adapters.postgres.work import Postgres
from finora_core.categories.approvals.model import BulkAction, Proposal
from finora_core.categories.pipeline.model import Guess
from finora_core.categories.rules import conditions
from finora_core.categories.rules.actions import Tags
from finora_core.categories.rules.model import Rule, RuleRun
from finora_core.records.model import SURE, Part, Status
from finora_web.api.table import ENDPOINTS
from review.conftest import Enter, Oracle, Process, merchant_rules
from together import errors, together


@pytest.fixture
def colleague(finora: Finora, scope: Scope, admin: Engine) -> Scope:
    """Another member of the tenant."""
    return attrs.evolve(scope, user_id=uuid4())


def hints(**confidences: int) -> Oracle:
    return Oracle({
        name: Guess(category="Food", confidence=confidence)
        for name, confidence in confidences.items()
    })  # fmt: skip


def types(admin: Engine, scope: Scope) -> list[str]:
    with admin.connect() as connection:
        query = text("select type from finora.event where tenant_id = :t order by tx, id")
        return list(connection.scalars(query, {"t": scope.tenant_id}))


@pytest.mark.spec("S3-30", partial=True)
def test_the_queue_shows_the_least_certain_first_then_the_oldest(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """A page at a time, each once."""
    for day, name in enumerate(("a", "b", "c", "d", "e"), start=1):
        enter(name, day=6 - day)
    process(similar=hints(a=9_000, b=8_200, c=8_200, e=9_500))
    seen: list[str] = []
    cursor = None
    while True:
        page = finora.review.queue(scope, cursor=cursor, limit=1)
        seen += [record.description for record in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == ["d", "c", "b", "a"]


@pytest.mark.spec("S3-16", partial=True)
def test_records_are_filtered_by_status_and_confidence(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    for day, name in enumerate(("a", "b", "c"), start=1):
        enter(name, day=day)
    process(similar=hints(a=9_500, b=8_200))

    def found(**wanted: object) -> set[str]:
        page = finora.records.list(scope, RecordFilter(**wanted))  # type: ignore[arg-type]  # spread
        return {record.description for record in page.items}

    assert found(status=Status.NEEDS_REVIEW) == {"b", "c"}
    assert found(least_confidence=8_200) == {"a", "b"}
    assert found(most_confidence=9_000, status=Status.NEEDS_REVIEW) == {"b", "c"}


@pytest.mark.spec("S3-30", partial=True)
@pytest.mark.spec("S3-32", partial=True)
def test_approving_makes_the_suggestion_the_category(
    finora: Finora, scope: Scope, enter: Enter, process: Process, admin: Engine
) -> None:
    """It is a person's from then on; the event names the program that acted."""
    record = enter("a")
    process(similar=hints(a=8_200))
    approved = finora.review.approve(attrs.evolve(scope, source_agent="desk:1"), record.id)
    assert (approved.category, approved.status, approved.suggested, approved.decisions) == (
        "Food", Status.APPROVED, "", 2,
    )  # fmt: skip
    said = finora.records.detail(scope, record.id).reasoning_trace
    assert [(each.source, each.verdict, each.number) for each in said] == [
        ("similar", "suggested", 1), ("human", "approved", 2),
    ]  # fmt: skip
    assert said[1].decided_by == scope.user_id and said[1].decided_at is not None
    with admin.connect() as connection:
        query = text("select payload, source_agent from finora.event where tenant_id = :t "
                     "and type = 'record.approved'")  # fmt: skip
        [(payload, agent)] = connection.execute(query, {"t": scope.tenant_id})
    assert (payload, agent) == ({"record": str(record.id)}, "desk:1")


def test_what_was_decided_alone_can_be_approved_too_and_nothing_cannot(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    sure, nothing = enter("a"), enter("b", day=2)
    process(similar=hints(a=9_500))
    assert finora.review.approve(scope, sure.id).status is Status.APPROVED
    with pytest.raises(Refusal) as refusal:
        finora.review.approve(scope, nothing.id)
    assert refusal.value.code == "NOTHING_SUGGESTED"
    finora.records.delete(scope, nothing.id)
    with pytest.raises(Refusal) as refusal:
        finora.review.override(scope, nothing.id, "Food")
    assert refusal.value.code == "RECORD_VOID"


@pytest.mark.spec("S3-30")
@pytest.mark.spec("S3-31", partial=True)
def test_overriding_keeps_the_note_and_proposes_a_rule(
    finora: Finora, scope: Scope, enter: Enter, process: Process, admin: Engine
) -> None:
    """The rule is made on request only."""
    record = enter("Rewe 17")
    process()
    done = finora.review.override(scope, record.id, " Food ", note="the party")
    assert (done.record.category, done.record.status) == ("Food", Status.OVERRIDDEN)
    assert done.proposal == Proposal(merchant_key="REWE", direction="out", category="Food")
    assert done.rule_id is None and "rule.created" not in types(admin, scope)
    assert finora.records.detail(scope, record.id).reasoning_trace[-1].note == "the party"
    with pytest.raises(Refusal) as refusal:
        finora.review.override(scope, record.id, "x" * 201, seen=2)
    assert refusal.value.code == "BAD_CATEGORY"


@pytest.mark.spec("S3-31")
def test_a_proposed_rule_is_made_with_the_correction(
    finora: Finora, scope: Scope, enter: Enter, process: Process, admin: Engine
) -> None:
    """It decides the next record of the merchant in that direction, and says that it was made."""
    record = enter("Rewe 17")
    process()
    done = finora.review.override(scope, record.id, "Food", make_rule=True)
    assert done.rule_id is not None and "rule.created" in types(admin, scope)
    paid, got = enter("Rewe 18", day=2), enter("Rewe 18", "3.00", day=3)
    process()
    [said] = finora.records.detail(scope, paid.id).reasoning_trace
    assert (said.source, said.rule_id, said.category) == ("rule", done.rule_id, "Food")
    assert finora.records.get(scope, got.id).category == ""
    assert finora.rules.get(scope, done.rule_id).hits == 1


def test_a_rule_from_a_correction_outranks_the_one_that_was_wrong(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """It is asked first and ends the asking. Where no rule was wrong, the others still act. The
    second correction of a merchant changes the rule of the first."""
    wrong, tagging = uuid4(), uuid4()
    process(merchant_rules({"REWE": ("Food", wrong)}))
    finora.rules.create(
        scope,
        Rule(id=tagging, name="t", condition=conditions.Test("direction", "equals", "out"),
             actions=(Tags(("spent",), add=True),), continues=True),
    )  # fmt: skip
    one, other = enter("Rewe 1"), enter("Shell", day=2)
    process()
    assert finora.records.get(scope, one.id).category == "Food"
    first = finora.review.override(scope, one.id, "Gifts", make_rule=True)
    second = finora.review.override(scope, other.id, "Car", make_rule=True)
    assert finora.rules.get(scope, wrong).overridden == 1
    rewe, shell = enter("Rewe 2", day=3), enter("Shell", day=4)
    process()
    rewe, shell = (finora.records.get(scope, each.id) for each in (rewe, shell))
    assert (rewe.category, shell.category, shell.tags) == ("Gifts", "Car", ("spent",))
    again = finora.review.override(scope, shell.id, "Car:Fuel", make_rule=True)
    assert again.rule_id == second.rule_id != first.rule_id
    assert len(finora.rules.list(scope).items) == 4


def test_what_a_person_decided_is_locked_until_they_hand_it_back(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """Approved, overridden or divided. Unlocked, it is judged again and teaches nothing."""
    one, two, three = enter("a"), enter("b", day=2), enter("c", day=3)
    process(similar=hints(a=8_200))
    finora.review.approve(scope, one.id)
    finora.review.override(scope, two.id, "Rent")
    half = Amount(-250, currency("EUR"))
    finora.records.split(scope, three.id, (Part("Food", half), Part("Home", half)))
    found = [finora.records.get(scope, each.id) for each in (one, two, three)]
    assert [each.locked for each in found] == [("category",)] * 3
    assert [each.status for each in found] == ["approved", "overridden", "overridden"]
    assert trace_of(finora, scope, three) == ["NOTHING_LIKE_IT", ""]
    finora.records.unlock(scope, two.id, ["category"])
    two = finora.records.get(scope, two.id)
    assert (two.status, two.category, two.locked) == (Status.PROCESSED, "Rent", ())
    fresh = enter("b", day=4)
    process()
    assert finora.records.get(scope, fresh.id).category == ""
    finora.pipeline.reprocess(scope)
    process(merchant_rules({"B": ("Food", uuid4()), "C": ("Food", uuid4())}))
    found = [finora.records.get(scope, each.id) for each in (one, two, three)]
    assert [each.category for each in found] == ["Food", "Food", ""]
    assert [part.category for part in found[2].parts] == ["Food", "Home"]


def test_a_run_of_rules_over_the_past_is_in_the_trace_and_so_is_its_undoing(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """It takes records out of the queue, and undone they are back; a person's stay."""
    mine, waits = enter("Rewe 1"), enter("Rewe 2", day=2)
    process()
    finora.review.override(scope, mine.id, "Gifts")
    rule = merchant_rules({"REWE": ("Food", uuid4())})[0]
    finora.rules.create(scope, rule)
    run = finora.run_rules(scope)
    assert isinstance(run, RuleRun)
    found = finora.records.get(scope, waits.id)
    assert (found.category, found.status, found.confidence) == ("Food", Status.PROCESSED, SURE)
    assert trace_of(finora, scope, waits) == ["NOTHING_LIKE_IT", "RULE_RUN"]
    assert finora.records.detail(scope, waits.id).reasoning_trace[-1].rule_id == rule.id
    assert finora.records.get(scope, mine.id).category == "Gifts"
    finora.undo_rules(scope, run.id)
    found = finora.records.get(scope, waits.id)
    assert (found.category, found.status) == ("", Status.NEEDS_REVIEW)
    assert trace_of(finora, scope, waits)[-1] == "RULE_RUN_UNDONE"


def trace_of(finora: Finora, scope: Scope, record: Record) -> list[str]:
    return [each.rationale for each in finora.records.detail(scope, record.id).reasoning_trace]


@pytest.mark.spec("S3-32")
def test_of_two_reviewers_the_second_is_told(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """Whatever the two do, and however close: eight at once, one wins."""
    first, second = enter("a"), enter("b", day=2)
    process(similar=hints(a=8_200, b=8_200))
    review = finora.review
    done = together(*[lambda: review.approve(scope, first.id) for _ in range(8)])
    assert len(errors(done)) == 7
    assert {error.code for error in errors(done)} == {"ILLEGAL_STATUS"}  # type: ignore[attr-defined]  # refusals
    done = together(*[
        lambda name=name: review.override(scope, second.id, name) for name in "abcdefgh"
    ])  # type: ignore[misc]  # bound at once  # fmt: skip
    assert len(errors(done)) == 7
    assert {error.code for error in errors(done)} == {"ALREADY_REVIEWED"}  # type: ignore[attr-defined]  # refusals
    assert len(finora.records.detail(scope, second.id).reasoning_trace) == 2
    with pytest.raises(Refusal) as refusal:
        review.override(scope, second.id, "Rent", seen=1)
    assert refusal.value.code == "ALREADY_REVIEWED"
    assert review.override(scope, second.id, "Rent", seen=2).record.category == "Rent"


@pytest.mark.spec("S3-16")
@pytest.mark.spec("S3-30", partial=True)
def test_in_bulk_each_record_has_its_own_outcome(
    finora: Finora, scope: Scope, stranger: Scope, enter: Enter, process: Process
) -> None:
    good, done, empty = enter("a"), enter("b", day=2), enter("c", day=3)
    process(similar=hints(a=8_200, b=8_200))
    finora.review.approve(scope, done.id)
    ids = [good.id, done.id, empty.id, uuid4()]
    found = finora.review.bulk(scope, BulkAction.APPROVE, ids)
    assert [each.id for each in found] == ids
    assert [each.code for each in found] == [
        None, "ILLEGAL_STATUS", "NOTHING_SUGGESTED", "RECORD_NOT_FOUND",
    ]  # fmt: skip
    assert found[0].record is not None and found[0].record.category == "Food"
    found = finora.review.bulk(scope, BulkAction.OVERRIDE, [empty.id], category="Rent")
    assert finora.records.get(scope, empty.id).category == "Rent"
    assert [each.code for each in finora.review.bulk(stranger, BulkAction.APPROVE, [good.id])] == [
        "RECORD_NOT_FOUND"
    ]
    for ids, category in (([], None), ([good.id] * 2, None), ([uuid4() for _ in range(501)], None),
                          ([good.id], "Food")):  # fmt: skip
        with pytest.raises(Refusal) as refusal:
            finora.review.bulk(scope, BulkAction.APPROVE, ids, category=category)
        assert refusal.value.code in ("TOO_MANY_RECORDS", "BAD_RECORD")


def test_five_hundred_are_approved_at_once(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    made = [enter("a", f"-{n}.00") for n in range(1, 501)]
    process(similar=hints(a=8_200))
    found = finora.review.bulk(scope, BulkAction.APPROVE, [record.id for record in made])
    assert all(each.ok for each in found) and len(found) == 500


def test_who_brought_a_record_in_does_not_approve_it_where_duties_are_separate(
    finora: Finora, scope: Scope, colleague: Scope, enter: Enter, process: Process
) -> None:
    """Alone, in bulk, by category, or by entering it with one: another member has to."""
    finora.review.change_settings(scope, separate_duties=True)
    record, given = enter("a"), enter("b", day=2, category="Gifts")
    process(similar=hints(a=8_200))
    assert finora.records.get(scope, given.id).status is Status.NEEDS_REVIEW
    review = finora.review
    for act in (
        lambda: review.approve(scope, record.id),
        lambda: review.override(scope, record.id, "Food"),
        lambda: finora.records.categorise(scope, record.id, "Food"),
        lambda: review.approve(scope, given.id),
    ):
        with pytest.raises(Refusal) as refusal:
            act()
        assert refusal.value.code == "SEPARATION_OF_DUTIES"
    [outcome] = review.bulk(scope, BulkAction.APPROVE, [record.id])
    assert outcome.code == "SEPARATION_OF_DUTIES"
    assert review.approve(colleague, record.id).status is Status.APPROVED
    assert review.approve(colleague, given.id).category == "Gifts"


@pytest.mark.spec("S2-46", partial=True)
def test_what_may_ask_a_model_is_limited_by_the_hour() -> None:
    assert {each.name for each in ENDPOINTS if each.limit == "ai"} == {
        "reprocess_record", "reprocess_records",
    }  # fmt: skip


def test_settings_are_the_tenants_and_checked(
    finora: Finora, scope: Scope, stranger: Scope
) -> None:
    changed = finora.review.change_settings(scope, similar_auto=9_900)
    assert finora.review.settings(scope) == changed and changed.similar_auto == 9_900
    assert finora.review.settings(stranger).similar_auto == 9_200
    with pytest.raises(Refusal) as refusal:
        finora.review.change_settings(scope, similar_suggested=9_950)
    assert refusal.value.code == "BAD_RECORD"


@pytest.mark.spec("S3-29")
def test_the_report_says_by_week_and_source_what_people_made_of_it(
    finora: Finora, scope: Scope, enter: Enter, process: Process, database: Postgres
) -> None:
    """Share decided alone, and share of those reviewed that got another category."""
    made: dict[str, Record] = {
        name: enter(name, day=day) for day, name in enumerate("abcd", start=1)
    }
    process(similar=hints(a=9_500, b=9_500, c=8_200, d=8_200))
    finora.review.approve(scope, made["a"].id)
    finora.review.override(scope, made["b"].id, "Rent")
    finora.review.approve(scope, made["c"].id)
    with database.begin(scope) as work:
        today = work.now.date()
    [row] = finora.review.accuracy(scope, today, today)
    assert row.week == date.fromordinal(today.toordinal() - today.weekday())
    assert (row.source, row.decided, row.auto, row.reviewed, row.overridden) == (
        "similar", 4, 2, 3, 1,
    )  # fmt: skip
    assert (row.auto_share, row.override_rate) == (5_000, 3_333)
    assert finora.review.accuracy(scope, date(2020, 1, 1), date(2020, 2, 1)) == []
    with pytest.raises(Refusal):
        finora.review.accuracy(scope, date(2020, 1, 1), date(2019, 1, 1))


def state(finora: Finora, scope: Scope, record: Record) -> tuple[object, ...]:
    """All that a decision changes, and the last reason."""
    now = finora.records.get(scope, record.id)
    trace = finora.records.detail(scope, record.id).reasoning_trace
    last = trace[-1] if trace else None
    said = last and attrs.evolve(last, number=0, decided_at=None)
    return attrs.evolve(now, decisions=0, flow=None), said


@pytest.mark.spec("S3-30", partial=True)
def test_a_decision_is_taken_back_to_the_state_before_it(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """Suggested, sure, unknown, divided or decided before; other fields stay as they are by now."""
    suggested, sure, nothing = enter("a"), enter("b", day=2), enter("c", day=3)
    process(similar=hints(a=8_200, b=9_500))
    review, records = finora.review, finora.records
    cent = Amount(-1, sure.amount.asset)
    acts = {
        "approve": lambda r: review.approve(scope, r.id),
        "override": lambda r: review.override(scope, r.id, "Else"),
        "divide": lambda r: records.split(
            scope, r.id, [Part("X", cent), Part("Y", r.amount - cent)]
        ),
        "categorise": lambda r: records.categorise(scope, r.id, "Mine"),
    }
    for record in (suggested, sure, nothing):
        for name, act in acts.items():
            if name == "approve" and record is nothing:
                continue
            was = state(finora, scope, record)
            act(record)
            assert state(finora, scope, record) != was
            back = review.take_back(scope, record.id)
            assert state(finora, scope, record) == was, name
            trace = records.detail(scope, record.id).reasoning_trace
            assert trace[-2].rationale == "TAKEN_BACK" and trace[-2].decided_by == scope.user_id
            assert [each.number for each in trace] == list(range(1, back.decisions + 1))
    # A person's word that another follows: one step, or all of one's own.
    first = records.get(scope, nothing.id).decisions
    clean = state(finora, scope, nothing)
    review.override(scope, nothing.id, "One")
    one = state(finora, scope, nothing)
    review.override(scope, nothing.id, "Two", seen=first + 1)
    review.take_back(scope, nothing.id)
    assert state(finora, scope, nothing) == one
    # What else was set since stays.
    records.change(scope, nothing.id, RecordChange(note="mine"))
    with pytest.raises(Refusal) as refusal:
        review.take_back(scope, nothing.id, before=first)
    assert refusal.value.code == "CHANGED_SINCE"  # what was taken back lies between
    review.take_back(scope, nothing.id)
    now, said = state(finora, scope, nothing)
    assert isinstance(now, Record) and isinstance(clean[0], Record)
    assert (now.note, now.status, now.category, said) == ("mine", Status.NEEDS_REVIEW, "", clean[1])
    assert "note" in now.locked and "category" not in now.locked


def test_what_somebody_else_said_is_not_taken_back(
    finora: Finora, scope: Scope, colleague: Scope, enter: Enter, process: Process
) -> None:
    record = enter("a")
    process(similar=hints(a=8_200))
    for act in (lambda: None, lambda: finora.review.approve(colleague, record.id)):
        act()
        with pytest.raises(Refusal) as refusal:
            finora.review.take_back(scope, record.id)
        assert refusal.value.code == "CHANGED_SINCE"
    finora.review.take_back(colleague, record.id)
    finora.review.approve(scope, record.id)
    finora.closings.close(scope, record.on_date)
    with pytest.raises(Refusal) as refusal:
        finora.review.take_back(scope, record.id)
    assert refusal.value.code == "PERIOD_CLOSED"


def test_of_two_who_take_back_one_does(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    record = enter("a")
    process(similar=hints(a=8_200))
    finora.review.approve(scope, record.id)
    found = together(*[lambda: finora.review.take_back(scope, record.id)] * 4)
    assert [getattr(each, "code", each) for each in errors(found)] == ["CHANGED_SINCE"] * 3
    [week] = [each for each in finora.review.accuracy(
        scope, date(2020, 1, 1), date(2029, 12, 31)) if each.source == "similar"]  # fmt: skip
    assert (week.decided, week.reviewed) == (1, 0)
