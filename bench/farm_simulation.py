"""A farm in virtual time, which runs on what the real one runs on.

Films put takes into a pool through `flows.farm.window`, as `flows.farm.lane` does, and workers
choose from it with `flows.farm.choosing`; only the clock, the server, the loading and the
rendering are played. As in the real farm a worker has two takes of one setup in hand while its
device makes one, looks at once when one ends and every two seconds besides, sees the first 200
takes of the pool and who makes what, and may find at its claim that another was quicker.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bench.farm_drawn import Farm, Film, Machine
from flows.farm.choosing import LISTED, Chooser
from flows.farm.dispatch import Waiting, model_of
from flows.farm.names import GPU_POOL, SLOTS
from flows.farm.window import Window

__all__ = ["FirstInFirstOut", "Lost", "Played", "play"]

ADAPTERS_S = 5.0
"""Changing a model's adapters."""
PUBLISH_S = 2.0
"""From a take's last step on the device to the end of its run; the next is on the device then."""
CLAIM_S = 0.3
"""From a worker's look at the pool to its claim."""
LOOK_S = (1.4, 2.6)
"""Between a worker's looks: PREFECT_WORKER_QUERY_SECONDS and the jitter of Prefect's worker."""
LOCKED_S = 0.1
"""A look that comes so soon after another sees nothing of what that is shown: PostgreSQL skips the
rows that another question holds."""
FILM_LOOK_S = 0.5
"""From the end of a take's run to its film's next step."""
ASK_S = 0.1
"""A film puts a take into the pool."""
COUNT_S = 5.0
"""How long a film goes by one count of the workers."""
UPKEEP_S = 20.0
"""How often a worker counts the others."""
OFFLINE_S = 30.0
"""From a machine's end until its worker is not counted any more."""
NOTICED_S = 95.0
"""From a machine's end until its runs are put back."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A take whose machine has died."""

    id: str
    back_s: float
    """When it was put back."""
    device_s: float
    """What the machine had spent on it."""


@dataclass(slots=True)
class Played:
    """What came of it."""

    makespan_s: float = 0.0
    begun: list[tuple[float, str, str]] = field(default_factory=list)
    """Time, take and machine, in the order of time."""
    ended: dict[str, float] = field(default_factory=dict)
    """When each take was made."""
    loads: dict[str, list[str]] = field(default_factory=dict)
    """Models loaded, by machine, in order."""
    lost: list[Lost] = field(default_factory=list)
    missed_claims: int = 0

    def reloads(self) -> int:
        """Loads of a model that the machine had loaded before."""
        return sum(len(models) - len(set(models)) for models in self.loads.values())


class FirstInFirstOut(Chooser):
    """As Prefect's own workers choose: by queue, then by scheduled time."""

    def choose(
        self,
        waiting: Sequence[Waiting],
        in_hand: Sequence[Waiting],
        others: Sequence[Waiting],
        *,
        free: int,
        workers: int,
        all_listed: bool,
    ) -> list[Waiting]:
        return sorted(waiting, key=lambda one: (one.urgency, one.place))[:free]


def play(
    farm: Farm,
    chooser: Callable[[str], Chooser] = Chooser,
    *,
    seats: int = SLOTS[GPU_POOL],
    windowed: bool = True,
) -> Played:
    """Everything made, or RuntimeError when the farm stands still.

    `seats` is how many takes a worker has in hand. Not `windowed`, films put all that is ready
    into the pool at once.
    """
    return _Stage(farm, chooser, seats, windowed).play()


@dataclass(slots=True)
class _Worker:
    """One machine's worker, and what its device is at."""

    machine: Machine
    chooser: Chooser
    in_hand: dict[str, Waiting] = field(default_factory=dict)
    device_free_s: float = 0.0
    online: int = 0
    """Workers, when it last counted them."""
    looks: bool = False
    looks_again: bool = False


