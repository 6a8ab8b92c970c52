"""What the commands share: the open books, the owner's scope, JSON out, refusals told."""

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NoReturn

import typer

from finora_core.kernel.errors import Refusal

if TYPE_CHECKING:
    from rich.console import Console

    from finora import Finora, Scope, Settings

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="Folder of the embedded servers, in place of FINORA_DATA."
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Machine-readable, in the shape of docs/cli.md.")
]


def settings_of(data: Path | None) -> "Settings":
    """The environment's settings, with `--data` over them."""
    from finora_adapters.settings import from_environment

    settings = from_environment()
    return settings if data is None else settings.model_copy(update={"data": data.absolute()})


@contextmanager
def books(data: Path | None) -> Iterator[tuple["Finora", "Scope"]]:
    """The open books and the scope of the machine owner's personal tenant."""
    from finora import Finora

    owner = login_name()
    with Finora.open(settings_of(data)) as finora:
        yield finora, finora.scope(tenant=f"personal:{owner}", user=owner)


def login_name() -> str:
    """Of the user the process runs as, whatever the environment says; the number where a container
    gave it no name."""
    try:
        import pwd
    except ImportError:  # Windows
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"


@contextmanager
def refusals(as_json: bool) -> Iterator[None]:
    """Tell a refusal and end with exit code 1."""
    try:
        yield
    except Refusal as refusal:
        tell(refusal.code, refusal.message, refusal.details, as_json)


@contextmanager
def opened(file: Path, as_json: bool) -> Iterator[BinaryIO]:
    """A file that was named, to be read. One that cannot be is told as a refusal is."""
    try:
        with file.open("rb") as content:
            yield content
    except OSError as error:
        tell("FILE_UNREADABLE", f"{file}: {error.strerror}", (), as_json)


def tell(code: str, message: str, details: tuple[tuple[str, str], ...], as_json: bool) -> NoReturn:
    if as_json:
        listed = [{"path": path, "msg": said} for path, said in details]
        put({"error": {"code": code, "message": message, "details": listed}})
    else:
        say(f"{code}: {message}", err=True)
        for path, said in details:
            say(f"  {path}: {said}", err=True)
    raise typer.Exit(1)


def put(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def say(text: str, *, err: bool = False) -> None:
    """Lines for people, on standard output or standard error."""
    typer.echo(clean(text, "\n"), err=err)


def clean(text: str, kept: str = "") -> str:
    """What a file says must not steer the terminal that shows it: no escapes, no controls."""
    return "".join(
        character if character.isprintable() or character in kept else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def cell(value: object) -> str:
    """A value as rich shows it: no markup, no controls."""
    from rich.markup import escape

    return escape(clean(str(value)))


def screen(*, err: bool = False) -> "Console":
    """Standard output (or error) for people: as wide as the terminal, or 80 where there is none."""
    from rich.console import Console

    console = Console(highlight=False, stderr=err)
    return console if console.is_terminal else Console(highlight=False, stderr=err, width=80)
