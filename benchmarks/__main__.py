"""Every benchmark in turn, as its defaults are: `make bench`, or `make bench NAMES="jobs wallet"`.

Each runs in a process of its own, and prints its table; one that fails does not keep the others
from running. The last line is one JSON object: the figures of each by its name, null where it
failed. Takes long; nothing else should run meanwhile.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
HELPERS = {"__main__", "common"}


def names() -> list[str]:
    return sorted(each.stem for each in HERE.glob("*.py") if each.stem not in HELPERS)


def figures(name: str) -> object:
    """What it printed last, or None."""
    run = subprocess.Popen(
        [sys.executable, HERE / f"{name}.py"], stdout=subprocess.PIPE, text=True, cwd=HERE.parent
    )
    assert run.stdout is not None
    last = ""
    for line in run.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
    if run.wait() != 0:
        return None
    return json.loads(last)


def main() -> int:
    wanted = sys.argv[1:] or names()
    if unknown := set(wanted) - set(names()):
        sys.exit(f"no benchmark is called {', '.join(sorted(unknown))}; there are: {names()}")
    found = {}
    for name in wanted:
        print(f"\n== {name}", flush=True)
        found[name] = figures(name)
    print(json.dumps(found))
    return any(each is None for each in found.values())


if __name__ == "__main__":
    sys.exit(main())
