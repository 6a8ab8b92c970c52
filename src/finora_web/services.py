"""What the routes call."""

from collections.abc import Callable

import attrs

from finora_core.audit.service import AuditService
from finora_core.categories.approvals.service import ReviewService
from finora_core.categories.pipeline.service import PipelineService
from finora_core.categories.rules.service import RuleService
from finora_core.categories.service import CategoryService
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
from finora_core.jobs.ports import Queue
from finora_core.jobs.service import JobService
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
from finora_core.records.imports import ImportService
from finora_core.records.receipts.service import ReceiptService
from finora_core.records.service import RecordService
from finora_core.secrets.service import SecretService


@attrs.frozen(kw_only=True)
class Services:
    ledger: LedgerService
    records: RecordService
    imports: ImportService
    pipeline: PipelineService
    review: ReviewService
    categories: CategoryService
    rules: RuleService
    wallet: WalletService
    reports: ReportService
    rates: RateService
    plugins: InstalledPlugins
    prices: PriceService
    market: Callable[[], RefreshService]
    """Asked for when it is needed, since it needs sources."""
    assets: IdentityService
    data: DataService
    closings: ClosingService
    budgets: BudgetService
    goals: GoalService
    recurring: RecurringService
    forecasts: ForecastService
    portfolio: PortfolioService
    portfolio_history: HistoryService
    receipts: ReceiptService
    explain: ExplainService
    jobs: JobService
    files: FileService
    tokens: TokenService
    audit: AuditService
    queue: Queue
    secrets: SecretService
    sessions: SessionService
    people: PeopleService
    addresses: AddressService
    erasure: ErasureService
    takeout: TakeoutService
    external: ExternalService
    letters: Letters
    tenants: TenantService
    admin: AdminService
    factors: FactorService
