"""The Prefect flow that draws a film small and fast, whatever backends it asks for."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.commands import Choice
from flows.in_flow import FlowEnd, make_in_flow
from flows.produce import run_name
from flows.run_form import (
    NO_VARIABLES,
    Jobs,
    OutFolder,
    Slates,
    StoreFolder,
    Storyboard,
    Variables,
    VariantName,
)

__all__ = ["preview"]


@flow(name="preview", flow_run_name=run_name, persist_result=False, validate_parameters=True)
def preview(
    storyboard: Storyboard,
    variant: VariantName = "",
    variables: Variables = NO_VARIABLES,
    slates: Slates = True,
    out: OutFolder = "",
    store: StoreFolder = "",
    jobs: Jobs = 0,
) -> FlowEnd:
    """Draw the whole film as an animatic, at most 360 lines high.

    Args:
        storyboard: A YAML file in the workers' film folders, such as lighthouse/film.yaml.
        variant: A row of the storyboard's variants table, by name. Empty: the film as it stands.
        variables: Values for the storyboard's variables, such as {"city": "Oslo"}.
        slates: Burn a slate with shot and take into the picture.
        out: Where the film goes. Empty: deliveries beside the storyboard.
        store: Where takes are kept. Empty: the workers' own, or .takeboard beside the storyboard.
        jobs: How many the worker draws at a time on its CPU. 0: as many as it has cores.
    """
    return make_in_flow(
        Choice(
            storyboard,
            variables,
            variant=variant or None,
            out=Path(out) if out else None,
            clean=not slates,
            jobs=jobs or None,
            preview=True,
        ),
        store,
    )
