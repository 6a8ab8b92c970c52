"""The broker files that come with Finora, registered as a stranger's are; one file each."""

from collections.abc import Callable

from finora_core.plugins import ActivityFormat, hookimpl
from finora_core.portfolio.formats.bitvavo import Bitvavo
from finora_core.portfolio.formats.coinbase import Coinbase
from finora_core.portfolio.formats.degiro import Degiro
from finora_core.portfolio.formats.delta import Delta
from finora_core.portfolio.formats.etoro import Etoro
from finora_core.portfolio.formats.freetrade import Freetrade
from finora_core.portfolio.formats.ghostfolio import GhostfolioCsv, GhostfolioJson
from finora_core.portfolio.formats.ibkr import IbkrTrades
from finora_core.portfolio.formats.parqet import Parqet
from finora_core.portfolio.formats.relai import Relai
from finora_core.portfolio.formats.revolut import RevolutCrypto, RevolutInvest
from finora_core.portfolio.formats.traderepublic import TradeRepublic, TradeRepublicExport
from finora_core.portfolio.formats.trading212 import Trading212
from finora_core.portfolio.formats.xtb import Xtb

EVERY: tuple[ActivityFormat, ...] = (
    Bitvavo(), Coinbase(), Degiro(), Delta(), Etoro(), Freetrade(), GhostfolioCsv(),
    GhostfolioJson(), IbkrTrades(), Parqet(), Relai(), RevolutCrypto(), RevolutInvest(),
    TradeRepublic(), TradeRepublicExport(), Trading212(), Xtb(),
)  # fmt: skip


@hookimpl
def register_activity_formats(register: Callable[[ActivityFormat], None]) -> None:
    for each in EVERY:
        register(each)
