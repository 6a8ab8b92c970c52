"""The examples run as they stand."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from finora import Finora, Scope, Settings
from finora.commands.demo import HOUSEHOLD
from finora_adapters.compose import open_database
from finora_web.main import build

EXAMPLES = Path(__file__).parents[2] / "examples"
STATEMENT = HOUSEHOLD / "card-jan-apr.ofx"
ARGUMENTS = {"embed.py": [str(STATEMENT)]}


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*ARGUMENTS, "api.py"}


@pytest.mark.parametrize(
    "path", [EXAMPLES / name for name in ARGUMENTS], ids=lambda path: path.name
)
def test_an_example_runs(path: Path, finora: Finora, settings: Settings) -> None:
    """Beside this run's own process, in the same data folder."""
    run = subprocess.run(
        [sys.executable, str(path), str(settings.data), *ARGUMENTS[path.name]],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "'added': 20" in run.stdout or "'existing': 20" in run.stdout
    assert "5500000000004711" in run.stdout


def test_the_example_of_the_api_runs(
    finora: Finora, settings: Settings, scope: Scope, tmp_path: Path
) -> None:
    opened = open_database(settings, redis=True)
    server = make_server("127.0.0.1", 0, build(settings, opened), threaded=True)
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.1):
            finora.run_jobs()

    threads = [threading.Thread(target=server.serve_forever), threading.Thread(target=work)]
    for thread in threads:
        thread.start()
    try:
        token = finora.tokens.create(scope, "example").text
        address = f"http://127.0.0.1:{server.server_port}"
        run = subprocess.run(
            [sys.executable, str(EXAMPLES / "api.py"), address, token, str(STATEMENT)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join()
        opened.close()
    assert run.returncode == 0, run.stderr
    assert "done {'read': 20, 'added': 20, 'existing': 0, 'claimed': 0}" in run.stdout
    assert "5500000000004711" in run.stdout


def test_the_readme_shows_the_example() -> None:
    """The same ten lines, with names in place of arguments."""
    readme = (EXAMPLES.parent / "README.md").read_text()
    source = (EXAMPLES / "embed.py").read_text().split("from finora import Finora\n")[1].strip()
    shown = source.replace("sys.argv[1]", '"books"').replace("sys.argv[2]", '"statement.ofx"')
    assert shown in readme
