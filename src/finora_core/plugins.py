"""The plugin contract: what a third party implements, and what it is given.

A plugin is a package with an entry point in the group `finora` and a static `finora-plugin.toml`
beside its top package's `__init__.py`. Its hooks are given a `register` callback; the host owns
naming, order and clashes. Finora's own providers register through the same hooks.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, ClassVar, Literal, Protocol, Self, TypeVar

import attrs
import pluggy

from finora_core.kernel.errors import Invalid
from finora_core.kernel.outcome import AuthExpired, Down, Missing, Outcome, RateLimited

CONTRACT_VERSION = 1
T = TypeVar("T")

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


# --- broker files --------------------------------------------------------------------------------


ActivityName = Literal[
        "buy", "sell", "deposit", "withdraw", "transfer_in", "transfer_out", "swap_in", "swap_out",
        "fee", "tax", "reward", "interest", "dividend", "airdrop", "opening_balance", "split",
        "unknown",
    ]  # fmt: skip
"""What an activity is."""


@attrs.frozen(kw_only=True)
class ActivityLine:
    """What a broker says happened to a holding. Numbers are plain decimals, signed as the holding
    saw them; the host's gate reads them, and rounds money to its units."""

    place: int
    """As a StatementLine's."""
    kind: ActivityName
    at: datetime
    """With its zone; midnight UTC of a day that has no time."""
    asset: str
    """`EUR`, `isin:IE00BK5BQT80`, `ticker:VWCE.DE`, `crypto:BTC`, or `own:` and the name of a thing
    of the person's own. Empty is the money of the account, where the file does not say which."""
    quantity: str = "0"
    price: str | None = None
    """Of one whole, in whole units of `quote`."""
    quote: str | None = None
    counter: tuple[str, str] | None = None
    """Amount and asset of the other leg, before fees and taxes."""
    net: tuple[str, str] | None = None
    """The same after fees and taxes, where the file has that: the host adds them."""
    fee: tuple[str, str] | None = None
    """Positive where it was paid."""
    tax: tuple[str, str] | None = None
    shares: str | None = None
    """What a dividend was paid on."""
    external_id: str | None = None
    """The broker's own, where it stays."""
    note: str = ""
    raw: object = None


class ActivityFormat(Protocol):
    """One format of files that brokers write. Stateless, as a StatementFormat."""

    name: ClassVar[str]
    """Stable, lower case. The source of its activities."""
    institution: ClassVar[str]
    """Whose files these are: an id of the catalogue, or `manual` where anybody writes them."""
    settles: ClassVar[bool]
    """Whether it tells of all money of the account. Else the money of a trade is nobody's balance:
    it would be below zero for ever."""

    def recognises(self, head: bytes, filename: str) -> int:
        """As a StatementFormat's."""

    def read(self, file: BinaryIO) -> Iterator[ActivityLine | FaultyLine]:
        """The file's activities, in any order. Raises StatementRefused."""


@hookspec
def register_activity_formats(register: Callable[[ActivityFormat], None]) -> None:
    """Call `register` once for each format of broker files."""


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


# --- what a manifest says ------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Credential:
    """What the operator sets as `FINORA_PLUGIN_<NAME>_<FIELD>`."""

    field: str
    """Stable, lower case: `key`."""
    secret: bool = True
    required: bool = True
    """Whether nothing is answered without it."""
    about: str = ""
    """One line: where to get it, and the least that it must allow."""


@attrs.frozen
class Limit:
    """At most so many requests in any so many seconds."""

    requests: int
    seconds: int


@attrs.frozen(kw_only=True)
class Provides:
    """One source that a plugin reaches, as its manifest declares it: a `[[provides]]`."""

    name: str
    kinds: tuple[str, ...]
    """Of DECLARED: what its provider is registered for."""
    hosts: tuple[str, ...]
    """Names of the servers that it asks, over https; the first one's paths need no host. A store of
    files may have none: a disk."""
    capabilities: tuple[str, ...] = ()
    """Of prices: `latest`, `history`."""
    assets: tuple[str, ...] = ()
    """Kinds of assets that it knows; empty for all."""
    since: date | None = None
    """The first day of its history."""
    granularity: Literal["daily", "intraday"] = "daily"
    """Of its latest prices."""
    credentials: tuple[Credential, ...] = ()
    limits: tuple[Limit, ...] = ()
    cost_micros: int = 0
    """What one request costs, in millionths of a US dollar."""
    safe_posts: bool = False
    """Whether a POST that was not answered may be asked again."""
    answers_s: int = 10
    """How long one answer may take."""


