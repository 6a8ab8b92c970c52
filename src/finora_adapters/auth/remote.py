"""Asking another server for a small JSON document, whatever that server does."""

import asyncio
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import attrs
import httpx2

from finora_adapters.auth.jose import object_of


class RemoteFailed(Exception):
    """There was no answer, or not one that can be used. The text names no secret."""


@attrs.frozen
class Answer:
    status: int
    said: dict[str, Any]


@attrs.frozen
class Remote:
    """Follows no redirect, reads no environment, and is done after `limit_s` seconds, however
    slowly the other side speaks."""

    limit_s: float = 5.0
    most_bytes: int = 512 * 1024
    context: ssl.SSLContext | None = None
    """Whom to trust, if not whom this machine trusts."""

    def get(self, url: str) -> Answer:
        """Raises RemoteFailed."""
        return self._done(url, None, {})

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Raises RemoteFailed."""
        return self._done(url, form, headers)

    def _done(self, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]) -> Answer:
        # Only a loop can end a request at a given moment: a socket's time limit begins anew with
        # every byte.
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._ask(url, form, headers))
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, self._ask(url, form, headers)).result()

    async def _ask(
        self, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> Answer:
        host = urlsplit(url).hostname
        plain = {"Accept": "application/json", "Accept-Encoding": "identity"}
        method, data = ("GET", None) if form is None else ("POST", dict(form))
        try:
            async with (
                asyncio.timeout(self.limit_s),
                httpx2.AsyncClient(
                    verify=self.context or _trusted(),
                    trust_env=False,
                    follow_redirects=False,
                    timeout=self.limit_s,
                ) as client,
                client.stream(method, url, data=data, headers={**plain, **headers}) as answer,
            ):
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise RemoteFailed(f"{host} answers in a form that was not asked for")
                body = bytearray()
                async for chunk in answer.aiter_raw():
                    body += chunk
                    if len(body) > self.most_bytes:
                        raise RemoteFailed(f"{host} answers with more than is read")
                return Answer(answer.status_code, object_of(bytes(body)))
        except TimeoutError as error:
            raise RemoteFailed(f"{host} did not answer in time") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise RemoteFailed(f"{host} does not answer: {type(error).__name__}") from error
        except ValueError as error:
            raise RemoteFailed(f"{host} did not answer with JSON") from error


@cache
def _trusted() -> ssl.SSLContext:
    """Whom this machine trusts; reading it takes longer than most requests."""
    return httpx2.create_ssl_context(trust_env=False)
