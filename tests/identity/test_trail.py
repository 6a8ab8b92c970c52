"""Every act of an administrator and of security is in the log: who, on whom, what, when."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from identity.devices import Key
from identity.persons import OTHER, PASSWORD, Person, Site
from identity.test_factors import linked, signs_in

Done = Callable[[Site, Person, Person], Any]


def sign_in_wrongly(site: Site, boss: Person, ada: Person) -> None:
    site.login(ada.email, OTHER)


def lock(site: Site, boss: Person, ada: Person) -> None:
    for _ in range(5):
        site.login(ada.email, OTHER)


def use_twice(site: Site, boss: Person, ada: Person) -> None:
    ada.refreshed()
    ada.refreshed(agent="thief")


def take_away(site: Site, boss: Person, ada: Person) -> None:
    ada.ask("DELETE", f"/me/identities/{linked(ada, Key())}")


def come_in_by_passkey(site: Site, boss: Person, ada: Person) -> None:
    key = Key()
    linked(ada, key)
    signs_in(site, key)


def revoke_token(site: Site, boss: Person, ada: Person) -> None:
    made = ada.post("/tokens", {"name": "key"}, 201)["token"]["id"]
    ada.post(f"/tokens/{made}/revocation")


def by(actor: str) -> Callable[[Person, Person], str]:
    return lambda boss, ada: boss.user_id if actor == "boss" else ada.user_id


# act -> (type, what the payload says besides the person, who did it)
ACTS: dict[str, tuple[Done, str, dict[str, Any], str]] = {
    "banned": (lambda s, b, a: b.post(f"/people/{a.user_id}/ban"),
               "person.changed", {"change": "banned"}, "boss"),
    "unbanned": (lambda s, b, a: (b.post(f"/people/{a.user_id}/ban"),
                                  b.post(f"/people/{a.user_id}/unban")),
                 "person.changed", {"change": "unbanned"}, "boss"),
    "unlocked": (lambda s, b, a: b.post(f"/people/{a.user_id}/unlock"),
                 "person.changed", {"change": "unlocked"}, "boss"),
    "reset": (lambda s, b, a: b.post(f"/people/{a.user_id}/reset"),
              "person.changed", {"change": "reset"}, "boss"),
    "roles": (lambda s, b, a: b.post(f"/people/{a.user_id}/roles", {"roles": ["guard"]}),
              "person.changed", {"change": "roles"}, "boss"),
    "ended by ban": (lambda s, b, a: b.post(f"/people/{a.user_id}/ban"),
                     "session.ended", {"reason": "banned"}, "boss"),
    "signed in": (lambda s, b, a: a.again(), "session.opened", {"method": "password"}, "ada"),
    "by passkey": (come_in_by_passkey, "session.opened", {"method": "passkey"}, "ada"),
    "failed": (sign_in_wrongly, "sign_in.failed", {"locked": False}, "ada"),
    "locked": (lock, "sign_in.failed", {"locked": True}, "ada"),
    "signed out": (lambda s, b, a: a.post("/auth/logout"),
                   "session.ended", {"reason": "signed_out"}, "ada"),
    "reused": (use_twice, "session.ended", {"reason": "reused"}, "ada"),
    "proven": (lambda s, b, a: a.post("/auth/step-up", {"password": PASSWORD}),
               "session.proven", {"method": "password"}, "ada"),
    "not proven": (lambda s, b, a: a.ask("POST", "/auth/step-up", {"password": OTHER}),
                   "sign_in.failed", {"method": "step-up"}, "ada"),
    "password": (lambda s, b, a: a.post("/me/password", {"password": OTHER}),
                 "person.changed", {"change": "password"}, "ada"),
    "codes on": (lambda s, b, a: a.codes_on(), "person.changed", {"change": "codes_on"}, "ada"),
    "linked": (lambda s, b, a: linked(a, Key()),
               "identity.changed", {"change": "linked", "kind": "passkey"}, "ada"),
    "removed": (take_away, "identity.changed", {"change": "removed"}, "ada"),
    "asked for": (lambda s, b, a: s.asked(a.email, "reset"),
                  "letter.asked", {"purpose": "reset"}, "ada"),
}  # fmt: skip


@pytest.mark.spec("S2-51")
@pytest.mark.parametrize("act", ACTS)
def test_it_is_written_who_did_what_to_whom_and_when(site: Site, ada: Person, act: str) -> None:
    boss = site.make_admin(site.verified())
    done, kind, said, actor = ACTS[act]
    before = len(site.events(kind, user=ada.user_id, **said))
    done(site, boss, ada)
    *_, last = found = site.events(kind, user=ada.user_id, **said)
    assert len(found) == before + 1
    # In the log of the person that it happened to, whoever did it.
    assert str(last.tenant_id) == ada.tenant_id
    assert str(last.actor) == by(actor)(boss, ada)
    assert abs(datetime.now(UTC) - last.recorded_at) < timedelta(minutes=1)
    assert last.request_id
    # Ids and codes: nothing that would have to be erased with the person.
    text = str(last.payload)
    for secret in (ada.email, "Ada", PASSWORD, OTHER, ada.refresh):
        assert secret not in text


@pytest.mark.spec("S2-51", partial=True)
def test_what_is_done_to_a_tenant_is_in_its_log(site: Site, ada: Person, bob: Person) -> None:
    business = ada.business()
    ada.takes_in(business, bob, "viewer")
    path = f"/members/{bob.user_id}"
    ada.ask("PATCH", path, {"role": "admin"}, tenant=business)
    ada.ask("DELETE", path, tenant=business)
    made = ada.post("/tokens", {"name": "key"}, 201, tenant=business)["token"]["id"]
    ada.post(f"/tokens/{made}/revocation", tenant=business)
    rows = site.sql(
        "select type, payload ->> 'change', actor from finora.event where tenant_id = :id "
        "order by recorded_at", id=business,
    )  # fmt: skip
    assert [(kind, change, str(actor)) for kind, change, actor in rows] == [
        ("tenant.made", None, ada.user_id), ("member.invited", None, ada.user_id),
        ("member.changed", "joined", bob.user_id), ("member.changed", "role", ada.user_id),
        ("member.changed", "removed", ada.user_id), ("token.made", None, ada.user_id),
        ("token.revoked", None, ada.user_id),
    ]  # fmt: skip


@pytest.mark.spec("S2-51", partial=True)
def test_nobody_takes_a_line_out_of_the_log(site: Site, ada: Person) -> None:
    for statement in ("delete from finora.event", "update finora.event set type = 'x'"):
        with pytest.raises(Exception, match="FACT_IMMUTABLE"):
            site.sql(f"{statement} where tenant_id = :id", id=ada.tenant_id)
