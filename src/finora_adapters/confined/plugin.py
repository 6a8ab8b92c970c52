"""A plugin whose code runs in children: what it registers, as the host sees it."""

import base64
import io
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.metadata import EntryPoint
from typing import Any, BinaryIO
from urllib.parse import quote

import attrs

from finora_adapters.confined import system, words
from finora_adapters.confined.host import Breach, Broken, Busy, Child, Launch, Unconfined, talk
from finora_adapters.registering import PluginRefused, Provided, one_line
from finora_adapters.upstream.http import CALL
from finora_core.answers import KIND_OF
from finora_core.kernel.outcome import Down, Outcome
from finora_core.manifest import HOOKS, Manifest
from finora_core.plugins import REACHING, Access, Credential, NoAnswer, StatementRefused

_log = logging.getLogger("finora.plugins")
KINDS_CONFINED = (*REACHING, "statement_formats", "activity_formats")
"""What needs nothing of the outside but what the host can fetch for it."""
_LIMIT_S = 60.0
_READ_S = 1_800.0
"""Of one file, whatever comes of it meanwhile."""
_AT_ONCE = 4
_GRACE_S = 0.8
"""Less than the guard's."""
_CRASHES = 3
_LONGEST_LAYOUT = 200
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,60}")
_SHORTEST_SECRET = 8
"""Shorter ones stand by chance in what a server answers."""


def confined(point: EntryPoint, manifest: Manifest) -> Provided:
    """What it registers, in a child. Raises PluginRefused, also where this system confines none."""
    if reason := system.lacking():
        raise PluginRefused(f"it is not trusted, and cannot be confined: {reason}")
    outside = sorted(set(manifest.kinds) - set(KINDS_CONFINED))
    if outside:
        raise PluginRefused(f"it is not trusted, and {outside[0]} cannot be confined")
    if strange := _installed_elsewhere(point):
        raise PluginRefused(f"it is not trusted, and installs {strange} beside its package")
    plugin = ConfinedPlugin(Launch.of(point), manifest)
    made: Provided = {kind: {} for kind in HOOKS}
    for kind, name, shown in plugin.registered():
        if kind in REACHING:
            made[kind][name] = ConfinedProvider(plugin, kind, name)
        else:
            made[kind][name] = ConfinedFormat(plugin, kind, name, **shown)
    return made


def _installed_elsewhere(point: EntryPoint) -> str | None:
    """What its package put where other code runs it: a .pth file is run by every Python that
    starts, and another's module by whoever imports it."""
    top = point.module.split(".")[0]
    for file in (point.dist and point.dist.files) or ():
        first = file.parts[0]
        if first != top and not first.endswith((".dist-info", ".egg-info")):
            return str(file)
    return None


@attrs.define
class ConfinedPlugin:
    launch: Launch
    manifest: Manifest
    limit_s: float = _LIMIT_S
    aside: str | None = None
    """Why its formats are not asked any more. Of its sources the guard knows."""
    _crashes: int = attrs.field(default=0, init=False)
    _places: threading.BoundedSemaphore = attrs.field(
        factory=lambda: threading.BoundedSemaphore(_AT_ONCE), init=False
    )

    @property
    def name(self) -> str:
        return self.launch.point.name

    def registered(self) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        """Raises PluginRefused."""
        try:
            with self.child() as child:
                said = answer_of_child(child, {"do": "register"}, _nothing)
            return [_registration(each) for each in said["answer"]]
        except Unconfined as error:
            raise PluginRefused(f"it is not trusted, and cannot be confined: {error}") from None
        except Broken as error:
            raise PluginRefused(str(error)) from None
        except (LookupError, TypeError, ValueError):
            raise PluginRefused("it registers what is none of its kinds") from None

    @contextmanager
    def child(self, limit_s: float | None = None) -> Iterator[Child]:
        """One with a question to come. Every one that ends otherwise than by its answer is told."""
        limit = self.limit_s if limit_s is None else limit_s
        if not self._places.acquire(timeout=max(limit, 0)):
            raise Busy("it is busy with other questions")
        try:
            with Child.started(self.launch, limit) as child:
                yield child
        except (Broken, Unconfined) as error:
            _log.error("plugin %s: its child was ended: %s", self.name, error)
            raise
        finally:
            self._places.release()


def _registration(said: Any) -> tuple[str, str, Mapping[str, Any]]:
    kind, name, shown = said
    if kind not in KINDS_CONFINED or not _NAME.fullmatch(name) or "-" in name:
        raise ValueError("none")
    if shown.keys() != set(words.SHOWN.get(kind, ())):
        raise ValueError("none")
    if type(shown.get("settles", True)) is not bool:
        raise ValueError("none")
    if not _NAME.fullmatch(shown.get("institution", "manual")):
        raise ValueError("none")
    return kind, name, shown


