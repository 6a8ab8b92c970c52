"""What a provider is held to, check by check. Each raises AssertionError that says what is wrong.

Bronze is the contract; silver, that nothing a server does comes out as a number or an exception;
gold, that every digit is kept, every capability was seen, and no limit is asked too much of.
"""

import ast
import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

import attrs

from finora_core.answers import KIND_OF, Lie, judge
from finora_core.kernel.outcome import (
    AuthExpired,
    Down,
    Missing,
    Ok,
    Outcome,
    Partial,
    RateLimited,
)
from finora_core.manifest import Manifest, find_manifest, read_manifest
from finora_core.plugins import (
    SENDING,
    Access,
    AssetRef,
    Day,
    Mail,
    NoAnswer,
    Notice,
    Picture,
    Provider,
    Provides,
    Quoted,
    Seen,
    answer_of,
)
from finora_core.testing.recordings import Ask, Exchange, Fault, NotRecorded, Replay, dumped

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_DIGITS = Decimal("12345678901234567890.12345678901234567891")
"""Forty of them: more than a float, or a Decimal that is reckoned with by default, keeps."""
_MOST_LEAVES = 200
_HTTP_LIBRARIES = frozenset(
    ("socket", "http", "ftplib", "asyncio", "ssl", "requests", "httpx", "httpx2", "aiohttp",
     "urllib3", "pycurl", "websockets", "subprocess", "ctypes", "multiprocessing")
)  # fmt: skip


@cache
def _manifest_of(module: str) -> Manifest:
    return read_manifest(find_manifest(module).read_text())


class Tier(IntEnum):
    NONE = 0
    BRONZE = 1
    SILVER = 2
    GOLD = 3


@attrs.frozen
class Asked:
    """What came of a question: its outcome, what was asked over Http, and what was said of it."""

    outcome: Any
    requests: Sequence[Exchange]
    lines: Sequence[str]
    headers: Sequence[Mapping[str, str]] = ()
    """Of each request."""


def module_of(provider: Any) -> str:
    return str(getattr(provider, "__module__", type(provider).__module__))


def declared(provider: Any) -> Provides:
    """What its manifest says of it."""
    found = [
        each for each in _manifest_of(module_of(provider)).provides if each.name == provider.name
    ]
    assert found, f"its manifest declares no {provider.name}"
    return found[0]


@attrs.frozen(kw_only=True)
class Subject:
    """A provider with what it was recorded with."""

    kind: str
    provider: Provider
    exchanges: Sequence[Exchange]
    asks: Sequence[Ask]
    now: datetime = NOW

    @property
    def provides(self) -> Provides:
        return declared(self.provider)

    @property
    def credentials(self) -> Mapping[str, str]:
        return {each.field: f"s3cret/{each.field}+1" for each in self.provides.credentials}

    @property
    def source(self) -> Path:
        return Path(str(importlib.import_module(module_of(self.provider)).__file__))

    def ask(
        self,
        ask: Ask,
        faults: Mapping[int, Fault] | None = None,
        *,
        now: datetime | None = None,
        otherwise: bytes | None = None,
    ) -> Asked:
        """Ask a new object of it, as the host does."""
        lines: list[str] = []
        clock = now or self.now
        provides = self.provides
        http = Replay(
            self.exchanges, provides.hosts, lambda: clock, self.credentials, faults or {}, otherwise
        )
        made = self.provider(
            Access(http=http, now=lambda: clock, credentials=self.credentials, log=lines.append)
        )
        outcome = answer_of(lambda: getattr(made, ask.method)(*ask.given))
        lines.append(repr(made))
        return Asked(outcome, http.asked, lines, http.headers)

    def judged(self, ask: Ask, outcome: Any, *, now: datetime | None = None) -> tuple[Any, int]:
        """What the host believes of it; fails where it is no outcome, or a lie."""
        kinds = get_args(Outcome)
        assert isinstance(outcome, tuple(getattr(each, "__origin__", each) for each in kinds)), (
            f"{ask.method} answers {outcome!r}, which is no outcome"
        )
        if not isinstance(outcome, Ok | Partial):
            return None, 0
        try:
            return judge(ask.method, ask.given, outcome.value, now or self.now)
        except Lie as lie:
            raise AssertionError(f"{ask.method}: {lie}") from None


# --- bronze --------------------------------------------------------------------------------------


def manifest_is_honest(subject: Subject) -> None:
    provides = subject.provides
    assert subject.kind in provides.kinds, f"its manifest does not say that it has {subject.kind}"
    made = subject.provider(
        Access(
            http=Replay((), provides.hosts, lambda: subject.now),
            now=lambda: subject.now,
            credentials=subject.credentials,
            log=lambda line: None,
        )
    )
    for method in _methods(subject):
        assert callable(getattr(made, method, None)), f"it has no method {method}"
    assert subject.asks, "there is no question among its recordings"


