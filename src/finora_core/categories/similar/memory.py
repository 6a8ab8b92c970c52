"""The memory of a tenant's decisions, and what it says of other lines.

A weighted naive Bayes. Every token of a merchant (word, run of letters, kind) counted with which
categories other merchants with it were decided; it speaks with the weight of what it tells, which
is the divergence of its categories from those of all decisions, and how often it was seen. The
weighted mean of what the tokens say is the evidence of the words. Decisions about the very merchant
outweigh it, and account and amount shift the odds. All of it is counting: made from scratch in one
pass, with no weights from elsewhere. Nothing is random.

How often such an answer is right is not what it claims: it is measured within the memory, for known
merchants and for new ones apart (`_calibrated`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cached_property
from hashlib import blake2b
from math import exp, log
from uuid import UUID

import attrs

from finora_core.categories.similar.calibration import Calibration, Tried
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
_KIND_WEIGHT = 15.0
_LENT_ACCOUNT, _ACCOUNT_POWER = 5.0, 0.3
_LENT_SIZE, _SIZE_POWER = 20.0, 0.6
_MOST_TRIED = 1_000  # Merchants, to see how often answers are right.
_PARTS = (2, 3, 4)  # Fifths of the decisions, after which the next fifth is asked.
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

    whole: Counts
    prior: Mapping[str, float]
    counts: Mapping[str, Counts]
    """By token: with which categories it was seen."""
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
        prior = _prior(whole)
        by_token: dict[str, Counter[str]] = defaultdict(Counter)
        for (key, _), counts in merchants.items():
            for token in _tokens(key):
                by_token[token].update(counts)
        return cls(
            whole=whole,
            prior=prior,
            counts=by_token,
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
        likely, seen = self.said_of(merchant)
        decided = self.merchants.get(merchant)
        if decided:
            likely, seen = _weighed(decided, likely), True
        return (*self.chosen(line, likely), seen)

    def said_of(self, merchant: Merchant) -> tuple[Mapping[str, float], bool]:
        """What its words say: how other merchants with them were decided. Its own decisions are
        left out: they are counted by themselves."""
        if merchant not in self.memo:
            own = self.merchants.get(merchant)
            self.memo[merchant] = self._others(merchant[0], own) if own else self._all(merchant[0])
        return self.memo[merchant]

    def chosen(self, line: Line, likely: Mapping[str, float]) -> tuple[str, float]:
        """The likeliest with the account and the amount of the line."""
        account = self.accounts.get(line.account, {})
        size = self.sizes.get(size_of(line), {})
        best, most, total = "", -1.0, 0.0
        for category, share in likely.items():
            odds = share * account.get(category, 1.0) * size.get(category, 1.0)
            total += odds
            if odds > most:
                best, most = category, odds
        return best, most / total if total else 0.0

    def _all(self, key: str) -> tuple[Mapping[str, float], bool]:
        found = [self.words[token] for token in _tokens(key) if token in self.words]
        return _pooled(found, self.prior), bool(found)

    def _others(self, key: str, own: Counts) -> tuple[Mapping[str, float], bool]:
        prior = _prior(_less(self.whole, own), self.whole)
        left = ((token, _less(self.counts[token], own)) for token in _tokens(key))
        found = [_told(token, counts, prior) for token, counts in left if counts]
        return _pooled(found, prior), bool(found)


def _prior(whole: Counts, among: Iterable[str] = ()) -> Mapping[str, float]:
    categories = sorted({*whole, *among})
    total = sum(whole.values()) + len(categories) / 2
    return {category: (whole.get(category, 0) + 0.5) / total for category in categories}


def _less(counts: Counts, own: Counts) -> Counts:
    return {
        category: count - own.get(category, 0)
        for category, count in counts.items()
        if count > own.get(category, 0)
    }


def _weighed(decided: Counts, likely: Mapping[str, float]) -> Mapping[str, float]:
    """Decisions about the very merchant, beside what its words say as one more."""
    count = sum(decided.values())
    return {
        category: (decided.get(category, 0) + share) / (count + 1)
        for category, share in likely.items()
    }


def _pooled(found: Sequence[_Token], prior: Mapping[str, float]) -> Mapping[str, float]:
    """The weighted mean of what tokens say."""
    weight = sum(token.weight for token in found)
    if weight <= 0:
        return prior
    others = sum(token.weight * token.unseen for token in found)
    odds: dict[str, float] = defaultdict(float)
    for token in found:
        for category, told in token.seen:
            odds[category] += token.weight * (told - token.unseen)
    likely = {
        category: share * exp((others + odds.get(category, 0.0)) / weight)
        for category, share in prior.items()
    }
    total = sum(likely.values())
    return {category: share / total for category, share in likely.items()}


def _tokens(key: str) -> tuple[str, ...]:
    words, kinds = tokens(key)
    return (*words, *(f"kind {kind}" for kind in kinds))


def _told(token: str, counts: Counts, prior: Mapping[str, float]) -> _Token:
    count = sum(counts.values())
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
    weight = divergence * count / (count + 1)
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
        evidence = Evidence.of(known)
        return cls(known, evidence, _calibrated(known, evidence))

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


def _calibrated(decisions: Sequence[Decision], evidence: Evidence) -> Calibration:
    """How often answers are right, tried in two ways. Both see change over time; neither sees what
    is to come."""
    asked = frozenset(sorted(evidence.merchants, key=_digest)[:_MOST_TRIED])
    novel, known = _by_what_was_before(decisions, asked)
    return Calibration.of(novel=novel, known=(known, _by_merchant(decisions, asked, evidence)))


def _by_what_was_before(decisions: Sequence[Decision], asked: Set[Merchant]) -> tuple[Tried, Tried]:
    """The later decisions, asked of a memory of the earlier ones: about merchants that it has not,
    and about those it has."""
    novel: list[tuple[float, bool]] = []
    known: list[tuple[float, bool]] = []
    for part in _PARTS:
        first, last = (len(decisions) * fifth // 5 for fifth in (part, part + 1))
        before = Evidence.of(decisions[:first])
        for decision in decisions[first:last]:
            merchant = decision.line.key, decision.line.direction
            if merchant in asked:
                category, share, seen = before.likeliest(decision.line)
                if seen:
                    tried = known if merchant in before.merchants else novel
                    tried.append((share, category == decision.category))
    return novel, known


def _by_merchant(decisions: Iterable[Decision], asked: Set[Merchant], evidence: Evidence) -> Tried:
    """Each merchant's decisions from the second on, by those before them and what others' words
    say."""
    tried: list[tuple[float, bool]] = []
    before: dict[Merchant, Counter[str]] = defaultdict(Counter)
    for decision in decisions:
        merchant = decision.line.key, decision.line.direction
        decided = before[merchant]
        if decided and merchant in asked:
            words, _ = evidence.said_of(merchant)
            category, share = evidence.chosen(decision.line, _weighed(decided, words))
            tried.append((share, category == decision.category))
        decided[decision.category] += 1
    return tried


def _digest(merchant: Merchant) -> bytes:
    """By it merchants are chosen: which they are does not change with what came before or after."""
    return blake2b("|".join(merchant).encode(), digest_size=8).digest()
