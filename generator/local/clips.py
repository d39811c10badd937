"""Pictures that open and close a clip, and decoded frames as the contract wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generator.backends.base import FrameRule, Frames, RenderRequest, RenderTools
from generator.references import fitted
from media.errors import CancelledError, RenderError

__all__ = [
    "call_frames",
    "closing_picture",
    "frames_from_unit",
    "given_frames",
    "opening_picture",
    "steps_watched",
    "trimmed",
]

U8 = NDArray[np.uint8]
_CHUNK_FRAMES = 16


def given_frames(request: RenderRequest) -> int:
    """Frames at the start of the model's clip that are not the take's: the tail it goes on from.

    One for `extend`, whose take starts with the frame after; none for `shared_keyframe`.
    """
    continued = request.continue_from
    return 1 if continued is not None and continued.mode == "extend" else 0


def call_frames(request: RenderRequest, rule: FrameRule) -> int:
    """Frames of the one call that makes the request: by the rule, what is given included."""
    return rule.snap(given_frames(request) + request.num_frames)


def opening_picture(request: RenderRequest, tools: RenderTools) -> U8 | None:
    """What the clip starts from, `(height, width, 3) uint8 RGB` in the request's size, or None.

    The last frame of the take it goes on from, as it was made while that is at hand; else the
    key picture at frame 0. RenderError when the file was not handed over.
    """
    if request.continue_from is None:
        return _key_picture(request, tools, 0)
    take = tools.takes.get(request.continue_from.take_key)
    if take is None:
        raise RenderError(
            f"the take {request.continue_from.take_key[:12]} that this one continues was not "
            "handed over",
            todo="render the earlier shot first",
        )
    if take.tail is not None and take.tail.shape[2:0:-1] == request.size:
        return np.ascontiguousarray(take.tail[-1])
    import cv2

    from media.video import last_frame

    frame = last_frame(take.picture) if take.tail is None else take.tail[-1]
    return np.asarray(cv2.resize(frame, request.size, interpolation=cv2.INTER_AREA), np.uint8)


def closing_picture(request: RenderRequest, tools: RenderTools) -> U8 | None:
    """What the clip ends on, `(height, width, 3) uint8 RGB` in the request's size, or None."""
    return _key_picture(request, tools, request.num_frames - 1)


def frames_from_unit(video: Any) -> Frames:
    """A torch tensor `(1, 3, frames, height, width)` in [0, 1] as `(frames, h, w, 3) uint8 RGB`.

    Rounded as diffusers' `numpy_to_pil` does it.
    """
    pixels = video[0].float().clamp(0, 1).permute(1, 2, 3, 0).cpu().numpy()
    return np.asarray((pixels * 255).round(), np.uint8)


def trimmed(decoded: Iterable[Frames], skip: int, num_frames: int) -> Iterator[Frames]:
    """Exactly `num_frames` frames after the first `skip`, in chunks of at most 16.

    What comes after them is not decoded. RenderError when there are too few.
    """
    left = num_frames
    for frames in decoded:
        shown = frames[skip : skip + left]
        skip = max(0, skip - len(frames))
        left -= len(shown)
        for first in range(0, len(shown), _CHUNK_FRAMES):
            yield shown[first : first + _CHUNK_FRAMES]
        if not left:
            return
    raise RenderError(f"expected {num_frames} frames, {left} were not decoded")


@contextmanager
def steps_watched(scheduler: Any, total: int, tools: RenderTools) -> Iterator[None]:
    """Count the scheduler's steps for `tools`, and stop at one when asked to (CancelledError).

    For pipelines without a callback: `step` of this one scheduler is wrapped meanwhile.
    """
    inner: Callable[..., Any] = scheduler.step
    done = 0

    # Pipelines look at the signature to decide what to hand over (eta, a generator).
    @wraps(inner)
    def step(*args: Any, **options: Any) -> Any:
        nonlocal done
        if tools.should_stop():
            raise CancelledError(f"cancelled at step {done + 1} of {total}")
        result = inner(*args, **options)
        done += 1
        tools.on_step(done, total)
        return result

    scheduler.step = step
    try:
        yield
    finally:
        del scheduler.step


def _key_picture(request: RenderRequest, tools: RenderTools, frame: int) -> U8 | None:
    for key in request.key_pictures:
        if key.frame == frame:
            path = tools.assets.get(key.sha256)
            if path is None:
                raise RenderError(
                    f"the key picture {key.sha256[:12]} was not handed over",
                    todo="run the checks on the storyboard again",
                )
            return fitted(path, request.size)
    return None
