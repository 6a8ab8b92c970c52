"""Reports: every figure is the ledger's, to the last unit, in every asset and as one."""

import io
import shutil
import subprocess
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from finora import AccountKind, Amount, Finora, NewRecord, Posting, RecordChange, Scope, currency
from finora_adapters.postgres.warrants import Warrants
from finora_core.insights.model import last_day
from finora_core.insights.reports.model import ProfitLoss, months_of, prefixes
from finora_core.insights.wallet.model import BadPeriod
from finora_core.kernel.plain import canonical, to_plain
from finora_core.ledger.closing.model import ClosingNotFound

EUR, USD, JPY = (currency(code) for code in ("EUR", "USD", "JPY"))
YEAR = (date(2023, 1, 1), date(2023, 12, 31))
# Of days of its own, so that the real rates do not matter.
RATES = b"Date,USD,JPY\n2011-01-29,1.25,130\n2011-02-26,1.6,125\n"


def money(text_: str, asset: str = "EUR") -> Amount:
    return Amount.parse(text_, currency(asset))


@attrs.define
class Books:
    finora: Finora
    scope: Scope

    def account(self, name: str, kind: AccountKind = AccountKind.ASSET) -> UUID:
        return self.finora.ledger.open_account(self.scope, name, kind).id

    def enter(self, account: UUID, day: date, amount: Amount, category: str = "") -> UUID:
        new = NewRecord(
            account_id=account, on_date=day, amount=amount, description="x", category=category
        )
        return self.finora.records.create(self.scope, new).id

    def report(self, since: date = YEAR[0], until: date = YEAR[1]) -> ProfitLoss:
        return self.finora.reports.profit_and_loss(self.scope, since, until)


@pytest.fixture
def books(finora: Finora, scope: Scope) -> Books:
    return Books(finora, scope)


@pytest.mark.spec("S3-34")
def test_categories_are_a_tree_with_a_sum_at_each_level(books: Books) -> None:
    giro = books.account("Giro")
    books.enter(giro, date(2023, 1, 10), money("-10.00"), "Household:Rent")
    books.enter(giro, date(2023, 1, 20), money("-2.00"), "Household")
    books.enter(giro, date(2023, 3, 1), money("-5.00"), "Household:Rent:Garage")
    books.enter(giro, date(2023, 3, 2), money("1.00"), "Household:Rent")
    books.enter(giro, date(2023, 3, 3), money("100.00"), "Salary")
    books.enter(giro, date(2023, 3, 4), money("-0.50"))
    [result] = books.report().assets
    shown = [
        (line.path, line.level, line.total.income.text, line.total.expense.text,
         line.own.net.text)
        for line in result.lines
    ]  # fmt: skip
    assert shown == [
        ("Household", 1, "1.00", "-17.00", "-2.00"),
        ("Household:Rent", 2, "1.00", "-15.00", "-9.00"),
        ("Household:Rent:Garage", 3, "0.00", "-5.00", "-5.00"),
        ("Salary", 1, "100.00", "0.00", "100.00"),
        ("", 1, "0.00", "-0.50", "-0.50"),
    ]
    rent = result.lines[1]
    assert [each.net.text for each in rent.months][:4] == ["-10.00", "0.00", "-4.00", "0.00"]
    assert result.total.net == money("83.50") == result.change
    assert [each.net.units for each in result.months][:3] == [-1200, 0, 9550]


@pytest.mark.spec("S3-34", partial=True)
def test_what_is_neither_income_nor_expense_is_told_and_adds_up(books: Books) -> None:
    finora, scope = books.finora, books.scope
    giro, savings = books.account("Giro"), books.account("Savings")
    out = books.enter(giro, date(2023, 5, 1), money("-40.00"), "Food")
    back = books.enter(savings, date(2023, 5, 2), money("40.00"))
    finora.records.link_transfer(scope, out, back)
    finora.ledger.exchange(
        scope, giro, money("10.00"), USD, Decimal("1.10"), "test", on_date=date(2023, 6, 1)
    )
    report = books.report()
    eur, usd = report.assets
    assert (eur.total.net, eur.transfers, eur.exchanges) == (
        money("0.00"), money("0.00"), money("-10.00"),
    )  # fmt: skip
    assert usd.exchanges == usd.change == money("11.00", "USD")
    # Cut between its two ends, a transfer is half.
    half = books.report(date(2023, 5, 1), date(2023, 5, 1)).assets[0]
    assert half.transfers == half.change == money("-40.00")


