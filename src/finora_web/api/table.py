"""Every route of the API."""

from finora_web.api import (
    accounts,
    addresses,
    auth,
    categories,
    credentials,
    entries,
    events,
    exports,
    files,
    imports,
    jobs,
    me,
    people,
    records,
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
        auth, me, addresses, tenants, people, accounts, entries, records, categories, rules, review,
        imports, wallet, jobs, files, tokens, credentials, events, exports,
    )
    for endpoint in module.routes
)  # fmt: skip
