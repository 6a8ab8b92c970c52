"""Rules as pages: written, tried, ordered, run over the past, undone."""

import json
import re
from datetime import date
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from finora import Finora, Scope
from finora_core.categories.rules.actions import actions_of, plain_action
from finora_core.categories.rules.conditions import condition_of, plain_condition
from finora_core.categories.rules.model import Rule, RunState
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import currency
from finora_core.kernel.ids import new_id
from finora_core.records.model import NewRecord
from finora_web.gate import COOKIE
from finora_web.pages.rules.written import ACTIONS, FIELDS, MODES, OPS, Row, Written
from pages.conftest import ORIGIN

OURS = {"Origin": ORIGIN}
COFFEE = [
    ("name", "Coffee"), ("mode", "all"), ("group", "0"), ("field", "description"),
    ("op", "contains"), ("value", "coffee"), ("action", "set category"),
    ("argument", "Food:Coffee"), ("active", "1"),
]  # fmt: skip


def send(client: FlaskClient, path: str, fields: list[tuple[str, str]] = []) -> TestResponse:  # noqa: B006
    return client.post(path, data=MultiDict(fields), headers=OURS)


def words(shown: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown))


@pytest.fixture
def account(finora: Finora, scope: Scope) -> UUID:
    account = finora.ledger.open_account(scope, "Cash").id
    for number, text in enumerate(("Coffee to go", "Bread", "coffee beans"), 1):
        new = NewRecord(account_id=account, on_date=date(2026, 3, number), description=text,
                        amount=Amount(-100 * number, currency("EUR")))  # fmt: skip
        finora.records.create(scope, new)
    return account


def make(finora: Finora, scope: Scope, name: str, priority: int = 0) -> UUID:
    rule = Rule(
        id=new_id(),
        name=name,
        priority=priority,
        condition=condition_of({"field": "description", "op": "contains", "value": "coffee"}),
        actions=actions_of([{"op": "set", "field": "category", "value": f"By {name}"}]),
    )
    return finora.rules.create(scope, rule).id


@pytest.mark.usefixtures("account")
@pytest.mark.spec("S3-18", partial=True)
def test_a_rule_is_tried_and_kept(finora: Finora, scope: Scope, client: FlaskClient) -> None:
    assert "Write the first one" in client.get("/rules").text
    tried = words(send(client, "/parts/rules/preview", COFFEE).text)
    assert "2 of 3 records would change" in tried and "Coffee to go" in tried
    assert "Bread" not in tried and "category none Food:Coffee" in tried
    assert not finora.rules.list(scope).items
    assert send(client, "/rules", COFFEE).location == "/rules?said=made"
    shown = words(client.get("/rules").text)
    assert "Coffee" in shown and "description contains “coffee”" in shown
    rule = finora.rules.list(scope).items[0]
    written = client.get(f"/rules/{rule.id}").text
    assert 'value="Food:Coffee"' in written and "2</strong> of 3 records" in written
    other = [("argument", "Drinks") if each[0] == "argument" else each for each in COFFEE]
    assert send(client, f"/rules/{rule.id}", other).location == "/rules?said=changed"
    assert "Drinks" in client.get("/rules").text
    assert send(client, f"/rules/{rule.id}/delete").location == "/rules?said=deleted"


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("value", "", "without a test"),
        ("field", "nonsense", "no field"),
        ("op", "gt", "cannot be asked"),
        ("op", "nonsense", "cannot be asked"),
        ("argument", "", "what should be done"),
        ("argument", "x" * 300, "not a path"),
        ("action", "launch", "no action"),
        ("mode", "most", "neither all"),
    ],
)
def test_what_cannot_be_read_is_said_while_typing_and_when_kept(
    finora: Finora, scope: Scope, client: FlaskClient, name: str, value: str, said: str
) -> None:
    wrong = [(name, value) if each[0] == name else each for each in COFFEE]
    tried = send(client, "/parts/rules/preview", wrong)
    assert tried.status_code == 200 and said in tried.text
    answer = send(client, "/rules", wrong)
    assert answer.status_code == 400 and said in answer.text and 'role="alert"' in answer.text
    assert not finora.rules.list(scope).items


@pytest.mark.parametrize("dropped", ["group", "op", "argument"])
def test_a_form_that_is_not_whole_is_refused(client: FlaskClient, dropped: str) -> None:
    rest = [each for each in COFFEE if each[0] != dropped]
    assert send(client, "/parts/rules/preview", rest).status_code == 400
    odd = [("group", "7") if each[0] == "group" else each for each in COFFEE]
    assert send(client, "/rules", odd).status_code == 400


