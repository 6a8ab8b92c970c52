"""`finora mail`: whether letters arrive."""

from typing import Annotated

import typer

from finora.commands.common import AsJson, Data, put, refusals, say, settings_of

mail = typer.Typer(help="Letters to people.", no_args_is_help=True)


@mail.callback()
def group() -> None:
    """One command is a group of one, not the group itself."""


@mail.command("test")
def try_mail(
    address: Annotated[str, typer.Argument(help="Where to.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Send one letter, and say by which way it went.

    \b
    Example: finora mail test ada@example.com
    """
    from finora_adapters.compose import letters_of, mailer_of
    from finora_core.kernel.ids import new_id
    from finora_core.mail.model import Letter

    with refusals(as_json):
        settings = settings_of(data)
        mailer = mailer_of(settings)
        letter = Letter(kind="test", to=address, values={"way": mailer.way}, about=new_id())
        message = letters_of(settings).write(letter)
        mailer.send(message)
    told = {"to": message.to.text, "way": mailer.way, "message_id": message.message_id}
    if as_json:
        put(told)
    else:
        say(f"sent to {told['to']} by {told['way']}")
