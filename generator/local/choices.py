"""Backend options that sampling has: how many steps, how much guidance."""

from __future__ import annotations

from collections.abc import Mapping

from generator.backends.base import RenderRequest
from media.errors import RefusalError

__all__ = ["guidance_of", "require_options", "steps_of"]

_MOST_STEPS = 200


def steps_of(request: RenderRequest, by_profile: Mapping[str, int]) -> int:
    """Denoising steps: the option `steps`, or the profile's."""
    return int(dict(request.options).get("steps", by_profile[request.profile]))


def guidance_of(request: RenderRequest, default: float) -> float:
    """Scale of classifier-free guidance: the option `guidance`, or the model's own."""
    return float(dict(request.options).get("guidance", default))


def require_options(request: RenderRequest) -> None:
    """Raise RefusalError for steps or guidance that are no such thing."""
    options = dict(request.options)
    steps = options.get("steps", 1)
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= _MOST_STEPS:
        raise RefusalError(f"expected options.steps from 1 to {_MOST_STEPS}, got {steps!r}")
    guidance = options.get("guidance", 1.0)
    if isinstance(guidance, bool) or not isinstance(guidance, (int, float)):
        raise RefusalError(f"expected options.guidance to be a number, got {guidance!r}")
    if not 0 <= guidance <= 50:
        raise RefusalError(f"expected options.guidance from 0 to 50, got {guidance:g}")
