"""The statement formats that come with Finora, registered as a stranger's are; one file each."""

from collections.abc import Callable

from finora_core.plugins import StatementFormat, hookimpl
from finora_core.records.formats.camt import CamtStatements
from finora_core.records.formats.csv import CsvStatements
from finora_core.records.formats.finora import FinoraRecords
from finora_core.records.formats.mt940 import Mt940Statements
from finora_core.records.formats.ofx import OfxStatements
from finora_core.records.formats.qif import QifStatements


@hookimpl
def register_statement_formats(register: Callable[[StatementFormat], None]) -> None:
    register(OfxStatements())
    register(CamtStatements())
    register(Mt940Statements())
    register(QifStatements())
    register(CsvStatements())
    register(FinoraRecords())
