"""What a route promises, said once: it validates, it documents, it decides who may ask.

A handler is a plain function. Its parameters say what it takes: `app` (the services), `scope`, path
parameters by name, `query` and `body` (pydantic models), `file` (a stream); its route says what it
gives. For a write, the handler calls one service method and returns what that returned: the reply
is made from it in the same transaction, so that a repeat gets the same bytes.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar, get_type_hints
from uuid import UUID

import attrs
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    WithJsonSchema,
)

from finora_core.identity.roles import PERMISSIONS
from finora_core.kernel.amount import Amount
from finora_core.kernel.page import DEFAULT_LIMIT, MAX_LIMIT, Page

Item = TypeVar("Item")


class In(BaseModel):
    """Something a caller sends: unknown names are refused, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    """Something a caller gets, read from an object of core by its attributes. Every field is always
    there, also one that has a default."""

    model_config = ConfigDict(
        from_attributes=True, frozen=True, json_schema_serialization_defaults_required=True
    )


class Money(Out):
    """A sum of one asset: a decimal string in the asset's scale, never a number."""

    amount: str = Field(examples=["12.34"])
    asset: str = Field(examples=["EUR"])


def _money(value: object) -> object:
    if isinstance(value, Amount):
        return {"amount": value.text, "asset": value.asset.id}
    return value


MoneyOut = Annotated[Money, BeforeValidator(_money)]
UnitsOut = Annotated[str, BeforeValidator(str), Field(examples=["-50000"])]
"""Whole units as text: JavaScript would round a larger number."""


def _written(shape: str, parse: Callable[[str], object], said: str) -> PlainValidator:
    """Text of exactly one shape. pydantic takes several: a day as seconds, an id in braces."""
    pattern = re.compile(shape, re.ASCII)

    def read(value: object) -> object:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(said)
        return parse(value)

    return PlainValidator(read)


Id = Annotated[
    UUID,
    _written(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", UUID, "is not an id"),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]
Day = Annotated[
    date,
    _written(r"\d{4}-\d\d-\d\d", date.fromisoformat, "is not a day, YYYY-MM-DD"),
    WithJsonSchema({"type": "string", "format": "date"}),
]
Instant = Annotated[
    datetime,
    _written(
        # Of an hour's minutes there are sixty: the parser would take more.
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:[0-5]\d)",
        datetime.fromisoformat,
        "is not an instant with its zone, YYYY-MM-DDThh:mm:ssZ",
    ),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Text = Annotated[str, Field(max_length=4_000, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Code = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9:/._-]{0,199}$", examples=["EUR"], max_length=200)
]
Decimal = Annotated[
    str, Field(pattern=r"^-?(0|[1-9][0-9]{0,77})(\.[0-9]{1,78})?$", examples=["-12.34"])
]


class MoneyIn(In):
    """A sum of one asset: `{"amount": "12.34", "asset": "EUR"}`. A JSON number is refused."""

    amount: Decimal
    asset: Code


class Paged(In):
    """Which page of a list: `next` of the page before is the cursor."""

    cursor: Annotated[str, Field(max_length=1_000)] | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT


class PageOut(Out):
    """How a list goes on; null at its end."""

    next: str | None


class Listed(Out, Generic[Item]):
    """A page of a list."""

    success: Literal[True] = True
    data: list[Item]
    page: PageOut


class Single(Out, Generic[Item]):
    """One answer."""

    success: Literal[True] = True
    data: Item


def single(value: object) -> object:
    return {"data": value}


def listed(page: Page[Any]) -> object:
    return {"data": list(page.items), "page": {"next": page.next}}


def whole(values: Any) -> object:
    """A list that has no pages, as one."""
    return {"data": list(values), "page": {"next": None}}


Uploads = Literal["file", "statement", "preview"]
Handler = Callable[..., Any]
Adds = Callable[[Handler], Handler]
_PARAMETER = re.compile(r"{(\w+)}")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,18})")


