"""Letters on a laptop: in a folder, for their owner only."""

import logging
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

from finora_adapters.mail.console import ConsoleMailer
from finora_core.mail.model import Message
from finora_core.mail.ports import Mailer, MailUnavailable
from mail.conftest import SENDER
from mail.contract import Arrived, MailerContract, words
from mail.post import read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "mail"


class TestConsole(MailerContract):
    @pytest.fixture
    def mailer(self, folder: Path) -> Mailer:
        return ConsoleMailer(folder, SENDER)

    @pytest.fixture
    def arrived(self, folder: Path) -> Arrived:
        return lambda: [read(file.read_bytes()) for file in sorted(folder.iterdir())]

    def test_only_its_owner_reads_it(self, mailer: Mailer, folder: Path, message: Message) -> None:
        before = os.umask(0)
        try:
            mailer.send(message)
        finally:
            os.umask(before)
        [file] = folder.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_one_letter_at_once_is_one_whole_file(
        self, mailer: Mailer, arrived: Arrived, folder: Path, message: Message
    ) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(mailer.send, [message] * 32))
        assert [file.suffix for file in folder.iterdir()] == [".eml"]
        assert words(arrived()[0], "html") == message.html

    def test_a_folder_that_cannot_be_written_may_be_set_right(
        self, mailer: Mailer, folder: Path, message: Message
    ) -> None:
        folder.parent.mkdir()
        folder.write_text("in its place")
        with pytest.raises(MailUnavailable, match="takes no letter: File exists"):
            mailer.send(message)

    @pytest.mark.spec("S0-16", partial=True)
    def test_it_is_one_line_in_the_log(
        self, mailer: Mailer, message: Message, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            mailer.send(message)
        [line] = [each for each in caplog.records if each.name == "finora.mail"]
        said = vars(line)
        assert (said["to"], said["subject"]) == (message.to.text, message.subject)
        assert said["text"] == message.text
        assert Path(said["file"]).exists()

    def test_a_link_can_be_copied_out_of_the_file(
        self, mailer: Mailer, folder: Path, message: Message
    ) -> None:
        link = "https://finora.example/verify?token=" + "a=b" * 60
        mailer.send(attrs.evolve(message, text=f"Grüße\n{link}\n"))
        [file] = folder.iterdir()
        assert f"\r\n{link}\r\n".encode() in file.read_bytes()
