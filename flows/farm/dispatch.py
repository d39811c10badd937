"""Which take a worker makes next: pure rules, without a server or a clock.

A pool holds a window of takes, about twice as many as there are workers. The film's side
(`flows.farm.window`) sees to it that the window holds the right mix; the worker's side, here,
chooses from it. Both think in *models*: loading one takes minutes, changing its adapters
seconds, and a setup (`generator.grouping.setup_of`) is a model with its adapters. The workers
that have a model loaded are its crew. What a worker chooses, and why:

- What it has loaded comes first; then the same model with other adapters.
- A model that has work for it is left in two cases. For a more urgent film, when the crew of its
  model would come to that much later than it is loaded; else staying is as quick and costs
  nothing. And when crews are out of proportion: its own is done, even without it, before another
  would be with it. Crews of the right size from the beginning need no second loading later.
- With nothing left to do for its model, it loads another only for a take that the crew could not
  begin sooner: loading for the last takes of others would begin them later, not sooner.
- It then goes to the model with the most work for each of its crew, and not to one that it left.
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

__all__ = ["LOAD_S", "TAKES_A_WORKER", "Waiting", "by_preference", "model_of"]

LOAD_S = 120.0
"""What loading a model of tens of gigabytes is taken to last: one to three minutes."""
ADAPTERS_WORTH_S = 120.0
"""Changing adapters takes seconds: not for each take, but for a chain longer by minutes."""
TAKES_A_WORKER = 2
"""A film has so many takes in the pool for each worker: one under way, one to go on with."""
URGENT_LOADS = 4.0
"""An urgent take is left to its model's crew for so many loading times."""
CHAIN_SLACK = 1.5
"""A chain lasts longer than its takes: each waits until one of its crew is free."""
WORTH_MOVING = 0.1
"""A crew is joined from another that will be done so much sooner, even with one less."""
NORMAL = 2


@dataclass(frozen=True, slots=True)
class Waiting:
    """A take in the pool that nobody has taken yet."""

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
    fresh: bool = False
    """In the pool for less than two looks: not everybody who has its model has seen it."""
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
    under_way: Sequence[Waiting],
    *,
    who: str = "",
    free: int = 1,
    load_s: float = LOAD_S,
) -> list[Waiting]:
    """What a worker should take, the best first; empty when others had better do it.

    `waiting` is what it is able to make, `warm` are the setups that it has had, the latest
    first: that one is loaded, the others it has left. `under_way` is what the other workers of
    the pool are busy with. `free` workers choose now, this one included; `who`, its name,
    decides which of them it thinks itself to be, so that few reach for the same take.
    """
    scene = _Scene(waiting, under_way, free, load_s)
    turn = crc32(who.encode()) % max(free, 1)
    loaded = model_of(warm[0]) if warm else ""
    own = sorted(scene.takes.pop(loaded, ()), key=lambda one: scene.own_order(one, warm[0]))
    left = {model_of(setup) for setup in warm} - {loaded}
    if not own:
        far = {model: scene.late(model, load_s) for model in scene.takes}
    else:
        far = scene.urgent(own[0]) or scene.out_of_proportion(loaded, left)
    return [*_turned(scene.seats(far, left), turn), *_turned(own, turn)]


class _Scene:
    """The pool at one moment, by model."""

    def __init__(
        self,
        waiting: Sequence[Waiting],
        under_way: Sequence[Waiting],
        free: int,
        load_s: float,
    ) -> None:
        self._load_s, self._others_free = load_s, free > 1
        self.crews = Counter(one.model for one in under_way)
        self._under_way = under_way
        self._crews_of_setup = Counter(one.setup for one in under_way)
        self._setup_s: dict[str, float] = {}
        self.takes: dict[str, list[Waiting]] = {}
        for one in waiting:
            self._setup_s[one.setup] = self._setup_s.get(one.setup, 0.0) + one.seconds
            self.takes.setdefault(one.model, []).append(one)
        # What is left of a film only becomes less: the least that is known is the latest. And
        # nothing is left of a film whose window is not full.
        in_pool = Counter(one.film for one in (*waiting, *under_way))
        full = 0.75 * TAKES_A_WORKER * (len(under_way) + free)
        left_s: dict[tuple[str, str], float] = {}
        for one in (*waiting, *under_way):
            of_film, seconds = (one.model, one.film), one.left_s
            if in_pool[one.film] < full:
                seconds = 0.0
            left_s[of_film] = min(seconds, left_s.get(of_film, seconds))
        self.left_s = dict.fromkeys((model for model, _ in left_s), 0.0)
        for (model, _), seconds in left_s.items():
            self.left_s[model] += seconds
        self.work_s = {
            model: self.left_s[model] + sum(one.longest_s for one in takes)
            for model, takes in self.takes.items()
        }
        for one in under_way:  # half done, by and large
            if one.model in self.work_s:
                self.work_s[one.model] += one.longest_s - one.seconds / 2
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
        return one.longest_s * links + self._load_s >= self._horizon_s

    def late(self, model: str, after_s: float) -> list[Waiting]:
        """The model's takes that its crew would begin only after so many seconds, in order.

        A busy crew becomes free one after the other, evenly spread over what it is busy with.
        """
        takes = [one for one in self.takes[model] if not (one.fresh and self._others_free)]
        if not takes:
            return []
        ordered = sorted(takes, key=lambda one: (self.urgency(one), -one.longest_s, one.place))
        crew, mean_s = self.crews[model], sum(one.seconds for one in ordered) / len(ordered)
        if not crew or (self.left_s[model] and self.work_s[model] / crew > after_s + mean_s):
            return ordered
        busy_s = sorted(one.seconds for one in self._under_way if one.model == model)
        free_at = [seconds * (place + 0.5) / crew for place, seconds in enumerate(busy_s)]
        late = []
        for one in ordered:
            if free_at[0] > after_s:
                late.append(one)
            heapq.heapreplace(free_at, free_at[0] + one.seconds)
        return late

    def urgent(self, best: Waiting) -> dict[str, list[Waiting]]:
        """What to leave a model for that has `best`: more urgent, and otherwise long in coming."""
        most = self.urgency(best)
        found = {}
        for model, takes in self.takes.items():
            urgent = [one for one in takes if self.urgency(one) < min(most, NORMAL)]
            seconds = sum(one.seconds for one in urgent)
            if seconds > URGENT_LOADS * self._load_s * self.crews[model]:
                found[model] = sorted(urgent, key=lambda one: (-one.longest_s, one.place))
        return found

    def out_of_proportion(self, loaded: str, left: Iterable[str]) -> dict[str, list[Waiting]]:
        """The model that would be done last, when its own crew is done before, even without it."""
        others = [model for model in self.takes if model not in left and self.crews[model]]
        last = max(others, key=self._done_s, default="")
        if (
            self._others_free
            or not last
            or not self.crews[loaded]
            or self._done_s(last) < 2 * self._load_s
        ):
            return {}
        if self._done_s(last) * (1 - WORTH_MOVING) < self._done_s(loaded):
            return {}
        return {last: self.late(last, self._load_s)}

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


def _turned(takes: Sequence[Waiting], turn: int) -> list[Waiting]:
    """From the one whose turn it is, within the most urgent of them."""
    urgent = list(takewhile(lambda one: one.urgency == takes[0].urgency, takes))
    start = turn % max(len(urgent), 1)
    return [*urgent[start:], *urgent[:start], *takes[len(urgent) :]]
