"""Counting what keys ask: exact among threads and processes, written once, lost never."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from finora import Finora, Scope, Settings
from finora_adapters.embedded import open_engines
from finora_adapters.postgres.work import Postgres
from finora_adapters.redis.asking import Asker
from finora_adapters.redis.client import connect
from finora_adapters.redis.meter import SharedMeter
from finora_adapters.upstream.meter import LocalMeter
from finora_core.market.provision.model import (
    Account,
    BadQuota,
    Quota,
    Reading,
    Window,
    window_of,
)
from finora_core.market.provision.ports import Meter, Taken
from finora_core.market.provision.service import DataService

S09 = pytest.mark.spec("S0-9", partial=True)
DAY = date(2026, 11, 21)


def an_account() -> Account:
    return Account(uuid4(), uuid4(), DAY.replace(day=1))


def take(meter: Meter, account: Account, quota: Quota, before: int = 0) -> Taken:
    return meter.take(account, DAY, "a source", quota, lambda each: before)


def mine(meter: Meter, account: Account) -> list[Reading]:
    return [
        reading
        for each in meter.unwritten()
        if each.account == account
        for reading in each.readings
    ]


@attrs.define
class Hand:
    at: float = 1_000.0

    def __call__(self) -> float:
        return self.at


class MeterContract:
    """What every meter does."""

    @S09
    def test_of_many_at_once_as_many_pass_as_may(self, meter: Meter) -> None:
        account, quota = an_account(), Quota(monthly=100)
        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(lambda _: take(meter, account, quota, before=40), range(400)))
        assert sum(each.counted for each in taken) == 60
        assert sorted(each.used for each in taken if each.counted) == list(range(41, 101))
        assert {each.used for each in taken if not each.counted} == {100}
        [reading] = mine(meter, account)
        assert (reading.requests, reading.source, reading.on_date) == (60, "a source", DAY)

    @S09
    def test_one_key_over_its_window_leaves_another_alone(self, meter: Meter) -> None:
        one, other = an_account(), an_account()
        quota = Quota(window=Window(3, 3_600))
        assert [take(meter, one, quota).in_window for _ in range(3)] == [1, 2, 3]
        refused = take(meter, one, quota)
        assert not refused.counted
        assert 3_500_000 < refused.wait_ms <= 3_600_000
        assert take(meter, other, quota).counted
        # What was refused is not counted.
        assert [each.requests for each in mine(meter, one)] == [3]

    def test_the_window_opens_again(self, meter: Meter) -> None:
        account, quota = an_account(), Quota(window=Window(1, 1))
        assert take(meter, account, quota).counted
        refused = take(meter, account, quota)
        assert not refused.counted
        self.wait(refused.wait_ms / 1000 + 0.01)
        assert take(meter, account, quota).counted

    @S09
    def test_what_was_written_is_not_there_again_until_more_is_asked(self, meter: Meter) -> None:
        account, quota = an_account(), Quota()
        take(meter, account, quota)
        [each] = [each for each in meter.unwritten() if each.account == account]
        take(meter, account, quota)
        # More was asked while it was written: it is still to be written.
        meter.written(each, 0)
        [later] = [each for each in meter.unwritten() if each.account == account]
        assert (later.meter, [r.requests for r in later.readings]) == (each.meter, [2])
        meter.written(later, 0)
        assert mine(meter, account) == []
        meter.cost(account, DAY, "a source", 70)
        [reading] = mine(meter, account)
        assert (reading.requests, reading.cost_micros) == (2, 70)

    @S09
    def test_what_others_counted_is_learnt_when_it_is_written(self, meter: Meter) -> None:
        account, quota = an_account(), Quota(monthly=10)
        take(meter, account, quota)
        [each] = [each for each in meter.unwritten() if each.account == account]
        meter.written(each, 8)
        assert [take(meter, account, quota).counted for _ in range(3)] == [True, False, False]

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class TestLocal(MeterContract):
    @pytest.fixture
    def meter(self) -> Meter:
        self.hand = Hand()
        return LocalMeter(self.hand)

    def wait(self, seconds: float) -> None:
        self.hand.at += seconds


class TestShared(MeterContract):
    @pytest.fixture
    def meters(self, settings: Settings) -> Iterator[Any]:
        with open_engines(settings.data, valkey=True) as engines:
            assert engines.valkey_url is not None
            yield lambda: SharedMeter(Asker(connect(engines.valkey_url)))

    @pytest.fixture
    def meter(self, meters: Any) -> Meter:
        found: Meter = meters()
        return found

    @S09
    def test_processes_count_together_and_each_can_write(self, meters: Any) -> None:
        account, quota = an_account(), Quota(monthly=5)
        one, other = meters(), meters()
        counted = [take(each, account, quota).counted for each in (one, other) * 4]
        assert counted == [True] * 5 + [False] * 3
        # Whoever counted may be gone.
        assert [each.requests for each in mine(meters(), account)] == [5]

    @S09
    def test_without_redis_a_process_counts_alone(self, settings: Settings) -> None:
        away = SharedMeter(Asker(connect("redis://127.0.0.1:1/0")))
        account, quota = an_account(), Quota(monthly=2)
        counted = [take(away, account, quota, before=1).counted for _ in range(3)]
        assert counted == [True, False, False]
        assert [each.requests for each in mine(away, account)] == [1]


# --- as rows -------------------------------------------------------------------------------------


@pytest.fixture
def service(database: Postgres) -> DataService:
    return DataService(database.begin, dict, LocalMeter())


def asked(service: DataService, scope: Scope, times: int, source: str = "ecb") -> Account:
    """So often by the scope's person."""
    account = Account.at(scope.tenant_id, scope.user_id, datetime.now(UTC))
    for _ in range(times):
        service.meter.take(account, datetime.now(UTC).date(), source, Quota(), service._before)
        service.meter.cost(account, datetime.now(UTC).date(), source, 3)
    return account


