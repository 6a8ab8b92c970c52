"""An OpenAI-compatible endpoint on a socket, which answers as it is told."""

import json
from collections.abc import Callable
from typing import Any

import attrs
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

PATH = "/v1/chat/completions"


def completion(content: object, **more: Any) -> Response:
    """As a model's that wrote this."""
    message = {"role": "assistant", "content": content}
    said = {
        "id": "x",
        "object": "chat.completion",
        "model": "stub-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    } | more
    return Response(json.dumps(said), content_type="application/json")


@attrs.define
class Endpoint:
    server: HTTPServer
    answer: Callable[[dict[str, Any]], Response]
    asked: list[dict[str, Any]] = attrs.field(factory=list)
    headers: list[dict[str, str]] = attrs.field(factory=list)

    @property
    def url(self) -> str:
        return str(self.server.url_for("/v1"))

    def start(self) -> "Endpoint":
        self.server.expect_request(PATH, method="POST").respond_with_handler(self._handle)
        return self

    def _handle(self, request: Request) -> Response:
        body = json.loads(request.get_data())
        self.asked.append(body)
        self.headers.append(dict(request.headers))
        return self.answer(body)


def data_of(body: dict[str, Any]) -> dict[str, Any]:
    """What the user's message holds."""
    said: dict[str, Any] = json.loads(body["messages"][1]["content"])
    return said
