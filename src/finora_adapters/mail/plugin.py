"""Letters by a plugin's way."""

from typing import Protocol

import attrs

from finora_adapters.mail.mime import built
from finora_core.kernel.outcome import (
    AuthExpired,
    Missing,
    Ok,
    Outcome,
    OverBudget,
    RateLimited,
    Unsupported,
)
from finora_core.mail.model import Message, Sender
from finora_core.mail.ports import MailRefused, MailUnavailable
from finora_core.plugins import Mail


class Sending(Protocol):
    """A plugin's mailer as the host asks it: in time, and never raising."""

    def send(self, mail: Mail) -> Outcome[None]: ...


@attrs.frozen
class PluginMailer:
    """What the plugin says of a failure stays in its log: it may hold the address."""

    name: str
    source: Sending = attrs.field(repr=False)
    sender: Sender

    @property
    def way(self) -> str:
        return f"the plugin {self.name}"

    def send(self, message: Message) -> None:
        mail = Mail(
            id=message.message_id,
            sender=self.sender.address.wire,
            to=message.to.wire,
            content=built(message, self.sender, "quoted-printable").as_bytes(),
        )
        match self.source.send(mail):
            case Ok():
                return
            case Missing() | Unsupported():
                raise MailRefused(f"{self.name} takes no mail for this address, or not this letter")
            case RateLimited(after) | OverBudget(after):
                raise MailUnavailable(f"{self.name} takes no letter for {after} s")
            case AuthExpired():
                raise MailUnavailable(f"{self.name} is not let in with its credentials")
        raise MailUnavailable(f"{self.name} did not take the letter")
