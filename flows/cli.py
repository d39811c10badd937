"""The command line. Thin: it reads words, calls `flows`, shows what came back, and exits.

Exit codes: 0 done, 1 unexpected, 2 wrong storyboard or usage, 3 over budget, 4 a shot could not
be rendered, 5 media or ffmpeg, 6 take store, 7 waiting for approval, 130 cancelled
(docs/commands.md).
"""

from __future__ import annotations

import gc as garbage
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from flows import cli_farm, cli_make, cli_review, cli_schedule, cli_shown, commands
from flows.cli_words import (
    FilmPath,
    JsonFlag,
    Only,
    OutFolder,
    QuietFlag,
    Sets,
    ShotName,
    StoreFolder,
    VariantName,
    named,
    print_json,
    variables,
)
from flows.settings import read_settings
from media.errors import TakeboardError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


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


def new(
    folder: Annotated[Path, typer.Argument(help="Folder to make; must not exist yet.")],
    template: Annotated[str, typer.Option(help="film, ad or music_video.")] = "film",
    title: Annotated[str, typer.Option(help="Title of the film.")] = "Untitled",
    code: Annotated[str, typer.Option(help="Short code for file names.")] = "FILM",
) -> None:
    """Start a storyboard from a template."""
    path = commands.new(folder, template, title=title, code=code)
    _out.print(f"Wrote {path}. Next: takeboard preview {path}", markup=False, soft_wrap=True)


def check(
    film: FilmPath, sets: Sets = None, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Check a storyboard: every mistake at once, nothing written."""
    facts = commands.check(film, variables(sets))
    if as_json:
        print_json(facts)
    elif not quiet:
        _out.print(cli_shown.check_line(facts), highlight=False, markup=False, soft_wrap=True)


def plan(
    film: FilmPath,
    sets: Sets = None,
    variant: VariantName = None,
    store: StoreFolder = None,
    only: Only = None,
    farm: Annotated[
        bool, typer.Option("--farm", help="For the models of the farm, not of this machine.")
    ] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Show what would be rendered, what it costs, what is stale and why, and what is lost."""
    choice = commands.Choice(
        film, variables(sets), variant=variant, store=store, only=named(only), farm=farm
    )
    planned = commands.plan(choice, read_settings())
    if as_json:
        print_json(cli_shown.plan_facts(planned))
    elif not quiet:
        cli_shown.print_plan(planned, _out)


def pick(
    film: FilmPath,
    shot: ShotName,
    take: Annotated[int, typer.Argument(metavar="TAKE", min=1, help="Number of the take.")],
    sets: Sets = None,
    variant: VariantName = None,
    store: StoreFolder = None,
    quiet: QuietFlag = False,
) -> None:
    """Choose the take of a shot that the film uses."""
    choice = commands.Choice(film, variables(sets), variant=variant, store=store)
    line = commands.pick(choice, shot, take, read_settings())
    if not quiet:
        _out.print(line, highlight=False, markup=False, soft_wrap=True)


def report(film: FilmPath, out: OutFolder = None, variant: VariantName = None) -> None:
    """Print the path of the report of the film made last."""
    choice = commands.Choice(film, {}, variant=variant, out=out)
    _out.print(str(commands.report(choice)), highlight=False, markup=False, soft_wrap=True)


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
    choice = commands.Choice(film, variables(sets), store=store)
    facts = commands.gc(choice, read_settings(), older_than_days=older_than, run=run)
    if as_json:
        print_json(facts)
    elif not quiet:
        _out.print(cli_shown.gc_lines(facts), highlight=False, markup=False, soft_wrap=True)


def models(
    farm: Annotated[
        bool, typer.Option("--farm", help="What the workers of the farm can render with.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show what this machine can render with, and what the other backends lack."""
    from flows.models import models_facts, models_table, workers_facts

    readiness = commands.readiness_for(farm=farm)
    if not as_json:
        _out.print(models_table(readiness))
    elif readiness is None:
        print_json(models_facts())
    else:
        print_json({"backends": models_facts(readiness), "workers": workers_facts(readiness)})


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


# In the order of their use, which is how `--help` lists them.
app.command()(new)
app.command()(check)
app.command()(plan)
cli_make.register(app)
app.command()(pick)
app.command()(report)
app.command()(gc)
app.command()(models)
app.command()(schema)
cli_review.register(app)
cli_schedule.register(app)
cli_farm.register(app)


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

_out = Console(emoji=False)
_err = Console(stderr=True, emoji=False)
