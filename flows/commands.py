"""What each command does, as functions that return facts; `cli` turns them into words and codes.

Every import that costs time stands inside the function that needs it: `check` and `plan` answer
at once, and prefect (over a second) is imported only when a server will record the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from flows.cli_shown import short
from flows.farm.names import Urgency
from flows.progress import Progress
from flows.settings import Settings
from media.errors import UsageError, WaitingError
from media.files import write_atomic

if TYPE_CHECKING:
    from flows.farm.order import OrderedFilm
    from flows.farm.readiness import FarmReadiness
    from flows.made import MadeFilm
    from flows.options import FilmOptions
    from generator.plan import Plan
    from storyboards.film import Film

__all__ = ["HOW_TO_WATCH", "Choice", "load", "options_for"]

A = TypeVar("A")
M = TypeVar("M")

HOW_TO_WATCH = (
    "Made in this process and not recorded. To watch films in Prefect's UI: takeboard up, "
    "then takeboard produce FILM --farm in another terminal."
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was typed, common to all commands about a film."""

    film: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    variant: str | None = None
    all_variants: bool = False
    out: Path | None = None
    store: Path | None = None
    only: tuple[str, ...] = ()
    clean: bool = False
    jobs: int | None = None
    local: bool = False
    farm: bool = False
    preview: bool = False
    urgency: Urgency = "normal"


def version() -> str:
    """Of this installation."""
    from importlib.metadata import version

    return version("takeboard")


def new(folder: Path, template: str, *, title: str, code: str) -> Path:
    """Path of the storyboard that was started."""
    from storyboards.new import new_storyboard

    return new_storyboard(folder, template, title=title, code=code)


