"""The Flask application: routes, envelope, request ids, headers, logs."""

import json
import logging
import re
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import UUID

import attrs
from flask import Flask, Request, Response, g, render_template, request
from werkzeug.exceptions import HTTPException

from finora_adapters import log as logs
from finora_adapters.settings import Settings
from finora_core.identity.verifiers import LoginBusy
from finora_core.kernel.errors import Refusal, Unavailable
from finora_core.kernel.ids import new_id
from finora_web import metrics, openapi
from finora_web.api.table import ENDPOINTS
from finora_web.contract import Endpoint
from finora_web.errors import (
    BadRequest,
    BodyTooLarge,
    MethodNotAllowed,
    NoSuchRoute,
    error_body,
    headers_of,
    status_of,
)
from finora_web.gate import Gate
from finora_web.health import Health
from finora_web.operator import Operator
from finora_web.pages.routes import pages

log = logging.getLogger("finora.http")

_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_HEADERS = (
    ("Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
     "frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)  # fmt: skip
_EXTRA = "finora.headers"
_PROBES = frozenset({"/live", "/ready", "/health", "/metrics"})


@attrs.frozen(kw_only=True)
class Shell:
    """What the application is given."""

    gate: Gate
    operator: Operator
    health: Health
    version: str
    origins: frozenset[str] = frozenset()
    """Of other sites whose pages may call the API."""
    production: bool = False
    metrics_folder: Path | None = None
    settings: Settings | None = None
    """For the page that shows them."""


class Answer(Response):
    """Flask's, with the headers of every answer added as they stand: to set them one after another,
    each among the others, costs more than the rest of the answer."""

    def get_wsgi_response(
        self, environ: dict[str, Any]
    ) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        body, status, headers = super().get_wsgi_response(environ)
        return body, status, headers + environ.get(_EXTRA, [])


class Application(Flask):
    response_class = Answer

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        # None of ours is a coroutine; Flask would look each time that one is called.
        return func


def create_app(shell: Shell, tags: Collection[str] | None = None) -> Flask:
    """With `tags` only those nouns of the API, and nothing else but what says how it is."""
    app = Application("finora_web", static_url_path="/static")
    app.config["SHELL"] = shell
    # Two paths would be one thing, and the redirect between them would go where Host says.
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    for endpoint in ENDPOINTS:
        if tags is not None and endpoint.tag not in tags:
            continue
        app.add_url_rule(
            openapi.ROOT + endpoint.rule,
            endpoint.name,
            _view(shell.gate, endpoint),
            methods=[endpoint.method],
        )
    _add_probes(app, shell)
    if tags is None:
        _add_documents(app, shell)
        shell.operator.add_to(app)
        app.register_blueprint(pages(shell.gate))
    app.before_request(_begin)
    app.after_request(_end(shell))
    app.register_error_handler(Refusal, _refuse)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _fail)
    return app


def _view(gate: Gate, endpoint: Endpoint) -> Callable[..., Response]:
    def view(**given: UUID) -> Response:
        return gate.run(endpoint, request, g.request_id, given)

    return view


def _add_probes(app: Flask, shell: Shell) -> None:
    def reply(body: dict[str, Any], status: int = 200) -> Response:
        answer = Response(json.dumps(body), status, mimetype="application/json")
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def live() -> Response:
        return reply({"status": "ok"})

    def health() -> Response:
        body, status = shell.health.summary()
        return reply(body, status)

    def ready() -> Response:
        checks = shell.health.checks()
        good = all(said == "ok" for said in checks.values())
        return reply({"status": "ok" if good else "not ready", "checks": checks},
                     200 if good else 503)  # fmt: skip

    def deep() -> Response:
        body, status = shell.health.deep()
        return reply(body, status)

    def figures() -> Response:
        try:
            queues, lag_s = tuple(shell.health.queues()), shell.health.seal_lag_s()
        except Unavailable:
            # What is known without the database is wanted just then.
            queues, lag_s = (), None
        text = metrics.text(queues, lag_s, shell.metrics_folder)
        return Response(text, mimetype="text/plain; version=0.0.4")

    for path, view in (("/live", live), ("/health", health), ("/ready", ready),
                       ("/readyz", ready), ("/health/deep", deep),
                       ("/metrics", figures)):  # fmt: skip
        app.add_url_rule(path, path.strip("/").replace("/", "_"), view)


def _add_documents(app: Flask, shell: Shell) -> None:
    document = openapi.document(ENDPOINTS, shell.version)
    text = json.dumps(document, ensure_ascii=False)

    def specification() -> Response:
        return Response(text, mimetype="application/json")

    def docs() -> str:
        return render_template("docs.html", document=document, root=openapi.ROOT)

    app.add_url_rule("/openapi.json", "openapi", specification)
    app.add_url_rule("/docs", "docs", docs)


def _begin() -> Response | None:
    now, asking = g._get_current_object(), request._get_current_object()  # type: ignore[attr-defined]  # of proxies
    now.began = time.perf_counter()
    asked = asking.headers.get("X-Request-Id", "")
    now.request_id = asked if asked and _REQUEST_ID.fullmatch(asked) else str(new_id())
    try:
        # What is no text would be read as another one: the reader puts marks where it is not.
        unquote_to_bytes(asking.query_string).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("the query is not UTF-8") from error
    if asking.method == "OPTIONS" and "Access-Control-Request-Method" in asking.headers:
        return Answer(status=204)
    return None


def _end(shell: Shell) -> Callable[[Response], Response]:
    everywhere = list(_HEADERS)
    hsts = [("Strict-Transport-Security", "max-age=31536000; includeSubDomains")]
    shared = {origin: _shared_with(origin) for origin in shell.origins}

    def end(answer: Response) -> Response:
        # Each of the two is looked up once: through the proxy it would be a dozen times.
        now, asked = g._get_current_object(), request._get_current_object()  # type: ignore[attr-defined]  # of proxies
        headers = answer.headers
        extra = [("X-Request-Id", now.request_id)]
        if "Content-Security-Policy" not in headers:
            extra += everywhere
        if "Cache-Control" not in headers:
            extra.append(("Cache-Control", "no-store"))
        if shell.production:
            extra += hsts
        origin = asked.headers.get("Origin")
        if origin is not None:
            extra += shared.get(origin, ())
        asked.environ[_EXTRA] = extra
        metrics.CONNECTIONS.set(shell.health.connections())
        _note(now, asked, answer)
        return answer

    return end


def _shared_with(origin: str) -> tuple[tuple[str, str], ...]:
    """Headers by which a browser lets that site's pages call the API."""
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Vary", "Origin"),
        ("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE"),
        ("Access-Control-Allow-Headers",
         "Authorization, Content-Type, Idempotency-Key, X-Device, X-Request-Id, X-Tenant-Id"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers",
         "X-Request-Id, Idempotency-Replayed, Retry-After, RateLimit, RateLimit-Policy"),
        ("Access-Control-Max-Age", "600"),
    )  # fmt: skip


