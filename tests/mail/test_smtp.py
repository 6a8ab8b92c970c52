"""Letters by SMTP: to a server that works, one that refuses, one that hangs, one that is none."""

import socket
import ssl
from collections.abc import Iterator

import attrs
import pytest

from finora_adapters.mail.server import SmtpServer, Tls
from finora_adapters.mail.smtp import SmtpMailer
from finora_core.mail.model import Message
from finora_core.mail.ports import Mailer, MailRefused, MailUnavailable
from mail.conftest import SENDER
from mail.contract import Arrived, MailerContract
from mail.post import PASSWORD, USER, Post, certificate, scripted, serving


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
