"""The cached wallet: fast, and never behind what its reader knows to be written."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import redis
from flask import Flask
from sqlalchemy import event

from finora import Finora, Scope, Settings
from finora_adapters.compose import Opened
from finora_adapters.redis.asking import Asker, Question
from finora_adapters.redis.client import connect
from finora_adapters.redis.versions import VersionedCache
from finora_web.app import Shell, create_app
from finora_web.main import build
from servers import Valkey
from together import together
from web.api import Api, euros

DAYS = {"since": "2026-01-01", "until": "2026-01-31"}


@contextmanager
def connections(opened: Opened) -> Iterator[list[object]]:
    """What takes a connection from the pool meanwhile; nothing asks the database without one."""
    taken: list[object] = []

    def take(*given: object) -> None:
        taken.append(given)

    event.listen(opened.database.engine, "checkout", take)
    yield taken
    event.remove(opened.database.engine, "checkout", take)


def flow(api: Api) -> Any:
    found = api.get("/wallet/cashflow", **DAYS)[0]["flows"]
    return found[0]["net"]["amount"] if found else None


@pytest.mark.spec("S2-19")
@pytest.mark.spec("S2-23", partial=True)
@pytest.mark.parametrize(
    ("path", "query"),
    [("/wallet/summary", {"period": "month"}), ("/wallet/cashflow", DAYS),
     ("/wallet/networth", {"months": "3"})],
)  # fmt: skip
def test_a_second_read_asks_the_database_nothing(
    api: Api, opened: Opened, path: str, query: dict[str, str]
) -> None:
    first = api.ask("GET", path, query=query)
    with connections(opened) as taken:
        second = api.ask("GET", path, query=query)
        assert taken == []
    assert second.data == first.data
    assert second.mimetype == first.mimetype
    with connections(opened) as taken:
        assert api.ask("GET", path, query=query, headers={"Cache-Control": "no-cache"})
        assert taken


@pytest.fixture
def second(settings: Settings, opened: Opened) -> Flask:
    """Another process's application: it shares nothing with the first but Postgres and Valkey."""
    return build(settings, opened)


@pytest.mark.spec("S2-22")
@pytest.mark.invariant("I-58")
def test_every_write_is_seen_by_the_next_read_of_every_instance(
    api: Api, second: Flask, finora: Finora
) -> None:
    there = Api(second, api.token)
    giro = api.open("Giro", asset="EUR")
    assert flow(api) is flow(there) is None

    def seen(amount: str | None) -> None:
        assert flow(there) == amount
        assert flow(api) == amount

    record = api.enter(giro, "2026-01-05", "10.00")
    seen("10.00")
    where = f"/records/{record['id']}"
    there.ask("PATCH", where, {"amount": euros("12.00")})
    seen("12.00")
    api.post("/imports", raw=b"Date,Amount\n2026-01-06,3.00\n", status=202,
             query={"name": "a.csv", "account": giro})  # fmt: skip
    seen("12.00")
    # By a process that tells nobody; the next that does, tells for it.
    finora.run_jobs()
    api.enter(giro, "2026-01-07", "1.00")
    seen("16.00")
    there.ask("DELETE", where)
    seen("4.00")


@pytest.mark.invariant("I-58")
def test_what_a_thread_has_written_it_reads_whoever_reads_meanwhile(
    api: Api, second: Flask
) -> None:
    """Two instances, readers and writers at once: no writer reads less than it has written."""
    there = Api(second, api.token)
    giro = api.open("Giro", asset="EUR")

    def write(caller: Api, reader: Api) -> Callable[[], None]:
        def run() -> None:
            for number in range(1, 6):
                caller.enter(giro, "2026-01-05", "1.00")
                assert float(flow(reader)) >= number

        return run

    def read() -> None:
        last = 0.0
        for _ in range(20):
            now = float(flow(api) or 0)
            assert now >= last
            last = now

    acts = [write(api, there), write(there, api), write(api, api), read, read]
    assert together(*acts) == [None] * len(acts)
    assert flow(api) == flow(there) == "15.00"


@attrs.frozen
class Slow:
    """A wallet that waits, with what it has read, until it may answer."""

    wallet: Any
    began: threading.Event = attrs.field(factory=threading.Event)
    go_on: threading.Event = attrs.field(factory=threading.Event)

    def cashflow_by_month(self, *given: Any) -> Any:
        found = self.wallet.cashflow_by_month(*given)
        self.began.set()
        assert self.go_on.wait(60)
        return found


@pytest.mark.invariant("I-58")
def test_a_late_reader_does_not_put_back_what_was_before(api: Api, app: Flask) -> None:
    giro = api.open("Giro", asset="EUR")
    shell: Shell = app.config["SHELL"]
    slow = Slow(shell.gate.services.wallet)
    services = attrs.evolve(shell.gate.services, wallet=slow)
    late = Api(create_app(attrs.evolve(shell, gate=attrs.evolve(shell.gate, services=services))),
               api.token)  # fmt: skip
    answers: list[Any] = []
    reader = threading.Thread(target=lambda: answers.append(flow(late)))
    reader.start()
    assert slow.began.wait(60)
    api.enter(giro, "2026-01-05", "10.00")
    assert flow(api) == "10.00"
    slow.go_on.set()
    reader.join(60)
    assert answers == [None]
    assert flow(api) == "10.00"


