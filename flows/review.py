"""What a person says to a film, written down: the one place where picks and approvals are made.

The commands and the form in Prefect's UI both come here.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flows.events import picked, tell
from generator.picks import pick_take, require_shot, require_take
from generator.picks_file import ApprovedBudget, read_choices
from generator.plan import Plan
from generator.review import (
    approve_budget,
    approve_picks,
    ask_retake,
    unapproved_budget,
    unapproved_picks,
)
from media.errors import UsageError

__all__ = ["Approved", "Replan", "approve", "approve_made", "by_whom", "choose"]

Replan = Callable[[], Plan]
"""The plan of the whole film, as it is now and where the film is made."""


@dataclass(frozen=True, slots=True)
class Approved:
    """What came of saying yes."""

    budget: ApprovedBudget | None = None
    """The budget that was approved now."""
    shots: tuple[str, ...] = ()
    """Shots whose pick was approved now."""
    waiting: tuple[str, ...] = ()
    """Shots whose pick is still to be approved, because its take is not made yet."""


def choose(
    replan: Replan, picks: Mapping[str, int], retakes: Sequence[tuple[str, str]] = ()
) -> Plan:
    """Pick takes by shot and ask for retakes, shot and note each; the plan as it is then.

    Shots may be named as people do (`storyboards.shot_names`). UsageError, with nothing written,
    when a take is not there to be picked.
    """
    planned = replan()
    chosen = {require_shot(planned.film, name).id: take for name, take in picks.items()}
    again = [(require_shot(planned.film, name).id, note) for name, note in retakes]
    for shot, take in chosen.items():
        require_take(planned.film, shot, take)
    for shot, take in chosen.items():
        # A pick changes the takes of the shots that go on from it, and so what their keys are.
        key = replan().job(shot, take).key
        pick_take(planned.film, shot, take, key)
        tell(picked(planned.film, shot, take, key))
    for shot, note in again:
        ask_retake(planned.film, shot, note)
    return replan() if picks or retakes else planned


def approve(replan: Replan, picks: Mapping[str, int], who: str) -> Approved:
    """Say yes to what waits: the budget of the takes that are missing, else the takes picked.

    `picks` are chosen first. UsageError when the storyboard asks for no approval.
    """
    planned = choose(replan, picks)
    film = planned.film
    if not film.approve:
        raise UsageError(
            "the storyboard asks for no approval",
            where=film.path.name,
            todo="write approve: picks, approve: budget or both into it",
        )
    if "budget" in film.approve and unapproved_budget(planned, read_choices(film)):
        return Approved(budget=approve_budget(planned, who))
    return approve_made(planned, who) if "picks" in film.approve else Approved()


def approve_made(planned: Plan, who: str) -> Approved:
    """Say yes to the picked takes that are made, and to no budget."""
    made = {job.key for job in planned.jobs if job.state == "cached"}
    shots = approve_picks(planned, made, who)
    waiting = tuple(unapproved_picks(planned, read_choices(planned.film)))
    return Approved(shots=shots, waiting=waiting)


def by_whom(name: str = "") -> str:
    """A person and this moment, as they stand beside what was approved."""
    try:
        person = " ".join(name.split())[:60] or getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        person = "somebody"
    return f"{person}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
