"""What events are, and the check of the log beside the random changes: links of an earlier form,
events that nobody seals, tenants among others."""

import hashlib
import json
import random
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import attrs
import pytest
from sqlalchemy import Connection, Engine, text

from audit.conftest import LENGTH, Sealed, note
from audit.tampers import Tamper, Within
from books import sealed
from finora import Finora, Scope
from finora_adapters.postgres.audit import PgEveryLog
from finora_adapters.postgres.events import EventTooLarge
from finora_adapters.postgres.work import Postgres
from finora_adapters.signing import verifies
from finora_core.audit.model import AuditBroken, FeedFilter, FlawKind, LinkNotFound, Verification
from finora_core.audit.service import Auditor, required
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import BadCursor
from finora_core.kernel.scope import BadSourceAgent

# --- what an event may hold ----------------------------------------------------------------------


@attrs.frozen
class Said:
    type: ClassVar[str] = "test.said"

    details: Mapping[str, Plain]

    def payload(self) -> Mapping[str, Plain]:
        return self.details


@pytest.mark.spec("S0-43", partial=True)
@pytest.mark.parametrize(
    "details",
    [{f"k{n}": n for n in range(21)}, {"k": "x" * 1_025}, {"k" * 1_025: 1},
     {"k": "\N{SNOWMAN}" * 1_025}],
)  # fmt: skip
def test_an_event_that_is_too_large_undoes_its_transaction(
    database: Postgres, scope: Scope, details: Mapping[str, Plain]
) -> None:
    with pytest.raises(EventTooLarge), database.begin(scope) as work:
        work.events.record(Said({"k": 1}))
        work.events.record(Said(details))
    with database.begin(scope) as work:
        assert work.connection.scalar(text("select count(*) from finora.event")) == 0


@pytest.mark.spec("S0-43", partial=True)
def test_an_event_of_the_largest_size_is_kept_whole(
    finora: Finora, database: Postgres, scope: Scope
) -> None:
    details = {f"k{n}": "\N{SNOWMAN}" * 1_024 for n in range(20)}
    with database.begin(scope) as work:
        work.events.record(Said(details))
    sealed(finora, scope)
    [event] = finora.audit.events(scope).items
    assert event.payload == details
    assert finora.audit.verify(scope).whole


@pytest.mark.spec("S3-37", partial=True)
@pytest.mark.parametrize("name", ["", "X", "a b", "a" * 101, "\xe9", ".a", "a\n"])
def test_a_program_has_a_plain_name(scope: Scope, name: str) -> None:
    with pytest.raises(BadSourceAgent):
        attrs.evolve(scope, source_agent=name)


@pytest.mark.spec("S3-37", partial=True)
def test_a_host_names_its_program(finora: Finora, scope: Scope) -> None:
    finora.ledger.open_account(scope, "One")
    finora.ledger.open_account(attrs.evolve(scope, source_agent="planner-2"), "Two")
    sealed(finora, scope)
    assert [each.source_agent for each in finora.audit.events(scope).items] == [
        "balance", "planner-2",
    ]  # fmt: skip


# --- the feed ------------------------------------------------------------------------------------


@pytest.mark.spec("S3-38", partial=True)
def test_pages_join_without_a_gap(finora: Finora, database: Postgres, scope: Scope) -> None:
    accounts = [each for _ in range(7) for each in note(database, scope, 3)]
    last = sealed(finora, scope)
    seen, cursor = [], None
    while True:
        page = finora.audit.events(scope, cursor=cursor, limit=4)
        seen += [each.payload["account"] for each in page.items]
        assert page.complete_to == last == 21
        cursor = page.next
        if cursor is None:
            break
    assert seen == accounts
    assert finora.audit.events(scope, FeedFilter(type="no.such")).items == ()
    with pytest.raises(BadCursor):
        finora.audit.events(scope, cursor="x")


# --- the check -----------------------------------------------------------------------------------


def check(connection: Connection, tenant: UUID | None = None) -> Verification:
    return Auditor(PgEveryLog(Within(connection)), verifies).verify(tenant)


