"""Erasure: of a person stays an id; others' books, logs and memberships stay whole; a crash leaves
all or nothing."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
import redis
from flask import Flask
from sqlalchemy import Engine, text

from books import sealed
from finora import Amount, Finora, ImportRequest, Scope, Settings, currency
from finora.commands.demo import HOUSEHOLD
from finora_adapters.compose import Opened
from finora_adapters.postgres.audit import PgEveryLog
from finora_adapters.postgres.erasure import OF_PERSON, OF_TENANT
from finora_adapters.postgres.schema import metadata
from finora_adapters.postgres.tenants import UPKEEP
from finora_adapters.postgres.warrants import Warrants
from finora_adapters.postgres.work import Postgres
from finora_adapters.signing import Ed25519, verifies
from finora_adapters.storage.anchors import DirectoryAnchors
from finora_adapters.storage.directory import DirectoryObjects
from finora_core.audit.service import AnchorService, Auditor
from finora_core.identity.erasure.model import Tie, planned
from finora_core.identity.roles import Role
from finora_core.identity.tenants.model import Member, Tenant, TenantGone, TenantKind
from finora_core.intelligence.model import Line
from finora_core.jobs.service import JobRunner
from finora_core.kernel.ids import new_id
from finora_core.ledger.model import AccountKind, AccountOpened
from finora_core.market.provision.model import Account, Quota
from people.conftest import PASSWORD, Caller, SignUp, promoted
from servers import eventually
from together import together

KEY = Ed25519(bytes(range(32)))
DAY = "2026-01-31"
ALERTED = text("""
insert into finora.budget_alert (tenant_id, budget_id, since, level, units, available)
select tenant_id, id, cast(:d as date), 80, 80, 100 from finora.budget
where tenant_id = cast(:t as uuid)
""").bindparams(d=DAY)
ROLLED = text("""
with made as (
  insert into finora.portfolio_history (tenant_id, base, built_through, loads, rates)
  select cast(:t as uuid), 'EUR', cast(:d as date), 0, 0)
insert into finora.portfolio_day (tenant_id, scope, scope_id, base, day, units, cost, realised,
  holdings, priced, stale, costless)
