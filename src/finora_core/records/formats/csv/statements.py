"""The CSV statement format: any bank's file, with no configuration."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from hashlib import sha256
from typing import BinaryIO, ClassVar

import attrs

from finora_core.plugins import (
    Reading,
    StatementAmbiguous,
    StatementItem,
    StatementRefused,
)
from finora_core.records.formats.csv import dialect as dialects
from finora_core.records.formats.csv import money, preamble
from finora_core.records.formats.csv.columns import Columns, account_number, assign, signature
from finora_core.records.formats.csv.dialect import HEAD, Record, Sample
from finora_core.records.formats.csv.evidence import (
    AnyFee,
    Doubt,
    Fees,
    Notation,
    Rows,
    Writing,
    gather,
    with_signs,
)
from finora_core.records.formats.csv.reader import Plan, items, preview
from finora_core.records.formats.csv.words import currency_in, plain
from finora_core.records.formats.numbers import BadNumber

_SHOWN = 3
_NOT_CSV = (b"<", b"{", b"[", b"OFXHEADER", b"!", b":20:", b"%PDF", b"PK\x03\x04", b"{1:")


@attrs.frozen
class CsvStatements:
    """Reads a statement as comma, semicolon, tab or pipe separated text.

    Answers: `date_order` (dmy, mdy, ymd), `decimal`, `delimiter`, `encoding`, `header` (its line
    number, 0 for none), `columns` (a role for each column, by commas), `invert` (yes), `account`,
    `currency`.
    """

    name: ClassVar[str] = "csv"

    def recognises(self, head: bytes, filename: str) -> int:
        """At most 80: every sure format is surer of its own files."""
        named = filename.lower().endswith((".csv", ".tsv"))
        try:
            sample = _head_sample(head)
            assign(sample, {})
        except StatementRefused:
            return 10 if named else 0
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_NOT_CSV):
            return 5
        return 80 if named else 50

    def layout(self, head: bytes) -> str | None:
        """Delimiter and header; without one, how many columns and what kind each is."""
        try:
            sample = _head_sample(head)
        except StatementRefused:
            return None
        dialect = sample.dialect
        if dialect.names is None:
            return f"{dialect.delimiter!r} {dialect.width} {signature(sample)}"
        names = "|".join(plain(name) for name in dialect.names)
        if len(names) > 160:
            names = f"{names[:120]}#{sha256(names.encode()).hexdigest()[:24]}"
        return f"{dialect.delimiter!r} {names}"

    def read(
        self, file: BinaryIO, answers: Mapping[str, str]
    ) -> Generator[StatementItem, None, None]:
        """Yield the file's account, lines and, where they are proved, its balances."""
        plan = _plan(file, answers)
        with closing(dialects.records(file, plan.dialect)) as records:
            yield from items(plan, records)


def _head_sample(head: bytes) -> Sample:
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise StatementRefused.at(1, "holds a NUL; this is no text")
    return dialects.sample(head[:HEAD], dialects.encoding_of(head[:HEAD]), {})


def _plan(file: BinaryIO, answers: Mapping[str, str]) -> Plan:
    encoding = dialects.survey(file, dialects.encoding_answer(answers))
    file.seek(0)
    sample = dialects.sample(file.read(HEAD), encoding, answers)
    options = assign(sample, answers)
    if len(options) > 1:
        raise _columns_question(sample, options, answers)
    columns = options[0]

    def whole() -> Rows:
        with closing(dialects.records(file, sample.dialect)) as rows:
            yield from ((place, row) for place, row in rows if row is not None)

    found = gather(lambda: Writing(columns), sample, whole).notation(answers)
    if isinstance(found, Doubt):
        choices = [
            (said, _with(sample, columns, with_signs(notation, sample, columns), answers))
            for said, notation in found.choices
        ]
        raise _question(found.question, choices, found.examples or sample.rows)
    plan = _with(sample, columns, with_signs(found, sample, columns), answers)
    return plan if columns.fee is None else _with_fee(plan, sample, whole, answers)


