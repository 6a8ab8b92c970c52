"""One good request for every route, over things of a tenant and of a person of which there is one
of each kind.

Tests that hold for every route go through this; a new route without an entry fails them all.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import attrs
import pyotp
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from finora import Asset, Finora, Scope
from finora_core.identity.people.letters import send
from finora_core.identity.people.model import IdentityKind, Purpose
from finora_core.identity.tenants.model import Invite
from finora_core.mail.model import address_key
from finora_core.market.assets.model import AssetKind, Identity
from finora_core.records.model import merchant_key
from finora_web.api.table import ENDPOINTS
from finora_web.contract import Endpoint
from web.api import Api, euros
from web.callers import PASSWORD, Owner, People, Person
from web.devices import ISSUER, Authenticator, Issuer, Telegram, Wallet

CSV = b"Date,Amount,Description\n2026-01-30,-4.50,Bakery\n2026-01-31,1200.00,Salary\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
DAY = "2026-01-31"
BY_NAME: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in ENDPOINTS}
BACK = "https://app.example/back"
_COFFEE = {"all": [{"field": "description", "op": "contains", "value": "coffee"}]}
_ACTUAL = json.dumps(
    [
        {
            "id": "x",
            "stage": None,
            "conditionsOp": "and",
            "conditions": [{"field": "notes", "op": "contains", "value": "tea"}],
            "actions": [{"op": "set", "field": "notes", "value": "hot"}],
        }
    ]
)
_TO_COFFEE = [{"op": "set", "field": "category", "value": "Food:Coffee"}]


@attrs.frozen(kw_only=True)
class Asked:
    """A request. `content` is that of an upload, which has no body."""

    endpoint: Endpoint
    path: str
    query: dict[str, Any] = attrs.field(factory=dict)
    body: Any = None
    content: bytes | None = None
    tenant: str | None = None
    """Named instead of the caller's, if any."""

    @property
    def name(self) -> str:
        return self.endpoint.name

    @property
    def method(self) -> str:
        return self.endpoint.method

    def by(self, api: Api, **more: Any) -> TestResponse:
        if self.endpoint.permission is None:
            api = attrs.evolve(api, token=None, tenant=None)
        elif self.tenant is not None:
            api = attrs.evolve(api, tenant=self.tenant)
        headers = dict(more.pop("headers", {}))
        if self.content is not None:
            headers["Content-Type"] = "application/octet-stream"
        given = {"query": self.query, "raw": self.content, "body": self.body} | more
        if "raw" in more:
            del given["body"]
        return api.ask(self.method, self.path, headers=headers, **given)


