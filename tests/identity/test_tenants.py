"""Tenants: who is in which, with which role; invitations; the last owner."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from identity.persons import Person, Site
from together import together


def roles(person: Person, tenant: str) -> dict[str, str]:
    return {each["user_id"]: each["role"] for each in person.get("/members", tenant=tenant)}


@pytest.mark.spec("S3-3")
def test_a_role_is_one_s_in_a_tenant_and_in_no_other(ada: Person, bob: Person) -> None:
    hers, his = ada.business("Hers"), bob.business("His")
    ada.takes_in(hers, bob, "viewer")
    assert {each["name"]: each["role"] for each in bob.get("/tenants")} == {
        "Ada": "owner", "His": "owner", "Hers": "viewer",
    }  # fmt: skip
    body = {"name": "Giro"}
    assert bob.ask("POST", "/accounts", body, tenant=his).status_code == 201
    assert bob.refused("POST", "/accounts", body, tenant=hers) == (403, "PERMISSION_MISSING")
    assert bob.get("/accounts", tenant=hers) == []
    # The tenant is named by the header; without it, by the token.
    assert bob.get("/tenant")["id"] == bob.tenant_id
    assert bob.get("/tenant", tenant=hers)["role"] == "viewer"
    # Who is no member is told the same of a tenant that there is and of one that there is not.
    nowhere = "00000000-0000-7000-8000-000000000000"
    told = [ada.ask("GET", "/accounts", tenant=each) for each in (his, nowhere, bob.tenant_id)]
    assert {each.status_code for each in told} == {403}
    assert len({str(each.json["error"]) for each in told}) == 1
    for wrong in ("x", "", his + "0", "{" + his + "}", his.replace("-", "")):
        assert ada.refused("GET", "/accounts", tenant=wrong) == (403, "NOT_A_MEMBER")
    # A token is its tenant's.
    token = bob.post("/tokens", {"name": "key"}, 201, tenant=his)["text"]
    assert bob.ask("GET", "/accounts", token=token).json["data"][0]["name"] == "Giro"
    assert bob.ask("GET", "/accounts", token=token, tenant=his).status_code == 200
    assert bob.refused("GET", "/accounts", token=token, tenant=hers) == (403, "NOT_A_MEMBER")


@pytest.mark.spec("S3-4")
def test_a_tenant_s_life(site: Site, ada: Person, bob: Person) -> None:
    business = ada.business("Acme")
    answer = ada.ask("PATCH", "/tenant", {"name": "Acme & Co", "base_asset": "GBP"},
                     tenant=business)  # fmt: skip
    assert answer.json["data"]["name"] == ada.get("/tenant", tenant=business)["name"] == "Acme & Co"
    # An invitation, by letter, for seven days.
    link = ada.invites(business, bob, "accountant")
    (invite,) = ada.get("/invites", tenant=business)
    ((lasts,),) = site.sql(
        "select expires_at - created_at from finora.invite where id = :id", id=invite["id"]
    )
    assert lasts == timedelta(days=7)
    assert "7 days" in bob.letter("Invitation").text
    assert bob.post("/invites/acceptance", {"link": link})["role"] == "accountant"
    assert bob.refused("POST", "/invites/acceptance", {"link": link}) == (400, "INVITE_INVALID")
    assert roles(ada, business) == {ada.user_id: "owner", bob.user_id: "accountant"}
    # A role change, by who may.
    change = partial(ada.ask, "PATCH", f"/members/{bob.user_id}", tenant=business)
    assert change({"role": "admin"}).json["data"]["role"] == "admin"
    path = f"/members/{ada.user_id}"
    assert bob.refused("PATCH", path, {"role": "viewer"}, tenant=business) == (
        403, "ROLE_FORBIDDEN",
    )  # fmt: skip
    assert bob.refused("PATCH", f"/members/{bob.user_id}", {"role": "owner"}, tenant=business) == (
        403, "ROLE_FORBIDDEN",
    )  # fmt: skip
    assert bob.refused("POST", "/invites", {"email": "c@d.example", "role": "owner"},
                       tenant=business) == (403, "ROLE_FORBIDDEN")  # fmt: skip
    assert bob.refused("DELETE", path, tenant=business) == (403, "ROLE_FORBIDDEN")
    # The last owner stays, in whatever way one would go.
    for act in (
        partial(ada.refused, "DELETE", path, tenant=business),
        partial(ada.refused, "POST", "/members/leave", tenant=business),
        partial(ada.refused, "PATCH", path, {"role": "admin"}, tenant=business),
    ):
        assert act() == (409, "LAST_OWNER")
    assert change({"role": "owner"}).status_code == 200
    ada.post("/members/leave", tenant=business)
    assert roles(bob, business) == {bob.user_id: "owner"}
    assert ada.refused("GET", "/members", tenant=business) == (403, "NOT_A_MEMBER")


@pytest.mark.spec("S3-4", partial=True)
def test_an_invitation_is_for_one_address_and_for_a_while(
    site: Site, ada: Person, bob: Person
) -> None:
    business = ada.business()
    eve = site.verified()
    link = ada.invites(business, bob, "viewer")
    accept = {"link": link}
    assert eve.refused("POST", "/invites/acceptance", accept) == (403, "INVITE_FOR_ANOTHER")
    # Whoever has the address, and has shown it.
    unverified = site.register()
    theirs = {"link": ada.invites(business, unverified, "viewer")}
    assert unverified.refused("POST", "/invites/acceptance", theirs) == (403, "INVITE_FOR_ANOTHER")
    (second, first) = ada.get("/invites", tenant=business)
    assert ada.ask("DELETE", f"/invites/{first['id']}", tenant=business).status_code == 200
    assert bob.refused("POST", "/invites/acceptance", accept) == (400, "INVITE_INVALID")
    late = {"link": ada.invites(business, bob, "viewer")}
    site.sql("update finora.invite set expires_at = now() where tenant_id = :id", id=business)
    assert bob.refused("POST", "/invites/acceptance", late) == (400, "INVITE_INVALID")
    assert bob.refused("DELETE", f"/invites/{second['id']}") == (404, "INVITE_NOT_FOUND")
    for wrong in (link[:-2] + "AA", bob.access, "x"):
        assert bob.refused("POST", "/invites/acceptance", {"link": wrong}) == (
            400, "INVITE_INVALID",
        )  # fmt: skip
    assert roles(ada, business) == {ada.user_id: "owner"}


@pytest.mark.invariant("T-10")
@pytest.mark.invariant("I-42")
def test_who_was_taken_out_left_no_door_open(site: Site, ada: Person, bob: Person) -> None:
    """An invitation is worth what its sender may give when it is accepted."""
    business, alias = ada.business(), site.verified()
    ada.takes_in(business, bob, "admin")
    first = {"link": bob.invites(business, alias, "admin")}
    ada.ask("PATCH", f"/members/{bob.user_id}", {"role": "viewer"}, tenant=business)
    assert alias.refused("POST", "/invites/acceptance", first) == (400, "INVITE_INVALID")
    ada.ask("DELETE", f"/members/{bob.user_id}", tenant=business)
    assert alias.refused("POST", "/invites/acceptance", first) == (400, "INVITE_INVALID")
    ada.takes_in(business, bob, "admin")
    alias.post("/invites/acceptance", first)
    assert roles(ada, business)[alias.user_id] == "admin"


def test_a_personal_tenant_stays_its_person_s(ada: Person, bob: Person) -> None:
    for act in (
        partial(ada.refused, "POST", "/invites", {"email": bob.email, "role": "viewer"}),
        partial(ada.refused, "POST", "/members/leave"),
        partial(ada.refused, "PATCH", f"/members/{ada.user_id}", {"role": "viewer"}),
    ):
        assert act() == (409, "PERSONAL_TENANT")
    assert ada.refused("DELETE", f"/members/{bob.user_id}") == (404, "MEMBER_NOT_FOUND")


@pytest.mark.spec("S3-4", partial=True)
@pytest.mark.parametrize("way", ["remove each other", "both leave", "both step down"])
def test_of_two_owners_who_go_at_once_one_stays(
    site: Site, ada: Person, bob: Person, way: str
) -> None:
    for _ in range(4):
        business = ada.business()
        ada.takes_in(business, bob, "owner")
        acts: list[Any] = []
        for one, other in ((ada, bob), (bob, ada)):
            if way == "remove each other":
                act = partial(one.ask, "DELETE", f"/members/{other.user_id}", tenant=business)
            elif way == "both leave":
                act = partial(one.ask, "POST", "/members/leave", tenant=business)
            else:
                body = {"role": "viewer"}
                act = partial(one.ask, "PATCH", f"/members/{one.user_id}", body, tenant=business)
            acts.append(act)
        statuses = sorted(each.status_code for each in together(*acts))
        assert statuses[0] == 200
        assert statuses[1] in (403, 404, 409)
        owners = site.sql(
            "select count(*) from finora.membership where tenant_id = :id and role = 'owner'",
            id=business,
        )
        assert owners == [(1,)]


def test_a_tenant_that_is_made_twice_by_one_request_is_one(ada: Person) -> None:
    answers = together(*[partial(ada.ask, "POST", "/tenants", {"name": "Acme"}, key="once")] * 8)
    made = {each.json["data"]["id"] for each in answers if each.status_code == 201}
    assert len(made) == 1
    assert {each.status_code for each in answers} <= {201, 409}
    assert len(ada.get("/tenants")) == 2
    assert len({ada.business("Twin"), ada.business("Twin")}) == 2
