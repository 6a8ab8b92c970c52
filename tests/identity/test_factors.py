"""One-time codes, passkeys, wallets, accounts elsewhere and Telegram, from the first to the last
request of each."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer

from finora import Settings
from finora_adapters.compose import Opened
from finora_web.main import build
from identity.devices import Key, Purse, telegram
from identity.issuer import Issuer
from identity.persons import Person, Site


def new_id() -> int:
    """Of a user of Telegram."""
    return random.randrange(10**9, 10**12)


# --- one-time codes ---


def test_with_one_time_codes_on_a_password_is_not_enough(site: Site, ada: Person) -> None:
    codes = ada.codes_on()
    assert ada.get("/me")["codes_on"] is True
    answer = site.login(ada.email)
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "CODE_REQUIRED")
    # The code that turned them on was used by that.
    used = site.login(ada.email, code=codes.now())
    assert (used.status_code, used.json["error"]["code"]) == (401, "CODE_INVALID")
    ada.code_used_up()
    code = codes.now()
    assert site.login(ada.email, code=code).status_code == 200
    assert site.login(ada.email, code=code).status_code == 401
    wrong = site.login(ada.email, "not it at all", code=code)
    assert wrong.json["error"]["code"] == "CREDENTIALS_INVALID"
    ada.ask("DELETE", "/me/codes")
    assert site.login(ada.email).status_code == 200


@pytest.mark.invariant("T-12")
def test_guessing_one_time_codes_is_locked_like_passwords(site: Site, ada: Person) -> None:
    codes = ada.codes_on()
    ada.code_used_up()
    wrong = f"{(int(codes.now()) + 7) % 1_000_000:06}"
    said = [site.login(ada.email, code=wrong).status_code for _ in range(6)]
    assert said == [401] * 5 + [423]
    # Also a right one, also from a known device: what guesses at codes knows the password.
    answer = site.login(ada.email, code=codes.now(), device=ada.device)
    assert answer.status_code == 423
    assert ada.letter("locked")


def test_a_letter_s_link_does_not_replace_the_one_time_code(site: Site, ada: Person) -> None:
    codes = ada.codes_on()
    link = site.asked(ada.email, "magic").link
    body: dict[str, Any] = {"link": link}
    assert site.refused("POST", "/auth/magic", body) == (401, "CODE_REQUIRED")
    ada.code_used_up()
    # Not having had the code at hand has not used the link up.
    answer = site.ask("POST", "/auth/magic", body | {"code": codes.now()})
    assert answer.status_code == 200


def test_another_s_ticket_turns_no_codes_on(ada: Person, bob: Person) -> None:
    offer = ada.post("/me/codes/offer")
    body = {"ticket": offer["ticket"], "code": "123456"}
    assert bob.refused("POST", "/me/codes", body) == (400, "TICKET_INVALID")
    assert ada.refused("POST", "/me/codes", body) == (401, "CODE_INVALID")
    assert ada.get("/me")["codes_on"] is False


# --- passkeys ---


def signs_in(site: Site, key: Key, **changed: Any) -> Any:
    offer = site.ask("POST", "/auth/passkey/options").json["data"]
    return site.ask("POST", "/auth/passkey", key.signed(offer) | changed)


def linked(person: Person, key: Key) -> str:
    offer = person.post("/me/passkeys/options")
    made = person.post("/me/passkeys", key.made(offer), 201)
    assert made["kind"] == "passkey"
    return str(made["id"])


@pytest.mark.spec("S4-11", partial=True)
def test_a_passkey_signs_its_person_in(site: Site, ada: Person) -> None:
    key = Key()
    linked(ada, key)
    person = site.person(signs_in(site, key))
    assert person.user_id == ada.user_id
    assert person.session_id != ada.session_id
    # Two factors in one: with codes on it asks for no code.
    ada.codes_on()
    assert signs_in(site, key).status_code == 200


@pytest.mark.spec("S4-11", partial=True)
def test_a_passkey_whose_counter_does_not_rise_is_refused(site: Site, ada: Person) -> None:
    key = Key()
    linked(ada, key)
    assert signs_in(site, key).status_code == 200
    assert signs_in(site, key).status_code == 200
    copy = Key(private=key.private, id=key.id, count=0)
    answer = signs_in(site, copy)
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "PASSKEY_CLONED")
    assert signs_in(site, key).status_code == 200


def test_a_passkey_that_was_taken_away_or_is_nobody_s_signs_nobody_in(
    site: Site, ada: Person, bob: Person
) -> None:
    key = Key()
    assert signs_in(site, key).json["error"]["code"] == "PASSKEY_REFUSED"
    identity = linked(ada, key)
    taken = bob.ask("POST", "/me/passkeys", key.made(bob.post("/me/passkeys/options")))
    assert (taken.status_code, taken.json["error"]["code"]) == (409, "IDENTITY_TAKEN")
    foreign = ada.post("/me/passkeys/options")
    assert bob.refused("POST", "/me/passkeys", Key().made(foreign)) == (400, "TICKET_INVALID")
    ada.ask("DELETE", f"/me/identities/{identity}")
    assert signs_in(site, key).json["error"]["code"] == "PASSKEY_REFUSED"


# --- wallets ---


def wallet_offer(site: Site, purse: Purse, address: str | None = None) -> dict[str, Any]:
    answer = site.ask("POST", "/auth/wallet/message", {"address": address or purse.address})
    assert answer.status_code == 200, answer.text
    return dict(answer.json["data"])


@pytest.mark.spec("S1-26")
def test_a_wallet_signs_a_person_in_once_for_a_message(site: Site) -> None:
    purse = Purse()
    offer = wallet_offer(site, purse)
    assert "Nonce: " in offer["message"]
    sent = purse.answers(offer)
    first = site.person(site.ask("POST", "/auth/wallet", sent))
    assert site.refused("POST", "/auth/wallet", sent) == (400, "TICKET_INVALID")
    again = site.person(site.ask("POST", "/auth/wallet", purse.answers(wallet_offer(site, purse))))
    assert again.user_id == first.user_id
    (identity,) = first.get("/me/identities")
    assert (identity["kind"], identity["label"].lower()) == ("wallet", purse.address)
    assert first.get("/me")["email"] is None
    (own,) = first.get("/tenants")
    assert own["kind"] == "personal"


@pytest.mark.spec("S1-26")
@pytest.mark.spec("S1-2", partial=True)
def test_a_wallet_is_linked_to_a_person_and_to_one(site: Site, ada: Person, bob: Person) -> None:
    purse = Purse()
    made = ada.post("/me/wallets", purse.answers(wallet_offer(site, purse)), 201)
    # With the capitals that check it, whatever case was sent.
    assert made["label"] != purse.address
    assert made["label"].lower() == purse.address
    shouted = "0x" + purse.address[2:].upper()
    person = site.person(
        site.ask("POST", "/auth/wallet", purse.answers(wallet_offer(site, purse, shouted)))
    )
    assert person.user_id == ada.user_id
    sent = purse.answers(wallet_offer(site, purse))
    assert bob.refused("POST", "/me/wallets", sent) == (409, "IDENTITY_TAKEN")
    crooked = made["label"].swapcase().replace("X", "x")
    assert site.refused("POST", "/auth/wallet/message", {"address": crooked})[0] == 400


@pytest.mark.invariant("I-43")
def test_a_wallet_s_message_is_for_its_ticket_and_its_signer(site: Site, ada: Person) -> None:
    purse, eve = Purse(), Purse()
    mine, theirs = wallet_offer(site, purse), wallet_offer(site, eve)
    mixed = purse.answers(mine) | {"ticket": theirs["ticket"]}
    assert site.refused("POST", "/auth/wallet", mixed) == (400, "TICKET_INVALID")
    forged = purse.answers(mine) | {"signature": eve.sign(mine["message"])}
    assert site.refused("POST", "/auth/wallet", forged) == (401, "WALLET_REFUSED")
    # A ticket has one way to be written: a second writing of it is no second ticket.
    sent = purse.answers(mine)
    ticket = str(sent["ticket"])
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for letter in letters:
        if letter != ticket[-1]:
            wrong = sent | {"ticket": ticket[:-1] + letter}
            assert site.refused("POST", "/auth/wallet", wrong) == (400, "TICKET_INVALID")
    assert site.ask("POST", "/auth/wallet", sent).status_code == 200


# --- accounts elsewhere ---


@pytest.fixture
def with_issuer(
    at_home: Settings, opened: Opened, site: Site, httpserver: HTTPServer
) -> tuple[Site, Issuer]:
    issuer = Issuer(httpserver).start()
    at = int(datetime.now(UTC).timestamp())
    issuer.claims = {"iat": at, "exp": at + 300, "sub": f"user-{new_id()}"}
    listed = (
        f'[{{"name": "stub", "client_id": "finora", "client_secret": "{issuer.client_secret}",'
        f' "issuer": "{issuer.url}"}}]'
    )
    settings = at_home.model_copy(update={"oidc_issuers": SecretStr(listed)})
    return Site(build(settings, opened), site.finora, site.admin, site.mail), issuer


def through(site: Site, issuer: Issuer) -> dict[str, Any]:
    """To the issuer and back."""
    body = {"issuer": "stub", "redirect_uri": "https://finora.example/back"}
    begun = site.ask("POST", "/auth/oidc/start", body)
    assert begun.status_code == 200, begun.text
    said = begun.json["data"]
    return {"ticket": said["ticket"]} | issuer.authorise(said["url"])


@pytest.mark.spec("S4-11", partial=True)
def test_an_account_elsewhere_signs_in_and_takes_over_nobody(
    with_issuer: tuple[Site, Issuer],
) -> None:
    site, issuer = with_issuer
    # Whose address the issuer tells of has an account here already; it is not given away.
    victim = site.verified()
    issuer.claims |= {"email": victim.email, "email_verified": True}
    sent = through(site, issuer)
    person = site.person(site.ask("POST", "/auth/oidc", sent))
    assert person.user_id != victim.user_id
    assert site.refused("POST", "/auth/oidc", sent) == (400, "TICKET_INVALID")
    again = site.person(site.ask("POST", "/auth/oidc", through(site, issuer)))
    assert again.user_id == person.user_id
    other = through(site, issuer) | {"state": "x" * 43}
    assert site.refused("POST", "/auth/oidc", other) == (400, "TICKET_INVALID")
    taken = through(site, issuer)
    assert victim.refused("POST", "/me/accounts", taken) == (409, "IDENTITY_TAKEN")


def test_an_account_elsewhere_is_linked(with_issuer: tuple[Site, Issuer]) -> None:
    site, issuer = with_issuer
    ada = site.verified()
    assert ada.post("/me/accounts", through(site, issuer), 201)["kind"] == "oidc"
    person = site.person(site.ask("POST", "/auth/oidc", through(site, issuer)))
    assert person.user_id == ada.user_id


# --- Telegram ---


@pytest.mark.spec("S4-58", partial=True)
@pytest.mark.spec("S4-59")
def test_a_launch_signs_in_again_and_links_once(site: Site, ada: Person, bob: Person) -> None:
    launch = {"init_data": telegram(new_id())}
    first = site.person(site.ask("POST", "/auth/telegram", launch))
    again = site.person(site.ask("POST", "/auth/telegram", launch))
    assert first.user_id == again.user_id
    assert first.session_id != again.session_id
    assert ada.refused("POST", "/me/telegram", launch) == (409, "IDENTITY_TAKEN")
    user = new_id()
    once = {"init_data": telegram(user)}
    assert ada.post("/me/telegram", once, 201)["kind"] == "telegram"
    (identity,) = [each for each in ada.get("/me/identities") if each["kind"] == "telegram"]
    ada.ask("DELETE", f"/me/identities/{identity['id']}")
    # Whoever read it on the way links it to nobody.
    assert bob.refused("POST", "/me/telegram", once) == (400, "TICKET_INVALID")
    assert bob.post("/me/telegram", {"init_data": telegram(user)}, 201)
    person = site.person(site.ask("POST", "/auth/telegram", once))
    assert person.user_id == bob.user_id


@pytest.mark.spec("S4-58", partial=True)
def test_a_person_has_one_telegram_and_it_one_person(site: Site, ada: Person) -> None:
    ada.post("/me/telegram", {"init_data": telegram(new_id())}, 201)
    second = {"init_data": telegram(new_id())}
    assert ada.refused("POST", "/me/telegram", second) == (409, "IDENTITY_TAKEN")


@pytest.mark.spec("S4-58", partial=True)
@pytest.mark.parametrize(
    "wrong", [{"auth_date": 1}, {"user": '{"id": 5, "is_bot": true}'}, {"user": "[]"}]
)
def test_a_launch_that_is_old_or_a_bot_s_signs_nobody_in(site: Site, wrong: dict[str, Any]) -> None:
    sent = {"init_data": telegram(new_id(), **wrong)}
    assert site.refused("POST", "/auth/telegram", sent) == (401, "TELEGRAM_REFUSED")


# --- the same rule for every entrance ---


@pytest.mark.spec("S4-11")
def test_one_person_comes_in_by_every_door(with_issuer: tuple[Site, Issuer]) -> None:
    site, issuer = with_issuer
    ada = site.verified()
    key, purse, user = Key(), Purse(), new_id()
    linked(ada, key)
    ada.post("/me/wallets", purse.answers(wallet_offer(site, purse)), 201)
    ada.post("/me/accounts", through(site, issuer), 201)
    ada.post("/me/telegram", {"init_data": telegram(user)}, 201)
    magic, code = site.asked(ada.email, "magic").link, site.asked(ada.email, "code").code
    entrances = {
        "password": site.login(ada.email),
        "magic": site.ask("POST", "/auth/magic", {"link": magic}),
        "code": site.ask("POST", "/auth/code", {"email": ada.email, "sent": code}),
        "passkey": signs_in(site, key),
        "wallet": site.ask("POST", "/auth/wallet", purse.answers(wallet_offer(site, purse))),
        "oidc": site.ask("POST", "/auth/oidc", through(site, issuer)),
        "telegram": site.ask("POST", "/auth/telegram", {"init_data": telegram(user)}),
    }
    for method, answer in entrances.items():
        person = site.person(answer)
        assert person.user_id == ada.user_id, method
        ((kept,),) = site.sql(
            "select method from finora.session where id = :id", id=person.session_id
        )
        assert kept == method
        assert site.events("session.opened", session=person.session_id, method=method)
    # One administrator shuts them all.
    site.make_admin(site.verified()).post(f"/people/{ada.user_id}/ban")
    site.minute_later(ada)
    magic = site.asked(ada.email, "magic").link
    code = site.asked(ada.email, "code").code
    shut = [
        site.login(ada.email),
        site.ask("POST", "/auth/magic", {"link": magic}),
        site.ask("POST", "/auth/code", {"email": ada.email, "sent": code}),
        signs_in(site, key),
        site.ask("POST", "/auth/wallet", purse.answers(wallet_offer(site, purse))),
        site.ask("POST", "/auth/oidc", through(site, issuer)),
        site.ask("POST", "/auth/telegram", {"init_data": telegram(user)}),
        ada.refreshed(),
    ]
    for answer in shut:
        assert (answer.status_code, answer.json["error"]["code"]) == (403, "ACCOUNT_BANNED")
