"""Every route does over HTTP what it says."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from finora import Finora, Scope
from finora_web.api.table import ENDPOINTS
from web.api import Api, euros
from web.catalogue import CSV, PNG, Written


def test_every_route_that_is_not_about_signing_in_needs_a_permission() -> None:
    public = [each for each in ENDPOINTS if each.permission is None]
    assert [each.path for each in public if not each.path.startswith("/auth/")] == []
    # Where signing in begins, nobody is known yet; it ends for somebody who is.
    needing = [each for each in ENDPOINTS if each.path.startswith("/auth/") and each.permission]
    assert [each.name for each in needing] == ["logout", "step_up"]


@pytest.mark.spec("S2-24", partial=True)
def test_accounts(api: Api) -> None:
    giro = api.post("/accounts", {"name": "Giro", "asset": "EUR", "floor": "0"})
    assert giro["kind"] == "asset"
    assert giro["floor"] == "0"
    plain = api.post("/accounts", {"name": "Shop", "kind": "expense"})
    assert (plain["asset"], plain["floor"]) == (None, None)
    assert api.get(f"/accounts/{giro['id']}") == giro
    assert {each["name"] for each in api.get("/accounts")} == {"Giro", "Shop"}
    assert api.refused("POST", "/accounts", {"name": "Giro"}) == (409, "ACCOUNT_EXISTS")
    assert api.refused("POST", "/accounts", {"name": "x", "asset": "XXQ"})[1] == "UNKNOWN_ASSET"


def test_entries_balances_and_their_reversal(api: Api) -> None:
    giro, shop = api.open("Giro", floor="-5000"), api.open("Shop", kind="expense")
    postings = [
        {"account_id": giro, "amount": euros("-12.34")},
        {"account_id": shop, "amount": euros("12.34")},
    ]
    body = {"postings": postings, "on_date": "2026-01-31", "reference": "bill 7"}
    entry = api.post("/entries", body)
    assert entry["on_date"] == "2026-01-31"
    assert entry["reference"] == "bill 7"
    assert sorted(entry["postings"], key=str) == sorted(postings, key=str)
    assert api.get(f"/entries/{entry['id']}") == entry
    [balance] = api.get(f"/accounts/{giro}/balances")
    assert balance["amount"] == euros("-12.34")
    assert balance["held"] == euros("0.00")
    [line] = api.get(f"/accounts/{shop}/statement", since="2026-01-31", until="2026-01-31")
    assert (line["entry_id"], line["balance"]) == (entry["id"], euros("12.34"))
    trial = api.get("/trial-balance")
    assert trial["sums"] == {"EUR": euros("0.00")}
    sheet = api.get("/balance-sheet", on="2026-01-31")
    assert [each["amount"] for each in sheet["assets"]] == [euros("-12.34")]
    back = api.post(f"/entries/{entry['id']}/reversal")
    assert back["reverses"] == entry["id"]
    assert api.get(f"/accounts/{giro}/balances")[0]["amount"] == euros("0.00")
    assert api.refused("POST", f"/entries/{entry['id']}/reversal") == (409, "ALREADY_REVERSED")
    known = api.get("/trial-balance", known_at="2020-01-01T00:00:00Z")
    assert known == {"lines": [], "sums": {}}


def test_an_entry_that_breaks_a_rule_is_refused(api: Api) -> None:
    giro, shop = api.open("Giro", floor="0"), api.open("Shop", kind="expense")

    def post(*legs: tuple[str, str]) -> tuple[int, str]:
        postings = [{"account_id": where, "amount": euros(amount)} for where, amount in legs]
        return api.refused("POST", "/entries", {"postings": postings})

    assert post((giro, "-1.00"), (shop, "2.00")) == (400, "UNBALANCED")
    assert post((giro, "-1.00"), (shop, "1.00")) == (409, "INSUFFICIENT_FUNDS")
    assert post((giro, "-1.001"), (shop, "1.001")) == (400, "BAD_AMOUNT")


def test_a_statement_is_paged_without_gap_or_repeat(api: Api) -> None:
    giro, shop = api.open("Giro"), api.open("Shop", kind="expense")
    for number in range(1, 24):
        day = f"2026-01-{1 + number // 3:02}"
        postings = [
            {"account_id": giro, "amount": euros(f"-{number}.00")},
            {"account_id": shop, "amount": euros(f"{number}.00")},
        ]
        api.post("/entries", {"postings": postings, "on_date": day})
    whole = api.get(f"/accounts/{giro}/statement", limit=1000)
    pages = list(api.pages(f"/accounts/{giro}/statement", limit=5))
    assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
    assert list(itertools.chain(*pages)) == whole
    assert whole[-1]["balance"] == euros("-276.00")


@pytest.mark.spec("S2-26", partial=True)
def test_a_record_from_its_beginning_to_its_end(api: Api) -> None:
    giro = api.open("Giro", asset="EUR")
    record = api.enter(giro, "2026-01-05", "-4.50", counterparty="Bakery", category="food",
                       type="expense")  # fmt: skip
    assert (record["account"], record["category"], record["direction"]) == ("Giro", "food", "out")
    where = f"/records/{record['id']}"
    detail = api.get(where)
    assert detail["record"] == record
    changed = api.ask("PATCH", where, {"amount": euros("-5.00"), "revision": record["revision"]})
    assert changed.json["data"]["amount"] == euros("-5.00")
    stale = {"description": "late", "revision": record["revision"]}
    assert api.refused("PATCH", where, stale) == (409, "RECORD_CHANGED")
    assert api.post(f"{where}/category", {"category": "bread"}, 200)["category"] == "bread"
    assert len(api.get(where)["revisions"]) == 1
    assert api.get(f"/accounts/{giro}/balances")[0]["amount"] == euros("-5.00")
    gone = api.ask("DELETE", where)
    assert gone.json["data"]["void"] is True
    assert api.refused("DELETE", where) == (409, "RECORD_VOID")
    assert api.get("/records") == []
    assert [each["id"] for each in api.get("/records", with_void="true")] == [record["id"]]
    wrong = {"account_id": giro, "on_date": "2026-01-05", "amount": euros("1.00"),
             "description": "x", "type": "expense"}  # fmt: skip
    assert api.refused("POST", "/records", wrong) == (400, "BAD_RECORD")


def test_two_records_are_the_ends_of_a_transfer(api: Api) -> None:
    giro, savings = api.open("Giro", asset="EUR"), api.open("Savings", asset="EUR")
    out, into = api.enter(giro, "2026-01-05", "-50.00"), api.enter(savings, "2026-01-06", "50.00")
    ends = api.post(f"/records/{out['id']}/transfer", {"other": into["id"]}, 200)
    assert {ends["one"]["id"], ends["other"]["id"]} == {out["id"], into["id"]}
    flows = api.get("/wallet/cashflow", since="2026-01-01", until="2026-01-31")[0]["flows"]
    assert flows == []
    api.post(f"/records/{out['id']}/transfer", {"other": into["id"], "linked": False}, 200)
    flows = api.get("/wallet/cashflow", since="2026-01-01", until="2026-01-31")[0]["flows"]
    assert [each["net"] for each in flows] == [euros("0.00")]
    assert flows[0]["income"] == euros("50.00")


@pytest.mark.spec("S0-64", partial=True)
def test_records_are_filtered_and_paged_to_the_end_while_others_are_written(api: Api) -> None:
    giro, other = api.open("Giro", asset="EUR"), api.open("Other", asset="EUR")
    entered = [
        api.enter(
            giro, f"2026-01-{1 + number % 7:02}", f"-{number}.00", description=f"shop {number}"
        )
        for number in range(1, 32)
    ]
    far = api.enter(other, "2026-02-01", "7.00", counterparty="Employer", category="salary")
    pages = []
    for page in api.pages("/records", account_id=giro, limit=4):
        pages.append(page)
        api.enter(other, "2026-01-04", "-1.00")
    found = [each["id"] for each in itertools.chain(*pages)]
    assert sorted(found) == sorted(each["id"] for each in entered)
    days = [each["on_date"] for each in itertools.chain(*pages)]
    assert days == sorted(days, reverse=True)

    def ids(**query: Any) -> set[str]:
        return {each["id"] for each in api.get("/records", limit=1000, **query)}

    assert ids(since="2026-02-01") == ids(category="salary") == ids(text="EMPLOYER") == {far["id"]}
    assert ids(least="0.01", asset="EUR") == {far["id"]}
    assert ids(most="-31.00", asset="EUR") == {entered[-1]["id"]}
    assert ids(source="manual", bank_state="booked", until="2026-01-01") == {
        each["id"] for each in entered if each["on_date"] == "2026-01-01"
    }
    assert ids(status="needs_review") == set()
    assert api.refused("GET", "/records?least=1.00") == (400, "VALIDATION")
    assert api.refused("GET", "/records?cursor=abc") == (400, "BAD_CURSOR")


@pytest.mark.spec("S2-27")
@pytest.mark.spec("S0-34", partial=True)
@pytest.mark.parametrize("form", [False, True], ids=["body", "form"])
def test_a_statement_is_taken_in_by_its_job(api: Api, finora: Finora, form: bool) -> None:
    query = {"name": "january.csv", "account": "Giro", "currency": "EUR"}
    taken = api.upload("/imports", CSV, 202, form=form, query=query)
    assert api.get(f"/imports/{taken['import_id']}") == {"result": None}
    assert api.get(f"/jobs/{taken['job_id']}")["state"] == "waiting"
    finora.run_jobs()
    job = api.get(f"/jobs/{taken['job_id']}")
    assert (job["state"], job["result"]["added"]) == ("done", 2)
    result = api.get(f"/imports/{taken['import_id']}")["result"]
    assert (result["file"], result["added"], result["set_aside_count"]) == ("january.csv", 2, 0)
    assert {each["description"] for each in api.get("/records")} == {"Bakery", "Salary"}


@pytest.mark.spec("S0-34", partial=True)
@pytest.mark.parametrize("form", [False, True], ids=["body", "form"])
def test_a_preview_says_what_a_statement_holds_and_writes_nothing(
    api: Api, written: Written, form: bool
) -> None:
    bad = CSV + b"2026-02-30,1.00,no such day\n"
    before = written.digest()
    seen = api.upload("/imports/preview", bad, 200, form=form,
                      query={"name": "a.csv", "account": "Giro", "currency": "EUR"})  # fmt: skip
    assert written.digest() == before
    assert [each["amount"] for each in seen["lines"]] == [euros("-4.50"), euros("1200.00")]
    assert (seen["format"], seen["read"], seen["set_aside_count"]) == ("csv", 3, 1)
    assert [each["name"] for each in seen["accounts"]] == ["Giro"]


def test_answers_go_to_the_format(api: Api) -> None:
    ambiguous = b"Date,Amount,Description\n03/04/2026,-4.50,Bakery\n"
    query = {"name": "a.csv", "account": "Giro", "currency": "EUR"}
    days = []
    for order in ("dmy", "mdy"):
        answers = json.dumps({"date_order": order})
        seen = api.upload("/imports/preview", ambiguous, 200, query=query | {"answers": answers})
        days.append(seen["lines"][0]["on_date"])
    assert days == ["2026-04-03", "2026-03-04"]
    for wrong in ("[]", "{", '{"a": 1}', '{"date_order": "dmy", "date_order": "mdy"}'):
        answer = api.ask(
            "POST", "/imports/preview", raw=ambiguous, query=query | {"answers": wrong}
        )
        assert (answer.status_code, answer.json["error"]["code"]) == (400, "VALIDATION")


@pytest.mark.spec("S1-14")
@pytest.mark.spec("S0-64", partial=True)
def test_jobs_are_listed_by_state_cancelled_replayed_and_dismissed(
    api: Api, finora: Finora, admin: Engine
) -> None:
    query = {"name": "a.csv", "account": "Giro", "currency": "EUR"}
    first = api.upload("/imports", CSV, 202, query=query)["job_id"]
    cancelled = api.post(f"/jobs/{first}/cancel", status=200)
    assert cancelled["state"] == "cancelled"
    finora.run_jobs()
    assert api.get(f"/jobs/{first}")["state"] == "cancelled"
    assert api.refused("POST", f"/jobs/{first}/cancel") == (409, "JOB_STATE")
    bad = api.upload("/imports", b"no statement", 202, query={"name": "x.bin"})["job_id"]
    finora.run_jobs()
    refused = api.get(f"/jobs/{bad}")
    assert (refused["state"], refused["reason"]) == ("refused", "UNKNOWN_FORMAT")
    assert [each["id"] for each in api.get("/jobs", state="refused")] == [bad]
    assert {each["id"] for each in itertools.chain(*api.pages("/jobs", limit=1))} == {first, bad}
    replayed = api.post(f"/jobs/{bad}/replay", status=200)
    assert (replayed["state"], replayed["attempts"]) == ("waiting", 0)
    finora.run_jobs()
    assert api.get(f"/jobs/{bad}")["state"] == "refused"
    dismissed = api.post(f"/jobs/{bad}/dismiss", status=200)
    assert dismissed["dismissed_at"] is not None


@pytest.mark.spec("S2-47")
@pytest.mark.spec("S4-65", partial=True)
@pytest.mark.parametrize("form", [False, True], ids=["body", "form"])
def test_a_file_is_kept_listed_given_back_and_forgotten(api: Api, form: bool) -> None:
    query = {"name": "../../Beleg ü\u202e.png", "media_type": "image/png"}
    kept = api.upload("/files", PNG, 201, form=form, query=query)
    assert (kept["name"], kept["state"], kept["bytes"]) == ("Beleg ü.png", "kept", len(PNG))
    where = f"/files/{kept['id']}"
    assert api.get(where) == kept
    assert api.get("/files") == [kept]
    answer = api.ask("GET", f"{where}/content")
    assert answer.data == PNG
    assert answer.mimetype == "image/png"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename*=UTF-8''Beleg%20%C3%BC.png"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert api.ask("HEAD", f"{where}/content").content_length == len(PNG)
    assert api.ask("DELETE", where).json["data"] is None
    assert api.refused("GET", where) == (404, "FILE_NOT_FOUND")
    assert api.refused("GET", f"{where}/content") == (404, "FILE_NOT_FOUND")
    assert api.get("/files") == []


@pytest.mark.spec("S0-15")
def test_a_file_is_announced_uploaded_and_confirmed(api: Api) -> None:
    said = {"name": "a.png", "size": len(PNG), "media_type": "image/png"}
    made = api.post("/files/announcements", said)
    assert made["upload_url"] is None
    where = f"/files/{made['file']['id']}"
    assert made["file"]["state"] == "announced"
    assert api.refused("GET", f"{where}/content") == (409, "FILE_NOT_UPLOADED")
    assert api.refused("POST", f"{where}/confirmation") == (409, "FILE_NOT_UPLOADED")
    short = api.ask("POST", f"{where}/content", raw=PNG[:-1])
    assert (short.status_code, short.json["error"]["code"]) == (409, "FILE_LENGTH")
    assert api.upload(f"{where}/content", PNG, 200)["state"] == "kept"
    assert api.post(f"{where}/confirmation", status=200)["state"] == "kept"
    assert api.ask("GET", f"{where}/content").data == PNG
    large = {"name": "a.png", "size": 1 << 30}
    assert api.refused("POST", "/files/announcements", large) == (413, "FILE_TOO_LARGE")


@pytest.mark.spec("S4-65")
def test_a_file_that_is_not_what_it_pretends_to_be_is_set_aside(api: Api) -> None:
    html = b"<!doctype html><script>alert(1)</script>"
    kept = api.upload("/files", html, 201, query={"name": "a.png", "media_type": "image/png"})
    assert (kept["state"], kept["reason"]) == ("quarantined", "ACTIVE_CONTENT")
    assert api.refused("GET", f"/files/{kept['id']}/content") == (409, "FILE_QUARANTINED")
    empty = api.ask("POST", "/files", raw=b"", query={"name": "a.png"})
    assert (empty.status_code, empty.json["error"]["code"]) == (400, "FILE_EMPTY")
    assert api.ask("DELETE", f"/files/{kept['id']}").status_code == 200


def test_a_temporary_file_has_an_end(api: Api) -> None:
    kept = api.upload("/files", PNG, 201, query={"name": "a.png", "temporary": "true"})
    assert kept["expires_at"] > (datetime.now(UTC) + timedelta(days=29)).isoformat()


@pytest.mark.spec("S2-21")
@pytest.mark.spec("S2-20")
def test_the_wallet(api: Api) -> None:
    giro = api.open("Giro", asset="EUR")
    today = datetime.now(UTC).date().isoformat()
    api.enter(giro, today, "100.00", category="salary")
    api.enter(giro, today, "-30.00", category="food")
    summary = api.get("/wallet/summary")
    assert summary["total"] == {"value": euros("70.00"), "gap": None}
    assert summary["balances"] == [euros("70.00")]
    [flow] = summary["flows"]
    assert flow == {"income": euros("100.00"), "expense": euros("-30.00"), "net": euros("70.00")}
    assert summary["top_categories"] == [{"category": "food", "spent": euros("-30.00")}]
    assert len(summary["trend"]) == 6
    assert api.get("/wallet/summary", period="year")["period"] == "year"
    [month] = api.get("/wallet/cashflow", since=today, until=today)
    [day] = api.get("/wallet/cashflow", since=today, until=today, by="day")
    assert month["flows"] == day["flows"] == [flow]
    assert (month["day"], day["day"]) == (None, today)
    worth = api.get("/wallet/networth", months=3)
    assert [len(worth), worth[-1]["amounts"]] == [3, [euros("70.00")]]


def test_tokens_are_listed_and_revoked(api: Api, app: Flask, finora: Finora, scope: Scope) -> None:
    made = finora.tokens.create(scope, "second")
    second = Api(app, made.text)
    listed = api.get("/tokens")
    assert [each["name"] for each in listed] == ["second", "test"]
    assert made.text not in json.dumps(listed)
    assert second.get("/accounts") == []
    revoked = api.post(f"/tokens/{made.token.id}/revocation", status=200)
    assert revoked["revoked_at"] is not None
    assert api.post(f"/tokens/{made.token.id}/revocation", status=200) == revoked
    assert second.refused("GET", "/accounts") == (401, "TOKEN_REVOKED")


@pytest.mark.parametrize("tool", ["beancount", "hledger"])
def test_the_books_are_streamed_out(api: Api, finora: Finora, scope: Scope, tool: str) -> None:
    giro = api.open("Giro", asset="EUR")
    for number in range(1, 30):
        api.enter(giro, "2026-01-05", f"{number}.00")
    answer = api.ask("GET", "/export", query={"tool": tool})
    assert answer.mimetype == "text/plain"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="finora.')
    assert answer.text == "".join(finora.export(scope, tool))


def test_an_export_that_is_broken_off_gives_its_connection_back(
    api: Api, app: Flask, finora: Finora
) -> None:
    """Also one of which nobody takes a byte, and one of which only the head is asked."""
    giro = api.open("Giro", asset="EUR")
    for number in range(1, 30):
        api.enter(giro, "2026-01-05", f"{number}.00")
    pool = app.config["SHELL"].health.connections
    headers = {"Authorization": f"Bearer {api.token}"}
    assert pool() == 0
    begun = app.test_client().get("/api/v1/export", headers=headers)
    assert next(iter(begun.response))
    assert pool() == 1
    begun.close()
    assert pool() == 0
    app.test_client().get("/api/v1/export", headers=headers).close()
    app.test_client().head("/api/v1/export", headers=headers).close()
    assert pool() == 0


@pytest.mark.spec("S0-11")
def test_credentials(api: Api, other: Api) -> None:
    """Put, listed and removed; what is secret of them comes back in no answer."""
    body = {"institution": "kraken", "fields": {"api_key": "AK-hunter2", "api_secret": "hunter2"}}
    ends = "2099-01-31T00:00:00Z"
    made = api.post("/credentials", body | {"expires_at": ends}, 200)
    assert made["fields"] == ["api_key", "api_secret"]
    assert (made["type"], made["version"], made["expires_at"]) == ("api_key", 1, ends)
    again = api.post("/credentials", body | {"type": "oauth"}, 200)
    assert (again["id"], again["version"], again["type"]) == (made["id"], 2, "oauth")
    answer = api.ask("GET", "/credentials")
    assert [each["id"] for each in answer.json["data"]] == [made["id"]]
    assert "hunter2" not in answer.text + json.dumps([made, again])
    assert other.get("/credentials") == []
    place = f"/credentials/{made['id']}"
    assert other.refused("DELETE", place) == (404, "SECRET_NOT_FOUND")
    assert api.ask("DELETE", place).status_code == 200
    assert api.refused("DELETE", place) == (404, "SECRET_NOT_FOUND")
    past = body | {"expires_at": "2020-01-31T00:00:00Z"}
    assert api.refused("POST", "/credentials", past) == (400, "BAD_SECRET")


@pytest.mark.invariant("I-48")
def test_a_refused_credential_is_not_repeated(api: Api) -> None:
    """Not even where a secret was sent as the name of something."""
    for fields in ({"hunter2": ""}, {"Hunter2": "x"}, {"a": "hunter2" * 600}, {"hunter2": 5}):
        answer = api.ask("POST", "/credentials", {"institution": "kraken", "fields": fields})
        assert answer.status_code == 400
        assert "hunter2" not in answer.text.lower()
        assert {each["path"] for each in answer.json["error"]["details"]} == {"fields"}
    body = {"institution": "kraken", "fields": {"a": "x"}, "hunter2": "hunter2"}
    answer = api.ask("POST", "/credentials", body)
    assert [each["path"] for each in answer.json["error"]["details"]] == ["body"]
    assert "hunter2" not in answer.text
