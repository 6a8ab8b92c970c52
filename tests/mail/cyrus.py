"""Cyrus IMAP as a JMAP server of a test's own: on loopback, in a folder that goes with the run."""

import base64
import imaplib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from joserfc import jwt
from joserfc.jwk import OctKey

from mail.post import free_port
from servers import eventually

PROGRAMS = Path("/usr/lib/cyrus/bin")
MISSING = (
    "no Cyrus IMAP with JMAP is installed"
    if not all((PROGRAMS / name).exists() for name in ("master", "httpd", "imapd"))
    else "Cyrus IMAP starts as root only"
    if os.geteuid()
    else ""
)

# `jmap admin` alone: the other modules want databases of their own.
CONFIGURATION = """\
configdirectory: {folder}/lib
proc_path: {folder}/proc
mboxname_lockpath: {folder}/lock
defaultpartition: default
partition-default: {folder}/spool
servername: localhost
virtdomains: userid
defaultdomain: internal
altnamespace: yes
unixhierarchysep: yes
sasl_pwcheck_method: alwaystrue
sasl_mech_list: PLAIN
allowplaintext: yes
httpmodules: jmap admin
http_jwt_key_dir: {folder}/jwt
conversations: yes
conversations_db: twoskip
autocreate_users: anyone
autocreate_quota: 0
autocreate_post: yes
autocreate_inbox_folders: Drafts | Sent | Trash
xlist-drafts: Drafts
xlist-sent: Sent
xlist-trash: Trash
smtp_backend: host
smtp_host: 127.0.0.1:{smtp}
"""
SERVICES = """\
START {{ recover cmd="{programs}/ctl_cyrusdb -C {folder}/imapd.conf -r" }}
SERVICES {{
  imap cmd="imapd -C {folder}/imapd.conf" listen="127.0.0.1:{imap}" prefork=0
  http cmd="httpd -C {folder}/imapd.conf" listen="127.0.0.1:{http}" prefork=0
}}
EVENTS {{ }}
"""


class Cyrus:
    """It hands what is sent to the SMTP server on the port `smtp`."""

    def __init__(self, smtp: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="finora-cyrus-"))
        self.folder.chmod(0o755)
        self.imap, self.http = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http}/jmap/"
        self.key = secrets.token_bytes(32)
        for name in ("lib", "spool", "proc", "lock", "jwt"):
            (self.folder / name).mkdir()
        text = base64.b64encode(self.key).decode()
        pem = f"-----BEGIN HMAC KEY-----\n{text}\n-----END HMAC KEY-----\n"
        (self.folder / "jwt" / "key.pem").write_text(pem)
        said = {"folder": self.folder, "programs": PROGRAMS, "smtp": smtp,
                "imap": self.imap, "http": self.http}  # fmt: skip
        (self.folder / "imapd.conf").write_text(CONFIGURATION.format(**said))
        (self.folder / "cyrus.conf").write_text(SERVICES.format(**said))
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, "cyrus", "mail")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        files = ("-C", self.folder / "imapd.conf", "-M", self.folder / "cyrus.conf",
                 "-p", self.folder / "pid")  # fmt: skip
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "master", *files], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        eventually(self._answers, "Cyrus does not answer")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            imaplib.IMAP4("127.0.0.1", self.imap).logout()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, user: str) -> str:
        """A user's mailbox, with the folder that sending needs; the user's token."""
        with imaplib.IMAP4("127.0.0.1", self.imap) as client:
            client.login(user, "any")
        token = jwt.encode({"alg": "HS256"}, {"sub": user}, OctKey.import_key(self.key))
        self.ask(token, "EmailSubmission/set", {"accountId": user})
        return token

    def ask(self, token: str, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        using = ["core", "mail", "submission"]
        body = {"using": [f"urn:ietf:params:jmap:{name}" for name in using],
                "methodCalls": [[method, arguments, "0"]]}  # fmt: skip
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with urlopen(Request(self.url, json.dumps(body).encode(), headers), timeout=30) as answer:
            [[name, found, _]] = json.load(answer)["methodResponses"]
        assert name == method, found
        assert isinstance(found, dict)
        return found

    def folder_of(self, user: str, name: str) -> list[bytes]:
        """The letters in a folder, as they lie there."""
        with imaplib.IMAP4("127.0.0.1", self.imap) as client:
            client.login(user, "any")
            client.select(name, readonly=True)
            _, [numbers] = client.search(None, "ALL")
            found = []
            for number in numbers.split():
                _, parts = client.fetch(number, "(RFC822)")
                [content] = [part[1] for part in parts if isinstance(part, tuple)]
                found.append(content)
        return found
