"""What processes tell each other of sources that were set aside, or rest."""

from collections.abc import Mapping, Sequence

import attrs

from finora_adapters.redis.asking import Asker, Question

_KEPT_S = 86_400


@attrs.frozen
class SharedStanding:
    """Each process sets aside for itself; this is so that all of them can be asked."""

    asker: Asker

    def tell(self, name: str, reason: str) -> None:
        self.asker.ask(Question(("SET", _key(name, "aside"), reason, "EX", _KEPT_S)))

    def told(self, names: Sequence[str]) -> Mapping[str, str]:
        return self._said("aside", names)

    def rest(self, name: str, reason: str, seconds: int) -> None:
        self.asker.ask(Question(("SET", _key(name, "resting"), reason, "EX", seconds)))

    def resting(self, names: Sequence[str]) -> Mapping[str, str]:
        return self._said("resting", names)

    def _said(self, what: str, names: Sequence[str]) -> Mapping[str, str]:
        answers = self.asker.ask(Question(("MGET", *(_key(name, what) for name in names))))
        if answers is None:
            return {}
        said = zip(names, answers[0], strict=True)
        return {name: reason.decode() for name, reason in said if reason is not None}


def _key(name: str, what: str) -> str:
    return f"finora:{{upstream}}:{what}:{name}"
