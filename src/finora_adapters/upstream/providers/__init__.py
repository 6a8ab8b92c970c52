"""The sources that come with Finora, registered as a stranger's are."""

from collections.abc import Callable

from finora_adapters.upstream.providers.bitcoin import Bitcoin
from finora_adapters.upstream.providers.chains import CHAINS
from finora_adapters.upstream.providers.coingecko import CoinGecko
from finora_adapters.upstream.providers.defillama import DefiLlama
from finora_adapters.upstream.providers.ecb import Ecb
from finora_adapters.upstream.providers.etherscan import Etherscan
from finora_adapters.upstream.providers.finnhub import Finnhub
from finora_adapters.upstream.providers.frankfurter import Frankfurter
from finora_adapters.upstream.providers.helius import Helius
from finora_adapters.upstream.providers.openai import OpenAi
from finora_adapters.upstream.providers.sheets import Sheets
from finora_adapters.upstream.providers.ton import Ton
from finora_adapters.upstream.providers.tron import Tron
from finora_adapters.upstream.providers.yahoo import Yahoo
from finora_core.plugins import Chain, Provider, hookimpl

Register = Callable[[Provider], None]


@hookimpl
def register_prices(register: Register) -> None:
    for each in (CoinGecko, DefiLlama, Finnhub, Yahoo, Sheets):
        register(each)


@hookimpl
def register_rates(register: Register) -> None:
    register(Frankfurter)
    register(Ecb)


@hookimpl
def register_assets(register: Register) -> None:
    register(Finnhub)
    register(Yahoo)


@hookimpl
def register_balances(register: Register) -> None:
    for each in (Etherscan, Helius, Bitcoin, Tron, Ton):
        register(each)


@hookimpl
def register_transactions(register: Register) -> None:
    for each in (Etherscan, Helius, Bitcoin):
        register(each)


@hookimpl
def register_pictures(register: Register) -> None:
    register(OpenAi)


@hookimpl
def register_chains(register: Callable[[Chain], None]) -> None:
    for each in CHAINS:
        register(each)
