"""A night's variants that all wait for one GPU, and an urgent film, on a real farm."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.schedules import IntervalSchedule

from flows.farm.schedules import FilmSchedule, schedule_film
from tests.farm.one_machine import REPOSITORY, Machine, gpu_worker, machine_up, until

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(400)]

T = TypeVar("T")

NUM_VARIANTS = 12
LOAD_S = 35
"""The model loads for so long, and every film waits for its take."""
NIGHT = """
version: 1
project: {code: NGT, title: "Night {{ city }}", fps: 24, size: 160x90}
defaults: {backend: sketch}
variables: {city: Oslo}
variants: rows.csv
scenes:
  - id: sc010
    slugline: EXT. BEACH - NIGHT
    shots: [{id: sh0010, size: LS, duration: 6f, action: "The sea off {{ city }}."}]
"""
CORRECTION = """
version: 1
project: {code: FIX, title: The Correction, fps: 24, size: 160x90}
defaults: {backend: animatic}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots: [{id: sh0010, size: LS, duration: 6f, action: The sea by day.}]
"""
OPEN = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")


def test_a_night_of_variants_is_made_and_an_urgent_film_need_not_wait_for_it(
    tmp_path: Path,
) -> None:
    night, correction = _storyboards(tmp_path / "films")
    plugin = os.pathsep.join((str(REPOSITORY), str(Path(__file__).parent / "plugin")))
    model = {"PYTHONPATH": plugin, "SKETCH_LOAD_S": str(LOAD_S)}
    home = tmp_path / "home"
    with (
        machine_up(home, "--root", str(tmp_path), "--gpus", "none", **model) as machine,
        gpu_worker(home, **model),
    ):
        _schedule(machine, night)
        until(lambda: len(_variants(machine, "RUNNING")) == NUM_VARIANTS or None, 120.0)

        urgent = _order(machine, correction)
        state = machine.ended(urgent, within_s=120.0)
        assert state["type"] == "COMPLETED", state
        assert len(_variants(machine, "COMPLETED")) < NUM_VARIANTS * 2 / 3

        until(lambda: not _variants(machine, *OPEN) or None, 240.0)
        assert len(_variants(machine, "COMPLETED")) == NUM_VARIANTS
        asked = {"state": {"type": {"any_": list(OPEN)}}}
        left = machine.ask("flow_runs", flow_runs=asked)
        assert all(run["auto_scheduled"] for run in left), "only the nights to come are left"
        assert not machine.ask("task_runs", task_runs=asked)

    made = {film.parent.name for film in (tmp_path / "films/deliveries").glob("*/*.mp4")}
    assert made == {"FIX"} | {f"NGT-v{number:02}" for number in range(NUM_VARIANTS)}
    assert not list((tmp_path / "films/deliveries").rglob(".cutting-*"))


def _storyboards(folder: Path) -> tuple[Path, Path]:
    folder.mkdir()
    night, correction = folder / "night.yaml", folder / "correction.yaml"
    night.write_text(NIGHT)
    correction.write_text(CORRECTION)
    rows = [f"v{number:02},Town {number}" for number in range(NUM_VARIANTS)]
    (folder / "rows.csv").write_text("\n".join(["name,city", *rows]) + "\n")
    return night, correction


def _schedule(machine: Machine, film: Path) -> None:
    """As `takeboard schedule --all-variants` does, for a moment from now."""
    soon = IntervalSchedule(
        interval=timedelta(hours=5), anchor_date=datetime.now(UTC) + timedelta(seconds=15)
    )
    nightly = FilmSchedule("NGT-all", film, "Night", "NGT", soon, all_variants=True)
    _ask(machine, lambda client: schedule_film(client, nightly))


def _variants(machine: Machine, *states: str) -> list[dict[str, Any]]:
    asked = {"name": {"like_": "Night Town"}, "state": {"type": {"any_": list(states)}}}
    return list(machine.ask("flow_runs", flow_runs=asked))


def _order(machine: Machine, film: Path) -> str:
    """What `produce --farm --urgency urgent` asks for."""
    (deployment,) = machine.ask(
        "deployments",
        flows={"name": {"any_": ["produce"]}},
        deployments={"name": {"any_": ["farm"]}},
    )
    made = machine.post(
        f"deployments/{deployment['id']}/create_flow_run",
        parameters={"storyboard": str(film), "urgency": "urgent"}, work_queue_name="urgent",
    )  # fmt: skip
    return str(made["id"])


def _ask(machine: Machine, what: Callable[[PrefectClient], Awaitable[T]]) -> T:
    """What the client answers."""

    async def asked() -> T:
        async with PrefectClient(machine.url) as client:
            return await what(client)

    return asyncio.run(asked())
