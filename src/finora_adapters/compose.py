"""The composition root: the only module that knows every concrete class."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from typing import TYPE_CHECKING, BinaryIO
from uuid import UUID

import attrs
import psycopg
from injector import Injector, Module, ProviderOf, provider, singleton
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, create_engine, text

from finora_adapters.confined.plugin import confined
from finora_adapters.cron import periods_between
from finora_adapters.crypto.box import RingBox
from finora_adapters.crypto.cipher import AesGcm
from finora_adapters.crypto.ring import secret_keys
from finora_adapters.embedded import Engines, open_engines
from finora_adapters.mail.console import ConsoleMailer
from finora_adapters.mail.jmap import JmapMailer
from finora_adapters.mail.letters import TemplateLetters
from finora_adapters.mail.plugin import PluginMailer
from finora_adapters.mail.server import SmtpServer
from finora_adapters.mail.smtp import SmtpMailer
from finora_adapters.notifier import ByPlugin
from finora_adapters.plugins import Plugins, load_plugins
from finora_adapters.postgres import pooler
from finora_adapters.postgres.access import MIGRATOR
from finora_adapters.postgres.audit import PgEveryLog
from finora_adapters.postgres.books import check_books
from finora_adapters.postgres.driver import check_when_idle
from finora_adapters.postgres.errors import translated
from finora_adapters.postgres.events import PgSealer
from finora_adapters.postgres.files import PgFileRows
from finora_adapters.postgres.holdings import PgHoldings
from finora_adapters.postgres.jobs import PgQueue
from finora_adapters.postgres.migrate import (
    SchemaBehind,
    head,
    is_known,
    migrate,
    require_current,
    require_roles,
    revision_of,
)
from finora_adapters.postgres.nonces import PgNonces
from finora_adapters.postgres.outdated import PgOutdated
from finora_adapters.postgres.secrets import PgKeyHolders
from finora_adapters.postgres.signing import PgSigningKeys
from finora_adapters.postgres.tenants import UPKEEP, PgTenants
from finora_adapters.postgres.versions import PgVersions
from finora_adapters.postgres.warrants import Warrants, counts, install
from finora_adapters.postgres.work import Limits, Postgres
from finora_adapters.settings import Settings, check_production, production_problems, refusal
from finora_adapters.signing import anchor_key, anchor_keys, verifies
from finora_adapters.storage.anchors import FOLDER, DirectoryAnchors, StoreAnchors
from finora_adapters.storage.directory import DirectoryObjects
from finora_adapters.storage.plugin import PluginObjects, fields_of
from finora_adapters.storage.s3 import S3Objects
from finora_adapters.upstream.http import credentials_of
from finora_adapters.upstream.meter import LocalMeter
from finora_adapters.upstream.sources import PluginList, Sources, sources_of
from finora_core.audit.ports import Anchors
from finora_core.audit.service import AnchorService, Auditor, AuditService
from finora_core.categories.approvals.service import ReviewService
from finora_core.categories.pipeline import reactions as pipeline_reactions
from finora_core.categories.pipeline.likeness import learn
from finora_core.categories.pipeline.service import Classifiers, PipelineService
from finora_core.categories.rules import reactions as rules_reactions
from finora_core.categories.rules.service import RuleService
from finora_core.categories.service import CategoryService
from finora_core.files.ports import Objects
from finora_core.files.service import FileService
from finora_core.files.sweep import FileSweeper
from finora_core.identity.addresses.service import AddressService
from finora_core.identity.admin.service import AdminService, PeopleOperator
from finora_core.identity.erasure.service import ERASE, ErasureService
from finora_core.identity.external.service import ExternalService
from finora_core.identity.factors.service import FactorService
from finora_core.identity.people.letters import Letters as SentLetters
from finora_core.identity.people.letters import send
from finora_core.identity.people.links import Links
from finora_core.identity.people.service import PeopleService
from finora_core.identity.service import TokenService
from finora_core.identity.sessions.door import Door
from finora_core.identity.sessions.service import SessionService
from finora_core.identity.takeout.service import TakeoutService
from finora_core.identity.tenants.links import Invitations
from finora_core.identity.tenants.service import TenantService
from finora_core.identity.verifiers import Passwords, Tokens
from finora_core.insights import reactions as insights_reactions
from finora_core.insights.budgets.service import BudgetService
from finora_core.insights.explain.service import ExplainService
from finora_core.insights.forecast.service import ForecastService
from finora_core.insights.goals.service import GoalService
from finora_core.insights.recurring.service import RecurringService
from finora_core.insights.reports import reactions as reports_reactions
from finora_core.insights.reports.model import Format
from finora_core.insights.reports.ports import Writer
from finora_core.insights.reports.service import ReportService
from finora_core.insights.reports.tables import CsvWriter, Document, JsonWriter
from finora_core.insights.service import WatchService
from finora_core.insights.wallet.service import WalletService
from finora_core.intelligence.ports import Embeddings, LanguageModel, ModelAccess
from finora_core.intelligence.service import Categoriser, Likeness, Models
from finora_core.jobs import reactions as jobs_reactions
from finora_core.jobs.model import Handler, Progress, Schedule, Subscription
from finora_core.jobs.operators import OperatorService
from finora_core.jobs.ports import Queue
from finora_core.jobs.service import JobRunner, JobService, Scheduler
from finora_core.jobs.watch import Watch
from finora_core.kernel.breaker import Breaker
from finora_core.kernel.clock import SystemClock
from finora_core.kernel.errors import Unavailable
from finora_core.kernel.events import Plain
from finora_core.kernel.nonces import Nonces
from finora_core.kernel.scope import Scope
from finora_core.ledger.closing.service import ClosingService
from finora_core.ledger.service import LedgerService
from finora_core.mail.model import MailAddress
from finora_core.mail.ports import Letters, Mailer
from finora_core.manifest import InstalledPlugins, PluginState
from finora_core.market import reactions as market_reactions
from finora_core.market.assets.service import IdentityService
from finora_core.market.prices.chain import IdentityChain, PriceChain, RateChain
from finora_core.market.prices.refresh import RefreshService
from finora_core.market.prices.service import PriceService
from finora_core.market.provision.model import Quota, window_of
from finora_core.market.provision.ports import DataSource, Meter
from finora_core.market.provision.service import DataService
from finora_core.market.rates.service import RateService
from finora_core.notices import reactions as notices_reactions
from finora_core.notices.ports import ByMail
from finora_core.notices.service import NoticeService
from finora_core.plugins import StorageAccess
from finora_core.portfolio import reactions as portfolio_reactions
from finora_core.portfolio.days import HistoryService
from finora_core.portfolio.imports import BrokerFiles
from finora_core.portfolio.service import PortfolioService
from finora_core.records import reactions as records_reactions
from finora_core.records.imports import ImportService
from finora_core.records.receipts.service import ReceiptService
from finora_core.records.service import RecordService
from finora_core.secrets.ports import KeyRing, SigningKeys
from finora_core.secrets.service import RESEAL, REWRAP, KeyService, SecretService
from finora_core.secrets.vault import Vault

if TYPE_CHECKING:
    from finora_adapters.redis.asking import Asker


class NotDurable(Unavailable):
    """The database server may lose what it acknowledged; its settings must be changed."""

    code = "DATABASE_NOT_DURABLE"


SCHEDULES: tuple[Schedule, ...] = (
    *jobs_reactions.SCHEDULES,
    *market_reactions.SCHEDULES,
    *portfolio_reactions.SCHEDULES,
)
SUBSCRIPTIONS: tuple[Subscription, ...] = (
    *records_reactions.SUBSCRIPTIONS,
    *pipeline_reactions.SUBSCRIPTIONS,
    *reports_reactions.SUBSCRIPTIONS,
    *rules_reactions.SUBSCRIPTIONS,
    *jobs_reactions.SUBSCRIPTIONS,
    *notices_reactions.SUBSCRIPTIONS,
    *insights_reactions.SUBSCRIPTIONS,
    *market_reactions.SUBSCRIPTIONS,
    *portfolio_reactions.SUBSCRIPTIONS,
    *(schedule.subscription for schedule in SCHEDULES),
)


def by_event(subscriptions: Iterable[Subscription]) -> Mapping[str, tuple[Subscription, ...]]:
    """Subscriptions by the event that they answer."""
    found: dict[str, list[Subscription]] = defaultdict(list)
    for subscription in subscriptions:
        found[subscription.event].append(subscription)
    return {event: tuple(wanted) for event, wanted in found.items()}


def subscriptions_of(settings: Settings) -> tuple[Subscription, ...]:
    """All of them, and for each notifier of the settings its own."""
    told = (*notices_reactions.SUBSCRIPTIONS, *insights_reactions.SUBSCRIPTIONS)
    return (
        *SUBSCRIPTIONS,
        *(each for name in settings.notified_by for each in notices_reactions.notified(name, told)),
    )


def connector(dsn: str) -> Callable[[], psycopg.Connection[tuple[object, ...]]]:
    """Opens connections to a libpq conninfo or URL."""
    return partial(pooler.connect, dsn)


def engine_of(dsn: str, settings: Settings) -> Engine:
    """A bounded pool; a connection that the server closed is replaced before it is used."""
    engine = create_engine(
        "postgresql+psycopg://",
        creator=connector(dsn),
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_wait_s,
        # The one used last is used next, and so needs no check.
        pool_use_lifo=True,
    )
    check_when_idle(engine)
    return engine


def objects_of(settings: Settings, plugins: Callable[[], Plugins] | None = None) -> Objects:
    """The plugin's store that is named, or the bucket of the settings, or else their folder.
    `plugins` are loaded for the first only."""
    if (name := settings.storage_plugin) is not None:
        return _plugin_objects(name, settings, (plugins or partial(plugins_of, settings))())
    if settings.storage_s3_bucket is None:
        return DirectoryObjects(settings.files)
    if find_spec("boto3") is None:
        raise refusal((("FINORA_STORAGE_S3_BUCKET", "it needs boto3: install finora[s3]"),))
    secret = settings.storage_s3_secret
    return S3Objects(
        bucket=settings.storage_s3_bucket,
        endpoint=settings.storage_s3_endpoint,
        region=settings.storage_s3_region,
        key=settings.storage_s3_key,
        secret=secret.get_secret_value() if secret else None,
    )


def _plugin_objects(name: str, settings: Settings, plugins: Plugins) -> Objects:
    if name not in plugins.storages:
        listed = ", ".join(sorted(plugins.storages)) or "none"
        raise refusal((("FINORA_STORAGE_PLUGIN", f"there is no {name}; there are: {listed}"),))
    storage = plugins.storages[name]
    given = credentials_of(storage.provides, settings.plugin_settings)
    unset = [
        each.field for each in storage.provides.credentials
        if each.required and each.field not in given
    ]  # fmt: skip
    if unset:
        needed = f"FINORA_PLUGIN_{name}_{unset[0]}".upper()
        raise refusal(((needed, f"set it: the store {name} needs it"),))
    url = settings.plugin_settings.get(f"{name}_url".upper())
    log = logging.getLogger("finora.plugins")
    access = StorageAccess(
        credentials=given,
        url=None if url is None else url.get_secret_value(),
        log=lambda line: log.info("storage %s: %s", name, line[:1000]),
    )
    try:
        store = storage.provider(access)
    # Whatever a stranger's code raises, an exit too.
    except (Exception, SystemExit) as error:
        said = f"the store {name} cannot be made: {type(error).__name__}"
        raise refusal((("FINORA_STORAGE_PLUGIN", said),)) from None
    return PluginObjects(name, store, fields_of(given))


def mailer_of(settings: Settings, sources: Callable[[], Sources] | None = None) -> Mailer:
    """The plugin's that is named, else JMAP where its token is set, else SMTP where its URL is,
    else a laptop's folder. `sources` are made for the first only, and its own if none are given."""
    if (name := settings.mail_plugin) is not None:
        found = sources or partial(sources_of, settings, plugins_of(settings), SystemClock())
        mailers = found().mailers
        if name not in mailers:
            listed = ", ".join(sorted(mailers)) or "none"
            raise refusal((("FINORA_MAIL_PLUGIN", f"there is no {name}; there are: {listed}"),))
        return PluginMailer(name, mailers[name], settings.sender)
    if settings.mail_jmap_token is not None:
        if find_spec("httpx2") is None:
            raise refusal((("FINORA_MAIL_JMAP_TOKEN", "it needs httpx2: install finora[mail]"),))
        token = settings.mail_jmap_token.get_secret_value()
        return JmapMailer(settings.mail_jmap_url, token, settings.sender)
    if settings.mail_smtp_url is not None:
        server = SmtpServer.read(settings.mail_smtp_url.get_secret_value())
        return SmtpMailer(server, settings.sender)
    if settings.env == "production":
        raise refusal(tuple(production_problems(settings)))
    return ConsoleMailer(settings.data / "mail", settings.sender)


