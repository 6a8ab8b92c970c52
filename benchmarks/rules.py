"""How long a preview of rules over a tenant's records takes, and what rules cost a record.

    python benchmarks/rules.py --rows 100000 --rules 200

Made-up lines are imported; one rule is previewed over all of them (contains, a regular expression,
a tree with an amount), then a book of many rules, and then all of them run as a job and are undone.
"""

import argparse
import statistics
from pathlib import Path

from common import Watch, finish, lines, show, workplace, write_csv

from finora import Finora, ImportRequest, Job, Scope, Settings
from finora_core.categories.rules.actions import actions_of
from finora_core.categories.rules.conditions import condition_of
from finora_core.categories.rules.model import Rule, RuleRun
from finora_core.kernel.ids import new_id

LIMIT_S = 1.0
ONE = {
    "contains": {"field": "counterparty", "op": "contains", "value": "bakery"},
    "regex": {"field": "description", "op": "regex", "value": r"(card|direct) \w+ .*\d\d"},
    "tree": {
        "all": [
            {"any": [
                {"field": "counterparty", "op": "starts", "value": "rail"},
                {"field": "counterparty", "op": "contains", "value": "garage"}]},
            {"field": "amount_abs", "op": "gt", "value": "20"},
            {"none": [{"field": "category", "op": "equals", "value": "Travel"}]},
        ]
    },
    "all": {"all": []},
}  # fmt: skip


def rule(condition: object, place: int = 0) -> Rule:
    return Rule(
        id=new_id(),
        name=f"rule {place}",
        condition=condition_of(condition),
        actions=actions_of([{"op": "set", "field": "category", "value": f"Shops:{place % 40}"}]),
        priority=place,
    )


def imported(finora: Finora, folder: Path, rows: int) -> Scope:
    scope = finora.scope(tenant=f"rows-{rows}", user="bench")
    path = folder / f"{rows}.csv"
    write_csv(path, lines(rows))
    result = finora.import_file(scope, path, ImportRequest(account="Giro", currency="EUR"))
    if isinstance(result, Job):
        raise SystemExit(f"the import was refused: {result.message}")
    return scope


def done(run: RuleRun | Job) -> RuleRun:
    if isinstance(run, Job):
        raise SystemExit(f"{run.state}: {run.message}")
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rules", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    figures: list[tuple[str, float, int]] = []
    with workplace() as folder, Finora.open(Settings(data=folder / "data")) as finora:
        scope = imported(finora, folder, asked.rows)

        def note(what: str, seconds: float, matched: int) -> None:
            figures.append((what, seconds, matched))

        def preview(what: str, draft: Rule | None) -> float:
            times, matched = [], 0
            for _ in range(asked.repeat):
                watch = Watch()
                matched = finora.rules.preview(scope, draft=draft).matched
                times.append(watch.lap())
            note(f"preview, {what}", statistics.median(times), matched)
            return statistics.median(times)

        worst = max(preview(what, rule(condition)) for what, condition in ONE.items())
        words = [f"{trade} {place}" for trade in ("bakery", "market", "rail", "gym", "books")
                 for place in ("wien", "praha", "lyon", "gdynia", "köln")]  # fmt: skip
        finora.rules.add_all(
            scope,
            [
                rule({"field": "counterparty", "op": "contains",
                      "value": f"{words[n % len(words)]} {n}"}, n)
                for n in range(asked.rules)
            ],
        )  # fmt: skip
        book = preview(f"{asked.rules} rules", None)
        every = rule(ONE["all"], 99)
        finora.rules.create(scope, every)
        watch = Watch()
        run = done(finora.run_rules(scope))
        note(f"run of {asked.rules + 1} rules", watch.lap(), run.changed)
        undone = done(finora.undo_rules(scope, run.id))
        note("undo of it", watch.lap(), undone.restored)
    show(("what", "seconds", "matched"), figures)
    finish(
        rows=asked.rows,
        preview_s=worst,
        ratio_to_limit=worst / LIMIT_S,
        book_s=book,
        run_s=figures[-2][1],
        undo_s=figures[-1][1],
    )


if __name__ == "__main__":
    main()
