"""The figures of goals."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

import attrs

from finora_core.insights.conversion import table_of
from finora_core.insights.goals.model import (
    TRAILING,
    Goal,
    GoalReached,
    GoalShare,
    GoalStatus,
    Grown,
    forecast_of,
    promised_of,
    shared_out,
)
from finora_core.insights.goals.ports import GoalsWork
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.outcome import Partial
from finora_core.market.rates.model import RateTable, Sum


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
    amounts = [Amount(units, each) for of in held.values() for each, units in of.items()]
    amounts += [each.amount for each in grown]
    targets = {goal.target.asset for goal in goals}
    tables = {asset: table_of(work.rates, amounts, asset, [today]) for asset in targets}
    found = []
    for goal in goals:
        asset = goal.target.asset
        rates = tables[asset]
        sums = [_sum(goal, share.account_id, promised, held, rates, today) for share in goal.shares]
        shares = tuple(
            _share(goal, share.account_id, promised, one)
            for share, one in zip(goal.shares, sums, strict=True)
        )
        missing = tuple(dict.fromkeys(each for one in sums for each in one.missing))
        current = Sum(sum((one.total for one in sums), Amount(0, asset)), (), missing)
        starts = [began[each.account_id] for each in goal.shares if each.account_id in began]
        history = today - min(starts) if starts else None
        status = GoalStatus(
            goal=goal,
            current=current.outcome,
            shares=shares,
            forecast=forecast_of(
                goal.target - current.total,
                goal.shares,
                [_in_asset(each, asset, rates, today) for each in grown],
                history,
                today,
                lacking=bool(missing),
            ),
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


def _sum(
    goal: Goal,
    account: UUID,
    promised: Mapping[UUID, Mapping[UUID, int]],
    held: Mapping[UUID, Mapping[Asset, int]],
    rates: RateTable,
    today: date,
) -> Sum:
    """What an account gives to a goal, in its asset: each asset is shared out, and converted."""
    amounts = [
        Amount(shared_out(units, promised[account])[goal.id], asset)
        for asset, units in sorted(held[account].items(), key=lambda item: item[0].id)
    ]
    return rates.sum(amounts, goal.target.asset, today)


def _in_asset(grown: Grown, asset: Asset, rates: RateTable, today: date) -> Grown:
    """As it is, where there is no rate: then there is no forecast."""
    amount = rates.convert(grown.amount, asset, today)
    return attrs.evolve(grown, amount=amount) if isinstance(amount, Amount) else grown


def _share(
    goal: Goal, account: UUID, promised: Mapping[UUID, Mapping[UUID, int]], given: Sum
) -> GoalShare:
    percents = promised[account]
    return GoalShare(
        account_id=account,
        percent=percents[goal.id],
        amount=given.total,
        promised=sum(percents.values()),
        gap=given.outcome.gap if isinstance(given.outcome, Partial) else None,
    )


def status_of(found: Sequence[GoalStatus], goal_id: UUID) -> GoalStatus:
    return next(each for each in found if each.goal.id == goal_id)
