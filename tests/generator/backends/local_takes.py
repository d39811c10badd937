"""Requests, files and checks that the tests of backends with tiny local models share."""

from __future__ import annotations

import gc
import hashlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.base import (
    Backend,
    ContinueFrom,
    Description,
    KeyPicture,
    Placement,
    Rendered,
    RenderRequest,
    RenderTools,
    TakeMedia,
)
from media.timebase import samples_at
from storyboards.fields import Angle, ShotSize
from storyboards.shot_schema import Camera

__all__ = ["asked", "continued", "frames_and_sound", "held_bytes", "picture", "sha", "with_key"]

U8 = NDArray[np.uint8]


def asked(**changes: Any) -> RenderRequest:
    """A second of draft at 24 fps, in 80x48, with somebody in it."""
    someone = Placement("ada", "woman, red coat", "", "left", "right", "mid", 1.7)
    shot = Description(
        "EXT. HARBOUR - NIGHT", "Rain.", ShotSize.MLS, Angle.EYE, Camera(), 3, (someone,)
    )
    options = (("steps", 2),)
    request = RenderRequest(
        "Rain.", "blur", 7, (80, 48), Fraction(24), 24, "draft", shot, options=options
    )
    return replace(request, **changes)


def picture(folder: Path, name: str, level: int, size: tuple[int, int] = (80, 48)) -> Path:
    """A picture with an edge in it, at a grey of its own."""
    pixels: U8 = np.full((size[1], size[0], 3), level, np.uint8)
    pixels[: size[1] // 3] = 255 - level
    path = folder / f"{name}.png"
    assert cv2.imwrite(str(path), pixels)
    return path


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def with_key(
    request: RenderRequest, path: Path, frame: int, tools: RenderTools | None = None
) -> tuple[RenderRequest, RenderTools]:
    """The request with the picture at `frame`, and tools that hold the file."""
    known = tools or RenderTools({})
    keyed = replace(request, key_pictures=(*request.key_pictures, KeyPicture(frame, sha(path))))
    return keyed, replace(known, assets={**known.assets, sha(path): path})


def continued(request: RenderRequest, level: int = 90) -> tuple[RenderRequest, RenderTools]:
    """The request going on from a take of one grey, whose tail is at hand."""
    tail = np.full((2, request.size[1], request.size[0], 3), level, np.uint8)
    take = TakeMedia(Path("no such file"), None, 24, tail=tail)
    going_on = replace(request, continue_from=ContinueFrom("t" * 64, "extend", 1))
    return going_on, RenderTools({}, {"t" * 64: take})


def frames_and_sound(
    backend: Backend, request: RenderRequest, tools: RenderTools | None = None
) -> tuple[U8, Any, Rendered]:
    """All frames of a snapped request and its sound, found to keep the contract."""
    rendered = backend.render(request, tools or RenderTools({}))
    chunks = list(rendered.frames)
    for chunk in chunks:
        assert 1 <= len(chunk) <= 16
        assert chunk.dtype == np.uint8
    frames = np.concatenate(chunks)
    width, height = request.size
    assert frames.shape == (request.num_frames, height, width, 3)
    assert (rendered.size, rendered.fps) == (request.size, request.fps)
    assert rendered.num_frames == request.num_frames
    sound = rendered.audio()
    if sound is not None:
        assert sound.dtype == np.float32
        assert sound.shape[1] == samples_at(request.num_frames, request.fps)
        assert np.isfinite(sound).all()
    return frames, sound, rendered


def held_bytes(besides: Any = None) -> int:
    """Bytes of all tensors that are alive and that the collector may look at (`gc.freeze`)."""
    import torch

    storages = {
        found.untyped_storage().data_ptr(): found.untyped_storage().nbytes()
        for found in gc.get_objects()
        if type(found) is torch.Tensor
    }
    if besides is not None:
        storages.pop(besides.untyped_storage().data_ptr(), None)
    return sum(storages.values())
