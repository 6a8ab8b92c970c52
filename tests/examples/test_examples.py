"""The examples run as they stand."""

import subprocess
import sys
from pathlib import Path

import pytest

from finora import Finora, Settings
from finora.commands.demo import HOUSEHOLD

EXAMPLES = Path(__file__).parents[2] / "examples"
STATEMENT = HOUSEHOLD / "card-jan-apr.ofx"
ARGUMENTS = {"embed.py": [str(STATEMENT)]}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_runs(path: Path, finora: Finora, settings: Settings) -> None:
    """Beside this run's own process, in the same data folder."""
    run = subprocess.run(
        [sys.executable, str(path), str(settings.data), *ARGUMENTS[path.name]],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "'added': 20" in run.stdout or "'existing': 20" in run.stdout
    assert "5500000000004711" in run.stdout


def test_the_readme_shows_the_example() -> None:
    """The same ten lines, with names in place of arguments."""
    readme = (EXAMPLES.parent / "README.md").read_text()
    source = (EXAMPLES / "embed.py").read_text().split("from finora import Finora\n")[1].strip()
    shown = source.replace("sys.argv[1]", '"books"').replace("sys.argv[2]", '"statement.ofx"')
    assert shown in readme
