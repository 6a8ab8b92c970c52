"""Sixty secrets of every kind go in, by the API, by the library and by mistake; then everything
that Finora writes anywhere is read, and none of them is there."""

import base64
import hashlib
import http.client
import io
import json
import random
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import redis

from finora import Finora, JobState
from finora_adapters.embedded import open_engines
from finora_adapters.postgres import dump
from finora_core.kernel.errors import Refusal
from finora_core.secrets.model import SecretKeyMissing, SecretKeyWrong, SecretText
from own_data import OwnData, key

LIVELY = 60.0
MARKER = "what is no secret is found"


def canaries() -> list[str]:
    """Ten of each kind, as they look in the wild."""
    made = []
    for _ in range(10):
        digits = "".join(random.choices("0123456789", k=18))
        made += [
            base64.b64encode(secrets.token_bytes(48)).decode(),  # an exchange's secret
            f"sk-test-{secrets.token_urlsafe(24)}",
            f"pw {secrets.token_hex(4)} ' \" \\ <é> {secrets.token_hex(4)}",
            f"4{digits[:15]}",  # PAN
            f"DE{digits}{digits[:2]}",
            f"{secrets.token_hex(8)}@example.com",
        ]
    return made


def disguises(canary: str) -> Iterator[bytes]:
    """As it is, and as it would be written in JSON, hexadecimal, a URL or base64."""
    plain = canary.encode()
    yield plain
    yield json.dumps(canary)[1:-1].encode()
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    for lost in range(3):
        # Of base64, what is the same whatever stands before and after.
        whole = base64.b64encode(b"\0" * lost + plain)
        yield whole[4 if lost else 0 : -4]
    yield plain.replace(b"@", b"%40").replace(b"+", b"%2B").replace(b" ", b"%20")


@attrs.frozen
class Looked:
    """What was read, by where."""

    needles: dict[bytes, str]
    found: dict[str, set[str]] = attrs.field(factory=dict)
    size: dict[str, int] = attrs.field(factory=dict)
    marked: set[str] = attrs.field(factory=set)

    def at(self, where: str, content: bytes) -> None:
        self.size[where] = self.size.get(where, 0) + len(content)
        if MARKER.encode() in content:
            self.marked.add(where)
        for needle, canary in self.needles.items():
            if needle in content:
                self.found.setdefault(where, set()).add(canary)


class Server:
    """`finora serve` with a worker, over the data folder."""

    def __init__(self, own: OwnData, log: Path, *keys: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.log = log
        self.process = own.start(
            "serve", "--with-workers", "--port", str(self.port), keys=keys, log=log,
            FINORA_LOG_LEVEL="debug", FINORA_HTTP_PROCESSES="1",
        )  # fmt: skip
        deadline = time.monotonic() + LIVELY
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/ready")[0] == 200
        except OSError:
            return False

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIVELY)
        with closing(connection):
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, sent, {"Content-Type": "application/json"} | headers)
            answer = connection.getresponse()
            return answer.status, bytes(answer.headers) + answer.read()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(LIVELY)


ROOT = "/api/v1/credentials"


def mistakes(canary: str) -> Iterator[tuple[str, str, Any, dict[str, str]]]:
    """Requests that have the secret in a wrong place, or are wrong otherwise."""
    good = {"institution": "kraken", "fields": {"api_secret": canary}}
    ascii_ = canary.encode("ascii", "ignore").decode().replace(" ", "-")
    yield "POST", ROOT, good | {"institution": canary}, {}
    yield "POST", ROOT, good | {"type": canary}, {}
    yield "POST", ROOT, good | {"expires_at": canary}, {}
    yield "POST", ROOT, good | {canary: "x"}, {}
    yield "POST", ROOT, good | {"fields": canary}, {}
    yield "POST", ROOT, good | {"fields": [canary]}, {}
    yield "POST", ROOT, good | {"fields": {canary: "x"}}, {}
    yield "POST", ROOT, good | {"fields": {"a": {"b": canary}}}, {}
    yield "POST", ROOT, good | {"fields": {"a": canary * 400}}, {}
    yield "POST", ROOT, good | {"fields": {"a": canary + "\0"}}, {}
    yield "POST", ROOT, good | {"fields": {f"f{n}": canary for n in range(17)}}, {}
    yield "POST", ROOT, canary, {}
    yield "POST", ROOT, [canary], {}
    yield "POST", ROOT, canary.encode(), {}
    yield "POST", ROOT, json.dumps(good).encode()[:-2], {}
    yield "POST", ROOT, json.dumps(good).encode() + b"\xff", {}
    twice = json.dumps(canary).encode()
    yield "POST", ROOT, b'{"fields": {"a": %s, "a": %s}}' % (twice, twice), {}
    yield "POST", ROOT, good, {"Content_Type": "text/plain"}
    yield "POST", ROOT, good, {"Content_Encoding": "gzip"}
    yield "POST", ROOT, good, {"Authorization": f"Bearer {ascii_}"}
    yield "POST", ROOT, good, {"Authorization": ""}
    yield "POST", f"{ROOT}?secret=1", good, {}
    yield "POST", f"{ROOT}/nowhere", good, {}
    yield "PUT", ROOT, good, {}
    yield "DELETE", f"{ROOT}/01a1fcfc-f13c-7778-9e39-7f1ee42e7502", good, {}
    yield "POST", "/api/v1/accounts", good, {}


