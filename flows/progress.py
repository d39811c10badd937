"""What a person sees while a film is made: one bar a stage, one line for what matters.

`Progress` is the interface of every display; this base shows nothing (`--quiet`, `--json`,
tests). `RichProgress` draws bars on a terminal, and plain lines where output is not one.
"""

from __future__ import annotations

import threading
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars

__all__ = ["Progress", "RichProgress"]


class Progress:
    """A display that shows nothing. Every method may be called from any thread."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def stage(self, name: str, total: int) -> None:
        """`total` steps of `name` lie ahead."""

    def advance(self, name: str, steps: int = 1, label: str = "") -> None:
        """`steps` of `name` are done; `label` says which is under way."""

    def at(self, name: str, done: int, total: int) -> None:
        """`done` of `total` steps of `name` are done."""

    def takes(self, done: int, total: int) -> None:
        """`done` of the `total` takes that this run makes are there."""

    def note(self, text: str) -> None:
        """Something a person should read."""


class RichProgress(Progress):
    """Bars on a terminal; elsewhere a line as each stage ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._bars = Bars(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[label]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> RichProgress:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def stage(self, name: str, total: int) -> None:
        with self._lock:
            if name in self._tasks:
                self._bars.reset(self._tasks[name], total=total, label="")
            else:
                self._tasks[name] = self._bars.add_task(name, total=total, label="")

    def advance(self, name: str, steps: int = 1, label: str = "") -> None:
        with self._lock:
            task = self._tasks[name]
            self._bars.update(task, advance=steps, label=label)
            bar = self._bars.tasks[self._bars.task_ids.index(task)]
            if bar.finished:
                self._bars.update(task, label="")
                if not self._console.is_terminal and steps:
                    self._console.print(f"{name}: {bar.completed:.0f} of {bar.total:.0f}")

    def at(self, name: str, done: int, total: int) -> None:
        with self._lock:
            self._bars.update(self._tasks[name], completed=done, total=total)

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
