"""A display that also writes what matters into the log of the Prefect run."""

from __future__ import annotations

import logging
import threading
import time

from flows.progress import Progress

__all__ = ["Log", "LoggedProgress"]

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


class LoggedProgress(Progress):
    """Shows everything on `shown`, and logs each stage that ends and each note."""

    def __init__(self, shown: Progress, log: Log) -> None:
        self._shown, self._log = shown, log
        self._lock = threading.Lock()
        self._started: dict[str, float] = {}
        self._left: dict[str, int] = {}

    def stage(self, name: str, total: int) -> None:
        with self._lock:
            self._started[name] = time.monotonic()
            self._left[name] = total
        self._shown.stage(name, total)

    def advance(self, name: str, steps: int = 1, label: str = "") -> None:
        with self._lock:
            before = self._left.get(name, 0)
            self._left[name] = before - steps
        if steps and before > 0 and before - steps <= 0:
            self._log_end(name)
        self._shown.advance(name, steps, label)

    def at(self, name: str, done: int, total: int) -> None:
        with self._lock:
            before = self._left.get(name, 0)
            self._left[name] = -1 if done >= total else total - done
        if done >= total and before >= 0:
            self._log_end(name)
        self._shown.at(name, done, total)

    def note(self, text: str) -> None:
        self._log.warning(text)
        self._shown.note(text)

    def _log_end(self, name: str) -> None:
        took = time.monotonic() - self._started.get(name, time.monotonic())
        self._log.info("%s done in %.1f s", name, took)
