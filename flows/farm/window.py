"""Which takes of a film are put into the pool, and when: pure rules, without a server or a clock.

Of a film of a thousand takes only a window is in the pool at a time, so that the server stays
quick, and an urgent film that comes later does not stand behind all of them. What is in the
window decides what workers can choose from, so its mix follows the work that is left:

- The window is twice what the workers have room for: each finds another take when one ends. Films
  that are made at the same time share it, or nobody would be shown all that waits.
- A model that has work left has a take in the window, always: nobody finds at the end of the
  film that one model was never begun.
- Otherwise the next take is of the model, and in it of the setup, with the most seconds left for
  each take in the window (D'Hondt's rule for dividing seats).
- Within a setup the longest chain goes first, then the longest take; and a chain so long that
  the film would have to wait for it goes before everything.
- A take that goes on from one that was made takes its place, even when workers have gone and the
  window is smaller now: a chain that has begun goes on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from flows.farm.dispatch import TAKES_A_WORKER, model_of

__all__ = ["Planned", "Window", "window_size"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A take of the film that a worker makes."""

    id: str
    setup: str
    seconds: float
    """How long it will take, as quoted."""
    after: str = ""
    """The take that it goes on from."""


def window_size(seats: int, films: int = 1) -> int:
    """How many takes of one of the films are in the pool: for each seat of a worker one more."""
    return math.ceil(TAKES_A_WORKER * max(seats, 1) / max(films, 1))


class Window:
    """The mix of a film's takes in the pool."""

    def __init__(self, takes: Iterable[Planned]) -> None:
        self._takes = {one.id: one for one in takes}
        self._chain_s = _chains(self._takes)

    def chain_s(self, take: str) -> float:
        """Seconds of the take and of the longest chain of takes that go on from it."""
        return self._chain_s[take]

    def left_s(self, take: str, ready: Iterable[str]) -> float:
        """Seconds of the chains of its model that could begin and are not in the pool yet."""
        model = model_of(self._takes[take].setup)
        others = (one for one in ready if one != take)
        return sum(
            self._chain_s[one] for one in others if model_of(self._takes[one].setup) == model
        )

    def choose(
        self,
        ready: Sequence[str],
        in_pool: Sequence[str],
        blocked: Sequence[str],
        workers: int,
        films: int = 1,
    ) -> str:
        """The take to put into the pool next; empty: none for now.

        `in_pool` are those that wait there or are under way, `blocked` those that go on from a
        take that is not made yet.
        """
        begun = [one for one in ready if self._takes[one].after in self._takes]
        if begun:
            return self._longest(begun)
        if not ready or len(in_pool) >= window_size(workers, films):
            return ""
        left = [self._takes[one] for one in (*ready, *in_pool, *blocked)]
        each_s = sum(one.seconds for one in left) / max(workers, 1)
        longest = self._longest(ready)
        if self._chain_s[longest] >= each_s:
            return longest
        there = [self._takes[one] for one in in_pool]
        some = [self._takes[one] for one in ready]
        for name in (lambda one: model_of(one.setup), lambda one: one.setup):
            some = _most_wanted(some, left, there, name)
        return self._longest([one.id for one in some])

    def _longest(self, takes: Sequence[str]) -> str:
        return max(takes, key=self._chain_s.__getitem__)


def _chains(takes: Mapping[str, Planned]) -> dict[str, float]:
    longest_after: dict[str, float] = {}
    chains: dict[str, float] = {}
    for one in reversed(_parents_first(takes)):
        chains[one.id] = one.seconds + longest_after.get(one.id, 0.0)
        if one.after:
            longest_after[one.after] = max(longest_after.get(one.after, 0.0), chains[one.id])
    return chains


def _parents_first(takes: Mapping[str, Planned]) -> list[Planned]:
    """Every take after the one that it goes on from. What is made already is not among them."""
    following: dict[str, list[Planned]] = {}
    for one in takes.values():
        following.setdefault(one.after if one.after in takes else "", []).append(one)
    ordered = following.get("", [])
    for one in ordered:
        ordered.extend(following.get(one.id, ()))
    return ordered


def _most_wanted(
    ready: Sequence[Planned],
    left: Iterable[Planned],
    there: Iterable[Planned],
    name: Callable[[Planned], str],
) -> list[Planned]:
    """Those of `ready` of the one model, or setup, that is most short of takes in the pool."""
    work = Counter[str]()
    for one in left:
        work[name(one)] += math.ceil(one.seconds)
    seats = Counter(name(one) for one in there)
    names = dict.fromkeys(name(one) for one in ready)
    wanted = max(names, key=lambda one: (not seats[one], work[one] / (seats[one] + 1)))
    return [one for one in ready if name(one) == wanted]