def _note(now: Any, asked: Request, answer: Response) -> None:
    route = asked.url_rule.rule if asked.url_rule is not None else "none"
    took = (time.perf_counter() - now.began) * 1000
    status, code = answer.status_code, now.get("code")
    metrics.answered(asked.method, route, status, took)
    if status >= 400:
        metrics.ERRORS.labels(route, code or str(status)).inc()
    elif asked.path in _PROBES:
        return
    logs.note(
        "request",
        request_id=now.request_id,
        method=asked.method,
        path=asked.path,
        status_code=status,
        duration_ms=round(took, 1),
        user_id=now.get("user_id"),
        tenant_id=now.get("tenant_id"),
        code=code,
    )


def _refuse(refusal: Refusal) -> Response:
    status = status_of(refusal)
    g.code = refusal.code
    # That logins are refused, which they are by the hundred, stands in the line of each request.
    if isinstance(refusal, Unavailable) and not isinstance(refusal, LoginBusy):
        log.warning("unavailable: %s", refusal, extra={"request_id": g.request_id})
    message, details = refusal.message, refusal.details
    body = error_body(refusal.code, message, details, g.request_id)
    answer = Response(body, status, mimetype="application/json")
    answer.headers.update(headers_of(refusal))
    return answer


def _http_error(error: HTTPException) -> Response:
    """Flask's own refusals, in our envelope."""
    refusal: Refusal
    match error.code:
        case 404:
            refusal = NoSuchRoute("there is nothing at this path")
        case 405:
            refusal = MethodNotAllowed(f"this path does not take {request.method}")
        case 413:
            refusal = BodyTooLarge("the body is too large")
        case code if code is not None and 400 <= code < 500:
            refusal = BadRequest(error.description or "the request is not right")
        case _:
            return _fail(error)
    answer = _refuse(refusal)
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer


def _fail(error: Exception) -> Response:
    """A fault of ours: the caller learns that it is, operators learn what."""
    g.code = "INTERNAL"
    log.exception("failed", extra={"request_id": g.request_id, "path": request.path})
    body = error_body("INTERNAL", "something went wrong on our side", (), g.request_id)
    return Response(body, 500, mimetype="application/json")
