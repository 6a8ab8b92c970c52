"""What mail needs of the outside: somebody who writes letters, and somebody who takes them."""

from typing import Protocol

from finora_core.kernel.errors import Invalid, Unavailable
from finora_core.mail.model import Letter, Message


class MailUnavailable(Unavailable):
    """The mail could not be handed over now; try again."""

    code = "MAIL_UNAVAILABLE"


class MailRefused(Invalid):
    """The mail server takes no mail for this address, or not this letter, however often it is
    asked."""

    code = "MAIL_REFUSED"


class Mailer(Protocol):
    @property
    def way(self) -> str:
        """How letters go, for people; no secret is in it."""

    def send(self, message: Message) -> None:
        """Hand it over, and return once it was taken. Raises MailUnavailable for what may pass,
        MailRefused for what will not. It may have been taken where MailUnavailable is raised:
        sent again, it has the same id. Not to be called in a transaction."""


class Letters(Protocol):
    def write(self, letter: Letter) -> Message:
        """The letter in the reader's language, or in English; the same text for the same letter."""
