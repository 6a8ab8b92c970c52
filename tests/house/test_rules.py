"""Rules that matter are tests. Each holds for the whole tree, and each is tried on a bad example:
a rule that cannot fail holds nothing."""

import ast
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from house import rules

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ALLOWED = tomllib.loads((HERE / "allowed.toml").read_text())


@cache
def parsed(path: Path) -> ast.AST:
    return ast.parse(path.read_text(), str(path))


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def allowed(rule: str, path: Path) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return any(name == at or (at.endswith("/") and name.startswith(at)) for at in ALLOWED[rule])


def assert_none(files: list[Path], find: Callable[[Path], Iterator[tuple[int, str]]]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {message}"
        for path in files
        for line, message in find(path)
    ]
    assert not found, "\n" + "\n".join(found)


def test_no_float_near_money() -> None:
    files = [path for path in python_files("src/finora_core") if not allowed("float", path)]
    assert_none(files, lambda path: rules.no_float(parsed(path)))


def test_fakes_instead_of_patches() -> None:
    files = python_files("tests", "src/finora_core")
    assert_none(files, lambda path: rules.no_patching(parsed(path)))


def test_every_type_ignore_has_a_reason() -> None:
    files = python_files("src", "tests", "tools", "examples", "benchmarks")
    assert_none(files, lambda path: rules.no_silent_ignore(path.read_text()))


def test_core_asks_the_clock() -> None:
    clock = ROOT / "src/finora_core/kernel/clock.py"
    files = [path for path in python_files("src/finora_core") if path != clock]
    assert_none(files, lambda path: rules.no_clock(parsed(path)))


def test_the_environment_is_read_in_one_place() -> None:
    files = [path for path in python_files("src") if not allowed("environment", path)]
    assert_none(files, lambda path: rules.no_environment(parsed(path)))


def test_core_imports_the_standard_library_and_attrs_only() -> None:
    core = ROOT / "src/finora_core"

    def find(path: Path) -> Iterator[tuple[int, str]]:
        also = {"pluggy"} if path == core / "plugins.py" else set()
        # The kits that a plugin's author runs are pytest classes.
        also |= {"pytest", "pluggy"} if path.is_relative_to(core / "testing") else set()
        return rules.only_core_imports(parsed(path), frozenset(also))

    assert_none(python_files("src/finora_core"), find)


def test_slices_see_each_others_model_and_ports_only() -> None:
    core = ROOT / "src/finora_core"
    files = [
        path
        for path in python_files("src/finora_core")
        if len(path.relative_to(core).parts) > 1 and path.relative_to(core).parts[0] != "testing"
    ]
    assert_none(
        files,
        lambda path: rules.only_words_of_slices(parsed(path), path.relative_to(core).parts[0]),
    )


