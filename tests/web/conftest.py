"""The application over the run's own Postgres and Valkey, and callers of two tenants."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine

from finora import Finora, Scope, Settings
from finora_adapters.compose import Opened, open_database
from finora_web.main import build
from web.api import Api
from web.catalogue import Written


@pytest.fixture(scope="session")
def opened(settings: Settings, finora: Finora) -> Iterator[Opened]:
    opened = open_database(settings, redis=True)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def app(settings: Settings, opened: Opened) -> Flask:
    return build(settings, opened)


@pytest.fixture
def api(app: Flask, finora: Finora, scope: Scope) -> Api:
    return Api(app, finora.tokens.create(scope, "test").text)


@pytest.fixture
def other(app: Flask, finora: Finora, stranger: Scope) -> Api:
    """A caller of another tenant."""
    return Api(app, finora.tokens.create(stranger, "other").text)


@pytest.fixture
def written(admin: Engine, scope: Scope) -> Written:
    return Written(admin, (scope.tenant_id,))


@pytest.fixture
def nothing_written(written: Written) -> Iterator[None]:
    """Around a test whose every request must be refused. Ask for it after what the test needs."""
    before = written.digest()
    yield
    assert written.digest() == before
