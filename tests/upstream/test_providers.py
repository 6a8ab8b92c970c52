"""Finora's own sources, held to the kit that a stranger's are, on what the services answered.

Where nothing recorded was to be had, the shape is the one that the service documents; those say so.
"""

import csv
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from finora_adapters.plugins import load_plugins
from finora_adapters.settings import from_environment
from finora_adapters.upstream.providers.bitcoin import Bitcoin
from finora_adapters.upstream.providers.coingecko import CoinGecko
from finora_adapters.upstream.providers.defillama import DefiLlama
from finora_adapters.upstream.providers.ecb import Ecb
from finora_adapters.upstream.providers.etherscan import Etherscan
from finora_adapters.upstream.providers.finnhub import Finnhub
from finora_adapters.upstream.providers.frankfurter import Frankfurter
from finora_adapters.upstream.providers.helius import Helius
from finora_adapters.upstream.providers.sheets import Sheets
from finora_adapters.upstream.providers.ton import Ton
from finora_adapters.upstream.providers.tron import Tron
from finora_adapters.upstream.providers.yahoo import Yahoo
from finora_adapters.upstream.sources import sources_of
from finora_core.kernel.outcome import AuthExpired, Down, Ok, RateLimited, Unsupported
from finora_core.plugins import AssetRef, Batch, Day, Limit, Quoted
from finora_core.testing import (
    Ask,
    AssetsSuite,
    BalancesSuite,
    Exchange,
    PricesSuite,
    RatesSuite,
    Tier,
    TransactionsSuite,
)
from finora_core.testing.recordings import dumped, read_exchanges
from shared_data import SHARED, needs_shared
from upstream.sources import Fixed

RECORDED = SHARED / "market" / "providers"
S05 = pytest.mark.spec("S0-5", partial=True)
S06 = pytest.mark.spec("S0-6", partial=True)
POINT = EntryPoint("sources", "finora_adapters.upstream.providers", "finora")


def coin(name: str, symbol: str) -> AssetRef:
    return AssetRef(id=f"crypto:{symbol}", kind="crypto", symbol=symbol, names={"coingecko": name})


ETH = AssetRef(
    id="eip155:1/slip44:60", kind="crypto", symbol="ETH", names={"coingecko": "ethereum"}
)
APPLE = AssetRef(
    id="isin:US0378331005", kind="security", symbol="AAPL",
    names={"finnhub": "AAPL", "yahoo": "AAPL"},
)  # fmt: skip


def get(url: str, body: Any, **more: Any) -> Exchange:
    text = body if isinstance(body, str) else dumped(body)
    return Exchange(method="GET", url=url, body=text.encode(), **more)


@cache
def shared(name: str) -> Any:
    path = RECORDED / name
    return json.loads(path.read_text(), parse_float=Decimal) if path.is_file() else {}


# --- prices --------------------------------------------------------------------------------------


@needs_shared
@S05
class TestCoinGecko(PricesSuite):
    """Its ranges are in the shape of its documents; all else is recorded."""

    provider = CoinGecko
    least = Tier.GOLD
    recordings = (RECORDED / "coingecko-simple-price.json", RECORDED / "coingecko-history.json")
    exchanges = (
        get(
            "https://api.coingecko.com/api/v3/coins/ethereum/market_chart/range"
            "?vs_currency=eur&from=1704067200&to=1704239999",
            {"prices": [[1704067200000, Decimal("2065.603754353392")],
                        [1704110400000, Decimal("2100.5")],
                        [1704153600000, Decimal("2129.1234567890123")]],
             "market_caps": [], "total_volumes": []},
        ),
    )  # fmt: skip
    asks = (
        Ask("latest", ([coin("bitcoin", "BTC"), coin("dai", "DAI"), coin("binancecoin", "BNB")],
                       "ETH")),
        Ask("history", (ETH, "EUR", date(2024, 1, 1), date(2024, 1, 1))),
        Ask("history", (ETH, "EUR", date(2024, 1, 1), date(2024, 1, 2))),
    )  # fmt: skip

    def test_says_what_was_recorded(self) -> None:
        subject = self.subject()
        now, day, span = (subject.ask(each).outcome.value for each in self.asks)
        assert {each.asset: str(each.price) for each in now} == {
            "crypto:BTC": "31.906046", "crypto:DAI": "0.0003068", "crypto:BNB": "0.21387074",
        }  # fmt: skip
        # The figure that rotki's own test asserts of this recording.
        assert day == [Day(on_date=date(2024, 1, 1), price=Decimal("2065.603754353392"))]
        assert [str(each.price) for each in span] == ["2100.5", "2129.1234567890123"]


