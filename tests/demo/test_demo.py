"""The household of `make demo`: what it shows, and that the order of its files means nothing."""

import io
import random
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import Console

from finora import Finora, Job, Scope
from finora.commands.demo import _name, demo, household
from finora_core.records.model import ImportRequest


def bring(finora: Finora, scope: Scope, path: Path) -> dict[str, object]:
    result = finora.import_file(scope, path, ImportRequest(account=_name(path)))
    assert not isinstance(result, Job), (path.name, result.reason, result.message)
    return dict(result)


def test_it_shows_what_a_person_wants_to_see(finora: Finora) -> None:
    """A second pass that adds nothing, a balance sheet, a chart, a trial balance of zero."""
    out = io.StringIO()
    said = demo(finora, [], Console(file=out, width=80))
    assert said["refused"] == 0
    assert [total["amount"] for total in said["sums"]] == ["0.00", "0.00"]
    shown = out.getvalue()
    assert "The second pass added 0 lines" in shown
    assert "Net worth: 17,518.73 EUR, 2,003.25 GBP" in shown
    assert shown.count("sums to zero") == 2 and "does not" not in shown
    for month in ("Jan", "Feb", "Mar", "Apr", "May", "Jun"):
        assert f"{month} 2026" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_it_takes_paths_and_tells_what_is_refused(finora: Finora, tmp_path: Path) -> None:
    good = tmp_path / "mine.csv"
    good.write_text("Date,Amount,Currency,Text\n2026-01-31,-1.00,EUR,[bold]x\n")
    bad = tmp_path / "bad.ofx"
    bad.write_text("<OFX>")
    out = io.StringIO()
    files = [good, bad, tmp_path, tmp_path / "none.csv"]
    said = demo(finora, files, Console(file=out, width=80))
    assert [shown["refused"] and shown["refused"]["code"] for shown in said["first"]] == [
        None, "STATEMENT_UNREADABLE", "FILE_UNREADABLE", "FILE_UNREADABLE",
    ]  # fmt: skip
    assert "STATEMENT_" in out.getvalue() and "mine" in out.getvalue()


def test_a_file_that_names_no_account_gives_it_its_name(finora: Finora, tmp_path: Path) -> None:
    """Each its own, also where one layout is common to several, and whatever comes first."""
    files = [tmp_path / name for name in ("one.csv", "two.csv", "[bold].csv")]
    for number, path in enumerate(files, start=1):
        path.write_text(f"Date,Amount,Text\n2026-01-31,-{number}.00,x\n")
    for order in (files, files[::-1]):
        said = demo(finora, order, Console(quiet=True), currency="EUR")
        assert {line["account"]: line["amount"] for line in said["trial_balance"]} == {
            "one": "-1.00", "two": "-2.00", "[bold]": "-3.00", "Outside": "6.00",
        }  # fmt: skip
        assert {shown["added"] for shown in said["second"]} == {0}
    [refused] = {
        shown["refused"]["code"] for shown in demo(finora, files, Console(quiet=True))["first"]
    }
    assert refused == "CURRENCY_NEEDED"


def test_old_and_new_statements_are_both_in_the_picture(finora: Finora, tmp_path: Path) -> None:
    """Each asset shows the months in which it moved."""
    file = tmp_path / "both.csv"
    file.write_text("Date,Amount,Currency,Text\n1998-03-01,5.00,GBP,x\n2026-01-31,-1.00,EUR,y\n")
    out = io.StringIO()
    demo(finora, [file], Console(file=out, width=80))
    assert "Mar 1998" in out.getvalue() and "Jan 2026" in out.getvalue()


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_files_makes_no_difference(finora: Finora, seed: int) -> None:
    """Any order, with files repeated: equal records, balances and months."""
    files = household()
    shuffled = files + random.Random(seed).sample(files, 3)
    random.Random(seed).shuffle(shuffled)
    pictures = []
    for order in (files, shuffled):
        scope = finora.scope(tenant=f"t-{uuid4()}", user="u1")
        for path in order:
            bring(finora, scope, path)
        records = finora.records.list(scope, limit=1000).items
        lines = Counter(
            (r.on_date, str(r.amount), r.description, r.counterparty, r.bank_id, r.account,
             str(r.bank_state)) for r in records
        )  # fmt: skip
        trial = [(line.account.name, str(line.amount))
                 for line in finora.ledger.trial_balance(scope).lines]  # fmt: skip
        first, last = records[-1].on_date, records[0].on_date
        pictures.append((lines, trial, finora.wallet.cashflow_by_month(scope, first, last)))
    assert pictures[0] == pictures[1]


def test_it_holds_what_it_promises(finora: Finora) -> None:
    """Four formats, two equal purchases, a pending line booked later, a transfer that is no
    spending, two currencies."""
    scope = finora.scope(tenant=f"t-{uuid4()}", user="u1")
    formats = {str(bring(finora, scope, path)["format"]) for path in household()}
    assert formats == {"ofx", "camt", "mt940", "csv"}
    records = finora.records.list(scope, limit=1000).items
    anker = [r for r in records if r.counterparty == "Cafe Anker"]
    assert [str(r.amount) for r in anker] == ["-3.40 EUR", "-3.40 EUR"]
    [streaming] = [r for r in records if "Streamflix" in (r.counterparty or "")]
    assert (streaming.on_date.isoformat(), str(streaming.bank_state)) == ("2026-04-02", "booked")
    assert {r.amount.asset.id for r in records} == {"EUR", "GBP"}
    january = finora.wallet.cashflow_by_month(scope, records[-1].on_date, records[-1].on_date)
    [euro, _] = january[0].flows
    saved = [r for r in records if r.account == "Savings" and r.on_date.month == 1]
    assert [str(r.amount) for r in saved] == ["400.00 EUR"]
    assert str(euro.income) == "3150.00 EUR", "the salary alone: 400.00 only changed its account"
