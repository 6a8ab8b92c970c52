"""Statements as CSV."""

from finora_core.records.formats.csv.statements import CsvStatements

__all__ = ["CsvStatements"]
