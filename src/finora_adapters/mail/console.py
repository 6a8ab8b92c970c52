"""Letters on a laptop: a line in the log and a file in a folder, sent to nobody."""

import logging
import os
import tempfile
from pathlib import Path

import attrs

from finora_adapters.mail.mime import built
from finora_core.mail.model import Message, Sender
from finora_core.mail.ports import MailUnavailable

log = logging.getLogger("finora.mail")


@attrs.frozen
class ConsoleMailer:
    """The file has the link that the log does not show."""

    folder: Path
    sender: Sender

    @property
    def way(self) -> str:
        return f"a file in {self.folder}, and no further"

    def send(self, message: Message) -> None:
        # The same letter again is the same file.
        file = self.folder / f"{message.message_id.partition('@')[0]}.eml"
        try:
            self._put(file, built(message, self.sender, "8bit").as_bytes())
        except OSError as error:
            raise MailUnavailable(f"{self.folder} takes no letter: {error.strerror}") from error
        told = {"to": message.to.text, "subject": message.subject, "text": message.text}
        log.info("mail that is not sent", extra=told | {"file": str(file)})

    def _put(self, file: Path, content: bytes) -> None:
        for folder in (self.folder.parent, self.folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Only its owner may read it: a link is as good as a password.
        opened, part = tempfile.mkstemp(suffix=".part", dir=self.folder)
        try:
            with open(opened, "wb") as written:
                written.write(content)
            os.replace(part, file)
        except BaseException:
            os.unlink(part)
            raise
