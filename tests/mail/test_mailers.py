"""How letters go: one contract for SMTP, JMAP and the folder of a laptop, on real servers."""

import json
import logging
import os
import socket
import ssl
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from finora_adapters.mail.console import ConsoleMailer
from finora_adapters.mail.jmap import JmapMailer
from finora_adapters.mail.server import SmtpServer, Tls
from finora_adapters.mail.smtp import SmtpMailer
from finora_core.mail.model import Message, Sender
from finora_core.mail.ports import Mailer, MailRefused, MailUnavailable
from mail.conftest import SENDER
from mail.cyrus import Cyrus
from mail.post import PASSWORD, USER, Post, certificate, read, scripted, serving

Arrived = Callable[[], Sequence[EmailMessage]]
_NUMBERS = count(1)


def numbered(message: Message) -> Message:
    """The same, as another letter."""
    return attrs.evolve(message, message_id=f"{next(_NUMBERS)}@finora.example")


def words(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content = part.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n").rstrip("\n")


class MailerContract:
    """Each adapter gives `mailer`, and `arrived`: what got where it should, in order."""

    @pytest.fixture
    def arrived(self) -> Arrived:
        raise NotImplementedError

    @pytest.mark.spec("S0-16", partial=True)
    @pytest.mark.spec("S2-49", partial=True)
    def test_a_letter_arrives_as_it_was_written(
        self, mailer: Mailer, arrived: Arrived, message: Message
    ) -> None:
        """Every sign of it, however long its lines are."""
        mailer.send(message)
        [mail] = arrived()
        assert mail["To"] == message.to.wire
        assert mail["Subject"] == message.subject
        assert mail["Message-ID"] == f"<{message.message_id}>"
        assert mail["Auto-Submitted"] == "auto-generated"
        [sender] = mail["From"].addresses
        assert sender.display_name == SENDER.name
        assert abs(parsedate_to_datetime(mail["Date"]).timestamp() - time.time()) < 60
        assert words(mail, "plain") == message.text.rstrip("\n")
        assert words(mail, "html") == message.html
        assert mail.get_content_type() == "multipart/alternative"
        assert len(list(mail.iter_parts())) == 2
        assert list(mail.iter_attachments()) == []
        assert mail["Cc"] is mail["Bcc"] is mail["Reply-To"] is None

    @pytest.mark.spec("S2-49", partial=True)
    def test_a_letter_sent_again_is_the_same_letter(
        self, mailer: Mailer, arrived: Arrived, message: Message
    ) -> None:
        for _ in range(3):
            mailer.send(message)
        assert {mail["Message-ID"] for mail in arrived()} == {f"<{message.message_id}>"}

    def test_many_letters_at_once_are_as_many_letters(
        self, mailer: Mailer, arrived: Arrived, message: Message
    ) -> None:
        letters = [numbered(message) for _ in range(12)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(mailer.send, letters))
        found = sorted(mail["Message-ID"] for mail in arrived())
        assert found == sorted(f"<{letter.message_id}>" for letter in letters)

    def test_an_international_domain_goes_in_its_ascii_form(
        self, mailer: Mailer, arrived: Arrived, message: Message
    ) -> None:
        mailer.send(attrs.evolve(message, to="Ada+x@Bücher.example"))
        [mail] = arrived()
        assert mail["To"] == "Ada+x@xn--bcher-kva.example"

    def test_its_way_holds_no_secret(self, mailer: Mailer) -> None:
        assert mailer.way
        for text in (mailer.way, repr(mailer)):
            assert PASSWORD not in text
            assert "eyJ" not in text


# --- SMTP ----------------------------------------------------------------------------------------


def at(port: int, tls: Tls = "offered", host: str = "127.0.0.1", **more: str) -> SmtpServer:
    return SmtpServer(host=host, port=port, tls=tls, **more)


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context, and that of a client that trusts it."""
    file, server = certificate(tmp_path_factory.mktemp("tls"))
    return server, ssl.create_default_context(cafile=str(file))


class TestSmtp(MailerContract):
    @pytest.fixture
    def mailer(self, post: Post) -> Mailer:
        return SmtpMailer(at(post.port), SENDER)

    @pytest.fixture
    def arrived(self, post: Post) -> Arrived:
        return lambda: post.letters

    def test_the_envelope_names_sender_and_recipient(self, post: Post, message: Message) -> None:
        SmtpMailer(at(post.port), SENDER).send(message)
        [envelope] = post.envelopes
        assert (envelope.mail_from, envelope.rcpt_tos) == (
            "post@finora.example",
            ["ada@example.com"],
        )


class TestSmtpWithStarttlsAndLogin(MailerContract):
    @pytest.fixture
    def post(self, trusted: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[Post]:
        post = Post()
        with serving(
            post, tls_context=trusted[0], require_starttls=True, auth_required=True,
            authenticator=post.check,
        ):  # fmt: skip
            yield post

    @pytest.fixture
    def mailer(self, post: Post, trusted: tuple[ssl.SSLContext, ssl.SSLContext]) -> Mailer:
        place = at(post.port, "required", "localhost", user=USER, password=PASSWORD)
        return SmtpMailer(place, SENDER, trusted[1])

    @pytest.fixture
    def arrived(self, post: Post) -> Iterator[Arrived]:
        yield lambda: post.letters
        assert all(post.secure)
        assert len(post.logins) == len(post.envelopes)

    def test_a_wrong_password_may_be_set_right(self, mailer: SmtpMailer, message: Message) -> None:
        wrong = attrs.evolve(mailer, server=attrs.evolve(mailer.server, password="wrong"))
        with pytest.raises(MailUnavailable, match=r"localhost does not take the login \(535\)"):
            wrong.send(message)

    def test_a_certificate_of_nobody_we_trust_gets_neither_login_nor_letter(
        self, mailer: SmtpMailer, post: Post, message: Message
    ) -> None:
        with pytest.raises(MailUnavailable, match="no sure connection to localhost: self-signed"):
            attrs.evolve(mailer, context=None).send(message)
        assert (post.logins, post.envelopes) == ([], [])

    def test_a_certificate_of_another_name_neither(
        self, mailer: SmtpMailer, post: Post, message: Message
    ) -> None:
        other = attrs.evolve(mailer.server, host="127.0.0.1")
        with pytest.raises(MailUnavailable, match="no sure connection to 127"):
            attrs.evolve(mailer, server=other).send(message)
        assert (post.logins, post.envelopes) == ([], [])

    def test_this_machines_own_server_may_have_made_its_certificate(
        self, mailer: SmtpMailer, post: Post, message: Message
    ) -> None:
        attrs.evolve(mailer, server=attrs.evolve(mailer.server, tls="offered"), context=None).send(
            message
        )
        assert post.secure == [True]

    def test_without_a_login_nothing_is_taken(self, mailer: SmtpMailer, message: Message) -> None:
        place = attrs.evolve(mailer.server, user="", password="")
        with pytest.raises(MailUnavailable, match="530"):
            attrs.evolve(mailer, server=place).send(message)


class TestSmtpOverTls(MailerContract):
    @pytest.fixture
    def post(self, trusted: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[Post]:
        # It speaks nothing but TLS.
        with serving(Post(), ssl_context=trusted[0]) as post:
            yield post

    @pytest.fixture
    def mailer(self, post: Post, trusted: tuple[ssl.SSLContext, ssl.SSLContext]) -> Mailer:
        return SmtpMailer(at(post.port, "first", "localhost"), SENDER, trusted[1])

    @pytest.fixture
    def arrived(self, post: Post) -> Arrived:
        return lambda: post.letters

    def test_a_certificate_of_nobody_we_trust_gets_no_letter(
        self, mailer: SmtpMailer, post: Post, message: Message
    ) -> None:
        with pytest.raises(MailUnavailable, match="no sure connection to localhost"):
            attrs.evolve(mailer, context=None).send(message)
        assert post.envelopes == []


def test_without_starttls_nothing_leaves_the_machine(post: Post, message: Message) -> None:
    """Neither the letter nor the password."""
    place = at(post.port, "required", user=USER, password=PASSWORD)
    with pytest.raises(MailUnavailable, match="has no STARTTLS"):
        SmtpMailer(place, SENDER).send(message)
    assert (post.logins, post.envelopes) == ([], [])


@pytest.mark.parametrize(
    "answer",
    ["550 5.1.1 <ada@example.com> is nobody here", "553 5.1.3 bad", "552 5.2.2 full", "550 no"],
)
@pytest.mark.parametrize("where", ["ada", "DATA"])
def test_what_is_refused_for_good_is_refused(
    post: Post, message: Message, answer: str, where: str
) -> None:
    post.answers[where] = answer
    with pytest.raises(MailRefused) as caught:
        SmtpMailer(at(post.port), SENDER).send(message)
    assert answer[:3] in caught.value.message
    assert post.envelopes == []
    # What is kept of a job's end names nobody.
    assert "ada" not in caught.value.message
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("where", "answer"),
    [("ada", "451 4.3.0 busy"), ("ada", "450 4.2.0 greylisted"), ("DATA", "452 4.3.1 no space"),
     ("ada", "421 4.3.2 shutting down"), ("MAIL", "451 4.3.0 busy"),
     # What the operator can set right.
     ("MAIL", "550 5.1.8 who are you"), ("ada", "550 5.7.1 relaying denied"),
     ("ada", "530 5.7.0 log in"), ("DATA", "554 5.7.1 looks like spam")],
)  # fmt: skip
def test_what_may_pass_is_to_be_tried_again(
    post: Post, message: Message, where: str, answer: str
) -> None:
    mailer = SmtpMailer(at(post.port), SENDER)
    post.answers[where] = answer
    with pytest.raises(MailUnavailable, match=answer[:3]):
        mailer.send(message)
    post.answers.clear()
    mailer.send(message)
    assert len(post.envelopes) == 1


GREETING, EHLO, OK, GO = b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"354 go\r\n"
TO_DATA = (GREETING, EHLO, OK, OK, GO)


@pytest.mark.parametrize(
    "steps",
    [(), (GREETING,), (GREETING, EHLO), (GREETING, EHLO, OK), (GREETING, EHLO, OK, OK), TO_DATA],
    ids=["greeting", "hello", "sender", "recipient", "data", "letter"],
)
def test_a_server_that_hangs_or_drops_may_be_asked_again(
    message: Message, steps: tuple[bytes, ...]
) -> None:
    """Wherever it is that it does."""
    with scripted(steps) as port, pytest.raises(MailUnavailable, match="does not answer"):
        SmtpMailer(at(port), SENDER, answer_s=1).send(message)
    with scripted((*steps, None)) as port, pytest.raises(MailUnavailable, match="does not answer"):
        SmtpMailer(at(port), SENDER).send(message)


@pytest.mark.parametrize("last", [(), (None,), (b"500 what\r\n",)], ids=["hangs", "drops", "errs"])
def test_what_was_taken_is_taken_however_the_server_ends(
    message: Message, last: tuple[bytes | None, ...]
) -> None:
    """A letter is not sent again because its server says no good-bye."""
    with scripted((*TO_DATA, OK, *last)) as port:
        SmtpMailer(at(port), SENDER, answer_s=1).send(message)


@pytest.mark.parametrize(
    "steps",
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n",), (b"554 no\r\n",), (b"\xff\xfe" * 100 + b"\r\n",),
     (b"220 " + b"x" * 20_000 + b"\r\n",), (GREETING, b"250-" + b"y" * 9000 + b"\r\n")],
    ids=["another protocol", "not open", "no text", "a long line", "a long answer"],
)  # fmt: skip
def test_what_is_no_mail_server_is_said_so(message: Message, steps: tuple[bytes, ...]) -> None:
    with scripted(steps) as port, pytest.raises(MailUnavailable):
        SmtpMailer(at(port), SENDER, answer_s=2).send(message)


def test_where_nothing_listens_it_may_be_tried_again(message: Message) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = at(taken.getsockname()[1])
        with pytest.raises(MailUnavailable, match="does not answer: ConnectionRefusedError"):
            SmtpMailer(place, SENDER).send(message)
    with pytest.raises(MailUnavailable, match="does not answer: gaierror"):
        SmtpMailer(at(25, host="no-such-host.invalid"), SENDER).send(message)


# --- JMAP ----------------------------------------------------------------------------------------


@attrs.frozen
class Account:
    cyrus: Cyrus
    relay: Post
    user: str
    token: str

    @property
    def mailer(self) -> JmapMailer:
        sender = attrs.evolve(SENDER, address=Sender.read(self.user).address)
        return JmapMailer(self.cyrus.url, self.token, sender)

    def folder(self, name: str) -> list[EmailMessage]:
        return [read(content) for content in self.cyrus.folder_of(self.user, name)]


@pytest.fixture
def account(cyrus: Cyrus, relay: Post) -> Iterator[Account]:
    """A mailbox of the test's own."""
    user = f"post-{next(_NUMBERS)}@finora.example"
    relay.envelopes.clear()
    yield Account(cyrus, relay, user, cyrus.open(user))
    relay.answers.clear()


class TestJmap(MailerContract):
    @pytest.fixture
    def mailer(self, account: Account) -> Mailer:
        return account.mailer

    @pytest.fixture
    def arrived(self, account: Account) -> Arrived:
        return lambda: account.relay.letters

    def test_the_envelope_names_sender_and_recipient(
        self, account: Account, message: Message
    ) -> None:
        account.mailer.send(message)
        [envelope] = account.relay.envelopes
        assert (envelope.mail_from, envelope.rcpt_tos) == (account.user, ["ada@example.com"])

    def test_what_was_sent_lies_among_what_was_sent(
        self, account: Account, message: Message
    ) -> None:
        account.mailer.send(message)
        [kept] = account.folder("Sent")
        assert kept["Subject"] == message.subject
        assert words(kept, "plain") == message.text.rstrip("\n")
        assert account.folder("Drafts") == []

    @pytest.mark.spec("S2-49", partial=True)
    def test_what_was_sent_without_an_answer_is_not_sent_again(
        self, account: Account, message: Message
    ) -> None:
        """The folder of sent letters knows its id."""
        for _ in range(2):
            account.mailer.send(message)
        assert len(account.relay.envelopes) == 1
        account.mailer.send(numbered(message))
        assert len(account.relay.envelopes) == 2

    def test_a_recipient_that_is_refused_is_refused_and_no_draft_is_left(
        self, account: Account, message: Message
    ) -> None:
        account.relay.answers["ada"] = "553 5.1.3 nobody here"
        with pytest.raises(MailRefused, match="invalidRecipients") as caught:
            account.mailer.send(message)
        assert "ada" not in caught.value.message
        assert account.folder("Drafts") == account.folder("Sent") == []

    def test_what_may_pass_is_to_be_tried_again(self, account: Account, message: Message) -> None:
        account.relay.answers["ada"] = "451 4.3.0 busy"
        with pytest.raises(MailUnavailable):
            account.mailer.send(message)
        assert account.folder("Drafts") == []
        account.relay.answers.clear()
        account.mailer.send(message)
        assert len(account.relay.envelopes) == len(account.folder("Sent")) == 1

    def test_a_wrong_token_may_be_set_right(self, account: Account, message: Message) -> None:
        wrong = attrs.evolve(account.mailer, token="x" + account.token)
        with pytest.raises(MailUnavailable, match="does not take the token"):
            wrong.send(message)

    def test_the_account_sends_as_itself_only(self, account: Account, message: Message) -> None:
        other = attrs.evolve(account.mailer, sender=Sender.read("boss@bank.example"))
        with pytest.raises(MailUnavailable, match="may not send as FINORA_MAIL_FROM says"):
            other.send(message)
        assert account.relay.envelopes == []


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


def test_a_server_that_hangs_or_drops_may_be_asked_again_by_jmap(message: Message) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    for steps in ((), (None,), (head,), (head, None)):
        with scripted(steps) as port:
            mailer = JmapMailer(f"http://127.0.0.1:{port}/", "token", SENDER, answer_s=1)
            with pytest.raises(MailUnavailable, match="does not answer"):
                mailer.send(message)


# --- the folder of a laptop ----------------------------------------------------------------------


class TestConsole(MailerContract):
    @pytest.fixture
    def mailer(self, folder: Path) -> Mailer:
        return ConsoleMailer(folder, SENDER)

    @pytest.fixture
    def arrived(self, folder: Path) -> Arrived:
        return lambda: [read(file.read_bytes()) for file in sorted(folder.iterdir())]

    def test_only_its_owner_reads_it(self, mailer: Mailer, folder: Path, message: Message) -> None:
        before = os.umask(0)
        try:
            mailer.send(message)
        finally:
            os.umask(before)
        [file] = folder.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_one_letter_at_once_is_one_whole_file(
        self, mailer: Mailer, arrived: Arrived, folder: Path, message: Message
    ) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(mailer.send, [message] * 32))
        assert [file.suffix for file in folder.iterdir()] == [".eml"]
        assert words(arrived()[0], "html") == message.html

    def test_a_folder_that_cannot_be_written_may_be_set_right(
        self, mailer: Mailer, folder: Path, message: Message
    ) -> None:
        folder.parent.mkdir()
        folder.write_text("in its place")
        with pytest.raises(MailUnavailable, match="takes no letter: File exists"):
            mailer.send(message)

    @pytest.mark.spec("S0-16", partial=True)
    def test_it_is_one_line_in_the_log(
        self, mailer: Mailer, message: Message, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            mailer.send(message)
        [line] = [each for each in caplog.records if each.name == "finora.mail"]
        said = vars(line)
        assert (said["to"], said["subject"]) == (message.to.text, message.subject)
        assert said["text"] == message.text
        assert Path(said["file"]).exists()

    def test_a_link_can_be_copied_out_of_the_file(
        self, mailer: Mailer, folder: Path, message: Message
    ) -> None:
        link = "https://finora.example/verify?token=" + "a=b" * 60
        mailer.send(attrs.evolve(message, text=f"Grüße\n{link}\n"))
        [file] = folder.iterdir()
        assert f"\r\n{link}\r\n".encode() in file.read_bytes()
