"""What an answer costs, layer by layer, over a bare Flask answer on the same server.

    python benchmarks/http.py --records 1000000
    python benchmarks/http.py --hold

One client on one kept connection asks in turn: a bare Flask application under gunicorn; our /live
(with request id, headers and metrics); the wallet's summary from the cache; the same with
`Cache-Control: no-cache`, which reads the database; and the other screens that have a target. Then
several clients at once for the rate. Client, server, Postgres and Valkey share the machine's cores.

Each screen is held against its target, and against the baseline in http.json: how many times the
bare answer of the same run it costs, which says the same on any machine. With `--hold` the run
ends with 1 where a target is missed, or a screen costs more than twice its baseline; `--record`
writes what was seen as the new baseline.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from common import HTTPConnection, Line, finish, free_port, lines, show, workplace, write_csv

from finora import Finora, ImportRequest, Settings
from finora_adapters.embedded import open_engines

LIMIT_MS = 10.0
WALLET = "/api/v1/wallet/summary"
SCREENS = {
    "health": ("/health", 50.0),
    "cached": (WALLET, 10.0),
    "uncached": (WALLET, 100.0),
    "records": ("/api/v1/records?limit=50", 150.0),
    "jobs": ("/api/v1/jobs", 200.0),
}
"""Path, and milliseconds in which 95 of 100 answers must be there."""
BASELINE = Path(__file__).with_suffix(".json")
WORSE = 2.0
BARE = """
from flask import Flask, Response
app = Flask(__name__)
BODY = b"x" * {size}
@app.get("/")
def answer():
    return Response(BODY, mimetype="application/json")
"""


BARE_PORT, OUR_PORT = free_port(), free_port()


@contextmanager
def process(*command: str, port: int, cwd: Path) -> Iterator[None]:
    environment = os.environ | {"FINORA_RATE_LIMITS": "all=1000000/60"}
    running = subprocess.Popen(command, cwd=cwd, env=environment, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                ask(port, "/live", {}, 1)
                break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        running.terminate()
        running.wait(30)


def ask(port: int, path: str, headers: Mapping[str, str], count: int) -> list[float]:
    """Milliseconds of each answer, on one connection."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    took = []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        answer.read()
        took.append((time.perf_counter() - began) * 1000)
        if path != "/live" and answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}")
    connection.close()
    return took


