"""The sweep: what is over goes, what is referred to stays, what is lost is told."""

import io
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
from sqlalchemy import Engine, text

from finora import Finora, Scope, Settings
from finora_adapters.compose import objects_of
from finora_adapters.postgres.files import PgFileRows
from finora_adapters.postgres.work import Postgres
from finora_adapters.storage.s3 import S3Objects
from finora_core.files.model import FileNotFound, FileState
from finora_core.files.ports import ObjectNotFound, Objects
from finora_core.files.service import FileService
from finora_core.files.sweep import FileSweeper, Swept
from finora_core.kernel.work import Contended
from together import together

PDF = b"%PDF-1.7\n"
CSV = b"Date,Amount,Description\n2026-01-01,-1.00,a\n"


@attrs.frozen
class Ahead:
    """A clock that is ahead of the store's, as if objects were older."""

    seconds: int

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds)

    def today(self) -> date:
        return self.now().date()


@pytest.fixture(params=["directory", "s3"])
def objects(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Objects]:
    if request.param == "directory":
        yield objects_of(settings)
        return
    bucket: S3Objects = request.getfixturevalue("bucket")
    yield bucket
    bucket.close()


@pytest.fixture
def files(database: Postgres, objects: Objects) -> FileService:
    return FileService(database.begin, objects)


@pytest.fixture
def rows(database: Postgres) -> PgFileRows:
    return PgFileRows(database)


@pytest.fixture
def sweeper(rows: PgFileRows, objects: Objects) -> FileSweeper:
    """As of in two hours."""
    return FileSweeper(rows, objects, Ahead(7200))


def content() -> io.BytesIO:
    """A document like no other: objects are shared by content."""
    return io.BytesIO(PDF + uuid4().bytes)


def expire(admin: Engine, file_id: UUID) -> None:
    with admin.begin() as connection:
        connection.execute(
            text(
                "update finora.stored_file set expires_at = now() - interval '1 s' where id = :id"
            ),
            {"id": file_id},
        )


def is_there(objects: Objects, tenant_id: UUID, key: str) -> bool:
    try:
        return objects.stat(tenant_id, key).bytes > 0
    except ObjectNotFound:
        return False


@pytest.mark.spec("S0-15", partial=True)
@pytest.mark.invariant("I-53")
def test_what_is_over_goes_and_the_rest_stays(
    files: FileService, sweeper: FileSweeper, admin: Engine, scope: Scope, stranger: Scope
) -> None:
    kept = files.keep(scope, content(), "kept.pdf")
    temporary = files.keep(scope, content(), "temporary.pdf", temporary=True)
    over = files.keep(stranger, content(), "over.pdf", temporary=True)
    waiting, _ = files.announce(scope, "waiting.pdf", 9)
    late, _ = files.announce(stranger, "late.pdf", 9)
    expire(admin, over.id)
    expire(admin, late.id)
    first = sweeper.sweep_files()
    assert first.expired == 2 and first.orphans >= 1
    assert set(files.list(scope).items) == {kept, temporary, waiting}
    assert files.list(stranger).items == ()
    for file in (kept, temporary):
        assert is_there(files.objects, scope.tenant_id, file.key)
    assert not is_there(files.objects, stranger.tenant_id, over.key)
    again = sweeper.sweep_files()
    assert again == Swept(expired=0, orphans=0, lost=first.lost)


@pytest.mark.invariant("I-53")
def test_an_object_without_a_row_goes_after_an_hour(
    files: FileService, rows: PgFileRows, sweeper: FileSweeper, scope: Scope
) -> None:
    deleted = files.keep(scope, content(), "a.pdf")
    files.delete(scope, deleted.id)
    # As of a putting whose process died before the row.
    left = files.objects.put(scope.tenant_id, content())
    for young in (0, 3000):
        FileSweeper(rows, files.objects, Ahead(young)).sweep_files()
        assert is_there(files.objects, scope.tenant_id, deleted.key)
    assert sweeper.sweep_files().orphans >= 2
    assert not is_there(files.objects, scope.tenant_id, deleted.key)
    assert not is_there(files.objects, scope.tenant_id, left.key)


@pytest.mark.invariant("I-53")
def test_an_object_stays_as_long_as_any_row_refers_to_it(
    files: FileService, sweeper: FileSweeper, scope: Scope, stranger: Scope
) -> None:
    same = content().getvalue()
    one = files.keep(scope, io.BytesIO(same), "one.pdf")
    two = files.keep(scope, io.BytesIO(same), "two.pdf")
    other = files.keep(stranger, io.BytesIO(same), "other.pdf")
    assert one.key == two.key == other.key
    files.delete(scope, one.id)
    files.delete(stranger, other.id)
    sweeper.sweep_files()
    assert is_there(files.objects, scope.tenant_id, two.key)
    assert not is_there(files.objects, stranger.tenant_id, other.key)


