"""What people do with the books: open accounts, post, reverse, reserve, exchange, read."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from datetime import date, datetime
from decimal import ROUND_FLOOR, Context, Decimal, Inexact, localcontext
from itertools import chain
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.errors import Invalid
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.ledger.export import check_tool, exported
from finora_core.ledger.model import (
    Account,
    AccountKind,
    AccountOpened,
    BadPosting,
    Balance,
    BalanceSheet,
    EntriesPosted,
    Entry,
    EntryReversed,
    Flow,
    Hold,
    HoldClosed,
    HoldExceeded,
    HoldOutcome,
    HoldPlaced,
    Posting,
    StatementRow,
    TrialBalance,
    check_range,
    is_rate,
)
from finora_core.ledger.ports import LedgerWork

CONVERSION = "Conversion"
MAX_BATCH = 10_000


class BatchTooLarge(Invalid):
    """More entries in one call than one transaction should hold."""

    code = "BATCH_TOO_LARGE"


class BadRate(Invalid):
    """An exchange rate is a positive decimal of at most 100 digits, within 1e-100 and 1e100."""

    code = "BAD_RATE"


@attrs.frozen
class LedgerService:
    begin: Begin[LedgerWork]

    def register_asset(self, scope: Scope, asset: Asset) -> Asset:
        """Make a token or another asset known; the same id with another scale is refused."""
        with self.begin(scope) as work:
            work.assets.add(asset)
            return work.done(asset)

    def asset(self, scope: Scope, asset_id: str) -> Asset:
        """The asset with this id. Raises UnknownAsset."""
        with self.begin(scope) as work:
            return work.assets.get(asset_id)

    @retried
    def open_account(
        self,
        scope: Scope,
        name: str,
        kind: AccountKind = AccountKind.ASSET,
        *,
        floor: int | None = None,
        asset: str | None = None,
    ) -> Account:
        """Open an account. With `floor` (units, natural side) it can never have less available;
        0 is the usual floor. Raises AccountExists, UnknownAsset."""
        account = Account(
            id=new_id(), name=name, kind=kind, floor=floor, asset=asset, owner=scope.user_id
        )
        with self.begin(scope) as work:
            if asset is not None:
                work.assets.get(asset)
            work.accounts.add(account)
            work.events.record(AccountOpened(account.id, kind))
            return work.done(account)

    def accounts(self, scope: Scope) -> Sequence[Account]:
        with self.begin(scope) as work:
            return work.accounts.list()

    def account(self, scope: Scope, account_id: UUID) -> Account:
        with self.begin(scope) as work:
            return work.accounts.get(account_id)

    def balances(self, scope: Scope, account_id: UUID | None = None) -> Sequence[Balance]:
        """Present balances, of one account or all."""
        with self.begin(scope) as work:
            if account_id is not None:
                work.accounts.get(account_id)
            return work.accounts.balances(account_id)

    @retried
    def post(
        self,
        scope: Scope,
        postings: Sequence[Posting],
        *,
        on_date: date | None = None,
        reference: str | None = None,
    ) -> Entry:
        """Post one entry; its postings must sum to zero in every asset. `on_date` defaults to the
        database's today. Raises Unbalanced, AccountNotFound, InsufficientFunds."""
        with self.begin(scope) as work:
            entry = Entry(
                id=new_id(),
                on_date=on_date or work.now.date(),
                postings=tuple(postings),
                reference=reference,
                recorded_at=work.now,
            )
            _post(work, (entry,))
            return work.done(entry)

    def transfer(
        self,
        scope: Scope,
        source: UUID,
        target: UUID,
        amount: Amount,
        *,
        on_date: date | None = None,
        reference: str | None = None,
    ) -> Entry:
        """Move a positive amount from one account to another."""
        _check_positive(amount)
        legs = (Posting(source, -amount), Posting(target, amount))
        return self.post(scope, legs, on_date=on_date, reference=reference)

    @retried
    def post_many(self, scope: Scope, entries: Sequence[Entry]) -> int:
        """Post up to 10,000 entries as one: all of them or none. Returns how many."""
        if len(entries) > MAX_BATCH:
            raise BatchTooLarge(f"{len(entries)} entries; at most {MAX_BATCH} in one call")
        with self.begin(scope) as work:
            if entries:
                _post(work, entries)
            return work.done(len(entries))

    @retried
    def reverse(self, scope: Scope, entry_id: UUID) -> Entry:
        """Undo an entry by its mirror image, at its business date; once only."""
        with self.begin(scope) as work:
            reversal = work.journal.get(entry_id).reversal(new_id())
            work.events.record(EntryReversed(entry_id, reversal.id))
            work.journal.add((reversal,))
            return work.done(attrs.evolve(reversal, recorded_at=work.now))

    def entry(self, scope: Scope, entry_id: UUID) -> Entry:
        with self.begin(scope) as work:
            return work.journal.get(entry_id)

    @retried
    def exchange(
        self,
        scope: Scope,
        account: UUID,
        sold: Amount,
        bought: Asset,
        rate: Decimal,
        rate_source: str,
        *,
        into: UUID | None = None,
        on_date: date | None = None,
    ) -> Entry:
        """Change `sold` (positive) into `bought` at `rate` (bought per sold).

        Two balanced legs through the conversion account. What is bought is rounded down to a whole
        unit, so the books lose less than a unit an exchange and never give one away.
        """
        _check_positive(sold)
        with self.begin(scope) as work:
            got = converted(sold, bought, rate)
            conversion = _conversion(work)
            entry = Entry(
                id=new_id(),
                on_date=on_date or work.now.date(),
                postings=(
                    Posting(account, -sold),
                    Posting(conversion.id, sold),
                    Posting(conversion.id, -got),
                    Posting(into or account, got),
                ),
                cause="exchange",
                flow=Flow.EXCHANGE,
                rate=rate,
                rate_source=rate_source,
                recorded_at=work.now,
            )
            _post(work, (entry,))
            return work.done(entry)

    @retried
    def hold(
        self,
        scope: Scope,
        account: UUID,
        amount: Amount,
        *,
        reference: str | None = None,
        expires_at: datetime | None = None,
    ) -> Hold:
        """Reserve a positive amount. Raises InsufficientFunds where the account has a floor."""
        hold = Hold(
            id=new_id(),
            account_id=account,
            amount=amount,
            reference=reference,
            expires_at=expires_at,
        )
        with self.begin(scope) as work:
            # On this balance alone: it is locked next, and no other must be locked before it.
            _expire(work, account, amount.asset)
            work.events.record(HoldPlaced(hold.id, account, amount))
            work.holds.add(hold)
            return work.done(hold)

    @retried
    def post_hold(
        self,
        scope: Scope,
        hold_id: UUID,
        to: UUID,
        amount: Amount | None = None,
        *,
        on_date: date | None = None,
    ) -> Entry:
        """Pay the held amount, or a part of it, to an account; the rest is free again."""
        with self.begin(scope) as work:
            hold = work.holds.get(hold_id)
            paid = hold.amount if amount is None else amount
            if hold.amount < paid:
                raise HoldExceeded(f"the hold reserved {hold.amount}, not {paid}")
            _check_positive(paid)
            account = work.accounts.get(hold.account_id)
            out = paid if account.kind.normal == -1 else -paid
            entry = Entry(
                id=new_id(),
                on_date=on_date or work.now.date(),
                postings=(Posting(account.id, out), Posting(to, -out)),
                cause="hold",
                reference=hold.reference,
                recorded_at=work.now,
            )
            work.events.record(HoldClosed(hold_id, HoldOutcome.POSTED, entry.id))
            # First the hold gives the money free, then the entry takes it: the floor holds between.
            work.holds.end(hold_id, HoldOutcome.POSTED, paid, entry)
            _post(work, (entry,))
            return work.done(entry)

    @retried
    def void_hold(self, scope: Scope, hold_id: UUID) -> Hold:
        """Give the held amount free."""
        with self.begin(scope) as work:
            hold = work.holds.get(hold_id)
            work.events.record(HoldClosed(hold_id, HoldOutcome.VOIDED))
            work.holds.end(hold_id, HoldOutcome.VOIDED)
            return work.done(attrs.evolve(hold, outcome=HoldOutcome.VOIDED))

    @retried
    def expire_holds(self, scope: Scope) -> int:
        """Free what is held past its time; returns how many holds ended, at most 1,000 a call."""
        with self.begin(scope) as work:
            return work.done(_expire(work))

    def find_hold(self, scope: Scope, hold_id: UUID) -> Hold:
        with self.begin(scope) as work:
            return work.holds.get(hold_id)

    def statement(
        self,
        scope: Scope,
        account_id: UUID,
        *,
        since: date | None = None,
        until: date | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[StatementRow]:
        """An account's postings, oldest first, each with the balance after it."""
        with self.begin(scope) as work:
            work.accounts.get(account_id)
            return work.journal.statement(account_id, since, until, cursor, checked_limit(limit))

    def trial_balance(
        self,
        scope: Scope,
        *,
        on: date | None = None,
        known_at: datetime | None = None,
        at_seal: int | None = None,
    ) -> TrialBalance:
        """Every balance now; at the end of a business day (`on`); as recorded by an instant
        (`known_at`); or as of a place in the sealed log (`at_seal`), which never changes."""
        with self.begin(scope) as work:
            if at_seal is not None:
                return work.journal.trial_balance_at_seal(at_seal)
            return work.journal.trial_balance(on, known_at)

    def balance_sheet(
        self, scope: Scope, *, on: date | None = None, known_at: datetime | None = None
    ) -> BalanceSheet:
        """Assets, liabilities and equity, now or at any past date and instant."""
        return BalanceSheet.of(self.trial_balance(scope, on=on, known_at=known_at))

    def entries(self, scope: Scope) -> Iterator[Entry]:
        """Every entry by business date, streamed inside one snapshot."""
        with self.begin(scope) as work:
            yield from work.journal.all()

    def export(self, scope: Scope, tool: str) -> Generator[str, None, None]:
        """Every entry as lines for `beancount` or `hledger`, streamed. Raises UnknownExport."""
        check_tool(tool)
        return self._export(scope, tool)

    def _export(self, scope: Scope, tool: str) -> Generator[str, None, None]:
        with (
            self.begin(scope) as work,
            closing(work.journal.all()) as entries,
            closing(work.words.all()) as words,
        ):
            first = next(entries, None)
            # Read after the first entry, so that no entry names one that is not among them.
            accounts = work.accounts.list()
            told = entries if first is None else chain((first,), entries)
            yield from exported(tool, accounts, told, words)


def converted(sold: Amount, bought: Asset, rate: Decimal) -> Amount:
    """`sold` at `rate` (units of value bought per unit of value sold), rounded down to a whole unit
    of `bought`. Exact: 400 digits of working precision, and no float."""
    check_range(sold)
    if not is_rate(rate):
        raise BadRate(f"{rate} is not a rate")
    with localcontext(Context(prec=400, traps=[Inexact])):
        exact = Decimal(sold.units).scaleb(bought.scale - sold.asset.scale) * rate
        return Amount(int(exact.to_integral_value(rounding=ROUND_FLOOR)), bought)


def _check_positive(amount: Amount) -> None:
    # Else a payment of less than nothing would fetch money from whom it should go to.
    if amount.units <= 0:
        raise BadPosting(f"at least one unit can be moved, not {amount}")


def _post(work: LedgerWork, entries: Sequence[Entry]) -> None:
    # The event first: the entry locks balances, and those should be held for no round trip more.
    first = entries[0]
    work.events.record(EntriesPosted(first.id, len(entries), first.cause))
    work.journal.add(entries)


def _expire(work: LedgerWork, account_id: UUID | None = None, asset: Asset | None = None) -> int:
    ended = work.holds.expire(account_id, asset)
    for hold_id in ended:
        work.events.record(HoldClosed(hold_id, HoldOutcome.EXPIRED))
    return len(ended)


def _conversion(work: LedgerWork) -> Account:
    return work.accounts.ensure(
        Account(id=new_id(), name=CONVERSION, kind=AccountKind.EQUITY),
    )