KINDS = ("prices", "rates", "assets", "balances", "transactions", "pictures")
"""Of data that is asked for."""
SENDING = ("mailers", "notifiers")
"""What is given something to hand on."""
REACHING = (*KINDS, *SENDING)
"""What reaches outside, through the injected Http only."""
DECLARED = (*REACHING, "storages")
"""What a manifest has a `[[provides]]` for. A store of files reaches out by itself."""


# --- market data ---------------------------------------------------------------------------------


class NoAnswer(Exception):
    """There is no answer to work with; `outcome` says why. Raised by the injected Http and caught
    by the host, so a provider only writes what it does with an answer."""

    def __init__(self, outcome: Outcome[Any]) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


@attrs.frozen
class Reply:
    """A good answer (2xx), whole, within the size that the host reads."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Self:
        """What a server answered; raises NoAnswer where that is no good answer."""
        match status:
            case _ if 200 <= status < 300:
                return cls(status, headers, body)
            case 401 | 402 | 403:
                # A full account is no better tomorrow than a wrong key.
                raise NoAnswer(AuthExpired())
            case 404:
                raise NoAnswer(Missing())
            case 429:
                pause = retry_after(headers, now)
                raise NoAnswer(RateLimited(_PAUSE_S if pause is None else max(pause, 1)))
            case 503 | 529 if (pause := retry_after(headers, now)) is not None:
                raise NoAnswer(RateLimited(max(pause, 1)))
        raise NoAnswer(Down(f"it answers {status}"))

    def json(self) -> Any:
        """The body as JSON values. Numbers with a fraction are Decimals with every digit that was
        sent. Raises NoAnswer(Down) where it is none, or holds NaN or an infinity."""
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise NoAnswer(Down("the answer is not JSON")) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


_PAUSE_S = 60
"""Where a server says that it was asked too often, and not until when."""
_LONGEST_PAUSE_S = 3_600


def retry_after(headers: Mapping[str, str], now: datetime) -> int | None:
    """Seconds until a server may be asked again, where it says so: a number, or a date."""
    said = headers.get("retry-after", "").strip()
    if said.isdecimal() and said.isascii():
        return min(int(said[:9]), _LONGEST_PAUSE_S)
    try:
        left = parsedate_to_datetime(said) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(-(-left // timedelta(seconds=1)), 0), _LONGEST_PAUSE_S)


_OTHER_SHAPE = (
    LookupError, ValueError, TypeError, AttributeError, ArithmeticError, SyntaxError,
)  # fmt: skip
"""What reading it raises, a broken XML among it."""


def answer_of(call: Callable[[], Outcome[T]]) -> Outcome[T]:
    """What a provider answers. An Http's NoAnswer is its answer, and so is an answer of the server
    in another shape than the provider reads; all else that it raises is a fault of its own."""
    try:
        return call()
    except NoAnswer as said:
        return said.outcome
    except _OTHER_SHAPE as error:
        return Down(f"it does not answer in the shape that is read: {type(error).__name__}")


class Http(Protocol):
    """The one way out: a provider imports no HTTP library. It keeps the manifest's hosts and
    limits, ends in time, asks again after what was transient, and lets no secret into logs, errors
    or recordings. Whatever is no good answer is raised as NoAnswer: 401 and 403 AuthExpired, 404
    Missing, 429 RateLimited, all else Down."""

    def get(self, url: str, /, headers: Mapping[str, str] | None = None, **query: str) -> Reply:
        """`url` is of one of the manifest's hosts; only its path where the manifest has one."""

    def post(
        self, url: str, body: object, /, headers: Mapping[str, str] | None = None, **query: str
    ) -> Reply:
        """`body` is JSON values. Asked again only where the manifest says that this is safe."""


@attrs.frozen(kw_only=True)
class Access:
    """What a provider is given, and all that it is given."""

    http: Http
    now: Callable[[], datetime]
    """The host's clock, in UTC."""
    credentials: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """By the manifest's fields."""
    log: Callable[[str], None] = print
    """One line for the operator, without secrets."""


