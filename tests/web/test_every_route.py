"""What holds for every route, asked of every route."""

import json
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator

from finora_core.identity.model import Bearer
from finora_web.api.table import ENDPOINTS
from web.api import Api
from web.callers import People
from web.catalogue import BY_NAME, REQUESTS, Asked, World, Written
from web.conftest import Worlds

NAMES = [endpoint.name for endpoint in ENDPOINTS]
WRITES = [endpoint.name for endpoint in ENDPOINTS if endpoint.writes]
KEPT = [name for name in WRITES if BY_NAME[name].kept]
PUBLIC = [endpoint.name for endpoint in ENDPOINTS if endpoint.permission is None]
BYTES_ONLY = "preview_statement"
"""It keeps nothing, and so no key of it."""
GONE = {"logout": (401, "TOKEN_INVALID"), "leave_tenant": (403, "NOT_A_MEMBER")}
"""What ends the right to ask for it again: the repeat is not who asked."""


@pytest.fixture(scope="session")
def document(app: Flask) -> Any:
    return app.test_client().get("/openapi.json").json


def test_the_catalogue_has_every_route() -> None:
    assert sorted(REQUESTS) == sorted(NAMES)
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_its_request_is_good_and_answered_as_documented(
    world: World, document: Any, name: str
) -> None:
    """With all that an owner has, which random requests would rarely meet."""
    asked = world.asked(name)
    answer = asked.by(world.api)
    assert answer.status_code == asked.endpoint.status, answer.text
    [operation] = [
        each
        for methods in document["paths"].values()
        for each in methods.values()
        if each["operationId"] == name
    ]
    documented = operation["responses"][str(answer.status_code)]["content"]
    if answer.mimetype != "application/json":
        assert answer.mimetype in documented or "*/*" in documented
        return
    schema = documented["application/json"]["schema"] | {"components": document["components"]}
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    validator.validate(json.loads(answer.data))
    for given in (asked.query, asked.body if isinstance(asked.body, dict) else {}):
        assert set(given) <= known_names(operation, document), name


def known_names(operation: Any, document: Any) -> set[str]:
    names = {each["name"] for each in operation["parameters"]}
    for media in operation.get("requestBody", {}).get("content", {}).values():
        reference = media["schema"].get("$ref", "").rpartition("/")[2]
        names |= document["components"]["schemas"].get(reference, {}).get("properties", {}).keys()
    return names


@pytest.mark.invariant("I-36")
@pytest.mark.spec("S2-2", partial=True)
def test_what_proves_nobody_gets_nothing(worlds: Worlds, people: People, written: Written) -> None:
    """None, noise, revoked, another's secret with the tenant's ids, an ended session, a token of
    another kind: 401, and nothing is written."""
    world, other = worlds("mine"), worlds("theirs")
    requests = world.requests()
    revoked, theirs = world.token["text"], other.token["text"]
    world.api.post(f"/tokens/{world.token_id}/revocation", status=200)
    ended = people.sign_in(world.me.email)
    gone = Api(people.app, ended.access)
    gone.post("/auth/logout", status=200)
    mine, foreign = Bearer.read(revoked), Bearer.read(theirs)
    forged = Bearer(tenant_id=mine.tenant_id, id=mine.id, secret=foreign.secret).text
    moved = Bearer(tenant_id=mine.tenant_id, id=foreign.id, secret=foreign.secret).text
    turned = Bearer(tenant_id=foreign.tenant_id, id=mine.id, secret=mine.secret).text
    signed_in = world.me.signed_in
    assert signed_in.refresh
    assert signed_in.device
    head, body, signature = signed_in.access.split(".")
    told = (
        None, "", "fin_", "x" * 5_000, revoked, forged, moved, turned, ended.access,
        signed_in.refresh, signed_in.device, f"{head}.{body}.", f"{head}.{body}.{signature[:-2]}AA",
    )  # fmt: skip
    before = written.digest()
    for name, asked in requests.items():
        if BY_NAME[name].permission is None:
            continue
        for token in told:
            answer = asked.by(Api(people.app, token))
            assert answer.status_code == 401, (name, token)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert written.digest() == before


@pytest.mark.spec("S0-67")
@pytest.mark.invariant("I-16")
@pytest.mark.parametrize("name", [name for name in KEPT if name != BYTES_ONLY])
def test_a_write_with_a_key_is_done_once_and_answered_alike(
    world: World, written: Written, name: str
) -> None:
    asked = world.asked(name)
    first = asked.by(world.api, key="k-1")
    assert first.status_code == asked.endpoint.status, first.text
    assert "Idempotency-Replayed" not in first.headers
    before = written.digest()
    again = asked.by(world.api, key="k-1")
    if name in GONE:
        assert (again.status_code, again.json["error"]["code"]) == GONE[name]
    else:
        assert again.data == first.data
        assert again.status_code == first.status_code
        assert again.mimetype == first.mimetype
        assert again.headers["Idempotency-Replayed"] == "true"
    assert written.digest() == before


