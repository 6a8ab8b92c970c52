"""T-14: no URL and no name leads a provider to where only this machine can reach."""

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from finora_adapters.upstream.dialer import Dialer, is_public
from finora_adapters.upstream.wire import NoReply, Wire
from finora_core.kernel.outcome import Down
from finora_core.plugins import NoAnswer
from upstream.sources import HOST, http_of

T14 = pytest.mark.invariant("T-14")
URLS = [
    "http://api.mine.example/x", "ftp://api.mine.example/x", "file:///etc/passwd", "gopher://h/x",
    "unix:///run/docker.sock", "dict://h:11211/", "data:text/plain,x", "javascript:1",
    "//evil.example/x", "https:api.mine.example", "https:/api.mine.example", "https:///x",
    "https://", "", "x", "api.mine.example", "https://evil.example/x",
    "https://api.mine.example.evil.example/", "https://evil-api.mine.example/",
    "https://mine.example/", "https://sub.api.mine.example/", "https://api.mine.example./x",
    "https://api.mine.example@evil.example/", "https://a:b@api.mine.example/",
    "https://@api.mine.example/", "https://evil.example@api.mine.example/",
    "https://api.mine.example:80@evil.example/", "https://api.mine.example:8443/",
    "https://api.mine.example:22/", "https://api.mine.example:0/", "https://api.mine.example:x/",
    "https://api.mine.example:99999/", "https://api.mine.example:443:80/",
    "https://api.mine.example\\@evil.example/", "https://evil.example\\.api.mine.example/",
    "https://evil.example#@api.mine.example/", "https://evil.example?@api.mine.example/",
    "https://api.mine.example\r\nHost: evil.example/", "https://api.mine.example/\r\nX: y",
    "https://api.mine.example/\nGET / HTTP/1.1", "https://api.mine.example/ x",
    "https://api.mine.example/\t", "https://api.mine.example/\x00",
    "https://api.mine.example\u3002evil.example/", "https://api\uff0emine.example/",
    "https://\u2460.example/", "https://api.mine.ex\u0430mple/", "https://127.0.0.1/",
    "https://127.1/", "https://127.0.1/", "https://0/", "https://0.0.0.0/", "https://2130706433/",
    "https://0x7f000001/", "https://0x7f.1/", "https://0177.0.0.1/", "https://017700000001/",
    "https://127.0.0.1.nip.io/", "https://localhost/", "https://localhost.localdomain/",
    "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[fe80::1%25eth0]/",
    "https://[fd00::1]/", "https://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "https://169.254.169.254/latest/meta-data/", "https://metadata.google.internal/",
    "https://[fd00:ec2::254]/", "https://100.100.100.200/", "https://10.0.0.1/",
    "https://172.16.0.1/", "https://192.168.0.1/", "https://100.64.0.1/", "https://224.0.0.1/",
    "https://255.255.255.255/", "https://192.0.0.8/", "https://198.18.0.1/",
    "https://%31%32%37.0.0.1/", "https://api.mine.example%2eevil.example/",
    "https://api.mine.example%00/", "HTTP://api.mine.example/", "ws://api.mine.example/",
    "https://[api.mine.example]/", "https://[::1/",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255",
    "100.64.0.1", "100.127.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255",
    "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1",
    "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1",
    "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "2606:4700::1111%1",
    "fec0::1", "ff02::1", "ff0e::1", "0177.0.0.1", "2130706433", "127.1", "0x7f.1", "localhost",
    "", "::ffff:0:127.0.0.1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111",
          "2a00:1450:4001::1", "2001:4860:4860::8888"]  # fmt: skip


@attrs.define
class Rebinding:
    """A name server whose answers change; and a listener on this machine that counts who comes."""

    answers: list[Sequence[str]]
    asked: int = 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def canary() -> Iterator[list[object]]:
    found: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                try:
                    found.append(listening.accept())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=watch)
        thread.start()
        found.append(listening.getsockname()[1])
        yield found
        over.set()
        thread.join()


@T14
def test_no_url_but_one_of_the_manifests_hosts_is_asked() -> None:
    resolver = Rebinding([["127.0.0.1"]])
    http = http_of(None, wire=Wire(limit_s=1, dialer=Dialer(resolver)))
    assert len(set(URLS)) == len(URLS) >= 80
    for url in URLS:
        with pytest.raises(NoAnswer) as refused:
            http.get(url)
        assert isinstance(refused.value.outcome, Down), url
        with pytest.raises(NoAnswer):
            http.post(url, {})
    assert resolver.asked == 0


@T14
def test_no_answer_of_a_name_server_leads_inside(canary: list[object]) -> None:
    """Every form of a private address, alone and beside public ones."""
    [port] = canary
    for address in PRIVATE:
        for answer in ([address], ["1.1.1.1", address], ["2606:4700::1111", address]):
            wire = Wire(limit_s=1, dialer=Dialer(Rebinding([answer])))
            with pytest.raises(NoReply, match="is refused: it is not on the public internet"):
                wire.ask("GET", f"http://{HOST}:{port}/")
    with pytest.raises(NoReply, match="refused"):
        Wire(dialer=Dialer(Rebinding([[]]))).ask("GET", f"http://{HOST}:{port}/")
    assert canary == [port]


@T14
def test_what_is_public_and_what_is_not() -> None:
    assert [each for each in PRIVATE if is_public(each)] == []
    assert [each for each in PUBLIC if not is_public(each)] == []


@attrs.frozen
class Believing(Dialer):
    """Takes for public what it is told, so that a test can answer on its own machine."""

    def dial(self, host: str, port: int) -> Sequence[str]:
        return self.resolve(host, port)


def certified(folder: Path, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's context, of a certificate for that host."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    form = serialization.PrivateFormat.PKCS8
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()) + pem
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "key.pem")
    return serving, ssl.create_default_context(cadata=pem.decode())


@T14
@pytest.mark.parametrize("certificate_of", [HOST, "other.example"])
def test_what_was_judged_is_connected_to_with_the_hosts_name(
    tmp_path: Path, certificate_of: str
) -> None:
    """Resolved once; SNI, Host and the certificate are the name's, and not the address's."""
    serving, trusting = certified(tmp_path, certificate_of)
    names: list[str | None] = []
    heard: list[bytes] = []
    serving.sni_callback = lambda sock, name, context: names.append(name)
    resolver = Rebinding([["127.0.0.1"], ["127.0.0.2"]])
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            client, _ = listening.accept()
            try:
                with serving.wrap_socket(client, server_side=True) as secure:
                    heard.append(secure.recv(4096))
                    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            except (ssl.SSLError, OSError):
                client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        port = listening.getsockname()[1]
        wire = Wire(context=trusting, dialer=Believing(resolver))
        try:
            if certificate_of == HOST:
                assert wire.ask("GET", f"https://{HOST}:{port}/x").body == b"{}"
                assert f"Host: {HOST}:{port}\r\n".lower() in heard[0].decode().lower()
            else:
                with pytest.raises(NoReply, match=HOST):
                    wire.ask("GET", f"https://{HOST}:{port}/x")
        finally:
            thread.join()
    assert names == [HOST]
    assert resolver.asked == 1


@T14
def test_a_redirect_is_not_followed(canary: list[object]) -> None:
    [port] = canary
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                client.recv(4096)
                there = f"http://127.0.0.1:{port}/"
                client.sendall(
                    f"HTTP/1.1 302 F\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode()
                )

        thread = threading.Thread(target=serve)
        thread.start()
        raw = Wire().ask("GET", f"http://127.0.0.1:{listening.getsockname()[1]}/")
        thread.join()
    assert raw.status == 302
    assert canary == [port]
