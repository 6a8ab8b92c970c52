"""docs/asvs.md: every requirement of its chapters has a row, and every test named is there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# How many requirements each section of the standard has.
SECTIONS = {
    "4.1": 5, "4.2": 5, "4.3": 2, "4.4": 4, "5.1": 1, "5.2": 6, "5.3": 3, "5.4": 3, "6.1": 3,
    "6.2": 12, "6.3": 8, "6.4": 6, "6.5": 8, "6.6": 4, "6.7": 2, "6.8": 4, "7.1": 3, "7.2": 4,
    "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2, "8.1": 4, "8.2": 4, "8.3": 3, "8.4": 2, "9.1": 3,
    "9.2": 4, "10.1": 2, "10.2": 3, "10.3": 5, "10.4": 16, "10.5": 5, "10.6": 2, "10.7": 3,
}  # fmt: skip
ROW = re.compile(r"\| (\d+\.\d+)\.(\d+) \| ([123]) \| ([^|]+) \| ([^|]+) \|")
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
SAID = ("Proof: ", "Does not apply: ", "Not met: ")


def rows() -> list[tuple[str, int, str]]:
    """Section, number in it, and what is said."""
    text = (ROOT / "docs" / "asvs.md").read_text()
    lines = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    found = [ROW.fullmatch(line) for line in lines]
    assert [line for line, row in zip(lines, found, strict=True) if row is None] == []
    return [(row[1], int(row[2]), row[5]) for row in found if row is not None]


@cache
def collected(file: str) -> frozenset[str]:
    """Those that pytest collects there, of classes too."""
    tree = ast.parse((ROOT / "tests" / file).read_text())
    within = [tree, *(each for each in tree.body if isinstance(each, ast.ClassDef))]
    found = {
        each.name for part in within for each in part.body if isinstance(each, ast.FunctionDef)
    }
    return frozenset(name for name in found if name.startswith("test_"))


def test_every_requirement_has_one_row() -> None:
    wanted = [(section, number) for section, count in SECTIONS.items()
              for number in range(1, count + 1)]  # fmt: skip
    assert [(section, number) for section, number, _ in rows()] == wanted


def test_every_row_says_one_of_three_things() -> None:
    for section, number, said in rows():
        about = f"{section}.{number}"
        assert said.startswith(SAID), about
        assert sum(said.count(each.strip()) for each in SAID) == 1, about
        if said.startswith("Proof: "):
            # Tests and nothing else, so that nothing is claimed that none of them shows.
            assert TEST.sub("", said).replace(",", "").split() == ["Proof:"], about
        else:
            assert len(said.partition(": ")[2]) > 15, about


def test_every_test_that_is_named_is_there() -> None:
    named = [found for _, _, said in rows() for found in TEST.findall(said)]
    assert len(set(named)) > 60
    missing = [f"{file}::{name}" for file, name in named
               if not (ROOT / "tests" / file).is_file() or name not in collected(file)]  # fmt: skip
    assert missing == []
