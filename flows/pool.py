"""Run pieces of work a few at a time, each as soon as what it needs is there.

Pieces go in lanes, each with a limit of its own, so that drawing on the CPU, a GPU and a far away
service never wait for each other. A lane may ask anew each time how many it may run and which to
begin: a farm's workers come and go. One failure does not stop the rest: what needs the failed
piece is left out, everything else is finished and kept. Ctrl-C sets `stop`; pieces under way see
it at their next step.
"""

from __future__ import annotations

import contextvars
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import Generic, TypeVar

from media.errors import CancelledError, TakeboardError

__all__ = ["CPU", "Lane", "LaneView", "Outcome", "Work", "run_all"]

T = TypeVar("T")

CPU = "cpu"
"""The lane of whatever names none; its limit is `jobs`."""


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """One piece: what to call, and the names of the pieces that must succeed first."""

    run: Callable[[], T]
    needs: tuple[str, ...] = ()
    lane: str = CPU
    setup: str = ""
    """What must be loaded for it. While pieces of one setup run or are about to become ready, a
    lane starts none of another: a model that is put away and fetched again costs minutes."""
    optional: bool = False
    """Done only while there is other work: what has not begun when that ends is dropped."""


@dataclass(frozen=True, slots=True)
class LaneView:
    """What there is in a lane, by name, in the order of the work."""

    ready: Sequence[str]
    under_way: Sequence[str]
    blocked: Sequence[str]
    """Those that wait for others."""


@dataclass(frozen=True, slots=True)
class Lane:
    """How many pieces of a lane run at a time, and which begins next."""

    limit: int | Callable[[], int]
    """Asked several times a second where it changes."""
    choose: Callable[[LaneView], str] | None = None
    """The one of `ready` to begin, or nothing for now. None: the first, one setup after the
    other."""

    @property
    def most(self) -> int:
        """The limit at this moment."""
        return self.limit() if callable(self.limit) else self.limit

    @property
    def may_wait(self) -> bool:
        """Whether it may start nothing, though something is ready and nothing is under way."""
        return callable(self.limit) or self.choose is not None


@dataclass(slots=True)
class Outcome(Generic[T]):
    """What came of a set of work, by name. `left_out` names the failed piece that each needed."""

    done: dict[str, T] = field(default_factory=dict)
    failed: dict[str, TakeboardError] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def run_all(
    work: Mapping[str, Work[T]],
    *,
    jobs: int,
    stop: Event,
    lanes: Mapping[str, int | Lane] | None = None,
    enough: Event | None = None,
) -> Outcome[T]:
    """Run everything, at most `jobs` at a time, and in other lanes as many as `lanes` says.

    In a lane, pieces that are ready start in the order of `work`, one setup after the other,
    and optional ones when no other is ready; `enough` is set when only such are left. Raises
    CancelledError once `stop` is set. Errors that are no TakeboardError are defects: they set
    `stop` and rise as they are.
    """
    given = {CPU: jobs, **(lanes or {})}
    board = _Board(
        work, {name: one if isinstance(one, Lane) else Lane(one) for name, one in given.items()}
    )
    running: dict[Future[T], str] = {}
    with ThreadPoolExecutor(max(len(work), 1), thread_name_prefix="takeboard") as pool:
        try:
            while board.goes_on:
                for name in board.start():
                    context = contextvars.copy_context()
                    running[pool.submit(context.run, work[name].run)] = name
                if not running and not board.may_wait:
                    break
                # The time limit lets the main thread see a signal even where a wait blocks it.
                if running:
                    finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                else:
                    finished = set()
                    stop.wait(0.2)
                for future in finished:
                    board.end(running.pop(future), future)
                if stop.is_set():
                    raise _cancelled()
                if enough is not None and not board.required:
                    enough.set()
        except BaseException:
            stop.set()
            for future in running:
                future.cancel()
            raise
    if waiting := board.required:
        raise ValueError(f"work needs what is not there, or itself: {', '.join(waiting)}")
    return board.outcome


