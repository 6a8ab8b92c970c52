"""Books of one's own for tests that change keys."""

from collections.abc import Iterator

import pytest

from finora_adapters.embedded import open_engines
from folders import short_folder
from own_data import OwnData


@pytest.fixture(scope="session")
def _servers() -> Iterator[OwnData]:
    with short_folder("finora-k-") as folder, open_engines(folder / "data") as engines:
        yield OwnData(engines)


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
