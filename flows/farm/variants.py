"""One film run for each row of a storyboard's variants table.

The run that is asked for all of them only asks: it does not wait, so it takes no worker's time,
and each variant has a run of its own to watch, approve, cancel and try again. The table is read
when the run starts: a schedule needs no change when a row is added.

The films' runs are no subflows of it: Prefect suspends none, and such a film could not wait for
an approval. A page of the run that asked leads to them.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from flows.commands import Choice
from flows.farm.confine import confined_storyboard
from flows.farm.names import PRODUCE
from flows.farm.new_runs import new_run
from flows.prefect_recorder import artifact_key
from media.errors import UsageError
from media.words import counted
from storyboards.film import Film
from storyboards.resolve import load_films

__all__ = ["submit_variants", "submitted_words"]


def submit_variants(choice: Choice) -> tuple[UUID, ...]:
    """The flow runs, one a variant, each with what was asked of the run under way.

    Raises StoryboardError with what is wrong in any variant, before anything is submitted.
    """
    context = FlowRunContext.get()
    batch = context.flow_run if context else None
    if batch is None or not batch.deployment_id:
        raise UsageError(
            "all variants are submitted to workers, and this run has none",
            todo="use takeboard produce --all-variants",
        )
    films = _films(choice)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(PRODUCE).id
        runs = tuple(_submit(film, batch, deployment, client) for film in films)
    _show(films, runs)
    return runs


def submitted_words(runs: tuple[UUID, ...]) -> str:
    """What the run says when all are submitted."""
    return f"{counted(len(runs), 'film')} submitted, one a variant: each is a run of its own"


def _films(choice: Choice) -> list[Film]:
    if choice.variant:
        raise UsageError(f"expected one variant or all of them, got {choice.variant} and all")
    films = load_films(confined_storyboard(choice.film), variables=choice.variables)
    if not films[0].variant:
        raise UsageError("the storyboard has no variants", where=str(choice.film))
    return list(films)


def _submit(
    film: Film,
    batch: FlowRun,
    deployment: UUID,
    client: SyncPrefectClient,
) -> UUID:
    parameters = {**batch.parameters, "variant": film.variant, "all_variants": False}
    if out := parameters.get("out"):
        parameters["out"] = str(Path(out) / film.variant)
    name = f"{film.title}, {film.variant}"
    run = new_run(
        client,
        deployment,
        name=name,
        parameters=parameters,
        tags=[f"film:{film.code}", f"variant:{film.variant}"],
        once=f"{batch.id}:{film.variant}",
        queue=batch.work_queue_name,
    )
    return run.id


def _show(films: list[Film], runs: tuple[UUID, ...]) -> None:
    """Lead to the runs from the page of this one, where the server takes it."""
    lines = [
        f"- [{film.title}, {film.variant}](/runs/flow-run/{run})"
        for film, run in zip(films, runs, strict=True)
    ]
    code = films[0].code
    with suppress(httpx.HTTPError, PrefectException):
        create_markdown_artifact(
            "\n".join(lines),
            key=artifact_key(code, "variants"),
            description=f"Runs of {code}, every variant",
        )
