"""A tenant's chain between others', with anchors at some of its links."""

from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from uuid import UUID, uuid4

import attrs
import pytest
from localbucket import S3Handler
from sqlalchemy import Connection

from audit.tampers import Within
from books import sealed
from finora import Finora, Scope
from finora_adapters.postgres.audit import PgEveryLog
from finora_adapters.postgres.tenants import UPKEEP
from finora_adapters.postgres.work import Postgres
from finora_adapters.signing import Ed25519, verifies
from finora_adapters.storage.anchors import DirectoryAnchors
from finora_adapters.storage.s3 import S3Objects
from finora_core.audit.model import Verification
from finora_core.audit.service import AnchorService, Auditor
from finora_core.kernel.ids import new_id
from finora_core.ledger.model import AccountKind, AccountOpened

LENGTH, LAST_ANCHOR = 26, 23
ANCHORED = (7, 8, 15, LAST_ANCHOR)
KEY = Ed25519(bytes(range(32)))


@attrs.frozen
class Sealed:
    """26 links, of which 23 are anchored."""

    scope: Scope
    other: Scope
    anchors: DirectoryAnchors

    def verify(
        self, connection: Connection, batch: int = 10, *, every: bool = False
    ) -> Verification:
        auditor = Auditor(PgEveryLog(Within(connection)), verifies, batch)
        only = None if every else self.scope.tenant_id
        keys = frozenset({KEY.public_key})
        return auditor.verify(only, self.anchors, keys, all_anchors=False)


def note(database: Postgres, scope: Scope, count: int = 1) -> list[str]:
    """Events, in one transaction; the accounts that they name."""
    accounts = []
    with database.begin(attrs.evolve(scope, request_id=str(new_id()))) as work:
        for _ in range(count):
            # Between the events' own ids, so that there is room for one more before each.
            accounts.append(str(new_id()))
            work.events.record(AccountOpened(UUID(accounts[-1]), AccountKind.ASSET))
    return accounts


@pytest.fixture(scope="session")
def chain(finora: Finora, database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    scope, other = (finora.scope(tenant=f"tamper-{uuid4()}", user="u1") for _ in range(2))
    anchors = DirectoryAnchors(tmp_path_factory.mktemp("anchors"))
    service = AnchorService(database.begin, PgEveryLog(database), anchors, lambda: KEY)
    done = 0
    for upto in (*ANCHORED, LENGTH):
        while done < upto:
            # Now several in a transaction, now one.
            some = min(3, upto - done)
            for each in (scope, other):
                note(database, each, some)
            done += some
        assert sealed(finora, scope) == sealed(finora, other) == upto
        if upto in ANCHORED:
            service.anchor(finora.scope(tenant=UPKEEP, user=UPKEEP))
    return Sealed(scope, other, anchors)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An S3 server's URL, and the folder in which each folder is a bucket."""
    folder = tmp_path_factory.mktemp("s3")
    handler = type("Handler", (S3Handler,), {"data_root": folder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def bucket(s3: tuple[str, Path], tmp_path: Path) -> Iterator[S3Objects]:
    url, folder = s3
    name = f"b{abs(hash(tmp_path)):x}"
    (folder / name).mkdir()
    opened = S3Objects(name, url, "eu-central-1", "key", "not-a-secret")
    yield opened
    opened.close()
