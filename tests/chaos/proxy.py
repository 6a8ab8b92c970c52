"""A man in the middle of clients and Postgres: cuts, holds up, and loses the answer to a COMMIT.

It listens in a folder of its own as Postgres does, so that libpq finds it by `host=<folder>`. Two
threads a connection: simple, and enough for some dozens.
"""

import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import attrs

SOCKET = ".s.PGSQL.5432"
_CHUNK = 65_536


@attrs.define
class Rules:
    """What it does to whatever passes; plain at first, and again when healed."""

    delay_s: float = 0.0
    hole: bool = False
    """Nothing passes, and nobody is told."""
    swallow: float = 0.0
    """How likely the answer to a COMMIT is lost, and the connection with it."""


class Proxy:
    def __init__(self, folder: Path, target: Path, seed: int = 0) -> None:
        self.folder, self.target = folder, target / SOCKET
        self.rules = Rules()
        self.random = Random(seed)
        self.swallowed = 0
        self._links: set[_Link] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET))
        os.chmod(folder / SOCKET, 0o777)
        self._listener.listen(128)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def dsn(self, user: str = "finora_app") -> str:
        return f"host={self.folder} port=5432 user={user} dbname=finora"

    def cut(self) -> int:
        """Break every connection; how many there were."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.close()
        return len(links)

    def heal(self) -> None:
        """Plain again. What was held up is cut: it would come when nobody waits for it."""
        held = self.rules.hole
        self.rules = Rules()
        if held:
            self.cut()

    def close(self) -> None:
        self._closed = True
        # A thread in accept() is not woken by a close.
        with suppress(OSError), socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.folder / SOCKET))
        self._thread.join(10)
        self._listener.close()
        self.heal()
        self.cut()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._closed:
                client.close()
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self.target))
            except OSError:
                # Postgres is away: so are we.
                client.close()
                server.close()
                continue
            link = _Link(self, client, server)
            with self._lock:
                self._links.add(link)
            link.start()

    def _ended(self, link: "_Link") -> None:
        with self._lock:
            self._links.discard(link)


class _Link:
    """One connection."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self.losing = False
        self.running = 2
        self.lock = threading.Lock()

    def start(self) -> None:
        for pump in (self._up, self._down):
            threading.Thread(target=self._pumped, args=(pump,), daemon=True).start()

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pumped(self, pump: "object") -> None:
        with suppress(OSError):
            pump()  # type: ignore[operator]  # one of the two below
        self.close()
        with self.lock:
            self.running -= 1
            last = self.running == 0
        if last:
            self.client.close()
            self.server.close()
            self.proxy._ended(self)

    def _up(self) -> None:
        while data := self.client.recv(_CHUNK):
            self._wait()
            rules = self.proxy.rules
            if b"COMMIT" in data and self.proxy.random.random() < rules.swallow:
                self.losing = True
            self.server.sendall(data)

    def _down(self) -> None:
        while data := self.server.recv(_CHUNK):
            self._wait()
            if self.losing:
                self.proxy.swallowed += 1
                return
            self.client.sendall(data)

    def _wait(self) -> None:
        if self.proxy.rules.delay_s:
            time.sleep(self.proxy.rules.delay_s)
        while self.proxy.rules.hole and not self.proxy._closed:
            time.sleep(0.02)
