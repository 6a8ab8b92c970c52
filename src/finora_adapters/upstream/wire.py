"""One exchange with another server, whatever that server does: the one way out of this process.

It follows no redirect, reads no environment, is done after its time limit however slowly the other
side speaks, and reads no more than it was told to. httpx2 is imported when something is asked.
"""

import asyncio
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from finora_adapters.upstream.dialer import Dialer, Refused

if TYPE_CHECKING:
    import httpx2

_RESOLVING = ThreadPoolExecutor(8, thread_name_prefix="resolve")
"""Of our own: the loop's would be waited for at its end, however long a name server takes."""


class NoReply(Exception):
    """There was no reply that can be read. The text names the host, and nothing that was sent."""


@attrs.frozen
class Raw:
    """What came back, whatever it says."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = attrs.field(repr=False)


@attrs.frozen
class Wire:
    limit_s: float = 10.0
    connect_s: float = 3.0
    most_bytes: int = 5 << 20
    context: ssl.SSLContext | None = None
    """Whom to trust, if not whom this machine trusts."""
    dialer: Dialer | None = None
    """What decides where a host may be; None for hosts that the operator named."""

    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        limit_s: float | None = None,
    ) -> Raw:
        """Raises NoReply."""
        limit = self.limit_s if limit_s is None else limit_s
        asked = self._asked(method, url, headers or {}, content, limit)
        # Only a loop can end a request at a given moment: a socket's time limit begins anew with
        # every byte.
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(asked)
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, asked).result()

    async def _asked(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        limit_s: float,
    ) -> Raw:
        import httpx2

        host = urlsplit(url).hostname
        try:
            async with (
                asyncio.timeout(limit_s),
                httpx2.AsyncClient(
                    verify=self.context or _trusted(),
                    trust_env=False,
                    follow_redirects=False,
                    timeout=httpx2.Timeout(limit_s, connect=min(self.connect_s, limit_s)),
                ) as client,
            ):
                return await self._sent(client, method, url, headers, content)
        except TimeoutError as error:
            raise NoReply(f"{host} did not answer in time") from error
        except Refused as error:
            raise NoReply(f"{host} is refused: {error}") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise NoReply(f"{host} does not answer: {type(error).__name__}") from None

    async def _sent(
        self,
        client: "httpx2.AsyncClient",
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> Raw:
        import httpx2

        if self.dialer is None:
            return await self._read(client, method, url, headers, content, {})
        target = httpx2.URL(url)
        loop = asyncio.get_running_loop()
        port = target.port or (443 if target.scheme == "https" else 80)
        # Resolved once, and what was judged is what is connected to: the name may lead elsewhere
        # the next time that it is asked for.
        addresses = await loop.run_in_executor(_RESOLVING, self.dialer.dial, target.host, port)
        named = {**headers, "Host": target.netloc.decode()}
        for place, address in enumerate(addresses):
            try:
                there = str(target.copy_with(host=address))
                extensions = {"sni_hostname": target.host}
                return await self._read(client, method, there, named, content, extensions)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if place == len(addresses) - 1:
                    raise
        raise Refused("it has no address")

    async def _read(
        self,
        client: "httpx2.AsyncClient",
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        extensions: Mapping[str, Any],
    ) -> Raw:
        host = headers.get("Host") or urlsplit(url).hostname
        said = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        async with client.stream(
            method, url, headers=said, content=content, extensions=dict(extensions)
        ) as answer:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise NoReply(f"{host} answers in a form that was not asked for")
            body = bytearray()
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > self.most_bytes:
                    raise NoReply(f"{host} answers with more than is read")
            return Raw(answer.status_code, dict(answer.headers), bytes(body))


@cache
def _trusted() -> ssl.SSLContext:
    """Whom this machine trusts; reading it takes longer than most requests."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=False)
