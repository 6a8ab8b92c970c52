"""Broker files in: read the lines, gate every number, book what is new."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import BinaryIO
from uuid import UUID

import attrs

from finora_core.kernel.amount import MAX_UNITS, Amount, BadAmount, units_of
from finora_core.kernel.asset import Asset, BadAsset
from finora_core.kernel.errors import Refusal
from finora_core.kernel.ids import new_id
from finora_core.kernel.plain import canonical
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin
from finora_core.market.assets.model import world_asset
from finora_core.plugins import (
    ActivityFormat,
    ActivityLine,
    FaultyLine,
    StatementEmpty,
    StatementTooLarge,
)
from finora_core.portfolio.booking import book, books_of, open_account
from finora_core.portfolio.institutions import institution
from finora_core.portfolio.model import (
    ActivitiesAdded,
    Activity,
    ActivityKind,
    PortfolioAccount,
    bad,
    is_currency,
    own_asset_of,
    with_money,
)
from finora_core.portfolio.openings import Missing, derive
from finora_core.portfolio.ports import PortfolioWork
from finora_core.records.model import (
    AccountCounts,
    AccountNeeded,
    CurrencyNeeded,
    Difference,
    ImportRequest,
    ImportResult,
    Preview,
    PreviewLine,
    SetAside,
)

MAX_LINES = 100_000
MAX_SHOWN = 1_000
_MAIN = "Main"
_BATCH = 2_000


@attrs.frozen
class BrokerFiles:
    """What `finora import` does with files that are no statements."""

    begin: Begin[PortfolioWork]
    formats: Mapping[str, ActivityFormat]

    @property
    def names(self) -> Collection[str]:
        return self.formats.keys()

    def recognises(self, head: bytes, filename: str) -> tuple[int, str]:
        sure = ((each.recognises(head, filename), name) for name, each in self.formats.items())
        return max(sure, default=(0, ""))

    def preview(
        self, scope: Scope, file: BinaryIO, name: str, source: str, request: ImportRequest
    ) -> Preview:
        """What the file holds, whatever of it is there already; writes nothing."""
        lines, aside = _read(self.formats[source], file, name)
        with self.begin(scope) as work:
            gate = _Gate(scope, source, self.formats[source].settles, request.currency,
                         work.assets.all())  # fmt: skip
            read = list(gate.through(lines, new_id(), aside))
        return Preview(
            file=name,
            format=source,
            accounts=(),
            read=len(lines) + len(aside),
            lines=tuple(_shown(place, each) for place, each in read[:50]),
            set_aside_count=len(aside),
            set_aside=tuple(aside[:MAX_SHOWN]),
            difference=None,
        )

    def bring(
        self,
        scope: Scope,
        import_id: UUID,
        file: BinaryIO,
        name: str,
        source: str,
        request: ImportRequest,
    ) -> ImportResult:
        format_ = self.formats[source]
        lines, aside = _read(format_, file, name)
        if not lines and not aside:
            raise StatementEmpty(f"{name} holds no activity")
        with self.begin(scope) as work:
            account, opened = _account_of(work, scope, format_, request)
            kept = work.accounts.get(account.id).asset
            known = work.assets.all()
            gate = _Gate(scope, source, format_.settles, request.currency or kept, known)
            read = list(gate.through(lines, account.id, aside))
            gate.register(work)
            fresh, existing = _fresh(work, account.id, source, read)
            taken = list(_open_days(work, fresh, aside))
            moved = {amount.asset for each in taken for amount in each.amounts}
            lacked = derive(work, scope, account.id, moved, taken)
            _book(work, taken, import_id)
            result = ImportResult(
                file=name,
                format=source,
                accounts=(
                    AccountCounts(
                        id=account.id, name=account.ledger_name, number=None, opened=opened
                    ),
                ),
                read=len(taken) + existing + len(aside),
                added=len(taken),
                existing=existing,
                claimed=0,
                set_aside_count=len(aside),
                set_aside=tuple(sorted(aside, key=lambda each: each.place)[:MAX_SHOWN]),
                differences=tuple(_lacking(account, lacked)),
            )
            work.imports.finish(import_id, result)
            if taken:
                first = min(taken, key=lambda each: each.at)
                work.events.record(
                    ActivitiesAdded(first=first.id, count=len(taken), source=source, since=first.at)
                )
            return work.done(result)


_Read = tuple[int, Activity]


def _read(
    format_: ActivityFormat, file: BinaryIO, name: str
) -> tuple[list[ActivityLine], list[SetAside]]:
    lines: list[ActivityLine] = []
    aside: list[SetAside] = []
    file.seek(0)
    for item in format_.read(file):
        if isinstance(item, FaultyLine):
            aside.append(SetAside(place=item.place, reason=item.reason[:500]))
        else:
            lines.append(item)
        if len(lines) + len(aside) > MAX_LINES:
            raise StatementTooLarge(f"{name} has more than {MAX_LINES} activities")
    return lines, aside


def _account_of(
    work: PortfolioWork, scope: Scope, format_: ActivityFormat, request: ImportRequest
) -> tuple[PortfolioAccount, bool]:
    """The one that the caller named, or the only one at the institution; opened where there is
    none. Nobody else adds to it until the end."""
    at = institution(format_.institution)
    every = work.portfolio_accounts.all()
    if request.account is not None:
        wanted = [each for each in every
                  if request.account in (str(each.id), each.name, each.ledger_name)]  # fmt: skip
        here = [each for each in wanted if each.institution == at] or wanted
        name = request.account
    else:
        here = [each for each in every if each.institution == at]
        name = _MAIN
    if len(here) > 1:
        raise AccountNeeded(f"there are {len(here)} accounts at {at.name}: say which it is of")
    if here:
        return work.portfolio_accounts.get(here[0].id, lock=True), False
    return open_account(work, scope, name, at, asset=request.currency), True


@attrs.define
class _Gate:
    """Every number, once, from text to units."""

    scope: Scope
    source: str
    settled: bool
    currency: str | None
    assets: Mapping[str, Asset]
    fresh: dict[str, Asset] = attrs.field(factory=dict)
    own: dict[str, tuple[Asset, str, str]] = attrs.field(factory=dict)
    """By id: the asset, its name and what it is priced in."""

    def through(
        self, lines: Iterable[ActivityLine], account_id: UUID, aside: list[SetAside]
    ) -> Iterator[_Read]:
        ids = _identities(lines)
        for line, external_id in zip(lines, ids, strict=True):
            try:
                yield line.place, self._activity(line, account_id, external_id)
            except CurrencyNeeded:
                raise
            except Refusal as refusal:
                aside.append(SetAside(place=line.place, reason=refusal.message[:500]))

    def register(self, work: PortfolioWork) -> None:
        for asset in self.fresh.values():
            if asset.id not in self.own:
                work.assets.add(asset)
        for asset, name, quote in self.own.values():
            work.own_assets.ensure(asset, name, quote, self.scope.user_id)

    def _activity(self, line: ActivityLine, account_id: UUID, external_id: str) -> Activity:
        asset = self._asset(line.asset, line.quote)
        fee, tax = self._money(line.fee), self._money(line.tax)
        counter = self._money(line.counter)
        if counter is None and (net := self._money(line.net)) is not None:
            counter = net
            for paid in (fee, tax):
                if paid is not None and paid.asset == net.asset:
                    counter += paid
        if is_currency(asset.id):
            quantity = self._money((line.quantity, asset.id)) or Amount(0, asset)
        else:
            quantity = Amount(units_of(line.quantity, asset.scale), asset)
        trade = line.kind not in ("dividend", "fee", "tax")
        return with_money(
            Activity(
                id=new_id(),
                account_id=account_id,
                kind=ActivityKind(line.kind),
                quantity=quantity,
                at=line.at,
                price=_price(line.price) if line.price is not None and trade else None,
                quote=self._asset(line.quote) if line.price is not None and trade else None,
                counter=counter if counter or line.kind == "dividend" else None,
                fee=fee or None,
                tax=tax or None,
                settled=self.settled,
                source=self.source,
                external_id=external_id,
                note=line.note.strip()[:1_000].translate({0: None}),
                created_by=self.scope.user_id,
            )
        )

    def _money(self, said: tuple[str, str] | None) -> Amount | None:
        """Money is rounded to its unit, half to even: brokers write more digits than there are.
        What is no money is counted to the last digit."""
        if said is None:
            return None
        text, asset = said[0], self._asset(said[1])
        if not is_currency(asset.id):
            return Amount(units_of(text, asset.scale), asset)
        units = round(_decimal(text).scaleb(asset.scale))
        if abs(units) > MAX_UNITS:
            raise BadAmount(f"{text[:40]!r} is larger than the ledger can hold")
        return Amount(units, asset)

    def _asset(self, said: str | None, quote: str | None = None) -> Asset:
        if not said:
            if self.currency is None:
                raise CurrencyNeeded("the file names no currency: say which it is in")
            said = self.currency.upper()
        kind, _, name = said.partition(":")
        if kind == "own" and name:
            return self._own(name.strip()[:200], quote)
        known = self.assets.get(said) or self.fresh.get(said)
        if known is None:
            known = world_asset(said)
            if known is None:
                raise BadAsset(f"{said[:40]!r} is no known asset")
            self.fresh[said] = known
        return known

    def _own(self, name: str, quote: str | None) -> Asset:
        asset = own_asset_of(self.scope, name)
        priced = self._asset(quote) if quote else None
        self.own.setdefault(asset.id, (asset, name, priced.id if priced else "EUR"))
        return asset


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise BadAmount(f"{text[:40]!r} is not a decimal amount") from error
    if not value.is_finite() or len(value.as_tuple().digits) > 100 or abs(value.adjusted()) > 80:
        raise BadAmount(f"{text[:40]!r} is not a decimal amount")
    return value


def _price(text: str) -> Decimal:
    value = _decimal(text)
    if value < 0:
        raise bad("price", "it is below zero")
    return value


def _identities(lines: Iterable[ActivityLine]) -> list[str]:
    """What tells each line apart, in whatever order and however often a file brings it. An id of
    the broker's is one thing, unless one file has it on lines that differ; of lines without an id
    equal ones are as many as the file has."""
    contents = [_content(line) for line in lines]
    of_id: dict[str, set[str]] = defaultdict(set)
    for line, content in zip(lines, contents, strict=True):
        if line.external_id:
            of_id[line.external_id].add(content)
    seen: Counter[str] = Counter()
    found = []
    for line, content in zip(lines, contents, strict=True):
        if line.external_id:
            several = len(of_id[line.external_id]) > 1
            found.append(f"{line.external_id[:150]}{f'~{content}' if several else ''}")
        else:
            seen[content] += 1
            number = f"#{seen[content]}" if seen[content] > 1 else ""
            found.append(f"~{content}{number}")
    return found


def _content(line: ActivityLine) -> str:
    said = [line.kind, line.at.isoformat(), line.asset, line.quantity, line.price, line.counter,
            line.net, line.fee, line.tax]  # fmt: skip
    plain = [list(each) if isinstance(each, tuple) else each for each in said]
    return hashlib.sha256(canonical(plain).encode()).hexdigest()[:32]


def _fresh(
    work: PortfolioWork, account_id: UUID, source: str, read: Sequence[_Read]
) -> tuple[list[_Read], int]:
    """Those that the account has not, each once; and how many there were."""
    by_id: dict[str, _Read] = {}
    for place, each in read:
        by_id.setdefault(str(each.external_id), (place, each))
    known = work.activities.known(account_id, source, list(by_id))
    fresh = [pair for key, pair in by_id.items() if key not in known]
    return fresh, len(read) - len(fresh)


def _open_days(
    work: PortfolioWork, fresh: Iterable[_Read], aside: list[SetAside]
) -> Iterator[Activity]:
    """In the order of time, those that are of no closed period."""
    closed = work.activities.closed_through()
    for place, each in sorted(fresh, key=lambda pair: (pair[1].at, pair[0])):
        if closed is None or each.at.date() > closed:
            yield each
        else:
            reason = f"the books are closed through {closed}"
            aside.append(SetAside(place=place, reason=reason))


def _lacking(account: PortfolioAccount, lacked: Mapping[Asset, Missing]) -> Iterator[Difference]:
    """What was derived: so much had to be there, of which no file has shown any."""
    for asset, each in lacked.items():
        yield Difference(
            account=account.ledger_name,
            on_date=each.short.date(),
            stated=Amount(each.units, asset),
            booked=Amount(0, asset),
        )


def _book(work: PortfolioWork, activities: Sequence[Activity], import_id: UUID) -> None:
    if not activities:
        return
    books = books_of(work)
    for start in range(0, len(activities), _BATCH):
        batch = activities[start : start + _BATCH]
        entries = book(work, batch, books)
        booked = [attrs.evolve(each, entry_id=entries[each.id]) for each in batch]
        work.activities.add(booked, import_id)


def _shown(place: int, activity: Activity) -> PreviewLine:
    return PreviewLine(
        place=place,
        on_date=activity.at.date(),
        amount=activity.quantity if activity.quantity else activity.counter or activity.quantity,
        description=f"{activity.kind.value} {activity.quantity.asset}: {activity.note}"[:500],
        counterparty=None,
        bank_id=activity.external_id,
        booked=True,
    )
