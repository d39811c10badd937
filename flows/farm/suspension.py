"""A film that waits for a person on a worker: the run is suspended and its process is free.

Prefect's UI shows a form to resume it with. Resumed, the flow runs again from the top and finds
its takes in the store; what the form said is then written beside the storyboard, exactly as the
commands do. The question's key is made of what was asked, so an answer counts for nothing else:
when the storyboard or a pick has changed meanwhile, the person is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Annotated, Any, Literal, TypeVar

import httpx
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import Pause, PrefectException
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.utilities.urls import url_for
from pydantic import Field, StringConstraints, create_model

from flows.approval import Approval, Waiting, how_to_approve
from flows.approval_record import budget_rows
from flows.farm.resuming import asked_before
from flows.options import FilmOptions
from flows.page_pictures import data_address
from flows.prefect_recorder import artifact_key
from flows.progress import Progress
from flows.review import Replan, approve_made, by_whom, choose
from generator.keys import content_digest
from generator.picks_file import MOST_NOTE_CHARS, MOST_TAKES
from generator.plan import total_quote
from generator.review import approve_budget, budget_words
from media.errors import BudgetError, TakeboardError, UsageError, WaitingError
from storyboards.film import film_shots

__all__ = ["SuspendedApproval", "until_answered"]

T = TypeVar("T")

_DAY_S = 86400
_SHEET_WIDTH = 1000
"""Pixels, of the sheet's first page in the form: twice as wide as the form, 100 kB."""
_NOBODY = "somebody in Prefect's UI"
"""Who gave no name: the worker's own user has not approved anything."""
_SPENDING = "approve: spend at most this. stop: end the run; nothing is spent."
_PICKS = (
    "approve: the picked takes, which are framed, are right; the film is cut of them. Shots under "
    "Retakes are made first and shown to you. retake: approve nothing yet."
)


class AnsweredError(Exception):
    """A person has chosen other takes or asked for more: the film is planned anew."""


class BudgetAnswer(RunInput):
    """The form that a budget is approved with."""

    decision: Literal["approve", "stop"] = Field("approve", title="Decision")
    name: str = Field(
        "",
        title="Your name",
        description="Stands beside the approval in the film's picks file.",
        max_length=60,
    )


class PicksAnswer(RunInput):
    """The form that picks are approved with, without its lists of shots (`_picks_form`)."""

    decision: Literal["approve", "retake"] = Field("approve", title="Decision")
    name: str = Field(
        "",
        title="Your name",
        description="Stands beside the approval in the film's picks file.",
        max_length=60,
    )


class SuspendedApproval(Approval):
    """The waiting points of a film flow on a worker."""

    def __init__(self, replan: Replan, progress: Progress, timeout_days: float) -> None:
        """After `timeout_days` without an answer Prefect ends the run as failed."""
        self._replan, self._progress = replan, progress
        self._timeout_s = max(1, round(timeout_days * _DAY_S))
        self._taken: set[str] = set()

    def wait(self, waiting: Waiting, options: FilmOptions) -> None:
        """Suspend the run, or, when it was resumed, take the answer.

        Raises Prefect's Pause to suspend it, AnsweredError when the film is to be planned anew,
        and BudgetError when the budget was not approved.
        """
        wrong = ""
        self._require_unasked(waiting)
        for key in self._keys(waiting):
            answer = self._suspended(waiting, _form(waiting, wrong), key)
            self._taken.add(key)
            try:
                _take(answer, waiting, self._replan)
                break
            except UsageError as error:
                self._progress.note(f"the answer cannot be carried out: {error}")
                wrong = f"**{error}**"
        if waiting.subject == "picks":
            raise AnsweredError

    def _keys(self, waiting: Waiting) -> Iterator[str]:
        """Names of the question, one after another: an answer that was taken is not taken again."""
        asked = _question(waiting)
        return (key for number in count(1) if (key := f"{asked}-{number}") not in self._taken)

    def _require_unasked(self, waiting: Waiting) -> None:
        """WaitingError when a run of the same film asks the same already, as after each night of
        a schedule: answered, that one makes the film as this one would."""
        context = FlowRunContext.get()
        run = context.flow_run if context else None
        if run is None:
            return
        try:
            with get_client(sync_client=True) as client:
                before = asked_before(client, f"{_question(waiting)}-", run)
        except (PrefectException, httpx.HTTPError):
            return  # what is wrong with the server, suspending says
        if before is not None:
            raise WaitingError(
                f"waiting for approval of the {waiting.subject} already: {waiting.why}",
                where=waiting.plan.film.path.name,
                todo=f"answer the run {before.name}, {url_for('flow-run', before.id)}, or: "
                f"{_command(waiting)}",
            )

    def _suspended(self, waiting: Waiting, form: type[RunInput], key: str) -> RunInput:
        """The answer; Pause when there is none yet."""
        try:
            return suspend_flow_run(wait_for_input=form, timeout=self._timeout_s, key=key)
        except Pause:
            days = self._timeout_s / _DAY_S
            self._progress.note(
                f"waiting for approval of the {waiting.subject}: {waiting.why}; for {days:g} days, "
                f"by Resume in Prefect's UI or {_command(waiting)}"
            )
            raise
        except (RuntimeError, PrefectException, httpx.HTTPError) as error:
            first = str(error).partition("\n")[0] or type(error).__name__
            raise TakeboardError(
                f"the run cannot wait for approval ({first})",
                todo="approve with `takeboard approve`, then start the film again",
            ) from error