@attrs.define(slots=False)
class World:
    """Things of one owner and of the tenant that is the owner's; `word` is in every text of them.
    Each is made when it is first asked for."""

    owner: Owner
    finora: Finora
    issuer: Issuer
    origin: str
    """Of the site, as browsers write it."""
    made: dict[str, Asked] = attrs.field(factory=dict)

    @property
    def word(self) -> str:
        return self.owner.word

    @property
    def api(self) -> Api:
        return self.owner.api

    @property
    def people(self) -> People:
        return self.owner.people

    @property
    def me(self) -> Person:
        return self.owner.person

    def asked(self, name: str) -> Asked:
        """The request of that route. Each alone is good; one may undo what another is about."""
        if name not in self.made:
            given = REQUESTS[name](self)
            path = BY_NAME[name].path
            for each in BY_NAME[name].parameters:
                path = path.replace(f"{{{each}}}", str(self.sample(name, each)))
            self.made[name] = Asked(endpoint=BY_NAME[name], path=path, **given)
        return self.made[name]

    def requests(self) -> dict[str, Asked]:
        return {name: self.asked(name) for name in REQUESTS}

    def sample(self, name: str, parameter: str) -> str:
        """The id that the route's request has in that parameter. KeyError where none is known."""
        return str(getattr(self, SAMPLES.get((name, parameter)) or SAMPLES["", parameter]))

    # --- of the tenant ---

    @property
    def thing(self) -> dict[str, Any]:
        name = f"own:{uuid4()}"
        return {"asset": name, "scale": 8, "symbol": name, "kind": "other",
                "names": {"test": name}, "source": "test", "segment": "", "title": "t",
                "scam": 100}  # fmt: skip

    @cached_property
    def named_asset(self) -> str:
        thing = self.thing
        said = Identity(asset=thing["asset"], symbol=thing["symbol"], kind=AssetKind.OTHER,
                        names=thing["names"])  # fmt: skip
        scope = Scope(tenant_id=self.owner.tenant_id, user_id=self.owner.person.user_id)
        self.finora.assets.identify(scope, Asset(thing["asset"], 8), said, source="test")
        return str(thing["asset"])

    @cached_property
    def account_id(self) -> str:
        return self.api.open(f"{self.word} one", asset="EUR")

    @cached_property
    def second_account(self) -> str:
        return self.api.open(f"{self.word} two", asset="EUR")

    @cached_property
    def category(self) -> str:
        name = f"{self.word}:category"
        self.api.post("/categories", {"name": name})
        return name

    @cached_property
    def rule_id(self) -> str:
        body = {"name": self.word, "condition": _COFFEE, "actions": _TO_COFFEE}
        return str(self.api.post("/rules", body)["id"])

    @cached_property
    def group_id(self) -> str:
        return str(self.api.post("/rules/groups", {"name": self.word})["id"])

    @cached_property
    def run_id(self) -> str:
        return str(self.api.post("/rules/runs", {"since": DAY}, 202)["run"]["id"])

    @cached_property
    def entry_id(self) -> str:
        body = {"postings": self.legs, "on_date": DAY, "reference": self.word}
        return str(self.api.post("/entries", body)["id"])

    @property
    def legs(self) -> list[Any]:
        return [{"account_id": self.account_id, "amount": euros("-1.00")},
                {"account_id": self.second_account, "amount": euros("1.00")}]  # fmt: skip

    @property
    def texts(self) -> dict[str, str]:
        return {"description": self.word, "counterparty": self.word, "category": self.word}

    @cached_property
    def record_id(self) -> str:
        return str(self.api.enter(self.account_id, DAY, "-2.00", **self.texts)["id"])

    @cached_property
    def decided_record(self) -> str:
        made = self.api.enter(self.account_id, DAY, "-3.00", **self.texts)["id"]
        self.api.post(f"/records/{made}/override", {"category": "c"}, 200)
        return str(made)

    @property
    def decided_before(self) -> int:
        """The number of the decision before the owner's."""
        return int(self.api.get(f"/records/{self.decided_record}")["record"]["decisions"]) - 1

    @cached_property
    def other(self) -> str:
        """The record at the other end of a transfer."""
        return str(self.api.enter(self.second_account, DAY, "2.00", **self.texts)["id"])

    @property
    def actor(self) -> str:
        return str(self.me.user_id)

    @property
    def address(self) -> dict[str, Any]:
        return {"label": "home", "name": self.word, "lines": ["1 Mill Lane"], "city": "Vienna",
                "region": "W", "postal_code": "1010", "country": "AT",
                "phone": "+43 1 234567"}  # fmt: skip

    @cached_property
    def address_id(self) -> str:
        return str(self.api.post("/me/addresses", self.address)["id"])

    @cached_property
    def refused_job(self) -> str:
        query = {"name": f"{self.word}.bin"}
        refused = self.api.upload("/imports", self.word.encode(), 202, query=query)
        self.finora.run_jobs()
        return str(refused["job_id"])

    @cached_property
    def taken(self) -> Any:
        assert self.refused_job  # First: making it runs what waits.
        query = {"name": f"{self.word}.csv", "account": self.account_id}
        return self.api.upload("/imports", CSV, 202, query=query)

    @property
    def import_id(self) -> str:
        return str(self.taken["import_id"])

    @property
    def job_id(self) -> str:
        """Waits."""
        return str(self.taken["job_id"])

    @cached_property
    def file_id(self) -> str:
        return str(self.api.upload("/files", PNG, 201, query={"name": f"{self.word}.png"})["id"])

    @cached_property
    def report_id(self) -> str:
        """Made."""
        body = {"kind": "records", "format": "csv", "account_id": self.account_id}
        report = str(self.api.post("/reports", body, 202)["id"])
        self.finora.run_jobs()
        return report

    @property
    def reopening(self) -> dict[str, str]:
        """What is closed is long past: no other request is about it."""
        [last, *_] = self.api.get("/closings") or [{"through": None}]
        if last["through"] in (None, "1998-12-31"):
            self.api.post("/closings", {"through": "1999-01-31"})
        return {"reason": self.word, "through": "1998-12-31"}

    @cached_property
    def budget_id(self) -> str:
        body = {"name": self.word, "category": self.word, "limit": euros("5000.00")}
        return str(self.api.post("/budgets", body)["id"])

    @cached_property
    def goal_id(self) -> str:
        shares = [{"account_id": self.account_id, "percent": 50}]
        body = {"name": self.word, "target": euros("5000.00"), "shares": shares}
        return str(self.api.post("/goals", body)["id"])

    @cached_property
    def portfolio_account_id(self) -> str:
        return str(self.api.post("/portfolio/accounts", {"name": self.word})["id"])

    def holding(self, asset: str, **more: Any) -> dict[str, Any]:
        return {"account_id": self.portfolio_account_id, "asset": asset, **more}

    def activity(self, **more: Any) -> dict[str, Any]:
        at = f"{DAY}T12:00:00Z"
        return self.holding("EUR", kind="deposit", quantity="9.00", at=at) | more

    @cached_property
    def activity_id(self) -> str:
        return str(self.api.post("/activities", self.activity())["id"])

    @cached_property
    def wrong_activity(self) -> str:
        """What is ended is not ended again: of each way to end one, one."""
        return str(self.api.post("/activities", self.activity())["id"])

    @cached_property
    def spare_activity(self) -> str:
        return str(self.api.post("/activities", self.activity())["id"])

    @cached_property
    def own_id(self) -> str:
        return str(self.api.post("/own-assets", {"name": self.word})["id"])

    @cached_property
    def recurring_id(self) -> str:
        """Of payments of the last three months: older ones are forgotten."""
        merchant = f"{self.word} gym"
        for days in (0, 30, 60):
            day = (datetime.now(UTC).date() - timedelta(days=days)).isoformat()
            self.api.enter(self.account_id, day, "-9.00", description=merchant)
        found = {each["merchant_key"]: each["id"] for each in self.api.get("/recurring")}
        return str(found[merchant_key(merchant)])

    def receipt(self, name: str, **more: str) -> str:
        file = self.api.upload("/files", PNG + name.encode(), 201, query={"name": f"{name}.png"})
        body = {"file_id": file["id"], "amount": euros("2.00"), "merchant": self.word} | more
        return str(self.api.post("/receipts", body)["id"])

    @cached_property
    def receipt_id(self) -> str:
        """Waits for a record."""
        return self.receipt(f"{self.word}-waiting")

    @cached_property
    def attached_receipt(self) -> str:
        return self.receipt(f"{self.word}-attached", record_id=self.record_id)

    @cached_property
    def announced_file(self) -> str:
        body = {"name": f"{self.word}.png", "size": len(PNG)}
        return str(self.api.post("/files/announcements", body)["file"]["id"])

    @cached_property
    def token(self) -> Any:
        return self.api.post("/tokens", {"name": self.word})

    @property
    def token_id(self) -> str:
        return str(self.token["token"]["id"])

    @cached_property
    def credential_id(self) -> str:
        body = {"institution": self.word, "fields": {"api_key": self.word}}
        return str(self.api.post("/credentials", body, 200)["id"])

    @cached_property
    def member(self) -> UUID:
        person = self.people.register(self.word)
        self.people.join(person, self.owner.tenant_id, "accountant")
        return person.user_id

    @cached_property
    def invite_id(self) -> str:
        body = {"email": f"{uuid4().hex}@example.org", "role": "viewer"}
        return str(self.api.post("/invites", body)["id"])

    # --- of the person ---

    @cached_property
    def session_id(self) -> UUID:
        """Another than the one that asks."""
        return self.people.sign_in(self.me.email).session_id

    @cached_property
    def identity_id(self) -> str:
        """Another than the address."""
        return str(self.api.post("/me/wallets", self.signed(Wallet()))["id"])

    @cached_property
    def somebody(self) -> Person:
        """Whom requests are about that are nobody's yet, and administrators'."""
        return self.people.register(self.word)

    @property
    def user_id(self) -> UUID:
        return self.somebody.user_id

    @property
    def public(self) -> Api:
        return Api(self.people.app, None)

    def letter(self, purpose: Purpose) -> None:
        """What asking for a letter has a job do."""
        door = self.people.services.sessions.door
        kind, key = IdentityKind.EMAIL, address_key(self.somebody.email)
        with door.begin(door.anybody("r")) as work:
            found = work.people.find(kind, "", key)
        assert found is not None
        with door.begin(door.scope_of(found, "r")) as work:
            send(work, found.user_id, found.identity_id, purpose)

    def signed(self, wallet: Wallet) -> dict[str, str]:
        """A wallet's answer to an offer."""
        body = {"address": wallet.address, "chain_id": 1}
        offer = self.public.post("/auth/wallet/message", body, 200)
        return {"ticket": offer["ticket"], "message": offer["message"],
                "signature": wallet.sign(offer["message"])}  # fmt: skip

    def passkey(self, api: Api) -> Authenticator:
        """One that is the asker's."""
        key = Authenticator(self.origin)
        offer = api.post("/me/passkeys/options", status=200)
        body = {"ticket": offer["ticket"], "response": key.make(offer["options"])}
        api.post("/me/passkeys", body)
        return key

    def returned(self) -> dict[str, str]:
        """What one comes back with from the issuer."""
        body = {"issuer": ISSUER, "redirect_uri": BACK}
        begun = self.public.post("/auth/oidc/start", body, 200)
        return {"ticket": begun["ticket"], **self.issuer.visit(begun["url"], uuid4().hex)}

    def codes(self) -> dict[str, str]:
        """An authenticator app's answer to an offer."""
        offer = self.api.post("/me/codes/offer", status=200)
        return {"ticket": offer["ticket"], "code": pyotp.TOTP(offer["secret"]).now()}

    @cached_property
    def elsewhere(self) -> UUID:
        """A tenant that the owner is in, which is somebody else's."""
        self.people.verify(self.somebody)
        tenant = UUID(self.people.api(self.somebody).post("/tenants", {"name": self.word})["id"])
        self.people.join(self.me, tenant, "viewer")
        return tenant

    @cached_property
    def invitation(self) -> str:
        """To somebody else's tenant, for the owner's address."""
        theirs = self.people.register(self.word)
        self.people.verify(theirs)
        tenant = UUID(self.people.api(theirs).post("/tenants", {"name": self.word})["id"])
        services = self.people.services.tenants
        api = self.people.api(theirs, tenant)
        api.post("/invites", {"email": self.me.email, "role": "viewer"})
        proof = self.people.services.sessions.prove(theirs.signed_in.access, "r", tenant_id=tenant)
        [invite] = services.invites(proof.scope)
        assert isinstance(invite, Invite)
        return self.people.invitation(tenant, invite)


