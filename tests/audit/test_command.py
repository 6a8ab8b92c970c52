"""`finora audit`, on books of its own whose owner changes them for good."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import pytest
from sqlalchemy import Engine, create_engine, text

from audit.tampers import Tamper
from books import sealed
from finora import Finora, Scope, Settings
from finora_adapters.compose import SCHEDULES, connector
from finora_adapters.embedded import open_engines
from finora_adapters.postgres.tenants import UPKEEP
from finora_core.jobs.model import ScheduleDue
from finora_core.jobs.operators import operator_id
from finora_core.kernel.ids import new_id
from folders import short_folder

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


@attrs.frozen
class Place:
    """A data folder with one tenant's chain of ten links, and its superuser."""

    data: Path
    finora: Finora
    scope: Scope
    admin: Engine

    def ask(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("FINORA_")}
        return subprocess.run(
            [sys.executable, "-m", "finora", "audit", *arguments],
            capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
            env=clean | {"FINORA_DATA": str(self.data)} | env,
        )  # fmt: skip

    def json(self, *arguments: str, status: int = 0, **env: str) -> Any:
        done = self.ask(*arguments, "--json", **env)
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout)

    def grow(self, links: int = 10) -> int:
        for number in range(links):
            scope = attrs.evolve(self.scope, request_id=str(new_id()))
            self.finora.ledger.open_account(scope, f"A {uuid4()} {number}")
        return sealed(self.finora, self.scope)

    def run_schedules(self) -> dict[str, str]:
        """Let the clock's jobs of the log run, each once; how they ended."""
        upkeep = self.finora.scope(tenant=UPKEEP, user=UPKEEP)
        with self.finora._opened.database.begin(upkeep) as work:
            for name in ("audit.anchor", "audit.verify"):
                work.events.record(ScheduleDue(name, datetime.now(UTC)))
        of = "where request_id = :r and name like 'audit.%'"
        given = {"r": upkeep.request_id}
        with self.admin.begin() as connection:
            connection.execute(text(f"update finora.job set max_attempts = 1 {of}"), given)
        self.finora.run_jobs()
        with self.admin.connect() as connection:
            rows = connection.execute(text(f"select name, state from finora.job {of}"), given)
            return {row.name: row.state for row in rows}

    def tamper(self, act: str, seq: int) -> None:
        """Committed: this is what the commands are for."""
        with self.admin.begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            tamper = Tamper(connection, self.scope.tenant_id, random.Random(1), 0, 0)
            event = tamper.row(seq).id
            match act:
                case "delete":
                    tamper.run("delete from finora.event where id = :id", id=event)
                case "rewrite":
                    tamper._write(event, request_id="somebody else's")
                    tamper._recompute(seq)
                case _:
                    tamper._write(event, request_id="somebody else's")


@pytest.fixture
def place() -> Iterator[Place]:
    with short_folder("finora-a-") as folder:
        settings = Settings(data=folder / "data", env="test")
        with Finora.open(settings) as finora, open_engines(settings.data) as engines:
            admin = create_engine("postgresql+psycopg://", creator=connector(engines.admin_dsn))
            place = Place(settings.data, finora, finora.scope(tenant="acme", user="u1"), admin)
            place.grow()
            yield place
            admin.dispose()


