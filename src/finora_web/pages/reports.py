"""Reports on the screen and as files; and the books closed through a day."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import attrs
from flask import Response, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as Answer

from finora_core.identity.people.model import StepUpRequired
from finora_core.insights.model import last_day, months_before
from finora_core.insights.reports.model import Asked, CategoryLine, Format, Kind, ProfitLoss, Report
from finora_core.kernel.errors import Refusal
from finora_core.kernel.scope import Scope, TokenCredential
from finora_web.api.files import download_file
from finora_web.contract import Code, Day, In
from finora_web.errors import BadRequest
from finora_web.gate import Gate, fresh
from finora_web.pages.account.frame import framed
from finora_web.pages.caller import caller
from finora_web.pages.forms import a_choice, a_day, query, sent
from finora_web.pages.own import own_accounts

KINDS = {
    Kind.PROFIT_AND_LOSS: "Profit and loss",
    Kind.BALANCE_SHEET: "Balance sheet",
    Kind.CASH_FLOW: "Cash flow",
    Kind.RECORDS: "Records",
    Kind.STATEMENT: "Statement of an account",
    Kind.BOOKS: "All of the books",
}
SHOWN = (Kind.PROFIT_AND_LOSS, Kind.BALANCE_SHEET, Kind.CASH_FLOW)
_SAID = {
    "asked": "The file is being made. It stands below when it is there.",
    "closed": "The books are closed. What is booked until then stays as it is.",
    "opened": "The books are open again.",
}
_FILES = 10
_LATE = 50


class Period(In):
    kind: Literal["profit_and_loss", "balance_sheet", "cash_flow"] = "profit_and_loss"
    since: Day | None = None
    until: Day | None = None
    asset: Code | None = None


@attrs.frozen
class Reports:
    gate: Gate

    def page(self) -> Response:
        return self._page(caller(self.gate, "books:read"))

    def files(self) -> Response:
        return self._files(caller(self.gate, "books:read"))

    def closing(self) -> Response:
        return self._closing(caller(self.gate, "books:read"))

    def file(self, report_id: UUID) -> ResponseReturnValue:
        scope = caller(self.gate, "books:read")
        app = self.gate.services
        answer: ResponseReturnValue = download_file(
            app, scope, app.reports.file_of(scope, report_id)
        )
        return answer

    def ask(self) -> Answer:
        """Have a file made. Who signed in proves it again; a token was made for it by name."""
        scope = caller(self.gate, "books:export")
        if not (fresh(scope) or isinstance(scope.credential, TokenCredential)):
            raise StepUpRequired("confirm that it is you")
        account = sent("account_id")
        try:
            asked = Asked(
                kind=a_choice("kind", Kind),
                format=a_choice("format", Format),
                since=a_day("since"),
                until=a_day("until"),
                account_id=UUID(account) if account else None,
            )
            self.gate.services.reports.request(scope, asked)
        except ValueError as error:
            raise BadRequest("the form is not whole") from error
        except Refusal as refusal:
            return self._files(scope, refusal)
        return redirect("/reports/files?said=asked", 303)

    def close(self) -> Answer:
        scope = caller(self.gate, "books:close")
        try:
            through = a_day("through")
            if through is None:
                raise BadRequest("Until which day?", details=(("through", "is missing"),))
            self.gate.services.closings.close(scope, through)
        except Refusal as refusal:
            return self._closing(scope, refusal)
        return redirect("/reports/closing?said=closed", 303)

    def reopen(self) -> Answer:
        scope = caller(self.gate, "books:reopen")
        try:
            self.gate.services.closings.reopen(scope, a_day("through"), sent("reason"))
        except Refusal as refusal:
            return self._closing(scope, refusal)
        return redirect("/reports/closing?said=opened", 303)

    def _page(self, scope: Scope) -> Response:
        app = self.gate.services
        asked = query(Period)
        kind = Kind(asked.kind)
        today = datetime.now(UTC).date()
        since, until = _days(asked, today)
        shown: dict[str, Any]
        match kind:
            case Kind.BALANCE_SHEET:
                shown = {"sheet": app.reports.balance_sheet(scope, until)}
            case Kind.CASH_FLOW:
                found = app.reports.cash_flow(scope, since, until)
                shown = {"cash": found, "day_before": since - timedelta(days=1)}
            case _:
                result = app.reports.profit_and_loss(scope, since, until)
                shown = _profit_and_loss(result, asked.asset)
        return framed(
            app,
            scope,
            f"reports/{kind.value}.html",
            said={},
            kind=kind,
            since=since,
            until=until,
            presets=_presets(today),
            **shown,
        )

    def _files(self, scope: Scope, refusal: Refusal | None = None) -> Response:
        app = self.gate.services
        found = app.reports.list(scope, limit=_FILES)
        return framed(
            app,
            scope,
            "reports/files.html",
            refusal,
            said=_SAID,
            files=[self._file(scope, each) for each in found.items],
            kinds=KINDS,
            formats=list(Format),
            own=own_accounts(app, scope),
            given=request.values,
        )

    def _file(self, scope: Scope, report: Report) -> dict[str, Any]:
        job = None if report.finished_at else self.gate.services.jobs.get(scope, report.job_id)
        ended = report.expires_at is not None and report.expires_at <= datetime.now(UTC)
        return {"report": report, "job": job, "ended": ended}

    def _closing(self, scope: Scope, refusal: Refusal | None = None) -> Response:
        app = self.gate.services
        acts = app.closings.list(scope)
        today = datetime.now(UTC).date()
        return framed(
            app,
            scope,
            "reports/closing.html",
            refusal,
            said=_SAID,
            acts=acts,
            through=acts[0].through if acts else None,
            late=app.closings.late(scope, limit=_LATE).items,
            proposed=today.replace(day=1) - timedelta(days=1),
            given=request.form,
        )


def _days(asked: Period, today: date) -> tuple[date, date]:
    """The present year so far, if nothing is said."""
    until = asked.until or today
    return asked.since or until.replace(month=1, day=1), until


def _presets(today: date) -> Sequence[tuple[str, date, date]]:
    this, year = today.replace(day=1), today.replace(month=1, day=1)
    before = months_before(today, 1)
    return (
        ("This month", this, last_day(this)),
        ("Last month", before, last_day(before)),
        ("This year", year, today.replace(month=12, day=31)),
        ("Last year", year.replace(year=year.year - 1), year - timedelta(days=1)),
    )


def _profit_and_loss(found: ProfitLoss, wanted: str | None) -> dict[str, Any]:
    """Of one asset, or of all as one where that says more."""
    results: Mapping[str, Any] = {each.asset.id: each for each in found.assets}
    base = found.in_base
    alone = len(results) == 1 and base.asset.id in results
    chosen = results.get(wanted or "") if wanted != "all" else None
    if chosen is None and (alone or (wanted != "all" and len(results) == 1)):
        chosen = next(iter(results.values()))
    result = chosen or base
    return {
        "found": found,
        "result": result,
        "in_base": chosen is None,
        "assets": sorted(results),
        "alone": alone or len(results) < 2,
        "sides": [
            ("Income", "in", [each for each in result.lines if _moves(each, "income")]),
            ("Spending", "out", [each for each in result.lines if _moves(each, "expense")]),
        ],
        "side": {"in": "income", "out": "expense"},
        "last": {month: min(last_day(month), found.until) for month in found.months},
        "first": {month: max(month, found.since) for month in found.months},
    }


def _moves(line: CategoryLine, side: str) -> bool:
    return any(getattr(flows, side) for flows in (line.total, *line.months))
