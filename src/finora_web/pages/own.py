"""Which accounts are the person's own; the others are what the books themselves need."""

from finora_core.kernel.asset import CURRENCIES
from finora_core.kernel.scope import Scope
from finora_core.ledger.model import Account, AccountKind
from finora_web.services import Services

OWN = (AccountKind.ASSET, AccountKind.LIABILITY)


def own_accounts(app: Services, scope: Scope) -> list[Account]:
    found = (each for each in app.ledger.accounts(scope) if each.kind in OWN)
    return sorted(found, key=lambda account: account.name.casefold())


def assets_of(app: Services, scope: Scope) -> list[str]:
    """To choose from: the base asset first, then what is held, then every currency."""
    base = app.wallet.summary(scope).total.value.asset.id
    held = sorted({each.amount.asset.id for each in app.ledger.balances(scope)})
    return list(dict.fromkeys([base, *held, *(each.id for each in CURRENCIES)]))
