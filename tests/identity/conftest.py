"""The application over the run's own Postgres and Valkey, and people in front of it."""

from collections.abc import Iterator

import pytest
from flask import Flask
from injector import Injector
from pydantic import SecretStr
from sqlalchemy import Engine

from finora import Finora, Settings
from finora_adapters.compose import Opened, compose, open_database
from finora_web.main import build
from identity.devices import BOT
from identity.persons import Person, Site


@pytest.fixture(scope="session")
def opened(settings: Settings, finora: Finora) -> Iterator[Opened]:
    opened = open_database(settings, redis=True)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def at_home(settings: Settings) -> Settings:
    """With a bot, whose Telegram people sign in by; and nobody is sent away for the crowd."""
    changed = {"password_waiting": 100, "telegram_bot_token": SecretStr(BOT)}
    return settings.model_copy(update=changed)


@pytest.fixture(scope="session")
def app(at_home: Settings, opened: Opened) -> Flask:
    return build(at_home, opened)


@pytest.fixture(scope="session")
def inside(at_home: Settings, opened: Opened) -> Injector:
    """The services themselves."""
    return compose(at_home, opened)


@pytest.fixture(scope="session")
def site(app: Flask, finora: Finora, admin: Engine, settings: Settings) -> Site:
    return Site(app, finora, admin, settings.data / "mail")


@pytest.fixture
def second(at_home: Settings, opened: Opened, site: Site) -> Site:
    """Another process's application: it shares nothing with the first but Postgres and Valkey."""
    return Site(build(at_home, opened), site.finora, site.admin, site.mail)


@pytest.fixture
def ada(site: Site) -> Person:
    """Somebody who signed up and in, with a verified address."""
    return site.verified()


@pytest.fixture
def bob(site: Site) -> Person:
    return site.verified()
