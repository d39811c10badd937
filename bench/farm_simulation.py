"""A farm in virtual time, which runs on the rules of the real one.

Films put takes into a pool and workers claim them, both through `flows.farm.window` and
`flows.farm.dispatch`; only the clock, the loading and the rendering are drawn. Looks at the pool
are as old as they are in the real farm, so two workers can want the same take; one gets it.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from flows.farm.dispatch import Waiting, by_preference, model_of
from flows.farm.window import Planned, Window

__all__ = [
    "Farm",
    "Film",
    "Machine",
    "Played",
    "draw_farm",
    "lower_bound_s",
    "play",
    "without_trouble",
]

ADAPTERS_S = 5.0
"""Changing a model's adapters."""
CLAIM_S = 0.3
"""From a worker's look at the pool to its claim."""
LOOK_S = 2.0
"""Between an idle worker's looks."""
FILM_LOOK_S = 0.5
"""From a take's end to its film's next step."""
NOTICED_S = 95.0
"""From a machine's end until its run counts as crashed."""


@dataclass(frozen=True, slots=True)
class Film:
    """Takes with their quotes and how long they will really take."""

    name: str
    urgency: int
    begins_s: float
    takes: tuple[Planned, ...]
    real_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Machine:
    """One GPU's worker."""

    name: str
    begins_s: float = 0.0
    ends_s: float = math.inf
    """When it dies, with what it has under way."""
    cannot: frozenset[str] = frozenset()
    """Models that do not fit on it."""


@dataclass(frozen=True, slots=True)
class Farm:
    """What is played."""

    films: tuple[Film, ...]
    machines: tuple[Machine, ...]
    load_s: Mapping[str, float]
    """By model."""


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
    missed_claims: int = 0

    def reloads(self) -> int:
        """Loads of a model that the machine had loaded before."""
        return sum(len(models) - len(set(models)) for models in self.loads.values())


Choose = Callable[[Sequence[Waiting], Sequence[str], Sequence[Waiting], str, int], list[Waiting]]
"""What a machine would take: of what waits, given its setups, what the others make, its name and
how many are free."""


def by_rules(
    waiting: Sequence[Waiting],
    warm: Sequence[str],
    busy: Sequence[Waiting],
    who: str,
    free: int,
) -> list[Waiting]:
    """As Takeboard's workers choose."""
    return by_preference(waiting, warm, busy, who=who, free=free)


def first_in_first_out(
    waiting: Sequence[Waiting],
    warm: Sequence[str],
    busy: Sequence[Waiting],
    who: str,
    free: int,
) -> list[Waiting]:
    """As Prefect's own workers choose: by queue, then by scheduled time."""
    return sorted(waiting, key=lambda one: (one.urgency, one.place))


def play(farm: Farm, choose: Choose = by_rules, *, windowed: bool = True) -> Played:
    """Everything made, or RuntimeError when the farm stands still."""
    return _Stage(farm, choose, windowed).play()


