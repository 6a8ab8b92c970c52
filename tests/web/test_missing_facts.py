"""What becomes of every figure of the API when a rate or a price is taken away.

One tenant's books are told again and again, each time without one fact that a figure rests on: a
world of its own, of currencies and things that no other test knows. Then whatever an answer says
otherwise than with all facts must say so itself: a gap, a null that is explained, a price that is
called old. What it still sums up must be what is left without that fact, to the unit: as if its
value were nothing at all, and not one.

Routes are found in the contract: a new one that answers with money fails here until it is named.
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import attrs
import pytest
from flask import Flask
from sqlalchemy import Engine

from finora import Asset, Finora, Scope, currency
from finora_core.kernel.currencies import DIGITS
from finora_core.market.prices.model import Price, midnight
from finora_web.api.table import ENDPOINTS
from web.api import Api
from web.callers import People

TODAY = datetime.now(UTC).date()
DAYS = 100
"""For so long there are facts of every day."""
EARLY = TODAY.replace(day=1) - timedelta(days=1)
"""The last day of the month before: what is of it is not of this month's budgets."""
FACTS = ("rate", "base", "share", "coin", "own")
"""What figures rest on: of a foreign currency and of the base in euros, which currencies go
through; of a share in euros, of a coin in the base, and of a thing of one's own."""


@attrs.frozen
class Told:
    """How much of a fact there is."""

    times: int = 1
    """Its value, so many times."""
    since: date = date.min
    until: date = date.max
    before: tuple[date, ...] = ()
    """Days of long ago that it is known of as well."""

    def days(self) -> Iterator[date]:
        yield from self.before
        for back in range(DAYS, -1, -1):
            day = TODAY - timedelta(days=back)
            if self.since <= day <= self.until:
                yield day


NONE = Told(since=date.max)
# Older than a week at the end of its month, and than a month and a half today.
OLD = Told(until=(TODAY - timedelta(days=75)).replace(day=20))
ANCIENT = Told(5, since=date.max, before=(TODAY - timedelta(days=420),))
"""Otherwise, long before anything happened; of a thing of one's own on no day."""
LATE = Told(since=TODAY.replace(day=1))
"""Nothing of the months before."""

# The words by which an object says that its figures are not all, or rest on what is old.
WORDS: Mapping[str, tuple[str, ...]] = {
    "Known": ("gap",),
    "BaseResultOut": ("gap",),
    "BaseSheetOut": ("gap",),
    "CashInBaseOut": ("gap",),
    "ConvertedOut": ("gap",),
    "ConversionPartOut": ("gap",),
    "ConversionOut": ("missing",),
    "PriceConversionOut": ("missing", "stale"),
    "FiguresOut": ("gap",),
    "BudgetOut": ("gap",),
    "SimulationOut": ("projectedSpending.gap",),
    "GoalOut": ("current.gap", "forecast.reason"),
    "ShareOut": ("gap",),
    "HoldingOut": ("gap", "stale"),
    "ValuationOut": ("total.gap", "invested.gap", "gain.gap", "fees.gap"),
    "DayOut": ("gap",),
    "HoldingDayOut": ("gap",),
    # Of a part too: each share changes with the whole.
    "AllocationOut": ("total.gap",),
}

Ask = Callable[["World"], dict[str, Any]]


def _plain(world: "World") -> dict[str, Any]:
    return {}


def _span(world: "World") -> dict[str, Any]:
    return {"since": f"{TODAY - timedelta(days=70)}", "until": f"{TODAY}"}


