"""What a take is held by: key pictures, the tail of an earlier take, the sheet of its cast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from generator.backends.base import FrameRule, Frames, RenderRequest, RenderTools
from generator.references import fitted, looped, reference_sheet
from media.errors import RenderError

__all__ = ["Held", "call_frames", "held_frames", "sheet_clip", "tail_length"]

FRAMES_A_LATENT = 8
"""After the first, which is one frame."""


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that stands at a frame of the call."""

    frames: Frames
    frame: int
    """Of the call: the tail's first frame is 0."""
    strength: float
    recompressed: bool
    """Whether it goes through H.264 first, as the stills of the training did."""

    @property
    def latent(self) -> int:
        """The latent that its first frame is in."""
        return -(-self.frame // FRAMES_A_LATENT)


def tail_length(request: RenderRequest) -> int:
    """Frames of the call that are given and not returned: those that it is to go on from."""
    going_on = request.continue_from
    return going_on.tail_frames if going_on is not None and going_on.mode == "extend" else 0


def call_frames(request: RenderRequest, rule: FrameRule) -> int:
    """Frames that the one call must make. RenderError when the rule has no such count."""
    wanted = tail_length(request) + request.num_frames
    frames = rule.snap(wanted)
    if frames < wanted:
        raise RenderError(
            f"expected at most {frames} frames a call, got {wanted} with the tail",
            todo="render it in segments",
        )
    return frames


def held_frames(
    request: RenderRequest, tools: RenderTools, size: tuple[int, int]
) -> Iterator[Held]:
    """The tail first, then the key pictures in `size`, in order of their frames."""
    lead = tail_length(request)
    if request.continue_from is not None:
        yield Held(_tail(request, tools), 0, 1.0, recompressed=False)
    for key in sorted(request.key_pictures, key=lambda key: key.frame):
        path = tools.assets.get(key.sha256)
        if path is None:
            raise RenderError(
                f"the key picture {key.sha256[:12]} was not handed over",
                todo="run the checks on the storyboard again",
            )
        picture = fitted(path, size)[None]
        yield Held(picture, lead + key.frame, key.strength, recompressed=True)


def sheet_clip(
    request: RenderRequest, tools: RenderTools, size: tuple[int, int], num_frames: int
) -> Any:
    """The cast's pictures as one sheet that stands still, `num_frames` PIL images of `size`.

    None without references. The in-context adapter was trained on the sheet looped to the clip's
    length; one still gives other latents.
    """
    if not request.references:
        return None
    from PIL import Image

    missing = [ref.sha256 for ref in request.references if ref.sha256 not in tools.assets]
    if missing:
        raise RenderError(
            f"the reference {missing[0][:12]} was not handed over",
            todo="run the checks on the storyboard again",
        )
    sheet = reference_sheet([tools.assets[ref.sha256] for ref in request.references], size)
    return [Image.fromarray(sheet)] * len(looped(sheet, num_frames))


def _tail(request: RenderRequest, tools: RenderTools) -> Frames:
    """The earlier take's last frames, `(tail, height, width, 3) uint8 RGB` in its own size."""
    going_on = request.continue_from
    assert going_on is not None
    take = tools.takes.get(going_on.take_key)
    if take is None:
        raise RenderError(
            f"the take {going_on.take_key[:12]} that this one continues was not handed over",
            todo="render the earlier shot first",
        )
    wanted = going_on.tail_frames
    there = len(take.tail) if take.tail is not None else take.num_frames
    if there < wanted:
        raise RenderError(
            f"expected {wanted} frames to go on from, the earlier take has {there}",
            todo="shorten the overlap of the join, or lengthen the earlier shot",
        )
    if take.tail is not None:
        return np.ascontiguousarray(take.tail[there - wanted :])
    from media.video import read_frames

    chunks = read_frames(take.picture, start=there - wanted, num_frames=wanted)
    return np.concatenate(list(chunks))
