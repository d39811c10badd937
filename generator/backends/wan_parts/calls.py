"""The calls of Wan's pipelines: what each is given for a request, and the latents it ends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from generator.backends.base import Frames, RenderRequest, RenderTools
from generator.backends.wan_parts.inputs import (
    blank_faces,
    control_video,
    first_picture,
    last_picture,
    pipeline_of,
    pose_clip,
    reference_pictures,
    tail_of,
)
from generator.backends.wan_parts.models import Pipeline
from media.errors import CancelledError, RenderError

__all__ = ["CALLS", "watch"]

Watch = Callable[..., dict[str, Any]]
Call = Callable[[Any, RenderRequest, RenderTools, int, dict[str, Any], Watch], Any]


class _LeftEarly(Exception):
    """Carries the final latents out of a pipeline that would go on to decode them."""

    def __init__(self, latents: Any) -> None:
        super().__init__()
        self.latents = latents


def watch(tools: RenderTools, steps: int) -> Watch:
    """Called after every step: counts it, and stops the take when it is cancelled."""

    def told(_pipe: Any, step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        tools.on_step(step + 1, steps)
        if tools.should_stop():
            raise CancelledError(f"cancelled after step {step + 1} of {steps}")
        return tensors

    return told


def _from_text(
    pipe: Any,
    request: RenderRequest,
    tools: RenderTools,
    total: int,
    options: dict[str, Any],
    told: Watch,
) -> Any:
    return pipe(num_frames=total, callback_on_step_end=told, **options)[0]


def _from_pictures(
    pipe: Any,
    request: RenderRequest,
    tools: RenderTools,
    total: int,
    options: dict[str, Any],
    told: Watch,
) -> Any:
    from PIL import Image

    pictures = {"image": Image.fromarray(first_picture(request, tools))}
    if pipeline_of(request) == "first_last":
        pictures["last_image"] = Image.fromarray(last_picture(request, tools))
    return pipe(num_frames=total, callback_on_step_end=told, **pictures, **options)[0]


def _from_known(
    pipe: Any,
    request: RenderRequest,
    tools: RenderTools,
    total: int,
    options: dict[str, Any],
    told: Watch,
) -> Any:
    import torch

    known: dict[str, Any] = {}
    control = control_video(request, tools, total)
    if control is not None:
        video, mask = control
        known = {"video": torch.from_numpy(video)[None], "mask": torch.from_numpy(mask)[None]}
    pictures = reference_pictures(request, tools)
    if pictures:
        known["reference_images"] = pictures
    latents = pipe(num_frames=total, callback_on_step_end=told, **known, **options)[0]
    # Each reference is a frame of its own in front.
    return latents[:, :, len(pictures) :]


def _from_poses(
    pipe: Any,
    request: RenderRequest,
    tools: RenderTools,
    total: int,
    options: dict[str, Any],
    told: Watch,
) -> Any:
    from PIL import Image

    last_step = options["num_inference_steps"] - 1

    def leave(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        told(pipe, step, time, tensors)
        if step == last_step:
            raise _LeftEarly(tensors["latents"])
        return tensors

    if request.key_pictures:
        character = Image.fromarray(first_picture(replace(request, continue_from=None), tools))
    else:
        (character,) = reference_pictures(request, tools)
    poses = pose_clip(request, tools, total)
    tail = tail_of(request, tools)
    try:
        with _going_on_from(pipe, tail):
            pipe(
                image=character,
                pose_video=[Image.fromarray(pose) for pose in poses],
                face_video=blank_faces(total, pipe.transformer.config.motion_encoder_size),
                mode="animate",
                segment_frame_length=total,
                prev_segment_conditioning_frames=1 if tail is None else len(tail),
                callback_on_step_end=leave,
                **options,
            )
    except _LeftEarly as left:
        # The first frame is the character's picture.
        return left.latents[:, :, 1:]
    raise RenderError("the pipeline ended without its last step")


@contextmanager
def _going_on_from(pipe: Any, tail: Frames | None) -> Iterator[None]:
    """Give Wan-Animate the end of an earlier segment, which it takes only from its own calls."""
    if tail is None:
        yield
        return
    import torch

    own = pipe.prepare_prev_segment_cond_latents
    shown = torch.from_numpy(np.ascontiguousarray(tail.transpose(3, 0, 1, 2)))[None]
    shown = (shown.float() / 127.5 - 1).to(pipe._execution_device)

    def prepare(_none: Any, *, start_frame: int, **options: Any) -> Any:
        return own(shown, start_frame=start_frame + 1, **options)

    pipe.prepare_prev_segment_cond_latents = prepare
    try:
        yield
    finally:
        del pipe.prepare_prev_segment_cond_latents


CALLS: dict[Pipeline, Call] = {
    "text": _from_text,
    "image": _from_pictures,
    "first_last": _from_pictures,
    "vace": _from_known,
    "animate": _from_poses,
}
