"""Pictures that several shots of a film draw from, kept once they are read, cut out and painted."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar, cast

__all__ = ["PictureMemory", "remembered"]

Kept = TypeVar("Kept")

_LIMIT_BYTES = 256 * 2**20


class PictureMemory:
    """The last used pictures up to `limit_bytes`; the one unused for longest goes first.

    Safe between threads. What is kept is shared: nobody may write into it.
    """

    def __init__(self, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[object, tuple[object, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.num_bytes = 0

    def get(self, key: object, make: Callable[[], Kept], size_of: Callable[[Kept], int]) -> Kept:
        """What is kept under `key`, or what `make` gives; two threads may make it at once."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return cast(Kept, found[0])
        made = make()
        size = size_of(made)
        with self._lock:
            if key not in self._kept and size <= self._limit_bytes:
                self._kept[key] = (made, size)
                self.num_bytes += size
            while self.num_bytes > self._limit_bytes:
                _, (_, gone) = self._kept.popitem(last=False)
                self.num_bytes -= gone
        return made


def remembered(key: object, make: Callable[[], Kept], size_of: Callable[[Kept], int]) -> Kept:
    """`make()`, or what it gave under this `key` before in this process."""
    return _memory().get(key, make, size_of)


@functools.cache
def _memory() -> PictureMemory:
    """One for the process: the shots of a scene are drawn one after another by the same one."""
    return PictureMemory()
