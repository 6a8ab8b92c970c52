"""How long records take through rules and likeness, by one worker, and how long one takes.

    python benchmarks/pipeline.py --rows 100000

Made-up records of 500 merchants are imported. People decided about the records of half of them, so
that half of the rest is found by memory; the others are compared with what they decided. A hundred
rules are asked first, of which a few match. No model is asked.
"""

import argparse
import statistics
from datetime import date

import attrs
from common import Watch, finish, lines, show, workplace, write_csv

from finora import Amount, Finora, ImportRequest, Job, NewRecord, Settings, currency
from finora_core.categories.approvals.model import BulkAction
from finora_core.categories.rules.actions import Tags
from finora_core.categories.rules.conditions import Test
from finora_core.categories.rules.model import Rule
from finora_core.kernel.ids import new_id

BAR_S = 60.0
BAR_ONE_MS = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--ones", type=int, default=200)
    asked = parser.parse_args()
    with workplace() as folder, Finora.open(Settings(data=folder / "data")) as finora:
        scope = finora.scope(tenant="bench", user="bench")
        path = folder / "a.csv"

        def load(count: int, seed: int) -> None:
            write_csv(path, lines(count, seed))
            result = finora.import_file(scope, path, ImportRequest(account="G", currency="EUR"))
            if isinstance(result, Job):
                raise SystemExit(f"the import was refused: {result.message}")

        # The same merchants come with both seeds' lines: their names are drawn first.
        load(1_000, 1)
        finora.run_jobs()
        taught: set[str] = set()
        for record in finora.review.queue(scope, limit=1_000).items:
            if record.merchant_key not in taught and len(taught) < 250:
                taught.add(record.merchant_key)
                finora.review.bulk(
                    scope, BulkAction.OVERRIDE, [record.id], category=f"C{len(taught) % 20}"
                )
        finora.rules.add_all(scope, [
            Rule(id=new_id(), name=f"rule {number}", continues=True,
                 condition=Test("description", "contains", f"order {number:04}"),
                 actions=(Tags((f"order-{number}",), add=True),))
            for number in range(100)
        ])  # fmt: skip
        finora.review.change_settings(scope, ask_model=False)
        load(asked.rows, 1)
        watch = Watch()
        ended = finora.run_jobs()
        whole_s = watch.lap()
        giro = next(a for a in finora.ledger.accounts(scope) if a.name == "G")
        once, with_job = [], []
        for number in range(asked.ones):
            amount = Amount(-100 - number, currency("EUR"))
            new = NewRecord(account_id=giro.id, on_date=date(2026, 1, 1), amount=amount,
                            description=f"Shop {number}")  # fmt: skip
            record = finora.records.create(scope, new)
            watch = Watch()
            finora.pipeline.run(scope, {"record": str(record.id)}, lambda *_: None)
            once.append(watch.lap() * 1000)
            finora.records.create(scope, attrs.evolve(new, description=f"Market {number}"))
            watch = Watch()
            finora.run_jobs()
            with_job.append(watch.lap() * 1000)
        auto = sum(
            row.auto for row in finora.review.accuracy(scope, date(2026, 1, 1), date(2035, 1, 1))
        )
        one_ms, job_ms = statistics.median(once), statistics.median(with_job)
        show(("what", "figure", "bar"), (
            (f"{asked.rows} records, s", whole_s, BAR_S), ("jobs", ended["done"], None),
            ("decided alone", auto, None), ("one record, ms", one_ms, BAR_ONE_MS),
            ("with all jobs that it makes, ms", job_ms, None),
        ))  # fmt: skip
        finish(rows=asked.rows, seconds=whole_s, one_p50_ms=one_ms, jobs_p50_ms=job_ms, auto=auto)


if __name__ == "__main__":
    main()
