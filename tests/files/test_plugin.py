"""A plugin's store of files: the same contract as ours, and believed in nothing that it says."""

import io
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from files.conftest import Stream
from files.test_objects import MB, ObjectsContract
from finora import Settings
from finora.commands.new_provider import Kind, write
from finora_adapters.compose import anchors_of, objects_of, plugins_of
from finora_adapters.plugins import Plugins, load_plugins
from finora_adapters.settings import BadSettings, production_problems, storage_problems
from finora_adapters.storage.plugin import PluginObjects
from finora_adapters.upstream.sources import PluginList, sources_of
from finora_core.audit.model import AnchorTaken
from finora_core.files.ports import ObjectNotFound, Objects, StorageUnavailable
from finora_core.kernel.clock import SystemClock
from finora_core.kernel.outcome import AuthExpired, Down, Missing, Ok, RateLimited, Unsupported
from finora_core.plugins import Blob

STORES = pytest.mark.spec("S0-15", partial=True)
SHELF = EntryPoint("shelf", "finora_shelf", "finora")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugins]:
    """The scaffold's own, as `finora new-provider shelf --kind storages` writes it."""
    folder, _ = write("shelf", Kind.STORAGES, tmp_path_factory.mktemp("plugins"))
    sys.path.insert(0, str(folder))
    yield load_plugins([SHELF])
    sys.path.remove(str(folder))
    sys.modules.pop("finora_shelf", None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "shelf").mkdir()
    return Settings(
        data=tmp_path / "data",
        storage_plugin="shelf",
        plugin_settings={"SHELF_FOLDER": SecretStr(str(tmp_path / "shelf"))},
    )


class TestShelf(ObjectsContract):
    @pytest.fixture
    def objects(self, settings: Settings, plugins: Plugins) -> Objects:
        return objects_of(settings, lambda: plugins)

    @pytest.fixture
    def again(self, objects: Objects, settings: Settings, plugins: Plugins) -> Objects:
        return objects_of(settings, lambda: plugins)

    def plant(self, objects: Objects) -> None:
        assert isinstance(objects, PluginObjects)
        for name in ("notes.txt", f"{uuid4()}/notes.txt", f"{uuid4()}".upper() + "/" + "a" * 64):
            objects.store.put(name, io.BytesIO(b"x"), 1)

    def test_it_presigns_nothing(self, objects: Objects) -> None:
        assert objects.upload_url(uuid4(), "a" * 64, 1, 60) is None
        assert objects.download_url(uuid4(), "a" * 64, "a.pdf", "application/pdf", 60) is None


def test_anchors_are_kept_there_and_never_written_over(
    settings: Settings, plugins: Plugins
) -> None:
    objects = objects_of(settings, lambda: plugins)
    kept = anchors_of(settings, objects)
    kept.add(1, b"one")
    kept.add(2, b"two")
    with pytest.raises(AnchorTaken):
        kept.add(1, b"other")
    assert [kept.read(number) for number in kept.numbers()] == [b"one", b"two"]
    assert list(objects.pages()) == []


# --- which is chosen -----------------------------------------------------------------------------


@STORES
def test_it_is_chosen_by_its_name_and_shown(settings: Settings, plugins: Plugins) -> None:
    [found] = PluginList(plugins, sources_of(settings, plugins, SystemClock())).list()
    assert found.works and found.provides == ("storage shelf",)
    assert found.sources[0].said == "ok" and found.sources[0].declared.hosts == ()
    bare = Settings()
    [found] = PluginList(plugins, sources_of(bare, plugins, SystemClock())).list()
    assert found.sources[0].said == "needs FINORA_PLUGIN_SHELF_FOLDER"
    with pytest.raises(BadSettings, match="FINORA_PLUGIN_SHELF_FOLDER: set it"):
        objects_of(Settings(storage_plugin="shelf"), lambda: plugins)
    with pytest.raises(BadSettings, match="there is no nobody; there are: shelf"):
        objects_of(Settings(storage_plugin="nobody"), lambda: plugins)


def test_it_is_a_place_in_production_and_the_only_one() -> None:
    settings = Settings.model_construct(env="production", storage_plugin="shelf")
    assert "FINORA_STORAGE_DIRECTORY" not in dict(production_problems(settings))
    assert storage_problems(settings) == []
    for other in ({"storage_directory": Path("/srv")}, {"storage_s3_bucket": "files"}):
        both = Settings.model_construct(storage_plugin="shelf", **other)
        assert [name for name, _ in storage_problems(both)] == ["FINORA_STORAGE_PLUGIN"]


def test_files_are_not_given_to_whom_nobody_trusts(plugins: Plugins) -> None:
    [found] = plugins_of(Settings(trusted_plugins=""), [SHELF]).found
    assert "cannot be confined" in str(found.reason)


# --- what is believed of it ----------------------------------------------------------------------


