"""Whether the process can do its work, and what of it."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from finora_core.jobs.model import QueueStatus
from finora_core.kernel.errors import Refusal

_KEPT_S = 1.0


@attrs.define
class Health:
    """Each check raises a refusal where something is wrong, and returns where it is not."""

    needed: dict[str, Callable[[], object]]
    """Without one of these nothing works."""
    wanted: dict[str, Callable[[], object]]
    """Without one of these the process still answers, more slowly."""
    extra: dict[str, Callable[[], object]]
    """Looked at by /health/deep alone."""
    stores: dict[str, str]
    """What keeps each kind of thing."""
    queues: Callable[[], Iterable[QueueStatus]]
    seal_lag_s: Callable[[], float | None]
    connections: Callable[[], int]
    sources: Callable[[], Mapping[str, str]] = dict
    """How each source of prices and the like fares. A source that lacks its key, or rests, is no
    fault of this installation's."""
    _found: dict[str, tuple[float, str]] = attrs.field(factory=dict)

    def checks(self) -> dict[str, str]:
        """What the process needs, each `ok` or the reason why not."""
        return {name: self._check(name, check) for name, check in self.needed.items()}

    def summary(self) -> tuple[dict[str, Any], int]:
        """ok; degraded without what is only wanted; 503 without what is needed."""
        needed = self.checks()
        wanted = {name: self._check(name, check) for name, check in self.wanted.items()}
        alive = all(said == "ok" for said in needed.values())
        whole = alive and all(said == "ok" for said in wanted.values())
        database = needed.get("database") == "ok"
        body = {
            "status": "ok" if whole else "degraded",
            "service": "finora",
            "database": "connected" if database else "disconnected",
            "cache": "connected" if wanted.get("redis") == "ok" else "disconnected",
            "stores": self.stores,
            "timestamp": datetime.now(UTC).isoformat(),
        }
        return body, 200 if alive else 503

    def deep(self) -> tuple[dict[str, Any], int]:
        body, status = self.summary()
        every = self.needed | self.wanted | self.extra
        checks = {name: self._check(name, check) for name, check in every.items()}
        return body | {"checks": checks, "sources": dict(self.sources())}, status

    def _check(self, name: str, check: Callable[[], object]) -> str:
        # Probes come from many sides at once; the database is asked once a second.
        now = time.monotonic()
        at, said = self._found.get(name, (-_KEPT_S, ""))
        if now - at < _KEPT_S:
            return said
        try:
            check()
            said = "ok"
        except Refusal as refusal:
            said = refusal.code
        self._found[name] = (now, said)
        return said
