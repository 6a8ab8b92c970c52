"""Connections to Redis: short waits, so that a request never hangs on what it can do without."""

from typing import Any

import redis
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from finora_core.kernel.errors import Unavailable

_CONNECT_S, _ANSWER_S = 1.0, 3.0


class RedisUnavailable(Unavailable):
    """Redis does not answer. Nothing is lost with it; what needs it waits."""

    code = "REDIS_UNAVAILABLE"


class RedisEvicts(Unavailable):
    """Redis is set to evict keys, which would drop wake-ups silently."""

    code = "REDIS_EVICTS"


def connect(url: str, connections: int = 32) -> redis.Redis:
    """For threads. One try: the caller has another way, and must not wait long for this one."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=_CONNECT_S,
        socket_timeout=_ANSWER_S,
        retry=Retry(NoBackoff(), 0),
        max_connections=connections,
    )


def connect_async(url: str, connections: int) -> aioredis.Redis:
    """For the worker's loop. Nothing it asks for may take as long as the limit on an answer, or a
    server that went silent would be waited for for ever. One more try: after a restart of the
    server every pooled connection is broken."""
    return aioredis.from_url(
        url,
        socket_connect_timeout=_CONNECT_S,
        socket_timeout=_ANSWER_S,
        retry=AsyncRetry(NoBackoff(), 1),
        max_connections=connections,
    )


def require_no_eviction(client: redis.Redis) -> None:
    """Raise RedisEvicts where memory pressure would drop keys; RedisUnavailable where it does not
    answer. A server that hides its settings is believed."""
    try:
        said: Any = client.config_get("maxmemory-policy")
    except redis.ResponseError:
        return
    except (redis.RedisError, OSError) as error:
        raise RedisUnavailable("Redis does not answer") from error
    policy = said.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        raise RedisEvicts(f"Redis runs with maxmemory-policy {policy}; set it to noeviction")
