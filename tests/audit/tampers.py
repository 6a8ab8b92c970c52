"""What somebody with the owner's rights may do to a tenant's log, at random; and the chain computed
once more, as they would."""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, text

from finora_core.kernel.ids import new_id


@attrs.frozen
class Within:
    """The database as seen from inside one open transaction, by its superuser."""

    connection: Connection

    @contextmanager
    def control(self) -> Iterator[Connection]:
        yield self.connection


@attrs.frozen
class Expected:
    """The number at which the change must be found; `ranged` where only anchors can tell, and then
    only between which of them."""

    what: str
    seq: int
    ranged: bool = False
    earlier: bool = False
    """The link before is not the one that was sealed, but for itself it is sound: an anchor of just
    that one tells."""


def link(previous: bytes, row: Any) -> bytes:
    """A link's hash, written again here as docs/audit.md says it."""
    sealed_at, at = (each.astimezone(UTC).isoformat() for each in (row.sealed_at, row.recorded_at))
    form = [2, row.seq, sealed_at, row.source_agent, str(row.tenant_id), str(row.id), row.type,
            row.payload, str(row.actor), row.request_id, at]  # fmt: skip
    said = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(previous + said.encode()).digest()


ROWS = """
select e.*, s.seq, s.sealed_at, s.hash from finora.seal s
join finora.event e on e.tenant_id = s.tenant_id and e.id = s.event_id
where s.tenant_id = :t order by s.seq
"""


