"""Operators' endpoints: what a signature covers, what it does not let through, and that every call
leaves an event."""

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
from flask import Flask
from pydantic import SecretStr, ValidationError
from sqlalchemy import Engine, text
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from finora import Finora, Scope, Settings
from finora_adapters.compose import Opened
from finora_adapters.postgres.tenants import UPKEEP
from finora_core.jobs.operators import operator_id
from finora_web.main import build
from serving import Served
from together import together
from web.api import Api, check_envelope
from web.catalogue import CSV

SECRET = "operators-share-this-secret-0123456789"
ACTOR = "ada@example.com"
DOCS = Path(__file__).parents[2] / "docs" / "audit.md"


def signed(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    actor: str = ACTOR,
    at: int | None = None,
    secret: str = SECRET,
) -> dict[str, str]:
    """The headers, by the words of the specification."""
    timestamp = str(int(time.time() * 1000) if at is None else at)
    said = f"{method}\n{path}\n{timestamp}\n{actor}\n{hashlib.sha256(body).hexdigest()}"
    mac = hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()
    return {"x-admin-hmac": mac, "x-admin-timestamp": timestamp, "x-admin-actor": actor}


@attrs.frozen
class Calls:
    """Calls of an operator, each under a request id of its own, and the events that they left."""

    app: Flask
    admin: Engine
    platform: UUID

    def send(
        self, method: str, path: str, body: bytes = b"", **headers: Any
    ) -> tuple[TestResponse, list[dict[str, Any]]]:
        request_id = f"op-{uuid4()}"
        given = headers.pop("headers", None) or signed(method, path, body, **headers)
        sent = given | {"X-Request-Id": request_id}
        if body:
            sent["Content-Type"] = "application/json"
        answer = self.app.test_client().open(path, method=method, data=body, headers=sent)
        assert answer.headers["X-Request-Id"] == request_id
        if answer.status_code >= 400:
            check_envelope(answer)
        return answer, self.events(request_id)

    def events(self, request_id: str) -> list[dict[str, Any]]:
        query = text(
            "select type, payload, actor from finora.event "
            "where tenant_id = :t and request_id = :r order by tx, id"
        )
        with self.admin.connect() as connection:
            rows = connection.execute(query, {"t": self.platform, "r": request_id})
            return [row.payload | {"type": row.type, "by": row.actor} for row in rows]

    def count(self) -> int:
        query = text("select count(*) from finora.event where tenant_id = :t")
        with self.admin.connect() as connection:
            return int(connection.scalar(query, {"t": self.platform}) or 0)


@pytest.fixture
def operated(settings: Settings, opened: Opened) -> Flask:
    secret = settings.model_copy(update={"jobs_hmac_secret": SecretStr(SECRET)})
    return build(secret, opened)


@pytest.fixture
def calls(operated: Flask, admin: Engine, finora: Finora) -> Calls:
    return Calls(operated, admin, finora.scope(tenant=UPKEEP, user=UPKEEP).tenant_id)


@pytest.fixture
def job(api: Api, admin: Engine) -> Iterator[Callable[..., str]]:
    """Makes jobs that are in a state."""
    made: list[str] = []

    def make(state: str = "dead") -> str:
        query = {"name": f"{len(made)}.csv", "account": "Giro", "currency": "EUR"}
        job_id = str(api.upload("/imports", CSV, 202, query=query)["job_id"])
        made.append(job_id)
        change = text(
            "update finora.job set state = :state, attempts = max_attempts, "
            "run_at = now() + interval '1 h', "
            "lease_until = case when :state = 'running' then now() + interval '1 h' end, "
            "finished_at = case when :state in ('waiting', 'running') then null else now() end "
            "where id = :id"
        )
        with admin.begin() as connection:
            connection.execute(change, {"state": state, "id": job_id})
        return job_id

    yield make
    with admin.begin() as connection:
        over = text("update finora.job set state = 'cancelled', attempts = 0, finished_at = now() "
                    "where id = any(cast(:ids as uuid[]))")  # fmt: skip
        connection.execute(over, {"ids": made})


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.json["error"]["code"]


