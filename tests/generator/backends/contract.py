"""What every backend promises, and the requests that the promises are checked with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
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
from generator.backends.cogvideox import CogVideoX
from generator.backends.hunyuanvideo import HunyuanVideo
from generator.backends.ltx2 import LTX2
from generator.backends.minimax_h3 import MiniMaxH3
from generator.backends.openai_video import OpenAIVideo
from generator.backends.wan import WanBackend
from generator.local.settings import LocalSettings
from media.video import MEZZANINE, last_frame, write_video
from storyboards.fields import Angle, CameraMove, ShotSize
from storyboards.shot_schema import Camera

__all__ = ["SPECIMENS", "Specimen", "Studio", "frames_of", "request_for", "scenic"]

SIZE = (192, 108)


@dataclass(frozen=True)
class Specimen:
    """A backend as the suite meets it."""

    backend: Backend
    draws: bool = False
    """It draws: pictures stand to the pixel, and its memory can be told from the process's."""
    served: bool = False
    """A stand-in server answers for it, whose films do not follow from what it is sent."""
    size: tuple[int, int] = SIZE
    options: tuple[tuple[str, int], ...] = ()

    def ask(self, num_frames: int = 20, **changes: object) -> RenderRequest:
        """A request of a size that its tiny model makes, in few steps."""
        return request_for(num_frames, **{"size": self.size, "options": self.options, **changes})


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


@contextmanager
def _animatic(folder: Path) -> Iterator[Specimen]:
    yield Specimen(Animatic(), draws=True)


@contextmanager
def _ltx2(folder: Path) -> Iterator[Specimen]:
    from tests.generator.local.tiny_ltx2 import save_pipeline

    yield Specimen(LTX2(_models("ltx2", source=save_pipeline(folder, "2.5"))))


@contextmanager
def _wan(folder: Path) -> Iterator[Specimen]:
    from tests.generator.local.tiny_wan import save_tiny_wan

    tiny = save_tiny_wan(folder)
    parts = {"i2v": {"source": str(tiny.image)}, "vace": {"source": str(tiny.vace)}}
    yield Specimen(
        WanBackend(_models("wan", source=tiny.text, parts=parts)), options=(("steps", 2),)
    )


@contextmanager
def _cogvideox(folder: Path) -> Iterator[Specimen]:
    from tests.generator.local.tiny_cogvideox import save_tiny_cogvideox

    words, picture = save_tiny_cogvideox(folder)
    parts = {"image": {"source": str(picture)}}
    # Its positions are learnt for one size.
    yield Specimen(CogVideoX(_models("cogvideox", source=words, parts=parts)), size=(80, 48))


@contextmanager
def _hunyuanvideo(folder: Path) -> Iterator[Specimen]:
    from tests.generator.local.tiny_hunyuan import save_tiny_hunyuan

    words, picture = save_tiny_hunyuan(folder)
    parts = {"image": {"source": str(picture)}}
    made = HunyuanVideo(_models("hunyuanvideo", source=words, parts=parts))
    yield Specimen(made, size=(80, 48), options=(("steps", 2),))


@contextmanager
def _minimax_h3(folder: Path) -> Iterator[Specimen]:
    from tests.generator.local.tiny_h3 import save_tiny_h3

    yield Specimen(MiniMaxH3(_models("minimax_h3", source=save_tiny_h3(folder))))


@contextmanager
def _openai_video(folder: Path) -> Iterator[Specimen]:
    from video_servers import StandIn, running

    with running(StandIn("vllm_omni")) as server:
        said = {"url": server.url, "dialect": server.dialect, "variant": "wan_ti2v"}
        backend = OpenAIVideo(_models("openai_video", **said), {"VIDEO_KEY": server.key})
        yield Specimen(backend, served=True)


def _models(id: str, *, source: Path | None = None, **said: object) -> LocalSettings:
    where = {"source": str(source)} if source else {}
    return LocalSettings.model_validate(
        {
            "device": "cpu",
            "acknowledged": ["minimax-h3", "cogvideox", "tencent-hunyuan-community"],
            "models": {id: {**where, **said}},
        }
    )


SPECIMENS: Mapping[str, Callable[[Path], AbstractContextManager[Specimen]]] = {
    "animatic": _animatic,
    "ltx2": _ltx2,
    "wan": _wan,
    "minimax_h3": _minimax_h3,
    "hunyuanvideo": _hunyuanvideo,
    "cogvideox": _cogvideox,
    "openai_video": _openai_video,
}
"""Every backend, on tiny random weights or a stand-in server where it needs such."""