@attrs.frozen
class Tamper:
    """One tenant's log in the hands of its owner. Every method changes something at a place of its
    choice, and says where the change must be found."""

    connection: Connection
    tenant: UUID
    choice: random.Random
    length: int
    """Links that there are."""
    anchored: int
    """Links up to the last anchor."""

    def run(self, sql: str, **values: object) -> int:
        given = {"t": self.tenant} | values
        return self.connection.execute(text(sql), given).rowcount

    def rows(self) -> list[Any]:
        return list(self.connection.execute(text(ROWS), {"t": self.tenant}))

    def row(self, seq: int) -> Any:
        return self.rows()[seq - 1]

    def place(self, first: int = 1, last: int | None = None) -> int:
        return self.choice.randint(first, last or self.length)

    # --- one byte ---

    def byte(self) -> Expected:
        table, column = self.choice.choice(COLUMNS)
        seq = self.place()
        row = self.row(seq)
        key = "id" if table == "event" else "event_id"
        while True:
            kind, old = KINDS[column], getattr(row, column, None)
            if table == "seal":
                found = self.connection.execute(
                    text(f"select {column} from finora.seal where event_id = :id"), {"id": row.id}
                )
                old = found.scalar()
            new, cast = kind(self.choice, old)
            if new is not None and not self._taken(column, new):
                break
        changed = self.run(
            f"update finora.{table} set {column} = {cast} where {key} = :id", id=row.id, new=new
        )
        assert changed == 1
        return Expected(f"a byte of {table}.{column}", seq)

    def _taken(self, column: str, new: object) -> bool:
        return column == "seq" and isinstance(new, int) and 1 <= new <= self.length

    # --- rows gone ---

    def delete_event(self) -> Expected:
        seq = self.place()
        self.run("delete from finora.event where id = :id", id=self.row(seq).id)
        return Expected("event deleted", seq)

    def delete_link(self) -> Expected:
        seq = self.place()
        self.run("delete from finora.seal where tenant_id = :t and seq = :s", s=seq)
        return Expected("link deleted", seq)

    def delete_both(self) -> Expected:
        # Of the very last one nobody knows, but the anchors.
        seq = self.place(1, self.anchored)
        self._delete(seq, seq)
        return Expected("event and link deleted", seq)

    def delete_and_close_the_gap(self) -> Expected:
        seq = self.place(1, self.anchored)
        self._delete(seq, seq)
        self._shift(seq, -1)
        return Expected("deleted and renumbered", seq)

    def _delete(self, first: int, last: int) -> None:
        ids = [row.id for row in self.rows()[first - 1 : last]]
        self.run("delete from finora.seal where event_id = any(:ids)", ids=ids)
        self.run("delete from finora.event where id = any(:ids)", ids=ids)

    def _shift(self, first: int, by: int) -> None:
        # Twice, so that no number is double on the way.
        for sql in ("set seq = -seq where seq >= :s", "set seq = -seq + :by where seq < 0"):
            self.run(f"update finora.seal {sql} and tenant_id = :t", s=first, by=by)

    # --- rows swapped ---

    def swap(self) -> Expected:
        one, two = sorted(self.choice.sample(range(1, self.length + 1), 2))
        a, b = self.row(one), self.row(two)
        what = self.choice.choice(("events", "numbers", "hashes", "contents", "all contents"))
        values = {"a": a.id, "b": b.id, "one": one, "two": two, "no": new_id()}
        match what:
            case "events":
                for old, new in ((":a", ":no"), (":b", ":a"), (":no", ":b")):
                    self.run(
                        f"update finora.seal set event_id = cast({new} as uuid) "
                        f"where event_id = {old}",
                        **{name[1:]: values[name[1:]] for name in (old, new)},
                    )
            case "numbers":
                for id_, seq in ((a.id, -1), (b.id, one), (a.id, two)):
                    self.run("update finora.seal set seq = :s where event_id = :id", id=id_, s=seq)
            case "hashes":
                for id_, value in ((a.id, b.hash), (b.id, a.hash)):
                    self.run("update finora.seal set hash = :h where event_id = :id",
                             id=id_, h=bytes(value))  # fmt: skip
            case "contents":
                self._write(a.id, payload=b.payload)
                self._write(b.id, payload=a.payload)
            case _:
                for id_, other in ((a.id, b), (b.id, a)):
                    self._write(id_, type=other.type, payload=other.payload, actor=other.actor,
                                request_id=other.request_id, recorded_at=other.recorded_at,
                                source_agent=other.source_agent)  # fmt: skip
        return Expected(f"{what} swapped", one)

    def _write(self, event: UUID, **values: Any) -> None:
        if "payload" in values:
            values["payload"] = json.dumps(values["payload"])
        sets = ", ".join(
            f"{name} = cast(:{name} as jsonb)" if name == "payload" else f"{name} = :{name}"
            for name in values
        )
        self.run(f"update finora.event set {sets} where id = :id", id=event, **values)

    # --- rows more ---

    def insert_event(self) -> Expected:
        """Before one that was sealed, as if it had always been there."""
        seq = self.place()
        self._copy(self.row(seq), UUID(int=self.row(seq).id.int - 1))
        return Expected("event inserted without a link", seq)

    def insert_both(self) -> Expected:
        """With any hash, or with the right one, which the link after it does not know."""
        seq = self.place(1, self.anchored)
        right = self.choice.random() < 0.5 and seq < self.length
        self._insert(seq)
        if not right:
            return Expected("event and link inserted", seq)
        self._recompute(seq, seq)
        return Expected("event and right link inserted", seq + 1, earlier=True)

    def _insert(self, seq: int) -> None:
        here = self.row(seq)
        self._shift(seq, 1)
        new = UUID(int=here.id.int - 1)
        self._copy(here, new)
        self.run(
            "insert into finora.seal (tenant_id, seq, event_id, tx, hash, sealed_at) "
            "select tenant_id, :s, :new, tx, sha256('x'), sealed_at from finora.seal "
            "where event_id = :id", s=seq, new=new, id=here.id)  # fmt: skip

    def _copy(self, row: Any, new: UUID) -> None:
        self.run(
            "insert into finora.event select (jsonb_populate_record(e, "
            "jsonb_build_object('id', cast(:new as uuid)))).* from finora.event e where id = :id",
            new=new, id=row.id)  # fmt: skip

    # --- the end cut off ---

    def truncate(self) -> Expected:
        seq = self.place(1, self.anchored)
        what = self.choice.choice(("events", "links", "both"))
        ids = [row.id for row in self.rows()[seq - 1 :]]
        if what != "events":
            self.run("delete from finora.seal where event_id = any(:ids)", ids=ids)
        if what != "links":
            self.run("delete from finora.event where id = any(:ids)", ids=ids)
        return Expected(f"{what} truncated", seq)

    # --- the whole chain again ---

    def recompute(self) -> Expected:
        seq = self.place(1, self.anchored)
        what = self.choice.choice(("change", "delete", "insert", "swap", "byte", "replace the end"))
        match what:
            case "delete":
                self._delete(seq, seq)
                self._shift(seq, -1)
            case "insert":
                self._insert(seq)
            case "swap":
                other = self.place(seq + 1)  # the end is not anchored
                a, b = self.row(seq), self.row(other)
                self._write(a.id, payload=b.payload | {"more": "1"})
                self._write(b.id, payload=a.payload)
            case "byte":
                self._write(self.row(seq).id, request_id=str(new_id()))
            case "replace the end":
                for each in range(seq, self.length + 1):
                    self._write(self.row(each).id, payload={"account": str(new_id())})
            case _:
                self._write(self.row(seq).id, payload={"account": str(new_id()), "kind": "asset"})
        self._recompute(seq)
        return Expected(f"recomputed after {what}", seq, ranged=True)

    def _recompute(self, first: int, last: int | None = None) -> None:
        rows = self.rows()
        previous = bytes(rows[first - 2].hash) if first > 1 else bytes(32)
        for row in rows[first - 1 : last]:
            previous = link(previous, row)
            self.run("update finora.seal set hash = :h where tenant_id = :t and seq = :s",
                     h=previous, s=row.seq)  # fmt: skip

    def any(self) -> Expected:
        acts: tuple[tuple[Callable[[], Expected], int], ...] = (
            (self.byte, 40), (self.delete_event, 5), (self.delete_link, 5), (self.delete_both, 5),
            (self.delete_and_close_the_gap, 5), (self.swap, 10), (self.insert_event, 4),
            (self.insert_both, 6), (self.truncate, 10), (self.recompute, 10),
        )  # fmt: skip
        [act] = self.choice.choices([act for act, _ in acts], [weight for _, weight in acts])
        return act()


