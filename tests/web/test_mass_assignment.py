"""What a body, a query or a form says beyond what its route asks for: refused, by its name, and
nothing of it is kept."""

import io
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from finora_adapters.postgres.schema import metadata
from finora_web.api.table import ENDPOINTS
from web.catalogue import BY_NAME, World, Written

COLUMNS = sorted({column.name for table in metadata.tables.values() for column in table.c})
CLASSIC = (
    "tenant_id", "tenantId", "user_id", "userId", "owner", "owner_id", "ownerId", "role", "roles",
    "is_admin", "isAdmin", "admin", "is_staff", "is_superuser", "permissions", "scope", "scopes",
    "balance", "available", "held", "units", "state", "status", "verified", "verified_at",
    "email_verified", "fee", "fee_bps", "price", "rate", "credit", "limit", "password", "digest",
    "secret", "hash", "token", "session_id", "home_id", "banned_at", "created_at", "recorded_at",
    "expires_at", "deleted", "deleted_at", "id", "_id", "uuid", "seq", "version", "revision",
    "reverses", "rate_source", "entry_id", "recipient", "redirect", "callback", "__proto__",
    "constructor", "prototype", "__class__", "$where", "$ne", "@type", "class.module.classLoader",
)  # fmt: skip
WORST = ("tenant_id", "user_id", "role", "roles", "is_admin", "permissions", "balance", "state",
         "id", "fee", "password", "verified_at", "__proto__")  # fmt: skip
NAMES = tuple(dict.fromkeys((*CLASSIC, *COLUMNS)))
VALUES = ("owner", True, 1_000_000, None, ["admin"], {"role": "owner"})
MAPS = {"fields", "names", "preferences", "response", "widget"}
"""Objects in which the caller chooses the names."""
LANGUAGES = {"condition", "actions"}
"""What is in them is read by a grammar of its own, which refuses the first thing that it does not
know."""
BATCH = 90
"""Fewer than a refusal names."""
BODIES = [endpoint.name for endpoint in ENDPOINTS if endpoint.body is not None]


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every object in a body, with its place."""
    if MAPS & set(path):
        return
    if isinstance(value, dict):
        yield path, value
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in pairs:
        if isinstance(each, dict | list):
            yield from objects(each, (*path, key))


def put(value: Any, path: tuple[Any, ...], more: dict[str, Any]) -> Any:
    """The body with more in the object at that place."""
    if not path:
        return value | more
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], more)
    return copy


@pytest.fixture(scope="module")
def document(app: Flask) -> Any:
    return app.test_client().get("/openapi.json").json


def fields_at(name: str, document: Any, path: tuple[Any, ...]) -> set[str]:
    """What the route knows in that object, by the document."""
    schemas = document["components"]["schemas"]

    def found(schema: Any) -> Any:
        for each in schema.get("anyOf", []):
            if "$ref" in each or "items" in each:
                schema = each
        if "$ref" in schema:
            return schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    [operation] = [each for methods in document["paths"].values() for each in methods.values()
                   if each["operationId"] == name]  # fmt: skip
    schema = found(operation["requestBody"]["content"]["application/json"]["schema"])
    for step in path:
        fields = schema.get("properties", {})
        schema = found(schema.get("items", {}) if isinstance(step, int) else fields.get(step, {}))
    return set(schema.get("properties", ()))


def test_there_are_names_enough() -> None:
    assert len(COLUMNS) > 120
    assert {"tenant_id", "role", "roles", "password", "state", "digest"} <= set(COLUMNS)


@pytest.mark.invariant("T-02")
@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.parametrize("name", BODIES)
def test_no_column_can_be_named_in_any_object_of_a_body(
    world: World, written: Written, document: Any, name: str
) -> None:
    """Every column of every table, many at a time, each named by the refusal, or counted where a
    refusal names nothing that was sent; and the worst of them one by one."""
    asked = world.asked(name)
    seen = written.seen()
    values = itertools.cycle(VALUES)
    tried = set()
    for path, _ in objects(asked.body):
        known = fields_at(name, document, path)
        unknown = [each for each in NAMES if each not in known]
        batches = [unknown[n : n + BATCH] for n in range(0, len(unknown), BATCH)]
        batches += [[each] for each in unknown if each in WORST]
        for batch in batches:
            more = {each: next(values) for each in batch}
            answer = asked.by(world.api, body=put(asked.body, path, more))
            assert answer.status_code == 400, (path, batch, answer.text)
            told = [each["path"] for each in answer.json["error"]["details"]]
            if LANGUAGES & set(path):
                assert told, (path, batch)
            elif BY_NAME[name].private:
                assert len(told) == len(batch), (path, batch)
            else:
                where = "".join(f"{step}." for step in path)
                assert sorted(told) == sorted(where + each for each in batch), (path, batch)
            tried |= set(batch)
    assert not seen.changed()
    assert len(tried) > 150


@pytest.mark.invariant("T-02")
def test_no_column_can_be_named_in_a_query(world: World, written: Written) -> None:
    requests = world.requests()
    seen = written.seen()
    for name, asked in requests.items():
        query = BY_NAME[name].query
        known = set() if query is None else set(query.model_fields)
        unknown = [each for each in NAMES if each not in known]
        for batch in (unknown[n : n + BATCH] for n in range(0, len(unknown), BATCH)):
            more = dict.fromkeys(batch, "owner")
            answer = asked.by(world.api, query=asked.query | more)
            assert answer.status_code == 400, (name, answer.text)
            told = [each["path"] for each in answer.json["error"]["details"]]
            assert sorted(told) == sorted(batch), name
        assert not seen.changed(), name


@pytest.mark.invariant("T-02")
def test_a_form_has_its_file_and_nothing_else(world: World, written: Written) -> None:
    """No second file, and no other part, under whatever name."""
    uploads = [each.name for each in ENDPOINTS if each.uploads is not None]
    asked = {name: world.asked(name) for name in uploads}
    seen = written.seen()
    for name in uploads:
        content = asked[name].content
        assert content is not None

        def file(content: bytes = content) -> tuple[io.BytesIO, str]:
            return io.BytesIO(content), "x"

        forms: list[dict[str, Any]] = [
            {"file": file(), each: "owner"} for each in ("tenant_id", "state", "name", "user_id")
        ]
        forms += [{"file": file(), "other": file()}, {"file": [file(), file()]}]
        for form in forms:
            answer = world.api.ask("POST", asked[name].path, query=asked[name].query, data=form)
            assert (answer.status_code, answer.json["error"]["code"]) == (400, "VALIDATION"), (
                name, form,
            )  # fmt: skip
            assert not seen.changed(), (name, form)
