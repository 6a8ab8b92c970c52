"""One portfolio account of a test, and what is told of it in one call each."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs

from finora import Amount, Asset, Finora, Scope, currency
from finora_adapters.postgres.work import Postgres
from finora_core.market.prices.model import Price, line
from finora_core.portfolio.model import ActivityKind, PortfolioAccount
from finora_core.portfolio.service import NewActivity
from finora_core.portfolio.valuation import Valuation

EUR, USD, CHF = currency("EUR"), currency("USD"), currency("CHF")
START = datetime(2026, 1, 5, tzinfo=UTC)


def thing(name: str) -> Asset:
    """A share that no other test has prices of."""
    return Asset(f"ticker:{name}", 8)


@attrs.frozen
class Desk:
    finora: Finora
    scope: Scope
    account: PortfolioAccount
    database: Postgres

    def trade(self, asset: Asset, quantity: str, price: str, at: datetime, quote: Asset = EUR,
              fee: str = "0", **given: Any) -> None:  # fmt: skip
        self.finora.ledger.register_asset(self.scope, asset)
        counted = Amount.parse(quantity, asset)
        kind = ActivityKind.SELL if counted.units < 0 else ActivityKind.BUY
        plain: dict[str, Any] = {
            "kind": kind, "quantity": counted, "price": Decimal(price), "quote": quote,
            "fee": Amount.parse(fee, quote),
        }  # fmt: skip
        self.add(asset=asset.id, at=at, **(plain | given))

    def add(self, **given: Any) -> None:
        self.finora.portfolio.add(self.scope, NewActivity(account_id=self.account.id, **given))

    def price(self, asset: Asset, value: str, at: datetime, quote: Asset = EUR) -> None:
        self.finora.ledger.register_asset(self.scope, asset)
        fact = Price(asset=asset.id, quote=quote.id, at=at, value=Decimal(value), source="test")
        with self.database.begin(self.scope) as work:
            work.prices.add("test", [line(fact)])

    def worth(self, at: datetime, to: str = "EUR") -> Valuation:
        return self.finora.portfolio.valuation(self.scope, at, to=to)
