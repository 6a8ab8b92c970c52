"""What stands in for a language model where none is set: the same answer to the same question, on
this machine, from words alone. It knows little and says so: its confidence is low."""

import re
from collections.abc import Iterable
from typing import Any, ClassVar

import attrs

from finora_core.intelligence.redaction import folded
from finora_core.kernel.outcome import Ok, Outcome, Unsupported
from finora_core.plugins import Answer, ModelAccess, Question

_WORD = re.compile(r"[^\W\d_]{3,}")
_ONE_WORD = 30
_MORE = 45
"""Per cent: below any threshold from which an answer is taken without a human."""


@attrs.frozen
class LocalModel:
    """Knows one kind of question: which category's name shares words with a line."""

    access: ModelAccess = attrs.field(factory=ModelAccess)
    name: ClassVar[str] = "local"

    def ask(self, question: Question) -> Outcome[Answer]:
        if question.name != "categories":
            return Unsupported()
        data: Any = question.data
        words = [(each["code"], _words(each["name"])) for each in data["categories"]]
        answers = [_answer(line, words) for line in data["lines"]]
        return Ok(Answer(value={"answers": answers}, model="local", tokens_in=0, tokens_out=0))


def _answer(line: Any, categories: Iterable[tuple[str, frozenset[str]]]) -> dict[str, object]:
    said = {part: _words(line[part]) for part in ("counterparty", "description")}
    every = said["counterparty"] | said["description"]
    # Of equals the first in the list, so that the answer is always the same.
    common, code = 0, None
    for each, words in categories:
        if len(words & every) > common:
            common, code = len(words & every), each
    if code is None:
        return {"id": line["id"], "category": None, "confidence": 0, "why": "guess"}
    chosen = dict(categories)[code]
    why = "counterparty" if chosen & said["counterparty"] else "description"
    confidence = _ONE_WORD if common == 1 else _MORE
    return {"id": line["id"], "category": code, "confidence": confidence, "why": why}


def _words(text: str) -> frozenset[str]:
    return frozenset(folded(word) for word in _WORD.findall(text))
