"""The traps of SAQ that were found in the laboratory, each with what keeps it from hurting.

Q2 is in test_redis.py; Q7 and Q8, a worker killed in the middle, in test_deaths.py; Q9 and Q10 are
of its Postgres queue, which is not used."""

import ast
import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from saq.job import Status
from saq.queue.redis import RedisQueue

import finora_adapters
import finora_worker
from finora_adapters.redis.client import connect_async
from finora_adapters.redis.queue import WakeQueue
from finora_core.jobs.service import failure_of
from servers import Valkey
from worker.load import QUEUE, Load, noted, once
from worker.processes import WorkerProcess
from worker.test_redis import depth, tell_all

Start = Callable[..., WorkerProcess]


def with_queue(valkey: Valkey, act: Callable[[WakeQueue], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with connect_async(valkey.url, 4) as client:
            return await act(WakeQueue(client, QUEUE))

    return asyncio.run(run())


@pytest.mark.invariant("I-22")
def test_q1_no_limit_and_no_result_of_saq_s(load: Load, valkey: Valkey, start: Start) -> None:
    """Its defaults are ten seconds, one attempt, and a result that is gone after ten minutes."""
    load.ask("add", 1)
    tell_all(load, valkey)
    message = with_queue(valkey, lambda queue: queue.dequeue(1.0))
    assert (message.timeout, message.retries) == (0, 1)
    load.announce_again()
    start().ready()
    load.await_states(done=1)
    # Another test's job may wait in this database, and be told: its name is all that Redis keeps.
    assert {key.rpartition(b":")[2] for key in valkey.client.scan_iter("saq:*")} <= {b"wake"}


def test_q3_nobody_waits_for_a_result_through_redis() -> None:
    """After a restart of Redis that waits in vain."""
    waits = {"refresh", "apply", "map", "listen", "until_complete"}
    for package in (finora_adapters, finora_worker):
        for path in Path(str(package.__file__)).parent.rglob("*.py"):
            tree = ast.parse(path.read_text())
            imports = {
                node.module.partition(".")[0]
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and node.module
            }
            if "saq" not in imports:
                continue
            called = {
                node.func.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
                and not isinstance(node.func.value, ast.Name) | (node.func.attr == "listen")
            }  # fmt: skip
            assert not called & waits, path


def test_q5_as_many_jobs_run_at_once_as_the_queue_says(load: Load, start: Start) -> None:
    """Not as many as SAQ's own pool of threads, which has four more than the machine has cores."""
    load.hold("inside")
    worker = start(queues=f"{QUEUE}=12").ready()
    load.ask("steps", *range(12))
    load.await_note("at-inside", 12)
    assert set(noted(load.folder / "at-inside")) == {worker.pid}
    load.let_go("inside")
    load.await_states(done=12)
    assert load.effects() == once(range(12))


@pytest.mark.invariant("I-23")
def test_q6_to_end_a_job_twice_changes_nothing(load: Load) -> None:
    [job] = load.ask("add", 1)
    claimed = load.queue.claim_one(load.scope.tenant_id, job)
    assert claimed
    for said in ("first", "second"):
        load.queue.fail(claimed, failure_of(RuntimeError(said), claimed))
    row = load.rows()[job]
    assert "first" in row.error
    assert (row.state, row.attempts) == ("waiting", 1)


def test_q7_q8_saq_sweeps_retries_and_ends_nothing_in_redis(load: Load, valkey: Valkey) -> None:
    """A sweep takes a job that is not yet marked as active for dead; and a sweeper that is killed
    leaves it in no list at all."""
    load.ask("add", 1)
    tell_all(load, valkey)

    async def all_of_it(queue: WakeQueue) -> None:
        assert await queue.sweep() == []
        assert await queue.schedule() == []
        assert await queue.depth() == 1
        message = await queue.dequeue(1.0)
        assert message
        await message.update(status=Status.ACTIVE)
        await message.retry("cancelled")
        await message.finish(Status.FAILED, error="x")

    with_queue(valkey, all_of_it)
    # Jobs of other tests may have been told as well: of this queue nothing is left.
    assert list(valkey.client.scan_iter(f"saq:{QUEUE}:*")) == []
    assert {key.rpartition(b":")[2] for key in valkey.client.scan_iter()} <= {b"wake"}
    assert load.states() == {"waiting": 1}


def test_the_methods_that_are_replaced_are_saq_s() -> None:
    """A new release of SAQ must not come with one that does the same under another name."""
    ours = {name for name, made in vars(WakeQueue).items() if inspect.isfunction(made)}
    assert ours & set(dir(RedisQueue)) == {
        "__init__", "dequeue", "_update", "_finish", "_retry", "schedule", "sweep",
    }  # fmt: skip
    for name in ("dequeue", "schedule", "sweep"):
        assert list(inspect.signature(getattr(WakeQueue, name)).parameters) == list(
            inspect.signature(getattr(RedisQueue, name)).parameters
        )


def test_q12_a_message_holds_a_name_and_nothing_else(load: Load, valkey: Valkey) -> None:
    [job] = load.ask("add", 1)
    tell_all(load, valkey)
    [key] = valkey.client.keys(f"*:{QUEUE}:*")
    [message] = valkey.client.zrange(key, 0, -1)
    assert message.decode() == f"{load.scope.tenant_id}.{job}"


@pytest.mark.parametrize(
    "message", [b"", b"x", b"\xff", b"a.b", b"00000000-0000-0000-0000-000000000000.x"]
)
def test_a_message_that_is_not_ours_is_dropped_and_the_worker_goes_on(
    load: Load, valkey: Valkey, start: Start, message: bytes
) -> None:
    load.ask("add", 1)
    tell_all(load, valkey)
    [key] = valkey.client.keys(f"*:{QUEUE}:*")
    valkey.client.zadd(key, {message: 0})
    worker = start().ready()
    load.await_states(done=1)
    assert worker.lives
    assert depth(valkey) == 0
