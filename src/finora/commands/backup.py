"""`finora backup` and `finora restore`."""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finora.commands.common import AsJson, Data, put, refusals, say, settings_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from finora import Settings
    from finora_core.files.ports import Objects

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


def backup(
    file: File,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make none: try this one on a scratch database.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write database and stored files into one new file.

    Appears when it is whole. Stored files in a bucket are not in it.

    \b
    Example: finora backup books.finora
    Example: finora backup --verify books.finora
    """
    with refusals(as_json), _stoppable():
        settings = settings_of(data)
        shown = _verify(settings, file) if verify else _back_up(settings, file)
    if as_json:
        put(shown)
    elif verify:
        say(f"{file} restores to {shown['rows']} rows and {shown['files']} files; all checks hold")
    else:
        say(f"{file}: {shown['bytes']} bytes, {shown['rows']} rows, {shown['files']} files")
        say(f"sha256 {shown['sha256']}")


def restore(file: File, data: Data = None, as_json: AsJson = False) -> None:
    """Fill an empty database, and an empty store of files, from a backup.

    Refuses where books are. Checks everything before it opens them.

    \b
    Example: finora restore books.finora --data new-folder
    """
    with refusals(as_json), _stoppable():
        settings = settings_of(data)
        shown = _restore(settings, file)
    if as_json:
        put(shown)
    else:
        say(f"restored {shown['rows']} rows and {shown['files']} files; all checks hold")


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does: what is half done is removed."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        say("stopped; nothing was kept", err=True)
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


class _Progress:
    """A line of standard error whenever a new step begins, and every two seconds within one."""

    def __init__(self) -> None:
        self.what, self.at = "", 0.0

    def __call__(self, what: str, done: int | None = None) -> None:
        now = time.monotonic()
        if what == self.what and now - self.at < 2:
            return
        self.what, self.at = what, now
        say(what if done is None else f"{what}: {done >> 20} MB", err=True)


# --- out -----------------------------------------------------------------------------------------


def _back_up(settings: "Settings", file: Path) -> dict[str, Any]:
    from finora import __version__
    from finora_adapters import archive
    from finora_adapters.compose import engine_of, objects_of
    from finora_adapters.postgres import dump
    from finora_adapters.postgres.errors import translated

    told = _Progress()
    with ExitStack() as stack:
        target = stack.enter_context(archive.published(file))
        dsn = stack.enter_context(_server(settings))
        engine = engine_of(dsn, settings)
        stack.callback(engine.dispose)
        stack.enter_context(translated())
        moment = stack.enter_context(dump.snapshot(engine))
        programs = dump.find_programs(_wheel(), settings.postgres_bin, moment.server)
        written = archive.Writer(target)
        head = {
            "format": archive.FORMAT,
            "finora": __version__,
            "schema": moment.revision,
            "postgres": moment.server,
            "made_at": datetime.now(UTC).isoformat(),
        }
        written.add_text(archive.HEAD, _text(head))
        manifest: dict[str, Any] = {"tables": moment.counts()}
        source = stack.enter_context(closing(dump.dumped(programs, dsn, moment)))
        pieces = _watched(source, lambda size: told("database", size))
        manifest["database"] = written.add_pieces(archive.DATABASE, pieces)
        manifest["seals"] = written.add_pieces(archive.SEALS, moment.links())
        # After the database: what its rows refer to is there, or was deleted meanwhile.
        objects = None if settings.storage_s3_bucket else objects_of(settings)
        manifest["files"] = _put_files(written, objects, told)
        written.add_text(archive.MANIFEST, _text(manifest))
        written.end()
        sha256 = written.whole.hexdigest()
    return {
        "file": str(file), "bytes": written.length, "sha256": sha256, **_counted(manifest),
        "schema": head["schema"], "made_at": head["made_at"],
        "bucket": settings.storage_s3_bucket,
    }  # fmt: skip


def _put_files(written: Any, objects: "Objects | None", told: _Progress) -> dict[str, int]:
    from finora_adapters.archive import file_name
    from finora_core.files.ports import CHUNK, ObjectNotFound

    count = size = 0
    for page in objects.pages() if objects else ():
        for each in page:
            if "/" in each.key:
                continue  # An upload that nobody confirmed yet.
            assert objects
            try:
                with objects.open(each.tenant_id, each.key) as content:
                    name = file_name(each.tenant_id, each.key)
                    written.add(name, each.bytes, iter(partial(content.read, CHUNK), b""))
            except ObjectNotFound:
                continue  # Deleted since it was listed.
            count, size = count + 1, size + each.bytes
            told("files", size)
    return {"count": count, "bytes": size}


def _watched(pieces: Iterator[bytes], told: Callable[[int], None]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        told(size)
        yield piece


def _counted(manifest: Mapping[str, Any]) -> dict[str, int]:
    return {"rows": sum(manifest["tables"].values()), "files": manifest["files"]["count"]}


def _text(value: object) -> str:
    import json

    return json.dumps(value, indent=1)


# --- back ----------------------------------------------------------------------------------------


def _restore(settings: "Settings", file: Path) -> dict[str, Any]:
    from finora_adapters import archive
    from finora_adapters.compose import objects_of, warrant_keys
    from finora_adapters.postgres import dump
    from finora_adapters.settings import check_production

    check_production(settings)
    told = _Progress()
    with _unpacked(file, told) as (manifest, database, links):
        objects = objects_of(settings)
        if manifest["files"]["count"] and next(iter(objects.pages()), None):
            raise dump.NotEmpty("the store of files is not empty; restore into another one")

        def files() -> None:
            put_any = False
            try:
                for tenant_id, key, content in archive.stored_files(file):
                    told("files")
                    put_any = True
                    if objects.put(tenant_id, content).key != key:
                        raise archive.BackupDamaged("the backup changed while it was restored")
            except BaseException:
                for page in objects.pages() if put_any else ():
                    for each in page:
                        objects.delete(each.tenant_id, each.key)
                raise

        with _server(settings, create=True) as dsn:
            _fill(settings, dsn, manifest, database, links, files, told, warrant_keys(settings))
    return {**_counted(manifest), **_said(manifest)}


def _verify(settings: "Settings", file: Path) -> dict[str, Any]:
    """On the server of the settings, in a database that goes again; without one on an embedded
    server of its own."""
    told = _Progress()
    with _unpacked(file, told) as (manifest, database, links), _scratch(settings) as dsn:
        _fill(settings, dsn, manifest, database, links, lambda: None, told)
    return {"verified": True, **_counted(manifest), **_said(manifest)}


def _said(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: manifest[name] for name in ("schema", "made_at")}


@contextmanager
def _unpacked(file: Path, told: _Progress) -> Iterator[tuple[Mapping[str, Any], Path, Path]]:
    from finora_adapters import archive
    from finora_adapters.postgres import dump

    with tempfile.TemporaryDirectory(prefix="finora-restore-") as folder:
        database, links = Path(folder) / "database", Path(folder) / "seals"
        manifest = archive.unpack(file, database, links, told)
        dump.require_known(manifest)
        yield manifest, database, links


def _fill(
    settings: "Settings",
    dsn: str,
    manifest: Mapping[str, Any],
    database: Path,
    links: Path,
    files: Callable[[], None],
    told: _Progress,
    keys: Sequence[bytes] = (),
) -> None:
    from psycopg.conninfo import conninfo_to_dict

    from finora_adapters.compose import engine_of
    from finora_adapters.postgres import dump
    from finora_adapters.postgres.errors import translated

    login = "finora_app"
    if settings.database_url is not None:
        login = str(conninfo_to_dict(settings.database_url.get_secret_value()).get("user", ""))
    engine = engine_of(dsn, settings)
    try:
        with translated():
            server = _major(engine, manifest)
            programs = dump.find_programs(_wheel(), settings.postgres_bin, server)
            restore = dump.Restore(
                engine=engine, dsn=dsn, programs=programs, login=login or None, told=told,
                keys=keys,
            )  # fmt: skip
            restore.run(database, manifest, links, files)
    finally:
        engine.dispose()


def _major(engine: "Engine", manifest: Mapping[str, Any]) -> int:
    from finora_adapters.archive import BackupNewer
    from finora_adapters.postgres.dump import server_of

    with engine.connect() as connection:
        server = server_of(connection)
    if server < manifest["postgres"]:
        raise BackupNewer(
            f"the backup is of PostgreSQL {manifest['postgres']}, this server is {server}"
        )
    return server


# --- where ---------------------------------------------------------------------------------------


def _wheel() -> Path | None:
    from finora_adapters.embedded import PostgresMissing, find_postgres

    try:
        return find_postgres(None)
    except PostgresMissing:
        return None


@contextmanager
def _server(settings: "Settings", *, create: bool = False) -> Iterator[str]:
    """The address of the settings' database, as its owner, or of the embedded one."""
    from finora_adapters.embedded import open_engines
    from finora_adapters.postgres.dump import NothingToDump

    url = settings.database_direct_url or settings.database_url
    if url is not None:
        yield url.get_secret_value()
        return
    if not create and not (settings.data / "postgres").exists():
        raise NothingToDump(f"there are no books in {settings.data}")
    with open_engines(settings.data, postgres_bin=settings.postgres_bin) as engines:
        yield engines.admin_dsn


@contextmanager
def _scratch(settings: "Settings") -> Iterator[str]:
    from finora_adapters.embedded import open_engines
    from finora_adapters.postgres.dump import scratch_database

    url = settings.database_direct_url or settings.database_url
    if url is not None:
        with scratch_database(url.get_secret_value()) as dsn:
            yield dsn
        return
    with tempfile.TemporaryDirectory(prefix="finora-v-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # As root, the server runs as somebody else.
        with open_engines(Path(folder) / "data", postgres_bin=settings.postgres_bin) as engines:
            yield engines.admin_dsn
