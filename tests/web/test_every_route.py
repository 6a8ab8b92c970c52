"""What holds for every route, asked of every route."""

import json

import pytest

from finora import Finora, Scope
from finora_core.identity.model import Bearer
from finora_web.api.table import ENDPOINTS
from web.api import Api
from web.catalogue import World, Written

NAMES = [endpoint.name for endpoint in ENDPOINTS]
WRITES = [endpoint.name for endpoint in ENDPOINTS if endpoint.writes]


def test_the_catalogue_has_every_route(api: Api, finora: Finora, scope: Scope) -> None:
    requests = World.of(api, finora, scope, "mine").requests()
    assert sorted(requests) == sorted(NAMES)
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_its_request_is_good(api: Api, finora: Finora, scope: Scope, name: str) -> None:
    asked = World.of(api, finora, scope, "mine").requests()[name]
    answer = asked.by(api)
    assert answer.status_code == asked.status, answer.text


@pytest.mark.invariant("I-36")
def test_a_token_that_is_not_sound_gets_nothing(
    api: Api, other: Api, finora: Finora, scope: Scope, written: Written
) -> None:
    """None, noise, revoked, another's secret with the tenant's ids: 401, and nothing is written."""
    world = World.of(api, finora, scope, "mine")
    [mine] = [each["id"] for each in api.get("/tokens") if each["name"] == "test"]
    api.post(f"/tokens/{mine}/revocation", status=200)
    assert api.token
    assert other.token
    mine, theirs = Bearer.read(api.token), Bearer.read(other.token)
    forged = Bearer(tenant_id=mine.tenant_id, id=mine.id, secret=theirs.secret).text
    moved = Bearer(tenant_id=mine.tenant_id, id=theirs.id, secret=theirs.secret).text
    turned = Bearer(tenant_id=theirs.tenant_id, id=mine.id, secret=mine.secret).text
    before = written.digest()
    for name, asked in world.requests().items():
        for token in (None, "", "fin_", "x" * 5_000, api.token, forged, moved, turned):
            answer = asked.by(Api(api.app, token))
            assert answer.status_code == 401, (name, token)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert written.digest() == before


@pytest.mark.spec("S0-67")
@pytest.mark.invariant("I-16")
@pytest.mark.parametrize("name", [name for name in WRITES if name != "preview_statement"])
def test_a_write_with_a_key_is_done_once_and_answered_alike(
    api: Api, finora: Finora, scope: Scope, written: Written, name: str
) -> None:
    asked = World.of(api, finora, scope, "mine").requests()[name]
    first = asked.by(api, key="k-1")
    assert first.status_code == asked.status, first.text
    assert "Idempotency-Replayed" not in first.headers
    before = written.digest()
    again = asked.by(api, key="k-1")
    assert again.data == first.data
    assert again.status_code == first.status_code
    assert again.mimetype == first.mimetype
    assert again.headers["Idempotency-Replayed"] == "true"
    assert written.digest() == before


@pytest.mark.spec("S2-7")
@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_that_nobody_asked_for_is_refused(
    api: Api, finora: Finora, scope: Scope, written: Written, name: str
) -> None:
    asked = World.of(api, finora, scope, "mine").requests()[name]
    before = written.digest()
    answer = asked.by(api, query=asked.query | {"tenant_id": "1"})
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "VALIDATION")
    assert [each["path"] for each in answer.json["error"]["details"]] == ["tenant_id"]
    for twice in asked.query:
        query = [*asked.query.items(), (twice, asked.query[twice])]
        answer = asked.by(api, query=query)
        assert answer.status_code == 400, twice
    assert written.digest() == before


@pytest.mark.parametrize("name", WRITES)
def test_an_idempotency_key_is_printable(
    api: Api, finora: Finora, scope: Scope, written: Written, name: str
) -> None:
    asked = World.of(api, finora, scope, "mine").requests()[name]
    before = written.digest()
    for key in ("", " ", "a b", "x" * 201, "\xe9", "a\tb"):
        answer = asked.by(api, headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json["error"]["code"]) == (400, "VALIDATION"), key
    assert written.digest() == before


def test_a_route_that_takes_no_body_refuses_one(
    api: Api, finora: Finora, scope: Scope, written: Written
) -> None:
    requests = World.of(api, finora, scope, "mine").requests()
    before = written.digest()
    for endpoint in ENDPOINTS:
        if endpoint.writes and endpoint.body is None and endpoint.uploads is None:
            for raw in (b"{}", json.dumps({"a": 1}).encode(), b"x" * 2_000):
                answer = requests[endpoint.name].by(api, raw=raw)
                assert answer.status_code in (400, 413), endpoint.name
    assert written.digest() == before