select cast(:t as uuid), 'user', '', 'EUR', cast(:d as date), 1, 1, 0, 1, 1, 0, 0
""").bindparams(d=DAY)
CHANGED = text("""
insert into finora.rule_change (tenant_id, run_id, record_id, field, rule_id, before, after, kind)
select n.tenant_id, n.id, r.id, 'note', n.id, '""', '"a"', 'changed'
from finora.rule_run n join finora.record r on r.tenant_id = n.tenant_id
where n.tenant_id = cast(:t as uuid)
""")


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "asset": "EUR"}


@attrs.define
class Life:
    """Somebody whose name and address, and whatever else is told of her, have one word in it."""

    word: str
    ada: Caller
    bob: Caller
    solo: UUID
    """A tenant that she alone is in."""
    shared: UUID
    """One that Bob owns, and she is in."""


@pytest.fixture
def life(app: Flask, finora: Finora, admin: Engine, warrants: Warrants, sign_up: SignUp) -> Life:
    # A word that no other test's rows have, and that is a part of a name and of an address.
    word = f"canary{uuid4().hex[:12]}"
    email = f"{word}@example.org"
    ada = sign_up(f"Ada {word}", email, User_Agent=f"Browser of {word}")
    bob = sign_up("Bob")
    solo = UUID(ada.good("POST", "/tenants", {"name": f"Shop of {word}"})["id"])
    shared = UUID(bob.good("POST", "/tenants", {"name": "Club"})["id"])
    ada.good("POST", "/me/addresses", {"label": word, "name": word, "lines": [word],
                                       "country": "AT"})  # fmt: skip
    ada.good("PATCH", "/me/preferences", {"preferences": {word: word}})
    # Invited as somebody wrote the address; what was answered is kept for a repeat.
    bob.good("POST", "/invites", {"email": f"{word.upper()}@Example.org", "role": "viewer"},
             tenant=shared, Idempotency_Key="invite")  # fmt: skip
    join(admin, shared, ada.user_id)
    bob.good("PATCH", f"/members/{ada.user_id}", {"role": "admin"}, tenant=shared,
             Idempotency_Key="role")  # fmt: skip
    for tenant in (ada.home_id, solo):
        fill(ada, tenant, word)
        worked(admin, warrants, tenant)
        modelled(finora, Scope(tenant_id=tenant, user_id=ada.user_id), word)
    household(finora, Scope(tenant_id=ada.home_id, user_id=ada.user_id))
    for tenant in (ada.home_id, solo, shared):
        ada.good("POST", "/tokens", {"name": word, "permissions": ["books:read"]}, tenant=tenant)
        credential = {"institution": word, "fields": {"api_key": word}}
        ada.good("POST", "/credentials", credential, tenant=tenant)
    fill(bob, shared, "club")
    # What she did in others' books stays there: it is theirs.
    ada.good("POST", "/records", record(opened(ada, shared, "hers"), "club"), tenant=shared)
    Caller(app).refused("POST", "/auth/login", {"email": email, "password": "wrong"})
    Caller(app).good("POST", "/auth/letters", {"email": email, "kind": "magic"})
    return Life(word, ada, bob, solo, shared)


def opened(caller: Caller, tenant: UUID, name: str) -> str:
    return str(
        caller.good("POST", "/accounts", {"name": name, "asset": "EUR"}, tenant=tenant)["id"]
    )


def record(account: str, word: str) -> dict[str, Any]:
    return {"account_id": account, "on_date": DAY, "amount": euros("-4.50"), "description": word,
            "counterparty": word, "category": word}  # fmt: skip


def fill(caller: Caller, tenant: UUID, word: str) -> None:
    """Accounts, entries, records, an import, a file, a job that waits, cached answers."""
    one, two = opened(caller, tenant, f"{word} one"), opened(caller, tenant, f"{word} two")
    legs = [{"account_id": one, "amount": euros("-1.00")},
            {"account_id": two, "amount": euros("1.00")}]  # fmt: skip
    entry = caller.good("POST", "/entries", {"postings": legs, "on_date": DAY, "reference": word},
                        tenant=tenant, Idempotency_Key="entry")  # fmt: skip
    caller.good("POST", f"/entries/{entry['id']}/reversal", tenant=tenant)
    made = caller.good("POST", "/records", record(one, word), tenant=tenant)
    change = record(one, word) | {"revision": 0, "type": "expense"}
    del change["category"]
    caller.good("PATCH", f"/records/{made['id']}", change | {"amount": euros("-5.00")},
                tenant=tenant)  # fmt: skip
    send(caller, tenant, f"/files?name={word}.txt", word.encode())
    csv = f"Date,Amount,Description\n{DAY},-4.50,{word}\n".encode()
    send(caller, tenant, f"/imports?name={word}.csv&account={one}&currency=EUR", csv)
    caller.get("/wallet/summary", tenant=tenant)
    plans(caller, tenant, one, word)
    ruled(caller, tenant, one, word)
    holding(caller, tenant, word)
    caller.good("PATCH", "/review/settings", {"similar_auto": 9_300}, tenant=tenant)
    caller.good("POST", "/records/reprocess", {"text": word}, tenant=tenant)
    caller.good("POST", "/closings", {"through": "1999-12-31"}, tenant=tenant)
    caller.good("POST", "/reports", {"kind": "records", "format": "csv"}, tenant=tenant)


def plans(caller: Caller, tenant: UUID, account: str, word: str) -> None:
    """A budget, a goal, a receipt, and what was said of a payment that comes back."""
    budget = {"name": word, "category": word, "limit": euros("1.00")}
    caller.good("POST", "/budgets", budget, tenant=tenant)
    shares = [{"account_id": account, "percent": 50}]
    caller.good("POST", "/goals", {"name": word, "target": euros("9.00"), "shares": shares},
                tenant=tenant)  # fmt: skip
    [file, *_] = caller.get("/files", tenant=tenant)
    receipt = {"file_id": file["id"], "amount": euros("4.50"), "merchant": word}
    caller.good("POST", "/receipts", receipt, tenant=tenant)
    for days in (0, 30, 60):
        day = (datetime.now(UTC).date() - timedelta(days=days)).isoformat()
        paid = record(account, f"gym {word}") | {"on_date": day}
        caller.good("POST", "/records", paid, tenant=tenant)
    [found, *_] = caller.get("/recurring", tenant=tenant)
    caller.good("POST", f"/recurring/{found['id']}/verdict", {"verdict": "confirmed"},
                tenant=tenant)  # fmt: skip


def holding(caller: Caller, tenant: UUID, word: str) -> None:
    """An account at an institution, a thing of one's own in it, seen, priced, and corrected."""
    account = caller.good("POST", "/portfolio/accounts", {"name": word}, tenant=tenant)["id"]
    own = caller.good("POST", "/own-assets", {"name": word}, tenant=tenant)
    bought = {"account_id": account, "asset": own["asset"], "kind": "buy", "quantity": "1",
              "at": f"{DAY}T12:00:00Z", "price": "5", "quote": "EUR", "note": word}  # fmt: skip
    made = caller.good("POST", "/activities", bought, tenant=tenant)
    caller.good("PATCH", f"/activities/{made['id']}", bought | {"quantity": "2"}, tenant=tenant)
    counted = {"account_id": account, "asset": own["asset"], "included": True}
    caller.good("POST", "/holdings/inclusion", counted, tenant=tenant)
    caller.good("POST", f"/own-assets/{own['id']}/prices", {"value": "6", "reason": word},
                tenant=tenant)  # fmt: skip
    seen = {"account_id": account, "quantity": {"amount": "2", "asset": own["asset"]},
            "at": f"{DAY}T13:00:00Z"}  # fmt: skip
    caller.good("POST", "/observations", seen, tenant=tenant)