def test_unapproved_records_are_listed_apart(
    books: Books, admin: Engine, warrants: Warrants
) -> None:
    giro = books.account("Giro")
    one = books.enter(giro, date(2023, 1, 10), money("-10.00"))
    books.enter(giro, date(2023, 1, 11), money("3.00"))
    approved = books.enter(giro, date(2023, 1, 12), money("-1.00"))
    with admin.begin() as connection:
        warrants.be(connection, books.scope.tenant_id, books.scope.user_id)
        connection.execute(
            text("update finora.record set status = 'approved' where id = :id"), {"id": approved}
        )
    report = books.report()
    [waiting] = report.unapproved
    assert (waiting.records, waiting.income, waiting.expense) == (2, money("3.00"), money("-10.00"))
    assert one in {each.id for each in report.unapproved_records}
    assert approved not in {each.id for each in report.unapproved_records}
    assert report.assets[0].total.net == money("-8.00")


def test_a_period_that_is_none_is_refused(books: Books) -> None:
    for since, until in ((date(2023, 2, 1), date(2023, 1, 1)), (date(2000, 1, 1), YEAR[1])):
        with pytest.raises(BadPeriod):
            books.report(since, until)
    with pytest.raises(ClosingNotFound):
        books.finora.reports.balance_sheet(books.scope, YEAR[1], closing=1)


# --- in the base asset ---


@pytest.mark.spec("S3-34", partial=True)
def test_months_are_converted_at_their_last_day_and_sums_are_of_what_is_shown(books: Books) -> None:
    books.finora.rates.import_ecb(books.scope, io.BytesIO(RATES))
    giro = books.account("Giro")
    books.enter(giro, date(2011, 1, 5), money("-10.00", "USD"), "A:B")
    books.enter(giro, date(2011, 2, 5), money("-0.01", "USD"), "A")
    books.enter(giro, date(2011, 2, 5), money("-16.00", "USD"), "A:B")
    books.enter(giro, date(2011, 2, 6), money("-1.00", "EUR"), "A")
    report = books.report(date(2011, 1, 1), date(2011, 2, 28))
    base = report.in_base
    # 10 / 1.25 in January; 0.01 and 16 / 1.6, each rounded for itself, in February.
    assert [each.expense.text for each in base.months] == ["-8.00", "-11.01"]
    assert base.total.expense == money("-19.01") and base.gap is None
    assert [(line.path, line.total.expense.text) for line in base.lines] == [
        ("A", "-19.01"), ("A:B", "-18.00"),
    ]  # fmt: skip
    assert [(each.quote, each.on_date.month) for each in base.rates] == [("USD", 1), ("USD", 2)]


@pytest.mark.spec("S3-34", partial=True)
def test_what_has_no_rate_is_left_out_and_said(books: Books) -> None:
    books.finora.rates.import_ecb(books.scope, io.BytesIO(RATES))
    giro = books.account("Giro")
    books.enter(giro, date(2011, 2, 5), money("-1.000", "KWD"))
    books.enter(giro, date(2011, 2, 5), money("-1.00"))
    books.enter(giro, date(2011, 4, 5), money("-1.00", "USD"))
    report = books.report(date(2011, 1, 1), date(2011, 4, 30))
    assert report.in_base.total.net == money("-1.00")
    assert report.in_base.gap == (
        "no rate for KWD on 2011-02-28; "
        "no rate for USD on 2011-04-30: the last one is of 2011-02-26"
    )
    sheet = books.finora.reports.balance_sheet(books.scope, date(2011, 2, 28))
    assert sheet.in_base.gap == "no rate for KWD on 2011-02-28"
    flow = books.finora.reports.cash_flow(books.scope, date(2011, 2, 1), date(2011, 2, 28))
    assert flow.in_base.gap and "KWD" in flow.in_base.gap


def test_cash_flow_says_what_rates_made_of_what_was_held(books: Books) -> None:
    books.finora.rates.import_ecb(books.scope, io.BytesIO(RATES))
    giro = books.account("Giro")
    books.enter(giro, date(2011, 1, 5), money("100.00", "USD"))
    books.enter(giro, date(2011, 2, 5), money("-16.00", "USD"))
    flow = books.finora.reports.cash_flow(books.scope, date(2011, 2, 1), date(2011, 2, 28))
    [line] = flow.lines
    assert (line.opening, line.expense, line.closing) == (
        money("100.00", "USD"), money("-16.00", "USD"), money("84.00", "USD"),
    )  # fmt: skip
    base = flow.in_base
    # 100 / 1.25 = 80, less 10, is 70; but 84 / 1.6 is 52.50.
    assert (base.opening, base.expense, base.closing, base.revaluation) == (
        money("80.00"), money("-10.00"), money("52.50"), money("-17.50"),
    )  # fmt: skip


