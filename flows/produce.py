"""The Prefect flow that makes a finished film. Thin: the work is in `film.make_film`."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from flows.commands import Choice, load, options_for
from flows.film import make_film
from flows.made import MadeFilm
from flows.options import FilmRun
from flows.prefect_recorder import PrefectRecorder
from flows.process import THIS_PROCESS, Process
from flows.settings import read_settings

__all__ = ["make_in_flow", "produce", "run_name"]


def run_name() -> str:
    parameters = flow_run.parameters
    variant = parameters.get("variant")
    name = Path(parameters["storyboard"]).resolve()
    return f"{name.parent.name}/{name.stem}" + (f" {variant}" if variant else "")


@flow(name="produce", flow_run_name=run_name, persist_result=False, validate_parameters=True)
def produce(
    storyboard: Path,
    variables: dict[str, str] | None = None,
    variant: str | None = None,
    only: list[str] | None = None,
    out: Path | None = None,
    store: Path | None = None,
    slates: bool = True,
    jobs: int | None = None,
) -> MadeFilm:
    """Render what is missing of a storyboard and cut the finished film."""
    return make_in_flow(
        Choice(
            storyboard,
            variables or {},
            variant=variant,
            only=tuple(only or ()),
            out=out,
            store=store,
            clean=not slates,
            jobs=jobs,
        )
    )


def make_in_flow(choice: Choice) -> MadeFilm:
    """The film that `choice` names, recorded in the flow run that is under way."""
    process = THIS_PROCESS.get() or Process()
    film = load(choice)
    run = FilmRun(process.progress, PrefectRecorder(), process.stop)
    return make_film(film, options_for(choice, read_settings(), film), run)
