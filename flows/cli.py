"""The command line. Thin: it reads words, calls `flows`, shows what came back, and exits.

Exit codes: 0 done, 1 unexpected, 2 wrong storyboard or usage, 3 over budget, 4 a shot could not
be rendered, 5 media or ffmpeg, 6 take store, 7 waiting for approval, 130 cancelled
(docs/commands.md).
"""

from __future__ import annotations

import gc as garbage
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from flows import cli_farm, cli_review, cli_schedule, commands
from flows.farm.names import Urgency
from flows.progress import Progress, RichProgress
from flows.settings import read_settings
from media.errors import TakeboardError, UsageError
from media.shared_store import local_root

if TYPE_CHECKING:
    from flows.farm.order import OrderedFilm

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

FilmPath = Annotated[Path, typer.Argument(metavar="FILM", help="The storyboard, a YAML file.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Give a variable a value; repeatable."),
]
VariantName = Annotated[
    str | None, typer.Option("--variant", metavar="NAME", help="A row of the variants table.")
]
AllVariants = Annotated[
    bool, typer.Option("--all-variants", help="One film for every row of the variants table.")
]
StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="STORE",
        parser=local_root,
        help="Where takes are, a folder or s3://BUCKET/PREFIX; default .takeboard beside FILM.",
    ),
]
OutFolder = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Where films go; default deliveries/CODE by FILM."),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="SHOT", help="Render just this shot; repeatable. No cut."),
]
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


def _print_version(asked: bool) -> None:
    if asked:
        _out.print(f"takeboard {commands.version()}", highlight=False)
        raise typer.Exit


@app.callback()
def takeboard(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """A render farm and cutting room for AI shots: one storyboard becomes a finished film."""


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="Folder to make; must not exist yet.")],
    template: Annotated[str, typer.Option(help="film, ad or music_video.")] = "film",
    title: Annotated[str, typer.Option(help="Title of the film.")] = "Untitled",
    code: Annotated[str, typer.Option(help="Short code for file names.")] = "FILM",
) -> None:
    """Start a storyboard from a template."""
    path = commands.new(folder, template, title=title, code=code)
    _out.print(f"Wrote [bold]{path}[/]. Next: takeboard preview {path}", soft_wrap=True)


@app.command()
def check(
    film: FilmPath, sets: Sets = None, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Check a storyboard: every mistake at once, nothing written."""
    facts = commands.check(film, _variables(sets))
    if as_json:
        _print_json(facts)
    elif not quiet:
        _out.print(commands.check_line(facts), highlight=False, soft_wrap=True)


@app.command()
def plan(
    film: FilmPath,
    sets: Sets = None,
    variant: VariantName = None,
    store: StoreFolder = None,
    only: Only = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Show what would be rendered, what it costs, what is stale and why, and what is lost."""
    choice = commands.Choice(
        film, _variables(sets), variant=variant, store=store, only=_names(only)
    )
    planned = commands.plan(choice, read_settings())
    if as_json:
        _print_json(commands.plan_facts(planned))
    elif not quiet:
        commands.print_plan(planned, _out)


@app.command()
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
        _variables(sets),
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


@app.command()
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
        film, _variables(sets), variant=variant, all_variants=all_variants, out=out, store=store,
        only=_names(only), clean=clean, jobs=jobs, local=local, farm=farm, urgency=urgency,
    )  # fmt: skip
    _make(choice, detach=detach, as_json=as_json, quiet=quiet)


@app.command()
def pick(
    film: FilmPath,
    shot: Annotated[str, typer.Argument(metavar="SHOT", help="Such as sc010/sh0020.")],
    take: Annotated[int, typer.Argument(metavar="TAKE", min=1, help="Number of the take.")],
    sets: Sets = None,
    variant: VariantName = None,
    store: StoreFolder = None,
    quiet: QuietFlag = False,
) -> None:
    """Choose the take of a shot that the film uses."""
    choice = commands.Choice(film, _variables(sets), variant=variant, store=store)
    line = commands.pick(choice, shot, take, read_settings())
    if not quiet:
        _out.print(line, highlight=False, soft_wrap=True)


