"""Pipelines that know where they compute, however their parts are placed."""

from __future__ import annotations

from typing import Any

__all__ = ["computing_on"]


def computing_on(pipeline: Any, device: str) -> Any:
    """The diffusers pipeline's class, computing on `device` whatever of it is elsewhere.

    Left to itself it takes the device of some part, and that may be a part that is offloaded or
    has no weights.
    """
    import torch

    there = torch.device(device)
    where = property(lambda self: there)
    return type(pipeline.__name__, (pipeline,), {"_execution_device": where})
