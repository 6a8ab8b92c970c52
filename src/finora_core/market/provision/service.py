"""Asking the sources of this installation for another one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from finora_core.kernel.errors import Limited, Unavailable
from finora_core.kernel.outcome import OverBudget, RateLimited
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, Work
from finora_core.market.prices.chain import required
from finora_core.market.provision.codec import told
from finora_core.market.provision.ports import DataSource


class UpstreamLimited(Limited):
    """The source is asked as often as it allows; `facts["retry_after"]` says until when."""

    code = "UPSTREAM_LIMITED"


class CostCapReached(Unavailable):
    """Sources have cost what they may in this hour; `facts["retry_after"]` says until when."""

    code = "GLOBAL_COST_CAP"


@attrs.frozen(kw_only=True)
class Served:
    """One source, as somebody else may ask it."""

    name: str
    kinds: tuple[str, ...]
    capabilities: tuple[str, ...]
    assets: tuple[str, ...]
    missing: tuple[str, ...]
    """Fields of the credentials that this installation does not have for it."""
    aside: str | None


@attrs.frozen
class DataService:
    begin: Begin[Work]
    sources: Callable[[], Mapping[str, DataSource]]
    """By name; made when somebody asks."""

    def list(self, scope: Scope) -> Sequence[Served]:
        """By name."""
        with self.begin(scope):
            pass  # Whoever asks still may.
        return [_served(name, source) for name, source in sorted(self.sources().items())]

    def ask(self, scope: Scope, name: str, question: str, *given: Any) -> Mapping[str, Any]:
        """The source's outcome, as `told` says it. No transaction is open while it is asked.
        Raises UnknownSource, SourceCannot, CredentialsMissing, SourceAside; UpstreamLimited and
        CostCapReached where it is to be asked later."""
        with self.begin(scope) as work:
            work.done(None)  # Before anything is told or asked: whoever asks still may.
        capability = question if question in ("latest", "history") else None
        source = required(list(self.sources().values()), name, capability)
        outcome = getattr(source, question)(*given)
        match outcome:
            case RateLimited(seconds):
                raise UpstreamLimited(f"{name} allows no more now", facts={"retry_after": seconds})
            case OverBudget(seconds):
                raise CostCapReached(
                    "sources have cost what they may this hour", facts={"retry_after": seconds}
                )
        return told(outcome)


def _served(name: str, source: Any) -> Served:
    provides = source.provides
    return Served(
        name=name,
        kinds=tuple(provides.kinds),
        capabilities=tuple(provides.capabilities),
        assets=tuple(provides.assets),
        missing=tuple(source.missing),
        aside=source.aside,
    )
