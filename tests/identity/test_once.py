"""What is good once: sixteen use it at the same moment, and one of them has used it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from werkzeug.test import TestResponse

from identity.devices import Key, Purse, telegram
from identity.persons import OTHER, PASSWORD, Person, Site
from identity.test_factors import linked, new_id, through, wallet_offer, with_issuer
from together import together

__all__ = ["with_issuer"]
MANY = 16
Act = Callable[[], TestResponse]


def of(path: str, body: Any, who: Person | None = None, *, site: Site) -> Act:
    return lambda: site.ask("POST", path, body, token=None if who is None else who.access)


def verify_link(site: Site) -> Sequence[Act]:
    person = site.register()
    body = {"link": person.letter("Confirm").link, "password": PASSWORD}
    return [of("/auth/verify", body, site=site)] * MANY


def reset_link_and_code(site: Site) -> Sequence[Act]:
    """The link and the code of one letter are one thing."""
    person = site.verified()
    letter = site.asked(person.email, "reset")
    link = {"link": letter.link, "password": OTHER}
    code = {"email": person.email, "code": letter.code, "password": OTHER}
    return [of("/auth/reset", body, site=site) for body in (link, code)] * (MANY // 2)


def magic_link(site: Site) -> Sequence[Act]:
    link = site.asked(site.verified().email, "magic").link
    return [of("/auth/magic", {"link": link}, site=site)] * MANY


def sent_code(site: Site) -> Sequence[Act]:
    person = site.verified()
    body = {"email": person.email, "sent": site.asked(person.email, "code").code}
    return [of("/auth/code", body, site=site)] * MANY


def invitation(site: Site) -> Sequence[Act]:
    owner, guest = site.verified(), site.verified()
    link = owner.invites(owner.business(), guest, "viewer")
    return [of("/invites/acceptance", {"link": link}, guest, site=site)] * MANY


def one_time_code(site: Site) -> Sequence[Act]:
    person = site.verified()
    codes = person.codes_on()
    person.code_used_up()
    code = codes.now()
    return [lambda: site.login(person.email, code=code)] * MANY


def one_time_code_of_step_up(site: Site) -> Sequence[Act]:
    person = site.verified()
    codes = person.codes_on()
    person.code_used_up()
    return [of("/auth/step-up", {"code": codes.now()}, person, site=site)] * MANY


def passkey_answer(site: Site) -> Sequence[Act]:
    person, key = site.verified(), Key()
    linked(person, key)
    offer = site.ask("POST", "/auth/passkey/options").json["data"]
    return [of("/auth/passkey", key.signed(offer), site=site)] * MANY


def passkey_ticket(site: Site) -> Sequence[Act]:
    """Other signatures under one challenge."""
    person, key = site.verified(), Key()
    linked(person, key)
    offer = site.ask("POST", "/auth/passkey/options").json["data"]
    return [of("/auth/passkey", key.signed(offer), site=site) for _ in range(MANY)]


def new_passkey(site: Site) -> Sequence[Act]:
    """Other passkeys under one challenge."""
    person = site.verified()
    offer = person.post("/me/passkeys/options")
    return [of("/me/passkeys", Key().made(offer), person, site=site) for _ in range(MANY)]


def wallet_answer(site: Site) -> Sequence[Act]:
    purse = Purse()
    return [of("/auth/wallet", purse.answers(wallet_offer(site, purse)), site=site)] * MANY


def wallet_link(site: Site) -> Sequence[Act]:
    """One message to sign in by and to be linked by, to two people."""
    purse = Purse()
    sent = purse.answers(wallet_offer(site, purse))
    people = (None, site.verified(), site.verified(), None)
    return [of("/me/wallets" if who else "/auth/wallet", sent, who, site=site)
            for who in people * (MANY // 4)]  # fmt: skip


def telegram_link(site: Site) -> Sequence[Act]:
    sent = {"init_data": telegram(new_id())}
    people = [site.verified() for _ in range(4)] * (MANY // 4)
    return [of("/me/telegram", sent, who, site=site) for who in people]


THINGS = (verify_link, reset_link_and_code, magic_link, sent_code, invitation, one_time_code,
          one_time_code_of_step_up, passkey_answer, passkey_ticket, new_passkey, wallet_answer,
          wallet_link, telegram_link)  # fmt: skip


@pytest.mark.invariant("I-43")
@pytest.mark.invariant("T-12")
@pytest.mark.parametrize("thing", THINGS)
def test_of_sixteen_at_once_one_succeeds(
    site: Site, thing: Callable[[Site], Sequence[Act]]
) -> None:
    acts = thing(site)
    assert len(acts) == MANY
    answers: list[TestResponse] = together(*acts)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] in (200, 201)
    assert all(status in (400, 401, 403, 404, 409, 423) for status in statuses[1:]), statuses
    # Nor later.
    assert acts[0]().status_code >= 400


@pytest.mark.invariant("I-43")
def test_of_sixteen_who_come_back_from_an_issuer_one_comes_in(
    with_issuer: tuple[Site, Any],
) -> None:
    site, issuer = with_issuer
    sent = through(site, issuer)
    answers = together(*[of("/auth/oidc", sent, site=site)] * MANY)
    assert sorted(each.status_code for each in answers) == [200] + [400] * (MANY - 1)


@pytest.mark.spec("S3-4", partial=True)
@pytest.mark.invariant("I-43")
def test_an_invitation_is_taken_once_whoever_asks(site: Site) -> None:
    """Also of those who wait for the same row."""
    owner, guest = site.verified(), site.verified()
    business = owner.business()
    link = owner.invites(business, guest, "viewer")
    together(*[of("/invites/acceptance", {"link": link}, guest, site=site)] * MANY)
    members = owner.get("/members", tenant=business)
    assert sorted(each["role"] for each in members) == ["owner", "viewer"]
    assert len(site.events("member.changed", user=guest.user_id, change="joined")) == 1
