"""Which take a worker makes next: pure rules, without a server or a clock.

A pool holds a window of takes, about twice as many as there are workers. The film's side
(`flows.farm.window`) sees to it that the window holds the right mix; the worker's side, here,
chooses from it. Both think in *models*: loading one takes minutes, changing its adapters
seconds, and a setup (`generator.grouping.setup_of`) is a model with its adapters.

What a worker chooses, and why:

- What it has loaded comes first; then the same model with other adapters. It never leaves a
  model that has work for it, but for a more urgent film.
- Another model is loaded only for a take that those who have the model could not begin sooner
  than it loads. Loading for the last takes of another crew would begin them later, not sooner.
- A more urgent take is worth leaving a warm model for by the same rule: when the crew of its
  model comes to it within a loading time, staying is as quick and costs nothing. Within the
  model that it has, and where only adapters change, urgency goes before everything.
- When it must change, to the model with the most waiting work for each worker on it, and not to
  one that it left, so that crews are as large as their share of the work and nobody comes back.
- Within a setup, the longest chain first, then the longest take (list scheduling by critical
  path and longest processing time: Graham, Bounds on multiprocessing timing anomalies, SIAM
  Journal on Applied Mathematics 17, 1969).
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

__all__ = ["LOAD_S", "Waiting", "by_preference", "model_of"]

LOAD_S = 120.0
"""What loading a model of tens of gigabytes is taken to last: one to three minutes."""


ADAPTERS_WORTH_S = 60.0
"""Changing adapters takes seconds: not for each take, but for a chain longer by a minute."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A take in the pool that nobody has taken yet."""

    id: str
    setup: str
    urgency: int = 2
    """1 is first, as the pool's queues count."""
    seconds: float = 0.0
    """How long it will take, as quoted."""
    place: int = 0
    """Where it stands among those in the pool."""
    chain_s: float = 0.0
    """Seconds of the take and of the longest chain of takes that go on from it."""
    suspect: bool = False
    """Its process has died before."""


def model_of(setup: str) -> str:
    """The model of a setup: its backend, without the adapters."""
    return setup.partition(" ")[0]


def by_preference(
    waiting: Sequence[Waiting],
    warm: Sequence[str],
    elsewhere: Mapping[str, int],
    *,
    who: str = "",
    free: int = 1,
    load_s: float = LOAD_S,
) -> list[Waiting]:
    """What a worker should take, the best first; empty when it had better wait for its own.

    `waiting` is what it is able to make, `warm` are the setups that it has had, the latest
    first: that one is loaded, the others it has left. `elsewhere` counts the workers that are
    busy by setup. `free` workers choose at this moment, this one included; `who`, its name,
    decides which of them it thinks itself to be, so that few reach for the same take.
    """
    loaded = model_of(warm[0]) if warm else ""
    crews = Counter[str]()
    for setup, busy in elsewhere.items():
        crews[model_of(setup)] += busy
    models = _by_model(waiting)
    own = sorted(models.get(loaded, ()), key=lambda one: _own_order(one, warm[0]))
    far = {
        model: [one for one in _late(takes, crews[model], load_s) if _worth(one, own, crews)]
        for model, takes in models.items()
        if model != loaded
    }
    left = {model_of(setup) for setup in warm} - {loaded}
    turn = crc32(who.encode()) % max(free, 1)
    return [*_turned(_seats(far, models, crews, left), turn), *_turned(own, turn)]


def _by_model(waiting: Iterable[Waiting]) -> dict[str, list[Waiting]]:
    models: dict[str, list[Waiting]] = {}
    for one in waiting:
        models.setdefault(model_of(one.setup), []).append(one)
    return models


def _own_order(one: Waiting, loaded: str) -> tuple[int, float, int]:
    """What is urgent, then what is long; other adapters only for much longer ones."""
    worth = _chain(one) - (ADAPTERS_WORTH_S if one.setup != loaded else 0.0)
    return one.urgency, -worth, one.place


def _order(one: Waiting) -> tuple[int, float, int]:
    return one.urgency, -_chain(one), one.place


def _chain(one: Waiting) -> float:
    return max(one.chain_s, one.seconds)


def _late(takes: Sequence[Waiting], crew: int, load_s: float) -> list[Waiting]:
    """Those that a crew of so many would not begin before somebody else has loaded the model.

    Busy workers become free one after the other, evenly spread over a take.
    """
    ordered = sorted(takes, key=_order)
    if not crew:
        return ordered
    mean = sum(one.seconds for one in takes) / len(takes)
    free_at = [mean * (place + 0.5) / crew for place in range(crew)]
    late = []
    for one in ordered:
        if free_at[0] > load_s:
            late.append(one)
        heapq.heapreplace(free_at, free_at[0] + one.seconds)
    return late


def _worth(one: Waiting, own: Sequence[Waiting], crews: Mapping[str, int]) -> bool:
    """Whether to leave a model that has work for it: urgent, or critical and nobody has it."""
    if not own or one.urgency < own[0].urgency:
        return True
    if one.urgency > own[0].urgency or crews[model_of(one.setup)]:
        return False
    share = sum(other.seconds for other in own) / (crews[model_of(own[0].setup)] + 1)
    return _chain(one) > share


def _seats(
    far: Mapping[str, Sequence[Waiting]],
    models: Mapping[str, Sequence[Waiting]],
    crews: Mapping[str, int],
    left: Iterable[str],
) -> list[Waiting]:
    """The takes of other models, each as if somebody had gone for every one before it.

    The next seat is of the model with the most work for each worker on it (D'Hondt's rule for
    dividing seats), so crews come to have the shares that the work has.
    """
    work = {model: sum(_chain(one) for one in takes) for model, takes in models.items()}
    seated = Counter(crews)
    queues = {model: deque(takes) for model, takes in far.items() if takes}
    ordered = []
    while queues:
        model = min(
            queues,
            key=lambda name: (
                queues[name][0].urgency,
                name in left,
                -work[name] / (seated[name] + 1),
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
    urgent = [one for one in takes if one.urgency == takes[0].urgency]
    start = turn % max(len(urgent), 1)
    return [*urgent[start:], *urgent[:start], *takes[len(urgent) :]]
