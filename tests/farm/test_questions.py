"""What an answer counts for: the takes that were asked about, at the price that was shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flows.approval import Waiting
from flows.farm import suspension
from flows.options import FilmOptions
from flows.planning import plan_film
from flows.progress import Progress
from generator.backends.base import Quote
from generator.plan import Plan, ShotJob
from storyboards.resolve import load_film
from tests.flows.films import board, write_film


def asked(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> str:
    """The key under which Prefect keeps the answer about the plan's budget."""
    keys: list[str] = []

    def suspend(**given: object) -> suspension.BudgetAnswer:
        keys.append(str(given["key"]))
        return suspension.BudgetAnswer(decision="approve")

    monkeypatch.setattr(suspension, "suspend_flow_run", suspend)
    monkeypatch.setattr(suspension, "approve_budget", lambda plan, who: None)
    approval = suspension.SuspendedApproval(lambda: plan, Progress(), 30.0)
    approval.wait(Waiting("budget", plan, "6 takes"), FilmOptions(Path("store"), Path("out"), 1))
    return keys[0]


def with_jobs(plan: Plan, change: Callable[[ShotJob], ShotJob]) -> Plan:
    first, *others = plan.jobs
    return replace(plan, jobs=(change(first), *others))


def test_another_price_or_another_take_is_another_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = load_film(write_film(tmp_path, board()))
    plan = plan_film(film, FilmOptions(tmp_path / "store", tmp_path / "out", 1))
    dearer = with_jobs(plan, lambda job: replace(job, quote=Quote(usd=9.0)))
    other = with_jobs(plan, lambda job: replace(job, key="0" * 64))
    assert asked(plan, monkeypatch) == asked(plan, monkeypatch)
    assert len({asked(one, monkeypatch) for one in (plan, dearer, other)}) == 3
