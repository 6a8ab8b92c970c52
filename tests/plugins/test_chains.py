"""Chains: registered by plugins and by Finora alike, each with the addresses that are on it."""

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora.commands.new_provider import Kind, write
from finora_adapters.compose import plugins_of
from finora_adapters.plugins import load_plugins
from finora_adapters.settings import Settings
from finora_adapters.upstream.providers.chains import CHAINS
from finora_core.addresses import (
    bitcoin_address,
    evm_address,
    keccak256,
    solana_address,
    ton_address,
    tron_address,
)
from finora_core.market.provision.service import BadChainAddress, DataService
from finora_core.plugins import Chain
from finora_core.testing import ChainsSuite, Tier, failures, tier_of
from finora_core.testing.chains import CHAIN_CHECKS, OnChain

OWN = EntryPoint("sources", "finora_adapters.upstream.providers", "finora")
EVM = ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359")
BITCOIN = (
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
)  # fmt: skip
SOLANA = ("So11111111111111111111111111111111111111112",)
# That of the contract of the dollar coin, and that which nobody has a key of.
TRON = ("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb")
TON = (
    "UQCD39VS5jcptHL8vMjEXrzGaRcCVYto7HUn4bpAOg8xqEBI",
    "EQCD39VS5jcptHL8vMjEXrzGaRcCVYto7HUn4bpAOg8xqB2N",
    "0:83dfd552e63729b472fcbcc8c45ebcc6691702558b68ec7527e1ba403a0f31a8",
)
BY_NAME = {each.name: each for each in CHAINS}


# --- addresses -----------------------------------------------------------------------------------


class TestEthereum(ChainsSuite):
    provider = BY_NAME["ethereum"]
    addresses = EVM
    least = Tier.GOLD


class TestBitcoin(ChainsSuite):
    provider = BY_NAME["bitcoin"]
    addresses = BITCOIN
    least = Tier.GOLD


class TestSolana(ChainsSuite):
    """Without a checksum there is no gold."""

    provider = BY_NAME["solana"]
    addresses = SOLANA
    least = Tier.SILVER


class TestTron(ChainsSuite):
    provider = BY_NAME["tron"]
    addresses = TRON
    least = Tier.GOLD


class TestTon(ChainsSuite):
    provider = BY_NAME["ton"]
    addresses = TON[:2]
    least = Tier.GOLD


@pytest.mark.parametrize("text", TON)
def test_an_account_of_ton_is_one_however_it_is_written(text: str) -> None:
    assert ton_address(text) == TON[0]


@pytest.mark.parametrize("text", [
    "", "0:83dfd552", "2:" + TON[2][2:], TON[0][:-1], TON[0][:-1] + "J", TON[0][:-2] + "==",
    # Of the test net.
    "0QCD39VS5jcptHL8vMjEXrzGaRcCVYto7HUn4bpAOg8xqPvC",
])  # fmt: skip
def test_what_is_no_account_of_ton(text: str) -> None:
    assert ton_address(text) is None


def test_bitcoin_and_tron_are_told_apart() -> None:
    assert tron_address(BITCOIN[0]) is None and bitcoin_address(TRON[0]) is None


@pytest.mark.parametrize("text", EVM)
def test_an_address_without_capitals_is_written_with_its_checksum(text: str) -> None:
    assert evm_address(text.lower()) == evm_address("0x" + text[2:].upper()) == text


@pytest.mark.parametrize("text", [
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",  # its last sign
    "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",  # of the test chain
    "bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",  # of both cases
    "BC13W508D6QEJXTDG4Y5R3ZARVARY0C5XW7KN40WF2", "bc1rw5uspcuh",
    "bc10w508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kw5rljs90",
    "bc1zw508d6qejxtdg4y5r3zarvaryvqyzf3du", "bc1gmk9yu", "bc1", "bc1q",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",  # the other sum
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "1", "",
])  # fmt: skip
def test_what_is_no_address_of_bitcoin(text: str) -> None:
    assert bitcoin_address(text) is None


def test_keccak_is_the_one_of_ethereum() -> None:
    """Its known sums, around the length of a block too, of another implementation."""
    assert keccak256(b"").hex().startswith("c5d2460186f7233c927e7db2dcc703c0")
    keccak = pytest.importorskip("Crypto.Hash.keccak")
    for length in (0, 1, 40, 134, 135, 136, 137, 271, 272, 500):
        data = bytes(range(256)) * 2
        expected = keccak.new(data=data[:length], digest_bits=256).digest()
        assert keccak256(data[:length]) == expected, length


@given(st.text(max_size=100) | st.text("0123456789abcdefABCDEFx1bcqp", max_size=70))
def test_no_text_breaks_a_rule(text: str) -> None:
    for rule in (evm_address, bitcoin_address, solana_address):
        found = rule(text)
        assert found is None or rule(found) == found


