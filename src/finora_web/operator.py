"""Operators' endpoints, for jobs of any tenant: /admin, signed call by call, outside the API.

A call is signed over method, path, time, actor and body with the secret that operators share with
Finora. What is not covered cannot be sent: there is no query, and a path is written in one way.
"""

import hashlib
import hmac
import logging
import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import attrs
from flask import Flask, Request, Response, g, request
from pydantic import TypeAdapter, ValidationError

from finora_adapters import log as logs
from finora_core.jobs.model import JobState, OperatorAction, Outcome
from finora_core.jobs.operators import OperatorService, operator_id
from finora_core.kernel.clock import Clock
from finora_core.kernel.errors import Limited, Refusal, Unauthenticated, Unavailable
from finora_core.kernel.nonces import Nonces
from finora_core.kernel.scope import Scope
from finora_web.contract import Id, In, Out, Single
from finora_web.errors import BadRequest
from finora_web.gate import body_of
from finora_web.strict import read_json

SKEW_MS = 5_000
SPENT_FOR = timedelta(seconds=20)
BODY_BYTES = 4_096
_HMAC = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MS = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_ACTOR = re.compile(r"[A-Za-z0-9._@:+-]{1,100}", re.ASCII)
_NOBODY = UUID(int=0)
_DENIED_A_MINUTE = 60


class OperatorOff(Unavailable):
    """No secret is set for operators' calls, so none is taken."""

    code = "OPERATOR_OFF"


class OperatorDenied(Unauthenticated):
    """The call is not signed, wrongly signed, too old, or was made before."""

    code = "OPERATOR_DENIED"

    def __init__(self, message: str) -> None:
        super().__init__(message, facts={"challenge": "Finora-HMAC"})


class TooManyDenied(Limited):
    """So many calls were denied in this minute that the next ones are not even noted."""

    code = "OPERATOR_FLOOD"


class OperatedOut(Out):
    tenant_id: UUID
    id: UUID
    name: str
    queue: str
    state: JobState
    attempts: int
    max_attempts: int


class ReplayedOut(Out):
    replayed: int


class ReplayIn(In):
    """One of them: this job, or all that are dead."""

    job_id: Id | None = None
    all: bool = False


_JOB = TypeAdapter(Single[OperatedOut])
_COUNT = TypeAdapter(Single[ReplayedOut])


def signature(
    secret: bytes, method: str, path: str, timestamp: str, actor: str, body: bytes
) -> bytes:
    """The HMAC of a call; it is sent in hexadecimal."""
    said = "\n".join((method, path, timestamp, actor, hashlib.sha256(body).hexdigest()))
    return hmac.digest(secret, said.encode(), "sha256")