def notifiers_of(
    settings: Settings, letters: Letters, sources: Callable[[], Sources] | None = None
) -> Sequence[ByPlugin]:
    """The plugins' that are named; `sources` are made where there are any."""
    if not settings.notified_by:
        return ()
    found = (sources or partial(sources_of, settings, plugins_of(settings), SystemClock()))()
    for name in settings.notified_by:
        if name not in found.notifiers:
            listed = ", ".join(sorted(found.notifiers)) or "none"
            raise refusal((("FINORA_NOTIFIERS", f"there is no {name}; there are: {listed}"),))
    return [ByPlugin(name, found.notifiers[name], letters) for name in settings.notified_by]


def _by_way(notices: ProviderOf[NoticeService], way: ByPlugin) -> NoticeService:
    return attrs.evolve(notices.get(), way=way, operator=None)


def _tell(
    notices: Callable[[], NoticeService],
    scope: Scope,
    kind: str,
    user_id: UUID,
    values: Mapping[str, str],
    about: str,
) -> object:
    return notices().tell(scope, kind, user_id, values, about)


def model_access(settings: Settings) -> ModelAccess:
    return ModelAccess(
        url=settings.llm_url,
        key=settings.llm_key.get_secret_value() if settings.llm_key else None,
        model=settings.llm_model,
        limit_s=settings.llm_timeout_s,
    )


