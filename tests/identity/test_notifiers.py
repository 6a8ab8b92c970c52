"""What people are written about goes to notifiers too: to each by a job of its own."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine
from werkzeug import Request, Response

from finora import Finora, Settings
from finora.commands.new_provider import Kind, write
from finora_adapters.compose import notifiers_of, open_database, plugins_of
from finora_adapters.notifier import ByPlugin
from finora_adapters.settings import BadSettings
from finora_adapters.upstream.sources import PluginList, sources_of
from finora_core.kernel.clock import SystemClock
from finora_core.mail.model import KINDS
from finora_core.notices.reactions import NOTIFIED
from finora_web.main import build
from identity.persons import OTHER, Site

WAYS = ("pager", "bleeper")


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two notifiers as pip leaves them."""
    folder = tmp_path_factory.mktemp("site-packages")
    paths = [str(folder)]
    for name in WAYS:
        package, _ = write(name, Kind.NOTIFIERS, folder)
        paths.append(str(package))
        info = folder / f"finora_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: finora-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[finora]\n{name} = finora_{name}\n")
    sys.path[:0] = paths
    sys.path_importer_cache.clear()
    yield folder
    for path in paths:
        sys.path.remove(path)
    for name in WAYS:
        sys.modules.pop(f"finora_{name}", None)


@pytest.fixture
def told(settings: Settings, httpserver: HTTPServer) -> Settings:
    given = {}
    for name in WAYS:
        given[f"{name}_URL".upper()] = SecretStr(httpserver.url_for(f"/{name}").rstrip("/"))
        given[f"{name}_KEY".upper()] = SecretStr("hunter2hunter2")
    changed = {"notifiers": ",".join(WAYS), "plugin_settings": given}
    return settings.model_copy(update=changed)


@pytest.fixture
def notified(told: Settings, site_packages: Path, site: Site) -> Iterator[Site]:
    """A site of its own, whose events are told by both."""
    site.finora.run_jobs()
    database = open_database(told, redis=True)
    app: Flask = build(told, database)
    with Finora.open(told) as opened:
        yield Site(app, opened, site.admin, site.mail)
    database.close()


class Chat:
    """What it took, by way and then by key, and what it answers instead, by way."""

    def __init__(self, httpserver: HTTPServer) -> None:
        self.taken: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in WAYS}
        self.instead: dict[str, Response] = {}
        for name in WAYS:
            httpserver.expect_request(f"/{name}/notices", "POST").respond_with_handler(
                lambda request, name=name: self._take(request, name)  # type: ignore[misc]  # mypy knows no default of a lambda
            )

    def _take(self, request: Request, name: str) -> Response:
        assert request.headers["X-Key"] == "hunter2hunter2"
        if name in self.instead:
            return self.instead[name]
        self.taken[name][request.headers["Idempotency-Key"]] = request.get_json()
        return Response(json.dumps({"taken": True}))

    def titles(self, name: str) -> list[str]:
        return sorted(each["title"] for each in self.taken[name].values())


@pytest.fixture
def chat(httpserver: HTTPServer) -> Chat:
    return Chat(httpserver)


def jobs(site: Site, pattern: str, user_id: str) -> list[Any]:
    return site.sql(
        "select name, state, attempts, reason, "
        "extract(epoch from run_at - clock_timestamp())::float as pause "
        "from finora.job where name like :pattern and user_id = :user order by name",
        pattern=pattern, user=user_id,
    )  # fmt: skip


@pytest.mark.spec("S2-49", partial=True)
def test_what_is_written_is_told_by_every_notifier_too(notified: Site, chat: Chat) -> None:
    ada = notified.verified()
    ada.post("/me/password", {"password": OTHER})
    assert ada.letter("password was changed")
    for name in WAYS:
        [said] = [
            each for each in chat.taken[name].values() if "password was changed" in each["title"]
        ]
        assert said["user"] == ada.user_id
        letter = ada.letter("password was changed")
        assert said["text"].split() == letter.text.split()
        # What opens a door goes to the address and nowhere else.
        everything = json.dumps(list(chat.taken[name].values()))
        assert "Confirm" not in everything and "token=" not in everything
        assert ada.email not in everything


def test_one_that_is_down_delays_neither_letters_nor_the_other(notified: Site, chat: Chat) -> None:
    chat.instead["pager"] = Response("", 429, {"Retry-After": "300"})
    ada = notified.verified()
    ada.post("/me/password", {"password": OTHER})
    assert ada.letter("password was changed")
    assert any("password was changed" in each for each in chat.titles("bleeper"))
    assert chat.titles("pager") == []
    [waiting] = jobs(notified, "notices.pager.password_changed", ada.user_id)
    assert (waiting.state, waiting.attempts, waiting.reason) == ("waiting", 1, "NOTICE_UNAVAILABLE")
    assert 250 < waiting.pause <= 300
    [done] = jobs(notified, "notices.bleeper.password_changed", ada.user_id)
    assert done.state == "done"


def test_what_is_never_taken_is_not_sent_again(notified: Site, chat: Chat) -> None:
    chat.instead["pager"] = Response('{"taken": false}')
    ada = notified.verified()
    ada.post("/me/password", {"password": OTHER})
    assert ada.letter("password was changed")
    [refused] = jobs(notified, "notices.pager.password_changed", ada.user_id)
    assert (refused.state, refused.attempts, refused.reason) == ("refused", 1, "NOTICE_REFUSED")


def test_sent_again_it_has_the_same_id(notified: Site, chat: Chat) -> None:
    ada = notified.verified()
    ada.post("/me/password", {"password": OTHER})
    notified.finora.run_jobs()
    before = dict(chat.taken["pager"])
    notified.sql(
        "update finora.job set state = 'waiting', finished_at = null, "
        "run_at = clock_timestamp() where name = 'notices.pager.password_changed' "
        "and user_id = :user", user=ada.user_id,
    )  # fmt: skip
    notified.finora.run_jobs()
    assert chat.taken["pager"] == before
    [again] = jobs(notified, "notices.pager.password_changed", ada.user_id)
    assert again.attempts == 2


def test_nobody_is_told_by_one_that_is_not_named(site: Site, admin: Engine) -> None:
    ada = site.verified()
    ada.post("/me/password", {"password": OTHER})
    assert ada.letter("password was changed")
    assert jobs(site, "notices.%", ada.user_id) == []


def test_what_opens_a_door_is_of_no_notice() -> None:
    secret = {kind for kind, values in KINDS.items() if {"code"} & set(values)}
    assert secret.isdisjoint(NOTIFIED)
    assert {"verify", "magic", "reset", "code", "invite", "challenge", "asked"}.isdisjoint(NOTIFIED)


def test_they_are_chosen_by_their_names_and_shown(told: Settings, site_packages: Path) -> None:
    plugins = plugins_of(told)
    found = {each.name: each for each in PluginList(
        plugins, sources_of(told, plugins, SystemClock())).list()}  # fmt: skip
    assert found["pager"].provides == ("notifier pager",)
    assert found["pager"].sources[0].said == "ok"
    letters: Any = None
    ways = notifiers_of(told, letters)
    assert [each.name for each in ways] == list(WAYS)
    assert all(isinstance(each, ByPlugin) for each in ways)
    other = told.model_copy(update={"notifiers": "nobody"})
    with pytest.raises(BadSettings, match="there is no nobody; there are: bleeper, pager"):
        notifiers_of(other, letters)
    assert told.model_copy(update={"notifiers": "pager,pager"}).notified_by == ("pager",)
