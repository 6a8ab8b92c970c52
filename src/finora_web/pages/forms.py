"""Reading forms: what they send, whether a page of ours sent it, how often, and where to go on."""

import json
import re
from collections.abc import Callable, Collection
from datetime import date
from enum import StrEnum
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

from flask import Response, g, make_response, render_template, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ValidationError

from finora_adapters.redis.limits import Use
from finora_adapters.settings import Settings
from finora_core.kernel.amount import Amount, BadAmount
from finora_core.kernel.errors import Refusal
from finora_core.kernel.scope import Scope
from finora_web.errors import BadRequest, FromElsewhere, headers_of, status_of
from finora_web.gate import Gate, from_ourselves
from finora_web.money import asset_of
from finora_web.services import Services

View = Callable[..., ResponseReturnValue]
Query = TypeVar("Query", bound=BaseModel)
Choice = TypeVar("Choice", bound=StrEnum)

_DIGITS = re.compile(r"[0-9]{6}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOST = 16_384


def ours(view: View) -> View:
    """The view, for forms of our own pages only."""

    @wraps(view)
    def checked(**given: Any) -> ResponseReturnValue:
        if not from_ourselves(request):
            raise FromElsewhere("this was sent by another site's page")
        return view(**given)

    return checked


def count(gate: Gate, policy: str) -> None:
    """One more of these from this network. Raises RateLimited, LimitsUnavailable."""
    who, policies = gate.address(request), gate.limiter.policies
    gate.limiter.take(Use(policies["address"], who), Use(policies[policy], who))


def sent(name: str) -> str:
    """A field of the form, or nothing; blanks around it were typed by mistake."""
    return request.form.get(name, "")[:_MOST].strip()


def query(model: type[Query], *, empty: Collection[str] = ()) -> Query:
    """What the address asks, of the names that the model has; the page has others. A field that
    was left empty asks nothing, unless it is among `empty`. Raises BadRequest."""
    given = {
        name: request.args[name]
        for name in request.args
        if name in model.model_fields and (request.args[name].strip() or name in empty)
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        wrong = tuple(
            (".".join(map(str, each["loc"])), each["msg"])
            for each in error.errors(include_url=False, include_input=False)
        )
        raise BadRequest("the address is not right", details=wrong) from error


def password(name: str = "password") -> str:
    """As it was typed, blanks and all."""
    return request.form.get(name, "")[:_MOST]


def typed(name: str) -> str:
    """A longer text, as it was typed. Raises BadRequest."""
    text = request.form.get(name, "")
    if len(text) > _MOST:
        raise BadRequest(f"at most {_MOST} characters", details=((name, "is too long"),))
    return text


def digits(name: str) -> str:
    """Six digits, however they were grouped. Raises BadRequest."""
    text = re.sub(r"[\s-]", "", sent(name))
    if not _DIGITS.fullmatch(text):
        raise BadRequest("A code has six digits.", details=((name, "has six digits"),))
    return text


def an_id(name: str) -> UUID:
    """Raises BadRequest."""
    text = sent(name)
    if not _UUID.fullmatch(text):
        raise BadRequest(f"{name} is no id", details=((name, "is no id"),))
    return UUID(text)


def a_day(name: str) -> date | None:
    """A day as browsers send it, or none. Raises BadRequest."""
    text = sent(name)
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(f"{text[:40]} is no day", details=((name, "is no day"),)) from error


def an_amount(app: Services, scope: Scope, name: str) -> Amount:
    """The sum in `name`, of the asset in `asset`. Raises BadRequest, BadAmount, UnknownAsset."""
    text = sent(name).replace(" ", "")
    if not text:
        raise BadRequest("An amount is missing.", details=((name, "is missing"),))
    try:
        return Amount.parse(text, asset_of(app, scope, sent("asset")))
    except BadAmount as refusal:
        said = f"“{text[:40]}” is not an amount. Write it as 1250.00."
        raise BadAmount(said, details=((name, "is no amount"),)) from refusal


def a_choice(name: str, known: type[Choice]) -> Choice:
    """One of an enumeration, by its value. Raises BadRequest."""
    try:
        return known(sent(name))
    except ValueError as error:
        raise BadRequest(f"{name} is not known", details=((name, "is not known"),)) from error


def an_answer(name: str) -> dict[str, Any]:
    """What `navigator.credentials` gave, as JSON. Raises BadRequest."""
    try:
        found = json.loads(sent(name))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadRequest("the browser's answer cannot be read")
    return found


def onward(usual: str = "/") -> str:
    """Where to go on: the page of ours that form or address name."""
    return local(request.form.get("next") or request.args.get("next") or usual, usual)


def local(path: str, usual: str = "/") -> str:
    """The path, if it is one of ours. Browsers read another site also from `//`, from a backslash,
    and over what they do not print."""
    here = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if here and path.isprintable() and len(path) <= _MOST else usual


def form(template: str, refusal: Refusal | None = None, **values: Any) -> Response:
    """A page with a form; with what is wrong in it, where it was refused."""
    shown = render_template(template, **{"next": onward(""), **values}, refusal=refusal)
    if refusal is None:
        return make_response(shown)
    g.code = refusal.code
    answer = make_response(shown, status_of(refusal))
    # No `WWW-Authenticate`: the form is how to answer.
    answer.headers.update({n: v for n, v in headers_of(refusal).items() if n == "Retry-After"})
    return answer


def passkeys(settings: Settings | None) -> dict[str, Any] | None:
    """Whether passkeys are used here, and else at which address; None where nowhere."""
    found = None if settings is None else settings.passkeys
    if found is None:
        return None
    schemes = {request.scheme, request.headers.get("X-Forwarded-Proto", request.scheme)}
    here = {f"{scheme}://{request.host}" for scheme in schemes}
    site = next((each for each in found[1] if each.startswith("http")), None)
    return {"here": bool(here & set(found[1])), "site": site}
