"""Finora as a library: one object a process, thread-safe, closed when done."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import UUID

import attrs
from injector import Injector

from finora_adapters.compose import Opened, compose, migrate_database, open_database
from finora_adapters.plugins import PluginInfo, Plugins
from finora_adapters.postgres.tenants import PgTenants
from finora_adapters.settings import Settings, from_environment
from finora_core.audit.service import AnchorService, Auditor, AuditService
from finora_core.categories.approvals.service import ReviewService
from finora_core.categories.pipeline.service import PipelineService
from finora_core.categories.rules.model import RuleRun, RunFilter
from finora_core.categories.rules.service import RuleService
from finora_core.categories.service import CategoryService
from finora_core.files.service import FileService
from finora_core.identity.admin.service import PeopleOperator
from finora_core.identity.service import TokenService
from finora_core.insights.budgets.service import BudgetService
from finora_core.insights.explain.service import ExplainService
from finora_core.insights.forecast.service import ForecastService
from finora_core.insights.goals.service import GoalService
from finora_core.insights.recurring.service import RecurringService
from finora_core.insights.reports.service import ReportService
from finora_core.insights.wallet.service import WalletService
from finora_core.intelligence.service import Categoriser, Likeness, Models
from finora_core.jobs.model import Job, JobState, JobStateConflict
from finora_core.jobs.ports import Queue
from finora_core.jobs.service import JobRunner, JobService
from finora_core.kernel.errors import Unavailable
from finora_core.kernel.ids import new_id
from finora_core.kernel.scope import Scope
from finora_core.ledger.closing.service import ClosingService
from finora_core.ledger.service import LedgerService
from finora_core.market.assets.service import IdentityService
from finora_core.market.prices.refresh import RefreshService
from finora_core.market.prices.service import PriceService
from finora_core.market.provision.service import DataService
from finora_core.market.rates.service import RateService
from finora_core.portfolio.days import HistoryService
from finora_core.portfolio.service import PortfolioService
from finora_core.records.imports import ImportService
from finora_core.records.model import ImportRequest
from finora_core.records.receipts.service import ReceiptService
from finora_core.records.service import RecordService
from finora_core.secrets.model import MAX_AGE
from finora_core.secrets.service import KeyService, SecretService

_POLL_S = 0.1


class Finora:
    """The services, ready to use. Make one with `Finora.open()`, close it or use it with `with`.

    Safe to use from any thread; refuses to be used across a fork.
    """

    def __init__(self, settings: Settings, opened: Opened) -> None:
        self.settings = settings
        self._opened = opened
        services: Injector = compose(settings, opened)
        self.ledger = services.get(LedgerService)
        self.records = services.get(RecordService)
        self.imports = services.get(ImportService)
        self.pipeline = services.get(PipelineService)
        self.review = services.get(ReviewService)
        self.categories = services.get(CategoryService)
        self.rules = services.get(RuleService)
        self.wallet = services.get(WalletService)
        self.reports = services.get(ReportService)
        self.rates = services.get(RateService)
        self.prices = services.get(PriceService)
        self.assets = services.get(IdentityService)
        self.data = services.get(DataService)
        self.closings = services.get(ClosingService)
        self.budgets = services.get(BudgetService)
        self.goals = services.get(GoalService)
        self.recurring = services.get(RecurringService)
        self.forecasts = services.get(ForecastService)
        self.portfolio = services.get(PortfolioService)
        self.portfolio_history = services.get(HistoryService)
        self.receipts = services.get(ReceiptService)
        self.explain = services.get(ExplainService)
        self.jobs = services.get(JobService)
        self.files = services.get(FileService)
        self.tokens = services.get(TokenService)
        self.secrets = services.get(SecretService)
        self.keys = services.get(KeyService)
        self.models = services.get(Models)
        self.categoriser = services.get(Categoriser)
        self.likeness = services.get(Likeness)
        self._services = services
        self.audit = services.get(AuditService)
        self.auditor = services.get(Auditor)
        self.anchoring = services.get(AnchorService)
        self.queue: Queue = services.get(Queue)  # type: ignore[type-abstract]  # its key
        self._runner = services.get(JobRunner)
        self._tenants = services.get(PgTenants)
        self._upkeep = services.get(Scope)
        self._plugins = services.get(Plugins)

    @classmethod
    def open(cls, settings: Settings | None = None, *, data: str | Path | None = None) -> Self:
        """Open the books.

        Without settings they come from `FINORA_*` variables; with settings no environment is read.
        `data` is the folder of the embedded servers, for when that is all there is to say.
        """
        if settings is None:
            settings = from_environment() if data is None else Settings(data=Path(data))
        opened = open_database(settings)
        try:
            return cls(settings, opened)
        except BaseException:
            # A setting that names what is not there is seen when the parts are put together.
            opened.close()
            raise

    @staticmethod
    def migrate(settings: Settings | None = None) -> str:
        """Bring a database of one's own to this release's schema; returns its revision."""
        return migrate_database(settings or from_environment())

    @property
    def plugins(self) -> tuple[PluginInfo, ...]:
        """What is installed, and what was set aside for which reason."""
        return self._plugins.found

    @property
    def market(self) -> RefreshService:
        """What keeps prices up to date; made when it is first asked for, since it needs sources."""
        return self._services.get(RefreshService)

    def scope(self, tenant: str, user: str, *, request_id: str | None = None) -> Scope:
        """Who asks, by the host's own names; tenant and user are made on first use."""
        return self._tenants.scope(tenant, user, request_id)

    def import_file(
        self,
        scope: Scope,
        file: str | Path | BinaryIO,
        request: ImportRequest | None = None,
        *,
        name: str | None = None,
        on_progress: Callable[[Job], None] | None = None,
    ) -> Mapping[str, object] | Job:
        """Import a statement and wait: what became of its lines (see `docs/cli.md`), or the job
        that did not succeed, with its `reason` and `message`. `on_progress` is called from another
        thread, a few times a second, with the job as it stands."""
        if isinstance(file, str | Path):
            with Path(file).open("rb") as opened:
                return self.import_file(
                    scope, opened, request, name=name or Path(file).name, on_progress=on_progress
                )
        # Each call is a request of its own, also under a scope that lives long.
        scope = attrs.evolve(scope, request_id=str(new_id()))
        import_id, job_id = self.imports.submit(scope, file, name or "statement", request)
        job = self._finish(scope, job_id, on_progress)
        return self.imports.result(scope, import_id) or job

    def run_rules(
        self,
        scope: Scope,
        wanted: RunFilter | None = None,
        *,
        rule_ids: Iterable[UUID] | None = None,
        on_progress: Callable[[Job], None] | None = None,
    ) -> RuleRun | Job:
        """Let rules go over the records that are there, and wait: the run, or the job that did not
        succeed."""
        scope = attrs.evolve(scope, request_id=str(new_id()))
        run, job_id = self.rules.apply(scope, wanted, rule_ids=rule_ids)
        job = self._finish(scope, job_id, on_progress)
        return self.rules.get_run(scope, run.id) if job.state is JobState.DONE else job

    def undo_rules(
        self, scope: Scope, run_id: UUID, on_progress: Callable[[Job], None] | None = None
    ) -> RuleRun | Job:
        """Undo a run, and wait: the run with what was restored and what was kept."""
        scope = attrs.evolve(scope, request_id=str(new_id()))
        run, job_id = self.rules.ask_undo(scope, run_id)
        job = self._finish(scope, job_id, on_progress)
        return self.rules.get_run(scope, run.id) if job.state is JobState.DONE else job

    def export(self, scope: Scope, tool: str = "beancount") -> Generator[str, None, None]:
        """The books as lines of a beancount file or of an hledger journal, streamed. Close it if
        you do not read it to the end: it holds a transaction open."""
        return self.ledger.export(scope, tool)

    @cached_property
    def operator(self) -> PeopleOperator:
        """What whoever runs the installation does about people; needs what sign-in rests on."""
        return self._services.get(PeopleOperator)

    def run_jobs(self, limit: int | None = None) -> Counter[str]:
        """Run ready jobs in this process until there are none; counts how they ended."""
        return self._runner.run(limit)

    def rewrap_keys(self, on_progress: Callable[[Job], None] | None = None) -> Job:
        """Move every key under the newest key-encryption key, and wait: the job that did it, or
        its `reason` and `message`."""
        scope = attrs.evolve(self._upkeep, request_id=str(new_id()))
        return self._finish(scope, self.keys.ask_rewrap(scope), on_progress)

    def replace_data_keys(
        self, older_than: timedelta = MAX_AGE, on_progress: Callable[[Job], None] | None = None
    ) -> Job:
        """Replace every data key older than that, seal again what was sealed by it, and wait."""
        scope = attrs.evolve(self._upkeep, request_id=str(new_id()))
        return self._finish(scope, self.keys.ask_reseal(scope, older_than), on_progress)

    def close(self) -> None:
        """Give back the connections and, if nobody else uses them, stop the embedded servers."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _finish(self, scope: Scope, job_id: UUID, on_progress: Callable[[Job], None] | None) -> Job:
        # Another process may have claimed it: then there is nothing to run here, and one waits.
        with self._watched(scope, job_id, on_progress):
            try:
                return self._run_until_over(scope, job_id)
            except KeyboardInterrupt:
                # Else another process would import what was just given up.
                with suppress(JobStateConflict):
                    self.jobs.cancel(scope, job_id)
                raise

    def _run_until_over(self, scope: Scope, job_id: UUID) -> Job:
        while True:
            # This job alone: what it causes may take longer, and is for whoever runs jobs.
            self._runner.run_id(scope.tenant_id, job_id)
            job = self.jobs.get(scope, job_id)
            if job.state.over:
                self.run_jobs(0)
                return job
            time.sleep(_POLL_S)

    @contextmanager
    def _watched(
        self, scope: Scope, job_id: UUID, on_progress: Callable[[Job], None] | None
    ) -> Iterator[None]:
        """Tell how far the job is, from a thread of its own: this one may be running it."""
        if on_progress is None:
            yield
            return
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_POLL_S):
                # A moment without a free connection is no news.
                with suppress(Unavailable):
                    on_progress(self.jobs.get(scope, job_id))

        watcher = threading.Thread(target=watch, name=f"watch-{job_id}", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