class _Stage:
    """The pool, the films and the machines at one moment of virtual time."""

    def __init__(self, farm: Farm, choose: Choose, windowed: bool) -> None:
        self._farm, self._choose, self._windowed = farm, choose, windowed
        self._films = [_FilmFlow(film) for film in farm.films]
        self._film_of = {one.id: flow for flow in self._films for one in flow.film.takes}
        self._to_make = len(self._film_of)
        self._now = 0.0
        self._count = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._pool: dict[str, Waiting] = {}
        self._put_s: dict[str, float] = {}
        self._busy: dict[str, Waiting] = {}
        """What each machine makes."""
        self._alive: set[str] = set()
        self._warm: dict[str, list[str]] = {one.name: [] for one in farm.machines}
        self.played = Played(loads={one.name: [] for one in farm.machines})

    def play(self) -> Played:
        for flow in self._films:
            self._at(flow.film.begins_s, lambda flow=flow: self._film_looks(flow))
        for machine in self._farm.machines:
            self._at(machine.begins_s, lambda machine=machine: self._comes(machine))
            if machine.ends_s < math.inf:
                self._at(machine.ends_s, lambda machine=machine: self._dies(machine))
        while len(self.played.ended) < self._to_make:
            if not self._events:
                raise RuntimeError(f"stands still with {len(self._pool)} takes in the pool")
            self._now, _, happen = heapq.heappop(self._events)
            happen()
        self.played.makespan_s = max(self.played.ended.values())
        return self.played

    def _at(self, when_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when_s, next(self._count), happen))

    def _film_looks(self, flow: _FilmFlow) -> None:
        workers = len(self._alive) if self._windowed else self._to_make
        for waiting in flow.submit(workers):
            self._put_s[waiting.id] = self._now
            place = next(self._count)
            self._pool[waiting.id] = Waiting(
                waiting.id,
                waiting.setup,
                flow.film.urgency,
                waiting.seconds,
                place,
                flow.window.chain_s(waiting.id),
                flow.film.name,
                flow.left_s(waiting.id),
            )

    def _comes(self, machine: Machine) -> None:
        self._alive.add(machine.name)
        self._look(machine)
        for flow in self._films:
            if flow.film.begins_s <= self._now:
                self._film_looks(flow)

    def _dies(self, machine: Machine) -> None:
        self._alive.discard(machine.name)

    def _look(self, machine: Machine) -> None:
        """See the pool as it is now; claim a moment later."""
        if machine.name not in self._alive:
            return
        able = [
            replace(one, fresh=True) if self._now - self._put_s[one.id] < 2 * LOOK_S else one
            for one in self._pool.values()
            if one.model not in machine.cannot
        ]
        best = self._choose(
            able,
            self._warm[machine.name],
            list(self._busy.values()),
            machine.name,
            len(self._alive) - len(self._busy),
        )
        self._at(self._now + CLAIM_S, lambda: self._claim(machine, best))

    def _claim(self, machine: Machine, best: Sequence[Waiting]) -> None:
        for one in best:
            if one.id in self._pool:
                self._begin(machine, self._pool.pop(one.id))
                return
            self.played.missed_claims += 1
        self._at(self._now + LOOK_S, lambda: self._look(machine))

    def _begin(self, machine: Machine, one: Waiting) -> None:
        self.played.begun.append((self._now, one.id, machine.name))
        self._busy[machine.name] = one
        ends_s = self._now + self._load_s(machine, one.setup) + self._real_s(one.id)
        if ends_s < machine.ends_s:
            self._at(ends_s, lambda: self._made(machine, one))
        else:
            self._at(machine.ends_s + NOTICED_S, lambda: self._crashed(machine, one))

    def _load_s(self, machine: Machine, setup: str) -> float:
        """Seconds until the machine has the setup; it has it from now on."""
        warm = self._warm[machine.name]
        before, model = warm[0] if warm else "", model_of(setup)
        if setup in warm:
            warm.remove(setup)
        warm.insert(0, setup)
        if model_of(before) == model:
            return 0.0 if before == setup else ADAPTERS_S
        self.played.loads[machine.name].append(model)
        return self._farm.load_s[model]

    def _real_s(self, take: str) -> float:
        return self._film_of[take].film.real_s[take]

    def _made(self, machine: Machine, one: Waiting) -> None:
        del self._busy[machine.name]
        self.played.ended[one.id] = self._now
        flow = self._film_of[one.id]
        flow.made(one.id)
        self._at(self._now + FILM_LOOK_S, lambda: self._film_looks(flow))
        self._look(machine)

    def _crashed(self, machine: Machine, one: Waiting) -> None:
        """The film asks for it again at once."""
        del self._busy[machine.name]
        self._put_s[one.id] = self._now
        self._pool[one.id] = replace(one, place=next(self._count))


class _FilmFlow:
    """One film: which of its takes are ready, in the pool, blocked."""

    def __init__(self, film: Film) -> None:
        self.film, self.window = film, Window(film.takes)
        self._takes = {one.id: one for one in film.takes}
        self._blocked = {one.id: None for one in film.takes if one.after}
        self._ready = {one.id: None for one in film.takes if not one.after}
        self._in_pool: dict[str, None] = {}

    def submit(self, workers: int) -> Iterable[Planned]:
        """What to put into the pool now."""
        while take := self.window.choose(
            list(self._ready), list(self._in_pool), list(self._blocked), workers
        ):
            del self._ready[take]
            self._in_pool[take] = None
            yield self._takes[take]

    def left_s(self, take: str) -> float:
        """Seconds of its model that are ready and not in the pool."""
        return self.window.left_s(take, self._ready)

    def made(self, take: str) -> None:
        del self._in_pool[take]
        for one in self.film.takes:
            if one.after == take:
                del self._blocked[one.id]
                self._ready[one.id] = None


