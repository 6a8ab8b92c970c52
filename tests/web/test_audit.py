"""Whatever is changed over HTTP leaves an event of its request, in the transaction of the change;
the feed shows events in their order, and takes none."""

import itertools
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import attrs
import pytest
from flask import Flask
from sqlalchemy import Engine, text

from books import sealed
from finora import Finora, Scope, Settings
from finora_adapters.postgres.work import Postgres
from finora_core.files.ports import upload_key
from finora_core.kernel.ids import new_id
from finora_core.ledger.model import AccountKind, AccountOpened
from finora_web.api.table import ENDPOINTS
from web.api import Api
from web.catalogue import PNG, World

WRITES = [endpoint.name for endpoint in ENDPOINTS if endpoint.writes]
NOTHING = {
    "preview_statement": "reads a file and keeps nothing",
    "simulate_budget": "reckons and keeps nothing",
    "ask_latest": "asks somebody else, and keeps nothing",
    "ask_history": "asks somebody else, and keeps nothing",
    "ask_rates": "asks somebody else, and keeps nothing",
    "ask_identity": "asks somebody else, and keeps nothing",
    "ask_balances": "asks somebody else, and keeps nothing",
    "ask_transactions": "asks somebody else, and keeps nothing",
    "ask_picture": "asks somebody else, and keeps nothing",
    "convert_many_by_prices": "reckons and keeps nothing",
    "repair_prices": "there is nothing to mend",
    "preview_rules": "shows and keeps nothing",
    "offer_passkey_login": "a signed offer", "offer_wallet_login": "a signed offer",
    "start_oidc": "a signed offer", "offer_codes": "a signed offer",
    "offer_passkey": "a signed offer",
    "ask_verification": "the address is proven", "end_other_sessions": "there is no other",
    "turn_off_codes": "there are none", "change_address": "it is so already",
    "make_default_address": "it is so already", "unban_person": "it is so already",
}  # fmt: skip
"""Requests of the catalogue that change nothing."""
UNTOLD = {"refresh": "a session's next tokens: its opening and its end are told"}
UNLOOKED = {
    "nonce": "what was used once", "guess": "wrong guesses", "seal": "of the sealer",
    "seal_mark": "of the sealer", "data_use": "of the flusher",
    "identity": "written under a savepoint, which has its own number",
}  # fmt: skip

TABLES = text("""
select relname from pg_class where relnamespace = 'finora'::regnamespace
  and relkind in ('r', 'p') and relname <> all(:but)
""")
EVENTS = text("""
select type, actor, source_agent, tx::text::bigint & 4294967295 as xid from finora.event
where request_id = :r
""")


def transactions(admin: Engine) -> set[int]:
    """Those that wrote rows as they are now, in any table that events tell of."""
    with admin.connect() as connection:
        union = " union ".join(
            f"select xmin::text::bigint from finora.{name}"
            for name in connection.scalars(TABLES, {"but": list(UNLOOKED)}).all()
        )
        return set(connection.scalars(text(union)))


@pytest.mark.invariant("I-51")
@pytest.mark.invariant("I-19")
@pytest.mark.spec("S3-39")
@pytest.mark.parametrize("name", WRITES)
def test_a_change_and_its_event_are_one_transaction(
    world: World, settings: Settings, admin: Engine, name: str
) -> None:
    """Whoever is changed; what leaves no event changes nothing."""
    asked = world.asked(name)
    if name == "confirm_file":
        # As if the bytes had come by a URL; what came through us is confirmed already.
        tenant = str(world.owner.tenant_id)
        place = settings.files / tenant / upload_key(UUID(world.announced_file))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(PNG)
        asked = attrs.evolve(asked, path=f"/files/{world.announced_file}/confirmation")
    if name == "take_back_record":
        said = world.asked("categorise_record").by(world.api, headers={})
        assert said.status_code == 200, said.text
        asked = attrs.evolve(asked, body={})
    before = transactions(admin)
    answer = asked.by(world.api, headers={"X-Request-Id": f"r-{name}"})
    assert 200 <= answer.status_code < 300, answer.text
    wrote = transactions(admin) - before
    with admin.connect() as connection:
        events = list(connection.execute(EVENTS, {"r": f"r-{name}"}))
    assert bool(wrote) == (name not in NOTHING)
    assert {event.xid for event in events} == (set() if name in UNTOLD else wrote)
    assert {event.source_agent for event in events} <= {"balance"}


# --- the feed ------------------------------------------------------------------------------------

Feed = Callable[..., list[Any]]


@pytest.fixture
def write(database: Postgres, scope: Scope) -> Callable[..., str]:
    """An event, in a transaction of its own; the account that it names."""

    def write(**more: Any) -> str:
        account = new_id()
        with database.begin(attrs.evolve(scope, request_id=str(new_id()), **more)) as work:
            work.events.record(AccountOpened(account, AccountKind.ASSET))
        return str(account)

    return write


@pytest.mark.spec("S3-38")
@pytest.mark.spec("S3-37", partial=True)
def test_the_feed_shows_what_is_sealed_in_its_order(
    api: Api, finora: Finora, scope: Scope, write: Callable[..., str]
) -> None:
    """Also while others write; what comes after the end is asked for by its number."""
    wrote = [write() for _ in range(11)]
    last = sealed(finora, scope)
    query = {"type": "account.opened", "limit": 3}
    seen, numbers, tops = [], [], set()
    while True:
        answer = api.ask("GET", "/events", query=query).json
        seen += [each["payload"]["account"] for each in answer["data"]]
        numbers += [each["seq"] for each in answer["data"]]
        tops.add(answer["page"]["complete_to"])
        wrote.append(write())
        if answer["page"]["next"] is None:
            break
        query["cursor"] = answer["page"]["next"]
    assert seen == wrote[: len(seen)]
    assert len(seen) == 11
    assert numbers == sorted(set(numbers))
    assert tops == {last}
    sealed(finora, scope)
    rest = api.get("/events", after=last, type="account.opened")
    assert [each["payload"]["account"] for each in rest] == wrote[11:]
    assert api.get("/events", after=last + 50) == []


