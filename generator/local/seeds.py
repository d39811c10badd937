"""Noise that a seed alone decides: the same on every device, for every take and segment."""

from __future__ import annotations

from typing import Any

from generator.keys import content_digest

__all__ = ["noise_generator", "seed_of_segment"]


def noise_generator(seed: int) -> Any:
    """A `torch.Generator` on the CPU: GPUs of different makes draw different noise from one seed.

    diffusers draws on the generator's device and moves the noise (`randn_tensor`).
    """
    import torch

    return torch.Generator("cpu").manual_seed(seed)


def seed_of_segment(seed: int, index: int) -> int:
    """The seed of a take's segment, counted from 0: the take's own, then one after another of
    its line, below 2**63. Segments share the line and not the noise, which would repeat motion."""
    if index == 0:
        return seed
    return int(content_digest("segment", seed, index)[:16], 16) % 2**63
