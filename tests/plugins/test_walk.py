"""docs/providers.md, walked as it is written: from nothing to a wheel, and no file of Finora."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finora.commands.new_provider import Kind, write
from finora_core.testing import Tier

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
PAGE = (ROOT / "docs" / "providers.md").read_text()
[WALK] = re.findall(r"## From nothing to a published provider\n\n```sh\n(.*?)```", PAGE, re.S)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The programs of a new environment that has Finora, and nothing else of ours."""
    environment = tmp_path / "env"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=100
    )
    packages = next(environment.glob("lib/python*/site-packages"))
    beside = [str(SRC), *(path for path in sys.path if path.endswith("site-packages"))]
    (packages / "finora.pth").write_text("\n".join(beside) + "\n")
    programs = environment / "bin"
    for name, command in {
        "finora": f'"{programs}/python" -m finora',
        "pytest": f'"{programs}/python" -m pytest -p no:cacheprovider',
        "pip": f'"{sys.executable}" -m pip --python "{programs}/python"',
    }.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    return programs


def digest() -> str:
    """Of every file of Finora."""
    found = hashlib.sha256()
    for path in sorted(SRC.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


@pytest.mark.timeout(300)
def test_the_walk_of_the_documentation(fresh: Path, tmp_path: Path) -> None:
    before, started = digest(), time.monotonic()
    done = subprocess.run(
        ["sh", "-exc", WALK], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=280,
        env={"PATH": f"{fresh}:/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "100"}
        | {name: value for name, value in os.environ.items()
           if name.startswith("PIP_")},
    )  # fmt: skip
    said = done.stdout + done.stderr
    if done.returncode and re.search(
        r"Connection|Temporary failure|No matching distribution", said
    ):
        pytest.skip("setuptools cannot be installed: no network")
    assert done.returncode == 0, said
    assert "mybank of prices: gold" in done.stdout
    assert re.search(r"mybank \(finora-mybank 0\.1\.0\)\n  price provider mybank", done.stdout)
    made = tmp_path / "finora-mybank"
    assert list((made / "dist").glob("finora_mybank-0.1.0-*.whl"))
    written = sum(
        path.read_text().count("\n")
        for path in made.rglob("*")
        if path.suffix in (".py", ".toml", ".json") and "egg-info" not in str(path)
        and "build" not in path.relative_to(made).parts
    )  # fmt: skip
    edited = int(digest() != before)
    print(f"lines {written}, seconds {time.monotonic() - started:.0f}, files of Finora {edited}")
    assert written <= 80
    assert edited == 0


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_starts_green(kind: Kind, tmp_path: Path) -> None:
    folder, files = write("my_own", kind, tmp_path)
    # A store has nine methods, and is no made-up source: it keeps files.
    most = 130 if kind is Kind.STORAGES else 80
    assert sum(text.count("\n") for text in files.values()) <= most
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider"], cwd=folder,
        env={"PYTHONPATH": f"{folder}:{SRC}", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert f"my_own of {kind}: {Tier.GOLD.name.lower()}" in done.stdout


@pytest.mark.parametrize("name", ["", "Mine", "1x", "a-b", "x" * 40, "../x", "é"])
def test_a_name_that_is_none_writes_nothing(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "finora", "new-provider", "--into", str(tmp_path), "--json", "--",
         name],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert json.loads(done.stdout or done.stderr)["error"]["code"] == "BAD_PROVIDER_NAME"
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "finora", "new-provider", "mine", "--into", str(tmp_path)]
    first, second = (
        subprocess.run([*run, "--json"], capture_output=True, text=True, check=False, timeout=60)
        for _ in range(2)
    )
    assert json.loads(first.stdout)["lines"] <= 80
    assert second.returncode == 1 and "FOLDER_EXISTS" in second.stdout + second.stderr


@pytest.mark.parametrize("name", ["finora-metals", "finora-pocketbank"])
def test_an_example_is_whole_and_green(name: str) -> None:
    folder = ROOT / "examples" / "plugins" / name
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=folder,
        env={"PYTHONPATH": f"{folder}:{SRC}", "PATH": "/usr/bin:/bin",
             "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
