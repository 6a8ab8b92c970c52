"""Records of a test, entered in one call each."""

from datetime import date
from uuid import UUID

import attrs

from finora import Account, Amount, Finora, NewRecord, Record, Scope, currency

EUR = currency("EUR")


@attrs.frozen
class Entered:
    """One account, and records in it."""

    finora: Finora
    scope: Scope
    account: Account

    @classmethod
    def into(
        cls, finora: Finora, scope: Scope, name: str = "Giro", asset: str = "EUR"
    ) -> "Entered":
        return cls(finora, scope, finora.ledger.open_account(scope, name, asset=asset))

    def add(
        self, day: str, amount: str, category: str = "", text: str = "x", asset: str = "EUR"
    ) -> Record:
        new = NewRecord(
            account_id=self.account.id,
            on_date=date.fromisoformat(day),
            amount=Amount.parse(amount, currency(asset)),
            description=text,
            category=category,
        )
        return self.finora.records.create(self.scope, new)

    @property
    def id(self) -> UUID:
        return self.account.id


def eur(text: str) -> Amount:
    return Amount.parse(text, EUR)
