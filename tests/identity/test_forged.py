"""Somebody writes into Redis: nobody sees another's books or wrong ones, no lock opens, no job runs
that would not have run.

What Redis holds is copies and counters. Kept answers are marked with a key that is not in it, and
read only by who was proven at the very versions. Whoever can write there can take the copies away,
let the limits of this hour be forgotten or used up, and hold an answer back at an older version for
as long as the proof of who asks lasts: what was true a moment ago, of the asker's own tenant.
"""

import random
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from redis import ResponseError

from finora import Finora
from finora_adapters.compose import Opened
from identity.persons import Person, Site

PATHS = ("/wallet/summary", "/wallet/networth?months=3", "/me")
JUNK = (b"", b"0", b"-1", b"1e3", b"99999999999999999999999", b"\xff\x00", b"nan", b"{}", b" 7",
        b"7 ", b"07", b"\xd9\xa3", b"x" * 70_000, b"null", b'{"success": true}')  # fmt: skip


@pytest.fixture
def intruder(opened: Opened) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(opened.redis_url) as client:
        yield client
        client.flushall()
    # A Redis that answered with an error is not asked again for a second.
    time.sleep(1.1)


def rich(person: Person, amount: str) -> None:
    giro = person.post("/accounts", {"name": "Giro", "asset": "EUR"}, 201)["id"]
    body = {"account_id": giro, "on_date": "2026-01-05", "description": "x",
            "amount": {"amount": amount, "asset": "EUR"}}  # fmt: skip
    person.post("/records", body, 201)


def told(site: Site, person: Person, path: str) -> Any:
    """But for when it was put together."""
    answer = site.ask("GET", path, token=person.access)
    assert answer.status_code == 200, answer.text
    said = answer.json["data"]
    if isinstance(said, dict):
        said.pop("generated_at", None)
    return said


def keys_of(intruder: redis.Redis, tenant: str) -> dict[bytes, bytes]:
    """What is kept of the tenant: its version, and answers."""
    found = {}
    for key in intruder.keys(f"finora:{{{tenant}}}*"):
        found[key] = intruder.get(key)
    return found


@pytest.mark.invariant("T-21")
def test_no_value_in_redis_makes_anybody_see_what_is_not_theirs(
    site: Site, second: Site, intruder: redis.Redis, ada: Person, bob: Person
) -> None:
    rich(ada, "123.45")
    rich(bob, "999999.99")
    sites = (site, second)

    def shown(person: Person, number: int = 0) -> dict[str, Any]:
        return {path: told(sites[number % 2], person, path) for path in PATHS}

    truth = shown(ada)
    assert shown(ada, 1) == truth
    assert shown(bob) != truth
    chance = random.Random(21)
    forged = 0
    while forged < 500:
        mine, theirs = keys_of(intruder, ada.tenant_id), keys_of(intruder, bob.tenant_id)
        answers = [key for key in mine if key.count(b":") > 1]
        version = f"finora:{{{ada.tenant_id}}}".encode()
        for key in answers:
            name = key.rsplit(b":", 1)[1]
            other = next((value for at, value in theirs.items() if at.endswith(name)), b"")
            whole = mine[key]
            for value in (
                other, other[32:], whole[:32] + other[32:], other[:32] + whole[32:],
                bytes(32) + other[32:], whole[:-1], whole + b" ", whole[:40], chance.choice(JUNK),
                whole[:32] + whole[32:].replace(b"123.45", b"543.21"),
            ):  # fmt: skip
                intruder.set(key, value)
                forged += 1
                assert shown(ada, forged) == truth
        for value in (*JUNK, b"1", b"2", b"3", b"4", b"100"):
            intruder.set(version, value)
            # The other's bytes, under whatever version that would be.
            for at, body in theirs.items():
                if at.count(b":") > 1:
                    place = version + b":" + value[:20] + b":" + at.rsplit(b":", 1)[1]
                    intruder.set(place, body)
                    forged += 1
            assert shown(ada, forged) == truth
        # A version far ahead would keep everything from being kept, and no more than that.
        intruder.delete(version)
        assert shown(ada) == truth
    assert shown(bob)["/me"]["user_id"] == bob.user_id


