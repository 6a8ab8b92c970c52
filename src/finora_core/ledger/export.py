"""The books as a beancount file or an hledger journal, line by line, with nothing lost.

Every entry keeps its id, cause, flow, reference, reversal, rate and time of recording: as metadata
in beancount, as tags in hledger. Names that a tool's grammar does not take are mapped to ones that
it does, each to its own; `open`, `account` and `commodity` keep the name as it is here.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain
from uuid import UUID

import attrs

from finora_core.kernel.amount import text_of
from finora_core.kernel.asset import Asset
from finora_core.kernel.errors import Invalid
from finora_core.ledger.model import Account, AccountKind, Entry, EntryWords


class UnknownExport(Invalid):
    """The books can be written for beancount and for hledger, and for nothing else yet."""

    code = "UNKNOWN_EXPORT"


Told = Iterator[tuple[Entry, EntryWords | None]]


def exported(
    tool: str,
    accounts: Iterable[Account],
    entries: Iterable[Entry],
    words: Iterable[EntryWords] = (),
) -> Iterator[str]:
    """The lines, each with its end. `entries` and `words` come by date, then by id, and go by:
    nothing of them is kept. Every account that they name must be in `accounts`.

    Raises UnknownExport.
    """
    check_tool(tool)
    ordered = sorted(accounts, key=lambda account: (account.kind, account.name))
    return (f"{line}\n" for line in _WRITERS[tool](ordered, _told(entries, words)))


def check_tool(tool: str) -> None:
    if tool not in _WRITERS:
        raise UnknownExport(f"no export for {tool!r}; there are {', '.join(_WRITERS)}")


def _told(entries: Iterable[Entry], words: Iterable[EntryWords]) -> Told:
    """Each entry with its words, merged by date and id."""
    said = iter(words)
    word = next(said, None)
    for entry in entries:
        here = (entry.on_date, entry.id)
        while word is not None and (word.on_date, word.entry_id) < here:
            word = next(said, None)
        known = word is not None and word.entry_id == entry.id
        yield entry, word if known else None


_ROOTS: Mapping[AccountKind, str] = {
    AccountKind.ASSET: "Assets",
    AccountKind.LIABILITY: "Liabilities",
    AccountKind.INCOME: "Income",
    AccountKind.EXPENSE: "Expenses",
    AccountKind.EQUITY: "Equity",
    # Neither tool has a place for the rest of the world; this one keeps their sheets balanced.
    AccountKind.OUTSIDE: "Equity:Outside",
}


def _account_facts(account: Account) -> Iterator[tuple[str, str]]:
    yield "id", str(account.id)
    yield "name", account.name
    yield "kind", account.kind
    for key, value in (
        ("asset", account.asset),
        ("floor", account.floor),
        ("owner", account.owner),
    ):
        if value is not None:
            yield key, str(value)


def _entry_facts(entry: Entry, words: EntryWords | None) -> Iterator[tuple[str, str]]:
    yield "id", str(entry.id)
    yield "cause", entry.cause
    yield "flow", entry.flow
    if entry.reference is not None:
        yield "reference", entry.reference
    if entry.reverses is not None:
        yield "reverses", str(entry.reverses)
    if entry.rate is not None:
        yield "rate", format(entry.rate, "f")
    if entry.rate_source is not None:
        yield "rate-source", entry.rate_source
    if entry.bank_date is not None:
        yield "bank-date", entry.bank_date.isoformat()
    if entry.recorded_at is not None:
        yield "recorded-at", entry.recorded_at.isoformat()
    if words is not None and words.category:
        yield "category", words.category


@attrs.define
class _Names:
    """Names that a grammar takes, each used once; asking again for a key gives the same."""

    fit: Callable[[str], str]
    given: dict[str, str] = attrs.field(factory=dict)
    taken: set[str] = attrs.field(factory=set)

    def of(self, key: str, wanted: str) -> str:
        found = self.given.get(key)
        if found is None:
            plain = found = self.fit(wanted)
            number = 1
            while found in self.taken:
                number += 1
                found = f"{plain}-{number}"
            self.taken.add(found)
            self.given[key] = found
        return found


def _accounts(ordered: Sequence[Account], fit: Callable[[str], str]) -> Mapping[UUID, str]:
    names = _Names(lambda wanted: wanted)
    return {
        account.id: names.of(str(account.id), f"{_ROOTS[account.kind]}:{fit(account.name)}")
        for account in ordered
    }


# --- beancount -----------------------------------------------------------------------------------

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"})
_NO_ENTRY = date(1970, 1, 1)
# Beancount computes with 28 digits, and the sum of an entry's 10,000 postings may have 4 more.
_EXACT_UNITS = 10**24


def _beancount(ordered: Sequence[Account], told: Told) -> Iterator[str]:
    """An account is opened, and a commodity declared, at the first entry's date."""
    first = next(told, None)
    start = first[0].on_date if first else _NO_ENTRY
    accounts = _accounts(ordered, _beancount_account)
    assets = _Names(_beancount_commodity)
    most = dict[str, int]()
    for account in ordered:
        yield f"{start} open {accounts[account.id]}"
        yield from _metadata(_account_facts(account))
    for entry, words in chain((first,) if first else (), told):
        for asset in _new(entry, assets):
            yield f"{start} commodity {assets.of(asset.id, asset.id)}"
            yield from _metadata((("id", asset.id), ("scale", str(asset.scale))))
        for asset, lost in _lost(entry, most):
            slack = f"{assets.of(asset.id, asset.id)}:{lost}"
            yield f'option "inferred_tolerance_default" {_quoted(slack)}'
        payee = f"{_quoted(words.counterparty)} " if words and words.counterparty else ""
        yield ""
        yield f"{entry.on_date} * {payee}{_quoted(words.description if words else entry.cause)}"
        yield from _metadata(_entry_facts(entry, words))
        for posting in entry.postings:
            amount = posting.amount
            commodity = assets.of(amount.asset.id, amount.asset.id)
            yield f"  {accounts[posting.account_id]}  {amount.text} {commodity}"


