"""The step that judges a record by its likeness to what people decided."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import attrs

from finora_core.categories.pipeline.model import Example, Guess, Line
from finora_core.categories.similar.memory import Memory
from finora_core.categories.similar.model import Decision, Thresholds
from finora_core.categories.similar.model import Line as Compared
from finora_core.kernel.amount import Amount

# Whatever it takes a record for: from when that counts is a setting of the tenant.
_ALL = Thresholds(suggest=0)


@attrs.frozen
class Likeness:
    """Satisfies Classifier."""

    memory: Memory

    def classify(self, lines: Sequence[Line]) -> Mapping[UUID, Guess]:
        facts = [line.facts for line in lines]
        compared = [_compared(each.merchant_key, each.account_id, each.amount) for each in facts]
        found = self.memory.classify_many(compared, _ALL)
        return {
            line.id: Guess(
                category=likely.category,
                confidence=likely.confidence,
                neighbours=likely.neighbours,
                rationale=likely.why.value.upper(),
            )
            for line, likely in zip(lines, found, strict=True)
            if likely.category
        }


def learn(examples: Sequence[Example]) -> Likeness:
    return Likeness(
        Memory.of(
            Decision(
                record_id=each.id,
                line=_compared(each.merchant_key, each.account_id, each.amount),
                category=each.category,
                corrected=each.corrected,
            )
            for each in examples
        )
    )


def _compared(merchant_key: str, account_id: UUID, amount: Amount) -> Compared:
    return Compared(
        key=merchant_key,
        direction="in" if amount.units > 0 else "out",
        account=str(account_id),
        units=amount.units,
        scale=amount.asset.scale,
    )
