"""The plugin contract: what a third party implements, and what it is given.

A plugin is a package with an entry point in the group `finora` and a static `finora-plugin.toml`
beside its top package's `__init__.py`. Its hooks are given a `register` callback; the host owns
naming, order and clashes. Finora's own providers register through the same hooks.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import BinaryIO, ClassVar, Literal, Protocol

import attrs
import pluggy

from finora_core.kernel.errors import Invalid

CONTRACT_VERSION = 1

hookspec = pluggy.HookspecMarker("finora")
hookimpl = pluggy.HookimplMarker("finora")


# --- statement formats ---------------------------------------------------------------------------


class StatementRefused(Invalid):
    """The file cannot be imported; nothing of it was. `details` names the place and the reason."""

    code = "STATEMENT_UNREADABLE"

    @classmethod
    def at(cls, place: int | str, reason: str) -> "StatementRefused":
        """`place` is a line number (1-based) or a path in the file."""
        where = f"line {place}" if isinstance(place, int) else place
        return cls(f"{where}: {reason}", details=((where, reason),))


class StatementEmpty(StatementRefused):
    """The file holds no statement at all."""

    code = "STATEMENT_EMPTY"


class StatementTooLarge(StatementRefused):
    """The file, one of its lines, or what it unpacks to is larger than the limits allow."""

    code = "STATEMENT_TOO_LARGE"


@attrs.frozen
class Reading:
    """One way to read a file: the answers that choose it, and what its first lines say then."""

    answers: Mapping[str, str]
    sample: tuple[tuple[date, str, str], ...]
    """(date, amount, description) of the first lines, in this reading."""


class StatementAmbiguous(StatementRefused):
    """Two readings fit. Choose one by passing its answers; the choice is kept for this layout."""

    code = "STATEMENT_AMBIGUOUS"

    def __init__(self, question: str, readings: tuple[Reading, ...]) -> None:
        shown = [
            {
                "answers": dict(reading.answers),
                "sample": [
                    {"date": day.isoformat(), "amount": amount, "description": text}
                    for day, amount, text in reading.sample
                ],
            }
            for reading in readings
        ]
        super().__init__(
            f"this file can be read in {len(readings)} ways; say which: {question}",
            facts={"question": question, "readings": shown},
        )
        self.question = question
        self.readings = readings


@attrs.frozen(kw_only=True)
class StatementAccount:
    """Opens a statement: the lines that follow are this account's, until the next one."""

    number: str | None
    """IBAN or number as the file has it; None where the file names no account."""
    asset: str | None
    """Currency code of the amounts; None where the file does not say."""
    name: str | None = None
    bank: str | None = None
    """BIC or routing number."""
    kind: Literal["asset", "liability"] = "asset"
    """A card or a loan is a liability."""


@attrs.frozen(kw_only=True)
class StatementLine:
    """One line as the bank sent it. Text is given as read; the host normalises."""

    place: int
    """Line number in the file, or the entry's ordinal where lines mean nothing; from 1."""
    date: date
    """Booking date; the value date where the file has no other."""
    amount: str
    """A plain decimal, `-12.34`; positive is money into the account. The host's gate reads it."""
    description: str = ""
    counterparty: str | None = None
    bank_id: str | None = None
    """The bank's own id of this line, where it is one that stays (FITID, AcctSvcrRef)."""
    booked: bool = True
    category: str | None = None
    asset: str | None = None
    """Currency, where it is not the statement's."""
    raw: object = None
    """What was received, as JSON values."""


@attrs.frozen(kw_only=True)
class FaultyLine:
    """A line that cannot be read. It is set aside; the good lines are imported."""

    place: int
    reason: str
    amount: str | None = None
    """Its amount, where that much can be read: it still counts for the control sum."""


@attrs.frozen(kw_only=True)
class StatementBalance:
    """A balance the statement claims. `opening` holds before the statement's first line,
    `closing` after its last; `observed` at the end of its date, whatever the lines."""

    kind: Literal["opening", "closing", "observed"]
    date: date
    amount: str
    place: int = 0


StatementItem = StatementAccount | StatementLine | FaultyLine | StatementBalance


class StatementFormat(Protocol):
    """One statement format. Stateless: one object serves all imports, from any thread."""

    name: ClassVar[str]
    """Stable, lower case: `ofx`, `camt`. Part of how lines are told apart across formats."""

    def recognises(self, head: bytes, filename: str) -> int:
        """How sure it is, 0 (not mine) to 100 (cannot be another), from the first 64 KiB."""

    def layout(self, head: bytes) -> str | None:
        """A stable name of this bank's layout, under which answers and an account are kept;
        None where the format needs no answers."""

    def read(self, file: BinaryIO, answers: Mapping[str, str]) -> Iterator[StatementItem]:
        """Yield the file's items in its order, in bounded memory: a StatementAccount first.

        `file` is seekable and stands at 0. Raises StatementRefused for a file that is not to be
        imported at all, StatementAmbiguous where `answers` must decide.
        """


@hookspec
def register_statement_formats(register: Callable[[StatementFormat], None]) -> None:
    """Call `register` once for each statement format."""
