"""The dashboard: summary, cash flow, import by drag and drop, records; and what runs."""

from collections.abc import Callable

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from finora_core.kernel.errors import Refusal
from finora_web.gate import Gate
from finora_web.pages.caller import refused
from finora_web.pages.imports import Jobs
from finora_web.pages.overview import Overview
from finora_web.pages.records import Records
from finora_web.pages.session import Session
from finora_web.pages.settings import SettingsPage
from finora_web.pages.show import FILTERS

View = Callable[..., ResponseReturnValue]


def pages(gate: Gate) -> Blueprint:
    blueprint = Blueprint("pages", __name__)
    session, jobs, records = Session(gate), Jobs(gate), Records(gate)
    overview = Overview(gate, jobs, records)

    def first_page() -> ResponseReturnValue:
        token = request.args.get("token")
        return overview.page() if token is None else session.open(token)

    looked_at: tuple[tuple[str, str, View], ...] = (
        ("/", "overview", first_page),
        ("/settings", "settings", SettingsPage(gate).page),
        ("/parts/summary", "summary", overview.summary),
        ("/parts/cashflow", "cashflow", overview.cashflow),
        ("/parts/accounts", "accounts", records.accounts),
        ("/parts/records", "records", records.part),
        ("/parts/records/<uuid:record_id>/category", "category", records.category),
        ("/parts/records/<uuid:record_id>/category/form", "edit", records.edit_category),
        ("/parts/jobs/<uuid:job_id>", "job", jobs.part),
    )
    sent_to: tuple[tuple[str, str, View], ...] = (
        ("/sign-out", "sign_out", session.sign_out),
        ("/parts/records/<uuid:record_id>/category", "categorise", records.categorise),
        ("/parts/jobs/<uuid:job_id>/replay", "replay", jobs.replay),
        ("/parts/jobs/<uuid:job_id>/dismiss", "dismiss", jobs.dismiss),
    )
    for path, name, view in looked_at:
        blueprint.add_url_rule(path, name, view)
    for path, name, view in sent_to:
        blueprint.add_url_rule(path, name, view, methods=["POST"])
    blueprint.add_url_rule("/sign-in", "sign_in", session.sign_in, methods=["GET", "POST"])
    blueprint.register_error_handler(Refusal, refused)
    for name, shown in FILTERS.items():
        blueprint.add_app_template_filter(shown, name)
    return blueprint