def ruled(caller: Caller, tenant: UUID, account: str, word: str) -> None:
    """A group, a rule, a run that waits, and a split."""
    caller.good("POST", "/rules/groups", {"name": word}, tenant=tenant)
    rule = {"name": word, "condition": {"field": "description", "op": "contains", "value": word},
            "actions": [{"op": "set", "field": "note", "value": word}]}  # fmt: skip
    caller.good("POST", "/rules", rule, tenant=tenant)
    caller.good("POST", "/rules/runs", {}, tenant=tenant)
    made = caller.good("POST", "/records", record(account, f"split {word}"), tenant=tenant)
    parts = [{"category": word, "amount": euros("-4.00")},
             {"category": f"{word}:2", "amount": euros("-0.50")}]  # fmt: skip
    caller.good("POST", f"/records/{made['id']}/split", {"parts": parts}, tenant=tenant)


def worked(admin: Engine, warrants: Warrants, tenant: UUID) -> None:
    """What jobs leave: a level of each budget that was told of, the change of a run of rules."""
    with admin.begin() as connection:
        warrants.be(connection, tenant, "")
        connection.execute(ALERTED, {"t": str(tenant)})
        connection.execute(CHANGED, {"t": str(tenant)})
        connection.execute(ROLLED, {"t": str(tenant)})


def modelled(finora: Finora, scope: Scope, word: str) -> None:
    """A question to a model, and a text as a vector."""
    line = Line(id=uuid4(), description=word, date=date.fromisoformat(DAY))
    finora.categoriser.suggest(scope, [line], [word])
    finora.likeness.remember(scope, [word])
    provided(finora, scope, word)


def provided(finora: Finora, scope: Scope, word: str) -> None:
    """A key of the data provider with a quota, and what it asked."""
    key = finora.tokens.create(scope, word, permissions=frozenset({"data:ask"})).token.id
    finora.data.set_quota(scope, key, Quota(monthly=5))
    now = datetime.now(UTC)
    account = Account.at(scope.tenant_id, key, now)
    finora.data.meter.take(account, now.date(), word, Quota(), lambda each: 0)
    finora.data.flush()


def household(finora: Finora, scope: Scope) -> None:
    """Statements that tell of balances, of an account's number and of the same lines; holds."""
    for name in ("giro-jan-mar.xml", "giro-31-mar.xml", "giro-mar-jun.sta"):
        finora.import_file(scope, HOUSEHOLD / name, ImportRequest(currency="EUR"))
    ledger = finora.ledger
    one, two = (ledger.open_account(scope, name, AccountKind.EQUITY).id for name in ("h1", "h2"))
    euro = Amount.parse("1.00", currency("EUR"))
    ledger.post_hold(scope, ledger.hold(scope, one, euro).id, two)
    ledger.hold(scope, one, euro)
    finora.likeness.remember(scope, ["a text of hers"])


