"""Where a run is written down: nowhere, or in Prefect.

The film is made by the same code either way. `Recorder.task` wraps one piece of work so that it
shows as a task run, `watch` shows a take's steps while it is made, events tell others, and the
artifacts say what was planned and what came out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from flows.events import FilmEvent

__all__ = ["Recorder", "Watch"]

T = TypeVar("T")


class Watch:
    """Follows one take while it is made: this one shows nothing. For any thread; never raises."""

    def step(self, done: int, total: int) -> None:
        """`done` of `total` steps, or frames, are done: what `RenderTools.on_step` is told."""

    def end(self, ok: bool, why: str = "") -> None:
        """The take is there, or `why` it is not."""

    def leave(self, words: str) -> None:
        """It ends as it stands, and did not fail: it was cancelled, or waits for a person."""


class Recorder:
    """Records nothing: a run in this process alone."""

    @property
    def seen(self) -> bool:
        """Whether anybody will see it; what costs time to find out is not, where nobody does."""
        return False

    def task(
        self, kind: str, name: str, work: Callable[[], T], facts: Mapping[str, str | int | float]
    ) -> Callable[[], T]:
        """`work`, to be called later, recorded as a task of `kind` called `name`."""
        return work

    def watch(self, label: str, num_frames: int) -> Watch:
        """Live progress of the take called `label`."""
        return Watch()

    def event(self, event: FilmEvent) -> None:
        """Something that others may wait for."""

    def note(self, text: str) -> None:
        """A line for the log of the run."""

    def table(self, key: str, rows: Sequence[Mapping[str, object]], title: str) -> None:
        """A table that a person may want to see, such as the plan."""

    def markdown(self, key: str, text: str, title: str) -> None:
        """A page of text, such as the costs or the contact sheet.

        Recorded again in the same run it takes the place of what was there.
        """

    def replace(self, key: str, text: str, title: str) -> None:
        """A page of text only where an earlier run left one, which no longer holds."""

    def address(self, path: Path) -> str:
        """Where a person who sees the record can open the file; empty: nowhere."""
        return ""

    def link(self, key: str, path: Path, title: str) -> None:
        """A file that came out."""
