import pytest

from desk import Desk
from finora import Finora, Scope
from finora_adapters.postgres.work import Postgres


@pytest.fixture
def desk(finora: Finora, scope: Scope, database: Postgres) -> Desk:
    return Desk(finora, scope, finora.portfolio.open_account(scope, "Main"), database)
