"""What the farm costs a shot, for real: a server on PostgreSQL and two GPU workers on loopback.

python -m bench.farm_overhead                  60 shots
python -m bench.farm_overhead --shots 2000     also how much memory the server grows by

The shots are made by a stand-in that draws a flat colour at once, so nearly all the time that
passes is the farm's: asking, claiming, fetching the ticket, publishing, telling. The overhead is
the time from the first take's beginning to the last one's end, times the workers, for each shot.
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

WORKERS = 2
MEMORY_EVERY = 100


def main() -> None:
    """Print seconds a shot, and the server's memory as shots are made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shots", type=int, default=60)
    num_shots = parser.parse_args().shots
    with tempfile.TemporaryDirectory(prefix="takeboard-bench-") as name:
        folder = Path(name)
        with running_farm(folder, gpus=WORKERS) as farm:
            path = write_board(folder / "film", _storyboard(num_shots))
            run = farm.start_film(
                path, store=str(folder / "film/store"), out=str(folder / "film/out")
            )
            _watch(farm, run, num_shots)


def _watch(farm: Farm, run: str, num_shots: int) -> None:
    began = ended = time.monotonic()
    server = psutil.Process(farm.server.pid)
    made, said = 0, 0
    while made < num_shots:
        state = farm.run(run)["state"]
        if state["type"] in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED"):
            print(f"the film's run is over: {state['type']} {state['message']}")
            break
        if not made:
            began = time.monotonic()
        made, ended = len(farm.marks("end")), time.monotonic()
        if made // MEMORY_EVERY > said:
            said = made // MEMORY_EVERY
            print(f"{made:6} shots  server {_memory_mb(server):6.0f} MB", flush=True)
        time.sleep(0.25)
    print(f"{made} shots on {WORKERS} workers in {ended - began:.1f} s")
    print(f"overhead a shot  {(ended - began) * WORKERS / max(made, 1):6.2f} s of a worker")
    print(f"server           {_memory_mb(server):6.0f} MB")


def _memory_mb(server: psutil.Process) -> float:
    processes = [server, *server.children(recursive=True)]
    return float(sum(one.memory_info().rss for one in processes)) / 1e6


def _storyboard(num_shots: int) -> dict[str, Any]:
    shots = [
        {
            "id": f"sh{number * 10 + 10:05}",
            "size": "LS",
            "duration": "6f",
            "action": f"Beat b{number} of the night.",
            "backend": "sketch",
        }
        for number in range(num_shots)
    ]
    return {
        "version": 1,
        "project": {"code": "FRM", "title": "Farm", "fps": 24, "size": "160x90"},
        "scenes": [{"id": "sc010", "slugline": "EXT. SHORE - NIGHT", "shots": shots}],
    }


if __name__ == "__main__":
    main()
