"""`begin`: one transaction, of one tenant, for one cause."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime
from functools import cached_property
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import attrs
import psycopg
from sqlalchemy import Connection, Engine, text

from finora_adapters.postgres import access
from finora_adapters.postgres.addresses import PgAddresses
from finora_adapters.postgres.audit import PgLog
from finora_adapters.postgres.belongings import PgBelongings
from finora_adapters.postgres.budgets import PgBudgets
from finora_adapters.postgres.categories import PgCategories
from finora_adapters.postgres.closings import PgClosings
from finora_adapters.postgres.data_keys import PgDataPlans, PgDataUses
from finora_adapters.postgres.decisions import PgDecisions
from finora_adapters.postgres.driver import Statement, run, run_all
from finora_adapters.postgres.erasure import PgErasure
from finora_adapters.postgres.errors import translated
from finora_adapters.postgres.events import PgEvents
from finora_adapters.postgres.explain import PgExplained
from finora_adapters.postgres.files import PgFiles
from finora_adapters.postgres.goals import PgGoals
from finora_adapters.postgres.guesses import PgGuesses
from finora_adapters.postgres.holdings_history import PgHistory
from finora_adapters.postgres.identities import PgIdentities
from finora_adapters.postgres.jobs import PgEveryJob, PgJobs, PgPeriods, dump
from finora_adapters.postgres.ledger import PgAccounts, PgAssets, PgHolds, PgJournal
from finora_adapters.postgres.members import PgMembers
from finora_adapters.postgres.models import PgModelUse, PgVectors
from finora_adapters.postgres.people import PgPeople
from finora_adapters.postgres.pipeline import PgLines, PgMemory, PgReprocesses
from finora_adapters.postgres.portfolio import (
    PgActivities,
    PgHoldings,
    PgObservations,
    PgOwnAssets,
    PgPortfolioAccounts,
)
from finora_adapters.postgres.prices import PgPrices
from finora_adapters.postgres.rates import PgRates
from finora_adapters.postgres.receipts import PgReceipts
from finora_adapters.postgres.records import PgRecords, PgWords
from finora_adapters.postgres.recurring import PgRecurring
from finora_adapters.postgres.reports import PgFigures, PgReports
from finora_adapters.postgres.reviews import PgReviews
from finora_adapters.postgres.rules import PgRuleRuns, PgRules
from finora_adapters.postgres.secrets import PgDataKeys, PgSecrets
from finora_adapters.postgres.sessions import PgSessions
from finora_adapters.postgres.statements import PgImports, PgStaging
from finora_adapters.postgres.tokens import PgTokens
from finora_adapters.postgres.versions import RAISE
from finora_adapters.postgres.wallet import PgTotals
from finora_adapters.postgres.warrants import Warrants
from finora_core.identity.model import ProofStale
from finora_core.identity.sessions.model import IDLE_LASTS
from finora_core.jobs.model import Subscription
from finora_core.kernel.errors import Conflict
from finora_core.kernel.scope import (
    Claim,
    Command,
    ExternalCredential,
    Scope,
    SessionCredential,
    TokenCredential,
)
from finora_core.kernel.work import CommandInFlight, CommandKeyReused, Replayed, StaleClaim

Result = TypeVar("Result")

_OPEN = (
    "select now(), set_config('role', %(role)s, true), "
    "set_config('finora.tenant', %(tenant)s, true), set_config('finora.user', %(person)s, true), "
    "set_config('finora.warrant', %(warrant)s, true), "
    "set_config('statement_timeout', %(statement)s, true), "
    "set_config('lock_timeout', %(lock)s, true)"
)
_ROLE: LiteralString = "select set_config('role', %(role)s, true)"
# A process that stands still with a row of the job table in its hands must not stop all others.
_AS_CONTROL: LiteralString = (
    "select set_config('role', %(role)s, true), set_config('lock_timeout', '5s', true), "
    "set_config('finora.warrant', %(warrant)s, true)"
)
_TAKE_KEY = (
    "select pg_try_advisory_xact_lock(hashtextextended(%(tenant)s || %(person)s || %(key)s, 0))"
)
_FIND_COMMAND = (
    "select fingerprint, reply from finora.command "
    "where tenant_id = %(tenant)s and user_id = %(person)s and key = %(key)s"
)
_ADD_COMMAND = (
    "insert into finora.command (tenant_id, user_id, key, fingerprint, reply) "
    "values (%(tenant)s, %(person)s, %(key)s, %(fingerprint)s, %(reply)s)"
)
_TOKEN_HOLDS = (
    "select 1 from finora.token t join finora.membership m "
    "on m.tenant_id = t.tenant_id and m.user_id = t.user_id and m.role = %(role)s "
    "join finora.person p on p.user_id = t.user_id and p.banned_at is null "
    "where t.tenant_id = %(tenant)s and t.id = %(id)s and t.digest = %(digest)s "
    "and t.user_id = %(person)s and t.revoked_at is null "
    "and (t.expires_at is null or t.expires_at > now())"
)
_SESSION_HOLDS = (
    "select 1 from finora.session s join finora.person p on p.user_id = s.user_id "
    "where s.user_id = %(person)s and s.id = %(id)s and s.ended_at is null and s.ends_at > now() "
    "and s.seen_at > now() - %(idle)s and p.banned_at is null and p.roles = %(platform)s "
    "and coalesce((select m.role from finora.membership m where m.tenant_id = %(tenant)s "
    "and m.user_id = s.user_id), '') = %(role)s"
)
_MEMBER_HOLDS = (
    "select 1 from finora.membership where tenant_id = %(tenant)s and user_id = %(person)s "
    "and role = %(role)s"
)
_WITHIN = (
    "select set_config('finora.tenant', %(tenant)s, true), "
    "set_config('finora.user', %(person)s, true), "
    "set_config('finora.warrant', %(warrant)s, true)"
)
_CLAIM_HOLDS = (
    "select 1 from finora.job where tenant_id = %(tenant)s and id = %(job)s and epoch = %(epoch)s "
    "and state = 'running'"
)
# Of a job that was claimed again there is no such row, and a division by zero: so it can be sent
# together with the commit, which then does not happen.
_FINISH: LiteralString = (
    "with ended as (update finora.job set state = 'done', finished_at = clock_timestamp(), "
    "result = cast(%(result)s as jsonb), done_parts = coalesce(all_parts, done_parts) "
    "where tenant_id = %(tenant)s and id = %(job)s and epoch = %(epoch)s and state = 'running' "
    "returning 1) select 1 / count(*) from ended"
)


_VERSION = text("select number from finora.version where tenant_id = :tenant")


_CONNECTIONS = 3


class Forked(Conflict):
    """This Finora was opened in another process, before a fork."""

    code = "FORKED"


@attrs.frozen(kw_only=True)
class Limits:
    """How long one statement, and one wait for a lock, may take, in milliseconds."""

    statement_ms: int = 30_000
    job_statement_ms: int = 1_800_000
    lock_ms: int = 10_000


@attrs.define
class PgWork:
    """One open transaction; has the repositories that every slice asks for."""

    connection: Connection
    scope: Scope
    """In the tenant whose rows are seen; its user is who asks."""
    now: datetime
    subscriptions: Mapping[str, tuple[Subscription, ...]]
    warrants: Warrants
    closing: Statement | None = None
    """By which the cause ends: the command's reply, or the job's completion."""
    raised: dict[UUID, int] = attrs.field(factory=dict)
    """Of other tenants that it wrote in, the new versions."""

    @cached_property
    def events(self) -> PgEvents:
        return PgEvents(self.connection, self.scope, self.subscriptions)

    @cached_property
    def assets(self) -> PgAssets:
        return PgAssets(self.connection)

    @cached_property
    def accounts(self) -> PgAccounts:
        return PgAccounts(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def journal(self) -> PgJournal:
        return PgJournal(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def holds(self) -> PgHolds:
        return PgHolds(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def words(self) -> PgWords:
        return PgWords(self.connection, self.scope.tenant_id)

    @cached_property
    def jobs(self) -> PgJobs:
        return PgJobs(self.connection, self.scope.tenant_id)

    @cached_property
    def every_job(self) -> PgEveryJob:
        return PgEveryJob(self.connection, self.warrants)

    @cached_property
    def log(self) -> PgLog:
        return PgLog(self.connection, self.scope.tenant_id)

    @cached_property
    def periods(self) -> PgPeriods:
        return PgPeriods(self.connection, self.scope.tenant_id)

    @cached_property
    def records(self) -> PgRecords:
        return PgRecords(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def decisions(self) -> PgDecisions:
        return PgDecisions(self.connection, self.scope.tenant_id, self.scope.user_id)

    @cached_property
    def lines(self) -> PgLines:
        return PgLines(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def memory(self) -> PgMemory:
        return PgMemory(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def categories(self) -> PgCategories:
        return PgCategories(self.connection, self.scope.tenant_id)

    @cached_property
    def rules(self) -> PgRules:
        return PgRules(self.connection, self.scope.tenant_id)

    @cached_property
    def reviews(self) -> PgReviews:
        return PgReviews(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def reprocesses(self) -> PgReprocesses:
        return PgReprocesses(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def rule_runs(self) -> PgRuleRuns:
        return PgRuleRuns(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def imports(self) -> PgImports:
        return PgImports(self.connection, self.scope.tenant_id)

    @cached_property
    def staging(self) -> PgStaging:
        return PgStaging(self.connection, self.scope)

    @cached_property
    def files(self) -> PgFiles:
        return PgFiles(self.connection, self.scope.tenant_id)

    @cached_property
    def explained(self) -> PgExplained:
        return PgExplained(self.connection, self.scope.tenant_id, self.assets, self.journal)

    @cached_property
    def totals(self) -> PgTotals:
        return PgTotals(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def identities(self) -> PgIdentities:
        return PgIdentities(self.connection)

    @cached_property
    def prices(self) -> PgPrices:
        return PgPrices(self.connection, self.assets)

    @cached_property
    def rates(self) -> PgRates:
        return PgRates(self.connection, self.assets)

    @cached_property
    def closings(self) -> PgClosings:
        return PgClosings(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def figures(self) -> PgFigures:
        return PgFigures(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def reports(self) -> PgReports:
        return PgReports(self.connection, self.scope.tenant_id)

    @cached_property
    def budgets(self) -> PgBudgets:
        return PgBudgets(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def goals(self) -> PgGoals:
        return PgGoals(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def recurring(self) -> PgRecurring:
        return PgRecurring(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def receipts(self) -> PgReceipts:
        return PgReceipts(self.connection, self.scope.tenant_id, self.assets, self.records)

    @cached_property
    def portfolio_accounts(self) -> PgPortfolioAccounts:
        return PgPortfolioAccounts(self.connection, self.scope.tenant_id)

    @cached_property
    def activities(self) -> PgActivities:
        return PgActivities(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def holdings(self) -> PgHoldings:
        return PgHoldings(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def history(self) -> PgHistory:
        return PgHistory(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def observations(self) -> PgObservations:
        return PgObservations(self.connection, self.scope.tenant_id, self.assets)

    @cached_property
    def own_assets(self) -> PgOwnAssets:
        return PgOwnAssets(self.connection, self.scope.tenant_id, self.assets)

    def version(self) -> int:
        """The number that every write of the tenant raises: what this transaction reads is true as
        long as it stays, if read before anything else."""
        mine = {"tenant": self.scope.tenant_id}
        return int(self.connection.scalar(_VERSION, mine) or 0)

    def end(self) -> int | None:
        """End the cause and commit, in one round trip; the tenant's new version, if an event was
        written. It is raised last of all: its row is locked until the commit is done, and every
        writer of the tenant passes here. Raises TenantGone, StaleClaim."""
        raising = self.events.recorded > 0
        last = [] if self.closing is None else [self.closing]
        if raising:
            last.append((RAISE, {"tenant": self.scope.tenant_id}))
        if not last:
            return None
        try:
            rows = run_all(self.connection, last, commit=True)
        except psycopg.errors.DivisionByZero as error:
            raise StaleClaim("this job was claimed again") from error
        return int(rows[-1][0]) if raising else None

    @cached_property
    def tokens(self) -> PgTokens:
        return PgTokens(self.connection, self.scope.tenant_id)

    @property
    def person(self) -> UUID:
        """Whose rows are seen."""
        within = self.scope.within
        return self.scope.user_id if within is None else within.user_id

    @cached_property
    def people(self) -> PgPeople:
        return PgPeople(self.connection, self.person)

    @cached_property
    def addresses(self) -> PgAddresses:
        return PgAddresses(self.connection, self.person)

    @cached_property
    def sessions(self) -> PgSessions:
        return PgSessions(self.connection, self.person)

    @cached_property
    def members(self) -> PgMembers:
        return PgMembers(self.connection, self.scope.tenant_id)

    @cached_property
    def belongings(self) -> PgBelongings:
        return PgBelongings(self.connection, self.scope.tenant_id, self.person, self.warrants)

    @cached_property
    def erasure(self) -> PgErasure:
        return PgErasure(
            self.connection, self.scope, self.subscriptions, self.raised, self.warrants
        )

    @cached_property
    def guesses(self) -> PgGuesses:
        return PgGuesses(self.connection)

    @cached_property
    def secrets(self) -> PgSecrets:
        return PgSecrets(self.connection, self.scope.tenant_id, self.scope.user_id)

    @cached_property
    def data_keys(self) -> PgDataKeys:
        return PgDataKeys(self.connection, self.scope.tenant_id)

    @cached_property
    def model_use(self) -> PgModelUse:
        return PgModelUse(self.connection, self.scope)

    @cached_property
    def vectors(self) -> PgVectors:
        return PgVectors(self.connection, self.scope.tenant_id)

    @cached_property
    def data_plans(self) -> PgDataPlans:
        return PgDataPlans(self.connection, self.scope.tenant_id)

    @cached_property
    def data_uses(self) -> PgDataUses:
        return PgDataUses(self.connection, self.scope.tenant_id)

    def done(self, result: Result) -> Result:
        match self.scope.cause:
            case Command(encode=encode) as cause:
                reply = {"fingerprint": cause.fingerprint, "reply": encode(result)}
                self.closing = _ADD_COMMAND, _key(self.scope, cause) | reply
            case Claim() as claim:
                self.closing = _FINISH, _claim(self.scope, claim) | {"result": dump(result)}
            case None:
                pass
        return result


@attrs.frozen
class Postgres:
    """The database as use cases see it. `connect` gives a connection with an open transaction that
    commits on a clean exit; a test gives one that rolls back in the end."""

    engine: Engine
    warrants: Warrants
    subscriptions: Mapping[str, tuple[Subscription, ...]] = attrs.field(factory=dict)
    limits: Limits = attrs.field(factory=Limits)
    committed: Callable[[UUID, int], None] = lambda tenant_id, version: None
    """Told of a tenant's new data version after the commit and before the caller goes on."""

    process: int = attrs.field(factory=os.getpid)

    def connect(self) -> AbstractContextManager[Connection]:
        if os.getpid() != self.process:
            raise Forked("open Finora after the fork: connections cannot be shared with a child")
        return self.engine.begin()

    @contextmanager
    def begin(self, scope: Scope) -> Iterator[PgWork]:
        """Commit on a clean exit, roll back on any exception. See kernel.work.Begin."""
        asker = scope
        proofs, moves = _proofs(scope), self._moves(scope)
        if scope.within is not None:
            scope = attrs.evolve(scope, tenant_id=scope.within.tenant_id)
        first = [(_OPEN, self._settings(asker)), *proofs, *moves, *_causes(scope)]
        with translated(), self._transaction(first) as (connection, [(now, *_), *found]):
            if proofs and found.pop(0) is None:
                raise ProofStale("this token was revoked, or its time has run out")
            _take(scope, found[len(moves) :])
            work = PgWork(connection, scope, now, self.subscriptions, self.warrants)
            yield work
            if isinstance(scope.cause, Claim) and work.closing is None:
                _fence(connection, scope, scope.cause)
            version = work.end()
        if version is not None:
            self.committed(scope.tenant_id, version)
        for tenant_id, number in work.raised.items():
            self.committed(tenant_id, number)

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """A transaction of the api role without a tenant: only global tables have rows in it."""
        with translated(), self._transaction([(_ROLE, {"role": access.API})]) as (connection, _):
            yield connection

    @contextmanager
    def control(self) -> Iterator[Connection]:
        """A transaction of the control role: all tenants, on jobs, events, seals and commands."""
        with translated(), self._transaction([self._as_control()]) as (connection, _):
            yield connection

    def control_row(self, statement: LiteralString, values: Mapping[str, object]) -> Any:
        """The first row of one statement in a transaction of the control role, or None: in one
        round trip, which is all that a worker waits for between two jobs. It is run again where the
        connection broke, so it must be one that may be."""
        first = [self._as_control(), (statement, values)]
        with translated(), self._transaction(first, commit=True) as (_, rows):
            return rows[1]

    @contextmanager
    def _transaction(
        self, first: Sequence[Statement], *, commit: bool = False
    ) -> Iterator[tuple[Connection, list[Any]]]:
        """A transaction, and the first row of each of the statements that open it; with `commit`
        they are all of it."""
        with ExitStack() as stack:
            for attempt in range(1, _CONNECTIONS + 1):
                connection = stack.enter_context(self.connect())
                try:
                    rows = run_all(connection, first, commit=commit)
                    break
                except psycopg.OperationalError as error:
                    # It died in the pool, and nothing was done on it yet: another one will do.
                    if attempt == _CONNECTIONS:
                        raise
                    connection.invalidate(error)
                    with suppress(psycopg.OperationalError):
                        stack.pop_all().__exit__(type(error), error, error.__traceback__)
            yield connection, rows

    def _settings(self, scope: Scope) -> dict[str, object]:
        job = isinstance(scope.cause, Claim)
        limits = self.limits
        return {
            **self.warrants.place(scope.tenant_id, scope.user_id),
            "role": access.WORKER if job else access.API,
            "statement": str(limits.job_statement_ms if job else limits.statement_ms),
            "lock": str(limits.lock_ms),
        }

    def _as_control(self) -> Statement:
        return _AS_CONTROL, {"role": access.CONTROL, "warrant": self.warrants.control}

    def _moves(self, scope: Scope) -> list[Statement]:
        """What comes after the proof, and before all else: whose rows are seen."""
        place = scope.within
        if place is None:
            return []
        return [(_WITHIN, self.warrants.place(place.tenant_id, place.user_id))]


