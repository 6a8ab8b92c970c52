"""The dashboard: summary, cash flow, import by drag and drop, records."""

from flask import Blueprint

from finora_web.gate import Gate


def pages(gate: Gate) -> Blueprint:
    return Blueprint("pages", __name__)
