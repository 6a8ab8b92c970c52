"""What JMAP servers answer that no Cyrus would: as Fastmail has it, and as nobody should."""

import json
from typing import Any

import attrs
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from finora_adapters.mail.jmap import JmapMailer
from finora_core.mail.model import Message
from finora_core.mail.ports import MailUnavailable
from mail.conftest import SENDER
from mail.post import scripted


@attrs.define
class FakeJmap:
    """A JMAP server that answers as it is told: by method, and for the session."""

    server: HTTPServer
    answers: dict[str, Any]
    session: dict[str, Any]
    asked: list[tuple[str, dict[str, Any]]] = attrs.field(factory=list)

    @classmethod
    def begin(cls, server: HTTPServer) -> "FakeJmap":
        mine = {"urn:ietf:params:jmap:mail": "u1", "urn:ietf:params:jmap:submission": "u1"}
        fake = cls(
            server,
            {
                "Mailbox/get": {"list": [{"id": "d", "role": "drafts"}, {"id": "s", "role": "sent"},
                                         {"id": "x", "role": None}, {"id": "y"}]},
                "Identity/get": {"list": [{"id": "i1", "email": "else@finora.example"},
                                          {"id": "i2", "email": "*@finora.example"}]},
                "Email/query": {"ids": []},
                "Email/set": {"created": {"letter": {"id": "e1"}}},
                "EmailSubmission/set": {"created": {"sending": {"id": "s1"}}},
            },
            {"apiUrl": "/api", "primaryAccounts": mine},
        )  # fmt: skip
        server.expect_request(
            "/session", headers={"Authorization": "Bearer token"}
        ).respond_with_handler(lambda request: Response(json.dumps(fake.session)))
        server.expect_request("/api", method="POST").respond_with_handler(fake.answer)
        return fake

    def answer(self, request: Request) -> Response:
        assert request.headers["Authorization"] == "Bearer token"
        said = []
        for name, arguments, number in request.get_json()["methodCalls"]:
            self.asked.append((name, arguments))
            answer = self.answers[name]
            failed = "type" in answer
            said.append(["error" if failed else name, answer, number])
            if name == "EmailSubmission/set" and not failed:
                # Cannot move the letter; it is on its way.
                said.append(["error", {"type": "serverFail"}, number])
        return Response(json.dumps({"methodResponses": said}))

    @property
    def mailer(self) -> JmapMailer:
        return JmapMailer(self.server.url_for("/session"), "token", SENDER, answer_s=1)


@pytest.fixture
def fake(httpserver: HTTPServer) -> FakeJmap:
    return FakeJmap.begin(httpserver)


def test_an_identity_of_the_whole_domain_will_do(fake: FakeJmap, message: Message) -> None:
    """As Fastmail has them; what goes wrong after the submission does not undo it."""
    fake.mailer.send(message)
    assert [name for name, _ in fake.asked] == [
        "Mailbox/get", "Identity/get", "Email/query", "Email/set", "EmailSubmission/set",
    ]  # fmt: skip
    assert fake.asked[-1][1]["create"]["sending"]["identityId"] == "i2"


def test_a_server_that_cannot_search_headers_sends_all_the_same(
    fake: FakeJmap, message: Message
) -> None:
    fake.answers["Email/query"] = {"type": "unsupportedFilter"}
    fake.mailer.send(message)
    assert fake.asked[-1][0] == "EmailSubmission/set"


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [("Mailbox/get", {"list": [{"id": "d", "role": "drafts"}]}, "no folder of drafts or of sent"),
     ("Mailbox/get", {"type": "accountNotFound"}, "cannot do it (accountNotFound)"),
     ("Identity/get", {"list": []}, "may not send as"),
     ("Identity/get", {"list": None}, "does not answer as JMAP does"),
     ("Email/set", {"notCreated": {"letter": {"type": "overQuota"}}}, "(overQuota)"),
     ("Email/set", {}, "(no reason given)"),
     ("EmailSubmission/set", {"type": "serverUnavailable"}, "cannot do it (serverUnavailable)"),
     ("EmailSubmission/set", {"notCreated": {"sending": {"type": "forbiddenFrom"}}},
      "(forbiddenFrom)")],
)  # fmt: skip
def test_a_server_that_cannot_is_to_be_asked_again(
    fake: FakeJmap, message: Message, name: str, answer: dict[str, Any], said: str
) -> None:
    fake.answers[name] = answer
    with pytest.raises(MailUnavailable) as caught:
        fake.mailer.send(message)
    assert said in caught.value.message


@pytest.mark.parametrize(
    "session",
    [[], {}, {"apiUrl": "/api"}, {"apiUrl": "/api", "primaryAccounts": []},
     {"apiUrl": "/api", "primaryAccounts": {}},
     {"apiUrl": "/api", "primaryAccounts": {"urn:ietf:params:jmap:mail": "u1"}}],
)  # fmt: skip
def test_a_session_without_an_account_to_send_from_is_said(
    fake: FakeJmap, message: Message, session: Any
) -> None:
    fake.session = session
    with pytest.raises(MailUnavailable):
        fake.mailer.send(message)
    assert fake.asked == []


@pytest.mark.parametrize(
    "api", ["http://elsewhere.example/api", "http://user:x@127.0.0.1/api", "ftp://127.0.0.1/"]
)
def test_the_token_goes_nowhere_unprotected(fake: FakeJmap, message: Message, api: str) -> None:
    fake.session["apiUrl"] = api
    with pytest.raises(MailUnavailable, match="would have the token go elsewhere"):
        fake.mailer.send(message)


@pytest.mark.parametrize(
    "response",
    [Response(status=500), Response(status=429), Response(status=302), Response("{"),
     Response("[" * 5000), Response(b"\xff"), Response("x" * (5 << 20)), Response("null")],
    ids=["500", "429", "302", "cut off", "deep", "no text", "too long", "null"],
)  # fmt: skip
def test_what_is_no_jmap_is_said_so(
    httpserver: HTTPServer, message: Message, response: Response
) -> None:
    httpserver.expect_request("/session").respond_with_response(response)
    with pytest.raises(MailUnavailable):
        JmapMailer(httpserver.url_for("/session"), "token", SENDER).send(message)


def test_a_session_may_have_moved_but_not_to_another_host(fake: FakeJmap, message: Message) -> None:
    """To whom the token is not given."""
    moved = Response(status=302, headers={"Location": "/session"})
    fake.server.expect_request("/.well-known/jmap").respond_with_response(moved)
    url = fake.server.url_for("/.well-known/jmap")
    attrs.evolve(fake.mailer, url=url).send(message)
    assert len(fake.asked) == 5
    with HTTPServer(host="127.0.0.1") as other:
        seen: list[str | None] = []

        def answer(request: Request) -> Response:
            seen.append(request.headers.get("Authorization"))
            return Response(status=401)

        other.expect_request("/session").respond_with_handler(answer)
        away = Response(status=302, headers={"Location": other.url_for("/session")})
        fake.server.expect_request("/away").respond_with_response(away)
        with pytest.raises(MailUnavailable, match="does not take the token"):
            attrs.evolve(fake.mailer, url=fake.server.url_for("/away")).send(message)
    assert seen == [None]


def test_a_server_that_hangs_or_drops_may_be_asked_again(message: Message) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    for steps in ((), (None,), (head,), (head, None)):
        with scripted(steps) as port:
            mailer = JmapMailer(f"http://127.0.0.1:{port}/", "token", SENDER, answer_s=1)
            with pytest.raises(MailUnavailable, match="does not answer"):
                mailer.send(message)
