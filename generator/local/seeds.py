"""Noise that a seed alone decides: the same on every device."""

from __future__ import annotations

from typing import Any

__all__ = ["noise_generator"]


def noise_generator(seed: int) -> Any:
    """A `torch.Generator` on the CPU: GPUs of different makes draw different noise from one seed.

    diffusers draws on the generator's device and moves the noise (`randn_tensor`).
    """
    import torch

    return torch.Generator("cpu").manual_seed(seed)