# What is asked of each route; where a route's answers are of two kinds, of both.
ASKED: Mapping[str, tuple[Ask, ...]] = {
    "list_balances": (_plain,),
    "account_statement": (_span,),
    "get_entry": (_plain,),
    "trial_balance": (_plain,),
    "balance_sheet": (_plain,),
    "list_records": (_plain,),
    "get_record": (_plain,),
    "review_queue": (_plain,),
    "list_receipts": (_plain,),
    "propose_records": (_plain,),
    "list_record_receipts": (_plain,),
    "wallet_summary": (_plain, lambda world: {"period": "year"}),
    "wallet_cashflow": (_span, lambda world: _span(world) | {"by": "day"}),
    "wallet_networth": (_plain,),
    "explain_figure": (lambda world: {"asset": world.base.id, "until": f"{TODAY}"},),
    "explain_converted": (
        lambda world: {"asset": world.base.id, "until": f"{TODAY}"},
        lambda world: {"asset": world.base.id, "direction": "out", "category": "Food"}
        | _span(world),
    ),
    "explain_entry": (_plain,),
    "list_budgets": (_plain,),
    "get_budget": (_plain,),
    "list_budget_periods": (_plain,),
    "list_goals": (_plain,),
    "get_goal": (_plain,),
    "list_recurring": (_plain,),
    "forecast_cashflow": (lambda world: {"days": 60},),
    "report_profit_and_loss": (_span,),
    "report_balance_sheet": (lambda world: {"on": f"{TODAY}"},),
    "report_cash_flow": (_span,),
    "convert_amount": (
        lambda world: {"amount": "80.00", "asset": world.foreign.id, "to": world.base.id,
                       "on": f"{TODAY}"},
    ),
    "convert_by_prices": (
        lambda world: {"amount": "3", "asset": world.share.id, "to": world.base.id,
                       "at": f"{TODAY}T00:00:00Z"},
    ),
    "list_late_lines": (_plain,),
    "list_activities": (_plain,),
    "get_activity": (_plain,),
    "list_holdings": (_plain,),
    "list_portfolio_days": (
        lambda world: {"since": f"{TODAY - timedelta(days=40)}"},
        lambda world: {"account_id": world.ids["left"], "since": f"{TODAY - timedelta(days=60)}",
                       "until": f"{TODAY - timedelta(days=51)}"},
    ),
    "get_allocation": tuple(
        lambda world, by=by: {"by": by} for by in ("asset", "type", "account", "institution")
    ),
    "list_holding_days": tuple(
        lambda world, asset=asset: {"account_id": world.desk, "asset": getattr(world, asset).id}
        for asset in ("share", "coin", "foreign")
    ),
    "get_balance_at": (
        lambda world: {"account_id": world.desk, "asset": world.share.id,
                       "at": f"{TODAY}T00:00:00Z"},
    ),
    "list_observations": (lambda world: {"account_id": world.desk, "asset": world.share.id},),
    # These write nothing.
    "simulate_budget": (lambda world: {"budgetId": world.budget, "adjustmentPercent": 10},),
    "convert_many_by_prices": (
        lambda world: {"to": world.base.id, "amounts": [
            {"money": {"amount": "3", "asset": each.id}, "at": f"{TODAY}T00:00:00Z"}
            for each in (world.share, world.coin, world.foreign)]},
    ),
}  # fmt: skip

# Of a file that was not taken in, and of records: in what they were told in. No world has them.
ELSEWHERE = {"PreviewLineOut", "DifferenceOut", "LateLineOut"}

# Those of the bank's file, which other tests have rates of.
_ECB = (
    "AUD BGN BRL CAD CHF CNY CYP CZK DKK EEK EUR GBP HKD HRK HUF IDR ILS INR LTL LVL MTL MXN MYR "
    "NOK NZD PHP PLN RON RUB SEK SGD SIT SKK THB TRL TRY USD ZAR"
)
_ELSEWHERE = "ALL BTN"
"""Of which other tests tell rates."""

# Rates are everybody's: each world has two currencies that no other one, and no other test, has.
_CODES = [code for code, digits in sorted(DIGITS.items())
          if digits == 2 and code not in _ECB + _ELSEWHERE]  # fmt: skip
_PLACES = count()


