"""Who waits for a job that failed for good is written to, and the operator when something lasts."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
from injector import Injector

from finora import Scope, Settings
from finora_adapters.compose import Opened, compose
from finora_adapters.postgres.events import PgSealer
from finora_adapters.postgres.jobs import PgQueue
from finora_core.jobs.model import FaultFound, Progress
from finora_core.jobs.service import JobRunner
from finora_core.jobs.watch import Watch
from finora_core.kernel.events import Plain
from finora_core.records.model import ImportRequested
from identity.persons import Person, Site

OPERATOR = "operator@acme.example"
FAILED, FAULT = "has failed", "needs a look"


@attrs.frozen
class Watching:
    """An installation where one dead letter is too many."""

    inside: Injector
    site: Site

    @property
    def watch(self) -> Watch:
        return self.inside.get(Watch)

    @property
    def scope(self) -> Scope:
        return self.inside.get(Scope)

    def look(self, minutes: int = 7) -> Any:
        """As it is done so many minutes from now."""
        due_at = datetime.now(UTC) + timedelta(minutes=minutes)
        return self.watch.look(attrs.evolve(self.scope, request_id=uuid4().hex), due_at)

    def letters(self, email: str, subject: str) -> list[str]:
        """Written by the runner of this installation, which knows its operator."""
        runner: JobRunner = self.inside.get(JobRunner)
        runner.run()
        return [each.text for each in self.site.letters(email, subject)]


@pytest.fixture
def watching(at_home: Settings, opened: Opened, site: Site) -> Watching:
    changed = {"dead_letters_alarm": 1, "operator_email": OPERATOR}
    return Watching(compose(at_home.model_copy(update=changed), opened), site)


def stumble(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
    raise ZeroDivisionError


@pytest.fixture
def failed(ada: Person, opened: Opened, site: Site) -> Iterator[UUID]:
    """Ada's import, which a runner tried for the last time. What other tests let die is older."""
    site.sql("update finora.job set finished_at = finished_at - interval '1 day' "
             "where state = 'dead'")  # fmt: skip
    scope = Scope(tenant_id=UUID(ada.tenant_id), user_id=UUID(ada.user_id), request_id=uuid4().hex)
    with opened.database.begin(scope) as work:
        work.events.record(ImportRequested(uuid4()))
        [job] = work.jobs.list(None, 1).items
    site.sql("update finora.job set attempts = max_attempts - 1 where id = :id", id=job.id)
    handlers = {"records.import": stumble}
    runner = JobRunner(PgQueue(opened.database), PgSealer(opened.database), handlers)
    assert runner.run_id(scope.tenant_id, job.id) == "dead"
    yield job.id
    site.sql("delete from finora.job where id = :id", id=job.id)


@pytest.mark.spec("S2-28", partial=True)
def test_a_job_that_failed_for_good_is_told_of_once(
    watching: Watching, ada: Person, failed: UUID
) -> None:
    assert watching.look(minutes=4)["told"] == 0  # Somebody's commit may still come before it.
    assert watching.look()["told"] == 1
    [letter] = watching.letters(ada.email, FAILED)
    assert "records.import" in letter and "INTERNAL" in letter
    [event] = ada.site.events("job.failed", failed=str(failed))
    assert event[0]["user"] == ada.user_id and str(event[2]) == ada.tenant_id
    # The job that looks is run again: nobody gets a second letter.
    assert watching.look()["told"] == 1
    assert len(watching.letters(ada.email, FAILED)) == 1


def test_what_died_while_nobody_kept_the_clock_is_told_of(
    watching: Watching, site: Site, failed: UUID
) -> None:
    """The span begins where the one of the last period ended."""
    forget = "delete from finora.period where schedule = 'jobs.watch'"
    site.sql(forget)
    assert watching.look(minutes=60)["told"] == 0
    site.sql(
        "insert into finora.period (tenant_id, schedule, due_at, job_id) values "
        "(:tenant, 'jobs.watch', now() - interval '1 hour', :job)",
        tenant=watching.scope.tenant_id, job=uuid4(),
    )  # fmt: skip
    assert watching.look(minutes=60)["told"] == 1
    site.sql(forget)


@pytest.mark.spec("S2-28", partial=True)
def test_a_letter_that_cannot_be_sent_is_not_told_of_by_letter(
    watching: Watching, ada: Person, failed: UUID
) -> None:
    ada.site.sql("update finora.job set queue = 'mail' where id = :id", id=failed)
    assert watching.look()["told"] == 0


@pytest.mark.spec("S0-44", partial=True)
def test_dead_letters_are_told_to_the_operator_once_a_day(watching: Watching, failed: UUID) -> None:
    said = watching.look()["faults"]
    assert any("dead letters: " in each for each in said)
    watching.look()
    letters = watching.letters(OPERATOR, FAULT)
    assert len([each for each in letters if "dead letters: " in each]) == 1
    with pytest.raises(FaultFound, match="dead letters: "):
        watching.watch.require(watching.scope)


@pytest.mark.spec("S0-44", partial=True)
def test_a_schedule_that_nobody_starts_is_a_fault(watching: Watching, site: Site) -> None:
    tenant = watching.scope.tenant_id
    silent = "test.silent"
    watch = attrs.evolve(
        watching.watch,
        many=1_000_000,
        schedules=[attrs.evolve(watching.watch.schedules[0], name=silent, cron="0 * * * *")],
    )
    assert watch.faults(watching.scope) == []  # It was never started: it has just come.
    for hours, faulty in ((1, False), (5, True)):
        site.sql(
            "insert into finora.period (tenant_id, schedule, due_at, job_id) values "
            "(:tenant, :name, date_trunc('hour', now()) - make_interval(hours => :hours), :job)",
            tenant=tenant, name=silent, hours=hours, job=uuid4(),
        )  # fmt: skip
        found = watch.faults(watching.scope)
        assert [fault.where for fault in found] == [silent] * faulty
        site.sql("delete from finora.period where schedule = :name", name=silent)
