"""Who may do what: every part, every route and every method, against the table `roles.toml`.

Deny by default: what stands in no row, nobody may do. ROLES_WRITE=1 writes the table as it is found
to be, for its difference to be read.
"""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest

from finora_core.identity import roles
from finora_web.api.table import ENDPOINTS
from finora_web.contract import Endpoint
from web.api import Api
from web.callers import MEMBERS, PLATFORM, Cast
from web.catalogue import Asked, World, Written

TABLE = Path(__file__).with_name("roles.toml")
EVERYBODY = "everybody"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "QUERY")


def row(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def needed(endpoint: Endpoint) -> str:
    """What the row says."""
    if endpoint.permission is None:
        return EVERYBODY
    return endpoint.permission + (", proven anew" if endpoint.step_up else "")


def table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text())


def code_of(asked: Asked, api: Api) -> str:
    """How it ends for whoever is let in, or why somebody is not: a parameter that nothing knows
    comes to light behind the gate, before anything is done."""
    answer = asked.by(api, query=asked.query | {"nothing": "x"})
    assert answer.status_code in (400, 401, 403), (asked.name, answer.text)
    if answer.status_code == 400:
        assert [each["path"] for each in answer.json["error"]["details"]] == ["nothing"]
        return "in"
    return str(answer.json["error"]["code"])


def write(found: dict[str, list[str]]) -> None:
    lines = ["# Who gets past the gate, by what a route needs; and what each route needs.",
             "# Written by ROLES_WRITE=1 pytest tests/web/test_roles.py; read what changed.",
             "", "[parts]"]  # fmt: skip
    for name, parts in sorted(found.items()):
        lines += [f"{json.dumps(name)} = [", *(f"    {json.dumps(each)}," for each in parts), "]"]
    lines += ["", "[routes]"]
    lines += [f"{json.dumps(row(each))} = {json.dumps(needed(each))}" for each in ENDPOINTS]
    TABLE.write_text("\n".join(lines) + "\n")


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    """Not by what the code says alone: the table is read by people when it changes."""
    if "ROLES_WRITE" not in os.environ:
        assert table()["routes"] == {row(each): needed(each) for each in ENDPOINTS}
        assert set(table()["parts"]) == set(table()["routes"].values())


@pytest.mark.spec("S2-5")
@pytest.mark.spec("S4-12", partial=True)
@pytest.mark.spec("S2-2", partial=True)
@pytest.mark.invariant("T-03")
def test_every_part_gets_what_its_row_says_and_nothing_else(
    cast: Cast, world: World, written: Written
) -> None:
    """In the tenant, with a good request: who is not in the row is refused for that alone, and
    nothing is written. Readers among those who are get what they asked for."""
    requests = world.requests()
    for each in cast.callers.values():
        each.ask("GET", "/me")
    found: dict[str, list[str]] = {}
    seen = written.seen()
    refused = 0
    for endpoint in ENDPOINTS:
        asked = attrs.evolve(requests[endpoint.name], tenant=None)
        codes = {name: code_of(asked, api) for name, api in cast.callers.items()}
        let_in = [name for name, code in codes.items() if code == "in"]
        assert found.setdefault(needed(endpoint), let_in) == let_in, endpoint.name
        for name, api in cast.callers.items():
            if codes[name] != "in":
                answer = asked.by(api)
                assert answer.json["error"]["code"] == codes[name], (endpoint.name, name)
                assert codes[name] == why(name, endpoint), (endpoint.name, name)
                refused += 1
            elif endpoint.method == "GET" and name != "person":
                assert asked.by(api).status_code == endpoint.status, (endpoint.name, name)
        if endpoint.name == "export_me":
            seen = written.seen()  # That everything was taken out is noted.
        assert not seen.changed(), endpoint.name
    assert refused > 400
    if "ROLES_WRITE" in os.environ:
        write(found)
    assert found == table()["parts"]


def why(name: str, endpoint: Endpoint) -> str:
    """The code with which that part is refused."""
    match name:
        case "nobody":
            return "TOKEN_INVALID"
        case "banned":
            return "ACCOUNT_BANNED"
        case "stranger":
            return "NOT_A_MEMBER"
        case "token" if endpoint.step_up and endpoint.permission in roles.TENANT - roles.EXPLICIT:
            return "STEP_UP_REQUIRED"
    return "PERMISSION_MISSING"


