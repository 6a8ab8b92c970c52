"""Budgets, goals, recurring payments and the forecast, as pages."""

import re
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from finora import Finora, Scope
from finora_core.insights.model import months_after
from finora_core.insights.recurring.model import Verdict
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import currency
from finora_core.records.model import NewRecord
from finora_web.gate import COOKIE
from pages.conftest import ORIGIN
from pages.test_explain import cents, figures, headline

TODAY = datetime.now(UTC).date()
FIRST = TODAY.replace(day=1)
PAGES = ("/budgets", "/goals", "/recurring", "/forecast")
EUR = currency("EUR")
OURS = {"Origin": ORIGIN}
BUDGET = {"category": "Food", "limit": "100.00", "asset": "EUR", "period": "MONTHLY"}
BUDGET |= {"rollover": "none"}


def send(client: FlaskClient, path: str, **data: str) -> TestResponse:
    return client.post(path, data=data, headers=OURS)


@pytest.fixture
def account(finora: Finora, scope: Scope) -> UUID:
    return finora.ledger.open_account(scope, "Cash").id


def spend(
    finora: Finora,
    scope: Scope,
    account: UUID,
    day: date,
    amount: str,
    text: str,
    category: str = "",
) -> None:
    new = NewRecord(account_id=account, on_date=day, amount=Amount.parse(amount, EUR),
                    description=text, category=category)  # fmt: skip
    finora.records.create(scope, new)


@pytest.mark.parametrize("path", PAGES)
def test_empty_pages_say_what_to_do(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200 and 'class="nothing"' in answer.text
    for inline in (" style=", "<style", " onclick", "javascript:", "hx-on"):
        assert inline not in answer.text


@pytest.mark.spec("S2-30", partial=True)
def test_a_budget_is_set_changed_tried_and_deleted(
    finora: Finora, scope: Scope, client: FlaskClient, account: UUID
) -> None:
    spend(finora, scope, account, FIRST, "-70.00", "Dinner", "Food:Out")
    spend(finora, scope, account, FIRST, "5.00", "Bottles brought back", "Food")
    assert send(client, "/budgets", **BUDGET).location == "/budgets?said=made"
    shown = client.get("/budgets?said=made").text
    assert "The budget is set." in shown and ">65.00<" in shown and ">35.00<" in shown
    assert "65 % used" in shown
    spent = next(href for href, said in figures(shown) if said == "65.00")
    assert headline(client.get(spent).text) == "−65.00"
    budget = finora.budgets.list(scope).items[0].budget
    path = f"/budgets/{budget.id}"
    tried = client.get(f"/parts{path}/simulation?percent=-50").text
    assert ">50.00<" in tried and finora.budgets.get(scope, budget.id).budget == budget
    changed = send(client, path, name="Eating", category="Food", limit="60", asset="EUR",
                   rollover="all")  # fmt: skip
    assert changed.location == f"{path}?said=changed"
    shown = client.get(path).text
    assert "Eating" in shown and "Too much" in shown and "−5.00" in shown
    assert send(client, f"{path}/delete").location == "/budgets?said=deleted"
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("limit", "a lot", "is not an amount"),
        ("limit", "0", "more than zero"),
        ("limit", "", "missing"),
        ("category", "", "printable characters"),
        ("period", "DAILY", "not known"),
        ("asset", "NOPE", "NOPE"),
        ("starts_on", "soon", "no day"),
    ],
)
def test_a_budget_that_is_wrong_is_told_at_its_field(
    client: FlaskClient, field: str, value: str, said: str
) -> None:
    answer = send(client, "/budgets", **BUDGET | {"name": "Kept words"} | {field: value})
    assert (
        answer.status_code in (400, 404) and said in answer.text and 'role="alert"' in answer.text
    )
    assert 'value="Kept words"' in answer.text


@pytest.mark.spec("S2-33", partial=True)
def test_a_goal_is_set_of_accounts(
    finora: Finora, scope: Scope, client: FlaskClient, account: UUID
) -> None:
    spend(finora, scope, account, TODAY - timedelta(days=60), "100.00", "Saved")
    data = {"name": "Boat", "target": "200", "asset": "EUR", f"share:{account}": "50"}
    made = send(client, "/goals", **data)
    assert made.status_code == 303
    shown = client.get(made.location).text
    assert "Boat" in shown and "The goal is set." in shown and "25 % of the target" in shown
    gives = re.sub(r"<[^>]+>|\s+", " ", shown.partition('id="shares"')[2])
    assert "100.00" in gives and "50 %" in gives and "50.00" in gives
    assert "is reached by" in shown
    goal = finora.goals.list(scope).items[0].goal
    path = f"/goals/{goal.id}"
    answer = send(client, path, **data | {f"share:{account}": "500"})
    assert answer.status_code == 400 and "1 to 100" in answer.text
    answer = send(client, path, **data | {"target": "50", "by": "2030-01-01"})
    assert answer.location == f"{path}?said=changed"
    assert "Reached." in client.get("/goals").text
    assert send(client, f"{path}/delete").location == "/goals?said=deleted"
    assert "There is no goal yet" in client.get("/goals").text