def until_answered(make: Callable[[], T]) -> T:
    """What `make` returns, made from the top again whenever a person's answer changes the plan."""
    while True:
        try:
            return make()
        except AnsweredError:
            continue


def _question(waiting: Waiting) -> str:
    """What is asked, told apart by all that it is asked about."""
    plan = waiting.plan
    if waiting.subject == "budget":
        about = [budget_words(total_quote(plan.missing)), *(job.key for job in plan.missing)]
    else:
        about = [f"{shot} {plan.job(shot).key}" for shot in sorted(plan.picked)]
    return f"{waiting.subject}-{content_digest(*about)[:16]}"


def _take(answer: Any, waiting: Waiting, replan: Replan) -> None:
    """Write the answer down; UsageError, with nothing written, when it cannot be carried out."""
    film, who = waiting.plan.film, by_whom(answer.name.strip() or _NOBODY)
    if waiting.subject == "budget":
        if answer.decision == "stop":
            raise BudgetError(
                f"the budget was not approved: {waiting.why}",
                where=f"{film.path.name}: {who}",
                todo="change the storyboard, or approve it after all, and start the film again",
            )
        approve_budget(waiting.plan, who)
        return
    if answer.decision == "retake" and not answer.picks and not answer.retakes:
        raise UsageError("a retake was asked for, but of no shot: name it under Retakes")
    picks = {one.shot: one.take for one in answer.picks}
    chosen = choose(replan, picks, [(one.shot, one.note) for one in answer.retakes])
    if answer.decision == "approve":
        approve_made(chosen, who)


def _form(waiting: Waiting, wrong: str) -> type[RunInput]:
    """The form; `wrong` is what could not be done of the last answer."""
    # What is asked stands in the first field, not above the form as Prefect has it: the UI gives
    # what stands there no room at all where the form is higher than the window.
    told = "\n\n".join(filter(None, (wrong, _asked(waiting))))
    if waiting.subject == "budget":
        asked: Any = Field("approve", title="Decision", description=f"{told}\n\n{_SPENDING}")
        decision: Any = (Literal["approve", "stop"], asked)
        return create_model("BudgetAnswer", __base__=BudgetAnswer, decision=decision)
    return _picks_form(waiting, told)


def _picks_form(waiting: Waiting, told: str) -> type[RunInput]:
    """The form with the film's takes to look at and its shots to choose from."""
    shot: Any = Literal[_shots(waiting)]
    picked = create_model(
        "PickedTake",
        shot=(shot, Field(title="Shot")),
        take=(
            int,
            Field(title="Take", description="Its number on the sheet.", ge=1, le=MOST_TAKES),
        ),
    )
    note = Annotated[str, StringConstraints(max_length=MOST_NOTE_CHARS)]
    asked = create_model(
        "Retake",
        shot=(shot, Field(title="Shot")),
        note=(
            note,
            Field(
                "", title="Note", description="Such as: slower, less smile. Empty: another seed."
            ),
        ),
    )
    fields: dict[str, Any] = {
        "decision": (
            Literal["approve", "retake"],
            Field("approve", title="Decision", description=f"{told}\n\n{_PICKS}"),
        ),
        "picks": (
            list[picked],
            Field(
                [], title="Other picks", description="Shots of which the film uses another take."
            ),
        ),
        "retakes": (
            list[asked],
            Field(
                [], title="Retakes", description="Shots to render once more. You are asked again."
            ),
        ),
    }
    return create_model("PicksAnswer", __base__=PicksAnswer, **fields)


def _shots(waiting: Waiting) -> tuple[str, ...]:
    return tuple(
        shot.id for shot in film_shots(waiting.plan.film) if shot.id in waiting.plan.picked
    )


def _command(waiting: Waiting) -> str:
    """What answers from another terminal than this worker's."""
    film = waiting.plan.film
    return how_to_approve(film, str(film.path))


def _asked(waiting: Waiting) -> str:
    """What is asked, with all that there is to look at."""
    plan = waiting.plan
    command = f"Or in a terminal: `{_command(waiting)}`"
    if waiting.subject == "budget":
        rows = ["| backend | takes | USD | GPU seconds |", "|---|---:|---:|---:|"]
        rows += [
            f"| {row['backend']} | {row['takes']} | {row['usd']:.2f} | {row['gpu_seconds']} |"
            for row in budget_rows(plan)
        ]
        return "\n".join([f"**{plan.film.title}**: {waiting.why}.", "", *rows, "", command])
    page = f"/artifacts/key/{artifact_key(plan.film.code, plan.film.variant, 'takes')}"
    larger = f"[All takes, larger, with what each has cost]({page})."
    sheet = f"![takes]({data_address(waiting.sheets[0], _SHEET_WIDTH)})"
    return f"**{plan.film.title}**: {waiting.why} to approve. {larger}\n\n{sheet}\n\n{command}"
