"""Keys of the data provider over HTTP: what each may, what is left, and what it asked."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from finora import Finora, Scope, Settings
from finora_core.identity.model import Bearer, NewToken
from finora_core.kernel.outcome import AuthExpired, Ok, OverBudget, RateLimited
from finora_core.market.provision.model import KeyNotFound, Quota, Window
from serving import Served
from upstream.provider import Provider

S09 = pytest.mark.spec("S0-9")
RATES = {"source": "frankfurter", "base": "EUR", "quotes": ["USD"],
         "since": "2026-11-19", "until": "2026-11-20"}  # fmt: skip


def a_key(finora: Finora, scope: Scope, quota: Quota | None = None, *more: str) -> NewToken:
    made = finora.tokens.create(scope, "a customer", permissions=frozenset({"data:ask", *more}))
    if quota is not None:
        finora.data.set_quota(scope, made.token.id, quota)
    return made


def ask(url: str, key: NewToken, path: str = "rates", **body: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key.text}"}
    at = f"{url}/api/v1/sources/{path}"
    return httpx2.post(at, json=RATES | body, headers=headers, trust_env=False, timeout=60)


def usage(url: str, key: NewToken, **query: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key.text}"}
    at = f"{url}/api/v1/sources/usage"
    answer = httpx2.get(at, params=query, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@S09
def test_what_is_left_is_told_and_then_the_key_waits(
    provider: Provider, finora: Finora, scope: Scope
) -> None:
    key = a_key(finora, scope, Quota(monthly=3, window=Window(2, 600)))
    answer = ask(provider.url, key)
    assert answer.status_code == 200, answer.text
    month, window = answer.headers["RateLimit"].split(", ")
    assert month.startswith('"month";r=2;t=')
    assert window.startswith('"window";r=1;t=')
    assert answer.headers["RateLimit-Policy"].endswith('"window";q=2;w=600')
    ask(provider.url, key)
    refused = ask(provider.url, key)
    assert code(refused) == (429, "QUOTA_USED")
    assert 1 <= int(refused.headers["Retry-After"]) <= 600
    assert '"window";r=0' in refused.headers["RateLimit"]
    assert '"month";r=1' in refused.headers["RateLimit"]
    # A wider window: now the month is what ends it.
    finora.data.set_quota(scope, key.token.id, Quota(monthly=3))
    assert ask(provider.url, key).status_code == 200
    refused = ask(provider.url, key)
    assert code(refused) == (429, "QUOTA_USED")
    assert int(refused.headers["Retry-After"]) <= 31 * 86_400
    source = provider.asked_with(key.text).by_kind["rates"]["frankfurter"]
    outcome = source.rates("EUR", ["USD"], date(2026, 11, 19), date(2026, 11, 20))
    assert isinstance(outcome, OverBudget) and outcome.retry_after >= 1
    healthy = a_key(finora, scope)
    assert ask(provider.url, healthy).status_code == 200
    assert "RateLimit" not in ask(provider.url, healthy).headers


@S09
def test_a_key_is_good_or_blocked_or_revoked_or_unknown(
    provider: Provider, finora: Finora, scope: Scope
) -> None:
    key = a_key(finora, scope)
    stored = key.text
    assert ask(provider.url, key).status_code == 200
    finora.data.block(scope, key.token.id)
    assert code(ask(provider.url, key)) == (402, "BILLING_BLOCKED")
    source = provider.asked_with(stored).by_kind["assets"]["yahoo"]
    assert source.find("x") == AuthExpired()
    [shown] = [each for each in finora.data.keys(scope) if each.id == key.token.id]
    assert shown.state == "blocked"
    finora.data.unblock(scope, key.token.id)
    assert ask(provider.url, key).status_code == 200
    finora.tokens.revoke(scope, key.token.id)
    assert code(ask(provider.url, key)) == (401, "TOKEN_REVOKED")
    [shown] = [each for each in finora.data.keys(scope) if each.id == key.token.id]
    assert shown.state == "revoked"
    unknown = Bearer.make(scope.tenant_id, key.token.id)
    headers = {"Authorization": f"Bearer {unknown.text}"}
    answer = httpx2.post(f"{provider.url}/api/v1/sources/rates", json=RATES, headers=headers,
                         trust_env=False)  # fmt: skip
    assert code(answer) == (401, "TOKEN_INVALID")
    # What is kept is a digest.
    assert stored not in json.dumps([str(each) for each in finora.tokens.list(scope)])


@S09
def test_what_cannot_be_answered_is_not_counted(
    provider: Provider, finora: Finora, scope: Scope
) -> None:
    key = a_key(finora, scope, Quota(monthly=1))
    coin = {"id": "crypto:ETH", "kind": "crypto", "symbol": "ETH"}
    headers = {"Authorization": f"Bearer {key.text}"}
    for source, wanted in (("finnhub", 412), ("nobody", 404)):
        body = {"source": source, "assets": [coin], "quote": "USD"}
        answer = httpx2.post(f"{provider.url}/api/v1/sources/latest", json=body, headers=headers,
                             trust_env=False)  # fmt: skip
        assert answer.status_code == wanted
    assert ask(provider.url, key).status_code == 200
    assert ask(provider.url, key).status_code == 429


@S09
def test_a_key_sees_what_it_asked_and_its_operator_all(
    provider: Provider, finora: Finora, scope: Scope
) -> None:
    one, other = a_key(finora, scope), a_key(finora, scope)
    operator = a_key(finora, scope, None, "tokens:read")
    for key, times in ((one, 2), (other, 3)):
        for _ in range(times):
            assert ask(provider.url, key).status_code == 200
    provider.flush()
    [mine] = usage(provider.url, one)
    assert (mine["key_id"], mine["source"], mine["requests"]) == (
        str(one.token.id), "frankfurter", 2)  # fmt: skip
    assert {each["key_id"]: each["requests"] for each in usage(provider.url, operator)} == {
        str(one.token.id): 2, str(other.token.id): 3}  # fmt: skip
    used = {each.id: each.used for each in finora.data.keys(scope)}
    assert used == {one.token.id: 2, other.token.id: 3, operator.token.id: 0}


@S09
def test_a_quota_is_of_a_key_of_this_tenant(finora: Finora, scope: Scope, stranger: Scope) -> None:
    key = a_key(finora, stranger)
    books = finora.tokens.create(scope, "a script")
    for key_id in (key.token.id, books.token.id, UUID(int=7)):
        with pytest.raises(KeyNotFound):
            finora.data.set_quota(scope, key_id, Quota(monthly=5))
        with pytest.raises(KeyNotFound):
            finora.data.block(scope, key_id)
    assert finora.data.keys(scope) == []


# --- as it runs in production --------------------------------------------------------------------


@pytest.fixture
def rates(httpserver: HTTPServer) -> HTTPServer:
    def told(request: Request) -> Response:
        body = {"base": "EUR", "rates": {"2026-11-19": {"USD": 1.16}}}
        return Response(json.dumps(body), content_type="application/json")

    httpserver.expect_request("/v1/2026-11-19..2026-11-20").respond_with_handler(told)
    return httpserver


@pytest.fixture
def serve(settings: Settings, rates: HTTPServer, tmp_path: Path) -> Iterator[Any]:
    running: list[Served] = []
    url = rates.url_for("").rstrip("/")

    def start() -> Served:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        made = Served(settings.data, folder, command="data-provider", plugin_frankfurter_url=url)
        running.append(made)
        return made

    yield start
    for each in running:
        if each.process.poll() is None:
            each.stop()


@S09
@pytest.mark.timeout(300)
def test_two_processes_hold_one_key_to_its_quota_and_serve_another(
    serve: Any, finora: Finora, scope: Scope
) -> None:
    """And what they counted outlives them, once."""
    one, other = serve(), serve()
    urls = [f"http://127.0.0.1:{each.ready().port}" for each in (one, other)]
    greedy, healthy = a_key(finora, scope, Quota(monthly=12)), a_key(finora, scope)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: ask(urls[n % 2], greedy), range(30)))
        well = list(pool.map(lambda n: ask(urls[n % 2], healthy), range(8)))
    statuses = [each.status_code for each in answers]
    assert (statuses.count(200), statuses.count(429)) == (12, 18), statuses
    assert [each.status_code for each in well] == [200] * 8
    # Killed before anything was written down.
    for each in (one, other):
        for pid in children(each.process.pid):
            os.kill(pid, signal.SIGKILL)
        each.kill()
    again = serve().ready()
    url = f"http://127.0.0.1:{again.port}"
    assert ask(url, greedy).status_code == 429
    assert ask(url, healthy).status_code == 200
    # One that ends writes what is left, also of those that were killed.
    assert again.stop() == 0
    used = {each.id: each.used for each in finora.data.keys(scope)}
    assert used == {greedy.token.id: 12, healthy.token.id: 9}
    source = serve().ready()
    client = Provider(f"http://127.0.0.1:{source.port}", finora, scope)
    days = date(2026, 11, 19), date(2026, 11, 20)
    asked = client.asked_with(greedy.text).by_kind["rates"]["frankfurter"]
    assert isinstance(asked.rates("EUR", ["USD"], *days), OverBudget)
    asked = client.asked_with(healthy.text).by_kind["rates"]["frankfurter"]
    assert isinstance(asked.rates("EUR", ["USD"], *days), Ok | RateLimited)


def children(pid: int) -> list[int]:
    """Of gunicorn's first process, those that answer."""
    with open(f"/proc/{pid}/task/{pid}/children") as listed:
        return [int(each) for each in listed.read().split()]
