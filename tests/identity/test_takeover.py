"""Somebody signs up with another's address, and waits for its owner."""

from collections.abc import Callable
from functools import partial

import pytest
from pyotp import TOTP
from werkzeug.test import TestResponse

from identity.devices import Key, Purse, telegram
from identity.persons import OTHER, PASSWORD, Person, Site, an_address
from identity.test_factors import linked, new_id, wallet_offer
from together import together

OWNERS = "a password of the owner"
Enter = Callable[[Site, str], TestResponse]


def by_reset_link(site: Site, email: str) -> TestResponse:
    body = {"link": site.asked(email, "reset").link, "password": OWNERS}
    assert site.ask("POST", "/auth/reset", body).status_code == 200
    return site.login(email, OWNERS)


def by_reset_code(site: Site, email: str) -> TestResponse:
    body = {"email": email, "code": site.asked(email, "reset").code, "password": OWNERS}
    assert site.ask("POST", "/auth/reset", body).status_code == 200
    return site.login(email, OWNERS)


def by_magic_link(site: Site, email: str) -> TestResponse:
    return site.ask("POST", "/auth/magic", {"link": site.asked(email, "magic").link})


def by_sent_code(site: Site, email: str) -> TestResponse:
    body = {"email": email, "sent": site.asked(email, "code").code}
    return site.ask("POST", "/auth/code", body)


ENTRIES = (by_reset_link, by_reset_code, by_magic_link, by_sent_code)


@pytest.mark.invariant("T-10")
@pytest.mark.parametrize("enter", ENTRIES)
def test_who_signed_up_with_another_s_address_is_out_when_its_owner_comes(
    site: Site, enter: Enter
) -> None:
    """Whatever the stranger set meanwhile opens nothing any more, nor keeps the owner out."""
    eve = site.register()
    other, key, purse = eve.again(), Key(), Purse()
    linked(eve, key)
    eve.post("/me/wallets", purse.answers(wallet_offer(site, purse)), 201)
    chat = new_id()
    eve.post("/me/telegram", {"init_data": telegram(chat)}, 201)
    token = eve.post("/tokens", {"name": "key"}, 201)["text"]
    codes = eve.codes_on()
    verification = eve.letter("Confirm").link

    owner = site.person(enter(site, eve.email), eve.email)

    assert owner.user_id == eve.user_id
    said = owner.get("/me")
    assert (said["email_verified"], said["codes_on"]) == (True, False)
    assert [each["kind"] for each in owner.get("/me/identities")] == ["email"]
    assert len(owner.get("/me/sessions")) == 1
    eve.code_used_up()
    for session in (eve, other):
        assert session.refused("GET", "/me") == (401, "TOKEN_INVALID")
        assert session.refreshed().status_code == 401
    assert site.refused("GET", "/accounts", token=token) == (401, "TOKEN_REVOKED")
    assert site.login(eve.email, PASSWORD).status_code == 401
    assert site.login(eve.email, PASSWORD, code=codes.now()).status_code == 401
    offer = site.ask("POST", "/auth/passkey/options").json["data"]
    assert site.refused("POST", "/auth/passkey", key.signed(offer))[0] == 401
    # They are free again, and somebody else's.
    sent = purse.answers(wallet_offer(site, purse))
    assert site.person(site.ask("POST", "/auth/wallet", sent)).user_id != owner.user_id
    sent = {"init_data": telegram(chat)}
    assert site.person(site.ask("POST", "/auth/telegram", sent)).user_id != owner.user_id
    late = {"link": verification, "password": PASSWORD}
    assert site.refused("POST", "/auth/verify", late)[0] in (400, 401)
    assert len(site.events("person.changed", user=owner.user_id, change="claimed")) == 1
    assert len(site.events("session.ended", user=owner.user_id, reason="claimed")) == 2