# --- what they do --------------------------------------------------------------------------------


@pytest.mark.spec("S0-41")
@pytest.mark.spec("S2-51", partial=True)
@pytest.mark.parametrize("state", ["waiting", "dead", "refused"])
def test_a_job_of_any_tenant_is_tried_again_with_all_its_attempts(
    calls: Calls, api: Api, scope: Scope, job: Callable[..., str], state: str
) -> None:
    job_id = job(state)
    answer, [event] = calls.send("POST", f"/admin/jobs/{job_id}/retry")
    assert answer.status_code == 200, answer.text
    said = answer.json["data"]
    assert (said["id"], said["state"], said["attempts"]) == (job_id, "waiting", 0)
    assert said["tenant_id"] == str(scope.tenant_id)
    assert set(said) == {"tenant_id", "id", "name", "queue", "state", "attempts", "max_attempts"}
    shown = api.get(f"/jobs/{job_id}")
    assert (shown["state"], shown["attempts"], shown["finished_at"]) == ("waiting", 0, None)
    assert event == {
        "type": "operator.acted", "by": operator_id(ACTOR), "action": "job.retry",
        "outcome": "success", "job": job_id, "tenant": str(scope.tenant_id), "jobs": 1,
        "code": None,
    }  # fmt: skip


@pytest.mark.spec("S0-41")
@pytest.mark.parametrize("state", ["running", "done", "cancelled"])
def test_what_runs_or_ended_well_is_not_tried_again(
    calls: Calls, api: Api, job: Callable[..., str], state: str
) -> None:
    job_id = job(state)
    before = api.get(f"/jobs/{job_id}")
    answer, [event] = calls.send("POST", f"/admin/jobs/{job_id}/retry")
    assert code(answer) == (409, "JOB_STATE")
    assert (event["outcome"], event["code"], event["job"]) == ("failure", "JOB_STATE", job_id)
    assert api.get(f"/jobs/{job_id}") == before


@pytest.mark.spec("S0-41")
def test_a_job_is_deleted_unless_it_runs(calls: Calls, api: Api, job: Callable[..., str]) -> None:
    for state in ("waiting", "dead", "done"):
        job_id = job(state)
        answer, [event] = calls.send("DELETE", f"/admin/jobs/{job_id}")
        assert (answer.status_code, answer.json["data"]["state"]) == (200, state)
        assert (event["action"], event["outcome"]) == ("job.delete", "success")
        assert api.refused("GET", f"/jobs/{job_id}") == (404, "JOB_NOT_FOUND")
    running = job("running")
    answer, [event] = calls.send("DELETE", f"/admin/jobs/{running}")
    assert code(answer) == (409, "JOB_STATE")
    assert (event["action"], event["outcome"]) == ("job.delete", "failure")
    assert api.get(f"/jobs/{running}")["state"] == "running"


@pytest.mark.spec("S0-41")
def test_dead_jobs_are_replayed_one_or_all(
    calls: Calls, api: Api, other: Api, job: Callable[..., str]
) -> None:
    one, two, refused = job(), job(), job("refused")
    body = json.dumps({"job_id": one}).encode()
    answer, [event] = calls.send("POST", "/admin/dlq/replay", body)
    assert answer.json == {"success": True, "data": {"replayed": 1}}
    assert (event["action"], event["job"], event["jobs"]) == ("dlq.replay", one, 1)
    assert [api.get(f"/jobs/{each}")["state"] for each in (one, two)] == ["waiting", "dead"]
    for wrong in (one, refused):
        answer, [event] = calls.send(
            "POST", "/admin/dlq/replay", json.dumps({"job_id": wrong}).encode()
        )
        assert code(answer) == (409, "JOB_STATE")
        assert event["outcome"] == "failure"
    answer, [event] = calls.send("POST", "/admin/dlq/replay", b'{"all": true}')
    assert answer.json["data"]["replayed"] == event["jobs"] >= 1
    assert event["job"] is None
    assert api.get(f"/jobs/{two}")["state"] == "waiting"
    assert api.get(f"/jobs/{refused}")["state"] == "refused"


