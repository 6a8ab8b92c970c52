"""The documentation says what the code does: what is generated is up to date, what is written by
hand leads somewhere, and the list of features is whole."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

ROOT = Path(__file__).parent.parent.parent

MODULES = {
    "platform": 39, "storage": 23, "identity": 27, "jobs": 24, "ledger": 5, "marketdata": 16,
    "ingest": 16, "categorise": 18, "intelligence": 9, "portfolio": 19, "insights": 17,
    "payments": 26, "copytrade": 35, "marketplace": 12, "engage": 20,
}  # fmt: skip
PRODUCTS = {"S0": 71, "S1": 44, "S2": 64, "S3": 44, "S4": 83}


def _tool(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


docs = _tool("docs")
spec = _tool("spec")


# --- features ------------------------------------------------------------------------------------


def test_every_feature_is_listed_once_in_its_module() -> None:
    features = spec.load_features()
    assert {module: len(lines) for module, lines in features.items()} == MODULES
    assert list(features) == list(MODULES)
    ids = [feature for lines in features.values() for feature in lines]
    wanted = {f"{product}-{n + 1}" for product, count in PRODUCTS.items() for n in range(count)}
    assert len(ids) == 306
    assert set(ids) == wanted


def test_every_feature_says_what_it_does_in_one_line() -> None:
    lines = {at: line for lines in spec.load_features().values() for at, line in lines.items()}
    assert [at for at, line in lines.items() if not 20 <= len(line) <= 110 or "\n" in line] == []
    assert len(set(lines.values())) == len(lines)


FEATURES = {"ledger": {"S4-33": "one", "S4-34": "two"}, "jobs": {"S0-17": "three", "S0-18": "four"}}

MARKED = """
import pytest

@pytest.mark.spec("S4-33")
@pytest.mark.parametrize("number", [1, 2])
def test_proves(number): ...

@pytest.mark.spec("S4-33", partial=True)
@pytest.mark.spec("S4-34", partial=True)
def test_proves_some(): ...

@pytest.mark.skip(reason="never")
@pytest.mark.spec("S0-17")
def test_never_runs(): ...

@pytest.mark.xfail
@pytest.mark.spec("S0-17")
def test_always_fails(): ...

@pytest.mark.skipif(True, reason="not on this machine")
@pytest.mark.spec("S0-18")
def test_runs_elsewhere(): ...
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = spec\n")
    (tmp_path / "test_marked.py").write_text(MARKED)
    return tmp_path


def test_marks_prove_features(suite: Path) -> None:
    proofs = spec.join(FEATURES, spec.collect(suite))
    states = {at: spec.state(proofs.get(at, {})) for lines in FEATURES.values() for at in lines}
    assert states == {"S4-33": "proven", "S4-34": "partial", "S0-17": "open", "S0-18": "proven"}
    assert proofs["S4-33"]["proven"] == ["test_marked.py::test_proves"]
    assert spec.counts(FEATURES, proofs) == [
        "ledger         1 of 2, 1 partial",
        "jobs           1 of 2",
        "proven 2 of 4",
    ]
    assert "- **S4-34** partial: two\n  - `test_marked.py::test_proves_some` (partial)\n" in (
        spec.page(FEATURES, proofs)
    )


def test_a_mark_with_an_unknown_id_is_refused(suite: Path) -> None:
    with pytest.raises(spec.Stale, match=r"S0-18 \(test_marked.py::test_runs_elsewhere\)"):
        spec.join({"ledger": FEATURES["ledger"], "jobs": {"S0-17": "three"}}, spec.collect(suite))


def test_tests_that_cannot_be_collected_prove_nothing(suite: Path) -> None:
    (suite / "test_broken.py").write_text("import no_such_module")
    with pytest.raises(spec.Stale, match="no_such_module"):
        spec.collect(suite)


# --- what is made from the code ------------------------------------------------------------------


def test_every_refusal_has_a_code_of_its_own_and_a_meaning() -> None:
    assert docs.error_problems() == []


def test_errors_page_is_up_to_date() -> None:
    assert docs.ERRORS.read_text() == docs.errors_page(), "run `make docs`"


def test_every_setting_has_a_meaning() -> None:
    assert docs.settings_problems() == []


def test_settings_page_is_up_to_date() -> None:
    try:
        page = docs.settings_page()
    except docs.NotYet as reason:
        pytest.skip(str(reason))
    assert docs.SETTINGS.read_text() == page, "run `make docs`"


@pytest.mark.spec("S2-58", partial=True)
def test_the_kept_description_of_the_api_is_up_to_date() -> None:
    assert docs.OPENAPI.read_text() == docs.openapi_page(), "run `make docs`"


@pytest.mark.spec("S2-58", partial=True)
def test_whatever_is_made_is_compared_before_a_change_is_taken_in(tmp_path: Path) -> None:
    assert [path for path, _ in docs.MADE] == [
        docs.ERRORS, docs.SETTINGS, docs.OPENAPI, docs.IDENTITY,
    ]  # fmt: skip
    assert "tools/docs.py --check" in (ROOT / ".ci/run").read_text()
    page = tmp_path / "page.md"
    told = ["page.md is out of date: run `make docs`"]
    assert docs.stale(page, "x", tmp_path) == told
    page.write_text("y")
    assert docs.stale(page, "x", tmp_path) == told
    assert docs.stale(page, "y", tmp_path) == []


# --- what is written by hand ---------------------------------------------------------------------


def test_links_lead_somewhere() -> None:
    assert [problem for page in docs.pages() for problem in docs.link_problems(page)] == []


def test_commands_in_the_documentation_exist() -> None:
    targets, finora = docs.make_targets(), docs.finora_command()
    problems = [docs.command_problems(page, targets, finora) for page in docs.pages()]
    assert [one for some in problems for one in some] == []


def test_wrong_links_and_commands_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading, with: marks\n\n"
        "[good](page.md#a-heading-with-marks) [out](../x.md) [gone](no.md) [no](#none)\n"
        "`[not a link](at-all)` <https://example.org> [far](https://example.org/x)\n\n"
        "```\n$ make test\nX=1 make nothing\n.venv/bin/finora demo FILES\nfinora books close x\n"
        "finora plugin\n```\n\n```python\nmake = finora.demo\n```\n"
    )
    assert [problem.split()[1] for problem in docs.link_problems(page, tmp_path)] == [
        "../x.md",
        "no.md",
        "#none",
    ]
    books = click.Group("books", {"open": click.Command("open")})
    finora = click.Group("finora", {"demo": click.Command("demo"), "books": books})
    assert docs.command_problems(page, {"test", "demo"}, finora, tmp_path) == [
        "page.md: `make nothing` is not in the Makefile",
        "page.md: `finora books close` is not a command",
        "page.md: `finora plugin` is not a command",
    ]