def _half(w: World) -> dict[str, Any]:
    """Somebody with one-time codes, who sent everything else."""
    person = w.people.register(w.word)
    api = w.people.api(person)
    offer = api.post("/me/codes/offer", status=200)
    app = pyotp.TOTP(offer["secret"])
    now = datetime.now(UTC)
    code = app.at(now - timedelta(seconds=30))
    api.post("/me/codes", {"ticket": offer["ticket"], "code": code}, 200)
    said = {"email": person.email, "password": PASSWORD}
    [missing] = w.public.ask("POST", "/auth/login", said).json["error"]["details"]
    return {"body": {"ticket": missing["msg"], "code": app.at(now), "device": "x"}}


def _login(w: World) -> dict[str, Any]:
    person = w.somebody
    return {"body": {"email": person.email, "password": PASSWORD, "code": "123456",
                     "device": person.signed_in.device}}  # fmt: skip


def _by_letter(purpose: Purpose) -> Callable[[World], dict[str, Any]]:
    def request(w: World) -> dict[str, Any]:
        w.letter(purpose)
        device = {"code": "123456", "device": w.somebody.signed_in.device}
        if purpose is Purpose.CODE:
            sent = w.people.code(w.somebody, purpose)
            return {"body": {"email": w.somebody.email, "sent": sent, **device}}
        link = w.people.link(w.somebody, purpose)
        if purpose is Purpose.RESET:
            return {"body": {"password": "another horse", "link": link, "email": w.somebody.email,
                             "code": "123456"}}  # fmt: skip
        return {"body": {"link": link, **device}}

    return request


