"""Where the application is put together."""

from collections.abc import Collection
from functools import partial
from importlib.metadata import version
from pathlib import Path

import attrs
from flask import Flask
from sqlalchemy import text

from finora_adapters.compose import Opened, compose
from finora_adapters.postgres.events import PgSealer
from finora_adapters.postgres.migrate import require_current
from finora_adapters.redis.asking import Asker
from finora_adapters.redis.client import RedisUnavailable, connect
from finora_adapters.redis.limits import Limits
from finora_adapters.redis.versions import VersionedCache
from finora_adapters.settings import Settings
from finora_adapters.upstream.meter import Flusher
from finora_core.audit.service import AuditService
from finora_core.categories.approvals.service import ReviewService
from finora_core.categories.pipeline.service import PipelineService
from finora_core.categories.rules.service import RuleService
from finora_core.categories.service import CategoryService
from finora_core.files.ports import Objects
from finora_core.files.service import FileService
from finora_core.identity.addresses.service import AddressService
from finora_core.identity.admin.service import AdminService
from finora_core.identity.erasure.service import ErasureService
from finora_core.identity.external.service import ExternalService
from finora_core.identity.factors.service import FactorService
from finora_core.identity.people.letters import Letters
from finora_core.identity.people.service import PeopleService
from finora_core.identity.service import TokenService
from finora_core.identity.sessions.service import SessionService
from finora_core.identity.takeout.service import TakeoutService
from finora_core.identity.tenants.service import TenantService
from finora_core.insights.budgets.service import BudgetService
from finora_core.insights.explain.service import ExplainService
from finora_core.insights.forecast.service import ForecastService
from finora_core.insights.goals.service import GoalService
from finora_core.insights.recurring.service import RecurringService
from finora_core.insights.reports.service import ReportService
from finora_core.insights.wallet.service import WalletService
from finora_core.intelligence.service import Models
from finora_core.jobs.operators import OperatorService
from finora_core.jobs.ports import Queue
from finora_core.jobs.service import JobService
from finora_core.jobs.watch import Watch
from finora_core.kernel.clock import SystemClock
from finora_core.kernel.nonces import Nonces
from finora_core.kernel.scope import Scope
from finora_core.ledger.closing.service import ClosingService
from finora_core.ledger.service import LedgerService
from finora_core.manifest import InstalledPlugins
from finora_core.market.assets.service import IdentityService
from finora_core.market.prices.refresh import RefreshService
from finora_core.market.prices.service import PriceService
from finora_core.market.provision.service import DataService
from finora_core.market.rates.service import RateService
from finora_core.portfolio.days import HistoryService
from finora_core.portfolio.service import PortfolioService
from finora_core.records.imports import MAX_PREVIEW, ImportService
from finora_core.records.receipts.service import ReceiptService
from finora_core.records.service import RecordService
from finora_core.secrets.ports import KeyRing
from finora_core.secrets.service import SecretService
from finora_web import metrics
from finora_web.app import Shell, create_app
from finora_web.contract import Uploads
from finora_web.gate import Gate
from finora_web.health import Health
from finora_web.limits import Limiter, policies_of
from finora_web.operator import Operator
from finora_web.services import Services

CLOSING = "finora.closing"
"""Name of the extension that is called before the process ends."""


