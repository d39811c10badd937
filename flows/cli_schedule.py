"""The command that has films made at set times. Thin, like `cli`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows import commands
from flows.cli_shown import short
from flows.cli_words import AllVariants, JsonFlag, Sets, VariantName, print_json, variables
from flows.farm.names import Missed, Urgency
from media.errors import UsageError

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from flows.farm.schedules import Scheduled
    from storyboards.film import Film

__all__ = ["register"]

T = TypeVar("T")

_out = Console(emoji=False)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(schedule)


def schedule(
    film: Annotated[
        Path | None, typer.Argument(metavar="FILM", help="The storyboard, a YAML file.")
    ] = None,
    cron: Annotated[
        str | None, typer.Option(metavar="FIELDS", help='Such as "0 2 * * *", every night at two.')
    ] = None,
    interval: Annotated[
        str | None, typer.Option(metavar="TIME", help="Such as 90m, 6h, 1d, 2w, from midnight.")
    ] = None,
    rrule: Annotated[
        str | None, typer.Option(metavar="RULE", help='Such as "FREQ=WEEKLY;BYDAY=MO;BYHOUR=2".')
    ] = None,
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="Time zone, such as Europe/Berlin.")
    ] = "UTC",
    sets: Sets = None,
    variant: VariantName = None,
    all_variants: AllVariants = False,
    missed: Annotated[
        Missed,
        typer.Option(help="Runs missed while the farm was down: make the newest, or none."),
    ] = "once",
    urgency: Annotated[Urgency, typer.Option(help="The queue.")] = "later",
    name: Annotated[
        str | None, typer.Option(help="Its name; default CODE, CODE-VARIANT or CODE-all.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Show what is scheduled.")] = False,
    remove: Annotated[str | None, typer.Option(metavar="NAME", help="Forget a schedule.")] = None,
    pause: Annotated[str | None, typer.Option(metavar="NAME", help="Make no more runs.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="NAME", help="Make runs again.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Have the farm make a film every night, every week, or whenever you say."""
    changes = {"remove": remove, "pause": pause, "resume": resume}
    chosen = [(what, which) for what, which in changes.items() if which is not None]
    if len(chosen) + show + (film is not None) != 1:
        raise UsageError("expected one of FILM, --list, --remove, --pause and --resume")
    if show:
        _list(as_json=as_json)
    elif film is None:
        _change(*chosen[0])
    else:
        timing = {"cron": cron, "interval": interval, "rrule": rrule, "timezone": timezone}
        choice = commands.Choice(
            film.resolve(), variables(sets), variant=variant, all_variants=all_variants
        )
        _schedule(choice, timing, missed, urgency, name)


def _schedule(
    choice: commands.Choice,
    timing: Mapping[str, str | None],
    missed: Missed,
    urgency: Urgency,
    name: str | None,
) -> None:
    film = _checked(choice)
    url = _connect()
    from flows.farm.environment import require_reachable

    require_reachable(choice.film)

    from flows.farm.schedules import FilmSchedule, schedule_film
    from flows.farm.timing import next_runs, schedule_from, when_words

    now = datetime.now(UTC)
    when = schedule_from(timing, now)
    title = film.code if choice.all_variants else film.title
    which = "all" if choice.all_variants else choice.variant or ""
    asked = FilmSchedule(
        name if name is not None else "-".join(filter(None, (film.code, which))),
        choice.film,
        title,
        film.code,
        when,
        variant=choice.variant or "",
        all_variants=choice.all_variants,
        variables=choice.variables,
        missed=missed,
        urgency=urgency,
    )
    replaced = _ask(url, lambda client: schedule_film(client, asked))
    what = f"{title}, every variant" if choice.all_variants else title
    _say(
        f"{'Changed' if replaced else 'Scheduled'} {asked.name}: {what}, {when_words(when)}, "
        f"{when.timezone}; missed runs: {missed}; queue: {urgency}"
    )
    for moment in next_runs(when, now):
        _say(f"  next  {moment:%a %Y-%m-%d %H:%M %Z}")


def _checked(choice: commands.Choice) -> Film:
    """The film, or the first of its variants, once all that is to be made is without mistakes."""
    if not choice.all_variants:
        return commands.load(choice)
    from storyboards.resolve import load_films

    if choice.variant:
        raise UsageError("expected one of --variant and --all-variants, got both")
    first = load_films(choice.film, variables=choice.variables)[0]
    if not first.variant:
        raise UsageError("the storyboard has no variants", where=str(choice.film))
    return first


def _change(what: str, name: str) -> None:
    url = _connect()
    from flows.farm.schedules import pause_film, remove_film

    if what == "remove":
        _ask(url, lambda client: remove_film(client, name))
    else:
        _ask(url, lambda client: pause_film(client, name, paused=what == "pause"))
    said = {"remove": "is forgotten", "pause": "is paused", "resume": "is resumed"}
    _say(f"{name} {said[what]}")


def _list(*, as_json: bool) -> None:
    url = _connect()
    from flows.farm.schedules import list_scheduled
    from flows.farm.timing import next_runs

    now = datetime.now(UTC)
    rows = []
    for one in _ask(url, list_scheduled):
        soonest = [] if one.paused else next_runs(one.schedule, now, count=1)
        rows.append(_facts(one, soonest[0] if soonest else None))
    if as_json:
        print_json(rows)
    elif not rows:
        _say("no film is scheduled")
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("name", "film", "when", "next", "missed", "queue"):
            table.add_column(heading, overflow="fold", no_wrap=heading in ("name", "next"))
        for row in rows:
            film = escape(", ".join(filter(None, (short(Path(row["film"])), row["which"]))))
            then = row["next"] or ("paused" if row["paused"] else "never again")
            table.add_row(row["name"], film, row["when"], then, row["missed"], row["urgency"])
        _out.print(table)


def _facts(one: Scheduled, soonest: datetime | None) -> dict[str, Any]:
    return {
        "name": one.name,
        "flow": one.flow,
        "film": one.film,
        "which": one.which,
        "when": one.when,
        "next": f"{soonest:%a %Y-%m-%d %H:%M %Z}" if soonest else "",
        "missed": one.missed,
        "urgency": one.urgency,
        "paused": one.paused,
    }


def _connect() -> str:
    """Address of the farm's server; to be called before prefect is imported."""
    from flows.farm.environment import connect_with_person

    return connect_with_person()


def _ask(url: str, what: Callable[[PrefectClient], Coroutine[Any, Any, T]]) -> T:
    """What the server answers. UsageError when it does not, or not that."""
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectException

    from flows.farm.person import no_answer

    async def ask() -> T:
        async with get_client() as client:
            return await what(client)

    try:
        return asyncio.run(ask())
    except httpx.HTTPError as error:
        raise no_answer(error, url) from error
    except PrefectException as error:
        first = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(f"the Prefect server did not do it ({first})", where=url) from error


def _say(line: str) -> None:
    _out.print(line, highlight=False, markup=False, soft_wrap=True)
