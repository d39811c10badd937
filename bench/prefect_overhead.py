"""What recording in Prefect costs a shot: the pool with and without the recorder, in one run.

    PREFECT_API_URL=http://127.0.0.1:4200/api python -m bench.prefect_overhead [SHOTS]

Needs a running Prefect server; refuses to print a figure without one.
"""

from __future__ import annotations

import sys
import threading
import time

from prefect import flow

from flows.pool import Work, run_all
from flows.prefect_recorder import PrefectRecorder
from flows.recorded import require_server
from flows.recorder import Recorder
from flows.settings import read_settings

__all__ = ["main"]

WORK_S = 0.01
"""Each stand-in shot takes this long, so that the ratio is against something."""


def main() -> None:
    """Print milliseconds a shot with and without Prefect, and the difference."""
    num_shots = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    require_server(read_settings().server_url)
    plain = _run(Recorder(), num_shots)
    recorded = flow(_run, name="overhead", persist_result=False)(PrefectRecorder(), num_shots)
    print(f"plain     {plain * 1000:8.1f} ms a shot")
    print(f"recorded  {recorded * 1000:8.1f} ms a shot")
    print(f"overhead  {(recorded - plain) * 1000:8.1f} ms a shot over {num_shots} shots")


def _run(recorder: Recorder, num_shots: int) -> float:
    facts = {"shot": "sc010/sh0010", "take": 1, "backend": "animatic", "frames": 96}
    work = {
        str(index): Work(
            recorder.task("render shot", f"shot {index}", lambda: time.sleep(WORK_S), facts)
        )
        for index in range(num_shots)
    }
    started = time.monotonic()
    run_all(work, jobs=2, stop=threading.Event())
    return (time.monotonic() - started) / num_shots


if __name__ == "__main__":
    main()