@pytest.mark.spec("S2-10", partial=True)
@pytest.mark.invariant("T-10")
def test_the_letter_of_a_stranger_s_registration_lets_the_stranger_in_nowhere(site: Site) -> None:
    """Its link needs the password that was chosen then: a click alone proves nothing."""
    eve = site.register()
    link = eve.letter("Confirm").link
    assert site.refused("POST", "/auth/verify", {"link": link}) == (400, "VALIDATION")
    wrong = {"link": link, "password": OTHER}
    for _ in range(5):
        assert site.refused("POST", "/auth/verify", wrong) == (401, "CREDENTIALS_INVALID")
    # Nor is it a way to guess at a password.
    right = {"link": link, "password": PASSWORD}
    assert site.refused("POST", "/auth/verify", right) == (400, "LINK_INVALID")
    assert eve.get("/me")["email_verified"] is False
    assert len(site.events("sign_in.failed", user=eve.user_id, method="verify")) == 5


@pytest.mark.spec("S2-10", partial=True)
def test_who_signed_up_keeps_everything_by_showing_the_password_with_the_link(site: Site) -> None:
    ada = site.register()
    linked(ada, Key())
    token = ada.post("/tokens", {"name": "key"}, 201)["text"]
    assert site.confirm(ada).status_code == 200
    assert ada.get("/me")["email_verified"] is True
    assert site.ask("GET", "/accounts", token=token).status_code == 200
    assert len(ada.get("/me/identities")) == 2
    # From then on a letter is one more way in, and no other is lost by it.
    assert site.person(by_magic_link(site, ada.email)).user_id == ada.user_id
    assert ada.get("/me") and site.login(ada.email).status_code == 200
    assert site.events("person.changed", user=ada.user_id, change="claimed") == []


@pytest.mark.spec("S3-4", partial=True)
@pytest.mark.invariant("T-10")
def test_nothing_is_shared_with_others_before_the_address_is_proven(
    site: Site, ada: Person
) -> None:
    """A tenant with accomplices in it would outlive the claim."""
    eve = site.register()
    refused = (403, "ADDRESS_UNPROVEN")
    assert eve.refused("POST", "/tenants", {"name": "Trap"}) == refused
    trap = ada.business()
    ada.post("/invites", {"email": eve.email, "role": "owner"}, 201, tenant=trap)
    link = site.letter(eve.email, "Invitation").link
    assert eve.refused("POST", "/invites/acceptance", {"link": link})[0] == 403
    assert site.confirm(eve).status_code == 200
    assert eve.business()


@pytest.mark.invariant("T-10")
@pytest.mark.parametrize("act", ["password", "token", "passkey", "wallet", "codes", "login"])
def test_no_act_of_the_stranger_at_the_same_moment_survives(site: Site, act: str) -> None:
    """Whichever comes first: in the end only the owner is in."""
    for _ in range(5):
        eve = site.register(an_address())
        key, purse = Key(), Purse()
        body: object
        match act:
            case "password":
                path, body = "/me/password", {"password": OTHER}
            case "token":
                path, body = "/tokens", {"name": "key"}
            case "passkey":
                path, body = "/me/passkeys", key.made(eve.post("/me/passkeys/options"))
            case "wallet":
                path, body = "/me/wallets", purse.answers(wallet_offer(site, purse))
            case "codes":
                offer = eve.post("/me/codes/offer")
                code = TOTP(offer["secret"]).now()
                path, body = "/me/codes", {"ticket": offer["ticket"], "code": code}
            case _:
                path, body = "/auth/login", {"email": eve.email, "password": PASSWORD}
        link = site.asked(eve.email, "magic").link
        hers, entered = together(
            partial(eve.ask, "POST", path, body),
            partial(site.ask, "POST", "/auth/magic", {"link": link}),
        )
        owner = site.person(entered, eve.email)
        assert hers.status_code in (200, 201, 401), hers.text
        assert [each["kind"] for each in owner.get("/me/identities")] == ["email"]
        assert len(owner.get("/me/sessions")) == 1
        assert owner.get("/me")["codes_on"] is False
        assert [each for each in owner.get("/tokens") if each["revoked_at"] is None] == []
        for password in (PASSWORD, OTHER):
            assert site.login(eve.email, password).status_code == 401
        if act == "login" and hers.status_code == 200:
            assert site.person(hers).refused("GET", "/me")[0] == 401
