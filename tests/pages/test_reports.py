"""Reports as pages: every figure explained, files made of them, the books closed."""

import html
import io
import re
import zipfile
from datetime import date
from uuid import UUID

import attrs
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from finora import Finora, Scope
from finora_core.insights.reports.model import Asked, Format, Kind
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import currency
from finora_core.records.model import NewRecord
from finora_web.gate import COOKIE
from pages.conftest import ORIGIN
from pages.test_explain import cents, figures, headline

OURS = {"Origin": ORIGIN}
KINDS = ("profit_and_loss", "balance_sheet", "cash_flow")
PAGES = ("/reports", *(f"/reports?kind={kind}" for kind in KINDS), "/reports/files",
         "/reports/closing")  # fmt: skip
PERIOD = "since=2025-01-01&until=2025-03-31"


def send(client: FlaskClient, path: str, **data: str) -> TestResponse:
    return client.post(path, data=data, headers=OURS)


def words(shown: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown))


@pytest.fixture
def account(finora: Finora, scope: Scope) -> UUID:
    account = finora.ledger.open_account(scope, "Cash").id
    for month, amount, text, category in (
        (1, "1000.00", "Wages", "Income:Wages"),
        (1, "-300.00", "Rent", "Home:Rent"),
        (2, "-20.00", "Lamp", "Home"),
        (2, "-45.50", "Market", "Food:Market"),
        (3, "5.50", "Bottles", "Food:Market"),
        (3, "-9.00", "Odd", ""),
    ):
        new = NewRecord(
            account_id=account,
            on_date=date(2025, month, 7),
            description=text,
            amount=Amount.parse(amount, currency("EUR")),
            category=category,
        )
        finora.records.create(scope, new)
    return account


