"""What a store of files is held to, check by check, as checks.py does it for what is recorded.

Bronze: what was put is there. Silver: whole or not at all, whoever else writes. Gold: in bounded
memory, by pages, and for another process.
"""

import hashlib
import io
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any, get_args
from urllib.parse import urlsplit
from uuid import uuid4

import attrs

from finora_core.kernel.outcome import Down, Missing, Ok, Outcome, Unsupported
from finora_core.plugins import Blob, StorageAccess, StorageProvider, Storages, answer_of
from finora_core.testing.checks import Check, Tier, declared

_SIZE = 20 << 20
_MOST_MEMORY = 16 << 20
_PAGE = 1_000


@attrs.define
class Store:
    """A store that was made for the test."""

    provider: StorageProvider
    access: StorageAccess
    lines: list[str] = attrs.field(factory=list)

    @property
    def kind(self) -> str:
        return "storages"

    def made(self) -> Storages:
        """Another object of it each time, as another process makes one."""
        return self.provider(attrs.evolve(self.access, log=self.lines.append))

    def answer(self, method: str, *given: Any) -> Any:
        """An outcome, whatever it is."""
        store = self.made()
        outcome = answer_of(lambda: getattr(store, method)(*given))
        kinds = tuple(getattr(each, "__origin__", each) for each in get_args(Outcome))
        assert isinstance(outcome, kinds), f"{method} answers {outcome!r}, which is no outcome"
        return outcome

    def value(self, method: str, *given: Any) -> Any:
        outcome = self.answer(method, *given)
        assert isinstance(outcome, Ok), f"{method} answers {outcome}"
        return outcome.value

    def put(self, name: str, content: bytes) -> None:
        assert self.value("put", name, io.BytesIO(content), len(content)) is None

    def read(self, name: str) -> bytes:
        with closing(self.value("open", name)) as file:
            return b"".join(iter(lambda: file.read(1 << 16), b""))

    def stat(self, name: str) -> Blob:
        found = self.value("stat", name)
        assert type(found) is Blob, f"stat answers with {type(found).__name__}, and no Blob"
        return found

    def names(self, prefix: str, after: str = "") -> Sequence[str]:
        """One page."""
        page = self.value("list", prefix, after)
        assert len(page) <= _PAGE, f"list answers {len(page)} at once, and {_PAGE} are the most"
        assert all(type(each) is Blob for each in page), "list answers with what is no Blob"
        return [each.name for each in page]

    def assert_missing(self, name: str) -> None:
        for method in ("open", "stat"):
            outcome = self.answer(method, name)
            if method == "open" and isinstance(outcome, Ok):
                outcome.value.close()
            assert outcome == Missing(), f"{method} answers {outcome} for what is not there"


def _name() -> str:
    return f"{uuid4()}/{uuid4().hex}{uuid4().hex}"


# --- bronze --------------------------------------------------------------------------------------


def manifest_is_honest(store: Store) -> None:
    provides = declared(store.provider)
    assert "storages" in provides.kinds, "its manifest does not say that it has storages"
    known = {each.field for each in provides.credentials}
    assert set(store.access.credentials) <= known, "it is given what its manifest does not declare"


def gives_back_what_was_put(store: Store) -> None:
    for content in (b"Date,Amount\n" * 1_000, b"", bytes(range(256))):
        name = _name()
        store.put(name, content)
        assert store.read(name) == content, "it gives back other bytes than were put"
        found = store.stat(name)
        assert (found.name, found.bytes) == (name, len(content)), f"it tells {found}"
        at = found.written_at
        assert at.utcoffset() is not None, "its time has no zone"


def what_is_not_there_is_missing(store: Store) -> None:
    store.assert_missing(_name())
    assert not store.names(f"{uuid4()}/"), "it lists what was not put"


def deleting_is_final_and_may_be_repeated(store: Store) -> None:
    name, other = _name(), _name()
    store.put(name, b"x")
    store.put(other, b"y")
    for _ in range(2):
        assert store.value("delete", name) is None
        store.assert_missing(name)
    assert not store.names(name.split("/")[0]), "it lists what was deleted"
    assert store.read(other) == b"y", "it deletes more than was asked"


def lists_by_name_in_order(store: Store) -> None:
    folder, other = f"{uuid4()}/", _name()
    names = [f"{folder}{number:064x}" for number in (2, 11, 1)] + [f"{folder}temp/{uuid4()}"]
    for name in (*names, other):
        store.put(name, b"x")
    assert store.names(folder) == sorted(names), "it lists others, or in another order"
    assert store.names(folder, sorted(names)[1]) == sorted(names)[2:], "it begins elsewhere"
    assert store.names(folder, sorted(names)[-1]) == [], "it lists on after the end"
    found = [name for name in store.names("") if name in (*names, other)]
    assert found == sorted((*names, other)), "it does not list all of them"


# --- silver --------------------------------------------------------------------------------------


def another_writing_replaces_the_first(store: Store) -> None:
    name = _name()
    store.put(name, b"first, and longer")
    store.put(name, b"second")
    assert store.read(name) == b"second", "what was put again is not what is there"
    assert store.stat(name).bytes == 6, "it tells the length of what was there before"


def a_name_is_taken_once(store: Store) -> None:
    name = "anchors/0000000001.json"
    assert store.value("create", name, b"one") is True, "it does not take a free name"
    for other in (b"one", b"other"):
        assert store.value("create", name, other) is False, "it takes a name twice"
    assert store.read(name) == b"one", "it writes over what must stay"


