"""A message in the form in which mail servers and files take it."""

from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Literal

from finora_core.mail.model import Message, Sender


def built(
    message: Message, sender: Sender, encoding: Literal["quoted-printable", "8bit"]
) -> EmailMessage:
    """Text and HTML as alternatives; `8bit` is for those who read it as it lies there."""
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = Address(sender.name, addr_spec=sender.address.wire)
    mail["To"] = Address(addr_spec=message.to.wire)
    mail["Subject"] = message.subject
    mail["Date"] = datetime.now(UTC)
    mail["Message-ID"] = f"<{message.message_id}>"
    # So that nobody's "I am on holiday" comes back.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text, cte=encoding)
    mail.add_alternative(message.html, subtype="html", cte=encoding)
    return mail