@attrs.frozen(kw_only=True)
class AssetRef:
    """An asset, and what the world calls it."""

    id: str
    """Finora's own: `EUR`, `isin:IE00B4L5Y983`, `eip155:1/slip44:60`."""
    kind: Literal["currency", "crypto", "security", "other"]
    symbol: str
    """What people write: `ETH`, `VWCE.DE`. Not unique."""
    names: Mapping[str, str] = attrs.field(factory=dict)
    """What each namespace calls it: `{"coingecko": "ethereum", "isin": "IE00B4L5Y983"}`."""


@attrs.frozen(kw_only=True)
class Quoted:
    """One whole unit of the asset was worth `price` whole units of `quote` at that time."""

    asset: str
    """The AssetRef's id."""
    quote: str
    price: Decimal
    """Finite and above zero; the host sets anything else aside."""
    at: datetime


@attrs.frozen(kw_only=True)
class Day:
    """A day's price or rate: its close, in whole units of the quote."""

    on_date: date
    price: Decimal


class Prices(Protocol):
    """Prices of assets."""

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        """In any order. What it does not have is left out, and never answered with a guess."""

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]:
        """Closing prices of the days of that span, both ends in it, by day. A day without trade is
        left out. Unsupported where it keeps no past."""


class Rates(Protocol):
    """Reference rates between currencies."""

    def rates(
        self, base: str, quotes: Sequence[str], since: date, until: date
    ) -> Outcome[Mapping[str, Sequence[Day]]]:
        """What one `base` was worth, by quote and day; a day without a fixing is left out."""


@attrs.frozen(kw_only=True)
class Identified:
    """One asset that a search found."""

    name: str
    """What the provider's namespace calls it, to ask for it by."""
    symbol: str
    title: str
    """As people read it: `Apple Inc`."""
    kind: Literal["currency", "crypto", "security", "other"]
    quote: str | None = None
    """The currency it trades in, where it has one."""
    names: Mapping[str, str] = attrs.field(factory=dict)
    """What other namespaces call it, where the provider says so."""


class Assets(Protocol):
    """Who an asset is."""

    def find(self, text: str) -> Outcome[Sequence[Identified]]:
        """What an ISIN, a symbol or a name may mean, likeliest first."""


@attrs.frozen(kw_only=True)
class Held:
    """So many of an asset, as the other side says."""

    name: str
    """In the provider's namespace: a token's contract, a coin's symbol."""
    symbol: str
    quantity: Decimal
    scale: int
    """Decimal digits that the other side counts it in."""


class Balances(Protocol):
    """What an address or an account holds now."""

    def balances(self, account: str) -> Outcome[Sequence[Held]]: ...


@attrs.frozen(kw_only=True)
class Movement:
    """One asset moved in or out of the account."""

    id: str
    """The other side's, the same each time it is asked: told apart by it."""
    at: datetime
    name: str
    symbol: str
    quantity: Decimal
    """Positive is into the account."""
    scale: int
    kind: Literal["transfer", "fee"] = "transfer"
    counterparty: str | None = None


@attrs.frozen(kw_only=True)
class Batch:
    """Some movements, oldest first, and where to go on. The host keeps both together."""

    movements: Sequence[Movement]
    next: str | None
    """None where there is no more for now: then the next call begins with the last cursor."""


class Transactions(Protocol):
    """What moved on an address or an account."""

    def transactions(self, account: str, cursor: str | None) -> Outcome[Batch]:
        """From the beginning with None. The same cursor again is the same batch or a longer one."""


class PictureUnreadable(Invalid):
    """A picture is a PNG, a JPEG or a WebP of at most 5 MB."""

    code = "PICTURE_UNREADABLE"


_PICTURES = ((b"\x89PNG\r\n\x1a\n", 0, "image/png"), (b"\xff\xd8\xff", 0, "image/jpeg"),
             (b"WEBP", 8, "image/webp"))  # fmt: skip
_MOST_PICTURE = 5 << 20


