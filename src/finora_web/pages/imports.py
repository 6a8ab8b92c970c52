"""Imports as they run: how far a job is, what came of it, and what to do where it was refused."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import attrs
from flask import Response, make_response, render_template, request

from finora_core.jobs.model import Job, JobState
from finora_core.kernel.scope import Scope
from finora_web.gate import Gate
from finora_web.pages.caller import caller
from finora_web.pages.own import own_accounts
from finora_web.pages.told import sentence

IMPORT = "records.import"
_SHOWN = 20
_ASK_ACCOUNT = ("ACCOUNT_NEEDED", "CURRENCY_NEEDED", "ACCOUNT_MISMATCH")
_PATIENCE = timedelta(seconds=10)
"""After so long a waiting job says that perhaps no worker runs."""

ADVICE: Mapping[str, str] = {
    "ACCOUNT_NEEDED": "The file does not say which account it is of. Name one of your accounts, "
    "or a new one, and its currency. It is remembered for files that look like this one.",
    "CURRENCY_NEEDED": "The file does not say its currency. Give its code, as EUR or USD.",
    "ACCOUNT_MISMATCH": "Leave the account out: the file names its own.",
    "STATEMENT_AMBIGUOUS": "Choose the reading that is right. It is remembered for files that "
    "look like this one.",
    "CONTROL_SUM": "Lines are missing or doubled. Download the statement again; or, if you know "
    "why, import it all the same: the difference is kept with your name.",
    "UNKNOWN_FORMAT": "Export it from your bank as CAMT.053, OFX, MT940, QIF or CSV.",
    "STATEMENT_EMPTY": "There is no statement in the file. Was the download cut short?",
    "STATEMENT_UNREADABLE": "Download the file again, or export it in another format.",
    "STATEMENT_TOO_LARGE": "Export a shorter period, or raise FINORA_IMPORT_MAX_MB.",
    "ACCOUNT_EXISTS": "Another file opened this account at the same moment. Try again.",
}
QUESTIONS: Mapping[str, str] = {
    "date_order": "In which order does the file write day and month?",
    "decimal": "Which mark stands before the cents?",
    "columns": "Which column is which?",
}
ANSWERS: Mapping[tuple[str, str], str] = {
    ("date_order", "dmy"): "day, month, year",
    ("date_order", "mdy"): "month, day, year",
    ("date_order", "ymd"): "year, month, day",
    ("date_order", "ydm"): "year, day, month",
}


@attrs.frozen
class Jobs:
    gate: Gate

    def open(self, scope: Scope) -> dict[str, Any]:
        """Imports that run, and jobs that failed and that nobody has dismissed."""
        return {
            "running": [
                shown(job)
                for state in (JobState.RUNNING, JobState.WAITING)
                for job in self._some(scope, state)
                if job.name == IMPORT
            ],
            "failed": [
                shown(job)
                for state in (JobState.DEAD, JobState.REFUSED)
                for job in self._some(scope, state)
                if job.dismissed_at is None
            ],
        }

    def part(self, job_id: UUID) -> Response:
        """How a job is now. With `held` the page still has the file, and can send it again."""
        scope = caller(self.gate, "jobs:read")
        return self._answer(scope, self.gate.services.jobs.get(scope, job_id))

    def replay(self, job_id: UUID) -> Response:
        scope = caller(self.gate, "jobs:write")
        return self._answer(scope, self.gate.services.jobs.replay(scope, job_id))

    def dismiss(self, job_id: UUID) -> Response:
        scope = caller(self.gate, "jobs:write")
        self.gate.services.jobs.dismiss(scope, job_id)
        return make_response("", 200)

    def _some(self, scope: Scope, state: JobState) -> tuple[Job, ...]:
        return self.gate.services.jobs.list(scope, state=state, limit=_SHOWN).items

    def _answer(self, scope: Scope, job: Job) -> Response:
        held = "held" in request.args
        told = shown(job, request.args.get("name", "")[:200], held=held)
        if held and job.reason in _ASK_ACCOUNT:
            told["own"] = [each.name for each in own_accounts(self.gate.services, scope)]
        answer = make_response(render_template("_job.html", job=told))
        if job.state is JobState.DONE:
            # The parts of the page that show the books ask for themselves anew.
            answer.headers["HX-Trigger"] = '{"books-changed": {"target": "body"}}'
        return answer


def shown(job: Job, name: str = "", *, held: bool = False) -> dict[str, Any]:
    """What the page says of a job."""
    result = job.result or {}
    facts = result.get("facts")
    waiting = job.state in (JobState.WAITING, JobState.PAUSED)
    late = datetime.now(UTC) - job.created_at > _PATIENCE
    return {
        "job": job,
        "over": job.state.over,
        "title": name or result.get("file") or _title(job.name),
        "held": held,
        "waiting": waiting,
        "late": waiting and late and not job.attempts,
        "again": waiting and job.attempts > 0,
        "message": sentence(job.message or ""),
        "advice": ADVICE.get(job.reason or ""),
        "question": _question(facts) if isinstance(facts, dict) else None,
    }


def _title(name: str) -> str:
    """`records.import` as words."""
    noun, _, verb = name.partition(".")
    return f"{verb or noun} {noun if verb else ''}".strip().capitalize()


def _question(facts: dict[str, Any]) -> dict[str, Any] | None:
    """What a file that can be read in several ways asks, and what each way would say."""
    if "readings" not in facts:
        return None
    asked = str(facts.get("question", ""))
    return {
        "asked": QUESTIONS.get(asked, f"Which of these is right ({asked})?"),
        "readings": [
            {
                "answers": reading["answers"],
                "label": "; ".join(
                    ANSWERS.get((key, said), f"{key.replace('_', ' ')}: {said}")
                    for key, said in reading["answers"].items()
                ),
                "sample": reading["sample"],
            }
            for reading in facts["readings"]
        ],
    }
