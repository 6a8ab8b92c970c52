"""Tenant B asks for what is tenant A's, by every parameter that the document has."""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import attrs
import pytest
from flask import Flask
from sqlalchemy import Engine

from finora import Finora, Scope
from web.api import Api
from web.catalogue import CSV, Asked, World, Written

# Parameters that name a thing by text, which a format does not show. That of import_statement is
# looked at by its job.
BY_TEXT = [("preview_statement", "query", "account")]
# A person's id names nothing of a tenant: who did nothing here is found nowhere here.
A_FILTER = [("list_events", "query", "actor")]


def document(app: Flask) -> Any:
    return app.test_client().get("/openapi.json").json


def id_places(app: Flask) -> Iterator[tuple[str, str, str]]:
    """(operation, where, path to it) of every parameter that is an id."""
    said = document(app)
    schemas = said["components"]["schemas"]

    def within(schema: Any, path: str) -> Iterator[str]:
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        if schema.get("format") == "uuid":
            yield path
        for name, each in schema.get("properties", {}).items():
            yield from within(each, f"{path}/{name}" if path else name)
        for each in schema.get("anyOf", []):
            yield from within(each, path)
        if "items" in schema:
            yield from within(schema["items"], f"{path}/0")

    for path, methods in said["paths"].items():
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


def turned(asked: Asked, place: tuple[str, str, str], mine: World, theirs: World) -> Asked:
    """The same request, with A's id in that place."""
    name, where, path = place
    last = path.rpartition("/")[2]
    attribute = {"account": "account_id"}.get(last, last)
    if name in ("replay_job", "dismiss_job"):
        attribute = "refused_job"
    if name == "upload_file":
        attribute = "announced_file"
    own, foreign = getattr(mine, attribute), getattr(theirs, attribute)
    if where == "path":
        assert own in asked.path
        return attrs.evolve(asked, path=asked.path.replace(own, foreign))
    if where == "query":
        return attrs.evolve(asked, query=asked.query | {path: foreign})
    body = json.loads(json.dumps(asked.body))
    at = body
    for step in path.split("/")[:-1]:
        at = at[int(step)] if step.isdigit() else at[step]
    assert last in at
    at[last] = foreign
    return attrs.evolve(asked, body=body)


@pytest.mark.invariant("I-36")
@pytest.mark.invariant("T-01")
def test_no_id_of_another_tenant_is_there_by_any_parameter(
    app: Flask, api: Api, other: Api, finora: Finora, scope: Scope, stranger: Scope, admin: Engine
) -> None:
    """404, or 400; nothing of either tenant is changed; of A nothing is told but what was asked."""
    canary = f"canary{uuid4().hex}"
    theirs = World.of(api, finora, scope, canary)
    mine = World.of(other, finora, stranger, "mine")
    requests = mine.requests()
    written = Written(admin, (scope.tenant_id, stranger.tenant_id))
    places = list(id_places(app))
    assert len(places) > 25
    before = written.digest()
    for place in places:
        asked = turned(requests[place[0]], place, mine, theirs)
        sent = json.dumps([asked.path, asked.query, asked.body])
        for key in (None, "k") if asked.method != "GET" else (None,):
            answer = asked.by(other, key=key)
            if place in A_FILTER:
                assert answer.json["data"] == []
            else:
                assert answer.status_code in (400, 404), (place, answer.status_code, answer.text)
            told = [said for said in attrs.astuple(theirs) if said in answer.text]
            assert all(said in sent for said in told), (place, told)
            assert written.digest() == before, place


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
def test_a_cursor_of_another_tenant_pages_through_ones_own(
    api: Api, other: Api, finora: Finora, scope: Scope, stranger: Scope
) -> None:
    ids: dict[str, set[str]] = {}
    for caller, tenant in ((api, scope), (other, stranger)):
        for number in range(3):
            World.of(caller, finora, tenant, f"w{number}")
    for path in ("/records", "/jobs", "/files"):
        theirs = api.ask("GET", path, query={"limit": 1}).json["page"]["next"]
        own = {each["id"] for each in other.get(path)}
        seen = {each["id"] for page in other.pages(path, limit=2, cursor=theirs) for each in page}
        assert seen <= own
        ids[path] = seen
    assert any(ids.values())


@pytest.mark.invariant("T-02")
def test_a_tenant_cannot_be_named(other: Api, scope: Scope) -> None:
    """By header, query or cookie: the token says it, and nothing else."""
    tenant = str(scope.tenant_id)
    headers = {"X-Tenant-Id": tenant, "Cookie": f"tenant={tenant}"}
    assert other.ask("GET", "/accounts", headers=headers).json["data"] == []
    assert other.refused("GET", "/accounts", query={"tenant_id": tenant})[0] == 400
