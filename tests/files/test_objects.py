"""Where files are kept: one contract for the directory and for S3 on a real socket."""

import hashlib
import http.client
import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import attrs
import pytest

from files.conftest import Stream
from finora_adapters.storage.directory import DirectoryObjects
from finora_adapters.storage.s3 import S3Objects
from finora_core.files.ports import (
    FileTooLarge,
    ObjectNotFound,
    Objects,
    StorageUnavailable,
    upload_key,
)

MB = 1 << 20
STRANGE = (
    "", ".", "..", "../x", "temp", "temp/", "temp/../" + "a" * 64, "A" * 64, "a" * 63, "a" * 65,
    "a" * 64 + "/x", "/" + "a" * 64, "a" * 64 + "\n", f"{uuid4()}/" + "a" * 64, "temp/" + "a" * 36,
)  # fmt: skip


class ObjectsContract:
    """Each adapter gives `objects`, and `again`: the same store as another process opens it."""

    @pytest.fixture
    def again(self, objects: Objects) -> Objects:
        raise NotImplementedError

    @pytest.mark.spec("S0-15", partial=True)
    @pytest.mark.invariant("I-53")
    def test_what_was_put_is_there_for_another_process(
        self, objects: Objects, again: Objects
    ) -> None:
        tenant, content = uuid4(), b"Date,Amount\n" * 1000
        stored = objects.put(tenant, io.BytesIO(content))
        assert stored.sha256 == hashlib.sha256(content).digest()
        assert (stored.key, stored.bytes) == (stored.sha256.hex(), len(content))
        with again.open(tenant, stored.key) as file:
            assert file.read(4) == b"Date"
            file.seek(0)
            assert file.read() == content
        found = again.stat(tenant, stored.key)
        assert (found.tenant_id, found.key, found.bytes) == (tenant, stored.key, len(content))
        assert abs(found.written_at - datetime.now(UTC)) < timedelta(minutes=1)

    def test_the_same_content_is_one_object(self, objects: Objects) -> None:
        tenant = uuid4()
        first = objects.put(tenant, io.BytesIO(b"same"))
        assert objects.put(tenant, io.BytesIO(b"same")) == first
        assert [[each.key for each in page] for page in objects.pages()] == [[first.key]]

    def test_an_object_may_have_no_bytes(self, objects: Objects) -> None:
        tenant = uuid4()
        with objects.open(tenant, objects.put(tenant, io.BytesIO()).key) as file:
            assert file.read() == b""

    @pytest.mark.spec("S4-65", partial=True)
    def test_twenty_megabytes_pass_in_bounded_memory(self, objects: Objects) -> None:
        tenant, size = uuid4(), 20 * MB + 1
        objects.put(tenant, io.BytesIO(b"warm"))  # What the adapter imports is not of the stream.
        tracemalloc.start()
        stored = objects.put(tenant, Stream(size))
        with objects.open(tenant, stored.key) as file:
            digest = hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]  # BinaryIO is enough
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert digest == stored.sha256
        assert objects.stat(tenant, stored.key).bytes == stored.bytes == size
        assert peak < 12 * MB

    @pytest.mark.spec("S0-15", partial=True)
    @pytest.mark.spec("S4-65", partial=True)
    def test_a_file_over_the_limit_is_not_read_on_and_not_kept(self, objects: Objects) -> None:
        stream = Stream(500 * MB)
        with pytest.raises(FileTooLarge) as caught:
            objects.put(uuid4(), stream, 3 * MB)
        assert caught.value.facts == {"limit": 3 * MB}
        assert stream.taken <= 5 * MB
        assert list(objects.pages()) == []

    def test_a_file_of_just_the_limit_is_kept(self, objects: Objects) -> None:
        assert objects.put(uuid4(), Stream(3 * MB), 3 * MB).bytes == 3 * MB

    def test_a_stream_that_breaks_off_leaves_nothing(self, objects: Objects) -> None:
        class Broken(Stream):
            def read(self, size: int, /) -> bytes:
                if self.taken > MB:
                    raise ConnectionResetError
                return super().read(size)

        with pytest.raises(ConnectionResetError):
            objects.put(uuid4(), Broken(5 * MB))
        assert list(objects.pages()) == []

    @pytest.mark.spec("S0-15", partial=True)
    def test_another_tenants_object_is_not_found(self, objects: Objects) -> None:
        owner, stranger = uuid4(), uuid4()
        stored = objects.put(owner, io.BytesIO(b"mine"))
        self._assert_missing(objects, stranger, stored.key)
        objects.delete(stranger, stored.key)
        assert objects.stat(owner, stored.key).bytes == 4

    @pytest.mark.spec("S4-65", partial=True)
    @pytest.mark.parametrize("key", STRANGE)
    def test_no_key_leaves_its_tenant(self, objects: Objects, key: str) -> None:
        tenant = uuid4()
        objects.put(tenant, io.BytesIO(b"x"))
        self._assert_missing(objects, tenant, key)
        with pytest.raises(ObjectNotFound):
            objects.delete(tenant, key)

    def test_deleting_is_final_and_may_be_repeated(self, objects: Objects) -> None:
        tenant = uuid4()
        stored = objects.put(tenant, io.BytesIO(b"x"))
        objects.delete(tenant, stored.key)
        objects.delete(tenant, stored.key)
        self._assert_missing(objects, tenant, stored.key)

    @pytest.mark.invariant("I-53")
    def test_a_tenant_is_forgotten_with_all_it_has_and_no_other(self, objects: Objects) -> None:
        tenant, other = uuid4(), uuid4()
        kept = [objects.put(tenant, io.BytesIO(content)) for content in (b"a", b"b")]
        beside = objects.put(other, io.BytesIO(b"a"))
        for _ in range(2):
            objects.forget(tenant)
            for each in kept:
                with pytest.raises(ObjectNotFound):
                    objects.stat(tenant, each.key)
            assert objects.stat(other, beside.key).bytes == 1
        assert objects.put(tenant, io.BytesIO(b"a")).key == beside.key

    @pytest.mark.invariant("I-53")
    def test_all_objects_are_listed_in_order(self, objects: Objects) -> None:
        put = {
            (str(tenant), objects.put(tenant, io.BytesIO(content.encode())).key)
            for tenant in (uuid4(), uuid4(), uuid4())
            for content in "abcdef"
        }
        self.plant(objects)
        listed = [(str(each.tenant_id), each.key) for page in objects.pages() for each in page]
        assert listed == sorted(put)

    def plant(self, objects: Objects) -> None:
        """Put into the store what is not Finora's."""
        raise NotImplementedError

    def _assert_missing(self, objects: Objects, tenant: UUID, key: str) -> None:
        with pytest.raises(ObjectNotFound), objects.open(tenant, key):
            pass
        with pytest.raises(ObjectNotFound):
            objects.stat(tenant, key)


