"""What people do with records: import files, list, enter, change, delete, categorise, link."""

import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import attrs

from finora_core.files.ports import Objects
from finora_core.jobs.model import Progress
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import derived_id, new_id
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.ledger.model import Account, AccountKind, AccountOpened, Entry, Flow, Posting
from finora_core.plugins import StatementFormat, StatementItem, StatementTooLarge
from finora_core.records.importing import Intake, head_of, pick_format
from finora_core.records.model import (
    AccountCounts,
    AccountNeeded,
    BadRecord,
    BankState,
    ImportRequest,
    ImportRequested,
    ImportResult,
    NewRecord,
    Preview,
    PreviewLine,
    Record,
    RecordChange,
    RecordChanged,
    RecordDetail,
    RecordEdited,
    RecordFilter,
    RecordsIngested,
    RecordVoid,
    UnknownFormat,
    identity_of,
    merchant_key,
    signed_amount,
)
from finora_core.records.ports import RecordsWork, Row, Staged

OUTSIDE = "Outside"
OPENING = "Opening balances"
RANKS = {"camt": 50, "ofx": 40, "mt940": 30, "qif": 20, "csv": 10}
"""Whose text a record shows when several formats brought it: the one that says most."""
_EVERY = 20_000
MAX_PREVIEW = 4 << 20


def _system(work: RecordsWork, name: str, kind: AccountKind) -> Account:
    return work.accounts.ensure(Account(id=new_id(), name=name, kind=kind))