def put_all(server: Server, own: OwnData, given: list[str], looked: Looked, ring: str) -> None:
    """A third by the API, of which some were sent wrong before; the rest by the library."""
    with own.open(ring) as finora:
        scope = finora.scope(tenant="canaries", user="u")
        bearer = f"Bearer {finora.tokens.create(scope, 'test').text}"
        status, _ = server.ask(
            "POST", "/api/v1/accounts", {"name": MARKER, "asset": "EUR"}, Authorization=bearer
        )
        assert status == 201
        for number, canary in enumerate(given[:30]):
            if number < 6:
                for method, path, body, more in mistakes(canary):
                    status, reply = server.ask(
                        method, path, body, **{"Authorization": bearer} | more
                    )
                    assert 400 <= status < 500, (path, body, reply)
                    looked.at("error bodies", reply)
            body = {"institution": f"api-{number}", "fields": {"key": canary, "second": canary}}
            headers = {"Authorization": bearer, "Idempotency_Key": f"k-{number}"}
            for _ in range(2):
                status, reply = server.ask("POST", ROOT, body, **headers)
                assert status == 200, reply
                looked.at("replies", reply)
            body["fields"] = {"key": canary + "!"}
            status, reply = server.ask("POST", ROOT, body, **headers)
            assert status == 422
            looked.at("error bodies", reply)
        status, reply = server.ask("GET", ROOT, Authorization=bearer)
        listed = json.loads(reply[reply.index(b"{") :])["data"]
        assert len(listed) == 30
        looked.at("replies", reply)
        status, reply = server.ask("DELETE", f"{ROOT}/{listed[0]['id']}", Authorization=bearer)
        assert status == 200
        looked.at("replies", reply)
        use_all(finora, scope, given, looked)


def use_all(finora: Finora, scope: Any, given: list[str], looked: Looked) -> None:
    finora.import_file(scope, io.BytesIO(f"no statement: {MARKER}".encode()), name="a.csv")
    for number, canary in enumerate(given[30:]):
        made = finora.secrets.put(scope, f"lib-{number}", {"key": SecretText(canary)})
        looked.at("replies", repr(made).encode())
        found = finora.secrets.open(scope, made.id)
        assert found["key"].reveal() == canary
        looked.at("replies", repr(found).encode())
        with pytest.raises(Refusal) as caught:
            finora.secrets.put(scope, canary, {canary: canary})
        looked.at("error bodies", repr(caught.value).encode() + str(caught.value).encode())
        if number % 3 == 0:
            finora.secrets.failed(scope, made.id, stopped=True)
        if number % 5 == 0:
            finora.secrets.remove(scope, made.id)
    for job in (finora.replace_data_keys(timedelta(0)), finora.rewrap_keys()):
        assert job.state == JobState.DONE
        looked.at("replies", repr(job).encode())


def values_of(client: "redis.Redis", name: bytes) -> object:
    match client.type(name):
        case b"string":
            return client.get(name)
        case b"list":
            return client.lrange(name, 0, -1)
        case b"set":
            return client.smembers(name)
        case b"zset":
            return client.zrange(name, 0, -1, withscores=True)
        case b"hash":
            return client.hgetall(name)
        case b"stream":
            return client.xrange(name)
        case kind:
            raise AssertionError(f"{name!r} is a {kind!r}, which nobody reads here")


def dumped(own: OwnData, *options: str) -> bytes:
    programs = dump.find_programs(Path(_wheel()), None, 18)
    return subprocess.run(
        [programs.dump, f"--dbname={own.engines.admin_dsn}", "--no-password", *options],
        capture_output=True, check=True, stdin=subprocess.DEVNULL,
    ).stdout  # fmt: skip


def _wheel() -> Path:
    from finora_adapters.embedded import find_postgres

    return find_postgres(None)