@pytest.mark.invariant("T-03")
@pytest.mark.spec("S2-5", partial=True)
def test_the_table_keeps_the_order_of_the_parts() -> None:
    """What is true of every table worth having, whatever changes in it."""
    parts = table()["parts"]
    for needs, let_in in parts.items():
        if needs == EVERYBODY:
            continue
        assert not {"nobody", "banned", "stranger"} & set(let_in), needs
        # A member above has all that one below has.
        members = [role in let_in for role in MEMBERS]
        assert members == sorted(members, reverse=True), needs
        if "proven anew" in needs or needs.startswith(("self:", "people:")):
            assert not {"token", "scoped token"} & set(let_in), needs
        if needs.startswith("people:"):
            assert let_in == ["platform admin"], needs
        if needs.endswith(":write") and not needs.startswith("self:"):
            viewers = {"viewer", *(f"platform {role}" for role in PLATFORM)} - {"platform admin"}
            assert not viewers & set(let_in), needs


@pytest.mark.invariant("T-03")
def test_a_role_of_the_platform_is_nothing_in_a_tenant(cast: Cast, world: World) -> None:
    """Whoever administers the platform and is no member of the tenant sees nothing of it."""
    people = cast.owner.people
    for role in PLATFORM:
        person = people.register()
        people.promote(person, role)
        api = people.api(person, world.owner.tenant_id)
        for endpoint in ENDPOINTS:
            if endpoint.permission is not None:
                refused = attrs.evolve(world.asked(endpoint.name), tenant=None).by(api)
                assert refused.json["error"]["code"] == "NOT_A_MEMBER", (role, endpoint.name)


@pytest.mark.invariant("T-03")
def test_no_path_takes_another_method_from_anybody(
    cast: Cast, world: World, written: Written
) -> None:
    rules: dict[str, set[str]] = {}
    for endpoint in ENDPOINTS:
        rules.setdefault(endpoint.path, set()).add(endpoint.method)
    paths = {world.asked(each.name).path: rules[each.path] for each in ENDPOINTS}
    seen = written.seen()
    tried = 0
    for path, methods in paths.items():
        takes = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        for method in set(METHODS) - takes:
            for name, api in cast.callers.items():
                answer = api.ask(method, path)
                assert answer.status_code == 405, (method, path, name)
                assert set(answer.headers["Allow"].split(", ")) == takes, (method, path)
                if method != "HEAD":
                    assert answer.json["error"]["code"] == "METHOD_NOT_ALLOWED"
                tried += 1
    assert tried > 5_000
    assert not seen.changed()


@pytest.mark.invariant("T-03")
@pytest.mark.spec("S2-5", partial=True)
def test_a_part_that_was_taken_away_is_gone_with_the_next_request(cast: Cast, world: World) -> None:
    """A role by its tenant's owner, a platform's role and a membership; each had been proven."""
    people, mine = cast.owner.people, world.api
    accountant = cast.callers["accountant"]
    assert accountant.open("Giro", asset="EUR")
    place = f"/members/{cast.people['accountant'].user_id}"
    mine.ask("PATCH", place, {"role": "viewer"})
    assert accountant.refused("POST", "/accounts", {"name": "x"}) == (403, "PERMISSION_MISSING")
    assert accountant.get("/accounts")
    assert mine.ask("DELETE", place).status_code == 200
    assert accountant.refused("GET", "/accounts") == (403, "NOT_A_MEMBER")
    admin = cast.callers["platform admin"]
    assert admin.get("/people", limit=1)
    people.promote(cast.people["platform admin"])
    assert admin.refused("POST", f"/people/{world.user_id}/unlock") == (403, "PERMISSION_MISSING")


@pytest.mark.invariant("T-03")
@pytest.mark.spec("S2-5", partial=True)
def test_a_part_that_was_given_is_there_with_the_next_request(cast: Cast, world: World) -> None:
    """It had been proven that the asker had none; what was proven is kept, but not against them."""
    people, mine = cast.owner.people, world.api
    viewer = cast.callers["viewer"]
    assert viewer.get("/accounts") is not None
    assert viewer.refused("POST", "/accounts", {"name": "x"}) == (403, "PERMISSION_MISSING")
    mine.ask("PATCH", f"/members/{cast.people['viewer'].user_id}", {"role": "accountant"})
    assert viewer.open("Giro", asset="EUR")
    somebody = people.register()
    theirs = people.api(somebody)
    assert theirs.refused("GET", "/people") == (403, "PERMISSION_MISSING")
    people.promote(somebody, "admin")
    assert theirs.get("/people", limit=1)
