"""A tenant's books with a few accounts in them."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from books import Books
from finora import AccountKind, Finora, Scope
from finora_adapters.postgres.work import Postgres
from finora_core.ledger.service import LedgerService


@pytest.fixture
def books(finora: Finora, scope: Scope) -> Books:
    return Books(finora.ledger, scope)


@pytest.fixture
def undone(finora: Finora, store: Postgres, stranger: Scope) -> Iterator[Books]:
    """Books of which nothing is left after the test: for what would be too much to keep."""
    yield Books(LedgerService(store.begin), stranger)


@pytest.fixture
def world(books: Books) -> UUID:
    return books.open("World", AccountKind.OUTSIDE)


@pytest.fixture
def cash(books: Books, world: UUID) -> UUID:
    """An account with 100.00 EUR that cannot go below nothing."""
    account = books.open("Cash", floor=0)
    books.pay(world, account, 10_000)
    return account
