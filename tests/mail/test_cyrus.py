"""Letters by JMAP, to Cyrus IMAP, which hands them on by SMTP."""

from collections.abc import Iterator
from email.message import EmailMessage

import attrs
import pytest

from finora_adapters.mail.jmap import JmapMailer
from finora_core.mail.model import Message, Sender
from finora_core.mail.ports import Mailer, MailRefused, MailUnavailable
from mail.conftest import SENDER
from mail.contract import NUMBERS, Arrived, MailerContract, numbered, words
from mail.cyrus import MISSING, Cyrus
from mail.post import Post, read, serving

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture(scope="module")
def relay() -> Iterator[Post]:
    """The SMTP server behind it."""
    with serving(Post()) as found:
        yield found


@pytest.fixture(scope="module")
def cyrus(relay: Post) -> Iterator[Cyrus]:
    server = Cyrus(relay.port)
    try:
        server.start()
        yield server
    finally:
        server.stop()


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
    user = f"post-{next(NUMBERS)}@finora.example"
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