@attrs.define(slots=False)
class World:
    """The books, told over the API."""

    api: Api
    trader: Api
    """Of another tenant, which holds what is traded."""
    base: Asset
    foreign: Asset
    share: Asset
    coin: Asset
    ids: dict[str, str] = attrs.field(factory=dict)
    """Of one thing of each kind, by the parameter of its route."""
    own: str = ""

    @property
    def desk(self) -> str:
        return self.ids["desk"]

    @property
    def budget(self) -> str:
        return self.ids["budget_id"]

    @property
    def over(self) -> Asset:
        """A share that was sold again, and that nobody has a price of."""
        return Asset(f"{self.share.id}.OVER", 8)

    @classmethod
    def told(cls, app: Flask, admin: Engine, finora: Finora, **facts: Told) -> "World":
        place = next(_PLACES)
        foreign, base = (currency(code) for code in _CODES[2 * place : 2 * place + 2])
        people = People(app, admin)
        person = people.register()
        people.verify(person)
        body = {"name": "Books", "base_asset": base.id}
        tenants = [UUID(people.api(person).post("/tenants", body)["id"]) for _ in range(2)]
        world = cls(
            *(people.api(person, tenant) for tenant in tenants),
            base,
            foreign,
            Asset(f"ticker:MISSED{place:03}", 8),
            Asset(f"crypto:MISSED{place:03}", 8),
        )
        scope = Scope(tenant_id=tenants[0], user_id=person.user_id)
        every = {name: facts.get(name, Told()) for name in FACTS}
        world._rates(finora, scope, every["rate"], every["base"])
        world._prices(finora, scope, every["share"], every["coin"])
        world._books()
        world._holdings(every["own"])
        world._plans()
        finora.run_jobs()
        return world

    def _rates(self, finora: Finora, scope: Scope, rate: Told, base: Told) -> None:
        """A euro is 4 of the foreign one, and 2 of the base."""
        lines: dict[date, list[str]] = {}
        for place, (told, value) in enumerate(
            ((rate, Decimal(4) / rate.times), (base, Decimal(2) * base.times))
        ):
            for day in told.days():
                lines.setdefault(day, ["N/A", "N/A"])[place] = str(value)
        text = [f"Date,{self.foreign.id},{self.base.id}"]
        text += [f"{day},{','.join(cells)}" for day, cells in sorted(lines.items())]
        finora.rates.import_ecb(scope, io.BytesIO("\n".join(text).encode()))

    def _prices(self, finora: Finora, scope: Scope, share: Told, coin: Told) -> None:
        facts = []
        finora.ledger.register_asset(scope, self.over)
        for asset, quote, told, value in (
            (self.share, "EUR", share, 30), (self.coin, self.base.id, coin, 700),
        ):  # fmt: skip
            finora.ledger.register_asset(scope, asset)
            facts += [Price(asset=asset.id, quote=quote, at=midnight(day), source="test",
                            value=Decimal(value * told.times)) for day in told.days()]  # fmt: skip
        finora.prices.add(scope, "test", facts)

    def _books(self) -> None:
        """Money of both currencies, earned and spent each month for more than a year; facts are of
        the last three."""
        near = self.api.open("Near", asset=self.base.id)
        far = self.ids["account_id"] = self.api.open("Far", asset=self.foreign.id)
        self.ids["near"] = near
        for back in range(240, -1, -30):
            day = TODAY - timedelta(days=back)
            for account, asset, place in ((near, self.base, "Near"), (far, self.foreign, "Far")):
                for amount, category in (("4000.00", "Salary"), ("-400.00", "Food")):
                    if back > DAYS and (asset, category) != (self.foreign, "Food"):
                        continue
                    body = {"account_id": account, "on_date": f"{day}", "category": category,
                            "amount": {"amount": amount, "asset": asset.id},
                            "description": f"{place} {category}"}  # fmt: skip
                    made = self.api.post("/records", body)
        self.ids["record_id"] = made["id"]
        self.ids["entry_id"] = made["entry_id"]
        parts = [{"category": each, "amount": {"amount": "-200.00", "asset": self.foreign.id}}
                 for each in ("Food", "Food:Out")]  # fmt: skip
        self.api.post(f"/records/{made['id']}/split", {"parts": parts}, 200)
        self.api.upload("/imports", f"Date,Amount,Description\n{TODAY},-48.00,Tea\n".encode(), 202,
                        query={"name": "far.csv", "account": far})  # fmt: skip
        body = {"name": "r.png", "size": 40}
        file = self.api.upload("/files", b"\x89PNG\r\n\x1a\n" + bytes(40), 201,
                               query={"name": "r.png"})  # fmt: skip
        receipt = {"file_id": file["id"], "amount": {"amount": "400.00", "asset": self.foreign.id},
                   "merchant": "Far Food"}  # fmt: skip
        self.ids["receipt_id"] = self.api.post("/receipts", receipt)["id"]

    def _holdings(self, own: Told) -> None:
        """Shares and coins with fees, taxes and dividends in the foreign currency; half of some of
        them were sold."""
        desk = self.ids["desk"] = self.trader.post("/portfolio/accounts", {"name": "Desk"})["id"]
        made = self.trader.post("/own-assets", {"name": "Flat", "quote": self.base.id})
        self.own = made["asset"]
        for day in own.days():
            if (TODAY - day).days % 20 == 10:
                said = {"value": str(9000 * own.times), "at": f"{day}T00:00:00Z"}
                self.trader.post(f"/own-assets/{made['id']}/prices", said)

        def enter(back: int, kind: str, asset: str, quantity: str, **more: Any) -> str:
            at = f"{TODAY - timedelta(days=back)}T12:00:00Z"
            body = {"account_id": desk, "kind": kind, "asset": asset, "quantity": quantity,
                    "at": at, **more}  # fmt: skip
            return str(self.trader.post("/activities", body)["id"])

        fee = {"amount": "8.00", "asset": self.foreign.id}
        price = {"price": "40", "quote": self.foreign.id}
        enter(90, "buy", self.share.id, "20", fee=fee, **price)
        enter(90, "buy", self.coin.id, "4", price="600", quote=self.base.id, fee=fee)
        enter(90, "reward", self.coin.id, "2")
        enter(80, "sell", self.share.id, "-10", price="60", quote=self.foreign.id, tax=fee)
        enter(70, "dividend", self.share.id, "0",
              counter={"amount": "16.00", "asset": self.foreign.id})  # fmt: skip
        enter(60, "buy", self.own, "1", price="8000", quote=self.base.id)
        enter(60, "deposit", self.foreign.id, "80.00")
        seen = {"account_id": desk, "quantity": {"amount": "10", "asset": self.share.id},
                "at": f"{TODAY - timedelta(days=3)}T00:00:00Z"}  # fmt: skip
        self.trader.post("/observations", seen)
        desk = self.ids["left"] = self.trader.post("/portfolio/accounts", {"name": "Left"})["id"]
        enter(75, "buy", self.over.id, "10", **price)
        enter(65, "sell", self.over.id, "-10", price="60", quote=self.foreign.id)
        self.ids["activity_id"] = enter(50, "deposit", self.base.id, "90.00")

    def _plans(self) -> None:
        begins = f"{TODAY - timedelta(days=70)}"
        budget = {"name": "Food", "category": "Food", "rollover": "all", "starts_on": begins,
                  "limit": {"amount": "900.00", "asset": self.base.id}}  # fmt: skip
        self.ids["budget_id"] = self.api.post("/budgets", budget)["id"]
        shares = [{"account_id": self.ids[each], "percent": 50} for each in ("near", "account_id")]
        goal = {"name": "Boat", "target": {"amount": "90000.00", "asset": self.base.id},
                "shares": shares}  # fmt: skip
        self.ids["goal_id"] = self.api.post("/goals", goal)["id"]

    def answers(self) -> dict[str, Any]:
        """What each route says, with the names of this world taken out."""
        names = {self.base.id: "BASE", self.foreign.id: "FOREIGN",
                 self.share.id.partition(":")[2]: "THING", self.own: "own:FLAT"}  # fmt: skip
        found = {}
        for name, asked in ASKED.items():
            endpoint = BY_NAME[name]
            path = endpoint.path.format(**self.ids)
            for number, query in enumerate(asked):
                given = query(self)
                sent = {"query": given} if endpoint.method == "GET" else {"body": given}
                api = self.trader if endpoint.tag == "portfolio" else self.api
                answer = api.ask(endpoint.method, path, **sent)
                assert answer.status_code == 200, (name, answer.text)
                text = answer.text
                for own, common in names.items():
                    text = text.replace(own, common)
                ids: dict[str, str] = {}
                text = _ID.sub(lambda it: ids.setdefault(it[0], f"id{len(ids)}"), text)  # noqa: B023
                found[f"{name} {number}"] = json.loads(text)["data"]
        return found


