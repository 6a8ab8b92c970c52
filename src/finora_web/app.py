"""The Flask application: routes, envelope, request ids, headers, logs."""

import json
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import UUID

import attrs
from flask import Flask, Response, g, render_template, request
from werkzeug.exceptions import HTTPException

from finora_adapters import log as logs
from finora_adapters.settings import Settings
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
_PROBES = frozenset({"/live", "/ready", "/health", "/metrics"})


@attrs.frozen(kw_only=True)
class Shell:
    """What the application is given."""

    gate: Gate
    health: Health
    version: str
    origins: frozenset[str] = frozenset()
    """Of other sites whose pages may call the API."""
    production: bool = False
    metrics_folder: Path | None = None
    settings: Settings | None = None
    """For the page that shows them."""


def create_app(shell: Shell) -> Flask:
    app = Flask("finora_web", static_url_path="/static")
    app.config["SHELL"] = shell
    # Two paths would be one thing, and the redirect between them would go where Host says.
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    for endpoint in ENDPOINTS:
        app.add_url_rule(
            openapi.ROOT + endpoint.rule,
            endpoint.name,
            _view(shell.gate, endpoint),
            methods=[endpoint.method],
        )
    _add_probes(app, shell)
    _add_documents(app, shell)
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
    g.began = time.perf_counter()
    asked = request.headers.get("X-Request-Id", "")
    g.request_id = asked if _REQUEST_ID.fullmatch(asked) else str(new_id())
    try:
        # What is no text would be read as another one: the reader puts marks where it is not.
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("the query is not UTF-8") from error
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return Response(status=204)
    return None


def _end(shell: Shell) -> Callable[[Response], Response]:
    def end(answer: Response) -> Response:
        headers = answer.headers
        headers["X-Request-Id"] = g.request_id
        if "Content-Security-Policy" not in headers:
            headers.extend(_HEADERS)
        if "Cache-Control" not in headers:
            headers.add("Cache-Control", "no-store")
        if shell.production:
            headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        origin = request.headers.get("Origin")
        if origin is not None and origin in shell.origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Vary"] = "Origin"
            headers["Access-Control-Allow-Methods"] = "GET, POST, PATCH, DELETE"
            headers["Access-Control-Allow-Headers"] = (
                "Authorization, Content-Type, Idempotency-Key, X-Request-Id"
            )
            headers["Access-Control-Allow-Credentials"] = "true"
            headers["Access-Control-Expose-Headers"] = (
                "X-Request-Id, Idempotency-Replayed, Retry-After"
            )
            headers["Access-Control-Max-Age"] = "600"
        metrics.CONNECTIONS.set(shell.health.connections())
        _note(answer)
        return answer

    return end


def _note(answer: Response) -> None:
    route = request.url_rule.rule if request.url_rule is not None else "none"
    took = (time.perf_counter() - g.began) * 1000
    metrics.REQUESTS.labels(metrics.method(request.method), route, str(answer.status_code)).inc()
    metrics.DURATION.labels(route).observe(took)
    if answer.status_code >= 400:
        metrics.ERRORS.labels(route, g.get("code", str(answer.status_code))).inc()
    if request.path in _PROBES and answer.status_code < 400:
        return
    logs.note(
        "request",
        request_id=g.request_id,
        method=request.method,
        path=request.path,
        status_code=answer.status_code,
        duration_ms=round(took, 1),
        user_id=g.get("user_id"),
        tenant_id=g.get("tenant_id"),
        code=g.get("code"),
    )


def _refuse(refusal: Refusal) -> Response:
    status = status_of(refusal)
    g.code = refusal.code
    if isinstance(refusal, Unavailable):
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
