"""The wake-up queue: SAQ's, less all that would be a second truth about a job.

SAQ keeps jobs in Redis, sweeps those it thinks stuck and retries them; each of these can lose a job
or run it twice (`docs/decisions.md`). Here a message is a name of a row in Postgres and no more: it
is off the queue as soon as it is taken, and a lost one is announced again.
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
# A message is on the queue once, however often its job is announced while it lies there.
_PUSH = """
local added = 0
for i = 1, #ARGV, 2 do
  if redis.call('SET', ARGV[i], ARGV[i + 1], 'NX', 'EX', 3600) then
    redis.call('RPUSH', KEYS[1], ARGV[i])
    added = added + 1
  end
end
return added
"""


class WakeQueue(RedisQueue):
    """One named queue of wake-ups. Without Redis, taking waits quietly and telling fails."""

    def __init__(self, redis: aioredis.Redis, name: str) -> None:
        super().__init__(redis, name)
        self._push = redis.register_script(_PUSH)
        # The client's own methods are typed for threads and for loops at once.
        self._ask: Callable[..., Awaitable[Any]] = redis.execute_command

    async def tell(self, wakeups: Iterable[Wakeup]) -> int:
        """Put messages on the queue, in one round trip; how many were not there yet. Raises
        RedisError."""
        words: list[Any] = []
        for wakeup in wakeups:
            key = f"{wakeup.tenant_id}.{wakeup.id}"
            kwargs = {"tenant": str(wakeup.tenant_id), "job": str(wakeup.id)}
            # SAQ's own limits are off: the lease in Postgres decides who may run a job, how long.
            message = Job(FUNCTION, kwargs=kwargs, queue=self, key=key, timeout=0, retries=1)
            words += [message.id, self.serialize(message)]
        return int(await self._push(keys=[self._queued], args=words)) if words else 0

    async def depth(self) -> int:
        return int(await self._ask("LLEN", self._queued))

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Job | None:
        try:
            taken = await self._ask("BLPOP", self._queued, timeout)
            body = await self._ask("GETDEL", taken[1]) if taken else None
        except (RedisError, OSError):
            # SAQ would ask again at once, for ever, on a whole core.
            await asyncio.sleep(_PAUSE_S)
            return None
        return self.deserialize(body) if body else None

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
