"""How many transfers a second one account with a floor can take, against locking it first.

    python benchmarks/hot_account.py --posts 4000

Every thread pays out of the same account. The peer is the way that most programs do it: SELECT ...
FOR UPDATE of the balance, a check in Python, then the inserts one after another. It runs inside the
same `begin`, with the same event, tables and triggers; its postings go in one statement, since the
trigger takes no half of an entry. All sums are checked after every run.
"""

import argparse
import statistics
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import attrs
import psycopg
from common import LAST_DAY, Watch, finish, show, workplace
from sqlalchemy import insert, select

from finora import AccountKind, Amount, Entry, Finora, Posting, Scope, Settings, currency
from finora_adapters.embedded import open_engines
from finora_adapters.postgres import schema
from finora_adapters.postgres.work import PgWork
from finora_core.kernel.ids import new_id
from finora_core.ledger.model import EntriesPosted, InsufficientFunds

EUR = currency("EUR")
CENT = Amount(1, EUR)
TARGETS = 64
FUNDS = 10**12

Pay = Callable[[int], None]
"""Pays once, or one batch; the number tells its calls apart."""


@attrs.frozen
class Shop:
    """One hot account, and those that are paid from it."""

    finora: Finora
    scope: Scope
    hot: UUID
    targets: tuple[UUID, ...]

    @classmethod
    def open(cls, finora: Finora, name: str) -> "Shop":
        scope, ledger = finora.scope(tenant=name, user="bench"), finora.ledger
        world = ledger.open_account(scope, "World", AccountKind.OUTSIDE)
        hot = ledger.open_account(scope, "Hot", floor=0)
        targets = tuple(ledger.open_account(scope, f"Target {n}").id for n in range(TARGETS))
        ledger.transfer(scope, world.id, hot.id, Amount(FUNDS, EUR))
        return cls(finora, scope, hot.id, targets)

    def entry(self, number: int) -> Entry:
        target = self.targets[number % TARGETS]
        legs = (Posting(self.hot, -CENT), Posting(target, CENT))
        return Entry(id=new_id(), on_date=LAST_DAY, postings=legs)

    def transfer(self, number: int) -> None:
        self.finora.ledger.transfer(self.scope, self.hot, self.targets[number % TARGETS], CENT)

    def batch(self, size: int) -> Pay:
        def pay(number: int) -> None:
            entries = [self.entry(number + at) for at in range(size)]
            self.finora.ledger.post_many(self.scope, entries)

        return pay

    def lock_first(self, number: int) -> None:
        with self.finora.ledger.begin(self.scope) as work:
            assert isinstance(work, PgWork)  # a program of the other kind knows its database
            entry = self.entry(number)
            _lock_and_check(work, self.hot)
            work.events.record(EntriesPosted(entry.id, 1, entry.cause))
            _insert(work, entry)
            work.done(entry)

    def check(self, paid: int) -> None:
        held = {b.account.id: b.amount.units for b in self.finora.ledger.balances(self.scope)}
        found = (held[self.hot], sum(held.get(target, 0) for target in self.targets))
        if found != (FUNDS - paid, paid):
            raise SystemExit(f"wrong sums: {found}, not {(FUNDS - paid, paid)}")


def _lock_and_check(work: PgWork, account: UUID) -> None:
    balance = schema.balance.c
    query = (
        select(balance.available, balance.floor)
        .where(balance.tenant_id == work.scope.tenant_id, balance.account_id == account,
               balance.asset == EUR.id)
        .with_for_update()
    )  # fmt: skip
    row = work.connection.execute(query).one()
    if row.available - CENT.units < row.floor:
        raise InsufficientFunds("the account has not enough available")


def _insert(work: PgWork, entry: Entry) -> None:
    tenant = {"tenant_id": work.scope.tenant_id}
    head = {"id": entry.id, "on_date": entry.on_date, "cause": entry.cause}
    work.connection.execute(insert(schema.entry).values(tenant | head))
    legs = [
        {
            "entry_id": entry.id,
            "line": line,
            "account_id": leg.account_id,
            "asset": leg.amount.asset.id,
            "units": leg.amount.units,
            "on_date": entry.on_date,
        }
        for line, leg in enumerate(entry.postings)
    ]
    work.connection.execute(insert(schema.posting).values([tenant | leg for leg in legs]))


