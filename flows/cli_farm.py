"""The commands of the farm's machines: up, down, worker. Thin, like `cli`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import typer

from media.errors import without_login

__all__ = ["register"]

Roots = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Folder in which storyboards, films and stores may be; repeatable. "
        "Default $TAKEBOARD_ROOTS, else the current folder.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(up)
    app.command()(down)
    app.command()(worker)


def up(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 4200,
    database: Annotated[
        str,
        typer.Option(
            metavar="URL",
            show_default="SQLite in the farm's home",
            help="Where the server keeps runs.",
        ),
    ] = "",
    root: Roots = None,
    gpus: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="GPUs to work with: all, none, or such as 0,2."),
    ] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Only the server.")] = False,
) -> None:
    """Start the farm on this machine: server, UI, deployments, a warm worker per GPU."""
    from flows.farm.roots import chosen_roots
    from flows.farm.server import Listening
    from flows.farm.up import UpOptions
    from flows.farm.up import up as run

    listening = Listening(host, port)
    roots = chosen_roots(root)
    run(UpOptions(listening, roots, database, gpus, workers=not no_worker), _say)


def down() -> None:
    """End what `takeboard up` started on this machine."""
    from flows.farm.down import down as run

    _say(run())


def worker(
    pool: Annotated[Literal["gpu", "cpu"], typer.Option(help="Which work to take.")],
    name: Annotated[
        str, typer.Option(help="Its name, on no other worker.", show_default="by machine and pool")
    ] = "",
    store: Annotated[
        str, typer.Option(metavar="STORE", help="Where takes are; default $TAKEBOARD_STORE.")
    ] = "",
    root: Roots = None,
) -> None:
    """Work for a farm in the foreground: takes on a GPU, or films on the CPU."""
    import asyncio

    from flows.farm.crew import SERVES, gpus_of_crew, tend_crew
    from flows.farm.environment import WITH_UP, connect_to_farm
    from flows.farm.follow import end_with_parent
    from flows.farm.names import CPU_POOL
    from flows.farm.roots import chosen_roots

    tended = bool(os.environ.pop(WITH_UP, ""))
    if tended:
        end_with_parent(after_s=0.0, within_s=60.0)
    os.environ["TAKEBOARD_ROOTS"] = os.pathsep.join(map(str, chosen_roots(root)))
    if store:
        os.environ["TAKEBOARD_STORE"] = store
    url = connect_to_farm()
    if not (tended or name) and (crew := gpus_of_crew(pool)):
        tend_crew(crew, _say)
        return

    from flows.farm.furnish import furnish
    from flows.farm.run_worker import run_worker, worker_name

    if pool == CPU_POOL and not tended:
        furnish(url)
    chosen = name or worker_name(pool)

    def told() -> None:
        _say(f"{chosen} {SERVES} {pool} of {without_login(url)}; Ctrl-C ends it")

    asyncio.run(run_worker(pool, chosen, on_start=told))


def _say(line: str) -> None:
    # A farm goes on, and ends in order, when the terminal that it was started in has gone.
    with suppress(OSError):
        print(line, flush=True)
