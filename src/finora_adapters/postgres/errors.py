"""Turns what the database refuses into what a caller can act on; the rest stays a bug."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

import psycopg
from psycopg import errors as pg
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from finora_core.categories.rules import model as rules
from finora_core.identity.tenants.model import NotAMember, TenantGone
from finora_core.kernel.amount import BadAmount
from finora_core.kernel.errors import Refusal, Unavailable
from finora_core.kernel.work import Contended
from finora_core.ledger import model as ledger
from finora_core.portfolio import model as portfolio
from finora_core.records import model as records


class DatabaseDown(Unavailable):
    """Postgres does not answer; nothing was changed that was not acknowledged."""

    code = "DATABASE_UNAVAILABLE"


class TooSlow(Unavailable):
    """The work ran into its time limit and was undone."""

    code = "TIME_LIMIT"


class Busy(Unavailable):
    """Every database connection is in use; try again in a moment."""

    code = "DATABASE_BUSY"


# By the message of an exception of class FN, and by the name of a constraint.
_BY_NAME: dict[str, Callable[[str], Refusal]] = {
    "secret_field_tenant_id_data_key_id_nonce_key": Contended,
    "account_tenant_fkey": TenantGone,
    "invite_tenant_fkey": TenantGone,
    "membership_tenant_fkey": TenantGone,
    "token_membership_fkey": NotAMember,
    "secret_membership_fkey": NotAMember,
    "challenge_identity_fkey": Contended,
    "UNBALANCED": ledger.Unbalanced,
    "ENTRY_CLOSED": ledger.EntryClosed,
    "ACCOUNT_NOT_FOUND": ledger.AccountNotFound,
    "ENTRY_NOT_FOUND": ledger.EntryNotFound,
    "HOLD_EXCEEDED": ledger.HoldExceeded,
    "HOLD_EXPIRED": ledger.HoldExpired,
    "HOLD_NOT_EXPIRED": ledger.HoldNotExpired,
    "FACT_IMMUTABLE": ledger.FactImmutable,
    "CLOSED_MEANWHILE": Contended,
    "closing_pkey": Contended,
    "balance_floor_check": ledger.InsufficientFunds,
    "entry_tenant_id_reverses_key": ledger.AlreadyReversed,
    "account_tenant_id_name_key": ledger.AccountExists,
    "entry_entry_fkey": ledger.EntryNotFound,
    "hold_end_pkey": ledger.HoldEnded,
    "hold_end_hold_fkey": ledger.HoldNotFound,
    "hold_account_fkey": ledger.AccountNotFound,
    "balance_asset_fkey": ledger.BadPosting,
    "BAD_REVERSAL": ledger.BadPosting,
    "BAD_SPLIT": records.BadSplit,
    "label_part_label_fkey": records.BadSplit,
    "rule_rule_group_fkey": rules.GroupNotFound,
    "rule_group_tenant_id_name_key": rules.GroupExists,
    "activity_end_pkey": portfolio.ActivityEnded,
    "activity_tenant_id_account_id_source_external_id_key": portfolio.ActivityExists,
    "portfolio_account_tenant_id_institution_name_key": ledger.AccountExists,
    "entry_pkey": ledger.EntryExists,
    "posting_pkey": ledger.EntryExists,
    "money_units_check": BadAmount,
}

_SAID = {
    "secret_field_tenant_id_data_key_id_nonce_key": "a nonce came twice; try again",
    "account_tenant_fkey": "this tenant was erased a moment ago",
    "invite_tenant_fkey": "this tenant was erased a moment ago",
    "membership_tenant_fkey": "this tenant was erased a moment ago",
    "token_membership_fkey": "you are no member of this tenant any more",
    "secret_membership_fkey": "you are no member of this tenant any more",
    "challenge_identity_fkey": "the address was taken away a moment ago; try again",
    "UNBALANCED": "the entry does not sum to zero in every asset",
    "ENTRY_CLOSED": "postings are added with their entry, at its date, or not at all",
    "ACCOUNT_NOT_FOUND": "no such account",
    "ENTRY_NOT_FOUND": "no such entry",
    "HOLD_EXCEEDED": "the hold reserved less than that",
    "HOLD_EXPIRED": "the hold has expired",
    "HOLD_NOT_EXPIRED": "the hold has not expired yet",
    "CLOSED_MEANWHILE": "a period was closed or opened meanwhile; try again",
    "closing_pkey": "a period was closed or opened meanwhile; try again",
    "FACT_IMMUTABLE": "facts of the books do not change; reverse them",
    "balance_floor_check": "the account has not enough available",
    "entry_tenant_id_reverses_key": "the entry was reversed before",
    "account_tenant_id_name_key": "an account of this name exists",
    "entry_entry_fkey": "no such entry to reverse",
    "hold_end_pkey": "the hold has ended before",
    "hold_end_hold_fkey": "no such hold",
    "hold_account_fkey": "no such account",
    "balance_asset_fkey": "no such asset",
    "BAD_SPLIT": "the parts of a split sum to what its entry moves, and come before its label",
    "label_part_label_fkey": "the parts of a split come with their label",
    "rule_rule_group_fkey": "there is no such group, or there are rules in it",
    "rule_group_tenant_id_name_key": "a group of this name exists",
    "BAD_REVERSAL": "a reversal is its original's mirror image, at its date, and never reversed",
    "activity_end_pkey": "the activity was corrected or deleted before",
    "activity_tenant_id_account_id_source_external_id_key": "the account has this activity already",
    "portfolio_account_tenant_id_institution_name_key": "an account of this name is there already",
    "entry_pkey": "an entry with this id was posted before",
    "posting_pkey": "an entry with this id was posted before",
    "money_units_check": "the amount, or a balance with it, is larger than the ledger can hold",
}

_CONTENDED = (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable)


@contextmanager
def translated() -> Iterator[None]:
    """Raise refusals in place of database errors that a caller can act on."""
    try:
        yield
    except PoolTimeout as error:
        raise Busy("every database connection is in use") from error
    except DBAPIError as error:
        refusal = refusal_of(error.orig)
        if refusal is None and (
            error.connection_invalidated or isinstance(error, OperationalError)
        ):
            refusal = DatabaseDown("the database does not answer")
        if refusal is None:
            raise
        raise refusal from error
    except psycopg.Error as error:  # from what goes past SQLAlchemy
        refusal = refusal_of(error)
        if refusal is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            refusal = DatabaseDown("the database does not answer")
        if refusal is None:
            raise
        raise refusal from error


def refusal_of(error: BaseException | None) -> Refusal | None:
    """The refusal that a driver's error stands for; None for a bug."""
    if isinstance(error, _CONTENDED):
        return Contended("another transaction was first; try again")
    if isinstance(error, pg.QueryCanceled):
        return TooSlow("the time limit ran out; nothing was changed")
    if not isinstance(error, psycopg.Error):
        return None
    if isinstance(error, pg.NotNullViolation) and error.diag.table_name == "version":
        return TenantGone("this tenant was erased a moment ago")
    name = error.diag.constraint_name or ""
    if (error.sqlstate or "").startswith("FN"):
        name = error.diag.message_primary or ""
        if name == ledger.PeriodClosed.code:
            return ledger.PeriodClosed.through(date.fromisoformat(error.diag.message_detail or ""))
    make = _BY_NAME.get(name)
    return make(_SAID[name]) if make else None
