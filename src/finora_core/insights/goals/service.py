"""What people do with goals."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import attrs

from finora_core.insights.goals.figures import status_of, statuses
from finora_core.insights.goals.model import (
    MOST_GOALS,
    BadGoal,
    Goal,
    GoalChanged,
    GoalNotFound,
    GoalStatus,
    Share,
    TooManyGoals,
)
from finora_core.insights.goals.ports import GoalsWork
from finora_core.insights.model import paged
from finora_core.kernel.amount import Amount
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import DEFAULT_LIMIT, Page
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.ledger.model import AccountKind

OWN = (AccountKind.ASSET, AccountKind.LIABILITY)


@attrs.frozen
class GoalService:
    begin: Begin[GoalsWork]

    @retried
    def create(
        self,
        scope: Scope,
        name: str,
        target: Amount,
        *,
        by: date | None = None,
        shares: Sequence[Share] = (),
        today: date | None = None,
    ) -> GoalStatus:
        """Raises BadGoal, AccountNotFound, TooManyGoals."""
        with self.begin(scope) as work:
            goal = Goal(
                id=new_id(),
                name=name,
                target=target,
                by=by,
                shares=tuple(shares),
                created_by=scope.user_id,
                created_at=work.now,
            )
            work.assets.get(target.asset.id)
            _check_own(work, goal)
            work.goals.lock()
            if len(work.goals.all()) >= MOST_GOALS:
                raise TooManyGoals(f"there are {MOST_GOALS} goals already")
            work.goals.add(goal)
            work.events.record(GoalChanged(goal_id=goal.id, what="created", target=target))
            return work.done(status_of(statuses(work, today or work.now.date()), goal.id))

    @retried
    def change(
        self, scope: Scope, goal_id: UUID, *, today: date | None = None, **given: Any
    ) -> GoalStatus:
        """`name`, `target`, `by` (None: no day) and `shares`; what is not given stays. Raises
        GoalNotFound, BadGoal, AccountNotFound."""
        with self.begin(scope) as work:
            old = work.goals.get(goal_id, lock=True)
            new: Goal = attrs.evolve(old, **given)
            if new.target.asset != old.target.asset:
                raise BadGoal(f"this goal is in {old.target.asset}")
            if new != old:
                _check_own(work, new)
                work.goals.save(new)
                changed = GoalChanged(goal_id=goal_id, what="changed", target=new.target)
                work.events.record(changed)
            return work.done(status_of(statuses(work, today or work.now.date()), goal_id))

    @retried
    def delete(self, scope: Scope, goal_id: UUID) -> None:
        """Raises GoalNotFound."""
        with self.begin(scope) as work:
            old = work.goals.get(goal_id, lock=True)
            work.goals.delete(goal_id)
            work.events.record(GoalChanged(goal_id=goal_id, what="deleted", target=old.target))
            work.done(None)

    def get(self, scope: Scope, goal_id: UUID, *, today: date | None = None) -> GoalStatus:
        """Raises GoalNotFound."""
        with self.begin(scope) as work:
            for status in statuses(work, today or work.now.date()):
                if status.goal.id == goal_id:
                    return status
        raise GoalNotFound(f"no goal {goal_id}")

    def list(
        self,
        scope: Scope,
        *,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
        today: date | None = None,
    ) -> Page[GoalStatus]:
        """Goals by name, each with what there is of it."""
        with self.begin(scope) as work:
            found = statuses(work, today or work.now.date())
        return paged(found, lambda each: (each.goal.name, each.goal.id), cursor, limit)


def _check_own(work: GoalsWork, goal: Goal) -> None:
    for share in goal.shares:
        account = work.accounts.get(share.account_id)
        if account.kind not in OWN:
            raise BadGoal(f"{account.name} is no account of one's own")