@attrs.frozen
class ImportService:
    begin: Begin[RecordsWork]
    objects: Objects
    formats: Mapping[str, StatementFormat]
    max_lines: int = 2_000_000
    max_bytes: int = 1 << 30

    @retried
    def submit(
        self, scope: Scope, file: BinaryIO, name: str, request: ImportRequest | None = None
    ) -> tuple[UUID, UUID]:
        """Keep the file and make the job that imports it; returns (import id, job id).

        The same file under the same request id is one import and one job.
        """
        size = file.seek(0, 2)
        if size > self.max_bytes:
            raise StatementTooLarge(f"{name} has {size} bytes; at most {self.max_bytes}")
        file.seek(0)
        stored = self.objects.put(scope.tenant_id, file)
        import_id = derived_id("import", str(scope.tenant_id), scope.request_id, stored.key)
        with self.begin(scope) as work:
            asked = request or ImportRequest()
            work.imports.add(import_id, Path(name).name[:200], stored, asked, scope.user_id)
            work.events.record(ImportRequested(import_id))
            job_id = derived_id("records.import", str(scope.user_id), str(import_id),
                                scope.request_id)  # fmt: skip
            return work.done((import_id, job_id))

    def result(self, scope: Scope, import_id: UUID) -> Mapping[str, object] | None:
        """What became of an import; None while it is not done. Raises ImportNotFound."""
        with self.begin(scope) as work:
            return work.imports.result(import_id)

    def preview(
        self,
        scope: Scope,
        file: BinaryIO,
        name: str,
        request: ImportRequest | None = None,
        *,
        lines: int = 50,
    ) -> Preview:
        """Read a file of up to 4 MB and say what it holds; writes nothing. Raises what importing
        it would, but for a wrong control sum, which it tells."""
        asked = request or ImportRequest()
        if file.seek(0, 2) > MAX_PREVIEW:
            raise StatementTooLarge(f"a preview reads at most {MAX_PREVIEW >> 20} MB")
        file.seek(0)
        head = head_of(file)
        reader = self._format(head, name, asked.format)
        with self.begin(scope) as work:
            answers, kept = _profile(work, reader.name, reader.layout(head))
            intake = self._intake(work, scope, reader.name, asked, kept)
        with _closed(reader.read(file, dict(answers) | dict(asked.answers))) as items:
            staged = list(intake.rows(items))
        return Preview(
            file=name,
            format=reader.name,
            accounts=_counted(intake),
            read=intake.lines + intake.faulty,
            lines=tuple(_previewed(row, intake.assets) for row in staged[:lines]),
            set_aside_count=intake.faulty,
            set_aside=tuple(intake.set_aside),
            difference=intake.check_controls(True),
        )

    def run(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> ImportResult:
        """The job `records.import`: the whole file in one transaction, or nothing of it."""
        import_id = UUID(str(payload["import"]))
        with self.begin(scope) as work:
            name, key, request, _ = work.imports.request(import_id)
        with self.objects.open(scope.tenant_id, key) as file:
            return self._import(scope, import_id, file, name, request, progress)

    def _import(
        self,
        scope: Scope,
        import_id: UUID,
        file: BinaryIO,
        name: str,
        request: ImportRequest,
        progress: Progress,
    ) -> ImportResult:
        head = head_of(file)
        reader = self._format(head, name, request.format)
        layout = reader.layout(head)
        with self.begin(scope) as work:
            answers, kept = _profile(work, reader.name, layout)
            intake = self._intake(work, scope, reader.name, request, kept)
            # The last line is read before any account is locked: a slow file keeps nobody waiting.
            with _closed(reader.read(file, dict(answers) | dict(request.answers))) as items:
                work.staging.fill(_told(intake.rows(items), progress))
            accepted = intake.check_controls(request.accept_difference)
            result = self._book(work, scope, import_id, name, reader.name, intake, accepted)
            if layout is not None and (request.answers or request.account):
                given = intake.given.id if intake.given else None
                work.imports.save_profile(
                    reader.name, layout, dict(answers) | dict(request.answers), given or kept
                )
            return work.done(result)

    def _book(
        self,
        work: RecordsWork,
        scope: Scope,
        import_id: UUID,
        name: str,
        source: str,
        intake: Intake,
        accepted: str | None,
    ) -> ImportResult:
        for account in intake.opened.values():
            work.accounts.add(account)
            work.events.record(AccountOpened(account.id, account.kind))
        for number, account_id in intake.linked.items():
            work.imports.add_number(number, account_id)
        work.imports.lock(intake.touched)
        outside = _system(work, OUTSIDE, AccountKind.OUTSIDE)
        equity = _system(work, OPENING, AccountKind.EQUITY)
        merged = work.staging.merge(import_id, source, RANKS, outside.id)
        work.staging.observe(import_id, intake.balances)
        work.staging.open_balances(equity.id, intake.touched)
        work.staging.match_transfers(scope.user_id)
        result = ImportResult(
            file=name,
            format=source,
            accounts=_counted(intake),
            read=intake.lines + intake.faulty,
            added=merged.added,
            existing=merged.existing,
            claimed=merged.claimed,
            set_aside_count=intake.faulty,
            set_aside=tuple(intake.set_aside),
            differences=tuple(work.staging.differences(import_id)),
            accepted_difference=accepted,
        )
        work.imports.finish(import_id, result)
        work.events.record(
            RecordsIngested(import_id, source, merged.added, merged.claimed, accepted is not None)
        )
        return result

    def _format(self, head: bytes, name: str, wanted: str | None) -> StatementFormat:
        if wanted is None:
            return pick_format(self.formats, head, name)
        if wanted not in self.formats:
            raise UnknownFormat(f"no format {wanted!r}; there are {', '.join(self.formats)}")
        return self.formats[wanted]

    def _intake(
        self,
        work: RecordsWork,
        scope: Scope,
        source: str,
        request: ImportRequest,
        kept: UUID | None,
    ) -> Intake:
        accounts = {account.id: account for account in work.accounts.list()}
        given = accounts.get(kept) if kept else None
        opened: dict[UUID, Account] = {}
        if request.account is not None:
            given = _named(scope, request, accounts)
            if given.id not in accounts:
                accounts[given.id] = opened[given.id] = given
        return Intake(
            source=source,
            owner=scope.user_id,
            numbers=work.imports.numbers(),
            accounts=accounts,
            assets=work.assets.all(),
            given=given,
            currency=request.currency.upper() if request.currency else None,
            max_lines=self.max_lines,
            opened=opened,
        )


def _counted(intake: Intake) -> tuple[AccountCounts, ...]:
    return tuple(
        AccountCounts(
            id=key, name=intake.accounts[key].name, number=number, opened=key in intake.opened
        )
        for key, number in intake.touched.items()
    )


def _previewed(row: Staged, assets: Mapping[str, Asset]) -> PreviewLine:
    place, _, _, _, on_date, units, asset, description, counterparty, _, bank_id, booked, *_ = row
    return PreviewLine(
        place=place,
        on_date=on_date,
        amount=Amount(units, assets[asset]),
        description=description,
        counterparty=counterparty,
        bank_id=bank_id,
        booked=booked,
    )


def _profile(
    work: RecordsWork, format_name: str, layout: str | None
) -> tuple[Mapping[str, str], UUID | None]:
    return work.imports.profile(format_name, layout) if layout else ({}, None)


def _named(scope: Scope, request: ImportRequest, accounts: Mapping[UUID, Account]) -> Account:
    """The account the caller named, by name or id; a new one where the name is new."""
    wanted = str(request.account)
    for account in accounts.values():
        if wanted in (account.name, str(account.id)):
            return account
    if _is_id(wanted):
        raise AccountNeeded(f"there is no account {wanted}")
    return Account(
        id=new_id(),
        name=wanted,
        kind=AccountKind.ASSET,
        asset=request.currency.upper() if request.currency else None,
        owner=scope.user_id,
    )


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


@contextmanager
def _closed(items: Iterator[StatementItem]) -> Iterator[Iterator[StatementItem]]:
    """A format's generator must be over before its file is, also when reading was broken off."""
    try:
        yield items
    finally:
        if isinstance(items, Generator):
            items.close()


def _told(rows: Iterable[Staged], progress: Progress) -> Iterator[Staged]:
    for number, row in enumerate(rows, start=1):
        yield row
        if number % _EVERY == 0:
            progress(number)


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
        """Records, latest business date first."""
        with self.begin(scope) as work:
            return work.records.list(wanted or RecordFilter(), cursor, checked_limit(limit))

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
            work.records.add(row, same, "manual")
            if new.category and row.entry_id:
                work.records.label(row.entry_id, new.category, None, "human", scope.user_id)
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
                entry_id = _post(work, new_id(), account_id, on_date, amount)
                if old.category and entry_id:
                    work.records.label(entry_id, old.category, None, "human", scope.user_id)
            row = _row(old)
            words = change.counterparty or change.description
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
        """Label the record; moves no money. The label's history is kept."""
        with self.begin(scope) as work:
            old = self._open(work, record_id, None)
            if old.entry_id is None:
                raise BadRecord("a pending record has nothing to categorise yet")
            work.records.label(old.entry_id, category.strip()[:200], None, "human", scope.user_id)
            work.events.record(RecordEdited(record_id, "categorised"))
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
        equity = _system(work, OPENING, AccountKind.EQUITY)
        work.staging.open_balances(equity.id, accounts)


def _row(record: Record) -> Row:
    return Row(
        **{field.name: getattr(record, field.name) for field in attrs.fields(Row)},
    )


def _post(
    work: RecordsWork, entry_id: UUID, account_id: UUID, on_date: date, amount: Amount
) -> UUID | None:
    if not amount:
        return None
    outside = _system(work, OUTSIDE, AccountKind.OUTSIDE)
    legs = (Posting(account_id, amount), Posting(outside.id, -amount))
    work.journal.add((Entry(id=entry_id, on_date=on_date, postings=legs, cause="record"),))
    return entry_id


def _reverse(work: RecordsWork, entry_id: UUID | None) -> None:
    if entry_id is not None:
        work.journal.add((work.journal.get(entry_id).reversal(new_id()),))