def _passkey_login(w: World) -> dict[str, Any]:
    key = w.passkey(w.people.api(w.somebody))
    offer = w.public.post("/auth/passkey/options", status=200)
    return {"body": {"ticket": offer["ticket"], "response": key.use(offer["options"]),
                     "device": w.somebody.signed_in.device}}  # fmt: skip


def _new_passkey(w: World) -> dict[str, Any]:
    offer = w.api.post("/me/passkeys/options", status=200)
    made = Authenticator(w.origin).make(offer["options"])
    return {"body": {"ticket": offer["ticket"], "response": made, "name": "Laptop"}}


def _record(w: World) -> dict[str, Any]:
    return {"account_id": w.account_id, "on_date": DAY, "amount": euros("-3.00"),
            "description": "x", "counterparty": "y", "category": "z",
            "type": "expense"}  # fmt: skip


def _change(w: World) -> dict[str, Any]:
    change = _record(w) | {"account_id": w.second_account, "revision": 0}
    del change["category"]
    return {"body": change | {"merchant": "Shop", "note": "n", "tags": ["a"]}}


def _leave(w: World) -> dict[str, Any]:
    return {"tenant": str(w.elsewhere)}


def _unproven(w: World) -> dict[str, Any]:
    w.people.forget_proof(w.me)
    return {}


def _nothing(w: World) -> dict[str, Any]:
    return {}


def _query(**query: str) -> Callable[[World], dict[str, Any]]:
    return lambda w: {"query": query}


def _body(**body: Any) -> Callable[[World], dict[str, Any]]:
    return lambda w: {"body": body}


def _statement(w: World) -> dict[str, Any]:
    return {"query": {"name": "a.csv", "account": w.account_id, "currency": "EUR"}, "content": CSV}


_DAYS = {"since": DAY, "until": DAY}
_CODES = {"code": "123456", "device": "x"}

COIN = {"id": "crypto:ETH", "kind": "crypto", "symbol": "ETH", "names": {"coingecko": "ethereum"}}
ADDRESS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"