@attrs.frozen
class Picture:
    """A screenshot or a photograph: of a list of holdings, of a statement."""

    content: bytes = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        if len(self.content) > _MOST_PICTURE or not self.media_type:
            raise PictureUnreadable("it is no PNG, JPEG or WebP of at most 5 MB")

    @property
    def media_type(self) -> str:
        """By its first bytes, whatever its name was."""
        found = (said for mark, at, said in _PICTURES if self.content[at:].startswith(mark))
        return next(found, "")


@attrs.frozen(kw_only=True)
class Seen:
    """One row of a picture, as it is written there. Nothing is done with it until a person has
    looked at it: whoever made the picture wrote what stands in it."""

    kind: Literal["holding", "transaction"]
    text: str
    """What is held, or what a transaction is described by."""
    quantity: Decimal | None = None
    amount: Decimal | None = None
    """Of a holding its worth; of a transaction what came in, negative for what went out."""
    currency: str | None = None
    """Code of the amount's, where it can be seen."""
    on_date: date | None = None


class Pictures(Protocol):
    """What is written in a picture."""

    def picture(self, picture: Picture) -> Outcome[Sequence[Seen]]:
        """Its rows from top to bottom; Missing where there are none. What cannot be read is left
        out, and never guessed."""


class Provider(Protocol):
    """One way to reach a source. Registered once; a class whose constructor takes an Access, and
    whose objects are what the hook is for, is one. Its capabilities, credentials, limits and hosts
    are in the manifest, under its name."""

    @property
    def name(self) -> str:
        """Stable, lower case: `coingecko`. The namespace of its names too."""

    def __call__(self, access: Access, /) -> Any: ...


@hookspec
def register_prices(register: Callable[[Provider], None]) -> None:
    """Call `register` once for each source of prices: see Prices."""


@hookspec
def register_rates(register: Callable[[Provider], None]) -> None:
    """Call `register` once for each source of currency rates: see Rates."""


@hookspec
def register_assets(register: Callable[[Provider], None]) -> None:
    """Call `register` once for each source of identities: see Assets."""


@hookspec
def register_balances(register: Callable[[Provider], None]) -> None:
    """Call `register` once for each source of balances: see Balances."""


@hookspec
def register_transactions(register: Callable[[Provider], None]) -> None:
    """Call `register` once for each source of movements: see Transactions."""


@hookspec
def register_pictures(register: Callable[[Provider], None]) -> None:
    """Call `register` once for each reader of pictures: see Pictures."""


# --- letters -------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Mail:
    """One letter, as mail servers take it."""

    id: str
    """Its Message-ID without brackets; the same where it is sent again, for whoever takes a key of
    idempotency."""
    sender: str
    """The address alone, in ASCII. Its name is in the content."""
    to: str
    content: bytes = attrs.field(repr=False)
    """By RFC 5322, in ASCII. What it links to is as good as a password."""


class Mailers(Protocol):
    """A way for letters."""

    def send(self, mail: Mail) -> Outcome[None]:
        """Ok once it was taken. Missing where it is never taken: there is nobody of that address.
        After anything else it is sent again, with the same id."""


@hookspec
def register_mailers(register: Callable[[Provider], None]) -> None:
    """Call `register` once for each way for letters: see Mailers."""


# --- notices -------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Notice:
    """What somebody is to know, in words. Nothing in it opens a door: what does goes by mail."""

    id: str
    """The same where it is delivered again, for whoever takes a key of idempotency."""
    kind: str
    """One word: `budget_reached`, `new_sign_in`."""
    tenant: str
    """Whose books it is about, by their id."""
    user: str | None
    """Who is to know, by id; None is whoever runs this installation."""
    title: str
    text: str = attrs.field(repr=False)


class Notifiers(Protocol):
    """A way for notices: a chat, a webhook. Whom a person is there, the other side knows."""

    def notify(self, notice: Notice) -> Outcome[None]:
        """Ok once it was taken. Missing where it is never taken, and Unsupported where notices of
        that kind are none of its. After anything else it is sent again, with the same id."""


@hookspec
def register_notifiers(register: Callable[[Provider], None]) -> None:
    """Call `register` once for each way for notices: see Notifiers."""


# --- stores of files -----------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class StorageAccess:
    """What a store of files is given. It streams, so it reaches its servers by itself, with a
    library of its own and with time limits of its own."""

    credentials: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """By the manifest's fields."""
    url: str | None = None
    """The server to ask in place of the manifest's first host, where the operator names one."""
    log: Callable[[str], None] = print
    """One line for the operator, without secrets."""


