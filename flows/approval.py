"""Where a film waits for a person: before anything is spent on it, and before it is cut.

    approve: budget     the quote of the takes that are missing
    approve: picks      every shot's picked take, once all takes are there

What was approved stands beside the storyboard. In a plain run there is nobody to wait: it shows
what is to be looked at, says how to approve, and ends. On a worker the flow is suspended instead
(`flows/farm/suspension.py`). A preview never waits.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flows.recorder import Recorder
from generator.picks_file import read_choices
from generator.plan import Plan
from generator.review import unapproved_budget, unapproved_picks
from generator.takes import Take
from media.errors import MediaError, WaitingError, translate_os_errors
from media.words import counted

if TYPE_CHECKING:
    from flows.options import FilmOptions
    from storyboards.film import Film

__all__ = ["Approval", "Subject", "Waiting", "how_to_approve"]

Subject = Literal["budget", "picks"]

SHEET = "takes.jpg"
"""In the deliveries folder: every take of the shots whose pick is to be approved."""

_MOST_SAID = 4


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a person is asked to approve."""

    subject: Subject
    plan: Plan
    why: str
    """What is not approved, or no longer."""
    shots: tuple[str, ...] = ()
    """Whose picks are asked about."""
    sheets: tuple[Path, ...] = ()


class Approval:
    """The waiting points of a run that nobody can suspend: it ends with WaitingError."""

    def require_budget(self, plan: Plan, options: FilmOptions, recorder: Recorder) -> None:
        """Go on only when a person has approved what the missing takes cost."""
        if "budget" not in plan.film.approve or options.preview:
            return
        why = unapproved_budget(plan, read_choices(plan.film))
        if why:
            from flows.approval_record import record_budget

            record_budget(plan, recorder)
            self.wait(Waiting("budget", plan, why), options)

    def require_picks(
        self, plan: Plan, takes: Mapping[str, Take], options: FilmOptions, recorder: Recorder
    ) -> None:
        """Go on only when a person has approved the picked take of every shot."""
        if "picks" not in plan.film.approve or options.preview:
            return
        open_ = unapproved_picks(plan, read_choices(plan.film))
        if open_:
            from flows.approval_record import record_takes

            sheets = _draw(plan, takes, tuple(open_), options)
            record_takes(plan, takes, tuple(open_), sheets, recorder)
            self.wait(Waiting("picks", plan, _words(open_), tuple(open_), sheets), options)

    def wait(self, waiting: Waiting, options: FilmOptions) -> None:
        """End the run: what waits, what to look at, and how to approve it."""
        film = waiting.plan.film
        seen = f" (see {_shown(waiting.sheets[0])})" if waiting.sheets else ""
        raise WaitingError(
            f"waiting for approval of the {waiting.subject}: {waiting.why}{seen}",
            where=film.path.name,
            todo=f"to approve: {how_to_approve(film, _shown(film.path))}; then run again",
        )


def how_to_approve(film: Film, path: str) -> str:
    """The command that says yes; `path` is the storyboard's, as it is to be shown."""
    words = ["takeboard", "approve", path]
    words += ["--variant", film.variant] if film.variant else []
    return shlex.join(words)


def _words(open_: Mapping[str, str]) -> str:
    """`sc010/sh0020 has another pick since`, or how many when nothing was approved before."""
    new = [f"{shot} {what}" for shot, what in open_.items() if what.endswith("since")]
    if not new:
        return counted(len(open_), "shot")
    more = f" and {len(new) - _MOST_SAID} more" if len(new) > _MOST_SAID else ""
    return ", ".join(new[:_MOST_SAID]) + more


def _draw(
    plan: Plan, takes: Mapping[str, Take], shots: Sequence[str], options: FilmOptions
) -> tuple[Path, ...]:
    # A plan does not draw: it must not wait for the libraries that do.
    from editor.take_sheet import Tile, take_sheet

    with translate_os_errors("make a folder", options.out, MediaError):
        options.out.mkdir(parents=True, exist_ok=True)
    tiles = [
        Tile(
            shot=job.shot_id,
            take=job.take,
            picture=takes[job.key].picture,
            num_frames=min(job.num_frames, takes[job.key].num_frames),
            picked=plan.picked[job.shot_id] == job.take,
            words=f"{job.backend}: {job.note}" if job.note else job.backend,
        )
        for job in plan.jobs
        if job.shot_id in shots and job.key in takes
    ]
    title = f"{plan.film.title} {plan.film.variant}".strip()
    return take_sheet(
        tiles,
        options.out / SHEET,
        title=f"{title} · picks to approve",
        size=plan.raster.size,
        jobs=options.jobs,
    )


def _shown(path: Path) -> str:
    """`path` against the working directory when it lies inside it."""
    here = Path.cwd()
    real = path.resolve()
    return str(real.relative_to(here)) if real.is_relative_to(here) else str(path)
