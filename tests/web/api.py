"""A caller of the API: what it sends, what it gets."""

import io
import json
from collections.abc import Iterator
from typing import Any

import attrs
from flask import Flask
from werkzeug.test import TestResponse

ROOT = "/api/v1"


@attrs.frozen
class Api:
    """Asks with one token, in the tenant that it names, if it does. Every answer is checked to be
    in the envelope, naming its request."""

    app: Flask
    token: str | None
    tenant: str | None = None

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
        **more: Any,
    ) -> TestResponse:
        sent = dict(headers or {})
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if self.tenant is not None:
            sent.setdefault("X-Tenant-Id", self.tenant)
        if key is not None:
            sent["Idempotency-Key"] = key
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
            more["data"] = raw
        where = path if path.startswith("/api") else ROOT + path
        answer = self.app.test_client().open(
            where, method=method, headers=sent, query_string=query, buffered=True, **more
        )
        assert answer.headers["X-Request-Id"]
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        if answer.mimetype == "application/json" and method != "HEAD":
            check_envelope(answer)
        return answer

    def get(self, path: str, **query: Any) -> Any:
        """The data of an answer that must be 200."""
        answer = self.ask("GET", path, query=query)
        assert answer.status_code == 200, answer.text
        return answer.json["data"]

    def post(self, path: str, body: Any = None, status: int = 201, **more: Any) -> Any:
        """The data of an answer that must have the status."""
        answer = self.ask("POST", path, body, **more)
        assert answer.status_code == status, answer.text
        return answer.json["data"]

    def upload(
        self, path: str, content: bytes, status: int, *, form: bool = False, **more: Any
    ) -> Any:
        """The data of the answer to a file, sent as the body or as a form's part."""
        if form:
            more["data"] = {"file": (io.BytesIO(content), "said-by-the-form.bin")}
            sent: dict[str, str] = {}
        else:
            more["raw"] = content
            sent = {"Content-Type": "application/octet-stream"}
        answer = self.ask("POST", path, headers=sent, **more)
        assert answer.status_code == status, answer.text
        return answer.json["data"]

    def refused(self, method: str, path: str, *given: Any, **more: Any) -> tuple[int, str]:
        """Status and code of a refusal."""
        answer = self.ask(method, path, *given, **more)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json["error"]["code"]

    def pages(self, path: str, **query: Any) -> Iterator[list[Any]]:
        """Every page of a list, to its end."""
        while True:
            answer = self.ask("GET", path, query=query)
            assert answer.status_code == 200, answer.text
            yield answer.json["data"]
            if answer.json["page"]["next"] is None:
                return
            query["cursor"] = answer.json["page"]["next"]

    def open(self, name: str, **more: Any) -> str:
        """A new account's id."""
        return str(self.post("/accounts", {"name": name, **more})["id"])

    def enter(self, account: str, day: str, amount: str, **more: Any) -> Any:
        """A new record in EUR."""
        said = {"account_id": account, "on_date": day, "amount": euros(amount),
                "description": "x"}  # fmt: skip
        return self.post("/records", said | more)


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "asset": "EUR"}


def check_envelope(answer: TestResponse) -> None:
    """A success has data; an error has code, message, details and the request's id, and nothing
    that only operators may see."""
    said = answer.json
    if answer.status_code < 400:
        if answer.request.path.startswith(ROOT):
            assert said["success"] is True
            assert set(said) in ({"success", "data"}, {"success", "data", "page"})
        return
    if not answer.request.path.startswith(ROOT) and "success" not in said:
        return
    assert set(said) == {"success", "error", "request_id"}
    assert said["success"] is False
    assert said["request_id"] == answer.headers["X-Request-Id"]
    assert set(said["error"]) == {"code", "message", "details"}
    assert all(set(detail) == {"path", "msg"} for detail in said["error"]["details"])
    assert not any(
        word in answer.text for word in ("Traceback", "site-packages", "psycopg", 'File "')
    )