def send(caller: Caller, tenant: UUID, path: str, content: bytes) -> None:
    sent = {"Authorization": f"Bearer {caller.token}", "X-Tenant-Id": str(tenant),
            "Content-Type": "application/octet-stream"}  # fmt: skip
    answer = caller.app.test_client().post(f"/api/v1{path}", data=content, headers=sent)
    assert answer.status_code in (201, 202), answer.text


def join(admin: Engine, tenant_id: UUID, user_id: UUID, role: str = "viewer") -> None:
    with admin.begin() as connection:
        add = "insert into finora.membership (tenant_id, user_id, role) values (:t, :u, :r)"
        connection.execute(text(add), {"t": tenant_id, "u": user_id, "r": role})


def run_erasure(finora: Finora) -> None:
    assert finora.run_jobs()["done"] >= 1


def erase(life: Life, finora: Finora) -> None:
    life.ada.good("POST", "/me/erasure", {"confirmation": "ERASE"})
    run_erasure(finora)


# --- what is found where ---

_COLUMNS = text(
    "select table_name, column_name, data_type from information_schema.columns "
    "join information_schema.tables using (table_schema, table_name) "
    "where table_schema = 'finora' and table_type = 'BASE TABLE' "
    "and data_type in ('text', 'jsonb', 'bytea')"
)


def places(admin: Engine, word: str) -> set[str]:
    """Columns of whatever table that have the word in some row."""
    found = set()
    with admin.connect() as connection:
        for table, column, kind in connection.execute(_COLUMNS).all():
            shown = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
            query = f"select exists (select from finora.{table} where {shown} ilike :word)"
            if connection.scalar(text(query), {"word": f"%{word}%"}):
                found.add(f"{table}.{column}")
    return found


def in_redis(url: str, word: str) -> list[bytes]:
    """Keys with the word in their name or their value."""
    client = redis.Redis.from_url(url)
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get, b"hash": client.hgetall, b"set": client.smembers,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }  # fmt: skip
    found = []
    for key in client.scan_iter():
        kind = client.type(key)
        if kind != b"none" and word.encode() in repr((key, readers[kind](key))).encode():
            found.append(key)
    return found


def owned(admin: Engine, tenants: tuple[UUID, ...], people: tuple[UUID, ...]) -> dict[str, int]:
    """Rows by table."""
    found = {}
    with admin.connect() as connection:
        for name in sorted(table.name for table in metadata.tables.values()):
            columns = metadata.tables[f"finora.{name}"].columns
            column, ids = ("tenant_id", tenants) if "tenant_id" in columns else ("user_id", people)
            if column not in columns:
                continue
            query = text(f"select count(*) from finora.{name} where {column} = any(:ids)")
            if count := connection.scalar(query, {"ids": list(ids)}):
                found[name] = int(count)
    return found


def digest(admin: Engine, tenant_id: UUID) -> str:
    """Of all that a tenant has in its books."""
    with admin.connect() as connection:
        parts = " union all ".join(
            f"select md5(string_agg(t::text, ',' order by t::text)) from finora.{name} t "
            "where tenant_id = :id"
            for name in ("account", "balance", "entry", "posting", "record", "total", "label")
        )
        return json.dumps([row[0] for row in connection.execute(text(parts), {"id": tenant_id})])


# --- the whole of it ---


