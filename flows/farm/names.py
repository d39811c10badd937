"""What the farm calls its pools, queues, deployments, tags and events on the Prefect server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

__all__ = [
    "CPU_POOL",
    "FARM",
    "GPU_POOL",
    "KEPT_FOR_URGENT",
    "PREVIEW",
    "PRODUCE",
    "QUEUES",
    "SHOT",
    "SLOTS",
    "URGENCIES",
    "WORKER_TYPE",
    "Missed",
    "Urgency",
    "tag_value",
]

WORKER_TYPE = "takeboard"
"""Prefect's work pool type of our warm workers."""

CPU_POOL = "cpu"
"""Films: their plans, animatic takes, sound and cut. Never a GPU's work."""
GPU_POOL = "gpu"
"""Takes that a device makes."""

SLOTS: Mapping[str, int] = {CPU_POOL: 64, GPU_POOL: 2}
"""Runs at a time in one worker. A film that waits for its takes costs five megabytes and nine
threads, and at the cores films take turns (`flows.turns`); of two takes of one model one is
decoded and encoded while the other is denoised."""
KEPT_FOR_URGENT: Mapping[str, int] = {CPU_POOL: 8, GPU_POOL: 0}
"""Those of them that only urgent runs get: an urgent film begins at once."""

FARM = "farm"
"""Name of the deployments that `takeboard up` makes, each of one flow."""
PRODUCE, PREVIEW, SHOT = f"produce/{FARM}", f"preview/{FARM}", f"shot/{FARM}"
"""Flow and deployment, as Prefect writes them."""

Urgency = Literal["urgent", "normal", "later"]
URGENCIES: tuple[Urgency, ...] = ("urgent", "normal", "later")
QUEUES: Mapping[str, int] = {urgency: place for place, urgency in enumerate(URGENCIES, start=1)}
"""Work queues of both pools by name, with their priority: 1 is first."""


Missed = Literal["once", "skip"]
"""Of the runs of a schedule that were missed: the newest is made, or none."""


def tag_value(tags: list[str] | tuple[str, ...], name: str) -> str:
    """The value of the tag `name:value`, or nothing."""
    prefix = f"{name}:"
    return next((tag[len(prefix) :] for tag in tags if tag.startswith(prefix)), "")
