"""The Prefect flow that makes a finished film. Thin: the work is in `film.make_film`."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from flows.commands import Choice
from flows.in_flow import FlowEnd, film_name, make_in_flow
from flows.run_form import (
    NO_VARIABLES,
    EveryVariant,
    Jobs,
    OnlyShots,
    OutFolder,
    Slates,
    StoreFolder,
    Storyboard,
    TakesUrgency,
    Variables,
    VariantName,
    pasted_path,
)

__all__ = ["produce", "run_name"]


def run_name() -> str:
    """What the run is called in lists: the film's title, and the variant if there is one."""
    given = flow_run.parameters
    return film_name(
        Choice(
            pasted_path(given["storyboard"]),
            given.get("variables") or {},
            variant=given.get("variant") or None,
            all_variants=bool(given.get("all_variants")),
        )
    )


@flow(name="produce", flow_run_name=run_name, persist_result=False, validate_parameters=True)
def produce(
    storyboard: Storyboard,
    variant: VariantName = "",
    all_variants: EveryVariant = False,
    variables: Variables = NO_VARIABLES,
    only: OnlyShots = (),
    urgency: TakesUrgency = "normal",
    slates: Slates = True,
    out: OutFolder = "",
    store: StoreFolder = "",
    jobs: Jobs = 0,
) -> FlowEnd:
    """Render what is missing of a storyboard and cut the finished film.

    Args:
        storyboard: A YAML file in the workers' film folders, such as lighthouse/film.yaml.
        variant: A row of the storyboard's variants table, by name. Empty: the film as it stands.
        all_variants: Instead of one film, start a run for each row of that table.
        variables: Values for the storyboard's variables, such as {"city": "Oslo"}.
        only: Render just these shots, such as sc010/sh0020, and cut nothing. Empty: the whole film.
        urgency: Takes of urgent films get a GPU first, then normal ones, then those for later.
        slates: Burn a slate with shot and take into what the animatic draws.
        out: Where the finished film goes. Empty: deliveries beside the storyboard.
        store: Where takes are kept. Empty: the workers' own, or .takeboard beside the storyboard.
        jobs: How many the worker draws at a time on its CPU. 0: as many as it has cores.
    """
    return make_in_flow(
        Choice(
            storyboard,
            variables,
            variant=variant or None,
            all_variants=all_variants,
            only=only,
            urgency=urgency,
            out=Path(out) if out else None,
            clean=not slates,
            jobs=jobs or None,
        ),
        store,
    )