@pytest.mark.spec("S0-36")
@pytest.mark.invariant("I-07")
def test_nothing_of_a_person_is_left_but_an_id(
    life: Life, admin: Engine, finora: Finora, opened: Opened, settings: Settings, tmp_path: Path
) -> None:
    anchors, auditor = anchored(finora, tmp_path)
    ada, tenants = life.ada, (life.ada.home_id, life.solo)
    before, club = places(admin, life.word), digest(admin, life.shared)
    assert {"person.name", "identity.subject", "session.agent", "address.lines",
            "person.preferences", "command.reply", "invite.email", "stored_file.name",
            "tenant.name", "secret.institution", "token.name"} <= before  # fmt: skip
    # All tables but few have rows to delete, or the test would show nothing of them: a period is of
    # a schedule, and nobody is invited into a personal tenant.
    full = owned(admin, tenants, (ada.user_id,))
    assert set(OF_TENANT) - set(full) <= {"period", "invite", "profile"}
    assert set(OF_PERSON) <= set(full)
    objects = DirectoryObjects(settings.files)
    assert {each.tenant_id for page in objects.pages() for each in page} >= set(tenants)

    erase(life, finora)

    assert places(admin, life.word) == set()
    assert in_redis(opened.redis_url, f"{life.word}@") == []
    assert owned(admin, tenants, (ada.user_id,)) == {"person": 1, "version": 2}
    assert not {each.tenant_id for page in objects.pages() for each in page} & set(tenants)
    with admin.connect() as connection:
        row = connection.execute(
            text("select * from finora.person where user_id = :id"), {"id": ada.user_id}
        ).one()
        assert (row.name, row.password, row.home_id, row.roles) == ("", None, None, "")
        assert row.erased_at is not None
    # Others go on, with the same books and one member less.
    assert digest(admin, life.shared) == club
    members = life.bob.get("/members", tenant=life.shared)
    assert [each["user_id"] for each in members] == [str(life.bob.user_id)]
    assert life.bob.get("/tokens", tenant=life.shared) == []
    # Its log says so, by ids; every log that is left verifies against itself and the anchors.
    sealed(finora, Scope(tenant_id=life.shared, user_id=life.bob.user_id))
    assert auditor.verify(None, anchors, frozenset({KEY.public_key})).flaws == ()
    assert told(admin, "person.erased") >= {str(ada.user_id)}
    assert told(admin, "tenant.erased") >= {str(each) for each in tenants}


def told(admin: Engine, kind: str) -> set[str]:
    query = "select payload from finora.event where type = :kind"
    with admin.connect() as connection:
        rows = list(connection.scalars(text(query), {"kind": kind}))
    assert all(len(payload) == 1 for payload in rows)
    return {str(value) for payload in rows for value in payload.values()}


def anchored(finora: Finora, folder: Path) -> tuple[DirectoryAnchors, Auditor]:
    """Everything sealed and anchored."""
    database: Postgres = finora._opened.database
    upkeep = finora.scope(tenant=UPKEEP, user=UPKEEP)
    sealed(finora, upkeep)
    anchors, log = DirectoryAnchors(folder / "anchors"), PgEveryLog(database)
    AnchorService(database.begin, log, anchors, lambda: KEY).anchor(upkeep)
    sealed(finora, upkeep)
    return anchors, Auditor(log, verifies)


@pytest.mark.spec("S0-36", partial=True)
def test_a_log_that_goes_without_its_person_is_noticed(
    life: Life, admin: Engine, finora: Finora, warrants: Warrants, tmp_path: Path
) -> None:
    anchors, _ = anchored(finora, tmp_path)
    with admin.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        for table in ("seal", "event"):
            gone = text(f"delete from finora.{table} where tenant_id = :id")
            connection.execute(gone, {"id": life.solo})
        connection.execute(text("set local role finora_control"))
        warrants.be_control(connection)
        flaws = Auditor(PgEveryLog(Within(connection)), verifies).verify(
            None, anchors, frozenset({KEY.public_key})
        ).flaws  # fmt: skip
        connection.rollback()
    assert [flaw.tenant_id for flaw in flaws] == [life.solo]


@attrs.frozen
class Within:
    """The open transaction as the control role's, for a look that is undone."""

    connection: Any

    def control(self) -> Any:
        from contextlib import nullcontext

        return nullcontext(self.connection)

    def control_row(self, statement: Any, values: Any) -> Any:
        raise NotImplementedError


