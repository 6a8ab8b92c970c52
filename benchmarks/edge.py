"""The cached wallet with everything around it, under granian and under gunicorn, beside Fastify.

    python benchmarks/edge.py
    python benchmarks/edge.py --rounds 9 --seconds 4

One process each, on the first core; the client, Valkey and Postgres are on the second. The servers
are up at once and loaded in turn, in every other round in the opposite order; a ratio is the median
of the rounds' ratios. What each does for an answer: security headers, CORS, request id, the check
of a signed token, counters of requests in Valkey, the kept bytes from Valkey, one line of JSON to
its log. Fastify does it by its own plugins, a signature checked each time (`fast-jwt`, HS256), a
counter and then a read (`ioredis`); it parses what was kept and writes it again, as such a service
is usually written, and in a row of its own hands the bytes on as they are, as we do. It is fetched
by npm into a folder of this run, or found in the one that `--modules` names; where there is no
node, its rows are left out. The load is wrk's, or where that is not installed a small client of
this file's own.
"""

import argparse
import asyncio
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
from chain import ORIGIN, WALLET, filled
from common import HTTPConnection, finish, free_port, show, workplace

GRANIAN_BAR, GUNICORN_BAR = 0.8, 0.45
PACKAGES = ("fastify@5", "@fastify/helmet", "@fastify/cors", "fast-jwt", "ioredis")
PEER = """
const { randomUUID } = require('node:crypto')
const { createSigner, createVerifier } = require('fast-jwt')
const Redis = require('ioredis')
const [port, valkey, key, origin, body] = process.argv.slice(2)
const redis = new Redis(valkey)
const verify = createVerifier({ key, algorithms: ['HS256'] })
const app = require('fastify')({
  logger: false, genReqId: (raw) => raw.headers['x-request-id'] || randomUUID()
})
app.register(require('@fastify/helmet'))
app.register(require('@fastify/cors'), { origin: [origin], credentials: true })
app.addHook('onRequest', async (request, reply) => { reply.header('X-Request-Id', request.id) })
app.addHook('preHandler', async (request, reply) => {
  try {
    request.user = verify((request.headers.authorization || '').slice(7))
  } catch (error) {
    return reply.code(401).send({ success: false })
  }
  const slot = Math.floor(Date.now() / 60000)
  const counter = `limit:${request.user.sub}:${slot}`
  const count = await redis.incr(counter)
  if (count === 1) await redis.expire(counter, 120)
  if (count > 100000000) return reply.code(429).send({ success: false })
})
app.addHook('onResponse', async (request, reply) => {
  process.stderr.write(JSON.stringify({
    event: 'request', level: 'info', time: new Date().toISOString(), request_id: request.id,
    method: request.method, path: request.url, status_code: reply.statusCode,
    duration_ms: reply.elapsedTime, user_id: request.user && request.user.sub }) + '\\n')
})
app.get('/api/v1/wallet/summary', async (request, reply) => {
  const found = await redis.get(`wallet:${request.user.sub}`)
  return reply.header('Cache-Control', 'no-store').send(JSON.parse(found))
})
app.get('/bytes', async (request, reply) => {
  const found = await redis.getBuffer(`wallet:${request.user.sub}`)
  return reply.type('application/json').header('Cache-Control', 'no-store').send(found)
})
const sub = randomUUID()
const sign = createSigner({ key, algorithm: 'HS256', expiresIn: 3600000 })
const token = sign({ sub, sid: randomUUID() })
redis.set(`wallet:${sub}`, require('node:fs').readFileSync(body))
  .then(() => app.listen({ port: Number(port), host: '127.0.0.1' }))
  .then(() => console.log(token))
"""


@attrs.define
class Server:
    name: str
    process: "subprocess.Popen[Any]"
    port: int
    token: str
    path: str = WALLET
    per_s: list[float] = attrs.field(factory=list)
    p50_ms: list[float] = attrs.field(factory=list)
    p99_ms: list[float] = attrs.field(factory=list)
    cpu_us: list[float] = attrs.field(factory=list)