@pytest.mark.parametrize("path", PAGES)
def test_empty_books_have_reports_too(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    for inline in (" style=", "<style", " onclick", "javascript:", "hx-on"):
        assert inline not in answer.text


@pytest.mark.usefixtures("account")
@pytest.mark.spec("S3-34", partial=True)
@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_of_a_report_is_explained(client: FlaskClient, kind: str) -> None:
    shown = client.get(f"/reports?kind={kind}&{PERIOD}").text
    found = [each for each in figures(shown) if each[0].startswith("/explain?")]
    assert len(found) >= 2
    for href, said in found:
        explained = client.get(href)
        assert headline(explained.text) == said, href
        assert sum(cents(each) for _, each in figures(explained.text)) == cents(said), href


@pytest.mark.usefixtures("account")
def test_profit_and_loss_is_a_tree_by_month(client: FlaskClient) -> None:
    shown = words(client.get(f"/reports?{PERIOD}").text)
    assert "Jan 2025 Feb 2025 Mar 2025 Sum" in shown
    assert "Home −300.00 EUR −20.00 EUR −320.00 EUR" in shown
    assert "Spending in all −300.00 EUR −65.50 EUR −9.00 EUR −374.50 EUR" in shown
    assert "Profit 700.00 EUR −65.50 EUR −3.50 EUR 631.00 EUR" in shown


def test_all_currencies_as_one_say_what_is_missing(
    finora: Finora, scope: Scope, client: FlaskClient, account: UUID
) -> None:
    new = NewRecord(account_id=account, on_date=date(2025, 2, 1), description="Tea",
                    amount=Amount.parse("-3.00", currency("GBP")))  # fmt: skip
    finora.records.create(scope, new)
    whole = words(client.get(f"/reports?{PERIOD}&asset=all").text)
    assert "All, in EUR" in whole and "no rate for GBP" in whole
    assert "−3.00 GBP" in words(client.get(f"/reports?{PERIOD}&asset=GBP").text)


@pytest.mark.parametrize(
    "query", ["kind=weather", "since=soon", "since=2026-02-01&until=2026-01-01"]
)
def test_a_report_of_nothing_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/reports?{query}").status_code == 400


@pytest.mark.usefixtures("account")
@pytest.mark.spec("S3-33", partial=True)
def test_a_file_is_made_and_downloaded(finora: Finora, scope: Scope, app: Flask) -> None:
    token = finora.tokens.create(
        scope, "exports", permissions=frozenset({"books:read", "books:export", "files:read"})
    )
    client = app.test_client()
    client.set_cookie(COOKIE, token.text)
    shown = client.get(f"/reports?{PERIOD}").text
    link = re.search(r'href="(/reports/files\?[^"]+)"', shown)
    assert link and 'value="2025-03-31"' in client.get(html.unescape(link[1])).text
    asked = send(client, "/reports/files", kind="profit_and_loss", format="csv",
                 since="2025-01-01", until="2025-03-31")  # fmt: skip
    assert asked.location == "/reports/files?said=asked"
    assert "is made" in client.get("/reports/files").text
    finora.run_jobs()
    ready = re.search(r'href="(/reports/files/[^"]+)"', client.get("/reports/files").text)
    assert ready
    file = client.get(ready[1])
    assert file.status_code == 200
    assert "attachment" in file.headers["Content-Disposition"]
    assert zipfile.ZipFile(io.BytesIO(file.data)).testzip() is None
    lacks = send(client, "/reports/files", kind="profit_and_loss", format="csv")
    assert lacks.status_code == 400 and "needs since" in lacks.text
    assert send(client, "/reports/files", kind="x", format="csv").status_code == 400


def test_a_file_is_not_made_for_who_may_not(
    finora: Finora, scope: Scope, client: FlaskClient
) -> None:
    answer = send(client, "/reports/files", kind="books", format="csv")
    assert answer.status_code == 403 and not finora.reports.list(scope).items


@pytest.mark.usefixtures("account")
def test_the_books_are_closed_and_opened_again(
    finora: Finora, scope: Scope, client: FlaskClient
) -> None:
    assert "Nothing is closed" in client.get("/reports/closing").text
    assert send(client, "/reports/closing", through="2025-01-31").location.endswith("said=closed")
    assert "Closed through 31 Jan 2025" in client.get("/reports/closing").text
    future = send(client, "/reports/closing", through="2999-01-31")
    assert future.status_code == 400 and "not over" in future.text
    assert send(client, "/reports/closing", through="").status_code == 400
    closed = next(each for each in finora.records.list(scope).items if each.on_date.month == 1)
    told = send(client, f"/parts/records/{closed.id}/category", category="Else")
    assert told.status_code == 409 and 'role="alert"' in told.text
    why = send(client, "/reports/closing/reopen", reason=" ")
    assert why.status_code == 400 and "say why" in why.text.lower()
    opened = send(client, "/reports/closing/reopen", reason="The bank sent another page")
    assert opened.location.endswith("said=opened")
    assert "The bank sent another page" in client.get("/reports/closing").text


@pytest.mark.usefixtures("account")
def test_who_may_only_look_closes_nothing(finora: Finora, scope: Scope, app: Flask) -> None:
    reader = finora.tokens.create(scope, "reader", permissions=frozenset({"books:read"}))
    client = app.test_client()
    client.set_cookie(COOKIE, reader.text)
    assert "<form method" not in client.get("/reports/closing").text.partition("<main")[2]
    assert send(client, "/reports/closing", through="2025-01-31").status_code == 403
    assert send(client, "/reports/closing/reopen", reason="x").status_code == 403
    assert not finora.closings.list(scope)


def test_another_tenants_file_is_not_there(
    finora: Finora, scope: Scope, stranger: Scope, app: Flask, account: UUID
) -> None:
    report = finora.reports.request(
        attrs.evolve(scope, request_id="r1"), Asked(kind=Kind.RECORDS, format=Format.CSV)
    )
    finora.run_jobs()
    client = app.test_client()
    client.set_cookie(COOKIE, finora.tokens.create(stranger, "other").text)
    assert client.get(f"/reports/files/{report.id}").status_code == 404
    assert "Records</strong>" not in client.get("/reports/files").text
