"""`begin`: one transaction, of one tenant, for one cause; all of it or nothing."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs
import pytest
from sqlalchemy import Engine, text

from finora import Amount, Command, Finora, JobState, Posting, Replayed, Scope, Settings, currency
from finora_adapters.compose import engine_of
from finora_adapters.embedded import Engines
from finora_adapters.postgres.errors import Busy, DatabaseDown, TooSlow
from finora_adapters.postgres.jobs import PgQueue
from finora_adapters.postgres.warrants import Warrants
from finora_adapters.postgres.work import Limits, Postgres
from finora_core.jobs.model import Claimed, Subscription
from finora_core.kernel.errors import Unavailable
from finora_core.kernel.ids import new_id
from finora_core.kernel.plain import to_plain
from finora_core.kernel.scope import Claim
from finora_core.kernel.work import (
    CommandInFlight,
    CommandKeyReused,
    Contended,
    StaleClaim,
    retried,
)
from finora_core.ledger.model import Account, AccountKind, AccountOpened
from finora_core.ledger.service import LedgerService
from together import errors, together

TESTS = Path(__file__).parents[1]
COUNT = text("select count(*) from finora.account")


def open_account(database: Postgres, scope: Scope, name: str) -> Account:
    account = Account(id=new_id(), name=name, kind=AccountKind.ASSET)
    with database.begin(scope) as work:
        work.accounts.add(account)
        return work.done(account)


def accounts(database: Postgres, scope: Scope) -> list[str]:
    with database.begin(attrs.evolve(scope, cause=None)) as work:
        return [account.name for account in work.accounts.list()]


def command(scope: Scope, key: str = "k", fingerprint: bytes = b"f") -> Scope:
    encode = lambda result: json.dumps(to_plain(result)).encode()  # noqa: E731  # a callback
    return attrs.evolve(scope, cause=Command(key=key, fingerprint=fingerprint, encode=encode))


# --- no cause ------------------------------------------------------------------------------------


def test_a_clean_exit_commits_and_an_error_undoes_everything(
    database: Postgres, scope: Scope
) -> None:
    open_account(database, scope, "kept")
    for error in (RuntimeError, KeyboardInterrupt, GeneratorExit, SystemExit):
        with pytest.raises(error), database.begin(scope) as work:
            work.accounts.add(Account(id=new_id(), name="gone", kind=AccountKind.ASSET))
            work.events.record(AccountOpened(new_id(), AccountKind.ASSET))
            raise error
    assert accounts(database, scope) == ["kept"]


@pytest.mark.invariant("I-37")
def test_a_transaction_acts_as_its_role_tenant_and_user_within_its_limits(
    database: Postgres, scope: Scope
) -> None:
    query = text(
        "select current_user, finora.finora_tenant(), finora.finora_user(), "
        "current_setting('statement_timeout'), current_setting('lock_timeout'), now()"
    )
    with database.begin(scope) as work:
        seen = work.connection.execute(query).one()
        assert tuple(seen)[:5] == ("finora_api", scope.tenant_id, scope.user_id, "30s", "10s")
        assert work.now == seen[5]
        assert work.now.tzinfo is not None
    with database.connect() as connection:
        assert connection.scalar(text("select current_user")) == "finora_app"


# --- a command -----------------------------------------------------------------------------------


@pytest.mark.invariant("I-16")
def test_a_finished_command_is_replayed_byte_for_byte(database: Postgres, scope: Scope) -> None:
    made = open_account(database, command(scope), "Ünïcode ☂")
    with pytest.raises(Replayed) as caught:
        open_account(database, command(scope), "Ünïcode ☂")
    assert caught.value.reply == json.dumps(to_plain(made)).encode()
    assert accounts(database, scope) == ["Ünïcode ☂"]


@pytest.mark.invariant("I-16")
def test_a_key_with_another_content_is_refused(database: Postgres, scope: Scope) -> None:
    open_account(database, command(scope), "A")
    with pytest.raises(CommandKeyReused):
        open_account(database, command(scope, fingerprint=b"other"), "B")
    assert accounts(database, scope) == ["A"]


@pytest.mark.invariant("I-16")
def test_a_twin_in_flight_is_a_conflict_and_does_not_wait(database: Postgres, scope: Scope) -> None:
    with database.begin(command(scope)) as work:
        for _ in range(2):
            with pytest.raises(CommandInFlight):
                open_account(database, command(scope), "B")
        open_account(database, command(scope, "another key"), "C")
        account = Account(id=new_id(), name="A", kind=AccountKind.ASSET)
        work.accounts.add(account)
        work.done(account)
    with pytest.raises(Replayed):
        open_account(database, command(scope), "B")
    assert accounts(database, scope) == ["A", "C"]


@pytest.mark.invariant("I-16")
def test_a_command_that_was_rolled_back_leaves_nothing_and_may_come_again(
    database: Postgres, scope: Scope
) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError), database.begin(command(scope)) as work:
            account = Account(id=new_id(), name="A", kind=AccountKind.ASSET)
            work.accounts.add(account)
            work.done(account)
            raise RuntimeError
    assert accounts(database, scope) == []
    open_account(database, command(scope), "A")
    assert accounts(database, scope) == ["A"]


def test_a_reply_that_cannot_be_encoded_undoes_the_command(
    database: Postgres, scope: Scope
) -> None:
    broken = Command(key="k", fingerprint=b"f", encode=lambda _: json.dumps(object()).encode())
    with pytest.raises(TypeError):
        open_account(database, attrs.evolve(scope, cause=broken), "A")
    assert accounts(database, scope) == []


# --- a claimed job -------------------------------------------------------------------------------


@attrs.frozen
class Wanted:
    type = "test.wanted"

    def payload(self) -> dict[str, str]:
        return {}


@pytest.fixture
def claimed(database: Postgres, scope: Scope) -> Claimed:
    """A job of the tenant, claimed by this process."""
    wanted = {"test.wanted": (Subscription(event="test.wanted", job="test.run"),)}
    jobs = Postgres(database.engine, database.warrants, wanted)
    with jobs.begin(scope) as work:
        work.events.record(Wanted())
    queue = PgQueue(jobs)
    while claimed := queue.claim(100):  # Others' jobs may be waiting before it.
        for job in claimed:
            if job.tenant_id == scope.tenant_id:
                return job
    raise AssertionError("the job was never claimed")


def run(scope: Scope, job: Claimed) -> Scope:
    return attrs.evolve(scope, cause=Claim(job_id=job.id, epoch=job.epoch))


def state(finora: Finora, scope: Scope, job: Claimed) -> JobState:
    return finora.jobs.get(attrs.evolve(scope, cause=None), job.id).state


def take_over(database: Postgres, job: Claimed) -> None:
    with database.control() as connection:
        connection.execute(
            text("update finora.job set epoch = epoch + 1 where id = :id"), {"id": job.id}
        )


def test_effect_and_completion_of_a_job_commit_together(
    database: Postgres, finora: Finora, scope: Scope, claimed: Claimed
) -> None:
    with pytest.raises(RuntimeError), database.begin(run(scope, claimed)) as work:
        assert work.connection.scalar(text("select current_user")) == "finora_worker"
        account = Account(id=new_id(), name="A", kind=AccountKind.ASSET)
        work.accounts.add(account)
        work.done(account)
        raise RuntimeError
    assert (accounts(database, scope), state(finora, scope, claimed)) == ([], JobState.RUNNING)
    open_account(database, run(scope, claimed), "A")
    assert (accounts(database, scope), state(finora, scope, claimed)) == (["A"], JobState.DONE)


@pytest.mark.invariant("I-24")
@pytest.mark.parametrize("when", ["before", "while", "before done", "after done"])
def test_a_stale_claim_writes_nothing(
    database: Postgres, scope: Scope, claimed: Claimed, when: str
) -> None:
    account = Account(id=new_id(), name="A", kind=AccountKind.ASSET)
    if when == "before":
        take_over(database, claimed)
    with pytest.raises((StaleClaim, Contended)), database.begin(run(scope, claimed)) as work:
        assert when != "before"
        work.accounts.add(account)
        if when in ("while", "before done"):
            take_over(database, claimed)
        if when != "while":
            work.done(account)
        if when == "after done":
            # Its completion goes with the commit: who comes between is first.
            take_over(database, claimed)
    assert accounts(database, scope) == []


@pytest.mark.invariant("I-24")
def test_a_job_is_not_completed_twice(database: Postgres, scope: Scope, claimed: Claimed) -> None:
    open_account(database, run(scope, claimed), "A")
    with pytest.raises(StaleClaim):
        open_account(database, run(scope, claimed), "B")
    assert accounts(database, scope) == ["A"]


def test_a_job_of_another_tenant_is_stale(
    database: Postgres, stranger: Scope, claimed: Claimed
) -> None:
    with pytest.raises(StaleClaim):
        open_account(database, run(stranger, claimed), "A")


# --- what the database does ----------------------------------------------------------------------


@pytest.fixture
def small(engines: Engines, settings: Settings, warrants: Warrants) -> Iterator[Postgres]:
    """A pool of two, with short limits."""
    short = settings.model_copy(update={"pool_size": 2, "pool_wait_s": 1})
    engine = engine_of(engines.postgres_dsn, short)
    limits = Limits(statement_ms=300, job_statement_ms=2_000, lock_ms=200)
    yield Postgres(engine, warrants, limits=limits)
    engine.dispose()


def test_a_deadlock_is_run_again(database: Postgres, scope: Scope) -> None:
    """Two take two advisory locks in opposite order; both end well."""
    tries: list[int] = []

    @retried
    def take(first: int, second: int) -> None:
        tries.append(first)
        with database.begin(scope) as work:
            work.connection.execute(text("select pg_advisory_xact_lock(:n)"), {"n": first})
            time.sleep(0.1)
            work.connection.execute(text("select pg_advisory_xact_lock(:n)"), {"n": second})

    assert not errors(together(lambda: take(71, 72), lambda: take(72, 71)))
    assert len(tries) >= 3


def test_a_wait_for_a_lock_ends(small: Postgres, scope: Scope) -> None:
    lock = text("select pg_advisory_xact_lock(73)")
    with small.begin(scope) as holder:
        holder.connection.execute(lock)
        with pytest.raises(Contended) as caught, small.begin(scope) as work:
            work.connection.execute(lock)
    assert caught.value.code == "TRY_AGAIN"


def test_a_statement_that_takes_too_long_is_stopped(
    small: Postgres, scope: Scope, database: Postgres
) -> None:
    with pytest.raises(TooSlow) as caught, small.begin(scope) as work:
        work.accounts.add(Account(id=new_id(), name="gone", kind=AccountKind.ASSET))
        work.connection.execute(text("select pg_sleep(30)"))
    assert caught.value.code == "TIME_LIMIT"
    assert accounts(small, scope) == []


def test_a_job_has_a_limit_of_its_own(small: Postgres, scope: Scope, claimed: Claimed) -> None:
    with small.begin(run(scope, claimed)) as work:
        assert work.connection.scalar(text("show statement_timeout")) == "2s"
        work.connection.execute(text("select pg_sleep(0.4)"))
        work.done(None)


def test_when_all_connections_are_in_use_one_is_told_so(small: Postgres, scope: Scope) -> None:
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(small.begin(scope))
        results = together(*[lambda: accounts(small, scope)] * 4)
        assert {type(error) for error in errors(results)} == {Busy}
        assert errors(results)[0].code == "DATABASE_BUSY"
        assert len(errors(results)) == 4
    assert accounts(small, scope) == []


def kill(admin: Engine, pid: int) -> None:
    with admin.connect() as connection:
        connection.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})


def test_a_killed_connection_is_one_refusal_and_the_pool_heals(
    small: Postgres, scope: Scope, admin: Engine
) -> None:
    pid = text("select pg_backend_pid()")
    with pytest.raises(DatabaseDown) as caught, small.begin(scope) as work:
        work.accounts.add(Account(id=new_id(), name="gone", kind=AccountKind.ASSET))
        kill(admin, work.connection.scalar(pid) or 0)
        work.connection.execute(text("select 1"))
    assert isinstance(caught.value, Unavailable)
    for _ in range(5):
        assert accounts(small, scope) == []


def test_connections_killed_while_idle_are_nobodys_trouble(
    small: Postgres, scope: Scope, admin: Engine
) -> None:
    with small.begin(scope) as one, small.begin(scope) as other:
        pids = [work.connection.scalar(text("select pg_backend_pid()")) for work in (one, other)]
    for pid in pids:
        kill(admin, pid or 0)
    for _ in range(4):
        assert accounts(small, scope) == []


def test_a_connection_killed_before_commit_loses_the_work_and_says_so(
    small: Postgres, scope: Scope, admin: Engine
) -> None:
    with pytest.raises(DatabaseDown), small.begin(scope) as work:
        work.accounts.add(Account(id=new_id(), name="gone", kind=AccountKind.ASSET))
        kill(admin, work.connection.scalar(text("select pg_backend_pid()")) or 0)
        time.sleep(0.05)
    assert accounts(small, scope) == []


def test_a_server_that_is_not_there_is_unavailable(
    settings: Settings, scope: Scope, warrants: Warrants
) -> None:
    nowhere = Postgres(engine_of("host=/nonexistent dbname=finora user=x", settings), warrants)
    with pytest.raises(DatabaseDown) as caught:
        accounts(nowhere, scope)
    assert caught.value.code == "DATABASE_UNAVAILABLE"


# --- forks ---------------------------------------------------------------------------------------

FORK = """
import os, sys
from finora import Finora, Settings
from finora_adapters.postgres.warrants import Warrants
from finora_adapters.postgres.work import Forked
with Finora.open(Settings(data=sys.argv[1], env="test")) as finora:
    scope = finora.scope(tenant="fork", user="u")
    pid = os.fork()
    if not pid:
        try:
            finora.ledger.accounts(scope)
        except Forked as refusal:
            if sys.argv[2] == "close":
                finora.close()
            elif sys.argv[2] == "return":
                sys.exit(7)
            os._exit(7 if refusal.code == "FORKED" else 8)
        os._exit(9)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    pids = [finora.ledger.accounts(scope) for _ in range(3)]
    print("parent works")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("ending", ["die", "close", "return"])
