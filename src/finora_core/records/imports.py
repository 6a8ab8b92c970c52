"""Statements in: keep the file, make the job, read it, and put its lines into the books."""

import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import attrs

from finora_core.files.ports import Objects, check_swept
from finora_core.jobs.model import Progress
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import derived_id, new_id
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, Contended, retried
from finora_core.ledger.model import Account, AccountExists, AccountKind, AccountOpened
from finora_core.plugins import StatementFormat, StatementItem, StatementTooLarge
from finora_core.records.importing import NOT_TEXT, Intake, head_of, pick_format
from finora_core.records.model import (
    AccountCounts,
    AccountNeeded,
    ImportRequest,
    ImportRequested,
    ImportResult,
    Preview,
    PreviewLine,
    RecordsIngested,
    UnknownFormat,
)
from finora_core.records.ports import OtherFiles, RecordsWork, Staged
from finora_core.records.service import OPENING, OUTSIDE, system_account

RANKS = {"camt": 50, "ofx": 40, "mt940": 30, "qif": 20, "csv": 10}
"""Whose text a record shows when several formats brought it: the one that says most."""
_EVERY = 20_000
MAX_PREVIEW = 4 << 20


@attrs.frozen
class ImportService:
    begin: Begin[RecordsWork]
    objects: Objects
    formats: Mapping[str, StatementFormat]
    others: OtherFiles | None = None
    max_lines: int = 2_000_000
    max_bytes: int = 1 << 30

    @property
    def names(self) -> list[str]:
        """Of all formats that are read."""
        return sorted([*self.formats, *(self.others.names if self.others else ())])

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
            shown = Path(name).name.translate(NOT_TEXT)[:200]
            work.imports.add(import_id, shown, stored, asked, scope.user_id)
            check_swept(self.objects, scope.tenant_id, stored)
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
        if self.others is not None and (source := self._other(head, name, asked.format)):
            return self.others.preview(scope, file, name, source, asked)
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

    @retried
    def run(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> ImportResult:
        """The job `records.import`: the whole file in one transaction, or nothing of it."""
        import_id = UUID(str(payload["import"]))
        with self.begin(scope) as work:
            name, key, request, _ = work.imports.request(import_id)
        try:
            with self.objects.open(scope.tenant_id, key) as file:
                return self._import(scope, import_id, file, name, request, progress)
        except AccountExists as error:
            # Another import opened it meanwhile: read again, it is known now.
            raise Contended("an account of the file was opened at the same time") from error

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
        if self.others is not None and (source := self._other(head, name, request.format)):
            return self.others.bring(scope, import_id, file, name, source, request)
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
        outside = system_account(work, OUTSIDE, AccountKind.OUTSIDE)
        equity = system_account(work, OPENING, AccountKind.EQUITY)
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

    def _other(self, head: bytes, name: str, wanted: str | None) -> str | None:
        """The format's name, where the file is no statement."""
        if self.others is None:
            return None
        if wanted is not None:
            return wanted if wanted in self.others.names else None
        sure, source = self.others.recognises(head, name)
        statement = max((each.recognises(head, name) for each in self.formats.values()), default=0)
        return source if sure > statement else None

    def _format(self, head: bytes, name: str, wanted: str | None) -> StatementFormat:
        if wanted is None:
            return pick_format(self.formats, head, name)
        if wanted not in self.formats:
            raise UnknownFormat(f"no format {wanted!r}; there are {', '.join(self.names)}")
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
            # An export of ours names accounts by their ids.
            numbers={str(key).upper(): key for key in accounts} | dict(work.imports.numbers()),
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
    place, _, _, on_date, units, asset, description, counterparty, _, bank_id, booked, *_ = row
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
