"""Which take a worker makes next: pure rules, without a server or a clock.

A pool holds a window of takes, about twice as many as its workers have room for. The film's side
(`flows.farm.window`) sees to it that the window holds the right mix; the worker's side, here,
chooses from it. Both think in *models*: loading one takes minutes, changing its adapters
seconds, and a setup (`generator.grouping.setup_of`) is a model with its adapters. The workers
that have a model loaded are its crew. What a worker knows is what the server lists: the takes
that wait, who makes what, and how many workers are online. What it chooses, and why:

- What it has loaded comes first; then the same model with other adapters.
- A model that has work for it is left in two cases. For a more urgent film, when the crew of its
  model would come to that much later than it is loaded; else staying is as quick and costs
  nothing. And when crews are out of proportion: its own is done, even without it, before another
  would be with it. Crews of the right size from the beginning need no second loading later.
- With nothing left to do for its model, it loads another only for a take that the crew could not
  begin sooner: loading for the last takes of others would begin them later, not sooner. What
  would be the last to end is not made to wait for a loading either.
- It then goes to the model with the most work for each of its crew, and not to one that it left.
  Of workers that are free at the same time each thinks itself to be another one of them.
- Within a model the most urgent first; then the longest chain, then the longest take (list
  scheduling by critical path and longest processing time: Graham, Bounds on multiprocessing
  timing anomalies, SIAM Journal on Applied Mathematics 17, 1969).
- A chain of a film that can wait goes like one of a normal film as soon as everything else would
  be done before it: then waiting makes it late. An urgent film goes before it all the same.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from zlib import crc32

from flows.farm.names import GPU_POOL, SLOTS

__all__ = ["LOAD_S", "TAKES_A_WORKER", "Waiting", "by_preference", "model_of"]

LOAD_S = 120.0
"""What loading a model of tens of gigabytes is taken to last: one to three minutes."""
ADAPTERS_WORTH_S = 15.0
"""Changing adapters takes seconds: what would end last goes first, if it is longer by more."""
TAKES_A_WORKER = 2
"""A film has so many takes in the pool for each that workers have room for: one more."""
URGENT_LOADS = 4.0
"""An urgent take is left to its model's crew for so many loading times."""
CHAIN_SLACK = 1.5
"""A chain lasts longer than its takes: each waits until one of its crew is free."""
WORTH_MOVING = 0.1
"""A crew is joined from another that will be done so much sooner, even with one less."""
FULL = 0.75
"""A pool counts as full with so much of what films would put into it."""
NORMAL = 2


@dataclass(frozen=True, slots=True)
class Waiting:
    """A take in the pool."""

    id: str
    setup: str
    urgency: int = NORMAL
    """1 is first, as the pool's queues count."""
    seconds: float = 0.0
    """How long it will take, as quoted."""
    place: int = 0
    """Where it stands among those in the pool."""
    chain_s: float = 0.0
    """Seconds of the take and of the longest chain of takes that go on from it."""
    film: str = ""
    left_s: float = 0.0
    """Seconds of its film's takes of this model that were not in the pool yet when it was put
    there."""
    worker: str = ""
    """Who has it, once somebody has taken it."""
    suspect: bool = False
    """Its process has died before."""

    @property
    def model(self) -> str:
        """What takes minutes to load."""
        return model_of(self.setup)

    @property
    def longest_s(self) -> float:
        """Seconds until the last take that goes on from it."""
        return max(self.chain_s, self.seconds)


def model_of(setup: str) -> str:
    """The model of a setup: its backend, without the adapters."""
    return setup.partition(" ")[0]


