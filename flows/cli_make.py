"""The commands that make films: preview and produce. Thin, like `cli`."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from flows import cli_shown, commands
from flows.cli_words import (
    AllVariants,
    FilmPath,
    JsonFlag,
    Only,
    OutFolder,
    QuietFlag,
    Sets,
    StoreFolder,
    VariantName,
    named,
    print_json,
    variables,
)
from flows.farm.names import Urgency
from flows.progress import Progress, RichProgress
from flows.settings import read_settings
from media.errors import UsageError

if TYPE_CHECKING:
    from flows.farm.order import OrderedFilm

__all__ = ["register"]

Clean = Annotated[bool, typer.Option("--clean", help="Leave the slate out of the picture.")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, max=256, help="Shots at a time; default cores.")
]
Local = Annotated[
    bool, typer.Option("--local", help="Run in this process, unrecorded, even with a server.")
]
OnFarm = Annotated[
    bool, typer.Option("--farm", help="Have the farm make it (takeboard up), and follow it.")
]
Detach = Annotated[
    bool, typer.Option("--detach", help="With --farm: return as soon as it is asked for.")
]

_out = Console(emoji=False)
_err = Console(stderr=True, emoji=False)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(preview)
    app.command()(produce)


def preview(
    film: FilmPath,
    sets: Sets = None,
    variant: VariantName = None,
    out: OutFolder = None,
    store: StoreFolder = None,
    clean: Clean = False,
    jobs: Jobs = None,
    local: Local = False,
    farm: OnFarm = False,
    detach: Detach = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Draw the whole film small and fast as an animatic, whatever backends it asks for."""
    choice = commands.Choice(
        film,
        variables(sets),
        variant=variant,
        out=out,
        store=store,
        clean=clean,
        jobs=jobs,
        local=local,
        farm=farm,
        preview=True,
    )
    _make(choice, detach=detach, as_json=as_json, quiet=quiet)


def produce(
    film: FilmPath,
    sets: Sets = None,
    variant: VariantName = None,
    all_variants: AllVariants = False,
    out: OutFolder = None,
    store: StoreFolder = None,
    only: Only = None,
    clean: Clean = False,
    jobs: Jobs = None,
    local: Local = False,
    farm: OnFarm = False,
    detach: Detach = False,
    urgency: Annotated[Urgency, typer.Option(help="With --farm: the queue.")] = "normal",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Render what is missing and cut the finished film."""
    choice = commands.Choice(
        film, variables(sets), variant=variant, all_variants=all_variants, out=out, store=store,
        only=named(only), clean=clean, jobs=jobs, local=local, farm=farm, urgency=urgency,
    )  # fmt: skip
    _make(choice, detach=detach, as_json=as_json, quiet=quiet)


def _make(choice: commands.Choice, *, detach: bool, as_json: bool, quiet: bool) -> None:
    if (detach or choice.urgency != "normal") and not choice.farm:
        raise UsageError("--detach and --urgency are for films that the farm makes: add --farm")
    if choice.farm and choice.local:
        raise UsageError("expected one of --farm and --local, got both")
    if choice.variant and choice.all_variants:
        raise UsageError("expected one of --variant and --all-variants, got both")
    settings = read_settings()
    stop = Event()
    progress = Progress() if quiet or as_json else RichProgress(_err)
    with _stopped_by_signals(stop, progress), progress:
        if choice.farm:
            ordered = commands.order(choice, progress, stop, detach=detach)
            _tell_ordered(ordered, as_json=as_json, quiet=quiet)
            return
        made = commands.make(choice, settings, progress, stop)
    if as_json:
        print_json([cli_shown.made_facts(film) for film in made])
    elif not quiet:
        for film in made:
            cli_shown.print_made(film, _out)
        if not settings.server_url and not choice.local:
            _out.print(commands.HOW_TO_WATCH, style="dim", highlight=False, soft_wrap=True)


def _tell_ordered(ordered: Sequence[OrderedFilm], *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json([cli_shown.ordered_facts(film) for film in ordered])
    elif not quiet:
        for film in ordered:
            cli_shown.print_ordered(film, _out)


@contextmanager
def _stopped_by_signals(stop: Event, progress: Progress) -> Iterator[None]:
    """Ctrl-C or SIGTERM: stop at the next step. A second one: stop now."""

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        progress.note("stopping at the next step; press Ctrl-C again to stop now")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
