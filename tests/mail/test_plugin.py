"""Letters by a plugin's way: the same as by ours, over its own host and with its own key."""

import base64
import json
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import attrs
import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from finora import Settings
from finora_adapters.compose import mailer_of, plugins_of
from finora_adapters.confined import words
from finora_adapters.plugins import Plugins
from finora_adapters.settings import BadSettings, mail_problems, production_problems
from finora_adapters.upstream.sources import PluginList, Sources, sources_of
from finora_core.kernel.clock import SystemClock
from finora_core.kernel.outcome import (
    AuthExpired,
    Down,
    Missing,
    Ok,
    RateLimited,
    Unsupported,
)
from finora_core.mail.model import Message
from finora_core.mail.ports import Mailer, MailRefused, MailUnavailable
from finora_core.plugins import Mail, Notice
from mail.conftest import SENDER
from mail.contract import Arrived, MailerContract
from mail.post import PASSWORD, read

COURIER = EntryPoint("courier", "finora_courier", "finora")


@pytest.fixture(scope="module")
def plugins() -> Iterator[Plugins]:
    folder = str(Path(__file__).parent / "courier")
    sys.path.insert(0, folder)
    yield plugins_of(Settings(), [COURIER])
    sys.path.remove(folder)
    sys.modules.pop("finora_courier", None)


def settings_with(url: str, **given: Any) -> Settings:
    plugin = {"COURIER_URL": SecretStr(url.rstrip("/")), "COURIER_KEY": SecretStr(PASSWORD)}
    return Settings(
        mail_plugin="courier",
        mail_from=f'"{SENDER.name}" <{SENDER.address.text}>',
        plugin_settings=plugin,
        **given,
    )


@pytest.fixture
def settings(httpserver: HTTPServer) -> Settings:
    return settings_with(httpserver.url_for(""))


@pytest.fixture
def sources(settings: Settings, plugins: Plugins) -> Sources:
    return sources_of(settings, plugins, SystemClock())


@pytest.fixture
def mailer(settings: Settings, sources: Sources) -> Mailer:
    return mailer_of(settings, lambda: sources)


class TestCourier(MailerContract):
    @pytest.fixture
    def arrived(self, httpserver: HTTPServer) -> Arrived:
        """Whoever sends a key again sends the same letter."""
        letters: dict[str, bytes] = {}

        def take(request: Request) -> Response:
            assert request.headers["X-Key"] == PASSWORD
            said = request.get_json()
            letters[request.headers["Idempotency-Key"]] = base64.b64decode(said["raw"])
            return Response(json.dumps({"taken": True}))

        httpserver.expect_request("/letters", "POST").respond_with_handler(take)
        return lambda: [read(each) for each in letters.values()]


@pytest.mark.parametrize(("answer", "error"), [
    (Response('{"taken": false}'), MailRefused),
    (Response("", 404), MailRefused),
    (Response("", 401), MailUnavailable),
    (Response("", 429), MailUnavailable),
    (Response("ada@example.com", 500), MailUnavailable),
    (Response("no JSON, ada@example.com"), MailUnavailable),
])  # fmt: skip
def test_what_it_answers_says_whether_to_send_again(
    answer: Response, error: type[Exception], mailer: Mailer, message: Message,
    httpserver: HTTPServer,
) -> None:  # fmt: skip
    """In our words: the server's may hold the address."""
    httpserver.expect_request("/letters").respond_with_response(answer)
    with pytest.raises(error) as caught:
        mailer.send(message)
    assert "ada@" not in str(caught.value) and "courier" in str(caught.value)
    # It may have been taken: nothing but a 429 is asked again within one sending.
    assert len(httpserver.log) == 1