def first_form(previous: bytes, row: Any) -> bytes:
    """As links were sealed by the release before."""
    at = row.recorded_at.astimezone(UTC).isoformat()
    form = [str(row.tenant_id), str(row.id), row.type, row.payload, str(row.actor), row.request_id,
            at]  # fmt: skip
    said = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(previous + said.encode()).digest()


@pytest.mark.invariant("I-50")
@pytest.mark.invariant("F-27")
def test_links_of_the_release_before_stay_good(admin: Engine, chain: Sealed) -> None:
    """Its worker may go on sealing for a while, between those of the new one; a change shows."""
    tenant = chain.scope.tenant_id
    with admin.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        tamper = Tamper(connection, tenant, random.Random(1), LENGTH, LENGTH)
        previous = bytes(32)
        old = {1, 2, 3, 4, 5, 9, 10, 20, LENGTH}
        for seq in range(1, LENGTH + 1):
            if seq in old:
                previous = first_form(previous, tamper.row(seq))
                tamper.run(
                    "update finora.seal set hash = :h where tenant_id = :t and seq = :s",
                    h=previous, s=seq,
                )  # fmt: skip
            else:
                tamper._recompute(seq, seq)
                previous = bytes(tamper.row(seq).hash)
        assert check(connection, tenant).whole
        for column, value in (("request_id", "'x'"), ("source_agent", "'x'"),
                              ("actor", "gen_random_uuid()")):  # fmt: skip
            with connection.begin_nested() as undone:
                tamper.run(
                    f"update finora.event set {column} = {value} where id = :id",
                    id=tamper.row(4).id,
                )
                [flaw] = check(connection, tenant).flaws
                assert (flaw.kind, flaw.seq) == (FlawKind.CHANGED, 4), column
                undone.rollback()
        connection.rollback()


@pytest.mark.invariant("I-50")
def test_an_event_that_nobody_seals_is_told_after_an_hour(admin: Engine, chain: Sealed) -> None:
    tenant = chain.scope.tenant_id
    with admin.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        add = text(
            "insert into finora.event (tenant_id, id, type, payload, actor, request_id, "
            "recorded_at) values (:t, :id, 'x', '{}', :t, 'x', now() - cast(:ago as interval))"
        )
        connection.execute(add, {"t": tenant, "id": new_id(), "ago": "59 min"})
        assert check(connection, tenant).whole
        late = new_id()
        connection.execute(add, {"t": tenant, "id": late, "ago": "61 min"})
        [flaw] = check(connection, tenant).flaws
        assert (flaw.kind, flaw.event_id) == (FlawKind.UNSEALED, late)
        assert flaw.seq is not None and flaw.seq > LENGTH
        connection.rollback()


@pytest.mark.invariant("I-52")
def test_of_several_tenants_each_ones_first_flaw_is_named(admin: Engine, chain: Sealed) -> None:
    """In one look at all of them; the others stay whole."""
    one, two = chain.scope.tenant_id, chain.other.tenant_id
    with admin.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        for tenant, places in ((one, (9, 4, 17)), (two, (22,))):
            for seq in places:
                connection.execute(
                    text("update finora.event set type = 'x' where (tenant_id, id) = (select "
                         "tenant_id, event_id from finora.seal where tenant_id = :t and seq = :s)"),
                    {"t": tenant, "s": seq},
                )  # fmt: skip
        found = chain.verify(connection, every=True)
        assert {flaw.tenant_id: flaw.seq for flaw in found.flaws} == {one: 4, two: 22}
        with pytest.raises(AuditBroken, match=f"tenant {one} seq 4 event .*: changed"):
            required(found)
        connection.rollback()
        whole = chain.verify(connection, every=True)
        assert (whole.whole, whole.anchors) == (True, 4)
        tenants = connection.scalar(text("select count(distinct tenant_id) from finora.event"))
    assert whole.tenants == tenants > 2


@pytest.mark.invariant("I-50")
def test_every_tenant_is_looked_at_once(database: Postgres, admin: Engine, scope: Scope) -> None:
    """Also those whose events are not sealed yet, and in whatever steps."""
    note(database, scope)
    log = PgEveryLog(database)
    query = text("select tenant_id from finora.event union select tenant_id from finora.seal")
    with admin.connect() as connection:
        wanted = sorted(connection.scalars(query).all())
    for step in (1, 2, 7, 1_000):
        seen: list[UUID] = []
        while batch := log.tenants(seen[-1] if seen else None, step):
            seen.extend(batch)
        assert seen == wanted


