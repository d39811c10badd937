"""How far a film is, in words of the trade: worked out from plan and files, stored nowhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flows.options import FilmOptions
from flows.planning import plan_film
from generator.picks_file import read_choices
from generator.plan import ShotJob
from generator.review import unapproved_budget, unapproved_picks
from generator.takes import TakeStore
from media.words import counted
from storyboards.film import Film, film_shots

if TYPE_CHECKING:
    from flows.farm.readiness import FarmReadiness

__all__ = ["FilmStatus", "film_status", "status_facts", "status_table"]

State = Literal["todo", "wip", "retake", "waiting for approval", "done"]
STATES: tuple[State, ...] = ("todo", "wip", "retake", "waiting for approval", "done")
_STYLES: Mapping[State, str] = {
    "todo": "cyan",
    "wip": "blue",
    "retake": "magenta",
    "waiting for approval": "yellow",
    "done": "green",
}


@dataclass(frozen=True, slots=True)
class ShotStatus:
    """A shot and the take that the film would use of it."""

    shot: str
    state: State
    take: int
    takes: int
    """So many are planned."""
    backend: str
    usd: float
    """What its takes in the store have cost."""
    note: str
    """What was said when the take was asked for, and what has changed since its approval."""


@dataclass(frozen=True, slots=True)
class FilmStatus:
    """All shots in film order, and what the film waits for."""

    title: str
    shots: tuple[ShotStatus, ...]
    waits: str
    """Why its budget is not approved, or empty."""


def film_status(
    film: Film,
    options: FilmOptions,
    under_way: Collection[tuple[str, int]] = (),
    readiness: FarmReadiness | None = None,
) -> FilmStatus:
    """Where each shot stands; `under_way` is what workers are making, shot and take."""
    plan = plan_film(film, options, readiness)
    store, choices = TakeStore(options.store), read_choices(film)
    open_ = unapproved_picks(plan, choices) if "picks" in film.approve else {}
    shots = []
    for shot in film_shots(film):
        jobs = [job for job in plan.jobs if job.shot_id == shot.id]
        picked = plan.job(shot.id)
        wip = any((shot.id, job.take) in under_way for job in jobs)
        state: State = "wip" if wip else _state(jobs, picked, shot.take_count, shot.id in open_)
        since = open_.get(shot.id, "") if state == "waiting for approval" else ""
        notes = (picked.note, since if since.endswith("since") else "")
        shots.append(
            ShotStatus(
                shot=shot.id,
                state=state,
                take=picked.take,
                takes=len(jobs),
                backend=picked.backend,
                usd=sum(_cost(job, store) for job in jobs),
                note="; ".join(filter(None, notes)),
            )
        )
    waits = unapproved_budget(plan, choices) if "budget" in film.approve else ""
    return FilmStatus(film.title, tuple(shots), waits)


def status_table(status: FilmStatus) -> RenderableType:
    """A row a shot, and how many there are of each."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("shot", "state", "take", "backend", "USD", "note"):
        right = heading in ("take", "USD")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for one in status.shots:
        state = Text(one.state, _STYLES[one.state])
        take = f"{one.take} of {one.takes}" if one.takes > 1 else f"{one.take}"
        cost = f"{one.usd:.2f}" if one.usd else ""
        table.add_row(one.shot, state, take, one.backend, cost, Text(one.note))
    lines = [Text(_summary(status))]
    if status.waits:
        lines.append(Text(f"The budget waits for approval: {status.waits}.", "yellow"))
    return Group(table, Text(), *lines)


def status_facts(status: FilmStatus) -> dict[str, Any]:
    """The same for programs."""
    return {
        "version": 1,
        "title": status.title,
        "shots": [
            {
                "shot": one.shot,
                "state": one.state,
                "take": one.take,
                "takes": one.takes,
                "backend": one.backend,
                "usd": round(one.usd, 4),
                "note": one.note,
            }
            for one in status.shots
        ],
        "states": {state: sum(one.state == state for one in status.shots) for state in STATES},
        "budget_waits": status.waits,
    }


def _state(jobs: list[ShotJob], picked: ShotJob, count: int, unapproved: bool) -> State:
    if any(job.state != "cached" and job.take > count for job in jobs):
        return "retake"
    if picked.state != "cached":
        return "todo"
    return "waiting for approval" if unapproved else "done"


def _cost(job: ShotJob, store: TakeStore) -> float:
    take = store.find(job.key, verify=False) if job.state == "cached" else None
    return float(take.manifest.get("cost_usd", 0.0)) if take else 0.0


def _summary(status: FilmStatus) -> str:
    counts = {state: sum(one.state == state for one in status.shots) for state in STATES}
    words = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"{status.title}: {counted(len(status.shots), 'shot')}: {words}."
