"""Short words for what tests do with a tenant's books."""

import time
from datetime import date
from uuid import UUID

import attrs
from sqlalchemy import text

from finora import AccountKind, Amount, Asset, Finora, Posting, Scope, currency
from finora_core.kernel.ids import new_id
from finora_core.ledger.model import Entry
from finora_core.ledger.service import LedgerService

EUR = currency("EUR")
DAY = date(2026, 3, 1)


@attrs.frozen
class Books:
    """One tenant's ledger."""

    ledger: LedgerService
    scope: Scope

    def open(
        self, name: str, kind: AccountKind = AccountKind.ASSET, floor: int | None = None
    ) -> UUID:
        return self.ledger.open_account(self.scope, name, kind, floor=floor).id

    def pay(self, source: UUID, target: UUID, units: int, asset: Asset = EUR) -> Entry:
        return self.ledger.transfer(self.scope, source, target, Amount(units, asset), on_date=DAY)

    def units(self, account: UUID, asset: Asset = EUR) -> int:
        return self._of(account, asset)[0]

    def held(self, account: UUID, asset: Asset = EUR) -> int:
        return self._of(account, asset)[1]

    def available(self, account: UUID, asset: Asset = EUR) -> int:
        return self._of(account, asset)[2]

    def _of(self, account: UUID, asset: Asset) -> tuple[int, int, int]:
        for balance in self.ledger.balances(self.scope, account):
            if balance.amount.asset == asset:
                return balance.amount.units, balance.held.units, balance.available.units
        return 0, 0, 0


def entry(*legs: tuple[UUID, int], asset: Asset = EUR, on: date = DAY, **given: object) -> Entry:
    """An entry of (account, units) legs."""
    postings = tuple(Posting(account, Amount(units, asset)) for account, units in legs)
    return Entry(**{"id": new_id(), "on_date": on, "postings": postings} | given)


def sealed(finora: Finora, scope: Scope) -> int:
    """Seal until all that the tenant did is sealed; the number of its last event."""
    query = text(
        "select (select count(*) from finora.event e where e.tenant_id = :t), "
        "(select count(*) from finora.seal s where s.tenant_id = :t)"
    )
    for _ in range(200):
        finora.run_jobs()
        with finora._opened.database.begin(scope) as work:
            events, seals = work.connection.execute(query, {"t": scope.tenant_id}).one()
        if events == seals:
            return int(seals)
        time.sleep(0.05)  # some transaction of another's is still open
    raise AssertionError("the sealer does not come to an end")
