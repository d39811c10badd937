"""A request as one model can make it: its raster, its rate and its frame counts.

Whatever is changed here is brought back by `generator/finish.py` (rate and size) or by the cut
(a take that is longer than its shot is trimmed).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from generator.backends.base import Capabilities, RenderRequest
from media.errors import RefusalError

__all__ = ["fit_request", "fitting_size", "frames_at_rate"]


def fit_request(
    request: RenderRequest, capabilities: Capabilities, *, max_pixels: int | None = None
) -> tuple[RenderRequest, tuple[str, ...]]:
    """The nearest request that the model can make, and what was changed, as sentences.

    - size: multiples of the model's, close to the film's shape, within `max_size` (its longer
      side bounds the longer side, so an upright film fits a lying model) and `max_pixels`
    - rate: the nearest that the model makes, with frames re-counted so that the same time is
      covered; frame numbers inside the request move along
    - frames: the next count of the frame rule; when it goes on from a take, or is made in
      several segments, the count stays, because the model's surplus is cut off

    Fitting a fitted request changes nothing. RefusalError when the shot is longer than the model
    can make.
    """
    changes: list[str] = []
    fitted = _at_a_rate(request, capabilities, changes)
    size = fitting_size(
        request.size, capabilities.size_multiple, capabilities.max_size, max_pixels=max_pixels
    )
    if size != request.size:
        changes.append(f"size {_by(request.size)} to {_by(size)}")
        fitted = replace(fitted, size=size)
    num_frames = _fitting_frames(fitted, capabilities)
    if num_frames != fitted.num_frames:
        changes.append(f"frames {fitted.num_frames} to {num_frames}, the rest is trimmed")
        fitted = replace(fitted, num_frames=num_frames)
    return fitted, tuple(changes)


def fitting_size(
    size: tuple[int, int],
    multiple: int,
    max_size: tuple[int, int],
    *,
    max_pixels: int | None = None,
) -> tuple[int, int]:
    """The size in multiples that is nearest to `size` in shape and area, within the limits."""
    width, height = size
    widest, highest = max_size
    if (width >= height) != (widest >= highest):
        widest, highest = highest, widest
    scale = min(1.0, widest / width, highest / height)
    if max_pixels is not None:
        scale = min(scale, math.sqrt(max_pixels / (width * height)))
    sizes = [
        (wide, high)
        for wide in _multiples(width * scale, multiple, widest)
        for high in _multiples(height * scale, multiple, highest)
        if max_pixels is None or wide * high <= max_pixels
    ]
    if not sizes:
        return multiple, multiple

    def badness(candidate: tuple[int, int]) -> tuple[float, int]:
        # A changed shape is cropped away for good; a changed area is only scaled back.
        shape = abs(math.log(candidate[0] * height / (candidate[1] * width)))
        area = abs(math.log(candidate[0] * candidate[1] / (width * height * scale**2)))
        return shape + area / 2, -candidate[0] * candidate[1]

    return min(sizes, key=badness)


def frames_at_rate(num_frames: int, fps: Fraction, other: Fraction) -> int:
    """Frames at the rate `other` that last at least as long as `num_frames` at `fps`."""
    return math.ceil(num_frames * other / fps)


def _multiples(length: float, multiple: int, longest: int) -> Iterator[int]:
    """The multiples next to `length`, below and above, from one to `longest`."""
    below = max(1, math.floor(length / multiple))
    for steps in {below, max(1, math.ceil(length / multiple))}:
        if steps * multiple <= longest:
            yield steps * multiple


def _at_a_rate(
    request: RenderRequest, capabilities: Capabilities, changes: list[str]
) -> RenderRequest:
    rates = capabilities.fps
    if not rates or request.fps in rates:
        return request
    # In octaves; of two that are as near, the faster one, which drops nothing.
    fps = min(rates, key=lambda rate: (abs(math.log(rate / request.fps)), -rate))
    num_frames = frames_at_rate(request.num_frames, request.fps, fps)
    changes.append(f"rate {request.fps} to {fps} fps, {request.num_frames} to {num_frames} frames")

    def moved(frame: int) -> int:
        """A place between frames: the end stays the end."""
        if frame >= request.num_frames:
            return num_frames
        return min(round(frame * fps / request.fps), num_frames)

    def shown(frame: int) -> int:
        """A frame itself: the last one stays the last."""
        last = request.num_frames - 1
        return num_frames - 1 if frame >= last else min(moved(frame), num_frames - 1)

    continued = request.continue_from
    if continued is not None:
        tail = max(1, round(continued.tail_frames * fps / request.fps))
        continued = replace(continued, tail_frames=tail)
    return replace(
        request,
        fps=fps,
        num_frames=num_frames,
        key_pictures=tuple(replace(key, frame=shown(key.frame)) for key in request.key_pictures),
        continue_from=continued,
        description=replace(
            request.description,
            placements=tuple(
                replace(
                    placed,
                    speaking=tuple((moved(start), moved(stop)) for start, stop in placed.speaking),
                )
                for placed in request.description.placements
            ),
        ),
    )


def _fitting_frames(request: RenderRequest, capabilities: Capabilities) -> int:
    rule = capabilities.frame_rule
    longest_call = rule.snap(rule.maximum)
    wanted = request.num_frames
    tail = request.continue_from.tail_frames if request.continue_from is not None else 0
    longest_s = Fraction(longest_call) / request.fps
    if capabilities.extension != "none":
        longest_s = max(longest_s, Fraction(capabilities.max_take_s))
    if wanted > longest_s * request.fps:
        raise RefusalError(
            f"expected at most {float(longest_s):g} s, got {wanted} frames at {request.fps} fps "
            f"({float(wanted / request.fps):.2f} s)",
            todo="shorten the shot, or split it into shots joined by extend",
        )
    if tail or wanted > longest_call:
        return wanted
    return rule.snap(wanted)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
