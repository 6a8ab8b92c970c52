"""Manifests: judged before a plugin runs, and held against what it then does."""

import sys
from collections.abc import Iterator
from datetime import date
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from finora_adapters.plugins import load_plugins
from finora_adapters.settings import BadSettings, from_environment
from finora_core.manifest import BadManifest, read_manifest
from finora_core.plugins import Credential, Limit, Provides

HEAD = 'name = "mine"\ncontract = 1\nkinds = ["prices", "assets"]\n'
WHOLE = (
    HEAD
    + """
[[provides]]
name = "mine"
kinds = ["prices", "assets"]
capabilities = ["latest", "history"]
assets = ["crypto"]
since = 2013-04-28
granularity = "intraday"
hosts = ["api.mine.example", "cdn.mine.example"]
limits = [{ requests = 25, seconds = 60 }, { requests = 10000, seconds = 86400 }]
credentials = [{ field = "key", required = false, about = "https://mine.example/keys" }]
cost_micros = 120
safe_posts = true
answers_s = 45
"""
)
SOURCE = """
from finora_core.plugins import hookimpl

class Mine:
    name = "mine"
    def __init__(self, access): self.access = access

@hookimpl
def register_prices(register): register(Mine)

@hookimpl
def register_assets(register): register(Mine)
"""


def test_a_manifest_says_all_of_a_source() -> None:
    found = read_manifest(WHOLE)
    assert (found.name, found.kinds) == ("mine", ("prices", "assets"))
    assert found.sources == {("prices", "mine"), ("assets", "mine")}
    [source] = found.provides
    assert source == Provides(
        name="mine", kinds=("prices", "assets"), capabilities=("latest", "history"),
        assets=("crypto",), since=date(2013, 4, 28), granularity="intraday",
        hosts=("api.mine.example", "cdn.mine.example"),
        limits=(Limit(25, 60), Limit(10_000, 86_400)),
        credentials=(Credential(field="key", required=False, about="https://mine.example/keys"),),
        cost_micros=120, safe_posts=True, answers_s=45,
    )  # fmt: skip


@pytest.mark.parametrize(("old", "new", "reason"), [
    ("contract = 1", "contract = 2", "contract 2"),
    ('name = "mine"\ncontract', 'name = "Mine"\ncontract', "lower-case"),
    ('kinds = ["prices", "assets"]\n\n', 'kinds = ["prices", "price"]\n\n', "each once"),
    ('kinds = ["prices", "assets"]\n\n', 'kinds = ["prices"]\n\n', "differ in assets"),
    ('["latest", "history"]', "[]", "prices have capabilities"),
    ('["latest", "history"]', '["latest"]', "since is a date, of history"),
    ('["latest", "history"]', '["latest", "latest"]', "each once"),
    ("2013-04-28", '"2013-04-28"', "since is a date"),
    ("2013-04-28", "2013-04-28T00:00:00Z", "since is a date"),
    ('"intraday"', '"hourly"', "granularity"),
    ('["crypto"]', '["coins"]', "each once, and of"),
    ("api.mine.example", "https://api.mine.example", "no host name"),
    ("api.mine.example", "127.0.0.1", "no host name"),
    ("api.mine.example", "localhost", "no host name"),
    ("api.mine.example", "api.mine.example:8080", "no host name"),
    ("api.mine.example", "a@api.mine.example", "no host name"),
    ('["api.mine.example", "cdn.mine.example"]', "[]", "names no hosts"),
    ('["api.mine.example", "cdn.mine.example"]', '"api.mine.example"', "a list of texts"),
    ("requests = 25", "requests = 0", "from 1 on"),
    ("requests = 25", "requests = 2.5", "from 1 on"),
    ("requests = 25", "request = 25", "no field request"),
    ("limits", "limit", "no field limit"),
    ('field = "key"', 'field = "url"', "operator's own"),
    ('field = "key"', 'field = "API-KEY"', "lower-case"),
    ("required = false", 'required = "no"', "true or false"),
    ("cost_micros = 120", "cost_micros = -1", "from 0 on"),
    ("safe_posts = true", "safe_posts = 1", "true or false"),
    ("answers_s = 45", "answers_s = 51", "1 to 50"),
    ("answers_s = 45", "answers_s = true", "1 to 50"),
])  # fmt: skip
def test_what_is_wrong_with_one_is_named(old: str, new: str, reason: str) -> None:
    assert old in WHOLE
    with pytest.raises(BadManifest, match=reason):
        read_manifest(WHOLE.replace(old, new, 1))


