"""What every mailer must do, on whatever real server."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from itertools import count

import attrs
import pytest

from finora_core.mail.model import Message
from finora_core.mail.ports import Mailer
from mail.conftest import SENDER
from mail.post import PASSWORD

Arrived = Callable[[], Sequence[EmailMessage]]
NUMBERS = count(1)


def numbered(message: Message) -> Message:
    """The same, as another letter."""
    return attrs.evolve(message, message_id=f"{next(NUMBERS)}@finora.example")


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
