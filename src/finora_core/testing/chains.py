"""What a chain is held to, check by check, by addresses of it that its author gives.

Bronze: it knows its own addresses. Silver: it takes nothing else for one. Gold: a slip of the pen
is noticed, as a checksum does.
"""

from collections.abc import Iterator, Sequence

import attrs

from finora_core.plugins import Chain
from finora_core.testing.checks import Check, Tier

_NONE = ("", " ", "x", "0x", "0x" + "g" * 40, "1" * 200, "addr\n", "ада", "\0", "0" * 100_000)


@attrs.frozen
class OnChain:
    chain: Chain
    addresses: Sequence[str]


def takes_its_own_addresses(subject: OnChain) -> None:
    assert subject.addresses, "there is no address to try it with"
    for text in subject.addresses:
        found = subject.chain.address(text)
        assert isinstance(found, str), f"it does not take {text}"
        assert subject.chain.address(found) == found, f"it writes {text} otherwise each time"


def takes_nothing_else(subject: OnChain) -> None:
    for text in (*_NONE, *(f" {each}" for each in subject.addresses),
                 *(f"{each}\n" for each in subject.addresses)):  # fmt: skip
        found = subject.chain.address(text)
        assert found is None, f"it takes {text[:40]!r} for an address"


def a_slip_of_the_pen_is_noticed(subject: OnChain) -> None:
    for text in subject.addresses:
        found = subject.chain.address(text)
        assert found is not None, f"it does not take {text}"
        for slip in _slips(found):
            assert subject.chain.address(slip) is None, f"it takes {slip} for {found}"


def _slips(address: str) -> Iterator[str]:
    """One sign left out, twice, or another of the same address; not of its first four, which say
    what is to follow."""
    others = sorted(set(address[4:]))
    for at in range(4, len(address)):
        before, sign, after = address[:at], address[at], address[at + 1 :]
        yield before + after
        other = others[(others.index(sign) + 1) % len(others)]
        if other.lower() != sign.lower():
            yield before + other + after


CHAIN_CHECKS = (
    Check(Tier.BRONZE, takes_its_own_addresses),
    Check(Tier.SILVER, takes_nothing_else),
    Check(Tier.GOLD, a_slip_of_the_pen_is_noticed),
)
