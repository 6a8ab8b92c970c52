"""The pages as the application gives them: who may see them, and what they say."""

import io
from datetime import date
from pathlib import Path
from uuid import UUID

import attrs
import pytest
from flask import Flask
from flask.testing import FlaskClient

from finora import Finora, Scope, Settings
from finora_adapters.compose import Opened, compose
from finora_core.jobs.model import Failure, JobState
from finora_core.jobs.ports import Queue
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import currency
from finora_core.records.model import NewRecord
from finora_web.gate import COOKIE
from finora_web.pages.settings import HIDDEN, effective
from pages.conftest import ORIGIN

HOUSEHOLD = Path(__file__).parents[2] / "src/finora/demo"
PAGES = (
    "/",
    "/records",
    "/settings",
    "/explain?asset=EUR",
    "/budgets",
    "/goals",
    "/recurring",
    "/forecast",
    "/portfolio",
    "/prices",
    "/rules",
    "/rules/new",
    "/review",
    "/reports",
    "/reports?kind=balance_sheet",
    "/reports?kind=cash_flow",
    "/parts/summary",
    "/parts/cashflow",
    "/parts/spending",
    "/parts/latest",
    "/parts/records",
    "/parts/accounts",
    "/parts/categories",
)


def test_an_address_with_a_token_signs_in_and_forgets_the_address(app: Flask, token: str) -> None:
    answer = app.test_client().get(f"/?token={token}")
    assert (answer.status_code, answer.location) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}={token};")
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" not in cookie


