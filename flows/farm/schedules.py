"""Films that are made at set times: each is a deployment of its own, with its schedule.

The server keeps them. A row that joins the variants table, or an edit of the storyboard, is in
the next run; only what was typed when the film was scheduled stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import parameter_schema

from flows.farm.deployments import Deployment, ensure_pool
from flows.farm.names import CPU_POOL, FARM, Missed, Urgency, tag_value
from flows.farm.timing import Schedule, when_words
from media.errors import UsageError

__all__ = [
    "FilmSchedule",
    "Scheduled",
    "list_scheduled",
    "pause_film",
    "remove_film",
    "schedule_film",
]

_NAME = re.compile(r"[\w.-][\w. -]{0,99}")
_FLOWS = ("produce", "preview")


@dataclass(frozen=True, slots=True)
class FilmSchedule:
    """What to make, and when."""

    name: str
    film: Path
    title: str
    code: str
    schedule: Schedule
    variant: str = ""
    all_variants: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    missed: Missed = "once"
    urgency: Urgency = "later"


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A deployment with a schedule, as it stands on the server."""

    name: str
    flow: str
    film: str
    which: str
    """Variant, `every variant` or nothing."""
    schedule: Schedule
    missed: str
    urgency: str
    paused: bool

    @property
    def when(self) -> str:
        """In words, with the time zone."""
        return f"{when_words(self.schedule)}, {self.schedule.timezone or 'UTC'}"


async def schedule_film(client: PrefectClient, asked: FilmSchedule) -> bool:
    """Whether a schedule of that name, of the same film, was replaced.

    UsageError when the name cannot be one or is another film's.
    """
    _require_name(asked.name)
    await ensure_pool(client, CPU_POOL)
    deployment = _deployment(asked)
    flow = deployment.flow()
    parameters = dict(deployment.parameters)
    before = await _found(client, f"{flow.name}/{asked.name}")
    if before is not None and _what(before.parameters) != _what(parameters):
        raise UsageError(
            f"{asked.name} is the schedule of {' '.join(_what(before.parameters)).strip()}",
            todo="choose another name with --name",
        )
    await client.create_deployment(
        await client.create_flow_from_name(flow.name),
        asked.name,
        schedules=[DeploymentScheduleCreate(schedule=asked.schedule, active=True)],
        work_pool_name=deployment.pool,
        work_queue_name=deployment.queue,
        entrypoint=deployment.entrypoint,
        description=deployment.description,
        parameters=parameters,
        tags=list(deployment.tags),
        parameter_openapi_schema=parameter_schema(flow).model_dump(exclude_unset=True),
        enforce_parameter_schema=True,
        pull_steps=[],
        paused=False,
    )
    return before is not None


async def list_scheduled(client: PrefectClient) -> list[Scheduled]:
    """Every schedule of a film on the server, also those made in Prefect's UI or by its CLI."""
    found = []
    for flow in _FLOWS:
        deployments = await client.read_deployments(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow]))
        )
        for one in sorted(deployments, key=lambda one: one.name):
            found += [
                Scheduled(
                    one.name,
                    flow,
                    *_what({**one.parameters, **schedule.parameters}),
                    cast(Schedule, schedule.schedule),
                    tag_value(one.tags, "missed") or "once",
                    one.work_queue_name or "",
                    paused=one.paused or not schedule.active,
                )
                for schedule in one.schedules
            ]
    return found


async def remove_film(client: PrefectClient, name: str) -> None:
    """Forget the schedule, with the runs that it has waiting. UsageError if there is none."""
    await client.delete_deployment((await _scheduled(client, name)).id)


async def pause_film(client: PrefectClient, name: str, *, paused: bool) -> None:
    """Make no more runs, or make them again. UsageError if there is no such schedule."""
    deployment = await _scheduled(client, name)
    if paused:
        await client.pause_deployment(deployment.id)
    else:
        await client.resume_deployment(deployment.id)


def _deployment(asked: FilmSchedule) -> Deployment:
    parameters: dict[str, Any] = {"storyboard": str(asked.film)}
    which = ", every variant" if asked.all_variants else f", {asked.variant}".rstrip(", ")
    if asked.variant:
        parameters["variant"] = asked.variant
    if asked.all_variants:
        parameters["all_variants"] = True
    if asked.variables:
        parameters["variables"] = dict(asked.variables)
    return Deployment(
        "flows.produce.produce",
        CPU_POOL,
        f"{asked.title}{which}: {when_words(asked.schedule)}, {asked.schedule.timezone}.",
        name=asked.name,
        queue=asked.urgency,
        parameters=parameters,
        tags=(f"film:{asked.code}", f"missed:{asked.missed}"),
    )


def _what(parameters: Mapping[str, Any]) -> tuple[str, str]:
    """The storyboard, and which of its films."""
    every = "every variant" if parameters.get("all_variants") else ""
    return str(parameters.get("storyboard", "")), every or str(parameters.get("variant") or "")


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name == FARM:
        raise UsageError(
            f"expected letters, digits, dots, dashes and spaces, and not {FARM}, got {name!r}",
            where="--name",
        )


async def _found(client: PrefectClient, name: str) -> DeploymentResponse | None:
    try:
        return await client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


async def _scheduled(client: PrefectClient, name: str) -> DeploymentResponse:
    for flow in _FLOWS:
        is_name = name != FARM and "/" not in name
        found = await _found(client, f"{flow}/{name}") if is_name else None
        if found is not None:
            return found
    known = ", ".join(dict.fromkeys(one.name for one in await list_scheduled(client)))
    raise UsageError(
        f"no film is scheduled as {name!r}",
        todo=f"there are: {known}" if known else "there are none",
    )
