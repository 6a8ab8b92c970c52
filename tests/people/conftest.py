"""The application over the run's own Postgres and Valkey, and people who sign in to it."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
from flask import Flask
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from finora import Finora, Settings
from finora_adapters.compose import Opened, compose, open_database
from finora_adapters.postgres.invariants import violations
from finora_adapters.redis.asking import Asker
from finora_adapters.redis.client import connect
from finora_adapters.redis.versions import VersionedCache
from finora_core.jobs.service import JobRunner
from finora_web.main import build

ROOT = "/api/v1"
NOBODY = UUID(int=0)
PASSWORD = "correct horse battery"


NOBODY = UUID(int=0)


@attrs.define
class Caller:
    """Somebody with a bearer token, or nobody."""

    app: Flask
    token: str | None = None
    user_id: UUID = NOBODY
    home_id: UUID = NOBODY
    email: str = ""

    def ask(
        self, method: str, path: str, body: Any = None, *, tenant: object = None, **headers: str
    ) -> TestResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        if tenant is not None:
            sent["X-Tenant-Id"] = str(tenant)
        answer = self.app.test_client().open(
            ROOT + path, method=method, json=body, headers=sent, buffered=True
        )
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        return answer

    def get(self, path: str, **more: Any) -> Any:
        return self.good("GET", path, **more)

    def good(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The data of an answer that must not be a refusal."""
        answer = self.ask(method, path, body, **more)
        assert answer.status_code < 300, answer.text
        return answer.json["data"]

    def refused(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str]:
        """Status and code of a refusal."""
        answer = self.ask(method, path, body, **more)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json["error"]["code"]


@pytest.fixture(scope="session")
def opened(settings: Settings, finora: Finora) -> Iterator[Opened]:
    opened = open_database(settings, redis=True)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def app(settings: Settings, opened: Opened) -> Flask:
    return build(settings, opened)


@pytest.fixture(scope="session")
def worker(settings: Settings, opened: Opened) -> JobRunner:
    """As a worker's is: it tells the cache what changed."""
    cache = VersionedCache(Asker(connect(opened.redis_url)))
    return compose(settings, opened.telling(cache.publish)).get(JobRunner)


@pytest.fixture
def nobody(app: Flask) -> Caller:
    return Caller(app)


SignUp = Callable[..., Caller]


@pytest.fixture
def sign_up(app: Flask, admin: Engine) -> SignUp:
    """Makes a person with a verified address, who is signed in."""

    def make(name: str = "Somebody", email: str | None = None, **headers: str) -> Caller:
        nobody = Caller(app)
        email = email or f"p-{uuid4()}@example.org"
        said = {"email": email, "password": PASSWORD, "name": name}
        made = nobody.good("POST", "/auth/register", said)
        with admin.begin() as connection:
            verify = "update finora.identity set verified_at = now() where user_id = :id"
            connection.execute(text(verify), {"id": made["user_id"]})
        found = nobody.good("POST", "/auth/login", {"email": email, "password": PASSWORD},
                            **headers)  # fmt: skip
        home_id, user_id = UUID(made["tenant_id"]), UUID(made["user_id"])
        return Caller(app, found["access_token"], user_id, home_id, email)

    return make


@pytest.fixture
def person(sign_up: SignUp) -> Caller:
    return sign_up()


@pytest.fixture
def administrator(sign_up: SignUp, finora: Finora) -> Caller:
    """Made by the operator's command, as every administrator is."""
    return promoted(sign_up("An Administrator"), finora)


def promoted(caller: Caller, finora: Finora) -> Caller:
    finora.operator.grant(caller.email, ["admin"])
    return caller


@pytest.fixture(autouse=True)
def _books_hold(admin: Engine) -> Iterator[None]:
    yield
    with admin.connect() as connection:
        assert violations(connection) == []
