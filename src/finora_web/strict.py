"""JSON as it was meant: no key twice, no NaN, not deep."""

import json
from typing import Any, NoReturn

from finora_web.errors import BadRequest

MAX_DEPTH = 32


def read_json(body: bytes) -> Any:
    """The value of `body`, UTF-8. Raises BadRequest."""
    try:
        text = body.decode("utf-8")
        if _depth(text) > MAX_DEPTH:
            raise BadRequest(f"the JSON is nested deeper than {MAX_DEPTH}")
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {str(error)[:200]}") from error


def _depth(text: str) -> int:
    deepest = depth = 0
    inside = escaped = False
    for character in text:
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRequest("a key stands twice in one JSON object")
    return found


def _refuse(name: str) -> NoReturn:
    raise BadRequest(f"{name} is not JSON")