# --- one byte of every kind of column ------------------------------------------------------------

Changed = tuple[object, str]
"""Another value and how it is written; None for the value where this byte cannot be changed."""


def _uuid(choice: random.Random, old: UUID) -> Changed:
    return UUID(int=old.int ^ choice.randint(1, 255) << 8 * choice.randrange(16)), ":new"


def _text(choice: random.Random, old: str) -> Changed:
    at = choice.randrange(len(old))
    new = choice.choice([c for c in "abcxyz019-._~ " if c != old[at]])
    return old[:at] + new + old[at + 1 :], ":new"


def _json(choice: random.Random, old: Any) -> Changed:
    said = json.dumps(old)
    at = choice.randrange(len(said))
    new = said[:at] + choice.choice("0123456789abcdefxyz{}[]:,. -") + said[at + 1 :]
    try:
        if json.dumps(json.loads(new)) == said:
            return None, ""
    except ValueError:
        return None, ""
    return new, "cast(:new as jsonb)"


def _instant(choice: random.Random, old: Any) -> Changed:
    # Eight bytes of microseconds; the upper ones lead out of Python's years, as they may.
    at = choice.randrange(8)
    by = choice.randint(1, 255) << 8 * at
    if at < 6:
        return old + timedelta(microseconds=by) * choice.choice((1, -1)), ":new"
    return choice.choice(("infinity", "-infinity", "20000-01-01", "0044-03-15 BC")), (
        "cast(:new as timestamptz)"
    )


def _bytes(choice: random.Random, old: bytes) -> Changed:
    at = choice.randrange(len(old))
    new = old[at] ^ choice.randint(1, 255)
    return bytes(old[:at]) + bytes([new]) + bytes(old[at + 1 :]), ":new"


def _number(choice: random.Random, old: int) -> Changed:
    new = old ^ choice.randint(1, 255) << 8 * choice.randrange(8)
    return (new if new < 1 << 63 else new - (1 << 64)), ":new"


def _xid(choice: random.Random, old: str) -> Changed:
    new = int(old) ^ choice.randint(1, 255) << 8 * choice.randrange(8)
    return str(new), "cast(:new as xid8)"


KINDS: dict[str, Callable[[random.Random, Any], Changed]] = {
    "tenant_id": _uuid, "id": _uuid, "event_id": _uuid, "actor": _uuid,
    "type": _text, "request_id": _text, "source_agent": _text, "payload": _json,
    "recorded_at": _instant, "sealed_at": _instant, "hash": _bytes, "seq": _number, "tx": _xid,
}  # fmt: skip
COLUMNS = [
    *(("event", name) for name in ("tenant_id", "id", "type", "payload", "actor", "request_id",
                                   "source_agent", "recorded_at", "tx")),
    *(("seal", name) for name in ("tenant_id", "seq", "event_id", "tx", "hash", "sealed_at")),
]  # fmt: skip
