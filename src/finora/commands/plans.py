"""`finora budget` and `finora goals`: what may be spent, and what is saved for."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finora.commands.books import Day, account_named, table
from finora.commands.common import AsJson, Data, books, put, refusals, say
from finora_core.kernel.plain import to_plain

if TYPE_CHECKING:
    from finora import Amount, Finora, Scope
    from finora_core.insights.budgets.model import BudgetStatus
    from finora_core.insights.goals.model import GoalStatus

budget = typer.Typer(invoke_without_command=True)
goals = typer.Typer(invoke_without_command=True)

Named = Annotated[str, typer.Argument(help="Its name or id.")]
Currency = Annotated[str, typer.Option(help="Currency or other asset.")]


@budget.callback()
def list_budgets(
    context: typer.Context, today: Day = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Budgets: what may be spent, and what was, in the present period of each.

    \b
    Example: finora budget --json
    """
    if context.invoked_subcommand is not None:
        return
    with refusals(as_json), books(data) as (finora, scope):
        found = _budgets(finora, scope, today)
    _show_budgets(found, as_json)


@budget.command("add")
def add_budget(
    name: str,
    category: Annotated[str, typer.Argument(help="With all below it: food counts food:out.")],
    limit: Annotated[str, typer.Argument(help="What may be spent in each period.")],
    period: Annotated[str, typer.Option(help="weekly, monthly or yearly.")] = "monthly",
    rollover: Annotated[str, typer.Option(help="none, surplus or all.")] = "none",
    currency: Currency = "EUR",
    since: Day = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say what may be spent on a category.

    \b
    Example: finora budget add Food food 500 --rollover surplus
    """
    from finora_core.insights.budgets.model import BadBudget, BudgetPeriod, Rollover

    with refusals(as_json), books(data) as (finora, scope):
        if period.upper() not in set(BudgetPeriod) or rollover not in set(Rollover):
            raise BadBudget("a period is weekly, monthly or yearly; a rollover none, surplus, all")
        made = finora.budgets.create(
            scope,
            name,
            category,
            _amount(finora, scope, limit, currency),
            BudgetPeriod(period.upper()),
            rollover=Rollover(rollover),
            starts_on=since.date() if since else None,
        )
    _show_budgets([made], as_json)


@budget.command("limit")
def set_limit(
    which: Named,
    limit: Annotated[str, typer.Argument(help="From the present period on.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give a budget another limit; past periods keep theirs.

    \b
    Example: finora budget limit Food 550
    """
    with refusals(as_json), books(data) as (finora, scope):
        found = _budget(finora, scope, which)
        amount = _amount(finora, scope, limit, found.budget.asset.id)
        changed = finora.budgets.change(scope, found.budget.id, limit=amount)
    _show_budgets([changed], as_json)


@budget.command("simulate", context_settings={"ignore_unknown_options": True})  # -10 is none
def simulate(
    which: Named,
    percent: Annotated[int, typer.Argument(help="More, or less, of the limit.")],
    today: Day = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show what another limit would leave; changes nothing.

    \b
    Example: finora budget simulate Food 10
    """
    with refusals(as_json), books(data) as (finora, scope):
        found = _budget(finora, scope, which)
        day = today.date() if today else None
        plain: Any = to_plain(finora.budgets.simulate(scope, found.budget.id, percent, today=day))
    plain["projected_spending"] = {"gap": None, **plain["projected_spending"]}
    if as_json:
        put({"simulation": plain})
        return
    projected = plain["projected_spending"]
    rows = [
        ("limit", _money(plain["original_budget"])),
        ("limit then", _money(plain["adjusted_budget"])),
        ("projected spending", _money(projected["value"])),
        ("left then", _money(plain["surplus"])),
    ]
    table((found.budget.name, "amount"), rows, right={1})
    if projected["gap"]:
        say(f"the projection lacks something: {projected['gap']}")


@budget.command("remove")
def remove_budget(which: Named, data: Data = None, as_json: AsJson = False) -> None:
    """Delete a budget.

    \b
    Example: finora budget remove Food
    """
    with refusals(as_json), books(data) as (finora, scope):
        found = _budget(finora, scope, which)
        finora.budgets.delete(scope, found.budget.id)
    _removed(found.budget.name, as_json)


@goals.callback()
def list_goals(
    context: typer.Context, today: Day = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Goals: what is saved for, and what there is of it.

    \b
    Example: finora goals --json
    """
    if context.invoked_subcommand is not None:
        return
    with refusals(as_json), books(data) as (finora, scope):
        found = _goals(finora, scope, today)
    _show_goals(found, as_json)


@goals.command("add")
def add_goal(
    name: str,
    target: str,
    share: Annotated[
        list[str] | None, typer.Option(help="ACCOUNT=PERCENT of what it holds; may be repeated.")
    ] = None,
    by: Day = None,
    currency: Currency = "EUR",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Save for something.

    \b
    Example: finora goals add Boat 9000 --share Savings=50 --by 2027-06-01
    """
    from finora_core.insights.goals.model import BadGoal, Share

    with refusals(as_json), books(data) as (finora, scope):
        shares = []
        for given in share or ():
            account, _, percent = given.rpartition("=")
            if not (account and percent.isascii() and percent.isdigit()):
                raise BadGoal(f"a share is ACCOUNT=PERCENT, not {given!r}")
            shares.append(Share(account_named(finora, scope, account).id, int(percent)))
        wanted = _amount(finora, scope, target, currency)
        day = by.date() if by else None
        made = finora.goals.create(scope, name, wanted, by=day, shares=shares)
    _show_goals([made], as_json)


@goals.command("remove")
def remove_goal(which: Named, data: Data = None, as_json: AsJson = False) -> None:
    """Delete a goal; no money moves.

    \b
    Example: finora goals remove Boat
    """
    from finora_core.insights.goals.model import GoalNotFound

    with refusals(as_json), books(data) as (finora, scope):
        named = [each.goal for each in _goals(finora, scope, None)
                 if which in (each.goal.name, str(each.goal.id))]  # fmt: skip
        if len(named) != 1:
            raise GoalNotFound(f"{len(named)} goals are called {which!r}")
        finora.goals.delete(scope, named[0].id)
    _removed(named[0].name, as_json)


def _amount(finora: "Finora", scope: "Scope", text: str, asset: str) -> "Amount":
    from finora import Amount

    return Amount.parse(text, finora.ledger.asset(scope, asset))


def _budgets(finora: "Finora", scope: "Scope", today: datetime | None) -> list["BudgetStatus"]:
    day = today.date() if today else None
    return list(finora.budgets.list(scope, limit=1000, today=day).items)


def _goals(finora: "Finora", scope: "Scope", today: datetime | None) -> list["GoalStatus"]:
    day = today.date() if today else None
    return list(finora.goals.list(scope, limit=1000, today=day).items)


def _budget(finora: "Finora", scope: "Scope", which: str) -> "BudgetStatus":
    from finora_core.insights.budgets.model import BudgetNotFound

    named = [each for each in _budgets(finora, scope, None)
             if which in (each.budget.name, str(each.budget.id))]  # fmt: skip
    if len(named) != 1:
        raise BudgetNotFound(f"{len(named)} budgets are called {which!r}")
    return named[0]


def _show_budgets(found: list["BudgetStatus"], as_json: bool) -> None:
    listed = [_budget_plain(each) for each in found]
    if as_json:
        put({"budgets": listed})
        return
    rows = [
        (each["name"], _money(each["spent"]["value"]), _money(each["available"]),
         _money(each["remaining"]), _percent(each["progress"]))
        for each in listed
    ]  # fmt: skip
    table(("budget", "spent", "of", "left", ""), rows, right={1, 2, 3, 4})
    for each in listed:
        if each["spent"]["gap"]:
            say(f"{each['name']}: {each['spent']['gap']}")


def _budget_plain(status: "BudgetStatus") -> dict[str, Any]:
    of, figures = status.budget, status.figures
    names = ("since", "until", "limit", "carried", "available", "spent", "remaining", "progress")
    plain: Any = to_plain(
        {name: getattr(of, name) for name in ("id", "name", "category", "period", "rollover")}
        | {name: getattr(figures, name) for name in names}
    )
    plain["spent"] = {"gap": None, **plain["spent"]}
    return dict(plain)


def _show_goals(found: list["GoalStatus"], as_json: bool) -> None:
    listed = [_goal_plain(each) for each in found]
    if as_json:
        put({"goals": listed})
        return
    rows = [
        (each["name"], _money(each["current"]["value"]), _money(each["target"]),
         _percent(each["progress"]), each["forecast"]["day"] or each["forecast"]["reason"])
        for each in listed
    ]  # fmt: skip
    table(("goal", "there", "of", "", "reached"), rows, right={1, 2, 3})
    for each in listed:
        if each["current"]["gap"]:
            say(f"{each['name']}: {each['current']['gap']}")


def _goal_plain(status: "GoalStatus") -> dict[str, Any]:
    plain: Any = to_plain(
        {name: getattr(status.goal, name) for name in ("id", "name", "target", "by")}
        | {name: getattr(status, name) for name in ("current", "progress", "shares", "in_time")}
    )
    plain["current"] = {"gap": None, **plain["current"]}
    forecast: Any = to_plain(status.forecast)
    plain["forecast"] = {"day": forecast.get("value"), "reason": forecast.get("reason")}
    return dict(plain)


def _removed(name: str, as_json: bool) -> None:
    if as_json:
        put({"removed": name})
    else:
        say(f"{name} is removed")


def _percent(basis_points: int | None) -> str:
    return "" if basis_points is None else f"{basis_points // 100} %"


def _money(amount: dict[str, str]) -> str:
    return f"{amount['amount']} {amount['asset']}"
