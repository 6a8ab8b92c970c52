"""How often sources may be asked, counted by all processes together."""

import logging
from collections.abc import Sequence
from typing import Any

import attrs

from finora_adapters.redis.asking import Asker, Script
from finora_adapters.upstream.limiter import LocalLimiter, window_ms
from finora_core.plugins import Limit

_log = logging.getLogger("finora.upstream")

# KEYS: one for each limit. ARGV: its requests and milliseconds. Answers the milliseconds to wait;
# 0: taken. Nothing is taken where one of them is used up.
_TAKE = Script("""
local time = redis.call('TIME')
local now, wait = time[1] * 1000 + math.floor(time[2] / 1000), 0
for i, key in ipairs(KEYS) do
  local window = tonumber(ARGV[2 * i])
  local oldest = redis.call('LINDEX', key, ARGV[2 * i - 1] - 1)
  if oldest then wait = math.max(wait, window - (now - tonumber(oldest))) end
end
if wait <= 0 then
  for i, key in ipairs(KEYS) do
    redis.call('LPUSH', key, now)
    redis.call('LTRIM', key, 0, ARGV[2 * i - 1] - 1)
    redis.call('PEXPIRE', key, ARGV[2 * i])
  end
end
return math.max(wait, 0)
""")


@attrs.define
class SharedLimiter:
    """Of all processes; of this one alone while Redis does not answer, and it says so."""

    asker: Asker
    local: LocalLimiter = attrs.field(factory=LocalLimiter)
    _told: bool = attrs.field(default=False, init=False)

    def take(self, key: str, limits: Sequence[Limit]) -> int:
        if not limits:
            return 0
        # One slot of a cluster: they are judged together.
        keys = [f"finora:upstream:{{{key}}}:{each.requests}/{each.seconds}" for each in limits]
        counts: list[Any] = []
        for each in limits:
            counts += [each.requests, window_ms(each)]
        answers = self.asker.ask(_TAKE.with_keys(keys, *counts))
        if answers is None:
            if not self._told:
                _log.warning("requests to providers are counted by each process alone: no Redis")
            self._told = True
            return self.local.take(key, limits)
        self._told = False
        return int(answers[0])
