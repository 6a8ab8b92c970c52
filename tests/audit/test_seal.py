"""The seal: every event once, without a gap, in an order that never changes, in a chain that shows
every change."""

import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from books import sealed
from finora import AccountKind, Amount, Finora, Posting, Scope, currency
from finora_adapters.postgres.events import PgSealer
from finora_adapters.postgres.work import Postgres
from finora_core.kernel.ids import new_id
from finora_core.ledger.model import AccountOpened
from together import errors, together

EVENTS = """
select e.*, s.seq, s.hash, s.sealed_at, s.tx as sealed_tx from finora.event e
left join finora.seal s on s.tenant_id = e.tenant_id and s.event_id = e.id
where e.tenant_id = any(:tenants) order by s.seq
"""


def canonical(value: object) -> str:
    """RFC 8785 for values without fractions; written again here, so that it is checked."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def broken_links(rows: list[Any]) -> list[int]:
    """The places of a chain whose hash is not that of their event and the link before."""
    previous, broken = bytes(32), []
    for row in rows:
        at, sealed_at = (
            each.astimezone(UTC).isoformat() for each in (row.recorded_at, row.sealed_at)
        )
        form = [2, row.seq, sealed_at, row.source_agent, str(row.tenant_id), str(row.id), row.type,
                row.payload, str(row.actor), row.request_id, at]  # fmt: skip
        wanted = hashlib.sha256(previous + canonical(form).encode()).digest()
        if bytes(row.hash) != wanted:
            broken.append(row.seq)
        previous = bytes(row.hash)
    return broken


def chain(connection: Connection, tenant: UUID) -> list[Any]:
    return list(connection.execute(text(EVENTS), {"tenants": [tenant]}))


@pytest.fixture
def sealer(database: Postgres) -> PgSealer:
    return PgSealer(database)


@pytest.fixture
def settle(sealer: PgSealer, admin: Engine) -> Callable[..., list[Any]]:
    """Seal until all of a tenant's events are sealed; its events in order."""

    def run(tenant: UUID) -> list[Any]:
        for _ in range(200):
            sealer.seal()
            with admin.connect() as connection:
                rows = chain(connection, tenant)
            if all(row.seq for row in rows):
                return rows
            time.sleep(0.02)  # the database itself, or another test's thread, is still writing
        raise AssertionError("not everything gets sealed")

    return run


def note(database: Postgres, scope: Scope) -> UUID:
    """One event, in a transaction of its own."""
    account = new_id()
    with database.begin(scope) as work:
        work.events.record(AccountOpened(account, AccountKind.ASSET))
    return account


@pytest.mark.invariant("I-14")
def test_what_slow_writers_did_at_once_is_sealed_whole_gapless_and_in_order(
    finora: Finora, database: Postgres, sealer: PgSealer, admin: Engine, scope: Scope,
    settle: Callable[..., list[Any]],
) -> None:  # fmt: skip
    scopes = [finora.scope(tenant=f"seal-{uuid4()}", user="u1") for _ in range(3)]
    written: list[tuple[UUID, str]] = []
    over = threading.Event()

    def write(seed: int) -> None:
        choice = random.Random(seed)
        for _ in range(12):
            mine, account = choice.choice(scopes), new_id()
            try:
                with database.begin(mine) as work:
                    for _ in range(choice.choice([1, 1, 3])):
                        work.events.record(AccountOpened(account, AccountKind.ASSET))
                        written.append((mine.tenant_id, str(account)))
                    time.sleep(choice.choice([0, 0.002, 0.03]))
                    if choice.random() < 0.2:
                        raise InterruptedError
            except InterruptedError:
                while (mine.tenant_id, str(account)) in written:
                    written.remove((mine.tenant_id, str(account)))

    def seal() -> int:
        sealed = 0
        while not over.is_set():
            sealed += sealer.seal()
        return sealed

    sealers = [threading.Thread(target=seal) for _ in range(2)]
    for each in sealers:
        each.start()
    results = together(*[lambda s=s: write(s) for s in range(8)])
    over.set()
    for each in sealers:
        each.join()
    assert not errors(results)
    seen: Counter[tuple[UUID, str]] = Counter()
    for mine in scopes:
        rows = settle(mine.tenant_id)
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        order = [(int(row.tx), row.id) for row in rows]
        assert order == sorted(order)
        assert [row.sealed_tx for row in rows] == [row.tx for row in rows]
        assert broken_links(rows) == []
        seen.update((mine.tenant_id, row.payload["account"]) for row in rows)
    assert seen == Counter(written)


