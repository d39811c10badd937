"""The Prefect flow that makes a finished film. Thin: the work is in `film.make_film`."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for
from pydantic import Field

from flows.artifacts import film_words
from flows.commands import Choice, load, options_for
from flows.film import make_film
from flows.logged_progress import LoggedProgress
from flows.made import MadeFilm
from flows.options import FilmRun
from flows.prefect_recorder import PrefectRecorder
from flows.process import THIS_PROCESS
from flows.progress import Progress
from flows.settings import read_settings
from flows.settled import settled
from media.errors import CancelledError, TakeboardError
from storyboards.film import Film

__all__ = ["Jobs", "make_in_flow", "produce", "run_name"]

Jobs = Annotated[int | None, Field(ge=1, le=256)]


def run_name() -> str:
    """What the run is called in lists: the film's title, and the variant if there is one."""
    given = flow_run.parameters
    choice = Choice(
        Path(given["storyboard"]), given.get("variables") or {}, variant=given.get("variant")
    )
    try:
        film = _film_of(choice)
    except TakeboardError:
        return choice.film.stem  # the flow itself says what is wrong with it
    return ", ".join(filter(None, (film.title, film.variant)))


@flow(name="produce", flow_run_name=run_name, persist_result=False, validate_parameters=True)
def produce(
    storyboard: Path,
    variables: dict[str, str] | None = None,
    variant: str | None = None,
    only: list[str] | None = None,
    out: Path | None = None,
    store: Path | None = None,
    slates: bool = True,
    jobs: Jobs = None,
) -> State[MadeFilm]:
    """Render what is missing of a storyboard and cut the finished film.

    Args:
        storyboard: The storyboard, a YAML file on the machine that runs the flow.
        variables: Values for the storyboard's variables, by name.
        variant: A row of the storyboard's variants table, by name.
        only: Render just these shots, such as sc010/sh0020, and cut nothing.
        out: Folder for the films; default is deliveries beside the storyboard.
        store: Folder of takes; default is .takeboard beside the storyboard.
        slates: Burn a slate with shot and take into what the animatic draws.
        jobs: Shots made at a time; default is the number of CPU cores.
    """
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


def make_in_flow(choice: Choice) -> State[MadeFilm]:
    """The film that `choice` names, recorded in the flow run that is under way."""
    process = THIS_PROCESS.get()
    progress = LoggedProgress(process.progress if process else Progress(), get_run_logger())
    stop = process.stop if process else Event()
    if process:
        process.progress.note(f"watch this run: {url_for('flow-run', flow_run.id)}")

    def make() -> MadeFilm:
        film = _film_of(choice)
        recorder = PrefectRecorder(f"{film.code} {film.variant}", progress)
        options = options_for(choice, read_settings(), film)
        try:
            return make_film(film, options, FilmRun(progress, recorder, stop))
        except TerminationSignal:
            if process is None:
                raise  # a worker asked for it, and Prefect knows whether to cancel or to retry
            raise CancelledError(
                "cancelled", todo="run again to go on where this stopped"
            ) from None

    end = settled(make, film_words)
    if process:
        process.end = end
    return end


def _film_of(choice: Choice) -> Film:
    process = THIS_PROCESS.get()
    return process.film if process else load(choice)
