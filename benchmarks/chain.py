"""What the chain before and after a cached answer costs of the processor, over a bare Flask answer.

    python benchmarks/chain.py
    python benchmarks/chain.py --profile

In this process, without a server: the application is called as a server calls it. One answer is
bare Flask's, of the same bytes; the others are the cached wallet asked with a session's access
token and with an API token, each with everything that stands around it: request id, headers,
CORS, counters of requests, the check of the token, cache, log line, figures. Measured is this
thread's time on the processor, user and system, in turns; the round trip to Valkey counts as far
as it runs here. The parts are measured each by itself. `--profile` shows the time by function.
"""

import argparse
import cProfile
import io
import logging
import os
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from common import finish, show, workplace

BAR_MS = 0.35
WALLET = "/api/v1/wallet/summary"
ORIGIN = "https://app.example.org"
PERSON = {"email": "bench@example.org", "password": "correct horse battery", "name": "Bench"}
Call = Callable[[], None]


def environ(path: str, token: str | None) -> dict[str, Any]:
    """As gunicorn gives it, of a page of another site behind a browser."""
    found: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "4000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "gunicorn",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "HTTP_HOST": "127.0.0.1:4000",
        "HTTP_USER_AGENT": "bench",
        "HTTP_ACCEPT": "*/*",
        "HTTP_ORIGIN": ORIGIN,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    if token is not None:
        found["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return found


def call(app: Any, path: str, token: str | None, size: int | None = None) -> Call:
    given, run = environ(path, token), app.wsgi_app

    def answered(status: str, headers: list[tuple[str, str]], failed: Any = None) -> None:
        if not status.startswith("200"):
            raise SystemExit(f"{path}: {status}")

    def once() -> None:
        answer = run(given.copy(), answered)
        body = b"".join(answer)
        answer.close()
        if size is not None and len(body) != size:
            raise SystemExit(f"{path}: {len(body)} bytes for {size}")

    return once


def cpu_us(run: Call, count: int) -> float:
    began = time.thread_time()
    for _ in range(count):
        run()
    return (time.thread_time() - began) / count * 1e6


def in_turns(calls: dict[str, Call], rounds: int, count: int) -> dict[str, list[float]]:
    """Microseconds of each, so that whatever else the machine does falls on each alike."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for run in calls.values():
        cpu_us(run, 100)
    for number in range(rounds):
        names = list(calls) if number % 2 else list(reversed(calls))
        for name in names:
            took[name].append(cpu_us(calls[name], count))
    return took


def filled(app: Any, finora: Any) -> tuple[str, str, bytes]:
    """A person with a year of records: the session's token, an API token, the wallet."""
    client = app.test_client()

    def ask(method: str, path: str, token: str | None = None, **given: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = client.open(f"/api/v1{path}", method=method, headers=headers, **given)
        if answer.status_code >= 400:
            raise SystemExit(f"{path}: {answer.text}")
        return answer.json["data"]

    ask("POST", "/auth/register", json=PERSON)
    signed = {name: PERSON[name] for name in ("email", "password")}
    session = ask("POST", "/auth/login", json=signed)["access_token"]
    made = {"name": "bench", "permissions": ["books:read", "books:write"]}
    token = ask("POST", "/tokens", session, json=made)["text"]
    today = date.today()  # noqa: DTZ011  # any day near today does
    rows = "".join(
        f"{today - timedelta(day)},{'-' if day % 9 else ''}{day % 97 + 3}.{day % 100:02},shop\n"
        for day in range(365)
    )
    path = "/imports?name=bench.csv&account=Giro&currency=EUR"
    ask("POST", path, token, data=f"Date,Amount,Description\n{rows}".encode(),
        content_type="application/octet-stream")  # fmt: skip
    finora.run_jobs()
    body = client.get(WALLET, headers={"Authorization": f"Bearer {session}"}).data
    return session, token, body


def parts(app: Any, token: str) -> dict[str, Call]:
    """The chain's own pieces, as it calls them."""
    from werkzeug.wrappers import Request

    from finora_adapters import log as logs
    from finora_core.kernel.ids import new_id
    from finora_web import app as edge
    from finora_web.gate import shown_by

    shell = app.config["SHELL"]
    gate, request = shell.gate, Request(environ(WALLET, token))
    endpoint = next(each for each in edge.ENDPOINTS if each.rule == "/wallet/summary")
    shown = shown_by(request)  # type: ignore[arg-type]  # Flask's adds nothing that it reads
    assert shown is not None
    proof = gate.proven.get(shown)
    assert proof is not None

    def figures() -> None:
        edge.metrics.answered("GET", WALLET, 200, 1.0)

    def line() -> None:
        logs.note("request", request_id=str(new_id()), method="GET", path=WALLET, status_code=200,
                  duration_ms=1.2, user_id=str(proof.scope.user_id),
                  tenant_id=str(proof.scope.tenant_id), code=None)  # fmt: skip

    name = f"{endpoint.name}?"
    return {
        "read what it shows": lambda: shown_by(Request(environ(WALLET, token))),  # type: ignore[arg-type,return-value]  # werkzeug wants no more
        "recall who was proven": lambda: gate.proven.get(shown),
        "count, versions and bytes: one round trip": lambda: gate._kept(
            endpoint, request, proof, name
        ),
        "figures": figures,
        "log line": line,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="of each (15)")
    parser.add_argument("--requests", type=int, default=400, help="a round (400)")
    parser.add_argument("--profile", action="store_true", help="show where the time goes")
    asked = parser.parse_args()
    # As `finora serve` has it: figures in files that its processes share.
    with tempfile.TemporaryDirectory() as figures, workplace() as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = figures
        measure(folder / "data", asked)


def measure(data: Path, asked: argparse.Namespace) -> None:
    from flask import Flask, Response

    from finora import Finora, Settings
    from finora_adapters import log as logs
    from finora_adapters.compose import open_database
    from finora_adapters.embedded import open_engines
    from finora_web.main import build

    settings = Settings(
        data=data,
        rate_limits="all=1000000/60",
        http_origins=ORIGIN,
        password_memory_kib=64,
        password_rounds=1,
    )
    with (
        open(os.devnull, "w") as nowhere,
        open_engines(data, valkey=True),
        Finora.open(settings) as finora,
    ):
        opened = open_database(settings, redis=True)
        logs.set_up("info")
        logging.getLogger().handlers = [logging.StreamHandler(nowhere)]
        app = build(settings, opened)
        session, token, body = filled(app, finora)
        bare = Flask("bare")
        bare.add_url_rule("/", "answer", lambda: Response(body, mimetype="application/json"))
        calls = {
            "bare Flask, same bytes": call(bare, "/", None, len(body)),
            "wallet, session": call(app, WALLET, session, len(body)),
            "wallet, API token": call(app, WALLET, token, len(body)),
        }
        took = in_turns(calls, asked.rounds, asked.requests)
        pieces = in_turns(parts(app, session), asked.rounds // 2 + 1, asked.requests)
        if asked.profile:
            for _ in range(3):
                calls["wallet, session"]()
            with cProfile.Profile() as profile:
                for _ in range(3_000):
                    calls["wallet, session"]()
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        opened.close()
    best = {name: min(each) for name, each in took.items()}
    middle = {name: statistics.median(each) for name, each in took.items()}
    first, *others = took
    extra = {
        name: statistics.median(a - b for a, b in zip(took[name], took[first], strict=True)) / 1000
        for name in others
    }
    lowest = {name: (best[name] - best[first]) / 1000 for name in others}
    show(
        ("answer", "best us", "median us", "added ms, best", "median", "of the bar"),
        [
            (first, best[first], middle[first], None, None, None),
            *((name, best[name], middle[name], lowest[name], extra[name], extra[name] / BAR_MS)
              for name in others),
        ],
    )  # fmt: skip
    print()
    show(
        ("part, by itself", "best us", "median us"),
        [(name, min(each), statistics.median(each)) for name, each in pieces.items()],
    )
    finish(
        bytes=len(body),
        bare_us=middle[first],
        session_added_ms=extra["wallet, session"],
        session_added_best_ms=lowest["wallet, session"],
        token_added_ms=extra["wallet, API token"],
        token_added_best_ms=lowest["wallet, API token"],
        bar_ms=BAR_MS,
        within=int(max(lowest.values()) <= BAR_MS),
    )


if __name__ == "__main__":
    main()
