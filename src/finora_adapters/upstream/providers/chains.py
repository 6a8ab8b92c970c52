"""The chains that come with Finora."""

from finora_core.addresses import (
    bitcoin_address,
    evm_address,
    solana_address,
    ton_address,
    tron_address,
)
from finora_core.plugins import Chain


def _evm(name: str, number: int, title: str, symbol: str, confirmations: int, site: str) -> Chain:
    # The coin of a chain that pays with Ether is Ether still, and the chain's own id of it.
    slip44 = {"ETH": 60, "BNB": 714, "POL": 966, "AVAX": 9000}[symbol]
    return Chain(
        name=name, id=f"eip155:{number}", title=title, symbol=symbol, scale=18,
        native=f"eip155:{number}/slip44:{slip44}", confirmations=confirmations,
        explorer=f"https://{site}/address/", address=evm_address,
    )  # fmt: skip


CHAINS = (
    _evm("ethereum", 1, "Ethereum", "ETH", 12, "etherscan.io"),
    _evm("optimism", 10, "OP Mainnet", "ETH", 12, "optimistic.etherscan.io"),
    _evm("bsc", 56, "BNB Smart Chain", "BNB", 15, "bscscan.com"),
    _evm("polygon", 137, "Polygon", "POL", 128, "polygonscan.com"),
    _evm("base", 8453, "Base", "ETH", 12, "basescan.org"),
    _evm("arbitrum", 42161, "Arbitrum One", "ETH", 12, "arbiscan.io"),
    _evm("avalanche", 43114, "Avalanche", "AVAX", 12, "snowscan.xyz"),
    Chain(
        name="bitcoin", id="bip122:000000000019d6689c085ae165831e93", title="Bitcoin",
        symbol="BTC", scale=8, native="bip122:000000000019d6689c085ae165831e93/slip44:0",
        confirmations=6, explorer="https://mempool.space/address/", address=bitcoin_address,
    ),
    Chain(
        name="solana", id="solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", title="Solana",
        symbol="SOL", scale=9, native="solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501",
        confirmations=32, explorer="https://solscan.io/account/", address=solana_address,
    ),
    Chain(
        name="tron", id="tron:0x2b6653dc", title="Tron", symbol="TRX", scale=6,
        native="tron:0x2b6653dc/slip44:195", confirmations=19,
        explorer="https://tronscan.org/#/address/", address=tron_address,
    ),
    Chain(
        name="ton", id="tvm:-239", title="TON", symbol="TON", scale=9,
        native="tvm:-239/slip44:607", confirmations=1,
        explorer="https://tonviewer.com/", address=ton_address,
    ),
)  # fmt: skip
_IDS = {each.name: each.id for each in CHAINS}


def address_on(chain: str, account: str) -> str:
    """The account without the chain, where it is written with it (CAIP-10)."""
    return account.removeprefix(f"{_IDS[chain]}:")
