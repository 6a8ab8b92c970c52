"""The loops beside the jobs: announce ready rows, start what the clock says, seal the log.

Each may run any number of times at once, in any number of processes: what decides is a row, a lock
or a key in Postgres, and the database's clock.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress

import attrs
import psycopg
from redis.exceptions import RedisError

from finora_adapters.redis.queue import WakeQueue
from finora_core.jobs.model import Wakeup
from finora_core.jobs.ports import Queue
from finora_core.kernel.errors import Unavailable

log = logging.getLogger("finora.worker")

BATCH = 500
POLL_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 10.0


async def forever(what: str, act: Callable[[], Awaitable[None]], every_s: float) -> None:
    """Do it again and again until cancelled; a store that does not answer is asked less often."""
    pause = every_s
    while True:
        try:
            await act()
            pause = every_s
        except (Unavailable, RedisError, psycopg.OperationalError, OSError) as error:
            # Doubled from nothing it would be nothing, and the loop would take a whole core.
            pause = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, pause * 2))
            log.warning("%s: %s; again in %.0f s", what, error, pause)
        except Exception:
            # A fault of ours must not end the loop for good: what it keeps would stand still.
            pause = max(_FIRST_PAUSE_S, every_s)
            log.exception("%s failed; again in %.0f s", what, pause)
        await asyncio.sleep(pause)


@attrs.define
class Relay:
    """From job rows to wake-ups. Rows are noted as told first, so nothing is told inside a
    transaction; a wake-up that is then lost is told again by whoever looks next."""

    queue: Queue
    channel: Callable[[str], WakeQueue]
    threads: Executor
    woken: asyncio.Event = attrs.field(factory=asyncio.Event)
    _round: asyncio.Future[int] | None = None

    async def act(self) -> None:
        """Announce until nothing is left, then wait for news, or for a second."""
        # What is noted is told, also when the worker is stopped in between: else it would be told
        # again by another, but ten seconds later.
        news = True
        while news:
            self._round = asyncio.ensure_future(self._announce())
            news = bool(await asyncio.shield(self._round))
        # Not wait_for, which swallows a cancellation that comes together with the news (until
        # Python 3.12): the loop would go on, and the process never stop.
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self.woken.wait()
        self.woken.clear()

    async def rest(self) -> None:
        """Wait until all that was noted is told."""
        if self._round is not None:
            await asyncio.wait([self._round])

    async def _announce(self) -> int:
        """Tell a batch; how much of it was news."""
        loop = asyncio.get_running_loop()
        told: dict[str, list[Wakeup]] = defaultdict(list)
        for wakeup in await loop.run_in_executor(self.threads, self.queue.announce, BATCH):
            told[wakeup.queue].append(wakeup)
        # Of a long backlog everything is due again and lies on the queue still: then one batch a
        # second will do. What is new comes first.
        return sum([await self.channel(name).tell(some) for name, some in told.items()])

    async def listen(self, dsn: str) -> None:
        """Wake `act` whenever a transaction that made a job commits."""
        connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5)
        async with connection:
            await connection.execute("listen finora_job")
            self.woken.set()
            async for _ in connection.notifies():
                self.woken.set()