BY_NAME = {endpoint.name: endpoint for endpoint in ENDPOINTS}
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# When it was made, and not what was made.
_APART = {"generated_at", "created_at", "recorded_at", "decided_at", "next"}
# What a holding lacks leaves all of the holding out.
# And parts stand in the order of their size: which one is where changes with what they lack.
_WHOLE = re.compile(r"list_holdings 0\.(invested|gain)\.value|get_allocation \d\.parts.*")
_UNIT = Decimal("0.01")
_NOW = re.compile(
    r"(list_holdings|get_allocation) \d\.(at|holdings\[\d+\]\.price_at)"
    r"|explain_entry 0\.labels.*\.at"
)


@attrs.frozen
class Place:
    """Somewhere in an answer, and what is around it, the innermost last."""

    path: str
    around: tuple[tuple[str, Any], ...] = ()
    """Models by name, each with what the answer has of it."""

    def told(self) -> bool:
        """Whether the nearest around it that has a word for it says that it is not all."""
        near = [each for each in self.around if each[0] in WORDS]
        return bool(near) and speaks(*near[-1])


def speaks(model: str, said: Any) -> bool:
    for word in WORDS.get(model, ()):
        found = said
        for part in word.split("."):
            found = found[part] if isinstance(found, dict) else None
        if found:
            return True
    return False