@pytest.mark.spec("S0-36", partial=True)
def test_who_was_forgotten_proves_nothing_any_more(
    life: Life, app: Flask, worker: JobRunner, nobody: Caller
) -> None:
    asked = {"name": "later", "permissions": ["books:read"]}
    token = life.ada.good("POST", "/tokens", asked, tenant=life.shared)["text"]
    program = Caller(app, token)
    assert program.ask("GET", "/accounts").status_code == 200
    life.ada.get("/wallet/summary")
    life.ada.get("/wallet/summary")
    life.ada.good("POST", "/me/erasure", {"confirmation": "ERASE"})
    assert worker.run()["done"] >= 1
    # Not even of what is cached.
    assert life.ada.refused("GET", "/wallet/summary")[0] == 401
    assert life.ada.refused("GET", "/me")[0] == 401
    assert life.ada.refused("POST", "/me/erasure", {"confirmation": "ERASE"})[0] == 401
    assert program.refused("GET", "/accounts")[0] == 401
    said = {"email": life.ada.email, "password": PASSWORD}
    assert nobody.refused("POST", "/auth/login", said) == (401, "CREDENTIALS_INVALID")
    # The address is free again, and whoever takes it is another.
    again = nobody.good("POST", "/auth/register", said | {"name": "Ada"})
    assert again["user_id"] != str(life.ada.user_id)


@pytest.mark.spec("S0-36", partial=True)
@pytest.mark.parametrize("word", ["", "erase", "yes", "somebody@example.org"])
def test_it_must_be_confirmed(person: Caller, finora: Finora, word: str) -> None:
    said = {"confirmation": word}
    assert person.refused("POST", "/me/erasure", said) == (400, "ERASURE_UNCONFIRMED")
    finora.run_jobs()
    assert person.get("/me")["email"] == person.email


def test_the_own_address_confirms_however_it_is_written(person: Caller, finora: Finora) -> None:
    person.good("POST", "/me/erasure", {"confirmation": person.email.upper()})
    run_erasure(finora)
    assert person.refused("GET", "/me")[0] == 401


def test_it_needs_a_fresh_proof(person: Caller, admin: Engine) -> None:
    with admin.begin() as connection:
        old = (
            "update finora.session set proven_at = now() - interval '6 minutes' where user_id = :u"
        )
        connection.execute(text(old), {"u": person.user_id})
    said = {"confirmation": "ERASE"}
    assert person.refused("POST", "/me/erasure", said) == (403, "STEP_UP_REQUIRED")


@pytest.mark.spec("S0-36", partial=True)
def test_asked_twice_it_is_done_once(life: Life, finora: Finora, admin: Engine) -> None:
    said = {"confirmation": "ERASE"}
    first = life.ada.good("POST", "/me/erasure", said, Idempotency_Key="once")
    assert life.ada.good("POST", "/me/erasure", said, Idempotency_Key="once") == first
    life.ada.good("POST", "/me/erasure", said)
    jobs = erasures(admin, life.ada.user_id)
    assert [job.max_attempts for job in jobs] == [1, 1]
    run_erasure(finora)
    done = erasures(admin, life.ada.user_id)
    assert [job.state for job in done] == ["done", "done"]
    assert sorted(job.result["tenants"] for job in done) == [0, 2]
    assert told(admin, "person.erased") >= {str(life.ada.user_id)}


def erasures(admin: Engine, user_id: UUID) -> list[Any]:
    query = "select * from finora.job where name = 'people.erase' and payload->>'user' = :id"
    with admin.connect() as connection:
        return list(connection.execute(text(query), {"id": str(user_id)}))


# --- who hinders ---


def test_what_becomes_of_a_tenant_depends_on_who_else_is_in_it() -> None:
    me, you, they = new_id(), new_id(), new_id()

    def tie(**roles: Role) -> Tie:
        people = {"me": me, "you": you, "they": they}
        members = tuple(
            Member(user_id=people[who], role=role, name="", email=None, since=None)  # type: ignore[arg-type]  # not asked for here
            for who, role in roles.items()
        )
        kind = TenantKind.BUSINESS
        return Tie(Tenant(id=new_id(), kind=kind, name="x", base_asset="EUR"), members)

    alone, led = tie(me=Role.VIEWER), tie(me=Role.OWNER, you=Role.OWNER)
    stuck = tie(me=Role.OWNER, you=Role.ADMIN, they=Role.VIEWER)
    ownerless = tie(me=Role.ADMIN, you=Role.VIEWER)
    plan = planned(me, [alone, led, stuck, ownerless])
    assert plan.whole == (alone.tenant,)
    assert plan.left == (led.tenant,)
    assert plan.hindering == (stuck.tenant, ownerless.tenant)


