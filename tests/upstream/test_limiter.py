"""S0-7: no source is asked more often than it allows, however many ask, in one process or more."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora import Settings
from finora_adapters.embedded import open_engines
from finora_adapters.redis.asking import Asker
from finora_adapters.redis.client import connect
from finora_adapters.redis.rolling import SharedLimiter
from finora_adapters.upstream.limiter import Limiter, LocalLimiter
from finora_core.kernel.outcome import RateLimited
from finora_core.plugins import Limit, NoAnswer
from upstream.sources import MINE, Stub, Waits, http_of, says

S07 = pytest.mark.spec("S0-7", partial=True)


@attrs.define
class Hand:
    at: float = 1_000.0

    def __call__(self) -> float:
        return self.at


def most_in_any(times: Sequence[float], seconds: int) -> int:
    return max((sum(at <= each < at + seconds for each in times) for at in times), default=0)


@S07
@given(
    st.lists(st.integers(0, 3_000), max_size=80),
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 5)), min_size=1, max_size=3),
)
def test_no_window_holds_more_than_it_may(steps: list[int], said: list[tuple[int, int]]) -> None:
    """Any window, and not only those that begin with the clock; and waiting as told is enough."""
    hand = Hand()
    limiter, limits = LocalLimiter(hand), [Limit(*each) for each in said]
    taken = []
    for step in steps:
        hand.at += step / 1000
        if wait := limiter.take("x", limits):
            hand.at += wait / 1000 + 0.001
            assert limiter.take("x", limits) == 0
        taken.append(hand.at)
    for limit in limits:
        assert most_in_any(taken, limit.seconds) <= limit.requests


@S07
def test_what_one_limit_refuses_is_not_taken_of_another() -> None:
    hand = Hand()
    limiter = LocalLimiter(hand)
    wide, narrow = Limit(3, 100), Limit(1, 1)
    assert limiter.take("x", [wide, narrow]) == 0
    for _ in range(10):
        assert limiter.take("x", [wide, narrow]) > 0
    assert [limiter.take("x", [wide]) for _ in range(3)][:2] == [0, 0]
    assert limiter.take("y", [wide, narrow]) == 0


@pytest.fixture
def shared(settings: Settings) -> Any:
    with open_engines(settings.data, valkey=True) as engines:
        assert engines.valkey_url is not None
        yield lambda: SharedLimiter(Asker(connect(engines.valkey_url)))


@S07
def test_processes_share_the_count(shared: Any) -> None:
    """Two limiters with connections of their own, twenty threads, one second's limit of ten."""
    key, limits = uuid4().hex, [Limit(10, 1)]
    limiters: list[Limiter] = [shared(), shared()]
    taken: list[float] = []
    lock = threading.Lock()

    def ask(number: int) -> None:
        while wait := limiters[number % 2].take(key, limits):
            time.sleep(wait / 1000)
        with lock:
            taken.append(time.monotonic())

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(ask, range(40)))
    assert len(taken) == 40
    # A little shorter than the window: these times are taken after the answer came.
    assert max(sum(at <= each < at + 0.95 for each in taken) for at in taken) <= 10


@S07
def test_without_redis_each_process_counts_alone_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limiter = SharedLimiter(Asker(connect("redis://127.0.0.1:9/0")))
    assert limiter.take("x", [Limit(2, 60)]) == 0
    assert limiter.take("x", [Limit(2, 60)]) == 0
    assert limiter.take("x", [Limit(2, 60)]) > 50_000
    assert [each.levelname for each in caplog.records] == ["WARNING"]


@S07
def test_keys_are_counted_apart(stub: Stub) -> None:
    """By source and credential; nothing of the credential is in the name."""
    stub.script = [says(200)]
    limiter, narrow = LocalLimiter(), attrs.evolve(MINE, limits=(Limit(1, 3_600),))
    first, same, other, bare = (
        http_of(stub, narrow, limiter=limiter, credentials=each)
        for each in ({"key": "one"}, {"key": "one"}, {"key": "two"}, {})
    )
    assert first.get("/x").status == 200
    with pytest.raises(NoAnswer) as refused:
        same.get("/x")
    assert isinstance(refused.value.outcome, RateLimited)
    assert refused.value.outcome.retry_after > 3_600
    assert other.get("/x").status == bare.get("/x").status == 200
    assert (bare.namespace, "one" in first.namespace) == ("mine", False)
    assert first.namespace == same.namespace != other.namespace


@S07
def test_a_free_place_is_waited_for_within_the_time(stub: Stub) -> None:
    stub.script = [says(200)]
    hand, waits = Hand(), Waits()

    def pause(seconds: float) -> None:
        waits(seconds)
        hand.at += seconds

    http = http_of(
        stub, attrs.evolve(MINE, limits=(Limit(2, 5),)), limiter=LocalLimiter(hand), pause=pause
    )
    for _ in range(4):
        http.get("/x")
    assert [round(each, 2) for each in waits.seconds] == [5.25]
