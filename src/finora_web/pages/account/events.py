"""What happened in the books and to the account, as the event log has it."""

from collections.abc import Mapping

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
        names = {
            str(each.user_id): each.name or each.email or "without a name"
            for each in app.tenants.members(scope)
        }
        return account_page(
            app,
            scope,
            "events.html",
            events=[
                {"event": each, "who": names.get(str(each.actor)), "facts": _facts(each, names)}
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


def _facts(event: FeedItem, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the event is about; the log itself has no names, so they are looked up."""

    def shown(value: object) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return names.get(str(value), str(value))

    return [
        (name.replace("_", " "), shown(value))
        for name, value in event.payload.items()
        if value is not None
    ]