def test_one_that_lies_is_set_aside_and_shown(
    plugins: Plugins, sources: Sources, mailer: Mailer, message: Message, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/letters").respond_with_json({"taken": True})
    [found] = PluginList(plugins, sources).list()
    assert found.works and found.provides == ("mailer courier",)
    assert found.sources[0].unset == () and found.sources[0].aside is None
    courier = sources.mailers["courier"]
    courier.providers["mailers"] = attrs.make_class("Liar", ["access"], bases=(Lying,))
    with pytest.raises(MailUnavailable):
        mailer.send(message)
    [found] = PluginList(plugins, sources).list()
    assert "no outcome" in str(found.sources[0].aside)


class Lying:
    name = "courier"

    def send(self, mail: object) -> bool:
        return True


def test_the_data_provider_sends_no_letters(plugins: Plugins, httpserver: HTTPServer) -> None:
    """They are this installation's own, and so is the key."""
    remote = settings_with(httpserver.url_for(""), data_url="http://127.0.0.1:8082")
    made = sources_of(remote, plugins, SystemClock())
    assert set(made.mailers) == {"courier"} and list(made) == []


def test_it_goes_before_the_other_ways(sources: Sources, settings: Settings) -> None:
    both = settings.model_copy(update={"mail_smtp_url": SecretStr("smtp://mail.acme.example")})
    assert mailer_of(both, lambda: sources).way == "the plugin courier"
    with pytest.raises(BadSettings, match="there is no nobody; there are: courier"):
        mailer_of(settings.model_copy(update={"mail_plugin": "nobody"}), lambda: sources)


def test_it_is_a_way_in_production_and_letters_come_from_somebody() -> None:
    settings = Settings.model_construct(env="production", mail_plugin="courier")
    assert "FINORA_MAIL_SMTP_URL" not in dict(production_problems(settings))
    assert [name for name, _ in mail_problems(settings)] == ["FINORA_MAIL_FROM"]


# --- of a package that is not trusted ------------------------------------------------------------


@pytest.fixture
def confined(plugins: Plugins, settings: Settings) -> Sources | None:
    """None where this system confines nothing: then it is set aside, and says so."""
    apart = plugins_of(settings.model_copy(update={"trusted_plugins": ""}), [COURIER])
    [found] = apart.found
    assert found.confined
    if not found.works:
        assert "cannot be confined: " in str(found.reason)
        return None
    return sources_of(settings, apart, SystemClock())


def test_a_letter_goes_by_a_child_that_never_has_the_key(
    confined: Sources | None, settings: Settings, message: Message, httpserver: HTTPServer
) -> None:
    if confined is None:
        return
    taken: list[Request] = []

    def take(request: Request) -> Response:
        taken.append(request)
        return Response(json.dumps({"taken": True}))

    httpserver.expect_request("/letters", "POST").respond_with_handler(take)
    mailer_of(settings, lambda: confined).send(message)
    [request] = taken
    assert request.headers["X-Key"] == PASSWORD
    assert request.headers["Idempotency-Key"] == message.message_id
    said = request.get_json()
    mail = read(base64.b64decode(said["raw"]))
    assert said["to"] == message.to.wire and mail["Subject"] == message.subject


@pytest.mark.parametrize(("answer", "error"), [
    (Response('{"taken": false}'), MailRefused), (Response("", 404), MailRefused),
    (Response("", 401), MailUnavailable), (Response("", 429), MailUnavailable),
    (Response("ada@example.com", 500), MailUnavailable),
    (Response("no JSON, ada@example.com"), MailUnavailable),
])  # fmt: skip
def test_what_it_answers_means_the_same_from_a_child(
    answer: Response, error: type[Exception], confined: Sources | None, settings: Settings,
    message: Message, httpserver: HTTPServer,
) -> None:  # fmt: skip
    if confined is None:
        return
    httpserver.expect_request("/letters").respond_with_response(answer)
    with pytest.raises(error) as caught:
        mailer_of(settings, lambda: confined).send(message)
    assert "ada@" not in str(caught.value) and len(httpserver.log) == 1


@pytest.mark.parametrize("said", [
    None, {}, [], {"outcome": "ok"}, {"outcome": "ok", "value": True}, {"outcome": "taken"},
    {"outcome": "partial", "value": None, "gap": "x"}, {"outcome": "ambiguous", "value": []},
    {"outcome": "rate_limited"}, {"outcome": "rate_limited", "retry_after": "1"},
])  # fmt: skip
@pytest.mark.parametrize("method", ["send", "notify"])
def test_a_child_that_lies_of_what_it_sent_is_not_believed(method: str, said: Any) -> None:
    with pytest.raises(words.NoSuchWord):
        words.outcome_heard(said, method)


@pytest.mark.parametrize("outcome", [
    Ok(None), Missing(), Unsupported(), AuthExpired(), Down("why"), RateLimited(17),
])  # fmt: skip
def test_every_answer_and_every_letter_passes_the_channel(outcome: Any) -> None:
    assert words.outcome_heard(words.outcome_said(outcome), "send") == outcome
    mail = Mail(id="1@x", sender="a@x", to="b@x", content=bytes(range(256)))
    notice = Notice(id="1", kind="fault", tenant="t", user=None, title="\u2603", text="x\ny")
    for method, given in (("send", mail), ("notify", notice)):
        said = json.loads(json.dumps(words.question_said([given])))
        assert words.question_heard(method, said) == [given]