@pytest.mark.spec("S0-36", partial=True)
@pytest.mark.spec("S4-14", partial=True)
def test_the_last_owner_of_others_is_not_forgotten(
    life: Life, admin: Engine, finora: Finora, administrator: Caller
) -> None:
    join(admin, life.solo, life.bob.user_id)
    answer = life.ada.ask("POST", "/me/erasure", {"confirmation": "ERASE"})
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "ERASURE_HINDERED")
    (named,) = answer.json["error"]["details"]
    assert named == {"path": str(life.solo), "msg": f"Shop of {life.word}"}
    at = f"/people/{life.ada.user_id}"
    shown = administrator.get(f"{at}/dependencies")
    assert shown["erasable"] is False
    assert {each["id"]: each["fate"] for each in shown["tenants"]} == {
        str(life.ada.home_id): "erased", str(life.solo): "hinders", str(life.shared): "left",
    }  # fmt: skip
    assert administrator.refused("DELETE", at) == (409, "ERASURE_HINDERED")
    # Meant to go, and hindered between the question and the job: nothing is done.
    with admin.begin() as connection:
        out = "delete from finora.membership where tenant_id = :t and user_id = :u"
        connection.execute(text(out), {"t": life.solo, "u": life.bob.user_id})
    life.ada.good("POST", "/me/erasure", {"confirmation": "ERASE"})
    join(admin, life.solo, life.bob.user_id)
    finora.run_jobs()
    (job,) = erasures(admin, life.ada.user_id)
    assert (job.state, job.reason) == ("refused", "ERASURE_HINDERED")
    assert life.ada.get("/me")["name"] == f"Ada {life.word}"
    life.bob.good("GET", "/members", tenant=life.solo)


# --- administrators ---


@pytest.mark.spec("S4-14")
def test_an_administrator_sees_what_would_go_and_lets_it_go(
    life: Life, admin: Engine, finora: Finora, administrator: Caller
) -> None:
    at = f"/people/{life.ada.user_id}"
    shown = administrator.get(f"{at}/dependencies")
    assert shown["erasable"] is True
    counted = owned(admin, (life.ada.home_id, life.solo), (life.ada.user_id,))
    del counted["person"], counted["version"]
    # Memberships and tokens elsewhere are counted with the tenant that they are in.
    assert shown["rows"].items() <= counted.items()
    assert set(counted) == set(shown["rows"])
    assert administrator.good("DELETE", at) == {"done": True}
    run_erasure(finora)
    assert places(admin, life.word) == set()
    # Once more is no error, and nothing more.
    assert administrator.good("DELETE", at) == {"done": True}
    run_erasure(finora)
    nobody = administrator.get(f"{at}/dependencies")
    assert (nobody["tenants"], nobody["rows"], nobody["erasable"]) == ([], {}, True)


@pytest.mark.spec("S4-14", partial=True)
def test_administrators_do_not_erase_each_other_nor_does_anybody_else(
    administrator: Caller, sign_up: SignUp, finora: Finora, scope: Scope
) -> None:
    other, person = promoted(sign_up(), finora), sign_up()
    assert administrator.refused("DELETE", f"/people/{other.user_id}") == (403, "ADMIN_PROTECTED")
    for who in (uuid4(), scope.user_id):
        assert administrator.refused("DELETE", f"/people/{who}") == (404, "PERSON_NOT_FOUND")
        path = f"/people/{who}/dependencies"
        assert administrator.refused("GET", path) == (404, "PERSON_NOT_FOUND")
    for method, path in (
        ("DELETE", f"/people/{other.user_id}"), ("GET", f"/people/{other.user_id}/dependencies")
    ):  # fmt: skip
        assert person.refused(method, path) == (403, "PERMISSION_MISSING")


# --- while others write, and when it is killed ---


