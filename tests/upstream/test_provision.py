"""The data provider: the same sources in this process and over HTTP, held to the same tests."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer

from finora import Finora, Scope, Settings
from finora_adapters.plugins import load_plugins
from finora_adapters.upstream.sources import Sources, sources_of
from finora_core.kernel.clock import SystemClock
from finora_core.kernel.outcome import (
    Ambiguous,
    AuthExpired,
    Down,
    Missing,
    Ok,
    Outcome,
    OverBudget,
    Partial,
    RateLimited,
    Unsupported,
)
from finora_core.market.provision.codec import QUESTIONS, heard, told
from finora_core.plugins import (
    AssetRef,
    Batch,
    Day,
    Held,
    Identified,
    Movement,
    Picture,
    Quoted,
    Seen,
)
from upstream.provider import Provider

AT = datetime(2026, 11, 20, 12, 30, 0, 5, tzinfo=UTC)
ETHER = AssetRef(id="crypto:ETH", kind="crypto", symbol="ETH", names={"coingecko": "ethereum"})
LONG = Decimal("0.1234567890123456789012345678901234567890")


# --- what goes over the wire ---------------------------------------------------------------------

ANSWERS: list[tuple[str, Outcome[Any]]] = [
    ("latest", Ok([Quoted(asset="crypto:ETH", quote="EUR", price=LONG, at=AT)])),
    ("latest", Partial([], "one of two")),
    ("history", Ok([Day(on_date=date(2026, 1, 2), price=Decimal("1E+3"))])),
    ("rates", Ok({"USD": [Day(on_date=date(2026, 1, 2), price=Decimal("1.10"))], "CHF": []})),
    ("find", Ok([Identified(name="AAPL", symbol="AAPL", title="Apple “é”", kind="security",
                            quote="USD", names={"isin": "US0378331005"})])),
    ("find", Ambiguous((Identified(name="a", symbol="A", title="", kind="other"),))),
    ("balances", Ok([Held(name="0xa", symbol="ETH", quantity=Decimal("-3"), scale=18)])),
    ("transactions", Ok(Batch(movements=[
        Movement(id="1", at=AT, name="0xa", symbol="ETH", quantity=LONG, scale=40, kind="fee",
                 counterparty="0xb")], next="page 2"))),
    ("picture", Ok([Seen(kind="transaction", text="Apple", amount=LONG, currency="EUR",
                         on_date=date(2026, 1, 2)),
                    Seen(kind="holding", text="VWCE", quantity=Decimal("1E+3"))])),
    ("transactions", Missing()),
    ("history", Unsupported()),
    ("latest", AuthExpired()),
    ("latest", Down("it answers 500")),
]  # fmt: skip


@pytest.mark.parametrize(("question", "outcome"), ANSWERS)
def test_an_outcome_is_heard_as_it_was_told(question: str, outcome: Outcome[Any]) -> None:
    said = json.loads(json.dumps(told(outcome)))
    assert heard(question, said) == outcome


def bent(value: Any) -> Iterator[Any]:
    """The value with one thing in it made wrong, each in turn."""
    yield from (None, 1, "x", [1], {"a": 1})
    if isinstance(value, dict):
        for key in value:
            yield {each: value[each] for each in value if each != key}
            yield from ({**value, key: wrong} for wrong in bent(value[key]))
    elif isinstance(value, list):
        for place in range(len(value)):
            yield from (
                [*value[:place], wrong, *value[place + 1 :]] for wrong in bent(value[place])
            )
    elif isinstance(value, str):
        yield from ("NaN", "Infinity", "2026-13-01", "2026-01-01T00:00:00", "")


@pytest.mark.parametrize(("question", "outcome"), [a for a in ANSWERS if isinstance(a[1], Ok)])
def test_what_does_not_fit_is_down_or_of_the_right_types(question: str, outcome: Ok[Any]) -> None:
    """Whoever answers there: what is heard is an outcome of the contract's types."""
    seen = 0
    for said in bent(json.loads(json.dumps(told(outcome)))):
        answer = heard(question, said)
        assert isinstance(answer, Ok | Partial | Missing | Unsupported | AuthExpired | Down
                          | Ambiguous)  # fmt: skip
        if isinstance(answer, Ok | Partial):
            # Told again it is the same: nothing in it is of another type.
            assert heard(question, json.loads(json.dumps(told(answer)))) == answer
        seen += isinstance(answer, Down)
    assert seen > 10


