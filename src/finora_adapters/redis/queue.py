"""The wake-up queue: SAQ's, less all that would be a second truth about a job.

SAQ keeps jobs in Redis, sweeps those it thinks stuck and retries them; each of these can lose a job
or run it twice (`docs/decisions.md`). Here a message is a name of a row in Postgres and no more: it
is off the queue as soon as it is taken, and a lost one is announced again.

The whole queue is one sorted set, so that it can be lost, renamed or evicted only as a whole: a
note elsewhere that a message lies on the queue would outlive it, and keep it from being told again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from redis import asyncio as aioredis
from redis.exceptions import RedisError
from saq.job import Job, Status
from saq.queue.redis import RedisQueue

from finora_core.jobs.model import Wakeup

FUNCTION = "run"
_PAUSE_S = 1.0
# A message is on the queue once, however often its job is announced while it lies there. First
# told, first taken, by the clock of Redis.
_TELL = """
local now = redis.call('TIME')
local at = now[1] * 1000000 + now[2]
local added = 0
for i = 1, #ARGV do
  added = added + redis.call('ZADD', KEYS[1], 'NX', at + i, ARGV[i])
end
return added
"""


class WakeQueue(RedisQueue):
    """One named queue of wake-ups. Without Redis, taking waits quietly and telling fails."""

    def __init__(self, redis: aioredis.Redis, name: str) -> None:
        super().__init__(redis, name)
        self._wake = self.namespace("wake")
        self._tell = redis.register_script(_TELL)
        # The client's own methods are typed for threads and for loops at once.
        self._ask: Callable[..., Awaitable[Any]] = redis.execute_command

    async def tell(self, wakeups: Iterable[Wakeup]) -> int:
        """Put messages on the queue, in one round trip; how many were not there yet. Raises
        RedisError."""
        words = [f"{wakeup.tenant_id}.{wakeup.id}" for wakeup in wakeups]
        return int(await self._tell(keys=[self._wake], args=words)) if words else 0

    async def depth(self) -> int:
        return int(await self._ask("ZCARD", self._wake))

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Job | None:
        try:
            taken = await self._ask("BZPOPMIN", self._wake, timeout)
        except (RedisError, OSError):
            # SAQ would ask again at once, for ever, on a whole core.
            await asyncio.sleep(_PAUSE_S)
            return None
        if not taken:
            return None
        key = taken[1].decode()
        tenant, _, job = key.partition(".")
        kwargs = {"tenant": tenant, "job": job}
        # SAQ's own limits are off: the lease in Postgres decides who may run a job, how long.
        return Job(FUNCTION, kwargs=kwargs, queue=self, key=key, timeout=0, retries=1)

    async def _update(self, job: Job, status: Status | None = None, **kwargs: Any) -> None:
        job.status = status or job.status

    async def _finish(self, job: Job, status: Status, **kwargs: Any) -> None:
        job.status = status

    async def _retry(self, job: Job, error: str | None) -> None:
        """The row in Postgres says when, and whether, it is tried again."""

    async def schedule(self, lock: int = 1) -> list[str]:
        return []

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:
        return []
