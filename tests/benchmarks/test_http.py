"""The run that holds screens against their targets says what it should. How fast anything is, is no
matter of a test: `python benchmarks/http.py --hold` is for a quiet machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCREENS = {"health": 50, "cached": 10, "uncached": 100, "records": 150, "jobs": 200}


def test_every_screen_has_a_baseline() -> None:
    baseline = json.loads((BENCHMARKS / "http.json").read_text())
    assert set(baseline) == set(SCREENS)
    assert all(ratio > 0 for ratio in baseline.values())


@pytest.mark.spec("S2-61", partial=True)
def test_a_screen_that_costs_more_than_it_did_is_told(tmp_path: Path) -> None:
    """Against a baseline that nothing can reach, over a real server: each is named, and the run
    ends with 1."""
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps(dict.fromkeys(SCREENS, 0.001)))
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "http.py", "--records", "4000", "--requests", "20", "--hold",
         "--baseline", baseline],
        capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    for name, target in SCREENS.items():
        assert f"{name}: " in said["slow"]
        assert 0 < said[f"{name}_p50_ms"] <= said[f"{name}_p95_ms"]
        assert any(
            line.split()[0] == name and line.split()[3] == str(target)
            for line in done.stdout.splitlines()
            if line.strip()
        )
    assert said["slow"].count("baseline 0.00") == len(SCREENS)