@needs_shared
@S05
class TestDefiLlama(PricesSuite):
    """Its charts are in the shape of its documents; current prices are recorded."""

    provider = DefiLlama
    least = Tier.GOLD
    recordings = RECORDED / "defillama-current.json"
    exchanges = (
        get(
            "https://coins.llama.fi/chart/coingecko:dai"
            "?start=1704153599&span=2&period=1d&searchWidth=12h",
            {"coins": {"coingecko:dai": {"symbol": "DAI", "confidence": Decimal("0.99"),
                "prices": [{"timestamp": 1704153590, "price": Decimal("0.99987")},
                           {"timestamp": 1704239980, "price": Decimal("1.0002")}]}}},
        ),
    )  # fmt: skip
    asks = (
        Ask("latest", ([coin("arbitrum", "ARB"), coin("dai", "DAI"), coin("chainlink", "LINK")],
                       "USD")),
        Ask("history", (coin("dai", "DAI"), "USD", date(2024, 1, 1), date(2024, 1, 2))),
    )  # fmt: skip

    def test_says_what_was_recorded(self) -> None:
        found = self.subject().ask(self.asks[0]).outcome.value
        assert {each.asset: (str(each.price), each.at.timestamp()) for each in found} == {
            "crypto:ARB": ("0.415488", 1741276623), "crypto:DAI": ("0.99972", 1741276617),
            "crypto:LINK": ("17.22", 1741276615),
        }  # fmt: skip

    def test_it_has_dollars_only(self) -> None:
        ask = Ask("latest", ([coin("dai", "DAI")], "EUR"))
        assert self.subject().ask(ask).outcome == Unsupported()


def finnhub(path: str, part: str) -> Exchange:
    return get(f"https://finnhub.io/api/v1{path}", shared("finnhub.json").get(part, {}))


FINNHUB = (
    finnhub("/stock/profile2?symbol=AAPL", "profile"),
    finnhub("/quote?symbol=AAPL", "quote"),
    finnhub("/stock/candle?symbol=AAPL&resolution=D&from=1569283200&to=1570233599", "candles"),
    finnhub("/search?q=apple", "search"),
)


@needs_shared
@S05
class TestFinnhub(PricesSuite):
    provider = Finnhub
    least = Tier.GOLD
    exchanges = FINNHUB
    asks = (
        Ask("latest", ([APPLE], "USD")),
        Ask("history", (APPLE, "USD", date(2019, 9, 24), date(2019, 10, 4))),
    )

    def test_says_what_was_recorded(self) -> None:
        subject = self.subject()
        quoted, days = (subject.ask(each).outcome.value for each in self.asks)
        at = datetime.fromtimestamp(1582641000, UTC)
        assert quoted == [Quoted(asset=APPLE.id, quote="USD", price=Decimal("261.74"), at=at)]
        assert len(days) == 11
        assert (str(days[0].price), str(days[-1].price)) == ("217.68", "231.29")
        assert days[0].on_date == date(2019, 9, 24)

    def test_a_price_in_another_currency_is_none(self) -> None:
        subject = self.subject()
        assert subject.ask(Ask("latest", ([APPLE], "EUR"))).outcome == Ok([])
        ask = Ask("history", (APPLE, "EUR", date(2019, 9, 24), date(2019, 10, 4)))
        assert subject.ask(ask).outcome == Unsupported()


@needs_shared
@S05
class TestFinnhubSearch(AssetsSuite):
    provider = Finnhub
    least = Tier.GOLD
    exchanges = FINNHUB
    asks = (Ask("find", ("apple",)),)

    def test_says_what_was_recorded(self) -> None:
        found = self.subject().ask(self.asks[0]).outcome.value
        assert [each.name for each in found] == ["AAPL", "AAPL.SW", "APC.BE", "APC.DE"]