@attrs.frozen
class Contract:
    """The document of the API, as far as it says what an answer is made of."""

    document: Any

    def reply(self, name: str) -> Any:
        [operation] = [
            each
            for methods in self.document["paths"].values()
            for each in methods.values()
            if each["operationId"] == name
        ]
        found = operation["responses"].get(str(BY_NAME[name].status), {}).get("content", {})
        return found.get("application/json", {}).get("schema", {})

    def model(self, schema: Any) -> tuple[str, Any]:
        """Its name, if it has one, and what it says; of several, the one that is not null."""
        for each in schema.get("anyOf", ()):
            if each != {"type": "null"}:
                return self.model(each)
        name = schema.get("$ref", "").rpartition("/")[2]
        return (name, self.document["components"]["schemas"][name]) if name else ("", schema)

    def inner(self, schema: Any) -> Iterator[Any]:
        yield from schema.get("properties", {}).values()
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                yield schema[key]

    def models(self, schema: Any, seen: set[str] | None = None) -> set[str]:
        """All that an answer may have in it."""
        found = set() if seen is None else seen
        name, said = self.model(schema)
        if not name or name not in found:
            if name:
                found.add(name)
            for each in self.inner(said):
                self.models(each, found)
        return found

    def with_money(self, models: set[str]) -> set[str]:
        """Those of them that have a sum of money of their own."""
        return {
            name
            for name in models - {"Money"}
            if any(
                self.model(each)[0] == "Money" or self.model(each.get("items", {}))[0] == "Money"
                for each in self.inner(self.document["components"]["schemas"][name])
            )
        }

    def walk(self, said: Any, schema: Any, place: Place) -> Iterator[tuple[str, Any, Any]]:
        """Every model in the answer, by name, with what is there."""
        name, of = self.model(schema)
        if isinstance(said, dict):
            yield place.path, name, said
        for path, inner, below in _below(said, of):
            yield from self.walk(below, inner, Place(f"{place.path}{path}"))

    def changes(
        self, full: Any, less: Any, schema: Any, place: Place
    ) -> Iterator[tuple[Place, Any, Any]]:
        """Where they differ, sums of money whole, with what each says."""
        name, of = self.model(schema)
        if name == "Money" or not _alike(full, less):
            if full != less and not _NOW.fullmatch(place.path):
                yield place, full, less
            return
        around = (*place.around, (name, less)) if isinstance(less, dict) else place.around
        for (path, inner, one), (_, _, other) in zip(
            _below(full, of), _below(less, of), strict=True
        ):
            yield from self.changes(one, other, inner, Place(f"{place.path}{path}", around))