@pytest.mark.invariant("T-21")
def test_keys_of_another_kind_are_no_answer_and_end_nothing(
    site: Site, intruder: redis.Redis, ada: Person
) -> None:
    rich(ada, "123.45")
    truth = told(site, ada, "/wallet/summary")
    version = f"finora:{{{ada.tenant_id}}}"
    for make in (
        lambda key: intruder.rpush(key, "x"), lambda key: intruder.hset(key, "a", "b"),
        lambda key: intruder.zadd(key, {"a": 1}), lambda key: intruder.sadd(key, "a"),
    ):  # fmt: skip
        intruder.delete(version)
        make(version)
        assert told(site, ada, "/wallet/summary") == truth
        body = {"name": uuid4().hex}
        assert ada.ask("POST", "/accounts", body).status_code in (201, 503)
    intruder.delete(version)


@pytest.mark.invariant("T-21")
@pytest.mark.invariant("I-42")
def test_no_value_in_redis_keeps_a_session_that_ended(
    site: Site, second: Site, intruder: redis.Redis, ada: Person
) -> None:
    """On every route that asks the database, which is all that change anything or that a decision
    is made on; kept screens of a moment ago are what an intruder can hold on to."""
    for here in (site, second):
        for path in (*PATHS, "/accounts"):
            here.ask("GET", path, token=ada.access)
    before = keys_of(intruder, ada.tenant_id)
    ada.post("/auth/logout")
    for here in (site, second):
        for key, value in before.items():
            intruder.set(key, value)
        assert here.ask("GET", "/accounts", token=ada.access).status_code == 401
        answer = here.ask("POST", "/accounts", {"name": "x"}, token=ada.access)
        assert answer.status_code == 401
        assert here.ask("GET", "/me/sessions", token=ada.access).status_code == 401
    # Nor anybody who was not proven before.
    for key, value in before.items():
        intruder.set(key, value)
    for path in PATHS:
        answer = site.ask("GET", path, token=ada.access[:-4] + "AAAA")
        assert answer.status_code == 401


@pytest.mark.invariant("T-21")
@pytest.mark.invariant("I-44")
def test_no_value_in_redis_opens_a_lock(site: Site, intruder: redis.Redis, ada: Person) -> None:
    for _ in range(5):
        site.login(ada.email, "not the password")
    values = (*JUNK[:12], b"-1000000")
    for value in values:
        for key in intruder.keys("finora:limit:*"):
            intruder.set(key, value)
        answer = site.login(ada.email)
        # Counters that make no sense count nothing: who would sign in waits.
        assert answer.status_code in (423, 429, 503), value
        for key in intruder.keys("finora:limit:*"):
            intruder.delete(key)
        site.finora.run_jobs()
    for key in intruder.keys("finora:limit:*"):
        intruder.delete(key)


@pytest.mark.invariant("T-21")
@pytest.mark.invariant("I-38")
def test_a_forged_message_names_a_row_or_nothing(
    site: Site, intruder: redis.Redis, ada: Person, bob: Person, finora: Finora
) -> None:
    """A message is the name of a row: it cannot say what is done, for whom, nor a second time."""
    finora.run_jobs()
    runner = finora._runner
    done = site.sql("select tenant_id, id from finora.job where state = 'done' limit 20")
    events = site.sql("select count(*) from finora.event")
    for tenant, job in done:
        for named in (
            (tenant, job), (UUID(bob.tenant_id), job), (UUID(ada.tenant_id), uuid4()),
            (uuid4(), job), (uuid4(), uuid4()),
        ):  # fmt: skip
            assert runner.run_id(*named) is None
    # One that waits runs as its row says, whoever is told to be asking.
    ada.post("/tenants", {"name": "Acme"}, 201)
    site.ask("POST", "/auth/letters", {"email": ada.email, "kind": "magic"})
    ((waiting, home),) = site.sql(
        "select id, tenant_id from finora.job where state = 'waiting' and name = 'mail.asked'"
    )
    assert runner.run_id(UUID(bob.tenant_id), waiting) is None
    assert runner.run_id(home, waiting) == "done"
    assert runner.run_id(home, waiting) is None
    assert bob.letters("Your link") == []
    assert ada.letters("Your link")
    assert site.sql("select count(*) from finora.event") > events


def test_an_intruder_cannot_stop_the_server_by_a_key(
    site: Site, intruder: redis.Redis, ada: Person
) -> None:
    """A key of the wrong kind is an error of Redis, which is done without for a second."""
    key = f"finora:{{{ada.tenant_id}}}"
    intruder.delete(key)
    intruder.rpush(key, "x")
    with pytest.raises(ResponseError):
        intruder.get(key)
    for _ in range(3):
        assert ada.ask("GET", "/wallet/summary").status_code == 200
    intruder.delete(key)
