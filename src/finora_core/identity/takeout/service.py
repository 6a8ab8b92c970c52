"""Taking one's own data along."""

import json
from collections.abc import Generator, Iterator

import attrs

from finora_core.identity.people.model import require_person
from finora_core.identity.ports import Belongings, IdentityWork
from finora_core.identity.sessions.door import Door, at_home
from finora_core.identity.takeout.model import VERSION, PersonExported
from finora_core.kernel.plain import to_plain
from finora_core.kernel.scope import Scope


@attrs.frozen
class TakeoutService:
    door: Door

    def export(self, scope: Scope) -> Generator[str, None, None]:
        """One JSON document, in pieces: everything of the asker and of the personal tenant, a list
        of rows for each table. Its last member is `"complete": true`; without that something is
        missing. Close it if you do not read it to the end: it holds a transaction open. Raises
        PersonNotFound."""
        with self.door.begin(at_home(scope)) as work:
            require_person(work.people.get())
            work.events.record(PersonExported(scope.user_id))
        return self._written(at_home(scope))

    def _written(self, scope: Scope) -> Generator[str, None, None]:
        with self.door.begin(scope) as work:
            yield from _document(work, scope)


def _document(work: IdentityWork, scope: Scope) -> Iterator[str]:
    head = {
        "finora_export": VERSION,
        "user_id": scope.user_id,
        "exported_at": work.now,
    }
    yield "{\n" + ",\n".join(f"{_json(key)}: {_json(value)}" for key, value in head.items())
    for section in work.belongings.sections():
        yield f",\n{_json(section)}: ["
        yield from _rows(work.belongings, section)
        yield "]"
    yield ',\n"complete": true\n}\n'


def _rows(belongings: Belongings, section: str) -> Iterator[str]:
    before = "\n"
    for row in belongings.rows(section):
        yield before + _json(row)
        before = ",\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=to_plain)
