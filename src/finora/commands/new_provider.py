"""`finora new-provider`: a package with one provider in it, whose tests pass as it is written."""

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from finora.commands.common import AsJson, put, refusals, say
from finora_core.kernel.errors import Conflict, Invalid

_NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")


class Kind(StrEnum):
    PRICES = "prices"
    RATES = "rates"
    ASSETS = "assets"
    BALANCES = "balances"
    TRANSACTIONS = "transactions"
    PICTURES = "pictures"
    MAILERS = "mailers"
    NOTIFIERS = "notifiers"
    STORAGES = "storages"
    CHAINS = "chains"


class BadProviderName(Invalid):
    """A provider's name is lower-case letters, digits and underscores, and begins with a letter."""

    code = "BAD_PROVIDER_NAME"


class FolderExists(Conflict):
    """The folder that would be written is there already; nothing of it was changed."""

    code = "FOLDER_EXISTS"


def new_provider(
    name: Annotated[str, typer.Argument(help="Lower case: mybank.")],
    kind: Annotated[Kind, typer.Option(help="What it brings.")] = Kind.PRICES,
    into: Annotated[Path, typer.Option(metavar="DIR", help="Where to put its folder.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a package with a provider.

    A folder finora-NAME, with a manifest, recordings of a made-up source and
    tests that pass; a store of files keeps them in a folder. See docs/providers.md.

    \b
    Example: finora new-provider mybank --kind prices
    """
    with refusals(as_json):
        folder, written = write(name, kind, into)
    lines = sum(text.count("\n") for text in written.values())
    if as_json:
        put({"folder": str(folder), "files": sorted(written), "lines": lines})
        return
    say(f"{folder}: {lines} lines in {len(written)} files")
    for path in sorted(written):
        say(f"  {path}")


def write(name: str, kind: Kind, into: Path) -> tuple[Path, dict[str, str]]:
    """Where it was written, and every file's text. Raises BadProviderName, FolderExists."""
    if not _NAME.fullmatch(name):
        raise BadProviderName(f"{name!r} is not lower-case letters, digits and underscores")
    folder = into / f"finora-{name.replace('_', '-')}"
    if folder.exists():
        raise FolderExists(f"{folder} exists")
    written = dict(_files(name, kind))
    for path, text in written.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder, written


def _files(name: str, kind: Kind) -> Iterator[tuple[str, str]]:
    dist = name.replace("_", "-")
    prices = 'capabilities = ["latest", "history"]\n'
    said = {
        "NAME": name,
        "DIST": dist,
        "HOST": f"api.{dist}.example",
        "KINDS": kind.value,
        "TITLE": kind.value.capitalize(),
        "CAPABILITIES": prices if kind is Kind.PRICES else "",
    }
    package = f"finora_{name}"
    manifest, test = {
        Kind.STORAGES: (_STORAGE_MANIFEST, _STORAGE_TEST),
        Kind.CHAINS: (_CHAIN_MANIFEST, _CHAIN_TEST),
    }.get(kind, (_MANIFEST, _TEST))
    for path, template in (
        ("pyproject.toml", _PROJECT),
        (f"{package}/finora-plugin.toml", manifest),
        (f"{package}/__init__.py", _PROVIDERS[kind]),
        (f"{package}/recordings.json", _RECORDINGS.get(kind)),
        (f"tests/test_{name}.py", test),
    ):
        if template is None:
            continue
        yield path, re.sub(r"@([A-Z]+)@", lambda found: said[found[1]], template.lstrip("\n"))


_PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "finora-@DIST@"
version = "0.1.0"
dependencies = ["finora"]
entry-points.finora.@NAME@ = "finora_@NAME@"

[tool.setuptools.package-data]
finora_@NAME@ = ["*.toml", "*.json"]
"""
_MANIFEST = """
name = "@NAME@"
contract = 1
kinds = ["@KINDS@"]

[[provides]]
name = "@NAME@"
kinds = ["@KINDS@"]
@CAPABILITIES@hosts = ["@HOST@"]
limits = [{ requests = 60, seconds = 60 }]
credentials = [{ field = "key", about = "Where to get it." }]
"""
_STORAGE_MANIFEST = """
name = "@NAME@"
contract = 1
kinds = ["storages"]

[[provides]]
name = "@NAME@"
kinds = ["storages"]
hosts = []
credentials = [{ field = "folder", secret = false, about = "Where it keeps files." }]
"""
_STORAGE_TEST = """
import tempfile

from finora_@NAME@ import Storages

from finora_core.plugins import StorageAccess
from finora_core.testing import StoragesSuite


class TestStorages(StoragesSuite):
    provider = Storages

    @classmethod
    def access(cls) -> StorageAccess:
        return StorageAccess(credentials={"folder": tempfile.mkdtemp()})
"""
_CHAIN_MANIFEST = """
name = "@NAME@"
contract = 1
kinds = ["chains"]
"""
_CHAIN_TEST = """
from finora_@NAME@ import CHAIN

from finora_core.testing import ChainsSuite


class TestChains(ChainsSuite):
    provider = CHAIN
    addresses = ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",)
"""
_TEST = """
from finora_@NAME@ import @TITLE@

from finora_core.testing import @TITLE@Suite


class Test@TITLE@(@TITLE@Suite):
    provider = @TITLE@
"""
_GET = """        key = {"X-Key": self.access.credentials["key"]}
        return self.access.http.get(path, key, **query).json()
"""
_HOOK = """

@hookimpl
def register_@KINDS@(register: Callable[[Provider], None]) -> None:
    register(@TITLE@)
"""
_END = (
    """
    def _get(self, path: str, **query: str) -> Any:
"""
    + _GET
    + _HOOK
)
_PROVIDERS = {
    Kind.PRICES: '''
"""Prices of @NAME@, for Finora."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import attrs

from finora_core.kernel.outcome import Ok, Outcome
from finora_core.plugins import Access, AssetRef, Day, Provider, Quoted, hookimpl


@attrs.frozen
class Prices:
    access: Access
    name = "@NAME@"

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        ids = {each.symbol: each.id for each in assets}
        rows = self._get("/latest", symbols=",".join(ids), quote=quote)["prices"]
        return Ok([
            Quoted(asset=ids[row["symbol"]], quote=quote, price=Decimal(row["price"]),
                   at=datetime.fromisoformat(row["at"]))
            for row in rows if row["symbol"] in ids])

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]:
        days = self._get(f"/history/{asset.symbol}", quote=quote, first=str(since), last=str(until))
        found = [(date.fromisoformat(row["day"]), Decimal(row["close"])) for row in days["days"]]
        return Ok([Day(on_date=day, price=price) for day, price in found if since <= day <= until])
'''
    + _END,
    Kind.RATES: '''
"""Rates of @NAME@, for Finora."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import attrs

from finora_core.kernel.outcome import Ok, Outcome
from finora_core.plugins import Access, Day, Provider, hookimpl


@attrs.frozen
class Rates:
    access: Access
    name = "@NAME@"

    def rates(
        self, base: str, quotes: Sequence[str], since: date, until: date
    ) -> Outcome[Mapping[str, Sequence[Day]]]:
        found: dict[str, list[Day]] = {}
        for row in self._get(f"/rates/{base}", first=str(since), last=str(until))["rates"]:
            day = date.fromisoformat(row["day"])
            if row["quote"] in quotes and since <= day <= until:
                rate = Day(on_date=day, price=Decimal(row["rate"]))
                found.setdefault(row["quote"], []).append(rate)
        return Ok(found)
'''
    + _END,
    Kind.ASSETS: '''
"""Identities of assets from @NAME@, for Finora."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from finora_core.kernel.outcome import Ok, Outcome
from finora_core.plugins import Access, Identified, Provider, hookimpl


@attrs.frozen
class Assets:
    access: Access
    name = "@NAME@"

    def find(self, text: str) -> Outcome[Sequence[Identified]]:
        return Ok([
            Identified(name=row["id"], symbol=row["symbol"], title=row["title"], kind="security",
                       names={"isin": row["isin"]})
            for row in self._get("/search", q=text)["found"]
        ])
'''
    + _END,
    Kind.BALANCES: '''
"""Balances at @NAME@, for Finora."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import attrs

from finora_core.kernel.outcome import Ok, Outcome
from finora_core.plugins import Access, Held, Provider, hookimpl


@attrs.frozen
class Balances:
    access: Access
    name = "@NAME@"

    def balances(self, account: str) -> Outcome[Sequence[Held]]:
        return Ok([
            Held(name=row["id"], symbol=row["symbol"], quantity=Decimal(row["amount"]),
                 scale=row["decimals"])
            for row in self._get(f"/accounts/{account}")["balances"]
        ])
'''
    + _END,
    Kind.TRANSACTIONS: '''
"""Transactions at @NAME@, for Finora."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from finora_core.kernel.outcome import Ok, Outcome
from finora_core.plugins import Access, Batch, Movement, Provider, hookimpl


@attrs.frozen
class Transactions:
    access: Access
    name = "@NAME@"

    def transactions(self, account: str, cursor: str | None) -> Outcome[Batch]:
        page = self._get(f"/accounts/{account}/moves", after=cursor or "")
        moved = [
            Movement(id=row["id"], at=datetime.fromisoformat(row["at"]), name=row["asset"],
                     symbol=row["asset"], quantity=Decimal(row["amount"]), scale=row["decimals"])
            for row in page["moves"]
        ]
        return Ok(Batch(movements=moved, next=moved[-1].id if moved else cursor))
'''
    + _END,
    Kind.PICTURES: '''
"""What @NAME@ reads off pictures, for Finora."""

import base64
from collections.abc import Callable, Sequence
from decimal import Decimal

import attrs

from finora_core.kernel.outcome import Missing, Ok, Outcome
from finora_core.plugins import Access, Picture, Provider, Seen, hookimpl


@attrs.frozen
class Pictures:
    access: Access
    name = "@NAME@"

    def picture(self, picture: Picture) -> Outcome[Sequence[Seen]]:
        key = {"X-Key": self.access.credentials["key"]}
        sent = {"image": base64.b64encode(picture.content).decode(), "type": picture.media_type}
        rows = self.access.http.post("/read", sent, key).json()["rows"]
        seen = [
            Seen(kind=row["kind"], text=row["text"], quantity=Decimal(row["quantity"]),
                 amount=Decimal(row["worth"]), currency=row["currency"])
            for row in rows
        ]
        return Ok(seen) if seen else Missing()
'''
    + _HOOK,
    Kind.MAILERS: '''
"""Letters by @NAME@, for Finora."""

import base64
from collections.abc import Callable

import attrs

from finora_core.kernel.outcome import Missing, Ok, Outcome
from finora_core.plugins import Access, Mail, Provider, hookimpl


@attrs.frozen
class Mailers:
    access: Access
    name = "@NAME@"

    def send(self, mail: Mail) -> Outcome[None]:
        headers = {"X-Key": self.access.credentials["key"], "Idempotency-Key": mail.id}
        raw = base64.b64encode(mail.content).decode()
        letter = {"from": mail.sender, "to": mail.to, "raw": raw}
        said = self.access.http.post("/letters", letter, headers).json()
        return Ok(None) if said["taken"] else Missing()
'''
    + _HOOK,
    Kind.NOTIFIERS: '''
"""Notices by @NAME@, for Finora."""

from collections.abc import Callable

import attrs

from finora_core.kernel.outcome import Missing, Ok, Outcome
from finora_core.plugins import Access, Notice, Provider, hookimpl


@attrs.frozen
class Notifiers:
    access: Access
    name = "@NAME@"

    def notify(self, notice: Notice) -> Outcome[None]:
        headers = {"X-Key": self.access.credentials["key"], "Idempotency-Key": notice.id}
        sent = {"user": notice.user, "title": notice.title, "text": notice.text}
        said = self.access.http.post("/notices", sent, headers).json()
        return Ok(None) if said["taken"] else Missing()
'''
    + _HOOK,
    Kind.CHAINS: '''
"""The chain @NAME@, one of Ethereum's kind, for Finora."""

from collections.abc import Callable

from finora_core.addresses import evm_address
from finora_core.plugins import Chain, hookimpl

CHAIN = Chain(
    name="@NAME@",
    id="eip155:999999999",
    title="@NAME@",
    symbol="ETH",
    scale=18,
    native="eip155:999999999/slip44:60",
    confirmations=12,
    explorer="https://@HOST@/address/",
    address=evm_address,
)


@hookimpl
def register_chains(register: Callable[[Chain], None]) -> None:
    register(CHAIN)
''',
    Kind.STORAGES: '''
"""Files in @NAME@, for Finora."""

import io
import os
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import attrs

from finora_core.kernel.outcome import Missing, Ok, Outcome, Unsupported
from finora_core.plugins import Blob, StorageAccess, StorageProvider, hookimpl


@attrs.frozen
class Storages:
    access: StorageAccess
    name = "@NAME@"

    def put(self, name: str, content: BinaryIO, size: int) -> Outcome[None]:
        return Ok(self._written(content, lambda part: os.replace(part, self._path(name))))

    def create(self, name: str, content: bytes) -> Outcome[bool]:
        try:
            self._written(io.BytesIO(content), lambda part: os.link(part, self._path(name)))
        except FileExistsError:
            return Ok(False)
        return Ok(True)

    def open(self, name: str) -> Outcome[BinaryIO]:
        return Ok(self._path(name).open("rb")) if self._path(name).is_file() else Missing()

    def stat(self, name: str) -> Outcome[Blob]:
        return Ok(self._blob(name)) if self._path(name).is_file() else Missing()

    def delete(self, name: str) -> Outcome[None]:
        return Ok(self._path(name).unlink(missing_ok=True))

    def list(self, prefix: str, after: str) -> Outcome[Sequence[Blob]]:
        files = (path for path in self._path("").rglob("*") if path.is_file())
        names = sorted(str(path.relative_to(self._path(""))) for path in files)
        found = [name for name in names if name.startswith(prefix) and name > after]
        return Ok([self._blob(name) for name in found[:1000]])

    def upload_url(self, name: str, size: int, seconds: int) -> Outcome[str]:
        return Unsupported()

    def download_url(self, name: str, title: str, media_type: str, seconds: int) -> Outcome[str]:
        return Unsupported()

    def _path(self, name: str) -> Path:
        path = Path(self.access.credentials["folder"], "kept", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _blob(self, name: str) -> Blob:
        found = self._path(name).stat()
        at = datetime.fromtimestamp(found.st_mtime, UTC)
        return Blob(name=name, bytes=found.st_size, written_at=at)

    def _written(self, content: BinaryIO, end: Callable[[Path], None]) -> None:
        part = Path(self.access.credentials["folder"], f"{uuid4()}.part")
        try:
            with part.open("xb") as file:
                shutil.copyfileobj(content, file)
                file.flush()
                os.fsync(file.fileno())
            end(part)
        finally:
            part.unlink(missing_ok=True)


@hookimpl
def register_storages(register: Callable[[StorageProvider], None]) -> None:
    register(Storages)
''',
}


def _recorded(asks: str, exchanges: str) -> str:
    return f'{{"asks": [\n{asks}\n], "exchanges": [\n{exchanges}\n]}}\n'


def _exchange(path: str, response: str, sent: str | None = None) -> str:
    method, body = ("GET", "") if sent is None else ("POST", f'     "request_body": {sent},\n')
    return (
        f'    {{"method": "{method}", "status": 200, "uri": "https://@HOST@{path}",\n{body}'
        f'     "response": {response}}}'
    )


_ASSET = '{"id": "crypto:BTC", "kind": "crypto", "symbol": "BTC"}'
_SPAN = '"since": "2026-01-01", "until": "2026-01-02"'
_RECORDINGS = {
    Kind.PRICES: _recorded(
        f'    {{"method": "latest", "assets": [{_ASSET}], "quote": "EUR"}},\n'
        f'    {{"method": "history", "asset": {_ASSET}, "quote": "EUR", {_SPAN}}}',
        _exchange(
            "/latest?symbols=BTC&quote=EUR",
            '{"prices": [{"symbol": "BTC", "price": 61234.56, "at": "2026-01-02T10:00:00Z"}]}',
        )
        + ",\n"
        + _exchange(
            "/history/BTC?quote=EUR&first=2026-01-01&last=2026-01-02",
            '{"days": [{"day": "2026-01-01", "close": 60000.1}]}',
        ),
    ),
    Kind.RATES: _recorded(
        f'    {{"method": "rates", "base": "EUR", "quotes": ["USD"], {_SPAN}}}',
        _exchange(
            "/rates/EUR?first=2026-01-01&last=2026-01-02",
            '{"rates": [{"quote": "USD", "day": "2026-01-02", "rate": 1.1725}]}',
        ),
    ),
    Kind.ASSETS: _recorded(
        '    {"method": "find", "text": "apple"}',
        _exchange(
            "/search?q=apple",
            '{"found": [{"id": "1", "symbol": "AAPL", "title": "Apple Inc",'
            ' "isin": "US0378331005"}]}',
        ),
    ),
    Kind.BALANCES: _recorded(
        '    {"method": "balances", "account": "a-1"}',
        _exchange(
            "/accounts/a-1",
            '{"balances": [{"id": "btc", "symbol": "BTC", "amount": "0.5", "decimals": 8}]}',
        ),
    ),
    Kind.TRANSACTIONS: _recorded(
        '    {"method": "transactions", "account": "a-1", "cursor": null}',
        _exchange(
            "/accounts/a-1/moves?after=",
            '{"moves": [{"id": "m-1", "at": "2026-01-02T10:00:00Z", "asset": "BTC",'
            ' "amount": "-0.5", "decimals": 8}]}',
        ),
    ),
    Kind.PICTURES: _recorded(
        '    {"method": "picture", "picture": "iVBORw0KGgpw"}',
        _exchange(
            "/read",
            '{"rows": [{"kind": "holding", "text": "Apple Inc", "quantity": "2.5",'
            ' "worth": "612.30", "currency": "USD"}]}',
            '{"image": "iVBORw0KGgpw", "type": "image/png"}',
        ),
    ),
    Kind.MAILERS: _recorded(
        '    {"method": "send", "mail": {"id": "1@finora.example", "sender": "post@finora.example",'
        ' "to": "ada@example.com",\n     "content": "Subject: hi\\r\\n\\r\\nHello."}}',
        _exchange(
            "/letters",
            '{"taken": true}',
            '{"from": "post@finora.example", "to": "ada@example.com",'
            ' "raw": "U3ViamVjdDogaGkNCg0KSGVsbG8u"}',
        ),
    ),
    Kind.NOTIFIERS: _recorded(
        '    {"method": "notify", "notice": {"id": "n-5f2c", "kind": "budget_reached",'
        '\n     "tenant": "t-1", "user": "u-1", "title": "A budget has reached 80 %",'
        ' "text": "Of Food 80 % is spent."}}',
        _exchange(
            "/notices",
            '{"taken": true}',
            '{"user": "u-1", "title": "A budget has reached 80 %",'
            ' "text": "Of Food 80 % is spent."}',
        ),
    ),
}