def plugins_of(settings: Settings, points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Those that are installed; whom the operator does not trust is confined."""
    return load_plugins(points, settings.trusts, confined)


def language_model_of(settings: Settings, plugins: Plugins) -> LanguageModel:
    """The one that is set, else the one behind the URL, else the one of a laptop."""
    name = settings.llm_provider or ("local" if settings.llm_url is None else "openai")
    if name == "openai" and find_spec("httpx2") is None:
        raise refusal((("FINORA_LLM_URL", "it needs httpx2: install finora[llm]"),))
    if name not in plugins.language_models:
        listed = ", ".join(sorted(plugins.language_models))
        raise refusal((("FINORA_LLM_PROVIDER", f"there is no {name}; there are: {listed}"),))
    return plugins.language_models[name](model_access(settings))


def embeddings_of(settings: Settings, plugins: Plugins) -> Embeddings:
    if settings.embeddings not in plugins.embeddings:
        listed = ", ".join(sorted(plugins.embeddings))
        said = f"there is no {settings.embeddings}; there are: {listed}"
        raise refusal((("FINORA_EMBEDDINGS", said),))
    if settings.embeddings == "minilm" and find_spec("onnxruntime") is None:
        raise refusal((("FINORA_EMBEDDINGS", "minilm needs onnxruntime: install finora[ml]"),))
    return plugins.embeddings[settings.embeddings](model_access(settings))


def letters_of(settings: Settings) -> Letters:
    return TemplateLetters(settings.sender)


def writers_of() -> Mapping[Format, Writer]:
    """What this installation can write: a library that is not installed is a format less."""
    writers: dict[Format, Writer] = {Format.CSV: CsvWriter(), Format.JSON: JsonWriter()}
    if find_spec("xlsxwriter") is not None:
        from finora_adapters.documents.xlsx import XlsxWriter

        writers[Format.XLSX] = XlsxWriter()
    if find_spec("fpdf") is not None and find_spec("fontpkg_noto_sans") is not None:
        writers[Format.PDF] = _LatePdf()
    return writers


class _LatePdf:
    """Its library takes half a second to come, so it comes with the first file."""

    def write(self, document: Document, out: BinaryIO) -> None:
        from finora_adapters.documents.pdf import PdfWriter

        PdfWriter().write(document, out)


def anchors_of(settings: Settings, objects: Objects | None = None) -> Anchors:
    """Where the settings keep files, anchors are kept too, in a place of their own."""
    objects = objects or objects_of(settings)
    if isinstance(objects, S3Objects | PluginObjects):
        return StoreAnchors(objects)
    return DirectoryAnchors(settings.files / FOLDER)


@attrs.define(slots=False)  # injector writes to it
class Stores(Module):
    """Where things are kept, and where letters go."""

    settings: Settings
    opened: "Opened"

    @singleton
    @provider
    def postgres(self) -> Postgres:
        return self.opened.database

    @singleton
    @provider
    def objects(self, plugins: ProviderOf[Plugins]) -> Objects:
        return objects_of(self.settings, plugins.get)

    @singleton
    @provider
    def mailer(self, sources: ProviderOf[Sources]) -> Mailer:
        return mailer_of(self.settings, sources.get)

    @singleton
    @provider
    def letters(self) -> Letters:
        return letters_of(self.settings)

    @singleton
    @provider
    def anchors(self, objects: Objects) -> Anchors:
        return anchors_of(self.settings, objects)

    @singleton
    @provider
    def nonces(self, database: Postgres) -> Nonces:
        return PgNonces(database)

    @singleton
    @provider
    def tenants(self, database: Postgres) -> PgTenants:
        return PgTenants(database)

    @singleton
    @provider
    def ring(self) -> KeyRing:
        return secret_keys(self.settings, AesGcm())

    @singleton
    @provider
    def signing(self, database: Postgres, ring: KeyRing) -> PgSigningKeys:
        return PgSigningKeys(database, ring)

    @singleton
    @provider
    def signing_keys(self, signing: PgSigningKeys) -> SigningKeys:
        return signing


@attrs.define(slots=False)  # injector writes to it
class Doors(Module):
    """How people come in. What this rests on is imported when it is needed: a program that only
    embeds the books has no use for it, and may not have it."""

    settings: Settings

    @singleton
    @provider
    def signed(self, keys: SigningKeys) -> Tokens:
        from finora_adapters.auth.tokens import SignedTokens

        return SignedTokens(keys)

    @singleton
    @provider
    def door(
        self, database: Postgres, tokens: Tokens, ring: KeyRing, upkeep: ProviderOf[Scope]
    ) -> Door:
        from finora_adapters.auth.codes import TotpCodes

        return Door(database.begin, tokens, TotpCodes(), RingBox(ring), SystemClock(), upkeep.get)

    @singleton
    @provider
    def passwords(self) -> Passwords:
        from finora_adapters.auth.passwords import Argon2Passwords

        settings = self.settings
        return Argon2Passwords(
            settings.password_memory_kib,
            settings.password_rounds,
            hashers=settings.password_hashers,
            waiting=settings.password_waiting,
        )

    @singleton
    @provider
    def challenges(self, door: Door, tokens: Tokens) -> SentLetters:
        return SentLetters(door, Links(tokens))

    @singleton
    @provider
    def sessions(self, door: Door, letters: SentLetters, passwords: Passwords) -> SessionService:
        return SessionService(door, letters, passwords, self.settings.proof_first)

    @singleton
    @provider
    def people(self, door: Door, letters: SentLetters, passwords: Passwords) -> PeopleService:
        return PeopleService(door, letters, passwords, self.settings.proof_first)

    @singleton
    @provider
    def addresses(self, door: Door) -> AddressService:
        return AddressService(door)

    @singleton
    @provider
    def tenancy(self, door: Door, tokens: Tokens) -> TenantService:
        return TenantService(door, Invitations(tokens))

    @singleton
    @provider
    def admins(self, door: Door) -> AdminService:
        return AdminService(door)

    @singleton
    @provider
    def operating(self, door: Door, tokens: Tokens) -> PeopleOperator:
        admin = AdminService(door, operator=True)
        return PeopleOperator(admin, Links(tokens), self.settings.site)

    @singleton
    @provider
    def external(self, database: Postgres, tenants: PgTenants) -> ExternalService:
        from finora_adapters.auth.external import PublishedIssuer

        settings, issuer = self.settings, None
        if settings.external_issuer is not None and settings.external_audience is not None:
            issuer = PublishedIssuer(
                settings.external_issuer,
                settings.external_audience,
                SystemClock(),
                tenant_claim=settings.external_tenant_claim,
                role_claim=settings.external_role_claim,
            )
        return ExternalService(database.begin, tenants, issuer, SystemClock())

    @singleton
    @provider
    def takeout(self, door: Door) -> TakeoutService:
        return TakeoutService(door)

    @singleton
    @provider
    def erasure(self, door: Door, objects: Objects) -> ErasureService:
        return ErasureService(door, objects.forget)

    @singleton
    @provider
    def factors(self, door: Door, nonces: Nonces) -> FactorService:
        from finora_adapters.auth.issuers import OidcIssuers
        from finora_adapters.auth.passkeys import WebPasskeys
        from finora_adapters.auth.telegram import BotTelegram
        from finora_adapters.auth.wallets import EthereumWallets

        settings, passkeys, telegram = self.settings, None, None
        if settings.passkeys is not None:
            domain, origins = settings.passkeys
            passkeys = WebPasskeys(rp_id=domain, origins=origins)
        if settings.telegram_bot_token is not None:
            token = settings.telegram_bot_token.get_secret_value()
            telegram = BotTelegram(token, settings.telegram_max_age_s)
        return FactorService(
            door,
            nonces,
            EthereumWallets(),
            OidcIssuers(settings.oidc_clients, SystemClock()),
            passkeys,
            telegram,
            settings.site,
        )

    @singleton
    @provider
    def notices(
        self, database: Postgres, mailer: Mailer, letters: Letters, tokens: Tokens
    ) -> NoticeService:
        links, invitations = Links(tokens), Invitations(tokens)
        site = self.settings.site
        to = self.settings.operator_email
        operator = None if to is None else MailAddress(to)
        return NoticeService(
            database.begin, ByMail(mailer, letters), links, invitations, site, send, operator
        )


@attrs.define(slots=False)  # injector writes to it
class Providers(Module):
    """What plugins bring."""

    settings: Settings
    opened: "Opened"

    @singleton
    @provider
    def plugins(self) -> Plugins:
        return plugins_of(self.settings)

    @singleton
    @provider
    def sources(self, plugins: Plugins) -> Sources:
        return sources_of(self.settings, plugins, SystemClock(), asker_of(self.opened))

    @singleton
    @provider
    def meter(self) -> Meter:
        asker = asker_of(self.opened)
        if asker is None:
            return LocalMeter()
        # The library does without Redis, and may not have its client.
        from finora_adapters.redis.meter import SharedMeter

        return SharedMeter(asker)

    @singleton
    @provider
    def installed(self, plugins: Plugins, sources: Sources) -> InstalledPlugins:
        return PluginList(plugins, sources)

    @singleton
    @provider
    def language_model(self, plugins: Plugins) -> LanguageModel:
        return language_model_of(self.settings, plugins)

    @singleton
    @provider
    def embeddings(self, plugins: Plugins) -> Embeddings:
        return embeddings_of(self.settings, plugins)


@attrs.define(slots=False)  # injector writes to it
class Capabilities(Module):
    """What people can do."""

    settings: Settings

    @singleton
    @provider
    def ledger(self, database: Postgres) -> LedgerService:
        return LedgerService(database.begin)

    @singleton
    @provider
    def records(self, database: Postgres) -> RecordService:
        return RecordService(database.begin)

    @singleton
    @provider
    def imports(self, database: Postgres, objects: Objects, plugins: Plugins) -> ImportService:
        lines, size = self.settings.import_max_lines, self.settings.import_max_mb << 20
        brokers = BrokerFiles(database.begin, plugins.activity_formats)
        statements = plugins.statement_formats
        return ImportService(database.begin, objects, statements, brokers, lines, size)

    @singleton
    @provider
    def review(self, database: Postgres) -> ReviewService:
        return ReviewService(database.begin)

    @singleton
    @provider
    def pipeline(self, database: Postgres, categoriser: Categoriser) -> PipelineService:
        return PipelineService(database.begin, Classifiers(learn), categoriser)

    @singleton
    @provider
    def categories(self, database: Postgres) -> CategoryService:
        return CategoryService(database.begin)

    @singleton
    @provider
    def rules(self, database: Postgres) -> RuleService:
        return RuleService(database.begin)

    @singleton
    @provider
    def files(self, database: Postgres, objects: Objects) -> FileService:
        return FileService(database.begin, objects, self.settings.file_max_mb << 20)

    @singleton
    @provider
    def sweeper(self, database: Postgres, objects: Objects) -> FileSweeper:
        return FileSweeper(PgFileRows(database), objects, SystemClock())

    @singleton
    @provider
    def wallet(self, database: Postgres) -> WalletService:
        return WalletService(database.begin)

    @singleton
    @provider
    def reports(self, database: Postgres, objects: Objects) -> ReportService:
        return ReportService(database.begin, objects, writers_of())

    @singleton
    @provider
    def rates(self, database: Postgres) -> RateService:
        return RateService(database.begin)

    @singleton
    @provider
    def prices(self, database: Postgres) -> PriceService:
        return PriceService(database.begin)

    @singleton
    @provider
    def refreshing(self, database: Postgres, sources: Sources, upkeep: Scope) -> RefreshService:
        first = [name for name in self.settings.source_order.split(",") if name]

        def ordered(kind: str) -> list[DataSource]:
            found = sources.by_kind[kind] if self.settings.ask_sources else {}
            named = [name for name in first if name in found]
            return [found[name] for name in (*named, *sorted(set(found) - set(named)))]

        return RefreshService(
            begin=database.begin,
            holdings=PgHoldings(database, upkeep),
            prices=PriceChain(ordered("prices")),
            rates=RateChain(ordered("rates")),
            identities=IdentityChain(ordered("assets")),
            now=SystemClock().now,
        )

    @singleton
    @provider
    def data(
        self,
        database: Postgres,
        sources: ProviderOf[Sources],
        plugins: ProviderOf[Plugins],
        meter: Meter,
    ) -> DataService:
        window = window_of(self.settings.data_window)
        usual = Quota(monthly=self.settings.data_monthly or None, window=window)
        return DataService(
            database.begin,
            lambda: {s.provides.name: s for s in sources.get()},
            meter,
            usual,
            lambda: plugins.get().chains,
        )

    @singleton
    @provider
    def identities(self, database: Postgres) -> IdentityService:
        return IdentityService(database.begin)

    @singleton
    @provider
    def portfolio(self, database: Postgres) -> PortfolioService:
        return PortfolioService(database.begin)

    @singleton
    @provider
    def portfolio_history(self, database: Postgres) -> HistoryService:
        return HistoryService(database.begin, PgVersions(database).tenants)

    @singleton
    @provider
    def closings(self, database: Postgres) -> ClosingService:
        return ClosingService(database.begin)

    @singleton
    @provider
    def budgets(self, database: Postgres) -> BudgetService:
        return BudgetService(database.begin)

    @singleton
    @provider
    def goals(self, database: Postgres) -> GoalService:
        return GoalService(database.begin)

    @singleton
    @provider
    def recurring(self, database: Postgres) -> RecurringService:
        return RecurringService(database.begin)

    @singleton
    @provider
    def forecasts(self, database: Postgres) -> ForecastService:
        return ForecastService(database.begin)

    @singleton
    @provider
    def watching(self, database: Postgres) -> WatchService:
        return WatchService(database.begin)

    @singleton
    @provider
    def receipts(self, database: Postgres) -> ReceiptService:
        return ReceiptService(database.begin)

    @singleton
    @provider
    def explain(self, database: Postgres) -> ExplainService:
        return ExplainService(database.begin)

    @singleton
    @provider
    def models(self, database: Postgres, model: LanguageModel) -> Models:
        breaker = Breaker(SystemClock())
        return Models(database.begin, model, breaker, self.settings.llm_daily_tokens)

    @singleton
    @provider
    def categoriser(self, models: Models) -> Categoriser:
        return Categoriser(models)

    @singleton
    @provider
    def likeness(self, database: Postgres, embeddings: Embeddings) -> Likeness:
        return Likeness(database.begin, embeddings)

    @singleton
    @provider
    def jobs(self, database: Postgres) -> JobService:
        return JobService(database.begin)

    @singleton
    @provider
    def tokens(self, database: Postgres) -> TokenService:
        return TokenService(database.begin)

    @singleton
    @provider
    def vault(self, ring: KeyRing) -> Vault:
        return Vault(AesGcm(), ring)

    @singleton
    @provider
    def secrets(self, database: Postgres, vault: Vault) -> SecretService:
        return SecretService(database.begin, vault)

    @singleton
    @provider
    def keys(
        self, database: Postgres, vault: Vault, ring: KeyRing, signing: PgSigningKeys
    ) -> KeyService:
        return KeyService(database.begin, vault, ring, PgKeyHolders(database), signing)

    @singleton
    @provider
    def audit(self, database: Postgres) -> AuditService:
        return AuditService(database.begin)

    @singleton
    @provider
    def auditor(self, database: Postgres) -> Auditor:
        return Auditor(PgEveryLog(database), verifies)

    @singleton
    @provider
    def anchoring(self, database: Postgres, anchors: Anchors) -> AnchorService:
        key = partial(anchor_key, self.settings)
        return AnchorService(database.begin, PgEveryLog(database), anchors, key)

    @singleton
    @provider
    def operators(self, database: Postgres) -> OperatorService:
        return OperatorService(database.begin)

    @singleton
    @provider
    def queue(self, database: Postgres) -> Queue:
        return PgQueue(database)

    @singleton
    @provider
    def runner(
        self,
        database: Postgres,
        queue: Queue,
        imports: ImportService,
        pipeline: PipelineService,
        reports: ReportService,
        rules: RuleService,
        sweeper: FileSweeper,
        keys: KeyService,
        budgets: BudgetService,
        watching: WatchService,
        notices: ProviderOf[NoticeService],
        letters: Letters,
        sources: ProviderOf[Sources],
        erasure: ProviderOf[ErasureService],
        anchors: Anchors,
        anchoring: AnchorService,
        auditor: Auditor,
        watch: Watch,
        market: ProviderOf[RefreshService],
        history: HistoryService,
        upkeep: Scope,
    ) -> JobRunner:
        def audit() -> object:
            return auditor.require(anchors, anchor_keys(self.settings))

        handlers = records_reactions.handlers(imports) | jobs_reactions.handlers(
            database.begin,
            queue,
            partial(check_books, database, upkeep),
            sweeper.sweep_files,
            PgNonces(database).forget,
            anchoring.require,
            audit,
            PgOutdated(database, timedelta(hours=self.settings.replies_kept_h)).forget,
            watch,
        )
        handlers |= {REWRAP: keys.rewrap, RESEAL: keys.reseal, ERASE: _erase(erasure)}
        handlers |= reports_reactions.handlers(reports)
        handlers |= notices_reactions.handlers(notices.get)
        handlers |= insights_reactions.handlers(
            watching, budgets.words, partial(_tell, notices.get)
        )
        for way in notifiers_of(self.settings, letters, sources.get):
            # Made when there is something to tell, as for letters.
            noticing = partial(_by_way, notices, way)
            mine = notices_reactions.handlers(noticing) | insights_reactions.handlers(
                watching, budgets.words, partial(_tell, noticing)
            )
            handlers |= notices_reactions.notifying(way.name, mine)
        handlers |= market_reactions.handlers(market.get)
        handlers |= pipeline_reactions.handlers(pipeline) | rules_reactions.handlers(rules)
        handlers |= portfolio_reactions.handlers(history)
        pauses = {each.job: each.pause_s for each in subscriptions_of(self.settings)}
        limit_s = self.settings.job_limit_s
        return JobRunner(queue, PgSealer(database), handlers, limit_s, pauses)

    @singleton
    @provider
    def scheduler(self, database: Postgres) -> Scheduler:
        return Scheduler(database.begin, SCHEDULES, periods_between)

    @singleton
    @provider
    def watch(self, database: Postgres, queue: Queue) -> Watch:
        many = self.settings.dead_letters_alarm
        return Watch(database.begin, queue, SCHEDULES, periods_between, many)

    @singleton
    @provider
    def upkeep(self, tenants: PgTenants) -> Scope:
        """Schedules belong to a tenant of their own."""
        return tenants.scope(UPKEEP, UPKEEP)


def compose(settings: Settings, opened: "Opened") -> Injector:
    """Wire everything. `auto_bind` is off: a port that nothing fills fails here, at the start."""
    modules = [
        Stores(settings, opened),
        Doors(settings),
        Providers(settings, opened),
        Capabilities(settings),
    ]
    return Injector(modules, auto_bind=False)


def _erase(erasure: ProviderOf[ErasureService]) -> Handler:
    """Made when somebody is to be erased: it needs what sign-in rests on."""

    def run(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return erasure.get().run(scope, payload, progress)

    return run


@attrs.frozen
class Opened:
    """A database that is ready for this release, and the embedded servers under it, if any."""

    database: Postgres
    engines: Engines | None
    redis_url: str = ""
    """Empty where it was not asked for."""
    listen_dsn: str | None = None
    """Where LISTEN works; None behind a transaction pooler."""

    def telling(self, committed: Callable[[UUID, int], None]) -> "Opened":
        """The same, telling of every tenant's new data version after its commit."""
        return attrs.evolve(self, database=attrs.evolve(self.database, committed=committed))

    def close(self) -> None:
        self.database.engine.dispose()
        if self.engines is not None:
            self.engines.close()


def open_database(settings: Settings, *, redis: bool = False) -> Opened:
    """Connect, by settings or to the embedded servers; an embedded database is migrated if it must
    be. With `redis`, Valkey runs too.

    Raises SchemaBehind where a database of one's own needs `finora migrate`.
    """
    check_production(settings)
    own_redis = settings.redis_url.get_secret_value() if settings.redis_url else None
    engines = None
    if settings.database_url is None or (redis and own_redis is None):
        engines = open_engines(
            settings.data, postgres_bin=settings.postgres_bin, valkey=redis and own_redis is None
        )
    try:
        if settings.database_url is not None:
            dsn = settings.database_url.get_secret_value()
            direct = settings.database_direct_url
            listen = direct.get_secret_value() if direct else _unpooled(dsn)
        else:
            assert engines is not None
            _migrate_embedded(engines, settings)
            dsn = listen = engines.postgres_dsn
        database = _ready(engine_of(dsn, settings), settings)
        url = own_redis or (engines.valkey_url if engines else None) or ""
        return Opened(database, engines, url if redis else "", listen)
    except BaseException:
        if engines is not None:
            engines.close()
        raise


def asker_of(opened: Opened) -> "Asker | None":
    """None without Redis."""
    if not opened.redis_url:
        return None
    from finora_adapters.redis.asking import Asker
    from finora_adapters.redis.client import connect

    return Asker(connect(opened.redis_url))


def installed_plugins(settings: Settings, *, tiers: bool = False) -> Sequence[PluginState]:
    """Without a database; what other processes set aside is known where Redis is named."""
    plugins, asker = plugins_of(settings), None
    if settings.redis_url is not None:
        from finora_adapters.redis.asking import Asker
        from finora_adapters.redis.client import connect

        asker = Asker(connect(settings.redis_url.get_secret_value()))
    sources = sources_of(settings, plugins, SystemClock(), asker)
    return PluginList(plugins, sources, tiers).list()


def migrate_database(settings: Settings) -> str:
    """Bring the database to this release's schema; returns the revision."""
    check_production(settings)
    url = settings.database_direct_url or settings.database_url
    if url is None:
        engines = open_engines(settings.data, postgres_bin=settings.postgres_bin)
        with engines:
            return _migrate_embedded(engines, settings)
    engine = engine_of(url.get_secret_value(), settings)
    runtime = settings.database_url or url
    login = conninfo_to_dict(runtime.get_secret_value()).get("user")
    try:
        with translated():
            keys = warrant_keys(settings)
            return migrate(engine, str(login) if login else None, keys=keys)
    finally:
        engine.dispose()


def _migrate_embedded(engines: Engines, settings: Settings) -> str:
    engine = engine_of(engines.admin_dsn, settings)
    try:
        with engine.connect() as connection:
            found = revision_of(connection)
            if found is not None and not is_known(found):
                require_current(connection)
                return found
        revision = head() if found == head() else migrate(engine, "finora_app")
        with engine.begin() as connection:
            # Nobody else serves an embedded database while it is opened.
            connection.execute(text(f"set local role {MIGRATOR}"))
            install(connection, warrant_keys(settings), enforce=True)
        return revision
    finally:
        engine.dispose()


def warrants_of(settings: Settings) -> Warrants:
    """What this installation's transactions show the database."""
    return Warrants(warrant_keys(settings)[0])


def warrant_keys(settings: Settings) -> Sequence[bytes]:
    """Of each of FINORA_SECRET_KEYS one, the newest first."""
    return secret_keys(settings, AesGcm()).derived("warrants")


def _unpooled(dsn: str) -> str | None:
    """The address itself, unless a pooler is there. What does not answer is told of soon enough."""
    try:
        with pooler.connect(dsn) as connection:
            return None if connection.prepare_threshold is None else dsn
    except psycopg.OperationalError:
        return None


def _ready(engine: Engine, settings: Settings) -> Postgres:
    limits = Limits(
        statement_ms=settings.statement_limit_s * 1000,
        job_statement_ms=settings.job_limit_s * 1000,
        lock_ms=settings.lock_limit_s * 1000,
    )
    warrants = warrants_of(settings)
    database = Postgres(engine, warrants, by_event(subscriptions_of(settings)), limits)
    try:
        with translated(), engine.connect() as connection:
            require_roles(connection)
        with database.look() as connection:
            require_current(connection)
            require_durable(connection)
            if not counts(connection, warrants):
                raise SchemaBehind(
                    "the database does not know the newest of FINORA_SECRET_KEYS: run "
                    "`finora migrate` with the same keys"
                )
    except BaseException:
        engine.dispose()
        raise
    return database


def require_durable(connection: Connection) -> None:
    """Raise NotDurable where the server may forget what it acknowledged."""
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        if connection.scalar(text(f"show {setting}")) == "off":
            raise NotDurable(f"the server runs with {setting} = off; commits could be lost")
