"""One envelope for every answer, one table from refusals to statuses."""

import json
from collections.abc import Iterator

import attrs
import pytest
from flask import Flask
from sqlalchemy import Engine, text

from finora_core.kernel.errors import Refusal
from finora_web.app import Shell, create_app
from finora_web.errors import BY_CODE, STATUS, status_of
from web.api import ROOT, Api


def refusals(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from refusals(each)


def bare(kind: type[Refusal]) -> Refusal:
    """One of its kind, without what it would be told of."""
    return kind.__new__(kind)


@pytest.mark.spec("S4-6", partial=True)
def test_every_refusal_has_a_status_and_every_code_one_kind() -> None:
    found = {each.code: status_of(bare(each)) for each in refusals() if each not in STATUS}
    assert len(found) > 50
    assert set(found.values()) <= {
        400, 401, 402, 403, 404, 405, 409, 412, 413, 415, 422, 423, 429, 503,
    }  # fmt: skip
    assert BY_CODE.keys() <= found.keys()
    for each in refusals():
        if each.__module__.startswith("finora"):
            assert found.get(each.code, status_of(bare(each))) == status_of(bare(each))


@pytest.mark.spec("S1-25", partial=True)
@pytest.mark.spec("S3-6", partial=True)
@pytest.mark.spec("S4-6")
@pytest.mark.parametrize(
    "path",
    ["/api/v1/nope", "/api/nope", "/nope", "/api//v1/accounts", "//api/v1/accounts",
     "/api/v1/accounts/", "/api/v1/accounts/%2e%2e/tokens", "/api/v1/records/a/b/c",
     "/api/v1/%00", "/api/v1/\xff"],
)  # fmt: skip
def test_a_path_that_is_none_is_404_in_the_envelope(api: Api, path: str) -> None:
    answer = api.app.test_client().get(path, headers={"Authorization": f"Bearer {api.token}"})
    assert answer.status_code == 404
    assert answer.json["error"]["code"] == "ROUTE_NOT_FOUND"
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_a_method_that_a_path_does_not_take_is_405_with_those_it_does(
    api: Api, method: str
) -> None:
    answer = api.ask(method, "/accounts")
    assert (answer.status_code, answer.json["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("name", ["X-Http-Method-Override", "X-Method-Override"])
def test_a_method_is_not_overridden(api: Api, name: str) -> None:
    assert api.ask("GET", "/accounts", headers={name: "DELETE"}).status_code == 200


@pytest.mark.spec("S4-2", partial=True)
def test_a_request_keeps_its_id_or_gets_one(api: Api) -> None:
    given = api.ask("GET", "/accounts", headers={"X-Request-Id": "order-17:a.b"})
    assert given.headers["X-Request-Id"] == "order-17:a.b"
    for bad in ("", "a b", "x" * 129, "a;b", "<script>", "\xe9"):
        answer = api.ask("GET", "/nope", headers={"X-Request-Id": bad})
        assert answer.headers["X-Request-Id"] not in ("", bad)
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    one, two = (api.ask("GET", "/accounts").headers["X-Request-Id"] for _ in range(2))
    assert one != two


@pytest.mark.spec("S3-6")
def test_a_request_id_goes_with_the_job_and_the_event(api: Api, admin: Engine) -> None:
    headers = {"X-Request-Id": "upload-1", "Content-Type": "application/octet-stream"}
    taken = api.ask("POST", "/imports", raw=b"Date,Amount\n", headers=headers).json["data"]
    assert api.get(f"/jobs/{taken['job_id']}")["request_id"] == "upload-1"
    query = text("select request_id from finora.event where payload ->> 'import' = :import")
    with admin.connect() as connection:
        told = connection.scalars(query, {"import": taken["import_id"]}).all()
    assert told == ["upload-1"]


@attrs.frozen
class Broken:
    """A service with a fault."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("secret detail")


@pytest.mark.spec("S4-6")
@pytest.mark.spec("S1-25", partial=True)
def test_a_fault_is_500_and_says_nothing_of_itself(
    app: Flask, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    shell: Shell = app.config["SHELL"]
    services = attrs.evolve(shell.gate.services, ledger=Broken())
    broken = create_app(attrs.evolve(shell, gate=attrs.evolve(shell.gate, services=services)))
    answer = broken.test_client().get(
        f"{ROOT}/accounts", headers={"Authorization": f"Bearer {api.token}", "X-Request-Id": "r-1"}
    )
    assert answer.status_code == 500
    assert answer.json == {
        "success": False,
        "error": {"code": "INTERNAL", "message": "something went wrong on our side", "details": []},
        "request_id": "r-1",
    }
    [noted] = [each for each in caplog.records if each.exc_info]
    assert "secret detail" in caplog.text
    assert noted.__dict__["request_id"] == "r-1"


def test_what_a_refusal_echoes_is_json(api: Api) -> None:
    nasty = '</script><script>alert(1)</script>"\u2028\n'
    answer = api.ask("POST", "/accounts", {nasty: 1})
    assert answer.status_code == 400
    assert json.loads(answer.data)["error"]["details"][-1]["path"] == nasty
    assert answer.mimetype == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
