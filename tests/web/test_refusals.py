"""Every refusal is in the envelope, with its code and the request's id, under a status that the
document says; and it writes nothing but what is listed here."""

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from finora import Settings
from finora_adapters.compose import Opened
from finora_core.identity.people.model import Purpose
from finora_web.api.table import ENDPOINTS
from finora_web.main import build
from web.api import Api
from web.callers import Cast, People
from web.catalogue import BY_NAME, World, Written
from web.conftest import Worlds
from web.devices import Telegram, Wallet

NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def statuses(app: Flask) -> dict[str, set[int]]:
    """What the document says of each route."""
    document = app.test_client().get("/openapi.json").json
    return {
        each["operationId"]: {int(status) for status in each["responses"]}
        for methods in document["paths"].values()
        for each in methods.values()
    }


@pytest.mark.invariant("I-55")
def test_every_route_refuses_in_the_envelope_and_writes_nothing(
    world: World, written: Written, statuses: dict[str, set[int]], cast: Cast
) -> None:
    """Each way to be refused that any route has: 400, 401, 403, 404, 413, 415."""
    requests = world.requests()
    nobody, banned, viewer = (cast.callers[name] for name in ("nobody", "banned", "viewer"))
    viewer.get("/me")
    banned.ask("GET", "/me")
    seen = written.seen()
    found: dict[int, int] = {}
    for name, asked in requests.items():
        endpoint = BY_NAME[name]
        ways: list[tuple[int, Callable[..., TestResponse], dict[str, Any]]] = [
            (400, asked.by, {"api": world.api, "query": {"no such": "x"}}),
        ]
        if endpoint.permission is not None:
            ways += [(401, asked.by, {"api": nobody}), (403, asked.by, {"api": banned})]
            if not str(endpoint.permission).startswith("self:"):
                gone = attrs.evolve(asked, tenant=NOBODY)
                ways.append((403, gone.by, {"api": world.api}))
        for parameter in endpoint.parameters:
            path = asked.path.replace(world.sample(name, parameter), NOBODY)
            ways.append((404, attrs.evolve(asked, path=path).by, {"api": world.api}))
        if endpoint.body is not None:
            kind = {"Content-Type": "text/plain"}
            long = b'{"a":"' + b"x" * ((endpoint.body_kb or 600) << 10) + b'"}'
            ways += [
                (400, asked.by, {"api": world.api, "raw": b"{"}),
                (413, asked.by, {"api": world.api, "raw": long}),
                (415, asked.by, {"api": world.api, "raw": b"x", "headers": kind}),
            ]
        for status, by, given in ways:
            headers = {"X-Request-Id": f"r-{name}"} | given.pop("headers", {})
            answer = by(**given, headers=headers)
            said = (name, status, answer.status_code, answer.text)
            assert answer.status_code == status, said
            assert status in statuses[name], said
            assert answer.mimetype == "application/json", said
            assert answer.json["request_id"] == f"r-{name}", said
            assert answer.json["error"]["code"].isupper(), said
            found[status] = found.get(status, 0) + 1
        assert not seen.changed(), name
    assert found.keys() == {400, 401, 403, 404, 413, 415}
    assert found[400] > len(ENDPOINTS)


@pytest.mark.invariant("I-55")
def test_one_too_many_is_refused_in_the_envelope(
    settings: Settings, opened: Opened, world: World, written: Written,
    statuses: dict[str, set[int]],
) -> None:  # fmt: skip
    """Of every route, with how long to wait; before anything is read of it."""
    requests = world.requests()
    limits = settings.model_copy(update={"rate_limits": "all=1/3600"})
    app = build(limits, opened)
    seen = written.seen()
    assert requests["get_me"].by(attrs.evolve(world.api, app=app)).status_code == 200
    for name, asked in requests.items():
        answer = asked.by(attrs.evolve(world.api, app=app))
        assert (answer.status_code, answer.json["error"]["code"]) == (429, "RATE_LIMITED"), name
        # The window before weighs on, too: at most two of them.
        assert 1 <= int(answer.headers["Retry-After"]) <= 7200
        assert 429 in statuses[name], name
        assert not seen.changed(), name


# What a refusal writes: how often somebody guessed wrong, the event that tells of it in the log of
# whom it was aimed at, that log's version, and what can be used once and was. A code that was sent
# counts its tries as well.
GUESS = {"guess", "event", "version"}
SPENT = {"nonce"}
TRIED = {"challenge"} | GUESS


