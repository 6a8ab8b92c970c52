"""From a file to the books: pick the format, read its items, gate every amount, keep account.

`Intake` turns a format's items into staged lines while they stream by, and remembers what the
import needs afterwards: accounts to open, control sums, balances, lines set aside.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import BinaryIO
from uuid import UUID

import attrs

from finora_core.kernel.amount import BadAmount, text_of, units_of
from finora_core.kernel.asset import Asset, UnknownAsset
from finora_core.kernel.ids import new_id
from finora_core.ledger.model import Account, AccountKind
from finora_core.plugins import (
    FaultyLine,
    StatementAccount,
    StatementBalance,
    StatementEmpty,
    StatementFormat,
    StatementItem,
    StatementLine,
    StatementTooLarge,
)
from finora_core.records.model import (
    MAX_TEXT,
    AccountMismatch,
    AccountNeeded,
    ControlSumWrong,
    CurrencyNeeded,
    SetAside,
    UnknownFormat,
    identity_of,
    merchant_key,
)
from finora_core.records.ports import Staged

HEAD = 65_536
MAX_SHOWN = 1_000
# What the database keeps in no text.
NOT_TEXT = dict.fromkeys([0, *range(0xD800, 0xE000)])


def pick_format(formats: Mapping[str, StatementFormat], head: bytes, name: str) -> StatementFormat:
    """The format that is surest of the file; raises StatementEmpty or UnknownFormat."""
    if not head.strip(b"\x00\t\n\r \xef\xbb\xbf"):
        raise StatementEmpty(f"{name} is empty")
    sure = {key: format_.recognises(head, name) for key, format_ in formats.items()}
    best = max(sure, key=lambda key: (sure[key], key), default=None)
    if best is None or not sure[best]:
        known = ", ".join(sorted(formats))
        raise UnknownFormat(f"{name} is in none of the formats {known}")
    return formats[best]


def head_of(file: BinaryIO) -> bytes:
    head = file.read(HEAD)
    file.seek(0)
    return head


@attrs.define
class Control:
    """One statement's control sum, per the asset it is in."""

    account: str
    scale: int
    asset: str
    place: int
    opening: int | None = None
    opening_on: date | None = None
    closing: int | None = None
    moved: int = 0
    first: date = date.max
    last: date = date.min

    @property
    def difference(self) -> int | None:
        """Closing less opening less lines, in units; None where the file does not state both."""
        if self.opening is None or self.closing is None:
            return None
        return self.closing - self.opening - self.moved