def rate(port: int, path: str, headers: Mapping[str, str], count: int, clients: int) -> float:
    """Answers a second to several clients at once."""
    threads = [
        threading.Thread(target=ask, args=(port, path, headers, count // clients))
        for _ in range(clients)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.perf_counter() - began)


def recent(count: int) -> Iterator[Line]:
    """The made-up lines, moved to the ten years before today."""
    import attrs

    shift = date.today() - date(2024, 12, 28)  # noqa: DTZ011  # any day near today does
    return (attrs.evolve(line, day=line.day + shift) for line in lines(count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=100_000, help="in the books (100,000)")
    parser.add_argument("--requests", type=int, default=1_500, help="of each kind (1,500)")
    parser.add_argument("--baseline", type=Path, default=BASELINE, help="file of it (http.json)")
    parser.add_argument("--record", action="store_true", help="write the baseline")
    parser.add_argument("--hold", action="store_true", help="fail where a screen is too slow")
    asked = parser.parse_args()
    with workplace() as folder:
        data = folder / "data"
        with open_engines(data, valkey=True):
            with Finora.open(Settings(data=data)) as finora:
                scope = finora.scope(tenant="bench", user="bench")
                statement = folder / "statement.csv"
                write_csv(statement, recent(asked.records))
                finora.import_file(scope, statement, ImportRequest(account="A", currency="EUR"))
                token = finora.tokens.create(scope, "bench").text
            figures = measured(folder, data, token, asked.requests)
    show(
        ("answer", "p50 ms", "p99 ms", "of bare"),
        [
            ("bare Flask, same size", figures["bare_p50_ms"], figures["bare_p99_ms"], None),
            ("our /live", figures["live_p50_ms"], figures["live_p99_ms"],
             figures["live_p50_ms"] / figures["bare_p50_ms"]),
            ("wallet, cached", figures["cached_p50_ms"], figures["cached_p99_ms"],
             figures["ratio_cached_to_bare"]),
            ("wallet, from the database", figures["uncached_p50_ms"], figures["uncached_p99_ms"],
             figures["uncached_p50_ms"] / figures["bare_p50_ms"]),
        ],
    )  # fmt: skip
    of_limit = figures["uncached_p50_ms"] / LIMIT_MS
    print(f"uncached: {of_limit:.2f} of the limit of {LIMIT_MS:.0f} ms; 8 clients: "
          f"{figures['bare_per_s']:,.0f} bare answers a second, "
          f"{figures['cached_per_s']:,.0f} cached wallets")  # fmt: skip
    ratios = {name: figures[f"{name}_p50_ms"] / figures["bare_p50_ms"] for name in SCREENS}
    baseline = json.loads(asked.baseline.read_text()) if asked.baseline.exists() else {}
    show_screens(figures, ratios, baseline)
    if asked.record:
        rounded = {name: round(ratio, 2) for name, ratio in ratios.items()}
        asked.baseline.write_text(json.dumps(rounded, indent=2) + "\n")
    slow = too_slow(figures, ratios, baseline)
    finish(records=asked.records, requests=asked.requests, slow="; ".join(slow), **figures)
    if asked.hold and slow:
        raise SystemExit(1)


def show_screens(
    figures: Mapping[str, float], ratios: Mapping[str, float], baseline: Mapping[str, float]
) -> None:
    rows = [
        (name, figures[f"{name}_p50_ms"], figures[f"{name}_p95_ms"], target,
         figures[f"{name}_p95_ms"] / target, ratios[name],
         ratios[name] / baseline[name] if name in baseline else None)
        for name, (_, target) in SCREENS.items()
    ]  # fmt: skip
    print()
    show(("screen", "p50 ms", "p95 ms", "target", "of target", "of bare", "of baseline"), rows)


def too_slow(
    figures: Mapping[str, float], ratios: Mapping[str, float], baseline: Mapping[str, float]
) -> list[str]:
    """Every screen that misses its target or costs much more than it did."""
    slow = []
    for name, (_, target) in SCREENS.items():
        p95 = figures[f"{name}_p95_ms"]
        if p95 > target:
            slow.append(f"{name}: {p95:.1f} ms at p95, target {target:.0f}")
        if name in baseline and ratios[name] > WORSE * baseline[name]:
            slow.append(f"{name}: {ratios[name]:.2f} bare answers, baseline {baseline[name]:.2f}")
    return slow


def measured(folder: Path, data: Path, token: str, count: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    who = {"Authorization": f"Bearer {token}"}
    ours = (sys.executable, "-m", "finora", "serve", "--data", str(data), "--port", str(OUR_PORT))
    with process(*ours, port=OUR_PORT, cwd=folder):
        size = body_size(WALLET, who)
        (folder / "bare.py").write_text(BARE.format(size=size))
        bare = (sys.executable, "-m", "gunicorn", "-k", "gthread", "-w", "2", "--threads", "8",
                "-b", f"127.0.0.1:{BARE_PORT}", "bare:app")  # fmt: skip
        with process(*bare, port=BARE_PORT, cwd=folder):
            kinds = {
                "bare": (BARE_PORT, "/", {}),
                "live": (OUR_PORT, "/live", {}),
                **{name: (OUR_PORT, path, who) for name, (path, _) in SCREENS.items()},
            }
            kinds["uncached"] = (OUR_PORT, WALLET, who | {"Cache-Control": "no-cache"})
            took: dict[str, list[float]] = {name: [] for name in kinds}
            for port, where, headers in kinds.values():
                ask(port, where, headers, 50)
            # In turns, so that whatever else the machine does falls on each alike.
            for _ in range(10):
                for name, (port, where, headers) in kinds.items():
                    took[name] += ask(port, where, headers, count // 10)
            for name, each in took.items():
                figures[f"{name}_p50_ms"] = statistics.median(each)
                for part in (95, 99):
                    figures[f"{name}_p{part}_ms"] = sorted(each)[len(each) * part // 100]
            figures["bare_per_s"] = rate(BARE_PORT, "/", {}, count, 8)
            figures["cached_per_s"] = rate(OUR_PORT, WALLET, who, count, 8)
    figures["ratio_cached_to_bare"] = figures["cached_p50_ms"] / figures["bare_p50_ms"]
    return figures


def body_size(path: str, who: Mapping[str, str]) -> int:
    connection = HTTPConnection("127.0.0.1", OUR_PORT, timeout=30)
    connection.request("GET", path, headers=dict(who))
    body = connection.getresponse().read()
    if not json.loads(body)["data"]["flows"]:
        raise SystemExit("the wallet is empty this month: the made-up lines are too old")
    return len(body)


if __name__ == "__main__":
    main()