def answering(**answers: Callable[..., Any]) -> PluginObjects:
    """A store that answers so, and is well otherwise."""

    class Store:
        put = staticmethod(lambda name, content, size: Ok(None))
        stat = staticmethod(lambda name: Ok(Blob(name=name, bytes=1, written_at=NOW)))
        delete = staticmethod(lambda name: Ok(None))

    store: Any = Store()
    for name, answer in answers.items():
        setattr(store, name, answer)
    return PluginObjects("mine", store, ("hunter2hunter2",))


def explode(*given: object) -> Any:
    raise RuntimeError("no hunter2hunter2 for you")


@pytest.mark.parametrize(("outcome", "said"), [
    (Down("hunter2hunter2 is away"), "does not answer"), (RateLimited(17), "for 17 s"),
    (AuthExpired(), "credentials"), (Unsupported(), "Unsupported"), (True, "bool"),
    (None, "NoneType"),
])  # fmt: skip
def test_whatever_else_it_answers_is_unavailable(
    outcome: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    away = answering(**dict.fromkeys(
        ("put", "open", "stat", "delete", "list", "create"), lambda *given: outcome))  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        for ask in (
            lambda: away.put(uuid4(), io.BytesIO(b"x")), lambda: away.stat(uuid4(), "a" * 64),
            lambda: away.open(uuid4(), "a" * 64).__enter__(), lambda: list(away.pages()),
            lambda: away.delete(uuid4(), "a" * 64), lambda: away.forget(uuid4()),
            lambda: away.create("anchors/1", b""),
        ):  # fmt: skip
            with pytest.raises(StorageUnavailable, match=said):
                ask()
    assert "hunter2" not in caplog.text


def test_one_that_crashes_is_unavailable_and_tells_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for error in (explode, lambda *given: sys.exit(3)):
        crashing = answering(put=error, open=error, list=error)
        with pytest.raises(StorageUnavailable, match="crashes"):
            crashing.put(uuid4(), Stream(MB))
        with pytest.raises(StorageUnavailable), crashing.open(uuid4(), "a" * 64):
            pass
        with pytest.raises(StorageUnavailable):
            list(crashing.pages())
    assert "crashes" in caplog.text and "hunter2" not in caplog.text


def test_other_bytes_than_were_put_are_not_given_out() -> None:
    key = answering(stat=lambda name: Ok(Blob(name=name, bytes=4, written_at=NOW))).put(
        uuid4(), io.BytesIO(b"mine")
    ).key  # fmt: skip
    lying = answering(open=lambda name: Ok(io.BytesIO(b"Mine")))
    with pytest.raises(StorageUnavailable, match="other bytes"), lying.open(uuid4(), key):
        pass
    honest = answering(open=lambda name: Ok(io.BytesIO(b"mine")))
    with honest.open(uuid4(), key) as file:
        assert file.read() == b"mine"


@pytest.mark.parametrize("blob", [
    Missing(), Ok(Blob(name="x", bytes=4, written_at=NOW)), Ok("x"), Ok(None),
    Ok(Blob(name="@", bytes=3, written_at=NOW)), Ok(Blob(name="@", bytes=-1, written_at=NOW)),
    Ok(Blob(name="@", bytes=4, written_at=NOW.replace(tzinfo=None))),
    Ok(Blob(name="@", bytes=True, written_at=NOW)),
])  # fmt: skip
def test_what_is_acknowledged_and_not_there_is_not_put(blob: Any) -> None:
    """`@` stands for the name that is asked."""

    def stat(name: str) -> Any:
        if isinstance(blob, Ok) and isinstance(blob.value, Blob) and blob.value.name == "@":
            given = blob.value
            return Ok(Blob(name=name, bytes=given.bytes, written_at=given.written_at))
        return blob

    with pytest.raises((StorageUnavailable, ObjectNotFound)):
        answering(stat=stat).put(uuid4(), io.BytesIO(b"mine"))


def test_a_list_without_an_end_has_one() -> None:
    same = [Blob(name=f"{uuid4()}/" + "a" * 64, bytes=1, written_at=NOW)]
    endless = answering(list=lambda prefix, after: Ok(same))
    with pytest.raises(StorageUnavailable, match="no order"):
        list(endless.pages())
    many = answering(list=lambda prefix, after: Ok(same * 1_001))
    with pytest.raises(StorageUnavailable, match="no page"):
        list(many.pages())
    other = answering(list=lambda prefix, after: Ok(same))
    with pytest.raises(StorageUnavailable, match="not asked"):
        other.forget(uuid4())


@pytest.mark.parametrize("url", ["http://mine.example/x", "javascript:x", "https:///x", "", 1])
def test_only_an_https_url_is_handed_out(url: Any) -> None:
    signing = answering(upload_url=lambda *given: Ok(url))
    with pytest.raises(StorageUnavailable):
        signing.upload_url(uuid4(), "a" * 64, 1, 60)
    good = answering(upload_url=lambda *given: Ok("https://mine.example/x?s=1"))
    assert good.upload_url(uuid4(), "a" * 64, 1, 60) == "https://mine.example/x?s=1"