@pytest.mark.invariant("I-14")
def test_nothing_is_sealed_past_a_transaction_that_is_still_open(
    database: Postgres, sealer: PgSealer, scope: Scope, settle: Callable[..., list[Any]]
) -> None:
    first = note(database, scope)
    assert [row.payload["account"] for row in settle(scope.tenant_id)] == [str(first)]
    late = new_id()
    with database.begin(scope) as slow:
        slow.events.record(AccountOpened(late, AccountKind.ASSET))
        quick = note(database, scope)
        for _ in range(3):
            sealer.seal()
        with database.begin(scope) as work:
            assert work.connection.scalar(text("select count(*) from finora.seal")) == 1
    rows = settle(scope.tenant_id)
    assert [row.payload["account"] for row in rows] == [str(first), str(late), str(quick)]


@pytest.mark.invariant("I-14")
def test_what_was_rolled_back_leaves_no_gap(
    database: Postgres, scope: Scope, settle: Callable[..., list[Any]]
) -> None:
    note(database, scope)
    with pytest.raises(ZeroDivisionError), database.begin(scope) as work:
        work.events.record(AccountOpened(new_id(), AccountKind.ASSET))
        _ = 1 // 0
    note(database, scope)
    assert [row.seq for row in settle(scope.tenant_id)] == [1, 2]


def test_a_second_sealer_leaves_the_work_to_the_first(
    database: Postgres, sealer: PgSealer, scope: Scope, settle: Callable[..., list[Any]]
) -> None:
    note(database, scope)
    with database.control() as connection:
        assert connection.scalar(text("select pg_try_advisory_xact_lock(0x5EA1)"))
        assert sealer.seal() == 0
    assert len(settle(scope.tenant_id)) == 1
    assert sealer.seal() == 0


def test_running_the_jobs_seals(finora: Finora, scope: Scope, admin: Engine) -> None:
    finora.ledger.open_account(scope, "Cash")
    assert sealed(finora, scope) == 1
    with admin.connect() as connection:
        rows = chain(connection, scope.tenant_id)
    assert [(row.seq, row.type) for row in rows] == [(1, "account.opened")]


@pytest.mark.invariant("T-23")
@pytest.mark.parametrize(
    "change",
    ["update finora.event set payload = payload || '{\"kind\": \"liability\"}' where id = :id",
     "update finora.event set actor = gen_random_uuid() where id = :id",
     "update finora.event set type = 'x' where id = :id",
     "update finora.event set request_id = 'x' where id = :id",
     "update finora.event set recorded_at = recorded_at + interval '1 microsecond' where id = :id",
     "update finora.event set source_agent = 'x' where id = :id",
     "update finora.seal set sealed_at = sealed_at + interval '1 microsecond' where event_id = :id",
     "update finora.seal set hash = sha256('x') where event_id = :id"],
)  # fmt: skip
def test_a_change_by_a_superuser_shows_in_the_chain(
    database: Postgres, admin: Engine, scope: Scope, settle: Callable[..., list[Any]], change: str
) -> None:
    for _ in range(5):
        note(database, scope)
    third = settle(scope.tenant_id)[2]
    with admin.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        connection.execute(text(change), {"id": third.id})
        assert 3 in broken_links(chain(connection, scope.tenant_id))
        connection.rollback()
        assert broken_links(chain(connection, scope.tenant_id)) == []


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns", "UTC"])
def test_the_chain_is_the_same_in_every_time_zone(
    database: Postgres, admin: Engine, scope: Scope, settle: Callable[..., list[Any]], zone: str
) -> None:
    note(database, scope)
    database.engine.dispose()
    with database.engine.connect() as connection:  # the next one the pool gives out
        connection.execute(text(f"set time zone '{zone}'"))
        connection.commit()
    try:
        rows = settle(scope.tenant_id)
    finally:
        database.engine.dispose()
    assert broken_links(rows) == []
    with admin.connect() as connection:
        connection.execute(text(f"set time zone '{zone}'"))
        assert broken_links(chain(connection, scope.tenant_id)) == []


def test_the_log_keeps_no_names_and_no_free_text(
    finora: Finora, scope: Scope, admin: Engine
) -> None:
    ledger, secret = finora.ledger, "Jane Doe, Elm Street 1"
    account, other = (ledger.open_account(scope, f"{secret} {n}").id for n in range(2))
    one = Amount(1, currency("EUR"))
    made = ledger.post(scope, [Posting(account, one), Posting(other, -one)], reference=secret)
    ledger.reverse(scope, made.id)
    held = ledger.hold(scope, account, one, reference=secret)
    ledger.post_hold(scope, held.id, other)
    with admin.connect() as connection:
        rows = chain(connection, scope.tenant_id)
    assert {row.type for row in rows} == {
        "account.opened", "entries.posted", "entry.reversed", "hold.placed", "hold.ended",
    }  # fmt: skip
    assert "Elm" not in str([row.payload for row in rows])
