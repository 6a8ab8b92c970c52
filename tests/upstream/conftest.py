import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug.serving import make_server

from finora import Finora, Scope, Settings
from finora_adapters.compose import Opened, open_database
from finora_web.main import CLOSING, build
from upstream.provider import Provider
from upstream.sources import Stub


@pytest.fixture
def stub(httpserver: HTTPServer) -> Stub:
    return Stub(httpserver).start()


@pytest.fixture
def upstream(httpserver: HTTPServer) -> HTTPServer:
    """CoinGecko and Frankfurter, as far as they are asked here."""
    day = datetime(2026, 11, 20, tzinfo=UTC)
    httpserver.expect_request("/api/v3/simple/price").respond_with_json(
        {"ethereum": {"eur": 2065.603754353392, "last_updated_at": int(day.timestamp())}}
    )
    httpserver.expect_request("/v1/2026-11-19..2026-11-20").respond_with_json(
        {"base": "EUR", "rates": {"2026-11-19": {"USD": 1.16}, "2026-11-20": {"USD": 1.15}}}
    )
    httpserver.expect_request("/v1/2026-01-01..2026-01-02").respond_with_data(
        "slow down", 429, {"Retry-After": "77"}
    )
    httpserver.expect_request("/v1/2026-02-01..2026-02-02").respond_with_data("", 500)
    return httpserver


@pytest.fixture
def here(settings: Settings, upstream: HTTPServer) -> Settings:
    """An installation whose sources are that server."""
    url = SecretStr(upstream.url_for("").rstrip("/"))
    given = {"COINGECKO_URL": url, "FRANKFURTER_URL": url}
    return settings.model_copy(update={"plugin_settings": given})


@pytest.fixture(scope="session")
def opened(settings: Settings, finora: Finora) -> Iterator[Opened]:
    opened = open_database(settings, redis=True)
    yield opened
    opened.close()


@pytest.fixture
def provider(here: Settings, opened: Opened, finora: Finora, scope: Scope) -> Iterator[Provider]:
    """`finora data-provider`, as far as its process matters: on a socket."""
    app = build(here, opened, tags=("sources",))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Provider(f"http://127.0.0.1:{server.server_port}", finora, scope, app.extensions[CLOSING])
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions[CLOSING]()
