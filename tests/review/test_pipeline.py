"""Records on their way through the steps, on the real database."""

import io
import re
import time
from datetime import date
from uuid import uuid4

import attrs
import pytest
from sqlalchemy import Engine, text

from finora import (
    Account,
    Amount,
    Finora,
    ImportRequest,
    Job,
    NewRecord,
    Record,
    RecordFilter,
    Refusal,
    Scope,
    currency,
)
from finora_adapters.postgres.jobs import PgQueue
from finora_adapters.postgres.work import Postgres
from finora_core.categories.approvals.model import BulkAction
from finora_core.categories.pipeline.model import Guess
from finora_core.categories.pipeline.service import Classifiers, PipelineService
from finora_core.categories.rules import conditions
from finora_core.categories.rules.actions import Affix, Set, Share, SkipReview, Split, Tags
from finora_core.categories.rules.model import Rule
from finora_core.intelligence.model import Suggestion
from finora_core.kernel.outcome import Down, Ok, OverBudget, Partial
from finora_core.kernel.scope import Claim
from finora_core.kernel.work import StaleClaim
from finora_core.ledger.model import Flow
from finora_core.records.model import SURE, RecordChange, Status
from review.conftest import Enter, Oracle, Process, merchant_rules
from together import errors, together

EUR = currency("EUR")
RULE = uuid4()


def load(finora: Finora, scope: Scope, *lines: str, account: str = "Giro") -> None:
    content = "Date,Amount,Currency,Payee,Memo,Category\n" + "\n".join(lines) + "\n"
    result = finora.import_file(
        scope, io.BytesIO(content.encode()), ImportRequest(account=account), name="a.csv"
    )
    assert not isinstance(result, Job), result.message


def statuses(finora: Finora, scope: Scope) -> dict[str, str]:
    return {each.description: each.status.value for each in finora.records.list(scope).items}


def events(admin: Engine, scope: Scope, kind: str) -> list[dict[str, object]]:
    query = "select payload from finora.event where tenant_id = :t and type = :k order by tx, id"
    with admin.connect() as connection:
        return list(connection.scalars(text(query), {"t": scope.tenant_id, "k": kind}))


def trace(finora: Finora, scope: Scope, record: Record) -> list[tuple[str, str]]:
    said = finora.records.detail(scope, record.id).reasoning_trace
    return [(each.source.value, each.verdict.value) for each in said]


def put(admin: Engine, scope: Scope, change: str) -> None:
    with admin.begin() as connection:
        statement = f"update finora.job set {change} where tenant_id = :t and state <> 'done'"
        connection.execute(text(statement), {"t": scope.tenant_id})


@pytest.mark.spec("S3-21", partial=True)
@pytest.mark.spec("S3-15", partial=True)
@pytest.mark.spec("S2-29", partial=True)
def test_an_import_processes_itself_when_jobs_run(
    finora: Finora, scope: Scope, process: Process, admin: Engine
) -> None:
    """By rule, by its file, by what it resembles, by a model, or into review: each says why, and
    one event tells the counts and nothing else."""
    load(
        finora, scope, "2026-01-01,-5.00,EUR,Rewe 17,a,", "2026-01-02,-6.00,EUR,Shell,b,Car",
        "2026-01-03,-7.00,EUR,Lidl,c,", "2026-01-04,-8.00,EUR,Who,d,",
        "2026-01-05,-9.00,EUR,Netto,e,",
    )  # fmt: skip
    assert set(statuses(finora, scope).values()) == {"received"}
    similar = Oracle({"c": Guess(category="Food", confidence=9_500),
                      "e": Guess(category="Food", confidence=8_500)})  # fmt: skip
    model = Oracle({"d": Guess(category="Car", confidence=9_000)})
    process(merchant_rules({"REWE": ("Food", RULE)}), similar, model)
    found = {each.description: each for each in finora.records.list(scope).items}
    assert {name: (each.status.value, each.category, each.suggested) for name, each in
            found.items()} == {
        "a": ("processed", "Food", ""), "b": ("processed", "Car", ""),
        "c": ("processed", "Food", ""), "d": ("processed", "Car", ""),
        "e": ("needs_review", "", "Food"),
    }  # fmt: skip
    assert [trace(finora, scope, found[name]) for name in "abcde"] == [
        [("rule", "auto")], [("statement", "auto")], [("similar", "auto")], [("model", "auto")],
        [("similar", "suggested"), ("model", "none")],
    ]  # fmt: skip
    told = events(admin, scope, "records.processed")
    assert sum(int(str(each["records"])) for each in told) == 5
    assert all(type(value) is int for each in told for value in each.values())
    assert finora.records.detail(scope, found["a"].id).revisions == ()


