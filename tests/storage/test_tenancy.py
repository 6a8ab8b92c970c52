"""No context, no rows: what a connection sees belongs to the transaction that it is in."""

import hashlib
import hmac
import random
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from finora import Finora, Scope, Settings
from finora_adapters.compose import engine_of
from finora_adapters.embedded import Engines
from finora_adapters.postgres import access
from finora_adapters.postgres.schema import metadata
from finora_adapters.postgres.tenants import BadKey
from finora_adapters.postgres.warrants import Pads, Warrants
from finora_adapters.postgres.work import Postgres
from finora_core.kernel.ids import new_id
from together import errors, together

TENANT_TABLES = sorted(
    table.name for table in metadata.tables.values() if "tenant_id" in table.columns
)
# Whom an invitation is for is known by an address only.
BY_ADDRESS = {("invite", access.ERASER)}


@pytest.fixture
def small(engines: Engines, settings: Settings) -> Iterator[Engine]:
    """A pool of two connections that looks at each that comes back."""
    engine = engine_of(
        engines.postgres_dsn, settings.model_copy(update={"pool_size": 2, "pool_wait_s": 60})
    )
    engine.left_behind = []

    def look(connection: Any, *_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "select coalesce(current_setting('finora.tenant', true), ''), "
                "coalesce(current_setting('finora.user', true), ''), "
                "current_user = session_user, current_setting('statement_timeout')"
            )
            left = cursor.fetchone()
        connection.rollback()
        if left != ("", "", True, "0"):
            engine.left_behind.append(left)

    event.listen(engine, "checkout", look)
    yield engine
    engine.dispose()


@pytest.mark.invariant("I-37")
@pytest.mark.parametrize("role", [access.API, access.WORKER])
@pytest.mark.parametrize("context", ["never set", "", "ended"])
def test_without_a_tenant_there_are_no_rows_and_no_writes(
    small: Engine, finora: Finora, scope: Scope, warrants: Warrants, role: str, context: str
) -> None:
    finora.ledger.open_account(scope, "Cash")
    with small.connect() as connection:
        if context == "ended":
            warrants.be(connection, scope.tenant_id, scope.user_id)
            connection.commit()
        connection.execute(text(f"set local role {role}"))
        if not context:
            connection.execute(text("select set_config('finora.tenant', '', true)"))
        for name in TENANT_TABLES:
            if (name, role) in access.grants():
                assert connection.scalar(text(f"select count(*) from finora.{name}")) == 0, name
        for tenant in (scope.tenant_id, new_id()):
            with pytest.raises(DBAPIError) as caught, connection.begin_nested():
                connection.execute(
                    text(
                        "insert into finora.account (tenant_id, id, name, kind, normal) "
                        "values (:t, :i, 'x', 'asset', 1)"
                    ),
                    {"t": tenant, "i": new_id()},
                )
            assert caught.value.orig.sqlstate == "42501"


@pytest.mark.invariant("I-37")
def test_a_thousand_interleavings_over_two_connections_leak_nothing(
    small: Engine, finora: Finora, scope: Scope, warrants: Warrants
) -> None:
    database = Postgres(small, warrants)
    scopes = [finora.scope(tenant=f"{scope.tenant_id} {n}", user=f"u{n}") for n in range(5)]
    names: dict[UUID, set[str]] = {each.tenant_id: set() for each in scopes}
    lock = threading.Lock()
    add = text(
        "insert into finora.account (tenant_id, id, name, kind, normal) "
        "values (finora.finora_tenant(), :i, :n, 'asset', 1)"
    )

    def go(seed: int) -> int:
        choice = random.Random(seed)
        for n in range(170):
            mine = choice.choice(scopes)
            name, ending = f"{seed} {n}", choice.choice(["commit", "commit", "raise", "error"])
            try:
                with database.begin(mine) as work:
                    seen = work.connection.execute(
                        text("select tenant_id, name from finora.account")
                    ).all()
                    assert {row.tenant_id for row in seen} <= {mine.tenant_id}
                    work.connection.execute(add, {"i": new_id(), "n": name})
                    if ending == "raise":
                        raise InterruptedError
                    if ending == "error":
                        work.connection.execute(text("select 1 / 0"))
            except (InterruptedError, DBAPIError):
                continue
            with lock:
                names[mine.tenant_id].add(name)
            if choice.random() < 0.1:
                with database.look() as connection:
                    assert connection.scalar(text("select count(*) from finora.account")) == 0
        return 170

    results = together(*[lambda s=s: go(s) for s in range(6)])
    assert not errors(results)
    assert sum(results) > 1_000
    assert small.left_behind == []
    for each in scopes:
        assert {a.name for a in finora.ledger.accounts(each)} == names[each.tenant_id]


