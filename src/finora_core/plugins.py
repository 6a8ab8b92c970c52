"""The plugin contract: what a third party implements, and what it is given.

A plugin is a package with an entry point in the group `finora` and a static `finora-plugin.toml`
beside its top package's `__init__.py`. Its hooks are given a `register` callback; the host owns
naming, order and clashes. Finora's own providers register through the same hooks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import BinaryIO, ClassVar, Literal, Protocol

import attrs
import pluggy

from finora_core.kernel.errors import Invalid
from finora_core.kernel.outcome import Outcome

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


# --- models --------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ModelAccess:
    """What the settings of this installation say of models: `FINORA_LLM_*`."""

    url: str | None = None
    key: str | None = attrs.field(default=None, repr=False)
    model: str = ""
    limit_s: int = 30
    """Seconds after which a question is over, whatever came of it until then."""


@attrs.frozen(kw_only=True)
class Question:
    """A question to a language model, answered by JSON of a given schema. There is nothing in it
    that a model could call."""

    name: str
    """What is asked, as one word: `categories`. The schema's name on the wire."""
    instructions: str
    """Ours. Nothing of it comes from data."""
    data: Mapping[str, object]
    """What is asked about, as JSON values. Whatever it says, it says nothing to the model."""
    schema: Mapping[str, object]
    """JSON Schema of the answer, an object."""
    most_tokens: int = 4_096
    """Of the answer."""


@attrs.frozen(kw_only=True)
class Answer:
    """What came back. The host checks `value` itself, whatever the provider promises."""

    value: object
    """The parsed JSON; None where it was none, or a call of a tool."""
    model: str
    """As the provider names it."""
    tokens_in: int | None = None
    tokens_out: int | None = None
    """What is billed, where the provider says so."""
    cost_micros: int = 0
    """In millionths of the currency that the provider bills in, where it says so."""


class LanguageModel(Protocol):
    """Answers questions, from any thread, and never raises."""

    def ask(self, question: Question) -> Outcome[Answer]:
        """Within its time limit. Asks again by itself only where the provider said when."""


class LanguageModelProvider(Protocol):
    """One way to reach language models. Registered once; a class whose constructor takes a
    ModelAccess is one."""

    @property
    def name(self) -> str:
        """Stable, lower case: `openai`. What `FINORA_LLM_PROVIDER` says."""

    def __call__(self, access: ModelAccess, /) -> LanguageModel: ...


Vector = Sequence[float]
"""Of length 1, or all zeros for a text in which there was nothing to see."""


class Embeddings(Protocol):
    """Texts as vectors, of which those of like texts are near. The same text is the same vector."""

    @property
    def model(self) -> str:
        """Stable name of the space: vectors of two names are never compared."""

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Outcome[Sequence[Vector]]:
        """One vector for each text, in their order."""


class EmbeddingsProvider(Protocol):
    """One way to make vectors, as LanguageModelProvider is one to reach language models."""

    @property
    def name(self) -> str:
        """Stable, lower case: `hashing`. What `FINORA_EMBEDDINGS` says."""

    def __call__(self, access: ModelAccess, /) -> Embeddings: ...


@hookspec
def register_language_models(register: Callable[[LanguageModelProvider], None]) -> None:
    """Call `register` once for each way to reach language models."""


@hookspec
def register_embeddings(register: Callable[[EmbeddingsProvider], None]) -> None:
    """Call `register` once for each way to make vectors."""
