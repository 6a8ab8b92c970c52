"""Every figure leads to the sum that it is."""

import html
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from finora import Finora, Scope
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import currency
from finora_core.records.model import NewRecord
from finora_web.gate import COOKIE
from finora_web.pages.explain import explained

TODAY = datetime.now(UTC).date()
FIRST = TODAY.replace(day=1)
LINES = (
    (FIRST, "1000.00", "Salary", "Income"),
    (FIRST, "-12.50", "Bread", "Food:Bakery"),
    (FIRST, "-7.50", "Rolls", "Food:Bakery"),
    (FIRST, "-30.00", "Dinner", "Food:Out"),
    (FIRST, "-5.00", "Snack", "Food"),
    (FIRST, "-2.00", "Odd", ""),
    (FIRST - timedelta(days=1), "-99.00", "Earlier", "Food:Out"),
)
EUR = "EUR"


@pytest.fixture
def account(finora: Finora, scope: Scope) -> UUID:
    account = finora.ledger.open_account(scope, "Cash & more")
    for on_date, amount, text, category in LINES:
        new = NewRecord(account_id=account.id, on_date=on_date, description=text,
                        amount=Amount.parse(amount, currency(EUR)), category=category)  # fmt: skip
        finora.records.create(scope, new)
    return account.id


def figures(shown: str) -> list[tuple[str, str]]:
    """Each linked figure: where it leads, and what it says."""
    found = re.findall(
        r'<a class="why" href="([^"]+)"><span [^>]*><span class="figure">([^<]+)', shown
    )
    return [(html.unescape(href), said) for href, said in found]


def headline(shown: str) -> str:
    found = re.search(r'<h1>.*?class="figure">([^<]+)', shown, re.DOTALL)
    assert found
    return found[1]


def cents(said: str) -> int:
    return int(said.replace(",", "").replace("\N{MINUS SIGN}", "-").replace(".", ""))


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("path", ["/", "/parts/summary?period=year", "/parts/cashflow?span=all"])
def test_every_figure_is_what_its_explanation_sums(client: FlaskClient, path: str) -> None:
    """Followed down to the entries, each page adds up and says what the link said."""
    found = figures(client.get(path).text)
    assert len(found) >= 6
    seen: set[tuple[str, str]] = set()
    while found:
        href, said = found.pop()
        if (href, said) in seen:
            continue
        seen.add((href, said))
        answer = client.get(href)
        assert answer.status_code == 200, href
        if href.startswith("/explain/entries/"):
            assert said in answer.text
            continue
        assert headline(answer.text) == said, href
        parts = figures(answer.text)
        assert sum(cents(each) for _, each in parts) == cents(said), href
        found += parts
    assert len(seen) > 15


@pytest.mark.usefixtures("account")
def test_what_was_spent_goes_down_by_category(client: FlaskClient) -> None:
    asks = {"since": FIRST, "until": TODAY, "direction": "out"}
    shown = client.get(explained(EUR, **asks)).text
    assert headline(shown) == "−57.00" and "Spending in all own accounts in EUR" in shown
    assert "Without category" in shown
    shown = client.get(explained(EUR, **asks, category="Food")).text
    assert headline(shown) == "−55.00" and "Food itself" in shown and "and all below it" in shown
    shown = client.get(explained(EUR, **asks, category="Food:Bakery")).text
    assert headline(shown) == "−20.00" and "Bread" in shown and ">Food</a>" in shown


def test_an_entry_tells_its_line_and_its_labels(
    finora: Finora, scope: Scope, client: FlaskClient, account: UUID
) -> None:
    record = finora.records.list(scope).items[0]
    finora.records.categorise(scope, record.id, "Elsewhere")
    shown = client.get(f"/explain/entries/{record.entry_id}").text
    assert "Cash &amp; more" in shown and "Elsewhere" in shown and "by a person" in shown
    finora.records.delete(scope, record.id)
    assert "It was undone by" in client.get(f"/explain/entries/{record.entry_id}").text


@pytest.mark.usefixtures("account")
def test_parts_come_in_pages(client: FlaskClient) -> None:
    path = explained(EUR, since=FIRST, until=TODAY, direction="out") + "&limit=1"
    shown = client.get(path).text
    more = re.search(r'hx-get="([^"]+)"', shown)
    assert more and "Show more categories" in shown and headline(shown) == "−57.00"
    rest = client.get(html.unescape(more[1]), headers={"HX-Request": "true"}).text
    assert "<h1" not in rest
    assert len(figures(shown)) + len(figures(rest)) == 2
    whole = client.get(html.unescape(more[1])).text
    assert headline(whole) == "−57.00"


@pytest.mark.parametrize(
    "query",
    ["", "asset=", "asset=EUR&since=soon", "asset=EUR&since=2026-02-01&until=2026-01-01",
     "asset=EUR&direction=up", "asset=EUR&cursor=x", "asset=EUR&category=%00"],
)  # fmt: skip
def test_a_figure_that_is_none_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/explain?{query}").status_code == 400


def test_nothing_is_explained_to_another_tenant(
    finora: Finora, scope: Scope, stranger: Scope, app: Flask, account: UUID
) -> None:
    entry = finora.records.list(scope).items[0].entry_id
    client = app.test_client()
    client.set_cookie(COOKIE, finora.tokens.create(stranger, "other").text)
    assert headline(client.get(explained(EUR)).text) == "0.00"
    assert client.get(explained(EUR, account_id=account)).status_code == 404
    assert client.get(f"/explain/entries/{entry}").status_code == 404
    assert client.get(f"/explain/entries/{uuid4()}").status_code == 404


# --- the picture ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("account")
def test_the_picture_of_spending_goes_down_to_records(client: FlaskClient) -> None:
    shown = client.get("/parts/spending").text
    assert shown.count("<circle") == 2 and "−57.00" in shown and "Without category" in shown
    below = client.get("/parts/spending?category=Food").text
    assert below.count("<circle") == 3 and "−55.00" in below and "Food itself" in below
    lines = client.get("/parts/spending?category=Food:Bakery").text
    assert (
        "<circle" not in lines and "Bread" in lines and "Rolls" in lines and "Dinner" not in lines
    )
    earlier = f"{FIRST - timedelta(days=1):%Y-%m}"
    assert "−99.00" in client.get(f"/parts/spending?month={earlier}").text
    assert "Nothing was spent in Jan 2020" in client.get("/parts/spending?month=2020-01").text


@pytest.mark.parametrize("query", ["month=2026-13", "month=now", "asset=%20x", "category=%01"])
def test_a_picture_of_nothing_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/parts/spending?{query}").status_code == 400


def test_the_arcs_of_the_picture_are_the_whole_ring(
    finora: Finora, scope: Scope, client: FlaskClient, account: UUID
) -> None:
    shown = client.get("/parts/spending").text
    arcs = [int(each) for each in re.findall(r'stroke-dasharray="(\d+) 10000"', shown)]
    assert 10_000 - len(arcs) <= sum(arcs) <= 10_000
