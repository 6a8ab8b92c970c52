"""Through a real PgBouncer in transaction mode: the library and the worker work, several clients
share a server process, and nothing of one is seen by the next."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import attrs
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr
from sqlalchemy import text

from finora import Amount, Finora, Posting, Scope, Settings, currency
from finora.commands.demo import HOUSEHOLD
from finora_adapters.compose import engine_of, open_database, warrants_of
from finora_adapters.embedded import Engines, open_engines
from finora_adapters.postgres import pooler
from finora_adapters.postgres.invariants import violations
from finora_adapters.postgres.work import Postgres
from folders import short_folder
from together import errors, together

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
LIVELY = 30.0

pytestmark = [
    pytest.mark.skipif(not os.access(PROGRAM, os.X_OK), reason="pgbouncer is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="a unix socket's owner runs it"),
]


@attrs.frozen
class Place:
    """A server of this module's own, and the pooler in front of it."""

    engines: Engines
    pooled: str
    """the run-time login's address through the pooler"""
    direct: str

    def settings(self, *, direct: bool) -> Settings:
        return Settings(
            data=self.engines.data,
            env="test",
            database_url=SecretStr(self.pooled),
            database_direct_url=SecretStr(self.direct) if direct else None,
        )

    def servers(self) -> int:
        """How many server processes the pooler holds."""
        host = conninfo_to_dict(self.pooled)["host"]
        with psycopg.connect(
            f"host={host} port=6432 user=finora_app dbname=pgbouncer", autocommit=True
        ) as console:
            cursor = psycopg.ClientCursor(console)
            return len(cursor.execute("show servers").fetchall())


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with (
        short_folder("finora-p-") as folder,
        open_engines(folder / "data", valkey=True) as engines,
    ):
        Finora.migrate(Settings(data=folder / "data"))
        host = str(conninfo_to_dict(engines.postgres_dsn)["host"])
        with _bouncer(folder / "b", host):
            yield Place(
                engines,
                f"postgresql://finora_app@/finora?host={folder / 'b'}&port=6432",
                f"postgresql://finora_app@/finora?host={host}",
            )


class _bouncer:  # noqa: N801  # used as a function
    def __init__(self, folder: Path, host: str) -> None:
        folder.mkdir()
        (folder / "users").write_text('"finora_app" ""\n')
        (folder / "ini").write_text(
            f"[databases]\nfinora = host={host} port=5432 dbname=finora\n"
            f"[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {folder}\n"
            f"auth_type = trust\nauth_file = {folder}/users\nadmin_users = finora_app\n"
            "pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 200\n"
        )
        # As the owner of the server's socket: it is closed to all others, and root is refused.
        owner = os.stat(f"{host}/.s.PGSQL.5432")
        if os.geteuid() == 0:
            os.chown(folder, owner.st_uid, owner.st_gid)
            self.user = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        else:
            self.user = {}
        self.folder = folder

    def __enter__(self) -> None:
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [PROGRAM, str(self.folder / "ini")], cwd="/", stdout=log, stderr=log, **self.user
            )
        eventually((self.folder / ".s.PGSQL.6432").exists, self.folder / "log")

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def eventually(check: Callable[[], object], log: Path) -> None:
    deadline = time.monotonic() + LIVELY
    while not check():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def eur(units: int) -> Amount:
    return Amount(units, currency("EUR"))


def test_a_pooler_is_noticed(place: Place) -> None:
    with pooler.connect(place.pooled) as connection:
        assert connection.prepare_threshold is None
        assert not connection.autocommit
    with pooler.connect(place.direct) as connection:
        assert connection.prepare_threshold is not None
    for direct, listened in ((True, place.direct), (False, None)):
        opened = open_database(place.settings(direct=direct))
        assert opened.listen_dsn == listened
        opened.close()
    alone = Settings(data=place.engines.data, database_url=SecretStr(place.direct))
    opened = open_database(alone)
    assert opened.listen_dsn == place.direct
    opened.close()


