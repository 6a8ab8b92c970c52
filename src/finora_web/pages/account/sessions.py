"""Where the person is signed in."""

from collections.abc import Mapping

import attrs
from flask import Response
from werkzeug.wrappers import Response as Answer

from finora_core.identity.sessions.door import asking
from finora_core.kernel.errors import Refusal
from finora_core.kernel.scope import Scope
from finora_web.gate import Gate
from finora_web.pages.account.frame import account_page, done
from finora_web.pages.caller import caller
from finora_web.pages.forms import an_id

# The first that the text names: each of them names those after it, too.
_BROWSERS = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {
    "iPhone": "an iPhone",
    "iPad": "an iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}
METHODS: Mapping[str, str] = {
    "password": "password",
    "magic": "link by letter",
    "code": "code by letter",
    "passkey": "passkey",
    "wallet": "wallet",
    "oidc": "account elsewhere",
    "telegram": "Telegram",
}


@attrs.frozen
class Sessions:
    gate: Gate

    def page(self) -> Response:
        return self._page(caller(self.gate, "self:read"))

    def end(self) -> Answer:
        scope = caller(self.gate, "self:write")
        try:
            self.gate.services.sessions.end(scope, an_id("session_id"))
        except Refusal as refusal:
            return self._page(scope, refusal)
        return done("sessions", "ended")

    def end_others(self) -> Answer:
        scope = caller(self.gate, "self:write")
        self.gate.services.sessions.end_others(scope)
        return done("sessions", "others")

    def _page(self, scope: Scope, refusal: Refusal | None = None) -> Response:
        own = asking(scope)
        listed = [
            {
                "session": each,
                "device": device(each.agent),
                "method": METHODS.get(each.method, each.method),
                "own": each.id == own,
            }
            for each in self.gate.services.sessions.list(scope)
        ]
        listed.sort(key=lambda each: not each["own"])
        return account_page(self.gate.services, scope, "sessions.html", refusal, sessions=listed)


def device(agent: str) -> str:
    """`Firefox on Windows`; a program by the name it gives itself."""
    browser = next((name for sign, name in _BROWSERS.items() if sign in agent), None)
    system = next((name for sign, name in _SYSTEMS.items() if sign in agent), None)
    if browser is None:
        return agent.partition("/")[0][:60] or "an unknown program"
    return browser if system is None else f"{browser} on {system}"
