"""How often keys of the data provider ask, counted by all processes together.

What is counted stays here until it is written down, whoever dies meanwhile: the counter of a quota
and the meter that is read are one hash, changed in one step.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import attrs

from finora_adapters.redis.asking import Asker, Question, Script
from finora_adapters.upstream.meter import LocalMeter
from finora_core.kernel.ids import new_id
from finora_core.market.provision.model import Account, Quota, Reading
from finora_core.market.provision.ports import Taken, Unwritten

_log = logging.getLogger("finora.data")
# One slot of a cluster: what is counted and what is to be written are changed together.
_ROOT = "finora:{data}"
_UNWRITTEN = f"{_ROOT}:unwritten"
_KEPT_S = 45 * 86_400
_NONE = -1
_AT_ONCE = 500

# KEYS: the account's hash, its window, what is to be written. ARGV: its name, day and source, most
# of the month, most and milliseconds of the window (-1: none); then, where the account is not
# known, a new meter's id, how many it has had, and how long it is kept. Answers nil where it is not
# known; else whether it was counted, requests of the month, those in the window, and milliseconds
# until the oldest leaves it.
_TAKE = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then
  if not ARGV[6] then return false end
  redis.call('HSET', KEYS[1], 'meter', ARGV[6], 'before', ARGV[7], 'used', 0, 'mark', 0)
  redis.call('EXPIRE', KEYS[1], ARGV[8])
end
local had = redis.call('HMGET', KEYS[1], 'before', 'used')
local used = tonumber(had[1]) + tonumber(had[2])
local month, most, window = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local inside, free = 0, 0
local time, now
if most >= 0 then
  time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - window)
  inside = redis.call('ZCARD', KEYS[2])
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  if oldest[2] then free = window - (now - tonumber(oldest[2])) end
  if inside >= most then return {0, used, inside, math.max(free, 1)} end
end
if month >= 0 and used >= month then return {0, used, inside, free} end
if most >= 0 then
  -- Of one millisecond there may be several: each is another member.
  redis.call('ZADD', KEYS[2], now, now .. ':' .. time[2] .. ':' .. had[2])
  redis.call('PEXPIRE', KEYS[2], window)
  inside = inside + 1
  if free == 0 then free = window end
end
redis.call('HINCRBY', KEYS[1], 'used', 1)
redis.call('HINCRBY', KEYS[1], 'n ' .. ARGV[2], 1)
redis.call('HINCRBY', KEYS[1], 'mark', 1)
redis.call('SADD', KEYS[3], ARGV[1])
return {1, used + 1, inside, free}
""")
# KEYS: the hash, what is to be written. ARGV: its name, day and source, what it cost.
_COST = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], 'c ' .. ARGV[2], ARGV[3])
redis.call('HINCRBY', KEYS[1], 'mark', 1)
redis.call('SADD', KEYS[2], ARGV[1])
return 1
""")
# KEYS: as above. ARGV: its name, the meter and the mark that were written, requests elsewhere.
_WRITTEN = Script("""
local is = redis.call('HMGET', KEYS[1], 'meter', 'mark')
if not is[1] then return redis.call('SREM', KEYS[2], ARGV[1]) end
if is[1] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'before', ARGV[4])
if is[2] == ARGV[3] then return redis.call('SREM', KEYS[2], ARGV[1]) end
return 0
""")


@attrs.define
class SharedMeter:
    """Of all processes; of this one alone while Redis does not answer, and it says so."""

    asker: Asker
    local: LocalMeter = attrs.field(factory=LocalMeter)
    _told: bool = attrs.field(default=False, init=False)

    def take(
        self,
        account: Account,
        on_date: date,
        source: str,
        quota: Quota,
        before: Callable[[Account], int],
    ) -> Taken:
        window = quota.window
        name = _name(account)
        keys = [f"{_ROOT}:use:{name}", _window_of(account, quota), _UNWRITTEN]
        given: list[Any] = [
            name,
            f"{on_date} {source}",
            _NONE if quota.monthly is None else quota.monthly,
            _NONE if window is None else window.requests,
            _NONE if window is None else window.seconds * 1000,
        ]
        answers = self.asker.ask(_TAKE.with_keys(keys, *given))
        if answers is not None and answers[0] is None:
            # Of two that find it unknown the first one's meter holds.
            given += [str(new_id()), before(account), _KEPT_S]
            answers = self.asker.ask(_TAKE.with_keys(keys, *given))
        if answers is None:
            if not self._told:
                _log.warning("requests of keys are counted by each process alone: no Redis")
            self._told = True
            return self.local.take(account, on_date, source, quota, before)
        self._told = False
        counted, used, inside, free = map(int, answers[0])
        full = window is not None and inside >= window.requests and not counted
        return Taken(wait_ms=free if full else 0, used=used, in_window=inside, window_ms=free,
                     counted=bool(counted))  # fmt: skip

    def cost(self, account: Account, on_date: date, source: str, micros: int) -> None:
        name = _name(account)
        keys = [f"{_ROOT}:use:{name}", _UNWRITTEN]
        answers = self.asker.ask(_COST.with_keys(keys, name, f"{on_date} {source}", micros))
        if answers is None or not answers[0]:
            self.local.cost(account, on_date, source, micros)

    def unwritten(self) -> Sequence[Unwritten]:
        return [*self._unwritten(), *self.local.unwritten()]

    def written(self, each: Unwritten, elsewhere: int) -> None:
        self.local.written(each, elsewhere)
        name = _name(each.account)
        keys = [f"{_ROOT}:use:{name}", _UNWRITTEN]
        self.asker.ask(_WRITTEN.with_keys(keys, name, str(each.meter), each.mark, elsewhere))

    def _unwritten(self) -> Sequence[Unwritten]:
        listed = self.asker.ask(Question(("SRANDMEMBER", _UNWRITTEN, _AT_ONCE)))
        names = sorted(each.decode() for each in listed[0]) if listed else []
        if not names:
            return []
        hashes = self.asker.ask(*(Question(("HGETALL", f"{_ROOT}:use:{name}")) for name in names))
        found = zip(names, hashes or (), strict=False)
        return [_read(_account(name), fields) for name, fields in found]


def _name(account: Account) -> str:
    return f"{account.tenant_id}:{account.key_id}:{account.month}"


def _account(name: str) -> Account:
    tenant_id, key_id, month = name.split(":")
    return Account(UUID(tenant_id), UUID(key_id), date.fromisoformat(month))


def _window_of(account: Account, quota: Quota) -> str:
    # Of another window the requests are others: a quota that changed begins anew.
    window = quota.window
    shape = "none" if window is None else f"{window.requests}/{window.seconds}"
    return f"{_ROOT}:window:{account.key_id}:{shape}"


def _read(account: Account, answer: Any) -> Unwritten:
    """Redis answers with a mapping, or with names and values in turn, by its protocol."""
    pairs = (
        answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
    )
    fields = {key.decode(): value.decode() for key, value in pairs}
    meter = UUID(fields.get("meter", str(UUID(int=0))))
    readings = []
    for field, value in fields.items():
        kind, _, place = field.partition(" ")
        if kind == "n":
            day, _, source = place.partition(" ")
            readings.append(
                Reading(
                    key_id=account.key_id,
                    on_date=date.fromisoformat(day),
                    source=source,
                    meter=meter,
                    requests=int(value),
                    cost_micros=int(fields.get(f"c {place}", 0)),
                )
            )
    return Unwritten(
        account=account, meter=meter, readings=readings, mark=int(fields.get("mark", 0))
    )
