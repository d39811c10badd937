"""A film made inside a Prefect flow run: here, for a command, or on a worker of the farm."""

from __future__ import annotations

from dataclasses import replace
from threading import Event
from typing import TypeAlias
from uuid import UUID

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
from flows.farm.names import QUEUES, URGENCIES, Urgency
from flows.farm.seat import THIS_SEAT, Seat
from flows.farm.submit import FarmShots
from flows.farm.suspension import SuspendedApproval, until_answered
from flows.farm.variants import submit_variants, submitted_words
from flows.film import make_film
from flows.film_record import recorded_film
from flows.logged_progress import LoggedProgress
from flows.made import MadeFilm
from flows.options import FilmOptions, FilmRun
from flows.planning import plan_film
from flows.process import THIS_PROCESS, Process
from flows.progress import Progress
from flows.settings import read_settings
from flows.settled import settled
from flows.turns import FreeTurns
from generator.plan import Plan
from media.errors import CancelledError, TakeboardError
from storyboards.film import Film

__all__ = ["FlowEnd", "film_name", "make_in_flow"]

FlowEnd: TypeAlias = State[MadeFilm] | State[tuple[UUID, ...]] | State[None]
"""A film, the runs that were started for its variants, or nothing because it came too late."""


def make_in_flow(choice: Choice, store: str) -> FlowEnd:
    """The film that `choice` names, recorded in the flow run that is under way.

    A run that a schedule made and that comes too late ends at once, and one that was asked for
    every variant only starts a run for each.
    """
    if missed := missed_end():
        return missed
    choice = replace(choice, urgency=_urgency(choice.urgency))
    if choice.all_variants:
        return settled(lambda: submit_variants(choice), submitted_words)
    process = THIS_PROCESS.get()
    if process is not None:
        process.end = settled(lambda: _made_here(process, choice), film_words)
        return process.end
    return settled(lambda: _made_on_worker(choice, store), film_words)


def film_name(choice: Choice) -> str:
    """What the run is called in lists: the film's title, and the variant if there is one."""
    process = THIS_PROCESS.get()
    try:
        film = process.film if process else load_confined(choice)
    except TakeboardError:
        return choice.film.stem  # the flow itself says what is wrong with it
    if choice.all_variants:
        return f"{film.code}, every variant"
    return ", ".join(filter(None, (film.title, film.variant)))


def _made_here(process: Process, choice: Choice) -> MadeFilm:
    """For a command: with its display and its Ctrl-C, which a cancelled run sets as well."""
    process.begun(str(flow_run.id))
    process.progress.note(f"watch this run: {url_for('flow-run', flow_run.id)}")
    shown = LoggedProgress(process.progress, get_run_logger())
    options = options_for(choice, read_settings(), process.film)
    with recorded_film(process.film, shown, process.stop) as record:
        run = FilmRun(record.progress, record.recorder, process.stop)
        try:
            return make_film(process.film, options, run)
        except TerminationSignal:
            raise CancelledError(
                "cancelled", todo="run again to go on where this stopped"
            ) from None


def _made_on_worker(choice: Choice, store: str) -> MadeFilm:
    """From the run's parameters alone, inside the worker's roots, with the farm's GPUs."""
    seat = THIS_SEAT.get()
    stop = seat.stop if seat else Event()
    film = load_confined(choice)
    chosen = replace(choice, store=confined_store(store)) if store else choice
    options = confined_options(chosen, film)
    shown = LoggedProgress(Progress(), get_run_logger())
    with recorded_film(film, shown) as record:
        shots = None
        if seat:
            run_id = UUID(str(flow_run.id))
            shots = FarmShots(run_id, choice.urgency, record.progress, stop, seat.watch)
            shots.take_up()
        approval = _approval(film, options, record.progress, shots)
        turns = _turns(seat, choice.urgency, record.progress)
        run = FilmRun(record.progress, record.recorder, stop, shots, approval, turns)
        return until_answered(lambda: make_film(film, options, run))


def _turns(seat: Seat | None, urgency: Urgency, progress: Progress) -> FreeTurns:
    if seat is None or seat.turns is None:
        return FreeTurns()
    # Approved after days, or begun again, it comes when it was first asked for.
    came_at = flow_run.scheduled_start_time.timestamp()
    return seat.turns.of_film(QUEUES[urgency], progress.note, str(flow_run.id), came_at)


def _urgency(asked: Urgency) -> Urgency:
    """What was asked for, or else the queue in which the film itself has waited."""
    context = FlowRunContext.get()
    queue = context.flow_run.work_queue_name if context and context.flow_run else None
    return next((one for one in URGENCIES if one == queue and asked == "normal"), asked)


def _approval(
    film: Film, options: FilmOptions, progress: Progress, shots: FarmShots | None
) -> Approval:
    """Suspended where somebody can run the flow again; elsewhere the run ends."""
    if not deployment.id:
        return Approval()
    whole = replace(options, only=(), preview=False)

    def replan() -> Plan:
        return plan_film(film, whole, shots.readiness(film) if shots else None)

    return SuspendedApproval(replan, progress, read_settings().approval_days)
