"""The chain of sources: order, fallback, what each can do, and what their answers come to."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finora_core.kernel.outcome import (
    Ambiguous,
    AuthExpired,
    Down,
    Missing,
    Ok,
    OverBudget,
    Partial,
    RateLimited,
    Unsupported,
)
from finora_core.market.assets.model import AssetKind, Identity
from finora_core.market.prices.chain import (
    CredentialsMissing,
    IdentityChain,
    PriceChain,
    RateChain,
    SourceAside,
    SourceCannot,
    UnknownSource,
    agree,
    leaps,
    ref_of,
    required,
)
from finora_core.plugins import AssetRef, Identified, Quoted
from market.sources import Manifest, Source

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = NOW.date()
Make = Callable[..., Source]


def source(name: str = "one", **more: Any) -> Source:
    told = {key: more.pop(key) for key in ("capabilities", "assets", "since") if key in more}
    return Source(provides=Manifest(name=name, **told), now=NOW, **more)


def coin(name: str) -> AssetRef:
    return AssetRef(id=f"crypto:{name}", kind="crypto", symbol=name)


A, B, C = coin("A"), coin("B"), coin("C")
FUND = AssetRef(id="isin:IE00B4L5Y983", kind="security", symbol="IWDA")


def latest(*sources: Source, assets: Any = (A, B, C), **more: Any) -> Any:
    return PriceChain(sources).latest(assets, "EUR", more.pop("last", {}), NOW, **more)


def test_each_is_asked_for_what_is_still_missing() -> None:
    one, two = source(prices={A.id: "1"}), source("two", prices={A.id: "9", B.id: "2"})
    found = latest(one, two)
    assert {asset: (name, quoted.price) for asset, (name, quoted) in found.found.items()} == {
        A.id: ("one", Decimal(1)), B.id: ("two", Decimal(2)),
    }  # fmt: skip
    assert two.asked == [("latest", "EUR", [B.id, C.id])]
    assert found.absent == {C.id}
    # Who has all leaves nothing to ask for.
    idle = source("idle")
    assert latest(source(prices={A.id: "1"}), idle, assets=[A]).absent == frozenset()
    assert idle.asked == []


@pytest.mark.parametrize(
    ("outcome", "name"),
    [(Down("it answers 500"), "down"), (RateLimited(60), "ratelimited"), (AuthExpired(),
     "authexpired"), (OverBudget(60), "overbudget"), (Ambiguous((1, 2)), "ambiguous")],
)  # fmt: skip
def test_one_that_fails_is_fallen_through_and_makes_nothing_absent(outcome: Any, name: str) -> None:
    found = latest(source(prices=outcome), source("two", prices={A.id: "2"}))
    assert set(found.found) == {A.id} and found.absent == frozenset()
    assert [(each.source, each.outcome) for each in found.tried] == [("one", name), ("two", "ok")]


def test_one_that_is_well_and_has_none_is_an_answer_and_unsupported_is_not() -> None:
    assert latest(source(prices=Missing()), assets=[A]).absent == {A.id}
    assert latest(source(prices=Unsupported()), assets=[A]).absent == frozenset()
    assert latest(assets=[A]).absent == frozenset()
    some = Quoted(asset=A.id, quote="EUR", price=Decimal(1), at=NOW)
    part = latest(source(prices=Partial([some], "one was odd")), assets=[A, B])
    assert set(part.found) == {A.id} and part.absent == frozenset()
    assert part.tried[0].said == "one was odd"


def test_one_is_asked_only_what_it_says_it_can() -> None:
    cannot = source(capabilities=("history",))
    other = source("other", assets=("security",))
    locked = source("locked", missing=("key",))
    aside = source("aside", aside="it crashed")
    found = latest(cannot, other, locked, aside, assets=[A, FUND])
    assert cannot.asked == locked.asked == aside.asked == []
    assert other.asked == [("latest", "EUR", [FUND.id])]
    assert [(each.source, each.outcome, each.said) for each in found.tried] == [
        ("one", "unfit", "does not answer latest"), ("other", "ok", ""),
        ("locked", "unready", "needs key"), ("aside", "aside", "it crashed"),
    ]  # fmt: skip


def test_what_is_asked_of_one_source_by_name_is_refused_by_name() -> None:
    sources = [source(capabilities=("latest",), missing=("key", "secret")),
               source("two", aside="it hung"), source("three")]  # fmt: skip
    with pytest.raises(UnknownSource):
        required(sources, "four", None)
    with pytest.raises(SourceCannot, match="history"):
        required(sources, "one", "history")
    with pytest.raises(CredentialsMissing, match="FINORA_PLUGIN_ONE_KEY") as refused:
        required(sources, "one", "latest")
    assert refused.value.facts["settings"] == [
        "FINORA_PLUGIN_ONE_KEY", "FINORA_PLUGIN_ONE_SECRET",
    ]  # fmt: skip
    with pytest.raises(SourceAside, match="hung"):
        required(sources, "two", "latest")
    assert required(sources, "three", "history") is sources[2]


def test_two_that_disagree_are_told_and_the_first_holds() -> None:
    one, two = source(prices={A.id: "100", B.id: "10"}), source("two", prices={A.id: "94.9"})
    found = latest(one, two, assets=[A, B], checked=[A.id])
    [differ] = found.disagreements
    assert (differ.asset, differ.source, differ.price, differ.other, differ.other_price) == (
        A.id, "one", Decimal(100), "two", Decimal("94.9"),
    )  # fmt: skip
    assert found.found[A.id][0] == "one" and not found.doubted
    assert two.asked == [("latest", "EUR", [A.id])]
    assert agree(Decimal(100), Decimal(95)) and not agree(Decimal(100), Decimal("94.99"))


@pytest.mark.parametrize(
    ("second", "kept"), [({}, False), ({A.id: "1010"}, True), ({A.id: "99"}, False)]
)
def test_a_leap_is_believed_when_another_says_the_same(second: dict[str, str], kept: bool) -> None:
    last = {A.id: (NOW - timedelta(days=1), Decimal(99))}
    found = latest(source(prices={A.id: "1000"}), source("two", prices=second), assets=[A],
                   last=last)  # fmt: skip
    assert (A.id in found.found) is kept and (A.id in found.doubted) is not kept
    assert not found.absent
    # Of long ago it says nothing.
    long = {A.id: (NOW - timedelta(days=8), Decimal(99))}
    assert A.id in latest(source(prices={A.id: "1000"}), assets=[A], last=long).found
    assert leaps(Decimal(1), Decimal("10.1")) and not leaps(Decimal(10), Decimal(1))


def test_a_history_is_the_first_sources_that_has_any() -> None:
    since = DAY - timedelta(days=40)
    empty, full = source(), source("two", days={A.id: {DAY: "5"}}, since=DAY - timedelta(days=10))
    last = source("three", days={A.id: {DAY: "7"}})
    found = PriceChain([empty, full, last]).history(A, "EUR", since, DAY)
    assert list(found.days) == ["two"] and not found.empty and last.asked == []
    assert full.asked == [("history", A.id, DAY - timedelta(days=10), DAY)]
    assert PriceChain([empty]).history(A, "EUR", since, DAY).empty
    for failing in (Down("no"), Unsupported(), RateLimited(5)):
        broken = source("broken", days=failing)
        assert not PriceChain([broken]).history(A, "EUR", since, DAY).empty
    assert not PriceChain([empty, source("b", days=Down("no"))]).history(A, "EUR", since, DAY).empty
    assert not PriceChain([]).history(A, "EUR", since, DAY).empty


def test_rates_fall_through_quote_by_quote() -> None:
    one = source(days={"USD": {DAY: "1.1"}})
    two = source("two", days={"USD": {DAY: "9"}, "GBP": {DAY: "0.8"}})
    found, tried = RateChain([one, two]).rates("EUR", ["USD", "GBP", "XXX"], DAY, DAY)
    assert {name: list(by_quote) for name, by_quote in found.items()} == {
        "one": ["USD"], "two": ["GBP"],
    }  # fmt: skip
    assert [each.outcome for each in tried] == ["ok", "ok"]
    assert two.asked == [("rates", ("GBP", "XXX"), DAY, DAY)]


def test_a_name_is_taken_where_one_thing_fits_and_no_other() -> None:
    eth = Identified(name="ethereum", symbol="ETH", title="Ether", kind="crypto",
                     names={"caip19": "eip155:1/slip44:60"})  # fmt: skip
    fund = Identified(name="ETH", symbol="ETH", title="Ethan Allen", kind="security")
    other = Identified(name="ethereum-2", symbol="eth", title="Ether", kind="crypto")
    sure = source(known=[eth, fund])
    names, _ = IdentityChain([sure, source("two", known=[eth, other])]).names(coin("ETH"))
    assert names == {"one": "ethereum", "caip19": "eip155:1/slip44:60"}


def test_what_an_id_says_of_its_asset() -> None:
    said = {
        asset: ref_of(asset, None)
        for asset in (
            "isin:IE00B4L5Y983",
            "ticker:VWCE.DE",
            "crypto:BTC",
            "eip155:1/slip44:60",
            "own:x",
            "EUR",
        )
    }
    kinds = {asset: ref and (ref.kind, ref.symbol) for asset, ref in said.items()}
    assert kinds == {
        "isin:IE00B4L5Y983": ("security", "IE00B4L5Y983"),
        "ticker:VWCE.DE": ("security", "VWCE.DE"),
        "crypto:BTC": ("crypto", "BTC"), "eip155:1/slip44:60": ("crypto", "eip155:1/slip44:60"),
        "own:x": None, "EUR": None,
    }  # fmt: skip
    known = Identity(asset="own:x", symbol="X", kind=AssetKind.OTHER, names={"a": "b"})
    found = ref_of("own:x", known)
    assert found is not None and (found.kind, found.names) == ("other", {"a": "b"})


def test_answers_of_what_was_not_asked_are_left() -> None:
    odd = Quoted(asset="crypto:Z", quote="EUR", price=Decimal(1), at=NOW)
    wrong = Quoted(asset=A.id, quote="USD", price=Decimal(1), at=NOW)
    assert latest(source(prices=Ok([odd, wrong])), assets=[A]).found == {}


def test_nothing_is_asked_about_days_before_a_source_began() -> None:
    young = source(since=DAY)
    assert not PriceChain([young]).history(A, "EUR", date(2020, 1, 1), date(2020, 2, 1)).empty
    assert young.asked == []
