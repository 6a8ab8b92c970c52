"""How what somebody is to know gets there."""

from typing import Protocol

import attrs

from finora_core.kernel.errors import Invalid, Unavailable
from finora_core.kernel.scope import Scope
from finora_core.mail.model import Letter, MailAddress
from finora_core.mail.ports import Letters, Mailer


class NoticeUnavailable(Unavailable):
    """The notice could not be handed over now; it is tried again."""

    code = "NOTICE_UNAVAILABLE"


class NoticeRefused(Invalid):
    """This way takes no such notice, however often it is asked."""

    code = "NOTICE_REFUSED"


class Way(Protocol):
    @property
    def nobody(self) -> MailAddress | None:
        """What stands for the address of somebody who has none; None where one is needed."""

    def deliver(self, scope: Scope, letter: Letter) -> None:
        """What it says, to the person of the scope. Raises what the job ends by: Unavailable where
        it is to be tried again. Not to be called in a transaction."""


@attrs.frozen
class ByMail:
    mailer: Mailer
    letters: Letters

    @property
    def nobody(self) -> None:
        return None

    def deliver(self, scope: Scope, letter: Letter) -> None:
        self.mailer.send(self.letters.write(letter))