def check(film: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Counts of what the storyboard holds. Raises StoryboardError with every mistake."""
    from storyboards.film import cut_of, film_shots
    from storyboards.resolve import load_films

    films = load_films(film, variables=variables)
    first = films[0]
    return {
        "film": str(film),
        "title": first.title,
        "variants": len(films) if first.variant else 0,
        "scenes": len(first.scenes),
        "shots": len(film_shots(first)),
        "cast": len(first.cast),
        "frames": cut_of(first).num_frames,
        "seconds": round(float(cut_of(first).num_frames / first.fps), 3),
    }


def plan(choice: Choice, settings: Settings) -> Plan:
    """The plan of the film; nothing is rendered or written.

    For the farm, as its runs would plan it now. UsageError when no farm answers.
    """
    from flows.planning import plan_film

    film = load(choice)
    return plan_film(film, options_for(choice, settings, film), readiness_for(farm=choice.farm))


def readiness_for(*, farm: bool) -> FarmReadiness | None:
    """What the workers of the farm have told; None for this machine. UsageError when no farm
    answers."""
    if not farm:
        return None
    from flows.farm.readiness import readiness_of_farm

    return readiness_of_farm()


def make(
    choice: Choice, settings: Settings, progress: Progress, stop: Event
) -> tuple[MadeFilm, ...]:
    """Render and cut the film, or one film for each row of its variants table.

    With a Prefect server configured the run is a flow run there; otherwise the same code runs
    in this process at once.
    """

    def make_one(one: Choice) -> MadeFilm:
        if one.variant:
            progress.note(f"{one.film.name}: variant {one.variant}")
        return _make_one(one, settings, progress, stop)

    return _each(_variants(choice), make_one, choice, progress)


def _each(
    asked: Sequence[A], make_one: Callable[[A], M], choice: Choice, progress: Progress
) -> tuple[M, ...]:
    """What becomes of each; the others of a table need not wait for one that waits."""
    made: list[M] = []
    waiting: list[WaitingError] = []
    for one in asked:
        try:
            made.append(make_one(one))
        except WaitingError as error:
            waiting.append(error)
    if len(asked) == 1 and waiting:
        raise waiting[0]
    for one_waits in waiting:
        progress.note(str(one_waits))
    if waiting:
        raise WaitingError(
            f"{len(waiting)} of {len(asked)} films wait for approval",
            where=choice.film.name,
            todo=f"the first: {waiting[0]}",
        )
    return tuple(made)


def _make_one(choice: Choice, settings: Settings, progress: Progress, stop: Event) -> MadeFilm:
    if settings.server_url and not choice.local:
        from flows.recorded import make_recorded

        return make_recorded(choice, settings, progress, stop)
    from flows.film import make_film
    from flows.options import FilmRun

    film = load(choice)
    return make_film(film, options_for(choice, settings, film), FilmRun(progress, stop=stop))


def order(
    choice: Choice, progress: Progress, stop: Event, *, detach: bool
) -> tuple[OrderedFilm, ...]:
    """The film, or one for each row of its variants table, made by the farm.

    All are asked for before the first is followed; with `detach` none is. UsageError when no
    farm answers.
    """
    from flows.farm.environment import connect_to_farm, require_reachable

    films = [(one, load(one)) for one in _variants(choice)]
    connect_to_farm()
    require_reachable(choice.film)

    from flows.farm.order import follow_film, order_film

    ordered = [order_film(film, one) for one, film in films]
    for film in ordered:
        progress.note(f"{film.title}: watch its run at {film.address}")
    if detach:
        return tuple(ordered)
    return _each(ordered, lambda film: follow_film(film, progress, stop), choice, progress)


def pick(choice: Choice, shot: str, take: int, settings: Settings) -> str:
    """A line that says what was picked."""
    from flows.farm.readiness import readiness_here
    from flows.planning import plan_film
    from flows.review import choose
    from generator.picks import require_shot
    from generator.picks_file import picks_path

    film = load(choice)
    options = options_for(choice, settings, film)
    shot = require_shot(film, shot).id
    words = [f"{shot}: take {take} is the pick ({short(picks_path(film))})"]
    # A pick is kept by the take's key, which follows from the weights that it is made with.
    readiness = readiness_here(words.append)
    choose(lambda: plan_film(film, options, readiness), {shot: take})
    return "; ".join(words)


def report(choice: Choice) -> Path:
    """Path of the report of the film made last."""
    path = _out_folder(choice, load(choice)) / "report.html"
    if not path.is_file():
        raise UsageError("no report yet", where=str(path), todo="make the film first: produce")
    return path


def gc(choice: Choice, settings: Settings, *, older_than_days: int, run: bool) -> dict[str, Any]:
    """What is, or with `run` was, deleted."""
    from flows.sweep import sweep

    films = [load(one) for one in _variants(replace(choice, all_variants=True))]
    options = [options_for(choice, settings, film) for film in films]
    return sweep(list(zip(films, options, strict=True)), older_than_days=older_than_days, run=run)


def schema() -> str:
    """The JSON Schema of the language as text."""
    from storyboards.json_schema import schema_text

    return schema_text()


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    write_atomic(path, text)


def load(choice: Choice) -> Film:
    from storyboards.resolve import load_film

    return load_film(choice.film, variables=choice.variables, variant=choice.variant)


def _variants(choice: Choice) -> list[Choice]:
    if not choice.all_variants:
        return [choice]
    from storyboards.resolve import load_films

    films = load_films(choice.film, variables=choice.variables)
    return [replace(choice, variant=film.variant or None) for film in films]


def options_for(choice: Choice, settings: Settings, film: Film) -> FilmOptions:
    from flows.options import FilmOptions

    return FilmOptions(
        store=choice.store.resolve() if choice.store else settings.store_for(choice.film),
        out=_out_folder(choice, film),
        jobs=choice.jobs or settings.jobs,
        only=choice.only,
        preview=choice.preview,
        slates=not choice.clean,
    )


def _out_folder(choice: Choice, film: Film) -> Path:
    if choice.out is not None:
        folder = choice.out.resolve()
        return folder / film.variant if choice.all_variants and film.variant else folder
    name = f"{film.code}-{film.variant}" if film.variant else film.code
    folder = choice.film.resolve().parent / "deliveries" / name
    return folder / "preview" if choice.preview else folder
