"""Where a host may be: on the public internet, and nowhere that only this machine can reach.

`ipaddress.is_global` is no such judgement: it takes 64:ff9b::7f00:1, 2002:7f00:1::, 224.0.0.1 and
192.0.0.8 for public. So what is denied is listed.
"""

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import attrs

_DENIED = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        # Within 2000::/3: protocol assignments with Teredo, documentation, 6to4.
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
)  # fmt: skip
_UNICAST = IPv6Network("2000::/3")
"""All else of IPv6 is local, multicast, mapped or translated."""


class Refused(Exception):
    """The host is somewhere that may not be asked. The text names no address: it would tell who
    asks how the network is laid out."""


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@attrs.frozen
class Dialer:
    resolve: Callable[[str, int], Sequence[str]] = resolve

    def dial(self, host: str, port: int) -> Sequence[str]:
        """Its addresses, in their order. Raises Refused where any of them is not public: who names
        one of those beside a public one wants it to be tried."""
        found = self.resolve(host, port)
        if not found or not all(is_public(each) for each in found):
            raise Refused("it is not on the public internet")
        return found


def is_public(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if address.version == 6 and (address.scope_id or address not in _UNICAST):
        return False
    return not any(_within(text, network) for network in _DENIED)


def _within(text: str, network: IPv4Network | IPv6Network) -> bool:
    address = ip_address(text)
    return address.version == network.version and address in network
