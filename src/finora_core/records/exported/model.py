"""Records as a table of text: its columns, and what keeps a spreadsheet from computing a cell.

The columns are a contract: other programs read them, and so does `formats/finora.py`. New ones are
added at the end.
"""

RECORD_COLUMNS = (
    "id", "date", "booked_on", "account", "account_id", "amount", "currency", "description",
    "counterparty", "category", "status", "state", "bank_id", "source",
    "merchant", "note", "tags", "split",
)  # fmt: skip

# What begins a formula, in one program or another and in full width too; what begins a command of
# DDE; and the mark itself, so that it can be taken away again.
_BEGINS = frozenset("=+-@|%'＝＋－＠｜％")
_CONTROLS = frozenset("\t\r\n\v\f\0")
MARK = "'"


def guarded(text: str) -> str:
    """The text, with a mark before it where a spreadsheet would compute it or eat its beginning."""
    if text and (text[0] in _CONTROLS or text.lstrip()[:1] in _BEGINS):
        return MARK + text
    return text


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return text[1:] if text.startswith(MARK) else text
