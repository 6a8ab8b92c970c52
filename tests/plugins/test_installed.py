"""Packages as pip leaves them, none of them trusted: what the command says, and a file that one of
them reads into the books."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finora import Finora, Settings

EXAMPLES = Path(__file__).parents[2] / "examples" / "plugins"
MODELS = """
from finora_core.plugins import hookimpl

class Mine:
    name = "mine"
    def __init__(self, access): raise SystemExit

@hookimpl
def register_language_models(register):
    register(Mine)
"""
STATEMENT = b"""{"pocketbank": 1, "account": "DE02120300000000202051", "currency": "EUR"}
{"id": "a1", "on": "2026-01-31", "amount": -12.30, "text": "Coffee"}
{"id": "a2", "on": "2026-02-01", "amount": 100, "text": "Pay"}
{"id": "a3", "on": "2026-02-30", "amount": 1, "text": "no such day"}
"""


def installed(site: Path, name: str, *beside: str) -> None:
    """What a wheel of that package puts into site-packages."""
    info = site / f"finora_{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: finora-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[finora]\n{name} = finora_{name}\n")
    files = [f"finora_{name}/__init__.py", f"finora_{name}-1.0.dist-info/METADATA", *beside]
    (info / "RECORD").write_text("".join(f"{each},,\n" for each in files))
    package = site / f"finora_{name}"
    if (EXAMPLES / f"finora-{name}").is_dir():
        shutil.copytree(EXAMPLES / f"finora-{name}" / f"finora_{name}", package)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site-packages"
    installed(site, "pocketbank")
    installed(site, "metals", "finora_metals.pth")
    installed(site, "mine")
    (site / "finora_mine").mkdir()
    (site / "finora_mine" / "__init__.py").write_text(MODELS)
    (site / "finora_mine" / "finora-plugin.toml").write_text(
        'name = "mine"\ncontract = 1\nkinds = ["language_models"]\n'
    )
    return site


def run(site: Path, *arguments: str, **env: str) -> Any:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FINORA_")}
    done = subprocess.run(
        [sys.executable, "-m", "finora", *arguments, "--json"],
        capture_output=True, text=True, check=False, timeout=100, stdin=subprocess.DEVNULL,
        env=clean | {"PYTHONPATH": os.pathsep.join([str(site), *sys.path])} | env,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.invariant("T-25")
def test_what_is_not_trusted_is_listed_as_confined_or_with_its_reason(
    site: Path, tmp_path: Path
) -> None:
    given = {"FINORA_DATA": str(tmp_path / "data"), "FINORA_TRUSTED_PLUGINS": ""}
    said = {each["name"]: each for each in run(site, "plugins", **given)["plugins"]}
    assert said["statements"]["trust"] == "built_in" and said["statements"]["works"]
    pocketbank = said["pocketbank"]
    assert pocketbank["trust"] == "confined"
    if pocketbank["works"]:
        assert pocketbank["provides"] == ["statement format pocketbank"]
        assert "finora_metals.pth beside its package" in said["metals"]["reason"]
        assert "language_models cannot be confined" in said["mine"]["reason"]
    else:
        for name in ("pocketbank", "metals", "mine"):
            assert "it is not trusted, and cannot be confined: " in said[name]["reason"]
    trusting = given | {"FINORA_TRUSTED_PLUGINS": "finora-mine,FINORA_metals"}
    said = {each["name"]: each for each in run(site, "plugins", **trusting)["plugins"]}
    assert [said[name]["trust"] for name in ("mine", "metals", "pocketbank")] == [
        "in_process", "in_process", "confined",
    ]  # fmt: skip
    assert said["mine"]["works"] and said["metals"]["works"]


def test_a_file_comes_in_by_a_format_that_is_not_trusted(
    site: Path, tmp_path: Path, finora: Finora, settings: Settings
) -> None:
    given = {"FINORA_DATA": str(settings.data), "FINORA_TRUSTED_PLUGINS": ""}
    listed = {each["name"]: each for each in run(site, "plugins", **given)["plugins"]}
    if not listed["pocketbank"]["works"]:
        assert "cannot be confined: " in listed["pocketbank"]["reason"]
        return
    file = tmp_path / "pocketbank.jsonl"
    file.write_bytes(STATEMENT)
    [first], [again] = (run(site, "import", str(file), **given)["files"] for _ in range(2))
    assert (first["format"], first["added"], first["set_aside_count"]) == ("pocketbank", 2, 1)
    assert (again["added"], again["existing"]) == (0, 2)
