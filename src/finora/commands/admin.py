"""`finora admin`: people, by who runs the installation."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finora.commands.common import AsJson, Data, books, put, refusals, say

if TYPE_CHECKING:
    from finora_core.identity.admin.service import PeopleOperator
    from finora_core.identity.people.model import Listing, Person

admin = typer.Typer(
    no_args_is_help=True,
    help="People and their roles. Administrators are made here and nowhere else.",
)
Email = Annotated[str, typer.Argument(help="Address that the person signed up with.")]
Roles = Annotated[
    list[str], typer.Argument(help="admin, resolver, guard, buyer, seller; one or more.")
]


@admin.command("list")
def list_people(
    words: Annotated[
        str, typer.Option("--words", help="Look for this in names and addresses.")
    ] = "",
    everybody: Annotated[
        bool, typer.Option("--all", help="Also those without a role on the platform.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List who has a role on the platform, oldest first.

    \b
    Example: finora admin list --all --words example.org
    """
    with refusals(as_json), books(data) as (finora, _):
        found = [each for each in finora.operator.list(words) if each.roles or everybody]
    if as_json:
        put({"people": [_listed(each) for each in found]})
        return
    for each in found:
        roles = ", ".join(each.roles) or "no role"
        banned = ", banned" if each.banned_at else ""
        say(f"{each.email or each.user_id} ({each.name}): {roles}{banned}")


@admin.command("grant")
def grant(email: Email, roles: Roles, data: Data = None, as_json: AsJson = False) -> None:
    """Give somebody roles on the platform.

    \b
    Example: finora admin grant ada@example.org admin
    """
    _act(lambda people: people.grant(email, roles), email, data, as_json)


@admin.command("revoke")
def revoke(email: Email, roles: Roles, data: Data = None, as_json: AsJson = False) -> None:
    """Take roles from somebody; what the person does next, is done without them.

    \b
    Example: finora admin revoke ada@example.org admin guard
    """
    _act(lambda people: people.revoke(email, roles), email, data, as_json)


@admin.command("unlock")
def unlock(email: Email, data: Data = None, as_json: AsJson = False) -> None:
    """Forget the wrong guesses that locked an account.

    \b
    Example: finora admin unlock ada@example.org
    """
    _act(lambda people: people.unlock(email), email, data, as_json)


@admin.command("ban")
def ban(email: Email, data: Data = None, as_json: AsJson = False) -> None:
    """Close an account: all its sessions and tokens end.

    \b
    Example: finora admin ban ada@example.org
    """
    _act(lambda people: people.ban(email), email, data, as_json)


@admin.command("unban")
def unban(email: Email, data: Data = None, as_json: AsJson = False) -> None:
    """Open an account again.

    \b
    Example: finora admin unban ada@example.org
    """
    _act(lambda people: people.unban(email), email, data, as_json)


@admin.command("create")
def create(
    email: Annotated[str, typer.Argument(help="Address of the new person.")],
    name: Annotated[str, typer.Option("--name", help="What the person is called.")] = "",
    role: Annotated[
        list[str] | None, typer.Option("--role", help="A role on the platform; may be repeated.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a person, and print a link to set a password with.

    The link is good once, and for an hour; after that the person asks for
    another one on the page.

    \b
    Example: finora admin create ada@example.org --role admin
    """
    with refusals(as_json), books(data) as (finora, _):
        made, link = finora.operator.create(email, name, role or [])
    if as_json:
        put(_listed(made) | {"link": link})
    else:
        say(link)


def _act(act: "Callable[[PeopleOperator], Person]", email: str, data: Data, as_json: bool) -> None:
    with refusals(as_json), books(data) as (finora, _):
        person = act(finora.operator)
    told = {
        "user_id": str(person.user_id),
        "roles": list(person.roles),
        "banned": person.banned_at is not None,
    }
    if as_json:
        put(told)
    else:
        banned = ", banned" if person.banned_at else ""
        say(f"{email}: {', '.join(person.roles) or 'no role'}{banned}")


def _listed(each: "Listing") -> dict[str, Any]:
    return {
        "user_id": str(each.user_id),
        "email": each.email,
        "name": each.name,
        "roles": list(each.roles),
        "banned": each.banned_at is not None,
    }
