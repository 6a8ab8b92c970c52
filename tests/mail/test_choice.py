"""Which way the settings choose, and `finora mail test`, which tells."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from finora import Finora, Settings
from finora.commands.doctor import Finding, _mail
from finora_adapters.compose import Stores, compose, letters_of, mailer_of
from finora_adapters.mail.console import ConsoleMailer
from finora_adapters.mail.jmap import JmapMailer
from finora_adapters.mail.letters import TemplateLetters
from finora_adapters.mail.server import SmtpServer
from finora_adapters.mail.smtp import SmtpMailer
from finora_adapters.settings import BadSettings, from_environment, production_problems
from finora_core.mail.model import Sender
from finora_core.mail.ports import Letters, Mailer
from mail.post import Post, read

FROM = "Acme <post@acme.example>"
SMTP = {"FINORA_MAIL_FROM": FROM, "FINORA_MAIL_SMTP_URL": "smtp://u:hunter2@mail.acme.example"}
JMAP = {"FINORA_MAIL_FROM": FROM, "FINORA_MAIL_JMAP_TOKEN": "hunter2"}
PRODUCTION = {
    "FINORA_ENV": "production",
    "FINORA_DATABASE_URL": "postgresql://db.acme.example/finora",
    "FINORA_REDIS_URL": "redis://cache:6379/0",
    "FINORA_STORAGE_DIRECTORY": "/srv/files",
    "FINORA_SECRET_KEYS": f"1:{secrets.token_hex(32)}",
    "FINORA_PUBLIC_URL": "https://money.acme.example",
}


def wrong(environment: dict[str, str]) -> dict[str, str]:
    with pytest.raises(BadSettings) as caught:
        from_environment(environment)
    assert "hunter2" not in str(caught.value) + repr(caught.value.details)
    return dict(caught.value.details)


@pytest.mark.spec("S0-16")
@pytest.mark.parametrize("where", [{}, PRODUCTION], ids=["laptop", "production"])
def test_a_jmap_token_goes_before_an_smtp_url(where: dict[str, str], tmp_path: Path) -> None:
    """And without either, letters stay where they are; in production nothing starts."""
    sender = Sender.read(FROM)
    by_jmap = mailer_of(from_environment(where | SMTP | JMAP))
    assert by_jmap == JmapMailer("https://api.fastmail.com/jmap/session", "hunter2", sender)
    by_smtp = mailer_of(from_environment(where | SMTP))
    server = SmtpServer(
        host="mail.acme.example", port=587, tls="required", user="u", password="hunter2"
    )
    assert by_smtp == SmtpMailer(server, sender)
    if where:
        assert list(wrong(where)) == ["FINORA_MAIL_SMTP_URL"]
        with pytest.raises(BadSettings, match="FINORA_MAIL_SMTP_URL"):
            mailer_of(Settings.model_construct(env="production"))
    else:
        alone = mailer_of(Settings(data=tmp_path))
        assert isinstance(alone, ConsoleMailer)
        assert alone.folder == tmp_path / "mail"


@pytest.mark.spec("S4-8", partial=True)
def test_production_accepts_a_server_or_an_account() -> None:
    for given in ({}, SMTP, JMAP):
        values = {name[7:].lower(): value for name, value in (PRODUCTION | given).items()}
        problems = dict(production_problems(Settings.model_construct(**values)))
        assert ("FINORA_MAIL_SMTP_URL" in problems) == (not given)


@pytest.mark.spec("S4-8", partial=True)
@pytest.mark.parametrize("given", [SMTP, JMAP], ids=["smtp", "jmap"])
def test_letters_come_from_somebody(given: dict[str, str]) -> None:
    without = {name: value for name, value in given.items() if name != "FINORA_MAIL_FROM"}
    assert list(wrong(without)) == ["FINORA_MAIL_FROM"]
    with pytest.raises(BadSettings, match="FINORA_MAIL_FROM"):
        Finora.open(Settings(mail_jmap_token=SecretStr("hunter2")))


@pytest.mark.parametrize(
    ("url", "server"),
    [("smtp://mail.acme.example", ("mail.acme.example", 587, "required", "", "")),
     ("smtp://u:p%40%2F%3A@acme.example:25/", ("acme.example", 25, "required", "u", "p@/:")),
     ("smtps://u:p@mail.acme.example", ("mail.acme.example", 465, "first", "u", "p")),
     ("SMTPS://mail.acme.example:4650", ("mail.acme.example", 4650, "first", "", "")),
     ("smtp://localhost:1025", ("localhost", 1025, "offered", "", "")),
     ("smtp://127.0.0.1", ("127.0.0.1", 587, "offered", "", "")),
     ("smtp://[::1]:25", ("::1", 25, "offered", "", "")),
     ("smtp://localhost.acme.example", ("localhost.acme.example", 587, "required", "", "")),
     ("smtp://10.0.0.1", ("10.0.0.1", 587, "required", "", ""))],
)  # fmt: skip
def test_a_server_is_read(url: str, server: tuple[str, int, str, str, str]) -> None:
    """What does not stay on this machine goes over TLS or not at all."""
    read = SmtpServer.read(url)
    assert (read.host, read.port, read.tls, read.user, read.password) == server


@pytest.mark.parametrize(
    "url",
    ["", "mail.acme.example", "mail.acme.example:587", "http://hunter2", "smtp://", "smtp://:587",
     "smtp://hunter2:0", "smtp://hunter2:99999", "smtp://hunter2:x", "smtp://u@hunter2",
     "smtp://:hunter2@mail", "smtp://hunter2/path", "smtp://hunter2?tls=no", "smtp://hunter2#x",
     "smtp://mail\n.hunter2", "smtp://u:hunter2%0d%0a@mail", "smtp://u:hunter2%C3%A4@mail",
     "smtp://u:hunter2@[::1", "smtp://hunter 2"],
)  # fmt: skip
def test_what_is_no_server_is_refused(url: str) -> None:
    assert list(wrong(SMTP | {"FINORA_MAIL_SMTP_URL": url})) == ["FINORA_MAIL_SMTP_URL"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("FROM", "Acme"), ("FROM", "Acme <hunter2@>"), ("FROM", ""), ("FROM", "a@b.example\nBcc: c"),
     ("JMAP_TOKEN", ""), ("JMAP_TOKEN", "hunter2\r\nX: y"), ("JMAP_TOKEN", "hunter2 x"),
     ("JMAP_URL", "http://hunter2/jmap"), ("JMAP_URL", "https://u:hunter2@acme.example/jmap"),
     ("JMAP_URL", "acme.example"), ("JMAP_URL", ""), ("JMAP_URL", "file:///hunter2")],
)  # fmt: skip
def test_half_a_way_is_refused(name: str, value: str) -> None:
    assert list(wrong(JMAP | {f"FINORA_MAIL_{name}": value})) == [f"FINORA_MAIL_{name}"]
    with pytest.raises(ValidationError):
        Settings.model_validate({f"mail_{name.lower()}": value})


def test_the_stores_give_them(finora: Finora, settings: Settings) -> None:
    """One mailer, one writer, in a process."""
    injector = compose(settings, finora._opened)
    mailer, letters = injector.get(Mailer), injector.get(Letters)
    assert mailer == mailer_of(settings) and mailer is injector.get(Mailer)
    assert letters == letters_of(settings) == TemplateLetters(settings.sender)
    assert Stores(settings, finora._opened).letters() == letters


def test_what_sends_and_writes_is_imported_when_it_does() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import json, sys; from finora import Settings; "
         "from finora_adapters.compose import letters_of, mailer_of; "
         "one = Settings(mail_jmap_token='x', mail_from='a@b.example'); "
         "mailer_of(one), letters_of(one); print(json.dumps(sorted(sys.modules)))"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    assert not {"httpx2", "jinja2"} & set(json.loads(said))


def test_the_doctor_says_the_way() -> None:
    assert _mail(from_environment(SMTP)) == Finding(
        subject="mail", said="SMTP through mail.acme.example:587"
    )
    assert not _mail(Settings.model_construct(env="production")).well


# --- the command ---------------------------------------------------------------------------------

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`finora mail test` in a process of its own, without any database."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("FINORA_")}
        return subprocess.run(
            [sys.executable, "-m", "finora", "mail", "test", *arguments],
            capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
            env=clean | {"FINORA_DATA": str(tmp_path), "COLUMNS": "80"} | env,
        )  # fmt: skip

    return run


@pytest.mark.spec("S0-16", partial=True)
def test_the_command_sends_one_letter_and_says_which_way(run: Run, post: Post) -> None:
    url = f"smtp://127.0.0.1:{post.port}"
    done = run("ada@example.com", FINORA_MAIL_SMTP_URL=url, FINORA_MAIL_FROM=FROM)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"sent to ada@example.com by SMTP through 127.0.0.1:{post.port}\n"
    [letter] = post.letters
    assert (letter["Subject"], letter["From"]) == ("Mail works", FROM)
    body = letter.get_body(("plain",))
    assert body is not None and f"It came by SMTP through 127.0.0.1:{post.port}" in " ".join(
        body.get_content().split()
    )


@pytest.mark.spec("S0-16", partial=True)
def test_on_a_laptop_it_is_in_the_folder(run: Run, tmp_path: Path) -> None:
    said = [json.loads(run("ada@example.com", "--json").stdout) for _ in range(2)]
    files = sorted(file.name for file in (tmp_path / "mail").iterdir())
    # Asked for twice is two letters.
    assert files == sorted(f"{each['message_id'].partition('@')[0]}.eml" for each in said)
    assert set(said[0]) == {"to", "way", "message_id"}
    assert said[0]["way"] == f"a file in {tmp_path / 'mail'}, and no further"
    assert read((tmp_path / "mail" / files[0]).read_bytes())["To"] == "ada@example.com"
    # And nothing else: no servers were started for it.
    assert [path.name for path in tmp_path.iterdir()] == ["mail"]


def test_the_command_tells_what_went_wrong(run: Run, post: Post) -> None:
    """With the code, and the exit code 1."""
    url = f"smtp://127.0.0.1:{post.port}"
    where = {"FINORA_MAIL_SMTP_URL": url, "FINORA_MAIL_FROM": FROM}
    nowhere = where | {"FINORA_MAIL_SMTP_URL": "smtp://127.0.0.1:1"}
    post.answers["gone"] = "550 5.1.1 nobody"
    for address, env, code in (
        ("gone@example.com", where, "MAIL_REFUSED"), ("nobody", where, "BAD_ADDRESS"),
        ("ada@example.com", nowhere, "MAIL_UNAVAILABLE"),
        ("ada@example.com", {"FINORA_MAIL_SMTP_URL": url}, "BAD_SETTINGS"),
    ):  # fmt: skip
        done = run(address, **env)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"{code}: ")
        assert json.loads(run(address, "--json", **env).stdout)["error"]["code"] == code


def test_the_command_has_help_with_an_example_and_is_documented(run: Run) -> None:
    shown = " ".join(run("--help").stdout.split())
    assert "Example: finora mail test" in shown
    assert "--json" in shown
    said = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    assert "## finora mail" in said
    assert all(f'"{key}"' in said for key in ("to", "way", "message_id"))