def test_a_child_of_a_fork_is_refused_and_harms_nobody(
    settings: Settings, finora: Finora, ending: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, str(settings.data), ending],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["7", "parent works"], done.stderr
    finora.scope(tenant="fork", user="u")  # the servers still run


# --- tests themselves ----------------------------------------------------------------------------


@pytest.mark.spec("S0-69")
def test_a_repository_test_leaves_nothing(
    store: Postgres, finora: Finora, stranger: Scope, admin: Engine
) -> None:
    ledger = LedgerService(store.begin)
    a, b = (ledger.open_account(stranger, name).id for name in "AB")
    one = Amount(1, currency("EUR"))
    made = ledger.post(stranger, [Posting(a, one), Posting(b, -one)])
    assert ledger.entry(stranger, made.id).postings == made.postings
    with admin.connect() as connection:
        found = connection.scalar(
            text("select count(*) from finora.entry where tenant_id = :t"),
            {"t": stranger.tenant_id},
        )
    assert found == 0


@pytest.mark.spec("S0-69")
def test_in_a_repository_test_an_error_undoes_its_own_transaction_alone(
    store: Postgres, stranger: Scope
) -> None:
    open_account(store, stranger, "kept")
    with pytest.raises(RuntimeError), store.begin(stranger) as work:
        work.accounts.add(Account(id=new_id(), name="gone", kind=AccountKind.ASSET))
        raise RuntimeError
    assert accounts(store, stranger) == ["kept"]


