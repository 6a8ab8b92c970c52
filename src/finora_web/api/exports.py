"""The books, taken out."""

from itertools import chain
from typing import Literal

from flask import Response

from finora_core.kernel.scope import Scope
from finora_web.contract import In, Routes
from finora_web.services import Services

routes = Routes("exports")


class ExportQuery(In):
    tool: Literal["beancount", "hledger"] = "beancount"


@routes.get("/export", "books:export", None, media_type="text/plain", step_up=True)
def export_books(app: Services, scope: Scope, query: ExportQuery) -> object:
    """Every entry as a beancount file or an hledger journal, streamed, with nothing lost.
    A token needs `books:export` by name."""
    lines = app.ledger.export(scope, query.tool)
    # Begun before anything is answered: what is refused must be refused by the status.
    first = next(lines, "")
    suffix = "journal" if query.tool == "hledger" else "beancount"
    answer = Response(chain((first,), lines), mimetype="text/plain")
    answer.headers["Content-Disposition"] = f'attachment; filename="finora.{suffix}"'
    answer.call_on_close(lines.close)
    return answer