def chart(symbol: str, query: str, currency: str, **more: Any) -> Exchange:
    """In the shape that its chart service answers in; prices as it writes them."""
    meta = {"currency": currency, "symbol": symbol, "gmtoffset": 3600, **more.pop("meta", {})}
    result = {"meta": meta, **more}
    body = {"chart": {"result": [result], "error": None}}
    return get(f"https://query1.finance.yahoo.com/v8/finance/chart/{symbol}?{query}", body)


@S06
class TestYahoo(PricesSuite):
    provider = Yahoo
    least = Tier.GOLD
    exchanges = (
        chart("AAPL", "interval=1d&range=1d", "USD",
              meta={"regularMarketPrice": Decimal("261.7400"), "regularMarketTime": 1582641000}),
        chart("VOD.L", "interval=1d&range=1d", "GBp",
              meta={"regularMarketPrice": Decimal("71.58"), "regularMarketTime": 1582641000}),
        chart("VOD.L", "interval=1d&period1=1704067200&period2=1704412800", "GBp",
              timestamp=[1704182400, 1704268800, 1704355200],
              indicators={"quote": [{"close": [Decimal("69.5"), None, Decimal("70.259994506")]}]}),
    )  # fmt: skip
    vodafone = AssetRef(id="ticker:VOD.L", kind="security", symbol="VOD.L")
    asks = (
        Ask("latest", ([APPLE], "USD")),
        Ask("latest", ([vodafone], "GBP")),
        Ask("history", (vodafone, "GBP", date(2024, 1, 2), date(2024, 1, 3))),
        Ask("history", (vodafone, "GBP", date(2024, 1, 2), date(2024, 1, 3))),
    )

    def test_pence_are_hundredths_and_a_gap_is_none(self) -> None:
        found = self.subject().ask(self.asks[2]).outcome.value
        assert [(each.on_date.day, str(each.price)) for each in found] == [(2, "0.695")]


@needs_shared
@S06
class TestYahooSearch(AssetsSuite):
    """Recorded searches."""

    provider = Yahoo
    least = Tier.GOLD
    exchanges = tuple(
        get(f"https://query1.finance.yahoo.com/v1/finance/search?q={said}", body)
        for said, body in (
            json.loads((SHARED / "market" / "yahoo-search-results.json").read_text())["value"]
            if SHARED.is_dir()
            else ()
        )
        if said in ("US1912161007", "VICI", "CA0641491075", "SPYL.DE")
    )
    asks = tuple(Ask("find", (each,)) for each in ("US1912161007", "VICI", "SPYL.DE"))

    def test_says_what_was_recorded(self) -> None:
        subject = self.subject()
        [coke], several, [fund] = (subject.ask(each).outcome.value for each in self.asks)
        assert (coke.name, coke.title, coke.kind) == ("KO", "The Coca-Cola Company", "security")
        assert {"security", "crypto"} <= {each.kind for each in several}
        assert fund.title == "SPDR S&P 500 UCITS ETF USD Acc"


@S05
class TestSheets(PricesSuite):
    """In the shape that the service documents."""

    provider = Sheets
    least = Tier.GOLD
    exchanges = (
        get(
            "https://sheets.googleapis.com/v4/spreadsheets/<sheet>/values/<range>"
            "?valueRenderOption=UNFORMATTED_VALUE",
            {"range": "Sheet1!A1:C9", "majorDimension": "ROWS", "values": [
                ["token", "price", "currency"], [], ["Btc", Decimal("65000.5"), "usd"],
                ["ÖL", 70, "EUR"], ["FUND", "n/a", "USD"], ["FUND", 7, "USD"], ["", 1, "USD"],
                ["BTC", 1, "USD"], [None, 5, "USD"], ["BTC", 61000],
            ]},
        ),
    )  # fmt: skip
    asks = (
        Ask("latest", ([coin("bitcoin", "BTC"),
                        AssetRef(id="own:1", kind="other", symbol="FUND")], "USD")),
    )  # fmt: skip

    def test_rows_are_read(self) -> None:
        found = self.subject().ask(self.asks[0]).outcome.value
        assert [(each.asset, str(each.price)) for each in found] == [
            ("crypto:BTC", "65000.5"), ("own:1", "7"),
        ]  # fmt: skip


