"""Money as it comes in: text and an asset's id, to whole units."""

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset, UnknownAsset, currency
from finora_core.kernel.scope import Scope
from finora_web.contract import MoneyIn
from finora_web.services import Services


def money(app: Services, scope: Scope, given: MoneyIn) -> Amount:
    """The sum in the asset's units. Raises UnknownAsset, BadAmount."""
    return Amount.parse(given.amount, asset_of(app, scope, given.asset))


def asset_of(app: Services, scope: Scope, asset_id: str) -> Asset:
    """A currency, which everybody knows, or an asset that was registered. Raises UnknownAsset."""
    try:
        return currency(asset_id)
    except UnknownAsset:
        # A question on the way to a write is not the write that a repeat would be answered for.
        return app.ledger.asset(attrs.evolve(scope, cause=None), asset_id)