@pytest.mark.spec("S0-41")
def test_an_unknown_job_is_not_found_and_the_call_is_noted(calls: Calls) -> None:
    nobody = str(uuid4())
    body = json.dumps({"job_id": nobody}).encode()
    for method, path, content in (
        ("POST", f"/admin/jobs/{nobody}/retry", b""),
        ("DELETE", f"/admin/jobs/{nobody}", b""),
        ("POST", "/admin/dlq/replay", body),
    ):
        answer, [event] = calls.send(method, path, content)
        assert code(answer) == (404, "JOB_NOT_FOUND")
        assert (event["outcome"], event["code"]) == ("failure", "JOB_NOT_FOUND")


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b'{"all": false}', b'{"all": true, "job_id": "%s"}', b'{"all": 1}',
     b'{"all": true, "all": true}', b'{"job_id": "x"}', b'{"x": 1}', b"{", b"\xff", b"NaN"],
)  # fmt: skip
def test_a_body_says_exactly_one_thing(
    calls: Calls, api: Api, job: Callable[..., str], body: bytes
) -> None:
    job_id = job()
    content = body.replace(b"%s", job_id.encode())
    answer, [event] = calls.send("POST", "/admin/dlq/replay", content)
    assert code(answer) == (400, "VALIDATION")
    assert (event["outcome"], event["code"]) == ("failure", "VALIDATION")
    assert api.get(f"/jobs/{job_id}")["state"] == "dead"


def test_a_route_without_a_body_takes_none(calls: Calls, job: Callable[..., str]) -> None:
    job_id = job()
    for method, path in (("POST", f"/admin/jobs/{job_id}/retry"),
                         ("DELETE", f"/admin/jobs/{job_id}")):  # fmt: skip
        answer, [event] = calls.send(method, path, b'{"all": true}')
        assert code(answer) == (400, "VALIDATION")
        assert event["outcome"] == "failure"


# --- what the signature covers -------------------------------------------------------------------


@pytest.mark.spec("S0-42")
@pytest.mark.parametrize(
    ("changed", "by"),
    [("method", "DELETE"), ("path", "/admin/jobs/{other}/retry"), ("path", "/admin/dlq/replay"),
     ("at", 1), ("actor", "eve@example.com"), ("body", b"{}"), ("secret", SECRET[:-1] + "8"),
     ("secret", SECRET.upper())],
)  # fmt: skip
def test_a_call_that_is_signed_for_another_is_denied(
    calls: Calls, api: Api, job: Callable[..., str], changed: str, by: Any
) -> None:
    job_id, other = job(), job()
    now = int(time.time() * 1000)
    path = f"/admin/jobs/{job_id}/retry"
    good = {"method": "POST", "path": path, "body": b"", "actor": ACTOR, "at": now,
            "secret": SECRET}  # fmt: skip
    if changed == "path":
        by = by.format(other=other)
    elif changed == "at":
        by = now + by
    headers = signed(**good | {changed: by}) | {
        "x-admin-timestamp": str(now), "x-admin-actor": ACTOR
    }  # fmt: skip
    answer, [event] = calls.send("POST", path, headers=headers)
    assert code(answer) == (401, "OPERATOR_DENIED")
    assert answer.headers["WWW-Authenticate"] == "Finora-HMAC"
    assert (event["outcome"], event["code"]) == ("denied", "OPERATOR_DENIED")
    assert event["by"] == operator_id(ACTOR)
    assert api.get(f"/jobs/{job_id}")["state"] == "dead"


