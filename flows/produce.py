"""The Prefect flow that makes a finished film. Thin: the work is in `film.make_film`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TypeAlias
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import TerminationSignal
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run
from prefect.utilities.urls import url_for

from flows.approval import Approval
from flows.artifacts import film_words
from flows.commands import Choice, options_for
from flows.farm.confine import confined_options, confined_store, load_confined
from flows.farm.missed import missed_end
from flows.farm.names import URGENCIES, Urgency
from flows.farm.seat import THIS_SEAT
from flows.farm.submit import FarmShots
from flows.farm.suspension import SuspendedApproval, until_answered
from flows.farm.variants import submit_variants, submitted_words
from flows.film import make_film
from flows.film_record import FilmRecord, recorded_film
from flows.logged_progress import LoggedProgress
from flows.made import MadeFilm
from flows.options import FilmOptions, FilmRun
from flows.planning import plan_film
from flows.process import THIS_PROCESS
from flows.progress import Progress
from flows.run_form import (
    NO_VARIABLES,
    EveryVariant,
    Jobs,
    OnlyShots,
    OutFolder,
    Slates,
    StoreFolder,
    Storyboard,
    TakesUrgency,
    Variables,
    VariantName,
)
from flows.settings import read_settings
from flows.settled import settled
from generator.plan import Plan
from media.errors import CancelledError, TakeboardError
from storyboards.film import Film

__all__ = ["FlowEnd", "make_in_flow", "produce", "run_name"]


FlowEnd: TypeAlias = State[MadeFilm] | State[tuple[UUID, ...]] | State[None]
"""A film, the runs that were started for its variants, or nothing because it came too late."""


def run_name() -> str:
    """What the run is called in lists: the film's title, and the variant if there is one."""
    given = flow_run.parameters
    choice = Choice(
        Path(given["storyboard"]),
        given.get("variables") or {},
        variant=given.get("variant") or None,
    )
    try:
        film = _film_of(choice)
    except TakeboardError:
        return choice.film.stem  # the flow itself says what is wrong with it
    return ", ".join(filter(None, (film.title, film.variant)))


@flow(name="produce", flow_run_name=run_name, persist_result=False, validate_parameters=True)
def produce(
    storyboard: Storyboard,
    variant: VariantName = "",
    all_variants: EveryVariant = False,
    variables: Variables = NO_VARIABLES,
    only: OnlyShots = (),
    urgency: TakesUrgency = "normal",
    slates: Slates = True,
    out: OutFolder = "",
    store: StoreFolder = "",
    jobs: Jobs = 0,
) -> FlowEnd:
    """Render what is missing of a storyboard and cut the finished film.

    Args:
        storyboard: A YAML file in the workers' film folders, such as lighthouse/film.yaml.
        variant: A row of the storyboard's variants table, by name. Empty: the film without it.
        all_variants: Start one run for each row of that table, as it is now, instead of a film.
        variables: Values for the storyboard's variables, such as {"city": "Oslo"}.
        only: Render just these shots, such as sc010/sh0020, and cut nothing. Empty: the whole film.
        urgency: The queue in which the film's takes wait for a GPU; normal: that of this run.
        slates: Burn a slate with shot and take into what the animatic draws.
        out: Empty: deliveries beside the storyboard.
        store: Folder of takes. Empty: the workers' own, or .takeboard beside the storyboard.
        jobs: On the CPU. 0: as many as the worker has cores.
    """
    return make_in_flow(
        Choice(
            storyboard,
            variables,
            variant=variant or None,
            all_variants=all_variants,
            only=only,
            urgency=_takes_urgency(urgency),
            out=Path(out) if out else None,
            clean=not slates,
            jobs=jobs or None,
        ),
        store,
    )


def make_in_flow(choice: Choice, store: str) -> FlowEnd:
    """The film that `choice` names, recorded in the flow run that is under way.

    A run that a schedule made and that comes too late ends at once, and one that was asked for
    every variant only starts a run for each.
    """
    if missed := missed_end():
        return missed
    if choice.all_variants:
        return settled(lambda: submit_variants(choice), submitted_words)
    process, seat = THIS_PROCESS.get(), THIS_SEAT.get()
    progress = LoggedProgress(process.progress if process else Progress(), get_run_logger())
    stop = process.stop if process else seat.stop if seat else Event()
    if process:
        process.begun(str(flow_run.id))
        process.progress.note(f"watch this run: {url_for('flow-run', flow_run.id)}")

    def make() -> MadeFilm:
        film = _film_of(choice)
        chosen = replace(choice, store=confined_store(store)) if store else choice
        options = (
            options_for(chosen, read_settings(), film)
            if process
            else confined_options(chosen, film)
        )
        with recorded_film(film, progress, stop if process else None) as record:
            elsewhere = _farm(choice, record, stop) if seat else None
            approval = _approval(film, options, progress, elsewhere)
            run = FilmRun(record.progress, record.recorder, stop, elsewhere, approval)
            try:
                return until_answered(lambda: make_film(film, options, run))
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


def _takes_urgency(asked: Urgency) -> Urgency:
    """What was asked for, or else the queue in which the film itself has waited."""
    context = FlowRunContext.get()
    queue = context.flow_run.work_queue_name if context and context.flow_run else None
    return next((one for one in URGENCIES if one == queue and asked == "normal"), asked)


def _farm(choice: Choice, record: FilmRecord, stop: Event) -> FarmShots:
    return FarmShots(UUID(str(flow_run.id)), choice.urgency, record.progress, stop)


def _approval(
    film: Film, options: FilmOptions, progress: Progress, elsewhere: FarmShots | None
) -> Approval:
    """Suspended where somebody can run the flow again; elsewhere the run ends."""
    if THIS_PROCESS.get() or not deployment.id:
        return Approval()
    whole = replace(options, only=(), preview=False)
    days = read_settings().approval_days

    def replan() -> Plan:
        return plan_film(film, whole, elsewhere.readiness() if elsewhere else None)

    return SuspendedApproval(replan, progress, days)


def _film_of(choice: Choice) -> Film:
    process = THIS_PROCESS.get()
    return process.film if process else load_confined(choice)