def rate(shop: Shop, pay: Pay, calls: int, each: int, threads: int) -> float:
    """Transfers a second of `calls` calls that transfer `each` times, and all sums right."""
    failed: list[BaseException] = []
    ready = threading.Barrier(threads + 1)

    def work(first: int) -> None:
        ready.wait()
        try:
            for number in range(first, calls, threads):
                pay(number)
        except BaseException as error:
            failed.append(error)
            raise

    workers = [threading.Thread(target=work, args=(first,)) for first in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    watch = Watch()
    for worker in workers:
        worker.join()
    seconds = watch.lap()
    if failed:
        raise SystemExit(f"a payment failed: {failed[0]}")
    shop.check(calls * each)
    return calls * each / seconds


def one_round(finora: Finora, number: int, asked: argparse.Namespace) -> dict[str, float]:
    def opened(way: str) -> Shop:
        # A tenant of its own for each run: what earlier runs left weighs on all of them alike.
        shop = Shop.open(finora, f"{way}-{number}")
        for _ in range(asked.threads):
            shop.finora.ledger.balances(shop.scope)
        return shop

    posts, threads, size = asked.posts, asked.threads, asked.batch
    rates = {}
    lock, single, many = opened("lock"), opened("single"), opened("many")
    ways = [
        ("lock", lambda: rate(lock, lock.lock_first, posts, 1, threads)),
        ("single", lambda: rate(single, single.transfer, posts, 1, threads)),
        ("batch", lambda: rate(many, many.batch(size), max(threads, posts // 20), size, threads)),
    ]
    # Turned round every other time, so that no way always comes after the same one.
    for way, run in ways if number % 2 else reversed(ways):
        rates[way] = run()
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--posts", type=int, default=2_000, help="transfers a run (2,000)")
    parser.add_argument("--threads", type=int, default=8, help="at once (8)")
    parser.add_argument("--batch", type=int, default=100, help="entries in one call (100)")
    parser.add_argument("--rounds", type=int, default=3, help="ratios are medians of these (3)")
    asked = parser.parse_args()
    if min(asked.posts, asked.threads, asked.batch, asked.rounds) < 1:
        parser.error("every figure is at least 1")
    with workplace() as folder:
        rounds = measured(folder / "data", asked)
    middle = {way: statistics.median(one[way] for one in rounds) for way in rounds[0]}
    ratios = {way: statistics.median(one[way] / one["lock"] for one in rounds) for way in rounds[0]}
    names = {"lock": "SELECT FOR UPDATE first", "single": "transfer",
             "batch": f"post_many of {asked.batch}"}  # fmt: skip
    show(
        ("way", "transfers/s", "against the lock"),
        [(name, middle[way], f"{ratios[way]:.2f}") for way, name in names.items()],
    )
    finish(
        threads=asked.threads,
        posts=asked.posts,
        batch=asked.batch,
        rounds=asked.rounds,
        lock_per_s=middle["lock"],
        single_per_s=middle["single"],
        batch_per_s=middle["batch"],
        ratio_single=ratios["single"],
        ratio_batch=ratios["batch"],
    )


def measured(data: Path, asked: argparse.Namespace) -> list[dict[str, float]]:
    settings = Settings(data=data, pool_size=asked.threads)
    with open_engines(data) as engines, Finora.open(settings) as finora:
        with psycopg.connect(engines.admin_dsn, autocommit=True) as admin:
            # Finora's roles may not lock balances; the peer must.
            admin.execute("grant update on finora.balance to finora_api")
        warm = Shop.open(finora, "warm")
        for pay in (warm.lock_first, warm.transfer):
            for call in range(asked.threads * 8):
                pay(call)
        return [one_round(finora, number, asked) for number in range(1, asked.rounds + 1)]


if __name__ == "__main__":
    main()
