"""What only a real server shows: its processes, its sockets, its end."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from finora import Finora, Scope, Settings
from serving import LIVELY, Served, read_all
from together import together
from web.catalogue import PNG


@pytest.fixture(scope="module")
def served(
    settings: Settings, finora: Finora, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    served = Served(settings.data, tmp_path_factory.mktemp("served"))
    yield served.ready()
    served.kill()


@pytest.fixture
def token(finora: Finora, scope: Scope) -> str:
    return f"Bearer {finora.tokens.create(scope, 'served').text}"


def head(method: str, path: str, token: str, *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: {token}", *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def figures(text: str, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.spec("S2-56")
def test_figures_are_of_all_processes(served: Served, token: str) -> None:
    asked = "/api/v1/accounts"
    served.ask("GET", "/nope")
    served.ask("GET", "/api/v1/wallet/summary", Authorization=token)
    served.ask("POST", "/api/v1/imports", b"no statement", Authorization=token)
    before = figures(served.ask("GET", "/metrics")[1].decode(), "http_requests_total")
    answers = together(*[lambda: served.ask("GET", asked, Authorization=token)[0]] * 40)
    assert answers == [200] * 40
    key = {"method": "GET", "route": asked, "status": "200"}
    for _ in range(6):
        text = served.ask("GET", "/metrics")[1].decode()
        found = figures(text, "http_requests_total")
        [label] = [each for each in found if set(each) == set(key.values())]
        assert found[label] - before.get(label, 0) == 40
    for name in ("http_requests_total", "http_request_duration_ms_bucket", "http_errors_total",
                 "database_connections", "redis_operations_total", "job_queue_length",
                 "cache_hit_rate"):  # fmt: skip
        assert figures(text, name), name
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(names) == len(set(names)), "a figure is told twice"
    assert "pid=" not in text


@pytest.mark.spec("S2-57")
@pytest.mark.spec("S4-2")
def test_every_line_of_the_log_is_json_and_none_has_the_token(served: Served, token: str) -> None:
    headers = {"Authorization": token, "X-Request-Id": "the-one"}
    assert served.ask("GET", f"/api/v1/accounts?x={token[7:]}", **headers)[0] == 400
    [line] = [each for each in served.lines() if each.get("request_id") == "the-one"]
    assert line["level"] == "info"
    assert line["code"] == "VALIDATION"
    assert token[20:] not in served.log.read_text()


def test_a_chunked_body_is_read_and_bounded(served: Served, token: str) -> None:
    kind = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    asked = head("POST", "/api/v1/accounts", token, *kind, "Connection: close")
    good = served.say(
        asked + b"7\r\n" + b'{"name"' + b"\r\n9\r\n" + b': "Giro"}' + b"\r\n0\r\n\r\n"
    )
    assert good.startswith(b"HTTP/1.1 201")
    long = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    assert served.say(asked + long * 2 + b"0\r\n\r\n").startswith(b"HTTP/1.1 413")
    text = head("POST", "/api/v1/accounts", token, "Content-Type: text/plain", kind[1])
    assert served.say(text + b"2\r\n{}\r\n0\r\n\r\n").startswith(b"HTTP/1.1 415")


GARBAGE = {
    "two lengths": b"POST /api/v1/accounts HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
    b"Content-Length: 3\r\n\r\n{}",
    "length and chunks": b"POST /api/v1/accounts HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    "a length with a sign": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}",
    "a negative length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -2\r\n\r\n{}",
    "a folded header": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
    "a blank before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a header of 64 KB": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 65_536 + b"\r\n\r\n",
    "1,000 headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 1_000 + b"\r\n",
    "a path of 10 KB": b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    "a bad chunk": b"POST /api/v1/accounts HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "noise": bytes(range(256)) * 4,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    "nothing": b"",
}


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_http_is_refused_and_the_next_is_served(served: Served, raw: bytes) -> None:
    said = served.say(raw)
    statuses = [line.split()[1] for line in said.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    assert all(status[:1] == b"4" for status in statuses), said[:300]
    assert len(statuses) <= 1, "two answers to one request"
    assert b"Traceback" not in said
    assert served.ask("GET", "/live")[0] == 200


@pytest.mark.invariant("F-32")
def test_sockets_that_say_nothing_or_little_stop_nobody_else(served: Served, token: str) -> None:
    """More of each than there are threads: silent ones, half a head, half a body."""
    half = head("POST", "/api/v1/accounts", token, "Content-Type: application/json",
                "Content-Length: 100")  # fmt: skip
    stranger = head("POST", "/api/v1/files?name=a", "Bearer x", "Content-Length: 1000000")
    held: list[socket.socket] = []
    try:
        for said in [b"", b"GET /health HT", b"G", half[:60], stranger + b"x"] * 12:
            connection = served.connect()
            held.append(connection)
            connection.sendall(said)
        for _ in range(20):
            assert served.ask("GET", "/live")[0] == 200
            assert served.ask("GET", "/api/v1/accounts", Authorization=token)[0] == 200
            for connection in held:
                drip(connection)
    finally:
        for connection in held:
            connection.close()


def drip(connection: socket.socket) -> None:
    """One byte more; whoever was cut off stays so."""
    try:
        connection.send(b"x")
    except OSError:
        return


@pytest.mark.invariant("F-28")
@pytest.mark.spec("S4-3")
def test_sigterm_lets_a_running_request_end(
    settings: Settings, finora: Finora, token: str, tmp_path: Path
) -> None:
    served = Served(settings.data, tmp_path).ready()
    try:
        upload = head("POST", "/api/v1/files?name=a.png", token, f"Content-Length: {len(PNG)}")
        with served.connect() as running, served.connect() as idle:
            running.sendall(upload + PNG[:10])
            await_upload(served)
            served.process.terminate()
            await_closed(served)
            running.sendall(PNG[10:])
            answer = read_all(running)
            assert answer.startswith(b"HTTP/1.1 201"), answer
            assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["data"]["state"] == "kept"
            idle.close()
        assert served.process.wait(LIVELY) == 0
        assert not [line for line in served.lines() if line["level"] == "error"]
    finally:
        served.kill()


def await_upload(served: Served) -> None:
    """Until the request that was begun is surely in a thread: those that came later were."""
    for _ in range(20):
        served.ask("GET", "/live")


def await_closed(served: Served) -> None:
    deadline = time.monotonic() + LIVELY
    while True:
        try:
            served.ask("GET", "/live")
        except OSError:
            return
        assert time.monotonic() < deadline, "it still takes requests"
        time.sleep(0.05)


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n{}\r\n",
        b"5\r\n{}\r\n0\r\n\r\n",
        b"-1\r\n\r\n",
        b"2\r\n{}",
        b"2;x=\x00\r\n{}\r\n0\r\n\r\n",
        b"",
    ],
)
def test_a_body_that_is_no_chunks_or_breaks_off_is_no_fault_of_ours(
    served: Served, token: str, body: bytes
) -> None:
    for path in ("/api/v1/accounts", "/api/v1/files?name=a.png", "/api/v1/imports"):
        asked = head("POST", path, token, "Transfer-Encoding: chunked", "X-Request-Id: broken")
        assert served.say(asked + body).startswith(b"HTTP/1.1 4"), path
    short = head("POST", "/api/v1/files?name=a.png", token, "Content-Length: 1000")
    assert served.say(short + PNG).startswith(b"HTTP/1.1 400")
    form = head("POST", "/api/v1/files?name=a.png", token, "Content-Length: 1000",
                "Content-Type: multipart/form-data; boundary=b")  # fmt: skip
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    assert served.say(form + part + PNG).startswith(b"HTTP/1.1 400")
    assert json.loads(served.ask("GET", "/api/v1/files", Authorization=token)[1])["data"] == []
    assert not [line for line in served.lines() if line.get("request_id") == "broken"
                and line["level"] == "error"]  # fmt: skip


def test_a_head_in_pieces_and_requests_behind_each_other_are_served(
    served: Served, token: str
) -> None:
    one = head("GET", "/api/v1/accounts", token)
    last = head("GET", "/live", token, "Connection: close")
    with served.connect() as connection:
        for byte in one:
            connection.sendall(bytes([byte]))
        connection.sendall(one + one + one[:20])
        connection.sendall(one[20:] + last)
        assert read_all(connection).count(b"HTTP/1.1 200") == 5


@pytest.mark.invariant("F-32")
def test_clients_that_do_not_go_stop_nobody_else(served: Served, token: str) -> None:
    """They were answered for the last time, and read nothing."""
    held = [served.connect() for _ in range(60)]
    try:
        for connection in held:
            connection.sendall(head("GET", "/docs", token, "Connection: close"))
        for _ in range(5):
            assert served.ask("GET", "/live")[0] == 200
    finally:
        for connection in held:
            connection.close()