def test_rows_are_added_and_taken_away(client: FlaskClient) -> None:
    more = send(client, "/rules", [*COFFEE, ("do", "test 0")])
    assert more.status_code == 200 and more.text.count('name="field"') == 2
    assert send(client, "/rules", [*COFFEE, ("do", "group")]).text.count('name="mode"') == 2
    assert send(client, "/rules", [*COFFEE, ("do", "action")]).text.count('name="action"') == 2
    assert send(client, "/rules", [*COFFEE, ("do", "drop-test 0")]).text.count('name="op"') == 0
    as_text = send(client, "/rules", [*COFFEE, ("do", "text")]).text
    assert "<textarea" in as_text and "Food:Coffee" in as_text
    assert send(client, "/rules", [*COFFEE, ("do", "nonsense 99999")]).status_code == 200


def test_what_has_no_rows_is_written_as_json(
    finora: Finora, scope: Scope, client: FlaskClient
) -> None:
    split = {"op": "split", "value": [{"category": "A", "method": "percent", "value": "50"},
                                      {"category": "B", "method": "remainder"}]}  # fmt: skip
    plain = {"condition": {"none": [{"all": [{"any": [{"field": "note", "op": "empty"}]}]}]},
             "actions": [split]}  # fmt: skip
    fields = [("name", "Intricate"), ("text", json.dumps(plain)), ("active", "1")]
    assert send(client, "/rules", fields).location == "/rules?said=made"
    rule = finora.rules.list(scope).items[0]
    assert plain_condition(rule.condition) == plain["condition"]
    assert "<textarea" in client.get(f"/rules/{rule.id}").text
    assert "split among A, B" in client.get("/rules").text
    for wrong in ("{", "[]", '{"condition": 1}', "[" * 20_000):
        answer = send(client, "/rules", [("name", "x"), ("text", wrong)])
        assert answer.status_code == 400, wrong[:20]


TESTS = st.builds(
    Row,
    st.just(0),
    st.sampled_from(["description", "note", "merchant"]),
    st.sampled_from([*OPS["Text"]]).filter(lambda op: "regex" not in op),
    st.text("abc ", min_size=1).filter(str.strip),
)


@given(
    st.sampled_from([*MODES]), st.sampled_from([*MODES]), st.lists(TESTS, min_size=1, max_size=4)
)
@settings(max_examples=60, deadline=None)
def test_a_form_is_the_rule_that_is_shown_as_that_form(
    mode: str, inner: str, rows: list[Row]
) -> None:
    rows = [Row(place % 2, row.field, row.op, row.value) for place, row in enumerate(rows)]
    written = Written(modes=[mode, inner], rows=rows, actions=[("set category", "A:B")])
    rule = written.rule()
    again = Written.of(rule).rule()
    assert again.condition == rule.condition
    assert [*map(plain_action, again.actions)] == [*map(plain_action, rule.actions)]


def test_every_choice_of_the_form_is_known_to_rules() -> None:
    for field in FIELDS:
        value = {"date": "2026-01-01", "amount": "1", "amount_abs": "1", "direction": "in"}
        condition_of({"field": field, "op": "equals", "value": value.get(field, "x")})
    for ops in OPS.values():
        for op in ops:
            field = "date" if op in ("before", "after") else "amount" if op in OPS[
                "Amount or date"] else "description"  # fmt: skip
            value = {"date": "2026-01-01", "amount": "1, 2" if op == "between" else "1"}
            Written(rows=[Row(0, field, op, value.get(field, "x"))],
                    actions=[("skip_review", "")]).rule()  # fmt: skip
    for action in ACTIONS:
        Written(rows=[Row(0, value="x")], actions=[(action, "words")]).rule()


@pytest.mark.spec("S3-19", partial=True)
def test_rules_are_ordered_and_rest(finora: Finora, scope: Scope, client: FlaskClient) -> None:
    first, second, third = (make(finora, scope, name, place) for place, name in
                            enumerate(("one", "two", "three")))  # fmt: skip

    def order() -> list[UUID]:
        return [rule.id for rule in finora.rules.list(scope).items]

    send(client, f"/rules/{third}/move", [("way", "up")])
    assert order() == [first, third, second]
    send(client, f"/rules/{first}/move", [("way", "up")])
    assert order() == [first, third, second]
    send(client, f"/rules/{first}/move", [("way", "down")])
    assert order() == [third, first, second]
    send(client, f"/rules/{first}/active", [("active", "0")])
    assert not finora.rules.get(scope, first).active
    assert ">rests<" in client.get("/rules").text
    send(client, f"/rules/{first}/active", [("active", "1")])
    assert finora.rules.get(scope, first).active


