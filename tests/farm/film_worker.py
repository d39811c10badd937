"""A real worker of the pool `cpu`, as a machine of the farm runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["film_worker"]

REPOSITORY = Path(__file__).parents[2]
_START = "from flows.cli import main; main()"


@contextmanager
def film_worker(url: str, *, root: Path, home: Path) -> Iterator[Path]:
    """Its log, while it works for the server at `url` on the films in `root`."""
    home.mkdir(parents=True, exist_ok=True)
    dropped = ("PREFECT_", "TAKEBOARD_", "COVERAGE")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(dropped)}
    environment = {
        **kept,
        "HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "TAKEBOARD_HOME": str(home / "takeboard"),
        "PREFECT_API_URL": url,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PYTHONPATH": str(REPOSITORY),
    }
    words = ["worker", "--pool", "cpu", "--name", f"films-{os.getpid()}", "--root", str(root)]
    log = home / "worker.log"
    with log.open("wb") as printed:
        worker = subprocess.Popen(
            [sys.executable, "-c", _START, *words],
            env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield log
    finally:
        _end(worker)


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        worker.wait(timeout=30)
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(timeout=10)
