"""The generators, as a user installs them, in folders that go with the run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# What a registry client says where there is no network; whatever else fails, fails the tests.
_AWAY = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH", "ENOTCACHED",
         "Temporary failure in name resolution", "Name or service not known",
         "Network is unreachable", "Connection refused", "NewConnectionError")  # fmt: skip


def run(command: Sequence[object], folder: Path, **more: str) -> str:
    """What the command says; it must succeed."""
    status, said = ran(command, folder, more)
    assert status == 0, f"{command[0]} ended with {status}:\n{said}"
    return said


def ran(command: Sequence[object], folder: Path, more: Mapping[str, str] = {}) -> tuple[int, str]:
    # The source tree must not be on the path of what a user would run without it.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=kept | more, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=250,
    )  # fmt: skip
    return done.returncode, done.stdout


def away(said: str) -> bool:
    return any(word in said for word in _AWAY)


def install(what: str, command: Sequence[object], folder: Path) -> None:
    """Skips the test where the registry is not to be had."""
    status, said = ran(command, folder)
    if status and away(said):
        pytest.skip(f"{what} cannot be installed: no network")
    assert status == 0, said


def install_node(folder: Path) -> Path:
    """The compiler, the generator and the client of package.json, in `folder/node_modules`."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no node and npm are installed")
    for name in ("package.json", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    install("openapi-typescript", [npm, "install", *quiet], folder)
    return folder / "node_modules/.bin"


def install_python(folder: Path) -> Path:
    """An environment with the generator of requirements.txt and without Finora; its Python."""
    run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], folder)
    python = folder / "env/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    install("openapi-python-client", [*pip, "-r", HERE / "requirements.txt"], folder)
    return python