@attrs.frozen(kw_only=True)
class Endpoint:
    """One route."""

    method: str
    path: str
    permission: str | None
    """None: whoever asks."""
    handler: Handler
    reply: TypeAdapter[Any] | None
    """None: the handler gives a response of its own."""
    reply_type: Any
    shape: Callable[[Any], object]
    status: int
    tag: str
    media_type: str
    """Of the reply."""
    cache_s: int
    """Seconds for which the reply may be kept, under the tenant's data version; 0: not at all."""
    limit: str
    """Name of the policy that says how often it may be asked."""
    step_up: bool
    """Whether who asks must have proven it within the last minutes."""
    body_kb: int | None
    """Largest body, where it is not the usual."""
    kept: bool
    """Whether its reply is kept for a repeat; not where it has a secret in it."""
    private: bool
    """Its body holds secrets: no refusal names what is in it, and what is kept of it, to know a
    repeat by, is of no use to whoever reads the database."""
    parameters: tuple[str, ...]
    """Of the path; each is an id."""
    query: type[In] | None
    body: type[In] | None
    uploads: Uploads | None
    """What its stream is, if it takes one."""
    also: tuple[str, ...]
    """Statuses of its own, besides those that its kind has."""
    headers: Callable[[Any], Mapping[str, str]]
    """Of its own, by what the handler gave."""

    @property
    def name(self) -> str:
        return self.handler.__name__

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def rule(self) -> str:
        """The path as Flask writes it. What is no id is no path: `preview` beside `{import_id}`."""
        return _PARAMETER.sub(r"<uuid:\1>", self.path)

    def render(self, result: Any) -> bytes:
        assert self.reply is not None
        value = self.reply.validate_python(self.shape(result))
        return self.reply.dump_json(value, by_alias=True)


@attrs.define
class Routes:
    """The routes of one noun."""

    tag: str
    endpoints: list[Endpoint] = attrs.field(factory=list)

    def get(self, path: str, permission: str | None, reply: Any, **more: Any) -> Adds:
        return self._add("GET", path, permission, reply, **more)

    def post(self, path: str, permission: str | None, reply: Any, **more: Any) -> Adds:
        return self._add("POST", path, permission, reply, **more)

    def patch(self, path: str, permission: str | None, reply: Any, **more: Any) -> Adds:
        return self._add("PATCH", path, permission, reply, **more)

    def delete(self, path: str, permission: str | None, reply: Any, **more: Any) -> Adds:
        return self._add("DELETE", path, permission, reply, **more)

    def _add(
        self,
        method: str,
        path: str,
        permission: str | None,
        reply: Any,
        *,
        shape: Callable[[Any], object] = single,
        status: int = 200,
        media_type: str = "application/json",
        cache_s: int = 0,
        limit: str | None = None,
        step_up: bool = False,
        body_kb: int | None = None,
        private: bool = False,
        kept: bool = True,
        uploads: Uploads | None = None,
        also: tuple[str, ...] = (),
        headers: Callable[[Any], Mapping[str, str]] = lambda result: {},
    ) -> Adds:
        if permission is not None and permission not in PERMISSIONS:
            raise ValueError(f"{method} {path} needs {permission!r}, which nobody can have")

        def add(handler: Handler) -> Handler:
            hints = get_type_hints(handler, include_extras=True)
            names = list(inspect.signature(handler).parameters)
            self.endpoints.append(
                Endpoint(
                    method=method,
                    path=path,
                    permission=permission,
                    handler=handler,
                    reply=None if reply is None else TypeAdapter(reply),
                    reply_type=reply,
                    shape=shape,
                    status=status,
                    tag=self.tag,
                    media_type=media_type,
                    cache_s=cache_s,
                    limit=limit or ("anonymous" if permission is None else "standard"),
                    step_up=step_up,
                    body_kb=body_kb,
                    private=private,
                    # Nobody is known yet for whom a reply could be kept.
                    kept=kept and permission is not None,
                    parameters=tuple(_PARAMETER.findall(path)),
                    query=hints["query"] if "query" in names else None,
                    body=hints["body"] if "body" in names else None,
                    uploads=uploads,
                    also=also,
                    headers=headers,
                )
            )
            return handler

        return add

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self.endpoints)


def as_json(model: type[In], query: Mapping[str, str]) -> bytes:
    """A query as the JSON that its model is strict with. What is no number or truth value where
    one belongs stays text, which the model refuses."""

    def value(name: str, text: str) -> object:
        field = model.model_fields.get(name)
        if field is None:
            return text
        if field.annotation is bool:
            return {"true": True, "false": False}.get(text, text)
        if field.annotation is int and _WHOLE.fullmatch(text):
            return int(text)
        return text

    return json.dumps({name: value(name, text) for name, text in query.items()}).encode()
