"""Where a run is written down: nowhere, or in Prefect.

The film is made by the same code either way. `Recorder.task` wraps one piece of work so that it
shows as a task run; the artifacts say what was planned and what came out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

__all__ = ["Recorder"]

T = TypeVar("T")


class Recorder:
    """Records nothing: a run in this process alone."""

    def task(
        self, kind: str, name: str, work: Callable[[], T], facts: Mapping[str, str | int | float]
    ) -> Callable[[], T]:
        """`work`, to be called later, recorded as a task of `kind` called `name`."""
        return work

    def note(self, text: str) -> None:
        """A line for the log of the run."""

    def table(self, key: str, rows: Sequence[Mapping[str, object]], title: str) -> None:
        """A table that a person may want to see, such as the plan."""

    def markdown(self, key: str, text: str, title: str) -> None:
        """A page of text, such as the loss report or the contact sheet."""

    def link(self, key: str, path: Path, title: str) -> None:
        """A file that came out."""
