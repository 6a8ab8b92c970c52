"""The same application under another server."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from finora import Finora, Scope, Settings
from serving import LIVELY


def test_granian_serves_it(
    settings: Settings, finora: Finora, scope: Scope, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = "--interface wsgi --workers 1 --blocking-threads 2 --factory"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "granian", *command.split(), "--host", "127.0.0.1",
             "--port", str(port), "finora_web.wsgi:application"],
            env=os.environ | {"FINORA_DATA": str(settings.data), "FINORA_ENV": "test",
                              "FINORA_RATE_LIMITS": settings.rate_limits},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        token = finora.tokens.create(scope, "granian").text
        deadline = time.monotonic() + LIVELY
        while True:
            try:
                status, said = ask(port, "/api/v1/wallet/summary", token)
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
        assert status == 200
        assert json.loads(said)["data"]["balances"] == []
    finally:
        process.terminate()
        process.wait(LIVELY)


def ask(port: int, path: str, token: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIVELY)
    with closing(connection):
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
