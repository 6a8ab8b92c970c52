"""The copy of everything: no table is forgotten, nothing secret is in it, and memory is bounded."""

import io
import json
import tracemalloc
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from finora import Amount, Finora, ImportRequest, NewRecord, Scope, currency
from finora.commands.demo import HOUSEHOLD
from finora_adapters.compose import Opened, compose
from finora_adapters.postgres import access
from finora_adapters.postgres.belongings import EXPORTED, KEPT_BACK
from finora_adapters.postgres.schema import metadata
from finora_core.categories.rules.actions import actions_of
from finora_core.categories.rules.conditions import condition_of
from finora_core.categories.rules.model import Rule, RuleGroup, RunFilter
from finora_core.identity.people.model import PersonNotFound
from finora_core.identity.takeout.service import TakeoutService
from finora_core.insights.goals.model import Share
from finora_core.insights.recurring.model import Verdict
from finora_core.intelligence.model import Line
from finora_core.kernel.ids import new_id
from finora_core.records.model import Part
from people.conftest import Caller, SignUp
from people.test_erasure import holding, provided

PATH = "/me/export"
WORD = "kept-secret"


def export(person: Caller, **more: Any) -> dict[str, Any]:
    answer = person.ask("GET", PATH, **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"] == 'attachment; filename="finora-export.json"'
    assert answer.mimetype == "application/octet-stream"
    said: dict[str, Any] = json.loads(answer.text)
    assert said["complete"] is True
    return said


def live(person: Caller, finora: Finora) -> None:
    """A row in every table that a person can have one in."""
    person.good("POST", "/me/addresses", {"label": "a", "name": "b", "lines": ["c"],
                                          "country": "AT"})  # fmt: skip
    person.good("PATCH", "/me/preferences", {"preferences": {"theme": "dark"}})
    credential = {"institution": "kraken", "fields": {"api_key": WORD}}
    person.good("POST", "/credentials", credential, Idempotency_Key="once")
    person.good("POST", "/tokens", {"name": "mine", "permissions": ["books:read"]})
    Caller(person.app).good("POST", "/auth/letters", {"email": person.email, "kind": "magic"})
    scope = Scope(tenant_id=person.home_id, user_id=person.user_id)
    provided(finora, scope, "yahoo")
    for name in ("giro-jan-mar.xml", "giro-31-mar.xml", "giro-mar-jun.sta"):
        finora.import_file(scope, HOUSEHOLD / name, ImportRequest(currency="EUR"))
    ledger = finora.ledger
    one, two = (ledger.open_account(scope, name).id for name in ("h1", "h2"))
    ledger.post_hold(scope, ledger.hold(scope, one, Amount(10**30, currency("EUR"))).id, two)
    (record,) = finora.records.list(scope, limit=1).items
    rule(scope, finora, one)
    plan(scope, finora, one)
    finora.records.categorise(scope, record.id, "rent")
    finora.pipeline.reprocess(scope)
    finora.review.change_settings(scope, similar_auto=9_500)
    line = Line(id=record.id, description=record.description, date=record.on_date)
    finora.categoriser.suggest(scope, [line], ["rent"])
    person.good("DELETE", f"/records/{record.id}")
    holding(person, person.home_id, "held")
    person.good("POST", "/closings", {"through": "1999-12-31"})
    person.good("POST", "/reports", {"kind": "books", "format": "csv"})
    person.app.test_client().post(
        "/api/v1/files?name=a.txt", data=b"hello",
        headers={"Authorization": f"Bearer {person.token}",
                 "Content-Type": "application/octet-stream"},
    )  # fmt: skip


def plan(scope: Scope, finora: Finora, account: UUID) -> None:
    """A budget that is spent, a goal, a recurring payment, a receipt."""
    euro = Amount(1, currency("EUR"))
    finora.goals.create(scope, "Boat", euro, shares=(Share(account, 50),))
    today = finora.budgets.create(scope, "Food", "food", euro).figures.since
    for days in (0, 30, 60):
        line = NewRecord(account_id=account, on_date=today - timedelta(days=days), amount=-euro,
                         description="Gym", category="food")  # fmt: skip
        finora.records.create(scope, line)
    (gym,) = (each for each in finora.recurring.list(scope).items if each.merchant_key == "GYM")
    finora.recurring.judge(scope, gym.id, Verdict.CONFIRMED)
    file = finora.files.keep(scope, io.BytesIO(b"a receipt"), "receipt.txt")
    finora.receipts.add(scope, file.id)
    finora.run_jobs()


def rule(scope: Scope, finora: Finora, account: UUID) -> None:
    """A group, a rule, a run of it that changes a record, and a split."""
    one, two, three = (Amount(units, currency("EUR")) for units in (1, 2, 3))
    line = NewRecord(account_id=account, on_date=date(2026, 1, 31), amount=three,
                     description="Shop")  # fmt: skip
    made = finora.records.create(scope, line)
    finora.records.split(scope, made.id, (Part("a", one), Part("b", two)))
    finora.rules.create_group(scope, RuleGroup(id=new_id(), name="shops"))
    condition = condition_of({"field": "description", "op": "contains", "value": "shop"})
    actions = actions_of([{"op": "set", "field": "note", "value": "seen"}])
    finora.rules.create(scope, Rule(id=new_id(), name="shop", condition=condition,
                                     actions=actions))  # fmt: skip
    finora.rules.apply(scope, RunFilter())


def count(admin: Engine, table: str, person: Caller) -> int:
    tenants = "tenant_id" in metadata.tables[f"finora.{table}"].columns
    own = "tenant_id = :home" if tenants else "user_id = :user"
    values = {"home": person.home_id, "user": person.user_id}
    with admin.connect() as connection:
        return int(
            connection.scalar(text(f"select count(*) from finora.{table} where {own}"), values)
        )


@pytest.mark.spec("S0-36", partial=True)
@pytest.mark.spec("S0-63", partial=True)
def test_the_copy_has_every_row_of_a_person_and_of_the_personal_tenant(
    person: Caller, sign_up: SignUp, admin: Engine, finora: Finora
) -> None:
    live(person, finora)
    sign_up().good("POST", "/tenants", {"name": "another's"})
    said = export(person)
    # Of the tables that a test can fill, all are full: or equal counts would say nothing.
    empty = {name for name in EXPORTED if not said[name]}
    assert empty <= {"invite", "profile"}
    # Counted after it, and so with the event of the copy itself.
    assert {name: len(said[name]) for name in EXPORTED} == {
        name: count(admin, name, person) for name in EXPORTED
    }
    (own,) = said["person"]
    assert (own["user_id"], own["preferences"]) == (str(person.user_id), {"theme": "dark"})
    assert said["identity"][0]["subject"] == person.email
    assert [each["role"] for each in said["tenants"]] == ["owner"]
    assert str(10**30) in {each["units"] for each in said["posting"]}
    assert {type(each["units"]) for each in said["posting"]} == {str}
    assert said["event"][-1]["type"] == "person.exported"


def test_every_table_is_in_the_copy_or_kept_back_for_a_reason() -> None:
    owned = {table.name for table in metadata.tables.values()} - access.GLOBAL
    assert set(EXPORTED) | set(KEPT_BACK) == owned
    assert not set(EXPORTED) & set(KEPT_BACK)
    for name, hidden in EXPORTED.items():
        assert hidden <= set(metadata.tables[f"finora.{name}"].columns.keys()), name


def test_nothing_secret_is_in_the_copy(person: Caller, finora: Finora, admin: Engine) -> None:
    live(person, finora)
    whole = json.dumps(export(person))
    assert WORD not in whole
    assert "argon2" not in whole
    with admin.connect() as connection:
        for query in (
            "select encode(digest, 'hex') from finora.token where tenant_id = :home",
            "select encode(wrapped, 'hex') from finora.data_key where tenant_id = :home",
            "select encode(content, 'hex') from finora.secret_field where tenant_id = :home",
        ):
            found = list(connection.scalars(text(query), {"home": person.home_id}))
            assert found
            assert not any(each in whole for each in found), query


def test_what_a_person_has_in_others_tenants_is_in_it_and_nothing_else_of_them(
    person: Caller, sign_up: SignUp, admin: Engine
) -> None:
    owner = sign_up("Owner")
    club = owner.good("POST", "/tenants", {"name": "Club"})["id"]
    with admin.begin() as connection:
        add = "insert into finora.membership (tenant_id, user_id, role) values (:t, :u, 'admin')"
        connection.execute(text(add), {"t": club, "u": person.user_id})
    token = {"name": "hers", "permissions": ["books:read"]}
    owner.good("POST", "/tokens", token | {"name": "his"}, tenant=club)
    person.good("POST", "/tokens", token, tenant=club)
    person.good("POST", "/credentials", {"institution": "bank", "fields": {"pin": WORD}},
                tenant=club)  # fmt: skip
    said = export(person, tenant=club)
    assert {each["name"] for each in said["tenants"]} >= {"Club"}
    assert [each["name"] for each in said["token_elsewhere"]] == ["hers"]
    assert [each["institution"] for each in said["secret_elsewhere"]] == ["bank"]
    assert said["account"] == []
    assert str(owner.user_id) not in json.dumps(said)


def test_it_needs_a_fresh_proof_and_a_person(
    person: Caller, admin: Engine, finora: Finora, scope: Scope, opened: Opened
) -> None:
    token = person.good("POST", "/tokens", {"name": "x", "permissions": ["books:read"]})["text"]
    assert Caller(person.app, token).refused("GET", PATH) == (403, "PERMISSION_MISSING")
    with admin.begin() as connection:
        old = (
            "update finora.session set proven_at = now() - interval '6 minutes' where user_id = :u"
        )
        connection.execute(text(old), {"u": person.user_id})
    assert person.refused("GET", PATH) == (403, "STEP_UP_REQUIRED")
    with pytest.raises(PersonNotFound):
        compose(finora.settings, opened).get(TakeoutService).export(scope)


def test_a_large_copy_passes_in_bounded_memory(
    person: Caller, admin: Engine, finora: Finora, opened: Opened
) -> None:
    many = text(
        "insert into finora.event (tenant_id, id, type, payload, actor, request_id) "
        "select :home, gen_random_uuid(), 'test.large', "
        "jsonb_build_object('x', repeat('y', 3000)), :user, :request from generate_series(1, 8000)"
    )
    values = {"home": person.home_id, "user": person.user_id, "request": str(uuid4())}
    with admin.begin() as connection:
        connection.execute(many, values)
    scope = Scope(tenant_id=person.home_id, user_id=person.user_id, request_id=str(new_id()))
    takeout = compose(finora.settings, opened).get(TakeoutService)
    tracemalloc.start()
    size = sum(map(len, takeout.export(scope)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 24_000_000
    assert peak < 8_000_000