@app.command()
def report(film: FilmPath, out: OutFolder = None, variant: VariantName = None) -> None:
    """Print the path of the report of the film made last."""
    choice = commands.Choice(film, {}, variant=variant, out=out)
    _out.print(str(commands.report(choice)), highlight=False, soft_wrap=True)


@app.command()
def gc(
    film: FilmPath,
    sets: Sets = None,
    store: StoreFolder = None,
    run: Annotated[bool, typer.Option("--run", help="Delete; without it, only show.")] = False,
    older_than: Annotated[
        int, typer.Option("--older-than", metavar="DAYS", min=0, help="Spare what was used since.")
    ] = 14,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Delete takes, sounds and segments that the film no longer uses. Shows first."""
    choice = commands.Choice(film, _variables(sets), store=store)
    facts = commands.gc(choice, read_settings(), older_than_days=older_than, run=run)
    if as_json:
        _print_json(facts)
    elif not quiet:
        _out.print(commands.gc_lines(facts), highlight=False, soft_wrap=True)


@app.command()
def models(as_json: JsonFlag = False) -> None:
    """Show what this machine can render with, and what the other backends lack."""
    from flows.models import models_facts, models_table

    if as_json:
        _print_json(models_facts())
    else:
        _out.print(models_table())


@app.command()
def schema(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write to a file.")
    ] = None,
) -> None:
    """Print the JSON Schema of the language, for editors."""
    text = commands.schema()
    if out is None:
        sys.stdout.write(text)
    else:
        commands.write_text(out, text)


cli_farm.register(app)
cli_review.register(app)
cli_schedule.register(app)


def main() -> None:
    """Run the command line and exit with a documented code."""
    # A plan of a thousand shots is a million small objects that stay: looking for garbage among
    # them every 700 allocations takes a fifth of the time, and finds none.
    garbage.set_threshold(50_000, 50, 50)
    code: int | str | None = 0
    try:
        app()
    except TakeboardError as error:
        _err.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
        code = error.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone; point stdout elsewhere so that exiting is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except SystemExit as end:
        code = end.code
    if "prefect" in sys.modules:
        _leave_prefect(code)
    if code == _CANCELLED:
        _end_now(code)
    sys.exit(code)


def _leave_prefect(code: int | str | None) -> None:
    """End the process here when Prefect would keep it for what its server does not take."""
    from flows.recorded import hand_over_record

    if hand_over_record():
        return
    _err.print(
        "the Prefect server did not take the last of the record: it is incomplete there",
        highlight=False,
        soft_wrap=True,
    )
    _end_now(code)


def _end_now(code: int | str | None) -> NoReturn:
    """End without waiting for threads: one that is inside torch when Python ends aborts it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


_CANCELLED = 130

_out = Console()
_err = Console(stderr=True)


def _make(choice: commands.Choice, *, detach: bool, as_json: bool, quiet: bool) -> None:
    if (detach or choice.urgency != "normal") and not choice.farm:
        raise UsageError("--detach and --urgency are for films that the farm makes: add --farm")
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
        _print_json([commands.made_facts(film) for film in made])
    elif not quiet:
        for film in made:
            commands.print_made(film, _out)
        if not settings.server_url and not choice.local:
            _out.print(commands.HOW_TO_WATCH, style="dim", highlight=False, soft_wrap=True)


def _tell_ordered(ordered: Sequence[OrderedFilm], *, as_json: bool, quiet: bool) -> None:
    if as_json:
        _print_json([commands.ordered_facts(film) for film in ordered])
    elif not quiet:
        for film in ordered:
            commands.print_ordered(film, _out)


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


def _variables(sets: list[str] | None) -> Mapping[str, str]:
    variables = {}
    for text in sets or []:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"expected NAME=VALUE, got {text!r}", where="--set")
        variables[name.strip()] = value
    return variables


def _names(names: list[str] | None) -> tuple[str, ...]:
    return tuple(names or ())


def _print_json(facts: object) -> None:
    sys.stdout.write(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
