"""Running a command and saying what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "run_command", "takeboard"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command took: wall and CPU seconds, and its peak memory in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    out: str


def run_command(args: Sequence[str], *, timeout_s: float) -> Cost:
    """Run `args` to its end and measure it, with the children that it waited for."""
    with tempfile.TemporaryFile("w+") as out:
        started = time.monotonic()
        child = subprocess.Popen(list(args), stdout=out)
        killer = threading.Timer(timeout_s, child.kill)
        killer.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        finally:
            killer.cancel()
        wall_s = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(args)} ended with {child.returncode}")
        out.seek(0)
        return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read())


def takeboard(*words: str | Path, timeout_s: float = 3600) -> Cost:
    """Run the command line in a process of its own, unrecorded."""
    args = [sys.executable, "-c", "from flows.cli import main; main()", *map(str, words)]
    return run_command(args, timeout_s=timeout_s)
