"""Probes, figures and log lines, also while something that they look at is away."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import attrs
import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine, text

from finora import Settings
from finora_adapters import log as logs
from finora_adapters.compose import Opened, compose, engine_of
from finora_adapters.postgres.migrate import revision_of
from finora_adapters.redis.client import connect
from finora_adapters.upstream.sources import Sources
from finora_core.intelligence.service import ModelResting, Models
from finora_core.kernel.outcome import Down
from finora_web.main import build
from web.api import Api


@pytest.fixture
def fresh(settings: Settings, opened: Opened) -> Flask:
    """An application that has not looked at anything yet: it remembers for a second."""
    return build(settings, opened)


@pytest.fixture
def without_database(settings: Settings, opened: Opened) -> Iterator[Flask]:
    away = engine_of("host=/nowhere dbname=finora connect_timeout=1", settings)
    yield build(settings, attrs.evolve(opened, database=attrs.evolve(opened.database, engine=away)))
    away.dispose()


def probe(app: Flask, path: str) -> tuple[int, Any]:
    answer = app.test_client().get(path)
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status_code, answer.json


@pytest.mark.spec("S2-55", partial=True)
@pytest.mark.spec("S1-19")
@pytest.mark.spec("S4-7")
@pytest.mark.spec("S0-68", partial=True)
def test_all_is_well(fresh: Flask) -> None:
    status, body = probe(fresh, "/health")
    assert status == 200
    assert body.pop("timestamp").startswith("20")
    assert body == {
        "status": "ok",
        "service": "finora",
        "database": "connected",
        "cache": "connected",
        "stores": {"books": "postgresql", "files": "directory"},
    }
    assert probe(fresh, "/live") == (200, {"status": "ok"})
    checks = {"database": "ok", "schema": "ok"}
    for path in ("/ready", "/readyz"):
        assert probe(fresh, path) == (200, {"status": "ok", "checks": checks})
    status, body = probe(fresh, "/health/deep")
    assert (status, body["checks"]) == (
        200,
        checks | {"redis": "ok", "storage": "ok", "jobs": "ok", "models": "ok"},
    )


@pytest.mark.spec("S0-68")
def test_what_sources_lack_and_which_rest_is_told_and_fails_nothing(
    settings: Settings, opened: Opened
) -> None:
    """Also what another process found out."""
    with HTTPServer() as server:
        server.expect_request(re.compile(".*")).respond_with_data("", 503)
        url = SecretStr(server.url_for("").rstrip("/"))
        given = settings.model_copy(update={"plugin_settings": {"BITCOIN_URL": url}})
        sources = compose(given, opened).get(Sources)
        source = sources.by_kind["balances"]["bitcoin"]
        for _ in range(5):
            source.balances("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
        app = build(given, opened)
        status, body = probe(app, "/health/deep")
    assert (status, body["status"]) == (200, "ok")
    said = body["sources"]
    assert said["finnhub"] == "needs FINORA_PLUGIN_FINNHUB_KEY"
    assert said["ecb"] == "ok"
    assert said["bitcoin"].startswith("rests: ")
    client = connect(opened.redis_url)
    client.delete("finora:{upstream}:resting:bitcoin")
    assert probe(app, "/health/deep")[1]["sources"]["bitcoin"] == "ok"


@pytest.mark.spec("S0-68", partial=True)
def test_a_model_that_rests_is_told_and_fails_nothing(settings: Settings, opened: Opened) -> None:
    services = compose(settings, opened)
    models = services.get(Models)
    for _ in range(3):
        models.breaker.note(Down("x"))
    with pytest.raises(ModelResting):
        models.require()


@pytest.mark.spec("S2-55", partial=True)
@pytest.mark.spec("S0-68", partial=True)
@pytest.mark.spec("S2-56", partial=True)
def test_without_the_database_it_lives_and_is_not_ready(without_database: Flask, api: Api) -> None:
    away = without_database
    status, body = probe(away, "/health")
    assert (status, body["status"], body["database"]) == (503, "degraded", "disconnected")
    assert probe(away, "/live")[0] == 200
    status, body = probe(away, "/ready")
    assert (status, body["checks"]["database"]) == (503, "DATABASE_UNAVAILABLE")
    assert probe(away, "/health/deep")[0] == 503
    figures = away.test_client().get("/metrics")
    assert figures.status_code == 200
    assert "http_requests_total" in figures.text
    caller = Api(away, api.token)
    for path in ("/accounts", "/wallet/summary", "/export"):
        answer = caller.ask("GET", path)
        assert (answer.status_code, answer.json["error"]["code"]) == (503, "DATABASE_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) >= 1


@contextmanager
def at_revision(admin: Engine, revision: str) -> Iterator[None]:
    """The schema says that it is at another revision."""
    with admin.connect() as connection:
        found = revision_of(connection)
    say = text("update finora.schema_state set revision = :revision")
    with admin.begin() as connection:
        connection.execute(say, {"revision": revision})
    try:
        yield
    finally:
        with admin.begin() as connection:
            connection.execute(say, {"revision": found})


@pytest.mark.spec("S0-68", partial=True)
@pytest.mark.parametrize(
    ("revision", "code"), [("0001_books", "SCHEMA_BEHIND"), ("9999_later", "SCHEMA_AHEAD")]
)
def test_with_another_schema_it_is_not_ready(
    fresh: Flask, admin: Engine, revision: str, code: str
) -> None:
    with at_revision(admin, revision):
        assert probe(fresh, "/ready") == (
            503,
            {"status": "not ready", "checks": {"database": "ok", "schema": code}},
        )
        assert probe(fresh, "/health")[0] == 503
        assert probe(fresh, "/live")[0] == 200


def figures(app: Flask) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    said = app.test_client().get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(said)
        for sample in family.samples
    }


@pytest.mark.spec("S2-56", partial=True)
@pytest.mark.spec("S2-23", partial=True)
def test_figures_count_what_was_asked(api: Api) -> None:
    before = figures(api.app)

    def more(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return figures(api.app)[key] - before.get(key, 0)

    api.get("/accounts")
    api.refused("GET", "/nope")
    api.ask("BREW", "/accounts")
    api.ask("X" * 50, "/accounts")
    for _ in range(3):
        api.get("/wallet/summary")
    api.ask("POST", "/imports", raw=b"no statement")
    route = "/api/v1/accounts"
    assert more("http_requests_total", method="GET", route=route, status="200") == 1
    assert more("http_requests_total", method="other", route="none", status="405") == 2
    assert more("http_errors_total", route="none", code="ROUTE_NOT_FOUND") == 1
    assert more("http_request_duration_ms_count", route=route) == 1
    assert more("http_request_duration_ms_bucket", route=route, le="+Inf") == 1
    assert more("cache_reads_total", outcome="hit") == 2
    assert more("redis_operations_total", outcome="ok") > 4
    assert more("job_queue_length", queue="records:ingest", state="waiting") == 1
    found = figures(api.app)
    assert 0 < found[("cache_hit_rate", ())] < 1
    assert found[("database_connections", ())] == 0
    assert found[("event_seal_lag_seconds", ())] > 0  # nobody seals in this test


@pytest.fixture
def logged() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What is logged as in production."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logs.set_up("info")
    stream = StringIO()
    assert isinstance(root.handlers[0], logging.StreamHandler)
    root.handlers[0].stream = stream
    yield lambda: [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]
    root.handlers, root.level = handlers, level


@pytest.mark.spec("S2-57", partial=True)
@pytest.mark.spec("S4-2", partial=True)
def test_a_request_is_one_line_of_json(
    api: Api, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    api.ask("GET", "/accounts", headers={"X-Request-Id": "r-1"})
    api.ask("GET", "/nope")
    one, two = [line for line in logged() if line["event"] == "request"]
    assert one.keys() >= {"level", "time", "request_id", "method", "path", "status_code",
                          "duration_ms", "user_id", "tenant_id"}  # fmt: skip
    assert (one["level"], one["request_id"], one["method"]) == ("info", "r-1", "GET")
    assert (one["path"], one["status_code"]) == ("/api/v1/accounts", 200)
    assert one["user_id"]
    assert (two["status_code"], two["code"]) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.spec("S2-57", partial=True)
@pytest.mark.invariant("T-19")
def test_a_line_has_no_secret_and_stays_one_line(
    api: Api, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    token = str(api.token)
    for path in (f"/x/{token}", f"/Bearer {token}", f"/a;token={token}", f"/b?token={token}",
                 "/c\n{}", '/d"}', "/password=hunter2", "/Bearer hunter2", "/e\u2028",
                 "/postgres://u:hunter2@h/db"):  # fmt: skip
        api.app.test_client().get(path)
    api.refused("POST", "/accounts", {"name": token, token: 1})
    logging.getLogger("other").warning("it said %s", token, extra={"authorization": "hunter2"})
    lines = logged()
    assert len(lines) > 10
    assert token not in json.dumps(lines)
    assert "hunter2" not in json.dumps(lines)