@pytest.mark.spec("S0-36", partial=True)
def test_who_still_writes_when_it_happens_leaves_nothing(
    life: Life, finora: Finora, admin: Engine, database: Postgres
) -> None:
    stop = threading.Event()
    ada, word = life.ada, life.word

    def busy(act: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            while not stop.is_set():
                act()

        return run

    inside = Scope(tenant_id=ada.home_id, user_id=ada.user_id)

    def write() -> None:
        # As a program that is embedded does, which nobody asks for a proof.
        try:
            with database.begin(attrs.evolve(inside, request_id=str(new_id()))) as work:
                work.events.record(AccountOpened(new_id(), AccountKind.ASSET))
        except TenantGone:
            pass

    client = {"email": ada.email, "password": PASSWORD}
    acts = [
        write,
        lambda: ada.ask("POST", "/accounts", {"name": f"{word} {uuid4()}"}),
        lambda: ada.ask("POST", "/tenants", {"name": f"{word} {uuid4()}"}),
        lambda: Caller(ada.app).ask("POST", "/auth/login", client),
        lambda: ada.ask("POST", "/me/addresses", {"label": word, "name": word, "lines": [word],
                                                  "country": "AT"}),
    ]  # fmt: skip

    def forget() -> None:
        try:
            erase(life, finora)
        finally:
            stop.set()

    results = together(*map(busy, acts), forget)
    assert [each for each in results if isinstance(each, Exception)] == []
    (job,) = erasures(admin, ada.user_id)
    assert job.state == "done", job.error
    assert owned(admin, (ada.home_id, life.solo), (ada.user_id,)) == {"person": 1, "version": 2}
    assert places(admin, word) == set()
    with pytest.raises(TenantGone), database.begin(inside) as work:
        work.events.record(AccountOpened(new_id(), AccountKind.ASSET))


CHILD = """
import sys
from pathlib import Path
from finora import Finora, Settings
with Finora.open(Settings(data=Path(sys.argv[1]), env="test")) as finora:
    print(dict(finora.run_jobs()))
"""


@pytest.fixture
def runner(settings: Settings) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", CHILD, str(settings.data)]
        started.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.spec("S0-36", partial=True)
def test_killed_in_the_middle_it_did_nothing_and_can_be_done_again(
    life: Life, finora: Finora, admin: Engine, runner: Callable[[], subprocess.Popen[bytes]]
) -> None:
    finora.run_jobs()
    tenants, people = (life.ada.home_id, life.solo, life.shared), (life.ada.user_id,)
    before = owned(admin, tenants, people)
    life.ada.good("POST", "/me/erasure", {"confirmation": "ERASE"})
    waits = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
                 "and query like 'delete from finora.tenant %'")  # fmt: skip
    with admin.connect() as holder:
        # The tenant's own row is among the last: when it waits for that, most is deleted.
        row = text("select from finora.tenant where tenant_id = :id for key share")
        holder.execute(row, {"id": life.ada.home_id})
        process = runner()

        def waiting() -> bool:
            with admin.connect() as connection:
                return bool(connection.scalar(waits))

        eventually(waiting, "the erasure does not come to the tenant's row")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert owned(admin, tenants, people) == before
    assert life.ada.get("/me")["name"] == f"Ada {life.word}"
    # Its one attempt is used up when its lease runs out; an operator lets it run again.
    with admin.begin() as connection:
        over = "update finora.job set lease_until = now() where name = 'people.erase'"
        connection.execute(text(over))
    finora.run_jobs()
    (job,) = erasures(admin, life.ada.user_id)
    assert job.state == "dead"
    upkeep = finora.scope(tenant=UPKEEP, user=UPKEEP)
    finora.jobs.replay(upkeep, job.id)
    run_erasure(finora)
    (job,) = erasures(admin, life.ada.user_id)
    assert job.state == "done", job.error
    assert places(admin, life.word) == set()


# --- what keeps it from forgetting a table ---


def test_every_table_of_a_tenant_or_a_person_is_deleted_from() -> None:
    tenants = {t.name for t in metadata.tables.values() if "tenant_id" in t.columns}
    people = {t.name for t in metadata.tables.values() if "user_id" in t.columns} - tenants
    assert set(OF_TENANT) == tenants - {"version"}
    assert set(OF_PERSON) == people - {"person"}
    # Children before parents.
    for names in (OF_TENANT, OF_PERSON):
        for at, name in enumerate(names):
            parents = {
                key.column.table.name for key in metadata.tables[f"finora.{name}"].foreign_keys
            }
            assert not parents & set(names[:at]), name
