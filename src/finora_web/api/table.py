"""Every route of the API."""

from finora_web.api import (
    accounts,
    addresses,
    auth,
    budgets,
    categories,
    credentials,
    entries,
    events,
    explain,
    exports,
    files,
    forecast,
    goals,
    imports,
    jobs,
    me,
    people,
    receipts,
    records,
    recurring,
    review,
    rules,
    tenants,
    tokens,
    wallet,
)
from finora_web.contract import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = tuple(
    endpoint
    for module in (
        auth,
        me,
        addresses,
        tenants,
        people,
        accounts,
        entries,
        records,
        categories,
        rules,
        review,
        imports,
        receipts,
        wallet,
        explain,
        budgets,
        goals,
        recurring,
        forecast,
        jobs,
        files,
        tokens,
        credentials,
        events,
        exports,
    )
    for endpoint in module.routes
)