# --- rates ---------------------------------------------------------------------------------------


@S06
class TestFrankfurter(RatesSuite):
    """In the shape that the service documents, with rates that the ECB fixed."""

    provider = Frankfurter
    least = Tier.GOLD
    exchanges = (
        get(
            "https://api.frankfurter.dev/v1/2023-12-27..2023-12-29?base=EUR&symbols=USD,CHF",
            {"amount": Decimal("1.0"), "base": "EUR", "start_date": "2023-12-27",
             "end_date": "2023-12-29", "rates": {
                "2023-12-28": {"CHF": Decimal("0.9302"), "USD": Decimal("1.1114")},
                "2023-12-29": {"CHF": Decimal("0.926"), "USD": Decimal("1.105")}}},
        ),
    )  # fmt: skip
    asks = (Ask("rates", ("EUR", ["USD", "CHF"], date(2023, 12, 27), date(2023, 12, 29))),)


def ecb_rows() -> dict[str, dict[str, str]]:
    path = SHARED / "market" / "ecb-eurofxref-2020-2023.csv"
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {row["Date"]: row for row in csv.DictReader(file)}


def ecb_series(currencies: list[str], first: str, last: str) -> str:
    """The bank's own figures in the shape of its data service."""
    said = ["KEY,FREQ,CURRENCY,CURRENCY_DENOM,EXR_TYPE,EXR_SUFFIX,TIME_PERIOD,OBS_VALUE"]
    for currency in currencies:
        for day, row in sorted(ecb_rows().items()):
            if first <= day <= last:
                value = row[currency].replace("N/A", "")
                said.append(f"EXR.D.{currency}.EUR.SP00.A,D,{currency},EUR,SP00,A,{day},{value}")
    return "\r\n".join(said) + "\r\n"


@needs_shared
@S06
class TestEcb(RatesSuite):
    provider = Ecb
    least = Tier.GOLD
    exchanges = (
        get(
            "https://data-api.ecb.europa.eu/service/data/EXR/D.USD+RUB.EUR.SP00.A"
            "?startPeriod=2022-02-25&endPeriod=2022-03-04&detail=dataonly&format=csvdata",
            ecb_series(["USD", "RUB"], "2022-02-25", "2022-03-04"),
        ),
    )
    asks = (Ask("rates", ("EUR", ["USD", "RUB"], date(2022, 2, 25), date(2022, 3, 4))),)

    def test_a_currency_that_ended_ends(self) -> None:
        found = self.subject().ask(self.asks[0]).outcome.value
        assert max(each.on_date for each in found["RUB"]) == date(2022, 3, 1)
        assert max(each.on_date for each in found["USD"]) == date(2022, 3, 4)
        ask = Ask("rates", ("USD", ["EUR"], date(2022, 2, 25), date(2022, 3, 4)))
        assert self.subject().ask(ask).outcome == Unsupported()


# --- balances and transactions -------------------------------------------------------------------

OWNER = "0xC951900c341aBbb3BAfbf7ee2029377071Dbc36A"
TOKEN = "0x6b175474e89094c44da98b954eedeac495271d0f"