def build(
    settings: Settings,
    opened: Opened,
    metrics_folder: Path | None = None,
    tags: Collection[str] | None = None,
) -> Flask:
    """The application over an open database; with `tags` only those nouns of the API."""
    asker = Asker(connect(opened.redis_url), asked=metrics.asked)
    cache = VersionedCache(asker, read=metrics.read)
    opened = opened.telling(cache.publish)
    get = compose(settings, opened).get
    data: DataService = get(DataService)
    flusher = Flusher(data.flush)
    queue: Queue = get(Queue)  # type: ignore[type-abstract]  # its key in the container
    plugins: InstalledPlugins = get(InstalledPlugins)  # type: ignore[type-abstract]  # as above
    services = Services(
        ledger=get(LedgerService),
        records=get(RecordService),
        imports=get(ImportService),
        pipeline=get(PipelineService),
        review=get(ReviewService),
        categories=get(CategoryService),
        rules=get(RuleService),
        wallet=get(WalletService),
        reports=get(ReportService),
        rates=get(RateService),
        plugins=plugins,
        prices=get(PriceService),
        market=lambda: get(RefreshService),
        assets=get(IdentityService),
        data=attrs.evolve(data, counted=flusher.start),
        closings=get(ClosingService),
        budgets=get(BudgetService),
        goals=get(GoalService),
        recurring=get(RecurringService),
        forecasts=get(ForecastService),
        portfolio=get(PortfolioService),
        portfolio_history=get(HistoryService),
        receipts=get(ReceiptService),
        explain=get(ExplainService),
        jobs=get(JobService),
        files=get(FileService),
        tokens=get(TokenService),
        audit=get(AuditService),
        queue=queue,
        secrets=get(SecretService),
        sessions=get(SessionService),
        people=get(PeopleService),
        addresses=get(AddressService),
        erasure=get(ErasureService),
        takeout=get(TakeoutService),
        external=get(ExternalService),
        letters=get(Letters),
        tenants=get(TenantService),
        admin=get(AdminService),
        factors=get(FactorService),
    )
    objects: Objects = get(Objects)  # type: ignore[type-abstract]  # as above

    def database() -> None:
        with opened.database.look() as connection:
            connection.execute(text("select 1"))

    def schema() -> None:
        with opened.database.look() as connection:
            require_current(connection)

    def redis() -> None:
        if not cache.answers:
            raise RedisUnavailable("Redis does not answer")

    health = Health(
        needed={"database": database, "schema": schema},
        wanted={"redis": redis},
        extra={
            "storage": lambda: next(iter(objects.pages()), None),
            "jobs": lambda: get(Watch).require(get(Scope)),
            "models": get(Models).require,
        },
        stores={
            "books": opened.database.engine.dialect.name,
            "files": settings.files_in,
        },
        queues=queue.status,
        seal_lag_s=PgSealer(opened.database).lag_s,
        sources=lambda: {
            each.declared.name: each.said for plugin in plugins.list() for each in plugin.sources
        },
        connections=opened.database.engine.pool.checkedout,  # type: ignore[attr-defined]  # bounded
    )
    uploads: dict[Uploads, int] = {
        "file": settings.file_max_mb << 20,
        "statement": settings.import_max_mb << 20,
        "preview": MAX_PREVIEW,
    }
    ring: KeyRing = get(KeyRing)  # type: ignore[type-abstract]  # as above
    digest_key = partial(ring.derive, "commands")
    limiter = Limiter(Limits(asker), policies_of(settings.rate_limits))
    gate = Gate(
        services,
        cache,
        limiter,
        settings.http_body_kb << 10,
        uploads,
        digest_key,
        settings.http_proxies,
    )
    nonces: Nonces = get(Nonces)  # type: ignore[type-abstract]  # as above
    secret = settings.jobs_hmac_secret
    operator = Operator(
        service=get(OperatorService),
        nonces=nonces,
        clock=SystemClock(),
        platform=partial(get, Scope),
        secret=secret.get_secret_value().encode() if secret else None,
    )
    origins = frozenset(filter(None, (each.strip() for each in settings.http_origins.split(","))))
    app = create_app(
        Shell(
            gate=gate,
            operator=operator,
            health=health,
            version=version("finora"),
            origins=origins,
            production=settings.env == "production",
            metrics_folder=metrics_folder,
            settings=settings,
        ),
        tags,
    )
    app.extensions[CLOSING] = flusher.stop
    if tags is not None:
        # What a process that was killed had counted is written down though nobody asks any more.
        flusher.start()
    return app
