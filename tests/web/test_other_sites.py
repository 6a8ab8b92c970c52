"""What a browser may do for pages of other sites: read what the settings allow, and write nothing
with our pages' cookie."""

import attrs
import pytest
from flask import Flask

from finora import Settings
from finora_adapters.compose import Opened
from finora_web.app import Shell, create_app
from finora_web.gate import COOKIE
from finora_web.main import build
from web.api import ROOT, Api
from web.catalogue import Written

FRONT = "https://front.example"
OURS = "http://localhost"


@pytest.fixture
def fronted(settings: Settings, opened: Opened) -> Flask:
    origins = f" {FRONT}, https://other.example "
    return build(settings.model_copy(update={"http_origins": origins}), opened)


@pytest.mark.spec("S4-1", partial=True)
def test_an_origin_of_the_settings_may_read_what_it_asks_for(fronted: Flask, api: Api) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Origin": FRONT,
             "Access-Control-Request-Headers": "authorization,idempotency-key"}  # fmt: skip
    preflight = fronted.test_client().options(f"{ROOT}/accounts", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == FRONT
    assert preflight.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]
    assert {"POST", "PATCH", "DELETE"} <= set(
        preflight.headers["Access-Control-Allow-Methods"].split(", ")
    )
    answer = Api(fronted, api.token).ask("GET", "/accounts", headers={"Origin": FRONT})
    assert answer.headers["Access-Control-Allow-Origin"] == FRONT
    assert answer.headers["Vary"] == "Origin"
    refused = fronted.test_client().get(f"{ROOT}/accounts", headers={"Origin": FRONT})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == FRONT


@pytest.mark.spec("S4-1", partial=True)
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "*", f"{FRONT}.evil.example", f"{FRONT}:444", "",
     "http://front.example", f"{FRONT}/", FRONT.upper(), f"{FRONT}, https://other.example"],
)  # fmt: skip
def test_no_other_origin_may(fronted: Flask, api: Api, origin: str) -> None:
    for method in ("OPTIONS", "GET"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = Api(fronted, api.token).ask(method, "/accounts", headers=headers)
        found = [name for name, _ in answer.headers if name.startswith("Access-Control")]
        assert found == []


def test_without_the_setting_no_origin_may(api: Api) -> None:
    answer = api.ask("GET", "/accounts", headers={"Origin": FRONT})
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.spec("S4-1", partial=True)
@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json", "/nope", f"{ROOT}/accounts"])
def test_every_answer_has_the_headers_that_keep_a_browser_in_bounds(app: Flask, path: str) -> None:
    headers = app.test_client().get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in headers
    assert "Server" not in headers
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Cache-Control"):
        assert len(headers.getlist(name)) == 1


def test_production_asks_for_tls_from_then_on(app: Flask) -> None:
    shell: Shell = app.config["SHELL"]
    produced = create_app(attrs.evolve(shell, production=True))
    headers = produced.test_client().get("/health").headers
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", "http://localhost.evil.example",
               "https://localhost", "http://localhost:81"]
)  # fmt: skip
def test_our_pages_cookie_reads_and_writes_from_our_pages_only(
    app: Flask, api: Api, written: Written, origin: str | None
) -> None:
    headers = {"Cookie": f"{COOKIE}={api.token}"}
    client = app.test_client(use_cookies=False)
    assert client.get(f"{ROOT}/accounts", headers=headers).status_code == 200
    before = written.digest()
    theirs = headers | ({} if origin is None else {"Origin": origin})
    for path in ("/accounts", "/files?name=a.txt", "/imports"):
        answer = client.post(ROOT + path, json={"name": "x"}, headers=theirs)
        assert answer.status_code == 401
    assert written.digest() == before
    ours = headers | {"Origin": OURS}
    answer = client.post(f"{ROOT}/accounts", json={"name": "x"}, headers=ours)
    assert answer.status_code == 201


def test_a_header_goes_before_a_cookie(app: Flask, api: Api, other: Api) -> None:
    api.open("Giro")
    headers = {"Cookie": f"{COOKIE}={api.token}", "Authorization": f"Bearer {other.token}"}
    client = app.test_client(use_cookies=False)
    assert client.get(f"{ROOT}/accounts", headers=headers).json["data"] == []
    headers["Authorization"] = "Bearer fin_wrong"
    assert client.get(f"{ROOT}/accounts", headers=headers).status_code == 401