def answer_of_child(
    child: Child, asked: Mapping[str, object], serve: Callable[[Mapping[str, Any]], object]
) -> Mapping[str, Any]:
    """Raises Broken where it crashes, Breach where it answers with lines."""
    with closing(talk(child, asked, serve)) as talking:
        said = next(talking)
    if "crash" in said:
        raise Broken(one_line(str(said["crash"])))
    if "items" in said:
        raise Breach("it answers with lines of a file")
    return said


def _nothing(said: Mapping[str, Any]) -> object:
    if "log" in said:
        return None
    raise Breach(f"it asks for {next(iter(said), 'nothing')!s:.40}, which it is not given")


# --- sources -------------------------------------------------------------------------------------


@attrs.frozen
class ConfinedProvider:
    """A Provider: what it makes answers each question by a child."""

    plugin: ConfinedPlugin
    kind: str
    name: str

    def __call__(self, access: Access, /) -> "ConfinedSource":
        declared = {each.name: each for each in self.plugin.manifest.provides}[self.name]
        return ConfinedSource(self, access, Veil.of(declared.credentials, access.credentials))


@attrs.frozen
class ConfinedSource:
    """Of any kind: the guard asks only for what the provider is registered for."""

    provider: ConfinedProvider
    access: Access = attrs.field(repr=False)
    veil: "Veil" = attrs.field(repr=False)

    def __getattr__(self, method: str) -> Callable[..., Outcome[Any]]:
        if method not in KIND_OF:
            raise AttributeError(method)
        return lambda *given: self._ask(method, given)

    def _ask(self, method: str, given: Sequence[Any]) -> Outcome[Any]:
        """Raises Broken for what is a crash; what is worse is a breach of the call, as the guard
        knows it."""
        call, plugin = CALL.get(), self.provider.plugin
        left = plugin.limit_s if call is None else call.ends - time.monotonic()
        try:
            # What it asks over Http may take all of its time, and is to be made something of.
            with plugin.child(left + _GRACE_S) as child:
                said = answer_of_child(
                    child,
                    {
                        "do": "question", "kind": self.provider.kind, "name": self.provider.name,
                        "method": method, "given": words.question_said(given),
                        "credentials": dict(self.veil.shown),
                    },
                    self._served,
                )  # fmt: skip
                return words.outcome_heard(said.get("answer"), method)
        except Busy as error:
            return Down(str(error))
        except (Breach, words.NoSuchWord) as error:
            if call is not None and call.breach is None:
                call.breach = str(error)
            raise Broken(str(error)) from None

    def _served(self, said: Mapping[str, Any]) -> object:
        match said:
            case {"log": str(text)}:
                self.access.log(one_line(text, 1000))
                return None
            case {"now": _}:
                return self.access.now().isoformat()
            case {"http": dict(request)}:
                return self._fetched(request)
        return _nothing(said)

    def _fetched(self, request: Mapping[str, Any]) -> object:
        match request:
            case {
                "method": "GET" | "POST" as method,
                "url": str(url),
                "headers": dict(headers),
                "query": dict(query),
                "body": body,
            }:
                pass
            case _:
                raise Breach("it asks Http for what is no request")
        if not all(isinstance(each, str) for each in (*headers.values(), *query.values())):
            raise Breach("it asks with headers or a query that are no text")
        if "headers" in query:
            raise Breach("it asks with a query that Http does not take")
        url = self.veil.lifted(url, lambda secret: quote(secret, safe=""))
        headers, query = self.veil.lifted(headers), self.veil.lifted(query)
        http, call = self.access.http, CALL.get()
        try:
            if method == "GET":
                reply = http.get(url, headers, **query)
            else:
                reply = http.post(url, self.veil.lifted(body), headers, **query)
        except NoAnswer as said:
            if call is not None and call.breach is not None:
                raise Breach(call.breach) from None
            return {"no_answer": words.outcome_said(said.outcome)}
        return {
            "status": reply.status,
            "headers": {k: self.veil.drawn(v.encode()).decode() for k, v in reply.headers.items()},
            "body": base64.b64encode(self.veil.drawn(reply.body)).decode(),
        }


