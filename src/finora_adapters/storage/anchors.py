"""Anchors beside the stored files, in a folder or under a prefix of their own: they belong to no
tenant, no sweep sees them, and none is ever written over."""

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import attrs

from finora_adapters.storage.directory import sync
from finora_adapters.storage.named import ObjectTaken
from finora_core.audit.model import AnchorNotFound, AnchorTaken
from finora_core.files.ports import ObjectNotFound

FOLDER = "anchors"
_NAME = re.compile(r"([0-9]{10})\.json", re.ASCII)


def _name(number: int) -> str:
    return f"{number:010}.json"


def _numbers(names: Iterator[str]) -> Iterator[int]:
    return (int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


@attrs.frozen
class DirectoryAnchors:
    folder: Path

    def numbers(self) -> Iterator[int]:
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return iter(())
        return _numbers(iter(names))

    def read(self, number: int) -> bytes:
        try:
            return (self.folder / _name(number)).read_bytes()
        except FileNotFoundError as error:
            raise AnchorNotFound(f"there is no anchor {number}") from error

    def add(self, number: int, document: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self.folder / f".{secrets.token_hex(8)}.part"
        try:
            with part.open("xb") as written:
                written.write(document)
                written.flush()
                os.fsync(written.fileno())
            # A link, unlike a renaming, fails where the name is taken.
            os.link(part, self.folder / _name(number))
        except FileExistsError as error:
            raise AnchorTaken(f"there is an anchor {number} already") from error
        finally:
            part.unlink(missing_ok=True)
        sync(self.folder)
        sync(self.folder.parent)


class Bucket(Protocol):
    """What a store that keeps objects by name has besides the files of tenants."""

    def names(self, prefix: str) -> Iterator[str]:
        """Without the prefix, in order."""

    def read(self, name: str) -> bytes:
        """Raises ObjectNotFound."""

    def create(self, name: str, content: bytes) -> None:
        """Raises ObjectTaken."""


@attrs.frozen
class StoreAnchors:
    bucket: Bucket

    def numbers(self) -> Iterator[int]:
        return _numbers(self.bucket.names(f"{FOLDER}/"))

    def read(self, number: int) -> bytes:
        try:
            return self.bucket.read(f"{FOLDER}/{_name(number)}")
        except ObjectNotFound as error:
            raise AnchorNotFound(f"there is no anchor {number}") from error

    def add(self, number: int, document: bytes) -> None:
        try:
            self.bucket.create(f"{FOLDER}/{_name(number)}", document)
        except ObjectTaken as error:
            raise AnchorTaken(f"there is an anchor {number} already") from error