def _lost(entry: Entry, most: dict[str, int]) -> Iterator[tuple[Asset, str]]:
    """What beancount's arithmetic may lose of sums this large, where none before were: the file
    has every digit, and beancount would say of its own rounding that an entry does not balance."""
    for posting in entry.postings:
        asset, size = posting.amount.asset, abs(posting.amount.units)
        if size >= most.get(asset.id, _EXACT_UNITS):
            most[asset.id] = 10 ** len(str(size))
            yield asset, text_of(most[asset.id] // 10**20, asset.scale)


def _metadata(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f"  {key}: {_quoted(value)}" for key, value in facts)


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def _beancount_account(name: str) -> str:
    """Letters, digits and hyphens, an upper-case letter or a digit first."""
    kept = (
        character if unicodedata.category(character)[0] == "L" or character.isdecimal() else "-"
        for character in unicodedata.normalize("NFC", name)
    )
    plain = re.sub("-+", "-", "".join(kept)).strip("-")
    plain = plain[:1].upper() + plain[1:]
    first = unicodedata.category(plain[0]) if plain else ""
    return plain if first in ("Lu", "Nd") else f"X{plain}"


def _beancount_commodity(asset_id: str) -> str:
    """Upper-case letters, digits, dots, underscores and hyphens, a letter first."""
    plain = re.sub("[^A-Z0-9._-]", "-", asset_id.upper()).rstrip("._-")
    # Words of the language's own, and what is too short to be told from a flag.
    reserved = plain in ("TRUE", "FALSE", "NULL") or len(plain) < 2
    return f"X-{plain}" if reserved or not plain[0].isalpha() else plain


# --- hledger -------------------------------------------------------------------------------------

_TYPES: Mapping[str, str] = {
    "Assets": "A", "Liabilities": "L", "Income": "R", "Expenses": "X", "Equity": "E",
    "Equity:Outside": "E",
}  # fmt: skip


def _hledger(ordered: Sequence[Account], told: Told) -> Iterator[str]:
    """Tag values are percent-encoded where hledger would read something into them."""
    accounts = _accounts(ordered, _hledger_account)
    assets = _Names(_hledger_commodity)
    yield "decimal-mark ."
    for account in ordered:
        yield ""
        yield f"account {accounts[account.id]}"
        yield f"  ; type:{_TYPES[_ROOTS[account.kind]]}"
        yield from _tags(_account_facts(account))
    for entry, words in told:
        for asset in _new(entry, assets):
            yield ""
            places = text_of(1000 * 10**asset.scale, asset.scale)
            point = "" if asset.scale else "."
            yield f"commodity {places}{point} {assets.of(asset.id, asset.id)}"
            yield from _tags((("id", asset.id), ("scale", str(asset.scale))))
        yield ""
        yield f"{entry.on_date} * {_title(entry, words)}".rstrip()
        yield from _tags(_entry_facts(entry, words))
        for posting in entry.postings:
            amount = posting.amount
            commodity = assets.of(amount.asset.id, amount.asset.id)
            yield f"  {accounts[posting.account_id]}  {amount.text} {commodity}"


def _tags(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f"  ; {key}:{_encoded(value)}" for key, value in facts)


_TAKEN = re.compile(r"[%,;\[\]\x00-\x1f\x7f-\x9f\u2028\u2029]|^\s|\s$|(?<=\s)\s")


def _encoded(value: str) -> str:
    """Nothing that ends a tag, begins another or means a date, and no blanks that get lost."""
    return _TAKEN.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), value)


def _title(entry: Entry, words: EntryWords | None) -> str:
    """`payee | note`, as far as one line takes them; without words, what made the entry."""
    said = (words.counterparty, words.description) if words else (entry.cause,)
    parts = [" ".join(text.replace(";", ",").replace("|", "/").split()) for text in said if text]
    title = " | ".join(part for part in parts if part)
    # An empty code, lest the bracket begin one.
    return f"() {title}" if title.startswith("(") else title


def _hledger_account(name: str) -> str:
    """All but what divides accounts, begins a comment or would end the name."""
    return " ".join(re.sub('[:;"]', "-", name).split())


def _hledger_commodity(asset_id: str) -> str:
    return asset_id if asset_id.isalpha() else f'"{asset_id}"'


def _new(entry: Entry, known: _Names) -> Iterator[Asset]:
    """The assets that no earlier entry had."""
    for posting in entry.postings:
        asset = posting.amount.asset
        if asset.id not in known.given:
            known.of(asset.id, asset.id)
            yield asset


_WRITERS: Mapping[str, Callable[[Sequence[Account], Told], Iterator[str]]] = {
    "beancount": _beancount,
    "hledger": _hledger,
}
