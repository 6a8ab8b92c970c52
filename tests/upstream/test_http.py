"""What a provider's Http does with servers that do what servers do (F-21)."""

import json
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import attrs
import pytest
from werkzeug import Request, Response

from finora_adapters.upstream.cost import HourlyCost
from finora_adapters.upstream.http import CALL, Call
from finora_adapters.upstream.wire import Wire
from finora_core.kernel.outcome import AuthExpired, Down, Missing, OverBudget, RateLimited
from finora_core.plugins import NoAnswer
from upstream.sources import KEY, MINE, NOW, Fixed, Stub, Waits, drips, http_of, says

F21 = pytest.mark.invariant("F-21")
S08 = pytest.mark.spec("S0-8", partial=True)
SOON = format_datetime(NOW + timedelta(seconds=7), usegmt=True)


def broken(request: Request) -> Response:
    """Says that it is longer than it is."""
    return Response((each for each in [b'{"a": ']), 200, {"Content-Length": "100"})


def unasked(request: Request) -> Response:
    return Response(b"\x1f\x8b", 200, {"Content-Encoding": "gzip"})


def huge(request: Request) -> Response:
    return Response((b"x" * 65_536 for _ in range(100)), 200)


@F21
@S08
@pytest.mark.parametrize(("script", "outcome", "asked"), [
    ([says(200, '{"a": 1}')], None, 1),
    ([says(204, "")], None, 1),
    ([says(400)], Down("it answers 400"), 1),
    ([says(401)], AuthExpired(), 1),
    ([says(402)], AuthExpired(), 1),
    ([says(403)], AuthExpired(), 1),
    ([says(404)], Missing(), 1),
    ([says(301, Location="https://evil.example/")], Down("it answers 301"), 1),
    ([says(302, Location="/again")], Down("it answers 302"), 1),
    ([says(418)], Down("it answers 418"), 1),
    ([says(429)], RateLimited(60), 1),
    ([says(429, Retry_After="3600")], RateLimited(3600), 1),
    ([says(429, Retry_After="99999999999")], RateLimited(3600), 1),
    ([says(429, Retry_After="-1")], RateLimited(60), 1),
    ([says(429, Retry_After="soon")], RateLimited(60), 1),
    ([says(429, Retry_After="2"), says(200)], None, 2),
    ([says(429, Retry_After=SOON), says(200)], None, 2),
    ([says(429, Retry_After="0"), says(200)], None, 2),
    ([says(429, Retry_After="1")], RateLimited(1), 3),
    ([says(500)], Down("it answers 500"), 3),
    ([says(500), says(200)], None, 2),
    ([says(502), says(503), says(200)], None, 3),
    ([says(503, Retry_After="5"), says(200)], None, 2),
    ([says(503, Retry_After="600")], RateLimited(600), 1),
    ([says(504)], Down("it answers 504"), 3),
    ([says(529), says(200)], None, 2),
    ([says(408), says(200)], None, 2),
    ([drips(2)], Down("localhost did not answer in time"), 3),
    ([drips(2), says(200)], None, 2),
    ([broken], Down("localhost does not answer: RemoteProtocolError"), 3),
    ([unasked], Down("localhost answers in a form that was not asked for"), 3),
    ([huge], Down("localhost answers with more than is read"), 3),
])  # fmt: skip
def test_an_answer_is_one_of_few(
    stub: Stub, script: list[Callable[[Request], Response]], outcome: object, asked: int
) -> None:
    stub.script = script
    http = http_of(stub)
    if outcome is None:
        assert http.get("/x").status < 300
    else:
        with pytest.raises(NoAnswer) as refused:
            http.get("/x")
        assert refused.value.outcome == outcome
    assert len(stub.asked) == asked


@F21
def test_a_pause_is_as_long_as_it_was_told(stub: Stub) -> None:
    stub.script = [says(429, Retry_After="2"), says(503, Retry_After=SOON), says(200)]
    waits = Waits()
    http_of(stub, pause=waits).get("/x")
    assert waits.seconds == [2, 7]
    stub.script = [says(500), says(500), says(200)]
    waits.seconds.clear()
    http_of(stub, pause=waits).get("/x")
    assert 0.25 <= waits.seconds[0] <= 0.5 and 0.5 <= waits.seconds[1] <= 1


@F21
def test_a_post_is_asked_again_only_where_that_is_safe(stub: Stub) -> None:
    for safe, asked in ((False, 1), (True, 3)):
        stub.script, stub.asked = [says(500)], []
        with pytest.raises(NoAnswer):
            http_of(stub, attrs.evolve(MINE, safe_posts=safe)).post("/x", {"a": 1})
        assert len(stub.asked) == asked
    # What was refused for being too much was not done.
    stub.script, stub.asked = [says(429, Retry_After="1"), says(200)], []
    assert http_of(stub).post("/x", {"a": "ä"}).status == 200
    assert stub.asked[1][1].get_json() == {"a": "ä"}


