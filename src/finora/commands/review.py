"""`finora review`: what waits for a person's word, and saying it."""

from typing import Annotated, Any
from uuid import UUID

import typer

from finora.commands.books import table
from finora.commands.common import AsJson, Data, books, put, refusals, say


def review(
    approve: Annotated[
        list[UUID] | None, typer.Option(metavar="ID", help="Approve what is suggested for it.")
    ] = None,
    override: Annotated[
        UUID | None, typer.Option(metavar="ID", help="Give it the category of --category.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="For --override.")] = None,
    note: Annotated[str | None, typer.Option(help="Kept with --override.")] = None,
    rule: Annotated[
        bool, typer.Option("--rule", help="With --override: make it a rule for the merchant.")
    ] = False,
    take_back: Annotated[
        UUID | None, typer.Option(metavar="ID", help="Undo what you decided about it last.")
    ] = None,
    again: Annotated[
        bool, typer.Option(help="Look again at every record that no person decided about.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="With --again: change nothing.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many to list.")] = 20,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List the records that wait for a person, the least certain first; approve or override them.

    Records that were imported and not looked at yet are processed first.

    \b
    Example: finora review
             finora review --approve 0197... --approve 0198...
             finora review --override 0197... --category Household:Rent
             finora review --take-back 0197...
    """
    if (override is None) != (category is None):
        raise typer.BadParameter("--override and --category go together")
    with refusals(as_json), books(data) as (finora, scope):
        finora.run_jobs()
        for record_id in approve or ():
            finora.review.approve(scope, record_id)
        if override is not None:
            finora.review.override(scope, override, category or "", note=note, make_rule=rule)
        if take_back is not None:
            finora.review.take_back(scope, take_back)
        told: dict[str, Any] = {}
        if again:
            _, job_id = finora.pipeline.reprocess(scope, dry_run=dry_run)
            finora.run_jobs()
            told = dict(finora.jobs.get(scope, job_id).result or {})
        page = finora.review.queue(scope, limit=limit)
    if as_json:
        waiting = [_plain(record) for record in page.items]
        put({"waiting": waiting, "more": page.next is not None, "again": told or None})
        return
    if told:
        said = "would change" if dry_run else "changed"
        say(f"{told['examined']} records looked at again, {told['changed']} {said}")
    if not page.items:
        say("nothing waits for you")
        return
    rows = [
        (
            str(record.id),
            record.on_date.isoformat(),
            record.amount.text,
            record.counterparty or record.description,
            record.suggested,
            f"{(record.confidence or 0) // 100} %",
        )
        for record in page.items
    ]
    table(("id", "date", "amount", "what", "suggested", "sure"), rows, right={2, 5})
    if page.next is not None:
        say("there are more: --limit")


def _plain(record: Any) -> dict[str, Any]:
    return {
        "id": str(record.id),
        "date": record.on_date.isoformat(),
        "amount": record.amount.text,
        "asset": record.amount.asset.id,
        "account": record.account,
        "description": record.description,
        "counterparty": record.counterparty,
        "suggested": record.suggested,
        "confidence": record.confidence,
        "decisions": record.decisions,
    }