REQUESTS: dict[str, Callable[[World], dict[str, Any]]] = {
    "register": lambda w: {"body": {"email": f"{uuid4().hex}@example.org", "password": PASSWORD,
                                    "name": "Ada", "locale": "de-AT", "currency": "CHF"}},
    "verify_address": lambda w: {"body": {
        "link": w.people.link(w.somebody, Purpose.VERIFY), "password": PASSWORD}},
    "login": _login,
    "refresh": lambda w: {"body": {"refresh_token": w.somebody.signed_in.refresh}},
    "ask_letter": lambda w: {"body": {"email": w.somebody.email, "kind": "reset"}},
    "login_by_link": _by_letter(Purpose.MAGIC),
    "login_by_code": _by_letter(Purpose.CODE),
    "reset_password": _by_letter(Purpose.RESET),
    "finish_login": _half,
    "offer_passkey_login": _nothing,
    "login_by_passkey": _passkey_login,
    "offer_wallet_login": lambda w: {"body": {"address": Wallet().address, "chain_id": 1}},
    "login_by_wallet": lambda w: {"body": w.signed(Wallet()) | _CODES},
    "list_issuers": _nothing,
    "start_oidc": _body(issuer=ISSUER, redirect_uri=BACK),
    "login_by_oidc": lambda w: {"body": w.returned() | {"one_time": "123456", "device": "x"}},
    "login_by_telegram": lambda w: {"body": {"init_data": Telegram().launch(),
                                             "widget": Telegram().button(), **_CODES}},
    "logout": _nothing,
    "step_up": _body(password=PASSWORD, code="123456"),
    "get_me": _nothing,
    "change_me": _body(name="Grace", locale="en", currency="USD"),
    "set_password": _body(password="another horse battery"),
    "ask_verification": _unproven,
    "list_sessions": _nothing,
    "end_session": _nothing,
    "end_other_sessions": _nothing,
    "list_identities": _nothing,
    "remove_identity": _nothing,
    "offer_codes": _nothing,
    "turn_on_codes": lambda w: {"body": w.codes()},
    "turn_off_codes": _nothing,
    "offer_passkey": _nothing,
    "add_passkey": _new_passkey,
    "add_wallet": lambda w: {"body": w.signed(Wallet()) | _CODES},
    "add_account": lambda w: {"body": w.returned() | {"one_time": "123456", "device": "x"}},
    "add_telegram": lambda w: {"body": {"init_data": Telegram().launch(),
                                        "widget": Telegram().button(), **_CODES}},
    "list_tenants": _nothing,
    "create_tenant": _body(name="Acme", base_asset="CHF"),
    "get_tenant": _nothing,
    "change_tenant": _body(name="Acme", base_asset="USD"),
    "list_members": _nothing,
    "change_role": _body(role="admin"),
    "remove_member": _nothing,
    "leave_tenant": _leave,
    "list_invites": _nothing,
    "invite_member": lambda w: {"body": {"email": f"{uuid4().hex}@example.org", "role": "viewer"}},
    "withdraw_invite": _nothing,
    "accept_invite": lambda w: {"body": {"link": w.invitation}},
    "list_people": _query(words="a", limit="2"),
    "ban_person": _nothing,
    "unban_person": _nothing,
    "unlock_person": _nothing,
    "force_reset": _nothing,
    "set_platform_roles": _body(roles=["guard", "buyer"]),
    "list_accounts": _nothing,
    "open_account": _body(name="new", asset="EUR", floor="-5"),
    "get_account": _nothing,
    "list_balances": _nothing,
    "account_statement": _query(**_DAYS),
    "post_entry": lambda w: {"body": {"postings": w.legs, "on_date": DAY, "reference": "r"}},
    "get_entry": _nothing,
    "reverse_entry": _nothing,
    "trial_balance": _query(on=DAY, known_at=f"{DAY}T00:00:00Z"),
    "balance_sheet": _query(on=DAY, known_at=f"{DAY}T00:00:00Z"),
    "list_records": lambda w: {"query": {"account_id": w.account_id, **_DAYS}},
    "create_record": lambda w: {"body": _record(w)},
    "get_record": _nothing,
    "change_record": _change,
    "delete_record": _nothing,
    "categorise_record": _body(category="c"),
    "split_record": lambda w: {"body": {"parts": [
        {"category": "c", "amount": euros("-1.50")}, {"category": "", "amount": euros("-0.50")}]}},
    "unlock_record": _body(fields=["category", "note"]),
    "list_categories": _query(archived="true"),
    "create_category": _body(name="new:one", note="n"),
    "archive_category": lambda w: {"body": {"name": w.category, "archived": True}},
    "list_rules": _query(limit="10"),
    "create_rule": lambda w: {"body": {
        "name": "coffee", "condition": _COFFEE, "actions": _TO_COFFEE, "priority": 5,
        "continues": True, "group_id": w.group_id, "active": False}},
    "get_rule": _nothing,
    "change_rule": lambda w: {"body": {
        "name": "tea", "condition": _COFFEE, "actions": _TO_COFFEE, "priority": 6,
        "continues": True, "group_id": w.group_id, "active": False}},
    "remove_rule": _nothing,
    "rule_stats": _nothing,
    "order_rules": lambda w: {"body": {"rule_ids": [w.rule_id]}},
    "list_rule_groups": _nothing,
    "create_rule_group": _body(name="new", priority=1, stop=False),
    "remove_rule_group": _nothing,
    "preview_rules": lambda w: {"body": {
        "condition": _COFFEE, "actions": _TO_COFFEE, "last": 100, "limit": 10,
        "account_id": w.account_id, "since": DAY, "until": DAY}},
    "import_rules": _body(program="actual", content=_ACTUAL),
    "run_rules": lambda w: {"body": {
        "since": DAY, "until": DAY, "account_id": w.account_id, "rule_ids": [w.rule_id]}},
    "list_rule_runs": _query(limit="10"),
    "get_rule_run": _nothing,
    "list_rule_changes": _query(kind="changed"),
    "undo_rule_run": _nothing,
    "link_transfer": lambda w: {"body": {"other": w.other, "linked": True}},
    "review_queue": _query(limit="10"),
    "review_settings": _nothing,
    "change_review_settings": _body(similar_auto=9500, similar_suggested=7000, model_auto=9000,
                                    ask_model=False, separate_duties=False),
    "approve_record": _body(seen=0),
    "override_record": _body(category="c", note="n", seen=0, make_rule=True),
    "take_back_record": lambda w: {"body": {"before": w.decided_before}},
    "bulk_records": lambda w: {"body": {"action": "override", "ids": [w.record_id],
                                        "category": "c", "note": "n"}},
    "reprocess_record": _body(dry_run=True),
    "reprocess_records": lambda w: {"body": {
        "account_id": w.account_id, "dry_run": True, **_DAYS, "category": "c", "below": True,
        "merchant": "m",
        "tag": "t", "text": "x", "asset": "EUR", "least": "-5.00", "most": "5.00",
        "status": "needs_review", "source": "csv", "bank_state": "booked", "least_confidence": 0,
        "most_confidence": 9000, "with_void": True}},
    "accuracy_report": _query(**_DAYS),
    "import_statement": _statement,
    "preview_statement": _statement,
    "get_import": _nothing,
    "wallet_summary": _query(period="year"),
    "wallet_cashflow": _query(**_DAYS),
    "wallet_networth": _query(months="2"),
    "list_receipts": _query(limit="10", attached="true"),
    "add_receipt": lambda w: {"body": {"file_id": w.file_id, "record_id": w.record_id,
                                       "amount": euros("2.00"), "on_date": DAY,
                                       "merchant": "Bakery"}},
    "propose_records": _nothing,
    "remove_receipt": _nothing,
    "list_record_receipts": _nothing,
    "attach_receipt": lambda w: {"body": {"receipt_id": w.receipt_id}},
    "detach_receipt": _nothing,
    "list_budgets": _query(limit="10"),
    "create_budget": _body(name="Food", category="food:out", limit=euros("500.00"),
                           period="WEEKLY", rollover="surplus", starts_on="2026-01-26"),
    "simulate_budget": lambda w: {"body": {"budgetId": w.budget_id, "adjustmentPercent": 10}},
    "get_budget": _nothing,
    "list_budget_periods": _query(periods="3"),
    "change_budget": _body(name="Eating", category="food", limit=euros("600.00"), rollover="all"),
    "delete_budget": _nothing,
    "list_goals": _query(limit="10"),
    "create_goal": lambda w: {"body": {
        "name": "Boat", "target": euros("9.00"), "by": "2099-01-31",
        "shares": [{"account_id": w.account_id, "percent": 10}]}},
    "get_goal": _nothing,
    "change_goal": lambda w: {"body": {
        "name": "Ship", "target": euros("8.00"), "by": "2098-01-31",
        "shares": [{"account_id": w.second_account, "percent": 20}]}},
    "delete_goal": _nothing,
    "list_institutions": _nothing,
    "list_portfolio_accounts": _nothing,
    "open_portfolio_account": _body(name="Depot", institution="degiro", type="brokerage"),
    "change_portfolio_account": _body(hidden=True),
    "list_activities": lambda w: {"query": {
        "account_id": w.portfolio_account_id, "asset": "EUR", "kind": "deposit", "limit": "10",
        "since": f"{DAY}T00:00:00Z", "until": "2099-01-31T00:00:00Z", "ended": "true"}},
    "add_activity": lambda w: {"body": w.activity(
        kind="buy", asset="USD", price="0.5", quote="EUR", counter=euros("-4.50"),
        note="n", external_id=f"x-{uuid4()}", settled=True, fee=euros("1.00"),
        tax=euros("1.00"))},
    "get_activity": _nothing,
    "correct_activity": lambda w: {"body": w.activity(
        kind="buy", asset="USD", price="0.5", quote="EUR", counter=euros("-4.50"), note="n",
        external_id=f"x-{uuid4()}", settled=True, fee=euros("1.00"), tax=euros("1.00"))},
    "delete_activity": _nothing,
    "list_holdings": lambda w: {"query": {
        "at": "2099-01-31T00:00:00Z", "to": "EUR", "account_id": w.portfolio_account_id}},
    "include_holding": lambda w: {"body": w.holding("EUR", included=False)},
    "get_balance_at": lambda w: {"query": w.holding("EUR", at=f"{DAY}T00:00:00Z")},
    "list_portfolio_days": lambda w: {"query": {
        **_DAYS, "account_id": w.portfolio_account_id, "institution": "manual"}},
    "get_allocation": lambda w: {"query": {
        "by": "type", "at": "2099-01-31T00:00:00Z", "to": "EUR"}},
    "list_holding_days": lambda w: {"query": w.holding("EUR", to="EUR", **_DAYS)},
    "list_observations": lambda w: {"query": w.holding("EUR")},
    "add_observation": lambda w: {"body": {
        "account_id": w.portfolio_account_id, "quantity": euros("99.00"),
        "at": datetime.now(UTC).isoformat(timespec="microseconds"), "source": "screenshot"}},
    "list_own_assets": _nothing,
    "add_own_asset": lambda w: {"body": {"name": f"boat {uuid4()}", "quote": "EUR"}},
    "list_own_prices": _nothing,
    "set_own_price": _body(value="100.50", at=f"{DAY}T00:00:00Z", quote="EUR", reason="seen"),
    "list_recurring": _query(due_until="2099-01-31", ignored="true"),
    "judge_recurring": _body(verdict="confirmed"),
    "forecast_cashflow": _query(days="28"),
    "explain_figure": _query(asset="EUR", until=DAY),
    "explain_converted": _query(asset="EUR", until=DAY, on=DAY),
    "explain_entry": _nothing,
    "list_jobs": _query(state="waiting"),
    "get_job": _nothing,
    "replay_job": _nothing,
    "cancel_job": _nothing,
    "dismiss_job": _nothing,
    "list_files": _query(limit="10"),
    "keep_file": lambda w: {"query": {"name": "b.png"}, "content": PNG},
    "announce_file": _body(name="c.png", size=9),
    "upload_file": lambda w: {"content": PNG},
    "confirm_file": _nothing,
    "get_file": _nothing,
    "download_file": _nothing,
    "delete_file": _nothing,
    "create_token": _body(name="t", expires_at="2099-01-31T00:00:00Z", permissions=["books:read"]),
    "list_tokens": _nothing,
    "revoke_token": _nothing,
    "list_credentials": _nothing,
    "put_credential": _body(institution="broker", type="password",
                            fields={"name": "ada", "password": "p"},
                            expires_at="2099-01-31T00:00:00Z"),
    "remove_credential": _nothing,
    "list_events": lambda w: {"query": {
        "type": "account.opened", "since": f"{DAY}T00:00:00Z", "until": "2100-01-01T00:00:00Z",
        "actor": w.actor, "after": "0", "limit": "10"}},
    "verify_events": _query(after="0"),
    "export_books": _query(tool="hledger"),
    "get_preferences": _nothing,
    "change_preferences": _body(preferences={"theme": "dark"}),
    "export_me": _nothing,
    "erase_me": _body(confirmation="ERASE"),
    "list_addresses": _nothing,
    "add_address": lambda w: {"body": w.address | {"is_default": True}},
    "change_address": lambda w: {"body": w.address},
    "remove_address": _nothing,
    "make_default_address": _nothing,
    "create_person": lambda w: {"body": {"email": f"{uuid4().hex}@example.org", "name": "Ada",
                                         "locale": "de-AT", "currency": "CHF",
                                         "roles": ["guard"]}},
    "list_dependencies": _nothing,
    "report_profit_and_loss": _query(**_DAYS),
    "report_balance_sheet": _query(on=DAY),
    "report_cash_flow": _query(**_DAYS),
    "request_report": lambda w: {"body": {"kind": "records", "format": "csv", "since": DAY,
                                          "until": DAY, "account_id": w.account_id}},
    "list_reports": _nothing,
    "get_report": _nothing,
    "download_report": _nothing,
    "list_rates": _query(base="EUR", quote="USD", **_DAYS),
    "convert_amount": _query(amount="1.00", asset="EUR", to="EUR", on=DAY),
    "import_rates": lambda w: {"content": b"Date,USD\n1997-01-31,1.1\n"},
    "list_plugins": _nothing,
    "list_prices": _query(asset="EUR"),
    "convert_by_prices": _query(amount="1.00", asset="EUR", to="EUR", at=f"{DAY}T00:00:00Z"),
    "convert_many_by_prices": _body(
        amounts=[{"money": euros("1.00"), "at": f"{DAY}T00:00:00Z"}], to="EUR", display="EUR"
    ),
    "price_coverage": _query(asset="EUR", to="EUR", since=DAY, until=DAY),
    "price_gaps": _query(asset="EUR", since=DAY, until=DAY),
    "import_prices": lambda w: {"content": f"date,price\n1997-01-31,{uuid4().int}\n"[:40].encode(),
                                "query": {"source": "file", "asset": "EUR", "quote": "CLF"}},
    "refresh_prices": _body(source=None),
    "repair_prices": _body(asset="EUR", quote="CLF", source="file", right=None, dry_run=False),
    "search_assets": _query(words="EUR"),
    "get_named_asset": lambda w: {"query": {"namespace": "test", "name": w.named_asset}},
    "identify_asset": lambda w: {"body": w.thing},
    "judge_asset": lambda w: {"body": {"asset": w.named_asset, "scam": 100, "source": "test"}},
    "list_sources": _nothing,
    "list_data_usage": _query(since=DAY, until=DAY),
    "ask_latest": _body(source="coingecko", assets=[COIN], quote="EUR"),
    "ask_history": _body(source="coingecko", asset=COIN, quote="EUR", since=DAY, until=DAY),
    "ask_rates": _body(source="ecb", base="EUR", quotes=["USD"], since=DAY, until=DAY),
    "ask_identity": _body(source="yahoo", text="AAPL"),
    "ask_balances": _body(source="bitcoin", account=ADDRESS),
    "ask_transactions": _body(source="bitcoin", account=ADDRESS, cursor="1"),
    "ask_picture": _body(source="ecb", picture=b64encode(PNG).decode()),
    "list_closings": _nothing,
    "list_late_lines": _nothing,
    "close_period": _body(through="2000-01-31"),
    "reopen_period": lambda w: {"body": w.reopening},
    "erase_person": _nothing,
}  # fmt: skip