@S08
def test_what_was_not_there_is_not_asked_for_again_soon(stub: Stub) -> None:
    stub.script = [says(404)]
    http = http_of(stub)
    for query in ("a", "a", "b"):
        with pytest.raises(NoAnswer) as refused:
            http.get("/x", q=query)
        assert refused.value.outcome == Missing()
    assert [request.args["q"] for _, request in stub.asked] == ["a", "b"]


def test_what_is_sent(stub: Stub) -> None:
    """The query, the provider's headers, and nothing of this process or of the connection's."""
    stub.script = [says(200)]
    given = {"X-Key": KEY, "Host": "evil.example", "X-Bad": "a\r\nX-Worse: b"}
    http_of(stub).get("/p/a?one=1", given, two="ä b", three="&")
    [(_, request)] = stub.asked
    assert dict(request.args) == {"one": "1", "two": "ä b", "three": "&"}
    assert request.headers["X-Key"] == KEY
    assert request.headers["Host"].startswith("localhost:")
    assert "X-Worse" not in request.headers and "X-Bad" not in request.headers


@S08
def test_numbers_keep_every_digit_that_was_sent(stub: Stub) -> None:
    said = "0.1234567890123456789012345678901234567890"
    stub.script = [says(200, f'{{"price": {said}}}'), says(200, "[NaN]"), says(200, '{"a": '),
                   says(200, "[" * 100_000)]  # fmt: skip
    http = http_of(stub)
    assert str(http.get("/x").json()["price"]) == said
    for _ in range(3):
        with pytest.raises(NoAnswer) as refused:
            http.get("/x").json()
        assert refused.value.outcome == Down("the answer is not JSON")


@S08
def test_no_secret_is_in_what_is_recorded_or_said(stub: Stub) -> None:
    found: list[Any] = []
    stub.script = [says(200, json.dumps({"echo": KEY})), says(500)]
    http = http_of(stub, record=found.append)
    http.get(f"/{KEY}/x", key=KEY, other=f"a{KEY}")
    with pytest.raises(NoAnswer) as refused:
        http.post("/x", {"token": KEY})
    with pytest.raises(NoAnswer) as breach:
        http.get(f"https://{KEY.replace('/', '')}.evil.example/{KEY}")
    said = json.dumps(found) + str(refused.value) + repr(http) + http.namespace
    said += str(breach.value) if KEY.replace("/", "") != KEY else ""
    assert "s3cret" not in said.replace("s3cretkey", "")
    assert found[0]["uri"].startswith("https://api.mine.example/")
    assert json.loads(found[0]["response_text"]) == {"echo": "<key>"}
    assert found[-1]["request_body"] == {"token": "<key>"}


@pytest.mark.spec("S0-8")
def test_an_hour_costs_no_more_than_it_may(stub: Stub, caplog: pytest.LogCaptureFixture) -> None:
    stub.script = [says(200)]
    clock = Fixed()
    cost = HourlyCost(1_000, clock.now)
    http = http_of(stub, attrs.evolve(MINE, cost_micros=100), cost=cost, clock=clock)
    for _ in range(10):
        http.get("/x")
    with pytest.raises(NoAnswer) as refused:
        http.get("/x")
    assert refused.value.outcome == OverBudget(3600)
    assert len(stub.asked) == 10
    assert [each.getMessage() for each in caplog.records if "80 %" in each.getMessage()] == [
        "providers have cost 80 % of what they may this hour"
    ]
    clock.at += timedelta(hours=1)
    assert http.get("/x").status == 200
    http_of(stub, attrs.evolve(MINE, cost_micros=10**6)).get("/x")  # No limit is set there.


def test_a_question_makes_so_many_requests_and_takes_so_long(stub: Stub) -> None:
    stub.script = [says(200)]
    http = http_of(stub)
    call = Call(ends=10**12, most=2)
    token = CALL.set(call)
    try:
        http.get("/x")
        http.get("/x")
        with pytest.raises(NoAnswer):
            http.get("/x")
    finally:
        CALL.reset(token)
    assert call.breach == "it makes more than 2 requests for one answer"
    assert len(stub.asked) == 2


def test_nobody_there() -> None:
    http = http_of(None, servers={"api.mine.example": "http://127.0.0.1:9"}, wire=Wire())
    with pytest.raises(NoAnswer) as refused:
        http.get("/x")
    assert refused.value.outcome == Down("127.0.0.1 does not answer: ConnectError")