REMOTE = """
import attrs, pytest

@attrs.frozen
class Elsewhere:
    postgres_dsn: str = "host=db.example.com user=finora dbname=production"

@pytest.fixture(scope="session")
def finora(): ...

@pytest.fixture(scope="session")
def engines(): return Elsewhere()

def test_it(store): raise AssertionError("it ran")
"""


@pytest.mark.spec("S0-69")
def test_the_suite_refuses_a_server_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_remote.py").write_text(REMOTE)
    command_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c",
                str(TESTS.parent / "pyproject.toml"), "--rootdir", str(tmp_path),
                "-p", "conftest", str(tmp_path)]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": str(TESTS),
        "FINORA_DATABASE_URL": "postgresql://finora@db.example.com/production",
    }
    done = subprocess.run(
        command_, capture_output=True, text=True, env=environment, timeout=60, check=False,
        cwd=TESTS.parent,
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    assert "is not a server of this run" in done.stdout + done.stderr
    assert "it ran" not in done.stdout


@pytest.mark.spec("S0-69")
def test_the_run_is_on_a_socket_of_its_own_whatever_the_environment_says(
    engines: Engines, settings: Settings, admin: Engine
) -> None:
    assert settings.database_url is None
    assert engines.postgres_dsn.startswith("host=/")
    with admin.connect() as connection:
        assert connection.scalar(text("show listen_addresses")) == ""
