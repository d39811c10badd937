"""How well a farm's work is given out, in virtual time, on the rules of the real farm.

python -m bench.farm                   50 farms of 1,000 takes, 4 models and 64 machines
python -m bench.farm --seeds 5

Each farm is drawn (`bench.farm_drawn`): five films, a tenth of their takes begin chains, models
that load in 60 to 180 seconds, takes of 20 to 300 with quotes that are 15 % off, machines that come
late or cannot hold one of the models. First with quotes that are right, then as drawn, then with
five machines that die, and then with three urgencies and films that come later besides.
`bench.farm_bound` has the bound. It knows nothing of urgencies, adapters, wrong quotes or the
server's time: no rules can come down to it. The peer is first in, first out by queue, as Prefect's
own workers choose, with the same warm models.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from bench.farm_bound import lower_bound_s
from bench.farm_drawn import (
    Farm,
    draw_farm,
    of_one_urgency,
    with_right_quotes,
    without_trouble,
)
from bench.farm_simulation import FirstInFirstOut, Played, play

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One farm, played by our rules and by the peer's."""

    ratio: float
    """Makespan to the lower bound."""
    loads: int
    reloads: int
    """Loads beyond the number of models that each machine used."""
    missed_claims: int
    """Takes that another worker got first."""
    peer_ratio: float
    peer_loads: int


def main() -> None:
    """Print worst and median of the ratios and loads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    seeds = parser.parse_args().seeds
    with ProcessPoolExecutor(2) as pool:
        for what, changed in _SETTINGS.items():
            _print(what, list(pool.map(_play, range(seeds), [changed] * seeds)))


def _print(what: str, seen: Sequence[Seen]) -> None:
    print(f"{len(seen)} farms: {what}\n{'':36} median    worst")
    _row("makespan / lower bound", [one.ratio for one in seen])
    _row("  first in, first out", [one.peer_ratio for one in seen])
    _row("makespan / the peer's", [one.ratio / one.peer_ratio for one in seen])
    _row("loads in all", [one.loads for one in seen])
    _row("  first in, first out", [one.peer_loads for one in seen])
    _row("loads of a model had before", [one.reloads for one in seen])
    _row("claims lost to another worker", [one.missed_claims for one in seen])
    within = sum(one.ratio <= 1.05 for one in seen)
    print(f"at most 1.05 x the bound: {within} of {len(seen)}\n")


def _play(seed: int, changed: Callable[[Farm], Farm]) -> Seen:
    farm = changed(draw_farm(seed))
    ours, peer = play(farm), play(farm, FirstInFirstOut, seats=1, windowed=False)
    return Seen(
        ours.makespan_s / lower_bound_s(farm, ours.lost),
        _loads(ours),
        ours.reloads(),
        ours.missed_claims,
        peer.makespan_s / lower_bound_s(farm, peer.lost),
        _loads(peer),
    )


def _loads(played: Played) -> int:
    return sum(len(models) for models in played.loads.values())


def _row(what: str, seen: Sequence[float]) -> None:
    print(f"{what:32} {statistics.median(seen):8.3f} {max(seen):8.3f}")


def _as_drawn(farm: Farm) -> Farm:
    return farm


_SETTINGS: Mapping[str, Callable[[Farm], Farm]] = {
    "of one urgency, nobody dies, quotes that are right": with_right_quotes,
    "of one urgency, nobody dies": without_trouble,
    "of one urgency, machines die": of_one_urgency,
    "three urgencies, films that come later, machines die": _as_drawn,
}


if __name__ == "__main__":
    main()
