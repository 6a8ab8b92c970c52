"""A language model behind the chat completions of OpenAI, as OpenRouter, Ollama, vLLM, llama.cpp
and many others speak them.
"""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any, ClassVar

import attrs

from finora_adapters.upstream.wire import NoReply, Raw, Wire
from finora_core.kernel.outcome import AuthExpired, Down, Ok, Outcome, RateLimited
from finora_core.plugins import Answer, ModelAccess, Question, retry_after

_LARGEST = 1 << 20
_TRIES = 3
_PAUSE_S = 60
"""Where the provider says that it was asked too often, and not until when."""


@attrs.frozen
class OpenAiModel:
    """What failed for a moment is asked again only when the provider said when."""

    access: ModelAccess
    name: ClassVar[str] = "openai"

    def ask(self, question: Question) -> Outcome[Answer]:
        try:
            return _outcome(self._tried(_body(self.access.model, question)))
        except NoReply as error:
            return Down(str(error))

    def _tried(self, body: bytes) -> Raw:
        limit = self.access.limit_s
        ends = time.monotonic() + limit
        for attempt in range(1, _TRIES + 1):
            reply = self._post(body, ends - time.monotonic())
            if reply.status not in (408, 429, 500, 502, 503, 504, 529):
                break
            pause = _pause(reply)
            # Half of the time is the answer's.
            fits = pause is not None and time.monotonic() + pause < ends - limit / 2
            if pause is None or not fits or attempt == _TRIES:
                break
            time.sleep(pause)
        return reply

    def _post(self, body: bytes, limit_s: float) -> Raw:
        headers = {"Content-Type": "application/json"}
        if self.access.key is not None:
            headers["Authorization"] = f"Bearer {self.access.key}"
        url = f"{(self.access.url or '').rstrip('/')}/chat/completions"
        # The operator named the host, so it may be anywhere.
        wire = Wire(connect_s=limit_s, most_bytes=_LARGEST)
        return wire.ask("POST", url, headers=headers, content=body, limit_s=limit_s)


def _body(model: str, question: Question) -> bytes:
    said = {
        "model": model,
        "messages": [
            {"role": "system", "content": question.instructions},
            {"role": "user", "content": json.dumps(question.data, ensure_ascii=False)},
        ],
        "temperature": 0,
        "max_tokens": question.most_tokens,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": question.name, "strict": True, "schema": question.schema},
        },
    }
    return json.dumps(said, ensure_ascii=False).encode()


def _outcome(reply: Raw) -> Outcome[Answer]:
    match reply.status:
        case 200:
            return _read(reply.body)
        case 401 | 403:
            return AuthExpired()
        # A full account is no better tomorrow than a wrong key.
        case 402:
            return AuthExpired()
        case 429:
            pause = _pause(reply)
            return RateLimited(_PAUSE_S if pause is None else max(pause, 1))
        case 503 | 529 if (pause := _pause(reply)) is not None:
            return RateLimited(max(pause, 1))
    return Down(f"it answers {reply.status}")


def _read(body: bytes) -> Outcome[Answer]:
    try:
        said: Any = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
        choice = said["choices"][0]
        message, usage = choice["message"], said.get("usage") or {}
        model = str(said.get("model") or "")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Down("it does not answer as chat completions do")
    if not isinstance(message, dict) or not isinstance(usage, dict):
        return Down("it does not answer as chat completions do")
    return Ok(
        Answer(
            value=_value(message),
            model=model,
            tokens_in=_number(usage.get("prompt_tokens")),
            tokens_out=_number(usage.get("completion_tokens")),
            cost_micros=_micros(usage.get("cost")),
        )
    )


def _value(message: Mapping[str, object]) -> object:
    """The JSON that the model wrote; None where it is none, is cut, or would call something."""
    content = message.get("content")
    if message.get("tool_calls") or message.get("function_call") or not isinstance(content, str):
        return None
    try:
        return json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _number(said: object) -> int | None:
    return said if type(said) is int and 0 <= said < 10**12 else None


def _micros(said: object) -> int:
    """What OpenRouter says that it cost; rounded up."""
    if not isinstance(said, Decimal | int) or isinstance(said, bool):
        return 0
    cost = Decimal(said)
    if not cost.is_finite() or not 0 <= cost < 10**6:
        return 0
    return int((cost * 10**6).to_integral_value(ROUND_CEILING))


def _pause(reply: Raw) -> int | None:
    return retry_after(reply.headers, datetime.now(UTC))
