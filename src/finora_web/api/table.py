"""Every route of the API."""

from finora_web.api import (
    accounts,
    entries,
    events,
    exports,
    files,
    imports,
    jobs,
    records,
    tokens,
    wallet,
)
from finora_web.contract import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = tuple(
    endpoint
    for module in (
        accounts, entries, records, imports, wallet, jobs, files, tokens, events, exports
    )
    for endpoint in module.routes
)  # fmt: skip
