"""How often may be asked: counters that all processes share.

A sliding window over two fixed ones: of the window before, what is left of it counts (the method of
Cloudflare's "counting things, a lot of different things", 2017). One round trip, whatever is asked.
"""

from collections.abc import Sequence
from typing import Any

import attrs

from finora_adapters.redis.asking import Asker, Question, Script

# KEYS: one for each use. ARGV: its count and seconds. Answers the milliseconds to wait; 0: taken.
# Nothing is counted where one of them is used up, so that being refused costs nothing more.
_TAKE = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wait, counters = 0, {}
for i, key in ipairs(KEYS) do
  local most, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i]) * 1000
  local slot, into = math.floor(now / window), now % window
  local counter = key .. ':' .. slot
  local here = tonumber(redis.call('GET', counter) or '0')
  local before = tonumber(redis.call('GET', key .. ':' .. (slot - 1)) or '0')
  if before * (1 - into / window) + here + 1 > most then
    local left
    if here + 1 <= most then
      left = math.ceil(window * (1 - (most - here - 1) / before)) - into
    else
      -- All of this window counts in the next one, until enough of that has gone by.
      left = window - into + math.ceil(window * (1 - (most - 1) / here))
    end
    wait = math.max(wait, left, 1)
  end
  counters[i] = {counter, window}
end
if wait == 0 then
  for _, each in ipairs(counters) do
    redis.call('INCR', each[1])
    redis.call('PEXPIRE', each[1], 2 * each[2])
  end
end
return wait
""")


@attrs.frozen
class Policy:
    """At most `count` in `seconds`, of whoever it is counted for."""

    name: str
    count: int
    seconds: int
    closed: bool = False
    """Whether nobody passes while the counters cannot be reached."""


@attrs.frozen
class Use:
    policy: Policy
    who: str


@attrs.frozen
class Limits:
    asker: Asker

    def question(self, uses: Sequence[Use]) -> Question:
        """One more of each; the answer is for how many milliseconds to wait, 0 for not at all."""
        keys = [f"finora:limit:{{{each.who}}}:{each.policy.name}" for each in uses]
        counts: list[Any] = []
        for each in uses:
            counts += [each.policy.count, each.policy.seconds]
        return _TAKE.with_keys(keys, *counts)
