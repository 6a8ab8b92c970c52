"""Letters are jobs: sent when the transaction is over, tried again with growing pauses, three
times at most, over a real server that fails as real ones do."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from typing import Any

import attrs
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from finora import Finora, Settings
from finora_core.notices.reactions import SUBSCRIPTIONS
from identity.persons import OTHER, Person, Site, an_address


@attrs.define
class Server:
    """What it was handed; what it answers to DATA, first to last, and then that all is well."""

    port: int
    answers: list[str] = attrs.field(factory=list)
    taken: list[Envelope] = attrs.field(factory=list)

    async def handle_DATA(  # noqa: N802  # aiosmtpd names it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.answers:
            return self.answers.pop(0)
        self.taken.append(envelope)
        return "250 OK"

    def letters(self, email: str) -> list[Any]:
        return [
            message_from_bytes(each.content or b"", policy=policy.default)  # type: ignore[arg-type]  # bytes
            for each in self.taken
            if email in each.rcpt_tos
        ]


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    controller = Controller(server, hostname="127.0.0.1", port=server.port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


@pytest.fixture
def server() -> Server:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Server(free.getsockname()[1])


@pytest.fixture
def worker(settings: Settings, server: Server, site: Site) -> Iterator[Finora]:
    """Sends through that server; nothing else is left to be done."""
    site.finora.run_jobs()
    changed = {
        "mail_smtp_url": SecretStr(f"smtp://127.0.0.1:{server.port}"),
        "mail_from": "Finora <post@finora.example>",
    }
    with Finora.open(settings.model_copy(update=changed)) as opened:
        yield opened


def job(site: Site, name: str, email: str) -> Any:
    """State, attempts, reason, and seconds until it is tried."""
    (found,) = site.sql(
        "select j.state, j.attempts, j.reason, "
        "extract(epoch from j.run_at - clock_timestamp())::float as pause, j.id, j.tenant_id "
        "from finora.job j join finora.identity i on i.user_id = j.user_id "
        "where i.subject = :email and j.name = :name order by j.created_at desc limit 1",
        email=email,
        name=name,
    )
    return found


def no_pause(site: Site) -> None:
    site.sql("update finora.job set run_at = clock_timestamp() where state = 'waiting'")


def registered(site: Site) -> str:
    email = an_address()
    body = {"email": email, "password": "correct horse battery"}
    assert site.ask("POST", "/auth/register", body).status_code == 201
    return email


@pytest.mark.spec("S2-49")
def test_a_server_that_fails_is_tried_three_times_with_growing_pauses(
    site: Site, server: Server, worker: Finora
) -> None:
    # Nobody waits for the server: it is not even there yet.
    email = registered(site)
    pauses = []
    for attempt, code in ((1, "MAIL_UNAVAILABLE"), (2, "MAIL_UNAVAILABLE")):
        if attempt == 1:
            worker.run_jobs()
        else:
            with serving(server):
                server.answers = ["451 4.3.0 later"]
                worker.run_jobs()
        found = job(site, "mail.challenge", email)
        assert (found.state, found.attempts, found.reason) == ("waiting", attempt, code)
        pauses.append(found.pause)
        # Not before its time.
        worker.run_jobs()
        assert job(site, "mail.challenge", email).attempts == attempt
        no_pause(site)
    # Between what the job says and its double, and the next time twice that; a few seconds went by.
    least = next(each.pause_s for each in SUBSCRIPTIONS if each.job == "mail.challenge")
    assert 0 < pauses[0] <= 2 * least < pauses[1] + 5
    assert pauses[1] <= 4 * least
    with serving(server):
        server.answers = ["421 4.3.2 closing"]
        worker.run_jobs()
    dead = job(site, "mail.challenge", email)
    assert (dead.state, dead.attempts) == ("dead", 3)
    no_pause(site)
    with serving(server):
        worker.run_jobs()
        assert server.letters(email) == []
        # Whose letter it is can have it tried again.
        person = site.sign_in(email)
        person.post(f"/jobs/{dead.id}/replay")
        worker.run_jobs()
    (letter,) = server.letters(email)
    assert letter["Subject"] == "Confirm your address"
    assert job(site, "mail.challenge", email).state == "done"


@pytest.mark.spec("S2-49", partial=True)
def test_a_letter_that_is_refused_for_good_is_not_sent_again(
    site: Site, server: Server, worker: Finora
) -> None:
    email = registered(site)
    with serving(server):
        server.answers = ["550 5.1.1 no such user"]
        worker.run_jobs()
        found = job(site, "mail.challenge", email)
        assert (found.state, found.attempts) == ("refused", 1)
        no_pause(site)
        worker.run_jobs()
    assert server.taken == []


@pytest.mark.spec("S2-49", partial=True)
def test_a_letter_that_comes_twice_is_the_same_letter(
    site: Site, server: Server, worker: Finora
) -> None:
    """The server took it, and its answer was lost: whoever gets both sees one."""
    email = registered(site)
    with serving(server):
        worker.run_jobs()
        site.sql("update finora.job set state = 'waiting', finished_at = null, "
                 "run_at = clock_timestamp() where id = :id",
                 id=job(site, "mail.challenge", email).id)  # fmt: skip
        worker.run_jobs()
    first, second = server.letters(email)
    assert first["Message-ID"] == second["Message-ID"]
    assert first.get_body(("plain",)).get_content() == second.get_body(("plain",)).get_content()


def test_no_letter_leaves_where_the_transaction_did_not_end_well(
    site: Site, server: Server, worker: Finora, ada: Person
) -> None:
    with serving(server):
        worker.run_jobs()
        before = len(server.letters(ada.email))
        assert site.login(ada.email, OTHER).status_code == 401
        assert ada.refused("POST", "/me/password", {"password": "password123"})[0] == 400
        worker.run_jobs()
        assert len(server.letters(ada.email)) == before


def test_what_happens_to_an_account_is_told_to_whose_it_is(site: Site) -> None:
    ada = site.verified()
    assert ada.letters("new sign-in") == []
    # Who has signed out everywhere is told of a stranger's sign-in all the same.
    site.sql(
        "update finora.person set recorded_at = recorded_at - interval '2 hours' "
        "where user_id = :id", id=ada.user_id,
    )  # fmt: skip
    ada.post("/auth/logout")
    stranger = site.sign_in(ada.email, agent="some <b>browser</b>")
    assert "some <b>browser</b>" in ada.letter("new sign-in").text
    known = len(ada.letters("new sign-in"))
    site.sign_in(ada.email, device=stranger.device)
    assert len(ada.letters("new sign-in")) == known
    assert ada.letters("password was changed") == []
    stranger.post("/me/password", {"password": OTHER})
    assert ada.letter("password was changed")


def test_a_letter_holds_no_link_in_what_is_kept_of_it(site: Site, ada: Person) -> None:
    """Neither the job nor the event that made it: whoever reads the database signs nobody in."""
    letter = site.asked(ada.email, "magic")
    code = site.asked(ada.email, "code").code
    rows = site.sql(
        "select payload::text || coalesce(result::text, '') || coalesce(message, '') "
        "|| coalesce(error, '') from finora.job where name like 'mail.%'"
    ) + site.sql("select payload::text from finora.event")
    text = "\n".join(row for (row,) in rows)
    assert letter.link.rpartition(".")[2] not in text
    assert f'"{code}"' not in text
    assert ada.email not in text


@pytest.mark.spec("S2-34", partial=True)
def test_who_made_a_budget_is_told_of_each_level_once(ada: Person) -> None:
    """By whomever it is spent; once more over it, and after the budget is gone, nobody is."""
    today = ada.site.sql("select current_date::text as day")[0].day
    food = {"category": "food", "description": "lunch", "on_date": today}

    def spend(amount: str) -> None:
        euros = {"amount": amount, "asset": "EUR"}
        ada.post("/records", food | {"account_id": account, "amount": euros}, 201)

    def subjects() -> list[str]:
        return sorted(str(each.letter["Subject"]) for each in ada.letters("A budget has reached"))

    account = ada.post("/accounts", {"name": "Giro", "asset": "EUR"}, 201)["id"]
    limit = {"amount": "500.00", "asset": "EUR"}
    body = {"name": "Food <at> home", "category": "food", "limit": limit, "period": "YEARLY"}
    made = ada.post("/budgets", body, 201)["id"]
    spend("-400.00")
    assert subjects() == ["A budget has reached 80 %"]
    spend("-100.00")
    spend("-1.00")
    assert subjects() == ["A budget has reached 100 %", "A budget has reached 80 %"]
    (last,) = ada.letters("A budget has reached 100 %")
    assert "Food <at> home" in last.text and "501.00 EUR of 500.00 EUR" in last.text
    second = ada.post("/budgets", body | {"name": "Gone"}, 201)["id"]
    for budget in (made, second):
        assert ada.ask("DELETE", f"/budgets/{budget}").status_code == 200
    assert len(subjects()) == 2
