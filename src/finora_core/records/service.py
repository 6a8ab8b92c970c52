"""What people do with records: list, enter, change, delete, categorise, link."""

from collections.abc import Iterable
from datetime import date
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.ledger.model import Account, AccountKind, Entry, Flow, Posting
from finora_core.records.model import (
    HUMAN,
    LOCKABLE,
    BadRecord,
    BankState,
    DutiesSeparate,
    NewRecord,
    Part,
    Record,
    RecordChange,
    RecordChanged,
    RecordDetail,
    RecordEdited,
    RecordFilter,
    RecordVoid,
    SplitStands,
    identity_of,
    merchant_key,
    signed_amount,
)
from finora_core.records.ports import RecordsWork, Row

OUTSIDE = "Outside"
OPENING = "Opening balances"


def system_account(work: RecordsWork, name: str, kind: AccountKind) -> Account:
    """An account that the books themselves need, opened on first use."""
    return work.accounts.ensure(Account(id=new_id(), name=name, kind=kind))


@attrs.frozen
class RecordService:
    begin: Begin[RecordsWork]

    def list(
        self,
        scope: Scope,
        wanted: RecordFilter | None = None,
        *,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Record]:
        """Records, latest business date first. Raises AccountNotFound for one to filter by."""
        asked = wanted or RecordFilter()
        with self.begin(scope) as work:
            if asked.account_id is not None:
                work.accounts.get(asked.account_id)
            return work.records.list(asked, cursor, checked_limit(limit))

    def get(self, scope: Scope, record_id: UUID) -> Record:
        with self.begin(scope) as work:
            return work.records.get(record_id)

    def detail(self, scope: Scope, record_id: UUID) -> RecordDetail:
        """With what was received and every earlier revision."""
        with self.begin(scope) as work:
            return work.records.detail(record_id)

    @retried
    def create(self, scope: Scope, new: NewRecord, *, kind: str | None = None) -> Record:
        """Enter a record by hand. Positive is income, negative is expense; a `kind` that says
        otherwise is refused. Raises AccountNotFound, BadRecord."""
        signed_amount(new.amount, kind)
        if not new.amount:
            raise BadRecord("a record moves at least one unit")
        record_id = new_id()
        with self.begin(scope) as work:
            work.accounts.get(new.account_id)
            work.imports.lock([new.account_id])
            row = Row(
                id=record_id,
                account_id=new.account_id,
                on_date=new.on_date,
                amount=new.amount,
                description=new.description.strip(),
                counterparty=new.counterparty,
                merchant_key=merchant_key(new.counterparty or new.description),
                bank_id=None,
                bank_state=BankState.BOOKED,
                void=False,
                entry_id=_post(work, record_id, new.account_id, new.on_date, new.amount),
            )
            text = f"{new.counterparty} {new.description}" if new.counterparty else new.description
            amount = new.amount
            same = identity_of("manual", new.on_date, amount.units, amount.asset.id, text, None)
            work.records.add(row, same, "manual", scope.user_id)
            if new.category and row.entry_id:
                work.records.label(row.entry_id, new.category, None, "human", scope.user_id)
                work.records.annotate(record_id, None, "", (), {"category"})
            self._settle(work, {new.account_id})
            work.events.record(RecordEdited(record_id, "created"))
            return work.done(work.records.get(record_id))

    @retried
    def change(
        self,
        scope: Scope,
        record_id: UUID,
        change: RecordChange,
        *,
        kind: str | None = None,
        revision: int | None = None,
    ) -> Record:
        """A new revision. Another amount, date or account reverses the entry and posts a new one.
        With `revision`, only if that is still the latest (RecordChanged otherwise)."""
        with self.begin(scope) as work:
            old = self._open(work, record_id, revision)
            amount = change.amount or old.amount
            signed_amount(amount, kind)
            account_id = change.account_id or old.account_id
            work.accounts.get(account_id)
            on_date = change.on_date or old.on_date
            entry_id = old.entry_id
            if change.moves_money and old.bank_state is BankState.BOOKED:
                _reverse(work, old.entry_id)
                if old.parts and amount != old.amount:
                    raise SplitStands(f"the record is split into parts of {old.amount}")
                late = on_date == old.on_date and old.entry_id
                booked_on = work.journal.get(late).on_date if late else on_date
                entry_id = _post(work, new_id(), account_id, on_date, amount, booked_on)
                if old.entry_id and entry_id:
                    work.records.move_label(old.entry_id, entry_id)
            row = _row(old)
            words = change.counterparty or change.description
            if change.moves_money or {"description", "counterparty"} & change.fields:
                work.records.save(
                    attrs.evolve(
                        row,
                        account_id=account_id,
                        on_date=on_date,
                        amount=amount,
                        description=row.description
                        if change.description is None
                        else change.description,
                        counterparty=change.counterparty or row.counterparty,
                        merchant_key=merchant_key(words) if words else row.merchant_key,
                        entry_id=entry_id,
                    )
                )
            if change.fields:
                work.records.annotate(
                    record_id,
                    old.merchant if change.merchant is None else change.merchant.strip() or None,
                    old.note if change.note is None else change.note,
                    old.tags if change.tags is None else change.tags,
                    {*old.locked, *change.fields},
                )
            self._settle(work, {old.account_id, account_id})
            work.events.record(RecordEdited(record_id, "changed"))
            return work.done(work.records.get(record_id))

    @retried
    def delete(self, scope: Scope, record_id: UUID) -> Record:
        """Reverse its entry and mark it void. It is kept, and still counts as already there when
        its file is imported again."""
        with self.begin(scope) as work:
            old = self._open(work, record_id, None)
            _reverse(work, old.entry_id)
            work.records.save(attrs.evolve(_row(old), void=True, entry_id=None))
            self._settle(work, {old.account_id})
            work.events.record(RecordEdited(record_id, "deleted"))
            return work.done(work.records.get(record_id))

    @retried
    def categorise(self, scope: Scope, record_id: UUID, category: str) -> Record:
        """Label the record; moves no money. The label's history is kept. A person's word is
        final, whatever was decided before; see the review for one that minds who was first.
        Raises DutiesSeparate."""
        with self.begin(scope) as work:
            old = self._open(work, record_id, None)
            if record_id in work.decisions.barred(scope.user_id, (record_id,)):
                raise DutiesSeparate("you brought it in: in this tenant another member categorises")
            work.decisions.write([old.overridden(category, scope.user_id, seen=old.decisions)])
            work.events.record(RecordEdited(record_id, "categorised"))
            return work.done(work.records.get(record_id))

    @retried
    def split(self, scope: Scope, record_id: UUID, parts: Iterable[Part]) -> Record:
        """Divide the record among categories; moves no money. The parts sum to its amount, to the
        last unit (BadSplit otherwise). Categorise it to undo."""
        with self.begin(scope) as work:
            old = self._open(work, record_id, None)
            if record_id in work.decisions.barred(scope.user_id, (record_id,)):
                raise DutiesSeparate("you brought it in: in this tenant another member categorises")
            work.decisions.write([old.divided(parts, scope.user_id)])
            work.events.record(RecordEdited(record_id, "split"))
            return work.done(work.records.get(record_id))

    @retried
    def unlock(self, scope: Scope, record_id: UUID, fields: Iterable[str]) -> Record:
        """Let automation write these fields again. Their values stay as they are."""
        with self.begin(scope) as work:
            given = set(fields)
            if not given <= set(LOCKABLE):
                raise BadRecord(f"there are {', '.join(LOCKABLE)} to unlock")
            old = self._open(work, record_id, None)
            locked = set(old.locked) - given
            work.records.annotate(record_id, old.merchant, old.note, old.tags, locked)
            if old.status in HUMAN and "category" in set(old.locked) & given:
                work.decisions.write([old.released(scope.user_id)])
            work.events.record(RecordEdited(record_id, "unlocked"))
            return work.done(work.records.get(record_id))

    @retried
    def link_transfer(
        self, scope: Scope, one: UUID, other: UUID, *, linked: bool = True
    ) -> tuple[Record, Record]:
        """Say that two records are the two ends of one transfer between own accounts, which then
        is neither income nor spending; or, with `linked=False`, that they are not."""
        with self.begin(scope) as work:
            ends = (self._open(work, one, None), self._open(work, other, None))
            if ends[0].account_id == ends[1].account_id or ends[0].amount != -ends[1].amount:
                raise BadRecord("a transfer has opposite amounts in two accounts")
            for end in ends:
                if end.entry_id is None:
                    raise BadRecord("a pending record cannot be linked yet")
                flow = Flow.TRANSFER if linked else Flow.FLOW
                work.records.label(end.entry_id, None, flow, "human", scope.user_id)
                _lock(work, end, "flow")
                work.events.record(RecordEdited(end.id, "linked"))
            return work.done(ends)

    def _open(self, work: RecordsWork, record_id: UUID, revision: int | None) -> Record:
        record = work.records.get(record_id, lock=True)
        if record.void:
            raise RecordVoid("the record was deleted")
        if revision is not None and record.revision != revision:
            raise RecordChanged(f"the record is at revision {record.revision}, not {revision}")
        return record

    def _settle(self, work: RecordsWork, accounts: set[UUID]) -> None:
        equity = system_account(work, OPENING, AccountKind.EQUITY)
        work.staging.open_balances(equity.id, accounts)


def _row(record: Record) -> Row:
    return Row(
        **{field.name: getattr(record, field.name) for field in attrs.fields(Row)},
    )


def _lock(work: RecordsWork, record: Record, field: str) -> None:
    locked = {*record.locked, field}
    work.records.annotate(record.id, record.merchant, record.note, record.tags, locked)


def _post(
    work: RecordsWork,
    entry_id: UUID,
    account_id: UUID,
    on_date: date,
    amount: Amount,
    booked_on: date | None = None,
) -> UUID | None:
    """`booked_on` is another day where the record's own was closed when it came."""
    if not amount:
        return None
    outside = system_account(work, OUTSIDE, AccountKind.OUTSIDE)
    legs = (Posting(account_id, amount), Posting(outside.id, -amount))
    booked_on = booked_on or on_date
    bank_date = on_date if on_date < booked_on else None
    entry = Entry(
        id=entry_id, on_date=booked_on, postings=legs, cause="record", bank_date=bank_date
    )
    work.journal.add((entry,))
    return entry_id


def _reverse(work: RecordsWork, entry_id: UUID | None) -> None:
    if entry_id is not None:
        work.journal.add((work.journal.get(entry_id).reversal(new_id()),))