@contextmanager
def running(process: "subprocess.Popen[Any]") -> "Iterator[subprocess.Popen[Any]]":
    try:
        yield process
    finally:
        process.terminate()
        process.wait(40)


def on_first_core(*command: str, **given: Any) -> "subprocess.Popen[Any]":
    return subprocess.Popen(["taskset", "-c", "0", *command], stderr=subprocess.DEVNULL, **given)


def lively(port: int, token: str) -> None:
    """Wait until it answers with the wallet."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(OSError):
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", WALLET, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return
            raise SystemExit(f"{WALLET} on port {port}: {answer.status}")
        time.sleep(0.1)
    raise SystemExit(f"nothing answers on port {port}")


def cpu_s(pid: int) -> float:
    """Of the process and those that it started, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_s(int(child)) for child in children)


# --- load ----------------------------------------------------------------------------------------


def load(server: Server, seconds: float, connections: int, *, counts: bool = True) -> None:
    before = cpu_s(server.process.pid)
    began = time.monotonic()
    if shutil.which("wrk"):
        asked, p50, p99 = by_wrk(server, seconds, connections)
    else:
        asked, p50, p99 = by_ourselves(server, seconds, connections)
    took = time.monotonic() - began
    if counts:
        server.per_s.append(asked / took)
        server.p50_ms.append(p50)
        server.p99_ms.append(p99)
        server.cpu_us.append((cpu_s(server.process.pid) - before) / asked * 1e6)


def by_wrk(server: Server, seconds: float, connections: int) -> tuple[int, float, float]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency",
               "-H", f"Authorization: Bearer {server.token}", "-H", f"Origin: {ORIGIN}",
               f"http://127.0.0.1:{server.port}{server.path}"]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{server.name}: {said}")
    asked = re.search(r"(\d+) requests in", said)
    p50, p99 = (re.search(rf"{part}%\s+([\d.]+)(us|ms|s)", said) for part in (50, 99))
    assert asked
    assert p50
    assert p99
    factor = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    return int(asked[1]), float(p50[1]) * factor[p50[2]], float(p99[1]) * factor[p99[2]]


def by_ourselves(server: Server, seconds: float, connections: int) -> tuple[int, float, float]:
    took = asyncio.run(_clients(server, seconds, connections))
    ordered = sorted(took)
    return len(ordered), ordered[len(ordered) // 2] * 1000, ordered[len(ordered) * 99 // 100] * 1000


async def _clients(server: Server, seconds: float, connections: int) -> list[float]:
    head = (f"GET {server.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {ORIGIN}\r\n"
            f"Authorization: Bearer {server.token}\r\n\r\n").encode()  # fmt: skip
    end, took = time.perf_counter() + seconds, list[float]()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while (began := time.perf_counter()) < end:
            writer.write(head)
            said = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in said[:16]:
                raise SystemExit(f"{server.name}: {said[:60]!r}")
            size = re.search(rb"content-length: (\d+)", said, re.IGNORECASE)
            assert size
            await reader.readexactly(int(size[1]))
            took.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return took


# --- servers -------------------------------------------------------------------------------------


def fastify(folder: Path, modules: Path | None, valkey: str, body: bytes) -> tuple[Any, int, str]:
    if modules is None:
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *PACKAGES],
                       cwd=folder, check=True)  # fmt: skip
        modules = folder / "node_modules"
    (folder / "peer.cjs").write_text(PEER)
    (folder / "body.json").write_bytes(body)
    port = free_port()
    process = on_first_core(
        "node", "peer.cjs", str(port), valkey, secrets.token_hex(32), ORIGIN, "body.json",
        cwd=folder, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"NODE_PATH": str(modules), "NODE_ENV": "production"},
    )  # fmt: skip
    token = process.stdout.readline().strip()
    if not token:
        raise SystemExit("the Fastify server did not start")
    return process, port, token


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="of each server (7)")
    parser.add_argument("--seconds", type=float, default=2, help="a round (2)")
    parser.add_argument("--connections", type=int, default=32, help="at once (32)")
    parser.add_argument("--threads", type=int, default=8, help="of granian (8)")
    parser.add_argument("--modules", type=Path, help="node_modules that are there already")
    asked = parser.parse_args()
    # Whatever is started from here on inherits it; the servers are given the first core.
    os.sched_setaffinity(0, {1})
    figures = tempfile.mkdtemp()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = figures
    try:
        with workplace() as folder, ExitStack() as stack:
            servers = started(folder, asked, stack)
            for server in servers:
                load(server, 1, asked.connections, counts=False)
            for number in range(asked.rounds):
                for server in servers if number % 2 else reversed(servers):
                    load(server, asked.seconds, asked.connections)
    finally:
        shutil.rmtree(figures)
    report(servers, asked)


