"""Everything of one person, row by row, for a copy to take along.

Every table with rows of a person or a tenant is either in `EXPORTED`, with the columns that are
left out, or in `KEPT_BACK`, with the reason; a test knows no third.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Table, select, text

from finora_adapters.postgres.schema import MoneyUnits, metadata, secret, token
from finora_adapters.postgres.streams import streamed
from finora_adapters.postgres.warrants import Warrants

EXPORTED: Mapping[str, frozenset[str]] = {
    "person": frozenset({"key", "password", "codes", "code_step"}),
    "identity": frozenset(),
    "address": frozenset(),
    "session": frozenset({"generation"}),
    "challenge": frozenset(),
    "tenant": frozenset({"key"}),
    "membership": frozenset(),
    "token": frozenset({"digest"}),
    "secret": frozenset(),
    "invite": frozenset(),
    "account": frozenset(),
    "account_number": frozenset(),
    "balance": frozenset(),
    "entry": frozenset({"tx"}),
    "posting": frozenset(),
    "hold": frozenset(),
    "hold_end": frozenset(),
    "label": frozenset({"tx"}),
    "label_part": frozenset(),
    "category": frozenset(),
    "profile": frozenset(),
    "statement_import": frozenset(),
    "record": frozenset(),
    "revision": frozenset(),
    "decision": frozenset(),
    "review_setting": frozenset(),
    "reprocess": frozenset(),
    "sighting": frozenset(),
    "observation": frozenset(),
    "opening": frozenset(),
    "closing": frozenset({"tx"}),
    "report": frozenset(),
    "rule_group": frozenset(),
    "rule": frozenset(),
    "rule_run": frozenset(),
    "rule_change": frozenset(),
    "model_use": frozenset(),
    "stored_file": frozenset(),
    "receipt": frozenset(),
    "budget": frozenset(),
    "budget_limit": frozenset(),
    "budget_alert": frozenset(),
    "goal": frozenset(),
    "goal_share": frozenset(),
    "recurring_verdict": frozenset(),
    "portfolio_account": frozenset(),
    "activity": frozenset(),
    "activity_end": frozenset(),
    "holding_choice": frozenset(),
    "holding_observation": frozenset(),
    "own_asset": frozenset(),
    "own_price": frozenset(),
    "data_plan": frozenset(),
    "data_use": frozenset(),
    "event": frozenset({"tx"}),
    "job": frozenset({"error", "epoch", "lease_until", "announced_at"}),
}
KEPT_BACK: Mapping[str, str] = {
    "secret_field": "sealed credentials of third parties: a copy of everything must not open them",
    "data_key": "keys of those credentials",
    "command": "answers kept for repeated requests, of rows that are here themselves",
    "seal": "the chain over events, which proves something only beside the anchors",
    "total": "sums of postings, which are here",
    "version": "a counter",
    "portfolio_day": "figures made of activities and prices, which are here",
    "portfolio_history": "how far those figures are made",
    "embedding": "numbers made of texts of records, which are here",
    "period": "schedules, which no person has",
}
ELSEWHERE: Mapping[str, Table] = {"token": token, "secret": secret}
"""What a person has in tenants of others."""

_BATCH = 500
_MINE = text("select * from finora.my_tenants()")


@attrs.frozen
class PgBelongings:
    connection: Connection
    tenant_id: UUID
    user_id: UUID
    warrants: Warrants

    def sections(self) -> Sequence[str]:
        return (*EXPORTED, "tenants", *(f"{name}_elsewhere" for name in ELSEWHERE))

    def rows(self, section: str) -> Iterator[Mapping[str, object]]:
        if section == "tenants":
            for row in self._tenants():
                yield dict(row)
        elif section in EXPORTED:
            yield from self._of(metadata.tables[f"finora.{section}"])
        else:
            table = ELSEWHERE[section.removesuffix("_elsewhere")]
            others = [row["tenant_id"] for row in self._tenants()]
            for tenant_id in others:
                if tenant_id != self.tenant_id:
                    yield from self._there(table, tenant_id)

    def _tenants(self) -> Sequence[Mapping[str, Any]]:
        return [dict(row) for row in self.connection.execute(_MINE).mappings()]

    def _there(self, table: Table, tenant_id: UUID) -> Iterator[Mapping[str, object]]:
        """Rows that are the person's in a tenant of others."""
        self.warrants.be(self.connection, tenant_id, self.user_id)
        mine = table.c.user_id == self.user_id
        found = list(self._read(table, table.c.tenant_id == tenant_id, mine, but={"digest"}))
        self.warrants.be(self.connection, self.tenant_id, self.user_id)
        return iter(found)

    def _of(self, table: Table) -> Iterator[Mapping[str, object]]:
        tenants = "tenant_id" in table.columns
        own = table.c.tenant_id == self.tenant_id if tenants else table.c.user_id == self.user_id
        return self._read(table, own, but=EXPORTED[table.name])

    def _read(
        self, table: Table, *where: Any, but: Collection[str]
    ) -> Iterator[Mapping[str, object]]:
        shown = [column for column in table.columns if column.name not in but]
        forms = [_form(column.type) for column in shown]
        query = select(*shown).where(*where).order_by(*table.primary_key.columns)
        with streamed(self.connection, query, batch=_BATCH) as rows:
            for row in rows:
                values = zip(shown, forms, row, strict=True)
                yield {column.name: form(value) for column, form, value in values}


def _form(kind: object) -> Callable[[Any], object]:
    # JavaScript would round a larger number.
    return _as_text if isinstance(kind, MoneyUnits) else _plain


def _as_text(units: int | None) -> str | None:
    return None if units is None else str(units)


def _plain(value: Any) -> object:
    return value.hex() if isinstance(value, bytes | memoryview) else value