@S09
def test_a_flusher_that_is_killed_doubles_nothing(service: DataService, scope: Scope) -> None:
    asked(service, scope, 3)
    [each] = service.meter.unwritten()
    service._write(each)  # Killed here: nothing says that it was written.
    asked(service, scope, 2)
    assert service.flush() == 1
    service._write(each)  # A slow one comes late.
    assert service.flush() == 0
    [usage] = service.usage(scope).items
    assert (usage.requests, usage.cost_micros, usage.source) == (5, 15, "ecb")


@S09
def test_a_new_process_goes_on_where_the_last_one_was(
    service: DataService, database: Postgres, scope: Scope
) -> None:
    account = asked(service, scope, 4)
    service.flush()
    after = DataService(database.begin, dict, LocalMeter())
    asked(after, scope, 3)
    quota = Quota(monthly=8)
    today = datetime.now(UTC).date()
    counted = [
        after.meter.take(account, today, "ecb", quota, after._before).counted for _ in range(3)
    ]
    assert counted == [True, False, False]
    after.flush()
    assert sum(each.requests for each in after.usage(scope).items) == 8


@S09
def test_usage_is_listed_by_pages_and_of_the_tenant_alone(
    service: DataService, scope: Scope, stranger: Scope
) -> None:
    for source in ("ecb", "coingecko", "yahoo"):
        asked(service, scope, 2, source)
    asked(service, stranger, 1)
    service.flush()
    first = service.usage(scope, limit=2)
    rest = service.usage(scope, limit=2, cursor=first.next)
    assert [each.source for each in (*first.items, *rest.items)] == ["coingecko", "ecb", "yahoo"]
    assert rest.next is None
    assert [each.requests for each in service.usage(stranger).items] == [1]
    assert service.usage(scope, until=date(2000, 1, 1)).items == ()


@S09
def test_what_was_asked_can_be_neither_changed_nor_deleted(
    service: DataService, finora: Finora, scope: Scope
) -> None:
    asked(service, scope, 1)
    service.flush()
    for statement in ("update finora.data_use set requests = 1", "delete from finora.data_use"):
        refused = pytest.raises(Exception, match=r"permission denied")
        with refused, finora._opened.database.begin(scope) as work:
            work.connection.execute(text(statement))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=40))
def test_the_highest_reading_of_each_meter_counts(steps: list[tuple[int, int]]) -> None:
    """Whatever is written in whatever order, the sum is that of what was counted."""
    stood: dict[int, int] = {}
    rows: set[tuple[int, int]] = set()
    for meter, more in steps:
        stood[meter] = stood.get(meter, 0) + more
        rows.add((meter, stood[meter]))
    highest = {meter: max(n for at, n in rows if at == meter) for meter in stood}
    assert sum(highest.values()) == sum(more for _, more in steps)


@pytest.mark.parametrize("text", ["x", "1", "0/5", "1/0", "1/100000", "10001/1", "-1/5", "1/1/1"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(BadQuota):
        window_of(text)


def test_a_window_is_read() -> None:
    assert window_of("60/30") == Window(60, 30)
    assert window_of("") is None
    with pytest.raises(BadQuota):
        Quota(monthly=0)


@pytest.mark.parametrize(("now", "ends"), [
    ("2026-12-31T23:59:59+00:00", "2027-01-01T00:00:00+00:00"),
    ("2027-01-01T01:00:00+02:00", "2027-01-01T00:00:00+00:00"),
    ("2028-02-29T12:00:00+00:00", "2028-03-01T00:00:00+00:00"),
])  # fmt: skip
def test_a_month_is_of_the_calendar_in_utc(now: str, ends: str) -> None:
    account = Account.at(uuid4(), uuid4(), datetime.fromisoformat(now))
    assert account.ends == datetime.fromisoformat(ends)