# --- against a recompute ---

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "enter", "enter", "move", "change", "delete", "label"]),
        st.integers(0, 1),
        st.integers(0, 120),
        st.integers(-10_000, 10_000).filter(bool),
        st.sampled_from(["", "A", "A:B", "A:B:C", "D", "A:E"]),
        st.sampled_from(["EUR", "JPY"]),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(acts=ACTS, cut=st.tuples(st.integers(0, 119), st.integers(0, 119)))
@pytest.mark.spec("S3-34")
def test_reports_are_a_recompute_from_the_postings(
    finora: Finora, admin: Engine, acts: list[tuple[str, int, int, int, str, str]],
    cut: tuple[int, int],
) -> None:  # fmt: skip
    books = Books(finora, finora.scope(tenant=f"t-{uuid4()}", user="u"))
    accounts = [books.account("One"), books.account("Two", AccountKind.LIABILITY)]
    first, made = date(2023, 1, 5), list[UUID]()
    for act, which, day, units, category, code in acts:
        on, amount = first + timedelta(days=day), Amount(units, currency(code))
        if act == "enter" or not made:
            made.append(books.enter(accounts[which], on, amount, category))
        elif act == "move":
            legs = (Posting(accounts[0], amount), Posting(accounts[1], -amount))
            finora.ledger.post(books.scope, legs, on_date=on)
        elif act == "change":
            finora.records.change(books.scope, made[-1], RecordChange(amount=amount, on_date=on))
        elif act == "label":
            finora.records.categorise(books.scope, made[-1], category)
        else:
            finora.records.delete(books.scope, made.pop())
    since, until = sorted(first + timedelta(days=day) for day in cut)
    report = books.report(since, until)
    with admin.connect() as connection:
        rows = connection.execute(
            text("""
            select p.on_date, p.asset, p.account_id, p.units, e.reverses is not null as back,
              coalesce(l.flow, e.flow) as flow, coalesce(l.category, '') as category
            from finora.posting p join finora.entry e on e.tenant_id = p.tenant_id
              and e.id = p.entry_id
            left join lateral (select * from finora.label l where l.tenant_id = p.tenant_id
              and l.entry_id in (e.id, e.reverses) order by number desc limit 1) l on true
            where p.tenant_id = :tenant and p.account_id = any(:accounts)"""),
            {"tenant": books.scope.tenant_id, "accounts": accounts},
        ).all()
    cells: dict[tuple[str, str, str, date], int] = defaultdict(int)
    changes, before = defaultdict[str, int](int), defaultdict[tuple[UUID, str], int](int)
    after = defaultdict[tuple[UUID, str], int](int)
    for row in rows:
        units = int(row.units)
        if row.on_date < since:
            before[row.account_id, row.asset] += units
        if row.on_date <= until:
            after[row.account_id, row.asset] += units
        if since <= row.on_date <= until:
            changes[row.asset] += units
            way = "in" if (units > 0) != row.back else "out"
            for path in (*prefixes(row.category), None):
                for month in (row.on_date.replace(day=1), None):
                    cells[row.asset, way, str(path), month or date.max] += units
    assert {each.asset.id: each.change.units for each in report.assets if each.change} == {
        asset: units for asset, units in changes.items() if units
    }
    for result in report.assets:
        asset = result.asset.id
        for line in result.lines:
            found = (
                cells[asset, "in", line.path, date.max],
                cells[asset, "out", line.path, date.max],
            )
            assert (line.total.income.units, line.total.expense.units) == found
            for month, flows in zip(report.months, line.months, strict=True):
                assert flows.income.units == cells[asset, "in", line.path, month]
                assert flows.expense.units == cells[asset, "out", line.path, month]
        assert result.total.income.units == cells[asset, "in", "None", date.max]
        assert result.total.expense.units == cells[asset, "out", "None", date.max]
        assert sum(line.own.net.units for line in result.lines) == result.total.net.units
    flow = finora.reports.cash_flow(books.scope, since, until)
    opened = {(x.account_id, x.opening.asset.id): x.opening.units for x in flow.lines}
    closed = {(x.account_id, x.closing.asset.id): x.closing.units for x in flow.lines}
    assert {k: v for k, v in opened.items() if v} == {k: v for k, v in before.items() if v}
    assert {k: v for k, v in closed.items() if v} == {k: v for k, v in after.items() if v}
    sheet = finora.reports.balance_sheet(books.scope, until).sheet
    assert {
        (line.account.id, line.amount.asset.id): line.amount.units
        for line in (*sheet.assets, *sheet.liabilities)
    } == {k: v for k, v in after.items() if v}
    # And the same, if everything is closed and asked for as it was then.
    number = finora.closings.close(books.scope, date(2023, 12, 31)).number
    then = finora.reports.profit_and_loss(books.scope, since, until, closing=number)
    assert to_plain(then.assets) == to_plain(report.assets)
    flow_then = finora.reports.cash_flow(books.scope, since, until, closing=number)
    assert to_plain(flow_then.lines) == to_plain(flow.lines)


