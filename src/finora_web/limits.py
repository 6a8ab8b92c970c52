"""The named policies: how often each kind of thing may be asked, and by whom it is counted."""

from collections.abc import Mapping

import attrs

from finora_adapters.redis.limits import Limits, Policy, Use
from finora_core.kernel.errors import Limited, Unavailable

DEFAULTS: Mapping[str, Policy] = {
    each.name: each
    for each in (
        # By the address that asks: signing in, codes, links.
        Policy("auth", 10, 900, closed=True),
        Policy("signup", 6, 3_600, closed=True),
        # By the address: what anybody may ask, and everything together.
        Policy("anonymous", 100, 900),
        Policy("address", 1_200, 60),
        # By the person or token.
        Policy("standard", 120, 60),
        Policy("strict", 20, 60),
        # Of the data provider, whose keys have quotas of their own.
        Policy("data", 1_200, 60),
        Policy("sessions", 10, 60),
        Policy("payment", 30, 900, closed=True),
        Policy("ai", 20, 3_600),
        Policy("pages", 600, 60),
    )
}


class RateLimited(Limited):
    """Asked too often; `Retry-After` says for how many seconds to wait."""

    code = "RATE_LIMITED"


class LimitsUnavailable(Unavailable):
    """How often was asked cannot be counted now, and without that nobody signs in or pays."""

    code = "RATE_LIMITS_UNAVAILABLE"


@attrs.frozen
class Limiter:
    limits: Limits
    policies: Mapping[str, Policy]

    def take(self, *uses: Use) -> None:
        """Count one more of each. Raises RateLimited, LimitsUnavailable."""
        said = self.limits.asker.ask(self.limits.question(uses))
        self.judge(uses, None if said is None else said[0])

    def judge(self, uses: tuple[Use, ...], wait_ms: object) -> None:
        """Raise what the counters' answer means; None where they do not answer."""
        if wait_ms is None:
            if any(each.policy.closed for each in uses):
                raise LimitsUnavailable("try again in a moment")
            return
        if isinstance(wait_ms, int) and wait_ms > 0:
            seconds = -(-wait_ms // 1000)
            said = f"asked too often; wait {seconds} s"
            raise RateLimited(said, facts={"retry_after": seconds})


def policies_of(text: str) -> Mapping[str, Policy]:
    """The defaults, changed as `name=count/seconds,...` says; `all` names every one. Raises
    ValueError."""
    found = dict(DEFAULTS)
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, rest = part.partition("=")
        count, _, seconds = rest.partition("/")
        numbers = count.isdecimal() and seconds.isdecimal() and int(count) and int(seconds)
        if not numbers or (name != "all" and name not in found):
            raise ValueError(
                f"{part!r} is not name=count/seconds with a name of {', '.join(found)}"
            )
        for each in found if name == "all" else [name]:
            policy = attrs.evolve(DEFAULTS[each], count=int(count), seconds=int(seconds))
            found[each] = policy
    return found