def by_preference(
    waiting: Sequence[Waiting],
    warm: Sequence[str],
    others: Sequence[Waiting],
    *,
    who: str = "",
    workers: int = 0,
    all_listed: bool = True,
) -> list[Waiting]:
    """What a worker should take, the best first; empty when others had better do it.

    `waiting` is what it is able to make, and `all_listed` whether the server has listed all that
    waits; `warm` are the setups that it has had, the latest first: that one is loaded, the others
    it has left. `others` is what the other workers are busy with. Of `workers`, those online, the
    rest is free; `who`, its name, decides which of them it thinks itself to be, so that few reach
    for the same take.
    """
    scene = _Scene(waiting, others, workers, all_listed)
    loaded = model_of(warm[0]) if warm else ""
    own = sorted(scene.takes.pop(loaded, ()), key=lambda one: scene.own_order(one, warm[0]))
    left = {model_of(setup) for setup in warm} - {loaded}
    if not own:
        far = {model: scene.late(model) for model in scene.takes}
    else:
        far = scene.urgent(own[0]) or scene.out_of_proportion(loaded, left)
    turn = crc32(who.encode()) % scene.free
    return [*_turned(scene.seats(far, left), turn), *own]


class _Scene:
    """The pool at one moment, by model."""

    def __init__(
        self,
        waiting: Sequence[Waiting],
        others: Sequence[Waiting],
        workers: int,
        all_listed: bool,
    ) -> None:
        self._busy: dict[str, dict[str, list[Waiting]]] = {}
        for one in others:
            self._busy.setdefault(one.model, {}).setdefault(one.worker or one.id, []).append(one)
        self.crews = Counter({model: len(crew) for model, crew in self._busy.items()})
        workers = max(workers, self.crews.total() + 1)
        self.free = workers - self.crews.total()
        setups = {(one.setup, one.worker or one.id) for one in others}
        self._crews_of_setup = Counter(setup for setup, _ in setups)
        self._setup_s: dict[str, float] = {}
        self.takes: dict[str, list[Waiting]] = {}
        for one in waiting:
            self._setup_s[one.setup] = self._setup_s.get(one.setup, 0.0) + one.seconds
            self.takes.setdefault(one.model, []).append(one)
        full = FULL * TAKES_A_WORKER * SLOTS[GPU_POOL] * workers if all_listed else 0.0
        self.left_s = _left_s([*waiting, *others], full)
        self.work_s = {
            model: self.left_s[model] + sum(one.longest_s for one in takes)
            for model, takes in self.takes.items()
        }
        for one in others:
            if one.model in self.work_s:
                self.work_s[one.model] += one.longest_s - one.seconds / 4
        self._horizon_s = sum(self.work_s.values()) / (self.crews.total() + 1)

    def urgency(self, one: Waiting) -> int:
        """As asked for, but normal for a chain that would otherwise be the last to end."""
        return min(one.urgency, NORMAL) if self._is_critical(one) else one.urgency

    def own_order(self, one: Waiting, loaded: str) -> tuple[float, ...]:
        """What is urgent; what would be the last to end; what needs no other adapters."""
        change = one.setup != loaded
        if self._is_critical(one):
            single = one.longest_s <= one.seconds
            worth = one.longest_s - (ADAPTERS_WORTH_S if change and single else 0.0)
            return self.urgency(one), 0, -worth, one.place
        wanted = self._setup_s[one.setup] / (self._crews_of_setup[one.setup] + 1)
        return self.urgency(one), 1, change, -wanted if change else 0, -one.longest_s, one.place

    def _is_critical(self, one: Waiting) -> bool:
        """Whether everything else could be done before the end of what goes on from it."""
        links = CHAIN_SLACK if one.longest_s > one.seconds else 1.0
        return one.longest_s * links + LOAD_S >= self._horizon_s

    def late(self, model: str) -> list[Waiting]:
        """The model's takes that its crew would not begin before another has loaded it, in order.

        When there is much more of the model to come, then the others too.
        """
        ordered = sorted(
            self.takes[model], key=lambda one: (self.urgency(one), -one.longest_s, one.place)
        )
        if not self.crews[model]:
            return ordered
        free_at = self._free_at(model)
        late: list[Waiting] = []
        soon: list[Waiting] = []
        for one in ordered:
            (late if free_at[0] > LOAD_S else soon).append(one)
            heapq.heapreplace(free_at, free_at[0] + one.seconds)
        mean_s = sum(one.seconds for one in ordered) / len(ordered)
        much = self.left_s[model] and self._done_s(model) > LOAD_S + mean_s
        return [*late, *soon] if much else late

    def _free_at(self, model: str) -> list[float]:
        """Seconds until each of the crew has done what it has in hand, the first free first.

        What each makes is begun, and its end evenly spread; what it has besides comes after that.
        """
        crew = [[one.seconds for one in takes] for takes in self._busy[model].values()]
        crew.sort(key=max)
        return sorted(
            sum(in_hand) - max(in_hand) * (1 - (place + 0.5) / len(crew))
            for place, in_hand in enumerate(crew)
        )

    def urgent(self, best: Waiting) -> dict[str, list[Waiting]]:
        """What to leave a model for that has `best`: more urgent, and otherwise long in coming."""
        most = self.urgency(best)
        found = {}
        for model, takes in self.takes.items():
            urgent = [one for one in takes if self.urgency(one) < min(most, NORMAL)]
            seconds = sum(one.seconds for one in urgent)
            if seconds > URGENT_LOADS * LOAD_S * self.crews[model]:
                found[model] = sorted(urgent, key=lambda one: (-one.longest_s, one.place))
        return found

    def out_of_proportion(self, loaded: str, left: Iterable[str]) -> dict[str, list[Waiting]]:
        """The model that would be done last, when its own crew is done before, even without it."""
        others = [model for model in self.takes if model not in left and self.crews[model]]
        last = max(others, key=self._done_s, default="")
        if self.free > 1 or not last or not self.crews[loaded] or self._done_s(last) < 2 * LOAD_S:
            return {}
        if self._done_s(last) * (1 - WORTH_MOVING) < self._done_s(loaded):
            return {}
        return {last: self.late(last)}

    def _done_s(self, model: str) -> float:
        """Seconds until the crew of the model, without the asking worker, has done its work."""
        return self.work_s[model] / self.crews[model]

    def seats(self, far: Mapping[str, Sequence[Waiting]], left: Iterable[str]) -> list[Waiting]:
        """The takes of other models, each as if somebody had gone for every one before it.

        The next seat is of the model with the most work for each of its crew (D'Hondt's rule for
        dividing seats), so crews come to have the shares that the work has.
        """
        seated = Counter(self.crews)
        queues = {model: deque(takes) for model, takes in far.items() if takes}
        ordered = []
        while queues:
            model = min(
                queues,
                key=lambda name: (
                    self.urgency(queues[name][0]),
                    name in left,
                    -self.work_s[name] / (seated[name] + 1),
                    queues[name][0].place,
                ),
            )
            ordered.append(queues[model].popleft())
            seated[model] += 1
            if not queues[model]:
                del queues[model]
        return ordered


def _left_s(takes: Sequence[Waiting], full: float) -> Counter[str]:
    """Seconds of takes that are not in the pool yet, by model.

    What is left of a film only becomes less: the least that is known is the latest. And nothing is
    left of a film whose share of a `full` pool is not taken up.
    """
    in_pool = Counter(one.film for one in takes)
    least: dict[tuple[str, str], float] = {}
    for one in takes:
        seconds = one.left_s if in_pool[one.film] * len(in_pool) >= full else 0.0
        least[one.model, one.film] = min(seconds, least.get((one.model, one.film), seconds))
    left = Counter[str]()
    for (model, _), seconds in least.items():
        left[model] += seconds  # type: ignore[assignment]
    return left


def _turned(takes: Sequence[Waiting], turn: int) -> list[Waiting]:
    """From the one whose turn it is, within the most urgent of them."""
    urgent = list(takewhile(lambda one: one.urgency == takes[0].urgency, takes))
    start = turn % max(len(urgent), 1)
    return [*urgent[start:], *urgent[:start], *takes[len(urgent) :]]
