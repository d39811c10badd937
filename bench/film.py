"""How fast a film is made: the animatic against real time, and everything that must be instant.

python -m bench.film            all of it, some minutes
python -m bench.film --quick    fewer shots
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from bench.measure import takeboard
from bench.storyboards import EXAMPLE, long_storyboard

__all__ = ["main"]


def main() -> None:
    """Print a table of seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="takeboard-bench-") as name:
        folder = Path(name)
        _row("reference: ten million additions in Python", _reference())
        _example(folder)
        _thousand(folder, 100 if quick else 1000)
        _nothing_changed(folder, 20 if quick else 200)


def _example(folder: Path) -> None:
    film = EXAMPLE / "film.yaml"
    for command in ("preview", "produce"):
        where = ["--store", folder / f"store-{command}", "--out", folder / f"out-{command}"]
        cost = takeboard(command, film, "--local", "--json", *where)
        made = json.loads(cost.out)[0]
        seconds = max(one["seconds"] for one in made["deliverables"])
        _row(f"{command} the example, {seconds:.0f} s of film", cost.wall_s, seconds / cost.wall_s)
        again = takeboard(command, film, "--local", "--json", *where)
        _row(f"{command} again, nothing changed", again.wall_s, seconds / again.wall_s)


def _thousand(folder: Path, num_shots: int) -> None:
    film = long_storyboard(folder / "thousand", num_shots)
    start = takeboard("schema").wall_s
    _row("process start (schema)", start)
    _row(f"check {num_shots} shots", takeboard("check", film).wall_s)
    _row(f"plan {num_shots} shots", takeboard("plan", film, "--quiet").wall_s)


def _nothing_changed(folder: Path, num_shots: int) -> None:
    film = long_storyboard(folder / "unchanged", num_shots, seconds=1.0)
    first = takeboard("preview", film, "--local", "--json")
    made = json.loads(first.out)[0]["deliverables"][0]
    _row(f"preview {num_shots} shots", first.wall_s, made["seconds"] / first.wall_s)
    again = takeboard("preview", film, "--local", "--json")
    _row(f"preview {num_shots} shots again, nothing changed", again.wall_s)


def _reference() -> float:
    """What the machine is worth at this moment: shared ones differ fourfold within minutes."""
    started = time.perf_counter()
    total = 0
    for number in range(10_000_000):
        total += number
    return time.perf_counter() - started


def _row(what: str, seconds: float, real_time: float | None = None) -> None:
    ratio = f"{real_time:8.2f}x real time" if real_time else ""
    print(f"{what:<56} {seconds:8.2f} s {ratio}", flush=True)


if __name__ == "__main__":
    main()
