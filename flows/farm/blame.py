"""Which of the runs in a process that has died are taken for the cause of it.

Those are begun again one at a time, and set aside when it happens to them again and again
(`deaths`); the others are only lost, and begun again at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from uuid import UUID

from flows.farm.dispatch import Waiting

__all__ = ["Blame"]

_FORGOTTEN_S = 600.0
_UNEXPLAINED = 2
"""So many deaths in ten minutes are nobody's fault when no film was at work: somebody ended the
process, or another program took the memory. More, and it is one of the films after all."""


class Blame:
    """Of the deaths of one worker's process."""

    def __init__(self, *, films: bool, now: Callable[[], float] = time.monotonic) -> None:
        """`films`: what is under way mostly waits, and it is known who is at work."""
        self._films, self._now = films, now
        self._unexplained: list[float] = []

    def of(self, under_way: Mapping[UUID, Waiting], at_work: Collection[UUID]) -> set[UUID]:
        """Those to blame of the runs that were under way.

        What waits does not end a process; what was at work in it may have. A suspect is blamed
        alone.
        """
        suspected = set(under_way).intersection(at_work)
        if not suspected and not (self._films and self._is_nobodys_fault()):
            suspected = set(under_way)
        before = {run for run in suspected if under_way[run].suspect}
        return before if len(before) == 1 else suspected

    def _is_nobodys_fault(self) -> bool:
        now = self._now()
        self._unexplained = [at for at in self._unexplained if now - at < _FORGOTTEN_S]
        self._unexplained.append(now)
        return len(self._unexplained) <= _UNEXPLAINED