@pytest.mark.invariant("I-16")
@pytest.mark.invariant("I-47")
def test_where_the_answer_is_a_secret_a_key_is_refused(world: World, written: Written) -> None:
    """It would have to be kept. Where nobody is known yet there is nobody to keep it for."""
    unkept = [name for name in WRITES if not BY_NAME[name].kept]
    asked = {name: world.asked(name) for name in unkept}
    assert world.api.get("/me")
    assert {"create_token", "offer_codes", "login"} <= set(unkept)
    before = written.digest()
    for name in unkept:
        if name not in PUBLIC:
            refused = asked[name].by(world.api, key="k-1")
            assert (refused.status_code, refused.json["error"]["code"]) == (400, "VALIDATION"), name
    assert written.digest() == before


@pytest.mark.invariant("I-16")
def test_a_wrong_guess_with_a_key_is_no_answer_to_repeat(world: World) -> None:
    """Its count is committed, its refusal is not what the key stands for."""
    asked = {"body": {"password": "wrong"}, "key": "k-1"}
    for _ in range(2):
        assert world.api.refused("POST", "/auth/step-up", **asked) == (401, "CREDENTIALS_INVALID")


@pytest.mark.spec("S2-7")
def test_a_parameter_that_nobody_asked_for_is_refused(world: World, written: Written) -> None:
    requests = world.requests()
    before = written.digest()
    for name, asked in requests.items():
        answer = asked.by(world.api, query=asked.query | {"tenant_id": "1"})
        assert (answer.status_code, answer.json["error"]["code"]) == (400, "VALIDATION"), name
        assert [each["path"] for each in answer.json["error"]["details"]] == ["tenant_id"]
        for twice in asked.query:
            query = [*asked.query.items(), (twice, asked.query[twice])]
            answer = asked.by(world.api, query=query)
            assert answer.status_code == 400, (name, twice)
    assert written.digest() == before


def test_an_idempotency_key_is_printable(world: World, written: Written) -> None:
    requests = {name: world.asked(name) for name in KEPT}
    before = written.digest()
    for name, asked in requests.items():
        for key in ("", " ", "a b", "x" * 201, "\xe9", "a\tb"):
            answer = asked.by(world.api, headers={"Idempotency-Key": key})
            assert (answer.status_code, answer.json["error"]["code"]) == (400, "VALIDATION"), (
                name, key,
            )  # fmt: skip
    assert written.digest() == before


def test_a_route_that_takes_no_body_refuses_one(world: World, written: Written) -> None:
    requests = world.requests()
    before = written.digest()
    tried = 0
    for endpoint in ENDPOINTS:
        if endpoint.writes and endpoint.body is None and endpoint.uploads is None:
            for raw in (b"{}", json.dumps({"a": 1}).encode(), b"x" * 2_000):
                asked: Asked = requests[endpoint.name]
                assert asked.by(world.api, raw=raw).status_code in (400, 413), endpoint.name
                tried += 1
    assert tried > 60
    assert written.digest() == before


@pytest.mark.invariant("T-03")
def test_what_is_dangerous_needs_a_fresh_proof_and_is_nothing_for_a_program(
    world: World, people: People, written: Written
) -> None:
    """Of a session that was proven an hour ago, and of a token, which nobody proves anew."""
    dangerous = [endpoint.name for endpoint in ENDPOINTS if endpoint.step_up]
    assert len(dangerous) > 12
    requests = {name: world.asked(name) for name in dangerous}
    people.age(world.me)
    stale = people.sign_in(world.me.email)
    people.age(world.me)
    callers = [Api(people.app, stale.access, str(world.owner.tenant_id))]
    before = written.digest()
    for name, asked in requests.items():
        for caller in callers:
            answer = asked.by(caller)
            assert (answer.status_code, answer.json["error"]["code"]) == (
                403, "STEP_UP_REQUIRED",
            ), name  # fmt: skip
    assert written.digest() == before
    assert callers[0].ask("POST", "/auth/step-up", {"password": "wrong"}).status_code == 401
    again = requests["create_token"].by(callers[0])
    assert again.json["error"]["code"] == "STEP_UP_REQUIRED"
    callers[0].post("/auth/step-up", {"password": "correct horse battery"}, 200)
    assert requests["create_token"].by(callers[0]).status_code == 201