def lower_bound_s(farm: Farm) -> float:
    """Seconds that no schedule of this farm can beat.

    A machine that makes takes of model `k` loads it, in `L_k` seconds, and has at most `T - L_k`
    left of a makespan `T`; so with `W_k` seconds of takes at least `n_k = ceil(W_k / (T - L_k))`
    machines load it. The machines that are there for `a_i(T)` seconds before `T` must find room
    for all of it: `sum a_i(T) >= sum W_k + n_k L_k`. And a chain cannot be made in less than its
    film's beginning, one loading and the sum of its takes. The bound is the longer of the longest
    chain and the least `T` that has room (Graham 1969, with the loads that nobody can avoid).
    """
    work = Counter[str]()
    for film in farm.films:
        for one in film.takes:
            work[model_of(one.setup)] += film.real_s[one.id]  # type: ignore[assignment]
    low, high = max(_chain_bounds(farm)), 1e7
    if _has_room(farm, work, low):
        return low
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if _has_room(farm, work, middle) else (middle, high)
    return low


def _has_room(farm: Farm, work: Mapping[str, float], within_s: float) -> bool:
    if any(within_s <= farm.load_s[model] for model in work):
        return False
    needed = sum(
        seconds + farm.load_s[model] * math.ceil(seconds / (within_s - farm.load_s[model]))
        for model, seconds in work.items()
    )
    there = sum(max(0.0, min(within_s, one.ends_s) - one.begins_s) for one in farm.machines)
    return there >= needed


def _chain_bounds(farm: Farm) -> Iterable[float]:
    for film in farm.films:
        until: dict[str, float] = {}
        for one in film.takes:  # a take stands after the one that it goes on from
            start = until.get(one.after, film.begins_s + farm.load_s[model_of(one.setup)])
            until[one.id] = start + film.real_s[one.id]
            yield until[one.id]


def draw_farm(
    seed: int, *, num_takes: int = 1000, num_models: int = 4, num_machines: int = 64
) -> Farm:
    """Films of several urgencies and machines that come late or die, drawn from `seed`."""
    draw = random.Random(seed)
    models = [f"model{number}" for number in range(num_models)]
    films = []
    sizes = [0.30, 0.25, 0.20, 0.15, 0.10]
    for number, share in enumerate(sizes):
        urgency = (2, 2, 3, 2, 1)[number]
        begins_s = 0.0 if number < 3 else draw.uniform(0, 300)
        films.append(
            _draw_film(draw, f"f{number}", urgency, begins_s, round(num_takes * share), models)
        )
    late, dying = num_machines // 8, num_machines // 12
    machines = []
    for number in range(num_machines):
        begins = draw.uniform(0, 600) if number < late else draw.uniform(0, 10)
        ends = draw.uniform(300, 1500) if late <= number < late + dying else math.inf
        cannot = frozenset({models[-1]}) if number % 8 == 7 else frozenset[str]()
        machines.append(Machine(f"gpu{number}", begins, ends, cannot))
    load_s = {model: draw.uniform(60, 180) for model in models}
    return Farm(tuple(films), tuple(machines), load_s)


def without_trouble(farm: Farm) -> Farm:
    """The same farm with one urgency, all films there from the beginning, and no machine dying."""
    films = tuple(replace(one, urgency=2, begins_s=0.0) for one in farm.films)
    return replace(
        farm,
        films=films,
        machines=tuple(replace(one, ends_s=math.inf) for one in farm.machines),
    )


def _draw_film(
    draw: random.Random, name: str, urgency: int, begins_s: float, num_takes: int, models: list[str]
) -> Film:
    weights = [draw.gammavariate(1.5, 1.0) for _ in models]
    character = f"{draw.getrandbits(48):012x}x0.8"
    takes: list[Planned] = []
    real_s: dict[str, float] = {}
    while len(takes) < num_takes:
        model = draw.choices(models, weights)[0]
        adapters = draw.choice(["", "", character])
        length = draw.randint(2, 6) if draw.random() < 0.1 else 1
        after = ""
        for _ in range(min(length, num_takes - len(takes))):
            take = f"{name}.{len(takes)}"
            quoted = min(max(draw.lognormvariate(math.log(100), 0.6), 20.0), 300.0)
            takes.append(Planned(take, f"{model} {adapters}".rstrip(), quoted, after))
            real_s[take] = quoted * draw.lognormvariate(0, 0.15)
            after = take
    return Film(name, urgency, begins_s, tuple(takes), real_s)