def _proofs(scope: Scope) -> list[Statement]:
    who = {"tenant": scope.tenant_id, "person": scope.user_id}
    match scope.credential:
        case TokenCredential(token_id=token_id, digest=digest, role=role):
            return [(_TOKEN_HOLDS, who | {"id": token_id, "digest": digest, "role": role})]
        case SessionCredential(session_id=session_id, role=role, platform=platform):
            held = {"id": session_id, "role": role, "platform": platform, "idle": IDLE_LASTS}
            return [(_SESSION_HOLDS, who | held)]
        case ExternalCredential(role=role):
            return [(_MEMBER_HOLDS, who | {"role": role})]
        case None:
            return []


def _causes(scope: Scope) -> list[Statement]:
    match scope.cause:
        case Command() as command:
            # Two statements: what the second sees is from after the lock was taken.
            key = _key(scope, command)
            return [(_TAKE_KEY, key), (_FIND_COMMAND, key)]
        case Claim() as claim:
            return [(_CLAIM_HOLDS, _claim(scope, claim))]
        case None:
            return []


def _take(scope: Scope, found: Sequence[Any]) -> None:
    """Raise where the cause cannot be taken; `found` is what `_causes` asked for."""
    match scope.cause:
        case Command() as command:
            (taken,), finished = found
            _take_command(command, taken, finished)
        case Claim() as claim:
            if found[0] is None:
                raise StaleClaim(f"job {claim.job_id} was claimed again")
        case None:
            pass


def _take_command(command: Command, taken: bool, finished: Any) -> None:
    if not taken:
        raise CommandInFlight(f"a request with the key {command.key!r} runs at this moment")
    if finished is None:
        return
    fingerprint, reply = finished
    if bytes(fingerprint) != command.fingerprint:
        raise CommandKeyReused(f"the key {command.key!r} was used for another request")
    raise Replayed(bytes(reply))


def _fence(connection: Connection, scope: Scope, claim: Claim) -> None:
    # Locked only for the moment until commit: the runner renews its lease on the same row.
    held = _CLAIM_HOLDS + " for no key update"
    if run(connection, held, _claim(scope, claim)).fetchone() is None:
        raise StaleClaim(f"job {claim.job_id} was claimed again")


def _key(scope: Scope, command: Command) -> dict[str, Any]:
    return {"tenant": str(scope.tenant_id), "person": str(scope.user_id), "key": command.key}


def _claim(scope: Scope, claim: Claim) -> dict[str, Any]:
    return {"tenant": scope.tenant_id, "job": claim.job_id, "epoch": claim.epoch}
