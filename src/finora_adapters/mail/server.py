"""Where a mail server is, as a setting says it. Light: settings are read before anything else."""

import ipaddress
import re
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

Tls = Literal["first", "required", "offered"]
"""From the first byte; by STARTTLS; by STARTTLS where the server has it."""

_WRITTEN = "it is written smtp://user:password@host:port, or smtps://"


@attrs.frozen(kw_only=True)
class SmtpServer:
    host: str
    port: int
    tls: Tls
    user: str = ""
    password: str = attrs.field(default="", repr=False)

    @classmethod
    def read(cls, url: str) -> "SmtpServer":
        """Raises ValueError, whose text holds nothing of the URL."""
        place, port = _split(url, _WRITTEN)
        if place.scheme not in ("smtp", "smtps") or place.path not in ("", "/"):
            raise ValueError(_WRITTEN)
        user, password = unquote(place.username or ""), unquote(place.password or "")
        if bool(user) != bool(password):
            raise ValueError("give the server's user and password, or neither")
        if not (user + password).isascii() or not (user + password).isprintable():
            raise ValueError("user and password are ASCII")
        host = place.hostname or ""
        if place.scheme == "smtps":
            return cls(host=host, port=port or 465, tls="first", user=user, password=password)
        # Between this machine and itself nobody listens.
        tls: Tls = "offered" if is_loopback(host) else "required"
        return cls(host=host, port=port or 587, tls=tls, user=user, password=password)


def check_jmap(url: str) -> None:
    """Raise ValueError where the token must not be sent to this URL."""
    written = "it is the URL of a JMAP session: https://host/path"
    place, _ = _split(url, written)
    if place.username is not None or place.password is not None:
        raise ValueError(written)
    if place.scheme != "https" and not (place.scheme == "http" and is_loopback(place.hostname)):
        raise ValueError(written)


def is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _split(url: str, written: str) -> tuple[SplitResult, int | None]:
    # urlsplit takes tabs and line ends out, and would find a host in what is left.
    if not re.fullmatch(r"[!-~]+", url):
        raise ValueError(written)
    try:
        place = urlsplit(url)
        port = place.port
    except ValueError:
        raise ValueError(written) from None
    if not place.hostname or place.query or place.fragment or port == 0:
        raise ValueError(written)
    return place, port
