"""Faults drawn by chance, done to a film that a real farm is making: one seed, one film."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.farm_checks import Film, require_kept, watched, write_board
from tests.faults.farm_run import Farm, until

__all__ = ["KINDS", "Fault", "Told", "draw", "lose_machine", "survive"]

KINDS = ("gpu-0 child", "gpu-0", "cpu-0 child", "cpu-0", "server")


@dataclass(frozen=True, slots=True)
class Fault:
    """A kill, so long after the first take has begun, and how long what was killed stays away."""

    kind: str
    at_s: float
    away_s: float


@dataclass(frozen=True, slots=True)
class Told:
    """What a seed came to."""

    seed: int
    faults: Sequence[Fault]
    seconds: float
    renders: int
    """How many takes were begun."""
    met: Sequence[str] = field(default=())
    """Kinds of the faults that found something to kill."""


def draw(seed: int, *, within_s: float, longest_away_s: float, most: int = 3) -> list[Fault]:
    """One to `most` faults."""
    chance = random.Random(seed)
    return [
        Fault(
            chance.choice(KINDS),
            round(chance.uniform(0.0, within_s), 1),
            round(chance.uniform(0.5, longest_away_s), 1),
        )
        for _ in range(chance.randint(1, most))
    ]


def survive(
    farm: Farm,
    folder: Path,
    storyboard: dict[str, object],
    expected: Film,
    seed: int,
    faults: Sequence[Fault],
    *,
    runs: int = 1,
    within_s: float = 240.0,
) -> Told:
    """Have the film made while the faults happen, and require all that must hold.

    With more `runs` the same film is made by so many at once.
    """
    path = write_board(folder, storyboard)
    store, out = folder / "store", folder / "out"
    begun = len(farm.marks("begin"))
    started = time.monotonic()
    met: list[str] = []
    with watched(farm, store) as watch:
        asked = [farm.start_film(path, store=str(store), out=str(out)) for _ in range(runs)]
        _until_begun(farm, begun)
        threads = [
            threading.Thread(target=_strike, args=(farm, fault, met), daemon=True)
            for fault in faults
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        states = [farm.over(run, within_s) for run in asked]
        watch.look()
    assert {state["type"] for state in states} == {"COMPLETED"}, states
    seconds = time.monotonic() - started
    require_kept(farm, watch, out, expected, begun, films=runs)
    return Told(seed, faults, seconds, len(farm.marks("begin")) - begun, met)


def lose_machine(
    farm: Farm, folder: Path, storyboard: dict[str, object], expected: Film, within_s: float = 400.0
) -> Told:
    """A GPU worker dies in the middle of a take and never comes back: another makes the take."""
    path = write_board(folder, storyboard)
    store, out = folder / "store", folder / "out"
    begun, started = len(farm.marks("begin")), time.monotonic()
    lost = farm.add_worker("gpu", "gpu-lost")
    with watched(farm, store) as watch:
        run = farm.start_film(path, store=str(store), out=str(out))
        until(lambda: _is_busy(farm, lost.child()) or None, 120)
        farm.kill("gpu-lost")
        state = farm.over(run, within_s)
        watch.look()
    assert state["type"] == "COMPLETED", state
    seconds = time.monotonic() - started
    require_kept(farm, watch, out, expected, begun, workers=2)
    return Told(-1, (), seconds, len(farm.marks("begin")) - begun, ("gpu-lost",))


def _is_busy(farm: Farm, pid: int) -> bool:
    return sum(one == pid for _, one in farm.marks("begin")) > sum(
        one == pid for _, one in farm.marks("end")
    )


_turns = threading.Lock()


def _strike(farm: Farm, fault: Fault, met: list[str]) -> None:
    time.sleep(fault.at_s)
    with _turns:  # what is away already is not killed again
        if not farm.kill(fault.kind):
            return
        met.append(fault.kind)
        if fault.kind.endswith("child"):
            return
        time.sleep(fault.away_s)
        if fault.kind == "server":
            farm.start_server()
        else:
            farm.workers[fault.kind].start()


def _until_begun(farm: Farm, begun: int) -> None:
    deadline = time.monotonic() + 60
    while len(farm.marks("begin")) == begun and time.monotonic() < deadline:
        time.sleep(0.05)
