"""Which features are proven: joins docs/features.toml with the tests marked with their ids.

    python tools/spec.py            write docs/features.md, print the counts
    python tools/spec.py --check    write nothing; fail where features.md is out of date

A feature is proven by a test marked `@pytest.mark.spec("S2-14")`, partial where every such mark
says `partial=True`, open without one. A test that is skipped or expected to fail without a
condition proves nothing. Pytest collects the tests with this file as its plugin.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "docs/features.toml"
PAGE = ROOT / "docs/features.md"

Features = dict[str, dict[str, str]]
"""module -> id -> line, in the order of features.toml."""

Proofs = dict[str, dict[str, list[str]]]
"""id -> "proven" or "partial" -> the tests that say so."""


# --- as a plugin of pytest -----------------------------------------------------------------------


def pytest_addoption(parser) -> None:
    parser.addoption("--spec-marks", help="write the marked tests to this file, as JSON")


def pytest_collection_finish(session) -> None:
    target = session.config.getoption("--spec-marks")
    if target is None:
        return
    marks = [
        {"id": mark.args[0], "partial": mark.kwargs.get("partial", False), "test": item.nodeid}
        for item in session.items
        if not _never_runs(item)
        for mark in item.iter_markers("spec")
    ]
    Path(target).write_text(json.dumps(marks))


def _never_runs(item) -> bool:
    """Without a condition, that is: one depends on the machine, and the page must not."""
    return any(
        mark.name == "skip" or not (mark.args or "condition" in mark.kwargs)
        for name in ("skip", "xfail")
        for mark in item.iter_markers(name)
    )


# --- as a command --------------------------------------------------------------------------------


class Stale(Exception):
    """What was found does not hold together; the message says what to do."""


def load_features(source: Path = SOURCE) -> Features:
    return tomllib.loads(source.read_text())


def collect(root: Path = ROOT) -> list[dict[str, object]]:
    """The marks of the tests under `root`, as pytest itself sees them."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "marks.json"
        path = os.pathsep.join(
            filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
        )
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "spec"]
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", f"--spec-marks={target}"],
            cwd=root,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        nothing_there = done.returncode == 5
        if done.returncode and not nothing_there:
            why = done.stdout[max(done.stdout.find("= ERRORS ="), 0) :]
            raise Stale(f"pytest could not collect the tests:\n{why}{done.stderr}")
        return json.loads(target.read_text())


def join(features: Features, marks: list[dict[str, object]]) -> Proofs:
    """The tests of each feature; refuses a mark whose id is not in the list."""
    known = {feature for lines in features.values() for feature in lines}
    unknown = {f"{mark['id']} ({mark['test']})" for mark in marks if mark["id"] not in known}
    if unknown:
        raise Stale("marked, and not in docs/features.toml: " + ", ".join(sorted(unknown)))
    proofs: Proofs = defaultdict(lambda: defaultdict(list))
    for mark in marks:
        tests = proofs[str(mark["id"])]["partial" if mark["partial"] else "proven"]
        test = str(mark["test"]).partition("[")[0]
        if test not in tests:
            tests.append(test)
    return proofs


def state(proof: Mapping[str, list[str]]) -> str:
    return "proven" if proof.get("proven") else "partial" if proof.get("partial") else "open"


def counts(features: Features, proofs: Proofs) -> list[str]:
    """One line a module, and last the sum."""
    lines, proven, total = [], 0, 0
    for module, feats in features.items():
        states = [state(proofs.get(feature, {})) for feature in feats]
        partial = f", {states.count('partial')} partial" if "partial" in states else ""
        lines.append(f"{module:<12} {states.count('proven'):>3} of {len(states)}{partial}")
        proven, total = proven + states.count("proven"), total + len(states)
    return [*lines, f"proven {proven} of {total}"]


def page(features: Features, proofs: Proofs) -> str:
    parts = [
        "# Features\n\nMade by `make spec` from `features.toml` and the marks of the tests. "
        "A feature is *proven* by a test that\nis marked with its id, *partial* where such tests "
        f"leave some of it out, *open* otherwise.\n\n{counts(features, proofs)[-1]}\n"
    ]
    for module, feats in features.items():
        parts.append(f"\n## {module}\n\n")
        for feature, line in feats.items():
            proof = proofs.get(feature, {})
            parts.append(f"- **{feature}** {state(proof)}: {line}\n")
            tests = [f"`{test}`" for test in proof.get("proven", [])]
            tests += [f"`{test}` (partial)" for test in proof.get("partial", [])]
            parts.extend(f"  - {test}\n" for test in sorted(tests))
    return "".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description="Which features are proven by tests.")
    parser.add_argument("--check", action="store_true", help="fail where features.md is stale")
    check = parser.parse_args().check
    try:
        features = load_features()
        proofs = join(features, collect())
    except Stale as reason:
        print(reason, file=sys.stderr)
        return 1
    text = page(features, proofs)
    if check and (not PAGE.exists() or PAGE.read_text() != text):
        print("docs/features.md is out of date: run `make spec`", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(text)
    print("\n".join(counts(features, proofs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
