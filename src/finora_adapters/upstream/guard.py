"""Providers as the host asks them: always with an outcome, in time, and believed only in bounds.

A provider that crashes, hangs, floods or lies is set aside alone, with its reason; whoever asks it
then is told so at once, and everybody else's provider works.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import attrs

from finora_adapters.upstream.http import CALL, Call, UpstreamHttp
from finora_core.answers import KIND_OF, Lie, judge
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
    Mail,
    Notice,
    Picture,
    Provider,
    Provides,
    Quoted,
    Seen,
    answer_of,
)

_log = logging.getLogger("finora.upstream")
_OUTCOMES = (
    Ok, Partial, RateLimited, OverBudget, AuthExpired, Unsupported, Missing, Ambiguous, Down,
)  # fmt: skip
_CRASHES = 3
_CAPABILITIES = frozenset(("latest", "history"))
"""Methods that a source of prices may lack."""


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
    told: Callable[[str, str], None] = lambda name, reason: None
    """Told when it is set aside."""
    rested: Callable[[str, str, int], None] = lambda name, reason, seconds: None
    """Told when it is not asked for some seconds."""
    aside: str | None = attrs.field(default=None, init=False)
    """Why it was set aside, until this process ends."""
    _breaker: Breaker = attrs.field(init=False)
    _rests: str = attrs.field(default="", init=False)
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

    @property
    def resting(self) -> str | None:
        """Why nothing is asked of it for the moment, by this process."""
        seconds = self._breaker.open_s
        return f"{self._rests}; asked again in {seconds} s" if seconds else None

    # --- what it is asked -------------------------------------------------------------------------

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        return self._ask("latest", assets, quote)

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]:
        return self._ask("history", asset, quote, since, until)

    def rates(
        self, base: str, quotes: Sequence[str], since: date, until: date
    ) -> Outcome[Mapping[str, Sequence[Day]]]:
        return self._ask("rates", base, quotes, since, until)

    def find(self, text: str) -> Outcome[Sequence[Identified]]:
        return self._ask("find", text)

    def balances(self, account: str) -> Outcome[Sequence[Held]]:
        return self._ask("balances", account)

    def transactions(self, account: str, cursor: str | None) -> Outcome[Batch]:
        return self._ask("transactions", account, cursor)

    def picture(self, picture: Picture) -> Outcome[Sequence[Seen]]:
        return self._ask("picture", picture)

    def send(self, mail: Mail) -> Outcome[None]:
        return self._ask("send", mail)

    def notify(self, notice: Notice) -> Outcome[None]:
        return self._ask("notify", notice)

    # --- how --------------------------------------------------------------------------------------

    def _ask(self, method: str, *given: Any) -> Outcome[Any]:
        return self.metered(method, *given)[0]

    def metered(self, method: str, *given: Any) -> tuple[Outcome[Any], int]:
        """One of the methods by its name, and what its requests cost by the manifest."""
        provides = self.provides
        if KIND_OF[method] not in self.providers or (
            method in _CAPABILITIES and method not in provides.capabilities
        ):
            return Unsupported(), 0
        if self.aside is not None:
            return Down(f"{provides.name} was set aside: {self.aside}"), 0
        if self.missing:
            return AuthExpired(), 0
        if (refused := self._breaker.refused()) is not None:
            return refused, 0
        call = Call(ends=time.monotonic() + self.limit_s, most=self.most_requests)
        outcome = self._judged(method, given, self._run(method, call, given))
        if call.breach is not None:
            outcome = self._set_aside(call.breach)
        if not isinstance(outcome, OverBudget):
            self._breaker.note(outcome)
            if seconds := self._breaker.open_s:
                self._rests = _why(outcome)
                self.rested(provides.name, self._rests, seconds)
        return outcome, call.paid * provides.cost_micros

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
            kind = KIND_OF[method]
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

    def _judged(self, method: str, given: tuple[Any, ...], outcome: Any) -> Outcome[Any]:
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
            value, odd = judge(method, given, outcome.value, self.clock.now())
            gaps = [outcome.gap] if isinstance(outcome, Partial) else []
            gaps += [f"{odd} values could not be believed"] if odd else []
            return Partial(value, "; ".join(map(str, gaps))) if gaps else Ok(value)
        except Lie as lie:
            return self._set_aside(self.http.redacted(str(lie))[:300])
        except Exception as error:
            return self._set_aside(f"its answer cannot be read: {type(error).__name__}")

    def _set_aside(self, reason: str) -> Down:
        if self.aside is None:
            self.aside = reason
            _log.error("source %s is set aside: %s", self.provides.name, reason)
            self.told(self.provides.name, reason)
        return Down(f"{self.provides.name} was set aside: {self.aside}")

    def _logged(self, text: str) -> None:
        _log.info("source %s: %s", self.provides.name, self.http.redacted(str(text))[:1000])


def _why(outcome: Outcome[Any]) -> str:
    match outcome:
        case Down(reason):
            return str(reason)
        case AuthExpired():
            return "it refuses the credentials"
    return "it asked for a pause"