SAMPLES: dict[tuple[str, str], str] = {
    **{("", name): name for name in (
        "account_id", "entry_id", "record_id", "import_id", "job_id", "file_id", "token_id",
        "credential_id", "session_id", "identity_id", "invite_id", "other", "user_id",
        "address_id", "report_id", "budget_id", "goal_id", "recurring_id", "receipt_id",
        "rule_id", "group_id", "run_id", "portfolio_account_id", "activity_id", "own_id",
    )},
    **{(name, "account_id"): "portfolio_account_id" for name in (
        "list_activities", "add_activity", "correct_activity", "list_holdings", "include_holding",
        "get_balance_at", "list_portfolio_days", "list_observations", "add_observation",
        "list_holding_days",
    )},
    ("", "account"): "account_id",
    ("", "budgetId"): "budget_id",
    ("", "actor"): "actor",
    ("replay_job", "job_id"): "refused_job",
    ("take_back_record", "record_id"): "decided_record",
    ("dismiss_job", "job_id"): "refused_job",
    ("upload_file", "file_id"): "announced_file",
    ("bulk_records", "id"): "record_id",
    ("correct_activity", "activity_id"): "wrong_activity",
    ("delete_activity", "activity_id"): "spare_activity",
    ("detach_receipt", "receipt_id"): "attached_receipt",
    ("change_role", "user_id"): "member",
    ("remove_member", "user_id"): "member",
}  # fmt: skip
"""What of a world is in a parameter of that name: of a route, or of all."""