@attrs.define
class Flood:
    """Counts what was denied. Only calls that prove nothing are counted, so nobody can keep an
    operator out."""

    most: int = _DENIED_A_MINUTE
    _began: float = 0.0
    _count: int = 0
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def over(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now - self._began >= 60:
                self._began, self._count = now, 0
            self._count += 1
            return self._count > self.most


@attrs.frozen(kw_only=True)
class Operator:
    service: OperatorService
    nonces: Nonces
    clock: Clock
    platform: Callable[[], Scope]
    """Of the platform's own tenant, whose log keeps every call. Asked for with the first one: the
    process starts without the database too."""
    secret: bytes | None = attrs.field(repr=False)
    flood: Flood = attrs.field(factory=Flood)

    def add_to(self, app: Flask) -> None:
        """The routes. The path is what is signed: each has exactly one."""
        for rule, method, view in (
            ("/admin/jobs/<uuid:job_id>/retry", "POST", self.retry),
            ("/admin/jobs/<uuid:job_id>", "DELETE", self.delete),
            ("/admin/dlq/replay", "POST", self.replay),
        ):
            app.add_url_rule(rule, f"operator_{view.__name__}", view, methods=[method])

    def retry(self, job_id: UUID) -> Response:
        def act(scope: Scope, body: bytes) -> bytes:
            _check_empty(body)
            return _JOB.dump_json(_JOB.validate_python({"data": self.service.retry(scope, job_id)}))

        return self._run(OperatorAction.RETRY, act, job_id)

    def delete(self, job_id: UUID) -> Response:
        def act(scope: Scope, body: bytes) -> bytes:
            _check_empty(body)
            job = self.service.delete(scope, job_id)
            return _JOB.dump_json(_JOB.validate_python({"data": job}))

        return self._run(OperatorAction.DELETE, act, job_id)

    def replay(self) -> Response:
        def act(scope: Scope, body: bytes) -> bytes:
            count = self.service.replay_dead(scope, _which(body))
            return _COUNT.dump_json(_COUNT.validate_python({"data": {"replayed": count}}))

        return self._run(OperatorAction.REPLAY, act)

    def _run(
        self,
        action: OperatorAction,
        act: Callable[[Scope, bytes], bytes],
        job_id: UUID | None = None,
    ) -> Response:
        """Every call leaves an event, whatever becomes of it."""
        scope = attrs.evolve(self.platform(), user_id=_claimed(request), request_id=g.request_id)
        try:
            body = self._proven(request)
        except Refusal as refusal:
            self._deny(scope, action, refusal.code, job_id)
            raise
        g.user_id, g.tenant_id = str(scope.user_id), str(scope.tenant_id)
        try:
            answer = act(scope, body)
        except Exception as error:
            code = error.code if isinstance(error, Refusal) else "INTERNAL"
            self._log(action, Outcome.FAILURE, job_id, code)
            self.service.note(scope, action, Outcome.FAILURE, code, job_id)
            raise
        self._log(action, Outcome.SUCCESS, job_id)
        return Response(answer, mimetype="application/json")

    def _proven(self, asked: Request) -> bytes:
        """The body of a call that is signed with our secret, now, and for the first time."""
        if self.secret is None:
            raise OperatorOff("FINORA_JOBS_HMAC_SECRET is not set")
        given, timestamp, actor = (
            asked.headers.get(f"X-Admin-{name}", "") for name in ("Hmac", "Timestamp", "Actor")
        )
        # A header that comes twice arrives as one with a comma in it, which none of them has.
        if not (_HMAC.fullmatch(given) and _MS.fullmatch(timestamp) and _ACTOR.fullmatch(actor)):
            raise OperatorDenied("x-admin-hmac, x-admin-timestamp or x-admin-actor is not right")
        if _target(asked) != asked.path:
            raise OperatorDenied("the path is not written as it is signed, or has a query")
        body = body_of(asked, BODY_BYTES)
        wanted = signature(self.secret, asked.method, asked.path, timestamp, actor, body)
        if not hmac.compare_digest(wanted, bytes.fromhex(given)):
            raise OperatorDenied("the signature is not right")
        now = int(self.clock.now().timestamp() * 1000)
        if abs(now - int(timestamp)) > SKEW_MS:
            raise OperatorDenied(f"the time is {abs(now - int(timestamp))} ms from ours")
        if not self.nonces.spend(hashlib.sha256(wanted).digest(), SPENT_FOR):
            raise OperatorDenied("this very call was made before")
        return body

    def _deny(self, scope: Scope, action: OperatorAction, code: str, job_id: UUID | None) -> None:
        self._log(action, Outcome.DENIED, job_id, code)
        if self.flood.over():
            raise TooManyDenied("too many calls were denied", facts={"retry_after": 60})
        self.service.note(scope, action, Outcome.DENIED, code, job_id)

    def _log(
        self,
        action: OperatorAction,
        outcome: Outcome,
        job_id: UUID | None,
        code: str | None = None,
    ) -> None:
        # The name stands in the log of the process, which is not kept for ever, and not in events.
        named = request.headers.get("X-Admin-Actor", "")
        level = logging.WARNING if outcome is Outcome.DENIED else logging.INFO
        logs.note(
            "operator",
            level,
            request_id=g.request_id,
            action=action.value,
            outcome=outcome.value,
            actor=named if _ACTOR.fullmatch(named) else None,
            job_id=str(job_id) if job_id else None,
            code=code,
        )


def _claimed(asked: Request) -> UUID:
    """Whom the caller says to be; the call shows whether it is true."""
    named = asked.headers.get("X-Admin-Actor", "")
    return operator_id(named) if _ACTOR.fullmatch(named) else _NOBODY


def _target(asked: Request) -> str:
    """The path as it came, before anything in it was decoded; servers name it differently, and some
    not at all."""
    found: Any = asked.environ.get("RAW_URI") or asked.environ.get("REQUEST_URI")
    if found is not None:
        return str(found)
    query = asked.query_string.decode("latin-1")
    return f"{asked.path}?{query}" if query else asked.path


def _check_empty(body: bytes) -> None:
    if body.strip():
        raise BadRequest("this route takes no body")


def _which(body: bytes) -> UUID | None:
    read_json(body)
    try:
        asked = ReplayIn.model_validate_json(body, strict=True)
    except ValidationError as error:
        wrong = tuple(
            (".".join(map(str, each["loc"])) or "body", each["msg"])
            for each in error.errors(include_url=False, include_input=False)
        )
        raise BadRequest("the request is not right", details=wrong) from error
    if (asked.job_id is None) != asked.all:
        raise BadRequest('say {"job_id": "..."} or {"all": true}')
    return asked.job_id
