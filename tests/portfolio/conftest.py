import pytest

from finora import Finora, Scope
from finora_adapters.postgres.work import Postgres
from portfolio.desk import Desk


@pytest.fixture
def desk(finora: Finora, scope: Scope, database: Postgres) -> Desk:
    return Desk(finora, scope, finora.portfolio.open_account(scope, "Main"), database)
