"""The server's own watch over runs: it really calls crashed what has fallen silent."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect.states import Completed, Pending, Running, Submitting

from flows.farm import automations
from flows.farm.automations import ensure_automations
from flows.farm.deaths import SILENT
from tests.flows.prefect_server import running_server

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(240)]

WITHIN = timedelta(seconds=12)


@flow(name="shot")
def shot() -> None:
    """Of the name that is watched; never run."""


@flow(name="somebody-elses")
def other() -> None:
    """Not ours to watch."""


@dataclass(frozen=True)
class Runs:
    """Runs in every state that matters."""

    silent: FlowRun
    never_began: FlowRun
    ended: FlowRun
    other: FlowRun


def test_what_falls_silent_is_crashed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = [
        one.model_copy(update={"trigger": one.trigger.model_copy(update={"within": WITHIN})})
        for one in automations.AUTOMATIONS
    ]
    monkeypatch.setattr(automations, "AUTOMATIONS", quick)
    with running_server(tmp_path / "server", services=("TRIGGERS", "EVENT_PERSISTER")) as server:
        settings = {PREFECT_API_URL: server.url, PREFECT_HOME: tmp_path / "client"}
        with temporary_settings(settings):
            asyncio.run(_watch())


async def _watch() -> None:
    async with get_client() as client:
        await ensure_automations(client)
        await asyncio.sleep(2)  # until the server has loaded them
        runs = await _runs(client)
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            names = await _names(client, runs.silent, runs.never_began)
            if names == [SILENT, SILENT]:
                break
            await asyncio.sleep(1)
        assert names == [SILENT, SILENT]
        assert await _names(client, runs.ended, runs.other) == ["Completed", "Running"]


async def _runs(client: PrefectClient) -> Runs:
    async def made(of: Any, *states: Any) -> FlowRun:
        run = await client.create_flow_run(of)
        for state in states:
            await client.set_flow_run_state(run.id, state, force=True)
        return run

    return Runs(
        silent=await made(shot, Pending(), Running()),
        never_began=await made(shot, Pending(), Submitting()),
        ended=await made(shot, Pending(), Running(), Completed()),
        other=await made(other, Pending(), Running()),
    )


async def _names(client: PrefectClient, *runs: FlowRun) -> list[str | None]:
    return [(await client.read_flow_run(run.id)).state_name for run in runs]
