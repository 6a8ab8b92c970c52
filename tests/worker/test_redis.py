"""Redis may lose everything, go away, stand still or evict: no job is lost with it."""

import asyncio
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis.exceptions import RedisError

from finora_adapters.redis.client import connect_async
from finora_adapters.redis.queue import WakeQueue
from finora_core.kernel.errors import Unavailable
from finora_worker.upkeep import Relay, forever
from servers import Valkey, eventually
from worker.load import QUEUE, Load, once
from worker.processes import WorkerProcess

Start = Callable[..., WorkerProcess]


def tell_all(load: Load, valkey: Valkey) -> None:
    """As a worker's relay does, without anybody who serves the queue."""

    async def tell() -> None:
        async with connect_async(valkey.url, 4) as client:
            with ThreadPoolExecutor(1) as threads:
                relay = Relay(load.queue, lambda name: WakeQueue(client, name), threads)
                await relay.act()

    asyncio.run(tell())


def depth(valkey: Valkey) -> int:
    async def ask() -> int:
        async with connect_async(valkey.url, 4) as client:
            return await WakeQueue(client, QUEUE).depth()

    return asyncio.run(ask())


def rename(valkey: Valkey) -> None:
    for key in list(valkey.client.scan_iter()):
        valkey.client.rename(key, b"elsewhere:" + key)


def restart_empty(valkey: Valkey) -> None:
    valkey.kill()
    valkey.start()


@pytest.mark.invariant("F-11")
@pytest.mark.invariant("I-22")
@pytest.mark.parametrize(
    "lose",
    [lambda valkey: valkey.client.flushall(), rename, restart_empty],
    ids=["flushed", "renamed", "restarted empty"],
)
def test_what_redis_forgets_is_told_again(
    load: Load, valkey: Valkey, start: Start, lose: Callable[[Valkey], object]
) -> None:
    """A worker announces again what nobody claimed: after ten seconds, which one of these waits."""
    load.ask("add", *range(30))
    tell_all(load, valkey)
    assert depth(valkey) == 30
    lose(valkey)
    assert depth(valkey) == 0
    if lose is not rename:
        load.announce_again()
    start().ready()
    load.await_states(done=30)
    assert load.effects() == once(range(30))


@pytest.mark.invariant("F-11")
def test_a_message_lies_on_the_queue_once_and_can_be_told_again_when_taken(
    load: Load, valkey: Valkey
) -> None:
    """SAQ's unique keys hold until a job ends; ours only while the message lies there (Q12)."""
    load.ask("add", *range(5))
    for _ in range(3):
        tell_all(load, valkey)
        load.announce_again()
    assert depth(valkey) == 5

    async def take() -> list[str]:
        async with connect_async(valkey.url, 4) as client:
            queue = WakeQueue(client, QUEUE)
            taken = [await queue.dequeue(1.0) for _ in range(5)]
            assert await queue.dequeue(0.1) is None
            return [job.kwargs["job"] for job in taken if job and job.kwargs]

    assert sorted(asyncio.run(take())) == sorted(str(job) for job in load.rows())
    tell_all(load, valkey)
    assert depth(valkey) == 5


@pytest.mark.invariant("F-14")
def test_while_redis_is_away_the_worker_rests_and_then_drains(
    load: Load, valkey: Valkey, start: Start
) -> None:
    """SAQ alone would ask again at once, on a whole core (Q2)."""
    worker = start().ready()
    load.ask("add", 0)
    load.await_states(done=1)
    valkey.kill()
    load.ask("add", *range(1, 20))
    assert worker.cpu_share(4) < 0.2
    assert worker.lives
    valkey.start()
    load.await_states(done=20)
    assert load.effects() == once(range(20))


@pytest.mark.invariant("F-13")
def test_a_redis_that_stands_still_holds_up_nothing_for_ever(
    load: Load, valkey: Valkey, start: Start
) -> None:
    worker = start().ready()
    valkey.signal(signal.SIGSTOP)
    load.ask("add", *range(10))
    assert worker.cpu_share(4) < 0.2
    valkey.signal(signal.SIGCONT)
    load.await_states(done=10)
    assert load.effects() == once(range(10))


@pytest.mark.invariant("F-12")
@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_evicts_is_refused(
    load: Load, valkey: Valkey, start: Start, policy: str
) -> None:
    valkey.client.config_set("maxmemory-policy", policy)
    load.ask("add", 1)
    worker = start()
    assert worker.process.wait(60) not in (0, None)
    assert policy in worker.said
    assert load.states() == {"waiting": 1}


@pytest.mark.invariant("F-14")
@pytest.mark.parametrize(
    "error", [Unavailable("away"), RedisError(), OSError(), RuntimeError()], ids=repr
)
def test_a_loop_that_fails_does_not_spin(error: Exception) -> None:
    """The relay has no pause of its own between two rounds: that must not be doubled to none."""
    rounds = 0

    async def act() -> None:
        nonlocal rounds
        rounds += 1
        raise error

    async def some_time() -> None:
        loop = asyncio.create_task(forever("test", act, 0.0))
        await asyncio.sleep(0.3)
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)

    asyncio.run(some_time())
    assert rounds == 1


@pytest.mark.invariant("F-13")
def test_an_address_without_redis_is_no_wait(load: Load, valkey: Valkey) -> None:
    valkey.kill()
    os.unlink(valkey.socket)

    async def ask() -> object:
        async with connect_async(valkey.url, 4) as client:
            with pytest.raises(RedisError):
                await WakeQueue(client, QUEUE).tell(load.queue.announce(10))
            return await WakeQueue(client, QUEUE).dequeue(1.0)

    load.ask("add", 1)
    eventually(lambda: asyncio.run(ask()) is None, "it gives something")
