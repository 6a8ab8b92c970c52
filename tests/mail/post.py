"""Mail servers on sockets: one that works, and one that says whatever it is told to."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import attrs
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "post", "hunter2 %&@:/"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@attrs.define
class Post:
    """What the server behind `port` was handed. `answers` are given in place of its own: to MAIL,
    to RCPT by the name before the @, to DATA."""

    port: int = attrs.field(factory=free_port)
    answers: dict[str, str] = attrs.field(factory=dict)
    envelopes: list[Envelope] = attrs.field(factory=list)
    logins: list[str] = attrs.field(factory=list)
    secure: list[bool] = attrs.field(factory=list)

    @property
    def letters(self) -> list[EmailMessage]:
        return [read(envelope.content) for envelope in self.envelopes]

    async def handle_MAIL(  # noqa: N802  # aiosmtpd names it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802  # aiosmtpd names it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address.partition("@")[0], "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802  # aiosmtpd names it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.envelopes.append(envelope)
        self.secure.append(session.ssl is not None)
        return "250 OK"

    def check(self, server: SMTP, session: Any, envelope: Any, how: str, who: Any) -> AuthResult:
        assert isinstance(who, LoginPassword)
        self.logins.append(how)
        right = (who.login.decode(), who.password.decode()) == (USER, PASSWORD)
        return AuthResult(success=right, handled=False)


def read(content: bytes | str | None) -> EmailMessage:
    assert isinstance(content, bytes)
    found = message_from_bytes(content, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


@contextlib.contextmanager
def serving(post: Post, **more: Any) -> Iterator[Post]:
    """aiosmtpd on the post's port."""
    controller = Controller(post, hostname="127.0.0.1", port=post.port, **more)
    controller.start()
    try:
        yield post
    finally:
        controller.stop()


@contextlib.contextmanager
def scripted(steps: Sequence[bytes | None]) -> Iterator[int]:
    """The port of a server that answers each line, and the letter as if it were one, with the next
    step, whatever it said: None drops the connection, and where the steps end it hangs."""
    stop, opened = threading.Event(), []

    def answer(connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        with contextlib.suppress(OSError):
            for step in steps:
                if step is None:
                    connection.shutdown(socket.SHUT_RDWR)
                    break
                connection.sendall(step)
                line = reader.readline()
                while step.startswith(b"354") and line not in (b".\r\n", b""):
                    line = reader.readline()
            else:
                stop.wait()
        reader.close()
        connection.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                thread = threading.Thread(target=answer, args=(connection,))
                opened.append(thread)
                thread.start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listening.getsockname()[1]
        finally:
            stop.set()
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in opened:
                thread.join()


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, ssl.SSLContext]:
    """A certificate of our own for this name, as a file, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, private = folder / f"{name}.pem", folder / f"{name}.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, private)
    return file, context
