"""What may be used once is used once, whoever asks at the same moment."""

import hashlib
import os
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from finora import Finora, Scope
from finora_adapters.postgres.nonces import PgNonces
from finora_adapters.postgres.tenants import UPKEEP
from finora_adapters.postgres.work import Postgres
from finora_core.jobs.model import ScheduleDue
from together import together

MINUTE = timedelta(minutes=1)


def digest() -> bytes:
    return hashlib.sha256(os.urandom(32)).digest()


@pytest.fixture
def nonces(database: Postgres) -> PgNonces:
    return PgNonces(database)


@pytest.mark.spec("S0-42", partial=True)
def test_a_nonce_is_spent_once(nonces: PgNonces) -> None:
    one, two = digest(), digest()
    assert nonces.spend(one, MINUTE)
    assert not nonces.spend(one, MINUTE)
    assert nonces.spend(two, MINUTE)
    assert not nonces.spend(one, MINUTE)


@pytest.mark.spec("S0-42", partial=True)
def test_of_many_at_once_one_spends_it(nonces: PgNonces) -> None:
    for _ in range(10):
        each = digest()
        found = together(*[lambda each=each: nonces.spend(each, MINUTE)] * 8)
        assert sorted(found) == [False] * 7 + [True]


@pytest.mark.parametrize("commits", [True, False])
def test_a_spender_that_has_not_committed_is_waited_for(
    nonces: PgNonces, database: Postgres, commits: bool
) -> None:
    """Its spending counts, or not, with its transaction: never both."""
    each = digest()
    found: list[bool] = []
    with database.engine.connect() as first:
        transaction = first.begin()
        first.execute(text("set local role finora_api"))
        first.execute(
            text("insert into finora.nonce values (:d, now() + interval '1 min')"), {"d": each}
        )
        second = threading.Thread(target=lambda: found.append(nonces.spend(each, MINUTE)))
        second.start()
        time.sleep(0.1)
        assert found == []
        transaction.commit() if commits else transaction.rollback()
    second.join(30)
    assert found == [not commits]


def test_what_is_over_is_forgotten_and_nothing_else(nonces: PgNonces, admin: Engine) -> None:
    over, good = digest(), digest()
    nonces.spend(over, timedelta(milliseconds=1))
    nonces.spend(good, MINUTE)
    time.sleep(0.02)
    assert nonces.forget() >= 1
    with admin.connect() as connection:
        there = set(map(bytes, connection.scalars(text("select digest from finora.nonce")).all()))
    assert good in there and over not in there
    assert not nonces.spend(good, MINUTE)
    assert nonces.spend(over, MINUTE)


def test_the_clock_forgets_what_is_over(
    finora: Finora, database: Postgres, nonces: PgNonces, admin: Engine
) -> None:
    over = digest()
    nonces.spend(over, timedelta(milliseconds=1))
    time.sleep(0.02)
    upkeep = finora.scope(tenant=UPKEEP, user=UPKEEP)
    with database.begin(upkeep) as work:
        work.events.record(ScheduleDue("jobs.purge", datetime.now(UTC)))
    finora.run_jobs()
    with admin.connect() as connection:
        job = connection.execute(
            text("select state, result from finora.job where request_id = :r"),
            {"r": upkeep.request_id},
        ).one()
        there = text("select count(*) from finora.nonce where digest = :d")
        assert connection.scalar(there, {"d": over}) == 0
    assert job.state == "done"
    assert job.result["nonces"] >= 1


@pytest.mark.invariant("I-37")
def test_nobody_reads_what_was_spent(database: Postgres, scope: Scope) -> None:
    for role in ("finora_api", "finora_worker", "finora_control"):
        with database.engine.connect() as connection:
            connection.execute(text(f"set local role {role}"))
            with pytest.raises(Exception, match="permission denied"):
                connection.execute(text("select digest from finora.nonce"))


def test_a_nonce_is_a_digest(nonces: PgNonces) -> None:
    with pytest.raises(Exception, match="nonce_digest_check"):
        nonces.spend(b"short", MINUTE)
