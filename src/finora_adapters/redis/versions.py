"""Bytes kept under a tenant's data version: an old version's bytes are never asked for again."""

from collections.abc import Callable, Mapping
from typing import Any, cast
from uuid import UUID

import attrs

from finora_adapters.redis.asking import Asker, Question, Script

# Two writers may come in either order: a version never goes back. The copy ends after a while, so
# that one which missed a write is not believed for long.
_SET = Script("""
local at = tonumber(redis.call('GET', KEYS[1]) or '-1') or -1
if tonumber(ARGV[1]) > at then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
""")
_GET = Script("""
local version = redis.call('GET', KEYS[1])
if not version then return {false, false} end
return {version, redis.call('GET', KEYS[1] .. ':' .. version .. ':' .. ARGV[1])}
""")
_VERSION_S = 60


@attrs.define
class Found:
    version: int | None
    """The tenant's version; None where Redis does not know it."""
    body: bytes | None


@attrs.define
class VersionedCache:
    """Without Redis everything is a miss: readers read the database, writers write it."""

    asker: Asker
    read: Callable[[bool], None] = lambda hit: None
    """Told of every read, whether it found something."""

    def get(self, tenant_id: UUID, name: str) -> Found:
        """The version and what is kept under it by that name, in one round trip."""
        said = self.asker.ask(self.question(tenant_id, name))
        return self.found(None if said is None else said[0])

    def question(self, tenant_id: UUID, name: str) -> Question:
        """What `get` asks, for a round trip that asks more; `found` reads the answer."""
        return _GET.with_keys([_key(tenant_id)], name)

    def found(self, answer: Any) -> Found:
        said, body = answer if isinstance(answer, list) else (None, None)
        self.read(body is not None)
        return Found(number(said), body)

    def version_of(self, tenant_id: UUID) -> Question:
        """Answered by the version, or None."""
        return Question(("GET", _key(tenant_id)))

    def put(self, tenant_id: UUID, version: int, name: str, body: bytes, seconds: int) -> None:
        """Keep bytes that were read at the version, or after it."""
        self.publish(tenant_id, version)
        kept = ("SET", f"{_key(tenant_id)}:{version}:{name}", body, "EX", seconds)
        self.asker.ask(Question(kept))

    def publish(self, tenant_id: UUID, version: int) -> None:
        """Tell every process of the version; what was kept under an older one is forgotten."""
        self.asker.ask(_SET.with_keys([_key(tenant_id)], version, _VERSION_S))

    def publish_all(self, versions: Mapping[UUID, int]) -> None:
        for tenant_id, version in versions.items():
            self.publish(tenant_id, version)

    @property
    def answers(self) -> bool:
        return self.asker.ask(Question(("PING",))) is not None


def number(answer: object) -> int | None:
    """A version as Redis has it; None for none, and for what somebody else wrote there."""
    digits = isinstance(answer, bytes) and answer.isdigit() and len(answer) < 20
    return int(cast(bytes, answer)) if digits else None


def _key(tenant_id: UUID) -> str:
    return f"finora:{{{tenant_id}}}"
