"""Waiting for a take store that is out of reach for a while, or full."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TypeVar

from flows.farm.answers import cancelled
from flows.progress import Progress
from media.errors import StoreError
from media.shared_store import local_root

__all__ = ["Outage", "StorePatience", "is_out_of_reach", "require_there"]

T = TypeVar("T")

_PATIENCE_S = 900.0
"""As long as a file server takes to start, or a person to make room."""
_OF_THE_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT,
}  # fmt: skip
"""What a full or a broken disk, or a file server that is away, answers."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 2.0, 30.0
_SAME_OUTAGE_S = 300.0
"""Failures that are further apart are two outages: workers rest for minutes, takes last longer."""


@dataclass(slots=True)
class Outage:
    """What all takes of a film know of their store's absence: it is waited for once, not once
    for each take, and told once."""

    progress: Progress
    reached: Callable[[], bool] = lambda: False
    """Whether somebody may well reach it all the same; asked when it would be too long."""
    _since: float | None = None
    _latest: float = 0.0
    """When somebody last failed to reach it."""
    _error: StoreError | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, error: StoreError) -> None:
        """It is away. Raises what it is away with once that has been so for long enough."""
        with self._lock:
            now = time.monotonic()
            if self._since is None or now - self._latest > _SAME_OUTAGE_S:
                self._since = now
                self.progress.note(f"{error}; waiting for the take store")
            self._latest, self._error = now, error
        self.require_patience()

    def require_patience(self) -> None:
        """StoreError when it has been away for so long that nobody need try any more."""
        with self._lock:
            error, since, latest = self._error, self._since, self._latest
        if error is None or since is None or latest - since < _PATIENCE_S:
            return
        if self.reached():
            with self._lock:
                self._since = self._since and latest
            return
        raise StoreError(
            f"{error.what}, for {(latest - since) / 60:.0f} minutes now",
            where=error.where,
            todo=error.todo or "run again when it is there: finished takes are kept",
        )

    def over(self) -> None:
        """It is there."""
        with self._lock:
            if self._since is not None:
                away_s = time.monotonic() - self._since
                self.progress.note(f"the take store is there again, after {away_s:.0f} s")
            self._since = self._error = None


class StorePatience:
    """That of one take: so many seconds in all, longer each time, within its film's."""

    def __init__(self, outage: Outage, stop: Event) -> None:
        self._outage, self._stop = outage, stop
        self._waited_s, self._next_s = 0.0, _FIRST_WAIT_S

    def reach(self, what: Callable[[], T]) -> T:
        """What comes of it, once the store lets it. StoreError when it does not."""
        while True:
            try:
                found = what()
            except StoreError as error:
                self.wait(error)
            else:
                self._outage.over()
                return found

    def wait(self, error: StoreError) -> None:
        """Wait before the next try. StoreError when that was long enough; CancelledError."""
        self._outage.note(error)
        if self._waited_s >= _PATIENCE_S:
            raise error
        if self._stop.wait(self._next_s):
            raise cancelled()
        self._waited_s += self._next_s
        self._next_s = min(2 * self._next_s, _LONGEST_WAIT_S)


def is_out_of_reach(error: BaseException | None, store: str) -> bool:
    """Whether it is for the disk or the store that something went wrong, and not for itself.

    `store` is its address.
    """
    while error is not None:
        if isinstance(error, StoreError):
            return True
        # The folder is asked for last: a store that cannot be opened here has none.
        if isinstance(error, OSError) and (
            error.errno in _OF_THE_DISK or not local_root(store).is_dir()
        ):
            return True
        error = error.__cause__
    return False


def require_there(root: Path) -> None:
    """StoreError unless the store's folder is there, which a film makes when it begins.

    What is written where a file server is not mounted lies on some other disk, and nobody finds
    it when the server is back.
    """
    if not root.is_dir():
        raise StoreError(
            "the take store is not there", where=str(root), todo="see that it is mounted"
        )