def answers_what_was_recorded(subject: Subject) -> None:
    for ask in subject.asks:
        outcome = subject.ask(ask).outcome
        assert isinstance(outcome, Ok), f"{ask.method} answers {outcome}"
        value, odd = subject.judged(ask, outcome)
        assert odd == 0, f"{ask.method} answers {odd} values that are none: {outcome.value}"
        assert value or subject.kind in SENDING, f"{ask.method} answers nothing"


def unknown_is_left_out(subject: Subject) -> None:
    """What it does not have is no number: also where the source answers with an empty document."""
    for ask in subject.asks:
        for empty in (b"{}", b"[]", b"null", b""):
            asked = subject.ask(_strange(ask), otherwise=empty)
            value, _ = subject.judged(_strange(ask), asked.outcome)
            held = getattr(value, "movements", value)
            assert not held or not any(_numbers(held)), f"{ask.method} guesses: {held}"


def reaches_out_through_http_only(subject: Subject) -> None:
    for path in subject.source.parent.glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}"]
            for name in names:
                odd = name.partition(".")[0] in _HTTP_LIBRARIES or name == "urllib.request"
                assert not odd, f"{path.name} imports {name}: a provider has its Http"


# --- silver --------------------------------------------------------------------------------------


def _refused(subject: Subject, fault: NoAnswer, *expected: type) -> None:
    """Each request of each question meets the fault: it comes out as what it is."""
    for ask, number in _requests(subject):
        outcome = subject.ask(ask, {number: lambda _: fault}, otherwise=b"{}").outcome
        subject.judged(ask, outcome)
        assert isinstance(outcome, (*expected, Partial)), (
            f"{ask.method} answers {outcome} where request {number} meets {fault}"
        )
        if isinstance(outcome, RateLimited) and isinstance(fault.outcome, RateLimited):
            assert outcome == fault.outcome, f"{ask.method} loses when it may be asked again"


def told_when_it_is_limited(subject: Subject) -> None:
    _refused(subject, NoAnswer(RateLimited(17)), RateLimited)


def told_when_it_is_limited_without_a_time(subject: Subject) -> None:
    def limited(exchange: Exchange) -> Exchange:
        return attrs.evolve(exchange, status=429, headers={}, body=b"slow down")

    for ask, number in _requests(subject):
        outcome = subject.ask(ask, {number: limited}, otherwise=b"{}").outcome
        assert isinstance(outcome, RateLimited | Partial), f"{ask.method} answers {outcome} to 429"


def told_when_the_server_fails(subject: Subject) -> None:
    for said in ("it answers 500", "it answers 503", "did not answer in time"):
        _refused(subject, NoAnswer(Down(said)), Down)


def told_when_the_key_is_revoked(subject: Subject) -> None:
    _refused(subject, NoAnswer(AuthExpired()), AuthExpired)


def told_when_it_is_not_there(subject: Subject) -> None:
    """Of one thing among more it may be nothing new; a number it is not."""
    for ask, number in _requests(subject):
        outcome = subject.ask(ask, {number: lambda _: NoAnswer(Missing())}, otherwise=b"{}").outcome
        subject.judged(ask, outcome)


