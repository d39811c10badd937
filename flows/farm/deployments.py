"""Pools, queues and deployments of the farm on a Prefect server, made or brought up to date.

Workers map the name of a run's flow to the flow that is installed with them, so a deployment
carries no code: its entrypoint only says, in Prefect's UI and CLI, what it runs. Deployments have
no concurrency limits, because their leases end long renders; the number of workers is the limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import Flow
from prefect.utilities.callables import parameter_schema

from flows.farm.names import CPU_POOL, FARM, GPU_POOL, QUEUES, WORKER_TYPE, Urgency
from media.errors import UsageError

__all__ = [
    "DEPLOYMENTS",
    "JOB_TEMPLATE",
    "POOLS",
    "Deployment",
    "ensure_deployment",
    "ensure_deployments",
    "ensure_pool",
]

POOLS: Mapping[str, str] = {
    CPU_POOL: "Films: plans, animatics, services' takes, sound and cut. One worker a machine.",
    GPU_POOL: "Takes that a device makes. One worker a GPU.",
}
"""The pools with what the UI says of each."""

JOB_TEMPLATE: Mapping[str, Any] = {
    "job_configuration": {"env": {}},  # the server refuses an empty one
    "variables": {"type": "object", "properties": {}},
}
"""A worker takes nothing from a run but its id: no command, no environment of who submitted it."""

_DEFAULT_QUEUE = "default"
"""Prefect gives each pool one that cannot be deleted; it comes after ours."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A flow on a pool, as it should stand on the server."""

    entrypoint: str
    """Module path of the flow, such as flows.produce.produce."""
    pool: str
    description: str
    name: str = FARM
    queue: Urgency = "normal"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    def flow(self) -> Flow[..., Any]:
        """The installed flow."""
        module, _, name = self.entrypoint.rpartition(".")
        flow: Flow[..., Any] = getattr(import_module(module), name)
        return flow


_PRODUCE = """\
Renders what is missing of a storyboard and cuts the finished film.

1. **Run**, above, opens the form. Only *Storyboard* must be given; the run takes the film's name.
2. While it is made, its *Artifacts* say how far it is (`CODE-progress`) and what it costs
   (`CODE-costs`), and *Subflow Runs* has each shot with its steps.
3. Where the storyboard asks for an approval the run is *Suspended*: **Resume** shows the takes.
4. At the end `CODE-film` has the contact sheet and the files, and `CODE-failures`, if it is there,
   what went wrong and what to do.

A finished take is never made again: run the film as often as you like. **Schedule**, on the right,
makes it at set times."""

_PREVIEW = """\
Draws the whole film small and fast as an animatic, whatever backends it asks for.

**Run**, above, opens the form. It costs nothing and waits for no approval; `CODE-film` among the
run's *Artifacts* has the contact sheet and the files."""

DEPLOYMENTS = (
    Deployment("flows.produce.produce", CPU_POOL, _PRODUCE),
    Deployment("flows.preview.preview", CPU_POOL, _PREVIEW),
    Deployment(
        "flows.farm.shot.shot",
        GPU_POOL,
        "One take on a GPU. Films submit it; there is no need to start it by hand.",
    ),
)
"""What `takeboard up` makes; `prefect.yaml` says the same."""


async def ensure_deployments(client: PrefectClient) -> dict[str, UUID]:
    """The ids of the farm's deployments by `flow/name`, with their pools and queues.

    What is right already is left alone, so that a restart drops no run that waits; what people
    set on a deployment in the UI (schedules, parameters, tags, paused) stays theirs.
    """
    for pool in POOLS:
        await ensure_pool(client, pool)
    return {
        f"{deployment.flow().name}/{deployment.name}": await ensure_deployment(client, deployment)
        for deployment in DEPLOYMENTS
    }


async def ensure_pool(client: PrefectClient, name: str) -> None:
    """The pool with its queues in their order. UsageError if another kind of worker serves it."""
    asked = WorkPoolCreate(
        name=name,
        type=WORKER_TYPE,
        description=POOLS[name],
        base_job_template=dict(JOB_TEMPLATE),
    )
    try:
        pool = await client.create_work_pool(asked)
    except ObjectAlreadyExists:
        pool = await client.read_work_pool(name)
    if pool.type != WORKER_TYPE:
        raise UsageError(
            f"expected a work pool of type {WORKER_TYPE}, got {pool.type}",
            where=f"work pool {name}",
            todo=f"delete or rename it on the Prefect server: prefect work-pool delete {name}",
        )
    await _ensure_queues(client, name)


async def ensure_deployment(client: PrefectClient, asked: Deployment) -> UUID:
    """The id of the deployment, made or brought up to date."""
    flow = asked.flow()
    schema = parameter_schema(flow).model_dump(exclude_unset=True)  # as Prefect's CLI does
    try:
        found = await client.read_deployment_by_name(f"{flow.name}/{asked.name}")
    except ObjectNotFound:
        return await client.create_deployment(
            await client.create_flow_from_name(flow.name),
            asked.name,
            work_pool_name=asked.pool,
            work_queue_name=asked.queue,
            entrypoint=asked.entrypoint,
            description=asked.description,
            parameters=dict(asked.parameters),
            tags=list(asked.tags),
            parameter_openapi_schema=schema,
            enforce_parameter_schema=True,
            pull_steps=[],
        )
    if not _stands(found, asked, schema):
        await client.update_deployment(
            found.id,
            DeploymentUpdate(
                work_pool_name=asked.pool,
                work_queue_name=asked.queue,
                entrypoint=asked.entrypoint,
                description=asked.description,
                parameter_openapi_schema=schema,
                enforce_parameter_schema=True,
                pull_steps=[],
            ),
        )
    return found.id


async def _ensure_queues(client: PrefectClient, pool: str) -> None:
    places: dict[str, int] = dict(QUEUES.items())
    places[_DEFAULT_QUEUE] = len(QUEUES) + 1
    for queue, place in QUEUES.items():
        try:
            await client.create_work_queue(queue, priority=place, work_pool_name=pool)
        except ObjectAlreadyExists:
            continue
    for found in await client.read_work_queues(work_pool_name=pool):
        if found.priority != places.get(found.name, found.priority):
            await client.update_work_queue(found.id, priority=places[found.name])


def _stands(found: DeploymentResponse, asked: Deployment, schema: Mapping[str, Any]) -> bool:
    return (
        found.work_pool_name == asked.pool
        and found.work_queue_name == asked.queue
        and found.entrypoint == asked.entrypoint
        and found.description == asked.description
        and found.parameter_openapi_schema == schema
        and found.enforce_parameter_schema
        and not found.pull_steps
    )
