"""A shot's frames one after the other: the scene, its key pictures and its moving patches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import cv2
import numpy as np

from generator.backends.animatic_art.boards import Boards, are_boards
from generator.backends.animatic_art.brush import Patch, draw_patches, lift_patches
from generator.backends.animatic_art.drawing import Drawing
from generator.backends.animatic_art.keys import HeldPicture, KeyedDrawing, cover
from generator.backends.animatic_art.scene import build_scene, picture_of
from generator.backends.base import Frames, RenderRequest, RenderTools
from media.errors import CancelledError
from media.video import last_frame

__all__ = ["VERSIONS", "draw_frames"]

VERSIONS: Mapping[str, str] = {"opencv": str(cv2.__version__), "numpy": str(np.__version__)}

_CHUNK = 16


def draw_frames(request: RenderRequest, tools: RenderTools, held: list[int]) -> Iterator[Frames]:
    """The shot in chunks, its scene built with the first; `held[0]` becomes the bytes held."""
    # One thread a shot, several shots at a time, uses a machine best.
    cv2.setNumThreads(1)
    keys = _held_pictures(request, tools)
    _stop_if_asked(tools)
    drawn: Boards | KeyedDrawing
    if are_boards(request, keys):
        drawn = Boards(request, tools.assets, keys)
    else:
        drawn = KeyedDrawing(Drawing(build_scene(request, tools.assets)), keys, request.fps)
    width, height = request.size
    held[0] = drawn.num_bytes + _CHUNK * width * height * 3
    patches = _patches(request, tools, drawn)
    for first in range(0, request.num_frames, _CHUNK):
        chunk = np.empty((min(_CHUNK, request.num_frames - first), height, width, 3), np.uint8)
        for index in range(len(chunk)):
            _stop_if_asked(tools)
            at = first + index
            frame = drawn.frame(at)
            if patches and not any(key.frame == at for key in keys):
                frame = frame.copy()
                progress = at / max(1, request.num_frames - 1)
                draw_patches(frame, patches, drawn.scene.pose_at(at), progress, drawn.easel)
            cv2.cvtColor(frame, cv2.COLOR_RGBA2RGB, dst=chunk[index])
            tools.on_step(at + 1, request.num_frames)
        yield chunk


def _patches(
    request: RenderRequest, tools: RenderTools, drawn: Boards | KeyedDrawing
) -> tuple[Patch, ...]:
    travelling = [area for area in request.motion if len(area.trajectory) > 1]
    if not travelling:
        return ()
    masks = {
        area.mask_sha256: picture_of(tools.assets, area.mask_sha256)
        for area in travelling
        if area.mask_sha256
    }
    scene = drawn.scene
    return lift_patches(travelling, masks, drawn.frame(0), scene.pose_at(0), scene.depth_m)


def _held_pictures(request: RenderRequest, tools: RenderTools) -> list[HeldPicture]:
    """Key pictures, and the last frame of the take that this one continues."""
    held = {
        key.frame: HeldPicture(
            key.frame, cover(picture_of(tools.assets, key.sha256), request.size), key.strength
        )
        for key in request.key_pictures
    }
    if request.continue_from is not None:
        take = tools.takes[request.continue_from.take_key]
        picture = cv2.cvtColor(last_frame(take.picture), cv2.COLOR_RGB2RGBA)
        held[0] = HeldPicture(0, cover(np.asarray(picture, np.uint8), request.size), 1.0)
    return [held[frame] for frame in sorted(held)]


def _stop_if_asked(tools: RenderTools) -> None:
    if tools.should_stop():
        raise CancelledError("cancelled while drawing the animatic")