@given(st.binary(min_size=20, max_size=20))
def test_every_twenty_bytes_are_an_address_of_ethereum(data: bytes) -> None:
    found = evm_address("0x" + data.hex())
    assert found is not None and found.lower() == "0x" + data.hex()


# --- chains --------------------------------------------------------------------------------------


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Callable[..., EntryPoint]]:
    """The scaffold's package, changed."""
    made: list[str] = []

    def install(name: str, *changed: tuple[str, str]) -> EntryPoint:
        folder, _ = write(name, Kind.CHAINS, tmp_path)
        code = folder / f"finora_{name}" / "__init__.py"
        for old, new in changed:
            assert old in code.read_text(), old
            code.write_text(code.read_text().replace(old, new))
        sys.path.insert(0, str(folder))
        sys.path_importer_cache.clear()
        made.append(name)
        return EntryPoint(name, f"finora_{name}", "finora")

    yield install
    for name in made:
        sys.modules.pop(f"finora_{name}", None)
        sys.path.remove(str(tmp_path / f"finora-{name.replace('_', '-')}"))


def test_a_strangers_chain_stands_beside_ours(install: Any) -> None:
    loaded = load_plugins([OWN, install("gnosis", ("999999999", "100"))])
    assert loaded.chains["eip155:100"].name == "gnosis"
    assert {"eip155:1", "eip155:8453", BY_NAME["bitcoin"].id} <= set(loaded.chains)
    ours, theirs = loaded.found
    assert theirs.works and theirs.provides == ("chain gnosis",)
    assert "chain ethereum" in ours.provides and "price provider coingecko" in ours.provides


@pytest.mark.parametrize(("name", "changed", "reason"), [
    ("c_id", ("eip155:999999999", "eip155:1"), "there is a chain eip155:1 already"),
    ("c_name", ('name="c_name"', 'name="base"'), "another plugin has the chain base"),
    ("c_spelt", ("def register_chains", "def register_chain"), "register_chain"),
    ("c_crash", ("register(CHAIN)", "1 / 0"), "ZeroDivisionError"),
    ("c_caip", ("eip155:999999999", "999999999"), "CAIP-2"),
    ("c_coin", ('native="eip155:999999999/', 'native="eip155:1/'), "an asset on it"),
    ("c_scale", ("scale=18", "scale=37"), "0 to 36"),
    ("c_http", ("https://", "http://"), "https URL"),
    ("c_rule", ("address=evm_address", "address=None"), "has no address"),
    ("c_other", ("register(CHAIN)", "register(type('X', (), {'name': 'x', 'address': print}))"),
     "is no Chain"),
])  # fmt: skip
def test_a_broken_one_is_set_aside_alone(
    install: Any, name: str, changed: tuple[str, str], reason: str
) -> None:
    loaded = load_plugins([OWN, install(name, changed)])
    ours, theirs = loaded.found
    assert ours.works and reason in str(theirs.reason), theirs.reason
    assert loaded.chains["eip155:1"].title == "Ethereum" and len(loaded.chains) == len(CHAINS)


def test_a_rule_of_somebody_untrusted_is_not_run(install: Any) -> None:
    [found] = plugins_of(Settings(trusted_plugins=""), [install("c_trust")]).found
    assert "cannot be confined" in str(found.reason)


@pytest.mark.parametrize(("rule", "check"), [
    (lambda text: None, "takes_its_own_addresses"),
    (lambda text: text, "takes_nothing_else"),
    (lambda text: evm_address(text.strip()), "takes_nothing_else"),
    (lambda text: 1 / 0, "takes_its_own_addresses"),
    (lambda text: evm_address(text) and f"x{text}", "takes_its_own_addresses"),
    (lambda text: evm_address(text.lower()), "a_slip_of_the_pen_is_noticed"),
])  # fmt: skip
def test_what_is_wrong_is_found(rule: Any, check: str) -> None:
    lying = attrs.evolve(BY_NAME["base"], address=rule)
    found = failures(OnChain(lying, EVM), CHAIN_CHECKS)
    assert check in found and tier_of(found) < found[check][0]


# --- where an address is checked -----------------------------------------------------------------


def test_an_account_on_a_known_chain_is_written_right_before_it_is_asked() -> None:
    nothing: Any = None
    chains: dict[str, Chain] = {each.id: each for each in CHAINS}
    service = DataService(nothing, dict, nothing, chains=lambda: chains)
    assert service._account(f"eip155:10:{EVM[0].lower()}") == f"eip155:10:{EVM[0]}"
    for untouched in (EVM[0].lower(), "eip155:424242:0xwhatever", "a-1", "DE02:1", "", ":x"):
        assert service._account(untouched) == untouched
    for wrong in ("0x", EVM[0][:-1] + "e", EVM[0] + "0", ""):
        with pytest.raises(BadChainAddress, match="OP Mainnet"):
            service._account(f"eip155:10:{wrong}")