@pytest.mark.spec("S0-42")
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x-admin-hmac", ["", "x", "0" * 64, "0" * 63, "0" * 65, "g" * 64, " ", "{upper}",
                          "{good},{good}", "0x{good}"]),
        ("x-admin-timestamp", ["", "0", "-1", "+{now}", " {now} x", "{now}.0", "1e12",
                               "{now},{now}", "0{now}", "9" * 30, "٣"]),
        ("x-admin-actor", ["", " ", "a b", "a\tb", "a,b", "a" * 101, "\xe9", "a/b"]),
    ],
)  # fmt: skip
def test_headers_are_written_in_one_way(
    calls: Calls, job: Callable[..., str], name: str, values: list[str]
) -> None:
    """A second way to write a signature would let the same call in twice."""
    path = f"/admin/jobs/{job()}/retry"
    for value in values:
        now = int(time.time() * 1000)
        good = signed("POST", path, at=now)
        mac = good["x-admin-hmac"]
        wrong = value.format(now=now, good=mac, upper=mac.upper())
        if name == "x-admin-actor":
            good = signed("POST", path, at=now, actor=wrong)
        if name == "x-admin-hmac" and value == "{upper}" and mac == mac.upper():
            continue
        try:
            sent = {**good, name: wrong}
            answer, events = calls.send("POST", path, headers=sent)
        except (UnicodeEncodeError, ValueError):
            continue  # no client can send it
        assert code(answer) == (401, "OPERATOR_DENIED"), (name, wrong)
        assert [event["outcome"] for event in events] == ["denied"]
    without = {key: value for key, value in signed("POST", path).items() if key != name}
    assert code(calls.send("POST", path, headers=without)[0]) == (401, "OPERATOR_DENIED")
    answer, _ = calls.send("POST", path)
    assert answer.status_code == 200


@pytest.mark.spec("S0-42")
def test_a_call_is_of_now(calls: Calls, job: Callable[..., str]) -> None:
    path = f"/admin/jobs/{job()}/retry"
    for late in (5_600, -5_600, 60_000, -60_000, 3_600_000):
        answer, [event] = calls.send("POST", path, at=int(time.time() * 1000) - late)
        assert code(answer) == (401, "OPERATOR_DENIED"), late
        assert event["outcome"] == "denied"
    for late in (4_000, -4_000):
        answer, _ = calls.send("POST", path, at=int(time.time() * 1000) - late)
        assert answer.status_code == 200


@pytest.mark.spec("S0-42")
def test_a_call_is_made_once(calls: Calls, job: Callable[..., str]) -> None:
    """Also by two at the same moment, and also where the first one failed."""
    path = f"/admin/jobs/{job()}/retry"
    headers = signed("POST", path)
    assert calls.send("POST", path, headers=headers)[0].status_code == 200
    for _ in range(2):
        answer, [event] = calls.send("POST", path, headers=headers)
        assert code(answer) == (401, "OPERATOR_DENIED")
        assert event["outcome"] == "denied"
    nobody = f"/admin/jobs/{uuid4()}/retry"
    headers = signed("POST", nobody)
    statuses = [calls.send("POST", nobody, headers=headers)[0].status_code for _ in range(2)]
    assert statuses == [404, 401]
    headers = signed("POST", path, actor="bob")
    found = together(*[lambda: calls.send("POST", path, headers=headers)[0].status_code] * 6)
    assert sorted(found) == [200, *[401] * 5]


@pytest.mark.spec("S0-42")
def test_a_signature_stays_spent_for_longer_than_it_is_good(
    calls: Calls, admin: Engine, job: Callable[..., str]
) -> None:
    path = f"/admin/jobs/{job()}/retry"
    headers = signed("POST", path)
    calls.send("POST", path, headers=headers)
    digest = hashlib.sha256(bytes.fromhex(headers["x-admin-hmac"])).digest()
    query = text(
        "select extract(epoch from expires_at - clock_timestamp())::float from finora.nonce "
        "where digest = :digest"
    )
    with admin.connect() as connection:
        assert 15 < connection.scalar(query, {"digest": digest}) <= 20