@cache
def texts() -> list[Path]:
    """Every text of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in filter(None, listed.stdout.split("\0"))]
    return [path for path in files if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


def test_the_repository_speaks_of_no_machine_and_keeps_no_secret() -> None:
    assert_none(texts(), lambda path: rules.no_foreign_words(path.read_text(errors="replace")))


def test_no_merge_is_unfinished() -> None:
    assert_none(texts(), lambda path: rules.no_unfinished_merge(path.read_text(errors="replace")))


def test_every_exception_to_a_rule_says_why() -> None:
    assert all(reason.strip() for entries in ALLOWED.values() for reason in entries.values())


def _on_tree(rule: Callable[..., Iterator[tuple[int, str]]], *arguments: object):
    return lambda source: rule(ast.parse(source), *arguments)


BAD = {
    "a float literal": (_on_tree(rules.no_float), "RATE = 0.1"),
    "a call of float": (_on_tree(rules.no_float), "x = float('1')"),
    "a float parameter": (_on_tree(rules.no_float), "def f(x: 'float | None'): ..."),
    "a float result": (_on_tree(rules.no_float), "def f() -> list[float]: ..."),
    "mock": (_on_tree(rules.no_patching), "from unittest.mock import patch"),
    "mock by its package": (
        _on_tree(rules.no_patching),
        "import unittest\nunittest.mock.patch('x')",
    ),
    "mocker": (_on_tree(rules.no_patching), "def test_x(mocker): ..."),
    "a patch by name": (_on_tree(rules.no_patching), "monkeypatch.setattr('finora.x', 1)"),
    "a patch of a module": (
        _on_tree(rules.no_patching),
        "from finora_core import kernel\nmonkeypatch.setattr(kernel, 'x', 1)",
    ),
    "a patch of an object": (_on_tree(rules.no_patching), "monkeypatch.setattr(service, 'x', 1)"),
    "a bare ignore": (rules.no_silent_ignore, "x = 1  # type: " + "ignore"),
    "an ignore without a reason": (rules.no_silent_ignore, "x = 1  # type: " + "ignore[misc]"),
    "now": (_on_tree(rules.no_clock), "from datetime import UTC, datetime\ndatetime.now(UTC)"),
    "today": (_on_tree(rules.no_clock), "import datetime as d\nd.date.today()"),
    "a naive datetime": (
        _on_tree(rules.no_clock),
        "from datetime import datetime\ndatetime(2024, 1, 2)",
    ),
    "the environment": (_on_tree(rules.no_environment), "import os\nos.environ['X']"),
    "getenv": (_on_tree(rules.no_environment), "from os import getenv as get\nget('X')"),
    "pydantic in core": (_on_tree(rules.only_core_imports), "def f():\n    import pydantic"),
    "another slice's service": (
        _on_tree(rules.only_words_of_slices, "records"),
        "from finora_core.ledger.service import LedgerService",
    ),
    "another slice's service as a module": (
        _on_tree(rules.only_words_of_slices, "records"),
        "from finora_core.ledger import service",
    ),
    "a path of one machine": (rules.no_foreign_words, "see /" + "work/main"),
    "a home": (rules.no_foreign_words, "see /" + "home/ada/x"),
    "one side of a conflict": (rules.no_unfinished_merge, "<" * 7 + " HEAD"),
    "the other side": (rules.no_unfinished_merge, "x\n" + ">" * 7 + " main"),
    "a key": (rules.no_foreign_words, "AKIA" + "A" * 16),
}  # fmt: skip

GOOD = {
    "a refusal of floats": (_on_tree(rules.no_float), "if isinstance(x, float): raise TypeError"),
    "the outside patched": (
        _on_tree(rules.no_patching),
        "import time\nmonkeypatch.setattr(time, 'sleep', f)",
    ),
    "an explained ignore": (
        rules.no_silent_ignore,
        "x = 1  # type: " + "ignore[misc]  # its stubs lie",
    ),
    "a given clock": (_on_tree(rules.no_clock), "self.clock.now()"),
    "a datetime with a zone": (
        _on_tree(rules.no_clock),
        "from datetime import UTC, datetime\ndatetime(2024, 1, 2, tzinfo=UTC)",
    ),
    "os without its environment": (_on_tree(rules.no_environment), "import os\nos.getpid()"),
    "another slice's model": (
        _on_tree(rules.only_words_of_slices, "records"),
        "from finora_core.ledger import model\nfrom finora_core.ledger.ports import Books",
    ),
    "a module called work": (rules.no_foreign_words, "src/finora_core/kernel/" + "work/x.py"),
    "a heading": (rules.no_unfinished_merge, "A title\n" + "=" * 7),
    "the data read in place": (rules.no_foreign_words, "../" + "shared/data/bank"),
}  # fmt: skip


@pytest.mark.parametrize("example", BAD)
def test_a_rule_finds(example: str) -> None:
    find, source = BAD[example]
    assert list(find(source))


@pytest.mark.parametrize("example", GOOD)
def test_a_rule_lets_pass(example: str) -> None:
    find, source = GOOD[example]
    assert not list(find(source))
