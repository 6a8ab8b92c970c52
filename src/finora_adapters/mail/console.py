"""Letters on a laptop: a line in the log and a file in a folder, sent to nobody."""

import logging
import os
from pathlib import Path

import attrs

from finora_adapters.mail.mime import built
from finora_core.mail.model import Message, Sender

log = logging.getLogger("finora.mail")


@attrs.frozen
class ConsoleMailer:
    """The file has the link that the log does not show."""

    folder: Path
    sender: Sender

    @property
    def way(self) -> str:
        return f"the folder {self.folder}; nothing leaves this machine"

    def send(self, message: Message) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The same letter again is the same file.
        file = self.folder / f"{message.message_id.partition('@')[0]}.eml"
        part = file.with_suffix(f".{os.getpid()}.part")
        try:
            # For its owner only: a link is as good as a password.
            opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(opened, "wb") as written:
                written.write(built(message, self.sender, "8bit").as_bytes())
            os.replace(part, file)
        finally:
            part.unlink(missing_ok=True)
        told = {"to": message.to.text, "subject": message.subject, "text": message.text}
        log.info("mail that is not sent", extra=told | {"file": str(file)})