def test_a_source_is_declared_once() -> None:
    with pytest.raises(BadManifest, match="declares mine twice"):
        read_manifest(WHOLE + WHOLE.removeprefix(HEAD))


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Any]:
    sys.path.insert(0, str(tmp_path))
    made: list[str] = []

    def install(name: str, source: str = SOURCE, manifest: str = WHOLE) -> EntryPoint:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(source)
        (tmp_path / name / "finora-plugin.toml").write_text(manifest)
        made.append(name)
        return EntryPoint(name, name, "finora")

    yield install
    sys.path.remove(str(tmp_path))
    for name in made:
        sys.modules.pop(name, None)


def test_a_source_comes_with_what_its_manifest_says(install: Any) -> None:
    loaded = load_plugins([install("p_mine")])
    assert loaded.found[0].reason is None
    assert set(loaded.sources["prices"]) == set(loaded.sources["assets"]) == {"mine"}
    assert loaded.sources["prices"]["mine"].provides.limits[0] == Limit(25, 60)
    assert loaded.sources["rates"] == {}


@pytest.mark.parametrize(("name", "source", "manifest", "reason"), [
    ("l_more", SOURCE.replace("register_assets", "register_rates"), WHOLE, "not register assets"),
    ("l_less", SOURCE, WHOLE.replace(', "assets"]', "]"), "registers assets"),
    ("l_other", SOURCE.replace('"mine"', '"yours"'), WHOLE, "does not register mine of assets"),
    ("l_spelt", SOURCE, WHOLE.replace("limits", "limit"), "no field limit"),
])  # fmt: skip
def test_a_manifest_that_lies_is_set_aside(
    install: Any, name: str, source: str, manifest: str, reason: str
) -> None:
    loaded = load_plugins([install(name, source, manifest)])
    assert reason in str(loaded.found[0].reason)
    assert loaded.sources["prices"] == {}


@pytest.mark.spec("S0-7")
def test_a_namespace_is_one_plugins(install: Any) -> None:
    """Its limits and settings are kept under it: also where the kinds differ."""
    only = SOURCE.partition("@hookimpl\ndef register_assets")[0].replace("_prices", "_balances")
    manifest = WHOLE.replace('"prices", "assets"', '"balances"')
    for said in ('capabilities = ["latest", "history"]\n', "since = 2013-04-28\n"):
        manifest = manifest.replace(said, "")
    loaded = load_plugins([install("n_first"), install("n_second", only, manifest)])
    assert [each.reason for each in loaded.found] == [
        None, "another plugin has the balance source mine",
    ]  # fmt: skip


def test_what_is_set_for_a_plugin_is_what_its_manifest_names(install: Any) -> None:
    points = [install("s_mine")]
    said = {"FINORA_PLUGIN_MINE_KEY": "k-1", "FINORA_PLUGIN_MINE_URL": "http://127.0.0.1:8080"}
    settings = from_environment(said, points)
    assert settings.plugin_settings["MINE_KEY"].get_secret_value() == "k-1"
    assert "k-1" not in repr(settings)
    wrong = said | {"FINORA_PLUGIN_MINE_TOKEN": "x", "FINORA_POOL_SIZE": "many"}
    with pytest.raises(BadSettings) as refused:
        from_environment(wrong, points)
    assert {name for name, _ in refused.value.details} == {
        "FINORA_PLUGIN_MINE_TOKEN", "FINORA_POOL_SIZE",
    }  # fmt: skip
    for name, value in (("KEY", "two words"), ("URL", "http://192.168.0.1"), ("URL", "file:///x")):
        with pytest.raises(BadSettings):
            from_environment({f"FINORA_PLUGIN_MINE_{name}": value}, points)


def test_what_is_set_for_a_broken_plugin_stops_nothing(install: Any) -> None:
    points = [install("s_broken", manifest="contract = 99")]
    assert from_environment({"FINORA_PLUGIN_MINE_KEY": "k"}, points).plugin_settings == {}