def of_many_at_once_one_takes_a_name(store: Store) -> None:
    name = "anchors/0000000002.json"
    contents = [b"%d" % number * 999 for number in range(8)]
    found = _together([partial(store.value, "create", name, each) for each in contents])
    assert sorted(map(str, found)) == ["False"] * 7 + ["True"], f"of many at once: {found}"
    assert store.read(name) == contents[found.index(True)], "it keeps what it says it refused"


def many_may_put_the_same(store: Store) -> None:
    name, content = _name(), b"same" * 50_000
    _together([lambda: store.put(name, content)] * 8)
    assert store.read(name) == content, "of many writings at once none is whole"
    assert store.names(name.split("/")[0]) == [name], "it keeps what it is not asked to"


def a_stream_that_breaks_off_leaves_nothing(store: Store) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 1 << 20:
                raise ConnectionResetError
            return super().read(min(size or 1 << 16, 1 << 16) if size != -1 else 1 << 16)

    for there in (False, True):
        name = _name()
        if there:
            store.put(name, b"before")
        try:
            outcome = store.answer("put", name, Broken(bytes(3 << 20)), 3 << 20)
            assert isinstance(outcome, Down), f"put answers {outcome} to a stream that broke off"
        except ConnectionResetError:
            pass
        if there:
            assert store.read(name) == b"before", "half a file is in place of a whole one"
        else:
            store.assert_missing(name)
        assert store.names(name.split("/")[0]) == [name] * there, "it keeps half a file"


def a_url_is_signed_or_unsupported(store: Store) -> None:
    name = _name()
    store.put(name, b"%PDF-")
    urls = []
    for asked in (
        ("upload_url", _name(), 5, 60),
        ("download_url", name, "Größe 1.pdf", "application/pdf", 60),
    ):
        outcome = store.answer(*asked)
        if outcome == Unsupported():
            continue
        assert isinstance(outcome, Ok) and isinstance(outcome.value, str), (
            f"{asked[0]} answers {outcome}"
        )
        parts = urlsplit(outcome.value)
        assert parts.scheme == "https" and parts.hostname, f"{asked[0]} gives {parts.scheme}"
        assert parts.query, f"{asked[0]} gives a URL that nothing is signed in"
        urls.append(outcome.value)
    for url in urls:
        assert not any(each in url for each in _secrets(store)), "a URL tells a secret"


def keeps_its_secrets(store: Store) -> None:
    name = _name()
    store.put(name, b"x")
    store.answer("stat", _name())
    said = "\n".join((repr(store.made()), *store.lines))
    assert not any(each in said for each in _secrets(store)), "it tells a secret"


# --- gold ----------------------------------------------------------------------------------------


class _Long(io.RawIOBase):
    """Twenty megabytes that are nowhere."""

    def __init__(self) -> None:
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), _SIZE - self._at, 1 << 16)
        buffer[:size] = bytes([self._at >> 16 & 0xFF]) * size
        self._at += size
        return size


def a_long_file_passes_in_bounded_memory(store: Store) -> None:
    name, wanted = _name(), hashlib.sha256()
    source = _Long()
    for piece in iter(lambda: source.read(1 << 16), b""):
        wanted.update(piece)
    store.put(_name(), b"What it imports is not of the stream.")
    tracemalloc.start()
    try:
        store.value("put", name, io.BufferedReader(_Long()), _SIZE)
        digest = hashlib.sha256()
        with closing(store.value("open", name)) as file:
            for piece in iter(lambda: file.read(1 << 16), b""):
                digest.update(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert digest.digest() == wanted.digest(), "a long file comes back otherwise"
    assert store.stat(name).bytes == _SIZE, "it tells another length of a long file"
    assert peak < _MOST_MEMORY, f"it holds {peak >> 20} MiB of a file of {_SIZE >> 20}"


def more_than_a_page_is_listed_once(store: Store) -> None:
    folder = f"{uuid4()}/"
    names = [f"{folder}{number:064x}" for number in range(_PAGE + 2)]
    for name in names:
        store.put(name, b"")
    found: list[str] = []
    while page := store.names(folder, found[-1] if found else ""):
        found += page
        assert len(found) <= len(names), "it lists some twice"
    assert found == names, "of more than a page some are lost"


def _together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


def _secrets(store: Store) -> Sequence[str]:
    secret = {each.field for each in declared(store.provider).credentials if each.secret}
    return [value for field, value in store.access.credentials.items() if field in secret]


STORAGE_CHECKS = (
    *(Check(Tier.BRONZE, run) for run in (
        manifest_is_honest, gives_back_what_was_put, what_is_not_there_is_missing,
        deleting_is_final_and_may_be_repeated, lists_by_name_in_order,
    )),
    *(Check(Tier.SILVER, run) for run in (
        another_writing_replaces_the_first, a_name_is_taken_once, of_many_at_once_one_takes_a_name,
        many_may_put_the_same, a_stream_that_breaks_off_leaves_nothing,
        a_url_is_signed_or_unsupported, keeps_its_secrets,
    )),
    *(Check(Tier.GOLD, run) for run in (
        a_long_file_passes_in_bounded_memory, more_than_a_page_is_listed_once,
    )),
)  # fmt: skip
