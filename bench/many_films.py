"""Many films at once in one worker, for real: what waiting costs, and how long all take.

python -m bench.many_films                  50 films, and an urgent one when 10 of them are done
python -m bench.many_films --films 100

A server on PostgreSQL, one worker for films and one for takes on loopback. The stand-in for a
model first loads for a while, in which every film waits for its takes; then it draws at once, so
that what is left is the films' own work on the cores: an animatic shot, sound, cut, and telling.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.faults.farm_checks import write_board
from tests.faults.farm_run import Farm, running_farm

__all__ = ["main"]

_OVER = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


def main() -> None:
    """Print memory and threads a waiting film, and how long all films took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=50)
    parser.add_argument("--wait", type=float, default=90.0, help="seconds of loading")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="takeboard-bench-") as name:
        folder = Path(name)
        with running_farm(folder, SKETCH_LOAD_S=str(asked.wait)) as farm:
            first = _start(farm, folder, 0)
            _wait_for_child(farm)
            time.sleep(10)
            began = time.monotonic()
            one = _standing(farm)
            print(f"1 film waits: {one}", flush=True)
            runs = [first] + [_start(farm, folder, number) for number in range(1, asked.films)]
            _watch_waiting(farm, began + asked.wait - 20)
            _watch_films(farm, folder, runs)


def _start(farm: Farm, folder: Path, number: int) -> str:
    film = folder / f"film{number}"
    path = write_board(film, _storyboard(number))
    return farm.start_film(path, store=str(folder / "store"), out=str(film / "out"))


def _wait_for_child(farm: Farm) -> None:
    while not farm.workers["cpu-0"].child():
        time.sleep(0.2)


def _standing(farm: Farm) -> str:
    child = psutil.Process(farm.workers["cpu-0"].child())
    child.cpu_percent()
    server = psutil.Process(farm.server.pid)
    server.cpu_percent()
    time.sleep(5)
    memory = child.memory_full_info()
    return (
        f"{memory.uss / 1e6:.0f} MB its own, {child.num_threads()} threads, "
        f"{child.cpu_percent():.0f} % of a core; server {server.cpu_percent():.0f} %"
    )


def _watch_waiting(farm: Farm, until_s: float) -> None:
    while time.monotonic() < until_s:
        time.sleep(5)
        films = farm.flow_runs("RUNNING", pool="cpu")
        print(f"{len(films)} films under way: {_standing(farm)}", flush=True)


def _watch_films(farm: Farm, folder: Path, runs: list[str]) -> None:
    began, over, urgent = time.monotonic(), 0, ""
    while over < len(runs):
        found = [run for run in farm.flow_runs(pool="cpu") if run["id"] in runs]
        over = sum(run["state"]["type"] in _OVER for run in found)
        if over >= 10 and not urgent:
            urgent = _start_urgent(farm, folder)
            since = time.monotonic()
            print(f"{over} films done after {since - began:.0f} s; an urgent one is asked for")
        if urgent and farm.run(urgent)["state"]["type"] in _OVER and since:
            print(
                f"the urgent one: {farm.run(urgent)['state']['type']} after "
                f"{time.monotonic() - since:.0f} s, when {over} of the others were done",
                flush=True,
            )
            since = 0.0
        time.sleep(1)
    states = sorted(run["state"]["type"] for run in found)
    print(f"{len(runs)} films over in {time.monotonic() - began:.0f} s: {set(states)}")


def _start_urgent(farm: Farm, folder: Path) -> str:
    path = write_board(folder / "urgent", _storyboard(9999))
    (deployment,) = farm.ask("deployments", flows={"name": {"any_": ["produce"]}})
    made = farm.post(
        f"deployments/{deployment['id']}/create_flow_run",
        parameters={"storyboard": str(path), "store": str(folder / "store"),
                    "out": str(folder / "urgent/out"), "urgency": "urgent"},
        work_queue_name="urgent",
    )  # fmt: skip
    return str(made["id"])


def _storyboard(number: int) -> dict[str, Any]:
    shots = [
        {
            "id": f"sh{place * 10 + 10:04}",
            "size": "LS",
            "duration": "12f",
            "action": f"Beat b{number}x{place} of the night.",
            "backend": "animatic" if place == 3 else "sketch",
        }
        for place in range(4)
    ]
    return {
        "version": 1,
        "project": {"code": f"F{number}", "title": f"Film {number}", "fps": 24, "size": "160x90"},
        "scenes": [{"id": "sc010", "slugline": "EXT. SHORE - NIGHT", "shots": shots}],
    }


if __name__ == "__main__":
    main()