def test_a_tenant_checks_its_own_chain_in_steps(finora: Finora, chain: Sealed) -> None:
    after, steps = 0, []
    while True:
        found = finora.audit.verify(chain.scope, after=after, limit=10)
        assert found.whole
        steps.append((found.first, found.last))
        if found.next is None:
            break
        after = found.next
    assert steps == [(1, 10), (11, 20), (21, LENGTH)]
    assert finora.audit.verify(chain.scope).last == LENGTH
    for wrong in (LENGTH + 1, 1 << 62):
        with pytest.raises(LinkNotFound):
            finora.audit.verify(chain.scope, after=wrong)


def test_a_tenant_without_events_is_whole(finora: Finora, scope: Scope) -> None:
    found = finora.audit.verify(scope)
    assert (found.whole, found.last, found.next) == (True, 0, None)
    assert finora.auditor.verify(scope.tenant_id).whole
    page = finora.audit.events(scope)
    assert (page.items, page.next, page.complete_to) == ((), None, 0)


@pytest.mark.invariant("I-36")
def test_a_tenant_sees_nothing_of_anothers_log(
    finora: Finora, database: Postgres, scope: Scope, stranger: Scope
) -> None:
    note(database, scope, 2)
    sealed(finora, scope)
    assert finora.audit.events(stranger).items == ()
    assert finora.audit.verify(stranger).last == 0


@pytest.mark.spec("S3-37", partial=True)
@pytest.mark.parametrize("role", ["finora_api", "finora_worker", "finora_control"])
def test_no_run_time_role_changes_the_log(database: Postgres, scope: Scope, role: str) -> None:
    note(database, scope)
    for change in ("update finora.event set type = 'x'", "delete from finora.event",
                   "truncate finora.event", "update finora.seal set seq = 0",
                   "delete from finora.seal", "truncate finora.seal"):  # fmt: skip
        with database.engine.connect() as connection:
            connection.execute(text(f"set local role {role}"))
            with pytest.raises(Exception, match="permission denied"):
                connection.execute(text(change))


def test_times_that_python_cannot_hold_break_no_check(admin: Engine, chain: Sealed) -> None:
    """Nor numbers and depths that it cannot read."""
    tenant = chain.scope.tenant_id
    deep = "[" * 6_000 + "]" * 6_000
    with admin.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        tamper = Tamper(connection, tenant, random.Random(1), LENGTH, LENGTH)
        for table, key, column, value in (
            ("event", "id", "recorded_at", "'infinity'"),
            ("event", "id", "recorded_at", "'4000-01-01 BC'"),
            ("seal", "event_id", "sealed_at", "'-infinity'"),
            ("event", "id", "payload", f"'{{\"k\": {'9' * 5_000}}}'"),
            ("event", "id", "payload", f"'{deep}'"),
            ("event", "id", "payload", "'null'"),
            ("event", "id", "type", "''"),
        ):
            with connection.begin_nested() as undone:
                connection.exec_driver_sql(
                    f"update finora.{table} set {column} = {value} "
                    f"where {key} = '{tamper.row(6).id}'"
                )
                [flaw] = check(connection, tenant).flaws
                assert (flaw.kind, flaw.seq) == (FlawKind.CHANGED, 6), value[:40]
                undone.rollback()
        connection.rollback()


def test_an_event_of_the_future_does_not_stop_the_sealer(
    finora: Finora, database: Postgres, admin: Engine
) -> None:
    """A clock that was wrong once."""
    scope = finora.scope(tenant=f"future-{uuid4()}", user="u1")
    note(database, scope)
    with admin.begin() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        connection.execute(
            text("update finora.event set recorded_at = recorded_at + :by where tenant_id = :t"),
            {"by": timedelta(days=3_000), "t": scope.tenant_id},
        )
    note(database, scope)
    assert sealed(finora, scope) == 2
    assert finora.audit.verify(scope).whole
