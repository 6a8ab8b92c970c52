"""Letters as they arrive on a laptop: files in a folder, the latest of each kind the last."""

import re
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import attrs


@attrs.frozen
class Letter:
    subject: str
    text: str

    @property
    def path(self) -> str:
        """Of its link."""
        found = re.search(r"https?://[^/\s]+(/\S+)", self.text)
        assert found, self.text
        return found[1]

    @property
    def token(self) -> str:
        return self.path.partition("token=")[2]

    @property
    def code(self) -> str:
        found = re.search(r"^\s*(\d{3}) ?(\d{3})\s*$", self.text, re.MULTILINE)
        assert found, self.text
        return found[1] + found[2]


def letters(folder: Path, to: str, about: str) -> list[Letter]:
    """Those to an address whose subject has these words, oldest first."""
    found = []
    for file in sorted(folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns):
        message = cast(EmailMessage, message_from_bytes(file.read_bytes(), policy=policy.default))
        body = message.get_body(("plain",))
        if to in message["To"] and about in message["Subject"] and body is not None:
            found.append(Letter(message["Subject"], body.get_content()))
    return found


def letter(folder: Path, to: str, about: str, number: int = 1) -> Letter:
    """The one of that number, which a worker may still be about to send."""
    ends = time.monotonic() + 30
    while len(found := letters(folder, to, about)) < number:
        assert time.monotonic() < ends, f"no letter {number} about {about!r} to {to}"
        time.sleep(0.1)
    return found[number - 1]