@attrs.frozen(kw_only=True)
class Blob:
    """One object that is kept."""

    name: str
    bytes: int
    written_at: datetime
    """With its zone."""


class Storages(Protocol):
    """A store of objects by name, asked from any thread. A name is ASCII of letters, digits, `-`,
    `.` and `/`, at most 200 long; whose it is and what it means is the host's affair, and so is
    whether the bytes are those that were put. Missing is what is not there; Down what may pass."""

    def put(self, name: str, content: BinaryIO, size: int) -> Outcome[None]:
        """Keep what `content` gives from where it stands, `size` bytes, streamed, in place of what
        had the name. Ok once it is durable. Whoever reads sees all of it, or what was before."""

    def create(self, name: str, content: bytes) -> Outcome[bool]:
        """Keep a small object under a name that is free, durably; Ok(False), and nothing changed,
        where it is taken. Of several at once one is Ok(True)."""

    def open(self, name: str) -> Outcome[BinaryIO]:
        """What was put, to be read once; the host closes it."""

    def stat(self, name: str) -> Outcome[Blob]: ...

    def delete(self, name: str) -> Outcome[None]:
        """Ok also where there is nothing of that name."""

    def list(self, prefix: str, after: str) -> Outcome[Sequence[Blob]]:
        """The next ones, at most 1,000, of the names that begin with `prefix` and are greater than
        `after`, both maybe empty, in the order of the names as text. None is the end."""

    def upload_url(self, name: str, size: int, seconds: int) -> Outcome[str]:
        """An https URL that takes one PUT of exactly `size` bytes under that name, and opens
        nothing else; Unsupported where bytes go through Finora."""

    def download_url(self, name: str, title: str, media_type: str, seconds: int) -> Outcome[str]:
        """An https URL that gives the object as an attachment called `title`; Unsupported as
        above."""


class StorageProvider(Protocol):
    """One kind of store. Registered once; a class whose constructor takes a StorageAccess, and
    whose objects are Storages, is one."""

    @property
    def name(self) -> str:
        """Stable, lower case: `azure`. What `FINORA_STORAGE_PLUGIN` says."""

    def __call__(self, access: StorageAccess, /) -> Storages: ...


@hookspec
def register_storages(register: Callable[[StorageProvider], None]) -> None:
    """Call `register` once for each kind of store of files: see Storages."""


# --- chains --------------------------------------------------------------------------------------

_CHAIN = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}")


@attrs.frozen(kw_only=True)
class Chain:
    """A chain of blocks that there are addresses on. Raises ValueError where it is not whole."""

    name: str
    """Stable, lower case: `base`."""
    id: str
    """By CAIP-2: `eip155:8453`. An account on it is that, a colon, and the address (CAIP-10)."""
    title: str
    symbol: str
    """Of its own coin."""
    scale: int
    """Digits that its own coin is counted in."""
    native: str
    """The asset that its own coin is, by CAIP-19: `eip155:8453/slip44:60`."""
    confirmations: int
    """After so many blocks it is believed that something happened."""
    address: Callable[[str], str | None]
    """An address as it is usually written, or None for what is none; see finora_core.addresses."""
    explorer: str = ""
    """An https URL that shows an address, where one is put behind it."""

    def __attrs_post_init__(self) -> None:
        if not _CHAIN.fullmatch(self.id):
            raise ValueError(f"chain {self.name}: its id is written as CAIP-2 does, eip155:1")
        if not self.native.startswith(f"{self.id}/") or self.native == f"{self.id}/":
            raise ValueError(f"chain {self.name}: its own coin is an asset on it, {self.id}/...")
        if not 0 <= self.scale <= 36 or not 1 <= self.confirmations <= 10_000:
            raise ValueError(f"chain {self.name}: scale is 0 to 36, confirmations 1 to 10000")
        if not self.title.strip() or not self.symbol.strip():
            raise ValueError(f"chain {self.name}: it has a title and a symbol")
        if self.explorer and not self.explorer.startswith("https://"):
            raise ValueError(f"chain {self.name}: its explorer is an https URL")


@hookspec
def register_chains(register: Callable[[Chain], None]) -> None:
    """Call `register` once for each chain."""
