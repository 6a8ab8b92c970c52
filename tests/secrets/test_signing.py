"""Keys that sign: one for all processes, another in its place, a week of grace."""

from datetime import timedelta

import attrs
import pytest
from sqlalchemy.exc import ProgrammingError

from finora import Finora
from finora_adapters.compose import compose
from finora_adapters.postgres.signing import AGAIN_S, KEPT_S, PgSigningKeys
from finora_core.kernel.errors import Unavailable
from finora_core.secrets.model import GRACE, SecretKeyMissing
from finora_core.secrets.ports import SigningKeys
from own_data import OwnData, key
from together import errors, together


@attrs.define
class Time:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def process(finora: Finora, clock: Time | None = None) -> PgSigningKeys:
    """What another process would have."""
    return PgSigningKeys(finora._opened.database, finora.keys.ring, clock or Time())


def kept(own: OwnData) -> int:
    [(count,)] = own.sql("select count(*) from finora.signing_key")
    return int(count)


def test_the_first_one_is_made_by_whoever_needs_it_once(own: OwnData) -> None:
    with own.open(key(1)) as finora:
        assert process(finora).find("0" * 16) is None
        assert kept(own) == 0
        made = together(*[process(finora).current for _ in range(8)])
        assert errors(made) == []
        assert {(each.kid, each.secret) for each in made} == {(made[0].kid, made[0].secret)}
        assert kept(own) == 1
        assert len(made[0].secret) == 32 and made[0].retires_at is None
        assert process(finora).find(made[0].kid) == made[0]


def test_the_container_gives_them(own: OwnData) -> None:
    with own.open(key(1)) as finora:
        services = compose(finora.settings, finora._opened)
        found: SigningKeys = services.get(SigningKeys)  # type: ignore[type-abstract]  # its key
        assert found.current() == finora.keys.signing.current()


@pytest.mark.spec("S2-8")
def test_the_one_before_verifies_for_seven_days_more(own: OwnData) -> None:
    with own.open(key(1)) as finora:
        time = Time()
        here = process(finora, time)
        first = here.current()
        second, lost = finora.keys.rotate()
        assert lost == [] and second.kid != first.kid and second.secret != first.secret
        # At once where it was made; in other processes when they read again.
        assert finora.keys.signing.current() == second
        assert here.current() == first
        time.now += KEPT_S
        assert here.current() == second
        old = here.find(first.kid)
        assert old is not None and old.secret == first.secret and old.retires_at is not None
        assert timedelta(0) <= old.retires_at - second.created_at - GRACE <= timedelta(seconds=9)
        # Six days and 23 hours later; then the last hour goes by in a process that reads no more.
        own.sql("update finora.signing_key set retires_at = now() + interval '50 seconds' "
                "where retires_at is not null")  # fmt: skip
        time.now += KEPT_S
        assert here.find(first.kid) is not None
        time.now += 50
        assert here.find(first.kid) is None
        assert here.find(second.kid) == second
        own.sql("update finora.signing_key set retires_at = now() where retires_at is not null")
        assert process(finora).find(first.kid) is None
        finora.keys.rotate()
        assert kept(own) == 2


def test_a_kid_that_another_process_just_made_is_found(own: OwnData) -> None:
    """And kids that nobody made cost the database one question a second."""
    with own.open(key(1)) as finora:
        time = Time()
        asked = []
        database = finora._opened.database

        @attrs.frozen
        class Counted:
            control = database.control

            def look(self) -> object:
                asked.append(time.now)
                return database.look()

        here = PgSigningKeys(Counted(), finora.keys.ring, time)
        here.current()
        asked.clear()
        made, _ = finora.keys.rotate()
        assert here.find(made.kid) is None
        time.now += AGAIN_S
        assert here.find(made.kid) == made
        for number in range(1_000):
            assert here.find(f"{number:016x}") is None
            time.now += 0.01
        assert 9 <= len(asked) <= 12
        asked.clear()
        for _ in range(100):
            here.current()
            here.find(made.kid)
        assert len(asked) <= 1


def test_keys_for_different_purposes_tell_nothing_of_each_other(own: OwnData) -> None:
    with own.open(key(1)) as finora:
        one = finora.keys.signing.current()
        again = process(finora).current()
        assert one.derive("access") == again.derive("access") != one.derive("refresh")
        assert one.secret not in (one.derive(""), one.derive("access"))
        assert len(one.derive("access")) == 32


@pytest.mark.invariant("I-47")
def test_under_a_key_that_is_missing_nobody_signs_until_another_is_made(own: OwnData) -> None:
    one, two = key(1), key(2)
    with own.open(one) as finora:
        lost = finora.keys.signing.current()
    with own.open(two) as finora:
        signing = finora.keys.signing
        for act in (signing.current, lambda: signing.find(lost.kid)):
            with pytest.raises(SecretKeyMissing, match="no key 1"):
                act()
        made, gone = finora.keys.rotate()
        assert gone == [lost.kid]
        assert signing.current() == made
        assert signing.find(lost.kid) is None
    assert kept(own) == 1


@pytest.mark.invariant("I-47")
@pytest.mark.invariant("T-22")
def test_a_key_moved_to_another_kid_is_refused(own: OwnData) -> None:
    with own.open(key(1)) as finora:
        finora.keys.rotate()
        finora.keys.rotate()
        own.sql("update finora.signing_key set kid = overlay(kid placing 'ffff' from 1 for 4)")
        with pytest.raises(Unavailable, match="row was changed"):
            process(finora).current()


def test_who_runs_use_cases_cannot_add_a_key(own: OwnData) -> None:
    with own.open(key(1)) as finora:
        finora.keys.rotate()
        scope = finora.scope(tenant="a", user="u")
        for statement in (
            "insert into finora.signing_key (kid, kek_version, wrapped) "
            "select '0123456789abcdef', kek_version, wrapped from finora.signing_key",
            "update finora.signing_key set retires_at = null",
            "delete from finora.signing_key",
        ):
            with (
                pytest.raises(ProgrammingError, match="permission denied"),
                finora._opened.database.begin(scope) as work,
            ):
                work.connection.exec_driver_sql(statement)
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            finora._opened.database.control() as connection,
        ):
            connection.exec_driver_sql("select wrapped from finora.data_key")
