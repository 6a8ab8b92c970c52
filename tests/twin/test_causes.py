"""Commands in memory and in Postgres: a key is an effect, whoever asks how often."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, Protocol

import attrs
import pytest
from sqlalchemy import Engine, text

from finora import Scope
from finora_adapters.postgres.work import Postgres
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Command
from finora_core.kernel.work import CommandInFlight, CommandKeyReused, Replayed
from twin.memory import Store


class Bench(Protocol):
    def command(self, key: str, fingerprint: bytes = b"f") -> "contextmanager[None]":
        """A transaction that writes an effect and ends its command when it is left."""

    def effects(self) -> int: ...


def _command(key: str, fingerprint: bytes) -> Command:
    return Command(key=key, fingerprint=fingerprint, encode=lambda result: repr(result).encode())


@attrs.frozen
class MemoryBench:
    store: Store = attrs.field(factory=Store)

    @contextmanager
    def command(self, key: str, fingerprint: bytes = b"f") -> Iterator[None]:
        work = self.store.begin(_command(key, fingerprint))
        try:
            work.write()
            yield
            work.done(key)
            work.commit()
        finally:
            work.rollback()

    def effects(self) -> int:
        return len(self.store.effects)


@attrs.frozen
class Written:
    type: ClassVar[str] = "contract.written"

    def payload(self) -> Mapping[str, Plain]:
        return {}


@attrs.frozen
class PgBench:
    database: Postgres
    scope: Scope
    admin: Engine

    @contextmanager
    def command(self, key: str, fingerprint: bytes = b"f") -> Iterator[None]:
        scope = attrs.evolve(self.scope, cause=_command(key, fingerprint))
        with self.database.begin(scope) as work:
            work.events.record(Written())
            yield
            work.done(key)

    def effects(self) -> int:
        query = text("select count(*) from finora.event where tenant_id = :tenant")
        with self.admin.connect() as connection:
            return int(connection.scalar(query, {"tenant": self.scope.tenant_id}) or 0)


@pytest.mark.invariant("I-16")
class CauseContract:
    def test_a_finished_command_is_replayed(self, bench: Bench) -> None:
        with bench.command("k"):
            assert bench.effects() == 0
        for _ in range(2):
            with pytest.raises(Replayed) as replayed, bench.command("k"):
                pass
            assert replayed.value.reply == b"'k'"
        assert bench.effects() == 1

    def test_another_content_is_refused(self, bench: Bench) -> None:
        with bench.command("k"):
            pass
        with pytest.raises(CommandKeyReused), bench.command("k", b"other"):
            pass
        assert bench.effects() == 1

    def test_a_twin_in_flight_is_refused_and_another_key_is_not(self, bench: Bench) -> None:
        with bench.command("k"):
            with pytest.raises(CommandInFlight), bench.command("k"):
                pass
            with bench.command("other"):
                pass
        assert bench.effects() == 2

    def test_what_was_rolled_back_may_come_again(self, bench: Bench) -> None:
        with pytest.raises(ZeroDivisionError), bench.command("k"):
            raise ZeroDivisionError
        assert bench.effects() == 0
        with bench.command("k"):
            pass
        assert bench.effects() == 1


class TestMemoryCauses(CauseContract):
    @pytest.fixture
    def bench(self) -> MemoryBench:
        return MemoryBench()


class TestPgCauses(CauseContract):
    @pytest.fixture
    def bench(self, database: Postgres, scope: Scope, admin: Engine) -> PgBench:
        return PgBench(database, scope, admin)
