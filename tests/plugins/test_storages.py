"""The kit of stores: the scaffold passes it whole, and one that is wrong in one way fails there."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from finora.commands.new_provider import Kind, write
from finora_core.plugins import StorageAccess
from finora_core.testing import Store, Tier, failures, tier_of
from finora_core.testing.stores import STORAGE_CHECKS


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Any]:
    """The scaffold's store, changed; by the failures that it has."""
    names: list[str] = []

    def made(name: str, old: str = "", new: str = "") -> Mapping[str, tuple[Tier, str]]:
        folder, _ = write(name, Kind.STORAGES, tmp_path)
        code = folder / f"finora_{name}" / "__init__.py"
        assert old in code.read_text(), old
        code.write_text(code.read_text().replace(old, new))
        sys.path.insert(0, str(folder))
        sys.path_importer_cache.clear()
        names.append(f"finora_{name}")
        module = __import__(f"finora_{name}")
        sys.path.remove(str(folder))
        kept = tmp_path / "kept"
        kept.mkdir()
        access = StorageAccess(credentials={"folder": str(kept)})
        return failures(Store(provider=module.Storages, access=access), STORAGE_CHECKS)

    yield made
    for name in names:
        sys.modules.pop(name, None)


def test_the_scaffold_is_gold(made: Any) -> None:
    found = made("s_good")
    assert found == {} and tier_of(found) is Tier.GOLD


GONE = "return Ok(self._path(name).unlink(missing_ok=True))"
PUT = "return Ok(self._written(content, lambda part: os.replace(part, self._path(name))))"
OPEN = 'return Ok(self._path(name).open("rb")) if self._path(name).is_file() else Missing()'
URL = (
    "def upload_url(self, name: str, size: int, seconds: int) -> Outcome[str]:\n"
    "        return Unsupported()"
)


@pytest.mark.parametrize(("name", "check", "old", "new"), [
    ("s_bytes", "gives_back_what_was_put", OPEN, 
     OPEN.replace('.open("rb"))', ".read_bytes()[:9]))").replace("Ok(", "Ok(io.BytesIO(")),
    ("s_raise", "what_is_not_there_is_missing", OPEN, 'return Ok(self._path(name).open("rb"))'),
    ("s_keep", "deleting_is_final_and_may_be_repeated", GONE, "return Ok(None)"),
    ("s_twice", "deleting_is_final_and_may_be_repeated", GONE,
     "return Ok(self._path(name).unlink()) if self._path(name).is_file() else Missing()"),
    ("s_order", "lists_by_name_in_order", "found[:1000]", "found[:1000][::-1]"),
    ("s_after", "lists_by_name_in_order", " and name > after", " and name >= after"),
    ("s_over", "a_name_is_taken_once", "os.link(part", "os.replace(part"),
    ("s_half", "a_stream_that_breaks_off_leaves_nothing", PUT,
     'path = self._path(name)\n        path.write_bytes(b"half")\n'
     "        path.write_bytes(content.read())\n        return Ok(None)"),
    ("s_plain", "a_url_is_signed_or_unsupported", URL,
     URL.replace("Unsupported()", 'Ok("http://mine.example/" + name)')),
    ("s_bare", "a_url_is_signed_or_unsupported", URL,
     URL.replace("Unsupported()", 'Ok("https://mine.example/" + name)')),
    ("s_whole", "a_long_file_passes_in_bounded_memory", "shutil.copyfileobj(content, file)",
     "file.write(content.read())"),
    ("s_page", "more_than_a_page_is_listed_once", "found[:1000]",
     "[name for name in found[:1000] if name[-1] != 'f']"),
    ("s_none", "gives_back_what_was_put", PUT, PUT.replace("return Ok", "return")),
])  # fmt: skip
def test_what_is_wrong_is_found(made: Any, name: str, check: str, old: str, new: str) -> None:
    found = made(name, old, new)
    assert check in found, found
    assert tier_of(found) < found[check][0]
