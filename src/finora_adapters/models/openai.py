"""A language model behind the chat completions of OpenAI, as OpenRouter, Ollama, vLLM, llama.cpp
and many others speak them.

httpx2 is imported when something is asked, not before.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, ClassVar

import attrs

from finora_core.kernel.outcome import AuthExpired, Down, Ok, Outcome, RateLimited
from finora_core.plugins import Answer, ModelAccess, Question

_LARGEST = 1 << 20
_TRIES = 3
_PAUSE_S = 60
"""Where the provider says that it was asked too often, and not until when."""
_LONGEST_PAUSE_S = 3_600


@attrs.frozen
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Broken(Exception):
    """There was no reply that can be read. The text names nothing that was sent."""


@attrs.frozen
class OpenAiModel:
    """Follows no redirect, reads no environment, and is done after the limit, however slowly the
    other side speaks. What failed for a moment is asked again only when the provider said when."""

    access: ModelAccess
    name: ClassVar[str] = "openai"

    def ask(self, question: Question) -> Outcome[Answer]:
        # Only a loop can end a request at a given moment: a socket's time limit begins anew with
        # every byte.
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._answered(question))
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, self._answered(question)).result()

    async def _answered(self, question: Question) -> Outcome[Answer]:
        try:
            async with asyncio.timeout(self.access.limit_s):
                return await self._tried(_body(self.access.model, question))
        except TimeoutError:
            return Down(f"no answer in {self.access.limit_s} s")
        except _Broken as error:
            return Down(str(error))

    async def _tried(self, body: bytes) -> Outcome[Answer]:
        loop = asyncio.get_running_loop()
        ends = loop.time() + self.access.limit_s
        for attempt in range(1, _TRIES + 1):
            reply = await self._post(body)
            if reply.status not in (408, 429, 500, 502, 503, 504, 529):
                break
            pause = _pause(reply)
            # Half of the time is the answer's.
            fits = pause is not None and loop.time() + pause < ends - self.access.limit_s / 2
            if pause is None or not fits or attempt == _TRIES:
                break
            await asyncio.sleep(pause)
        return _outcome(reply)

    async def _post(self, body: bytes) -> _Reply:
        import httpx2

        headers = {"Content-Type": "application/json", "Accept": "application/json",
                   "Accept-Encoding": "identity"}  # fmt: skip
        if self.access.key is not None:
            headers["Authorization"] = f"Bearer {self.access.key}"
        url = f"{(self.access.url or '').rstrip('/')}/chat/completions"
        try:
            async with (
                httpx2.AsyncClient(
                    verify=_trusted(),
                    trust_env=False,
                    follow_redirects=False,
                    timeout=self.access.limit_s,
                ) as client,
                client.stream("POST", url, content=body, headers=headers) as reply,
            ):
                if reply.headers.get("content-encoding", "identity") != "identity":
                    raise _Broken("it answers in a form that was not asked for")
                read = bytearray()
                async for piece in reply.aiter_raw():
                    read += piece
                    if len(read) > _LARGEST:
                        raise _Broken("it answers with more than is read")
                return _Reply(reply.status_code, dict(reply.headers), bytes(read))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise _Broken(f"it does not answer: {type(error).__name__}") from None


@cache
def _trusted() -> ssl.SSLContext:
    """Whom this machine trusts; reading it takes longer than asking."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=False)


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


def _outcome(reply: _Reply) -> Outcome[Answer]:
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


def _pause(reply: _Reply) -> int | None:
    """Seconds until it may be asked again, where it says so: a number, or a date."""
    said = reply.headers.get("retry-after", "").strip()
    if said.isdecimal() and said.isascii():
        return min(int(said[:9]), _LONGEST_PAUSE_S)
    try:
        left = parsedate_to_datetime(said) - datetime.now(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(int(left.total_seconds()) + 1, 0), _LONGEST_PAUSE_S)
