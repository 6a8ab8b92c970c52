"""Asking the sources of this installation for another one, as often as its key may."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import attrs

from finora_core.identity.model import Token
from finora_core.kernel.errors import Invalid, Limited, Refusal, Unavailable
from finora_core.kernel.outcome import OverBudget, RateLimited
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope, TokenCredential
from finora_core.kernel.work import Begin, retried
from finora_core.market.prices.chain import required
from finora_core.market.provision.codec import told
from finora_core.market.provision.model import (
    Account,
    Allowance,
    DataKey,
    DataKeyChanged,
    KeyBlocked,
    KeyNotFound,
    KeyState,
    Plan,
    Quota,
    QuotaUsed,
    Usage,
)
from finora_core.market.provision.ports import DataSource, DataWork, Meter, Taken, Unwritten
from finora_core.plugins import Chain

log = logging.getLogger(__name__)

ASK = "data:ask"
_OF_ADDRESSES = ("balances", "transactions")
_NOBODY = UUID(int=0)
_SHOWN = timedelta(days=31)


class BadChainAddress(Invalid):
    """The account names a chain, and what follows is no address on it: a checksum may be wrong."""

    code = "BAD_CHAIN_ADDRESS"


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
class Answered:
    """What a source said, and what its asker may ask yet."""

    told: Mapping[str, Any]
    left: tuple[Allowance, ...] = ()


@attrs.frozen
class DataService:
    begin: Begin[DataWork]
    sources: Callable[[], Mapping[str, DataSource]]
    """By name; made when somebody asks."""
    meter: Meter
    usual: Quota = attrs.field(factory=Quota)
    """Of keys about which the operator decided nothing."""
    chains: Callable[[], Mapping[str, Chain]] = dict
    """By id. An account on one that is not known is the source's own affair."""
    counted: Callable[[], None] = lambda: None
    """Told when there is something to flush."""

    # --- asking -----------------------------------------------------------------------------------

    def list(self, scope: Scope) -> Sequence[Served]:
        """By name."""
        with self.begin(scope):
            pass  # Whoever asks still may.
        return [_served(name, source) for name, source in sorted(self.sources().items())]

    def ask(self, scope: Scope, name: str, question: str, *given: Any) -> Answered:
        """The source's outcome, as `told` says it. No transaction is open while it is asked.
        Raises BadChainAddress; KeyBlocked; UnknownSource, SourceCannot, CredentialsMissing,
        SourceAside; QuotaUsed; UpstreamLimited and CostCapReached where it is to be asked later."""
        if question in _OF_ADDRESSES:
            given = (self._account(str(given[0])), *given[1:])
        key_id = _key_of(scope)
        with self.begin(scope) as work:
            plan = None if key_id is None else work.data_plans.get(key_id)
            now = work.now
            work.done(None)  # Before anything is told or asked: whoever asks still may.
        if plan is not None and plan.blocked_at is not None:
            raise KeyBlocked("this key is blocked until its bill is settled")
        capability = question if question in ("latest", "history") else None
        sources = self.sources()
        required(list(sources.values()), name, capability)
        left: tuple[Allowance, ...] = ()
        if key_id is not None:
            account = Account.at(scope.tenant_id, key_id, now)
            left = self._take(account, name, plan.quota if plan else self.usual, now)
        outcome, micros = sources[name].metered(question, *given)
        if key_id is not None and micros:
            self.meter.cost(account, now.astimezone(UTC).date(), name, micros)
        match outcome:
            case RateLimited(seconds):
                facts = {"retry_after": seconds, "left": left}
                raise UpstreamLimited(f"{name} allows no more now", facts=facts)
            case OverBudget(seconds):
                facts = {"retry_after": seconds, "left": left}
                raise CostCapReached("sources have cost what they may this hour", facts=facts)
        return Answered(told(outcome), left)

    def _account(self, account: str) -> str:
        """As it is usually written, where its chain is known: nobody pays to ask for a slip."""
        chain_id, _, address = account.rpartition(":")
        chain = self.chains().get(chain_id) if chain_id else None
        if chain is None:
            return account
        written = chain.address(address)
        if written is None:
            raise BadChainAddress(f"there is no such address on {chain.title}")
        return f"{chain_id}:{written}"

    def _take(
        self, account: Account, source: str, quota: Quota, now: datetime
    ) -> tuple[Allowance, ...]:
        taken = self.meter.take(account, now.astimezone(UTC).date(), source, quota, self._before)
        left = _left(account, quota, taken, now)
        if taken.counted:
            self.counted()
            return left
        used_up = [each for each in left if not each.left]
        wait = max([1, *(each.resets_s for each in used_up)])
        said = " and ".join(f"{each.most} of the {each.name}" for each in used_up)
        raise QuotaUsed(
            f"this key has made its {said} requests; wait {wait} s",
            facts={"retry_after": wait, "left": left},
        )

    @retried
    def _before(self, account: Account) -> int:
        with self.begin(_flushing(account)) as work:
            return work.data_uses.count(account)

    # --- what was asked ---------------------------------------------------------------------------

    def flush(self) -> int:
        """Write down what the meters stand at: how many accounts. Whoever does it again, or at the
        same time, writes the same; what is not written stays for the next time."""
        done = 0
        for each in self.meter.unwritten():
            try:
                elsewhere = self._write(each)
            except Unavailable:
                raise
            except Refusal as refusal:
                # Of a tenant that is gone. Nothing is to be charged to anybody any more.
                log.warning("usage of key %s is dropped: %s", each.account.key_id, refusal.code)
                elsewhere = 0
            self.meter.written(each, elsewhere)
            done += 1
        return done

    @retried
    def _write(self, each: Unwritten) -> int:
        with self.begin(_flushing(each.account)) as work:
            work.data_uses.add(each.readings)
            return work.data_uses.count(each.account, each.meter)

    def usage(
        self,
        scope: Scope,
        *,
        since: date | None = None,
        until: date | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Usage]:
        """By day, key and source, the latest day first; of the last 31 days, unless `since` says
        otherwise. A key that cannot read tokens sees its own;
        everybody else those of the tenant."""
        own = isinstance(scope.credential, TokenCredential) and "tokens:read" not in (
            scope.permissions
        )
        with self.begin(scope) as work:
            key_id = _key_of(scope) if own else None
            if since is None:
                since = (until or work.now.astimezone(UTC).date()) - _SHOWN
            return work.data_uses.list(key_id, since, until, cursor, checked_limit(limit))

    # --- what may be asked: of whoever runs the data provider -------------------------------------

    def keys(self, scope: Scope) -> Sequence[DataKey]:
        """The tenant's keys, newest first."""
        with self.begin(scope) as work:
            plans, now = work.data_plans.list(), work.now
            used = work.data_uses.months(now.astimezone(UTC).date().replace(day=1))
            return [
                self._key(token, plans.get(token.id), used.get(token.id, (0, 0)), now)
                for token in work.tokens.list()
                if token.permissions is not None and ASK in token.permissions
            ]

    @retried
    def set_quota(self, scope: Scope, key_id: UUID, quota: Quota) -> Plan:
        """From now on, and for what was asked this month too. Raises KeyNotFound."""
        with self.begin(scope) as work:
            plan = self._plan(work, key_id)
            return self._decided(work, attrs.evolve(plan, quota=quota))

    @retried
    def block(self, scope: Scope, key_id: UUID) -> Plan:
        """The key is answered BILLING_BLOCKED until it is unblocked. Twice is once."""
        with self.begin(scope) as work:
            plan = self._plan(work, key_id)
            return self._decided(work, attrs.evolve(plan, blocked_at=plan.blocked_at or work.now))

    @retried
    def unblock(self, scope: Scope, key_id: UUID) -> Plan:
        with self.begin(scope) as work:
            return self._decided(work, attrs.evolve(self._plan(work, key_id), blocked_at=None))

    def _plan(self, work: DataWork, key_id: UUID) -> Plan:
        found = work.tokens.find(key_id)
        if found is None or ASK not in (found[0].permissions or ()):
            raise KeyNotFound(f"there is no key {key_id} of the data provider")
        return work.data_plans.get(key_id) or Plan(key_id=key_id, quota=self.usual)

    def _decided(self, work: DataWork, plan: Plan) -> Plan:
        work.data_plans.put(plan)
        work.events.record(DataKeyChanged(plan))
        return work.done(plan)

    def _key(
        self, token: Token, plan: Plan | None, used: tuple[int, int], now: datetime
    ) -> DataKey:
        state: KeyState = "valid"
        if token.revoked_at is not None:
            state = "revoked"
        elif token.expires_at is not None and token.expires_at <= now:
            state = "expired"
        elif plan is not None and plan.blocked_at is not None:
            state = "blocked"
        return DataKey(
            id=token.id,
            name=token.name,
            state=state,
            quota=plan.quota if plan else self.usual,
            used=used[0],
            cost_micros=used[1],
        )


def _key_of(scope: Scope) -> UUID | None:
    """Whom a request is counted for; nobody where the program itself asks."""
    match scope.credential:
        case TokenCredential(token_id=token_id):
            return token_id
        case None:
            return None
        case _:
            return scope.user_id


def _flushing(account: Account) -> Scope:
    return Scope(tenant_id=account.tenant_id, user_id=_NOBODY)


def _left(account: Account, quota: Quota, taken: Taken, now: datetime) -> tuple[Allowance, ...]:
    found = []
    if quota.monthly is not None:
        ends = account.ends - now
        starts = datetime(account.month.year, account.month.month, 1, tzinfo=UTC)
        found.append(
            Allowance(
                name="month",
                most=quota.monthly,
                left=max(quota.monthly - taken.used, 0),
                resets_s=-(-ends // timedelta(seconds=1)),
                seconds=(account.ends - starts) // timedelta(seconds=1),
            )
        )
    if quota.window is not None:
        found.append(
            Allowance(
                name="window",
                most=quota.window.requests,
                left=max(quota.window.requests - taken.in_window, 0),
                resets_s=-(-max(taken.wait_ms, taken.window_ms) // 1000),
                seconds=quota.window.seconds,
            )
        )
    return tuple(found)


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
