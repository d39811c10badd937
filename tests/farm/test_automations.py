"""The server takes for dead what is silent and nothing else: a real one, made impatient."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.farm.automations import AUTOMATIONS
from tests.farm.one_machine import Machine, environment, machine_up

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

PATIENCE_S = 12
"""Instead of minutes, in seconds."""

RUNS = """
import asyncio, sys, time
from datetime import timedelta
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.states import Completed, Pending, Running, Scheduled, Suspended
from flows.farm.automations import AUTOMATIONS
from flows.farm.deployments import ensure_deployments
from flows.farm.last_word import say_that_it_waits
from flows.farm.names import PREVIEW

STATES = {
    "silent": [Running()],
    "never began": [Pending()],
    "in the queue": [],
    "done": [Running(), Completed()],
    "tried again": [Running(), Scheduled(name="Rescheduled")],
    "waits for a person": [Running(), Suspended(timeout_seconds=3600)],
}

async def hasten(client):
    for one in AUTOMATIONS:
        trigger = one.trigger.model_copy(update={"within": timedelta(seconds=int(sys.argv[1]))})
        (kept,) = await client.read_automations_by_name(one.name)
        await client.update_automation(kept.id, one.model_copy(update={"trigger": trigger}))

def sign_of_life(run):
    emit_event(
        "prefect.flow-run.heartbeat",
        resource={"prefect.resource.id": f"prefect.flow-run.{run.id}"},
        related=[{"prefect.resource.id": f"prefect.flow.{run.flow_id}",
                  "prefect.resource.role": "flow", "prefect.resource.name": "preview"}],
    )

async def main():
    async with get_client() as client:
        deployment = (await ensure_deployments(client))[PREVIEW]
        await hasten(client)
        runs = {}
        for name, states in STATES.items():
            runs[name] = await client.create_flow_run_from_deployment(
                deployment, parameters={"storyboard": "film.yaml"}, name=name
            )
            for state in states:
                await client.set_flow_run_state(runs[name].id, state, force=True)
        # The sign of life of its last moments comes after the word that it is suspended.
        sign_of_life(runs["waits for a person"])
        say_that_it_waits(runs["waits for a person"], "preview")
        deadline = time.monotonic() + 3 * int(sys.argv[1])
        while time.monotonic() < deadline:
            found = {name: await client.read_flow_run(run.id) for name, run in runs.items()}
            if sum(run.state.is_crashed() for run in found.values()) == 2:
                break
            await asyncio.sleep(0.5)
        await asyncio.sleep(int(sys.argv[1]) - 3)
        for name, run in runs.items():
            state = (await client.read_flow_run(run.id)).state
            print(f"{name}: {state.type.value} {state.message or ''}")

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine_up(tmp_path_factory.mktemp("impatient") / "home", "--no-worker") as machine:
        yield machine


@pytest.mark.slow
def test_what_is_silent_is_crashed_and_what_waits_is_not(machine: Machine, tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", RUNS, str(PATIENCE_S)],
        env=environment(machine.home, PREFECT_API_URL=machine.url,
                        PREFECT_HOME=str(tmp_path), PREFECT_LOGGING_LEVEL="CRITICAL"),
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert dict(line.split(": ", 1) for line in shown.stdout.splitlines()) == {
        "silent": f"CRASHED {AUTOMATIONS[0].description}",
        "never began": f"CRASHED {AUTOMATIONS[0].description}",
        "in the queue": "SCHEDULED ",
        "done": "COMPLETED ",
        "tried again": "SCHEDULED ",
        "waits for a person": "PAUSED ",
    }
