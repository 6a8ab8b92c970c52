"""The application over the run's own Postgres and Valkey, and who asks it."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine

from finora import Finora, Scope, Settings
from finora_adapters.compose import Opened, open_database
from finora_adapters.plugins import load_plugins
from finora_adapters.postgres.invariants import violations
from finora_core.identity.roles import TENANT
from finora_web.main import build
from web.api import Api
from web.callers import Cast, Owner, People
from web.catalogue import World, Written
from web.devices import BOT_TOKEN, Issuer


@pytest.fixture(scope="session")
def opened(settings: Settings, finora: Finora) -> Iterator[Opened]:
    opened = open_database(settings, redis=True)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    """Where people have an account to sign in with."""
    with HTTPServer(threaded=True) as server:
        yield Issuer(server).open()


@pytest.fixture(scope="session")
def nowhere() -> Iterator[str]:
    """In place of every source: a server that has nothing of what it is asked for."""
    with HTTPServer(threaded=True) as server:
        server.expect_request(re.compile(".*")).respond_with_data("", 404)
        yield server.url_for("").rstrip("/")


@pytest.fixture(scope="session")
def app(settings: Settings, opened: Opened, issuer: Issuer, nowhere: str) -> Flask:
    """With every way to sign in."""
    sources = {name for kind in load_plugins().sources.values() for name in kind}
    more = {
        "plugin_settings": {f"{name}_URL".upper(): SecretStr(nowhere) for name in sources},
        "telegram_bot_token": SecretStr(BOT_TOKEN),
        "oidc_issuers": SecretStr(json.dumps([issuer.client])),
    }
    return build(settings.model_copy(update=more), opened)


@pytest.fixture
def api(app: Flask, finora: Finora, scope: Scope) -> Api:
    """A program, with a token of its tenant's owner that says what it may: everything."""
    return Api(app, finora.tokens.create(scope, "test", permissions=TENANT).text)


@pytest.fixture
def other(app: Flask, finora: Finora, stranger: Scope) -> Api:
    """A program of another tenant."""
    return Api(app, finora.tokens.create(stranger, "other").text)


@pytest.fixture
def people(app: Flask, admin: Engine) -> Iterator[People]:
    yield People(app, admin)
    with admin.connect() as connection:
        assert violations(connection) == []


Worlds = Callable[..., World]


@pytest.fixture
def worlds(people: People, finora: Finora, issuer: Issuer, settings: Settings) -> Worlds:
    """Worlds of an owner each, by a word; the owner administers the platform, or not."""
    assert settings.passkeys is not None
    _, [origin] = settings.passkeys

    def make(word: str, administers: bool = True) -> World:
        world = World(Owner(people, word, administers), finora, issuer, origin)
        assert world.api.tenant  # The owner is there; the rest comes when it is asked for.
        return world

    return make


@pytest.fixture
def world(worlds: Worlds) -> World:
    """Of somebody who signed in, owns the tenant, and administers the platform."""
    return worlds("mine")


@pytest.fixture
def owner(world: World) -> Api:
    """That somebody: nobody may do more."""
    return world.api


@pytest.fixture
def cast(world: World) -> Cast:
    """Callers of every part, in that world's tenant."""
    return Cast.of(world.owner)


@pytest.fixture
def written(admin: Engine) -> Written:
    return Written(admin)


@pytest.fixture
def nothing_written(written: Written) -> Iterator[None]:
    """Around a test whose every request must be refused. Ask for it after what the test needs."""
    before = written.digest()
    yield
    assert written.digest() == before
