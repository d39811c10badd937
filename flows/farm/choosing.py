"""What one worker takes, look by look: the rules, and what it must remember between its looks.

The farm's workers and the simulation of a farm (`bench.farm_simulation`) choose with this.

- While its device makes one take a worker takes the next one ahead, so that the device never waits
  for a take's decoding or for the server. It does so shortly before the device is free: a take that
  is in hand early waits there, though others might have begun it. And only while more takes of its
  model wait than others have that model: each of those will soon be free.
- When it would rather make a take of another model, it takes nothing more until its hands are free.
- It loads a model only at the second look in a row that says so. Those who have the model and
  nothing to do look every few seconds: they are given the time. And PostgreSQL, asked by two
  workers at once, shows the second one only what the first was not shown. A worker that has nothing
  loaded while all others are busy loads at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from flows.farm.dispatch import LOAD_S, Waiting, by_preference, model_of
from flows.farm.taking import fitting, together

__all__ = ["LISTED", "Chooser"]

LISTED = 200
"""Takes in one answer of the server, the most urgent first and then the oldest."""
AHEAD_S = 15.0
"""The next take is taken so long before the device is free, by the quotes. Shorter takes are taken
ahead at once."""


class Chooser:
    """Chooses for one GPU's worker. Its times are seconds of any clock."""

    def __init__(self, who: str) -> None:
        """`who` is the worker's name."""
        self._who = who
        self._warm: list[str] = []
        """Setups that it has had, the latest first: that one is loaded."""
        self._would_load = False
        self._busy_until_s = 0.0

    @property
    def loaded(self) -> str:
        """The setup that it has; empty: none."""
        return self._warm[0] if self._warm else ""

    def begin(self, one: Waiting, now_s: float) -> None:
        """A take is handed to the device, behind what that has."""
        load_s = LOAD_S if one.model != model_of(self.loaded) else 0.0
        self._busy_until_s = max(self._busy_until_s, now_s) + load_s + one.seconds
        self._would_load = False
        self._warm = [one.setup, *(setup for setup in self._warm if setup != one.setup)]

    def end(self, in_hand: Sequence[Waiting], now_s: float) -> None:
        """A take is over; these are not."""
        self._busy_until_s = now_s + sum(one.seconds for one in in_hand)

    def forget(self) -> None:
        """Its process has died, with all that was loaded."""
        self._warm.clear()

    def looks(self, in_hand: Sequence[Waiting], now_s: float) -> bool:
        """Whether it is time to take something more."""
        soon = self._busy_until_s - now_s <= AHEAD_S
        return soon or all(one.seconds <= AHEAD_S for one in in_hand)

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
        """What to take now, `free` at most; the rest as `by_preference` has it."""
        if in_hand and not _is_plenty(in_hand[0].model, waiting, others):
            return []
        best = by_preference(
            waiting, self._warm, others, who=self._who, workers=workers, all_listed=all_listed
        )
        in_doubt = bool(self.loaded) or workers > len({one.worker for one in others}) + 1
        before, self._would_load = self._would_load, _loads(best, self.loaded)
        if not fitting(best[:1], in_hand) or (self._would_load and in_doubt and not before):
            return []
        chosen = together(best, in_hand, free, alone=True)
        return chosen if all(one.seconds <= AHEAD_S for one in chosen[:1]) else chosen[:1]


def _loads(best: Sequence[Waiting], loaded: str) -> bool:
    return bool(best) and best[0].model != model_of(loaded)


def _is_plenty(model: str, waiting: Sequence[Waiting], others: Sequence[Waiting]) -> bool:
    crew = {one.worker for one in others if one.model == model}
    return sum(one.model == model for one in waiting) > len(crew)
