"""The Prefect flow that draws a film small and fast, whatever backends it asks for."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State

from flows.commands import Choice
from flows.made import MadeFilm
from flows.produce import Jobs, make_in_flow, run_name

__all__ = ["preview"]


@flow(name="preview", flow_run_name=run_name, persist_result=False, validate_parameters=True)
def preview(
    storyboard: Path,
    variables: dict[str, str] | None = None,
    variant: str | None = None,
    out: Path | None = None,
    store: Path | None = None,
    slates: bool = True,
    jobs: Jobs = None,
) -> State[MadeFilm]:
    """Draw the whole film as an animatic, at most 360 lines high.

    Args:
        storyboard: The storyboard, a YAML file on the machine that runs the flow.
        variables: Values for the storyboard's variables, by name.
        variant: A row of the storyboard's variants table, by name.
        out: Folder for the films; default is deliveries beside the storyboard.
        store: Folder of takes; default is .takeboard beside the storyboard.
        slates: Burn a slate with shot and take into the picture.
        jobs: Shots made at a time; default is the number of CPU cores.
    """
    return make_in_flow(
        Choice(
            storyboard,
            variables or {},
            variant=variant,
            out=out,
            store=store,
            clean=not slates,
            jobs=jobs,
            preview=True,
        )
    )
