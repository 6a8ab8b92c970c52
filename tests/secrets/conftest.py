"""Books of one's own for tests that change keys."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from finora_adapters.embedded import open_engines
from own_data import OwnData


@pytest.fixture(scope="session")
def _servers() -> Iterator[OwnData]:
    # Short: the path of a unix socket has a limit of about a hundred bytes.
    folder = Path(tempfile.mkdtemp(prefix="finora-k-"))
    folder.chmod(0o755)
    with open_engines(folder / "data") as engines:
        yield OwnData(engines)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own(_servers: OwnData) -> Iterator[OwnData]:
    """Without any key of the tests before."""
    yield _servers
    with _servers.admin() as connection:
        found = connection.execute("select to_regclass('finora.key_version')").fetchone()
        if found and found[0]:
            connection.execute(
                "truncate finora.key_version, finora.signing_key, finora.data_key, finora.secret, "
                "finora.secret_field"
            )
