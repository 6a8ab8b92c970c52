"""What happened in the books and to the account, as the event log has it."""

import attrs
from flask import Response, request

from finora_core.audit.model import FeedItem
from finora_core.kernel.scope import Scope
from finora_web.errors import BadRequest
from finora_web.gate import Gate
from finora_web.pages.account.frame import account_page
from finora_web.pages.caller import caller

_SHOWN = 50


@attrs.frozen
class Events:
    gate: Gate

    def page(self) -> Response:
        """Newest first; `before` is the number at which to go on into the past."""
        scope = caller(self.gate, "events:read")
        last = self.gate.services.audit.events(scope, limit=1).complete_to
        asked = request.args.get("before", str(last + 1))
        if not asked.isdecimal() or not asked.isascii() or len(asked) > 18:
            raise BadRequest("before is the number of an event", details=(("before", "is none"),))
        before = min(int(asked), last + 1)
        first = max(before - _SHOWN, 1)
        app = self.gate.services
        names = {each.user_id: each.name or each.email for each in app.tenants.members(scope)}
        return account_page(
            app,
            scope,
            "events.html",
            events=[
                {"event": each, "who": names.get(each.actor), "facts": _facts(each)}
                for each in self._between(scope, first, before)
            ],
            first=first,
            newest=before > last,
        )

    def _between(self, scope: Scope, first: int, before: int) -> list[FeedItem]:
        if before <= first:
            return []
        feed = self.gate.services.audit.events(scope, after=first - 1, limit=before - first)
        return [each for each in reversed(feed.items) if each.seq < before]


def _facts(event: FeedItem) -> list[tuple[str, str]]:
    return [
        (name.replace("_", " "), str(value))
        for name, value in event.payload.items()
        if value is not None
    ]
