"""Files in and out, on real Postgres, with a directory and with S3 under them."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
from sqlalchemy import text

from files.conftest import Stream
from files.test_objects import call
from finora import Command, Conflict, Finora, Replayed, Scope
from finora_adapters.postgres.work import Postgres
from finora_adapters.storage.directory import DirectoryObjects
from finora_adapters.storage.s3 import S3Objects
from finora_core.files.model import (
    FileEmpty,
    FileExpired,
    FileLength,
    FileNotFound,
    FileNotUploaded,
    FileQuarantined,
    FileState,
    StoredFile,
)
from finora_core.files.ports import FileTooLarge, ObjectNotFound, Objects, StorageUnavailable
from finora_core.files.service import FileService
from finora_core.kernel.page import BadCursor, BadLimit

CSV = b"Date,Amount,Description\n2026-01-01,-1.00,a\n"
PDF = b"%PDF-1.7\n"
MB = 1 << 20


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return DirectoryObjects(tmp_path / "files")


@pytest.fixture
def files(store: Postgres, objects: Objects) -> FileService:
    return FileService(store.begin, objects, 2 * MB)


@pytest.fixture
def remote(store: Postgres, bucket: S3Objects) -> Iterator[FileService]:
    yield FileService(store.begin, bucket, 2 * MB)
    bucket.close()


def request(scope: Scope) -> Scope:
    """The same person, with a request of its own."""
    return attrs.evolve(scope, request_id=str(uuid4()))


def events(store: Postgres, scope: Scope) -> list[tuple[str, dict[str, Any]]]:
    with store.begin(scope) as work:
        rows = work.connection.execute(
            text("select type, payload from finora.event where tenant_id = :tenant order by id"),
            {"tenant": scope.tenant_id},
        )
        return [(row.type, row.payload) for row in rows]


def expire(store: Postgres, scope: Scope, file_id: UUID) -> None:
    """As if its time had come."""
    with store.begin(scope) as work:
        statement = (
            "update finora.stored_file set expires_at = now() - interval '1 s' where id = :id"
        )
        work.connection.execute(text(statement), {"id": file_id})


def content(files: FileService, scope: Scope, file: StoredFile) -> bytes:
    with files.open(scope, file.id) as (_, opened):
        return opened.read()


@pytest.mark.spec("S2-47", partial=True)
@pytest.mark.spec("S4-65", partial=True)
def test_a_file_is_kept_with_what_is_known_of_it(
    files: FileService, store: Postgres, scope: Scope
) -> None:
    kept = files.keep(scope, io.BytesIO(CSV), "../../Umsätze.csv", "text/csv")
    assert (kept.name, kept.media_type, kept.bytes) == ("Umsätze.csv", "text/csv", len(CSV))
    assert (kept.state, kept.reason, kept.expires_at) == (FileState.KEPT, None, None)
    assert kept.sha256 is not None and kept.key == kept.sha256.hex()
    assert kept.user_id == scope.user_id
    assert files.get(scope, kept.id) == kept
    assert files.download(scope, kept.id) == (kept, None)
    assert content(files, scope, kept) == CSV
    said = {"file": str(kept.id), "media_type": "text/csv", "bytes": len(CSV)}
    assert events(store, scope) == [("file.kept", said)]


@pytest.mark.spec("S2-47", partial=True)
def test_another_tenant_has_no_such_file(files: FileService, scope: Scope, stranger: Scope) -> None:
    kept = files.keep(scope, io.BytesIO(CSV), "a.csv")
    asked: list[Callable[[Scope, UUID], object]] = [
        files.get, files.download, files.delete, files.confirm,
        lambda scope, file_id: files.open(scope, file_id).__enter__(),
        lambda scope, file_id: files.upload(scope, file_id, io.BytesIO(b"x")),
    ]  # fmt: skip
    for ask in asked:
        with pytest.raises(FileNotFound):
            ask(stranger, kept.id)
    assert files.list(stranger).items == ()
    assert content(files, scope, kept) == CSV


def test_a_repeated_request_is_one_file(files: FileService, store: Postgres, scope: Scope) -> None:
    first = files.keep(scope, io.BytesIO(CSV), "a.csv")
    assert files.keep(scope, io.BytesIO(CSV), "a.csv") == first
    assert files.keep(request(scope), io.BytesIO(CSV), "a.csv").key == first.key
    assert len(files.list(scope).items) == len(events(store, scope)) == 2


def test_a_repeated_command_answers_alike(files: FileService, scope: Scope) -> None:
    cause = Command(key=str(uuid4()), fingerprint=b"f", encode=lambda file: str(file.id).encode())
    kept = files.keep(attrs.evolve(scope, cause=cause), io.BytesIO(CSV), "a.csv")
    with pytest.raises(Replayed) as caught:
        files.keep(attrs.evolve(request(scope), cause=cause), io.BytesIO(CSV), "a.csv")
    assert caught.value.reply == str(kept.id).encode()


@pytest.mark.spec("S0-15", partial=True)
@pytest.mark.spec("S4-65", partial=True)
def test_a_file_that_is_too_large_is_refused_early(files: FileService, scope: Scope) -> None:
    stream = Stream(500 * MB)
    with pytest.raises(FileTooLarge):
        files.keep(scope, stream, "a.pdf")
    assert stream.taken < 5 * MB
    with pytest.raises(FileTooLarge):
        files.announce(scope, "a.pdf", 2 * MB + 1)
    assert files.list(scope).items == ()
    assert files.keep(scope, Stream(2 * MB), "a.pdf").bytes == 2 * MB


def test_a_file_without_bytes_is_refused(files: FileService, scope: Scope) -> None:
    with pytest.raises(FileEmpty):
        files.keep(scope, io.BytesIO(), "a.csv")
    with pytest.raises(FileEmpty):
        files.announce(scope, "a.csv", 0)


@pytest.mark.spec("S4-65", partial=True)
@pytest.mark.spec("S2-47", partial=True)
def test_what_pretends_is_set_aside_with_its_reason(
    files: FileService, store: Postgres, scope: Scope
) -> None:
    page = b"<html><script>alert(1)</script>"
    kept = files.keep(scope, io.BytesIO(page), "statement.csv", "text/csv")
    assert (kept.state, kept.reason) == (FileState.QUARANTINED, "ACTIVE_CONTENT")
    for ask in (files.download, lambda *asked: files.open(*asked).__enter__()):
        with pytest.raises(FileQuarantined, match="ACTIVE_CONTENT"):
            ask(scope, kept.id)
    said = {"file": str(kept.id), "reason": "ACTIVE_CONTENT"}
    assert events(store, scope) == [("file.quarantined", said)]
    files.delete(scope, kept.id)


@pytest.mark.spec("S2-47", partial=True)
def test_a_deleted_file_is_gone(files: FileService, store: Postgres, scope: Scope) -> None:
    kept = files.keep(scope, io.BytesIO(CSV), "a.csv")
    files.delete(scope, kept.id)
    for ask in (files.get, files.delete, files.download):
        with pytest.raises(FileNotFound):
            ask(scope, kept.id)
    assert events(store, scope)[-1] == ("file.deleted", {"file": str(kept.id)})


def test_files_are_listed_in_pages_newest_first(files: FileService, scope: Scope) -> None:
    kept = [files.keep(scope, io.BytesIO(CSV), f"{number}.csv") for number in range(5)]
    seen: list[StoredFile] = []
    cursor = None
    while True:
        page = files.list(scope, cursor=cursor, limit=2)
        seen += page.items
        if (cursor := page.next) is None:
            break
    # In one transaction all have one instant; the id decides.
    assert seen == sorted(kept, key=lambda file: (file.created_at, file.id), reverse=True)
    with pytest.raises(BadCursor):
        files.list(scope, cursor="x")
    with pytest.raises(BadLimit):
        files.list(scope, limit=0)


@pytest.mark.spec("S0-15", partial=True)
def test_a_temporary_file_is_kept_for_thirty_days(
    files: FileService, store: Postgres, scope: Scope
) -> None:
    kept = files.keep(scope, io.BytesIO(CSV), "a.csv", temporary=True)
    assert kept.expires_at is not None and (kept.expires_at - kept.created_at).days == 30
    assert content(files, scope, kept) == CSV
    expire(store, scope, kept.id)
    with pytest.raises(FileExpired):
        files.download(scope, kept.id)


@pytest.mark.spec("S0-15", partial=True)
@pytest.mark.spec("S2-47", partial=True)
def test_an_announced_file_is_uploaded_past_finora_and_confirmed(
    remote: FileService, store: Postgres, scope: Scope
) -> None:
    announced, url = remote.announce(scope, "a.pdf", len(PDF), "application/pdf")
    assert (announced.state, announced.sha256) == (FileState.ANNOUNCED, None)
    assert announced.expires_at is not None
    for ask in (remote.confirm, remote.download):
        with pytest.raises(FileNotUploaded):
            ask(scope, announced.id)
    assert call("PUT", url, PDF).status == 200
    kept = remote.confirm(scope, announced.id)
    assert (kept.id, kept.state, kept.expires_at) == (announced.id, FileState.KEPT, None)
    assert remote.confirm(scope, announced.id) == remote.get(scope, announced.id) == kept
    assert [name for name, _ in events(store, scope)] == ["file.announced", "file.kept"]
    # Of the upload, only the judged copy stays; and what comes later does not reach it.
    with pytest.raises(ObjectNotFound):
        remote.objects.stat(scope.tenant_id, announced.key)
    assert call("PUT", url, b"%PDF-2.0\n").status == 200
    file, link = remote.download(scope, kept.id)
    answer = call("GET", link)
    assert (file, answer.body, answer.headers["Content-Type"]) == (kept, PDF, "application/pdf")


@pytest.mark.spec("S4-65", partial=True)
def test_an_upload_is_judged_by_its_bytes(remote: FileService, scope: Scope) -> None:
    page = b"<html>"
    announced, url = remote.announce(scope, "a.pdf", len(page), "application/pdf")
    assert call("PUT", url, page).status == 200
    kept = remote.confirm(scope, announced.id)
    assert (kept.state, kept.reason) == (FileState.QUARANTINED, "ACTIVE_CONTENT")
    claimed, url = remote.announce(scope, "a.csv", len(CSV), "image/png")
    assert call("PUT", url, CSV).status == 200
    assert remote.confirm(scope, claimed.id).reason == "TYPE_MISMATCH"


@pytest.mark.invariant("I-53")
def test_what_was_uploaded_with_another_length_is_not_confirmed(
    remote: FileService, scope: Scope
) -> None:
    announced, _ = remote.announce(scope, "a.pdf", 5)
    wrong = remote.objects.upload_url(scope.tenant_id, announced.key, len(PDF), 60)
    assert call("PUT", wrong, PDF).status == 200
    with pytest.raises(FileLength):
        remote.confirm(scope, announced.id)
    assert remote.get(scope, announced.id).state is FileState.ANNOUNCED


@pytest.mark.spec("S0-15", partial=True)
def test_where_no_url_takes_the_bytes_finora_does(files: FileService, scope: Scope) -> None:
    announced, url = files.announce(scope, "a.pdf", len(PDF))
    assert url is None
    for wrong in (PDF[:-1], PDF + b"x"):
        with pytest.raises(FileLength):
            files.upload(scope, announced.id, io.BytesIO(wrong))
    kept = files.upload(scope, announced.id, io.BytesIO(PDF))
    assert kept.state is FileState.KEPT
    assert files.upload(scope, announced.id, io.BytesIO(b"another")) == kept
    assert content(files, scope, kept) == PDF


@pytest.mark.spec("S0-15", partial=True)
def test_an_announced_file_expires(files: FileService, store: Postgres, scope: Scope) -> None:
    announced, _ = files.announce(scope, "a.pdf", len(PDF))
    expire(store, scope, announced.id)
    asked: list[Callable[[], object]] = [
        lambda: files.confirm(scope, announced.id),
        lambda: files.upload(scope, announced.id, io.BytesIO(PDF)),
        lambda: files.download(scope, announced.id),
    ]
    for ask in asked:
        with pytest.raises(FileExpired):
            ask()


@pytest.mark.parametrize("media_type", ["a\0b", "x" * 300, "\ud800", ""])
def test_an_odd_claim_is_no_claim(files: FileService, scope: Scope, media_type: str) -> None:
    announced, _ = files.announce(scope, "a.pdf", len(PDF), media_type)
    assert announced.media_type == "application/octet-stream"
    assert files.upload(scope, announced.id, io.BytesIO(PDF)).state is FileState.KEPT


def test_a_store_that_is_away_leaves_no_row(store: Postgres, scope: Scope) -> None:
    away = S3Objects("bucket", "http://127.0.0.1:9", "eu-central-1", "key", "secret")
    files = FileService(store.begin, away)
    with pytest.raises(StorageUnavailable):
        files.keep(scope, io.BytesIO(CSV), "a.csv")
    assert files.list(scope).items == ()
    away.close()


def test_refusals_of_state_are_conflicts(files: FileService, scope: Scope, finora: Finora) -> None:
    """The API answers them alike."""
    assert all(
        issubclass(each, Conflict)
        for each in (FileExpired, FileLength, FileNotUploaded, FileQuarantined)
    )
