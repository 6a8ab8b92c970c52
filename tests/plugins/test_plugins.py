"""Plugins: found by entry point, each set aside alone when it is broken."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from finora import Finora
from finora_adapters.plugins import PluginInfo, load_plugins
from finora_core.plugins import StatementFormat

GOOD = """
from finora_core.plugins import StatementAccount, hookimpl

class Lines:
    name = "lines"
    def recognises(self, head, filename): return 1 if head.startswith(b"LINES") else 0
    def layout(self, head): return None
    def read(self, file, answers):
        yield StatementAccount(number="1", asset="EUR")

@hookimpl
def register_statement_formats(register):
    register(Lines())
"""
MANIFEST = 'name = "x"\ncontract = 1\nkinds = ["statement_formats"]\n'


@pytest.fixture
def install(tmp_path: Path) -> Iterator[object]:
    """Write a package with one module and give its entry point."""
    sys.path.insert(0, str(tmp_path))
    made: list[str] = []

    def install(name: str, source: str, manifest: str | None = MANIFEST) -> EntryPoint:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text(source)
        if manifest is not None:
            (folder / "finora-plugin.toml").write_text(manifest)
        made.append(name)
        return EntryPoint(name, name, "finora")

    yield install
    sys.path.remove(str(tmp_path))
    for name in made:
        sys.modules.pop(name, None)


BUILT_IN = EntryPoint("statements", "finora_core.records.formats", "finora")


def test_the_built_in_formats_come_through_the_same_hook(finora: Finora) -> None:
    [mine] = [plugin for plugin in finora.plugins if plugin.name == "statements"]
    assert mine.works
    assert {"statement format ofx", "statement format csv"} <= set(mine.provides)


@pytest.mark.parametrize(("name", "source", "manifest", "reason"), [
    ("p_import", "import nothing_of_that_name", MANIFEST, "ModuleNotFoundError"),
    ("p_raise", GOOD.replace("register(Lines())", "1 / 0"), MANIFEST, "ZeroDivisionError"),
    ("p_spelt", GOOD.replace("def register_statement_formats", "def register_statement_format"),
     MANIFEST, "register_statement_format"),
    ("p_args", GOOD.replace("formats(register)", "formats(registry)"), MANIFEST, "registry"),
    ("p_none", "x = 1", MANIFEST, "implements no hook"),
    ("p_old", GOOD, MANIFEST.replace("1", "99"), "contract 99"),
    ("p_bare", GOOD, None, "finora-plugin.toml"),
    ("p_toml", GOOD, "name =", "not TOML"),
    ("p_short", GOOD.replace("def layout", "def layouts"), MANIFEST, "has no layout"),
    ("p_name", GOOD.replace('"lines"', '"Not A Name"'), MANIFEST, "lower-case"),
    ("p_exit", "raise SystemExit(3)", MANIFEST, "SystemExit"),
    ("p_taken", GOOD.replace('"lines"', '"ofx"'), MANIFEST, "another plugin has"),
])  # fmt: skip
def test_a_broken_plugin_is_set_aside_alone(
    install: object, name: str, source: str, manifest: str | None, reason: str
) -> None:
    """It is listed with its reason; the good ones and Finora's own work."""
    assert callable(install)
    points = [install(name, source, manifest), install("p_good", GOOD), BUILT_IN]
    loaded = load_plugins(points)
    found: dict[str, PluginInfo] = {plugin.name: plugin for plugin in loaded.found}
    assert reason in str(found[name].reason)
    assert found["p_good"].works and found["statements"].works
    assert {"lines", "ofx", "csv", "camt", "mt940", "qif"} <= set(loaded.statement_formats)


def test_a_manifest_is_read_without_importing(install: object) -> None:
    """A plugin for another contract never runs a line."""
    assert callable(install)
    source = "import builtins\nbuiltins.ran_p_lazy = True\n" + GOOD
    point = install("p_lazy", source, MANIFEST.replace("1", "2"))
    load_plugins([point])
    assert "p_lazy" not in sys.modules


def test_formats_satisfy_the_contract() -> None:
    formats: list[StatementFormat] = list(load_plugins([BUILT_IN]).statement_formats.values())
    assert all(each.recognises(b"", "x") == 0 for each in formats)
