"""The document says what the routes do: no more, no less."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from finora_web.api.table import ENDPOINTS
from finora_web.openapi import ROOT
from web.api import Api


@pytest.fixture(scope="session")
def document(app: Flask) -> Any:
    return app.test_client().get("/openapi.json").json


@pytest.mark.spec("S2-1", partial=True)
def test_it_is_valid(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


@pytest.mark.spec("S2-1", partial=True)
def test_routes_and_document_are_equal(app: Flask, document: Any) -> None:
    documented = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
    }
    served = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule.removeprefix(ROOT)))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(ROOT)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert documented == served
    names = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert sorted(names) == sorted(endpoint.name for endpoint in ENDPOINTS)


def test_every_operation_says_what_it_needs_and_what_it_is(document: Any) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["x-permission"]
            assert operation["summary"].endswith(".")
            assert {"400", "401", "403", "503"} <= operation["responses"].keys()


@pytest.mark.spec("S2-1", partial=True)
def test_the_page_that_shows_it_has_every_operation(api: Api, document: Any) -> None:
    page = api.app.test_client().get("/docs")
    assert page.status_code == 200
    for path in document["paths"]:
        assert path in page.text
