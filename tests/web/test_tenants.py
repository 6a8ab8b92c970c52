"""One asks for what is another's, by every parameter that the document has."""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import attrs
import pyotp
import pytest
from flask import Flask
from sqlalchemy import Engine

from finora import Finora, Scope
from finora_core.identity.people.model import Purpose
from finora_core.identity.roles import EXPLICIT
from web.api import Api
from web.callers import PASSWORD, People
from web.catalogue import BY_NAME, CSV, REQUESTS, Asked, World, Written
from web.conftest import Worlds
from web.devices import Authenticator

Place = tuple[str, str, str]
"""Operation, where, and the path to it."""

# Parameters that name a thing by text, which a format does not show. That of import_statement is
# looked at by its job.
BY_TEXT: list[Place] = [("preview_statement", "query", "account")]
# A person's id names nothing of a tenant: who did nothing here is found nowhere here.
FILTERS: list[Place] = [
    ("list_events", "query", "actor"),
    ("list_activities", "query", "account_id"),
    ("list_portfolio_days", "query", "account_id"),
]
ONE_BY_ONE: list[Place] = [("bulk_records", "body", "ids/0")]
"""What is asked of several, and answered of each."""
EITHER = {("preview_rules", "body", "rule_ids/0"): ("condition", "actions")}
"""What is not said where this is."""
TENANT = "X-Tenant-Id"


def id_places(document: Any) -> Iterator[Place]:
    """Every parameter that is an id: of path, query, header and body, however deep."""
    schemas = document["components"]["schemas"]

    def within(schema: Any, path: str) -> Iterator[str]:
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        if schema.get("format") == "uuid" or "{8}(-" in schema.get("pattern", ""):
            yield path
        for name, each in schema.get("properties", {}).items():
            yield from within(each, f"{path}/{name}" if path else name)
        for each in schema.get("anyOf", []):
            yield from within(each, path)
        if "items" in schema:
            yield from within(schema["items"], f"{path}/0")

    for path, methods in document["paths"].items():
        for operation in methods.values():
            name = operation["operationId"]
            assert set(re.findall(r"{(\w+)}", path)) == {
                each["name"] for each in operation["parameters"] if each["in"] == "path"
            }
            for parameter in operation["parameters"]:
                yield from (
                    (name, parameter["in"], parameter["name"])
                    for _ in within(parameter["schema"], "")
                )
            for media in operation.get("requestBody", {}).get("content", {}).values():
                yield from ((name, "body", found) for found in within(media["schema"], ""))
    yield from BY_TEXT


def turned(asked: Asked, place: Place, mine: World, theirs: World) -> Asked:
    """The same request, with another's id in that place. KeyError where none is known for it."""
    name, where, path = place
    if where == "header":
        assert path == TENANT
        return attrs.evolve(asked, tenant=str(theirs.owner.tenant_id))
    steps = [int(step) if step.isdigit() else step for step in path.split("/")]
    last = steps[-1]
    if isinstance(last, int):  # One of `rule_ids` is a `rule_id`.
        last = str(steps[-2]).removesuffix("s")
    own, foreign = mine.sample(name, last), theirs.sample(name, last)
    assert own != foreign
    if where == "path":
        assert own in asked.path
        return attrs.evolve(asked, path=asked.path.replace(own, foreign))
    if where == "query":
        return attrs.evolve(asked, query=asked.query | {path: foreign})
    body = json.loads(json.dumps(asked.body))
    if place in EITHER:
        body = {key: each for key, each in body.items() if key not in EITHER[place]}
        body[steps[0]] = [own]
    at = body
    for step in steps[:-1]:
        at = at[step]
    assert at[steps[-1]] is not None
    at[steps[-1]] = foreign
    return attrs.evolve(asked, body=body)


def secrets_of(world: World) -> list[str]:
    """What nobody else may be told: the word that is in every text, and every id and address."""
    people = [world.me, world.somebody]
    told = [world.word, str(world.owner.tenant_id), str(world.member)]
    told += [text for each in people for text in (each.email, str(each.user_id), str(each.home_id))]
    for name in REQUESTS:
        told += [world.sample(name, each) for each in BY_NAME[name].parameters]
    return list(dict.fromkeys(told))