@needs_shared
@S05
class TestEtherscan(TransactionsSuite):
    """As it was on 1 January 2016."""

    provider = Etherscan
    least = Tier.GOLD
    now = datetime(2016, 1, 1, tzinfo=UTC)
    recordings = RECORDED / "etherscan-genesis.json"
    asks = (Ask("transactions", (OWNER, None)),)

    def test_every_unit_that_moved_is_there(self) -> None:
        batch: Batch = self.subject().ask(self.asks[0]).outcome.value
        assert batch.next == "778483"
        assert [(each.kind, str(each.quantity)) for each in batch.movements] == [
            ("transfer", "327.600000000000000000"), ("transfer", "-327.400000000000000000"),
            ("fee", "-0.025320679510922664"),
        ]  # fmt: skip
        assert len({each.id for each in batch.movements}) == 3

    def test_tokens_failures_and_refusals(self) -> None:
        """In the shape that the service documents."""
        token = {"blockNumber": "5", "timeStamp": "1500000000", "hash": "0xab", "from": OWNER,
                 "to": "0x01", "value": "1500000", "tokenDecimal": "6", "tokenSymbol": "USDC",
                 "contractAddress": TOKEN, "gasUsed": "21000", "gasPrice": "1"}  # fmt: skip
        failed = {"blockNumber": "4", "timeStamp": "1500000000", "hash": "0xaa", "from": OWNER,
                  "to": "0x01", "value": "9", "isError": "1", "gasUsed": "100",
                  "gasPrice": "10"}  # fmt: skip
        base = f"https://api.etherscan.io/v2/api?chainid=10&module=account&address={OWNER}"
        span = "&startblock=3&endblock=9&sort=asc"
        block = ("https://api.etherscan.io/v2/api?chainid=10&module=block&closest=before"
                 "&action=getblocknobytime&timestamp=1451606400")  # fmt: skip

        def said(result: Any, status: str = "1", message: str = "OK") -> Any:
            return {"status": status, "message": message, "result": result}

        none = said([], "0", "No transactions found")
        exchanges = [
            get(block, said("9")),
            get(f"{base}&action=txlist{span}", said([failed])),
            get(f"{base}&action=txlistinternal{span}", none),
            get(f"{base}&action=tokentx{span}", said([token, token])),
        ]
        subject = self.subject()
        ask = Ask("transactions", (f"eip155:10:{OWNER}", "3"))
        mine = type(subject)(
            kind="transactions", provider=Etherscan, exchanges=exchanges, asks=[ask], now=self.now
        )
        batch = mine.ask(ask).outcome.value
        assert [(each.id, format(each.quantity, "f"), each.name) for each in batch.movements] == [
            ("0xaa:fee", "-0.000000000000001000", "ETH"),
            ("0xab:token:1", "-1.500000", TOKEN),
            ("0xab:token:2", "-1.500000", TOKEN),
        ]  # fmt: skip
        for result, outcome in (
            ("Max calls per sec rate limit reached (5/sec)", RateLimited(1)),
            ("Invalid API Key (#err2)|1", AuthExpired()),
            ("Error! Invalid address", Down("it does not answer the question")),
        ):
            exchanges[0] = get(block, said(result, "0", "NOTOK"))
            assert mine.ask(ask).outcome == outcome


@S05
class TestEtherscanBalances(BalancesSuite):
    """In the shape that the service documents."""

    provider = Etherscan
    least = Tier.GOLD
    exchanges = (
        get(
            "https://api.etherscan.io/v2/api?chainid=1&module=account&action=balance&tag=latest"
            f"&address={OWNER}",
            {"status": "1", "message": "OK", "result": "200000000000000001"},
        ),
    )
    asks = (Ask("balances", (OWNER,)),)

    def test_every_digit_is_there(self) -> None:
        [held] = self.subject().ask(self.asks[0]).outcome.value
        assert str(held.quantity) == "0.200000000000000001"


SOL = "BvgYHNDAy4U4WYuAoGN9Wc1Q7o26BjEtAbCkqVReceya"
OTHER = "G2YxRa6wt1qePMwfJzdXZG62ej4qaTC7YURzuh2Lwd3t"


@needs_shared
@S05
class TestHelius(TransactionsSuite):
    """Recorded transactions, as the list that the service makes of them."""

    provider = Helius
    least = Tier.GOLD
    exchanges = tuple(
        get(f"https://api.helius.xyz/v0/addresses/{account}/transactions?limit=100", shared(name))
        for account, name in ((SOL, "helius-transfer.json"), (OTHER, "helius-webhook.json"))
    )
    asks = (Ask("transactions", (SOL, None)), Ask("transactions", (OTHER, None)))

    def test_every_lamport_that_moved_is_there(self) -> None:
        subject = self.subject()
        first, second = (subject.ask(each).outcome.value for each in self.asks)
        assert [(each.kind, str(each.quantity)) for each in first.movements] == [
            ("transfer", "-4.000000000"), ("fee", "-0.000005050"),
        ]  # fmt: skip
        # The fee was paid by somebody else.
        assert [str(each.quantity) for each in second.movements] == ["-1.596389340"]
        assert str(first.next).startswith("3yiz9mNe")


