"""A film's questions to the Prefect server, asked until it answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound

from flows.farm.asking import AWAY, SoonTold, is_away
from flows.progress import Progress
from media.errors import CancelledError, RenderError, UsageError

__all__ = ["SERVER_PATIENCE_S", "Answers", "cancelled", "server_gone"]

T = TypeVar("T")

SERVER_PATIENCE_S = 3600.0
"""How long a film waits for a server that has gone: nothing is lost meanwhile."""

_ASK_AGAIN_S = 2.0


class Answers:
    """Of one film. May be asked for from any thread."""

    def __init__(self, client: SyncPrefectClient, progress: Progress, stop: Event) -> None:
        self._client, self._progress, self._stop = client, progress, stop
        self._soon_told = SoonTold()

    def of(self, ask: Callable[[], T]) -> T:
        """What the server answers, once it does.

        UsageError when it refuses, RenderError when it stays away, CancelledError.
        """
        begun = time.monotonic()
        told = False
        while True:
            try:
                return self.soon(ask)
            except AWAY as error:
                if _is_refusal(error):
                    raise _refused(error, self._client) from error
                if time.monotonic() - begun > SERVER_PATIENCE_S:
                    raise server_gone(self._client) from error
            if not told:
                told = True
                self._progress.note("the Prefect server does not answer; waiting for it")
            if self._stop.wait(_ASK_AGAIN_S):
                raise cancelled()

    def soon(self, ask: Callable[[], T]) -> T:
        """What the server answers now; raises as the client does."""
        with self._soon_told():
            return ask()


def cancelled() -> CancelledError:
    """That the film was cancelled, ready to be raised."""
    return CancelledError("cancelled", todo="run again to go on from where this stopped")


def server_gone(client: SyncPrefectClient) -> RenderError:
    """That the server has been away for too long, ready to be raised."""
    return RenderError(
        f"the Prefect server has not answered for {SERVER_PATIENCE_S / 60:.0f} minutes",
        where=str(client.api_url),
        todo="start it again and run the film again: finished takes are kept",
    )


def _is_refusal(error: BaseException) -> bool:
    if isinstance(error, ObjectNotFound):
        return True
    return isinstance(error, httpx.HTTPStatusError) and not is_away(error)


def _refused(error: BaseException, client: SyncPrefectClient) -> UsageError:
    if isinstance(error, httpx.HTTPStatusError):
        what = f"the Prefect server refuses ({error.response.status_code})"
        where = str(error.request.url)
    else:
        what, where = "the Prefect server does not know of it any more", str(client.api_url)
    return UsageError(
        what,
        where=where,
        todo="see that the server and this machine have the same version of Takeboard",
    )