@pytest.mark.invariant("I-58")
def test_a_token_that_was_revoked_or_is_over_reads_no_cached_bytes(
    api: Api, second: Flask, finora: Finora, scope: Scope
) -> None:
    there = Api(second, api.token)
    caller = finora.tokens.create(scope, "second")
    both = [Api(app, caller.text) for app in (api.app, second)]
    for _ in range(2):
        assert [flow(each) for each in both] == [None, None]
    there.post(f"/tokens/{caller.token.id}/revocation", status=200)
    for each in both:
        assert each.refused("GET", "/wallet/cashflow", query=DAYS) == (401, "TOKEN_REVOKED")
    ends = datetime.now(UTC) + timedelta(seconds=2)
    short = Api(api.app, finora.tokens.create(scope, "short", expires_at=ends).text)
    while (answer := short.ask("GET", "/wallet/cashflow", query=DAYS)).status_code == 200:
        assert datetime.now(UTC) < ends + timedelta(seconds=60)
    assert datetime.now(UTC) >= ends
    assert answer.json["error"]["code"] == "TOKEN_INVALID"
    assert short.refused("GET", "/wallet/cashflow", query=DAYS) == (401, "TOKEN_INVALID")
    assert short.refused("GET", "/accounts") == (401, "TOKEN_INVALID")


@pytest.mark.invariant("I-38")
def test_every_key_of_the_cache_has_its_tenant_and_none_serves_another(
    api: Api, other: Api, opened: Opened, scope: Scope, stranger: Scope
) -> None:
    giro = api.open("Giro", asset="EUR")
    api.enter(giro, "2026-01-05", "10.00")
    assert (flow(api), flow(other), flow(api), flow(other)) == ("10.00", None, "10.00", None)
    with redis.Redis.from_url(opened.redis_url) as client:
        keys = {key.decode() for key in client.keys("*")}
    for tenant in (scope.tenant_id, stranger.tenant_id):
        assert [key for key in keys if f"{{{tenant}}}" in key]
    # Counters of requests are by who asks or is asked; nothing is read from them.
    kept = {key for key in keys if not key.startswith(("finora:limit:{", "finora:upstream:"))}
    assert kept
    assert [key for key in kept if not key.startswith("finora:{")] == []


def test_a_connection_that_was_closed_meanwhile_costs_no_answer(opened: Opened) -> None:
    client = connect(opened.redis_url)
    told: list[bool] = []
    asker = Asker(client, asked=told.append)
    assert asker.ask(Question(("CLIENT", "SETNAME", "kept"))) == [b"OK"]
    with redis.Redis.from_url(opened.redis_url) as other:
        (kept,) = [each for each in other.client_list() if each["name"] == "kept"]
        other.client_kill_filter(_id=kept["id"])
    assert asker.ask(Question(("PING",)), Question(("PING",))) == [b"PONG", b"PONG"]
    assert told == [True, True]
    client.close()


def test_a_question_that_is_refused_leaves_the_connection_to_the_next(opened: Opened) -> None:
    client = connect(opened.redis_url)
    asker = Asker(client)
    wrong, right = Question(("INCR", "finora:test", "too many")), Question(("ECHO", "right"))
    assert asker.ask(right, wrong, right) is None
    other = Asker(client, idle=asker._idle)
    assert other.ask(Question(("ECHO", "next"))) == [b"next"]
    client.close()


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    # Short: the path of a unix socket has a limit of about a hundred bytes.
    folder = Path(tempfile.mkdtemp(prefix="finora-w-"))
    valkey = Valkey(folder)
    valkey.start()
    yield valkey
    valkey.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.spec("S2-63", partial=True)
@pytest.mark.spec("S2-55")
@pytest.mark.spec("S0-13", partial=True)
def test_without_redis_everything_goes_on_and_health_says_so(
    settings: Settings, opened: Opened, api: Api, valkey: Valkey
) -> None:
    app = build(settings, attrs.evolve(opened, redis_url=valkey.url))
    caller = Api(app, api.token)
    giro = caller.open("Giro", asset="EUR")
    assert flow(caller) is None
    assert health(app) == ("ok", "connected", 200)
    valkey.kill()
    for number in range(1, 4):
        caller.enter(giro, "2026-01-05", "1.00")
        assert flow(caller) == f"{number}.00"
    assert eventually(lambda: health(app) == ("degraded", "disconnected", 200))
    assert app.test_client().get("/ready").status_code == 200
    valkey.start()
    assert eventually(lambda: health(app) == ("ok", "connected", 200))
    assert flow(caller) == "3.00"
    with connections(opened) as taken:
        assert flow(caller) == "3.00"
        assert taken == []


def health(app: Flask) -> tuple[str, str, int]:
    answer = app.test_client().get("/health")
    return answer.json["status"], answer.json["cache"], answer.status_code


def eventually(check: Callable[[], bool]) -> bool:
    for _ in range(600):
        if check():
            return True
        threading.Event().wait(0.1)
    return False


@pytest.mark.spec("S0-13")
@pytest.mark.invariant("I-58")
def test_a_redis_that_was_emptied_says_nothing_that_was(api: Api, opened: Opened) -> None:
    giro = api.open("Giro", asset="EUR")
    assert flow(api) is None
    with redis.Redis.from_url(opened.redis_url) as client:
        client.flushall()
    api.enter(giro, "2026-01-05", "10.00")
    with redis.Redis.from_url(opened.redis_url) as client:
        client.flushall()
    assert flow(api) == "10.00"


@pytest.mark.invariant("T-21")
def test_a_version_told_twice_and_late_does_not_go_back(opened: Opened, scope: Scope) -> None:
    client = connect(opened.redis_url)
    cache = VersionedCache(Asker(client))
    cache.publish(scope.tenant_id, 7)
    cache.put(scope.tenant_id, 7, "a", b"seven", 60)
    cache.publish(scope.tenant_id, 6)
    cache.put(scope.tenant_id, 6, "a", b"six", 60)
    found = cache.get(scope.tenant_id, "a")
    assert (found.version, found.body) == (7, b"seven")
    client.close()
