"""`python -m bench.reliability`: films on a real farm whose parts are killed at random moments.

The same code as tests/faults/test_farm.py, for many seeds. Every fifth seed has server outages of
up to three minutes, every fourth makes the film twice at once. A seed that fails is told with
what was wrong, its logs are kept, and the command ends with 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.farm_checks import board, undisturbed
from tests.faults.farm_faults import Told, draw, lose_machine, survive
from tests.faults.farm_run import running_farm

__all__ = ["main"]

_SHOTS = 10
_WITHIN_S = 30.0
_AWAY_S, _LONG_AWAY_S = 15.0, 170.0


def main() -> int:
    """Exit code."""
    asked = _asked()
    folder = Path(asked.folder or tempfile.mkdtemp(prefix="takeboard-reliability-"))
    print(f"logs in {folder}", flush=True)
    told: list[Told] = []
    failed: list[int] = []
    until = time.monotonic() + 60 * asked.minutes
    with running_farm(folder, SKETCH_STEP_S="0.4", SKETCH_LOAD_S="1") as farm:
        film = board(_SHOTS)
        expected = undisturbed(folder / "undisturbed", film, farm)
        if not asked.without_lost_machine:
            told.append(lose_machine(farm, folder / "lost", film, expected))
            print(f"a machine that never came back: {_line(told[-1])}", flush=True)
        for seed in range(asked.first, asked.first + asked.seeds):
            if time.monotonic() > until:
                break
            away_s = _LONG_AWAY_S if seed % 5 == 0 else _AWAY_S
            faults = draw(seed, within_s=_WITHIN_S, longest_away_s=away_s)
            runs = 2 if seed % 4 == 0 else 1
            try:
                told.append(
                    survive(
                        farm, folder / f"seed{seed}", film, expected, seed, faults,
                        runs=runs, within_s=900.0,
                    )
                )  # fmt: skip
                print(f"seed {seed}, {runs} at once: {_line(told[-1])}", flush=True)
            except AssertionError as error:
                failed.append(seed)
                print(f"seed {seed} FAILED with {faults}: {str(error)[:2000]}", flush=True)
    _sum_up(told, failed)
    return 1 if failed else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.reliability")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no seed after them")
    parser.add_argument("--without-lost-machine", action="store_true", help="saves two minutes")
    parser.add_argument("--folder", default="", help="for logs and films; default: a temporary one")
    return parser.parse_args()


def _line(told: Told) -> str:
    met = ", ".join(told.met) or "nothing"
    return f"killed {met}; {told.renders} renders of {_SHOTS} takes, {told.seconds:.0f} s"


def _sum_up(told: list[Told], failed: list[int]) -> None:
    kinds = Counter(kind for one in told for kind in one.met)
    again = sum(one.renders - _SHOTS for one in told)
    print(f"{len(told)} films held, {len(failed)} failed {failed or ''}")
    print("killed: " + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
    print(f"takes {_SHOTS * len(told)}, rendered again because they were killed: {again}")


if __name__ == "__main__":
    sys.exit(main())
