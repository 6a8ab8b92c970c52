"""The dashboard: summary, cash flow, import by drag and drop, records; what runs; the account, and
the way into it."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from finora_core.kernel.errors import Refusal
from finora_web.gate import Gate
from finora_web.pages import explain, told
from finora_web.pages.account.confirm import Confirm
from finora_web.pages.account.events import Events
from finora_web.pages.account.keys import Keys
from finora_web.pages.account.members import Members
from finora_web.pages.account.profile import ProfilePage
from finora_web.pages.account.sessions import Sessions
from finora_web.pages.account.ways import Ways
from finora_web.pages.caller import refused
from finora_web.pages.forms import View, ours
from finora_web.pages.imports import Jobs
from finora_web.pages.issuers import RETURN, Issuers
from finora_web.pages.overview import Overview
from finora_web.pages.people import People
from finora_web.pages.plan.budgets import Budgets
from finora_web.pages.plan.forecast import ForecastPage
from finora_web.pages.plan.goals import Goals
from finora_web.pages.plan.recurring import RecurringPage
from finora_web.pages.portfolio import PortfolioPage
from finora_web.pages.prices import PricesPage
from finora_web.pages.records import Records
from finora_web.pages.reports import Reports
from finora_web.pages.review import Review
from finora_web.pages.rules.page import Rules
from finora_web.pages.session import Session
from finora_web.pages.settings import SettingsPage
from finora_web.pages.show import FILTERS
from finora_web.pages.spending import Spending

Routes = tuple[tuple[str, str, View], ...]


def pages(gate: Gate) -> Blueprint:
    blueprint = Blueprint("pages", __name__)
    _add_dashboard(blueprint, gate)
    _add_plan(blueprint, gate)
    _add_rules(blueprint, gate)
    _add_reports(blueprint, gate)
    _add_entry(blueprint, gate)
    _add_account(blueprint, gate)
    blueprint.register_error_handler(Refusal, refused)
    for name, shown in (FILTERS | told.FILTERS | explain.FILTERS).items():
        blueprint.add_app_template_filter(shown, name)
    return blueprint


def _add_dashboard(blueprint: Blueprint, gate: Gate) -> None:
    session, jobs, records = Session(gate), Jobs(gate), Records(gate)
    explaining = explain.Explain(gate)
    overview = Overview(gate, jobs, records)

    def first_page() -> ResponseReturnValue:
        token = request.args.get("token")
        return overview.page() if token is None else session.open(token)

    looked_at: Routes = (
        ("/", "overview", first_page),
        ("/records", "all_records", records.page),
        ("/explain", "explain", explaining.page),
        ("/explain/converted", "explain_converted", explaining.converted),
        ("/explain/entries/<uuid:entry_id>", "explain_entry", explaining.entry),
        ("/settings", "settings", SettingsPage(gate).page),
        ("/portfolio", "portfolio", PortfolioPage(gate).page),
        ("/prices", "prices", PricesPage(gate).page),
        ("/parts/summary", "summary", overview.summary),
        ("/parts/cashflow", "cashflow", overview.cashflow),
        ("/parts/spending", "spending", Spending(gate).part),
        ("/parts/latest", "latest", records.latest_part),
        ("/parts/accounts", "accounts", records.accounts),
        ("/parts/records", "records", records.part),
        ("/parts/records/<uuid:record_id>/category", "category", records.category),
        ("/parts/records/<uuid:record_id>/category/form", "edit", records.edit_category),
        ("/parts/records/<uuid:record_id>/note", "note", records.note),
        ("/parts/records/<uuid:record_id>/note/form", "edit_note", records.edit_note),
        ("/parts/categories", "categories", records.categories),
        ("/parts/jobs/<uuid:job_id>", "job", jobs.part),
    )
    # The cookie of who asks counts only with forms of our own.
    sent_to: Routes = (
        ("/parts/records/<uuid:record_id>/category", "categorise", records.categorise),
        ("/parts/records/<uuid:record_id>/note", "write_note", records.write_note),
        ("/parts/jobs/<uuid:job_id>/replay", "replay", jobs.replay),
        ("/parts/jobs/<uuid:job_id>/dismiss", "dismiss", jobs.dismiss),
    )
    _add(blueprint, looked_at, sent_to)


def _add_plan(blueprint: Blueprint, gate: Gate) -> None:
    budgets, goals, recurring = Budgets(gate), Goals(gate), RecurringPage(gate)
    looked_at: Routes = (
        ("/budgets", "budgets", budgets.page),
        ("/budgets/<uuid:budget_id>", "budget", budgets.one),
        ("/parts/budgets/<uuid:budget_id>/simulation", "simulation", budgets.simulation),
        ("/goals", "goals", goals.page),
        ("/goals/<uuid:goal_id>", "goal", goals.one),
        ("/recurring", "recurring", recurring.page),
        ("/recurring/<uuid:recurring_id>", "recurring_records", recurring.records),
        ("/forecast", "forecast", ForecastPage(gate).page),
    )
    sent_to: Routes = (
        ("/budgets", "create_budget", budgets.create),
        ("/budgets/<uuid:budget_id>", "change_budget", budgets.change),
        ("/budgets/<uuid:budget_id>/delete", "delete_budget", budgets.delete),
        ("/goals", "create_goal", goals.create),
        ("/goals/<uuid:goal_id>", "change_goal", goals.change),
        ("/goals/<uuid:goal_id>/delete", "delete_goal", goals.delete),
        ("/recurring/<uuid:recurring_id>/verdict", "judge", recurring.judge),
    )
    _add(blueprint, looked_at, tuple((path, name, ours(view)) for path, name, view in sent_to))


def _add_rules(blueprint: Blueprint, gate: Gate) -> None:
    rules, review = Rules(gate), Review(gate)
    looked_at: Routes = (
        ("/review", "review", review.page),
        ("/rules", "rules", rules.page),
        ("/rules/new", "new_rule", rules.new),
        ("/rules/<uuid:rule_id>", "rule", rules.one),
        ("/rules/runs/<uuid:run_id>", "rule_run", rules.run_page),
        ("/parts/rules/runs/<uuid:run_id>", "rule_run_part", rules.run_part),
    )
    sent_to: Routes = (
        ("/review/<uuid:record_id>/approve", "approve", review.approve),
        ("/review/<uuid:record_id>/override", "override", review.override),
        ("/review/<uuid:record_id>/back", "take_back", review.take_back),
        ("/review/bulk", "approve_all", review.bulk),
        ("/rules", "create_rule", rules.write),
        ("/rules/<uuid:rule_id>", "change_rule", rules.write),
        ("/rules/<uuid:rule_id>/active", "activate_rule", rules.activate),
        ("/rules/<uuid:rule_id>/move", "move_rule", rules.move),
        ("/rules/<uuid:rule_id>/delete", "delete_rule", rules.delete),
        ("/rules/runs", "run_rules", rules.run),
        ("/rules/runs/<uuid:run_id>/undo", "undo_run", rules.undo),
        ("/parts/rules/preview", "preview_rule", rules.preview),
    )
    _add(blueprint, looked_at, tuple((path, name, ours(view)) for path, name, view in sent_to))


def _add_reports(blueprint: Blueprint, gate: Gate) -> None:
    reports = Reports(gate)
    looked_at: Routes = (
        ("/reports", "reports", reports.page),
        ("/reports/files", "report_files", reports.files),
        ("/reports/files/<uuid:report_id>", "report_file", reports.file),
        ("/reports/closing", "closing", reports.closing),
    )
    sent_to: Routes = (
        ("/reports/files", "ask_report", reports.ask),
        ("/reports/closing", "close", reports.close),
        ("/reports/closing/reopen", "reopen", reports.reopen),
    )
    _add(blueprint, looked_at, tuple((path, name, ours(view)) for path, name, view in sent_to))


def _add_entry(blueprint: Blueprint, gate: Gate) -> None:
    session, people = Session(gate), People(gate)
    issuers = Issuers(gate, session, Ways(gate))
    looked_at: Routes = (
        ("/sign-in", "sign_in", session.page),
        ("/sign-in/letter", "ask_letter", session.ask_letter),
        (RETURN, "issuer_back", issuers.back),
        ("/sign-up", "ask_sign_up", people.ask_sign_up),
        ("/verify", "show_verify", people.show_link),
        ("/enter", "show_enter", people.show_link),
        ("/forgot", "ask_forgot", people.ask_forgot),
        ("/reset", "ask_reset", people.ask_reset),
        ("/invitation", "show_invitation", people.show_invitation),
    )
    sent_to: Routes = (
        ("/sign-in/code", "finish", ours(session.finish)),
        ("/sign-in/passkey/options", "offer_passkey", ours(session.offer_passkey)),
        ("/sign-in/passkey", "by_passkey", ours(session.passkey)),
        ("/sign-in/letter", "letter", ours(session.letter)),
        ("/sign-in/letter/code", "by_code", ours(session.by_code)),
        ("/sign-in/issuer", "issuer_begin", ours(issuers.begin)),
        (RETURN, "issuer_finish", ours(issuers.finish)),
        ("/sign-up", "sign_up", ours(people.sign_up)),
        ("/verify", "verify", ours(people.verify)),
        ("/enter", "enter", ours(session.by_link)),
        ("/forgot", "forgot", ours(people.forgot)),
        ("/reset", "reset", ours(people.reset)),
        ("/invitation", "accept", ours(people.accept)),
        # These two say of themselves what a form from elsewhere is told.
        ("/sign-in", "with_password", session.sign_in),
        ("/sign-out", "sign_out", session.sign_out),
    )
    _add(blueprint, looked_at, sent_to)


def _add_account(blueprint: Blueprint, gate: Gate) -> None:
    profile, sessions, ways = ProfilePage(gate), Sessions(gate), Ways(gate)
    members, keys, confirm = Members(gate), Keys(gate), Confirm(gate)
    issuers = Issuers(gate, Session(gate), ways)
    looked_at: Routes = (
        ("/account", "account", profile.page),
        ("/account/sessions", "sessions", sessions.page),
        ("/account/ways", "ways", ways.page),
        ("/account/members", "members", members.page),
        ("/account/keys", "keys", keys.page),
        ("/account/events", "events", Events(gate).page),
        ("/confirm", "ask_confirm", confirm.page),
    )
    sent_to: Routes = (
        ("/confirm", "confirm", confirm.confirm),
        ("/account", "change_profile", profile.change),
        ("/account/verification", "verification", profile.verification),
        ("/account/password", "password", profile.password),
        ("/account/sessions/end", "end_session", sessions.end),
        ("/account/sessions/end-others", "end_others", sessions.end_others),
        ("/account/ways/remove", "remove_way", ways.remove),
        ("/account/ways/passkey/options", "offer_new_passkey", ways.offer_passkey),
        ("/account/ways/passkey", "add_passkey", ways.add_passkey),
        ("/account/ways/codes/offer", "offer_codes", ways.offer_codes),
        ("/account/ways/codes", "turn_on_codes", ways.turn_on_codes),
        ("/account/ways/codes/off", "turn_off_codes", ways.turn_off_codes),
        ("/account/ways/issuer", "link_account", issuers.link),
        ("/account/tenant", "switch", members.switch),
        ("/account/members/books", "create_books", members.create),
        ("/account/members/profile", "change_books", members.change),
        ("/account/members/role", "set_role", members.set_role),
        ("/account/members/remove", "remove_member", members.remove),
        ("/account/members/leave", "leave", members.leave),
        ("/account/members/invite", "invite", members.invite),
        ("/account/members/withdraw", "withdraw", members.withdraw),
        ("/account/keys", "create_key", keys.create),
        ("/account/keys/revoke", "revoke_key", keys.revoke),
    )
    _add(blueprint, looked_at, tuple((path, name, ours(view)) for path, name, view in sent_to))


def _add(blueprint: Blueprint, looked_at: Routes, sent_to: Routes) -> None:
    for path, name, view in looked_at:
        blueprint.add_url_rule(path, name, view)
    for path, name, view in sent_to:
        blueprint.add_url_rule(path, name, view, methods=["POST"])