@pytest.mark.spec("S0-42")
def test_without_a_secret_nothing_is_taken(
    app: Flask, calls: Calls, job: Callable[..., str]
) -> None:
    path = f"/admin/jobs/{job()}/retry"
    off = attrs.evolve(calls, app=app)
    for secret in ("", "None", SECRET):
        answer, [event] = off.send("POST", path, secret=secret)
        assert code(answer) == (503, "OPERATOR_OFF")
        assert event["outcome"] == "denied"


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValidationError, match="jobs_hmac_secret"):
        Settings(jobs_hmac_secret=SecretStr("x" * 31))


# --- paths, bodies, floods -----------------------------------------------------------------------


def test_a_path_has_one_way_to_be_written(calls: Calls, api: Api, job: Callable[..., str]) -> None:
    """Signed as it is sent, or as it would be after decoding: neither opens anything."""
    job_id = job()
    plain = f"/admin/jobs/{job_id}/retry"
    for sent in (
        f"{plain}?", f"{plain}?x=1", f"{plain}/", f"/admin//jobs/{job_id}/retry",
        f"/admin/jobs/%{ord(job_id[0]):x}{job_id[1:]}/retry", f"/admin/jobs/{job_id}%2fretry",
        f"/admin/./jobs/{job_id}/retry", f"/admin/x/../jobs/{job_id}/retry",
        f"/ADMIN/jobs/{job_id}/retry", f"{plain};x=1", f"{plain}%00", f"{plain}%3fx=1",
        f"/api/v1{plain}",
    ):  # fmt: skip
        for path in (plain, sent):
            headers = signed("POST", path)
            answer = calls.app.test_client().post(
                sent, headers=headers, environ_overrides={"RAW_URI": sent, "REQUEST_URI": sent}
            )
            assert answer.status_code in (401, 404, 405), (sent, answer.text)
    assert api.get(f"/jobs/{job_id}")["state"] == "dead"
    for method in ("GET", "PUT", "PATCH", "HEAD"):
        answer = calls.app.test_client().open(plain, method=method, headers=signed(method, plain))
        assert answer.status_code == 405
    over = signed("DELETE", plain) | {"X-HTTP-Method-Override": "DELETE"}
    assert calls.send("POST", plain, headers=over)[0].status_code == 401


def test_a_huge_body_is_refused_before_it_is_read(calls: Calls) -> None:
    for size in (4_097, 1 << 20):
        answer, [event] = calls.send("POST", "/admin/dlq/replay", b" " * size)
        assert code(answer) == (413, "BODY_TOO_LARGE")
        assert (event["outcome"], event["code"]) == ("denied", "BODY_TOO_LARGE")


def test_a_token_of_the_api_opens_nothing_here(
    operated: Flask, calls: Calls, api: Api, job: Callable[..., str]
) -> None:
    path = f"/admin/jobs/{job()}/retry"
    headers = {"Authorization": f"Bearer {api.token}"}
    answer, [event] = calls.send("POST", path, headers=headers)
    assert code(answer) == (401, "OPERATOR_DENIED")
    assert event["by"] == UUID(int=0)


def test_a_flood_of_denied_calls_fills_no_log_and_keeps_nobody_out(
    calls: Calls, job: Callable[..., str]
) -> None:
    path = f"/admin/jobs/{job()}/retry"
    before = calls.count()
    for number in range(70):
        answer, events = calls.send("POST", path, secret="wrong")
        assert answer.status_code == (401 if number < 60 else 429)
        assert len(events) == (1 if number < 60 else 0)
    assert answer.headers["Retry-After"] == "60"
    answer, [event] = calls.send("POST", path)
    assert (answer.status_code, event["outcome"]) == (200, "success")
    # The upkeep of other tests may write there too.
    assert calls.count() >= before + 61


