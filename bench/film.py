"""How fast a film is made: the animatic against real time, and everything that must be instant.

python -m bench.film            all of it, some minutes
python -m bench.film --quick    fewer shots
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import yaml

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
        _films(folder, "the example, one deliverable", _one_deliverable(folder / "one"))
        _films(folder, "the example, all three", EXAMPLE / "film.yaml")
        _thousand(folder, 100 if quick else 1000)
        _nothing_changed(folder, 20 if quick else 200)


def _films(folder: Path, what: str, film: Path) -> None:
    """A film's seconds are those of every deliverable that the command made."""
    for command in ("preview", "produce"):
        name = f"{film.parent.name}-{command}"
        where = ["--store", folder / f"store-{name}", "--out", folder / f"out-{name}"]
        cost = takeboard(command, film, "--local", "--json", *where)
        seconds = sum(one["seconds"] for one in json.loads(cost.out)[0]["deliverables"])
        _row(f"{command} {what}: {seconds:.0f} s", cost.wall_s, seconds / cost.wall_s)
        again = takeboard(command, film, "--local", "--json", *where)
        _row(f"{command} again, nothing changed", again.wall_s)


def _one_deliverable(folder: Path) -> Path:
    """The example film, handed over once: in one shape and one language."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".takeboard", "*_film"))
    path = folder / "film.yaml"
    board = yaml.safe_load(path.read_text(encoding="utf-8"))
    master = {**board["deliverables"][0], "langs": ["en"]}
    board["deliverables"] = [master]
    path.write_text(yaml.safe_dump(board, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


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
