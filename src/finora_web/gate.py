"""One request, from bytes to bytes: who asks, what, may they; then one call; then the answer."""

import hashlib
import re
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, cast
from uuid import UUID

import attrs
from flask import Request, Response, g
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from finora_adapters.redis.versions import VersionedCache
from finora_core.identity.model import Proof, TokenInvalid
from finora_core.kernel.scope import Command, Scope
from finora_core.kernel.work import Replayed
from finora_web.contract import Endpoint, In, Uploads, as_json
from finora_web.errors import BadRequest, BodyTooLarge, PermissionMissing, WrongMediaType
from finora_web.services import Services
from finora_web.strict import read_json

COOKIE = "finora"
_MEMO = 10_000
_SPOOL = 1 << 20
_CHUNK = 1 << 16
_KEY = re.compile(r"[!-~]{1,200}")


@attrs.define
class Proven:
    """Tokens that were proven in the database, each at a version of its tenant: as long as that is
    the version, nobody revoked it."""

    _known: "OrderedDict[str, tuple[Proof, float | None]]" = attrs.field(factory=OrderedDict)
    """With the moment at which the token ends."""
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def get(self, token: str) -> Proof | None:
        with self._lock:
            proof, ends = self._known.get(token, (None, None))
        return None if ends is not None and ends <= time.monotonic() else proof

    def put(self, token: str, proof: Proof, asked: float) -> None:
        """`asked` is the moment before it was proven, or it would be believed a little too long."""
        ends = None if proof.left is None else asked + proof.left.total_seconds()
        with self._lock:
            self._known[token] = (proof, ends)
            if len(self._known) > _MEMO:
                self._known.popitem(last=False)


@attrs.define
class Gate:
    """Runs endpoints. `body_bytes` bounds JSON, `upload_bytes` streams, each by what it is."""

    services: Services
    cache: VersionedCache
    body_bytes: int
    upload_bytes: Mapping[Uploads, int]
    proven: Proven = attrs.field(factory=Proven)

    def run(
        self, endpoint: Endpoint, request: Request, request_id: str, given: Mapping[str, UUID]
    ) -> Response:
        token = token_of(request)
        if endpoint.cache_s and token is not None:
            return self._cached(endpoint, request, request_id, given, token)
        scope = self._scope(endpoint, token, request_id)
        with self._arguments(endpoint, request, given) as (arguments, content):
            if endpoint.writes:
                scope = _with_command(endpoint, request, scope, content)
            return self._answer(endpoint, scope, arguments)

    def _scope(self, endpoint: Endpoint, token: str | None, request_id: str) -> Scope:
        if token is None:
            raise TokenInvalid("say who you are: Authorization: Bearer <token>")
        # Known here: then the transaction that follows checks it again, with one question less. Not
        # where bytes go in or out before, or without, a transaction.
        streams = endpoint.reply is None or endpoint.uploads is not None
        known = None if streams else self.proven.get(token)
        known = known or self._prove(token, request_id)
        return _allowed(endpoint, attrs.evolve(known.scope, request_id=request_id))

    def _prove(self, token: str, request_id: str) -> Proof:
        asked = time.monotonic()
        proof = self.services.tokens.prove(token, request_id)
        self.proven.put(token, proof, asked)
        return proof

    def _answer(self, endpoint: Endpoint, scope: Scope, arguments: dict[str, Any]) -> Response:
        try:
            result = endpoint.handler(self.services, scope, **arguments)
        except Replayed as replayed:
            answer = Response(replayed.reply, endpoint.status, mimetype=endpoint.media_type)
            answer.headers["Idempotency-Replayed"] = "true"
            return answer
        if endpoint.reply is None:
            return cast(Response, result)
        return Response(endpoint.render(result), endpoint.status, mimetype=endpoint.media_type)

    def _cached(
        self,
        endpoint: Endpoint,
        request: Request,
        request_id: str,
        given: Mapping[str, UUID],
        token: str,
    ) -> Response:
        """The kept bytes, if the token was proven at the very version under which they are kept."""
        known = self.proven.get(token)
        name = f"{endpoint.name}?{request.query_string.decode('latin-1')}"
        if known is not None and not request.cache_control.no_cache:
            found = self.cache.get(known.scope.tenant_id, name)
            if found.body is not None and found.version == known.version:
                _allowed(endpoint, known.scope)
                return Response(found.body, endpoint.status, mimetype=endpoint.media_type)
        proof = self._prove(token, request_id)
        scope = _allowed(endpoint, proof.scope)
        with self._arguments(endpoint, request, given) as (arguments, _):
            answer = self._answer(endpoint, scope, arguments)
        # What was read is at least as new as the version, which was read before it.
        body = answer.get_data()
        self.cache.put(scope.tenant_id, proof.version, name, body, endpoint.cache_s)
        return answer

    @contextmanager
    def _arguments(
        self, endpoint: Endpoint, request: Request, given: Mapping[str, UUID]
    ) -> Iterator[tuple[dict[str, Any], bytes]]:
        """What the handler takes, and the bytes that a repeat must have alike."""
        arguments: dict[str, Any] = dict(given)
        wrong: list[tuple[str, str]] = []
        if endpoint.query is not None:
            given_query = as_json(endpoint.query, _query(request))
            arguments["query"] = _validated(endpoint.query, given_query, wrong)
        elif request.args:
            wrong += [(name, "is not known here") for name in request.args]
        content = b""
        if endpoint.body is not None:
            limit = self.body_bytes if endpoint.body_kb is None else endpoint.body_kb << 10
            content = body_of(request, limit)
            read_json(content)
            arguments["body"] = _validated(endpoint.body, content, wrong)
        if wrong:
            said = "; ".join(f"{path}: {why}" for path, why in wrong[:5])
            raise BadRequest(f"the request is not right: {said}", details=tuple(wrong[:100]))
        if endpoint.uploads is None:
            if endpoint.body is None and endpoint.writes and body_of(request, 1024).strip():
                raise BadRequest("this route takes no body")
            yield arguments, content
            return
        with tempfile.SpooledTemporaryFile(_SPOOL) as spooled:
            limit = self.upload_bytes[endpoint.uploads]
            content = _stream(request, cast(BinaryIO, spooled), limit)
            arguments["file"] = spooled
            yield arguments, content