@pytest.mark.invariant("I-50")
def test_events_hold_no_names(calls: Calls, admin: Engine, job: Callable[..., str]) -> None:
    job_id = job()
    calls.send("POST", f"/admin/jobs/{job_id}/retry")
    calls.send("POST", f"/admin/jobs/{job_id}/retry", secret="wrong")
    with admin.connect() as connection:
        query = text("select count(*) from finora.event e where e::text like '%' || :name || '%'")
        assert connection.scalar(query, {"name": ACTOR}) == 0


# --- as it is served -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(
    finora: Finora, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("operator")
    served = Served(settings.data, folder, jobs_hmac_secret=SECRET).ready()
    yield served
    assert served.stop() == 0


def raw(served: Served, target: str, headers: list[tuple[str, str]], body: bytes = b"") -> int:
    """The status of a request that is written byte by byte."""
    lines = [f"POST {target} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if not any(name.lower() == "transfer-encoding" for name, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    answer = served.say("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
    return int(answer.split(b" ", 2)[1])


@pytest.mark.spec("S0-42")
def test_what_no_client_library_would_send_is_denied(
    served: Served, api: Api, job: Callable[..., str]
) -> None:
    job_id = job()
    path = f"/admin/jobs/{job_id}/retry"

    def given(at: str = path) -> list[tuple[str, str]]:
        return list(signed("POST", at).items())

    for target in (
        f"{path}?x=1", f"{path}?", f"{path}/", f"http://elsewhere{path}", f"/{path}",
        f"/admin/jobs/%{ord(job_id[0]):x}{job_id[1:]}/retry", f"{path}#x",
        f"/admin/../admin/jobs/{job_id}/retry", f"/admin/jobs/{job_id}%2Fretry",
    ):  # fmt: skip
        for at in (path, target):
            assert raw(served, target, given(at)) in (400, 401, 404), (target, at)
    for name in ("x-admin-hmac", "x-admin-timestamp", "x-admin-actor"):
        headers = given()
        value = dict(headers)[name]
        assert raw(served, path, [*headers, (name, value)]) == 401, name
        assert raw(served, path, [(name, "x"), *headers]) == 401, name
        assert raw(served, path, [(name, value + "\r\n folded"), *headers]) in (400, 401), name
        hidden = [(n.replace("-", "_") if n == name else n, v) for n, v in headers]
        assert raw(served, path, hidden) in (400, 401), name
    # A body that the length does not tell of, signed as if there were none.
    chunked = [*given(), ("Transfer-Encoding", "chunked"), ("Content-Type", "application/json")]
    assert raw(served, path, chunked, b"2\r\n{}\r\n0\r\n\r\n") == 401
    assert api.get(f"/jobs/{job_id}")["state"] == "dead"
    assert raw(served, path, given()) == 200
    assert api.get(f"/jobs/{job_id}")["state"] == "waiting"
    assert ACTOR in {line.get("actor") for line in served.lines()}
    assert SECRET not in served.log.read_text()


def test_a_spent_signature_is_spent_in_every_process(
    served: Served, job: Callable[..., str]
) -> None:
    """Two processes serve; what is spent in one is in both, and also where both are asked at
    once."""
    path = f"/admin/jobs/{job()}/retry"
    headers = signed("POST", path)
    found = together(*[lambda: served.ask("POST", path, **headers)[0]] * 8)
    assert sorted(found) == [200, *[401] * 7]


@pytest.mark.spec("S0-42")
def test_the_example_of_the_documentation_runs(
    operated: Flask, api: Api, job: Callable[..., str]
) -> None:
    [example] = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    job_id = job()
    server = make_server("127.0.0.1", 0, operated, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        names: dict[str, Any] = {}
        given = example.replace("http://127.0.0.1:4000", f"http://127.0.0.1:{server.server_port}")
        given = given.replace("the secret of FINORA_JOBS_HMAC_SECRET", SECRET)
        given = given.replace("01a1fcfc-f13c-7778-9e39-7f1ee42e7502", job_id)
        exec(compile(given, str(DOCS), "exec"), names)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert names["answer"]["data"]["id"] == job_id
    assert api.get(f"/jobs/{job_id}")["state"] == "waiting"
