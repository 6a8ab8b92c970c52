"""Into the books: opening an account, and the entries of activities."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from finora_core.kernel.ids import new_id
from finora_core.kernel.scope import Scope
from finora_core.ledger.model import Account, AccountKind, AccountOpened
from finora_core.portfolio.model import (
    AccountType,
    Activity,
    ActivityWasEnded,
    Institution,
    PortfolioAccount,
    PortfolioAccountOpened,
)
from finora_core.portfolio.ports import PortfolioWork
from finora_core.portfolio.posting import Books, entry_of

_LIABILITIES = frozenset({AccountType.CREDIT_CARD, AccountType.LOAN})


def open_account(
    work: PortfolioWork,
    scope: Scope,
    name: str,
    at: Institution,
    kind: AccountType = AccountType.BROKERAGE,
    *,
    asset: str | None = None,
) -> PortfolioAccount:
    """One of the ledger, and where it is. `asset` is what its files are in. Raises AccountExists,
    UnknownAsset."""
    if asset is not None:
        asset = work.assets.get(asset.upper()).id
    side = AccountKind.LIABILITY if kind in _LIABILITIES else AccountKind.ASSET
    account = PortfolioAccount(
        id=new_id(), institution=at, name=name, type=kind, owner=scope.user_id, created_at=work.now
    )
    ledger = Account(
        id=account.id, name=account.ledger_name, kind=side, asset=asset, owner=scope.user_id
    )
    work.accounts.add(ledger)
    work.portfolio_accounts.add(account)
    work.events.record(AccountOpened(account.id, side))
    work.events.record(PortfolioAccountOpened(account.id, at.id))
    return account


def books_of(work: PortfolioWork) -> Books:
    """The accounts that activities post against, opened on first use."""

    def named(name: str, kind: AccountKind) -> UUID:
        return work.accounts.ensure(Account(id=new_id(), name=name, kind=kind)).id

    return Books(
        conversion=named("Conversion", AccountKind.EQUITY),
        outside=named("Outside", AccountKind.OUTSIDE),
        opening=named("Opening balances", AccountKind.EQUITY),
        income=named("Investment income", AccountKind.INCOME),
        fees=named("Investment fees", AccountKind.EXPENSE),
        taxes=named("Withheld taxes", AccountKind.EXPENSE),
    )


def take_back(work: PortfolioWork, scope: Scope, old: Activity, by: UUID | None) -> None:
    """End an activity, and reverse its entry; `by` is the one in its place."""
    end_all(work, scope, [(old, by)])
    work.events.record(ActivityWasEnded(activity_id=old.id, replaced_by=by, since=old.at))


def end_all(
    work: PortfolioWork, scope: Scope, ended: Sequence[tuple[Activity, UUID | None]]
) -> None:
    """The same of several, of which the caller tells."""
    reversals = {
        old.id: work.journal.get(old.entry_id).reversal(new_id())
        for old, _ in ended
        if old.entry_id is not None
    }
    if reversals:
        work.journal.add(list(reversals.values()))
    for old, by in ended:
        reversal = reversals.get(old.id)
        work.activities.end(old.id, by, reversal.id if reversal else None, scope.user_id)


def book(
    work: PortfolioWork, activities: Sequence[Activity], books: Books
) -> Mapping[UUID, UUID | None]:
    """Post their entries in one go; the entry of each."""
    entries = {each.id: entry_of(each, new_id(), books) for each in activities}
    posted = [entry for entry in entries.values() if entry is not None]
    if posted:
        work.journal.add(posted)
    return {key: entry.id if entry else None for key, entry in entries.items()}