@pytest.mark.invariant("I-55")
@pytest.mark.invariant("I-44")
def test_what_a_refused_sign_in_writes_is_listed(
    worlds: Worlds, people: People, written: Written
) -> None:
    world = worlds("mine")
    person = world.somebody
    public = world.public
    for purpose in (Purpose.CODE, Purpose.RESET):
        world.letter(purpose)
    wrong = f"{(int(people.code(person, Purpose.CODE)) + 1) % 1_000_000:06}"
    wrong_reset = f"{(int(people.code(person, Purpose.RESET)) + 1) % 1_000_000:06}"
    nobody = f"nobody-{person.email}"
    signed = world.signed(Wallet())
    forged = Wallet().sign(signed["message"])
    returned = world.returned()
    telegram = Telegram().launch()
    key = world.passkey(world.api)
    offer = public.post("/auth/passkey/options", status=200)
    stranger = attrs.evolve(key, id=b"another's".ljust(32))
    cases: list[tuple[str, str, Any, int, set[str]]] = [
        ("a password", "/auth/login", {"email": person.email, "password": "wrong"}, 401, GUESS),
        ("nobody", "/auth/login", {"email": nobody, "password": "wrong"}, 401, GUESS),
        ("a letter's code", "/auth/code", {"email": person.email, "sent": wrong}, 400, TRIED),
        ("nobody's code", "/auth/code", {"email": nobody, "sent": "123456"}, 400, GUESS),
        ("a reset's code", "/auth/reset",
         {"email": person.email, "code": wrong_reset, "password": "another horse"}, 400, TRIED),
        ("a link", "/auth/magic", {"link": "x.y.z"}, 400, set()),
        ("a refresh token", "/auth/refresh", {"refresh_token": "x.y.z"}, 401, set()),
        ("a wallet", "/auth/wallet", {**signed, "signature": forged}, 401, set()),
        ("an account", "/auth/oidc", {**returned, "code": "x"}, 401, SPENT),
        ("an account's state", "/auth/oidc", {**world.returned(), "state": "x"}, 400, set()),
        ("Telegram", "/auth/telegram", {"init_data": telegram + "0"}, 401, set()),
        ("a passkey", "/auth/passkey",
         {"ticket": offer["ticket"], "response": stranger.use(offer["options"])}, 401, set()),
        ("an address that is taken", "/auth/register",
         {"email": person.email, "password": "another horse"}, 409, set()),
        ("a weak password", "/auth/register",
         {"email": nobody, "password": "password12"}, 400, set()),
    ]  # fmt: skip
    before = written.tables()
    for about, path, body, status, may in cases:
        answer = public.ask("POST", path, body)
        assert answer.status_code == status, (about, answer.text)
        assert answer.json["error"]["code"], about
        after = written.tables()
        assert {name for name in after if after[name] != before[name]} == may, about
        before = after
    refused = world.api.ask("POST", "/auth/step-up", {"password": "wrong"})
    assert refused.status_code == 401
    after = written.tables()
    assert {name for name in after if after[name] != before[name]} == GUESS


@pytest.mark.invariant("I-55")
@pytest.mark.invariant("I-40")
def test_a_refresh_token_that_was_used_ends_its_session_and_that_is_written(
    world: World, people: People, written: Written
) -> None:
    """The one refusal that changes something: somebody else has a copy."""
    signed_in = people.sign_in(world.me.email)
    public = world.public
    again = public.post("/auth/refresh", {"refresh_token": signed_in.refresh}, 200)
    public.post("/auth/refresh", {"refresh_token": again["refresh_token"]}, 200)
    before = written.tables()
    refused = public.refused("POST", "/auth/refresh", {"refresh_token": signed_in.refresh})
    assert refused == (401, "REFRESH_REUSED")
    after = written.tables()
    changed = {name for name in after if after[name] != before[name]}
    assert {"session", "event", "version"} <= changed <= {"session", "event", "version", "job"}
    assert Api(people.app, again["access_token"]).ask("GET", "/me").status_code == 401


@pytest.mark.invariant("I-55")
def test_what_is_no_route_is_refused_alike_for_everybody(cast: Cast, written: Written) -> None:
    seen = written.seen()
    for name, api in cast.callers.items():
        for path in ("/nothing", "/accounts/", "/Accounts", "/people/me/ban", "/../openapi.json"):
            for method in ("GET", "POST", "DELETE"):
                answer = api.ask(method, path)
                assert (answer.status_code, answer.json["error"]["code"]) == (
                    404, "ROUTE_NOT_FOUND",
                ), (name, path)  # fmt: skip
    assert not seen.changed()
    assert json.loads(answer.data)["request_id"]