# --- in process and remote -----------------------------------------------------------------------


@pytest.fixture(params=["in process", "remote"])
def sources(request: pytest.FixtureRequest, here: Settings) -> Sources:
    if request.param == "in process":
        return sources_of(here, load_plugins(), SystemClock())
    provider: Provider = request.getfixturevalue("provider")
    return provider.asked_with(provider.key())


def rates(sources: Sources, since: date, until: date) -> Outcome[Any]:
    return sources.by_kind["rates"]["frankfurter"].rates("EUR", ["USD"], since, until)


@pytest.mark.spec("S0-3", partial=True)
@pytest.mark.spec("S0-2", partial=True)
def test_a_price_is_answered_alike(sources: Sources) -> None:
    answer = sources.by_kind["prices"]["coingecko"].latest([ETHER], "EUR")
    assert isinstance(answer, Ok), answer
    [quoted] = answer.value
    assert (quoted.asset, quoted.quote, quoted.price) == (
        "crypto:ETH", "EUR", Decimal("2065.603754353392"))  # fmt: skip


@pytest.mark.spec("S0-3", partial=True)
def test_rates_are_answered_alike(sources: Sources) -> None:
    answer = rates(sources, date(2026, 11, 19), date(2026, 11, 20))
    days = [Day(on_date=date(2026, 11, 19), price=Decimal("1.16")),
            Day(on_date=date(2026, 11, 20), price=Decimal("1.15"))]  # fmt: skip
    assert answer == Ok({"USD": days})


def test_what_a_source_was_not_made_for_it_does_not_answer(sources: Sources) -> None:
    source = sources.by_kind["rates"]["frankfurter"]
    assert source.find("EUR") == Unsupported()
    assert source.latest([ETHER], "EUR") == Unsupported()


@pytest.mark.spec("S0-4", partial=True)
def test_a_limit_of_the_source_is_told_with_its_time(sources: Sources) -> None:
    answer = rates(sources, date(2026, 1, 1), date(2026, 1, 2))
    assert isinstance(answer, RateLimited) and 60 <= answer.retry_after <= 77, answer


def test_a_source_that_fails_is_down(sources: Sources) -> None:
    assert isinstance(rates(sources, date(2026, 2, 1), date(2026, 2, 2)), Down)


@pytest.mark.spec("S0-4", partial=True)
def test_a_source_without_its_credentials_is_not_asked(sources: Sources) -> None:
    finnhub = sources.by_kind["prices"]["finnhub"]
    assert finnhub.latest([ETHER], "USD") == AuthExpired()


# --- the gate ------------------------------------------------------------------------------------


def post(provider: Provider, key: str | None, path: str, **body: Any) -> tuple[int, Any]:
    import httpx2

    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    answer = httpx2.post(f"{provider.url}{path}", json=body, headers=headers, trust_env=False)
    return answer.status_code, answer


FIND = "/api/v1/sources/find"
LATEST = "/api/v1/sources/latest"


