"""Holdings and activities by the command."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from finora import Finora
from finora.cli import app as command


def finora_command(data: Path, *words: str) -> Any:
    result = CliRunner().invoke(command, [*words, "--data", str(data), "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.spec("S0-46", partial=True)
def test_the_command_enters_lists_shows_and_takes_back(settings: Any, finora: Finora) -> None:
    data = settings.data
    given = ("--price", "98.25", "--fee", "1", "--at", "2026-01-05")
    code, bought = finora_command(data, "activity", "add", "buy", "isin:IE00BK5BQT80", "4", *given)
    assert code == 0
    [made] = bought["activities"]
    assert made["counter"] == {"amount": "-393.00", "asset": "EUR"}
    code, refused = finora_command(data, "activity", "add", "sell", "isin:IE00BK5BQT80", "-5")
    assert (code, refused["error"]["code"]) == (1, "INSUFFICIENT_HOLDING")
    code, held = finora_command(data, "holdings")
    assert [each["asset"] for each in held["holdings"]] == ["isin:IE00BK5BQT80"]
    assert held["holdings"][0]["value"] is None
    assert held["total"]["gap"]
    code, listed = finora_command(data, "activity", "list")
    assert listed["activities"][0]["id"] == made["id"]
    assert finora_command(data, "activity", "delete", made["id"])[0] == 0
    assert finora_command(data, "holdings")[1]["holdings"] == []
    assert finora_command(data, "activity", "add", "buys", "EUR")[1]["error"]["code"] == (
        "BAD_ACTIVITY"
    )


def test_what_a_total_lacks_is_told_in_a_line(settings: Any, finora: Finora) -> None:
    """Of many things the first two; all of them with --json."""
    at = ("--at", "2026-01-05", "--price", "1")
    names = [f"ticker:GAP{number}" for number in range(5)]
    made = [
        finora_command(settings.data, "activity", "add", "buy", name, "1", *at)[1]["activities"][0]
        for name in names
    ]
    shown = CliRunner().invoke(command, ["holdings", "--data", str(settings.data)]).stdout
    [total] = [line for line in shown.splitlines() if line.startswith("total:")]
    assert total.count("no price for") == 2 and total.endswith("and 3 more)")
    gap = finora_command(settings.data, "holdings")[1]["total"]["gap"]
    assert all(name in gap for name in names)
    for each in made:
        finora_command(settings.data, "activity", "delete", each["id"])
