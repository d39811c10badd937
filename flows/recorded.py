"""Run a film as a Prefect flow run on the server that is configured.

Imported only when there is one: prefect takes over a second to import. The flows themselves are
in `produce.py` and `preview.py`; what they cannot take as parameters, because it belongs to this
process (the display, Ctrl-C), travels beside them in a context variable.
"""

from __future__ import annotations

import logging
from threading import Event, Thread
from typing import TYPE_CHECKING, cast

import httpx

from flows.client import set_up_client
from flows.commands import load
from flows.made import MadeFilm
from flows.progress import Progress
from flows.settings import Settings
from media.errors import TakeboardError, UsageError

if TYPE_CHECKING:
    from flows.commands import Choice

__all__ = ["hand_over_record", "make_recorded"]

_LAST_WORDS_S = 3.0
"""How long the command waits for the server to take the last log lines and task runs."""


def make_recorded(choice: Choice, settings: Settings, progress: Progress, stop: Event) -> MadeFilm:
    """The film, made in this process and recorded as a flow run on the server.

    Raises as `make_film` does, and StoryboardError or UsageError before a flow run is made.
    """
    film = load(choice)
    require_server(settings.server_url)
    set_up_client(settings.server_url)

    from prefect.client.schemas.objects import State
    from prefect.exceptions import PrefectException

    from flows.preview import preview
    from flows.process import THIS_PROCESS, Process
    from flows.produce import produce
    from flows.settled import unsettled
    from flows.unheard import OpenRun, tell_unheard_ends

    tell_unheard_ends(settings.server_url)
    flow = preview if choice.preview else produce
    open_run = OpenRun(settings.server_url)
    process = Process(film, progress, stop, begun=open_run.begin)
    token = THIS_PROCESS.set(process)
    try:
        ended = flow(
            storyboard=choice.film.resolve(),
            variables=dict(choice.variables),
            variant=choice.variant or "",
            out=str(choice.out.resolve()) if choice.out else "",
            store=str(choice.store.resolve()) if choice.store else "",
            slates=not choice.clean,
            jobs=choice.jobs or 0,
            return_state=True,
            **({} if choice.preview else {"only": list(choice.only)}),
        )
    except (PrefectException, httpx.HTTPError) as error:
        if process.end is None:
            raise TakeboardError(
                f"the Prefect server does not record the run ({_first_line(error)})",
                where=settings.server_url,
                todo="mend that, or add --local to run without it: finished takes are kept",
            ) from error
        progress.note(
            f"the Prefect server did not hear how the run ended ({_first_line(error)}): "
            "its record there is incomplete"
        )
        open_run.unheard(process.end)
    else:
        open_run.heard()
    finally:
        THIS_PROCESS.reset(token)
    # Prefect's types know nothing of flows that return a state of their own.
    return unsettled(process.end or cast("State[MadeFilm]", ended))


def hand_over_record() -> bool:
    """Whether the server took the last log lines and task runs within a few seconds.

    When it did not, Prefect would hold up the end of this process until it has tried every one
    of them several times over; whoever gets False should end it at once.
    """
    from prefect.events.worker import EventsWorker

    for service in ("EventsWorker", "APILogWorker"):
        logging.getLogger(service).setLevel(logging.CRITICAL)  # how many are left is no news
    taken: list[bool] = []

    def wait() -> None:
        # Prefect keeps all its services of a process in one list, that of the log too.
        ended = EventsWorker.drain_all(timeout=_LAST_WORDS_S)
        taken.append(isinstance(ended, tuple) and not ended[1])

    # In a thread of its own, because asking a service to stop can itself wait.
    waiting = Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(_LAST_WORDS_S + 1)
    return taken == [True]


def require_server(url: str) -> None:
    """Refuse before anything starts when no Prefect API answers at `url`."""
    try:
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=5.0)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UsageError(
            f"no Prefect server answers ({_first_line(error)})",
            where=url,
            todo="start it with `prefect server start`, or add --local to run without one",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
