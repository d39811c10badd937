"""The commands of people who look at takes: approve, retake, status. Thin, like `cli`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from flows import commands
from flows.cli_words import (
    FilmPath,
    JsonFlag,
    QuietFlag,
    Sets,
    ShotName,
    StoreFolder,
    VariantName,
    pairs,
    print_json,
    variables,
)
from flows.settings import read_settings
from media.errors import UsageError
from media.words import counted

if TYPE_CHECKING:
    from flows.approval import Subject
    from flows.farm.readiness import FarmReadiness
    from flows.farm.resuming import WaitingRuns
    from flows.options import FilmOptions
    from flows.review import Approved
    from generator.plan import Plan
    from storyboards.film import Film

__all__ = ["register"]

_out = Console(emoji=False)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(approve)
    app.command()(retake)
    app.command()(status)


def approve(
    film: FilmPath,
    pick: Annotated[
        list[str] | None,
        typer.Option("--pick", metavar="SHOT=TAKE", help="Pick this take first; repeatable."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Who approves.", show_default="the name of the user")
    ] = "",
    sets: Sets = None,
    variant: VariantName = None,
    store: StoreFolder = None,
    quiet: QuietFlag = False,
) -> None:
    """Say yes to what waits: the budget of the takes to make, or the picks of those made."""
    from flows.review import approve as say_yes
    from flows.review import by_whom
    from generator.picks import require_shot

    reviewed = _Reviewed.of(commands.Choice(film, variables(sets), variant=variant, store=store))
    picks = _picks(pick)
    approved = say_yes(reviewed.replan, picks, by_whom(name))
    lines = [_approved_words(approved, reviewed.film)]
    if approved.budget is not None:
        lines += reviewed.resume("budget", {"decision": "approve", "name": name})
    elif approved.shots:
        chosen = [
            {"shot": require_shot(reviewed.film, shot).id, "take": take}
            for shot, take in picks.items()
        ]
        answer = {"decision": "approve", "name": name, "picks": chosen}
        lines += reviewed.resume("picks", answer)
    _print(lines, quiet)


def retake(
    film: FilmPath,
    shot: ShotName,
    note: Annotated[
        str,
        typer.Option(
            help='What to change, such as "slower, less smile".', show_default="another seed"
        ),
    ] = "",
    sets: Sets = None,
    variant: VariantName = None,
    store: StoreFolder = None,
    quiet: QuietFlag = False,
) -> None:
    """Ask for one more take of a shot, which becomes its pick; the next run renders it."""
    from flows.review import choose
    from generator.picks import require_shot

    reviewed = _Reviewed.of(commands.Choice(film, variables(sets), variant=variant, store=store))
    plan = choose(reviewed.replan, {}, [(shot, note)])
    job = plan.job(require_shot(plan.film, shot).id)
    words = f": {job.note}" if job.note else ""
    line = f"{job.shot_id}: take {job.take} will be made{words} ({_picks_file(reviewed.film)})"
    answer = {"decision": "retake", "retakes": [{"shot": job.shot_id, "note": job.note}]}
    _print([line, *reviewed.resume("picks", answer)], quiet)


def status(
    film: FilmPath,
    sets: Sets = None,
    variant: VariantName = None,
    store: StoreFolder = None,
    as_json: JsonFlag = False,
) -> None:
    """Show how far each shot is: todo, wip, retake, waiting for approval or done."""
    from flows.status import film_status, status_facts, status_table

    choice = commands.Choice(film, variables(sets), variant=variant, store=store)
    seen = _Reviewed.of(choice)
    found = film_status(seen.film, seen.options, _under_way(seen.film), seen.readiness)
    if as_json:
        print_json(status_facts(found))
    else:
        _out.print(status_table(found))


@dataclass(frozen=True, slots=True)
class _Reviewed:
    """A film that a person looks at, and its runs that wait for them."""

    film: Film
    options: FilmOptions
    waiting: WaitingRuns | None
    """None: there is no server."""

    @staticmethod
    def of(choice: commands.Choice) -> _Reviewed:
        """The film, and what its server says."""
        film = commands.load(choice)
        options = commands.options_for(choice, read_settings(), film)
        server_url = _server()
        if not server_url:
            return _Reviewed(film, options, None)
        from flows.farm.resuming import waiting_runs

        return _Reviewed(film, options, waiting_runs(film, server_url))

    def replan(self) -> Plan:
        """The plan, as the runs that wait would make it."""
        from flows.planning import plan_film

        return plan_film(self.film, self.options, self.readiness)

    @property
    def readiness(self) -> FarmReadiness | None:
        """What the film's takes are made with; None: with this machine's models."""
        return self.waiting.readiness if self.waiting else None

    def resume(self, subject: Subject, answer: Mapping[str, object]) -> list[str]:
        """What became of the runs; nothing where there is no server."""
        return [self.waiting.resume(subject, answer)] if self.waiting else []


def _server() -> str:
    """Address of the server that is configured or runs here; empty: there is none."""
    from flows.farm.environment import connect_with_person

    try:
        return connect_with_person()
    except UsageError:
        return ""


def _under_way(film: Film) -> frozenset[tuple[str, int]]:
    if not _server():
        return frozenset()
    from flows.farm.resuming import takes_under_way

    return takes_under_way(film)


def _approved_words(approved: Approved, film: Film) -> str:
    if approved.budget is not None:
        from generator.backends.base import Quote
        from generator.review import budget_words

        given = approved.budget
        said = f"approved: {budget_words(Quote(given.usd, given.gpu_seconds))}"
    elif approved.shots:
        said = f"approved: the picks of {counted(len(approved.shots), 'shot')}"
    else:
        said = "nothing new to approve"
    if approved.waiting:
        shown = ", ".join(approved.waiting[:4])
        more = f" and {len(approved.waiting) - 4} more" if len(approved.waiting) > 4 else ""
        said += f"; still to be made and approved: {shown}{more}"
    return f"{said} ({_picks_file(film)})"


def _picks_file(film: Film) -> str:
    from generator.picks_file import picks_path

    return picks_path(film).name


def _picks(texts: list[str] | None) -> dict[str, int]:
    picks = {}
    for shot, take in pairs(texts, "--pick", "SHOT=TAKE").items():
        number = take.strip()
        if not (number.isascii() and number.isdigit()):
            raise UsageError(f"expected SHOT=TAKE with a number, got {take!r}", where="--pick")
        picks[shot] = int(number[:9])
    return picks


def _print(lines: list[str], quiet: bool) -> None:
    if not quiet:
        for line in lines:
            _out.print(line, highlight=False, soft_wrap=True, markup=False)
