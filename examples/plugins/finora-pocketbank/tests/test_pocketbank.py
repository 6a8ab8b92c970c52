import io

from finora_pocketbank import Pocketbank

from finora_core.plugins import FaultyLine, StatementAccount, StatementLine

STATEMENT = b"""{"pocketbank": 1, "account": "DE02120300000000202051", "currency": "EUR"}
{"id": "a1", "on": "2026-01-31", "amount": -12.30, "text": "B\xc3\xa4ckerei"}
{"id": "a2", "on": "2026-02-30", "amount": 1, "text": "no such day"}
{"id": "a3", "on": "2026-02-01", "amo
"""


def test_lines_are_read_and_what_cannot_be_is_set_aside() -> None:
    account, line, *faulty = Pocketbank().read(io.BytesIO(STATEMENT), {})
    assert isinstance(account, StatementAccount)
    assert account.number == "DE02120300000000202051"
    assert isinstance(line, StatementLine)
    assert (line.amount, line.description, line.bank_id) == ("-12.30", "Bäckerei", "a1")
    assert [type(each) for each in faulty] == [FaultyLine, FaultyLine]


def test_it_knows_its_own() -> None:
    assert Pocketbank().recognises(STATEMENT, "x.json") > 50
    assert Pocketbank().recognises(b"Date,Amount\n", "x.csv") == 0
