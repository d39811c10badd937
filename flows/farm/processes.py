"""Processes that `takeboard up` starts: known by more than their number, logged, started again.

A process is told from a later one of the same number by when it started. Each has a group of its
own, so a Ctrl-C in the terminal reaches `up` alone, and `up` decides the order in which they end.
And each has as its standard input a pipe that `up` never writes to: it closes when `up` dies,
however that happens (flows/farm/follow.py).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

__all__ = ["Identity", "Tended", "end_all"]

_LOG_BYTES = 10 << 20
_LONGEST_PAUSE_S = 60.0
_STEADY_S = 300.0
"""A process that lived this long starts again at once when it dies."""
_POLL_S = 0.1


class Identity(BaseModel, frozen=True):
    """A process: its number, and when it started in the words of the operating system."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The process of that number; None: there is none."""
        started = _started(pid)
        return cls(pid=pid, started=started) if started else None

    def runs(self) -> bool:
        """Whether it is still that process, and not a dead or another one."""
        return bool(self.started) and _started(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it still runs."""
        if self.runs():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill_group(self) -> None:
        """End it with all that is in its group, if it still runs and leads one."""
        if self.runs():
            with suppress(ProcessLookupError):
                leads = os.getpgid(self.pid) == self.pid
                (os.killpg if leads else os.kill)(self.pid, signal.SIGKILL)


@dataclass(slots=True)
class Tended:
    """One process that is started again when it dies, each time a little later."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    _begun: float = 0.0
    _deaths: int = 0
    _due: float = field(default=0.0)
    _said_from: int = 0

    def start(self, lifeline: int) -> Identity:
        """Start it; `lifeline` is the end of a pipe that is ours for as long as we live."""
        self.bound_log()
        with self.log.open("ab") as log:
            self._said_from = log.tell()
            self.process = subprocess.Popen(
                self.command, env=dict(self.environ),
                stdin=lifeline, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._begun = time.monotonic()
        # A process that is not waited for keeps its number, so there is one to be found.
        return Identity.of(self.process.pid) or Identity(pid=self.process.pid, started="")

    def runs(self) -> bool:
        """Whether it is there."""
        return self.process is not None and self.process.poll() is None

    def said(self) -> str:
        """What it has written into its log since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._said_from)
            return log.read(_LOG_BYTES).decode("utf-8", "replace")

    def death(self) -> str:
        """How it has just died, and when it starts again; empty: it did not."""
        if self.process is None or (code := self.process.poll()) is None:
            return ""
        lived_s = time.monotonic() - self._begun
        self._deaths = 1 if lived_s > _STEADY_S else self._deaths + 1
        pause_s = min(2.0 ** (self._deaths - 1), _LONGEST_PAUSE_S)
        self.process = None
        self._due = time.monotonic() + pause_s
        return (
            f"{self.name} ended ({cause(code)}); it starts again in {pause_s:.0f} s, see {self.log}"
        )

    def is_due(self) -> bool:
        """Whether it is to be started now."""
        return self.process is None and time.monotonic() >= self._due

    def forget(self) -> None:
        """Take note that it has ended for good."""
        if self.process is not None:
            self.process.wait()

    def bound_log(self) -> None:
        """Put the log aside when it is long, over the one that was put aside before."""
        with suppress(OSError):
            if self.log.stat().st_size > _LOG_BYTES:
                # Copied and cut, not renamed: the process goes on writing to the file it has.
                self.log.with_suffix(".log.1").write_bytes(self.log.read_bytes())
                os.truncate(self.log, 0)


def end_all(
    processes: Sequence[Identity], *, within_s: float, hurry: Callable[[], bool] = lambda: False
) -> list[Identity]:
    """Those that had to be killed: all are asked to end, and are waited for unless in a `hurry`."""
    for process in processes:
        process.send(signal.SIGTERM)
    deadline = time.monotonic() + within_s
    while left := [one for one in processes if one.runs()]:
        if time.monotonic() > deadline or hurry():
            break
        time.sleep(_POLL_S)
    for process in left:
        process.kill_group()
    return left


def cause(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"exit code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return names.get(-code, f"signal {-code}")


def _started(pid: int) -> str:
    """When the process started; empty: there is none, or it is dead and only not waited for."""
    try:
        # The name, in brackets, may itself hold brackets and blanks.
        _, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return _started_elsewhere(pid) if not Path("/proc/self").exists() else ""
    fields = rest.split()
    return "" if fields[0] in "ZX" else fields[19]


def _started_elsewhere(pid: int) -> str:
    """The same where there is no /proc."""
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=10
    ).stdout.split(maxsplit=1)
    return "" if len(shown) < 2 or shown[0].startswith("Z") else shown[1].strip()
