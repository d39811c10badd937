"""What a worker leaves alone for a while because it cannot be made here.

A machine that cannot start its process, or not reach a take store, would otherwise take, and hand
back, all that there is. A store is left alone by itself: films with another one go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Rests"]

_REST_S = (5.0, 10.0, 20.0, 60.0, 120.0)
"""How long, the first times in a row."""


@dataclass(slots=True)
class Rests:
    """By what is left alone: the address of a store, or nothing for all that there is."""

    passed_s: Callable[[], float] = time.monotonic
    _times: dict[str, int] = field(default_factory=dict)
    _until_s: dict[str, float] = field(default_factory=dict)

    def is_left(self, what: str = "") -> bool:
        """Whether it is left alone now."""
        return self.passed_s() < self._until_s.get(what, 0.0)

    def leave(self, what: str = "") -> float:
        """Leave it alone, longer each time; for how many seconds. 0: it is left already."""
        if self.is_left(what):
            return 0.0
        times = self._times.get(what, 0)
        rest_s = _REST_S[min(times, len(_REST_S) - 1)]
        self._times[what], self._until_s[what] = times + 1, self.passed_s() + rest_s
        return rest_s

    def take_up(self, what: str = "") -> None:
        """It works again."""
        self._times.pop(what, None)
        self._until_s.pop(what, None)
