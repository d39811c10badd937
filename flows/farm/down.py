"""End the `takeboard up` of this machine, or what a killed one has left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping

from flows.farm.home import find_home
from flows.farm.processes import end_all
from media.errors import TakeboardError

__all__ = ["down"]

_WITHIN_S = 120.0
_LEFTOVERS_WITHIN_S = 20.0


def down(environ: Mapping[str, str] = os.environ) -> str:
    """A line that says what ended. TakeboardError when it does not end in two minutes."""
    home = find_home(environ)
    running = home.running()
    if running is None:
        return f"Takeboard is not up ({home.folder})"
    if not running.up.runs():
        left = [process for process in running.processes.values() if process.runs()]
        end_all(left, within_s=_LEFTOVERS_WITHIN_S)
        home.forget()
        return f"an earlier `up` was killed; {len(left)} processes that it left were ended"
    running.up.send(signal.SIGTERM)
    deadline = time.monotonic() + _WITHIN_S
    while running.up.runs():
        if time.monotonic() > deadline:
            raise TakeboardError(
                f"`up` (process {running.up.pid}) is still ending after {_WITHIN_S:.0f} s",
                where=running.ui,
                todo=f"look at its logs in {home.logs}; run `takeboard down` again to hurry it",
            )
        time.sleep(0.2)
    return f"ended {running.ui}"
