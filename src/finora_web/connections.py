"""gunicorn's threads, kept for requests. Whoever is slow to ask, or to go, waits in the poller: a
few dozen clients that send half a head would otherwise hold every thread for ever."""

import errno
import socket
import struct
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import (  # type: ignore[import-untyped]  # upstream
    STOP_KEEPALIVE_LINGER,
    TConn,
    ThreadWorker,
)

from finora_core.kernel.errors import Refusal
from finora_core.kernel.ids import new_id
from finora_web.errors import NotHttp, Overloaded, error_body, headers_of, status_of

_CHUNK = 1 << 14
_HEAD_END = b"\r\n\r\n"
_LONGEST_HEAD = 1 << 16
_QUEUED = 16
"""How many requests may wait for each thread. With more, everybody would wait in vain: who asks now
is told to come back, at once and at the cost of no thread."""
_LINGER_S = 2.0
_UNREAD_S = 0.1
# Of the system: how long a thread waits for more of a body, or for room to answer.
_STALL = struct.pack("ll", 30, 0)
_GONE = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED)


def _refused(refusal: Refusal, status: int, reason: str) -> bytes:
    """An answer to what no application has seen, in the same envelope."""
    body = error_body(refusal.code, refusal.message, (), str(new_id()))
    lines = [
        f"HTTP/1.1 {status} {reason}",
        *(f"{name}: {value}" for name, value in headers_of(refusal).items()),
        "Content-Type: application/json",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _overloaded() -> bytes:
    refusal = Overloaded("more is asked than can be answered; come back in a moment")
    return _refused(refusal, status_of(refusal), "Service Unavailable")


def _not_http(status: int, reason: str) -> bytes:
    # What is wrong with it is in the log: it may be anything, and is not sent back.
    return _refused(NotHttp("this is no request that can be read"), status, reason)


class _Heard:
    """A socket that keeps what it is given."""

    def __init__(self) -> None:
        self.said = b""

    def gettimeout(self) -> float:
        return 0.0

    def sendall(self, data: bytes) -> None:
        self.said += data


class Connection(TConn):  # type: ignore[misc]  # untyped upstream
    """A client's socket, with what it has said of its next request."""

    def __init__(self, cfg: Any, client: socket.socket, address: Any, server: Any) -> None:
        super().__init__(cfg, client, address, server)
        self.head = b""
        self.deadline = 0.0
        self.ending = False
        """It was answered for the last time."""


class Worker(ThreadWorker):  # type: ignore[misc]  # untyped upstream
    """Its main thread alone waits for heads of requests; it has nothing else to do."""

    def init_process(self) -> None:
        self.outside: dict[Connection, None] = {}
        """In no thread; oldest first."""
        super().init_process()

    def accept(self, listener: Any) -> None:
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in _GONE:
                return
            raise
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            client.setsockopt(socket.SOL_SOCKET, option, _STALL)
        self.nr_conns += 1
        self._wait(Connection(self.cfg, client, address, listener.getsockname()))
        if self.nr_conns >= self.worker_connections:
            self._drop(next(iter(self.outside)))

    def finish_request(self, conn: Connection, done: "Future[bool]") -> None:
        if done.cancelled() or done.exception() is not None or not done.result():
            self._end(conn)
            return
        # It may have sent its next request along.
        conn.head = conn.parser.unreader.take_buffered()
        if _HEAD_END in conn.head:
            self._hand_over(conn)
        else:
            self._wait(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """gunicorn's refusals of what it cannot read, as ours; it says them as a page."""
        heard = _Heard()
        super().handle_error(req, heard, addr, exc)
        _, status, reason = heard.said.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
        # Who asked may have gone.
        with suppress(OSError):
            client.sendall(_not_http(int(status), reason))

    def murder_pending(self) -> None:
        now = time.monotonic()
        for conn in [each for each in self.outside if each.deadline <= now]:
            self._drop(conn)

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive:
            # Else who connects now would be let wait by the system, and never be answered.
            for listener in self.sockets:
                listener.close()

    def _cap_keepalive(self, deadline: float) -> None:
        for conn in self.outside:
            conn.deadline = min(conn.deadline, deadline)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        # A body that nobody wanted is waited for by no thread.
        deadline = time.monotonic() + _UNREAD_S
        return keepalive and bool(conn.parser.finish_body(deadline=deadline))

    def _wait(self, conn: Connection) -> None:
        seconds = self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER
        conn.deadline = time.monotonic() + (_LINGER_S if conn.ending else seconds)
        conn.sock.setblocking(False)
        self.outside[conn] = None
        self.poller.register(conn.sock, EVENT_READ, partial(self._readable, conn))

    def _readable(self, conn: Connection, client: socket.socket) -> None:
        try:
            said = client.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._drop(conn)
            return
        if conn.ending:
            return
        conn.head += said
        if _HEAD_END in conn.head:
            self._leave(conn)
            self._hand_over(conn)
        elif len(conn.head) > _LONGEST_HEAD:
            self._leave(conn)
            self._end(conn, _not_http(431, "Request Header Fields Too Large"))

    def _hand_over(self, conn: Connection) -> None:
        if self.nr_conns - len(self.outside) > self.cfg.threads * _QUEUED:
            self._end(conn, _overloaded())
            return
        conn.init()
        conn.parser.unreader.unread(conn.head)
        conn.head = b""
        conn.data_ready = True
        self.enqueue_req(conn)

    def _end(self, conn: Connection, answer: bytes = b"") -> None:
        """Close, but not before the client has read the answer: a socket that is closed with bytes
        unread takes back what it has sent."""
        conn.ending = True
        try:
            conn.sock.setblocking(False)
            if answer:
                conn.sock.send(answer)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.nr_conns -= 1
            conn.close()
        else:
            self._wait(conn)

    def _leave(self, conn: Connection) -> None:
        del self.outside[conn]
        self.poller.unregister(conn.sock)

    def _drop(self, conn: Connection) -> None:
        self._leave(conn)
        self.nr_conns -= 1
        conn.close()
