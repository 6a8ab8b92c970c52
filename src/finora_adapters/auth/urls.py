"""Which URLs a secret may be sent to."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether the URL leads to this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_safe(url: object, *, loopback: bool) -> bool:
    """Whether it is an https URL, or with `loopback` an http one of this machine."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if not parts.hostname or port == 0 or parts.username is not None or "#" in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and loopback and is_loopback(url))
