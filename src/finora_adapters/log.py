"""Logs: one JSON object a line, of every library too, with secrets taken out."""

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, TypeGuard

import structlog
from pydantic_core import to_json

_SECRET = re.compile(
    r"(fin_[\w-]{8})[\w-]+|(Bearer )\S+|(://[^:/@\s]*:)[^@\s]+(?=@)|"
    r"((?:X-Amz-Signature|token|secret|password|api_?key)=)[^&\s]+",
    re.IGNORECASE,
)
_MARKS = ("fin_", "bearer ", "://", "=")
"""One of these is in whatever the pattern finds."""
_SECRET_KEYS = re.compile(r"authorization|cookie|password|secret|token|api_?key", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text without what looks like a token, a password in a URL or a signature."""
    return _SECRET.sub(lambda match: f"{''.join(filter(None, match.groups()))}[redacted]", text)


def _redact(logger: object, method: str, event: Any) -> Any:
    for key, value in event.items():
        if isinstance(key, str) and _SECRET_KEYS.search(key):
            event[key] = "[redacted]"
        elif isinstance(value, str):
            event[key] = redacted(value)
    return event


def note(event: str, level: int = logging.INFO, **fields: object) -> None:
    """Log one line of plain fields, without the steps that other people's records need: there is
    one for every request."""
    root = logging.getLogger()
    if not root.isEnabledFor(level) or not root.handlers:
        return
    said: dict[str, object] = {
        "event": event,
        "level": logging.getLevelName(level).lower(),
        "logger": "finora.http",
        "time": datetime.now(UTC).isoformat(),
    }
    said |= fields
    whole = "\n".join(filter(_is_text, fields.values())).lower()
    if any(mark in whole for mark in _MARKS):
        # Each by itself: what is taken out of a whole line could take its quotes along.
        for name, value in fields.items():
            if isinstance(value, str):
                said[name] = redacted(value)
    handler = root.handlers[0]
    if isinstance(handler, logging.StreamHandler):
        handler.acquire()
        try:
            handler.stream.write(to_json(said).decode() + "\n")
            handler.flush()
        finally:
            handler.release()


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def set_up(level: str) -> None:
    """Log to standard error from now on, whoever logs."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,
        _redact,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # One line for each message that SAQ hands on would be a line a job.
    logging.getLogger("saq").setLevel(logging.WARNING)
