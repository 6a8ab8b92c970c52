"""Providers that crash, hang, flood or lie are set aside alone; what is no value is left out."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest

from finora_adapters.upstream.guard import Guarded
from finora_core.kernel.outcome import (
    AuthExpired,
    Down,
    Missing,
    Ok,
    Partial,
    RateLimited,
    Unsupported,
)
from finora_core.plugins import (
    KINDS,
    Access,
    AssetRef,
    Batch,
    Credential,
    Day,
    Held,
    Movement,
    NoAnswer,
    Quoted,
)
from upstream.sources import KEY, MINE, NOW, Fixed, Stub, Waits, http_of, says

T15 = pytest.mark.invariant("T-15")
F21 = pytest.mark.invariant("F-21")
ETH = AssetRef(id="eip155:1/slip44:60", kind="crypto", symbol="ETH", names={"mine": "ethereum"})
BTC = AssetRef(id="crypto:BTC", kind="crypto", symbol="BTC")
GOOD = Quoted(asset=ETH.id, quote="EUR", price=Decimal("2065.6"), at=NOW)
DAY = date(2026, 1, 2)


def guarded(answer: Callable[[Access], Any], stub: Stub | None = None, **given: Any) -> Guarded:
    """One whose every method answers so."""

    @attrs.frozen
    class Mine:
        access: Access
        name = "mine"

        def latest(self, *asked: Any) -> Any:
            return answer(self.access)

        history = rates = find = balances = transactions = latest

    provides = given.pop("provides", MINE)
    clock = given.pop("clock", Fixed())
    http = given.pop("http", None) or http_of(stub, provides, clock=clock)
    return Guarded(dict.fromkeys(KINDS, Mine), provides, http, clock, **given)


def latest(guard: Guarded) -> Any:
    return guard.latest([ETH, BTC], "EUR")


@T15
def test_what_is_no_price_is_left_out_and_said_so() -> None:
    assert latest(guarded(lambda _: Ok([GOOD]))) == Ok([GOOD])
    wrong: list[Any] = ["NaN", "sNaN", "Infinity", "-1", "0", "1e40", "1e-40", "1." + "1" * 90]
    for price in [*map(Decimal, wrong), 2065.6, "2065.6", None, 7, True]:
        odd = attrs.evolve(GOOD, asset=BTC.id, price=price)
        guard = guarded(lambda _, odd=odd: Ok([GOOD, odd]))  # type: ignore[misc]  # bound to this one
        assert latest(guard) == Partial([GOOD], "1 values could not be believed"), price
        assert guard.aside is None
    for at in (NOW + timedelta(days=2), NOW.replace(tzinfo=None), "2026-11-21", None):
        guard = guarded(lambda _, at=at: Ok([attrs.evolve(GOOD, at=at)]))  # type: ignore[misc]  # as above
        assert latest(guard) == Partial([], "1 values could not be believed")


@T15
@F21
@pytest.mark.parametrize(("answer", "reason"), [
    (lambda _: Ok([attrs.evolve(GOOD, asset="eip155:1/slip44:0")]), "which was not asked"),
    (lambda _: Ok([attrs.evolve(GOOD, quote="USD")]), "in USD, which was not asked"),
    (lambda _: [GOOD], "and no outcome"),
    (lambda _: None, "answers with NoneType"),
    (lambda _: Ok(None), "no sequence"),
    (lambda _: Ok("text"), "no sequence"),
    (lambda _: Ok([{"price": 1}]), "no Quoted"),
    (lambda _: Ok([GOOD] * 100_001), "100001 items"),
])  # fmt: skip
def test_a_lie_sets_it_aside_at_once(answer: Any, reason: str) -> None:
    asked: list[int] = []
    guard = guarded(lambda access: (asked.append(1), answer(access))[1])
    assert isinstance(latest(guard), Down)
    assert reason in str(guard.aside)
    assert reason in str(latest(guard)) and len(asked) == 1


@F21
def test_one_that_crashes_is_set_aside_after_a_few_times() -> None:
    def crash(access: Access) -> Any:
        raise RuntimeError(f"oh {KEY}")

    guard = guarded(crash)
    for place in range(4):
        assert isinstance(latest(guard), Down)
        assert (guard.aside is not None) == (place >= 2)
    assert guard.aside == "it crashes: RuntimeError: oh <key>"
    leaves = guarded(lambda _: exit(3))
    for _ in range(3):
        latest(leaves)
    assert "SystemExit" in str(leaves.aside)


@F21
def test_one_that_hangs_holds_up_nobody() -> None:
    started = time.monotonic()
    guard, other = guarded(lambda _: time.sleep(30), limit_s=0.1), guarded(lambda _: Ok([GOOD]))
    assert isinstance(latest(guard), Down)
    assert guard.aside == "it does not answer within 0.1 s"
    assert latest(other) == Ok([GOOD])
    assert isinstance(latest(guard), Down)
    assert time.monotonic() - started < 20


@F21
def test_one_that_floods_is_set_aside(stub: Stub) -> None:
    stub.script = [says(200)]

    def flood(access: Access) -> Any:
        for _ in range(1_000):
            try:
                access.http.get("/x")
            except NoAnswer:
                continue
        return Ok([])

    guard = guarded(flood, stub, most_requests=5)
    assert isinstance(latest(guard), Down)
    assert guard.aside == "it makes more than 5 requests for one answer"
    assert len(stub.asked) == 5


@F21
def test_one_that_asks_elsewhere_is_set_aside(stub: Stub) -> None:
    stub.script = [says(200)]

    def elsewhere(access: Access) -> Any:
        with suppress(NoAnswer):
            access.http.get("https://evil.example/")
        return Ok([])

    guard = guarded(elsewhere, stub)
    latest(guard)
    assert guard.aside == "it asks for evil.example, which its manifest does not name"
    assert stub.asked == []


@F21
@pytest.mark.spec("S0-8", partial=True)
def test_the_breaker_opens_at_five_and_lets_one_through(stub: Stub) -> None:
    """Also where every reply is well, and none of them what is read."""
    for script in (says(500), says(200, '{"other": 1}')):
        stub.script, stub.asked = [script], []
        clock = Fixed()
        http = http_of(stub, clock=clock, pause=Waits())
        guard = guarded(
            lambda access: Ok([access.http.get("/x").json()["price"]]), http=http, clock=clock
        )
        for _ in range(5):
            assert isinstance(latest(guard), Down)
        before = len(stub.asked)
        assert "again in" in str(latest(guard)) and len(stub.asked) == before
        clock.at += timedelta(seconds=31)
        assert isinstance(latest(guard), Down) and len(stub.asked) > before
        before = len(stub.asked)
        assert isinstance(latest(guard), Down) and len(stub.asked) == before
        assert guard.aside is None


@F21
def test_a_source_that_asks_for_a_pause_gets_it() -> None:
    asked: list[int] = []

    def limited(access: Access) -> Any:
        asked.append(1)
        raise NoAnswer(RateLimited(40))

    clock = Fixed()
    guard = guarded(limited, clock=clock)
    assert [latest(guard), latest(guard)] == [RateLimited(40), RateLimited(40)]
    clock.at += timedelta(seconds=41)
    latest(guard)
    assert len(asked) == 2


def test_what_it_needs_and_what_it_can_is_known_before_it_is_asked() -> None:
    needing = attrs.evolve(MINE, credentials=(Credential(field="token"),), capabilities=("latest",))
    guard = guarded(lambda _: Ok([]), provides=needing)
    assert guard.missing == ("token",)
    assert latest(guard) == AuthExpired()
    assert guard.history(ETH, "EUR", DAY, DAY) == Unsupported()
    assert latest(guarded(lambda _: Missing())) == Missing()


@T15
def test_days_are_those_that_were_asked_by_day_and_once() -> None:
    next_day = DAY + timedelta(days=1)
    one, two = Day(on_date=DAY, price=Decimal(1)), Day(on_date=next_day, price=Decimal(2))
    guard = guarded(lambda _: Ok([two, one, one]))
    assert guard.history(ETH, "EUR", DAY, next_day) == Ok([one, two])
    guard = guarded(lambda _: Ok([one, attrs.evolve(two, price=Decimal(0))]))
    said = guard.history(ETH, "EUR", DAY, next_day)
    assert said == Partial([one], "1 values could not be believed")
    guard = guarded(lambda _: Ok([two]))
    assert isinstance(guard.history(ETH, "EUR", DAY, DAY), Down)
    assert "was not asked" in str(guard.aside)
    guard = guarded(lambda _: Ok({"USD": [one], "CHF": [attrs.evolve(one, price=Decimal("NaN"))]}))
    said = guard.rates("EUR", ["USD", "CHF"], DAY, DAY)
    assert said == Partial({"USD": [one], "CHF": []}, "1 values could not be believed")
    assert isinstance(guard.rates("EUR", ["USD"], DAY, DAY), Down) and guard.aside is not None


@T15
def test_quantities_fit_their_scale_and_movements_come_once() -> None:
    held = Held(name="eth", symbol="ETH", quantity=Decimal("1.5"), scale=18)
    odd = [attrs.evolve(held, scale=0), attrs.evolve(held, quantity=Decimal("Infinity")),
           attrs.evolve(held, scale=99)]  # fmt: skip
    said = guarded(lambda _: Ok([held, *odd])).balances("0x")
    assert said == Partial([held], "3 values could not be believed")
    units = attrs.evolve(held, quantity=Decimal("0." + "0" * 17 + "1"))
    assert guarded(lambda _: Ok([units])).balances("0x") == Ok([units])
    moved = Movement(id="1", at=NOW, name="eth", symbol="ETH", quantity=Decimal(-1), scale=18)
    batch = Batch(movements=[moved, moved], next="2")
    said = guarded(lambda _: Ok(batch)).transactions("0x", None)
    assert said == Ok(Batch(movements=[moved], next="2"))
    assert isinstance(guarded(lambda _: Ok([moved])).transactions("0x", None), Down)


def test_everybody_is_answered_while_one_source_fails(stub: Stub) -> None:
    """Bulkheads: what is wrong with one is no other's affair."""
    bad = [guarded(lambda _: 1 / 0), guarded(lambda _: None), guarded(lambda _: Down("x"))]
    well = guarded(lambda _: Ok([GOOD]))
    for _ in range(10):
        assert not any(isinstance(latest(each), Ok) for each in bad)
        assert latest(well) == Ok([GOOD])
