"""Bytes kept under a tenant's data version: an old version's bytes are never asked for again."""

import hashlib
import time
from collections.abc import Callable, Mapping
from uuid import UUID

import attrs
import redis
from redis.exceptions import NoScriptError

# Two writers may come in either order: a version never goes back. The copy ends after a while, so
# that one which missed a write is not believed for long.
_SET = """
local at = tonumber(redis.call('GET', KEYS[1]) or '-1')
if tonumber(ARGV[1]) > at then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
"""
_GET = """
local version = redis.call('GET', KEYS[1])
if not version then return {false, false} end
return {version, redis.call('GET', KEYS[1] .. ':' .. version .. ':' .. ARGV[1])}
"""
_DIGESTS = {each: hashlib.sha1(each.encode()).hexdigest() for each in (_SET, _GET)}
_UNKNOWN = object()
_VERSION_S = 60
_PAUSE_S = 1.0


@attrs.define
class Found:
    version: int | None
    """The tenant's version; None where Redis does not know it."""
    body: bytes | None


@attrs.define
class VersionedCache:
    """Without Redis everything is a miss: readers read the database, writers write it."""

    client: redis.Redis
    read: Callable[[bool], None] = lambda hit: None
    """Told of every read, whether it found something."""
    asked: Callable[[bool], None] = lambda answered: None
    """Told of every question to Redis, whether it was answered."""
    _away_until: float = 0.0

    def get(self, tenant_id: UUID, name: str) -> Found:
        """The version and what is kept under it by that name, in one round trip."""
        said = self._script(_GET, _key(tenant_id), name)
        version, body = said if isinstance(said, list) else (None, None)
        self.read(body is not None)
        return Found(None if version is None else int(version), body)

    def put(self, tenant_id: UUID, version: int, name: str, body: bytes, seconds: int) -> None:
        """Keep bytes that were read at the version, or after it."""
        self.publish(tenant_id, version)
        self._ask("SET", f"{_key(tenant_id)}:{version}:{name}", body, "EX", seconds)

    def publish(self, tenant_id: UUID, version: int) -> None:
        """Tell every process of the version; what was kept under an older one is forgotten."""
        self._script(_SET, _key(tenant_id), version, _VERSION_S)

    def publish_all(self, versions: Mapping[UUID, int]) -> None:
        for tenant_id, version in versions.items():
            self.publish(tenant_id, version)

    @property
    def answers(self) -> bool:
        return self._ask("PING") is not None

    def _script(self, script: str, key: str, *arguments: object) -> object:
        """Run a script by its digest; with its text where the server does not know it yet."""
        said = self._ask("EVALSHA", _DIGESTS[script], 1, key, *arguments)
        if said is _UNKNOWN:
            return self._ask("EVAL", script, 1, key, *arguments)
        return said

    def _ask(self, *command: object) -> object:
        # While Redis is away a request must not wait for it each time anew.
        if time.monotonic() < self._away_until:
            return None
        try:
            said: object = self.client.execute_command(*command)  # type: ignore[no-untyped-call]  # upstream
        except NoScriptError:
            said = _UNKNOWN
        except (redis.RedisError, OSError):
            self.asked(False)
            self._away_until = time.monotonic() + _PAUSE_S
            return None
        self.asked(True)
        return said


def _key(tenant_id: UUID) -> str:
    return f"finora:{{{tenant_id}}}"
