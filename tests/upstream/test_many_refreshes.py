"""Five hundred refreshes over sources on sockets that are slow, limited and failing in turn."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import cycle
from typing import Any

import attrs
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from finora_adapters.upstream.guard import Guarded
from finora_adapters.upstream.limiter import LocalLimiter
from finora_core.kernel.outcome import Ok
from finora_core.market.prices.chain import PriceChain
from finora_core.plugins import Access, AssetRef, Limit, Provides, Quoted
from upstream.sources import Fixed, Stub, drips, http_of, says

COINS = [AssetRef(id=f"crypto:{name}", kind="crypto", symbol=name) for name in "AB"]
LIMIT = Limit(20, 60)
REFRESHES = 500

Script = Callable[[Request], Response]


@attrs.frozen
class Asked:
    """Asks its server, and believes what it says."""

    access: Access
    name = "mine"

    def latest(self, assets: Any, quote: str) -> Any:
        told = self.access.http.get("/prices", of=",".join(each.symbol for each in assets)).json()
        return Ok([
            Quoted(asset=each.id, quote=quote, price=Decimal(told[each.symbol]),
                   at=self.access.now())
            for each in assets if each.symbol in told
        ])  # fmt: skip


@attrs.define
class Upstream:
    """A source and its server, which notes when it was asked."""

    name: str
    clock: Fixed
    server: HTTPServer
    script: Iterator[Script]
    times: list[float] = attrs.field(factory=list)

    def source(self, limits: tuple[Limit, ...] = ()) -> Guarded:
        self.server.expect_request(re.compile(".*")).respond_with_handler(self._said)
        host = f"api.{self.name}.example"
        provides = Provides(
            name=self.name, kinds=("prices",), hosts=(host,), capabilities=("latest",),
            limits=limits or (Limit(100_000, 1),),
        )  # fmt: skip
        http = http_of(
            Stub(self.server), provides, clock=self.clock,
            limiter=LocalLimiter(self._seconds),
        )  # fmt: skip
        return Guarded({"prices": Asked}, provides, http, self.clock)

    def _seconds(self) -> float:
        return self.clock.at.timestamp()

    def _said(self, request: Request) -> Response:
        self.times.append(self._seconds())
        return next(self.script)(request)


@pytest.fixture
def upstream() -> Iterator[Callable[..., Upstream]]:
    servers = []
    clock = Fixed()

    def make(name: str, *script: Script) -> Upstream:
        server = HTTPServer(threaded=True)
        server.start()
        servers.append(server)
        return Upstream(name, clock, server, cycle(script))

    yield make
    for server in servers:
        server.clear()
        server.stop()


@pytest.mark.invariant("F-21")
@pytest.mark.invariant("T-15")
@pytest.mark.timeout(300)
def test_none_is_asked_too_often_and_the_healthy_are_not_affected(
    upstream: Callable[..., Upstream],
) -> None:
    fine = says(200, '{"A": "10.5", "B": 2}')
    slow = upstream("slow", drips(2))
    limited = upstream("limited", fine, says(429), says(429, retry_after="7"))
    failing = upstream("failing", says(500), says(200, "no json"), says(200, '{"A": NaN}'),
                       says(403), says(200, '{"A": -1, "B": "0"}'))  # fmt: skip
    good = upstream("good", fine)
    chain = PriceChain([slow.source(), limited.source((LIMIT,)), failing.source(), good.source()])
    outcomes, priced = Counter[str](), 0
    for _ in range(REFRESHES):
        found = chain.latest(COINS, "EUR", {}, good.clock.now())
        outcomes.update(each.outcome for each in found.tried)
        priced += len(found.found)
        assert not found.doubted and not found.disagreements
        assert {quoted.price for _, quoted in found.found.values()} <= {Decimal("10.5"), Decimal(2)}
        good.clock.at += timedelta(seconds=1)
    assert priced == 2 * REFRESHES
    assert set(outcomes) <= {"ok", "partial", "down", "ratelimited", "authexpired", "aside"}, (
        outcomes
    )
    assert outcomes["ratelimited"] and outcomes["down"]
    # Of the limited one no window holds more than it may.
    times = limited.times
    assert times, outcomes
    for place, first in enumerate(times):
        assert sum(first <= other < first + LIMIT.seconds for other in times[place:]) <= (
            LIMIT.requests
        )
    # The slow one is let through now and then only.
    assert len(slow.times) < REFRESHES / 5