def test_recurring_payments_are_confirmed_and_ignored(
    finora: Finora, scope: Scope, client: FlaskClient, account: UUID
) -> None:
    for back in range(1, 7):
        spend(finora, scope, account, months_after(FIRST, -back), "-12.99", "Music for all")
    shown = client.get("/recurring").text
    assert "MUSIC FOR ALL" in shown and "6 times since" in shown and "−12.99" in shown
    one = finora.recurring.list(scope).items[0]
    assert client.get(f"/recurring/{one.id}").text.count("/explain/entries/") == 6
    path = f"/recurring/{one.id}/verdict"
    assert send(client, path, verdict="confirmed").location == "/recurring?said=confirmed"
    assert finora.recurring.list(scope).items[0].verdict is Verdict.CONFIRMED
    assert "Take back" in client.get("/recurring").text
    send(client, path, verdict="ignored")
    assert "MUSIC FOR ALL" not in client.get("/recurring").text
    assert "MUSIC FOR ALL" in client.get("/recurring?ignored=1").text
    send(client, path, verdict="open")
    assert finora.recurring.list(scope).items[0].verdict is None


def test_the_forecast_shows_its_error_beside_it(
    finora: Finora, scope: Scope, client: FlaskClient, account: UUID
) -> None:
    for back in range(1, 13):
        spend(finora, scope, account, months_after(FIRST, -back), "-12.99", "Music for all")
        spend(finora, scope, account, months_after(FIRST, -back), "1000.00", "Wages")
    shown = client.get("/forecast?days=30").text
    assert (
        "it was wrong by" in shown and "MUSIC FOR ALL" in shown and "Expected at the end" in shown
    )
    held = next(href for href, said in figures(shown) if said == "11,844.12")
    parts = figures(client.get(held).text)
    assert sum(cents(said) for _, said in parts) == 1_184_412
    assert client.get("/forecast?days=0").status_code == 400


def test_who_may_only_look_is_offered_nothing_to_write(
    finora: Finora, scope: Scope, app: Flask, account: UUID
) -> None:
    reader = finora.tokens.create(scope, "reader", permissions=frozenset({"books:read"}))
    client = app.test_client()
    client.set_cookie(COOKIE, reader.text)
    for path in PAGES:
        shown = client.get(path).text
        assert 'method="post" action="/budgets' not in shown
        assert 'method="post" action="/goals' not in shown and "/verdict" not in shown
    assert send(client, "/budgets", **BUDGET).status_code == 403
    assert send(client, "/goals", name="x", target="1", asset="EUR").status_code == 403


def test_forms_of_another_site_do_nothing(
    finora: Finora, scope: Scope, client: FlaskClient
) -> None:
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        for path in ("/budgets", "/goals", f"/recurring/{uuid4()}/verdict"):
            answer = client.post(path, data=BUDGET | {"name": "x", "target": "1"}, headers=origin)
            assert answer.status_code == 403
    assert not finora.budgets.list(scope).items and not finora.goals.list(scope).items


def test_another_tenant_sees_none_of_it(
    finora: Finora, scope: Scope, stranger: Scope, app: Flask
) -> None:
    budget = finora.budgets.create(scope, "Whispered", "Food", Amount(100, EUR)).budget.id
    goal = finora.goals.create(scope, "Whispered", Amount(100, EUR)).goal.id
    client = app.test_client()
    client.set_cookie(COOKIE, finora.tokens.create(stranger, "other").text)
    for path in PAGES:
        assert "Whispered" not in client.get(path).text
    for path in (f"/budgets/{budget}", f"/goals/{goal}", f"/parts/budgets/{budget}/simulation"):
        assert client.get(path).status_code == 404
    assert send(client, f"/budgets/{budget}/delete").status_code == 404
    assert send(client, f"/goals/{goal}/delete").status_code == 404
