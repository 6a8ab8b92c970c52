"""Anchors: kept out of the database's reach, never written over, signed, each naming the one
before; and what is missing, forged or strange among them is told."""

import hashlib
import json
import os
import random
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from audit.conftest import ANCHORED, KEY, LENGTH, Sealed, note
from audit.tampers import Tamper, Within
from books import sealed
from finora import Finora, Scope, Settings
from finora_adapters.compose import anchors_of, objects_of
from finora_adapters.postgres.audit import PgEveryLog
from finora_adapters.postgres.tenants import UPKEEP
from finora_adapters.postgres.work import Postgres
from finora_adapters.settings import BadSettings, from_environment
from finora_adapters.signing import AnchorKeyUnset, Ed25519, anchor_key, anchor_keys, verifies
from finora_adapters.storage.anchors import DirectoryAnchors, StoreAnchors
from finora_adapters.storage.s3 import S3Objects
from finora_core.audit.model import (
    Anchor,
    AnchorNotFound,
    AnchorTaken,
    AnchorUnreadable,
    AuditBroken,
    Flaw,
    FlawKind,
    Head,
    SignedAnchor,
)
from finora_core.audit.ports import Anchors
from finora_core.audit.service import AnchorService, Auditor
from finora_core.files.ports import StorageUnavailable
from finora_core.kernel.ids import new_id
from together import errors, together

STRANGER = Ed25519(b"\x07" * 32)

# --- where they are kept -------------------------------------------------------------------------


