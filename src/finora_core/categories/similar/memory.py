"""The memory of a tenant's decisions, and what it says of other lines.

A weighted naive Bayes. Every token of a merchant (word, run of letters, kind) counted with which
categories it was decided; it speaks with the weight of what it tells, which is the divergence of
its categories from those of all decisions, and how often it was seen. The weighted mean of what
the tokens say is the evidence of the words. Decisions about the very merchant outweigh it, and
account and amount shift the odds. All of it is counting: made from scratch in one pass, the same
whatever the order, with no weights from elsewhere. Nothing is random.

How often such an answer is right is not what it claims: it is measured by cross-validation within
the memory, for known merchants and for new ones apart (see calibration.py).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from math import exp, log
from uuid import UUID

import attrs

from finora_core.categories.similar.calibration import FOLDS, Calibration, fold_of
from finora_core.categories.similar.model import (
    DEFAULT,
    SURE,
    Counts,
    Decision,
    Likely,
    Line,
    Thresholds,
    Verdict,
    Why,
)
from finora_core.categories.similar.tokens import size_of, tokens

VOTES = 5
"""How many of the latest human words on a merchant count, and how many neighbours explain."""

_SMOOTHING = 0.5  # Decisions that a token is lent by the whole, before its own are seen.
_POWER = 2.5  # How much more a telling token says than a vague one.
_KIND_WEIGHT = 15.0
_LENT_ACCOUNT, _ACCOUNT_POWER = 5.0, 0.3
_LENT_SIZE, _SIZE_POWER = 20.0, 0.6
_RARE = 200  # A token of more merchants finds no neighbours: it is in every name.

Merchant = tuple[str, str]
"""Merchant key and direction."""


@attrs.frozen
class _Token:
    """What one token says: a weight, the log odds of categories it was seen with, and of others."""

    weight: float
    seen: tuple[tuple[str, float], ...]
    unseen: float


@attrs.frozen
class Evidence:
    """The counts, without calibration: which category is likeliest, and how it compares."""

    prior: Mapping[str, float]
    words: Mapping[str, _Token]
    merchants: Mapping[Merchant, Counts]
    accounts: Mapping[str, Mapping[str, float]]
    sizes: Mapping[str, Mapping[str, float]]
    memo: dict[Merchant, tuple[Mapping[str, float], bool]] = attrs.field(factory=dict, eq=False)

    @classmethod
    def of(cls, decisions: Iterable[Decision]) -> "Evidence":
        merchants: dict[Merchant, Counter[str]] = defaultdict(Counter)
        accounts: dict[str, Counter[str]] = defaultdict(Counter)
        sizes: dict[str, Counter[str]] = defaultdict(Counter)
        whole: Counter[str] = Counter()
        for decision in decisions:
            line, category = decision.line, decision.category
            merchants[line.key, line.direction][category] += 1
            accounts[line.account][category] += 1
            sizes[size_of(line)][category] += 1
            whole[category] += 1
        total = whole.total() + len(whole) / 2
        prior = {category: (whole[category] + 0.5) / total for category in sorted(whole)}
        by_token: dict[str, Counter[str]] = defaultdict(Counter)
        for merchant, counts in merchants.items():
            for token in _tokens(merchant[0]):
                by_token[token].update(counts)
        return cls(
            prior=prior,
            words={token: _told(token, counts, prior) for token, counts in by_token.items()},
            merchants=merchants,
            accounts={
                account: _odds(counts, prior, _LENT_ACCOUNT, _ACCOUNT_POWER)
                for account, counts in accounts.items()
            },
            sizes={
                size: _odds(counts, prior, _LENT_SIZE, _SIZE_POWER)
                for size, counts in sizes.items()
            },
        )

    def likeliest(self, line: Line) -> tuple[str, float, bool]:
        """The category, its share of the odds, and whether anything of the merchant was seen."""
        merchant = line.key, line.direction
        if merchant not in self.memo:
            self.memo[merchant] = self._merchant(merchant)
        likely, seen = self.memo[merchant]
        account = self.accounts.get(line.account, {})
        size = self.sizes.get(size_of(line), {})
        best, most, total = "", -1.0, 0.0
        for category, share in likely.items():
            odds = share * account.get(category, 1.0) * size.get(category, 1.0)
            total += odds
            if odds > most:
                best, most = category, odds
        return best, most / total if total else 0.0, seen

    def _merchant(self, merchant: Merchant) -> tuple[Mapping[str, float], bool]:
        found = [self.words[token] for token in _tokens(merchant[0]) if token in self.words]
        weight = sum(token.weight for token in found)
        likely = dict(self.prior)
        if weight > 0:
            others = sum(token.weight * token.unseen for token in found)
            odds: dict[str, float] = defaultdict(float)
            for token in found:
                for category, told in token.seen:
                    odds[category] += token.weight * (told - token.unseen)
            for category in likely:
                likely[category] *= exp((others + odds[category]) / weight)
            total = sum(likely.values())
            likely = {category: share / total for category, share in likely.items()}
        decided = self.merchants.get(merchant)
        if decided:
            count = sum(decided.values())
            for category in likely:
                likely[category] = (decided.get(category, 0) + likely[category]) / (count + 1)
        return likely, bool(found)


def _tokens(key: str) -> tuple[str, ...]:
    words, kinds = tokens(key)
    return (*words, *(f"kind {kind}" for kind in kinds))


def _told(token: str, counts: Counter[str], prior: Mapping[str, float]) -> _Token:
    count = counts.total()
    below = count + _SMOOTHING
    seen = tuple(
        (category, log((counts[category] / prior[category] + _SMOOTHING) / below))
        for category in sorted(counts)
    )
    unseen = log(_SMOOTHING / below)
    share = {
        category: (counts[category] + _SMOOTHING * prior[category]) / below for category, _ in seen
    }
    others = (1 - sum(prior[category] for category, _ in seen)) * _SMOOTHING / below
    divergence = max(0.0, sum(share[category] * told for category, told in seen) + others * unseen)
    weight = divergence**_POWER * count / (count + 1)
    return _Token(weight * (_KIND_WEIGHT if token.startswith("kind ") else 1.0), seen, unseen)


def _odds(
    counts: Counter[str], prior: Mapping[str, float], lent: float, power: float
) -> Mapping[str, float]:
    below = counts.total() + lent
    return {
        category: ((counts[category] + lent * share) / below / share) ** power
        for category, share in prior.items()
    }


@attrs.frozen
class Memory:
    """Everything that people decided in one tenant, ready to be asked. Frozen: a new decision is
    a new memory, or waits for the next one."""

    decisions: tuple[Decision, ...]
    """Oldest first."""
    evidence: Evidence
    calibration: Calibration

    @classmethod
    def of(cls, decisions: Iterable[Decision]) -> "Memory":
        """Learn from them, given oldest first. Nothing else is learnt from, and no other tenant."""
        known = tuple(decisions)
        return cls(known, Evidence.of(known), _calibrated(known))

    def classify(self, line: Line, thresholds: Thresholds = DEFAULT) -> Likely:
        """The category of one line."""
        return self.classify_many((line,), thresholds)[0]

    def classify_many(
        self, lines: Sequence[Line], thresholds: Thresholds = DEFAULT
    ) -> list[Likely]:
        """In the order of the lines. Equal ones are judged once."""
        judged: dict[tuple[str, str, str, str], Likely] = {}
        answers = []
        for line in lines:
            same = line.key, line.direction, line.account, size_of(line)
            if same not in judged:
                judged[same] = self._judge(line, thresholds)
            answers.append(judged[same])
        return answers

    def _judge(self, line: Line, thresholds: Thresholds) -> Likely:
        if (line.key, line.direction) in self._corrections:
            return self._corrected(line)
        category, share, seen = self.evidence.likeliest(line)
        if not seen:
            return Likely(category="", confidence=0, verdict=Verdict.NONE, why=Why.STRANGE)
        known = (line.key, line.direction) in self.evidence.merchants
        confidence = self.calibration.confidence(share, known=known)
        verdict = Verdict.NONE
        if confidence >= thresholds.auto:
            verdict = Verdict.AUTO
        elif confidence >= thresholds.suggest:
            verdict = Verdict.SUGGESTED
        return Likely(
            category="" if verdict is Verdict.NONE else category,
            confidence=confidence,
            verdict=verdict,
            why=Why.KNOWN if known else Why.WORDS,
            neighbours=self._neighbours(line.key, line.direction, category),
        )

    def _corrected(self, line: Line) -> Likely:
        said = self._corrections[line.key, line.direction]
        votes = Counter(decision.category for decision in said)
        (first, most), *others = votes.most_common()
        neighbours = tuple(decision.record_id for decision in reversed(said))
        if not others:
            return Likely(
                category=first,
                confidence=SURE,
                verdict=Verdict.AUTO,
                why=Why.CORRECTED,
                neighbours=neighbours,
            )
        tied = most == others[0][1]
        return Likely(
            category="" if tied else first,
            confidence=0 if tied else SURE * most // len(said),
            verdict=Verdict.NONE if tied else Verdict.SUGGESTED,
            why=Why.CONFLICT,
            neighbours=neighbours,
        )

    @cached_property
    def _corrections(self) -> Mapping[Merchant, tuple[Decision, ...]]:
        """What humans said of a merchant from its first correction on, the latest few."""
        found: dict[Merchant, list[Decision]] = {}
        for decision in self.decisions:
            merchant = decision.line.key, decision.line.direction
            if decision.corrected or merchant in found:
                found.setdefault(merchant, []).append(decision)
        return {merchant: tuple(said[-VOTES:]) for merchant, said in found.items()}

    @cached_property
    def _latest(self) -> Mapping[tuple[str, str, str], tuple[UUID, ...]]:
        """The latest decisions of a merchant for a category."""
        found: dict[tuple[str, str, str], list[UUID]] = defaultdict(list)
        for decision in reversed(self.decisions):
            said = found[decision.line.key, decision.line.direction, decision.category]
            if len(said) < VOTES:
                said.append(decision.record_id)
        return {place: tuple(ids) for place, ids in found.items()}

    @cached_property
    def _by_token(self) -> Mapping[str, tuple[Merchant, ...]]:
        found: dict[str, list[Merchant]] = defaultdict(list)
        for merchant in self.evidence.merchants:
            for token in _tokens(merchant[0]):
                found[token].append(merchant)
        return {token: tuple(held) for token, held in found.items() if len(held) <= _RARE}

    def _neighbours(self, key: str, direction: str, category: str) -> tuple[UUID, ...]:
        """Decisions for this category: of the merchant itself, then of those most alike."""
        same = self._latest.get((key, direction, category))
        if same:
            return same
        alike: dict[Merchant, float] = defaultdict(float)
        for token in _tokens(key):
            for merchant in self._by_token.get(token, ()):
                if category in self.evidence.merchants[merchant]:
                    alike[merchant] += self.evidence.words[token].weight
        nearest = sorted(alike, key=lambda merchant: (-alike[merchant], merchant))[:VOTES]
        return tuple(self._latest[merchant[0], merchant[1], category][0] for merchant in nearest)


def _calibrated(decisions: Sequence[Decision]) -> Calibration:
    """How often the memory is right about what it did not see: once for other records of its
    merchants, once for merchants that it does not have."""
    tried: dict[bool, list[tuple[float, bool]]] = {True: [], False: []}
    for apart in (False, True):
        folds = [fold_of(decision, apart=apart) for decision in decisions]
        for fold in range(FOLDS):
            rest = [each for each, at in zip(decisions, folds, strict=True) if at != fold]
            if not rest or len(rest) == len(decisions):
                continue
            evidence = Evidence.of(rest)
            for decision, at in zip(decisions, folds, strict=True):
                known = (decision.line.key, decision.line.direction) in evidence.merchants
                if at == fold and known is not apart:
                    category, share, seen = evidence.likeliest(decision.line)
                    if seen:
                        tried[known].append((share, category == decision.category))
    return Calibration.of(known=tried[True], novel=tried[False])