@pytest.mark.spec("S3-2")
@pytest.mark.spec("S2-6")
@pytest.mark.invariant("I-36")
@pytest.mark.invariant("T-01")
def test_no_id_of_another_is_there_by_any_parameter(
    app: Flask, worlds: Worlds, written: Written
) -> None:
    """Asked by the owner of another tenant, and by a token of that one: 404, or 403 for the tenant
    itself; nothing of anybody is changed; nothing is told but what was asked. Fails where a route
    has an id for which there is no sample."""
    theirs = worlds(f"canary{uuid4().hex}", administers=False)
    mine = worlds("mine", administers=False)
    requests = mine.requests()
    theirs.requests()
    hidden = secrets_of(theirs)
    callers = [mine.api, Api(app, mine.token["text"])]
    places = list(id_places(app.test_client().get("/openapi.json").json))
    assert {where for _, where, _ in places} == {"path", "query", "header", "body"}
    seen = written.seen()
    asked_of = set()
    for place in places:
        name, where, _ = place
        endpoint = BY_NAME[name]
        asked = turned(requests[name], place, mine, theirs)
        sent = json.dumps([asked.path, asked.query, asked.body, asked.tenant])
        for caller, key in ((caller, key) for caller in callers for key in (None, "k")):
            if key is not None and not (endpoint.writes and endpoint.kept):
                continue
            if key is not None and place in ONE_BY_ONE:
                continue  # The answer is kept for a repeat: it is no refusal.
            answer = asked.by(caller, key=key)
            said = (place, key, answer.status_code, answer.text)
            code = None if answer.status_code < 400 else answer.json["error"]["code"]
            if where == "header":
                assert (answer.status_code, code) == (403, "NOT_A_MEMBER"), said
            elif code in ("PERMISSION_MISSING", "STEP_UP_REQUIRED"):
                # A program is no person, and only administrators see people who are not theirs.
                needs = str(endpoint.permission).partition(":")[0]
                own = needs == "self" or endpoint.permission in EXPLICIT
                assert needs == "people" or (caller is callers[1] and own), said
            elif place in BY_TEXT:
                assert (answer.status_code, code) == (400, "ACCOUNT_NEEDED"), said
            elif place in ONE_BY_ONE:
                assert [each["code"] for each in answer.json["data"]] == ["RECORD_NOT_FOUND"], said
            elif place in FILTERS:
                assert answer.json["data"] == [], said
            else:
                assert answer.status_code == 404, said
                asked_of.add(place)
            told = [each for each in hidden if each in answer.text or each in str(answer.headers)]
            assert all(each in sent for each in told), (place, told)
            assert not seen.changed(), said
    assert len(asked_of) > 30
    assert len(places) > 100


@pytest.mark.spec("S2-6", partial=True)
@pytest.mark.invariant("I-36")
def test_no_id_of_a_person_is_there_for_a_colleague(
    worlds: Worlds, people: People, written: Written
) -> None:
    """Nor for an owner of the very tenant: sessions and identities are the person's alone."""
    theirs = worlds("mine", administers=False)
    colleague = people.register("colleague")
    people.join(colleague, theirs.owner.tenant_id, "owner")
    own = [name for name in REQUESTS if str(BY_NAME[name].permission).startswith("self:")]
    asked = [theirs.asked(name) for name in own if BY_NAME[name].parameters]
    assert len(asked) >= 2
    api = people.api(colleague, theirs.owner.tenant_id)
    api.get("/me")
    seen = written.seen()
    for each in asked:
        answer = each.by(api)
        assert answer.status_code == 404, (each.name, answer.text)
        assert theirs.me.email not in answer.text
        assert not seen.changed(), each.name