@pytest.fixture(params=["directory", "bucket"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Anchors:
    if request.param == "directory":
        return DirectoryAnchors(tmp_path / "files" / "anchors")
    return StoreAnchors(request.getfixturevalue("bucket"))


@pytest.mark.invariant("I-50")
def test_an_anchor_is_never_written_over(kept: Anchors) -> None:
    assert list(kept.numbers()) == []
    kept.add(1, b"one")
    kept.add(2, b"two")
    for other in (b"one", b"other"):
        with pytest.raises(AnchorTaken):
            kept.add(1, other)
    assert [kept.read(number) for number in kept.numbers()] == [b"one", b"two"]
    with pytest.raises(AnchorNotFound):
        kept.read(3)


def test_of_many_that_write_one_number_one_does(kept: Anchors) -> None:
    found = together(*[lambda n=n: kept.add(1, b"%d" % n * 1_000) for n in range(8)])
    assert [type(each) for each in errors(found)] == [AnchorTaken] * 7
    [winner] = [n for n, each in enumerate(found) if each is None]
    assert kept.read(1) == b"%d" % winner * 1_000
    assert list(kept.numbers()) == [1]


def test_what_else_lies_there_is_no_anchor(tmp_path: Path) -> None:
    kept = DirectoryAnchors(tmp_path)
    kept.add(12, b"x")
    for name in (".0000000001.json", "0000000002.json.bak", "13.json", "0000000003.JSON", "x"):
        (tmp_path / name).write_bytes(b"")
    assert list(kept.numbers()) == [12]


def test_numbers_come_in_order_however_many(bucket: S3Objects, s3: tuple[str, Path]) -> None:
    folder = s3[1] / bucket.bucket / "anchors"
    folder.mkdir()
    for number in range(1, 1_203):
        (folder / f"{number:010}.json").write_bytes(b"")
    assert list(StoreAnchors(bucket).numbers()) == list(range(1, 1_203))


def test_no_sweep_sees_them(tmp_path: Path, bucket: S3Objects) -> None:
    """Nor a backup: they belong to no tenant."""
    settings = Settings(data=tmp_path)
    kept = anchors_of(settings)
    kept.add(1, b"x")
    assert (tmp_path / "files" / "anchors" / "0000000001.json").exists()
    assert list(objects_of(settings).pages()) == []
    StoreAnchors(bucket).add(1, b"x")
    assert list(bucket.pages()) == []


def test_a_store_that_does_not_answer_is_unavailable() -> None:
    away = StoreAnchors(S3Objects("bucket", "http://127.0.0.1:1", "eu-central-1", "k", "s"))
    for act in (lambda: list(away.numbers()), lambda: away.read(1), lambda: away.add(1, b"")):
        with pytest.raises(StorageUnavailable):
            act()


# --- the key -------------------------------------------------------------------------------------


def test_signatures_are_ed25519() -> None:
    """RFC 8032, 7.1, the second test."""
    seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
    key = Ed25519(bytes.fromhex(seed))
    assert key.public_key.hex() == (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    )
    signature = key.sign(b"\x72")
    assert signature.hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert verifies(key.public_key, signature, b"\x72")
    assert not verifies(key.public_key, signature, b"\x73")
    assert not verifies(STRANGER.public_key, signature, b"\x72")
    assert seed not in repr(key)


def test_a_laptop_makes_one_key_that_only_its_user_reads(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    keys = together(*[lambda: anchor_key(settings).public_key] * 8)
    assert len(set(keys)) == 1
    [file] = (tmp_path / "data").iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("anchor.key", 0o600)
    file.write_text("x")
    with pytest.raises(BadSettings, match=r"anchor\.key"):
        anchor_key(settings)


def test_production_is_given_its_key(tmp_path: Path) -> None:
    production = Settings.model_construct(env="production", data=tmp_path, anchor_key=None,
                                          anchor_public_keys="")  # fmt: skip
    with pytest.raises(AnchorKeyUnset):
        anchor_key(production)
    assert list(tmp_path.iterdir()) == []
    known = production.model_copy(update={"anchor_public_keys": KEY.public_key.hex()})
    assert anchor_keys(known) == {KEY.public_key}
    given = known.model_copy(update={"anchor_key": SecretStr(STRANGER.seed.hex())})
    assert anchor_keys(given) == {KEY.public_key, STRANGER.public_key}


@pytest.mark.parametrize("name", ["ANCHOR_KEY", "ANCHOR_PUBLIC_KEYS"])
def test_a_key_is_64_hexadecimal_digits(name: str) -> None:
    for wrong in ("x", "0" * 63, "0" * 65, "g" * 64, f"{'0' * 64},x"):
        with pytest.raises(BadSettings) as caught:
            from_environment({f"FINORA_{name}": wrong})
        assert [each[0] for each in caught.value.details] == [f"FINORA_{name}"]
        assert wrong not in str(caught.value) or wrong == "x"
    from_environment({f"FINORA_{name}": "0a" * 32})


# --- what they say -------------------------------------------------------------------------------


def test_an_anchor_is_read_as_it_is_written_and_in_no_other_way(chain: Sealed) -> None:
    document = chain.anchors.read(2)
    read = SignedAnchor.read(document)
    assert read.document == document
    assert read.digest == hashlib.sha256(document).digest()
    said = json.loads(document)
    for other in (
        b"", b"null", b"[]", b"{}", document.strip(), document + b" ", b"[" * 100_000,
        json.dumps(said).encode(), document.replace(b"00:00", b"0:00"), document.upper(),
        json.dumps(said | {"more": 1}).encode(), b"\xff" + document,
        *(document.replace(b'"number":2', b'"number":' + n) for n in (b"2.0", b"-2", b"true")),
    ):  # fmt: skip
        with pytest.raises(AnchorUnreadable):
            SignedAnchor.read(other)


@pytest.fixture
def copy(chain: Sealed, tmp_path: Path) -> DirectoryAnchors:
    """The anchors, to be changed."""
    shutil.copytree(chain.anchors.folder, tmp_path / "copy")
    return DirectoryAnchors(tmp_path / "copy")


@attrs.frozen
class Check:
    database: Postgres

    def flaws(self, anchors: Anchors, **more: Any) -> tuple[Flaw, ...]:
        given = {"keys": frozenset({KEY.public_key}), "all_anchors": False} | more
        auditor = Auditor(PgEveryLog(self.database), verifies)
        return auditor.verify(anchors=anchors, **given).flaws


@pytest.fixture
def check(database: Postgres) -> Check:
    return Check(database)


def path(anchors: DirectoryAnchors, number: int) -> Path:
    return anchors.folder / f"{number:010}.json"


@pytest.mark.invariant("I-52")
@pytest.mark.invariant("T-23")
def test_any_byte_of_any_anchor_shows(chain: Sealed, copy: DirectoryAnchors) -> None:
    """Also where it stays JSON, and where it is the signature's own."""
    choice = random.Random(5)
    log = NoLog()
    for _ in range(400):
        number = choice.randint(1, len(ANCHORED))
        document = bytearray(path(chain.anchors, number).read_bytes())
        at = choice.randrange(len(document))
        document[at] ^= choice.randint(1, 255)
        path(copy, number).write_bytes(document)
        found = Auditor(log, verifies).verify(
            new_id(), copy, frozenset({KEY.public_key}), all_anchors=False
        )
        [flaw] = found.flaws
        assert (flaw.kind, flaw.anchor) == (FlawKind.ANCHOR, number), (number, at)
        shutil.copy(path(chain.anchors, number), path(copy, number))
    assert Auditor(log, verifies).verify(new_id(), copy, frozenset({KEY.public_key})).whole


class NoLog:
    """A log of nothing, for tests of the anchors alone."""

    def links(self, *_: object) -> Sequence[Any]:
        return ()

    def unsealed(self, *_: object) -> None:
        return None

    def last(self, *_: object) -> int:
        return 0

    def last_anchor(self) -> int:
        return len(ANCHORED)

    def tenants(self, *_: object) -> Sequence[Any]:
        return ()

    def heads(self) -> Any:
        raise NotImplementedError

    def at(self, *_: object) -> dict[Any, bytes]:
        return {}


@pytest.mark.invariant("T-23")
def test_anchors_that_are_gone_swapped_or_forged_show(
    chain: Sealed, copy: DirectoryAnchors, check: Check
) -> None:
    assert check.flaws(copy) == ()
    # One in the middle.
    path(copy, 2).unlink()
    [flaw] = check.flaws(copy)
    assert (flaw.kind, flaw.anchor) == (FlawKind.ANCHOR, 2)
    # Another one in its place.
    shutil.copy(path(copy, 3), path(copy, 2))
    [flaw] = check.flaws(copy)
    assert (flaw.kind, flaw.anchor) == (FlawKind.ANCHOR, 2)
    # One that somebody else signed.
    good = SignedAnchor.read(chain.anchors.read(2))
    for signer, claimed in ((STRANGER, STRANGER), (STRANGER, KEY)):
        forged = attrs.evolve(
            good, key=claimed.public_key, signature=signer.sign(good.anchor.message)
        )
        path(copy, 2).write_bytes(forged.document)
        [flaw] = check.flaws(copy)
        assert (flaw.kind, flaw.anchor) == (FlawKind.ANCHOR, 2)
    # One that we signed, of another history.
    other = attrs.evolve(good.anchor, previous=bytes(32))
    again = attrs.evolve(good, anchor=other, signature=KEY.sign(other.message))
    path(copy, 2).write_bytes(again.document)
    [flaw] = check.flaws(copy)
    assert (flaw.kind, flaw.anchor) == (FlawKind.ANCHOR, 2)
    shutil.copy(path(chain.anchors, 2), path(copy, 2))
    assert check.flaws(copy) == ()
    # With a key of nobody's, none counts.
    [flaw] = check.flaws(copy, keys=frozenset({STRANGER.public_key}))
    assert (flaw.kind, flaw.anchor) == (FlawKind.ANCHOR, 1)


def test_checking_may_begin_with_a_later_anchor(
    chain: Sealed, copy: DirectoryAnchors, check: Check
) -> None:
    path(copy, 1).unlink()
    path(copy, 2).unlink()
    assert check.flaws(copy)[0].anchor == 1
    assert check.flaws(copy, since=3) == ()
    path(copy, 3).unlink()
    assert check.flaws(copy, since=3)[0].anchor == 3


@pytest.mark.invariant("T-23")
def test_a_sound_anchor_counts_beside_a_broken_one(
    admin: Engine, chain: Sealed, copy: DirectoryAnchors
) -> None:
    """Who breaks an anchor does not blind the others."""
    path(copy, 1).write_bytes(b"{}")
    with admin.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        tamper = Tamper(connection, chain.scope.tenant_id, random.Random(3), LENGTH, ANCHORED[-1])
        tamper._write(tamper.row(12).id, payload={"account": str(new_id())})
        tamper._recompute(12)
        found = attrs.evolve(chain, anchors=copy).verify(connection)
        connection.rollback()
    kinds = {flaw.kind: flaw for flaw in found.flaws}
    assert kinds[FlawKind.ANCHOR].anchor == 1
    assert (kinds[FlawKind.REWRITTEN].after, kinds[FlawKind.REWRITTEN].seq) == (8, 15)


# --- making them ---------------------------------------------------------------------------------


@pytest.fixture
def upkeep(finora: Finora) -> Scope:
    return attrs.evolve(finora.scope(tenant=UPKEEP, user=UPKEEP), request_id=str(new_id()))


@pytest.fixture
def service(database: Postgres, tmp_path: Path) -> AnchorService:
    kept = DirectoryAnchors(tmp_path / "anchors")
    return AnchorService(database.begin, PgEveryLog(database), kept, lambda: KEY)


@pytest.mark.invariant("I-50")
def test_an_anchor_holds_the_end_of_every_chain(
    service: AnchorService, finora: Finora, database: Postgres, admin: Engine, scope: Scope,
    upkeep: Scope,
) -> None:  # fmt: skip
    note(database, scope, 3)
    sealed(finora, scope)
    made = service.anchor(upkeep)
    assert (made.number, made.flaws) == (1, ())
    anchor = SignedAnchor.read(service.anchors.read(1)).anchor
    query = text(
        "select distinct on (tenant_id) tenant_id, seq, hash from finora.seal "
        "order by tenant_id, seq desc"
    )
    with admin.connect() as connection:
        rows = connection.execute(query).all()
    there = {head.tenant_id: head for head in anchor.heads}
    assert there[scope.tenant_id].seq == 3
    assert set(there) == {row.tenant_id for row in rows}
    # Upkeep and other tests may have gone on since.
    assert all(there[row.tenant_id].seq <= row.seq for row in rows)
    note(database, scope)
    sealed(finora, scope)
    again = service.anchor(upkeep)
    second = SignedAnchor.read(service.anchors.read(2))
    assert second.anchor.previous.hex() == made.digest
    assert (again.number, again.digest) == (2, second.digest.hex())
    with admin.connect() as connection:
        said = connection.scalars(
            text("select payload from finora.event where type = 'audit.anchored' "
                 "and request_id = :r order by tx"), {"r": upkeep.request_id}
        ).all()  # fmt: skip
    assert said == [{"number": 1, "digest": made.digest}, {"number": 2, "digest": again.digest}]


def test_several_at_once_make_one_chain(
    service: AnchorService, upkeep: Scope, check: Check
) -> None:
    made = together(*[lambda: service.anchor(upkeep)] * 4)
    assert not errors(made)
    assert sorted(each.number for each in made) == [1, 2, 3, 4]
    assert check.flaws(service.anchors) == ()


@pytest.mark.invariant("T-23")
def test_anchors_that_were_made_and_are_gone_are_missed(
    service: AnchorService, upkeep: Scope, check: Check
) -> None:
    """The last ones: nothing after them names them, but the log does."""
    for _ in range(3):
        service.anchor(upkeep)
    assert check.flaws(service.anchors, all_anchors=True) == ()
    assert isinstance(service.anchors, DirectoryAnchors)
    path(service.anchors, 3).unlink()
    assert check.flaws(service.anchors) == ()
    [flaw] = check.flaws(service.anchors, all_anchors=True)
    assert (flaw.kind, flaw.anchor) == (FlawKind.ANCHOR, 3)


@attrs.frozen
class Tampered:
    """Makes an anchor while a tenant's log is another: the database in a transaction, undone in
    the end; what is recorded goes to the real one."""

    service: AnchorService

    def anchor(self, admin: Engine, upkeep: Scope, chain: Sealed, seq: int) -> Any:
        with admin.connect() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            tamper = Tamper(connection, chain.scope.tenant_id, random.Random(1), LENGTH, LENGTH)
            tamper._write(tamper.row(seq).id, payload={"account": str(new_id())})
            tamper._recompute(seq)
            inside = attrs.evolve(self.service, log=PgEveryLog(Within(connection)))
            try:
                return inside.require(upkeep)
            finally:
                connection.rollback()


@pytest.mark.invariant("T-23")
def test_making_an_anchor_tells_that_the_one_before_does_not_hold(
    service: AnchorService, admin: Engine, upkeep: Scope, chain: Sealed
) -> None:
    """And makes it all the same, so that what comes after is guarded again."""
    service.anchor(upkeep)
    with pytest.raises(AuditBroken, match=str(chain.scope.tenant_id)):
        Tampered(service).anchor(admin, upkeep, chain, 20)
    assert list(service.anchors.numbers()) == [1, 2]
    # Of the true log, now the second one is the strange one.
    assert service.anchor(upkeep).flaws[0].anchor == 2


def test_an_anchor_that_cannot_be_read_stays_and_the_next_one_names_it(
    service: AnchorService, upkeep: Scope, check: Check
) -> None:
    service.anchor(upkeep)
    assert isinstance(service.anchors, DirectoryAnchors)
    path(service.anchors, 1).write_bytes(b"nonsense")
    made = service.anchor(upkeep)
    assert (made.number, made.flaws[0].kind) == (2, FlawKind.ANCHOR)
    assert SignedAnchor.read(service.anchors.read(2)).anchor.previous == (
        hashlib.sha256(b"nonsense").digest()
    )
    [flaw] = check.flaws(service.anchors)
    assert flaw.anchor == 1
    assert service.anchor(upkeep).flaws == ()


@pytest.mark.spec("S0-43", partial=True)
def test_memory_is_bounded_by_the_batch(database: Postgres, chain: Sealed) -> None:
    log = Counting(PgEveryLog(database))
    found = Auditor(log, verifies, batch=7).verify(chain.scope.tenant_id)
    assert (found.whole, found.links) == (True, LENGTH)
    assert log.given == [7, 7, 7, 5]


@attrs.frozen
class Counting:
    log: PgEveryLog
    given: list[int] = attrs.field(factory=list)

    def links(self, *asked: Any) -> Sequence[Any]:
        found = self.log.links(*asked)
        self.given.append(len(found))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)


def test_heads_of_many_tenants_are_one_canonical_line() -> None:
    heads = tuple(Head(uuid4(), n, os.urandom(32)) for n in range(1, 500))
    anchor = Anchor(number=3, previous=bytes(32), made_at=_moment(), heads=heads)
    signed = SignedAnchor(anchor=anchor, key=KEY.public_key, signature=KEY.sign(anchor.message))
    assert SignedAnchor.read(signed.document).anchor == anchor
    assert signed.document.count(b"\n") == 1


def _moment() -> Any:
    from datetime import UTC, datetime

    return datetime(2026, 11, 21, 10, 3, 0, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_leftovers(tmp_path: Path) -> Iterator[None]:
    """No half anchor stays anywhere."""
    yield
    assert list(tmp_path.rglob("*.part")) == []