@pytest.mark.spec("S0-4")
def test_the_gate_asks_for_the_key_then_for_credentials_then_for_the_limit(
    provider: Provider,
) -> None:
    asset = {"id": "crypto:ETH", "kind": "crypto", "symbol": "ETH"}
    body = {"source": "finnhub", "assets": [asset], "quote": "USD"}
    assert post(provider, None, LATEST, **body)[0] == 401
    assert post(provider, "x" * 40, LATEST, **body)[0] == 401
    key = provider.key()
    status, answer = post(provider, key, LATEST, **body)
    assert (status, answer.json()["error"]["code"]) == (412, "CREDENTIALS_MISSING")
    days = {"since": "2026-01-01", "until": "2026-01-02"}
    status, answer = post(provider, key, "/api/v1/sources/rates", source="frankfurter",
                          base="EUR", quotes=["USD"], **days)  # fmt: skip
    assert (status, answer.json()["error"]["code"]) == (429, "UPSTREAM_LIMITED")
    assert 60 <= int(answer.headers["Retry-After"]) <= 77
    status, answer = post(provider, key, FIND, source="nobody", text="x")
    assert (status, answer.json()["error"]["code"]) == (404, "UNKNOWN_SOURCE")


@pytest.mark.spec("S0-9", partial=True)
def test_a_key_of_the_books_asks_no_source_and_a_revoked_one_nothing(
    provider: Provider, finora: Finora, scope: Scope
) -> None:
    books = finora.tokens.create(scope, "a script").text
    assert post(provider, books, FIND, source="finnhub", text="x")[0] == 403
    made = finora.tokens.create(scope, "another", permissions=frozenset({"data:ask"}))
    assert post(provider, made.text, FIND, source="nobody", text="x")[0] == 404
    finora.tokens.revoke(scope, made.token.id)
    assert post(provider, made.text, FIND, source="nobody", text="x")[0] == 401
    assert provider.asked_with(made.text).by_kind["assets"]["yahoo"].find("x") == AuthExpired()


@pytest.mark.spec("S0-1", partial=True)
def test_it_serves_nothing_but_sources(provider: Provider) -> None:
    key = provider.key("data:ask", "books:read")
    for path in ("/api/v1/accounts", "/", "/docs", "/openapi.json", "/admin/jobs"):
        assert post(provider, key, path)[0] in (404, 405), path
    import httpx2

    assert httpx2.get(f"{provider.url}/live", trust_env=False).json() == {"status": "ok"}


def test_a_data_provider_that_is_not_there_is_down() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = Settings(data_url=f"http://127.0.0.1:{port}", data_key=SecretStr("k" * 16), env="test")
    source = sources_of(ours, load_plugins(), SystemClock()).by_kind["rates"]["frankfurter"]
    for question, given in (("rates", ("EUR", ["USD"], date(2026, 1, 1), date(2026, 1, 2))),
                            ("find", ("x",)), ("balances", ("x",)),
                            ("transactions", ("x", None)),
                            ("picture", (Picture(b"\x89PNG\r\n\x1a\n"),))):  # fmt: skip
        assert isinstance(getattr(source, question)(*given), Down)
    assert len(QUESTIONS) == 7


@pytest.mark.parametrize(("status", "body", "wanted"), [
    (200, b"not json", Down), (200, b"[]", Down), (200, b'{"data": {"outcome": "ok"}}', Down),
    (302, b"", Down), (500, b"", Down),
    (503, b'{"error": {"code": "GLOBAL_COST_CAP"}}', OverBudget),
    (503, b"", Down), (429, b"", RateLimited), (401, b"", AuthExpired),
    (409, b'{"error": {"code": "SOURCE_ASIDE"}}', Down), (404, b"", Down),
])  # fmt: skip
def test_whatever_is_answered_there_is_an_outcome(
    httpserver: HTTPServer, status: int, body: bytes, wanted: type[Any]
) -> None:
    httpserver.expect_request("/api/v1/sources/find").respond_with_data(
        body, status, content_type="application/json"
    )
    url = httpserver.url_for("").rstrip("/")
    ours = Settings(data_url=url, data_key=SecretStr("k" * 16), env="test")
    source = sources_of(ours, load_plugins(), SystemClock()).by_kind["assets"]["yahoo"]
    assert isinstance(source.find("x"), wanted)
