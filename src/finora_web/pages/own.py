"""Which accounts are the person's own; the others are what the books themselves need."""

from finora_core.kernel.scope import Scope
from finora_core.ledger.model import Account, AccountKind
from finora_web.services import Services

OWN = (AccountKind.ASSET, AccountKind.LIABILITY)


def own_accounts(app: Services, scope: Scope) -> list[Account]:
    found = (each for each in app.ledger.accounts(scope) if each.kind in OWN)
    return sorted(found, key=lambda account: account.name.casefold())
