"""Idempotency-Key: one effect and one answer for a request that is sent more than once."""

import io
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from finora import Finora
from together import together
from web.api import Api, euros
from web.catalogue import CSV, PNG

ACCOUNT = {"name": "Giro"}
QUERY = {"name": "a.png"}


def sent(api: Api, path: str, key: str, **more: Any) -> tuple[int, bytes, bool]:
    """Status, bytes, and whether they are those of an earlier answer."""
    answer = api.ask("POST", path, key=key, **more)
    return answer.status_code, answer.data, "Idempotency-Replayed" in answer.headers


@pytest.mark.spec("S0-67", partial=True)
@pytest.mark.invariant("I-16")
def test_a_key_is_for_one_content(api: Api) -> None:
    status, first, _ = sent(api, "/accounts", "k", body=ACCOUNT)
    assert status == 201
    assert sent(api, "/accounts", "k", body=ACCOUNT) == (201, first, True)
    reused = (422, "IDEMPOTENCY_KEY_REUSED")
    assert api.refused("POST", "/accounts", {"name": "Other"}, key="k") == reused
    # The same meaning in other bytes is another content: nobody repeats what he did not keep.
    assert api.refused("POST", "/accounts", raw=b'{"name":"Giro" }', key="k") == reused
    assert [each["name"] for each in api.get("/accounts")] == ["Giro"]


@pytest.mark.invariant("I-16")
def test_a_key_is_for_one_path_and_query(api: Api) -> None:
    giro = api.open("Giro", asset="EUR")
    one, two = (api.enter(giro, "2026-01-31", "1.00")["id"] for _ in range(2))
    assert api.ask("DELETE", f"/records/{one}", key="k").status_code == 200
    assert api.refused("DELETE", f"/records/{two}", key="k") == (422, "IDEMPOTENCY_KEY_REUSED")
    # Another route has keys of its own.
    assert (
        api.ask("POST", f"/records/{two}/category", {"category": "x"}, key="k").status_code == 200
    )
    sent(api, "/files", "f", raw=PNG, query=QUERY)
    other = {"name": "b.png"}
    assert sent(api, "/files", "f", raw=PNG, query=other)[0] == 422
    assert len(api.get("/files")) == 1


@pytest.mark.invariant("I-16")
@pytest.mark.invariant("T-06")
def test_a_key_is_its_users_own(app: Flask, finora: Finora, other: Api) -> None:
    """Of another tenant, or of another user of the same: not seen, not replayed, not in the way."""
    tenant = f"t-{uuid4()}"
    mine, colleague = (finora.scope(tenant=tenant, user=user) for user in ("u1", "u2"))
    api = Api(app, finora.tokens.create(mine, "one").text)
    second = Api(app, finora.tokens.create(mine, "the same user's other").text)
    third = Api(app, finora.tokens.create(colleague, "another user's").text)
    _, first, _ = sent(api, "/accounts", "k", body=ACCOUNT)
    assert sent(second, "/accounts", "k", body=ACCOUNT) == (201, first, True)
    assert third.refused("POST", "/accounts", ACCOUNT, key="k") == (409, "ACCOUNT_EXISTS")
    status, theirs, replayed = sent(other, "/accounts", "k", body=ACCOUNT)
    assert (status, replayed) == (201, False)
    assert theirs != first
    assert sent(other, "/accounts", "k", body=ACCOUNT) == (201, theirs, True)


@pytest.mark.invariant("I-16")
def test_what_was_refused_did_not_use_the_key(api: Api) -> None:
    assert api.refused("POST", "/accounts", {"name": "Giro", "asset": "XXQ"}, key="k")[0] == 400
    assert api.refused("POST", "/accounts", {"name": ""}, key="k")[0] == 400
    assert sent(api, "/accounts", "k", body=ACCOUNT)[0] == 201


@pytest.mark.invariant("I-16")
@pytest.mark.invariant("T-05")
@pytest.mark.parametrize("form", [False, True], ids=["body", "form"])
def test_an_upload_is_repeated_by_its_bytes(api: Api, form: bool) -> None:
    def upload(content: bytes) -> tuple[int, bytes, bool]:
        if not form:
            return sent(api, "/imports", "k", raw=content, query={"name": "a.csv"})
        part = {"file": (io.BytesIO(content), "x")}
        return sent(api, "/imports", "k", data=part, query={"name": "a.csv"})

    status, first, _ = upload(CSV)
    assert status == 202
    assert upload(CSV) == (202, first, True)
    assert upload(CSV + b"2026-02-01,1.00,more\n")[0] == 422
    assert len(api.get("/jobs")) == 1


def eventually(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.spec("S0-67", partial=True)
@pytest.mark.invariant("I-16")
def test_a_twin_in_flight_is_a_conflict_and_later_a_repeat(api: Api, admin: Engine) -> None:
    """The first waits for a table that somebody has locked; its twin comes meanwhile."""
    waiting = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
                   "and query ilike '%insert into finora.account%'")  # fmt: skip
    answers: list[Any] = []
    first = threading.Thread(
        target=lambda: answers.append(sent(api, "/accounts", "k", body=ACCOUNT))
    )
    with admin.connect() as holder:
        holder.execute(text("lock table finora.account in exclusive mode"))
        first.start()
        with admin.connect() as looker:
            eventually(lambda: looker.scalar(waiting) or looker.rollback())
        twin = api.refused("POST", "/accounts", ACCOUNT, key="k")
        assert twin == (409, "IDEMPOTENCY_KEY_IN_FLIGHT")
        # Another key of the same caller does not wait for this one's, only for the table.
        assert api.get("/accounts") == []
        holder.rollback()
    first.join(60)
    [(status, body, replayed)] = answers
    assert (status, replayed) == (201, False)
    assert sent(api, "/accounts", "k", body=ACCOUNT) == (201, body, True)


TWINS = {
    "an entry": lambda giro, shop: {
        "path": "/entries",
        "body": {"postings": [{"account_id": giro, "amount": euros("-1.00")},
                              {"account_id": shop, "amount": euros("1.00")}]},
    },
    "a file": lambda giro, shop: {"path": "/files", "raw": PNG, "query": QUERY},
    "an import": lambda giro, shop: {"path": "/imports", "raw": CSV, "query": {"name": "a.csv"}},
}  # fmt: skip


@pytest.mark.spec("S0-67", partial=True)
@pytest.mark.invariant("I-16")
@pytest.mark.invariant("T-05")
@pytest.mark.parametrize("kind", TWINS)
def test_many_twins_at_once_are_one(api: Api, kind: str) -> None:
    giro, shop = api.open("Giro"), api.open("Shop", kind="expense")
    asked = TWINS[kind](giro, shop)
    answers = together(*[lambda: sent(api, key="k", **asked)] * 12)
    good = {body for status, body, _ in answers if status in (201, 202)}
    assert len(good) == 1
    assert {status for status, _, _ in answers} <= {201, 202, 409}
    assert sum(status < 300 and not replayed for status, _, replayed in answers) == 1
    if kind == "an entry":
        [balance] = api.get(f"/accounts/{giro}/balances")
        assert balance["amount"] == euros("-1.00")
    else:
        assert len(api.get("/files" if kind == "a file" else "/jobs")) == 1