@S05
class TestHeliusBalances(BalancesSuite):
    """In the shape that the service documents."""

    provider = Helius
    least = Tier.GOLD
    exchanges = (
        get(
            f"https://api.helius.xyz/v0/addresses/{SOL}/balances",
            {"nativeBalance": 4000005050, "tokens": [
                {"tokenAccount": "t", "mint": "EPjF", "amount": 1234567, "decimals": 6}]},
        ),
    )  # fmt: skip
    asks = (Ask("balances", (SOL,)),)


BTC = "bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh"


def output(value: int, address: str = BTC) -> dict[str, Any]:
    return {"value": value, "scriptpubkey_address": address}


def transaction(number: int, paid: list[Any], received: list[Any], fee: int) -> dict[str, Any]:
    status = {"confirmed": True, "block_height": number, "block_time": 1_700_000_000 + number}
    vin = [{"txid": "x", "prevout": each} for each in paid]
    return {"txid": f"t{number}", "vin": vin, "vout": received, "fee": fee, "status": status}


MEMPOOL = f"https://mempool.space/api/address/{BTC}"
SPENT = transaction(3, [output(5_000), output(6_000)], [output(1_000), output(9_500, "bc1o")], 500)
GOT = transaction(1, [output(9_000, "bc1o")], [output(5_000)], 4_000)
MIXED = transaction(2, [output(1_000), output(4_000, "bc1o")], [output(7_000)], 100)
MINED = transaction(0, [None], [output(6_000)], 0)


@S06
class TestBitcoin(TransactionsSuite):
    """In the shape that mempool.space documents."""

    provider = Bitcoin
    least = Tier.GOLD
    exchanges = (get(f"{MEMPOOL}/txs/chain", [SPENT, MIXED, GOT, MINED]),)
    asks = (Ask("transactions", (BTC, None)), Ask("transactions", (BTC, "t2")))

    def test_what_moved_and_what_it_cost(self) -> None:
        subject = self.subject()
        every, later = (subject.ask(each).outcome.value for each in self.asks)
        assert [(each.id, each.kind, str(each.quantity)) for each in every.movements] == [
            ("t0", "transfer", "0.00006000"),
            ("t1", "transfer", "0.00005000"),
            # Others paid too, so whose the fee was cannot be said.
            ("t2", "transfer", "0.00006000"),
            ("t3", "transfer", "-0.00009500"),
            ("t3:fee", "fee", "-0.00000500"),
        ]  # fmt: skip
        assert [each.id for each in later.movements] == ["t3", "t3:fee"]
        assert every.next == later.next == "t3"


@S06
class TestBitcoinBalances(BalancesSuite):
    """In the shape that mempool.space documents."""

    provider = Bitcoin
    least = Tier.GOLD
    exchanges = (
        get(MEMPOOL, {"address": BTC, "chain_stats": {"funded_txo_sum": 22_000,
            "spent_txo_sum": 12_000}, "mempool_stats": {"funded_txo_sum": 7}}),
    )  # fmt: skip
    asks = (Ask("balances", (BTC,)),)


TRON, TON = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "UQCD39VS5jcptHL8vMjEXrzGaRcCVYto7HUn4bpAOg8xqEBI"
GRID = f"https://api.trongrid.io/v1/accounts/{TRON}"
UNUSED = "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb"


@S06
class TestTron(BalancesSuite):
    """In the shape that TronGrid documents."""

    provider = Tron
    least = Tier.GOLD
    exchanges = (
        get(GRID, {"success": True, "data": [{
            "address": "41a614f803b6fd780986a42c78ec9c7f77e6ded13c", "balance": 2_500_000,
            "frozenV2": [{"amount": 1_000_000}, {"type": "ENERGY", "amount": 7}, {"type": "TP"}],
            "unfrozenV2": [{"unfreeze_amount": 30, "unfreeze_expire_time": 1_700_000_000_000}],
            "trc20": [{TRON: "9000000"}],
        }], "meta": {"at": 1_700_000_000_000, "page_size": 1}}),
        get(GRID.replace(TRON, UNUSED), {"success": True, "data": [], "meta": {"page_size": 0}}),
    )  # fmt: skip
    asks = (Ask("balances", (TRON,)), Ask("balances", (UNUSED,)))

    def test_what_is_staked_is_held(self) -> None:
        subject = self.subject()
        found = [subject.ask(each).outcome.value for each in self.asks]
        assert [[str(held.quantity) for held in each] for each in found] == [
            ["3.500037"], ["0.000000"],
        ]  # fmt: skip


