"""What is offered to whoever wants to prove something."""

from collections.abc import Mapping
from typing import Any

import attrs

from finora_core.kernel.errors import Invalid, Unavailable


class TicketInvalid(Invalid):
    """The ticket is none of ours, is another's, was used before, or its time has run out."""

    code = "TICKET_INVALID"


class FactorUnavailable(Unavailable):
    """This installation is not set up for this way of signing in."""

    code = "FACTOR_UNAVAILABLE"


@attrs.frozen(kw_only=True)
class CodesOffer:
    secret: str = attrs.field(repr=False)
    """Base32, for typing into an app."""
    uri: str = attrs.field(repr=False)
    """The same as an `otpauth:` address, for a picture."""
    ticket: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class PasskeyOffer:
    options: Mapping[str, Any]
    ticket: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class WalletOffer:
    message: str
    """EIP-4361."""
    ticket: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Passing:
    """Through an issuer and back."""

    url: str
    ticket: str = attrs.field(repr=False)