@pytest.mark.spec("S0-43")
@pytest.mark.invariant("I-50")
@pytest.mark.invariant("T-23")
@pytest.mark.timeout(300)
def test_a_rogue_owner_is_found_by_a_command(place: Place, tmp_path: Path) -> None:
    """Whole; anchored; changed; put back and the whole chain rewritten; with copies that somebody
    else keeps."""
    whole = place.json("verify")
    assert whole == {"whole": True, "tenants": whole["tenants"], "links": whole["links"],
                     "anchors": 0, "flaws": []}  # fmt: skip
    assert whole["links"] >= 10
    assert place.json("verify", "--from-store", status=1)["error"]["code"] == "ANCHOR_NOT_FOUND"
    for number in (1, 2):
        made = place.json("anchor")
        assert (made["number"], made["flaws"]) == (number, [])
        place.grow(5)
    assert len(made["digest"]) == 64
    key = place.json("key")["public_key"]
    assert place.ask("key").stdout.strip() == key
    copy = tmp_path / "copy"
    shutil.copytree(place.data / "files" / "anchors", copy)
    kept = ("verify", "--anchors", str(copy), "--public-key", key)
    for arguments in (("verify",), ("verify", "--from-store"), kept):
        found = place.json(*arguments)
        assert (found["whole"], found["anchors"]) == (True, 2), arguments

    place.tamper("rewrite", 7)
    tenant = str(place.scope.tenant_id)
    for arguments in (("verify",), kept, ("verify", "--tenant", tenant)):
        found = place.json(*arguments, status=1)
        [flaw] = found["flaws"]
        assert (flaw["kind"], flaw["tenant_id"]) == ("rewritten", tenant)
        assert (flaw["after"], flaw["seq"]) == (0, 10)
    assert place.json("verify", "--tenant", str(uuid4()))["links"] == 0
    # The next anchor tells it as well, and is written all the same.
    made = place.json("anchor", status=1)
    assert (made["number"], made["flaws"][0]["kind"]) == (3, "rewritten")

    place.tamper("change", 12)
    shown = place.ask("verify")
    assert shown.returncode == 1
    event = [each.id for each in place.finora.audit.events(place.scope, limit=20).items][11]
    lines = shown.stdout.splitlines()
    # What comes first in the chain is named; for itself, it ends where it was changed last.
    assert lines[0].startswith(f"BAD tenant {tenant} seq 10: rewritten: ")
    assert "NOT as it was sealed" in lines[-1]
    own = place.finora.audit.verify(place.scope)
    assert own.flaw is not None
    assert (own.flaw.seq, own.flaw.event_id) == (12, event)


@pytest.mark.spec("S0-43")
def test_the_exact_row_is_named(place: Place) -> None:
    place.tamper("delete", 4)
    shown = place.ask("verify")
    assert shown.returncode == 1
    tenant = place.scope.tenant_id
    assert f"BAD tenant {tenant} seq 4 event " in shown.stdout
    assert "deleted" in shown.stdout
    found = place.json("verify", status=1)
    assert [(flaw["kind"], flaw["seq"]) for flaw in found["flaws"]] == [("deleted", 4)]


def test_the_jobs_of_the_clock_anchor_and_verify(place: Place) -> None:
    """Anchors hourly, all of it nightly; a job is dead where the log is not what it was."""
    names = {schedule.name: schedule.cron for schedule in SCHEDULES}
    assert (names["audit.anchor"], names["audit.verify"]) == ("3 * * * *", "23 3 * * *")
    assert place.run_schedules() == {"audit.anchor": "done", "audit.verify": "done"}
    assert place.json("verify", "--from-store")["anchors"] == 1
    place.tamper("delete", 4)
    assert place.run_schedules() == {"audit.anchor": "done", "audit.verify": "dead"}
    place.tamper("rewrite", 3)
    assert place.run_schedules()["audit.anchor"] == "dead"


def test_arguments_that_are_not_right_are_refused(place: Place, tmp_path: Path) -> None:
    for wrong in (("--tenant", "acme"), ("--public-key", "x"), ("--public-key", "0" * 62),
                  ("--anchors", str(tmp_path), "--from-store"), ("--since", "0")):  # fmt: skip
        assert place.ask("verify", *wrong).returncode == 2, wrong
    empty = place.json("verify", "--anchors", str(tmp_path), status=1)
    assert empty["error"]["code"] == "ANCHOR_NOT_FOUND"
    bad = place.json("key", status=1, FINORA_ANCHOR_KEY="12")
    assert bad["error"]["details"][0]["path"] == "FINORA_ANCHOR_KEY"


def test_an_operators_id_is_shown(place: Place) -> None:
    name = "ada@example.com"
    assert place.json("actor", name) == {"actor": str(operator_id(name))}


@pytest.mark.parametrize("command", ["anchor", "verify", "key", "actor"])
def test_every_command_has_help_with_an_example_and_is_documented(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "finora", "audit", command, "--help"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    shown = " ".join(done.stdout.split())
    assert f"Example: finora audit {command}" in shown and "--json" in shown
    section = DOCS.split("## finora audit")[1].split("\n## ")[0]
    assert f"finora audit {command}" in section
