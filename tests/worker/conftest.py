"""The run's own Postgres, a Valkey of each test's own, and workers that end with the test."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from sqlalchemy import Engine

from finora import Scope, Settings
from finora_adapters.compose import by_event
from finora_adapters.postgres.work import Postgres
from servers import Valkey
from worker.load import SUBSCRIPTIONS, Load
from worker.processes import WorkerProcess

Start = Callable[..., WorkerProcess]


@pytest.fixture
def load(database: Postgres, scope: Scope, admin: Engine, tmp_path: Path) -> Iterator[Load]:
    wired = attrs.evolve(database, subscriptions=by_event(SUBSCRIPTIONS))
    load = Load(wired, scope, admin, tmp_path)
    yield load
    load.forget()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    # Short: the path of a unix socket has a limit of about a hundred bytes.
    folder = Path(tempfile.mkdtemp(prefix="finora-v-"))
    valkey = Valkey(folder)
    valkey.start()
    yield valkey
    valkey.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start(settings: Settings, valkey: Valkey, load: Load) -> Iterator[Start]:
    """Starts a worker; several start at once if `ready` is asked of them later."""
    started: list[WorkerProcess] = []

    def start(**said: Any) -> WorkerProcess:
        worker = WorkerProcess(settings.data, valkey.url, load.folder, len(started), **said)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.kill()
