"""The command line, as its user calls it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from finora import Finora, Settings
from finora.commands.demo import HOUSEHOLD
from finora_adapters.postgres.migrate import head
from finora_core.kernel.asset import Asset

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
COMMANDS = (
    "demo",
    "import",
    "accounts",
    "records",
    "review",
    "wallet",
    "explain",
    "budget",
    "goals",
    "export",
    "migrate",
    "doctor",
    "plugins",
    "picture",
    "keys",
)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(finora: Finora, settings: Settings) -> Run:
    """`finora` in a process of its own, on this run's data folder."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("FINORA_")}
        return subprocess.run(
            [sys.executable, "-c", "from finora.cli import main; main()", *arguments],
            capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
            env=clean | {"FINORA_DATA": str(settings.data), "COLUMNS": "80"} | env,
        )  # fmt: skip

    return run


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def keys(value: Any) -> set[str]:
    """Every key of a JSON value, however deep."""
    if isinstance(value, dict):
        return set(value).union(*(keys(item) for item in value.values()))
    return set().union(*(keys(item) for item in value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_is_documented(run: Run, command: str) -> None:
    shown = run(command, "--help")
    assert shown.returncode == 0
    assert f"Example: finora {command}" in " ".join(shown.stdout.split())
    assert "--json" in shown.stdout
    assert f"## finora {command}" in DOCS


def test_a_statement_comes_in_and_is_read_back(run: Run, tmp_path: Path) -> None:
    """Import, again, records, accounts, wallet: the shapes of docs/cli.md."""
    file = tmp_path / "a.csv"
    file.write_text("Date,Amount,Currency,Text\n2026-01-31,-1.50,EUR,Café\n2026-02-30,1,EUR,x\n")
    command = ("import", str(file), "--account", "Cli", "--json")
    [first] = answer(run(*command))["files"]
    assert (first["read"], first["added"], first["set_aside_count"]) == (2, 1, 1)
    assert first["set_aside"][0]["line"] == 3
    [again] = answer(run(*command))["files"]
    assert (again["added"], again["existing"], again["refused"]) == (0, 1, None)
    found = answer(run("records", "--account", "Cli", "--json"))
    [record] = found["records"]
    assert (record["date"], record["amount"], record["description"]) == (
        "2026-01-31", "-1.50", "Café",
    )  # fmt: skip
    listed = answer(run("accounts", "--json"))
    [account] = [each for each in listed["accounts"] if each["name"] == "Cli"]
    assert account["balances"][0]["amount"] == "-1.50"
    shown = [first, found, listed]
    asked = (("--period", "year"), ("--cashflow", "2026-01-01", "2026-01-31"), ("--networth", "2"))
    shown.extend(
        answer(run("wallet", *arguments, "--today", "2026-01-31", "--json")) for arguments in asked
    )
    asked = ("explain", "--account", "Cli", "--until", "2026-01-31")
    told = answer(run(*asked, "--json"))
    assert told["explanation"]["amount"]["amount"] == "-1.50"
    day = answer(run(*asked, "--since", "2026-01-01", "--json"))
    [part] = day["explanation"]["parts"]
    origin = answer(run("explain", part["entry_id"], "--json"))
    assert origin["origin"]["received"]["place"] == 2
    assert "-1.50 EUR from 1 postings" in run(*asked).stdout
    assert "Café" in run("explain", part["entry_id"]).stdout
    shown += [told, day, origin]
    for value in shown:
        missing = {key for key in keys(value) if f'"{key}"' not in DOCS}
        assert not missing, f"docs/cli.md does not name {missing}"


@pytest.mark.timeout(400)
def test_budgets_and_goals_are_made_shown_and_removed(run: Run, tmp_path: Path) -> None:
    """And their shapes are those of docs/cli.md."""
    file = tmp_path / "a.csv"
    file.write_text("Date,Amount,Currency,Text\n2026-01-31,100.00,EUR,Salary\n")
    run("import", str(file), "--account", "Saved", "--json")
    name = "Food at home"
    made = run("budget", "add", name, "food", "500", "--rollover", "surplus", "--json")
    limited = run("budget", "limit", name, "550.00", "--json")
    shown = [answer(each) for each in (made, limited, run("budget", "--json"))]
    assert shown[1]["budgets"][0]["limit"] == {"amount": "550.00", "asset": "EUR"}
    less = answer(run("budget", "simulate", name, "-10", "--json"))
    assert less["simulation"]["adjusted_budget"]["amount"] == "495.00"
    goal = run(
        "goals", "add", "A boat", "9000", "--share", "Saved=50", "--by", "2099-01-01", "--json"
    )
    shown += [less, answer(goal), answer(run("goals", "--json"))]
    assert shown[-1]["goals"][0]["current"]["value"]["amount"] == "50.00"
    table = run("budget").stdout
    assert name in table and "550.00 EUR" in table
    assert "A boat" in run("goals").stdout
    for command, what in (("budget", name), ("goals", "A boat")):
        shown.append(answer(run(command, "remove", what, "--json")))
        gone = run(command, "remove", what)
        assert gone.returncode == 1 and "_NOT_FOUND" in gone.stderr
    assert run("budget", "add", name, "food", "1", "--period", "daily").returncode == 1
    assert run("goals", "add", "x", "1", "--share", "Saved").returncode == 1
    for value in shown:
        missing = {key for key in keys(value) if f'"{key}"' not in DOCS}
        assert not missing, f"docs/cli.md does not name {missing}"


@pytest.mark.spec("S3-30", partial=True)
def test_what_waits_is_reviewed(run: Run, tmp_path: Path) -> None:
    """Listed, overridden, and looked at again: the next of the merchant is known."""
    file = tmp_path / "r.csv"
    file.write_text("Date,Amount,Currency,Text\n2026-01-31,-1.50,EUR,Bodega 1\n"
                    "2026-02-01,-2.50,EUR,Bodega 2\n")  # fmt: skip
    run("import", str(file), "--account", "Review")

    def mine(*arguments: str) -> list[Any]:
        found = answer(run("review", "--limit", "1000", "--json", *arguments))
        assert found.keys() == {"waiting", "more", "again"}
        return [each for each in found["waiting"] if each["account"] == "Review"]

    first, second = mine()
    assert (first["confidence"], first["suggested"], first["date"]) == (0, "", "2026-01-31")
    assert (
        first["id"] in run("review", "--limit", "1000").stdout
    )  # Whole, however narrow the terminal is.
    assert mine("--override", first["id"], "--category", "Food", "--again") == []
    refused = run("review", "--approve", first["id"], "--json")
    assert answer(refused)["error"]["code"] == "ILLEGAL_STATUS"
    shown = run("review", "--again", "--dry-run").stdout
    assert "would change" in shown
    assert second["id"] not in shown


def test_a_refused_file_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    """It is told with its code, the rest is imported, the exit code is 1."""
    bad = tmp_path / "bad.ofx"
    bad.write_text("<OFX>")
    done = run("import", str(bad), str(tmp_path / "none.csv"), str(HOUSEHOLD / "card-jan-apr.ofx"),
               "--json")  # fmt: skip
    refused, missing, good = answer(done)["files"]
    assert done.returncode == 1
    assert refused["refused"]["code"].startswith("STATEMENT_")
    assert missing["refused"]["code"] == "FILE_UNREADABLE"
    assert good["refused"] is None and good["read"] == 20


@pytest.mark.parametrize(
    "command", ["picture", "prices import", "rates import", "rules import firefly"]
)
def test_a_file_that_cannot_be_read_is_told_by_its_name(
    run: Run, tmp_path: Path, command: str
) -> None:
    for file, why in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        done = run(*command.split(), str(file), "--json")
        assert done.returncode == 1
        error = answer(done)["error"]
        assert error["code"] == "FILE_UNREADABLE"
        assert error["message"].startswith(f"{file}: {why}")


def test_an_open_question_shows_both_readings(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("Date,Amount,Currency,Text\n03/04/2026,-1.50,EUR,x\n")
    done = run("import", str(file), "--account", "Asked")
    assert done.returncode == 1 and "STATEMENT_AMBIGUOUS" in done.stderr
    assert "2026-04-03" in done.stderr and "2026-03-04" in done.stderr
    assert "--answer date_order=dmy" in done.stderr
    done = run("import", str(file), "--account", "Asked", "--answer", "date_order=dmy")
    assert "1 added" in done.stdout, done.stderr


def test_a_refusal_has_its_code_on_the_right_stream(run: Run) -> None:
    plain = run("records", "--cursor", "rubbish")
    assert (plain.returncode, plain.stdout) == (1, "")
    assert plain.stderr.startswith("BAD_CURSOR:")
    machine = run("records", "--cursor", "rubbish", "--json")
    assert machine.returncode == 1 and answer(machine)["error"]["code"] == "BAD_CURSOR"


def test_a_misspelt_setting_stops_every_command(run: Run) -> None:
    done = run("accounts", FINORA_DATABSE_URL="x", FINORA_POOL_SIZE="0")
    assert done.returncode == 1
    assert "FINORA_DATABSE_URL: there is no such setting" in done.stderr
    assert "FINORA_POOL_SIZE" in done.stderr


def test_export_writes_a_file_whole(run: Run, tmp_path: Path) -> None:
    run("import", str(HOUSEHOLD / "card-jan-apr.ofx"))
    for tool in ("beancount", "hledger"):
        target = tmp_path / tool
        done = run("export", "--format", tool, "--output", str(target), "--json")
        said = answer(done)
        assert said["lines"] == len(target.read_text().splitlines()) > 100
        assert list(tmp_path.glob(".*")) == []
    assert run("export", "--format", "excel").stderr.startswith("UNKNOWN_EXPORT")


def test_doctor_finds_nothing_wrong(run: Run) -> None:
    done = run("doctor", "--json")
    said = answer(done)
    assert done.returncode == 0 and said["well"], said
    subjects = {finding["subject"] for finding in said["findings"]}
    assert {"postgres", "schema", "schema drift", "invariants", "durability"} <= subjects


def test_doctor_says_what_is_wrong(run: Run, tmp_path: Path) -> None:
    done = run("doctor", FINORA_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 1
    assert re.search(r"BAD postgres: .*\n +start the server", done.stdout)


def test_plugins_are_listed(run: Run) -> None:
    [mine] = [p for p in answer(run("plugins", "--json"))["plugins"] if p["name"] == "statements"]
    assert mine["works"] and "statement format ofx" in mine["provides"]


def test_prices_are_taken_in_mended_converted_and_listed(
    run: Run, finora: Finora, tmp_path: Path
) -> None:
    asset = f"ticker:C{uuid4().hex[:10].upper()}.DE"
    finora.ledger.register_asset(finora.scope(tenant="cli", user="cli"), Asset(asset, 8))
    path = tmp_path / "history.csv"
    rows = ("Date,Open,High,Low,Close,Volume,Stock Splits", "1994-01-03,20,20,20,20,5,0",
            "1994-01-04,10,10,10,10,10,2", "1994-01-05,0,0,0,0,0,0")  # fmt: skip
    path.write_text("\n".join(rows))
    of = ("--asset", asset, "--quote", "CHF", "--source", "cli")
    said = answer(run("prices", "import", str(path), *of, "--json"))
    assert (said["added"], said["corrected"], said["set_aside"]) == (2, 0, 1)
    dry = run("prices", "repair", asset, "CHF", "--source", "cli", "--dry-run")
    assert re.search(r"1994-01-03.*split +20 +10", dry.stdout), dry.stdout
    said = answer(run("prices", "import", str(path), *of, "--repair", "--json"))
    assert (said["added"], said["corrected"]) == (0, 1) and said["fixes"][0]["after"] == "10"
    listed = answer(run("prices", "list", asset, "--until", "1994-01-03", "--json"))["prices"]
    assert [(each["value"], each["revision"]) for each in listed] == [("10", 2), ("20", 1)]
    on = ("--at", "1994-01-06")
    said = answer(run("prices", "convert", "1.5", asset, "CHF", *on, "--json"))
    assert said["result"] == {"amount": "15.00", "asset": "CHF"}
    assert (said["path"], said["stale"]) == ([asset, "CHF"], False)
    none = run("prices", "convert", "1.5", asset, "CHF", "--at", "1994-01-01")
    assert none.returncode == 1 and none.stderr.startswith("NO_PRICE: no price for ticker:C")
    span = ("--since", "1994-01-01", "--until", "1994-01-05")
    said = answer(run("prices", "coverage", asset, "CHF", *span, "--json"))
    assert (said["days"], said["priced"], said["missing"]) == (5, 3, 2)
    assert said["gaps"] == [{"since": "1994-01-05", "until": "1994-01-05"}]
    assert answer(run("prices", "refresh", "--json"))["state"] == "done"
    assert run("prices", "refresh", "--source", "nobody").stderr.startswith("UNKNOWN_SOURCE")
    assert answer(run("assets", "search", asset, "--json")) == {"assets": []}


def test_migrate_says_the_revision(run: Run) -> None:
    assert answer(run("migrate", "--json"))["revision"] == head()


def test_keys_of_the_data_provider_are_made_limited_blocked_and_revoked(run: Run) -> None:
    made = answer(run("data-provider", "key", "create", "Acme", "--monthly", "5", "--json"))
    assert made["text"].startswith("fin_")
    limited = answer(run("data-provider", "key", "quota", made["id"], "--window", "6/60", "--json"))
    assert limited == {"id": made["id"], "monthly": 5, "window": "6/60"}

    def listed() -> Any:
        found = answer(run("data-provider", "key", "list", "--json"))
        return next(each for each in found if each["id"] == made["id"])

    assert listed() == {
        "id": made["id"], "name": "Acme", "state": "valid", "monthly": 5, "window": "6/60",
        "used": 0, "cost_micros": 0,
    }  # fmt: skip
    for command, state in (("block", "blocked"), ("unblock", "valid"), ("revoke", "revoked")):
        done = answer(run("data-provider", "key", command, made["id"], "--json"))
        assert done == {"id": made["id"]}
        assert listed()["state"] == state
    assert answer(run("data-provider", "usage", "--json")) == []
    refused = run("data-provider", "key", "create", "Acme", "--window", "0/0", "--json")
    assert answer(refused)["error"]["code"] == "BAD_QUOTA"
