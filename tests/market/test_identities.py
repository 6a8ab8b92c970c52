"""Who an asset is: one symbol a segment, names that the first says, scams and imitations."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from desk import Desk
from finora import Finora, Scope
from finora_adapters.postgres.work import Postgres
from finora_core.kernel.asset import Asset
from finora_core.market.assets.model import (
    SCAM,
    AssetKind,
    BadIdentity,
    Identity,
    NoIdentity,
    SymbolTaken,
    pretended,
    segment_of,
    skeleton,
)
from together import together

Say = Callable[..., Identity]


@pytest.fixture
def symbol() -> str:
    """Of plain letters, and nobody's but this test's: identities are everybody's."""
    return "".join(chr(ord("A") + int(digit, 16)) for digit in uuid4().hex[:12])


@pytest.fixture
def say(finora: Finora, scope: Scope, symbol: str) -> Say:
    def say(
        asset: str, called: str = symbol, kind: AssetKind = AssetKind.CRYPTO, *, scale: int = 18,
        source: str = "test", **more: object,
    ) -> Identity:  # fmt: skip
        said = Identity(asset=asset, symbol=called, kind=kind, **more)  # type: ignore[arg-type]  # as given
        return finora.assets.identify(scope, Asset(asset, scale), said, source=source)

    return say


def token(chain: int = 1) -> str:
    return f"eip155:{chain}/erc20:0x{uuid4().hex}{uuid4().hex[:8]}"


@pytest.mark.spec("S0-47", partial=True)
def test_an_asset_is_who_it_was_said_to_be_first(
    finora: Finora, scope: Scope, say: Say, symbol: str, admin: Engine
) -> None:
    one = token()
    name = symbol.lower()
    first = say(one, title="The Token", names={"coingecko": name})
    assert (first.segment, first.names, first.counts) == ("eip155:1", {"coingecko": name}, True)
    again = say(one, "OTHER", title="Other", names={"coingecko": f"{name}-2", "defillama": name})
    assert (again.symbol, again.title) == (symbol, "The Token")
    assert again.names == {"coingecko": name, "defillama": name}
    # A namespace's name is one asset's.
    two = say(token(137), names={"coingecko": name})
    assert two.names == {}
    assert finora.assets.named(scope, "coingecko", name).asset == one
    assert finora.assets.get(scope, one) == again
    with pytest.raises(NoIdentity):
        finora.assets.named(scope, "coingecko", f"{name}-2")
    with pytest.raises(NoIdentity):
        finora.assets.get(scope, token())
    with admin.connect() as connection, pytest.raises(DBAPIError, match="FACT_IMMUTABLE"):
        connection.execute(text("update finora.asset_identity set title = 'x'"))


@pytest.mark.spec("S0-47", partial=True)
def test_a_symbol_is_one_assets_in_its_segment(say: Say, symbol: str) -> None:
    say(f"isin:XX{symbol[:9]}0", kind=AssetKind.SECURITY, segment="XETR")
    say(f"isin:XX{symbol[:9]}1", kind=AssetKind.SECURITY, segment="XNAS")
    with pytest.raises(SymbolTaken, match="XETR"):
        say(f"isin:XX{symbol[:9]}2", kind=AssetKind.SECURITY, segment="XETR")
    # On a chain anybody may call a token anything.
    one, two = say(token(), names={"coingecko": symbol}), say(token())
    assert (one.segment, two.segment) == ("eip155:1", two.asset)
    assert two.lookalike == one.asset and not two.counts


@pytest.mark.spec("S0-47", partial=True)
def test_what_looks_like_a_known_symbol_is_set_apart(
    finora: Finora, scope: Scope, say: Say
) -> None:
    plain = f"USDC{uuid4().hex[:6].upper().translate(str.maketrans('0123456789', 'GHJKMPQRST'))}"
    # The imitation came first; nobody had a name of it.
    early = say(token(), plain.replace("C", "\u0421", 1))
    assert early.counts
    known = say(token(), plain, names={"coingecko": plain})
    assert known.counts
    assert finora.assets.get(scope, early.asset).lookalike == known.asset
    for fake in (plain.replace("C", "\u0421", 1), plain.lower(), f"{plain}\u200b"):
        found = say(token(), fake)
        assert (found.lookalike, found.quarantined, found.counts) == (known.asset, True, False), (
            fake
        )
    # A source that has a name of it knows the coin on another chain; a company is no coin.
    assert say(token(137), plain, names={"coingecko": f"{plain}-2"}).counts
    assert say(f"ticker:{plain}.XX", plain, AssetKind.SECURITY, scale=8).counts
    # And so with a name, if its letters are not what they seem.
    odd = say(token(), plain.replace("C", "\u0421", 1), names={"coingecko": f"{plain}-odd"})
    assert odd.lookalike == known.asset
    assert say(token(), "E\u200bUR").lookalike == "EUR"


@pytest.mark.spec("S0-47", partial=True)
@pytest.mark.spec("S0-53", partial=True)
@pytest.mark.parametrize(("scam", "counts"), [(None, True), (0, True), (SCAM - 1, True),
                                              (SCAM, False), (10_000, False)])  # fmt: skip