def _with_fee(
    plan: Plan, sample: Sample, whole: Callable[[], Rows], answers: Mapping[str, str]
) -> Plan:
    """Whether the fee is within the amount: the balance says, else the caller."""
    columns, width = plan.columns, plan.dialect.width
    if not gather(lambda: AnyFee(columns), sample, whole).settled:
        return attrs.evolve(plan, notation=attrs.evolve(plan.notation, fee=-1))
    fees = gather(lambda: Fees(columns, plan.notation), sample, whole)
    modes = [fees.extra] if answers.get("columns") else fees.modes()
    plans = [attrs.evolve(plan, notation=attrs.evolve(plan.notation, fee=how)) for how in modes]
    if len(plans) == 1:
        return plans[0]
    without = attrs.evolve(columns, fee=None)
    said = [without if not one.notation.fee else columns for one in plans]
    choices = [
        ({"columns": one.as_answer(width)}, plan) for one, plan in zip(said, plans, strict=True)
    ]
    raise _question("columns", choices, fees.examples)


def _with(sample: Sample, columns: Columns, notation: Notation, answers: Mapping[str, str]) -> Plan:
    dialect = sample.dialect
    said = answers.get("currency")
    if said:
        try:
            said = money.asset_of(said)
        except BadNumber as error:
            raise StatementRefused.at("currency", str(error)) from None
    return Plan(
        dialect=dialect,
        columns=columns,
        notation=notation,
        number=answers.get("account") or _number(sample, columns),
        asset=said or _asset(sample, columns, notation),
        asset_said=bool(said),
        single=bool(answers.get("account")),
        switches=_switches(sample, columns),
        inverted=_yes(answers, "invert"),
    )


def _yes(answers: Mapping[str, str], key: str) -> bool:
    answer = answers.get(key) or "no"
    if answer not in ("yes", "no"):
        raise StatementRefused.at(key, f"{answer[:20]!r} is neither yes nor no")
    return answer == "yes"


def _cells(sample: Sample, at: int | None) -> list[str]:
    if at is None:
        return []
    whole = (row for _, row in sample.rows if max(at + 1, sample.dialect.least) <= len(row))
    return [cell for row in whole if (cell := row[at].strip())]


def _number(sample: Sample, columns: Columns) -> str | None:
    cells = _cells(sample, columns.account)
    return account_number(cells[0]) if cells else preamble.account_in(sample.dialect.preamble)


def _asset(sample: Sample, columns: Columns, notation: Notation) -> str | None:
    """The statement's currency: of its first line, of the column's name, of the preamble."""
    for cell in _cells(sample, columns.currency):
        try:
            return money.asset_of(cell)
        except BadNumber:
            continue
    names = sample.dialect.names or ()
    named = (currency_in(names[at]) for at in columns.moving if at < len(names))
    return (
        next((code for code in named if code), None)
        or (money.code_of(notation.unit) if notation.unit else None)
        or preamble.currency_in(sample.dialect.preamble)
    )


def _switches(sample: Sample, columns: Columns) -> bool:
    """Whether an account comes back after another one's lines."""
    cells = [account_number(cell) for cell in _cells(sample, columns.account)]
    turns = [cell for cell, before in zip(cells, ["", *cells], strict=False) if cell != before]
    return len(turns) > len(set(turns))


# --- questions -----------------------------------------------------------------------------------


def _question(
    question: str, choices: Iterable[tuple[Mapping[str, str], Plan]], rows: list[Record]
) -> StatementAmbiguous:
    return StatementAmbiguous(
        question,
        tuple(
            Reading(
                said,
                tuple(
                    (line.date, line.amount, line.description or line.counterparty or "")
                    for line in preview(plan, rows)[:_SHOWN]
                ),
            )
            for said, plan in choices
        ),
    )


def _columns_question(
    sample: Sample, options: list[Columns], answers: Mapping[str, str]
) -> StatementAmbiguous:
    choices = []
    for columns in options:
        writing = Writing(columns)
        for place, row in sample.rows:
            writing.add(place, row)
        notation = writing.notation(answers)
        if isinstance(notation, Doubt):
            notation = notation.choices[0][1]
        plan = _with(sample, columns, with_signs(notation, sample, columns), answers)
        choices.append(({"columns": columns.as_answer(sample.dialect.width)}, plan))
    return _question("columns", choices, sample.rows[: 2 * _SHOWN])
