"""What runs in the child: it confines itself, then imports the plugin and asks it one question.

The plugin shares this process, so nothing here protects anything; the kernel and the host do. What
the plugin has of the outside (Http, clock, log, the file) are questions to the host.
"""

import base64
import io
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Any, NoReturn

import attrs

from finora_adapters.confined import words
from finora_adapters.confined.frames import Unframing, framed
from finora_adapters.confined.system import Lacking, confine, end_with
from finora_adapters.registering import Provided, reason_of, registered
from finora_core.plugins import Access, NoAnswer, Reply, StatementRefused, answer_of

_CHUNK = 1 << 16
_FILE_CHUNK = 1 << 20
_ITEMS, _ITEMS_SIZE = 500, 1 << 20
"""In one frame: lines of a file, and about how many characters of them."""


def main(start: Mapping[str, Any]) -> NoReturn:
    """What `Launch` of host.py starts."""
    end_with(start["host"])
    channel = socket.socket(fileno=start["channel"])
    try:
        listener = confine(start["view"], channel.fileno())
    except Lacking as lack:
        channel.sendall(framed({"lacks": str(lack)}))
        os._exit(0)
    socket.send_fds(channel, [framed({"ready": True})], [listener])
    os.close(listener)
    sys.path[:] = start["path"]
    sys.path_importer_cache.clear()
    sys.meta_path.insert(0, _Top(start["top"], start["folder"]))
    talk = Talk(channel.detach())
    try:
        asked = talk.hear()
        talk.say(_answer(talk, registered(start["name"], lambda: _loaded(start)), asked))
    # Whatever a stranger's code raises, an exit too.
    except BaseException as error:
        talk.say({"crash": reason_of(error)})
    os._exit(0)


def _loaded(start: Mapping[str, Any]) -> object:
    """As an entry point does it."""
    names = filter(None, start["attr"].split("."))
    return reduce(getattr, names, import_module(start["module"]))


@attrs.frozen
class _Top:
    """Finds the plugin's package where the host found it, in a folder that may not be listed."""

    name: str
    folder: str

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        code = os.path.join(self.folder, "__init__.py")
        return spec_from_file_location(fullname, code, submodule_search_locations=[self.folder])


@attrs.define
class Talk:
    """With the host, one thing at a time."""

    channel: int
    _frames: Unframing = attrs.field(factory=Unframing)

    def say(self, value: object) -> None:
        left = memoryview(framed(value))
        while left:
            left = left[os.write(self.channel, left) :]

    def hear(self) -> Any:
        while (value := self._frames.next()) is None:
            received = os.read(self.channel, _CHUNK)
            if not received:
                os._exit(0)
            self._frames.add(received)
        return value

    def ask(self, value: object) -> Any:
        self.say(value)
        return self.hear()["said"]


# --- what is asked -------------------------------------------------------------------------------


def _answer(talk: Talk, provided: Provided, said: Mapping[str, Any]) -> Mapping[str, object]:
    if said["do"] == "register":
        return {"answer": _names(provided)}
    subject = provided[said["kind"]][said["name"]]
    try:
        return {"answer": _DO[said["do"]](talk, subject, said)}
    except StatementRefused as refusal:
        return {"refused": words.refusal_said(refusal)}


def _names(provided: Provided) -> object:
    return [
        [kind, name, {key: getattr(each, key) for key in words.SHOWN.get(kind, ())}]
        for kind, every in provided.items()
        for name, each in every.items()
    ]


def _question(talk: Talk, subject: Any, said: Mapping[str, Any]) -> object:
    access = Access(
        http=HostHttp(talk),
        now=lambda: datetime.fromisoformat(talk.ask({"now": True})),
        credentials=said["credentials"],
        log=lambda text: talk.say({"log": str(text)[:1000]}),
    )
    method = said["method"]
    given = words.question_heard(method, said["given"])
    made = subject(access)
    return words.outcome_said(answer_of(lambda: getattr(made, method)(*given)))


def _recognises(talk: Talk, subject: Any, said: Mapping[str, Any]) -> object:
    return subject.recognises(base64.b64decode(said["head"]), said["filename"])


def _layout(talk: Talk, subject: Any, said: Mapping[str, Any]) -> object:
    return subject.layout(base64.b64decode(said["head"]))


def _read(talk: Talk, subject: Any, said: Mapping[str, Any]) -> object:
    file = io.BufferedReader(HostFile(talk, said["size"]), _FILE_CHUNK)
    answers = () if said["answers"] is None else (said["answers"],)
    _say_items(talk, subject.read(file, *answers))
    return None


def _say_items(talk: Talk, items: Iterable[Any]) -> None:
    some: list[object] = []
    size = 0
    for item in items:
        said = words.item_said(item)
        some.append(said)
        size += len(str(said))
        if len(some) == _ITEMS or size > _ITEMS_SIZE:
            talk.say({"items": some})
            some, size = [], 0
    if some:
        talk.say({"items": some})


_DO: Mapping[str, Callable[[Talk, Any, Mapping[str, Any]], object]] = {
    "question": _question,
    "recognises": _recognises,
    "layout": _layout,
    "read": _read,
}


# --- what it has of the outside ------------------------------------------------------------------


@attrs.frozen
class HostHttp:
    """The host asks. What it answers is a Reply, or why there is none."""

    talk: Talk

    def get(self, url: str, /, headers: Mapping[str, str] | None = None, **query: str) -> Reply:
        return self._asked("GET", url, headers, query, None)

    def post(
        self, url: str, body: object, /, headers: Mapping[str, str] | None = None, **query: str
    ) -> Reply:
        return self._asked("POST", url, headers, query, body)

    def _asked(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        query: Mapping[str, str],
        body: object,
    ) -> Reply:
        words_of = {name: str(value) for name, value in query.items()}
        request = {"method": method, "url": url, "query": words_of, "body": body}
        said = self.talk.ask({"http": {**request, "headers": dict(headers or {})}})
        if "no_answer" in said:
            raise NoAnswer(words.outcome_heard(said["no_answer"]))
        return Reply(said["status"], said["headers"], base64.b64decode(said["body"]))


class HostFile(io.RawIOBase):
    """The file that the host holds, by pieces."""

    def __init__(self, talk: Talk, size: int) -> None:
        self._talk, self._size, self._at = talk, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a place before the file's start")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), _FILE_CHUNK)
        piece = base64.b64decode(self._talk.ask({"file": [self._at, size]}))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
