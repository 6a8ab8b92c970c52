"""Asking another server for a small JSON document, whatever that server does."""

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import attrs

from finora_adapters.auth.jose import object_of
from finora_adapters.upstream.wire import NoReply, Wire


class RemoteFailed(Exception):
    """There was no answer, or not one that can be used. The text names no secret."""


@attrs.frozen
class Answer:
    status: int
    said: dict[str, Any]


@attrs.frozen
class Remote:
    limit_s: float = 5.0
    most_bytes: int = 512 * 1024
    context: ssl.SSLContext | None = None
    """Whom to trust, if not whom this machine trusts."""

    def get(self, url: str) -> Answer:
        """Raises RemoteFailed."""
        return self._asked("GET", url, {}, None)

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Raises RemoteFailed."""
        said = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self._asked("POST", url, said, urlencode(form).encode())

    def _asked(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> Answer:
        # The operator named the host, so it may be anywhere.
        wire = Wire(self.limit_s, self.limit_s, self.most_bytes, self.context)
        try:
            reply = wire.ask(method, url, headers=headers, content=content)
            return Answer(reply.status, object_of(reply.body))
        except NoReply as error:
            raise RemoteFailed(str(error)) from error
        except ValueError as error:
            raise RemoteFailed(f"{urlsplit(url).hostname} did not answer with JSON") from error
