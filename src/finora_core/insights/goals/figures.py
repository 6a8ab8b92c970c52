"""The figures of goals."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from finora_core.insights.goals.model import (
    TRAILING,
    Goal,
    GoalReached,
    GoalShare,
    GoalStatus,
    forecast_of,
    promised_of,
    shared_out,
)
from finora_core.insights.goals.ports import GoalsWork
from finora_core.insights.model import without_rates
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset


def statuses(work: GoalsWork, today: date) -> list[GoalStatus]:
    """Of all goals: what an account gives to one depends on what it promises to the others."""
    goals = work.goals.all()
    promised = promised_of(goals)
    held: dict[UUID, dict[Asset, int]] = {account: {} for account in promised}
    for balance in work.accounts.balances() if promised else ():
        if balance.account.id in held and balance.amount:
            held[balance.account.id][balance.amount.asset] = balance.amount.units
    accounts = sorted(promised)
    grown = work.goals.grown(accounts, today - TRAILING, today) if accounts else ()
    began = work.goals.began(accounts) if accounts else {}
    found = []
    for goal in goals:
        shares = tuple(_share(goal, share.account_id, promised, held) for share in goal.shares)
        current = sum((share.amount for share in shares), Amount(0, goal.target.asset))
        others = (
            asset.id
            for share in goal.shares
            for asset in held[share.account_id]
            if asset != goal.target.asset
        )
        starts = [began[each.account_id] for each in goal.shares if each.account_id in began]
        history = today - min(starts) if starts else None
        status = GoalStatus(
            goal=goal,
            current=without_rates(current, others),
            shares=shares,
            forecast=forecast_of(goal.target - current, goal.shares, grown, history, today),
        )
        found.append(status)
    return found


def reach_goals(work: GoalsWork, today: date) -> int:
    """Tell of each goal that is reached, once, whoever else looks at this moment."""
    reached = 0
    for status in statuses(work, today):
        goal = status.goal
        if goal.reached_at is None and status.reached and work.goals.reach(goal.id):
            reached += 1
            current = status.current.value
            told = GoalReached(goal_id=goal.id, user_id=goal.created_by, current=current)
            work.events.record(told)
    return reached


def _share(
    goal: Goal,
    account: UUID,
    promised: Mapping[UUID, Mapping[UUID, int]],
    held: Mapping[UUID, Mapping[Asset, int]],
) -> GoalShare:
    percents, asset = promised[account], goal.target.asset
    units = shared_out(held[account].get(asset, 0), percents)[goal.id]
    return GoalShare(
        account_id=account,
        percent=percents[goal.id],
        amount=Amount(units, asset),
        promised=sum(percents.values()),
    )


def status_of(found: Sequence[GoalStatus], goal_id: UUID) -> GoalStatus:
    return next(each for each in found if each.goal.id == goal_id)
