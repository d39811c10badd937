"""The whole film's progress as one live bar, told by the stages that every display is told of."""

from __future__ import annotations

import threading

from flows.live_progress import LiveProgress
from flows.progress import Progress

__all__ = ["FilmBar"]

_RENDERED, _FINISHED = 70.0, 80.0
"""Percent at which takes are rendered, and finished; what is left goes to the cuts, evenly."""

_DOING = {
    "shots": "rendering",
    "finish": "finishing",
    "sound": "making sound",
    "picture": "cutting",
}


class FilmBar(Progress):
    """Shows everything on `shown`, and where the film stands on `bar`."""

    def __init__(self, shown: Progress, bar: LiveProgress, cuts: int) -> None:
        """`cuts`: deliverables, each language of one counted."""
        self._shown, self._bar, self._cuts = shown, bar, max(1, cuts)
        self._lock = threading.Lock()
        self._done: dict[str, int] = {}
        self._total: dict[str, int] = {}
        self._cut = -1
        """Which of the cuts is being made."""
        self._takes = ""

    def stage(self, name: str, total: int) -> None:
        with self._lock:
            self._done[name], self._total[name] = 0, total
            if name == "sound":
                self._cut += 1
            self._tell(name, news=True)
        self._shown.stage(name, total)

    def advance(self, name: str, steps: int = 1, label: str = "") -> None:
        with self._lock:
            self._done[name] = self._done.get(name, 0) + steps
            self._tell(name)
        self._shown.advance(name, steps, label)

    def at(self, name: str, done: int, total: int) -> None:
        with self._lock:
            self._done[name], self._total[name] = done, total
            self._tell(name)
        self._shown.at(name, done, total)

    def takes(self, done: int, total: int) -> None:
        with self._lock:
            self._takes = f"{done} of {total} takes made, "
            self._tell("shots")
        self._shown.takes(done, total)

    def note(self, text: str) -> None:
        self._shown.note(text)

    def _tell(self, name: str, *, news: bool = False) -> None:
        done, total = self._done.get(name, 0), self._total.get(name, 0)
        percent = self._percent(name, done / total if total else 0.0)
        self._bar.say(percent, self._words(name, done, total), news=news)

    def _words(self, name: str, done: int, total: int) -> str:
        if name == "shots":
            return f"{self._takes}{done} of {total} frames" if total else "no take is missing"
        of = f" {self._cut + 1} of {self._cuts}" if name in ("sound", "picture") else ""
        counted = f", {done} of {total}" if total else ""
        return f"{_DOING.get(name, name)}{of}{counted}"

    def _percent(self, name: str, share: float) -> float:
        if name == "shots":
            return _RENDERED * share
        if name == "finish":
            return _RENDERED + (_FINISHED - _RENDERED) * share
        cut = max(0, self._cut) + (share if name == "picture" else 0.0)
        return _FINISHED + (100 - _FINISHED) * min(1.0, cut / self._cuts)
