"""Slices stand alone: each folder of tests is collected without the others, and one command runs
all; models are pure, and services hold the use cases and no SQL."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from house.rules import imported

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
CORE = ROOT / "src" / "finora_core"

SLICES = sorted(path.name for path in TESTS.iterdir() if list(path.glob("**/test_*.py")))


@pytest.mark.spec("S4-80", partial=True)
@pytest.mark.parametrize("name", SLICES)
def test_a_slice_of_the_tests_needs_no_other(name: str) -> None:
    for path in (TESTS / name).glob("**/*.py"):
        for _, module in imported(ast.parse(path.read_text())):
            first = module.partition(".")[0]
            if first in sys.stdlib_module_names:
                continue  # `secrets`, which a folder without __init__ does not hide.
            assert first == name or not (TESTS / first).is_dir() or not first, (path, module)


@pytest.mark.spec("S4-80", partial=True)
@pytest.mark.parametrize("name", ["kernel", "ledger"])
def test_a_slice_runs_alone_and_one_command_runs_all(name: str) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", f"tests/{name}"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert re.search(r"\d{2,} tests collected", done.stdout)
    recipe = (ROOT / "Makefile").read_text().partition("\ntest:")[2].split("\n\n")[0]
    assert re.search(r"-m pytest\b(?!.* tests/)", recipe)


def modules(name: str) -> dict[str, set[str]]:
    """The files of that name in the core, with what each imports."""
    return {
        str(path.relative_to(CORE)): {module for _, module in imported(ast.parse(path.read_text()))}
        for path in CORE.glob(f"**/{name}.py")
    }


@pytest.mark.spec("S4-9", partial=True)
def test_models_are_pure() -> None:
    found = modules("model")
    assert len(found) >= 4
    for path, names in found.items():
        strange = {
            name for name in names
            if name.partition(".")[0] not in {*sys.stdlib_module_names, "attrs"}
            and not name.startswith("finora_core.kernel")
            and not name.endswith((".model", ".roles", ".countries", ".conditions", ".actions"))
        }  # fmt: skip
        assert strange == set(), path
        assert not names & {"os", "socket", "time", "random", "threading", "subprocess"}, path


@pytest.mark.spec("S3-1")
@pytest.mark.spec("S4-9")
def test_services_own_the_transaction_and_hold_no_sql() -> None:
    found = modules("service")
    assert len(found) >= 4
    for path, names in found.items():
        assert not {name for name in names if name.endswith(".service")}, path
        assert not {name for name in names if "sqlalchemy" in name or "adapters" in name}, path
        text = (CORE / path).read_text()
        assert re.search(r"\bbegin\(", text), path
        assert not re.search(r"\b(select|insert into|update|delete from) \w+", text), path
