"""What of sign-in is over is deleted by a schedule, and nothing sooner."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from finora import Settings
from finora_adapters.compose import Opened, compose
from finora_adapters.postgres.outdated import MONEY, PgOutdated
from finora_core.jobs.model import ScheduleDue
from finora_core.jobs.service import JobRunner
from finora_core.kernel.scope import Scope
from finora_web.api import accounts, entries, imports, portfolio, records
from people.conftest import Caller

KEPT = timedelta(hours=24)


def run(admin: Engine, statement: str, **values: object) -> None:
    with admin.begin() as connection:
        connection.execute(text(statement), values)


def count(admin: Engine, table: str, column: str, ids: list[object]) -> int:
    query = text(f"select count(*) from finora.{table} where {column} = any(:ids)")
    with admin.connect() as connection:
        return int(connection.scalar(query, {"ids": ids}))


SESSIONS = {
    # What was changed of a living session -> whether it goes.
    "ended_at = now() - interval '30 days 1 minute', reason = 'revoked'": True,
    "ended_at = now() - interval '29 days 23 hours', reason = 'revoked'": False,
    "ends_at = now() - interval '30 days 1 minute'": True,
    "ends_at = now() - interval '29 days'": False,
    "seen_at = now() - interval '37 days 1 minute'": True,
    "seen_at = now() - interval '36 days'": False,
    "seen_at = now()": False,
}


@pytest.mark.spec("S4-67", partial=True)
@pytest.mark.parametrize(("changed", "gone"), SESSIONS.items())
def test_a_session_goes_a_month_after_its_end(
    person: Caller, admin: Engine, opened: Opened, changed: str, gone: bool
) -> None:
    run(admin, f"update finora.session set {changed} where user_id = :u", u=person.user_id)
    PgOutdated(opened.database, KEPT).forget()
    assert count(admin, "session", "user_id", [person.user_id]) == (0 if gone else 1)


CHALLENGES = {
    "used_at = now() - interval '25 hours'": True,
    "used_at = now() - interval '23 hours'": False,
    "expires_at = now() - interval '25 hours'": True,
    "expires_at = now() - interval '23 hours'": False,
}


@pytest.mark.spec("S4-67", partial=True)
@pytest.mark.parametrize(("changed", "gone"), CHALLENGES.items())
def test_a_link_goes_a_day_after_it_is_of_no_use(
    person: Caller, admin: Engine, opened: Opened, changed: str, gone: bool
) -> None:
    run(admin, f"update finora.challenge set {changed} where user_id = :u", u=person.user_id)
    PgOutdated(opened.database, KEPT).forget()
    assert count(admin, "challenge", "user_id", [person.user_id]) == (0 if gone else 1)


@pytest.mark.spec("S4-67", partial=True)
@pytest.mark.parametrize(
    ("failed", "locked", "gone"),
    [("25 hours", None, True), ("23 hours", None, False), ("25 hours", "-1 hour", True),
     ("25 hours", "1 hour", False), ("25 hours", "infinity", False)],
)  # fmt: skip
def test_a_guess_is_forgotten_after_a_day_but_for_a_lock(
    admin: Engine, opened: Opened, failed: str, locked: str | None, gone: bool
) -> None:
    subject = uuid4().bytes * 2
    until = "'infinity'" if locked == "infinity" else f"now() + interval '{locked}'"
    run(
        admin,
        "insert into finora.guess (subject, failures, failed_at, locked_until) values "
        f"(:s, 5, now() - interval '{failed}', {'null' if locked is None else until})",
        s=subject,
    )
    PgOutdated(opened.database, KEPT).forget()
    assert count(admin, "guess", "subject", [subject]) == (0 if gone else 1)


@pytest.mark.spec("S4-67", partial=True)
def test_an_invitation_goes_when_its_time_is_over(
    person: Caller, admin: Engine, opened: Opened
) -> None:
    tenant = UUID(person.good("POST", "/tenants", {"name": "Club"})["id"])
    for each in ("a@example.org", "b@example.org"):
        person.good("POST", "/invites", {"email": each, "role": "viewer"}, tenant=tenant)
    run(
        admin,
        "update finora.invite set expires_at = now() - interval '1 minute' "
        "where tenant_id = :t and email = 'a@example.org'",
        t=tenant,
    )
    PgOutdated(opened.database, KEPT).forget()
    assert [each["email"] for each in person.get("/invites", tenant=tenant)] == ["b@example.org"]


@pytest.mark.spec("S4-67", partial=True)
def test_the_clock_starts_it_as_a_job(
    person: Caller, admin: Engine, settings: Settings, opened: Opened
) -> None:
    old = "update finora.session set ends_at = now() - interval '31 days' where user_id = :u"
    run(admin, old, u=person.user_id)
    services = compose(settings, opened)
    with opened.database.begin(services.get(Scope)) as work:
        work.events.record(ScheduleDue("people.tidy", work.now))
    services.get(JobRunner).run()
    assert count(admin, "session", "user_id", [person.user_id]) == 0
    query = text("select state, result from finora.job where name = 'people.tidy' "
                 "order by created_at desc limit 1")  # fmt: skip
    with admin.connect() as connection:
        state, result = connection.execute(query).one()
    assert state == "done"
    assert result.keys() == {"sessions", "challenges", "guesses", "replies", "invites"}
    assert result["sessions"] >= 1


REPLIES = {
    # Route, and how long ago it was answered -> whether the answer goes.
    ("create_tenant", "24 hours 1 minute"): True,
    ("create_tenant", "23 hours 59 minutes"): False,
    ("change_me", "25 hours"): True,
    ("post_entry", "399 days"): False,
    ("post_entry", "400 days 1 minute"): True,
    ("post_entry_x", "25 hours"): True,
}


@pytest.mark.spec("S0-67", partial=True)
@pytest.mark.invariant("I-16")
@pytest.mark.parametrize(("reply", "gone"), REPLIES.items())
def test_an_answer_is_kept_as_long_as_somebody_may_repeat_the_request(
    person: Caller, admin: Engine, opened: Opened, reply: tuple[str, str], gone: bool
) -> None:
    route, ago = reply
    run(
        admin,
        "insert into finora.command (tenant_id, user_id, key, fingerprint, reply, recorded_at) "
        "select home_id, user_id, :key, 'x', 'said', now() - cast(:ago as interval) "
        "from finora.person where user_id = :u",
        key=f"{route} k", ago=ago, u=person.user_id,
    )  # fmt: skip
    PgOutdated(opened.database, KEPT).forget()
    assert count(admin, "command", "user_id", [person.user_id]) == (0 if gone else 1)


def test_what_writes_books_is_remembered_longer() -> None:
    """By the routes' names, which the keys begin with."""
    books = (*accounts.routes, *entries.routes, *records.routes, *imports.routes)
    writes = {e.name for e in books if e.permission == "books:write" and e.writes}
    assert set(MONEY) == writes | {e.name for e in portfolio.routes if "activit" in e.name
                                   or "observation" in e.name if e.writes}  # fmt: skip