@S06
class TestTon(BalancesSuite):
    """In the shape that toncenter documents."""

    provider = Ton
    least = Tier.GOLD
    exchanges = (
        get(f"https://toncenter.com/api/v2/getAddressBalance?address={TON}",
            {"ok": True, "result": "1234567890123", "@extra": "1700000000.1:0:0.2"}),
    )  # fmt: skip
    asks = (Ask("balances", (TON,)),)


@needs_shared
@S06
@pytest.mark.parametrize(("suite", "chain"), [
    (TestBitcoin, "bip122:000000000019d6689c085ae165831e93"),
    (TestBitcoinBalances, "bip122:000000000019d6689c085ae165831e93"),
    (TestHelius, "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
    (TestHeliusBalances, "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
    (TestTron, "tron:0x2b6653dc"),
    (TestTon, "tvm:-239"),
])  # fmt: skip
def test_an_account_may_be_written_with_its_chain(suite: Any, chain: str) -> None:
    for ask in suite.asks:
        account, *more = ask.given
        written = Ask(ask.method, (f"{chain}:{account}", *more))
        plain, found = (suite().subject().ask(each).outcome for each in (ask, written))
        assert isinstance(plain, Ok) and found == plain


# --- all of them ---------------------------------------------------------------------------------


@pytest.mark.spec("S0-7", partial=True)
def test_the_limits_are_those_that_the_services_set() -> None:
    [found] = load_plugins([POINT]).found
    assert found.works, found.reason
    assert {each.name: each.limits[0] for each in found.sources} == {
        "coingecko": Limit(25, 60), "defillama": Limit(5, 1), "finnhub": Limit(50, 60),
        "yahoo": Limit(30, 60), "sheets": Limit(60, 60), "frankfurter": Limit(10, 1),
        "ecb": Limit(5, 1), "etherscan": Limit(5, 1), "helius": Limit(30, 1),
        "bitcoin": Limit(10, 1), "openai": Limit(20, 60), "tron": Limit(3, 1), "ton": Limit(1, 1),
    }  # fmt: skip


@needs_shared
@pytest.mark.spec("S0-5")
def test_a_recording_is_served_over_a_socket(httpserver: HTTPServer) -> None:
    """From the settings to the answer, through all that lies between."""
    [recorded] = read_exchanges(RECORDED / "coingecko-simple-price.json")
    httpserver.expect_request(
        "/api/v3/simple/price",
        query_string={"ids": "bitcoin,dai,binancecoin", "vs_currencies": "eth"},
        headers={"x-cg-demo-api-key": "k-1"},
    ).respond_with_data(recorded.body, content_type="application/json")
    said = {
        "FINORA_PLUGIN_COINGECKO_URL": httpserver.url_for("").rstrip("/"),
        "FINORA_PLUGIN_COINGECKO_KEY": "k-1",
    }
    settings = from_environment(said, [POINT])
    sources = sources_of(settings, load_plugins([POINT]), Fixed())
    assert sorted(each.provides.name for each in sources) == sorted(
        {name for kind in sources.by_kind.values() for name in kind}
    )
    coingecko = sources.by_kind["prices"]["coingecko"]
    ask = TestCoinGecko.asks[0]
    answered = coingecko.latest(*ask.given)
    assert isinstance(answered, Ok)
    assert {str(each.price) for each in answered.value} == {"31.906046", "0.0003068", "0.21387074"}
    assert sources.by_kind["prices"]["finnhub"].missing == ("key",)
    assert sources.by_kind["prices"]["finnhub"].latest([APPLE], "USD") == AuthExpired()


def test_recordings_are_read_in_place() -> None:
    """None of them is copied into the product."""
    kept = Path(__file__).parents[2] / "src" / "finora_adapters" / "upstream"
    assert list(kept.rglob("*.json")) == []
