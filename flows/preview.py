"""The Prefect flow that draws a film small and fast, whatever backends it asks for."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.commands import Choice
from flows.made import MadeFilm
from flows.produce import make_in_flow, run_name

__all__ = ["preview"]


@flow(name="preview", flow_run_name=run_name, persist_result=False, validate_parameters=True)
def preview(
    storyboard: Path,
    variables: dict[str, str] | None = None,
    variant: str | None = None,
    out: Path | None = None,
    store: Path | None = None,
    slates: bool = True,
    jobs: int | None = None,
) -> MadeFilm:
    """Draw the whole film as an animatic, at most 360 lines high."""
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