@pytest.mark.invariant("T-24")
@pytest.mark.parametrize("role", access.TAKEN)
def test_who_only_names_another_tenant_sees_and_writes_nothing_of_it(
    finora: Finora, database: Postgres, scope: Scope, stranger: Scope, role: str
) -> None:
    """As a statement that an attacker gets into a transaction would do."""
    finora.ledger.open_account(scope, "Cash")
    mine = finora.scope(tenant=f"t-{new_id()}", user="u1")
    add = text(
        "insert into finora.account (tenant_id, id, name, kind, normal) "
        "values (:t, :i, 'x', 'asset', 1)"
    )
    name = text("select set_config(:name, :value, true)")
    with database.begin(stranger) as work:
        work.connection.execute(name, {"name": "role", "value": role})
        for setting, value in (
            ("finora.tenant", scope.tenant_id),
            # Nor with what this transaction has, or another of the tenant's own people has.
            ("finora.warrant", database.warrants.of(stranger.tenant_id, stranger.user_id)),
            ("finora.warrant", database.warrants.of(mine.tenant_id, scope.user_id)),
            ("finora.warrant", ""),
            ("finora.user", scope.user_id),
        ):
            work.connection.execute(name, {"name": setting, "value": str(value)})
            for table in TENANT_TABLES:
                if (table, role) in access.grants() and (table, role) not in BY_ADDRESS:
                    seen = text(f"select count(*) from finora.{table}")
                    assert work.connection.scalar(seen) == 0, table
            if role in access.RUNTIME:
                with pytest.raises(DBAPIError) as caught, work.connection.begin_nested():
                    work.connection.execute(add, {"t": scope.tenant_id, "i": new_id()})
                assert caught.value.orig.sqlstate == "42501"
        work.connection.execute(name, {"name": "role", "value": access.API})
        for statement in ("select * from finora.warrant_key", "delete from finora.warrant_key",
                          "update finora.warrant_key set enforced = false"):  # fmt: skip
            with pytest.raises(DBAPIError) as caught, work.connection.begin_nested():
                work.connection.execute(text(statement))
            assert caught.value.orig.sqlstate == "42501"
    assert [account.name for account in finora.ledger.accounts(scope)] == ["Cash"]


@pytest.mark.invariant("T-24")
def test_a_warrant_is_the_hmac_of_both_ids() -> None:
    key, tenant, person = b"k" * 32, new_id(), new_id()
    said = f"{tenant} {person}".encode()
    assert Warrants(key).of(tenant, person) == hmac.digest(key, said, "sha256").hex()
    for long in (b"k" * 32, b"k" * 64, b"k" * 65):
        pads = Pads.of(long)
        inner = hashlib.sha256(pads.inner + said).digest()
        made = hashlib.sha256(pads.outer + inner).hexdigest()
        assert made == hmac.digest(long, said, "sha256").hex()


@pytest.mark.parametrize("tenant", ["x", "' or true --", "00000000"])
def test_a_tenant_that_is_no_id_is_an_error_and_not_a_look_around(
    small: Engine, scope: Scope, warrants: Warrants, tenant: str
) -> None:
    with small.connect() as connection:
        connection.execute(text(f"set local role {access.API}"))
        warrants.be(connection, tenant, "")
        with pytest.raises(DBAPIError):
            connection.scalar(text("select count(*) from finora.tenant"))


def test_the_hosts_names_are_made_once_however_many_ask(finora: Finora) -> None:
    name = str(new_id())
    results = together(*[lambda: finora.scope(tenant=name, user=name)] * 16)
    assert not errors(results)
    assert len({(each.tenant_id, each.user_id) for each in results}) == 1
    assert len({each.request_id for each in results}) == 16
    other = finora.scope(tenant=name, user="somebody else")
    assert other.tenant_id == results[0].tenant_id
    assert other.user_id != results[0].user_id


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "\x00", "\ud800", "\u202e"])
def test_a_host_has_plain_names(finora: Finora, name: str) -> None:
    with pytest.raises(BadKey):
        finora.scope(tenant=name, user="u")
    with pytest.raises(BadKey):
        finora.scope(tenant="t", user=name)


@pytest.mark.parametrize("name", ["'; drop table finora.posting; --", "𝔸cme & Söhne", "..", "%_"])
def test_a_strange_name_is_a_name(finora: Finora, name: str) -> None:
    one, again = (finora.scope(tenant=name, user=name, request_id="r") for _ in range(2))
    assert one == again
    assert finora.scope(tenant=name + "x", user=name).tenant_id != one.tenant_id