def _below(said: Any, schema: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(said, dict):
        known = schema.get("properties", {})
        for key in sorted(said.keys() - _APART):
            yield f".{key}", known.get(key) or schema.get("additionalProperties") or {}, said[key]
    if isinstance(said, list):
        for number, each in enumerate(said):
            yield f"[{number}]", schema.get("items", {}), each


def _alike(full: Any, less: Any) -> bool:
    """Whether they can be compared part by part."""
    if isinstance(full, dict) and isinstance(less, dict):
        return full.keys() == less.keys()
    return isinstance(full, list) and isinstance(less, list) and len(full) == len(less)


@pytest.fixture(scope="module")
def contract(app: Flask) -> Contract:
    return Contract(app.test_client().get("/openapi.json").json)


@pytest.fixture(scope="module")
def full(app: Flask, admin: Engine, finora: Finora) -> dict[str, Any]:
    """What is said where nothing is missing."""
    return World.told(app, admin, finora).answers()


def test_every_route_that_answers_with_money_is_asked(
    contract: Contract, full: dict[str, Any]
) -> None:
    """Reads are, one by one; what writes answer with is what a read answers with."""
    money = {
        endpoint.name: found
        for endpoint in ENDPOINTS
        if (found := contract.with_money(contract.models(contract.reply(endpoint.name))))
    }
    reads = {name for name in money if BY_NAME[name].method == "GET"}
    assert reads <= ASKED.keys()
    assert ASKED.keys() <= money.keys()
    met = {
        model
        for name, said in full.items()
        for _, model, _ in contract.walk(said, _data(contract, name), Place(name))
    }
    assert {model for found in money.values() for model in found} - met == ELSEWHERE
    assert set(WORDS) <= met


def test_where_all_is_known_nothing_is_said_to_be_missing(
    contract: Contract, full: dict[str, Any]
) -> None:
    for name, said in full.items():
        for path, model, of in contract.walk(said, _data(contract, name), Place(name)):
            assert not speaks(model, of), (path, of)


@pytest.mark.spec("S0-54", partial=True)
@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("told", [NONE, OLD, ANCIENT, LATE], ids=["none", "old", "ancient", "late"])
def test_a_figure_without_one_of_its_facts_says_so(
    app: Flask,
    admin: Engine,
    finora: Finora,
    contract: Contract,
    full: dict[str, Any],
    fact: str,
    told: Told,
) -> None:
    less = World.told(app, admin, finora, **{fact: told}).answers()
    twice = World.told(app, admin, finora, **{fact: Told(2)}).answers() if told == NONE else {}
    changed, wrong = 0, []
    for name, said in less.items():
        schema, root = _data(contract, name), Place(name)
        doubled = {
            place.path: more
            for place, _, more in contract.changes(full[name], twice.get(name), schema, root)
        }
        for place, before, after in contract.changes(full[name], said, schema, root):
            changed += 1
            if not place.told():
                wrong.append(f"{place.path} is {after} without a word, and not {before}")
            elif place.path in doubled and _is_money(after) and not _WHOLE.fullmatch(place.path):
                # With the fact twice as large it is more by all that rests on it.
                more = Decimal(doubled[place.path]["amount"])
                left = 2 * Decimal(before["amount"]) - more
                if abs(Decimal(after["amount"]) - left) > _UNIT:
                    wrong.append(f"{place.path} is {after}, and not {left}")
    assert not wrong, "\n".join(wrong)
    assert changed


def _is_money(said: Any) -> bool:
    return isinstance(said, dict) and said.keys() == {"amount", "asset"}


def _data(contract: Contract, name: str) -> Any:
    _, reply = contract.model(contract.reply(name.split()[0]))
    return reply["properties"]["data"]
