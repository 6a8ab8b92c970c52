"""What is installed, as the command, the API and the page show it; and what processes tell."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from finora import Settings
from finora.commands.new_provider import Kind, write
from finora_adapters.embedded import open_engines
from finora_adapters.plugins import load_plugins
from finora_adapters.redis.asking import Asker
from finora_adapters.redis.client import connect
from finora_adapters.settings import from_environment
from finora_adapters.upstream.sources import PluginList, sources_of
from finora_core.kernel.outcome import Down
from finora_core.plugins import AssetRef
from upstream.sources import Fixed

BTC = AssetRef(id="crypto:BTC", kind="crypto", symbol="BTC")


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[EntryPoint]:
    """A stranger's provider that lies: it answers with what was not asked."""
    folder, _ = write("lying", Kind.PRICES, tmp_path)
    module = folder / "finora_lying" / "__init__.py"
    module.write_text(module.read_text().replace('asset=ids[row["symbol"]]', 'asset="other"'))
    sys.path.insert(0, str(folder))
    yield EntryPoint("lying", "finora_lying", "finora")
    sys.path.remove(str(folder))
    sys.modules.pop("finora_lying", None)


def settings_with(httpserver: HTTPServer, point: EntryPoint) -> Settings:
    httpserver.expect_request("/latest").respond_with_json(
        {"prices": [{"symbol": "BTC", "price": 1, "at": "2026-01-02T10:00:00Z"}]}
    )
    url = httpserver.url_for("").rstrip("/")
    return from_environment(
        {"FINORA_PLUGIN_LYING_URL": url, "FINORA_PLUGIN_LYING_KEY": "s3cret-1"}, [point]
    )


def test_what_one_process_set_aside_all_of_them_show(
    settings: Settings, httpserver: HTTPServer, installed: EntryPoint
) -> None:
    plugins = load_plugins([installed])
    said: Any = settings_with(httpserver, installed)
    with open_engines(settings.data, valkey=True) as engines:
        assert engines.valkey_url is not None
        here, there = (
            sources_of(said, plugins, Fixed(), Asker(connect(engines.valkey_url))) for _ in range(2)
        )
        assert there.aside() == {}
        answered = here.by_kind["prices"]["lying"].latest([BTC], "EUR")
        assert isinstance(answered, Down)
        for sources in (here, there):
            assert "which was not asked" in sources.aside()["lying"]
            [state] = PluginList(plugins, sources).list()
            assert "which was not asked" in str(state.sources[0].aside)
        # There it is asked all the same: it may have been this process's fault.
        assert there.by_kind["prices"]["lying"].aside is None
    alone = sources_of(said, plugins, Fixed())
    assert alone.aside() == {}


def test_a_plugin_is_listed_with_what_it_needs_and_its_tier(installed: EntryPoint) -> None:
    plugins = load_plugins([installed])
    sources = sources_of(Settings(), plugins, Fixed())
    [state] = PluginList(plugins, sources, tiers=True).list()
    assert (state.trust, state.works, state.sources[0].unset) == ("in_process", True, ("key",))
    assert state.sources[0].tier == "none"
    [state] = PluginList(plugins, sources).list()
    assert state.sources[0].tier is None


def test_own_sources_are_built_in_and_ship_no_recordings() -> None:
    point = EntryPoint("sources", "finora_adapters.upstream.providers", "finora")
    plugins = load_plugins([point])
    [state] = PluginList(plugins, sources_of(Settings(), plugins, Fixed()), tiers=True).list()
    assert state.trust == "built_in"
    assert {each.tier for each in state.sources} == {None}
    unset = {each.declared.name: each.unset for each in state.sources}
    assert unset["sheets"] == ("key", "sheet", "range") and unset["ecb"] == ()


def test_a_broken_one_is_listed_with_its_reason(installed: EntryPoint) -> None:
    broken = EntryPoint("broken", "no_such_module_of_ours", "finora")
    plugins = load_plugins([installed, broken])
    sources = sources_of(Settings(), plugins, Fixed(Fixed().at + timedelta(days=1)))
    states = {each.name: each for each in PluginList(plugins, sources).list()}
    assert states["lying"].works and not states["broken"].works
    assert "finora-plugin.toml" in str(states["broken"].reason)