@pytest.mark.spec("S0-10", partial=True)
@pytest.mark.invariant("I-48")
@pytest.mark.invariant("T-22")
def test_sixty_canaries_are_found_nowhere(own: OwnData, tmp_path: Path) -> None:
    """Partial for S0-10: there is no data provider yet to send a request to."""
    given = canaries()
    assert len(set(given)) == 60
    looked = Looked({form: canary for canary in given for form in disguises(canary)})
    assert min(map(len, looked.needles)) >= 12
    ring = key(1)
    server = Server(own, tmp_path / "serve.log", ring)
    try:
        put_all(server, own, given, looked, ring)
        looked.at("metrics", server.ask("GET", "/metrics")[1])
        for path in ("/openapi.json", "/docs", "/health/deep"):
            looked.at("pages", server.ask("GET", path)[1])
        with open_engines(own.folder, valkey=True) as engines:
            assert engines.valkey_url
            client = redis.Redis.from_url(engines.valkey_url)
            names = client.keys("*")
            assert names
            for name in names:
                looked.at("redis", name + b"\n" + repr(values_of(client, name)).encode())
                looked.at("redis", client.dump(name) or b"")
            client.close()
    finally:
        server.stop()
    looked.at("log", server.log.read_bytes())
    for table in ("event", "job", "command", "seal", "version"):
        every = own.sql(f"select coalesce(string_agg(t::text, E'\\n'), '') from finora.{table} t")
        looked.at(table, str(every[0][0]).encode())
    looked.at("pg_dump", dumped(own))
    # Every byte that the servers keep: tables, indexes, WAL, append-only file, their logs.
    own.sql("checkpoint")
    for path in own.folder.rglob("*"):
        if path.is_file():
            looked.at(f"data/{path.relative_to(own.folder).parts[0]}", path.read_bytes())
    assert looked.found == {}
    # It was looked at, and where what is no secret was written, it was found.
    assert looked.marked >= {"pg_dump", "data/postgres", "data/files"}
    assert set(looked.size) >= {"redis", "data/valkey", "data/valkey.log", "data/postgres.log"}
    wanted = {"replies", "error bodies", "metrics", "log", "event", "job", "command",
              "pg_dump"}  # fmt: skip
    assert min(looked.size.get(where, 0) for where in wanted) > 500, looked.size
    assert b"/api/v1/credentials" in server.log.read_bytes()


def test_what_looks_for_canaries_finds_one(tmp_path: Path) -> None:
    for canary in canaries():
        looked = Looked(dict.fromkeys(disguises(canary), canary))
        for content in (
            canary.encode(), json.dumps({"a": canary}).encode(), canary.encode().hex().encode(),
            *(base64.b64encode(b"x" * n + canary.encode() + b"y" * n) for n in range(4)),
        ):  # fmt: skip
            looked.found.clear()
            looked.at("here", b"..." + content + b"...")
            assert looked.found == {"here": {canary}}, content


# --- whoever has the database --------------------------------------------------------------------


@pytest.mark.spec("S0-11")
@pytest.mark.invariant("T-22")
@pytest.mark.invariant("I-47")
def test_a_thief_with_the_whole_database_opens_nothing(own: OwnData) -> None:
    """The dump, opened with keys of the thief's own: missing, or wrong, and never right."""
    ring, guess = key(1), key(1)
    with own.open(ring) as finora:
        scope = finora.scope(tenant="robbed", user="u")
        made = finora.secrets.put(scope, "kraken", {"a": "hunter2-canary"})
        signed = finora.keys.signing.current()
    stolen = dumped(own, "--format=plain", "--inserts")
    assert b"kraken" in stolen
    for part in (b"hunter2", signed.secret.hex().encode(), ring[2:].encode()):
        assert part not in stolen
    with own.open(key(2)) as thief:
        for act in (lambda: thief.secrets.open(scope, made.id), thief.keys.signing.current):
            with pytest.raises(SecretKeyMissing):
                act()
    with own.open(guess) as thief:
        for act in (lambda: thief.secrets.open(scope, made.id), thief.keys.signing.current):
            with pytest.raises(SecretKeyWrong):
                act()
    with own.open(ring) as finora:
        assert finora.secrets.open(scope, made.id)["a"].reveal() == "hunter2-canary"


@pytest.mark.invariant("T-22")
@pytest.mark.invariant("I-48")
def test_a_short_secret_cannot_be_guessed_from_what_tells_repeats_apart(
    own: OwnData, tmp_path: Path
) -> None:
    """A plain digest of a body with four digits in it is found in ten thousand tries."""
    ring = key(1)
    server = Server(own, tmp_path / "serve.log", ring)
    try:
        with own.open(ring) as finora:
            scope = finora.scope(tenant="pins", user="u")
            bearer = f"Bearer {finora.tokens.create(scope, 'test').text}"
        before = {bytes(row[0]) for row in own.sql("select fingerprint from finora.command")}

        def body(pin: int) -> bytes:
            return json.dumps({"institution": "bank", "fields": {"pin": f"{pin:04}"}}).encode()

        def ask(pin: int) -> int:
            sent = {"Authorization": bearer, "Idempotency_Key": "once"}
            return server.ask("POST", ROOT, body(pin), **sent)[0]

        assert [ask(4711), ask(4711), ask(4712)] == [200, 200, 422]
        [kept] = {
            bytes(row[0]) for row in own.sql("select fingerprint from finora.command")
        } - before
        asked = f"POST {ROOT}\napplication/json\n\n".encode()
        tried = {hashlib.sha256(asked + body(pin)).digest() for pin in range(10_000)}
        assert kept not in tried
    finally:
        server.stop()