@pytest.mark.spec("S3-38")
@pytest.mark.invariant("I-14")
def test_what_may_still_be_overtaken_is_not_shown(
    api: Api, finora: Finora, database: Postgres, scope: Scope, write: Callable[..., str]
) -> None:
    first = write()
    upto = sealed(finora, scope)
    with database.begin(attrs.evolve(scope, request_id=str(new_id()))) as slow:
        late = new_id()
        slow.events.record(AccountOpened(late, AccountKind.ASSET))
        quick = write()
        finora.run_jobs(0)
        answer = api.ask("GET", "/events", query={"type": "account.opened"}).json
        assert [each["payload"]["account"] for each in answer["data"]] == [first]
        assert answer["page"] == {"next": None, "complete_to": upto}
    sealed(finora, scope)
    found = api.get("/events", after=upto)
    assert [each["payload"]["account"] for each in found] == [str(late), quick]


@pytest.mark.spec("S3-37")
def test_an_event_says_who_what_when_why_and_from_where(
    api: Api, finora: Finora, scope: Scope, write: Callable[..., str]
) -> None:
    api.ask("POST", "/accounts", {"name": "Giro"}, headers={"X-Request-Id": "trace-1"})
    agent = write(source_agent="planner-2")
    sealed(finora, scope)
    opened, planned = api.get("/events", type="account.opened")
    assert opened["trace_id"] == "trace-1"
    assert (opened["actor"], opened["source_agent"]) == (str(scope.user_id), "balance")
    assert opened["payload"].keys() == {"account", "kind"}
    assert opened["recorded_at"] <= opened["sealed_at"]
    assert len(bytes.fromhex(opened["hash"])) == 32
    assert (planned["payload"]["account"], planned["source_agent"]) == (agent, "planner-2")


@pytest.mark.spec("S3-38")
def test_the_feed_is_filtered_by_type_actor_and_time(
    api: Api, finora: Finora, scope: Scope, write: Callable[..., str]
) -> None:
    somebody = new_id()
    first = write()
    time.sleep(0.002)
    second = write(user_id=somebody)
    sealed(finora, scope)
    events = api.get("/events")
    [one] = [each for each in events if each["payload"].get("account") == first]
    [two] = [each for each in events if each["payload"].get("account") == second]

    def ids(**query: str) -> list[str]:
        return [each["id"] for each in api.get("/events", **query)]

    assert ids(actor=str(somebody)) == [two["id"]]
    assert ids(actor=str(new_id())) == []
    assert ids(type="token.made") == [e["id"] for e in events if e["type"] == "token.made"]
    at = two["recorded_at"]
    assert ids(since=at) == [two["id"]]
    assert one["id"] in ids(until=at) and two["id"] not in ids(until=at)
    assert ids(since=at, type="token.made") == []


@pytest.mark.spec("S3-38")
def test_nothing_is_written_to_the_feed_from_outside(api: Api) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/events", "/audit/verification"):
            answer = api.ask(method, path, {"type": "x"})
            assert answer.status_code == 405
            assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
        assert api.ask(method, f"/events/{new_id()}").status_code == 404


@pytest.mark.invariant("I-36")
def test_a_feed_is_its_tenants(
    api: Api, other: Api, finora: Finora, scope: Scope, stranger: Scope, write: Callable[..., str]
) -> None:
    account = write()
    sealed(finora, scope)
    sealed(finora, stranger)
    theirs = list(itertools.chain(*other.pages("/events", limit=2)))
    assert account in str(api.get("/events"))
    assert account not in str(theirs)
    assert {each["type"] for each in theirs} == {"token.made"}


# --- the check -----------------------------------------------------------------------------------


@pytest.mark.spec("S0-43", partial=True)
def test_the_chain_is_checked_over_http(
    api: Api, finora: Finora, scope: Scope, admin: Engine, write: Callable[..., str]
) -> None:
    for _ in range(4):
        write()
    last = sealed(finora, scope)
    whole = {"whole": True, "first": 1, "last": last, "flaw": None, "next": None}
    assert api.get("/audit/verification") == whole
    assert api.get("/audit/verification", after=2) == whole | {"first": 3}
    assert api.refused("GET", f"/audit/verification?after={last + 1}") == (404, "LINK_NOT_FOUND")
    event = UUID(api.get("/events", after=2)[0]["id"])
    change = text("update finora.event set actor = gen_random_uuid() where id = :id")
    undo = text("update finora.event set actor = :actor where id = :id")
    with admin.begin() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        connection.execute(change, {"id": event})
    try:
        found = api.get("/audit/verification")
    finally:
        with admin.begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(undo, {"id": event, "actor": scope.user_id})
    assert (found["whole"], found["last"], found["next"]) == (False, 2, None)
    flaw = found["flaw"]
    assert (flaw["kind"], flaw["seq"], flaw["event_id"]) == ("changed", 3, str(event))
    assert api.get("/audit/verification") == whole


def test_a_viewer_of_nothing_reads_no_events(app: Flask) -> None:
    for path in ("/events", "/audit/verification"):
        assert Api(app, None).refused("GET", path) == (401, "TOKEN_INVALID")
