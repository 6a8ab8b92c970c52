"""Letters by Courier, which takes them over HTTP, for Finora."""

import base64
from collections.abc import Callable

import attrs

from finora_core.kernel.outcome import Missing, Ok, Outcome
from finora_core.plugins import Access, Mail, Provider, hookimpl


@attrs.frozen
class Courier:
    access: Access
    name = "courier"

    def send(self, mail: Mail) -> Outcome[None]:
        headers = {"X-Key": self.access.credentials["key"], "Idempotency-Key": mail.id}
        letter = {
            "from": mail.sender,
            "to": mail.to,
            "raw": base64.b64encode(mail.content).decode(),
        }
        said = self.access.http.post("/letters", letter, headers).json()
        return Ok(None) if said["taken"] else Missing()


@hookimpl
def register_mailers(register: Callable[[Provider], None]) -> None:
    register(Courier)