@attrs.define(kw_only=True)
class Intake:
    """Reads a file's items once. Afterwards its attributes say what the file held."""

    source: str
    """Name of the format."""
    owner: UUID
    numbers: Mapping[str, UUID]
    """Known account numbers."""
    accounts: dict[UUID, Account]
    """Known accounts."""
    assets: Mapping[str, Asset]
    given: Account | None = None
    """The account that the caller named."""
    currency: str | None = None
    max_lines: int = 2_000_000

    lines: int = 0
    faulty: int = 0
    set_aside: list[SetAside] = attrs.field(factory=list)
    opened: dict[UUID, Account] = attrs.field(factory=dict)
    linked: dict[str, UUID] = attrs.field(factory=dict)
    touched: dict[UUID, str | None] = attrs.field(factory=dict)
    controls: list[Control] = attrs.field(factory=list)
    balances: list[tuple[UUID, str, date, int, str]] = attrs.field(factory=list)

    _account: Account | None = None
    _control: Control | None = None
    _asset: Asset | None = None

    def rows(self, items: Iterable[StatementItem]) -> Iterator[Staged]:
        """The staged lines of `items`. Raises AccountNeeded, AccountMismatch, CurrencyNeeded, and
        whatever the format raises."""
        for item in items:
            # Lines first: there are a million of them for every other item.
            if type(item) is StatementLine:
                row = self._line(item)
                if row is not None:
                    yield row
            elif isinstance(item, StatementAccount):
                self._begin(item)
            elif isinstance(item, FaultyLine):
                self._fault(item)
            elif isinstance(item, StatementBalance):
                self._balance(item)
        self._end()

    def check_controls(self, accept: bool) -> str | None:
        """Raise ControlSumWrong for a statement that does not add up, unless that is accepted;
        then its differences in words."""
        said = []
        for control in self.controls:
            if control.difference:
                off = text_of(control.difference, control.scale)
                said.append((control.account, f"off by {off} {control.asset}"))
        if said and not accept:
            message = "; ".join(f"{account}: {off}" for account, off in said[:10])
            raise ControlSumWrong(
                f"opening balance and lines do not give the closing balance: {message}",
                details=tuple(said[:100]),
            )
        return "; ".join(f"{account}: {off}" for account, off in said[:10]) or None

    # --- one item each ---

    def _begin(self, item: StatementAccount) -> None:
        self._end()
        account = self._account = self._account_of(item)
        self.touched.setdefault(account.id, item.number)
        code = (item.asset or "").strip().upper() or account.asset or self.currency
        self._asset = self._known(code) if code else None
        if account.id in self.opened and account.asset is None and code:
            # Opened by name for this file, which says what kind of account it is.
            account = attrs.evolve(account, asset=code, kind=AccountKind(item.kind))
            self._account = self.accounts[account.id] = self.opened[account.id] = account
        if self._asset is not None:
            self._control = Control(
                self._account.name, self._asset.scale, self._asset.id, self.lines
            )

    def _account_of(self, item: StatementAccount) -> Account:
        number = normal_number(item.number)
        if number is None:
            if self.given is None:
                raise AccountNeeded("the file names no account; say which account it is of")
            return self.given
        known = self.numbers.get(number) or self.linked.get(number)
        if known is not None:
            if self.given is not None and self.given.id != known:
                name = self.accounts[known].name
                raise AccountMismatch(f"the file is of {name}, not of {self.given.name}")
            return self.accounts[known]
        account = self.given
        if account is not None and self.linked and account.id in self.linked.values():
            raise AccountMismatch("the file is of several accounts; import it without naming one")
        if account is None:
            account = self._open(item, number)
        self.linked[number] = account.id
        return account

    def _open(self, item: StatementAccount, number: str) -> Account:
        asset = (item.asset or "").strip().upper() or self.currency
        taken = {account.name for account in self.accounts.values()}
        name = number[:190] if number not in taken else f"{number[:150]} ({len(taken)})"
        account = Account(
            id=new_id(), name=name, kind=AccountKind(item.kind), asset=asset, owner=self.owner
        )
        self.accounts[account.id] = self.opened[account.id] = account
        return account

    def _line(self, item: StatementLine) -> Staged | None:
        self.lines += 1
        if self.lines + self.faulty > self.max_lines:
            raise StatementTooLarge(f"more than {self.max_lines} lines")
        account = self._account
        if account is None:
            raise AccountNeeded("the file names no account; say which account it is of")
        asset = self._asset if item.asset is None else self._known(item.asset.strip().upper())
        if asset is None:
            raise CurrencyNeeded(f"the file names no currency, and {account.name} has none yet")
        try:
            units = units_of(item.amount, asset.scale)
        except BadAmount as error:
            self.lines -= 1
            self._fault(FaultyLine(place=item.place, reason=error.message))
            return None
        self._count(item.date, units, item.booked, asset)
        description = _clean(item.description, MAX_TEXT)
        counterparty = (_clean(item.counterparty, MAX_TEXT) or None) if item.counterparty else None
        bank_id = (_clean(item.bank_id, 200) or None) if item.bank_id else None
        text = f"{counterparty} {description}" if counterparty else description
        return (
            item.place,
            account.id,
            identity_of(self.source, item.date, units, asset.id, text, bank_id),
            item.date,
            units,
            asset.id,
            description,
            counterparty,
            merchant_key(counterparty or description),
            bank_id,
            item.booked,
            _clean(item.category, 200) if item.category else "",
            _raw(item.raw),
        )

    def _count(self, on: date, units: int, booked: bool, asset: Asset) -> None:
        control = self._control
        if control is None or not booked:
            return
        if asset.id == control.asset:
            control.moved += units
        if on < control.first:
            control.first = on
        if on > control.last:
            control.last = on

    def _fault(self, item: FaultyLine) -> None:
        self.faulty += 1
        if len(self.set_aside) < MAX_SHOWN:
            self.set_aside.append(SetAside(place=item.place, reason=item.reason[:500]))
        # A line whose amount can be read still counts for the control sum.
        if item.amount is not None and self._control is not None:
            try:
                self._control.moved += units_of(item.amount, self._control.scale)
            except BadAmount:
                return

    def _balance(self, item: StatementBalance) -> None:
        account, asset, control = self._account, self._asset, self._control
        if account is None or asset is None or control is None:
            return
        try:
            units = units_of(item.amount, asset.scale)
        except BadAmount as error:
            self._fault(FaultyLine(place=item.place, reason=f"balance: {error.message}"))
            return
        if item.kind == "opening":
            control.opening, control.opening_on = units, item.date
        elif item.kind == "closing":
            control.closing = units
            control.last = max(item.date, control.last)
        else:
            self.balances.append((account.id, asset.id, item.date, units, "observed"))

    def _end(self) -> None:
        """What a finished statement says about balances at the end of days."""
        control, account = self._control, self._account
        self._control = None
        if control is None or account is None:
            return
        self.controls.append(control)
        if control.opening is not None and control.opening_on is not None:
            first = control.opening_on if control.first == date.max else control.first
            before = first - timedelta(days=1)
            self.balances.append((account.id, control.asset, before, control.opening, "opening"))
        if control.closing is not None and control.last != date.min:
            self.balances.append(
                (account.id, control.asset, control.last, control.closing, "closing")
            )

    def _known(self, code: str) -> Asset:
        asset = self.assets.get(code)
        if asset is None:
            raise UnknownAsset(f"the file is in {code[:40]!r}, which is no known asset")
        return asset


def normal_number(number: str | None) -> str | None:
    """An account number without blanks, upper case: as files of one bank differ, this does not."""
    normal = "".join((number or "").translate(NOT_TEXT).split()).upper()
    return normal[:200] or None


def _clean(text: str | None, longest: int) -> str:
    if not text:
        return ""
    # Nearly every text is printable, and looking costs a tenth of translating.
    return (text if text.isprintable() else text.translate(NOT_TEXT))[:longest].strip()


# Made once: json.dumps would make one for every line.
_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def _raw(raw: object) -> str | None:
    """What the file said, as JSON in ASCII: Postgres takes no NUL in text, but its escape."""
    if type(raw) is list and raw:
        # A row of plain cells is its own JSON, at a fifth of the cost.
        row = '","'.join(raw)
        marks = 2 * (len(raw) - 1)
        if row.isascii() and row.isprintable() and "\\" not in row and row.count('"') == marks:
            return f'["{row}"]'
    return None if raw is None else _json(raw)