@pytest.mark.spec("S3-20", partial=True)
def test_a_run_over_the_past_is_watched_and_undone(
    finora: Finora, scope: Scope, client: FlaskClient, account: UUID
) -> None:
    # What a rule does to records as they come in is not what a run does.
    finora.run_jobs()
    rule = make(finora, scope, "Coffee")
    locked = finora.records.list(scope).items[0]
    finora.records.categorise(scope, locked.id, "Mine")
    asked = send(client, "/rules/runs", [("account_id", str(account)), ("since", "2026-01-01")])
    assert asked.status_code == 303
    waiting = client.get(asked.location).text
    assert "<progress" in waiting and 'hx-trigger="load delay:500ms"' in waiting
    finora.run_jobs()
    done = words(client.get(asked.location).text)
    assert "It is done" in done and "category none By Coffee by Coffee" in done
    assert "stays: a person set it" in done
    run = finora.rules.runs(scope).items[0]
    assert send(client, f"/rules/runs/{run.id}/undo").status_code == 303
    finora.run_jobs()
    assert "It was undone" in client.get(f"/rules/runs/{run.id}").text
    assert finora.rules.get_run(scope, run.id).state is RunState.UNDONE
    assert {each.category for each in finora.records.list(scope).items} == {"", "Mine"}
    one = send(client, "/rules/runs", [("rule_id", str(rule))])
    assert one.status_code == 303
    finora.run_jobs()
    wrong = send(client, "/rules/runs", [("since", "soon")])
    assert wrong.status_code == 400 and "no day" in wrong.text


def test_a_note_is_written_in_place(
    finora: Finora, scope: Scope, client: FlaskClient, account: UUID
) -> None:
    record = finora.records.list(scope).items[0]
    path = f"/parts/records/{record.id}/note"
    assert "Add note" in client.get(path).text and "<form" in client.get(f"{path}/form").text
    answer = send(client, path, [("note", " Ask <them> ")])
    assert answer.status_code == 200 and "Ask &lt;them&gt;" in answer.text
    kept = finora.records.get(scope, record.id)
    assert kept.note == "Ask <them>" and "note" in kept.locked
    assert send(client, path, [("note", "x" * 5_000)]).status_code == 400
    send(client, path, [("note", "")])
    assert finora.records.get(scope, record.id).note == ""
    assert client.post(path, data={"note": "x"}).status_code == 303
    assert finora.records.get(scope, record.id).note == ""


def test_who_may_only_look_changes_nothing(finora: Finora, scope: Scope, app: Flask) -> None:
    rule = make(finora, scope, "Coffee")
    reader = finora.tokens.create(scope, "reader", permissions=frozenset({"books:read"}))
    client = app.test_client()
    client.set_cookie(COOKIE, reader.text)
    assert 'method="post"' not in client.get("/rules").text.partition("<main")[2]
    assert "Keep the rule</button></form>" not in client.get(f"/rules/{rule}").text
    for path in ("/rules", f"/rules/{rule}/delete", f"/rules/{rule}/move", "/rules/runs"):
        assert send(client, path, COFFEE).status_code == 403
    assert send(client, "/parts/rules/preview", COFFEE).status_code == 200


def test_another_tenant_and_another_site_do_nothing(
    finora: Finora, scope: Scope, stranger: Scope, app: Flask, client: FlaskClient
) -> None:
    rule = make(finora, scope, "Whispered")
    other = app.test_client()
    other.set_cookie(COOKIE, finora.tokens.create(stranger, "other").text)
    assert "Whispered" not in other.get("/rules").text
    for path in (f"/rules/{rule}", f"/rules/runs/{uuid4()}"):
        assert other.get(path).status_code == 404
    for path in (f"/rules/{rule}", f"/rules/{rule}/delete", f"/rules/{rule}/move"):
        assert send(other, path, COFFEE).status_code == 404
        assert client.post(path, data=MultiDict(COFFEE)).status_code == 403
    assert finora.rules.get(scope, rule).name == "Whispered"