def test_behind_tls_the_cookie_is_for_tls_only(app: Flask, token: str) -> None:
    answer = app.test_client().get(f"/?token={token}", headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["Set-Cookie"]


def test_a_link_of_another_site_signs_nobody_in(app: Flask, token: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = app.test_client().get(f"/?token={token}", headers=headers)
    assert answer.status_code == 200 and "Set-Cookie" not in answer.headers
    assert "from another site" in answer.text


def test_a_form_of_another_site_signs_nobody_in_or_out(app: Flask, token: str) -> None:
    client = app.test_client()
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        answer = client.post("/sign-in", data={"token": token}, headers=origin)
        assert answer.status_code == 403 and "Set-Cookie" not in answer.headers
        assert "Set-Cookie" not in client.post("/sign-out", headers=origin).headers


def test_a_pasted_token_signs_in(app: Flask, token: str) -> None:
    data, headers = {"token": f" {token}\n"}, {"Origin": ORIGIN}
    answer = app.test_client().post("/sign-in", data=data, headers=headers)
    assert (answer.status_code, answer.location) == (303, "/")
    assert answer.headers["Set-Cookie"].startswith(f"{COOKIE}={token};")


@pytest.mark.parametrize("wrong", ["", "fin_x", "x" * 5_000, "\x00", "fin_" + "A" * 88])
def test_a_wrong_token_opens_nothing(app: Flask, wrong: str) -> None:
    client = app.test_client()
    answer = client.post("/sign-in", data={"token": wrong}, headers={"Origin": ORIGIN})
    assert answer.status_code == 401 and "Set-Cookie" not in answer.headers
    answer = client.get("/", query_string={"token": wrong})
    assert answer.status_code == 401 and "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", PAGES)
def test_without_a_cookie_there_is_only_the_way_in(app: Flask, path: str) -> None:
    answer = app.test_client().get(path)
    assert (answer.status_code, answer.location) == (303, "/sign-in")
    part = app.test_client().get(path, headers={"HX-Request": "true"})
    assert (part.status_code, part.text) == (401, "")
    assert part.headers["HX-Redirect"] == "/sign-in"


def test_a_revoked_token_is_out(finora: Finora, scope: Scope, client: FlaskClient) -> None:
    assert client.get("/").status_code == 200
    finora.tokens.revoke(scope, finora.tokens.list(scope)[0].id)
    answer = client.get("/")
    assert answer.location == "/sign-in?why=ended"
    assert f"{COOKIE}=;" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/docs"])
def test_every_page_has_the_strict_policy_and_nothing_inline(
    client: FlaskClient, path: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    for inline in (" style=", "<style", " onclick", " onload", "javascript:", "hx-on"):
        assert inline not in answer.text, inline


def test_empty_books_invite_to_import(client: FlaskClient) -> None:
    shown = client.get("/").text
    assert "Your books are empty" in shown and "choose files" in shown


@pytest.fixture
def household(finora: Finora, scope: Scope) -> None:
    for name in ("giro-jan-mar.xml", "card-jan-apr.ofx"):
        with (HOUSEHOLD / name).open("rb") as file:
            finora.imports.submit(attrs.evolve(scope, request_id=name), file, name)
    finora.run_jobs()


@pytest.mark.spec("S2-18", partial=True)
@pytest.mark.usefixtures("household")
def test_the_summary_says_what_there_is(client: FlaskClient) -> None:
    shown = client.get("/parts/summary?period=year").text
    assert "DE02120300000000202051" in shown
    assert "This year" in shown and "Last six months" in shown and "Most spent on" in shown
    assert "EUR" in shown and "Your books are empty" not in shown


def test_a_gap_is_said_in_words(finora: Finora, scope: Scope, client: FlaskClient) -> None:
    account = finora.ledger.open_account(scope, "London")
    _enter(finora, scope, account.id, "12.34", "GBP", "Tea")
    shown = client.get("/parts/summary").text
    assert "12.34" in shown and "no rate for GBP" in shown


def _enter(finora: Finora, scope: Scope, account: UUID, amount: str, asset: str, text: str) -> UUID:
    new = NewRecord(
        account_id=account,
        on_date=date(2026, 3, 4),
        amount=Amount.parse(amount, currency(asset)),
        description=text,
    )
    return finora.records.create(scope, new).id


def test_records_are_filtered_and_paged(finora: Finora, scope: Scope, client: FlaskClient) -> None:
    account = finora.ledger.open_account(scope, "Cash")
    for number in range(1, 53):
        _enter(finora, scope, account.id, f"-{number}.00", "EUR", f"Line {number:02}")
    shown = client.get("/parts/records").text
    assert shown.count('class="date"') == 50 and "Show more" in shown
    address = shown.partition('hx-get="/parts/records?')[2].partition('"')[0]
    rest = client.get("/parts/records?" + address.replace("&amp;", "&")).text
    assert rest.count('class="date"') == 2 and "Show more" not in rest and "<table" not in rest
    found = client.get("/parts/records?text=line+07")
    assert found.text.count('class="date"') == 1 and "−7.00" in found.text
    assert found.headers["HX-Replace-Url"] == "/records?text=line+07"
    none = client.get("/parts/records?until=2020-01-01")
    assert "No record fits" in none.text


def test_a_deleted_record_is_struck_through(
    finora: Finora, scope: Scope, client: FlaskClient
) -> None:
    account = finora.ledger.open_account(scope, "Cash")
    gone = _enter(finora, scope, account.id, "-1.00", "EUR", "Twice")
    finora.records.delete(scope, gone)
    assert "Twice" not in client.get("/parts/records").text
    shown = client.get("/parts/records?with_void=1").text
    assert "Twice" in shown and 'class="void"' in shown and "deleted" in shown


@pytest.mark.parametrize(
    "query",
    ["since=yesterday", "account_id=1", "cursor=x", "limit=0", "text=%00", "category=" + "x" * 300],
)
def test_a_filter_that_is_not_right_is_refused(client: FlaskClient, query: str) -> None:
    part = client.get(f"/parts/records?{query}", headers={"HX-Request": "true"})
    assert part.status_code == 400 and 'role="alert"' in part.text
    whole = client.get(f"/records?{query}")
    assert whole.status_code == 400 and "Back to the overview" in whole.text


@pytest.mark.parametrize("path", ["/parts/summary?period=day", "/parts/cashflow?span=5"])
def test_a_period_that_is_not_known_is_refused(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 400


def test_what_a_statement_says_is_text_and_nothing_else(
    finora: Finora, scope: Scope, client: FlaskClient
) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    account = finora.ledger.open_account(scope, "<b>Cash</b>")
    record = _enter(finora, scope, account.id, "-1.00", "EUR", evil)
    finora.records.categorise(scope, record, '"><i>x')
    for path in PAGES:
        shown = client.get(path).text
        for raw in ("<script>alert", "<img", "<b>Cash", "<i>x"):
            assert raw not in shown, (path, raw)


def test_a_category_is_changed_in_place(finora: Finora, scope: Scope, client: FlaskClient) -> None:
    account = finora.ledger.open_account(scope, "Cash")
    record = _enter(finora, scope, account.id, "-1.00", "EUR", "Bread")
    path, ours = f"/parts/records/{record}/category", {"Origin": ORIGIN}
    assert "Add category" in client.get(path).text
    assert 'name="category"' in client.get(f"{path}/form").text
    answer = client.post(path, data={"category": " Food "}, headers=ours)
    assert answer.status_code == 200 and "Food" in answer.text
    assert finora.records.get(scope, record).category == "Food"
    wrong = client.post(path, data={"category": " "}, headers=ours)
    assert wrong.status_code == 400 and 'role="alert"' in wrong.text and "<form" in wrong.text
    assert client.post(path, data={"category": "Evil"}).status_code == 303
    evil = {"Origin": "https://evil.example"}
    assert client.post(path, data={"category": "Evil"}, headers=evil).status_code == 303
    assert finora.records.get(scope, record).category == "Food"


def test_another_tenant_sees_nothing_of_it(
    finora: Finora, scope: Scope, stranger: Scope, app: Flask
) -> None:
    account = finora.ledger.open_account(scope, "Purse")
    record = _enter(finora, scope, account.id, "-1.00", "EUR", "Whispered bread")
    _, job = finora.imports.submit(scope, io.BytesIO(b"x"), "whispered.txt")
    client = app.test_client()
    client.set_cookie(COOKIE, finora.tokens.create(stranger, "other").text)
    ours = {"Origin": ORIGIN}
    for path in PAGES:
        shown = client.get(path).text
        assert "hispered" not in shown and "Purse" not in shown
    path = f"/parts/records/{record}/category"
    assert client.get(path).status_code == 404
    assert client.post(path, data={"category": "x"}, headers=ours).status_code == 404
    assert client.get(f"/parts/jobs/{job}").status_code == 404
    assert client.post(f"/parts/jobs/{job}/dismiss", headers=ours).status_code == 404
    finora.run_jobs()


def test_a_dead_job_can_be_tried_again(
    finora: Finora, scope: Scope, client: FlaskClient, settings: Settings, opened: Opened
) -> None:
    _, job = finora.imports.submit(scope, io.BytesIO(b"no statement"), "odd.txt")
    queue: Queue = compose(settings, opened).get(Queue)  # type: ignore[type-abstract]  # its key
    claimed = queue.claim_one(scope.tenant_id, job)
    assert claimed
    died = Failure(state=JobState.DEAD, reason="INTERNAL", message="it broke", error="...")
    queue.fail(claimed, died)
    shown = client.get("/").text
    assert "Needs your attention" in shown and "It broke." in shown and "Try again" in shown
    again = client.post(f"/parts/jobs/{job}/replay", headers={"Origin": ORIGIN})
    assert again.status_code == 200 and "waits" in again.text
    assert finora.jobs.get(scope, job).state is JobState.WAITING
    finora.run_jobs()
    part = client.get(f"/parts/jobs/{job}?name=odd.txt")
    assert "UNKNOWN_FORMAT" in part.text and "hx-get" not in part.text
    client.post(f"/parts/jobs/{job}/dismiss", headers={"Origin": ORIGIN})
    assert "Needs your attention" not in client.get("/").text


def test_settings_show_what_runs_and_no_secret(client: FlaskClient) -> None:
    shown = client.get("/settings").text
    for word in ("Health", "Versions", "Queues", "FINORA_HTTP_PORT", "htmx", "4.0.1"):
        assert word in shown, word


def test_a_secret_is_never_shown() -> None:
    settings = Settings(
        database_url="postgresql://me:hunter2@db/books",
        redis_url="redis://:hunter2@cache",
        storage_s3_bucket="bucket",
        storage_s3_key="hunter2",
        storage_s3_secret="hunter2",
        storage_s3_endpoint="https://me:hunter2@store.example",
        http_port=4001,
    )
    shown = {each["name"]: each for each in effective(settings)}
    assert "hunter2" not in str(shown)
    assert shown["FINORA_DATABASE_URL"]["value"] == HIDDEN
    assert shown["FINORA_STORAGE_S3_ENDPOINT"]["value"] == "https://store.example"
    assert (shown["FINORA_HTTP_PORT"]["value"], shown["FINORA_HTTP_PORT"]["given"]) == (
        "4001",
        True,
    )
    assert shown["FINORA_HTTP_HOST"]["given"] is False
    live = settings.model_copy(update={"env": "production"})
    assert {each["value"] for each in effective(live)} == {HIDDEN, "unset"}