@attrs.frozen
class Veil:
    """Secrets stay with the host: the child has words in their place, which mean nothing to anybody
    else and are another each time."""

    secrets: Mapping[str, str] = attrs.field(repr=False)
    """By the word in its place."""
    shown: Mapping[str, str] = attrs.field(repr=False)
    """What the child is given, by field."""

    @classmethod
    def of(cls, declared: Sequence[Credential], given: Mapping[str, str]) -> "Veil":
        secret = {each.field for each in declared if each.secret}
        words_ = {
            field: f"secret-{field}-{secrets.token_hex(8)}" for field in given if field in secret
        }
        return cls({word: given[field] for field, word in words_.items()}, {**given, **words_})

    def lifted(self, value: Any, written: Callable[[str], str] = str) -> Any:
        """With the secrets, in every text of a JSON value."""
        if isinstance(value, str):
            for word, secret in self.secrets.items():
                value = value.replace(word, written(secret))
            return value
        if isinstance(value, Mapping):
            return {self.lifted(k, written): self.lifted(v, written) for k, v in value.items()}
        if isinstance(value, list):
            return [self.lifted(each, written) for each in value]
        return value

    def drawn(self, said: bytes) -> bytes:
        """Without them, where a server says them again."""
        for word, secret in self.secrets.items():
            if len(secret) >= _SHORTEST_SECRET:
                said = said.replace(secret.encode(), word.encode())
        return said


# --- files ---------------------------------------------------------------------------------------


@attrs.frozen
class ConfinedFormat:
    """A StatementFormat or an ActivityFormat: each file is read by a child of its own, which knows
    of no other."""

    plugin: ConfinedPlugin
    kind: str
    name: str
    institution: str = ""
    settles: bool = False

    def recognises(self, head: bytes, filename: str) -> int:
        """Nothing of it, where it fails: other formats are asked as well."""
        sure = self._said({"do": "recognises", "head": _encoded(head), "filename": filename}, 0)
        if type(sure) is int and 0 <= sure <= 100:
            return sure
        self._note(Breach("it is sure of a file in no number from 0 to 100"))
        return 0

    def layout(self, head: bytes) -> str | None:
        said = self._said({"do": "layout", "head": _encoded(head)}, None)
        if said is None or (type(said) is str and len(said) <= _LONGEST_LAYOUT):
            return said
        self._note(Breach("it names a layout by no text"))
        return None

    def read(self, file: BinaryIO, answers: Mapping[str, str] | None = None) -> Iterator[Any]:
        """Raises StatementRefused, also where the plugin fails."""
        if self.plugin.aside is not None:
            raise StatementRefused(f"{self.name} was set aside: {self.plugin.aside}")
        try:
            yield from self._items(file, answers)
        except (Broken, Unconfined, words.NoSuchWord) as error:
            self._note(error)
            raise StatementRefused(f"{self.name} cannot read it: {error}") from None

    def _items(self, file: BinaryIO, answers: Mapping[str, str] | None) -> Iterator[Any]:
        size = file.seek(0, io.SEEK_END)
        asked = self._asked({"do": "read", "size": size, "answers": answers and dict(answers)})
        with self.plugin.child() as child:
            last = time.monotonic() + _READ_S
            with closing(talk(child, asked, lambda said: _piece(said, file))) as talking:
                for said in talking:
                    if "crash" in said:
                        raise Broken(one_line(str(said["crash"])))
                    if "refused" in said:
                        raise words.refusal_heard(said["refused"])
                    if "answer" in said:
                        break
                    if not isinstance(said["items"], list) or not said["items"]:
                        raise Breach("it reads no lines, again and again")
                    for each in said["items"]:
                        yield words.item_heard(each)
                    child.ends = min(time.monotonic() + self.plugin.limit_s, last)
        self._note(None)

    def _said(self, asked: Mapping[str, object], otherwise: Any) -> Any:
        if self.plugin.aside is not None:
            return otherwise
        try:
            with self.plugin.child() as child:
                said = answer_of_child(child, self._asked(asked), _nothing)
        except (Broken, Unconfined) as error:
            self._note(error)
            return otherwise
        self._note(None)
        return said.get("answer", otherwise)

    def _asked(self, asked: Mapping[str, object]) -> Mapping[str, object]:
        return {**asked, "kind": self.kind, "name": self.name}

    def _note(self, error: Exception | None) -> None:
        """What it did counts: a breach at once, crashes in a row."""
        plugin = self.plugin
        if isinstance(error, Busy):
            return
        plugin._crashes = 0 if error is None else plugin._crashes + 1
        if isinstance(error, Breach | words.NoSuchWord) or plugin._crashes >= _CRASHES:
            plugin.aside = str(error)
            _log.error("plugin %s is set aside: %s", plugin.name, error)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _piece(said: Mapping[str, Any], file: BinaryIO) -> object:
    match said:
        case {"file": [int(at), int(size)]} if at >= 0 and 0 < size <= 1 << 20:
            file.seek(at)
            return _encoded(file.read(size))
    return _nothing(said)
