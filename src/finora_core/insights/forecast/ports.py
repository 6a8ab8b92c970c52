"""What a forecast reads: what the wallet and the recurring payments read."""

from typing import Protocol

from finora_core.insights.recurring.ports import RecurringWork
from finora_core.insights.wallet.ports import WalletWork


class ForecastWork(RecurringWork, WalletWork, Protocol): ...