class _Stage:
    """The pool, the films and the workers at one moment of virtual time."""

    def __init__(
        self, farm: Farm, chooser: Callable[[str], Chooser], seats: int, windowed: bool
    ) -> None:
        self._farm, self._seats, self._windowed = farm, seats, windowed
        self._films = [_FilmFlow(film) for film in farm.films]
        self._film_of = {one.id: flow for flow in self._films for one in flow.film.takes}
        self._workers = [_Worker(machine, chooser(machine.name)) for machine in farm.machines]
        self._online = 0
        self._to_make = len(self._film_of)
        self._now = self._locked_until_s = 0.0
        self._draw = random.Random(0)
        self._count = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._pool: dict[str, Waiting] = {}
        self._under_way: dict[str, Waiting] = {}
        self.played = Played(loads={one.name: [] for one in farm.machines})

    def play(self) -> Played:
        for flow in self._films:
            self._at(flow.film.begins_s, lambda flow=flow: self._counts(flow))
        for worker in self._workers:
            machine = worker.machine
            self._at(machine.begins_s, lambda worker=worker: self._comes(worker))
            if machine.ends_s < math.inf:
                self._at(machine.ends_s + OFFLINE_S, self._goes_offline)
        while len(self.played.ended) < self._to_make:
            if self._now > 1e5:
                raise RuntimeError(f"stands still with {len(self._pool)} takes in the pool")
            self._now, _, happen = heapq.heappop(self._events)
            happen()
        self.played.makespan_s = max(self.played.ended.values())
        return self.played

    def _at(self, when_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when_s, next(self._count), happen))

    def _after(self, in_s: float, happen: Callable[[], None]) -> None:
        self._at(self._now + in_s, happen)

    def _counts(self, flow: _FilmFlow) -> None:
        flow.seats = self._online * self._seats if self._windowed else self._to_make
        flow.films = len({one.film for one in (*self._pool.values(), *self._under_way.values())})
        self._film_looks(flow)
        self._after(COUNT_S, lambda: self._counts(flow))

    def _film_looks(self, flow: _FilmFlow) -> None:
        if not flow.asks:
            flow.asks = True
            self._ask(flow)

    def _ask(self, flow: _FilmFlow) -> None:
        """Put one take into the pool, then perhaps another."""
        waiting = flow.submit()
        if waiting is None:
            flow.asks = False
            return
        self._pool[waiting.id] = replace(waiting, place=next(self._count))
        self._after(ASK_S if self._windowed else 0.0, lambda: self._ask(flow))

    def _comes(self, worker: _Worker) -> None:
        self._online += 1
        self._counts_workers(worker)
        self._looks_regularly(worker)

    def _counts_workers(self, worker: _Worker) -> None:
        worker.online = self._online
        self._after(UPKEEP_S, lambda: self._counts_workers(worker))

    def _goes_offline(self) -> None:
        self._online -= 1

    def _looks_regularly(self, worker: _Worker) -> None:
        if self._now < worker.machine.ends_s:
            self._look(worker)
            self._after(self._draw.uniform(*LOOK_S), lambda: self._looks_regularly(worker))

    def _look(self, worker: _Worker) -> None:
        """See the pool as it is now; claim a moment later."""
        in_hand = list(worker.in_hand.values())
        free = self._seats - len(in_hand)
        gone = self._now >= worker.machine.ends_s
        if gone or not free or not worker.chooser.looks(in_hand, self._now):
            return
        worker.looks_again = worker.looks
        if worker.looks:
            return
        worker.looks = True
        listed = self._list()
        best = worker.chooser.choose(
            [one for one in listed if one.model not in worker.machine.cannot],
            in_hand,
            [one for one in self._under_way.values() if one.worker != worker.machine.name],
            free=free,
            workers=worker.online,
            all_listed=len(listed) < LISTED,
        )
        self._after(CLAIM_S, lambda: self._claim(worker, best))

    def _list(self) -> list[Waiting]:
        """What the server shows of the pool: the most urgent first, then the oldest."""
        due = sorted(self._pool.values(), key=lambda one: (one.urgency, one.place))
        if self._now < self._locked_until_s:
            return due[LISTED : 2 * LISTED]
        self._locked_until_s = self._now + LOCKED_S
        return due[:LISTED]

    def _claim(self, worker: _Worker, best: Sequence[Waiting]) -> None:
        worker.looks = False
        again = worker.looks_again
        for one in best:
            if one.id in self._pool:
                self._begin(worker, self._pool.pop(one.id))
            else:
                self.played.missed_claims += 1
                again = True
        if again:
            self._look(worker)

    def _begin(self, worker: _Worker, one: Waiting) -> None:
        self.played.begun.append((self._now, one.id, worker.machine.name))
        one = replace(one, worker=worker.machine.name)
        worker.in_hand[one.id] = self._under_way[one.id] = one
        begins_s = max(self._now, worker.device_free_s)
        made_s = begins_s + self._load_s(worker, one) + self._film_of[one.id].film.real_s[one.id]
        worker.device_free_s = made_s
        dies_s = worker.machine.ends_s
        if made_s + PUBLISH_S < dies_s:
            self._at(made_s + PUBLISH_S, lambda: self._made(worker, one))
        else:
            lost_s = max(0.0, min(made_s, dies_s) - begins_s)
            self._at(dies_s + NOTICED_S, lambda: self._put_back(one, lost_s))

    def _load_s(self, worker: _Worker, one: Waiting) -> float:
        """Seconds until the machine has the setup; it has it from now on."""
        before = worker.chooser.loaded
        worker.chooser.begin(one, self._now)
        if model_of(before) == one.model:
            return 0.0 if before == one.setup else ADAPTERS_S
        self.played.loads[worker.machine.name].append(one.model)
        return self._farm.load_s[one.model]

    def _made(self, worker: _Worker, one: Waiting) -> None:
        del worker.in_hand[one.id], self._under_way[one.id]
        worker.chooser.end(list(worker.in_hand.values()), self._now)
        self.played.ended[one.id] = self._now
        flow = self._film_of[one.id]
        flow.made(one.id)
        self._after(FILM_LOOK_S, lambda: self._film_looks(flow))
        self._look(worker)

    def _put_back(self, one: Waiting, lost_s: float) -> None:
        """The same run is scheduled again."""
        del self._under_way[one.id]
        self.played.lost.append(Lost(one.id, self._now, lost_s))
        self._pool[one.id] = replace(one, place=next(self._count), worker="")


class _FilmFlow:
    """One film: which of its takes are ready, in the pool, blocked."""

    def __init__(self, film: Film) -> None:
        self.film, self._window = film, Window(film.takes)
        self.seats, self.films = 0, 1
        self.asks = False
        self._takes = {one.id: one for one in film.takes}
        self._blocked = {one.id: None for one in film.takes if one.after}
        self._ready = {one.id: None for one in film.takes if not one.after}
        self._in_pool: dict[str, None] = {}

    def submit(self) -> Waiting | None:
        """What to put into the pool now."""
        take = self._window.choose(
            list(self._ready), list(self._in_pool), list(self._blocked), self.seats, self.films
        )
        if not take:
            return None
        one = self._takes[take]
        left_s = self._window.left_s(take, self._ready)
        del self._ready[take]
        self._in_pool[take] = None
        return Waiting(
            take,
            one.setup,
            self.film.urgency,
            one.seconds,
            chain_s=self._window.chain_s(take),
            film=self.film.name,
            left_s=left_s,
        )

    def made(self, take: str) -> None:
        del self._in_pool[take]
        for one in self.film.takes:
            if one.after == take:
                del self._blocked[one.id]
                self._ready[one.id] = None
