"""Plugins: found by entry point, each set aside alone when it is broken."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from finora import Finora, Settings
from finora_adapters.compose import embeddings_of, language_model_of
from finora_adapters.models.local import LocalModel
from finora_adapters.models.openai import OpenAiModel
from finora_adapters.plugins import PluginInfo, load_plugins
from finora_adapters.settings import BadSettings
from finora_core.plugins import ModelAccess, StatementFormat

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


MODELS = """
import attrs
from finora_core.kernel.outcome import Down
from finora_core.plugins import ModelAccess, hookimpl

@attrs.frozen
class Mine:
    access: ModelAccess
    name = "mine"
    def ask(self, question): return Down("never")

@attrs.frozen
class Vectors:
    access: ModelAccess
    name = "mine"
    model, dimension = "mine-1", 1
    def embed(self, texts): return Down("never")

@hookimpl
def register_language_models(register):
    register(Mine)

@hookimpl
def register_embeddings(register):
    register(Vectors)
"""
MODEL_KINDS = MANIFEST.replace('["statement_formats"]', '["language_models", "embeddings"]')
OWN_MODELS = EntryPoint("models", "finora_adapters.models", "finora")


@pytest.mark.spec("S2-45", partial=True)
def test_a_plugins_model_is_chosen_by_name_and_given_the_settings(install: object) -> None:
    assert callable(install)
    loaded = load_plugins([install("p_model", MODELS, MODEL_KINDS), OWN_MODELS])
    assert set(loaded.language_models) == {"local", "openai", "mine"}
    assert set(loaded.embeddings) == {"hashing", "minilm", "mine"}
    key = SecretStr("sk-mine")
    settings = Settings(llm_provider="mine", llm_key=key, embeddings="mine", llm_timeout_s=7)
    model: Any = language_model_of(settings, loaded)
    access = ModelAccess(key="sk-mine", limit_s=7)
    assert (type(model).__name__, model.access) == ("Mine", access)
    assert embeddings_of(settings, loaded).model == "mine-1"
    assert isinstance(language_model_of(Settings(), loaded), LocalModel)
    remote = Settings(llm_url="https://llm.example/v1", llm_model="m")
    assert isinstance(language_model_of(remote, loaded), OpenAiModel)
    for wrong in (Settings(llm_provider="nobodys"), Settings(embeddings="nobodys")):
        with pytest.raises(BadSettings, match="there is no nobodys"):
            language_model_of(wrong, loaded)
            embeddings_of(wrong, loaded)


@pytest.mark.parametrize(("source", "reason"), [
    (MODELS.replace("register(Mine)", 'register(Mine("x"))'), "has no __call__"),
    (MODELS.replace('name = "mine"', 'name = "local"'), "another plugin has the language model"),
    (MODELS.replace("register(Mine)", "register(Mine); register(Mine)"), "twice"),
])  # fmt: skip
def test_a_broken_plugin_of_models_is_set_aside_alone(
    install: object, source: str, reason: str
) -> None:
    assert callable(install)
    name = f"p_{abs(hash(reason))}"
    loaded = load_plugins([install(name, source, MODEL_KINDS), OWN_MODELS])
    [broken] = [each for each in loaded.found if each.name == name]
    assert reason in str(broken.reason) and broken.provides == ()
    assert set(loaded.language_models) == {"local", "openai"}
