"""Waiting for a take store that is out of reach for a while, or full."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TypeVar

from flows.farm.answers import cancelled
from flows.progress import Progress
from media.errors import StoreError

__all__ = ["StorePatience", "is_out_of_reach", "require_there"]

T = TypeVar("T")

_PATIENCE_S = 900.0
"""As long as a file server takes to start, or a person to make room."""
_OF_THE_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT,
}  # fmt: skip
"""What a full or a broken disk, or a file server that is away, answers."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 2.0, 30.0


class StorePatience:
    """That of one take: so many seconds in all, longer each time."""

    def __init__(self, progress: Progress, stop: Event) -> None:
        self._progress, self._stop = progress, stop
        self._waited_s, self._next_s = 0.0, _FIRST_WAIT_S

    def reach(self, what: Callable[[], T]) -> T:
        """What comes of it, once the store lets it. StoreError when it does not."""
        while True:
            try:
                return what()
            except StoreError as error:
                self.wait(error)

    def wait(self, error: StoreError) -> None:
        """Wait before the next try. Raises `error` when that was long enough; CancelledError."""
        if self._waited_s >= _PATIENCE_S:
            raise error
        if not self._waited_s:
            self._progress.note(f"{error}; waiting for the take store")
        if self._stop.wait(self._next_s):
            raise cancelled()
        self._waited_s += self._next_s
        self._next_s = min(2 * self._next_s, _LONGEST_WAIT_S)


def is_out_of_reach(error: BaseException | None, root: Path) -> bool:
    """Whether it is for the disk or the store that something went wrong, and not for itself."""
    while error is not None:
        if isinstance(error, StoreError):
            return True
        if isinstance(error, OSError) and (error.errno in _OF_THE_DISK or not root.is_dir()):
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
