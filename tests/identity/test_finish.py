"""Where one-time codes are on, every sign-in has a second step: a ticket and the code finish it."""

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from identity.devices import Purse, telegram
from identity.issuer import Issuer
from identity.persons import OTHER, Person, Site
from identity.test_factors import new_id, through, wallet_offer, with_issuer

__all__ = ["with_issuer"]
Begin = Callable[[Site, Issuer, Person], Callable[[], TestResponse]]
"""Links what is needed; what it gives sends everything but the one-time code."""


def sends(site: Site, path: str, body: Any) -> Callable[[], TestResponse]:
    return lambda: site.ask("POST", path, body)


def password(site: Site, issuer: Issuer, ada: Person) -> Callable[[], TestResponse]:
    return lambda: site.login(ada.email)


def magic_link(site: Site, issuer: Issuer, ada: Person) -> Callable[[], TestResponse]:
    return sends(site, "/auth/magic", {"link": site.asked(ada.email, "magic").link})


def sent_code(site: Site, issuer: Issuer, ada: Person) -> Callable[[], TestResponse]:
    body = {"email": ada.email, "sent": site.asked(ada.email, "code").code}
    return sends(site, "/auth/code", body)


def wallet(site: Site, issuer: Issuer, ada: Person) -> Callable[[], TestResponse]:
    purse = Purse()
    ada.post("/me/wallets", purse.answers(wallet_offer(site, purse)), 201)
    return sends(site, "/auth/wallet", purse.answers(wallet_offer(site, purse)))


def account(site: Site, issuer: Issuer, ada: Person) -> Callable[[], TestResponse]:
    ada.post("/me/accounts", through(site, issuer), 201)
    return sends(site, "/auth/oidc", through(site, issuer))


def launch(site: Site, issuer: Issuer, ada: Person) -> Callable[[], TestResponse]:
    chat = new_id()
    ada.post("/me/telegram", {"init_data": telegram(chat)}, 201)
    return sends(site, "/auth/telegram", {"init_data": telegram(chat)})


WAYS = (password, magic_link, sent_code, wallet, account, launch)


def ticket_of(answer: TestResponse) -> str:
    error = answer.json["error"]
    assert (answer.status_code, error["code"]) == (401, "CODE_REQUIRED"), answer.text
    [detail] = error["details"]
    assert detail["path"] == "ticket"
    return str(detail["msg"])


@pytest.mark.spec("S2-13", partial=True)
@pytest.mark.spec("S4-11", partial=True)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_is_finished_with_its_ticket_and_the_code(
    with_issuer: tuple[Site, Issuer], way: Begin
) -> None:
    """What was sent before is good once, most of it, and need not be sent again."""
    site, issuer = with_issuer
    ada = site.verified()
    send = way(site, issuer, ada)
    codes = ada.codes_on()
    ada.code_used_up()
    ticket, wrong = ticket_of(send()), f"{(int(codes.now()) + 7) % 1_000_000:06}"
    body = {"ticket": ticket, "code": wrong}
    assert site.refused("POST", "/auth/finish", body) == (401, "CODE_INVALID")
    answer = site.ask("POST", "/auth/finish", body | {"code": codes.now()})
    assert site.person(answer).user_id == ada.user_id
    # The code is used up; so is the letter.
    refused = site.refused("POST", "/auth/finish", body | {"code": codes.now()})
    assert refused in ((401, "CODE_INVALID"), (400, "LINK_INVALID"))


@pytest.mark.invariant("T-10")
def test_a_ticket_is_good_for_nothing_else_and_not_for_long(site: Site, ada: Person) -> None:
    codes = ada.codes_on()
    ada.code_used_up()
    ticket = ticket_of(site.login(ada.email))
    assert site.refused("GET", "/me", token=ticket) == (401, "TOKEN_INVALID")
    assert site.refused("POST", "/auth/magic", {"link": ticket}) == (400, "LINK_INVALID")
    bent = {"ticket": ticket[:-4] + "AAAA", "code": codes.now()}
    assert site.refused("POST", "/auth/finish", bent) == (401, "CREDENTIALS_INVALID")
    other = {"ticket": ada.access, "code": codes.now()}
    assert site.refused("POST", "/auth/finish", other) == (401, "CREDENTIALS_INVALID")
    # What it says holds no more once the password is another.
    ada.post("/me/password", {"password": OTHER})
    late = {"ticket": ticket, "code": codes.now()}
    assert site.refused("POST", "/auth/finish", late) == (401, "CREDENTIALS_INVALID")


@pytest.mark.invariant("T-12")
def test_codes_are_guessed_at_no_more_often_by_tickets(site: Site, ada: Person) -> None:
    codes = ada.codes_on()
    ada.code_used_up()
    ticket = ticket_of(site.login(ada.email))
    wrong = {"ticket": ticket, "code": f"{(int(codes.now()) + 7) % 1_000_000:06}"}
    said = [site.ask("POST", "/auth/finish", wrong).status_code for _ in range(6)]
    assert said == [401] * 5 + [423]
