"""The queue of what waits for a person."""

import re
from datetime import date
from uuid import UUID, uuid4

import attrs
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from finora import Finora, Scope
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import currency
from finora_core.records.model import NewRecord, Status
from finora_web.gate import COOKIE
from pages.conftest import ORIGIN

OURS = {"Origin": ORIGIN}
HTMX = OURS | {"HX-Request": "true"}


@pytest.fixture
def waiting(finora: Finora, scope: Scope) -> list[UUID]:
    """Three that nobody knows, processed."""
    account = finora.ledger.open_account(scope, "Cash").id
    found = []
    for number in range(1, 4):
        new = NewRecord(account_id=account, on_date=date(2026, 3, number),
                        amount=Amount(-100 * number, currency("EUR")),
                        description=f"Odd <b>{number}</b>", counterparty="Kiosk")  # fmt: skip
        found.append(finora.records.create(scope, new).id)
    finora.run_jobs()
    assert len(finora.review.queue(scope).items) == 3
    return found


def send(
    client: FlaskClient, path: str, headers: dict[str, str] = HTMX, **data: str
) -> TestResponse:
    return client.post(path, data=data, headers=headers)


def words(shown: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown))


def test_an_empty_queue_says_so(client: FlaskClient) -> None:
    assert "Nothing waits for you" in client.get("/review").text


@pytest.mark.spec("S3-30", partial=True)
@pytest.mark.spec("S3-31", partial=True)
def test_a_record_is_overridden_and_the_rule_is_made(
    finora: Finora, scope: Scope, client: FlaskClient, waiting: list[UUID]
) -> None:
    shown = client.get("/review").text
    assert shown.count('class="waiting"') == 3 and "Odd &lt;b&gt;1" in shown
    path = f"/review/{waiting[0]}"
    seen = str(finora.records.get(scope, waiting[0]).decisions)
    told = send(client, f"{path}/override", category="Snacks", seen=seen)
    assert told.status_code == 200 and "The category is changed." in told.text
    assert "Always: KIOSK (out) is Snacks" in told.text and "Take back" in told.text
    again = send(client, f"{path}/override", category="Other", seen=seen)
    assert again.status_code == 409 and 'role="alert"' in again.text
    record = finora.records.get(scope, waiting[0])
    assert (record.status, record.category) == (Status.OVERRIDDEN, "Snacks")
    made = send(client, f"{path}/override", category="Snacks", seen=str(record.decisions),
                make_rule="1")  # fmt: skip
    assert "the rule is made" in made.text and "Always" not in made.text
    assert [rule.actions for rule in finora.rules.list(scope).items]
    assert client.get("/review").text.count('class="waiting"') == 2


@pytest.mark.spec("S3-30", partial=True)
def test_a_suggestion_is_approved_and_taken_back(
    finora: Finora, scope: Scope, client: FlaskClient, waiting: list[UUID]
) -> None:
    path = f"/review/{waiting[0]}"
    none = send(client, f"{path}/approve")
    assert none.status_code == 409 and "override it with one" in none.text
    before = client.get("/review").text
    was = finora.records.get(scope, waiting[0])
    said = send(client, f"{path}/override", category="Snacks", seen=str(was.decisions))
    assert f'name="before" value="{was.decisions}"' in said.text
    # With the rule made of it, too: one step back is to where it waited.
    seen = str(finora.records.get(scope, waiting[0]).decisions)
    again = {"seen": seen, "before": str(was.decisions), "make_rule": "1"}
    assert "Take back" in send(client, f"{path}/override", category="Snacks", **again).text
    back = send(client, f"{path}/back", before=str(was.decisions))
    assert back.status_code == 200 and "it is as it was" in back.text and "waiting" in back.text
    now = finora.records.get(scope, waiting[0])
    assert attrs.evolve(now, decisions=was.decisions, flow=was.flow) == was
    shown = client.get("/review").text
    assert words(shown) == words(before)
    assert not re.search(r"[A-Z]+_[A-Z]+", words(shown))
    assert send(client, f"{path}/back", before=str(was.decisions)).status_code == 409


def test_without_script_one_comes_back_to_the_queue(
    finora: Finora, scope: Scope, client: FlaskClient, waiting: list[UUID]
) -> None:
    path = f"/review/{waiting[0]}/override"
    assert send(client, path, OURS, category="Snacks").location == "/review?said=overridden"
    wrong = send(client, f"/review/{waiting[1]}/override", OURS, category=" ")
    assert wrong.status_code == 400 and "Say which category" in wrong.text
    assert wrong.text.count('class="waiting"') == 2


def test_all_that_are_ticked_are_approved(
    finora: Finora, scope: Scope, client: FlaskClient, waiting: list[UUID]
) -> None:
    finora.records.categorise(scope, waiting[0], "Snacks")
    finora.records.unlock(scope, waiting[0], ("category",))
    finora.pipeline.reprocess(scope, ids=[waiting[0]])
    finora.run_jobs()
    data = {"id": [str(each) for each in waiting[:2]]}
    shown = client.post("/review/bulk", data=data, headers=OURS)
    assert shown.status_code == 200 and "1 approved; 1 not:" in words(shown.text)
    assert "NOTHING_SUGGESTED" in shown.text
    assert client.post("/review/bulk", headers=OURS).status_code == 400
    assert client.post("/review/bulk", data={"id": "x"}, headers=OURS).status_code == 400


def test_who_may_only_look_reviews_nothing(
    finora: Finora, scope: Scope, stranger: Scope, app: Flask, waiting: list[UUID]
) -> None:
    reader = finora.tokens.create(scope, "reader", permissions=frozenset({"books:read"}))
    client = app.test_client()
    client.set_cookie(COOKIE, reader.text)
    shown = client.get("/review").text
    assert "Odd" in shown and "Approve" not in shown.partition("<main")[2].partition("keys")[0]
    assert send(client, f"/review/{waiting[0]}/override", category="x").status_code == 403
    client.set_cookie(COOKIE, finora.tokens.create(stranger, "other").text)
    assert "Odd" not in client.get("/review").text
    assert send(client, f"/review/{waiting[0]}/override", category="x").status_code == 404
    assert send(client, f"/review/{uuid4()}/approve").status_code == 404
    assert client.post(f"/review/{waiting[0]}/back").status_code == 403
