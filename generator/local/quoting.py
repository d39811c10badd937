"""GPU seconds of a clip, from what one second of film was seen to cost."""

from __future__ import annotations

from generator.backends.base import Capabilities, RenderRequest

__all__ = ["gpu_seconds"]

_720P = 1280 * 720


def gpu_seconds(
    request: RenderRequest, able: Capabilities, *, steps: int, steps_seen: int, call_frames: int
) -> float:
    """In proportion to the seconds the call makes, its pixels and its steps: a rough quote.

    `steps_seen` is what `able.gpu_seconds_per_second` was measured with. Attention grows faster
    than the pixels, so large clips cost more than this says.
    """
    seconds = float(call_frames / request.fps)
    share = request.size[0] * request.size[1] / _720P
    return round(able.gpu_seconds_per_second * seconds * share * steps / steps_seen, 3)