@attrs.frozen
class Written:
    """What there is in the database: count and checksum of the rows of every table, of these
    tenants and people alone or of everybody, but for what upkeep writes later: seals, and usage."""

    admin: Engine
    places: Sequence[object] | None = None
    """None: of everybody."""
    but: frozenset[str] = frozenset()
    """Tables that are not looked at."""

    def seen(self) -> "Seen":
        return Seen(self, self.mark(), self.digest())

    def mark(self) -> int:
        """Two that are equal have no transaction between them that could have written; of two that
        differ the digests must be compared."""
        with self.admin.connect() as connection:
            found = connection.scalar(
                text("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            )
            assert found is not None
            return int(found)

    def tables(self) -> dict[str, list[str]]:
        """Count and checksum of each table."""
        return {name: rest for name, *rest in json.loads(self.digest())}

    def digest(self) -> str:
        """Two that are equal have nothing written between them."""
        whose = "true"
        columns = ("tenant_id",)
        if self.places is not None:
            columns = ("tenant_id", "user_id")
        with self.admin.connect() as connection:
            found: dict[str, list[str]] = {}
            for table, column in connection.execute(
                # information_schema says the same, and costs more than all the rows.
                text(
                    "select c.relname, a.attname from pg_class c "
                    "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 "
                    "and not a.attisdropped where c.relkind in ('r', 'p') "
                    "and c.relnamespace = 'finora'::regnamespace order by 1"
                )
            ):
                found.setdefault(table, []).append(column)
            parts = []
            for table, names in found.items():
                if table in self.but or table in UPKEEP:
                    continue
                if self.places is not None:
                    whose = " or ".join(f"{each} = any(:places)" for each in columns
                                        if each in names)  # fmt: skip
                if whose:
                    parts.append(
                        f"select '{table}', count(*)::text, "
                        "coalesce(sum(hashtextextended(t::text, 0)), 0)::text "
                        f"from finora.{table} t where {whose}"
                    )
            rows = connection.execute(
                text(" union all ".join(parts)), {"places": list(self.places or ())}
            ).all()
            assert len(rows) > 20
            # Parallel workers bring them in any order.
            return json.dumps(sorted([*row] for row in rows))


@attrs.define
class Seen:
    """What there was, to be compared after each of many requests."""

    written: Written
    mark: int
    digest: str

    def changed(self) -> set[str]:
        """The tables that are not as they were."""
        mark = self.written.mark()
        digest = self.digest if mark == self.mark else self.written.digest()
        self.mark = mark
        if digest == self.digest:
            return set()
        now, then = ({name: rest for name, *rest in json.loads(each)}
                     for each in (digest, self.digest))  # fmt: skip
        return {name for name in now if now[name] != then[name]}


UPKEEP = frozenset({"seal", "seal_mark", "data_use"})
