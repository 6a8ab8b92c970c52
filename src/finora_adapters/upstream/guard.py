"""Providers as the host asks them: always with an outcome, in time, and believed only in bounds.

A provider that crashes, hangs, floods or lies is set aside alone, with its reason; whoever asks it
then is told so at once, and everybody else's provider works.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, TypeVar

import attrs

from finora_adapters.upstream.http import CALL, Call, UpstreamHttp
from finora_core.kernel.breaker import Breaker
from finora_core.kernel.clock import Clock
from finora_core.kernel.outcome import (
    Ambiguous,
    AuthExpired,
    Down,
    Missing,
    Ok,
    Outcome,
    OverBudget,
    Partial,
    RateLimited,
    Unsupported,
)
from finora_core.plugins import (
    Access,
    AssetRef,
    Batch,
    Day,
    Held,
    Identified,
    Movement,
    Provider,
    Provides,
    Quoted,
    answer_of,
)

_log = logging.getLogger("finora.upstream")
T = TypeVar("T")
_OUTCOMES = (
    Ok, Partial, RateLimited, OverBudget, AuthExpired, Unsupported, Missing, Ambiguous, Down,
)  # fmt: skip
_KIND_OF = {"latest": "prices", "history": "prices", "rates": "rates", "find": "assets",
            "balances": "balances", "transactions": "transactions"}  # fmt: skip
_CRASHES = 3
_MOST_ITEMS = 100_000
_WIDE = Context(prec=120)
_SKEW = timedelta(days=1)
"""How far ahead of ours a provider's clock may be."""


class Lie(Exception):
    """An answer that the contract does not allow."""


