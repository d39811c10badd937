"""The Prefect flow that makes one take on a worker. Everything it needs is in the take store."""

from __future__ import annotations

from threading import Event

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Crashed

from flows.farm.confine import confined_store
from flows.farm.deaths import STORE_AWAY
from flows.farm.seat import THIS_SEAT, Seat
from flows.farm.store_patience import is_out_of_reach, require_there
from flows.live_progress import prefect_board
from flows.prefect_recorder import PrefectRecorder
from flows.settled import settled
from flows.watched import OnStep, watched_take
from generator.backends.base import RenderTools
from generator.backends.registry import InstalledBackends
from generator.takes import Take, TakeStore
from generator.tickets import TICKETS, read_ticket, render_ticket
from media.errors import StoreError
from media.patience import patient
from media.store import ContentStore

__all__ = ["shot"]

_LOOK_S = 10.0
"""How long a worker waits for a store that is away before it has begun a take: there may be other
films to work on. What it has made, it is more patient with."""


@flow(name="shot", persist_result=False, validate_parameters=True)
async def shot(
    film: str, shot: str, take: int, key: str, store: str, attempt: int = 1
) -> State[Take]:
    """Make one take of a film, for a film flow that waits for it.

    Args:
        film: Title of the film.
        shot: The shot, such as sc010/sh0010.
        take: Number of the take.
        key: The take's key; its ticket in the store says all that is to be made.
        store: Folder or address of the take store.
        attempt: How often this film has asked for the take.
    """
    # Asynchronous, though it blocks: at the end of any other flow Prefect waits a second for its
    # heartbeat. The run has its thread and its event loop to itself.
    seat = THIS_SEAT.get() or Seat("", "", InstalledBackends(), Event())
    log = get_run_logger()

    def make() -> Take:
        takes = TakeStore(confined_store(store))
        require_there(takes.entries.root)

        def render(on_step: OnStep) -> Take:
            tools = RenderTools({}, {}, seat.stop.is_set, on_step)
            return render_ticket(key, takes, seat.backends.__getitem__, tools)

        with patient(seat.stop.is_set):
            with patient(seat.stop.is_set, _LOOK_S):
                is_there = takes.find(key) is not None
                if is_there:
                    # It may lie on this machine alone, and the film on another waits for it.
                    takes.entries.publish(key)
                else:
                    _require_ticket(key, takes)
                    ticket = read_ticket(key, takes)
            if is_there:
                return render(lambda done, total: None)
            with prefect_board() as board:
                recorder = PrefectRecorder(ticket.film_code, board=board)
                return watched_take(ticket.film_code, ticket.job, recorder, render)

    def say(made: Take) -> str:
        return f"{shot} take {take}: {made.num_frames} frames, key {key[:12]}"

    end = settled(make, say)
    log.info(end.message)
    error = end.data if isinstance(end.data, Exception) else None
    if error is not None and is_out_of_reach(error, store):
        # The disk of this machine, or the way to the store: another machine may well make it.
        return Crashed(name=STORE_AWAY, message=end.message, data=error)
    return end


def _require_ticket(key: str, store: TakeStore) -> None:
    """StoreError when the film's ticket is not seen here: this is not the store, or not all."""
    root = store.entries.root
    if ContentStore(root, TICKETS).find(key, verify=False) is None:
        raise StoreError(
            f"the store has no ticket for the take {key[:12]}",
            where=str(root),
            todo="see that every machine uses the same store",
        )