class TestDirectory(ObjectsContract):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> Objects:
        return DirectoryObjects(tmp_path / "files")

    @pytest.fixture
    def again(self, tmp_path: Path, objects: Objects) -> Objects:
        return DirectoryObjects(tmp_path / "files")

    def plant(self, objects: Objects) -> None:
        assert isinstance(objects, DirectoryObjects)
        (objects.root / str(uuid4()).upper()).mkdir()
        (objects.root / str(uuid4())).write_bytes(b"a file where a folder belongs")
        (objects.root / "README").write_bytes(b"x")
        first = next(iter(objects.root.glob("*/")))
        (first / "notes.txt").write_bytes(b"x")

    def test_an_empty_store_has_no_objects(self, objects: Objects) -> None:
        assert list(objects.pages()) == []

    def test_more_than_a_page_is_listed_once(self, objects: Objects) -> None:
        assert isinstance(objects, DirectoryObjects)
        folder = objects.root / str(uuid4())
        folder.mkdir(parents=True)
        for number in range(2001):
            (folder / f"{number:064x}").touch()
        assert [len(page) for page in objects.pages()] == [1000, 1000, 1]

    def test_what_a_crash_left_is_listed_for_the_sweep(self, objects: Objects) -> None:
        assert isinstance(objects, DirectoryObjects)
        tenant, key = uuid4(), upload_key(uuid4())
        path = objects.root / str(tenant) / key
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half a file")
        [[left]] = objects.pages()
        assert (left.tenant_id, left.key) == (tenant, key)

    def test_it_presigns_nothing(self, objects: Objects) -> None:
        assert objects.upload_url(uuid4(), upload_key(uuid4()), 1, 60) is None
        assert objects.download_url(uuid4(), "a" * 64, "a.pdf", "application/pdf", 60) is None


