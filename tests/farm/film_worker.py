"""A real worker of the pool `cpu`, as a machine of the farm runs it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.flows.films import command_line, quiet_environment

__all__ = ["film_worker"]


@contextmanager
def film_worker(url: str, *, root: Path, home: Path) -> Iterator[Path]:
    """Its log, while it works for the server at `url` on the films in `root`."""
    home.mkdir(parents=True, exist_ok=True)
    environment = quiet_environment(
        home,
        TAKEBOARD_HOME=str(home / "takeboard"),
        PREFECT_API_URL=url,
        PREFECT_WORKER_QUERY_SECONDS="1",
    )
    words = ["worker", "--pool", "cpu", "--name", f"films-{os.getpid()}", "--root", str(root)]
    log = home / "worker.log"
    with log.open("wb") as printed:
        worker = subprocess.Popen(
            command_line(*words),
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
