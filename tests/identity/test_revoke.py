"""What was taken away is gone with the next request, of every instance, from every cache."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
import pytest
from flask import Flask
from sqlalchemy import event

from finora import Finora, Settings
from finora_adapters.compose import Opened
from finora_core.identity.sessions.service import SessionService
from finora_web.main import build
from identity.persons import OTHER, Person, Site

# Two that come from a cache, one that does not.
PATHS = ("/wallet/summary", "/me", "/accounts")
IN_TENANT = ("/wallet/summary", "/accounts")


@attrs.frozen
class Stage:
    """Somebody at work in two tenants through two instances, and who takes something away."""

    sites: tuple[Site, Site]
    victim: Person
    business: str
    owner: Person
    """Of the business."""
    admin: Person

    def asked(self, path: str, tenant: str | None, token: str | None = None) -> list[int]:
        """The status that each instance answers with."""
        token = token or self.victim.access
        return [
            site.ask("GET", path, token=token, tenant=tenant).status_code for site in self.sites
        ]

    def warm(self, token: str | None = None) -> None:
        """So that whatever can be remembered is."""
        for _ in range(2):
            for path in PATHS if token is None else IN_TENANT:
                for tenant in (None, self.business) if token is None else (None,):
                    assert self.asked(path, tenant, token) == [200, 200]


@pytest.fixture
def stage(site: Site, second: Site) -> Stage:
    victim, owner, admin = site.verified(), site.verified(), site.make_admin(site.register())
    business = owner.business()
    owner.takes_in(business, victim, "accountant")
    found = Stage((site, second), victim, business, owner, admin)
    found.warm()
    return found


def reset(stage: Stage) -> None:
    link = stage.sites[0].asked(stage.victim.email, "reset").link
    body = {"link": link, "password": OTHER}
    assert stage.sites[1].ask("POST", "/auth/reset", body).status_code == 200


def elsewhere(stage: Stage) -> None:
    stage.victim.again().ask("DELETE", f"/me/sessions/{stage.victim.session_id}")


def reused(stage: Stage) -> None:
    stage.victim.refreshed()
    stage.warm()
    assert stage.victim.refreshed(agent="thief").status_code == 401


ENDINGS: dict[str, Callable[[Stage], object]] = {
    "signed out": lambda stage: stage.victim.post("/auth/logout"),
    "revoked elsewhere": elsewhere,
    "others ended": lambda stage: stage.victim.again().post("/me/sessions/end-others"),
    "password set": lambda stage: stage.victim.again().post("/me/password", {"password": OTHER}),
    "password reset": reset,
    "token reused": reused,
    "banned": lambda stage: stage.admin.post(f"/people/{stage.victim.user_id}/ban"),
    "reset by admin": lambda stage: stage.admin.post(f"/people/{stage.victim.user_id}/reset"),
}


@pytest.mark.invariant("I-42")
@pytest.mark.invariant("T-10")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("first", range(2))
def test_a_session_that_ended_is_good_for_nothing_any_more(
    stage: Stage, ending: str, first: int
) -> None:
    ENDINGS[ending](stage)
    for tenant in (None, stage.business)[:: 1 if first else -1]:
        for path in PATHS:
            for site in stage.sites[:: 1 if first else -1]:
                answer = site.ask("GET", path, token=stage.victim.access, tenant=tenant)
                assert answer.status_code in (401, 403), (path, tenant, answer.text)
    answer = stage.victim.ask("POST", "/accounts", {"name": "x"}, tenant=stage.business)
    assert answer.status_code in (401, 403)
    assert stage.victim.refreshed().status_code in (401, 403)


@pytest.mark.invariant("I-42")
@pytest.mark.invariant("T-10")
@pytest.mark.spec("S3-3", partial=True)
@pytest.mark.parametrize("way", ["removed", "left"])
def test_a_member_who_is_out_sees_nothing_of_the_tenant(stage: Stage, way: str) -> None:
    if way == "removed":
        path = f"/members/{stage.victim.user_id}"
        assert stage.owner.ask("DELETE", path, tenant=stage.business).status_code == 200
    else:
        stage.victim.post("/members/leave", tenant=stage.business)
    for path in PATHS:
        assert stage.asked(path, stage.business) == [403, 403]
    # At home nothing changed.
    for path in PATHS:
        assert stage.asked(path, None) == [200, 200]


@pytest.mark.invariant("I-42")
@pytest.mark.invariant("T-10")
@pytest.mark.spec("S2-5", partial=True)
def test_a_lower_role_is_one_from_the_next_request_on(stage: Stage) -> None:
    body = {"name": "x", "kind": "expense"}
    for number, site in enumerate(stage.sites):
        answer = site.ask("POST", "/accounts", body | {"name": f"x{number}"},
                          token=stage.victim.access, tenant=stage.business)  # fmt: skip
        assert answer.status_code == 201
    path = f"/members/{stage.victim.user_id}"
    answer = stage.owner.ask("PATCH", path, {"role": "viewer"}, tenant=stage.business)
    assert answer.json["data"]["role"] == "viewer"
    for number, site in enumerate(stage.sites):
        answer = site.ask("POST", "/accounts", body | {"name": f"y{number}"},
                          token=stage.victim.access, tenant=stage.business)  # fmt: skip
        assert (answer.status_code, answer.json["error"]["code"]) == (403, "PERMISSION_MISSING")
    assert stage.asked("/wallet/summary", stage.business) == [200, 200]
    # So is a higher one.
    stage.owner.ask("PATCH", path, {"role": "accountant"}, tenant=stage.business)
    for number, site in enumerate(stage.sites):
        answer = site.ask("POST", "/accounts", body | {"name": f"z{number}"},
                          token=stage.victim.access, tenant=stage.business)  # fmt: skip
        assert answer.status_code == 201


@pytest.mark.invariant("I-42")
@pytest.mark.spec("S2-5", partial=True)
def test_a_role_on_the_platform_is_lost_at_once(stage: Stage) -> None:
    guard = stage.sites[0].verified()
    path = f"/people/{guard.user_id}/roles"
    stage.admin.post(path, {"roles": ["guard"]})
    assert stage.asked("/people", None, stage.admin.access) == [200, 200]
    stage.sites[0].sql(
        "update finora.person set roles = '' where user_id = :id", id=stage.admin.user_id
    )
    assert stage.asked("/people", None, stage.admin.access) == [403, 403]
    assert stage.admin.refused("POST", path, {"roles": []}) == (403, "PERMISSION_MISSING")


LOSSES: dict[str, Callable[[Stage, str], object]] = {
    "revoked": lambda stage, token: stage.owner.post(
        f"/tokens/{token}/revocation", tenant=stage.business
    ),
    "lower role": lambda stage, token: stage.owner.ask(
        "PATCH", f"/members/{stage.victim.user_id}", {"role": "viewer"}, tenant=stage.business
    ),
    "member removed": lambda stage, token: stage.owner.ask(
        "DELETE", f"/members/{stage.victim.user_id}", tenant=stage.business
    ),
    "banned": lambda stage, token: stage.admin.post(f"/people/{stage.victim.user_id}/ban"),
}


@pytest.mark.invariant("I-42")
@pytest.mark.invariant("T-10")
@pytest.mark.parametrize("loss", LOSSES)
def test_a_token_is_worth_what_its_user_is_now(stage: Stage, loss: str) -> None:
    path = f"/members/{stage.victim.user_id}"
    stage.owner.ask("PATCH", path, {"role": "admin"}, tenant=stage.business)
    made = stage.victim.post("/tokens", {"name": "key"}, 201, tenant=stage.business)
    token = made["text"]
    stage.warm(token)
    LOSSES[loss](stage, made["token"]["id"])
    lower = loss == "lower role"
    for path in IN_TENANT:
        assert stage.asked(path, None, token) == ([200, 200] if lower else [401, 401])
    for site in stage.sites:
        answer = site.ask("POST", "/accounts", {"name": "x"}, token=token)
        assert answer.status_code == (403 if lower else 401)


@pytest.mark.invariant("I-42")
def test_a_ban_stops_tokens_even_where_it_broke_off(stage: Stage) -> None:
    """The ban is one row; the tokens are revoked after it, tenant by tenant."""
    path = f"/members/{stage.victim.user_id}"
    stage.owner.ask("PATCH", path, {"role": "admin"}, tenant=stage.business)
    token = stage.victim.post("/tokens", {"name": "key"}, 201, tenant=stage.business)["text"]
    stage.warm(token)
    stage.sites[0].sql(
        "update finora.person set banned_at = now() where user_id = :id", id=stage.victim.user_id
    )
    assert stage.asked("/accounts", None, token) == [401, 401]
    for site in stage.sites:
        assert site.ask("POST", "/accounts", {"name": "x"}, token=token).status_code == 401


# --- between two transactions ---


@contextmanager
def at_every_commit(opened: Opened, act: Callable[[int], None]) -> Iterator[None]:
    """Do something between the transactions of one request, at the moment after each."""
    seen = [0]

    def committed(connection: object) -> None:
        seen[0] += 1
        act(seen[0])

    event.listen(opened.database.engine, "commit", committed)
    try:
        yield
    finally:
        event.remove(opened.database.engine, "commit", committed)


@pytest.mark.invariant("I-42")
@pytest.mark.parametrize("at", range(1, 5))
def test_what_ends_while_it_is_proven_is_not_remembered_as_good(
    settings: Settings, opened: Opened, site: Site, finora: Finora, at: int
) -> None:
    """The session ends in the middle of the request that proves it, after each of its transactions
    in turn; whatever that one is answered, the next one is refused."""
    person = site.verified()
    business = person.business()
    # The services of another process: what these commit is not seen by the listener.
    elsewhere = finora._opened
    app: Flask = build(settings, opened)
    there = Site(app, finora, site.admin, site.mail)
    sessions = _sessions(settings, elsewhere, there)
    scope = sessions.prove(person.access, "r").scope
    done: list[int] = []

    def end(number: int) -> None:
        if number == at and not done:
            done.append(number)
            sessions.sign_out(scope)

    # Somebody else had the answer made, so that it lies in the cache.
    person.get("/wallet/summary", tenant=business)
    with at_every_commit(opened, end):
        there.ask("GET", "/wallet/summary", token=person.access, tenant=business)
    if not done:
        sessions.sign_out(scope)
    for _ in range(2):
        answer = there.ask("GET", "/wallet/summary", token=person.access, tenant=business)
        assert answer.status_code == 401


def _sessions(settings: Settings, elsewhere: Opened, there: Site) -> SessionService:
    """Of another instance, which tells of what it changed like every one."""
    app = build(settings, attrs.evolve(elsewhere, redis_url=_redis(there)))
    found: SessionService = app.config["SHELL"].gate.services.sessions
    return found


def _redis(there: Site) -> str:
    gate = there.app.config["SHELL"].gate
    client = gate.cache.asker.client
    path = client.connection_pool.connection_kwargs.get("path")
    return f"unix://{path}"