@pytest.mark.spec("S2-64", partial=True)
@pytest.mark.parametrize("direct", [True, False])
def test_the_library_works_through_a_pooler(place: Place, direct: bool) -> None:
    with Finora.open(place.settings(direct=direct)) as finora:
        scopes = [finora.scope(tenant=f"t-{uuid4()}", user="u") for _ in range(4)]

        def work(scope: Scope) -> int:
            a, b = (finora.ledger.open_account(scope, name).id for name in "AB")
            for n in range(1, 21):
                finora.ledger.post(scope, [Posting(a, eur(n)), Posting(b, -eur(n))])
                finora.wallet.summary(scope)
            return len(list(finora.export(scope)))

        results = together(*[lambda s=scope: work(s) for scope in scopes])
        assert not errors(results)
        # Ten times as often as psycopg needs to begin preparing.
        for path in sorted(HOUSEHOLD.glob("*.ofx"))[:2]:
            finora.import_file(scopes[0], path)
        finora.run_jobs()
        for scope in scopes[1:]:
            assert {account.name for account in finora.ledger.accounts(scope)} == {"A", "B"}
    assert place.servers() <= 2
    with psycopg.connect(place.engines.admin_dsn) as admin:
        active = admin.execute(
            "select count(*) from pg_stat_activity where usename = 'finora_app'"
        ).fetchone()
        assert active and active[0] <= 2
    engine = engine_of(place.engines.admin_dsn, place.settings(direct=direct))
    with engine.connect() as connection:
        assert violations(connection) == []
    engine.dispose()


@pytest.mark.invariant("I-37")
def test_no_client_sees_what_another_left_on_the_server(place: Place) -> None:
    settings = place.settings(direct=False)
    with Finora.open(settings) as finora:
        scopes = [finora.scope(tenant=f"t-{uuid4()}", user=f"u{n}") for n in range(4)]
    left = text(
        "select coalesce(current_setting('finora.tenant', true), ''), "
        "coalesce(current_setting('finora.user', true), ''), current_user = session_user, "
        "current_setting('statement_timeout'), current_setting('lock_timeout')"
    )

    def client(seed: int) -> int:
        chance = random.Random(seed)
        engine = engine_of(place.pooled, settings)
        database = Postgres(engine, warrants_of(settings))
        for _ in range(60):
            mine = chance.choice(scopes)
            try:
                with database.begin(mine) as work:
                    seen = work.connection.scalar(text("select finora.finora_tenant()"))
                    assert seen == mine.tenant_id
                    if chance.random() < 0.3:
                        raise InterruptedError
            except InterruptedError:
                pass
            with engine.connect() as connection:
                assert tuple(connection.execute(left).one()) == ("", "", True, "0", "0")
        engine.dispose()
        return 60

    results = together(*[lambda s=seed: client(s) for seed in range(6)])
    assert not errors(results)
    assert sum(results) == 360
    assert place.servers() <= 2


@pytest.mark.parametrize("direct", [True, False])
def test_the_worker_works_through_a_pooler(place: Place, tmp_path: Path, direct: bool) -> None:
    settings = place.settings(direct=direct)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FINORA_")}
    env = clean | {
        "FINORA_DATA": str(place.engines.data), "FINORA_REDIS_URL": str(place.engines.valkey_url),
        "FINORA_DATABASE_URL": place.pooled, "FINORA_ENV": "test",
    }  # fmt: skip
    if direct:
        env["FINORA_DATABASE_DIRECT_URL"] = place.direct
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "finora", "worker"],
            env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        with Finora.open(settings) as finora:
            scope = finora.scope(tenant=f"t-{uuid4()}", user="u")
            for path in sorted(HOUSEHOLD.glob("*.ofx"))[:3]:
                with path.open("rb") as file:
                    again = attrs.evolve(scope, request_id=str(uuid4()))
                    _, job = finora.imports.submit(again, file, path.name)
                eventually(lambda job=job: finora.jobs.get(scope, job).state.over, log)
                assert finora.jobs.get(scope, job).state == "done", log.read_text()
            with psycopg.connect(place.engines.admin_dsn, autocommit=True) as admin:
                unsealed = (
                    "select count(*) from finora.event e where tenant_id = %s and not exists "
                    "(select from finora.seal s where s.tenant_id = e.tenant_id "
                    "and s.event_id = e.id)"
                )
                sealed = lambda: admin.execute(unsealed, [scope.tenant_id]).fetchone() == (0,)  # noqa: E731  # short
                eventually(sealed, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIVELY) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    said = log.read_text()
    assert "Traceback" not in said and "again in" not in said, said
