"""Guessing at passwords and codes: how often, from how many places, and what it tells."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import attrs
import pytest
import redis
from injector import Injector

from finora import Settings
from finora_adapters.compose import Opened
from finora_core.identity.people.model import LinkInvalid
from finora_core.identity.sessions.model import AccountLocked, Client, CredentialsInvalid
from finora_core.identity.sessions.service import SessionService
from finora_core.identity.verifiers import Passwords
from finora_web.api.table import ENDPOINTS
from finora_web.limits import DEFAULTS
from finora_web.main import build
from identity.persons import OTHER, PASSWORD, Person, Site, an_address
from identity.spoken import statements, without_keys
from together import together

WRONG = "not the password"


def tries(site: Site, email: str, count: int, **more: Any) -> list[int]:
    return [site.login(email, WRONG, **more).status_code for _ in range(count)]


def unlock_later(site: Site) -> None:
    """As if half an hour had passed, for whom a lock has an end."""
    site.sql(
        "update finora.guess set locked_until = now() where locked_until < 'infinity'::timestamptz"
    )


@pytest.mark.spec("S2-11")
@pytest.mark.spec("S2-12")
def test_the_fifth_failure_locks_for_half_an_hour(site: Site) -> None:
    ada = site.verified()
    assert tries(site, ada.email, 5) == [401] * 5
    answer = site.login(ada.email)
    assert (answer.status_code, answer.json["error"]["code"]) == (423, "ACCOUNT_LOCKED")
    left = timedelta(seconds=int(answer.headers["Retry-After"]))
    assert timedelta(minutes=29) < left <= timedelta(minutes=30, seconds=1)
    assert len(ada.letters("Your account is locked")) == 1
    assert "30 minutes" in ada.letter("Your account is locked").text
    # More of it changes nothing, sends nothing, and does not make it longer.
    assert tries(site, ada.email, 3) == [423] * 3
    assert len(ada.letters("Your account is locked")) == 1
    assert int(site.login(ada.email).headers["Retry-After"]) <= left.total_seconds()
    unlock_later(site)
    assert site.login(ada.email).status_code == 200


@pytest.mark.spec("S2-12")
def test_a_success_clears_the_counter(site: Site) -> None:
    ada = site.verified()
    for _ in range(3):
        assert tries(site, ada.email, 4) == [401] * 4
        assert site.login(ada.email).status_code == 200
    assert tries(site, ada.email, 5) == [401] * 5
    assert site.login(ada.email).status_code == 423


@pytest.mark.spec("S2-12")
@pytest.mark.invariant("T-12")
def test_a_device_that_signed_in_before_is_not_locked_out_by_strangers(site: Site) -> None:
    ada, eve = site.verified(), site.verified()
    tries(site, ada.email, 5)
    assert site.login(ada.email).status_code == 423
    assert site.login(ada.email, device=ada.device).status_code == 200
    # Another's device is a stranger's; so is one that nobody signed.
    assert site.login(ada.email, device=eve.device).status_code == 423
    assert site.login(ada.email, device=(ada.device or "")[:-2] + "AA").status_code == 423
    assert site.login(ada.email, device=ada.access).status_code == 423
    # Its own failures lock it.
    assert tries(site, ada.email, 5, device=ada.device) == [401] * 5
    assert site.login(ada.email, device=ada.device).status_code == 423


@pytest.mark.spec("S2-12")
def test_a_known_device_opens_with_a_new_password(site: Site) -> None:
    """Who forgot the password locks the own device first of all, and then sets another."""
    ada = site.verified()
    tries(site, ada.email, 5, device=ada.device)
    assert site.login(ada.email, device=ada.device).status_code == 423
    link = site.asked(ada.email, "reset").link
    site.ask("POST", "/auth/reset", {"link": link, "password": OTHER})
    assert site.login(ada.email, OTHER, device=ada.device).status_code == 200
    assert site.login(ada.email, OTHER).status_code == 200


@pytest.mark.spec("S4-13")
@pytest.mark.invariant("I-44")
@pytest.mark.parametrize("entrance", ["password", "one-time code", "letter's code", "step-up"])
def test_every_entrance_counts_and_locks_alike(site: Site, entrance: str) -> None:
    ada = site.verified()

    def other(code: str) -> str:
        return f"{(int(code) + 3) % 1_000_000:06}"

    if entrance == "password":
        acts: list[Callable[[], Any]] = [lambda: site.login(ada.email, WRONG)] * 6
    elif entrance == "one-time code":
        code = other(ada.codes_on().now())
        acts = [lambda: site.login(ada.email, code=code)] * 6
    elif entrance == "letter's code":
        body = {"email": ada.email, "sent": other(site.asked(ada.email, "code").code)}
        acts = [lambda: site.ask("POST", "/auth/code", body)] * 6
    else:
        acts = [lambda: ada.ask("POST", "/auth/step-up", {"password": WRONG})] * 6
    answers = [act() for act in acts]
    assert all(each.status_code in (400, 401) for each in answers[:5])
    assert answers[5].status_code == 423
    assert ada.letter("Your account is locked")
    # An administrator opens every one of them.
    site.make_admin(site.verified()).post(f"/people/{ada.user_id}/unlock")
    assert acts[0]().status_code in (400, 401)


@pytest.mark.invariant("I-44")
@pytest.mark.invariant("T-12")
def test_new_letters_give_no_new_guesses(site: Site) -> None:
    """A new code a minute, five guesses at each, would find one in the end."""
    ada = site.verified()
    for _ in range(2):
        code = site.asked(ada.email, "code").code
        wrong = f"{(int(code) + 1) % 1_000_000:06}"
        for _ in range(3):
            site.ask("POST", "/auth/code", {"email": ada.email, "sent": wrong})
        site.minute_later(ada)
    code = site.asked(ada.email, "code").code
    body = {"email": ada.email, "sent": code}
    assert site.ask("POST", "/auth/code", body).status_code == 423
    # The link of a letter is not guessed, and is good.
    assert site.ask("POST", "/auth/magic", {"link": site.asked(ada.email, "magic").link})


@attrs.define
class Counted:
    """The real passwords; how many were checked."""

    passwords: Passwords
    checked: int = 0

    def hash(self, password: str) -> str:
        return self.passwords.hash(password)

    def admission(self) -> AbstractContextManager[None]:
        return self.passwords.admission()

    def outdated(self, digest: str) -> bool:
        return self.passwords.outdated(digest)

    def verify(self, digest: str | None, password: str) -> bool:
        self.checked += 1
        return self.passwords.verify(digest, password)


@attrs.define
class Slow(Counted):
    """As `Counted`; a check is over when the test says so."""

    go_on: threading.Event = attrs.field(factory=threading.Event)
    began: threading.Event = attrs.field(factory=threading.Event)

    def verify(self, digest: str | None, password: str) -> bool:
        self.began.set()
        assert self.go_on.wait(30)
        return super().verify(digest, password)


@pytest.mark.invariant("I-44")
@pytest.mark.invariant("T-12")
@pytest.mark.parametrize("password", [PASSWORD, WRONG])
def test_a_guess_that_was_let_in_before_the_lock_is_refused_after_it(
    site: Site, inside: Injector, password: str
) -> None:
    """Guesses at the same moment are all let in before the first is counted; past the fifth, right
    and wrong are answered alike."""
    ada = site.verified()
    slow = Slow(inside.get(Passwords))  # type: ignore[type-abstract]  # its key
    sessions = attrs.evolve(inside.get(SessionService), passwords=slow)

    def guess() -> object:
        return sessions.sign_in(Client(), ada.email, password, request_id="r")

    def lock() -> None:
        assert slow.began.wait(30)
        assert tries(site, ada.email, 5) == [401] * 5
        slow.go_on.set()

    said, _ = together(guess, lock)
    assert isinstance(said, AccountLocked)
    assert site.login(ada.email).status_code == 423


@pytest.mark.invariant("I-44")
@pytest.mark.invariant("T-12")
def test_a_crowd_of_guesses_is_counted_to_the_last(site: Site) -> None:
    ada = site.verified()
    statuses = [each.status_code for each in together(*[lambda: site.login(ada.email, WRONG)] * 15)]
    assert set(statuses) == {401, 423}
    # One at five and one at ten are told to be wrong like those before the lock.
    assert statuses.count(401) <= 7
    assert site.login(ada.email).status_code == 423


@pytest.mark.timeout(300)
@pytest.mark.invariant("I-44")
@pytest.mark.invariant("T-12")
def test_ten_thousand_guesses_from_a_hundred_networks(
    site: Site, inside: Injector, opened: Opened
) -> None:
    """Strangers guess for days, through every end of a lock and every loss of Redis: a hundred of
    their guesses are looked at. The owner comes in from a known device all the time."""
    ada = site.verified()
    counted = Counted(inside.get(Passwords))  # type: ignore[type-abstract]  # its key
    sessions = attrs.evolve(inside.get(SessionService), passwords=counted)
    networks = [f"10.{number}.0.0" for number in range(100)]
    said = {CredentialsInvalid: 0, AccountLocked: 0}
    for number in range(10_000):
        # The last ones know the password: it is of no use to them any more.
        password = WRONG if number < 9_000 else PASSWORD
        client = Client(network=networks[number % 100], agent="bot")
        try:
            sessions.sign_in(client, ada.email, password, request_id="r")
        except (CredentialsInvalid, AccountLocked) as refused:
            said[type(refused)] += 1
        if number % 100 == 99:
            unlock_later(site)
        if number % 2_500 == 2_499:
            with redis.Redis.from_url(opened.redis_url) as client_:
                client_.flushall()
            assert site.login(ada.email, device=ada.device).status_code == 200
    assert said == {CredentialsInvalid: 100, AccountLocked: 9_900}
    assert counted.checked == 100
    ((failures,),) = site.sql("select max(failures) from finora.guess")
    assert failures == 100
    assert site.login(ada.email, device=ada.device).status_code == 200
    # A letter opens it to everybody again.
    link = site.asked(ada.email, "reset").link
    site.ask("POST", "/auth/reset", {"link": link, "password": OTHER})
    assert site.login(ada.email, OTHER).status_code == 200


@pytest.mark.spec("S4-13")
@pytest.mark.invariant("I-44")
def test_an_emptied_redis_forgets_no_failure(site: Site, opened: Opened) -> None:
    ada = site.verified()
    for _ in range(5):
        assert tries(site, ada.email, 1) == [401]
        with redis.Redis.from_url(opened.redis_url) as client:
            client.flushall()
    assert site.login(ada.email).status_code == 423


@pytest.mark.invariant("I-44")
def test_without_redis_nobody_signs_in_and_who_is_in_goes_on(
    site: Site, ada: Person, at_home: Settings, opened: Opened
) -> None:
    gone = attrs.evolve(opened, redis_url="unix:///nowhere/valkey")
    there = Site(build(at_home, gone), site.finora, site.admin, site.mail)
    closed = {name for name, each in DEFAULTS.items() if each.closed}
    assert closed == {"auth", "signup", "payment"}
    shut = [each for each in ENDPOINTS if each.limit in closed and not each.parameters]
    assert {each.path for each in shut} >= {
        "/auth/login", "/auth/register", "/auth/letters", "/auth/magic", "/auth/code",
        "/auth/reset", "/auth/verify", "/auth/passkey", "/auth/wallet", "/auth/oidc",
        "/auth/telegram",
    }  # fmt: skip
    before = site.sql("select count(*) from finora.event")
    for endpoint in shut:
        answer = there.ask(endpoint.method, endpoint.path, {})
        assert (answer.status_code, answer.json["error"]["code"]) == (
            503, "RATE_LIMITS_UNAVAILABLE",
        )  # fmt: skip
        assert answer.headers["Retry-After"]
    assert site.sql("select count(*) from finora.event") == before
    for path in ("/me", "/accounts", "/wallet/summary"):
        assert there.ask("GET", path, token=ada.access).status_code == 200
    made = there.ask("POST", "/accounts", {"name": "Giro"}, token=ada.access)
    assert made.status_code == 201
    # To stay in is not to come in: this token cannot be guessed at.
    assert there.ask("POST", "/auth/refresh", {"refresh_token": ada.refresh}).status_code == 200


# --- who is there, and who is not ---


def asks(email: str) -> dict[str, tuple[str, dict[str, Any]]]:
    return {
        "login": ("/auth/login", {"email": email, "password": WRONG}),
        "reset": ("/auth/letters", {"email": email, "kind": "reset"}),
        "magic": ("/auth/letters", {"email": email, "kind": "magic"}),
        "code": ("/auth/letters", {"email": email, "kind": "code"}),
        "login by code": ("/auth/code", {"email": email, "sent": "123456"}),
        "reset by code": (
            "/auth/reset", {"email": email, "code": "123456", "password": OTHER},
        ),
    }  # fmt: skip


@pytest.mark.spec("S2-11")
@pytest.mark.invariant("I-45")
@pytest.mark.parametrize("what", asks(""))
def test_nothing_tells_whether_an_address_is_known(site: Site, opened: Opened, what: str) -> None:
    """Same status, body and headers; the same statements, in one order; so does the first request
    and the seventh, which is locked."""
    known, unknown = site.verified().email, an_address()
    for kind in ("reset", "code") if " by " in what else ():
        site.asked(known, kind)
    banned = site.verified()
    site.make_admin(site.verified()).post(f"/people/{banned.user_id}/ban")
    for _ in range(7):
        told = []
        for email in (known, unknown, banned.email):
            path, body = asks(email)[what]
            with statements(opened.database.engine) as spoken:
                answer = site.ask("POST", path, body)
            error = dict(answer.json.get("error") or answer.json["data"])
            told.append(
                (answer.status_code, error, sorted(answer.headers.keys()), without_keys(spoken))
            )
        assert told[0] == told[1] == told[2]
        assert told[0][3]


@pytest.mark.invariant("I-45")
def test_a_person_s_first_letter_and_the_next_are_asked_for_alike(
    site: Site, opened: Opened
) -> None:
    ada, said = site.verified(), []
    for _ in range(3):
        with statements(opened.database.engine) as spoken:
            site.ask("POST", "/auth/letters", {"email": ada.email, "kind": "reset"})
        said.append(spoken)
    assert said[0] == said[1] == said[2]
    assert len(ada.letters("Choose a new")) == 1


@pytest.mark.invariant("I-45")
def test_letters_to_nobody_are_not_sent(site: Site) -> None:
    email = an_address()
    for kind in ("reset", "magic", "code"):
        site.ask("POST", "/auth/letters", {"email": email, "kind": kind})
    assert site.letters(email) == []
    assert site.sql("select count(*) from finora.job where state not in ('done', 'refused') "
                    "and name like 'mail.%'") == [(0,)]  # fmt: skip


def test_an_address_that_went_away_gets_no_letter(site: Site, inside: Injector) -> None:
    """Between the asking and the job."""
    ada = site.verified()
    site.ask("POST", "/auth/letters", {"email": ada.email, "kind": "magic"})
    site.sql("delete from finora.identity where user_id = :id", id=ada.user_id)
    assert ada.letters("Your link") == []
    with pytest.raises(LinkInvalid):
        inside.get(SessionService).by_code(Client(), ada.email, "123456", request_id="r")