def test_what_is_likely_a_scam_does_not_count(
    finora: Finora, scope: Scope, say: Say, scam: int | None, counts: bool
) -> None:
    found = say(token(), scam=scam)
    assert (found.scam, found.counts) == (scam, counts)
    assert finora.assets.judge(scope, found.asset, 9_000, source="other").counts is False
    assert finora.assets.judge(scope, found.asset, 10, source="other").counts is True


@pytest.mark.spec("S0-47")
def test_what_is_left_out_is_in_no_total_and_what_counts_is(
    finora: Finora, scope: Scope, database: Postgres, say: Say, symbol: str
) -> None:
    """Now and on the days before: a scam from 0.35 on, and what looks like a known coin, however
    little anybody thinks that it is a scam."""
    desk = Desk(finora, scope, finora.portfolio.open_account(scope, "Main"), database)
    at = datetime.now(UTC) - timedelta(days=2)
    kept, likely, fake = (Asset(token(), 18) for _ in range(3))
    say(kept.id, scam=SCAM - 1, names={"coingecko": symbol.lower()})
    say(likely.id, f"{symbol}Q", scam=SCAM)
    for asset, value in ((kept, "1"), (likely, "10"), (fake, "100")):
        desk.trade(asset, "1", value, at)
        desk.price(asset, value, at)

    def totals() -> set[str]:
        finora.portfolio_history.rebuild(scope, since=at.date())
        [*_, last] = finora.portfolio_history.read(scope)
        return {desk.worth(datetime.now(UTC)).total.value.text, last.value.text}

    assert totals() == {"101.00"}
    assert say(fake.id, f"{symbol}\u200b", scam=0).lookalike == kept.id
    assert totals() == {"1.00"}
    finora.assets.judge(scope, likely.id, SCAM - 1, source="other")
    assert totals() == {"11.00"}


def test_search_shows_the_symbol_first_and_what_pretends_last(
    finora: Finora, scope: Scope, say: Say, symbol: str
) -> None:
    known = say(token(), names={"coingecko": symbol.lower()})
    longer = say(token(), f"{symbol}X")
    titled = say(token(), "ZZZ", title=f"Fund of {symbol.title()}")
    fake = say(token())
    found, cursor = [], None
    while True:
        page = finora.assets.search(scope, symbol.lower(), cursor=cursor, limit=1)
        found += [each.asset for each in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == [known.asset, longer.asset, titled.asset, fake.asset]
    assert finora.assets.search(scope, titled.asset).items[0] == titled
    assert finora.assets.search(scope, "%").items == ()


def test_two_that_say_it_at_once_say_it_once(
    finora: Finora, scope: Scope, stranger: Scope, symbol: str
) -> None:
    name = token()

    def say(who: Scope, title: str) -> Identity:
        said = Identity(asset=name, symbol=symbol, kind=AssetKind.CRYPTO, title=title)
        return finora.assets.identify(who, Asset(name, 18), said, source="test")

    results = together(lambda: say(scope, "one"), lambda: say(stranger, "two"))
    assert {each.title for each in results} in ({"one"}, {"two"})


def test_skeletons() -> None:
    for alike in (
        ("USDC", "USD\u0421", "usdc", "U\u200bSDC", "\uff35SDC", "USD\u00c7"),
        ("ETH", "\u0415\u0422\u041d", "\u0395\u03a4\u0397"),
        ("SOL", "S0L", "$OL", "SOI"),
        ("BTC", "\u0412\u0422\u0421"),
    ):
        assert len({skeleton(each) for each in alike}) == 1, alike
    assert len({skeleton(each) for each in ("BTC", "ETH", "SOL", "DOT", "XRP", "ADA")}) == 6


def test_segments() -> None:
    assert segment_of("eip155:1/erc20:0xabc") == "eip155:1"
    assert segment_of("ticker:VWCE.DE") == "DE"
    assert segment_of("isin:IE00B4L5Y983") == segment_of("crypto:BTC") == ""


def test_currencies_are_known_without_being_said() -> None:
    fake = Identity(asset="own:x", symbol="EUR", kind=AssetKind.OTHER)
    assert pretended(fake, ()) == "EUR"
    assert pretended(Identity(asset="own:x", symbol="EUR", kind=AssetKind.SECURITY), ()) is None


@pytest.mark.parametrize(
    "wrong",
    [{"symbol": ""}, {"symbol": "A B"}, {"symbol": "A" * 65}, {"title": "t" * 201},
     {"scam": 10_001}, {"scam": -1}, {"names": {"Big": "x"}}, {"names": {"small": ""}},
     {"segment": "\0"}],
)  # fmt: skip
def test_what_is_no_identity_is_refused(wrong: dict[str, object]) -> None:
    good = {"asset": "own:x", "symbol": "X", "kind": AssetKind.OTHER}
    with pytest.raises(BadIdentity):
        Identity(**(good | wrong))  # type: ignore[arg-type]  # that is what is tried