def started(folder: Path, asked: argparse.Namespace, stack: ExitStack) -> list[Server]:
    from finora import Finora, Settings
    from finora_adapters.compose import open_database
    from finora_adapters.embedded import open_engines
    from finora_web.main import build

    given = {"rate_limits": "all=100000000/60", "http_origins": ORIGIN}
    cheap = {"password_memory_kib": 64, "password_rounds": 1}
    settings = Settings.model_validate({"data": folder / "data", **given, **cheap})
    engines = stack.enter_context(open_engines(settings.data, valkey=True))
    with Finora.open(settings) as finora:
        opened = open_database(settings, redis=True)
        token, _, body = filled(build(settings, opened), finora)
        opened.close()
    environment = {f"FINORA_{name.upper()}": value for name, value in given.items()}
    environment |= os.environ | {"FINORA_DATA": str(settings.data), "FINORA_HTTP_PROCESSES": "1"}
    servers = []
    if shutil.which("node") and (asked.modules or shutil.which("npm")):
        process, port, theirs = fastify(folder, asked.modules, str(engines.valkey_url), body)
        stack.enter_context(running(process))
        servers += [
            Server("fastify", process, port, theirs),
            Server("fastify, bytes", process, port, theirs, "/bytes"),
        ]
    port = free_port()
    process = on_first_core(
        sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--workers", "1",
        "--blocking-threads", str(asked.threads), "--host", "127.0.0.1", "--port", str(port),
        "--no-ws", "--http", "1", "finora_web.wsgi:application",
        env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    servers.append(Server("granian", stack.enter_context(running(process)), port, token))
    port = free_port()
    process = on_first_core(
        sys.executable, "-m", "finora", "serve", "--port", str(port),
        env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    servers.append(Server("gunicorn", stack.enter_context(running(process)), port, token))
    for server in servers:
        lively(server.port, server.token)
    return servers


def report(servers: list[Server], asked: argparse.Namespace) -> None:
    peer = servers[0] if servers[0].name == "fastify" else None

    def ratio(ours: list[float], theirs: list[float]) -> float:
        return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))

    rows, found = [], {}
    for server in servers:
        of_rate = ratio(server.per_s, peer.per_s) if peer else None
        of_cpu = ratio(server.cpu_us, peer.cpu_us) if peer else None
        each = [statistics.median(getattr(server, name))
                for name in ("per_s", "p50_ms", "p99_ms", "cpu_us")]  # fmt: skip
        rows.append((server.name, each[0], max(server.per_s), *each[1:], of_rate, of_cpu))
        name = server.name.replace(", ", "_")
        found |= {f"{name}_per_s": each[0], f"{name}_cpu_us": each[3]}
        if peer and server is not peer:
            found |= {f"{name}_ratio": of_rate, f"{name}_cpu_ratio": of_cpu}
    show(
        ("server", "a second", "best", "p50 ms", "p99 ms", "cpu us", "of Fastify", "cpu of it"),
        rows,
    )
    if peer:
        spread = max(peer.per_s) / min(peer.per_s)
        print(f"bars: granian {GRANIAN_BAR}, gunicorn {GUNICORN_BAR} of Fastify; "
              f"its best round had {spread:.1f} times the rate of its worst")  # fmt: skip
        found["fastify_spread"] = spread
    finish(rounds=asked.rounds, connections=asked.connections, **found)


if __name__ == "__main__":
    main()
