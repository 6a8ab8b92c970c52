"""Processes that are killed in the midst of processing: another goes on, and nothing is doubled."""

import io
import subprocess
import sys
import time

import pytest
from sqlalchemy import Engine, text

from finora import Finora, ImportRequest, Job, RecordFilter, Scope, Settings
from finora_core.records.model import Status

ROWS = 4_000
RUN = "import sys; from finora import Finora; Finora.open(data=sys.argv[1]).run_jobs()"


@pytest.mark.invariant("F-02")
@pytest.mark.invariant("I-23")
def test_killed_processes_double_nothing_and_leave_nothing_out(
    finora: Finora, settings: Settings, scope: Scope, admin: Engine
) -> None:
    """Three die by SIGKILL while they work at it. Every record has one decision in the end, and
    the events of the batches add up to the records."""
    lines = "".join(f"2026-01-01,-{n}.00,EUR,Rewe {n}\n" for n in range(1, ROWS + 1))
    content = io.BytesIO(("Date,Amount,Currency,Text\n" + lines).encode())
    result = finora.import_file(scope, content, ImportRequest(account="Giro"), name="a.csv")
    assert not isinstance(result, Job), result.message
    for already in (0, ROWS // 4, ROWS // 2):
        child = subprocess.Popen([sys.executable, "-c", RUN, str(settings.data)])
        ends = time.monotonic() + 60
        while decisions(admin, scope)[0] <= already and child.poll() is None:
            assert time.monotonic() < ends
            time.sleep(0.01)
        child.kill()
        child.wait()
        with admin.begin() as connection:
            late = text("update finora.job set lease_until = now() - interval '1 s' "
                        "where tenant_id = :t and state = 'running'")  # fmt: skip
            connection.execute(late, {"t": scope.tenant_id})
    finora.run_jobs()
    assert decisions(admin, scope) == (ROWS, ROWS)
    with admin.connect() as connection:
        query = text("select sum((payload->>'records')::int) from finora.event "
                     "where tenant_id = :t and type = 'records.processed'")  # fmt: skip
        assert connection.scalar(query, {"t": scope.tenant_id}) == ROWS
    for status in (Status.RECEIVED, Status.PROCESSING, Status.FAILED):
        assert finora.records.list(scope, RecordFilter(status=status)).items == ()


def decisions(admin: Engine, scope: Scope) -> tuple[int, int]:
    """How many there are, and of how many records."""
    with admin.connect() as connection:
        query = text("select count(*), count(distinct record_id) from finora.decision "
                     "where tenant_id = :t")  # fmt: skip
        count, records = connection.execute(query, {"t": scope.tenant_id}).one()
    return count, records
