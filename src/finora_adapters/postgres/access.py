"""Who may do what: roles, grants, and one policy per table and role. Deny by default.

`api` and `worker` run the use cases: they own nothing, bypass nothing, and see the rows of the
tenant that `begin` set, with its warrant. `control`, with one of its own, sees all tenants, on
jobs, events, seals and commands only.
`eraser` deletes what is a person's or a tenant's, facts too, and reads nothing but whose a row is.
`migrator` owns the schema; its definer functions meet the same row security.
"""

from collections.abc import Iterator

import attrs

from finora_adapters.postgres.schema import SCHEMA, metadata

MIGRATOR, API, WORKER, CONTROL = "finora_migrator", "finora_api", "finora_worker", "finora_control"
ERASER = "finora_eraser"
ROLES = (MIGRATOR, API, WORKER, CONTROL, ERASER)
RUNTIME = (API, WORKER)
TAKEN = (*RUNTIME, CONTROL, ERASER)
"""What the login of a process takes, a transaction at a time."""

GLOBAL = frozenset({
    "asset", "schema_state", "seal_mark", "paused_queue", "guess", "key_version", "signing_key",
    "nonce", "fx_rate", "price", "price_pair", "price_load", "price_absence", "price_action",
    "asset_identity", "asset_name", "asset_verdict", "warrant_key",
})  # fmt: skip
PEOPLE = frozenset({"person", "identity", "session", "challenge", "address"})
"""Whose rows belong to a person, and to no tenant."""

# In a select of their own, so that they are found once a statement and not once a row.
OWN_TENANT = f"tenant_id = (select {SCHEMA}.finora_tenant())"
OWN_USER = f"user_id = (select {SCHEMA}.finora_user())"
OF_CONTROL = f"(select {SCHEMA}.finora_control())"
EVERY = "true"

# The database says when, and in which transaction, a row was written; its writer cannot.
_STAMPS = frozenset({
    "tx", "recorded_at", "opened_at", "created_at", "taken_at", "paused_at", "first_used_at",
    "erased_at", "decided_at", "built_at",
})  # fmt: skip

_READ_ADD = "select, insert"
_RUNTIME_GRANTS = {
    "asset": _READ_ADD,
    "fx_rate": _READ_ADD,
    "price": _READ_ADD,
    "price_pair": _READ_ADD,
    "price_load": _READ_ADD,
    "price_absence": _READ_ADD,
    "price_action": _READ_ADD,
    "asset_identity": _READ_ADD,
    "asset_name": _READ_ADD,
    "asset_verdict": _READ_ADD,
    "schema_state": "select",
    "tenant": "select, insert, update (name, base_asset)",
    "person": "select, insert, update (name, locale, currency, roles, password, codes, code_step, "
    "banned_at, preferences)",
    "membership": "select, insert, delete, update (role)",
    "invite": "select, insert, update (accepted_at, withdrawn_at)",
    "identity": "select, insert, delete, update (label, data, verified_at, used_at)",
    "session": "select, insert, update (agent, network, seen_at, proven_at, generation, "
    "rotated_at, ended_at, reason)",
    "challenge": "select, insert, update (used_at, tries)",
    "address": "select, insert, delete, update (label, name, lines, city, region, postal_code, "
    "country, phone, is_default)",
    "nonce": "insert",
    "event": _READ_ADD,
    "seal": "select",
    "command": _READ_ADD,
    "job": "select, insert, update (state, attempts, result, done_parts, run_at, finished_at, "
    "dismissed_at, announced_at)",
    "token": "select, insert, update (revoked_at)",
    "key_version": _READ_ADD,
    "signing_key": "select",
    "data_key": "select, insert, delete, update (kek_version, wrapped)",
    "secret": "select, insert, delete, update (type, version, is_active, changed_at, last_used_at, "
    "expires_at, sync_blocked_until, failures)",
    "secret_field": "select, insert, delete, update (data_key_id, nonce, content)",
    "version": "select, insert, update (number, changed_at)",
    "period": _READ_ADD,
    "stored_file": "select, insert, delete, update (key, media_type, bytes, sha256, state, reason, "
    "expires_at)",
    "account": _READ_ADD,
    "balance": "select",
    "entry": _READ_ADD,
    "posting": _READ_ADD,
    "hold": _READ_ADD,
    "hold_end": _READ_ADD,
    "label": _READ_ADD,
    "label_part": _READ_ADD,
    "category": "select, insert, update (note, archived_at)",
    "total": "select",
    "account_number": _READ_ADD,
    "profile": "select, insert, update (answers, account_id)",
    "statement_import": "select, insert, update (result)",
    "record": "select, insert, update (account_id, on_date, units, asset, description, "
    "counterparty, merchant_key, bank_id, bank_state, status, void, edited, entry_id, "
    "reasoning_trace, merchant, note, tags, locked, suggested, confidence, decisions, reviewed_at)",
    "decision": _READ_ADD,
    "review_setting": "select, insert, update (similar_auto, similar_suggested, model_auto, "
    "ask_model, separate_duties)",
    "reprocess": "select, insert, update (after, counts)",
    "revision": "select",
    "sighting": _READ_ADD,
    "observation": _READ_ADD,
    "opening": _READ_ADD,
    "closing": _READ_ADD,
    "report": "select, insert, update (file_id, finished_at, expires_at)",
    "receipt": "select, insert, delete, update (record_id)",
    "budget": "select, insert, delete, update (name, category, rollover)",
    "budget_limit": "select, insert, delete",
    "budget_alert": _READ_ADD,
    "goal": "select, insert, delete, update (name, units, by_date, reached_at)",
    "goal_share": "select, insert, delete",
    "recurring_verdict": "select, insert, delete, update (verdict, said_by, said_at)",
    "rule_group": "select, insert, delete, update (name, priority, stop)",
    "rule": "select, insert, delete, update (group_id, name, condition, actions, priority, "
    "continues, active, hits, last_hit_at)",
    "rule_run": "select, insert, update (state, last_id, examined, matched, changed, locked, "
    "restored, kept)",
    "rule_change": "select, insert, update (kind)",
    "model_use": "select, insert, update (state, model, tokens_in, tokens_out, cost_micros, "
    "settled_at)",
    "embedding": _READ_ADD,
    "portfolio_account": "select, insert, update (hidden)",
    "activity": _READ_ADD,
    "activity_end": _READ_ADD,
    "holding_choice": "select, insert, update (included)",
    "holding_observation": _READ_ADD,
    "own_asset": _READ_ADD,
    "own_price": _READ_ADD,
    "portfolio_day": "select, insert, delete",
    "portfolio_history": "select, insert, delete, update (built_through, loads, rates)",
    "data_plan": "select, insert, update (monthly, requests, seconds, blocked_at)",
    "data_use": _READ_ADD,
}
_CONTROL_GRANTS = {
    "schema_state": "select",
    "event": "select",
    "seal": _READ_ADD,
    "seal_mark": "select, update (below)",
    "nonce": "select (expires_at), delete",
    "job": "select, delete, update (state, attempts, max_attempts, run_at, lease_until, epoch, "
    "done_parts, all_parts, result, reason, message, error, started_at, finished_at, "
    "dismissed_at, announced_at)",
    "command": "select, delete",
    "version": "select",
    "paused_queue": "select, insert, delete",
    "stored_file": "select, delete",
    "statement_import": "select",
    "guess": "select, delete",
    "session": "select, delete",
    "challenge": "select, delete",
    "invite": "select (expires_at), delete",
    "key_version": "select, insert (version, check_value)",
    # Made, replaced and moved here only: what runs a use case can read them and not add one.
    "signing_key": "select, insert (kid, kek_version, wrapped, retires_at), delete, "
    "update (kek_version, wrapped, retires_at)",
    # How many there are and how old; of no use to unwrap.
    "data_key": "select (tenant_id, id, kek_version, created_at)",
}
# Beside `select` of whose a row is, and `delete`, on every table of a tenant or a person.
_ERASER_GRANTS = {
    "person": "select (user_id), update (home_id, name, locale, currency, roles, password, codes, "
    "code_step, banned_at, preferences, erased_at)",
    "version": "select (tenant_id, number), insert (tenant_id, number, closed), "
    "update (number, changed_at, closed)",
    "membership": "select (tenant_id, user_id), delete",
    "invite": "select (tenant_id, id, email), delete",
    "command": "select (tenant_id, user_id, reply), delete",
}


