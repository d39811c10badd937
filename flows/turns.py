"""Turns at the cores of a process that makes several films at once.

A film that waits for takes needs no core; what it draws, mixes and cuts needs all of them. So the
films of a worker wait together, however many, and work one piece after the other, a piece a core:

- the urgent film first, and within an urgency the one that came first, so that films are finished
  one after the other instead of all at the very end;
- but plans before everything of their urgency: they are quick, and until a film is planned no GPU
  can begin with it;
- and what is only prepared, while nothing else is to be done, after everything of their urgency.

A turn is as long as a piece, mostly seconds: no urgent film waits for the whole cut of another.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar, Literal, TypeVar

from media.errors import CancelledError
from media.words import counted

__all__ = ["FilmTurns", "FreeTurns", "Kind", "Turns"]

T = TypeVar("T")

Kind = Literal["plan", "work", "ahead"]
_KINDS: tuple[Kind, ...] = ("plan", "work", "ahead")

_LOOK_S = 1.0
"""How soon somebody who waits sees that the film was cancelled."""
_TOLD_AFTER_S, _TOLD_EVERY_S = 10.0, 600.0


class FreeTurns:
    """Those of a film that shares its process with no other: every piece begins at once."""

    may_wait: ClassVar[bool] = False
    """Whether a turn is something to wait for."""

    @contextmanager
    def turn(self, should_stop: Callable[[], bool], kind: Kind = "work") -> Iterator[None]:
        """The block is a piece of work; CancelledError when `should_stop` says so before.

        A piece must not wait, in its turn, for another piece that needs one.
        """
        yield

    def taking(
        self, run: Callable[[], T], should_stop: Callable[[], bool], kind: Kind = "work"
    ) -> Callable[[], T]:
        """`run` as a piece of work, to be called where it may wait for its turn."""

        def taken() -> T:
            with self.turn(should_stop, kind):
                return run()

        return taken


@dataclass(order=True, slots=True)
class _Wish:
    """A piece that waits; the least is next."""

    rank: tuple[int, int, float, int]
    """Urgency, kind, and when the film came and its number."""
    place: int
    name: str = field(compare=False)
    """Of the film."""
    granted: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def film(self) -> int:
        return self.rank[3]


class Turns:
    """Those of one process."""

    def __init__(
        self, at_a_time: int, on_work: Callable[[str, bool], None] = lambda name, works: None
    ) -> None:
        """`on_work` hears the name of a film that begins to work, or works no more."""
        self._free, self._on_work = max(1, at_a_time), on_work
        self._lock = threading.Lock()
        self._line: list[_Wish] = []
        self._taken: list[_Wish] = []
        self._places, self._films = count(), count()

    def of_film(
        self, urgency: int, note: Callable[[str], None], name: str = "", came_at: float = 0.0
    ) -> FilmTurns:
        """The turns of a film; 1 is the most urgent.

        `note` hears that the film waits for others, in words. A film `came_at` the time at which
        it was asked for, also when it is resumed or begun again later; of one time, it comes now.
        """
        return FilmTurns(self, (urgency, came_at, next(self._films)), note, name)

    def wish(self, rank: tuple[int, int, float, int], name: str) -> _Wish:
        """A piece in the line, perhaps at its turn at once; to be given back in any case."""
        with self._lock:
            wish = _Wish(rank, next(self._places), name)
            heapq.heappush(self._line, wish)
            self._call()
            return wish

    def give_back(self, wish: _Wish) -> None:
        """The piece is done, or is not wished for any more."""
        with self._lock:
            if wish in self._taken:
                self._taken.remove(wish)
                self._free += 1
                if not any(one.film == wish.film for one in self._taken):
                    self._on_work(wish.name, False)
            else:
                self._line.remove(wish)
                heapq.heapify(self._line)
            self._call()

    def before(self, wish: _Wish) -> int:
        """How many other films work, or come before it."""
        with self._lock:
            films = {one.film for one in self._taken}
            films |= {one.film for one in self._line if one < wish}
            return len(films - {wish.film})

    def _call(self) -> None:
        while self._free and self._line:
            wish = heapq.heappop(self._line)
            self._free -= 1
            if not any(one.film == wish.film for one in self._taken):
                self._on_work(wish.name, True)
            self._taken.append(wish)
            wish.granted.set()


class FilmTurns(FreeTurns):
    """Those of one film among others. May be asked for from any thread."""

    may_wait = True

    def __init__(
        self,
        turns: Turns,
        place: tuple[int, float, int],
        note: Callable[[str], None],
        name: str,
    ) -> None:
        """`place`: urgency, when it came, and number."""
        self._turns, self._place = turns, place
        self._note, self._name = note, name
        self._told_at = -_TOLD_EVERY_S

    @contextmanager
    def turn(self, should_stop: Callable[[], bool], kind: Kind = "work") -> Iterator[None]:
        urgency, came_at, number = self._place
        wish = self._turns.wish((urgency, _KINDS.index(kind), came_at, number), self._name)
        try:
            self._wait(wish, should_stop, told=kind != "ahead")
            yield
        finally:
            self._turns.give_back(wish)

    def _wait(self, wish: _Wish, should_stop: Callable[[], bool], *, told: bool) -> None:
        since = time.monotonic()
        while not wish.granted.wait(_LOOK_S):
            if should_stop():
                raise CancelledError("cancelled", todo="run again to go on where this stopped")
            now = time.monotonic()
            if not told or now - since < _TOLD_AFTER_S or now - self._told_at < _TOLD_EVERY_S:
                continue
            if films := self._turns.before(wish):
                self._told_at = now
                self._note(f"waits for the cores of this machine: {counted(films, 'film')} before")
