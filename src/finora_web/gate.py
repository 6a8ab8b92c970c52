"""One request, from bytes to bytes: who asks, what, may they; then one call; then the answer."""

import hashlib
import hmac
import re
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, BinaryIO, cast
from uuid import UUID

import attrs
from flask import Request, Response, g
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from finora_adapters.redis.limits import Use
from finora_adapters.redis.versions import VersionedCache, number
from finora_core.identity.model import PREFIX, Proof, ProofStale, TokenInvalid
from finora_core.identity.people.model import StepUpRequired
from finora_core.identity.roles import EXPLICIT, SELF
from finora_core.identity.sessions.model import FRESH_FOR, Client, SessionKind
from finora_core.identity.tenants.model import NotAMember
from finora_core.kernel.errors import Forbidden, Unauthenticated
from finora_core.kernel.scope import Command, Scope, SessionCredential, TokenCredential
from finora_core.kernel.work import Replayed
from finora_web.contract import Endpoint, In, Uploads, as_json
from finora_web.errors import BadRequest, BodyTooLarge, PermissionMissing, WrongMediaType
from finora_web.limits import Limiter
from finora_web.services import Services
from finora_web.strict import read_json

COOKIE, DEVICE_COOKIE, TENANT_COOKIE = "finora", "finora_device", "finora_tenant"
_MEMO = 10_000
_SPOOL = 1 << 20
_CHUNK = 1 << 16
_MARK = 32
_LONGEST_ADDRESS = 45
_KEY = re.compile(r"[!-~]{1,200}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


@attrs.frozen
class Shown:
    """What a request shows of who asks, unproven."""

    text: str
    cookie: bool
    tenant_id: UUID | None
    """The one that it names, of those that a person is in."""


@attrs.frozen
class Asked:
    """What a route is given that anybody may ask."""

    client: Client
    request_id: str


@attrs.define
class Proven:
    """Who was proven in the database, each at data versions: as long as those are the versions,
    nobody took it away."""

    _known: "OrderedDict[Shown, tuple[Proof, float | None]]" = attrs.field(factory=OrderedDict)
    """With the moment at which it ends."""
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def get(self, shown: Shown) -> Proof | None:
        with self._lock:
            proof, ends = self._known.get(shown, (None, None))
        return None if ends is not None and ends <= time.monotonic() else proof

    def put(self, shown: Shown, proof: Proof, asked: float) -> None:
        """`asked` is the moment before it was proven, or it would be believed a little too long."""
        ends = None if proof.left is None else asked + proof.left.total_seconds()
        with self._lock:
            self._known[shown] = (proof, ends)
            if len(self._known) > _MEMO:
                self._known.popitem(last=False)

    def forget(self, shown: Shown) -> None:
        with self._lock:
            self._known.pop(shown, None)


@attrs.define
class Gate:
    """Runs endpoints. `body_bytes` bounds JSON, `upload_bytes` streams, each by what it is."""

    services: Services
    cache: VersionedCache
    limiter: Limiter
    body_bytes: int
    upload_bytes: Mapping[Uploads, int]
    digest_key: Callable[[], bytes]
    """With which private bodies are told apart, for a plain digest of a password could be guessed;
    and with which kept answers are marked as ours."""
    proxies: int = 0
    """How many of our own stand in front and say who asked them."""
    proven: Proven = attrs.field(factory=Proven)

    def run(
        self, endpoint: Endpoint, request: Request, request_id: str, given: Mapping[str, UUID]
    ) -> Response:
        if endpoint.permission is None:
            return self._anybody(endpoint, request, request_id, given)
        shown = self._shown(endpoint, request)
        if endpoint.cache_s:
            return self._cached(endpoint, request, request_id, given, shown)
        # Known here: then the transaction that follows checks it again, with one question less. Not
        # where bytes go in or out before, or without, a transaction, nor where it must be fresh.
        streams = endpoint.reply is None or endpoint.uploads is not None
        known = None if streams or endpoint.step_up else self.proven.get(shown)
        if known is not None and endpoint.permission not in known.scope.permissions:
            # It may have been given since: only what is fresh refuses.
            known = None
        proof = known or self._prove(shown, request, request_id)
        self.limiter.take(*self._uses(endpoint, request, proof))
        scope = _allowed(endpoint, attrs.evolve(proof.scope, request_id=request_id))
        with self._arguments(endpoint, request, given) as (arguments, content):
            if endpoint.writes:
                scope = self._with_command(endpoint, request, scope, content)
            try:
                return self._answer(endpoint, scope, arguments)
            except ProofStale:
                self.proven.forget(shown)
                if streams:
                    raise
            # A role that changed takes effect at once; the token that shows it may still be good.
            proof = self._prove(shown, request, request_id)
            scope = attrs.evolve(
                _allowed(endpoint, proof.scope), request_id=request_id, cause=scope.cause
            )
            return self._answer(endpoint, scope, arguments)

    def prove(self, shown: Shown, request_id: str) -> Proof:
        """Who shows this. Raises TokenInvalid, NotAMember, AccountBanned, IssuerUnavailable."""
        if shown.text.startswith(PREFIX):
            proof = self.services.tokens.prove(shown.text, request_id)
            if shown.tenant_id not in (None, proof.scope.tenant_id):
                raise NotAMember("this token is another tenant's")
            return proof
        if not shown.cookie:
            vouched = self.services.external.prove(shown.text, request_id)
            if vouched is not None:
                if shown.tenant_id not in (None, vouched.scope.tenant_id):
                    raise NotAMember("this token is another tenant's")
                return vouched
        kind = SessionKind.BROWSER if shown.cookie else SessionKind.BEARER
        return self.services.sessions.prove(
            shown.text, request_id, tenant_id=shown.tenant_id, kind=kind
        )

    def _anybody(
        self, endpoint: Endpoint, request: Request, request_id: str, given: Mapping[str, UUID]
    ) -> Response:
        self.limiter.take(*self._uses(endpoint, request, None))
        with self._arguments(endpoint, request, given) as (arguments, _):
            asked = Asked(self.client(request), request_id)
            return self._answer(endpoint, asked, arguments)

    def _shown(self, endpoint: Endpoint, request: Request) -> Shown:
        shown = shown_by(request)
        if shown is None:
            self.limiter.take(*self._uses(endpoint, request, None))
            raise TokenInvalid("say who you are: Authorization: Bearer <token>")
        return shown

    def _prove(self, shown: Shown, request: Request, request_id: str) -> Proof:
        asked = time.monotonic()
        try:
            proof = self.prove(shown, request_id)
        except (Unauthenticated, Forbidden):
            # Trying tokens is counted like everything else.
            self.limiter.take(*self._address(request))
            raise
        self.proven.put(shown, proof, asked)
        return proof

    def _uses(self, endpoint: Endpoint, request: Request, proof: Proof | None) -> tuple[Use, ...]:
        policy = self.limiter.policies[endpoint.limit]
        who = self.address(request) if proof is None else principal(proof.scope)
        return (*self._address(request), Use(policy, who))

    def _address(self, request: Request) -> tuple[Use, ...]:
        return (Use(self.limiter.policies["address"], self.address(request)),)

    def address(self, request: Request) -> str:
        """Who asks, as far as the network says: of IPv6 the /64 that one household has."""
        return network_of(peer(request, self.proxies), 32, 64)

    def client(self, request: Request) -> Client:
        return Client(
            network=network_of(peer(request, self.proxies), 24, 56),
            agent=request.headers.get("User-Agent", "")[:200],
            device=request.headers.get("X-Device") or request.cookies.get(DEVICE_COOKIE),
        )

    def _with_command(
        self, endpoint: Endpoint, request: Request, scope: Scope, content: bytes
    ) -> Scope:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return scope
        if not endpoint.kept:
            raise BadRequest("this route's reply is kept nowhere: no Idempotency-Key")
        if not _KEY.fullmatch(key):
            raise BadRequest(
                "Idempotency-Key has 1 to 200 printable ASCII characters, without blanks"
            )
        asked = f"{request.method} {request.path}\n{request.mimetype}\n".encode()
        asked += request.query_string + b"\n" + content
        if endpoint.private:
            fingerprint = hmac.digest(self.digest_key(), asked, "sha256")
        else:
            fingerprint = hashlib.sha256(asked).digest()
        command = Command(
            key=f"{endpoint.name} {key}", fingerprint=fingerprint, encode=endpoint.render
        )
        return attrs.evolve(scope, cause=command)

    def _answer(
        self, endpoint: Endpoint, asker: Scope | Asked, arguments: dict[str, Any]
    ) -> Response:
        try:
            result = endpoint.handler(self.services, asker, **arguments)
        except Replayed as replayed:
            answer = Response(replayed.reply, endpoint.status, mimetype=endpoint.media_type)
            answer.headers["Idempotency-Replayed"] = "true"
            return answer
        if endpoint.reply is None:
            return cast(Response, result)
        answer = Response(endpoint.render(result), endpoint.status, mimetype=endpoint.media_type)
        answer.headers.update(endpoint.headers(result))
        return answer

    def _cached(
        self,
        endpoint: Endpoint,
        request: Request,
        request_id: str,
        given: Mapping[str, UUID],
        shown: Shown,
    ) -> Response:
        """The kept bytes, if who asks was proven at the very versions under which they are kept."""
        known = self.proven.get(shown)
        name = f"{endpoint.name}?{request.query_string.decode('latin-1')}"
        if known is not None:
            body = self._kept(endpoint, request, known, name)
            if body is not None and not request.cache_control.no_cache:
                _allowed(endpoint, known.scope)
                return Response(body, endpoint.status, mimetype=endpoint.media_type)
        proof = self._prove(shown, request, request_id)
        if known is None:
            self.limiter.take(*self._uses(endpoint, request, proof))
        scope = _allowed(endpoint, proof.scope)
        with self._arguments(endpoint, request, given) as (arguments, _):
            answer = self._answer(endpoint, scope, arguments)
        # What was read is at least as new as the version, which was read before it.
        body = answer.get_data()
        tenant_id = _place(endpoint, scope)
        version = proof.versions[tenant_id]
        kept = self._mark(tenant_id, version, name, body) + body
        self.cache.put(tenant_id, version, name, kept, endpoint.cache_s)
        return answer

    def _kept(self, endpoint: Endpoint, request: Request, known: Proof, name: str) -> bytes | None:
        """One round trip: count the request, read the bytes, and see that the proof still holds."""
        tenant_id = _place(endpoint, known.scope)
        others = [each for each in known.versions if each != tenant_id]
        uses = self._uses(endpoint, request, known)
        said = self.cache.asker.ask(
            self.limiter.limits.question(uses),
            self.cache.question(tenant_id, name),
            *map(self.cache.version_of, others),
        )
        self.limiter.judge(uses, None if said is None else said[0])
        found = self.cache.found(None if said is None else said[1])
        if said is None or found.version != known.versions[tenant_id]:
            return None
        for other, answer in zip(others, said[2:], strict=True):
            if number(answer) != known.versions[other]:
                return None
        if found.body is None:
            return None
        mark, body = found.body[:_MARK], found.body[_MARK:]
        right = self._mark(tenant_id, known.versions[tenant_id], name, body)
        return body if hmac.compare_digest(mark, right) else None

    def _mark(self, tenant_id: UUID, version: int, name: str, body: bytes) -> bytes:
        """Kept before the bytes: whoever can write to Redis cannot make us show other ones."""
        said = f"kept\n{tenant_id}\n{version}\n{name}\n".encode() + body
        return hmac.digest(self.digest_key(), said, "sha256")

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
            arguments["body"] = _validated(endpoint.body, content, wrong, endpoint.private)
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


def shown_by(request: Request) -> Shown | None:
    """Of the header, or of the page's cookie, which only our own pages may use to write."""
    named = request.headers.get("X-Tenant-Id")
    tenant_id = None
    if named is not None:
        if not _UUID.fullmatch(named):
            raise NotAMember("you are no member of this tenant")
        tenant_id = UUID(named)
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and text.strip():
        return Shown(text.strip(), False, tenant_id)
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None
    if request.method not in ("GET", "HEAD") and not from_ourselves(request):
        return None
    named = request.cookies.get(TENANT_COOKIE)
    if tenant_id is None and named is not None and _UUID.fullmatch(named):
        tenant_id = UUID(named)
    return Shown(cookie, True, tenant_id)


def principal(scope: Scope) -> str:
    """What its requests are counted under."""
    match scope.credential:
        case TokenCredential(token_id=token_id):
            return str(token_id)
        case _:
            return str(scope.user_id)


def peer(request: Request, proxies: int) -> str:
    """The address that asked: of the connection, or what the outermost of our own proxies saw.
    Whatever stands before that in the header, anybody may have written."""
    if proxies:
        said = request.headers.get("X-Forwarded-For", "").split(",")
        if len(said) >= proxies and said[-proxies].strip():
            return said[-proxies].strip()
    return request.remote_addr or ""


def network_of(address: str, bits: int, bits6: int) -> str:
    """The network of an address; "local" for none, as on a unix socket."""
    # What is too long for an address is somebody's text, and not worth remembering.
    found = _network_of if len(address) <= _LONGEST_ADDRESS else _network_of.__wrapped__
    return found(address, bits, bits6)


@lru_cache(_MEMO)
def _network_of(address: str, bits: int, bits6: int) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return "local"
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    size = bits if found.version == 4 else bits6
    return str(ip_network((found, size), strict=False).network_address)


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
    named = isinstance(scope.credential, TokenCredential) and endpoint.permission in EXPLICIT
    if endpoint.step_up and not (fresh(scope) or named):
        raise StepUpRequired("prove again who you are: POST /api/v1/auth/step-up, then ask again")
    return scope


def _place(endpoint: Endpoint, scope: Scope) -> UUID:
    """The tenant whose data an answer is made of: of what is about the person, the personal one."""
    credential = scope.credential
    if endpoint.permission in SELF and isinstance(credential, SessionCredential):
        return credential.home_id
    return scope.tenant_id


def fresh(scope: Scope) -> bool:
    """Whether the asker in person proved it a moment ago."""
    proven = scope.proven_at
    return proven is not None and datetime.now(UTC) - proven <= FRESH_FOR


def _validated(
    model: type[In], content: bytes, wrong: list[tuple[str, str]], private: bool = False
) -> Any:
    try:
        return model.model_validate_json(content, strict=True)
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            place = [str(step) for step in each["loc"]]
            if private:
                # A secret may have been sent as a name.
                place = [step for step in place[:1] if step in model.model_fields]
            wrong.append((".".join(place) or "body", each["msg"]))
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
                parts = request.files.getlist("file")
                others = {*request.form, *request.files} - {"file"}
        except RequestEntityTooLarge as error:
            raise BodyTooLarge(f"the file has more than {limit} bytes") from error
        if not parts:
            raise BadRequest("the form has no part `file`", details=(("file", "is missing"),))
        if others or len(parts) > 1:
            said = tuple((name, "is not known here") for name in sorted(others)[:100])
            raise BadRequest("the form has one part, `file`", details=said)
        source = parts[0].stream
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
