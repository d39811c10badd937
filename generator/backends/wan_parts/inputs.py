"""What a request gives Wan to look at: tails, key pictures, references and poses as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generator.backends.base import FrameRule, Frames, RenderRequest, RenderTools, TakeMedia
from generator.backends.wan_parts.models import Pipeline
from generator.references import fitted, motion_clip
from media.errors import RenderError
from media.image import read_image

__all__ = [
    "blank_faces",
    "call_frames",
    "control_video",
    "first_picture",
    "given_frames",
    "last_picture",
    "pipeline_of",
    "pose_clip",
    "reference_pictures",
    "tail_of",
]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_TO_BE_MADE = 0.5
"""Grey that stands where VACE is to make a frame (127.5 of 255 in its own code)."""


def pipeline_of(request: RenderRequest) -> Pipeline:
    """Which pipeline makes a snapped request, or one segment of it.

    Only the first segment of a take may start on its first picture, and only the last may end on
    its last one.
    """
    asked = dict(request.options).get("pipeline")
    if asked in ("vace", "animate"):
        return "vace" if asked == "vace" else "animate"
    if asked not in ("text", "image", "first_last"):
        raise RenderError(f"expected a snapped request, got pipeline {asked!r}")
    held = {key.frame for key in request.key_pictures}
    if 0 not in held and request.continue_from is None:
        return "text"
    return "first_last" if request.num_frames > 1 and request.num_frames - 1 in held else "image"


def given_frames(request: RenderRequest) -> int:
    """Frames at the start of the model's clip that are the earlier take's, and are cut off.

    None for `shared_keyframe`, whose one frame is the take's first.
    """
    continued = request.continue_from
    return continued.tail_frames if continued is not None and continued.mode == "extend" else 0


def call_frames(request: RenderRequest, rule: FrameRule) -> int:
    """Frames of the one call that makes the request, those that are given included."""
    wanted = given_frames(request) + request.num_frames
    made = rule.snap(wanted)
    if made < wanted:
        raise RenderError(
            f"expected at most {made} frames in one call of the model, got {wanted}",
            todo="shorten the overlap of the join",
        )
    return made


def tail_of(request: RenderRequest, tools: RenderTools) -> Frames | None:
    """The last frames of the take that this one goes on from, in the request's size and rate.

    `(tail_frames, height, width, 3) uint8 RGB`; as they were made while that is at hand.
    """
    continued = request.continue_from
    if continued is None:
        return None
    take = tools.takes.get(continued.take_key)
    if take is None:
        raise RenderError(
            f"the take {continued.take_key[:12]} that this one continues was not handed over",
            todo="render the earlier shot first",
        )
    count = continued.tail_frames
    tail = take.tail
    if tail is not None and len(tail) >= count and tail.shape[2:0:-1] == request.size:
        return tail[-count:]
    return _read_tail(take, request, count)


def first_picture(request: RenderRequest, tools: RenderTools) -> U8:
    """What the clip starts on, `(height, width, 3) uint8 RGB`: the tail's last, or the picture."""
    tail = tail_of(request, tools)
    if tail is not None:
        return np.ascontiguousarray(tail[-1])
    return _key_picture(request, tools, 0)


def last_picture(request: RenderRequest, tools: RenderTools) -> U8:
    """What the clip ends on, `(height, width, 3) uint8 RGB`."""
    return _key_picture(request, tools, request.num_frames - 1)


def control_video(
    request: RenderRequest, tools: RenderTools, num_frames: int
) -> tuple[F32, F32] | None:
    """For VACE: what is known of the clip, and where frames are to be made. None: nothing is.

    `(frames, 3, height, width)` in [0, 1] with grey in between, and `(frames, 1, height, width)`
    with 0 where the clip is known and 1 where it is made.
    """
    tail = tail_of(request, tools)
    if tail is None and not request.key_pictures:
        return None
    width, height = request.size
    video = np.full((num_frames, 3, height, width), _TO_BE_MADE, np.float32)
    mask = np.ones((num_frames, 1, height, width), np.float32)
    known: list[tuple[int, U8]] = []
    if tail is not None:
        known += list(enumerate(tail))
    start = given_frames(request)
    for key in request.key_pictures:
        known.append((start + key.frame, _key_picture(request, tools, key.frame)))
    for frame, picture in known:
        video[frame] = picture.transpose(2, 0, 1).astype(np.float32) / 255
        mask[frame] = 0.0
    return video, mask


def reference_pictures(request: RenderRequest, tools: RenderTools) -> list[Any]:
    """The request's pictures of people and places as PIL images, on white as VACE has them."""
    from PIL import Image

    pictures = []
    for reference in request.references:
        if reference.kind != "image":
            continue
        rgba = read_image(_asset(tools, reference.sha256, "reference")).astype(np.float32)
        alpha = rgba[..., 3:] / 255
        rgb = np.round(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
        pictures.append(Image.fromarray(rgb))
    return pictures


def pose_clip(request: RenderRequest, tools: RenderTools, num_frames: int) -> Frames:
    """The pose video under the call's frames, `(frames, height, width, 3) uint8 RGB`.

    Before its beginning, under the tail of an earlier take, its first pose stands.
    """
    (motion,) = (ref for ref in request.references if ref.role == "motion")
    path = _asset(tools, motion.sha256, "motion clip")
    options = dict(request.options)
    given = given_frames(request)
    start_s = Fraction(str(options.get("motion_from.start_s", 0))) - given / request.fps
    before = min(num_frames, -(start_s * request.fps // 1) if start_s < 0 else 0)
    clip = motion_clip(
        path, request.fps, num_frames - before, request.size, start_s + before / request.fps
    )
    return np.concatenate([np.repeat(clip[:1], before, axis=0), clip])


def blank_faces(num_frames: int, edge: int) -> Sequence[Any]:
    """Black pictures: what Wan-Animate takes for no face at all (its unconditional input)."""
    from PIL import Image

    return [Image.new("RGB", (edge, edge))] * num_frames


def _read_tail(take: TakeMedia, request: RenderRequest, count: int) -> Frames:
    # Plans import this module; only a render decodes.
    from media.conform import fitted_picture, frames_at_rate
    from media.probe import probe

    if take.tail is not None:
        shown = take.tail[-count:]
        resized = [fitted_picture(frame, request.size, "crop") for frame in shown]
        return np.stack([resized[0]] * (count - len(shown)) + resized)
    own = probe(take.picture).fps or request.fps
    end_s = take.num_frames / own
    have = min(count, max(1, int(end_s * request.fps)))
    frames = list(
        frames_at_rate(
            take.picture,
            fps=request.fps,
            start_s=max(Fraction(0), end_s - have / request.fps),
            num_frames=have,
            size=request.size,
            fit="crop",
        )
    )
    # An earlier take shorter than the overlap: its first frame stands before it.
    return np.stack([frames[0]] * (count - have) + frames)


def _key_picture(request: RenderRequest, tools: RenderTools, frame: int) -> U8:
    for key in request.key_pictures:
        if key.frame == frame:
            return fitted(_asset(tools, key.sha256, "key picture"), request.size)
    raise RenderError(f"expected a key picture at frame {frame}, there is none")


def _asset(tools: RenderTools, sha256: str, what: str) -> Path:
    path = tools.assets.get(sha256)
    if path is None:
        raise RenderError(
            f"the {what} {sha256[:12]} was not handed over",
            todo="run the checks on the storyboard again",
        )
    return path
