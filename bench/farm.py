"""How well a farm's work is given out, in virtual time, on the rules of the real farm.

python -m bench.farm                   50 farms of 1,000 takes, 4 models and 64 machines
python -m bench.farm --seeds 5

Each farm is drawn: five films, a tenth of their takes begin chains, models that load in 60 to 180
seconds, takes of 20 to 300 with quotes that are 15 % off, machines that come late or cannot hold
one of the models. Then the same with three urgencies, films that come later and machines that die.
The bound is the longer of the longest chain (with its film's beginning and one load) and the
least makespan `T` in which there is room for the work: `sum a_i(T) >= sum W_k + n_k L_k`, where
machine `i` is there for `a_i(T)` seconds before `T`, model `k` has `W_k` seconds of takes and
loads in `L_k`, and `n_k = ceil(W_k / (T - L_k))` machines at least must load it (Graham, SIAM
Journal on Applied Mathematics 17, 1969, with the loads that nobody can avoid). It knows nothing
of urgencies, adapters, deaths' lost work or wrong quotes: no rules can come down to it. The peer
is first in, first out by queue, as Prefect's own workers choose, with the same warm models.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from bench.farm_simulation import (
    Played,
    draw_farm,
    first_in_first_out,
    lower_bound_s,
    play,
    without_trouble,
)

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One farm, played by our rules and by the peer's."""

    ratio: float
    """Makespan to the lower bound."""
    loads: int
    reloads: int
    """Loads beyond the number of models that each machine used."""
    peer_ratio: float
    peer_loads: int


def main() -> None:
    """Print worst and median of the ratios and loads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    seeds = parser.parse_args().seeds
    with ProcessPoolExecutor(2) as pool:
        calm = list(pool.map(_play, range(seeds), [True] * seeds))
        _print("of one urgency, nobody dies", calm)
        _print(
            "three urgencies, one film comes later, machines die",
            list(pool.map(_play, range(seeds))),
        )


def _print(what: str, seen: Sequence[Seen]) -> None:
    print(f"{len(seen)} farms: {what}\n{'':36} median    worst")
    _row("makespan / lower bound", [one.ratio for one in seen])
    _row("  first in, first out", [one.peer_ratio for one in seen])
    _row("makespan / the peer's", [one.ratio / one.peer_ratio for one in seen])
    _row("loads in all", [one.loads for one in seen])
    _row("  first in, first out", [one.peer_loads for one in seen])
    _row("loads of a model had before", [one.reloads for one in seen])
    within = sum(one.ratio <= 1.05 for one in seen)
    print(f"at most 1.05 x the bound: {within} of {len(seen)}\n")


def _play(seed: int, calm: bool = False) -> Seen:
    farm = without_trouble(draw_farm(seed)) if calm else draw_farm(seed)
    bound_s = lower_bound_s(farm)
    ours, peer = play(farm), play(farm, first_in_first_out, windowed=False)
    return Seen(
        ours.makespan_s / bound_s,
        _loads(ours),
        ours.reloads(),
        peer.makespan_s / bound_s,
        _loads(peer),
    )


def _loads(played: Played) -> int:
    return sum(len(models) for models in played.loads.values())


def _row(what: str, seen: Sequence[float]) -> None:
    print(f"{what:32} {statistics.median(seen):8.3f} {max(seen):8.3f}")


if __name__ == "__main__":
    main()