def token_of(request: Request) -> str | None:
    """Of the header, or of the page's cookie, which only our own pages may use to write."""
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and text.strip():
        return text.strip()
    cookie = request.cookies.get(COOKIE)
    if cookie is None or request.method in ("GET", "HEAD"):
        return cookie
    return cookie if from_ourselves(request) else None


def from_ourselves(request: Request) -> bool:
    """Whether a page of ours sent the request: browsers say truly where one comes from. A proxy in
    front of us may have taken TLS off; another site's page cannot send its header."""
    schemes = {request.scheme, request.headers.get("X-Forwarded-Proto", request.scheme)}
    return request.headers.get("Origin") in {f"{scheme}://{request.host}" for scheme in schemes}


def _allowed(endpoint: Endpoint, scope: Scope) -> Scope:
    # For the log, whatever becomes of the request.
    g.user_id, g.tenant_id = str(scope.user_id), str(scope.tenant_id)
    if endpoint.permission is not None and endpoint.permission not in scope.permissions:
        raise PermissionMissing(f"this needs the permission {endpoint.permission}")
    return scope


def _with_command(endpoint: Endpoint, request: Request, scope: Scope, content: bytes) -> Scope:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return scope
    if not _KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key has 1 to 200 printable ASCII characters, without blanks")
    asked = f"{request.method} {request.path}\n{request.mimetype}\n".encode()
    command = Command(
        key=f"{endpoint.name} {key}",
        fingerprint=hashlib.sha256(asked + request.query_string + b"\n" + content).digest(),
        encode=endpoint.render,
    )
    return attrs.evolve(scope, cause=command)


def _validated(model: type[In], content: bytes, wrong: list[tuple[str, str]]) -> Any:
    try:
        return model.model_validate_json(content, strict=True)
    except ValidationError as error:
        wrong += [
            (".".join(map(str, each["loc"])) or "body", each["msg"])
            for each in error.errors(include_url=False, include_input=False)
        ]
        return None


def _query(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, values in request.args.lists():
        if len(values) > 1:
            raise BadRequest("a parameter stands twice", details=((name, "stands twice"),))
        found[name] = values[0]
    return found


def body_of(request: Request, limit: int) -> bytes:
    """The bytes of a JSON body. Raises BodyTooLarge, WrongMediaType, BadRequest."""
    _check_plain(request)
    if request.content_length is not None and request.content_length > limit:
        raise BodyTooLarge(f"the body has {request.content_length} bytes; at most {limit}")
    with _sent():
        body = request.stream.read(limit + 1)
    if body and request.mimetype not in ("application/json", ""):
        raise WrongMediaType("the body is application/json")
    if len(body) > limit:
        raise BodyTooLarge(f"the body has more than {limit} bytes")
    _check_whole(request, len(body))
    return body


@contextmanager
def _sent() -> Iterator[None]:
    """What goes wrong with a body's stream is its sender's doing: the server that gives it says so
    in exceptions of its own."""
    try:
        yield
    except HTTPException:
        raise
    except Exception as error:
        raise BadRequest("the body breaks off, or its chunks are broken") from error


def _chunk(source: Any) -> bytes:
    with _sent():
        found: bytes = source.read(_CHUNK)
    return found


def _check_whole(request: Request, size: int) -> None:
    # A connection that is lost gives an end like any other; half a file must not look whole.
    if request.content_length not in (None, size):
        raise BadRequest(f"the body breaks off after {size} of {request.content_length} bytes")


def _check_plain(request: Request) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise WrongMediaType("the body is not compressed")


def _stream(request: Request, into: BinaryIO, limit: int) -> bytes:
    """Write the file into `into`; its digest. Raises BodyTooLarge, BadRequest."""
    _check_plain(request)
    if request.content_length is not None and request.content_length > limit + _SPOOL:
        raise BodyTooLarge(f"the file has {request.content_length} bytes; at most {limit}")
    source: Any = request.stream
    if request.mimetype == "multipart/form-data":
        request.max_content_length = limit + _SPOOL
        try:
            with _sent():
                part = request.files.get("file")
        except RequestEntityTooLarge as error:
            raise BodyTooLarge(f"the file has more than {limit} bytes") from error
        if part is None:
            raise BadRequest("the form has no part `file`", details=(("file", "is missing"),))
        source = part.stream
    digest, size = hashlib.sha256(), 0
    while chunk := _chunk(source):
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(f"the file has more than {limit} bytes")
        digest.update(chunk)
        into.write(chunk)
    if source is request.stream:
        _check_whole(request, size)
    into.seek(0)
    return digest.digest()