@attrs.frozen
class Policy:
    table: str
    role: str
    condition: str

    @property
    def name(self) -> str:
        return f"{self.table}_{self.role.removeprefix('finora_')}"

    @property
    def sql(self) -> str:
        where = f"using ({self.condition}) with check ({self.condition})"
        return f"create policy {self.name} on {SCHEMA}.{self.table} to {self.role} {where}"


def grants() -> dict[tuple[str, str], str]:
    """(table, role) -> what the role may do."""
    runtime = {
        (table, role): _unstamped(table, rights)
        for table, rights in _RUNTIME_GRANTS.items()
        for role in RUNTIME
    }
    control = {(table, CONTROL): rights for table, rights in _CONTROL_GRANTS.items()}
    return (
        runtime
        | control
        | {
            (table, ERASER): _ERASER_GRANTS.get(table, f"select ({_owner(table)}), delete")
            for table in _owned()
        }
    )


def _owned() -> Iterator[str]:
    """The tables whose rows are a tenant's or a person's."""
    return (name for name in sorted(t.name for t in metadata.tables.values()) if name not in GLOBAL)


def _owner(table: str) -> str:
    return "user_id" if table in PEOPLE else "tenant_id"


def _unstamped(table: str, rights: str) -> str:
    columns = [column.name for column in metadata.tables[f"{SCHEMA}.{table}"].columns]
    if not _STAMPS.intersection(columns):
        return rights
    given = ", ".join(name for name in columns if name not in _STAMPS)
    return rights.replace("insert", f"insert ({given})")


def policies() -> Iterator[Policy]:
    """One for every table of a tenant or a person and every role that is granted anything on it."""
    # Definer functions look these up before a tenant or a person is known.
    found_by_key = {"tenant", "person", "membership", "identity"}
    for name in _owned():
        own = OWN_USER if name in PEOPLE else OWN_TENANT
        yield Policy(name, MIGRATOR, EVERY if name in found_by_key else own)
        for role in RUNTIME:
            yield Policy(name, role, own)
        if (name, CONTROL) in grants():
            yield Policy(name, CONTROL, OF_CONTROL)
        # An invitation knows its person by an address only, in whatever tenant it is.
        yield Policy(name, ERASER, EVERY if name == "invite" else own)


def statements() -> Iterator[str]:
    """The SQL that gives each role its rights, and no other role any."""
    yield f"revoke all on schema {SCHEMA} from public"
    yield f"grant usage on schema {SCHEMA} to {', '.join(TAKEN)}"
    for (table, role), rights in sorted(grants().items()):
        yield f"grant {rights} on {SCHEMA}.{table} to {role}"
    for policy in policies():
        yield policy.sql
    for table in sorted({policy.table for policy in policies()}):
        yield f"alter table {SCHEMA}.{table} enable row level security"
        yield f"alter table {SCHEMA}.{table} force row level security"
