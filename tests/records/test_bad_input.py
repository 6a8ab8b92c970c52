"""Bad input through the public surface: a clear refusal, nothing written, the next file works."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finora import Finora, Settings

MORE_MB = 64


@pytest.mark.timeout(240)
def test_every_hostile_file_is_refused_and_changes_nothing(
    finora: Finora, settings: Settings
) -> None:
    """Within two seconds of processor time (the kernel would end the process) and 64 MB more."""
    program = Path(__file__).with_name("hostile.py")
    run = subprocess.run(
        [sys.executable, str(program), str(settings.data)],
        capture_output=True, text=True, check=False, env={"MALLOC_ARENA_MAX": "1"},
    )  # fmt: skip
    answers: list[dict[str, Any]] = [json.loads(line) for line in run.stdout.splitlines()]
    last = answers[-1]["name"] if answers else "the start"
    assert run.returncode == 0, f"ended after {last}: {run.stderr[-2000:]}"
    assert len(answers) > 70
    for answer in answers:
        assert answer["state"] in ("refused", "done"), answer
        assert answer["lines_added"] == 0, answer
        if answer["state"] == "refused":
            assert answer["code"] != "INTERNAL" and answer["message"], answer
        else:
            assert all(each["place"] and each["reason"] for each in answer["set_aside"]), answer
            assert answer["set_aside"], answer
        assert not answer["changed"], answer
        assert answer["next_good"], answer
        assert answer["grown_mb"] <= MORE_MB, answer