@pytest.mark.spec("S2-29", partial=True)
def test_a_record_by_hand_gets_a_category_when_it_has_none(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """The one that a person gave stands, against rules too."""
    empty, given = enter(), enter(category="Gifts", day=2)
    process(merchant_rules({"REWE": ("Food", RULE)}))
    empty, given = (finora.records.get(scope, each.id) for each in (empty, given))
    assert (empty.category, empty.status) == ("Food", Status.PROCESSED)
    assert (given.category, given.status) == ("Gifts", Status.APPROVED)
    assert trace(finora, scope, given) == [("human", "approved")]


def test_all_that_a_rule_does_is_done_and_what_a_person_set_is_left(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """A split to the last unit, tags, merchant and note; hits are counted once. One whose split
    does not fit says so, and the record goes on to the next step. The same again does nothing."""
    halves = Split((Share("Food", "percent", "50"), Share("Home", "remainder")))
    rule = Rule(
        id=uuid4(), name="halves", condition=conditions.Test("description", "starts", "rewe"),
        actions=(halves, Tags(("shop",), add=True), Set("merchant", "REWE Markt"),
                 Affix("note", "seen")),
    )  # fmt: skip
    fixed = Split((Share("A", "fixed", "-1.00"), Share("B", "fixed", "-2.00")))
    unfit = Rule(
        id=uuid4(), name="unfit", actions=(fixed,),
        condition=conditions.Test("description", "equals", "lidl"),
    )  # fmt: skip
    one, two, three = enter("Rewe 1", "-5.01"), enter("Rewe 2", day=2), enter("Lidl", day=3)
    finora.records.change(scope, two.id, RecordChange(note="mine"))
    process([rule, unfit], Oracle({"Lidl": Guess(category="Food", confidence=9_500)}))
    one, two, three = (finora.records.get(scope, each.id) for each in (one, two, three))
    assert [(part.category, part.amount.units) for part in one.parts] in (
        [("Food", -251), ("Home", -250)], [("Food", -250), ("Home", -251)],
    )  # fmt: skip
    assert (one.status, one.tags, one.merchant, one.note) == (
        Status.PROCESSED, ("shop",), "REWE Markt", "seen",
    )  # fmt: skip
    assert (two.note, two.tags) == ("mine", ("shop",))
    assert trace(finora, scope, one) == [("rule", "auto")]
    assert trace(finora, scope, three) == [("rule", "none"), ("similar", "auto")]
    assert three.category == "Food"
    assert [finora.rules.get(scope, each.id).hits for each in (rule, unfit)] == [2, 1]
    finora.pipeline.reprocess(_next(scope), ids=[one.id, two.id])
    process()
    assert finora.rules.get(scope, rule.id).hits == 2
    assert finora.records.get(scope, one.id).decisions == 1
    approved = finora.review.approve(scope, one.id)
    assert (approved.status, len(approved.parts)) == (Status.APPROVED, 2)


def test_a_rule_keeps_what_nothing_is_sure_of_out_of_the_queue(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    record = enter()
    shop = conditions.Test("merchant_key", "equals", "rewe")
    process([Rule(id=uuid4(), name="skip", condition=shop, actions=(SkipReview(),))])
    assert finora.records.get(scope, record.id).status is Status.PROCESSED
    assert finora.review.queue(scope).items == ()


def test_both_ends_of_a_transfer_stay_without_a_category(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    other = finora.ledger.open_account(scope, "Savings", asset="EUR")
    load(finora, scope, "2026-01-01,-50.00,EUR,Me,transfer out,")
    load(finora, scope, "2026-01-01,50.00,EUR,Me,transfer in,", account=str(other.id))
    process(merchant_rules({"ME": ("Food", RULE)}))
    for each in finora.records.list(scope).items:
        assert (each.flow, each.category, each.status) == (Flow.TRANSFER, "", "processed")
        assert trace(finora, scope, each) == [("match", "auto")]


def test_a_transfer_said_by_a_person_leaves_the_queue(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """And comes back when they say that it is none."""
    other = finora.ledger.open_account(scope, "Savings", asset="EUR")
    one = enter("somewhere", "-9.00")
    two = finora.records.create(
        scope, attrs.evolve(_new(other), amount=Amount.parse("9.00", EUR))
    )  # fmt: skip
    process()
    assert len(finora.review.queue(scope).items) == 2
    again = attrs.evolve(scope, request_id="second")
    finora.records.link_transfer(again, one.id, two.id)
    process()
    assert finora.review.queue(scope).items == ()
    finora.records.link_transfer(attrs.evolve(scope, request_id="third"), one.id, two.id,
                                 linked=False)  # fmt: skip
    process()
    assert len(finora.review.queue(scope).items) == 2


def _new(account: Account) -> NewRecord:
    return NewRecord(account_id=account.id, on_date=date(2026, 1, 1),
                     amount=Amount.parse("1.00", EUR), description="x")  # fmt: skip


@pytest.mark.spec("S3-24", partial=True)
def test_a_correction_holds_for_the_merchant_until_another_says_otherwise(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """In its direction only; two that conflict send the next one to review. What automation
    decided by itself teaches nothing."""
    first = enter("Rewe 17")
    process()
    finora.review.override(scope, first.id, "Food")
    same, refund = enter("Rewe 99", day=2), enter("Rewe 17", "5.00", day=3)
    process()
    same, refund = (finora.records.get(scope, each.id) for each in (same, refund))
    assert (same.category, same.status, same.confidence) == ("Food", Status.PROCESSED, SURE)
    assert (refund.category, refund.status) == ("", Status.NEEDS_REVIEW)
    [said] = finora.records.detail(scope, same.id).reasoning_trace
    assert said.neighbours == (first.id,) and said.rationale == "SAME_MERCHANT"

    finora.review.override(scope, same.id, "Household")
    third = enter("Rewe 5", day=4)
    process()
    third = finora.records.get(scope, third.id)
    assert (third.category, third.suggested, third.status) == (
        "", "Household", Status.NEEDS_REVIEW,
    )  # fmt: skip
    finora.review.override(scope, first.id, "Household", seen=2)
    finora.review.approve(scope, third.id)
    fourth = enter("Rewe 6", day=5)
    process()
    assert finora.records.get(scope, fourth.id).category == "Household"


@pytest.mark.spec("S3-28")
def test_looking_again_changes_what_a_new_rule_says_and_nothing_of_a_persons(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """One record, a filter, or all; a dry run says the same and writes nothing."""
    mine, one, two = enter(), enter(day=2), enter(day=3)
    process()
    finora.review.override(scope, mine.id, "Gifts")
    rules = merchant_rules({"REWE": ("Food", RULE)})

    def ask(**wanted: object) -> dict[str, object]:
        _, job_id = finora.pipeline.reprocess(_next(scope), **wanted)  # type: ignore[arg-type]  # by name
        process(rules)
        result = finora.jobs.get(scope, job_id).result
        assert result is not None
        return dict(result)

    dry = ask(dry_run=True)
    assert (dry["examined"], dry["changed"], dry["dry_run"]) == (2, 2, True)
    assert finora.records.get(scope, one.id).category == ""
    real = ask(ids=[one.id])
    assert (real["examined"], real["changed"]) == (1, 1)
    assert finora.records.get(scope, one.id).category == "Food"
    assert finora.records.get(scope, two.id).category == ""
    filtered = ask(wanted=RecordFilter(since=date(2026, 1, 3), status=Status.NEEDS_REVIEW))
    assert (filtered["examined"], filtered["changed"]) == (1, 1)
    whole = ask()
    assert (whole["examined"], whole["changed"]) == (2, 0)
    assert finora.records.get(scope, mine.id).category == "Gifts"
    # A rule that is gone takes its label along.
    rules = ()
    gone = ask(ids=[one.id])
    assert gone["changed"] == 1
    assert finora.records.get(scope, one.id).category in ("", "Gifts")


def _next(scope: Scope) -> Scope:
    return attrs.evolve(scope, request_id=str(uuid4()))


def test_a_wish_for_what_is_not_there_is_refused(
    finora: Finora, scope: Scope, stranger: Scope, enter: Enter
) -> None:
    record = enter()
    for who, ids in ((scope, [uuid4()]), (stranger, [record.id]), (scope, [])):
        with pytest.raises(Refusal) as refusal:
            finora.pipeline.reprocess(who, ids=ids)
        assert refusal.value.code in ("RECORD_NOT_FOUND", "BAD_RECORD")


# --- a model that is asked ---


def test_a_model_answers_by_id_and_only_categories_that_there_are(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """An answer about what was not asked, or with a category of its own making, is nothing."""
    enter("old", category="Food")
    known, invented = enter("known", day=2), enter("invented", day=3)
    theirs = enter("old too", day=4, category="Food")

    @attrs.frozen
    class Liar(Oracle):
        def suggest(self, scope, lines, categories):  # type: ignore[no-untyped-def]  # as Oracle
            assert list(categories) == ["Food"]
            said = super().suggest(scope, lines, categories).value
            # Others' ids, in another order, more than once: nothing but a line's own answer counts.
            for each in reversed(list(said)):
                said = {each: said.pop(each), **said}
            stray = Suggestion(category="Food", confidence=SURE, rationale="")
            return Ok({uuid4(): stray, **said, theirs.id: stray})

    process(model=Liar({"known": Guess(category="Food", confidence=SURE),
                        "invented": Guess(category="Bribes", confidence=SURE)}))  # fmt: skip
    known, invented = (finora.records.get(scope, each.id) for each in (known, invented))
    assert (known.category, known.status) == ("Food", Status.PROCESSED)
    assert (invented.category, invented.suggested, invented.status) == (
        "", "", Status.NEEDS_REVIEW,
    )  # fmt: skip


@pytest.mark.spec("S3-27", partial=True)
def test_over_budget_is_review(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    enter("old", category="Food")
    record = enter("new", day=2)
    model = Oracle(failing=[OverBudget(60) for _ in range(9)])
    process(model=model)
    assert finora.records.get(scope, record.id).status is Status.NEEDS_REVIEW
    [said] = finora.records.detail(scope, record.id).reasoning_trace
    assert (said.source, said.rationale) == ("model", "MODEL_BUDGET")


def test_a_model_that_fails_leaves_its_records_pending_and_is_asked_again(
    finora: Finora, scope: Scope, enter: Enter, process: Process, admin: Engine
) -> None:
    """What needed no model is done; no transaction is open while it is asked."""
    enter("old", category="Food")
    process()
    load(finora, scope, "2026-01-02,-5.00,EUR,Rewe 17,a,", "2026-01-03,-5.00,EUR,Who,b,")
    model = Oracle({"b": Guess(category="Food", confidence=9_000)}, failing=[Down("it is asleep")])
    rules = merchant_rules({"REWE": ("Food", RULE)})
    process(rules, model=model)
    assert statuses(finora, scope) == {"old": "approved", "a": "processed", "b": "processing"}
    put(admin, scope, "run_at = now()")
    process(rules, model=model)
    assert statuses(finora, scope) == {"old": "approved", "a": "processed", "b": "processed"}
    assert [[line.description for line in lines] for lines in model.asked] == [["b"], ["b"]]


def test_a_part_of_an_answer_is_taken_and_the_rest_is_asked_again(
    finora: Finora, scope: Scope, enter: Enter, process: Process, admin: Engine
) -> None:
    """As often as the job is tried; then a person is. What was answered is not asked about."""
    enter("old", category="Food")
    process()
    load(finora, scope, "2026-01-02,-5.00,EUR,Rewe,a,", "2026-01-03,-5.00,EUR,Who,b,")

    @attrs.frozen
    class Lazy(Oracle):
        def suggest(self, scope, lines, categories):  # type: ignore[no-untyped-def]  # as Oracle
            said = super().suggest(scope, lines, categories).value
            return Partial({line.id: said[line.id] for line in lines if line.description == "a"},
                           "1 not answered")  # fmt: skip

    model = Lazy({"a": Guess(category="Food", confidence=9_000)})
    process(model=model)
    assert statuses(finora, scope) == {"old": "approved", "a": "processed", "b": "processing"}
    for _ in range(4):
        put(admin, scope, "run_at = now()")
        process(model=model)
    assert statuses(finora, scope)["b"] == "needs_review"
    assert [len(lines) for lines in model.asked] == [2, 1, 1, 1, 1]
    [waits] = finora.review.queue(scope).items
    assert finora.records.detail(scope, waits.id).reasoning_trace[-1].rationale == "NO_ANSWER"


@pytest.mark.invariant("F-24")
def test_while_a_model_is_down_its_records_end_in_review(
    finora: Finora, scope: Scope, enter: Enter, process: Process, admin: Engine
) -> None:
    enter("old", category="Food")
    record = enter("new", day=2)
    model = Oracle(failing=[Down("it is gone") for _ in range(9)])
    process(model=model)
    assert finora.records.get(scope, record.id).status is Status.PROCESSING
    for _ in range(4):
        put(admin, scope, "run_at = now()")
        process(model=model)
    assert finora.records.get(scope, record.id).status is Status.NEEDS_REVIEW
    [said] = finora.records.detail(scope, record.id).reasoning_trace
    assert said.rationale == "MODEL_UNAVAILABLE"


def test_no_transaction_is_open_while_something_learns_or_is_asked(
    finora: Finora, scope: Scope, enter: Enter, process: Process, admin: Engine
) -> None:
    enter("old", category="Food")
    process()
    enter("new", day=2)
    seen: list[int] = []

    def look() -> None:
        with admin.connect() as connection:
            query = text("select count(*) from pg_stat_activity where datname = current_database() "
                         "and state like 'idle in transaction%'")  # fmt: skip
            seen.append(int(connection.scalar(query) or 0))

    @attrs.frozen
    class Looking(Oracle):
        def learn(self, examples):  # type: ignore[no-untyped-def]  # as Oracle
            look()
            return super().learn(examples)

        def suggest(self, scope, lines, categories):  # type: ignore[no-untyped-def]  # as Oracle
            look()
            return super().suggest(scope, lines, categories)

    process(similar=Looking(), model=Looking())
    assert seen == [0, 0]


def test_a_classifier_is_learnt_again_when_people_decided_more(
    finora: Finora, scope: Scope, stranger: Scope, enter: Enter, database: Postgres
) -> None:
    """Once for what it knows; of the tenant's own decisions only."""
    finora.ledger.open_account(stranger, "Giro", asset="EUR")
    oracle, one = Oracle(), enter("a", category="Food")
    service = PipelineService(database.begin, Classifiers(oracle.learn))

    def run(record: Record) -> None:
        service.run(_next(scope), {"record": str(record.id)}, lambda *_: None)

    run(one)
    run(enter("b", day=2))
    run(enter("c", day=3))
    assert [[each.category for each in known] for known in oracle.taught] == [[], ["Food"]]
    service.run(_next(stranger), {"first": str(one.id), "last": str(one.id)}, lambda *_: None)
    assert [len(known) for known in oracle.taught] == [0, 1, 0]


@pytest.mark.spec("S3-15")
@pytest.mark.spec("S3-21")
@pytest.mark.spec("S2-29")
def test_the_steps_of_this_installation_are_those_that_jobs_run(
    finora: Finora, scope: Scope, enter: Enter
) -> None:
    """A rule, then likeness to what people decided, then the model of this machine."""
    finora.ledger.open_account(scope, "Other", asset="EUR")
    names = [
        "Adler",
        "Bauer",
        "Conrad",
        "Dietl",
        "Ernst",
        "Frank",
        "Gruber",
        "Huber",
        "Imhof",
        "Jahn",
        "Koch",
        "Lang",
    ]
    for day, name in enumerate(names, start=1):
        enter(f"Bakery {name}", day=day, category="Food:Bread")
        enter(f"{name} Railway", day=day, category="Travel")
    enter("Qwerty", category="Pets")
    finora.rules.add_all(scope, merchant_rules({"SHELL": ("Car", uuid4())}))
    ruled, alike, named = enter("Shell 4"), enter("Bakery Maier"), enter("Pets xyz")
    finora.run_jobs()
    found = {each.id: finora.records.detail(scope, each.id) for each in (ruled, alike, named)}
    assert found[ruled.id].record.category == "Car"
    assert [each.source for each in found[ruled.id].reasoning_trace] == ["rule"]
    [*_, said] = found[alike.id].reasoning_trace
    assert "Food:Bread" in (said.category, found[alike.id].record.suggested)
    [*_, said] = found[named.id].reasoning_trace
    assert (said.source, said.category, said.model) == ("model", "Pets", "local")
    every = [said for each in found.values() for said in each.reasoning_trace]
    assert [said.number for said in found[named.id].reasoning_trace] == [1]
    assert found[ruled.id].reasoning_trace[0].rule_id is not None
    assert all(said.decided_at and 0 <= said.confidence <= SURE for said in every)
    # Codes only: nothing of what a record says.
    assert all(re.fullmatch("[A-Z_]+", said.rationale) and said.note is None for said in every)
    assert any(said.neighbours for said in found[alike.id].reasoning_trace)


def test_a_persons_word_during_the_question_stands(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    enter("old", category="Food")
    record = enter("new", day=2)

    @attrs.frozen
    class Slow(Oracle):
        def suggest(self, scope, lines, categories):  # type: ignore[no-untyped-def]  # as Oracle
            if any(line.id == record.id for line in lines):
                assert finora.records.get(scope_, record.id).status is Status.PROCESSING
                finora.records.categorise(scope_, record.id, "Gifts")
            return super().suggest(scope, lines, categories)

    scope_ = scope
    process(model=Slow({"new": Guess(category="Food", confidence=SURE)}))
    found = finora.records.get(scope, record.id)
    assert (found.category, found.status) == ("Gifts", Status.OVERRIDDEN)
    assert trace(finora, scope, record) == [("human", "overridden")]


# --- twice, at once, and dying ---


@pytest.mark.spec("S3-14")
def test_a_record_whose_job_dies_has_failed_and_can_be_tried_again(
    finora: Finora, scope: Scope, enter: Enter, process: Process, admin: Engine, database: Postgres
) -> None:
    """Also where the worker vanished without a word: a dead letter, which can be replayed."""
    record = enter()
    [job] = [each for each in finora.jobs.list(scope).items if each.name == "records.process"]
    queue = PgQueue(database)

    class Gone(BaseException):
        pass

    def vanish(*_: object) -> None:
        raise Gone

    dying = attrs.evolve(PipelineService(database.begin), begin=_after_one(database.begin, vanish))
    for attempt in range(5):
        put(admin, scope, "run_at = now(), lease_until = now() - interval '1 s'")
        claimed = queue.claim_one(scope.tenant_id, job.id)
        assert claimed is not None and claimed.attempts == attempt + 1
        mine = attrs.evolve(scope, cause=Claim(job_id=job.id, epoch=claimed.epoch))
        with pytest.raises(Gone):
            dying.run(mine, claimed.payload, lambda *_: None)
        wanted = Status.FAILED if attempt == 4 else Status.RECEIVED
        assert finora.records.get(scope, record.id).status is wanted
    put(admin, scope, "run_at = now(), lease_until = now() - interval '1 s'")
    process()
    assert finora.jobs.get(scope, job.id).state == "dead"
    assert finora.records.get(scope, record.id).status is Status.FAILED
    finora.jobs.replay(scope, job.id)
    process(merchant_rules({"REWE": ("Food", RULE)}))
    assert finora.records.get(scope, record.id).status is Status.PROCESSED


def _after_one(begin, then):  # type: ignore[no-untyped-def]  # is a Begin
    """Lets every second transaction begin only: the first of each attempt."""
    turn = iter(range(100))

    def begun(scope: Scope):  # type: ignore[no-untyped-def]  # gives a context manager
        if next(turn) % 2:
            then()
        return begin(scope)

    return begun


def test_two_runners_at_once_double_nothing(
    finora: Finora, scope: Scope, giro: Account, database: Postgres, admin: Engine
) -> None:
    """Eight threads over the same span of records, as if their claims had all been good."""
    load(finora, scope, *(f"2026-01-01,-5.00,EUR,Rewe {n},r{n}," for n in range(40)))
    with database.begin(scope) as work:
        [(first, last)] = work.lines.waiting()
    service = PipelineService(database.begin)
    payload = {"first": str(first), "last": str(last)}
    done = together(*[lambda: service.run(scope, payload, lambda *_: None) for _ in range(8)])
    assert errors(done) == []
    with admin.connect() as connection:
        query = text("select count(*), count(distinct record_id) from finora.decision "
                     "where tenant_id = :t")  # fmt: skip
        assert connection.execute(query, {"t": scope.tenant_id}).one() == (40, 40)
    told = events(admin, scope, "records.processed")
    assert sum(int(str(each["records"])) for each in told) == 40


def test_a_stale_runner_writes_nothing(
    finora: Finora, scope: Scope, enter: Enter, admin: Engine, database: Postgres
) -> None:
    record = enter()
    [job] = [each for each in finora.jobs.list(scope).items if each.name == "records.process"]
    queue = PgQueue(database)
    claimed = queue.claim_one(scope.tenant_id, job.id)
    assert claimed is not None
    put(admin, scope, "lease_until = now() - interval '1 s'")
    time.sleep(0.01)
    assert queue.claim_one(scope.tenant_id, job.id) is not None
    stale = attrs.evolve(scope, cause=Claim(job_id=job.id, epoch=claimed.epoch))
    with pytest.raises(StaleClaim):
        PipelineService(database.begin).run(stale, claimed.payload, lambda *_: None)
    assert finora.records.get(scope, record.id).status is Status.RECEIVED
    assert finora.records.detail(scope, record.id).reasoning_trace == ()
    put(admin, scope, "lease_until = now() - interval '1 s'")
    finora.run_jobs()


def test_a_thousand_records_are_two_jobs_of_five_hundred(
    finora: Finora, scope: Scope, admin: Engine
) -> None:
    load(finora, scope, *(f"2026-01-01,-{n}.00,EUR,Rewe,r{n}," for n in range(1, 1_101)))
    finora.run_jobs()
    with admin.connect() as connection:
        query = text("select result->>'examined' from finora.job where tenant_id = :t "
                     "and name = 'records.process' order by 1")  # fmt: skip
        assert connection.scalars(query, {"t": scope.tenant_id}).all() == ["100", "500", "500"]
    assert len(finora.review.queue(scope, limit=1_000).items) == 1_000


@pytest.mark.invariant("I-01")
def test_a_decision_is_never_changed(
    finora: Finora, scope: Scope, enter: Enter, process: Process, database: Postgres
) -> None:
    record = enter()
    process()
    for statement in ("update finora.decision set category = 'x'", "delete from finora.decision"):
        with (
            pytest.raises(Exception, match="permission denied"),
            database.begin(scope) as work,
        ):
            work.connection.execute(text(statement))
    assert len(finora.records.detail(scope, record.id).reasoning_trace) == 1


def test_another_tenants_records_teach_nothing(
    finora: Finora, scope: Scope, stranger: Scope, enter: Enter, process: Process
) -> None:
    theirs = finora.ledger.open_account(stranger, "Giro", asset="EUR")
    other = finora.records.create(
        stranger, attrs.evolve(_new(theirs), description="Rewe 1", amount=Amount(-100, EUR))
    )
    process()
    finora.review.override(stranger, other.id, "Food")
    record = enter()
    process()
    assert finora.records.get(scope, record.id).category == ""


def test_budgets_hear_of_what_was_processed(
    finora: Finora, scope: Scope, giro: Account, process: Process, admin: Engine, database: Postgres
) -> None:
    """Of records that got a category, of a bulk of corrections once, of a run of rules."""
    with database.begin(scope) as work:
        today = work.now.date()
    finora.budgets.create(scope, "Food", "Food", Amount(100, EUR))

    def watched() -> int:
        with admin.connect() as connection:
            query = text("select count(*) from finora.job where tenant_id = :t "
                         "and name = 'insights.watch'")  # fmt: skip
            return int(connection.scalar(query, {"t": scope.tenant_id}) or 0)

    shops = [
        finora.records.create(
            _next(scope),
            NewRecord(account_id=giro.id, on_date=today, amount=Amount(-50, EUR), description=name),
        )
        for name in ("Rewe", "Lidl", "Aldi")
    ]
    before = watched()
    process(merchant_rules({"REWE": ("Food", RULE)}))
    assert watched() == before + 3
    assert events(admin, scope, "budget.reached") == []
    finora.review.bulk(
        _next(scope), BulkAction.OVERRIDE, [each.id for each in shops[1:]], category="Food"
    )
    assert watched() == before + 4
    process()
    assert {each["level"] for each in events(admin, scope, "budget.reached")} == {80, 100}
    finora.run_rules(scope)
    assert watched() == before + 5


def test_what_is_closed_is_left_alone(
    finora: Finora, scope: Scope, enter: Enter, process: Process
) -> None:
    """Neither processed nor looked at again, out of the queue, and refused in bulk by itself."""
    waits, fresh = enter("Rewe 1"), enter("Rewe 2", day=2)
    process()
    later = enter("Rewe 3", day=3)
    finora.closings.close(scope, date(2026, 1, 2))
    finora.pipeline.reprocess(_next(scope))
    process(merchant_rules({"REWE": ("Food", RULE)}))
    assert [finora.records.get(scope, each.id).category for each in (waits, fresh, later)] == [
        "", "", "Food",
    ]  # fmt: skip
    assert finora.review.queue(scope).items == ()
    told = finora.review.bulk(
        _next(scope), BulkAction.OVERRIDE, [waits.id, later.id], category="Gifts"
    )
    assert [each.code for each in told] == ["PERIOD_CLOSED", None]
    assert finora.records.get(scope, later.id).category == "Gifts"
