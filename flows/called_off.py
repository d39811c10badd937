"""A film made in this process, called off from elsewhere: in Prefect's UI or by its command line.

On a worker the worker sees to it. A process of its own has to ask.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectException
from prefect.runtime import flow_run

from flows.progress import Progress

__all__ = ["stopped_when_called_off"]

ASK_EVERY_S = 3.0
_ANSWER_WITHIN_S = 5.0


@contextmanager
def stopped_when_called_off(stop: threading.Event, progress: Progress) -> Iterator[None]:
    """Sets `stop` once the flow run that is under way is cancelled on the server."""
    over = threading.Event()
    asking = threading.Thread(
        # With the run's settings: where the server is, and the password to it.
        target=contextvars.copy_context().run,
        args=(_ask, UUID(str(flow_run.id)), over, stop, progress),
        name="takeboard-called-off",
        daemon=True,
    )
    asking.start()
    try:
        yield
    finally:
        over.set()


def _ask(run: UUID, over: threading.Event, stop: threading.Event, progress: Progress) -> None:
    # A client of this thread's own.
    with get_client(httpx_settings={"timeout": _ANSWER_WITHIN_S}, sync_client=True) as client:
        while not over.wait(ASK_EVERY_S) and not stop.is_set():
            if _is_called_off(client, run):
                progress.note("cancelled on the Prefect server: stopping at the next step")
                stop.set()


def _is_called_off(client: SyncPrefectClient, run: UUID) -> bool:
    try:
        state = client.read_flow_run(run).state
    except (PrefectException, httpx.HTTPError):
        return False  # asked again in a moment
    return state is not None and state.type in (StateType.CANCELLING, StateType.CANCELLED)