HLEDGER = shutil.which("hledger")


@pytest.mark.skipif(HLEDGER is None, reason="hledger is not installed")
def test_hledger_finds_the_same_balances(books: Books, tmp_path: Path) -> None:
    giro, card = books.account("Giro"), books.account("Card", AccountKind.LIABILITY)
    for day in range(1, 29):
        books.enter(giro, date(2023, 2, day), money(f"-{day}.07"), "A")
        books.enter(card, date(2023, 3, day), money(f"{day % 3}.11"), "B")
    journal = tmp_path / "books.journal"
    journal.write_text("".join(books.finora.export(books.scope, "hledger")))
    assert HLEDGER is not None
    done = subprocess.run(
        [HLEDGER, "-f", str(journal), "bal", "-e", "2023-03-15", "-N", "-O", "csv", "Giro", "Card"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    sheet = books.finora.reports.balance_sheet(books.scope, date(2023, 3, 14)).sheet
    for line in (*sheet.assets, *sheet.liabilities):
        assert f"{line.amount.text} EUR" in done.stdout, done.stdout


# --- as of a closing ---


@pytest.mark.invariant("I-14")
@pytest.mark.spec("S3-34", partial=True)
def test_a_report_as_of_a_closing_is_the_same_after_every_correction(books: Books) -> None:
    finora, scope = books.finora, books.scope
    finora.rates.import_ecb(scope, io.BytesIO(b"Date,USD\n2012-01-31,1.25\n"))
    giro = books.account("Giro")
    ids = [
        books.enter(giro, date(2012, 1, day), money(f"-{day}.00", code), category)
        for day, code, category in ((5, "EUR", "A"), (6, "USD", "A:B"), (7, "EUR", ""))
    ]
    number = finora.closings.close(scope, date(2012, 1, 31)).number

    def said() -> list[str]:
        period = (date(2012, 1, 1), date(2012, 1, 31))
        reports = finora.reports
        return [
            canonical(to_plain(each))
            for each in (
                reports.profit_and_loss(scope, *period, closing=number),
                reports.profit_and_loss(scope, date(2012, 1, 3), period[1], closing=number),
                reports.cash_flow(scope, *period, closing=number),
                reports.balance_sheet(scope, period[1], closing=number),
            )
        ]

    before = said()
    live = canonical(to_plain(books.report(date(2012, 1, 1), date(2012, 1, 31)).assets))
    # What is after it, then everything in it; other rates, another base.
    books.enter(giro, date(2012, 2, 1), money("-9.00"))
    assert said() == before
    finora.closings.reopen(scope, None, "the auditor asks for it")
    books.enter(giro, date(2012, 1, 9), money("-9.00"), "A")
    finora.records.categorise(scope, ids[0], "Z")
    finora.records.change(scope, ids[1], RecordChange(amount=money("-7.00", "USD")))
    finora.records.delete(scope, ids[2])
    finora.rates.import_ecb(scope, io.BytesIO(b"Date,USD\n2012-01-31,2\n"))
    assert said() == before
    now = canonical(to_plain(books.report(date(2012, 1, 1), date(2012, 1, 31)).assets))
    assert now != live
    # Closed again, it is another closing.
    again = finora.closings.close(scope, date(2012, 1, 31)).number
    assert said() == before
    other = finora.reports.balance_sheet(scope, date(2012, 1, 31), closing=again)
    assert canonical(to_plain(other)) != before[3]
    with pytest.raises(BadPeriod, match="through 2012-01-31"):
        finora.reports.balance_sheet(scope, date(2012, 2, 1), closing=number)


def test_months_and_their_last_days() -> None:
    assert months_of(date(2023, 11, 5), date(2024, 2, 1)) == (
        date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1), date(2024, 2, 1),
    )  # fmt: skip
    assert last_day(date(2024, 2, 1)) == date(2024, 2, 29)
    assert last_day(date(2023, 12, 31)) == date(2023, 12, 31)
