"""Refresh tokens: at most one live token a family, whoever uses which one when.

A client and a thief hold copies of the same token and act in every order, up to six steps, over the
rule itself and over real rows and threads. A step is: one of them uses the newest token it holds,
or uses the one before it once more (a lost reply), or eleven seconds pass.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import Literal
from uuid import uuid4

import attrs
import pytest
from injector import Injector

from finora_core.identity.sessions.door import Door
from finora_core.identity.sessions.model import Client, Session, SessionKind, Turn, turn
from identity.persons import Person, Site
from together import together

Step = Literal["client", "client again", "thief", "thief again", "time"]
STEPS: tuple[Step, ...] = ("client", "client again", "thief", "thief again", "time")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE, THERE = Client(network="10.0.0.0", agent="here"), Client(network="10.9.9.0", agent="there")


def stories(length: int) -> Iterator[tuple[Step, ...]]:
    return product(STEPS, repeat=length)


@attrs.define
class Held:
    """What somebody has: the newest token, and the one that it came for."""

    client: Client
    newest: int = 0
    before: int = 0


@attrs.define
class Model:
    """The family by the rule alone: what is written, and what everybody holds."""

    session: Session
    client: Held
    thief: Held
    now: datetime = NOW
    alerted: bool = False

    @classmethod
    def fresh(cls) -> "Model":
        session = Session(
            id=uuid4(), user_id=uuid4(), kind=SessionKind.BEARER, method="password",
            agent="here", network="10.0.0.0", created_at=NOW, seen_at=NOW,
            ends_at=NOW + timedelta(days=30), proven_at=NOW, generation=0, rotated_at=NOW,
        )  # fmt: skip
        return cls(session, Held(HERE), Held(THERE))

    def step(self, step: Step) -> Turn | None:
        if step == "time":
            self.now += timedelta(seconds=11)
            return None
        who = self.client if step.startswith("client") else self.thief
        shown = who.before if step.endswith("again") else who.newest
        said = turn(self.session, shown, self.session.is_of(who.client), self.now)
        if said is Turn.ROTATE:
            self.session = self.session.rotated(who.client, self.now)
        if said in (Turn.ROTATE, Turn.REPEAT):
            who.before, who.newest = shown, self.session.generation
        if said is Turn.REUSED:
            self.session = attrs.evolve(self.session, ended_at=self.now, reason="reused")
            self.alerted = True
        return said

    def live(self) -> set[int]:
        """Tokens by which somebody would get new ones; what a repeat gives is no new one."""
        return {
            held
            for who in (self.client, self.thief)
            for held in (who.newest, who.before)
            if turn(self.session, held, False, self.now) is Turn.ROTATE
        }


@pytest.mark.spec("S2-14")
@pytest.mark.invariant("I-40")
@pytest.mark.invariant("T-09")
def test_there_is_one_live_branch_in_every_story_of_six_steps() -> None:
    told = {Turn.ROTATE: 0, Turn.REPEAT: 0, Turn.REUSED: 0, Turn.ENDED: 0}
    for story in stories(6):
        model = Model.fresh()
        used: set[int] = set()
        for step in story:
            before = model.session.generation
            said = model.step(step)
            if said is not None:
                told[said] += 1
            assert len(model.live()) <= 1, story
            # A token gives new ones once only: there is no fork.
            if said is Turn.ROTATE:
                assert before not in used, story
                used.add(before)
            # Nobody but whom the successor was made for is told of it a second time.
            if said is Turn.REPEAT:
                who = model.client if step.startswith("client") else model.thief
                assert model.session.is_of(who.client), story
            if model.alerted:
                assert model.live() == set(), story
    assert all(told.values())


@pytest.mark.invariant("I-40")
@pytest.mark.invariant("T-09")
def test_two_who_both_go_on_are_found_out_by_the_next_refresh() -> None:
    """Once both have used the stolen token, whoever refreshes second ends the family."""
    for first, second in (("client", "thief"), ("thief", "client")):
        for pause in ((), ("time",)):
            model = Model.fresh()
            for step in (first, *pause, second):
                model.step(step)  # type: ignore[arg-type]  # named
            assert model.alerted
            assert model.session.reason == "reused"


@pytest.mark.invariant("I-40")
def test_time_ends_a_family() -> None:
    session = Model.fresh().session
    for late in (timedelta(days=7), timedelta(days=29)):
        assert turn(session, 0, True, NOW + late) is Turn.ENDED
    kept = attrs.evolve(session, seen_at=NOW + timedelta(days=29))
    assert turn(kept, 0, True, NOW + timedelta(days=29)) is Turn.ROTATE
    assert turn(kept, 0, True, NOW + timedelta(days=30)) is Turn.ENDED


# --- over real rows ---


def as_(who: str) -> dict[str, str]:
    place = {"client": "10.0.0.7", "thief": "10.9.9.9"}[who]
    return {"agent": who, "address": place}


@pytest.mark.spec("S2-14")
@pytest.mark.invariant("I-40")
def test_a_refresh_gives_a_new_pair_and_the_old_one_is_dead(site: Site, ada: Person) -> None:
    first = ada.refreshed()
    assert first.status_code == 200
    said = first.json["data"]
    assert said["refresh_token"] != ada.refresh
    assert said["session_id"] == ada.session_id
    assert ada.get("/me", token=said["access_token"])["user_id"] == ada.user_id
    ada.age(rotated_at="11 seconds")
    assert site.refused("POST", "/auth/refresh", {"refresh_token": ada.refresh}) == (
        401,
        "REFRESH_REUSED",
    )
    # The family is dead: the newest pair too.
    for token in (said["access_token"], ada.access):
        assert ada.refused("GET", "/me", token=token) == (401, "TOKEN_INVALID")
    new = {"refresh_token": said["refresh_token"]}
    assert site.refused("POST", "/auth/refresh", new) == (401, "REFRESH_INVALID")
    assert site.events("session.ended", session=ada.session_id, reason="reused")
    assert "ended for safety" in ada.letter("ended for safety").letter["Subject"]
    # Of other sessions nothing is touched.
    assert site.login(ada.email).status_code == 200


@pytest.mark.invariant("I-40")
def test_a_lost_reply_is_had_again_byte_by_byte(site: Site, ada: Person) -> None:
    answers = [ada.refreshed(agent="phone", address="10.1.2.3") for _ in range(3)]
    assert {each.status_code for each in answers} == {200}
    assert len({each.data for each in answers}) == 1
    newest = answers[0].json["data"]["refresh_token"]
    after = ada.refreshed(newest, agent="phone", address="10.1.2.3")
    assert after.status_code == 200
    # Now the first is two behind, ten seconds or not.
    assert ada.refreshed(agent="phone", address="10.1.2.3").json["error"]["code"] == (
        "REFRESH_REUSED"
    )


@pytest.mark.invariant("I-40")
def test_who_moves_to_another_network_may_lose_a_reply_there(site: Site, ada: Person) -> None:
    """The same client is the one that refreshed, wherever it signed in."""
    home = {"agent": "phone", "address": "10.1.2.3"}
    train = {"agent": "phone", "address": "10.7.7.7"}
    person = ada.again(**home)
    moved = person.refreshed(**train)
    assert person.refreshed(**train).data == moved.data
    newest = moved.json["data"]["refresh_token"]
    assert person.refreshed(newest, **train).status_code == 200
    # From where it signed in it is somebody else now.
    assert person.refreshed(newest, **home).json["error"]["code"] == "REFRESH_REUSED"


@pytest.mark.invariant("I-40")
@pytest.mark.invariant("T-09")
@pytest.mark.parametrize("first", ["client", "thief"])
def test_a_stolen_token_used_by_both_ends_the_session(site: Site, ada: Person, first: str) -> None:
    person = ada.again(**as_("client"))
    other = "thief" if first == "client" else "client"
    assert person.refreshed(**as_(first)).status_code == 200
    assert person.refreshed(**as_(other)).json["error"]["code"] == "REFRESH_REUSED"
    assert person.refused("GET", "/me")[0] == 401
    assert len(person.letters("ended for safety")) == 1


@pytest.mark.invariant("I-40")
@pytest.mark.invariant("T-09")
def test_over_rows_the_rule_holds_whoever_comes_first(site: Site, ada: Person) -> None:
    """Every story of three steps (and random ones of six would say no more: the rule is the same),
    each step over HTTP, beside the model."""
    for story in stories(3):
        person, model = ada.again(**as_("client")), Model.fresh()
        held = {"client": [person.refresh] * 2, "thief": [person.refresh] * 2}
        for step in story:
            said = model.step(step)
            if step == "time":
                person.age(rotated_at="11 seconds")
                continue
            who = step.partition(" ")[0]
            shown = held[who][0 if step.endswith("again") else 1]
            answer = person.refreshed(shown, **as_(who))
            if said in (Turn.ROTATE, Turn.REPEAT):
                assert answer.status_code == 200, (story, step)
                held[who] = [shown, answer.json["data"]["refresh_token"]]
            else:
                wanted = "REFRESH_REUSED" if said is Turn.REUSED else "REFRESH_INVALID"
                assert answer.json["error"]["code"] == wanted, (story, step)


@pytest.mark.invariant("I-40")
@pytest.mark.invariant("T-09")
def test_client_and_thief_at_the_same_moment_never_fork(site: Site, ada: Person) -> None:
    """Eight threads, two clients, one token, again and again: whatever comes back is one token."""
    for _ in range(6):
        person = ada.again(**as_("client"))
        acts = [partial(person.refreshed, **as_(who)) for who in ("client", "thief") * 4]
        answers = together(*acts)
        given = {each.data for each in answers if each.status_code == 200}
        assert len(given) == 1
        # Each of them came, so it was seen that there are two.
        ((reason, generation),) = site.sql(
            "select reason, generation from finora.session where id = :id", id=person.session_id
        )
        assert (reason, generation) == ("reused", 1)
    dead = site.sql(
        "select count(*) from finora.session where reason = 'reused' and ended_at is null"
    )
    assert dead == [(0,)]


@pytest.mark.invariant("I-40")
def test_one_client_in_many_threads_gets_one_pair(site: Site, ada: Person) -> None:
    answers = together(*[ada.refreshed] * 16)
    assert {each.status_code for each in answers} == {200}
    assert len({each.data for each in answers}) == 1


@pytest.mark.spec("S2-13")
@pytest.mark.invariant("I-41")
def test_no_token_is_kept_by_the_database(site: Site, ada: Person, inside: Injector) -> None:
    """Neither the refresh token nor its signature nor a digest that would open it: the row has a
    number, and the token is a signature over it."""
    refreshed = ada.refreshed().json["data"]
    dumped = ""
    tables = site.sql("select tablename from pg_tables where schemaname = 'finora'")
    for (table,) in tables:
        rows = site.sql(f"select t::text from finora.{table} t")
        dumped += "\n".join(row for (row,) in rows)
    for token in (ada.refresh, ada.access, refreshed["refresh_token"], refreshed["access_token"]):
        assert token not in dumped
        assert token.rpartition(".")[2] not in dumped
    said = inside.get(Door).tokens.read("refresh", refreshed["refresh_token"], datetime.now(UTC))
    assert said["gen"] == 1
    lasts = int(said["exp"]) - int(said["iat"])
    assert lasts == 7 * 86_400
