"""What the clients were told, against what is in the books; and every invariant."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
from sqlalchemy import Connection, text

from finora_adapters.postgres.invariants import violations

_ENTRIES = text(
    "select e.reference, e.id::text from finora.entry e where e.tenant_id = :tenant "
    "and e.reference is not null and e.reference not like 'funds%'"
)
_RECORDS = text("select description from finora.record where tenant_id = :tenant and not void")
_IMPORTS = text("select id::text from finora.statement_import where tenant_id = :tenant")
_OPEN_JOBS = text(
    "select id, name, state, attempts, reason from finora.job where tenant_id = :tenant "
    "and state <> 'done'"
)


@attrs.define
class Write:
    """What its client knows of it."""

    kind: str
    lines: int
    ok: str | None = None
    refused: str | None = None
    tries: int = 0
    replayed: bool = False


def histories(files: Iterable[Path]) -> dict[str, Write]:
    writes: dict[str, Write] = {}
    for file in files:
        for line in file.read_text().splitlines():
            said = json.loads(line)
            if said.get("begin"):
                writes[said["key"]] = Write(said["kind"], said["lines"])
                continue
            write = writes[said["key"]]
            write.tries = said["tries"]
            write.ok, write.refused = said.get("ok"), said.get("refused")
            write.replayed = said.get("replayed", False)
    return writes


@attrs.frozen
class Report:
    seed: int
    faults: Counter[str]
    writes: dict[str, Write]
    swallowed: int
    wrong: list[str]
    """Everything that must not be; empty when all is well."""
    healed_s: float

    @property
    def acknowledged(self) -> int:
        return sum(write.ok is not None for write in self.writes.values())

    def __str__(self) -> str:
        writes = self.writes.values()
        faults = ", ".join(f"{count} x {name}" for name, count in sorted(self.faults.items()))
        said = (
            f"seed {self.seed}: {self.acknowledged} writes acknowledged "
            f"({sum(write.kind == 'bring' and write.ok is not None for write in writes)} imports), "
            f"{sum(write.refused is not None for write in writes)} refused, "
            f"{sum(write.tries > 1 for write in writes)} repeated, "
            f"{sum(write.replayed for write in writes)} of them had happened; "
            f"{self.swallowed} answers to COMMIT lost; {faults}; "
            f"all right again after {self.healed_s:.1f} s"
        )
        if len(self.wrong) > 20:
            said += f"; {len(self.wrong)} things are wrong, of which these are some"
        shown = [*self.wrong[:10], *self.wrong[10:][-10:]]
        return "\n".join([said, *(f"  WRONG {each}" for each in shown)])


def check(connection: Connection, tenant: Any, writes: dict[str, Write]) -> list[str]:
    """Everything that is wrong."""
    wrong = [f"{each.invariant}: {each.rows}" for each in violations(connection)]
    values = {"tenant": tenant}
    entries: dict[str, list[str]] = {}
    for reference, entry in connection.execute(_ENTRIES, values):
        entries.setdefault(reference, []).append(entry)
    records = Counter(connection.execute(_RECORDS, values).scalars())
    imports = set(connection.execute(_IMPORTS, values).scalars())
    for key, write in writes.items():
        if write.kind == "pay":
            wrong += _wrong_payment(key, write, entries.pop(key, []))
        else:
            wrong += _wrong_import(key, write, imports, records)
    wrong += [f"{key}: nobody asked for this entry" for key in entries]
    wrong += [f"{name}: a line of no file, {count} times" for name, count in records.items()]
    wrong += [f"not done: {tuple(row)}" for row in connection.execute(_OPEN_JOBS, values)]
    return wrong


def _wrong_payment(key: str, write: Write, found: list[str]) -> list[str]:
    if len(found) > 1:
        return [f"{key}: {len(found)} entries (after {write.tries} tries)"]
    if write.ok is not None and found != [write.ok]:
        return [f"{key}: acknowledged as {write.ok}, and there is {found}"]
    if write.refused is not None and found:
        return [f"{key}: refused with {write.refused}, and there is {found}"]
    return []


def _wrong_import(key: str, write: Write, imports: set[str], records: Counter[str]) -> list[str]:
    counts = [records.pop(f"{key}-{number}", 0) for number in range(write.lines)]
    if write.ok is None:
        # All of it or nothing, whether its client knows or not.
        known = len(set(counts)) == 1 and counts[0] <= (write.refused is None)
        return [] if known else [f"{key}: its lines are there {counts} times"]
    if write.ok not in imports or set(counts) != {1}:
        return [f"{key}: acknowledged as {write.ok}, and its lines are there {counts} times"]
    return []
