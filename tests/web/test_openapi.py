"""The document says what the routes do: no more, no less."""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from finora import Settings
from finora_adapters.compose import Opened
from finora_web.api.table import ENDPOINTS
from finora_web.main import build
from finora_web.openapi import ROOT


@pytest.fixture(scope="session")
def document(app: Flask) -> Any:
    return app.test_client().get("/openapi.json").json


def operations(document: Any) -> Iterator[Any]:
    for methods in document["paths"].values():
        yield from methods.values()


@pytest.mark.spec("S2-1", partial=True)
def test_it_is_valid(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_schema_has_a_name_of_its_own(document: Any) -> None:
    """Two models of one name get their modules for names, which generators stumble over."""
    assert [name for name in document["components"]["schemas"] if "__" in name] == []


# What is mounted beside the API: probes, its description, the pages of people and what they load.
BARE = {"/live", "/health", "/health/deep", "/ready", "/readyz", "/metrics", "/openapi.json",
        "/docs", "/static/<path:filename>",
        # Signed by operators, not by people: docs/audit.md.
        "/admin/jobs/<uuid:job_id>/retry", "/admin/jobs/<uuid:job_id>", "/admin/dlq/replay",
        }  # fmt: skip


@pytest.mark.spec("S2-1", partial=True)
@pytest.mark.spec("S4-10")
def test_routes_and_document_are_equal(app: Flask, document: Any) -> None:
    """Whatever is mounted is in the document, by its path, method, parameters and name, or is one
    of the few that are no API."""
    [server] = document["servers"]
    documented = {
        (method.upper(), server["url"] + path, operation["operationId"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    mounted = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), rule.endpoint)
        for rule in app.url_map.iter_rules()
        if rule.rule not in BARE and not rule.endpoint.startswith("pages.")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert documented == mounted
    assert len(documented) == len(ENDPOINTS) > 30
    assert all(path.startswith(f"{ROOT}/") for _, path, _ in mounted)
    pages = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("pages.")]
    assert pages
    assert not [rule.rule for rule in pages if rule.rule.startswith("/api")]


@pytest.mark.spec("S4-10", partial=True)
def test_a_route_beside_the_document_is_seen(settings: Settings, opened: Opened) -> None:
    """The comparison of the test above, over an application with one route more."""
    app = build(settings, opened)
    app.add_url_rule(f"{ROOT}/secret", "secret", lambda: "")
    document = app.test_client().get("/openapi.json").json
    with pytest.raises(AssertionError):
        test_routes_and_document_are_equal(app, document)


def test_what_a_path_takes_is_told(document: Any) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path


def test_every_operation_says_what_it_needs_and_what_it_is(document: Any) -> None:
    for operation in operations(document):
        assert bool(operation.get("x-permission")) is (operation.get("security") != [])
        assert operation["summary"].endswith(".")
        assert {"400", "401", "403", "503"} <= operation["responses"].keys()


@pytest.mark.spec("S2-1", partial=True)
@pytest.mark.spec("S2-58")
def test_the_page_that_shows_it_has_every_operation(app: Flask, document: Any) -> None:
    """And every parameter, status and schema of the very document that is served."""
    page = app.test_client().get("/docs")
    assert page.status_code == 200
    parts = dict(re.findall(r'<details id="([\w-]+)">(.*?)</details>', page.text, re.S))
    wanted = {each["operationId"] for each in operations(document)}
    wanted |= {f"schema-{name}" for name in document["components"]["schemas"]}
    assert set(parts) == wanted
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            part = parts[operation["operationId"]]
            words = [method.upper(), ROOT + path, *operation["responses"]]
            words += [each["name"] for each in operation["parameters"]]
            words += filter(None, [operation.get("x-permission")])
            for said in words:
                assert f">{said}<" in part, (operation["operationId"], said)
    shown = {html.unescape(link) for link in re.findall(r'href="#schema-([^"]+)"', page.text)}
    assert shown <= document["components"]["schemas"].keys()
    assert len(shown) > 20


def test_every_example_is_what_its_schema_says(document: Any) -> None:
    found = 0
    for part in parts(document):
        for example in part.get("examples", []):
            Draft202012Validator(part | {"components": document["components"]}).validate(example)
            found += 1
    assert found > 3


def parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, dict | list):
            yield from parts(each)
