"""Files in a bucket of S3, or of a store that speaks like it: one prefix a tenant.

boto3 is imported when a bucket is used, not before. Unfinished multipart uploads of a process that
died are left to the bucket's lifecycle rules.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, BinaryIO, cast
from urllib.parse import quote
from uuid import UUID

import attrs

from finora_adapters.storage.named import (
    IN_MEMORY,
    ObjectTaken,
    gone,
    name_of,
    place_of,
    spooled,
)
from finora_core.files.ports import KEY, Listed, Readable, StorageUnavailable, Stored

_PART = 8 << 20
_CONNECT_S, _READ_S, _TRIES = 5, 30, 3


@attrs.define(slots=False)  # for cached_property
class S3Objects:
    """`endpoint` is for a store that is not Amazon's. Without `key` and `secret` the machine's own
    credentials are used, in the order of boto3."""

    bucket: str
    endpoint: str | None = None
    region: str | None = None
    key: str | None = None
    secret: str | None = attrs.field(default=None, repr=False)

    def put(self, tenant_id: UUID, file: Readable, limit: int | None = None) -> Stored:
        with spooled(file, limit) as (spool, stored), _translated(stored.key):
            self._client.upload_fileobj(
                spool,
                self.bucket,
                name_of(tenant_id, stored.key),
                # The store refuses what was damaged on its way.
                ExtraArgs={"ChecksumAlgorithm": "SHA256"},
                Config=self._transfer,
            )
        return stored

    @contextmanager
    def open(self, tenant_id: UUID, key: str) -> Iterator[BinaryIO]:
        name = name_of(tenant_id, key)
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
            with _translated(key):
                self._client.download_fileobj(self.bucket, name, spool, Config=self._transfer)
            spool.seek(0)
            yield cast(BinaryIO, spool)

    def stat(self, tenant_id: UUID, key: str) -> Listed:
        name = name_of(tenant_id, key)
        with _translated(key):
            found = self._client.head_object(Bucket=self.bucket, Key=name)
        return Listed(
            tenant_id=tenant_id,
            key=key,
            bytes=found["ContentLength"],
            written_at=found["LastModified"],
        )

    def delete(self, tenant_id: UUID, key: str) -> None:
        name = name_of(tenant_id, key)
        with _translated(key):
            self._client.delete_object(Bucket=self.bucket, Key=name)

    def forget(self, tenant_id: UUID) -> None:
        for key in self.names(f"{tenant_id}/"):
            if KEY.fullmatch(key):
                self.delete(tenant_id, key)

    def pages(self) -> Iterator[Sequence[Listed]]:
        more: dict[str, str] = {}
        while True:
            with _translated(self.bucket):
                page = self._client.list_objects_v2(Bucket=self.bucket, **more)
            listed = [each for found in page.get("Contents", ()) if (each := _listed(found))]
            if listed:
                yield listed
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def upload_url(self, tenant_id: UUID, key: str, size: int, seconds: int) -> str | None:
        # The length is among what is signed, so a request with another is refused.
        return self._signed("put_object", tenant_id, key, seconds, ContentLength=size)

    def download_url(
        self, tenant_id: UUID, key: str, name: str, media_type: str, seconds: int
    ) -> str | None:
        return self._signed(
            "get_object",
            tenant_id,
            key,
            seconds,
            ResponseContentDisposition=f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            ResponseContentType=media_type,
        )

    # What belongs to no tenant has a name that none of a tenant's has.

    def names(self, prefix: str) -> Iterator[str]:
        """Of the objects under the prefix, without it, in order."""
        more: dict[str, str] = {}
        while True:
            with _translated(self.bucket):
                page = self._client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **more)
            yield from (each["Key"].removeprefix(prefix) for each in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, name: str) -> bytes:
        """A small object. Raises ObjectNotFound."""
        with _translated(name):
            content: bytes = self._client.get_object(Bucket=self.bucket, Key=name)["Body"].read()
        return content

    def create(self, name: str, content: bytes) -> None:
        """A small object; never in place of another. Raises ObjectTaken."""
        with _translated(name):
            # Of stores that do not know the condition of the writing below.
            found = self._client.list_objects_v2(Bucket=self.bucket, Prefix=name, MaxKeys=1)
            if found.get("Contents"):
                raise ObjectTaken(name)
            self._client.put_object(
                Bucket=self.bucket,
                Key=name,
                Body=content,
                IfNoneMatch="*",
                ChecksumAlgorithm="SHA256",
            )

    def close(self) -> None:
        """Give back the connections."""
        self._client.close()

    def _signed(
        self, operation: str, tenant_id: UUID, key: str, seconds: int, **also: object
    ) -> str:
        values = {"Bucket": self.bucket, "Key": name_of(tenant_id, key)} | also
        with _translated(key):
            url: str = self._client.generate_presigned_url(operation, values, ExpiresIn=seconds)
        return url

    @cached_property
    def _client(self) -> Any:
        from boto3.session import Session  # type: ignore[import-untyped]  # it has no types
        from botocore.config import Config  # type: ignore[import-untyped]  # it has no types

        config = Config(
            signature_version="s3v4",
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"total_max_attempts": _TRIES, "mode": "standard"},
            # A bucket of one's own server is seldom a host name.
            s3={"addressing_style": "path" if self.endpoint else "auto"},
        )
        with _translated(self.bucket):
            session = Session(self.key, self.secret, region_name=self.region)
            return session.client("s3", endpoint_url=self.endpoint, config=config)

    @cached_property
    def _transfer(self) -> Any:
        from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]  # no types

        # One part in memory at a time, however many there are.
        return TransferConfig(
            multipart_threshold=_PART, multipart_chunksize=_PART, use_threads=False
        )


def _listed(found: dict[str, Any]) -> Listed | None:
    """None for an object that is none of Finora's."""
    place = place_of(found["Key"])
    if place is None:
        return None
    tenant_id, key = place
    return Listed(
        tenant_id=tenant_id, key=key, bytes=found["Size"], written_at=found["LastModified"]
    )


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """Raise refusals in place of what boto3 raises."""
    from boto3.exceptions import Boto3Error  # type: ignore[import-untyped]  # it has no types
    from botocore.exceptions import (  # type: ignore[import-untyped]  # it has no types
        BotoCoreError,
        ClientError,
    )

    try:
        yield
    except ClientError as error:
        # A bucket that is missing is also a 404, and must not look like lost files.
        code = str(error.response.get("Error", {}).get("Code"))
        if code in ("404", "NoSuchKey"):
            raise gone(key) from error
        if code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
            raise ObjectTaken(key) from error
        raise StorageUnavailable(f"the store of files refused: {code}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageUnavailable("the store of files does not answer") from error
