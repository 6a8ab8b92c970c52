"""A language model over the wire, against an endpoint on a socket that does what servers do."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from finora_adapters.models.openai import OpenAiModel
from finora_core.kernel.outcome import AuthExpired, Down, Ok, RateLimited
from finora_core.plugins import Answer, ModelAccess, Question
from intelligence.endpoint import Endpoint, completion

QUESTION = Question(
    name="categories",
    instructions="Sort.",
    data={"lines": [{"id": "x", "description": "Bäckerei"}]},
    schema={"type": "object"},
    most_tokens=99,
)
VALUE = {"answers": [{"id": "x"}]}
GOOD = completion(json.dumps(VALUE))


@pytest.fixture
def endpoint(httpserver: HTTPServer) -> Endpoint:
    return Endpoint(httpserver, lambda body: completion(json.dumps(VALUE))).start()


def model(endpoint: Endpoint, limit_s: int = 10, key: str | None = "sk-test") -> OpenAiModel:
    return OpenAiModel(ModelAccess(url=endpoint.url, key=key, model="m/one", limit_s=limit_s))


@pytest.mark.spec("S2-45", partial=True)
def test_a_question_is_one_chat_completion_with_a_schema(endpoint: Endpoint) -> None:
    said = model(endpoint).ask(QUESTION)
    assert said == Ok(Answer(value=VALUE, model="stub-1", tokens_in=100, tokens_out=20))
    [body], [headers] = endpoint.asked, endpoint.headers
    assert headers["Authorization"] == "Bearer sk-test"
    assert body == {
        "model": "m/one",
        "messages": [
            {"role": "system", "content": "Sort."},
            {"role": "user", "content": json.dumps(QUESTION.data, ensure_ascii=False)},
        ],
        "temperature": 0,
        "max_tokens": 99,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "categories", "strict": True, "schema": {"type": "object"}},
        },
    }


def test_without_a_key_none_is_sent(endpoint: Endpoint) -> None:
    assert isinstance(model(endpoint, key=None).ask(QUESTION), Ok)
    assert "Authorization" not in endpoint.headers[0]
    assert "sk-test" not in repr(model(endpoint))


def test_what_it_cost_is_taken_as_said(endpoint: Endpoint) -> None:
    for cost, micros in ((0.0000301, 31), (0, 0), (1, 10**6), (-1, 0), ("x", 0), (1e300, 0),
                         (None, 0), (True, 0)):  # fmt: skip
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "cost": cost}
        endpoint.answer = lambda body, usage=usage: completion("{}", usage=usage)  # type: ignore[misc]  # bound to this one
        said = model(endpoint).ask(QUESTION)
        assert isinstance(said, Ok) and said.value.cost_micros == micros, cost


@pytest.mark.parametrize("usage", [
    None, {}, {"prompt_tokens": "7", "completion_tokens": 1.5},
    {"prompt_tokens": -7, "completion_tokens": True},
])  # fmt: skip
def test_usage_that_is_none_is_unknown(endpoint: Endpoint, usage: Any) -> None:
    endpoint.answer = lambda body: completion("{}", usage=usage)
    said = model(endpoint).ask(QUESTION)
    assert said == Ok(Answer(value={}, model="stub-1"))


@pytest.mark.spec("S3-26", partial=True)
@pytest.mark.parametrize("message", [
    {"content": "Sure! Here is the JSON"}, {"content": '{"answers": [{"id": "x"'},
    {"content": None}, {"content": ""}, {"content": ["x"]}, {}, {"content": '{"a": NaN}'},
    {"content": "[" * 100_000},
    {"content": "{}", "tool_calls": [{"function": {"name": "transfer", "arguments": "{}"}}]},
    {"content": "{}", "function_call": {"name": "transfer", "arguments": "{}"}},
])  # fmt: skip
def test_what_is_no_json_or_calls_something_is_no_value(
    endpoint: Endpoint, message: dict[str, Any]
) -> None:
    """Its tokens are counted: they are billed."""
    endpoint.answer = lambda body: completion("", choices=[{"message": message}])
    said = model(endpoint).ask(QUESTION)
    assert said == Ok(Answer(value=None, model="stub-1", tokens_in=100, tokens_out=20))


@pytest.mark.invariant("F-24")
@pytest.mark.parametrize(("response", "outcome"), [
    (Response(status=500), Down("it answers 500")),
    (Response(status=404), Down("it answers 404")),
    (Response(status=503), Down("it answers 503")),
    (Response(status=503, headers={"Retry-After": "90"}), RateLimited(90)),
    (Response(status=429), RateLimited(60)),
    (Response(status=429, headers={"Retry-After": "3600000"}), RateLimited(3600)),
    (Response(status=429, headers={"Retry-After": "soon"}), RateLimited(60)),
    (Response(status=401), AuthExpired()),
    (Response(status=403), AuthExpired()),
    (Response(status=402), AuthExpired()),
    (Response(status=302, headers={"Location": "https://evil.example/"}), Down("it answers 302")),
    (Response("<html>"), Down("it does not answer as chat completions do")),
    (Response("{}"), Down("it does not answer as chat completions do")),
    (Response('{"choices": []}'), Down("it does not answer as chat completions do")),
    (Response('{"choices": [{"message": 1}]}'), Down("it does not answer as chat completions do")),
    (Response("[" * 100_000), Down("it does not answer as chat completions do")),
    (Response(b"\xff\xfe"), Down("it does not answer as chat completions do")),
    (Response("x" * (1 << 21)), Down("localhost answers with more than is read")),
    (Response("x", headers={"Content-Encoding": "gzip"}),
     Down("localhost answers in a form that was not asked for")),
])  # fmt: skip
def test_failures_are_told_by_kind_and_asked_once(
    endpoint: Endpoint, response: Response, outcome: object
) -> None:
    endpoint.answer = lambda body: response
    assert model(endpoint).ask(QUESTION) == outcome
    assert len(endpoint.asked) == 1


def test_a_date_says_when_too(endpoint: Endpoint) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=100))
    endpoint.answer = lambda body: Response(status=429, headers={"Retry-After": at})
    said = model(endpoint).ask(QUESTION)
    assert isinstance(said, RateLimited) and 90 <= said.retry_after <= 101


@pytest.mark.parametrize("status", [429, 500, 503])
def test_it_is_asked_again_where_the_provider_said_when(endpoint: Endpoint, status: int) -> None:
    answers = iter([Response(status=status, headers={"Retry-After": "0"}), GOOD])
    endpoint.answer = lambda body: next(answers)
    assert isinstance(model(endpoint).ask(QUESTION), Ok)
    assert endpoint.asked[0] == endpoint.asked[1]


def test_three_times_is_enough(endpoint: Endpoint) -> None:
    endpoint.answer = lambda body: Response(status=429, headers={"Retry-After": "0"})
    assert model(endpoint).ask(QUESTION) == RateLimited(1)
    assert len(endpoint.asked) == 3


@pytest.mark.invariant("F-24")
def test_a_server_that_trickles_is_cut_off(endpoint: Endpoint) -> None:
    """Each byte comes in time, and the whole does not."""

    def trickle() -> Iterator[bytes]:
        for _ in range(40):
            time.sleep(0.1)
            yield b" "

    endpoint.answer = lambda body: Response(trickle())
    assert model(endpoint, limit_s=1).ask(QUESTION) == Down("localhost did not answer in time")


def test_nobody_there() -> None:
    access = ModelAccess(url="http://127.0.0.1:9/v1", model="m")
    assert OpenAiModel(access).ask(QUESTION) == Down("127.0.0.1 does not answer: ConnectError")


async def _inside(endpoint: Endpoint) -> object:
    return model(endpoint).ask(QUESTION)


def test_it_can_be_asked_from_inside_a_loop(endpoint: Endpoint) -> None:
    import asyncio

    assert isinstance(asyncio.run(_inside(endpoint)), Ok)
