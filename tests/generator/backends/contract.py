"""What every backend promises, and the requests that the promises are checked with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic import Animatic
from generator.backends.base import (
    Backend,
    ContinueFrom,
    Description,
    KeyPicture,
    Placement,
    RenderRequest,
    RenderTools,
    TakeMedia,
)
from media.video import MEZZANINE, last_frame, write_video
from storyboards.fields import Angle, CameraMove, ShotSize
from storyboards.shot_schema import Camera

__all__ = ["BACKENDS", "Studio", "frames_of"]

BACKENDS: Sequence[Callable[[], Backend]] = (Animatic,)
"""Every backend that runs without weights, keys and network."""

SIZE = (192, 108)


@dataclass(frozen=True)
class Studio:
    """Files that requests name, in one folder."""

    folder: Path

    def picture(self, name: str, pixels: NDArray[np.uint8]) -> tuple[str, Path]:
        """Hash and path of a picture `(h, w, 3 or 4) uint8 RGB(A)` written as PNG."""
        path = self.folder / f"{name}.png"
        code = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
        assert cv2.imwrite(str(path), cv2.cvtColor(pixels, code))
        return hashlib.sha256(path.read_bytes()).hexdigest(), path

    def keyed(self, request: RenderRequest, at: int) -> tuple[RenderRequest, RenderTools]:
        """`request` with a picture that must stand at frame `at`."""
        sha256, path = self.picture("key", scenic(*request.size))
        keyed = replace(request, key_pictures=(*request.key_pictures, KeyPicture(at, sha256)))
        return keyed, RenderTools({sha256: path})

    def continued(
        self, request: RenderRequest
    ) -> tuple[RenderRequest, RenderTools, NDArray[np.uint8]]:
        """`request` going on from a take, and that take's last frame."""
        path = self.folder / "take.mp4"
        picture = scenic(*request.size)
        clip = np.stack([np.roll(picture, at, axis=1) for at in range(6)])
        write_video(path, [clip], size=request.size, fps=request.fps, encoding=MEZZANINE)
        going_on = replace(request, continue_from=ContinueFrom("t" * 64, "extend", 1))
        take = TakeMedia(path, None, 6)
        return going_on, RenderTools({}, {"t" * 64: take}), last_frame(path)


def request_for(num_frames: int = 20, **changes: object) -> RenderRequest:
    """A small shot with two of the cast, a move and a line."""
    cast = (
        Placement("ada", "woman, red coat", "", "left", "right", "mid", 1.7, speaking=((2, 12),)),
        Placement("ben", "man, grey beard", "", "right", "left", "far", 1.8, enters="right"),
    )
    camera = Camera(move=(CameraMove.PUSH_IN, CameraMove.HANDHELD))
    shot = Description(
        "EXT. HARBOUR - NIGHT", "Rain.", ShotSize.MLS, Angle.EYE, camera, 3, placements=cast
    )
    request = RenderRequest("dusk", "", 7, SIZE, Fraction(24), num_frames, "draft", shot)
    return replace(request, **changes)  # type: ignore[arg-type]


def scenic(width: int, height: int) -> NDArray[np.uint8]:
    """A picture with detail everywhere, `(h, w, 3) uint8 RGB`."""
    y, x = np.mgrid[0:height, 0:width]
    layers = [(x * 5 + y) % 256, (y * 7) % 256, (x ^ y) % 256]
    return np.stack(layers, axis=2).astype(np.uint8)


def frames_of(
    backend: Backend, request: RenderRequest, tools: RenderTools | None = None
) -> NDArray[np.uint8]:
    """All frames of the snapped request, `(n, h, w, 3) uint8 RGB`."""
    snapped = backend.snap(request).request
    return np.concatenate(list(backend.render(snapped, tools or RenderTools({})).frames))
