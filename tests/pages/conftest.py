"""Pages two ways: asked of the application itself, and in a browser against `finora up`."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import attrs
import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from finora import Finora, Scope, Settings
from finora_adapters.compose import Opened, open_database
from finora_web.gate import COOKIE
from finora_web.main import build
from pages.issuer import Issuer, serving

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)  # fmt: skip
ORIGIN = "http://localhost"


@pytest.fixture(scope="session")
def opened(settings: Settings, finora: Finora) -> Iterator[Opened]:
    opened = open_database(settings, redis=True)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def app(settings: Settings, opened: Opened) -> Flask:
    return build(settings, opened)


@pytest.fixture
def token(finora: Finora, scope: Scope) -> str:
    return finora.tokens.create(scope, "browser").text


@pytest.fixture
def client(app: Flask, token: str) -> FlaskClient:
    """Signed in."""
    client = app.test_client()
    client.set_cookie(COOKIE, token)
    return client


# --- in a browser --------------------------------------------------------------------------------


@attrs.frozen
class Served:
    """`finora up` on a data folder of its own. `address` is the one it printed."""

    origin: str
    address: str
    books: Finora
    process: "subprocess.Popen[str]"
    mail: Path
    """Where its letters go."""
    issuer: Issuer

    @property
    def local(self) -> str:
        """The same by name: passkeys are of a name."""
        return self.origin.replace("127.0.0.1", "localhost")

    def scope(self) -> Scope:
        return self.books.scope(tenant=f"t-{uuid4()}", user="u1")

    def token(self, scope: Scope) -> str:
        return self.books.tokens.create(scope, "browser").text


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    with serving() as issuer:
        yield issuer


@pytest.fixture(scope="session")
def served(issuer: Issuer) -> Iterator[Served]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    # Short: the path of a unix socket has a limit of about a hundred bytes.
    folder = Path(tempfile.mkdtemp(prefix="finora-web-"))
    folder.chmod(0o755)
    settings = Settings(data=folder / "data", env="test")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FINORA_")}
    port = _free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "finora", "up", "--data", str(settings.data),
             "--port", str(port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            env=kept
            | {
                "FINORA_HTTP_PROCESSES": "1",
                "FINORA_RATE_LIMITS": "all=1000000/60",
                "FINORA_PASSWORD_MEMORY_KIB": "64",
                "FINORA_PASSWORD_ROUNDS": "1",
                "FINORA_OIDC_ISSUERS": issuer.setting,
            },
        )  # fmt: skip
    try:
        assert process.stdout
        said = process.stdout.readline()
        found = re.search(r"http://\S+", said)
        assert found, said + (folder / "log").read_text()
        origin = f"http://127.0.0.1:{port}"
        _until(lambda: _answers(f"{origin}/ready"), "the server does not come up")
        with Finora.open(settings) as books:
            yield Served(origin, found[0], books, process, settings.data / "mail", issuer)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # For one module at a time: as long as it runs, this thread has a running event loop, which
    # other tests want to start themselves.
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@attrs.define
class Visit:
    """One browser profile, and all that went wrong in it."""

    context: BrowserContext
    hosts: tuple[str, ...]
    """Those that may be asked."""
    wrong: list[str] = attrs.field(factory=list)
    asked: list[str] = attrs.field(factory=list)
    refused: set[int] = attrs.field(factory=set)
    """Statuses of refusals that are meant to be: Chromium tells of each form that is refused."""

    def page(self) -> Page:
        page = self.context.new_page()
        page.on("console", lambda message: self._told(message.type, message.text))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", lambda request: self._asked(request.method, request.url))
        return page

    def _told(self, kind: str, text: str) -> None:
        # A refused style or script, a failed request and an exception are all told here.
        meant = any(f"status of {status} " in text for status in self.refused)
        if kind in ("error", "warning") and not meant:
            self.wrong.append(f"{kind}: {text}")

    def _asked(self, method: str, url: str) -> None:
        self.asked.append(f"{method} {urlsplit(url).path}")
        if not url.startswith((*self.hosts, "data:")):
            self.wrong.append(f"asked another host: {url}")


Visitor = Callable[..., Visit]


@pytest.fixture
def visitor(served: Served, browser: Browser) -> Iterator[Visitor]:
    """Profiles with the given width and colour scheme; nothing may go wrong in any of them."""
    visits: list[Visit] = []

    def visit(width: int = 1400, scheme: str = "light") -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        context.set_default_timeout(20_000)
        hosts = (served.origin, served.local, served.issuer.url)
        visits.append(Visit(context, hosts))
        return visits[-1]

    yield visit
    for each in visits:
        each.context.close()
    assert [problem for each in visits for problem in each.wrong] == []


@pytest.fixture
def own(served: Served) -> Scope:
    """A tenant of the test's own, in the served books."""
    return served.scope()


@pytest.fixture
def page(served: Served, visitor: Visitor, own: Scope) -> Page:
    """The first page of that tenant, signed in."""
    return sign_in(served, visitor(), own)


def sign_in(served: Served, visit: Visit, scope: Scope) -> Page:
    page = visit.page()
    page.goto(f"{served.origin}/?token={served.token(scope)}")
    return page


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _until(holds: Callable[[], bool], said: str, seconds: int = 60) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, said
        time.sleep(0.1)