@pytest.mark.spec("S2-6", partial=True)
@pytest.mark.invariant("I-36")
@pytest.mark.invariant("T-13")
def test_what_was_signed_for_one_person_is_of_no_use_to_another(
    worlds: Worlds, people: People, written: Written
) -> None:
    """Tickets, links of letters and passkeys are ids too, in a wrapping."""
    theirs, mine = worlds("theirs", administers=False), worlds("mine", administers=False)
    offer = theirs.api.post("/me/codes/offer", status=200)
    code = pyotp.TOTP(offer["secret"]).now()
    passkey = theirs.api.post("/me/passkeys/options", status=200)
    made = Authenticator(theirs.origin).make(passkey["options"])
    key = theirs.passkey(theirs.api)
    asked = mine.public.post("/auth/passkey/options", status=200)
    invitation = theirs.invitation
    theirs.letter(Purpose.MAGIC)
    verify = people.link(theirs.me, Purpose.VERIFY)
    seen = attrs.evolve(written, but=frozenset({"nonce"})).seen()
    refused = mine.api.refused
    wrong = {"ticket": offer["ticket"], "code": code}
    assert refused("POST", "/me/codes", wrong) == (400, "TICKET_INVALID")
    wrong = {"ticket": passkey["ticket"], "response": made}
    assert refused("POST", "/me/passkeys", wrong) == (400, "TICKET_INVALID")
    wrong = {"ticket": asked["ticket"], "response": key.use(asked["options"])}
    assert refused("POST", "/auth/step-up", wrong) == (401, "PASSKEY_REFUSED")
    wrong = {"link": invitation}
    assert refused("POST", "/invites/acceptance", wrong) == (403, "INVITE_FOR_ANOTHER")
    # A link of one kind is none of another.
    for path, more in (("/auth/magic", {}), ("/auth/reset", {"password": "another horse battery"})):
        assert refused("POST", path, {"link": verify, **more}) == (400, "LINK_INVALID")
    wrong = {"link": invitation, "password": PASSWORD}
    assert refused("POST", "/auth/verify", wrong) == (400, "LINK_INVALID")
    assert not seen.changed()


@pytest.mark.invariant("I-36")
def test_a_statement_goes_into_no_account_of_another_tenant(
    api: Api, other: Api, finora: Finora, scope: Scope, admin: Engine
) -> None:
    """Its job looks for the account, and so the refusal is the job's."""
    theirs = api.open("Giro", asset="EUR")
    written = Written(admin, (scope.tenant_id,))
    before = written.digest()
    taken = other.upload("/imports", CSV, 202, query={"name": "a.csv", "account": theirs})
    finora.run_jobs()
    job = other.get(f"/jobs/{taken['job_id']}")
    assert (job["state"], job["reason"]) == ("refused", "ACCOUNT_NEEDED")
    assert other.get("/records") == []
    assert written.digest() == before


@pytest.mark.invariant("I-36")
def test_a_cursor_of_another_pages_through_ones_own(worlds: Worlds) -> None:
    one, two = worlds("one"), worlds("two")
    for world in (one, two):
        assert world.file_id
        assert world.record_id
        assert world.other
        assert world.job_id
    found = 0
    for path in ("/records", "/jobs", "/files"):
        theirs = one.api.ask("GET", path, query={"limit": 1}).json["page"]["next"]
        own = {each["id"] for each in two.api.get(path)}
        if theirs is not None:
            pages = two.api.pages(path, limit=2, cursor=theirs)
            seen = {each["id"] for page in pages for each in page}
            assert seen <= own
            found += len(seen)
    assert found


@pytest.mark.invariant("T-02")
@pytest.mark.spec("S3-2", partial=True)
def test_a_tenant_is_named_by_the_header_alone_and_only_to_members(
    worlds: Worlds, other: Api, people: People
) -> None:
    """A query, a body or a cookie does not; a token has its own."""
    world = worlds("mine")
    tenant = str(world.owner.tenant_id)
    assert world.account_id
    cookie = {"Cookie": f"tenant={tenant}; finora_tenant={tenant}"}
    assert other.ask("GET", "/accounts", headers=cookie).json["data"] == []
    named = attrs.evolve(other, tenant=tenant)
    assert named.refused("GET", "/accounts") == (403, "NOT_A_MEMBER")
    assert other.refused("GET", "/accounts", query={"tenant_id": tenant})[0] == 400
    person = people.register()
    at_home = people.api(person)
    assert at_home.ask("GET", "/accounts", headers=cookie).json["data"] == []
    for bad in ("", "1", f"{{{tenant}}}", f"{tenant},{person.home_id}", tenant + "\x00", "*"):
        assert attrs.evolve(at_home, tenant=bad).refused("GET", "/accounts") == (
            403, "NOT_A_MEMBER",
        )  # fmt: skip
