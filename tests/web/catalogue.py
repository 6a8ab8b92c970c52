"""One good request for every route, over things of a tenant of which there is one of each kind.

Tests that hold for every route go through this; a new route without an entry fails them all.
"""

import json
from typing import Any

import attrs
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from finora import Finora, Scope
from web.api import Api, euros

CSV = b"Date,Amount,Description\n2026-01-30,-4.50,Bakery\n2026-01-31,1200.00,Salary\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
DAY = "2026-01-31"


@attrs.frozen(kw_only=True)
class Asked:
    """A request. `content` is that of an upload, which has no body."""

    method: str
    path: str
    status: int = 200
    query: dict[str, Any] = attrs.field(factory=dict)
    body: Any = None
    content: bytes | None = None

    def by(self, api: Api, **more: Any) -> TestResponse:
        headers = dict(more.pop("headers", {}))
        if self.content is not None:
            headers["Content-Type"] = "application/octet-stream"
        given = {"query": self.query, "raw": self.content, "body": self.body} | more
        return api.ask(self.method, self.path, headers=headers, **given)


@attrs.frozen(kw_only=True)
class World:
    """Ids of one tenant's things; `word` is in every text of it."""

    word: str
    account_id: str
    second_account: str
    entry_id: str
    record_id: str
    other: str
    """The record at the other end of a transfer."""
    import_id: str
    job_id: str
    """Waits."""
    refused_job: str
    file_id: str
    announced_file: str
    token_id: str
    credential_id: str
    actor: str

    @classmethod
    def of(cls, api: Api, finora: Finora, scope: Scope, word: str) -> "World":
        account, second = api.open(f"{word} one", asset="EUR"), api.open(f"{word} two", asset="EUR")
        postings = [{"account_id": account, "amount": euros("-1.00")},
                    {"account_id": second, "amount": euros("1.00")}]  # fmt: skip
        entry = api.post("/entries", {"postings": postings, "on_date": DAY, "reference": word})
        said = {"description": word, "counterparty": word, "category": word}
        record = api.enter(account, DAY, "-2.00", **said)
        other = api.enter(second, DAY, "2.00", **said)
        refused = api.upload("/imports", word.encode(), 202, query={"name": f"{word}.bin"})
        finora.run_jobs()
        query = {"name": f"{word}.csv", "account": account}
        taken = api.upload("/imports", CSV, 202, query=query)
        file = api.upload("/files", PNG, 201, query={"name": f"{word}.png"})
        announced = {"name": f"{word}.png", "size": len(PNG)}
        credential = {"institution": word, "fields": {"api_key": "k"}}
        return cls(
            word=word,
            account_id=account,
            second_account=second,
            entry_id=entry["id"],
            record_id=record["id"],
            other=other["id"],
            import_id=taken["import_id"],
            job_id=taken["job_id"],
            refused_job=refused["job_id"],
            file_id=file["id"],
            announced_file=api.post("/files/announcements", announced)["file"]["id"],
            token_id=str(finora.tokens.create(scope, word).token.id),
            credential_id=api.post("/credentials", credential, 200)["id"],
            actor=str(scope.user_id),
        )

    def requests(self) -> dict[str, Asked]:
        """By the name of the route. Each alone is good; one may undo what another is about."""
        record, file = f"/records/{self.record_id}", f"/files/{self.file_id}"
        account = f"/accounts/{self.account_id}"
        legs = [{"account_id": self.account_id, "amount": euros("-1.00")},
                {"account_id": self.second_account, "amount": euros("1.00")}]  # fmt: skip
        new = {"account_id": self.account_id, "on_date": DAY, "amount": euros("-3.00"),
               "description": "x", "counterparty": "y", "category": "z",
               "type": "expense"}  # fmt: skip
        change = new | {"account_id": self.second_account, "revision": 0}
        del change["category"]
        entry = {"postings": legs, "on_date": DAY, "reference": "r"}
        statement = {"name": "a.csv", "account": self.account_id, "currency": "EUR"}
        days = {"since": DAY, "until": DAY}
        credential = {"institution": "broker", "type": "password",
                      "fields": {"name": "ada", "password": "p"},
                      "expires_at": "2099-01-31T00:00:00Z"}  # fmt: skip
        return {
            "list_accounts": _get("/accounts"),
            "open_account": _post("/accounts", {"name": "new", "asset": "EUR", "floor": "-5"}, 201),
            "get_account": _get(account),
            "list_balances": _get(f"{account}/balances"),
            "account_statement": _get(f"{account}/statement", **days),
            "post_entry": _post("/entries", entry, 201),
            "get_entry": _get(f"/entries/{self.entry_id}"),
            "reverse_entry": _post(f"/entries/{self.entry_id}/reversal", None, 201),
            "trial_balance": _get("/trial-balance", on=DAY, known_at=f"{DAY}T00:00:00Z"),
            "balance_sheet": _get("/balance-sheet", on=DAY, known_at=f"{DAY}T00:00:00Z"),
            "list_records": _get("/records", account_id=self.account_id, **days),
            "create_record": _post("/records", new, 201),
            "get_record": _get(record),
            "change_record": Asked(method="PATCH", path=record, body=change),
            "delete_record": Asked(method="DELETE", path=record),
            "categorise_record": _post(f"{record}/category", {"category": "c"}),
            "link_transfer": _post(f"{record}/transfer", {"other": self.other, "linked": True}),
            "import_statement": Asked(
                method="POST", path="/imports", status=202, query=statement, content=CSV
            ),
            "preview_statement": Asked(
                method="POST", path="/imports/preview", query=statement, content=CSV
            ),
            "get_import": _get(f"/imports/{self.import_id}"),
            "wallet_summary": _get("/wallet/summary", period="year"),
            "wallet_cashflow": _get("/wallet/cashflow", **days),
            "wallet_networth": _get("/wallet/networth", months="2"),
            "list_jobs": _get("/jobs", state="waiting"),
            "get_job": _get(f"/jobs/{self.job_id}"),
            "replay_job": _post(f"/jobs/{self.refused_job}/replay"),
            "cancel_job": _post(f"/jobs/{self.job_id}/cancel"),
            "dismiss_job": _post(f"/jobs/{self.refused_job}/dismiss"),
            "list_files": _get("/files", limit="10"),
            "keep_file": Asked(
                method="POST", path="/files", status=201, query={"name": "b.png"}, content=PNG
            ),
            "announce_file": _post("/files/announcements", {"name": "c.png", "size": 9}, 201),
            "upload_file": Asked(
                method="POST", path=f"/files/{self.announced_file}/content", content=PNG
            ),
            "confirm_file": _post(f"/files/{self.file_id}/confirmation"),
            "get_file": _get(file),
            "download_file": _get(f"{file}/content"),
            "delete_file": Asked(method="DELETE", path=file),
            "list_tokens": _get("/tokens"),
            "revoke_token": _post(f"/tokens/{self.token_id}/revocation"),
            "list_credentials": _get("/credentials"),
            "put_credential": _post("/credentials", credential),
            "remove_credential": Asked(method="DELETE", path=f"/credentials/{self.credential_id}"),
            "list_events": _get("/events", type="account.opened", since=f"{DAY}T00:00:00Z",
                                until="2100-01-01T00:00:00Z", actor=self.actor, after="0",
                                limit="10"),
            "verify_events": _get("/audit/verification", after="0"),
            "export_books": _get("/export", tool="hledger"),
        }  # fmt: skip


def _get(path: str, **query: str) -> Asked:
    return Asked(method="GET", path=path, query=query)


def _post(path: str, body: Any = None, status: int = 200) -> Asked:
    return Asked(method="POST", path=path, body=body, status=status)


@attrs.frozen
class Written:
    """What tenants have in the database: count and checksum of their rows in every table, but for
    the seals that upkeep puts under them."""

    admin: Engine
    tenants: tuple[object, ...]

    def digest(self) -> str:
        """Two that are equal have nothing written between them."""
        with self.admin.connect() as connection:
            names = connection.scalars(
                text(
                    "select c.table_name from information_schema.columns c "
                    "join information_schema.tables t using (table_schema, table_name) "
                    "where table_schema = 'finora' and column_name = 'tenant_id' "
                    "and table_type = 'BASE TABLE' and c.table_name <> 'seal' order by 1"
                )
            ).all()
            union = " union all ".join(
                f"select '{name}', count(*), md5(string_agg(t::text, ',' order by t::text)) "
                f"from finora.{name} t where tenant_id = any(:tenants)"
                for name in names
            )
            found = connection.execute(text(union), {"tenants": list(self.tenants)}).all()
            assert len(found) > 10
            return json.dumps([list(row) for row in found])
