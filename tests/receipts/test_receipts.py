"""Receipts: kept files at records, and proposals for those that wait."""

import io
from datetime import date
from uuid import UUID

import pytest

from entered import Entered, eur
from finora import Finora, Refusal, Scope
from finora_core.files.model import StoredFile
from finora_core.records.receipts.model import Hint
from shared_data import SHARED, needs_shared
from together import errors, together

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def giro(finora: Finora, scope: Scope) -> Entered:
    return Entered.into(finora, scope)


def keep(finora: Finora, scope: Scope, name: str = "r.png", content: bytes = PNG) -> StoredFile:
    return finora.files.keep(scope, io.BytesIO(content), name)


def refused(code: str, act: object, *args: object, **given: object) -> None:
    assert callable(act)
    with pytest.raises(Refusal) as refusal:
        act(*args, **given)
    assert refusal.value.code == code


@pytest.mark.spec("S3-36")
def test_a_receipt_is_put_to_a_record_listed_read_and_taken_off(
    finora: Finora, scope: Scope, giro: Entered
) -> None:
    record = giro.add("2026-04-01", "-12.30")
    file = keep(finora, scope)
    receipt = finora.receipts.add(scope, file.id, record_id=record.id)
    assert (receipt.name, receipt.media_type, receipt.bytes) == ("r.png", "image/png", len(PNG))
    assert finora.receipts.of_record(scope, record.id) == [receipt]
    with finora.files.open(scope, receipt.file_id) as (_, content):
        assert content.read() == PNG
    finora.receipts.detach(scope, record.id, receipt.id)
    assert finora.receipts.of_record(scope, record.id) == []
    [waiting] = finora.receipts.list(scope, attached=False).items
    assert waiting.id == receipt.id and waiting.record_id is None
    refused("RECEIPT_NOT_FOUND", finora.receipts.detach, scope, record.id, receipt.id)
    finora.receipts.remove(scope, receipt.id)
    assert finora.files.get(scope, file.id).id == file.id
    # A file that is forgotten takes its receipt along.
    finora.receipts.add(scope, file.id, record_id=record.id)
    finora.files.delete(scope, file.id)
    assert finora.receipts.list(scope).items == ()


@pytest.mark.spec("S3-36", partial=True)
def test_only_a_file_that_is_kept_is_a_receipt(
    finora: Finora, scope: Scope, stranger: Scope, giro: Entered
) -> None:
    add = finora.receipts.add
    program = keep(finora, scope, "r.png", b"MZ" + bytes(80))
    refused("FILE_QUARANTINED", add, scope, program.id)
    announced, _ = finora.files.announce(scope, "later.png", 8)
    refused("FILE_NOT_UPLOADED", add, scope, announced.id)
    passing = finora.files.keep(scope, io.BytesIO(PNG + b"1"), "r.png", temporary=True)
    refused("BAD_RECEIPT", add, scope, passing.id)
    theirs = keep(finora, stranger)
    refused("FILE_NOT_FOUND", add, scope, theirs.id)
    mine = keep(finora, scope)
    refused("RECORD_NOT_FOUND", add, scope, mine.id, record_id=UUID(int=1))
    receipt = add(scope, mine.id)
    refused("RECEIPT_EXISTS", add, scope, mine.id)
    record = giro.add("2026-04-01", "-1.00")
    for act in (finora.receipts.attach, finora.receipts.detach):
        refused("RECEIPT_NOT_FOUND", act, stranger, record.id, receipt.id)
    refused("RECEIPT_NOT_FOUND", finora.receipts.proposals, stranger, receipt.id)
    refused("RECEIPT_NOT_FOUND", finora.receipts.remove, stranger, receipt.id)
    refused("RECORD_NOT_FOUND", finora.receipts.of_record, stranger, record.id)
    finora.records.delete(scope, record.id)
    refused("RECORD_VOID", finora.receipts.attach, scope, record.id, receipt.id)


def test_a_receipt_is_at_one_record_whoever_attaches_it(
    finora: Finora, scope: Scope, giro: Entered
) -> None:
    records = [giro.add("2026-04-01", "-1.00") for _ in range(6)]
    receipt = finora.receipts.add(scope, keep(finora, scope).id)
    ends = together(*(
        lambda record=record: finora.receipts.attach(scope, record.id, receipt.id)
        for record in records
    ))  # fmt: skip
    assert len(errors(ends)) == 5
    assert {getattr(each, "code", None) for each in errors(ends)} == {"RECEIPT_ATTACHED"}
    [attached] = finora.receipts.list(scope, attached=True).items
    assert attached.record_id is not None
    again = finora.receipts.attach(scope, attached.record_id, receipt.id)
    assert again.record_id == attached.record_id


@pytest.mark.spec("S3-36", partial=True)
def test_records_are_proposed_by_amount_day_and_merchant(
    finora: Finora, scope: Scope, giro: Entered
) -> None:
    giro.add("2026-04-10", "-12.30", text="Other shop")
    right = giro.add("2026-04-02", "-12.30", text="Bakery 17 Vienna")
    giro.add("2026-04-01", "-12.31", text="Bakery")
    giro.add("2026-05-20", "-12.30", text="Bakery")
    gone = giro.add("2026-04-01", "-12.30", text="Bakery")
    finora.records.delete(scope, gone.id)
    hint = Hint(amount=eur("12.30"), on_date=date(2026, 4, 1), merchant="bakery")
    receipt = finora.receipts.add(scope, keep(finora, scope).id, hint)
    found = finora.receipts.proposals(scope, receipt.id)
    assert [each.record.on_date.day for each in found] == [2, 10]
    best = found[0]
    assert best.record.id == right.id and best.same_amount and best.same_merchant
    assert best.days_apart == 1 and best.score == 5000 + 2727 + 2000
    finora.receipts.attach(scope, best.record.id, receipt.id)
    assert finora.receipts.of_record(scope, right.id)[0].hint == hint
    silent = finora.receipts.add(scope, keep(finora, scope, content=PNG + b"2").id)
    assert finora.receipts.proposals(scope, silent.id) == ()
    named = finora.receipts.add(scope, keep(finora, scope, content=PNG + b"3").id,
                                Hint(merchant="Bakery"))  # fmt: skip
    assert len(finora.receipts.proposals(scope, named.id)) == 3


@needs_shared
def test_a_scanned_receipt_is_taken_as_it_is(finora: Finora, scope: Scope, giro: Entered) -> None:
    scans = sorted((SHARED / "images" / "receipts").glob("*.jpg"))
    record = giro.add("2026-04-01", "-12.30")
    for scan in scans:
        with scan.open("rb") as stream:
            file = finora.files.keep(scope, stream, scan.name)
        finora.receipts.add(scope, file.id, record_id=record.id)
    kinds = {each.media_type for each in finora.receipts.of_record(scope, record.id)}
    assert scans and kinds == {"image/jpeg"}


def test_a_hint_that_makes_no_sense_is_refused() -> None:
    for given in ({"amount": eur("0.00")}, {"merchant": ""}, {"merchant": "x\ny"}):
        refused("BAD_RECEIPT", Hint, **given)


def test_pages_show_every_receipt_once(finora: Finora, scope: Scope) -> None:
    for number in range(5):
        finora.receipts.add(scope, keep(finora, scope, content=PNG + bytes([number])).id)
    seen = []
    cursor: str | None = None
    while True:
        page = finora.receipts.list(scope, cursor=cursor, limit=2)
        seen += [each.id for each in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5