@attrs.frozen
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def call(method: str, url: str | None, body: bytes | None = None) -> Answer:
    """As a browser would, which knows nothing but the URL."""
    assert url is not None
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


class TestS3(ObjectsContract):
    @pytest.fixture
    def objects(self, bucket: S3Objects) -> Iterator[Objects]:
        yield bucket
        bucket.close()

    @pytest.fixture
    def again(self, bucket: S3Objects, objects: Objects) -> Iterator[Objects]:
        other = S3Objects(bucket.bucket, bucket.endpoint, bucket.region, bucket.key, bucket.secret)
        yield other
        other.close()

    @pytest.fixture
    def place(self) -> tuple[UUID, str]:
        return uuid4(), upload_key(uuid4())

    def plant(self, objects: Objects) -> None:
        assert isinstance(objects, S3Objects)
        for name in ("notes.txt", f"{uuid4()}/notes.txt", f"{uuid4()}".upper() + "/" + "a" * 64):
            objects._client.put_object(Bucket=objects.bucket, Key=name, Body=b"x")

    @pytest.mark.spec("S0-15", partial=True)
    def test_a_presigned_upload_takes_the_announced_length_only(
        self, objects: Objects, place: tuple[UUID, str]
    ) -> None:
        url = objects.upload_url(*place, 5, 60)
        for wrong in (b"", b"four", b"sixsix"):
            assert call("PUT", url, wrong).status == 403
        with pytest.raises(ObjectNotFound):
            objects.stat(*place)
        assert call("PUT", url, b"fives").status == 200
        with objects.open(*place) as file:
            assert file.read() == b"fives"

    @pytest.mark.spec("S0-15", partial=True)
    def test_a_presigned_upload_is_for_its_place_and_for_nothing_else(
        self, objects: Objects, place: tuple[UUID, str]
    ) -> None:
        url = objects.upload_url(*place, 5, 60)
        assert url is not None
        assert call("PUT", url.replace(str(place[0]), str(uuid4())), b"fives").status == 403
        assert call("GET", url).status == 403
        assert call("DELETE", url).status == 403

    @pytest.mark.spec("S0-15", partial=True)
    @pytest.mark.spec("S2-47", partial=True)
    def test_a_presigned_download_gives_an_attachment_and_expires(self, objects: Objects) -> None:
        tenant = uuid4()
        stored = objects.put(tenant, io.BytesIO(b"%PDF-"))
        said = 'Größe; x="1".pdf'
        url = objects.download_url(tenant, stored.key, said, "application/pdf", 3600)
        answer = call("GET", url)
        assert (answer.status, answer.body) == (200, b"%PDF-")
        assert answer.headers["Content-Type"] == "application/pdf"
        assert answer.headers["Content-Disposition"] == (
            "attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe%3B%20x%3D%221%22.pdf"
        )
        assert url is not None and "X-Amz-Expires=3600" in url
        assert call("GET", url.replace("Expires=3600", "Expires=999999")).status == 403
        # One that begins in the past: its hour is over.
        over = objects.download_url(tenant, stored.key, said, "application/pdf", 0)
        assert call("GET", over).status == 403

    def test_a_store_that_is_away_is_unavailable(self, bucket: S3Objects) -> None:
        away = S3Objects("bucket", "http://127.0.0.1:9", bucket.region, bucket.key, bucket.secret)
        with pytest.raises(StorageUnavailable):
            away.stat(uuid4(), "a" * 64)
        away.close()

    def test_a_missing_bucket_does_not_look_like_missing_files(self, bucket: S3Objects) -> None:
        wrong = S3Objects("nothing", bucket.endpoint, bucket.region, bucket.key, bucket.secret)
        with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
            list(wrong.pages())
        with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
            wrong.put(uuid4(), io.BytesIO(b"x"))
        wrong.close()

    def test_the_secret_is_in_no_text(self, bucket: S3Objects) -> None:
        assert str(bucket.secret) not in repr(bucket)