@attrs.define
class Guarded:
    """One source. Its methods are those of its kinds, and never raise."""

    providers: dict[str, Provider]
    """By kind: a source of two may be two classes, or one."""
    provides: Provides
    http: UpstreamHttp
    clock: Clock
    limit_s: float = 60.0
    """Of one question, whatever it asks over Http."""
    most_requests: int = 200
    """Of one question."""
    aside: str | None = attrs.field(default=None, init=False)
    """Why it was set aside, until this process ends."""
    _breaker: Breaker = attrs.field(init=False)
    _crashes: int = attrs.field(default=0, init=False)
    _made: dict[str, Any] = attrs.field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._breaker = Breaker(self.clock, failures=5)

    @property
    def missing(self) -> tuple[str, ...]:
        """Fields of the credentials that it needs and does not have."""
        return tuple(
            each.field
            for each in self.provides.credentials
            if each.required and each.field not in self.http.credentials
        )

    # --- what it is asked -------------------------------------------------------------------------

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        if "latest" not in self.provides.capabilities:
            return Unsupported()
        wanted = {each.id for each in assets}

        def judged(value: Any) -> tuple[Sequence[Quoted], int]:
            kept: dict[str, Quoted] = {}
            odd = 0
            for each in _sequence(value, Quoted):
                if each.asset not in wanted or each.quote != quote:
                    raise Lie(f"it answers with {each.asset} in {each.quote}, which was not asked")
                if not _is_price(each.price) or not self._is_time(each.at):
                    odd += 1
                else:
                    kept.setdefault(each.asset, each)
            return list(kept.values()), odd

        return self._ask("latest", judged, assets, quote)

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]:
        if "history" not in self.provides.capabilities:
            return Unsupported()
        return self._ask(
            "history", lambda value: _days(value, since, until), asset, quote, since, until
        )

    def rates(
        self, base: str, quotes: Sequence[str], since: date, until: date
    ) -> Outcome[Mapping[str, Sequence[Day]]]:
        def judged(value: Any) -> tuple[Mapping[str, Sequence[Day]], int]:
            if not isinstance(value, Mapping) or not set(value) <= set(quotes):
                raise Lie("it answers with currencies that were not asked")
            read = {quote: _days(days, since, until) for quote, days in value.items()}
            return {quote: days for quote, (days, _) in read.items()}, sum(
                odd for _, odd in read.values()
            )

        return self._ask("rates", judged, base, quotes, since, until)

    def find(self, text: str) -> Outcome[Sequence[Identified]]:
        return self._ask("find", lambda value: (_sequence(value, Identified), 0), text)

    def balances(self, account: str) -> Outcome[Sequence[Held]]:
        def judged(value: Any) -> tuple[Sequence[Held], int]:
            held = _sequence(value, Held)
            kept = [each for each in held if _is_quantity(each.quantity, each.scale)]
            return kept, len(held) - len(kept)

        return self._ask("balances", judged, account)

    def transactions(self, account: str, cursor: str | None) -> Outcome[Batch]:
        def judged(value: Any) -> tuple[Batch, int]:
            if not isinstance(value, Batch) or not isinstance(value.next, str | None):
                raise Lie("it does not answer with a Batch")
            moved = _sequence(value.movements, Movement)
            kept = {
                each.id: each
                for each in moved
                if _is_quantity(each.quantity, each.scale) and self._is_time(each.at)
            }
            odd = len({each.id for each in moved}) - len(kept)
            return Batch(movements=list(kept.values()), next=value.next), odd

        return self._ask("transactions", judged, account, cursor)

    # --- how --------------------------------------------------------------------------------------

    def _ask(self, method: str, judged: Callable[[Any], tuple[T, int]], *given: Any) -> Outcome[T]:
        if _KIND_OF[method] not in self.providers:
            return Unsupported()
        if self.aside is not None:
            return Down(f"{self.provides.name} was set aside: {self.aside}")
        if self.missing:
            return AuthExpired()
        if (refused := self._breaker.refused()) is not None:
            return refused
        call = Call(ends=time.monotonic() + self.limit_s, most=self.most_requests)
        outcome = self._judged(judged, self._run(method, call, given))
        if call.breach is not None:
            outcome = self._set_aside(call.breach)
        if not isinstance(outcome, OverBudget):
            self._breaker.note(outcome)
        return outcome

    def _run(self, method: str, call: Call, given: tuple[Any, ...]) -> Outcome[Any]:
        """In a thread of its own: one that hangs holds up nobody else."""
        done: list[Outcome[Any]] = []

        def work() -> None:
            CALL.set(call)
            done.append(self._called(method, given))

        thread = threading.Thread(target=work, name=f"source-{self.provides.name}", daemon=True)
        thread.start()
        # Its requests are over by then: a second more is for what it does with the answers.
        thread.join(max(call.ends - time.monotonic(), 0) + 1)
        if thread.is_alive():
            return self._set_aside(f"it does not answer within {self.limit_s:g} s")
        return done[0] if done else Down("it ended without an answer")

    def _called(self, method: str, given: tuple[Any, ...]) -> Outcome[Any]:
        try:
            kind = _KIND_OF[method]
            if kind not in self._made:
                self._made[kind] = self.providers[kind](
                    Access(
                        http=self.http,
                        now=self.clock.now,
                        credentials=self.http.credentials,
                        log=self._logged,
                    )
                )
            outcome = answer_of(lambda: getattr(self._made[kind], method)(*given))
        # Whatever a stranger's code raises is its own affair; an exit too.
        except (Exception, SystemExit) as error:
            self._crashes += 1
            said = self.http.redacted(f"it crashes: {type(error).__name__}: {error}"[:300])
            return self._set_aside(said) if self._crashes >= _CRASHES else Down(said)
        self._crashes = 0
        return outcome

    def _judged(self, judged: Callable[[Any], tuple[T, int]], outcome: Any) -> Outcome[T]:
        """What is believed of it. Single values that are none are left out, and said so; an answer
        to another question is a lie."""
        try:
            if not isinstance(outcome, _OUTCOMES):
                raise Lie(f"it answers with {type(outcome).__name__}, and no outcome")
            if isinstance(outcome, Down):
                return Down(self.http.redacted(str(outcome.reason))[:300])
            if isinstance(outcome, RateLimited | OverBudget):
                return attrs.evolve(outcome, retry_after=max(int(outcome.retry_after), 1))
            if not isinstance(outcome, Ok | Partial):
                return outcome
            value, odd = judged(outcome.value)
            gaps = [outcome.gap] if isinstance(outcome, Partial) else []
            gaps += [f"{odd} values could not be believed"] if odd else []
            return Partial(value, "; ".join(map(str, gaps))) if gaps else Ok(value)
        except Lie as lie:
            return self._set_aside(self.http.redacted(str(lie))[:300])
        except Exception as error:
            return self._set_aside(f"its answer cannot be read: {type(error).__name__}")

    def _is_time(self, at: object) -> bool:
        if not isinstance(at, datetime) or at.utcoffset() is None:
            return False
        return at <= self.clock.now() + _SKEW

    def _set_aside(self, reason: str) -> Down:
        if self.aside is None:
            self.aside = reason
            _log.error("source %s is set aside: %s", self.provides.name, reason)
        return Down(f"{self.provides.name} was set aside: {self.aside}")

    def _logged(self, text: str) -> None:
        _log.info("source %s: %s", self.provides.name, self.http.redacted(str(text))[:1000])


def _sequence(value: Any, kind: type[T]) -> Sequence[T]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise Lie(f"it answers with {type(value).__name__}, and no sequence")
    if len(value) > _MOST_ITEMS:
        raise Lie(f"it answers with {len(value)} items")
    if not all(type(each) is kind for each in value):
        raise Lie(f"it answers with what is no {kind.__name__}")
    return value


def _days(value: Any, since: date, until: date) -> tuple[Sequence[Day], int]:
    kept: dict[date, Day] = {}
    days = _sequence(value, Day)
    for each in days:
        if type(each.on_date) is not date or not since <= each.on_date <= until:
            raise Lie(f"it answers with {each.on_date}, which was not asked")
        if _is_price(each.price):
            kept.setdefault(each.on_date, each)
    odd = len({each.on_date for each in days}) - len(kept)
    return [kept[day] for day in sorted(kept)], odd


def _is_price(value: object) -> bool:
    """Whether it is one that can be reckoned with. Whether it is a likely one is for the market."""
    if type(value) is not Decimal or not value.is_finite() or value <= 0:
        return False
    return abs(value.adjusted()) <= 36 and len(value.as_tuple().digits) <= 80


def _is_quantity(value: object, scale: object) -> bool:
    if type(value) is not Decimal or not value.is_finite() or type(scale) is not int:
        return False
    if not 0 <= scale <= 36 or abs(value) >= 10**40:
        return False
    # As units: what has more digits than it is counted in is no quantity of it.
    return value.scaleb(scale, _WIDE) == value.scaleb(scale, _WIDE).to_integral_value()