class _Board(Generic[T]):
    """Which pieces wait, are ready and run. Every piece is looked at a few times, however many."""

    def __init__(self, work: Mapping[str, Work[T]], lanes: Mapping[str, Lane]) -> None:
        self.outcome: Outcome[T] = Outcome()
        self.required = {name: None for name, piece in work.items() if not piece.optional}
        self._work, self._lanes = work, lanes
        self._order = {name: place for place, name in enumerate(work)}
        self._unmet = {name: set(piece.needs) for name, piece in work.items()}
        self._needed_by: dict[str, list[str]] = {}
        self._running: dict[str, str] = {}
        """Lane by the name of each piece that is under way."""
        self._warm: dict[str, str] = {}
        """Setup by lane: what is still loaded there."""
        self._ready: dict[tuple[str, str], list[tuple[bool, int, str]]] = {}
        """Heaps by lane and setup."""
        self._blocked: dict[tuple[str, str], dict[str, None]] = {}
        """Names by lane and setup."""
        for name, unmet in self._unmet.items():
            for need in unmet:
                self._needed_by.setdefault(need, []).append(name)
            if unmet:
                self._blocked.setdefault(self._place(name), {})[name] = None
            else:
                self._make_ready(name)

    @property
    def goes_on(self) -> bool:
        """Whether anything is left that must be done, or is under way."""
        return bool(self.required or self._running)

    @property
    def may_wait(self) -> bool:
        """Whether a lane that may start nothing for a while has something ready."""
        patient = {name for name, lane in self._lanes.items() if lane.may_wait}
        return any(heap and place[0] in patient for place, heap in self._ready.items())

    def start(self) -> Iterator[str]:
        """Names of the pieces to begin now; each counts as running from here on."""
        for lane, kind in self._lanes.items():
            free = kind.most - sum(one == lane for one in self._running.values())
            while free > 0 and (name := self._next(lane)):
                self._running[name] = lane
                free -= 1
                yield name

    def end(self, name: str, future: Future[T]) -> None:
        """Take down what came of a piece. Raises CancelledError, and defects as they are."""
        del self._running[name]
        self.required.pop(name, None)
        error = future.exception()
        if error is None:
            self.outcome.done[name] = future.result()
            self._meet(name)
        elif isinstance(error, CancelledError):
            raise _cancelled() from error
        elif isinstance(error, TakeboardError):
            self.outcome.failed[name] = error
            self._leave_out(name)
        else:
            raise error

    def _place(self, name: str) -> tuple[str, str]:
        return self._work[name].lane, self._work[name].setup

    def _make_ready(self, name: str) -> None:
        entry = (self._work[name].optional, self._order[name], name)
        heapq.heappush(self._ready.setdefault(self._place(name), []), entry)

    def _next(self, lane: str) -> str:
        """The piece to begin in `lane`, no longer among the ready; empty: none may begin."""
        if not self.required:
            return ""  # optional pieces that have not begun are dropped
        if choose := self._lanes[lane].choose:
            return self._chosen(lane, choose)
        in_use = {self._place(name) for name, where in self._running.items() if where == lane}
        in_use = in_use or {(lane, self._warm.get(lane, ""))}
        heaps = [self._ready[place] for place in in_use if self._ready.get(place)]
        if not heaps:
            if any(self._expects(place) for place in in_use):
                return ""
            heaps = [heap for place, heap in self._ready.items() if heap and place[0] == lane]
        if not heaps:
            return ""
        name = heapq.heappop(min(heaps, key=lambda heap: heap[0]))[2]
        self._warm[lane] = self._work[name].setup
        return name

    def _chosen(self, lane: str, choose: Callable[[LaneView], str]) -> str:
        heaps = [heap for place, heap in self._ready.items() if place[0] == lane]
        ready = {name: heap for heap in heaps for _, _, name in heap}
        if not ready:
            return ""
        under_way = [name for name, where in self._running.items() if where == lane]
        blocked = [n for place, names in self._blocked.items() if place[0] == lane for n in names]
        named = [
            sorted(names, key=self._order.__getitem__) for names in (ready, under_way, blocked)
        ]
        name = choose(LaneView(*named))
        if name:
            heap = ready[name]
            heap[:] = [entry for entry in heap if entry[2] != name]
            heapq.heapify(heap)
        return name

    def _expects(self, place: tuple[str, str]) -> bool:
        """Whether a piece of this setup becomes ready by what is under way in its lane."""
        if not place[1]:
            return False
        under_way = {name for name, lane in self._running.items() if lane == place[0]}
        return any(self._unmet[name] <= under_way for name in self._blocked.get(place, ()))

    def _meet(self, need: str) -> None:
        for name in self._needed_by.get(need, ()):
            self._unmet[name].discard(need)
            if not self._unmet[name] and self._unblock(name):
                self._make_ready(name)

    def _leave_out(self, lost: str) -> None:
        """Everything that needs the lost piece, over any number of steps."""
        found = [lost]
        while found:
            need = found.pop()
            for name in self._needed_by.get(need, ()):
                if self._unblock(name):
                    self.outcome.left_out[name] = need
                    self.required.pop(name, None)
                    found.append(name)

    def _unblock(self, name: str) -> bool:
        """True when it was blocked until now."""
        blocked = self._blocked.get(self._place(name), {})
        if name not in blocked:
            return False
        del blocked[name]
        return True


def _cancelled() -> CancelledError:
    """The whole run's: which piece happened to notice first tells a person nothing."""
    return CancelledError("cancelled", todo="run again to go on where this stopped")
