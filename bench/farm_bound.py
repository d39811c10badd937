"""What no schedule of a farm can beat."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bench.farm_drawn import Farm
from bench.farm_simulation import Lost
from flows.farm.dispatch import model_of

__all__ = ["lower_bound_s"]


def lower_bound_s(farm: Farm, lost: Sequence[Lost] = ()) -> float:
    """Seconds that no schedule of this farm can beat.

    A machine that makes takes of model `k` loads it, in `L_k` seconds, and has at most `T - L_k`
    left of a makespan `T`; so with `W_k` seconds of takes at least `n_k = ceil(W_k / (T - L_k))`
    machines load it. The machines that are there for `a_i(T)` seconds before `T` must find room
    for all of it: `sum a_i(T) >= sum W_k + n_k L_k`. And a chain cannot be made in less than its
    film's beginning, one loading and the sum of its takes. The bound is the longer of the longest
    chain and the least `T` that has room (Graham 1969, with the loads that nobody can avoid).

    Nobody knows when a machine will die. With `lost`, what its death has cost counts as well: the
    device's seconds on a take that was not finished, and that the take, with the chain that goes
    on from it, can only be made after it was put back.
    """
    work = Counter[str]()
    for film in farm.films:
        for one in film.takes:
            work[model_of(one.setup)] += film.real_s[one.id]  # type: ignore[assignment]
    lost_s = sum(one.device_s for one in lost)
    low, high = max((*_chain_bounds(farm), *_after_deaths(farm, lost))), 1e7
    if _has_room(farm, work, lost_s, low):
        return low
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if _has_room(farm, work, lost_s, middle) else (middle, high)
    return low


def _has_room(farm: Farm, work: Mapping[str, float], lost_s: float, within_s: float) -> bool:
    if any(within_s <= farm.load_s[model] for model in work):
        return False
    needed = sum(
        seconds + farm.load_s[model] * math.ceil(seconds / (within_s - farm.load_s[model]))
        for model, seconds in work.items()
    )
    there = sum(max(0.0, min(within_s, one.ends_s) - one.begins_s) for one in farm.machines)
    return there >= needed + lost_s


def _chain_bounds(farm: Farm) -> Iterable[float]:
    for film in farm.films:
        until: dict[str, float] = {}
        for one in film.takes:  # a take stands after the one that it goes on from
            start = until.get(one.after, film.begins_s + farm.load_s[model_of(one.setup)])
            until[one.id] = start + film.real_s[one.id]
            yield until[one.id]


def _after_deaths(farm: Farm, lost: Iterable[Lost]) -> Iterable[float]:
    longest: dict[str, float] = {}
    for film in farm.films:
        after: dict[str, float] = {}
        for one in reversed(film.takes):
            longest[one.id] = film.real_s[one.id] + after.get(one.id, 0.0)
            after[one.after] = max(after.get(one.after, 0.0), longest[one.id])
    for take in lost:
        yield take.back_s + longest[take.id]
