"""Commands that run processes, and those that let them be used."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.request import urlopen

import typer

from finora.commands.common import AsJson, Data, books, put, refusals, say, settings_of

Port = Annotated[
    int | None, typer.Option("--port", help="Port of the API, in place of FINORA_HTTP_PORT.")
]


def serve(
    data: Data = None,
    port: Port = None,
    with_workers: Annotated[
        bool, typer.Option("--with-workers", help="Run a worker beside it.")
    ] = False,
) -> None:
    """Serve the API and the pages, with gunicorn.

    Example: finora serve --port 4000
    """
    from finora.processes import Child, supervise
    from finora_web.server import serve as run

    with refusals(False):
        settings = settings_of(data)
        if port is not None:
            settings = settings.model_copy(update={"http_port": port})
        if with_workers:
            at = ["--port", str(settings.http_port)]
            supervise(settings, [Child("api", ["serve", *at]), Child("worker", ["worker", *at])])
        else:
            run(settings)


def worker(
    data: Data = None,
    port: Port = None,
    queues: Annotated[
        str | None,
        typer.Option("--queues", help="name=size,name=size in place of FINORA_QUEUES."),
    ] = None,
) -> None:
    """Run jobs, keep schedules, announce and seal.

    Example: finora worker --queues records:ingest=4
    """
    from finora_adapters.settings import Settings
    from finora_worker.main import run

    with refusals(False):
        settings = settings_of(data)
        if queues is not None:
            settings = Settings(**{**dict(settings), "queues": queues})
        if port is not None:
            # Letters have links to the pages in them.
            settings = settings.model_copy(update={"http_port": port})
        run(settings)


def up(data: Data = None, port: Port = None) -> None:
    """Everything on this machine: database, queue, API with the dashboard, and a worker.

    Ends with Ctrl-C. Prints the address with a token that opens the dashboard.

    Example: finora up
    """
    from finora.processes import Child, supervise

    with refusals(False):
        settings = settings_of(data)
        if port is not None:
            settings = settings.model_copy(update={"http_port": port})
        with books(settings.data) as (finora, scope):
            ends = datetime.now(UTC) + timedelta(days=1)
            made = finora.tokens.create(scope, "dashboard, opened by finora up", expires_at=ends)
        address = f"http://{settings.http_host}:{settings.http_port}"
        told = f"Finora: {address}/?token={made.text}\nAPI:    {address}/docs\nEnd it with Ctrl-C."
        threading.Thread(target=_say_when_live, args=(address, told), daemon=True).start()
        at = ["--port", str(settings.http_port)]
        supervise(settings, [Child("api", ["serve", *at]), Child("worker", ["worker", *at])])


def _say_when_live(address: str, text: str) -> None:
    """Tell the address once something answers there."""
    for _ in range(600):
        try:
            with urlopen(f"{address}/live", timeout=1):
                break
        except OSError:
            time.sleep(0.1)
    say(text)


token = typer.Typer(help="Tokens, with which programs use the API.", no_args_is_help=True)


@token.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=3650, help="Days until it ends.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Of this tenant, by the host's name for it.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", help="For this user, by the host's name.")
    ] = None,
    may: Annotated[
        list[str] | None,
        typer.Option(
            "--may", help="What it may; may be repeated. Unset: all but books:export and data:ask."
        ),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and show it, this once.

    Example: finora token create "my script" --days 90
    """
    with refusals(as_json), books(data) as (finora, scope):
        if tenant is not None or user is not None:
            if tenant is None or user is None:
                raise typer.BadParameter("--tenant and --user go together")
            scope = finora.scope(tenant=tenant, user=user)
        ends = None if days is None else datetime.now(UTC) + timedelta(days=days)
        given = None if not may else frozenset(may)
        made = finora.tokens.create(scope, name, expires_at=ends, permissions=given)
        if as_json:
            put({"id": str(made.token.id), "text": made.text})
        else:
            say(made.text)


@token.command("list")
def list_tokens(data: Data = None, as_json: AsJson = False) -> None:
    """The tokens of the machine owner's tenant.

    Example: finora token list
    """
    with refusals(as_json), books(data) as (finora, scope):
        found = [
            {
                "id": str(each.id),
                "name": each.name,
                "created_at": each.created_at and each.created_at.isoformat(),
                "expires_at": each.expires_at and each.expires_at.isoformat(),
                "revoked_at": each.revoked_at and each.revoked_at.isoformat(),
            }
            for each in finora.tokens.list(scope)
        ]
        if as_json:
            put(found)
        for each in [] if as_json else found:
            state = "revoked" if each["revoked_at"] else f"until {each['expires_at'] or 'revoked'}"
            say(f"{each['id']}  {state}  {each['name']}")


@token.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(help="Its id, as `token list` shows it.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Let a token prove nothing from now on.

    Example: finora token revoke 01a1fcea-2975-79f6-8951-17db3f6ce9dd
    """
    from uuid import UUID

    with refusals(as_json), books(data) as (finora, scope):
        try:
            wanted = UUID(token_id)
        except ValueError:
            raise typer.BadParameter("this is not an id") from None
        gone = finora.tokens.revoke(scope, wanted)
        if as_json:
            put({"id": str(gone.id)})
        else:
            say(f"revoked {gone.name}")


queue = typer.Typer(help="Queues of jobs.", no_args_is_help=True)


@queue.command("list")
def list_queues(data: Data = None, as_json: AsJson = False) -> None:
    """What waits, runs and is dead in each queue.

    Example: finora queue list
    """
    with refusals(as_json), books(data) as (finora, _):
        found = [
            {
                "queue": each.queue,
                "paused": each.paused,
                "waiting": each.waiting,
                "running": each.running,
                "dead": each.dead,
                "oldest_s": round(each.oldest_s, 1),
            }
            for each in finora.queue.status()
        ]
        if as_json:
            put(found)
        for each in [] if as_json else found:
            paused = "paused" if each["paused"] else ""
            say(
                f"{each['queue']:20} waiting {each['waiting']:6}  running {each['running']:4}  "
                f"dead {each['dead']:4}  oldest {each['oldest_s']:8} s  {paused}"
            )


QueueName = Annotated[str, typer.Argument(help="The queue's name.")]


@queue.command("pause")
def pause_queue(name: QueueName, data: Data = None, as_json: AsJson = False) -> None:
    """Let no job of the queue start; those that run go on.

    Example: finora queue pause records:ingest
    """
    with refusals(as_json), books(data) as (finora, _):
        finora.queue.pause(name)
        put({"queue": name, "paused": True}) if as_json else say(f"{name} is paused")


@queue.command("resume")
def resume_queue(name: QueueName, data: Data = None, as_json: AsJson = False) -> None:
    """Let the queue's jobs start again.

    Example: finora queue resume records:ingest
    """
    with refusals(as_json), books(data) as (finora, _):
        finora.queue.resume(name)
        put({"queue": name, "paused": False}) if as_json else say(f"{name} runs")
