"""How a film's flow run is recorded while it is made: its marks, its live bar, its recorder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from threading import Event
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import Pause, PrefectException
from prefect.runtime import flow_run

from flows.called_off import stopped_when_called_off
from flows.film_bar import FilmBar
from flows.live_progress import prefect_board
from flows.prefect_recorder import PrefectRecorder, artifact_key
from flows.progress import Progress
from flows.recorder import Recorder
from media.errors import CancelledError, TakeboardError, WaitingError
from storyboards.film import Film

__all__ = ["STORYBOARD", "FilmRecord", "recorded_film"]

STORYBOARD = "takeboard.storyboard"
"""Label of a film's run: the storyboard's path, where the parameter may be relative to a root."""


@dataclass(frozen=True, slots=True)
class FilmRecord:
    """What the film is made with, so that its run tells how it goes."""

    progress: Progress
    recorder: Recorder


@contextmanager
def recorded_film(film: Film, shown: Progress, stop: Event | None = None) -> Iterator[FilmRecord]:
    """The record of `film` in the flow run that is under way, besides what is `shown`.

    `stop`, where no worker looks after the run, is set when it is cancelled on the server.
    """
    _mark(film)
    cuts = sum(len(deliverable.langs) for deliverable in film.deliverables)
    called_off = stopped_when_called_off(stop, shown) if stop is not None else nullcontext()
    with called_off, prefect_board(artifact_key(film.code, film.variant)) as board:
        bar = board.film()
        recorder = PrefectRecorder(f"{film.code} {film.variant}", shown, board=board)
        try:
            yield FilmRecord(FilmBar(shown, bar, cuts), recorder)
        except CancelledError:
            bar.leave("cancelled")
            raise
        except WaitingError as error:
            bar.leave(error.what)
            raise
        except Pause:
            bar.leave("waits for an approval")
            raise
        except TakeboardError as error:
            bar.end(ok=False, why=error.what)
            raise
        except BaseException as error:
            bar.end(ok=False, why=type(error).__name__)
            raise
        bar.end(ok=True)


def _mark(film: Film) -> None:
    """Mark the run, so that all runs of a film, or of a variant, are found together."""
    tags = {*flow_run.tags, f"film:{film.code}"}
    if film.variant:
        tags.add(f"variant:{film.variant}")
    with suppress(httpx.HTTPError, PrefectException):
        run = UUID(str(flow_run.id))
        with get_client(sync_client=True) as client:
            client.update_flow_run(run, tags=sorted(tags))
            client.update_flow_run_labels(run, {STORYBOARD: str(film.path.resolve())})