@pytest.mark.invariant("I-53")
def test_an_imported_statement_stays(
    files: FileService, sweeper: FileSweeper, finora: Finora, scope: Scope
) -> None:
    imports = attrs.evolve(finora.imports, objects=files.objects)
    imports.submit(scope, io.BytesIO(CSV), "a.csv")
    [[found]] = [
        [each for each in page if each.tenant_id == scope.tenant_id]
        for page in files.objects.pages()
        if any(each.tenant_id == scope.tenant_id for each in page)
    ]
    # The same bytes as an own file, deleted since.
    kept = files.keep(scope, io.BytesIO(CSV), "a.csv")
    files.delete(scope, kept.id)
    assert kept.key == found.key
    sweeper.sweep_files()
    assert is_there(files.objects, scope.tenant_id, found.key)


@pytest.mark.invariant("I-53")
def test_a_row_without_its_object_is_told_and_left_alone(
    files: FileService, sweeper: FileSweeper, scope: Scope, caplog: pytest.LogCaptureFixture
) -> None:
    kept = files.keep(scope, content(), "a.pdf")
    before = sweeper.sweep_files().lost
    files.objects.delete(scope.tenant_id, kept.key)
    assert sweeper.sweep_files().lost == before + 1
    assert f"the object {kept.key} of tenant {scope.tenant_id} is lost" in caplog.messages
    assert files.get(scope, kept.id) == kept
    files.delete(scope, kept.id)
    assert sweeper.sweep_files().lost == before


@attrs.define
class Noted:
    """A store that tells when something was put."""

    inner: Objects
    was_put: threading.Event = attrs.field(factory=threading.Event)

    def put(self, *given: Any) -> Any:
        stored = self.inner.put(*given)
        self.was_put.set()
        return stored

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.mark.invariant("I-53")
def test_what_is_swept_while_it_comes_back_is_refused_and_not_lost(
    files: FileService, rows: PgFileRows, scope: Scope
) -> None:
    """Put over an orphan, which the sweep takes before the row is there."""
    same = content().getvalue()
    key = files.objects.put(scope.tenant_id, io.BytesIO(same)).key
    noted = Noted(files.objects)
    ended: list[BaseException] = []

    def keep() -> None:
        try:
            attrs.evolve(files, objects=noted).keep(scope, io.BytesIO(same), "a.pdf")
        except Contended as error:
            ended.append(error)

    comer = threading.Thread(target=keep)
    with rows.unreferenced(scope.tenant_id, key) as free:
        assert free
        comer.start()
        assert noted.was_put.wait(60)
        files.objects.delete(scope.tenant_id, key)
    comer.join()
    assert [error.code for error in ended] == ["TRY_AGAIN"]  # type: ignore[attr-defined]  # Contended
    assert files.list(scope).items == ()
    kept = files.keep(scope, io.BytesIO(same), "a.pdf")
    assert is_there(files.objects, scope.tenant_id, kept.key)


@pytest.mark.invariant("I-53")
def test_a_sweep_waits_for_a_row_that_is_being_written(
    files: FileService, database: Postgres, rows: PgFileRows, admin: Engine, scope: Scope
) -> None:
    kept = files.keep(scope, content(), "a.pdf")
    free: list[bool] = []

    def sweep() -> None:
        with rows.unreferenced(scope.tenant_id, kept.key) as answer:
            free.append(answer)

    sweeping = threading.Thread(target=sweep)
    with database.begin(scope) as work:
        work.files.delete(kept.id)
        work.files.hold(kept.key)
        work.files.add(attrs.evolve(kept, id=uuid4()))
        sweeping.start()
        waits = text("select exists (select from pg_locks where locktype = 'advisory' "
                     "and not granted)")  # fmt: skip
        with admin.connect() as connection:
            while not connection.scalar(waits):
                assert sweeping.is_alive()
                time.sleep(0.01)
    sweeping.join()
    assert free == [False]


def test_two_sweeps_at_once_do_the_work_once(
    files: FileService, sweeper: FileSweeper, admin: Engine, scope: Scope
) -> None:
    sweeper.sweep_files()
    for number in range(5):
        over = files.keep(scope, content(), f"{number}.pdf", temporary=True)
        expire(admin, over.id)
    done = together(*[sweeper.sweep_files] * 3)
    assert sum(swept.expired for swept in done) == 5
    assert sweeper.sweep_files().expired == 0
    assert files.list(scope).items == ()


def test_a_confirmed_file_does_not_expire(
    files: FileService, sweeper: FileSweeper, admin: Engine, scope: Scope
) -> None:
    announced, _ = files.announce(scope, "a.pdf", len(PDF))
    gone, _ = files.announce(scope, "b.pdf", len(PDF))
    kept = files.upload(scope, announced.id, io.BytesIO(PDF))
    expire(admin, gone.id)
    sweeper.sweep_files()
    assert files.get(scope, kept.id).state is FileState.KEPT
    with pytest.raises(FileNotFound):
        files.upload(scope, gone.id, io.BytesIO(PDF))