def a_cut_page_is_no_answer(subject: Subject) -> None:
    if subject.kind in SENDING:
        # That it was taken is said before the page begins.
        return
    for ask, number in _requests(subject):
        if subject.ask(ask).requests[number].json is None:
            continue
        for part in (1, 2, 3):

            def cut(exchange: Exchange, part: int = part) -> Exchange:
                return attrs.evolve(exchange, body=exchange.body[: len(exchange.body) * part // 4])

            outcome = subject.ask(ask, {number: cut}, otherwise=b"{}").outcome
            assert isinstance(outcome, Down | Partial), (
                f"{ask.method} answers {outcome} to a page that was cut"
            )


def another_shape_is_no_number(subject: Subject) -> None:
    shapes = (
        b"[]", b"{}", b"null", b'"x"', b"0", b"[[]]", b"[{}]", b'{"error": "x"}', b"", b"\xff",
        b"<html></html>", b'{"result": null}', b'{"data": {}}', b"a,b\n1,2\n",
    )  # fmt: skip
    for ask, number in _requests(subject):
        for shape in shapes:
            fault = partial(_with_body, body=shape)
            asked = subject.ask(ask, {number: fault}, otherwise=b"{}")
            value, _ = subject.judged(ask, asked.outcome)
            alone = len(subject.ask(ask).requests) == 1
            assert not alone or not any(_numbers(getattr(value, "movements", value) or ())), (
                f"{ask.method} reads {value} from {shape!r}"
            )
    # What is there may be empty.
    for kind, empty in ((list, []), (dict, {})):
        for ask, number, emptied in _changed(subject, kind, partial(_instead, new=empty)):
            subject.judged(ask, subject.ask(ask, {number: emptied}, otherwise=b"{}").outcome)


def unheard_of_words_do_no_harm(subject: Subject) -> None:
    """Another word for every text in turn, not ASCII: a new state, a strange name."""
    for ask, number, fault in _changed(subject, str, lambda _: "Nie gehört ☃ 名前"):
        subject.judged(ask, subject.ask(ask, {number: fault}, otherwise=b"{}").outcome)


def strange_numbers_do_no_harm(subject: Subject) -> None:
    """Every number in turn: too large, too long, negative, none, a text."""
    strange: Sequence[Any] = (
        _DIGITS, Decimal(-1), Decimal(0), Decimal("1e30"), None, "1e999", [], 10**400,
    )  # fmt: skip
    for each in strange:
        for ask, number, fault in _changed(subject, int | Decimal, partial(_instead, new=each)):
            subject.judged(ask, subject.ask(ask, {number: fault}, otherwise=b"{}").outcome)


def a_page_that_comes_twice_counts_once(subject: Subject) -> None:
    if subject.kind not in ("prices", "rates", "transactions"):
        return
    for ask, number in _requests(subject):
        clean, _ = subject.judged(ask, subject.ask(ask).outcome)
        twice, _ = subject.judged(ask, subject.ask(ask, {number: _doubled}).outcome)
        assert twice is None or twice == clean, f"{ask.method} counts what came twice"


def another_clock_changes_no_number(subject: Subject) -> None:
    for ask in subject.asks:
        clean, _ = subject.judged(ask, subject.ask(ask).outcome)
        for skew in (timedelta(days=-1), timedelta(days=1)):
            now = subject.now + skew
            try:
                asked = subject.ask(ask, now=now)
            except NotRecorded:
                # What it asks for depends on the time, as it may.
                continue
            value, _ = subject.judged(ask, asked.outcome, now=now)
            assert sorted(_numbers(value)) == sorted(_numbers(clean)), (
                f"{ask.method} answers other numbers by another clock"
            )


def keeps_its_secrets(subject: Subject) -> None:
    secrets = subject.credentials.values()
    for ask in subject.asks:
        for fault in (_as_it_is, lambda _: NoAnswer(AuthExpired()), partial(_with_body, body=b"x")):
            asked = subject.ask(ask, {0: fault}, otherwise=b"{}")
            said = "\n".join((*asked.lines, repr(asked.outcome)))
            assert not any(secret in said for secret in secrets), f"{ask.method} tells a secret"
            # Not of its object: the Http of the test is in that, and knows what was sent.
            said = "\n".join((*asked.lines[:-1], repr(asked.outcome)))
            private = _private(ask)
            assert not any(each in said for each in private), f"{ask.method} tells what it sends"
    for exchange in subject.exchanges:
        said = exchange.url + dumped(exchange.sent)
        assert not any(word in said for word in ("Bearer ", "s3cret")), "a secret is recorded"


def hands_on_what_it_is_given(subject: Subject) -> None:
    """To whom, and what: in another letter other words."""
    for ask in _sendings(subject):
        for each in (ask, _strange(ask)):
            asked = subject.ask(each, otherwise=b"{}")
            said = "".join(f"{found.url} {dumped(found.sent)}" for found in asked.requests)
            for wanted in _addressed(each):
                assert json.dumps(wanted)[1:-1] in said, f"{ask.method} leaves out {wanted!r}"


def sends_once_in_one_go(subject: Subject) -> None:
    """What was not answered may have been taken: the host sends it again, with the same id."""
    for ask, number in _requests(subject):
        if subject.kind not in SENDING:
            return
        for outcome in (Down("did not answer in time"), RateLimited(17)):
            fault = NoAnswer(outcome)
            asked = subject.ask(ask, {number: lambda _, fault=fault: fault}, otherwise=b"{}")  # type: ignore[misc]  # mypy knows no default of a lambda
            posts = [
                dumped([each.url, each.sent]) for each in asked.requests if each.method == "POST"
            ]
            assert len(set(posts)) == len(posts), f"{ask.method} sends again by itself"


# --- gold ----------------------------------------------------------------------------------------


def keeps_every_digit(subject: Subject) -> None:
    """A number of forty digits comes out as it came in, in one answer at least."""
    if subject.kind not in ("prices", "rates"):
        return
    for ask in subject.asks:
        for asked, number, fault in _changed(subject, int | Decimal, lambda _: _DIGITS):
            if asked is ask:
                value, _ = subject.judged(ask, subject.ask(ask, {number: fault}).outcome)
                # Hundredths of it are as good: digits are what gets lost.
                digits = _DIGITS.as_tuple().digits
                if value and any(each.as_tuple().digits == digits for each in _numbers(value)):
                    break
        else:
            assert all(each.json is None for each in subject.ask(ask).requests), (
                f"{ask.method} rounds: no number of forty digits comes out whole"
            )


def answers_the_same_twice(subject: Subject) -> None:
    for ask in subject.asks:
        first, second = subject.ask(ask), subject.ask(ask)
        assert first.outcome == second.outcome, f"{ask.method} answers otherwise when asked again"
        assert first.requests == second.requests, f"{ask.method} asks otherwise"
        if ask.method == "latest":
            turned = Ask(ask.method, (list(reversed(ask.given[0])), *ask.given[1:]))
            value, _ = subject.judged(turned, subject.ask(turned, otherwise=b"{}").outcome)
            clean, _ = subject.judged(ask, first.outcome)
            assert not value or sorted(_numbers(value)) == sorted(_numbers(clean)), (
                "another order of the assets gives other prices"
            )


def shows_all_that_it_declares(subject: Subject) -> None:
    """Every capability and every kind of asset of the manifest is among the recordings."""
    provides = subject.provides
    seen = {ask.method for ask in subject.asks}
    wanted = _methods(subject)
    assert wanted <= seen, f"nothing is recorded of {', '.join(sorted(wanted - seen))}"
    kinds = {each.kind for ask in subject.asks for each in _assets(ask)}
    unseen = set(provides.assets) - kinds
    assert subject.kind != "prices" or not unseen, f"no {', '.join(sorted(unseen))} is recorded"
    for ask in subject.asks:
        if ask.method == "history" and provides.since is not None:
            assert ask.given[2] >= provides.since, "it is asked for more history than it declares"


def gives_the_id_along(subject: Subject) -> None:
    """So that the other side knows what was sent twice."""
    for ask in _sendings(subject):
        asked = subject.ask(ask)
        said = "".join(f"{each.url} {dumped(each.sent)}" for each in asked.requests)
        said += "".join(value for each in asked.headers for value in each.values())
        assert ask.given[0].id in said, f"{ask.method} gives no id along"


def asks_no_more_than_it_may(subject: Subject) -> None:
    provides = subject.provides
    assert provides.limits, "its manifest declares no limit"
    for ask in subject.asks:
        count = len(subject.ask(ask).requests)
        least = min(limit.requests for limit in provides.limits)
        assert count <= max(least, 1), f"{ask.method} makes {count} requests, of {least}"


# --- what they share -----------------------------------------------------------------------------


def _methods(subject: Subject) -> set[str]:
    """What it says that it can be asked."""
    if subject.kind == "prices":
        return set(subject.provides.capabilities)
    return {method for method, kind in KIND_OF.items() if kind == subject.kind}


def _as_it_is(exchange: Exchange) -> Exchange:
    return exchange


def _with_body(exchange: Exchange, body: bytes) -> Exchange:
    return attrs.evolve(exchange, body=body)


def _instead(old: Any, new: Any) -> Any:
    return new


def _doubled(exchange: Exchange) -> Exchange:
    """With its rows twice: the outermost list of them, and not what lies within a row."""

    def twice(value: Any) -> Any:
        if isinstance(value, list):
            return value * 2 if _is_rows(value) else value
        if isinstance(value, dict):
            return {key: twice(each) for key, each in value.items()}
        return value

    if exchange.json is None:
        return exchange
    return attrs.evolve(exchange, body=dumped(twice(exchange.json)).encode())


def _is_rows(value: list[Any]) -> bool:
    return all(isinstance(each, dict | list) for each in value)


def _requests(subject: Subject) -> Iterator[tuple[Ask, int]]:
    for ask in subject.asks:
        for number in range(len(subject.ask(ask).requests)):
            yield ask, number


def _changed(
    subject: Subject, kind: Any, change: Callable[[Any], Any]
) -> Iterator[tuple[Ask, int, Fault]]:
    """For each request, each leaf of that kind in its answer, replaced."""
    for ask, number in _requests(subject):
        value = subject.ask(ask).requests[number].json
        for path in list(_leaves(value, kind))[:_MOST_LEAVES]:
            body = dumped(_replaced(value, path, change)).encode()
            yield ask, number, partial(_with_body, body=body)


def _leaves(value: Any, kind: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, kind) and not isinstance(value, bool):
        yield path
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(each, kind, (*path, key))


def _replaced(value: Any, path: Sequence[Any], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    copied = value.copy()
    copied[path[0]] = _replaced(value[path[0]], path[1:], change)
    return copied


def _numbers(value: Any) -> Iterator[Decimal]:
    """What of an answer is reckoned with."""
    if isinstance(value, Quoted | Day):
        yield value.price
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _numbers(each)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, Seen):
        yield from (each for each in (value.quantity, value.amount) if each is not None)
    elif hasattr(value, "quantity"):
        yield value.quantity
    elif hasattr(value, "movements"):
        yield from _numbers(value.movements)


def _assets(ask: Ask) -> Sequence[AssetRef]:
    if ask.method == "latest":
        return list(ask.given[0])
    return [ask.given[0]] if ask.method == "history" else []


def _sendings(subject: Subject) -> Sequence[Ask]:
    return subject.asks if subject.kind in SENDING else ()


def _addressed(ask: Ask) -> Sequence[str]:
    """What of a letter or a notice must be in what goes out."""
    match ask.given:
        case (Mail() as mail,):
            return (mail.to,)
        case (Notice() as notice,):
            return (notice.title,)
    return ()


def _private(ask: Ask) -> Sequence[str]:
    match ask.given:
        case (Mail() as mail,):
            return (mail.to, mail.content.decode())
        case (Notice() as notice,):
            return (notice.text,)
    return ()


def _strange(ask: Ask) -> Ask:
    """The same question about what nobody has."""
    nobody = AssetRef(id="own:nobody", kind="crypto", symbol="NOBODY", names={})
    match ask.method, ask.given:
        case "latest", (_, quote):
            return Ask("latest", ([nobody], quote))
        case "history", (_, *rest):
            return Ask("history", (nobody, *rest))
        case "rates", (base, _, since, until):
            return Ask("rates", (base, ["XXX"], since, until))
        case "find", _:
            return Ask("find", ("nobody of that name",))
        case "send", _:
            letter = b"Subject: other\r\n\r\nOther words."
            return Ask("send", (Mail(id="2@nobody.example", sender="post@nobody.example",
                                     to="other@nobody.example", content=letter),))  # fmt: skip
        case "notify", _:
            other = {"title": "Something other", "text": "Other words."}
            return Ask("notify", (Notice(id="2", kind="fault", tenant="2", user=None, **other),))
        case "picture", _:
            return Ask("picture", (Picture(b"\x89PNG\r\n\x1a\n of nobody"),))
        case method, (_, *rest):
            return Ask(method, ("nobody", *rest))
    return ask


@attrs.frozen
class Check:
    tier: Tier
    run: Callable[[Any], None]
    """Given the subject."""

    @property
    def name(self) -> str:
        return self.run.__name__


CHECKS = (
    *(Check(Tier.BRONZE, run) for run in (
        manifest_is_honest, answers_what_was_recorded, unknown_is_left_out,
        reaches_out_through_http_only,
    )),
    *(Check(Tier.SILVER, run) for run in (
        told_when_it_is_limited, told_when_it_is_limited_without_a_time,
        told_when_the_server_fails, told_when_the_key_is_revoked, told_when_it_is_not_there,
        a_cut_page_is_no_answer, another_shape_is_no_number, unheard_of_words_do_no_harm,
        strange_numbers_do_no_harm, a_page_that_comes_twice_counts_once,
        another_clock_changes_no_number, keeps_its_secrets, hands_on_what_it_is_given,
        sends_once_in_one_go,
    )),
    *(Check(Tier.GOLD, run) for run in (
        keeps_every_digit, answers_the_same_twice, shows_all_that_it_declares,
        gives_the_id_along, asks_no_more_than_it_may,
    )),
)  # fmt: skip


def failures(subject: Any, checks: Sequence[Check] = CHECKS) -> Mapping[str, tuple[Tier, str]]:
    """Every check that fails, with its tier and what it says; what crashes fails too."""
    found = {}
    for check in checks:
        try:
            check.run(subject)
        except Exception as error:
            said = str(error) or type(error).__name__
            found[check.name] = (check.tier, said)
    return found


def tier_of(failed: Mapping[str, tuple[Tier, str]]) -> Tier:
    """The highest tier of which, and of those below it, nothing failed."""
    return Tier(min((tier for tier, _ in failed.values()), default=Tier.GOLD + 1) - 1)
