"""What people say to a plan: the budget and the picks they approve, the retakes they ask for.

An approval counts only for what was approved. A budget that was approved covers every later plan
that costs at most as much; a pick that was approved is that take of the shot and no other.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from generator.backends.base import Quote
from generator.picks import require_shot
from generator.picks_file import (
    KEY_CHARS,
    MOST_NOTE_CHARS,
    MOST_TAKES,
    ApprovedBudget,
    Choices,
    Pick,
    read_choices,
    write_choices,
)
from generator.plan import Plan, total_quote
from media.errors import UsageError
from media.words import counted
from storyboards.film import Film, film_shots

__all__ = [
    "approve_budget",
    "approve_picks",
    "ask_retake",
    "budget_words",
    "unapproved_budget",
    "unapproved_picks",
]


def unapproved_budget(plan: Plan, choices: Choices) -> str:
    """Why the plan may not be paid for yet, or nothing: nobody is asked when nothing is made."""
    if not plan.missing:
        return ""
    asked, given = total_quote(plan.missing), choices.budget
    takes = f"{counted(len(plan.missing), 'take')} for {budget_words(asked)}"
    if given is None or not given.approved:
        return f"{takes}: nobody has approved it"
    # What the file holds is rounded: a plan must not be refused for what was rounded off.
    if asked.usd > given.usd + 1e-4 or asked.gpu_seconds > given.gpu_seconds + 0.06:
        return f"{takes}: {budget_words(Quote(given.usd, given.gpu_seconds))} was approved"
    return ""


def unapproved_picks(plan: Plan, choices: Choices) -> dict[str, str]:
    """By shot of the plan whose pick is not approved, what is new since an approval was given."""
    given = any(pick.approved for pick in choices.shots.values())
    open_: dict[str, str] = {}
    for shot in film_shots(plan.film):
        if shot.id not in plan.picked:
            continue
        pick = choices.shots.get(shot.id)
        if pick is None:
            open_[shot.id] = "is new since" if given else "is not approved"
        elif not pick.approved:
            since = "has a retake since" if not pick.take else "has another pick since"
            open_[shot.id] = since if given else "is not approved"
        elif not plan.job(shot.id).key.startswith(pick.key):
            open_[shot.id] = "has changed since"
    return open_


def approve_budget(plan: Plan, who: str) -> ApprovedBudget:
    """Say yes to what the plan costs, and write it down; `who` is a person and a moment."""
    quote = total_quote(plan.missing)
    budget = ApprovedBudget(round(quote.usd, 4), round(quote.gpu_seconds, 1), who)
    write_choices(plan.film, replace(read_choices(plan.film), budget=budget))
    return budget


def approve_picks(plan: Plan, made: Set[str], who: str) -> tuple[str, ...]:
    """Say yes to the picked take of every shot of the plan that is among the keys `made`.

    The shots that were not approved before.
    """
    choices = read_choices(plan.film)
    shots = dict(choices.shots)
    approved = []
    for shot_id in unapproved_picks(plan, choices):
        job = plan.job(shot_id)
        if job.key in made:
            before = shots.get(shot_id, Pick())
            shots[shot_id] = replace(before, take=job.take, key=job.key[:KEY_CHARS], approved=who)
            approved.append(shot_id)
    if approved:
        write_choices(plan.film, replace(choices, shots=shots))
    return tuple(approved)


def ask_retake(film: Film, shot_id: str, note: str = "") -> int:
    """Ask for one more take of a shot, with `note` as its direction; the number it will have.

    It is the shot's pick, and unapproved, until somebody picks another.
    """
    shot = require_shot(film, shot_id)
    note = " ".join("".join(sign if sign.isprintable() else " " for sign in note).split())
    choices = read_choices(film)
    before = choices.shots.get(shot_id, Pick())
    take = shot.take_count + len(before.retakes) + 1
    if shot.source is not None:
        raise UsageError("it is your own footage, not rendered", where=shot_id)
    if take > MOST_TAKES:
        raise UsageError(
            f"expected at most {MOST_TAKES} takes, this is the {take}th", where=shot_id
        )
    if len(note) > MOST_NOTE_CHARS:
        raise UsageError(
            f"expected a note of at most {MOST_NOTE_CHARS} characters, got {len(note)}",
            where=shot_id,
        )
    pick = Pick(retakes=(*before.retakes, note))
    write_choices(film, replace(choices, shots={**choices.shots, shot_id: pick}))
    return take


def budget_words(quote: Quote) -> str:
    """Money and GPU time in words."""
    if not quote.usd and not quote.gpu_seconds:
        return "no money and no GPU time"
    return f"{quote.usd:.2f} USD and {quote.gpu_seconds:.0f} s of GPU"
