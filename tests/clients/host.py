"""What the story asks of somebody else than the server: a worker, an operator, a mailbox."""

import json
import re
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import attrs
import pyotp
from coincurve import PrivateKey
from Crypto.Hash import keccak

from books import sealed
from finora import Amount, Finora, NewRecord, Scope, currency


@attrs.frozen
class Host:
    """One tenant's surroundings. Each act takes texts and gives texts."""

    finora: Finora
    scope: Scope
    wallet: PrivateKey = attrs.field(factory=PrivateKey)

    def work(self) -> dict[str, str]:
        """Run the jobs that wait."""
        self.finora.run_jobs()
        return {}

    def token(self) -> dict[str, str]:
        """One token more."""
        return {"text": self.finora.tokens.create(self.scope, "spare").text}

    def address(self) -> dict[str, str]:
        """An e-mail address that nobody had before."""
        return {"text": f"{uuid4().hex}@example.org"}

    def link(self, to: str, page: str) -> dict[str, str]:
        """What the link to that page carries, in the newest letter to the address that has one."""
        return {"text": self._found(to, rf"/{page}\?token=([!-~]+)")}

    def digits(self, to: str) -> dict[str, str]:
        """The code of the newest letter to the address that has one."""
        return {"text": self._found(to, r"\b(\d{6})\b")}

    def _found(self, to: str, pattern: str) -> str:
        letters = (self.finora.settings.data / "mail").glob("*.eml")
        for path in sorted(letters, key=lambda each: each.stat().st_mtime_ns, reverse=True):
            letter = message_from_bytes(path.read_bytes(), policy=policy.default)
            body = letter.get_body(("plain",))
            assert body is not None
            if letter["To"] == to and (found := re.search(pattern, body.get_content())):
                return found[1]
        raise LookupError(f"no letter to {to} has {pattern}")

    def code(self, secret: str) -> dict[str, str]:
        """What an authenticator app shows."""
        return {"text": pyotp.TOTP(secret).now()}

    def wallet_address(self) -> dict[str, str]:
        """Of an Ethereum wallet."""
        return {"text": "0x" + _keccak(self.wallet.public_key.format(False)[1:])[-20:].hex()}

    def sign(self, message: str) -> dict[str, str]:
        """The wallet's signature."""
        data = message.encode()
        prefixed = b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data
        made = self.wallet.sign_recoverable(_keccak(prefixed), hasher=None)
        return {"text": "0x" + (made[:64] + bytes([made[64] + 27])).hex()}

    def gym(self, account: str) -> dict[str, str]:
        """Pay one monthly, three times until today."""
        with self.finora._opened.database.begin(self.scope) as work:
            today = work.now.date()
        for days in (60, 30, 0):
            line = NewRecord(
                account_id=UUID(account),
                on_date=today - timedelta(days=days),
                amount=Amount.parse("-29.90", currency("EUR")),
                description="Gym",
                category="sports:gym",
            )
            self.finora.records.create(self.scope, line)
        return {}

    def seal(self) -> dict[str, str]:
        """Have upkeep seal the tenant's events."""
        sealed(self.finora, self.scope)
        return {}

    def make_admin(self, email: str) -> dict[str, str]:
        """An administrator of the installation, by its command."""
        self.finora.operator.grant(email, ["admin"])
        return {}


def _keccak(data: bytes) -> bytes:
    return keccak.new(data=data, digest_bits=256).digest()


ACTS: Mapping[str, Callable[..., dict[str, str]]] = {
    act.__name__: act
    for act in (Host.work, Host.token, Host.address, Host.link, Host.digits, Host.code,
                Host.wallet_address, Host.sign, Host.gym, Host.seal, Host.make_admin)
}  # fmt: skip


@contextmanager
def hosting(host: Host) -> Iterator[str]:
    """Answer `POST /<act>`, whose JSON are the act's arguments; gives the address."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # its name in http.server
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                said: Any = ACTS[self.path.strip("/")](host, **given)
                status = 200
            except Exception:
                said, status = {"error": traceback.format_exc()}, 500
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
