"""The user's own clip as a take: the right frames, at the film's rate and raster."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.backends.base import RenderTools
from generator.backends.footage import FootageBackend
from generator.backends.registry import InstalledBackends, backend_named, known_backends
from generator.requests import request_for
from media.errors import CancelledError, RefusalError, RenderError, UsageError
from media.files import sha256_file
from media.video import MEZZANINE, write_video
from storyboards.film import Asset, OwnFootage
from tests.factories import make_film, make_shot

BACKEND = FootageBackend()


@pytest.fixture
def clip(tmp_path: Path) -> Asset:
    """50 frames at 25 fps, frame n of grey 5n, with a white bar on the left quarter."""
    frames = np.zeros((50, 48, 96, 3), np.uint8)
    frames += (np.arange(50, dtype=np.uint8) * 5)[:, None, None, None]
    frames[:, :, :24] = 255
    path = tmp_path / "clip.mp4"
    write_video(path, [frames], size=(96, 48), fps=Fraction(25), encoding=MEZZANINE)
    return Asset(path, sha256_file(path))


def conform(clip: Asset, *, start: int = 0, frames: int = 24, fps: int = 25, **options: Any) -> Any:
    shot = make_shot(source=OwnFootage(clip, start, True), num_frames=frames, options=options)
    film = make_film([shot], size=(48, 48), fps=Fraction(fps))
    request = BACKEND.snap(request_for(film, shot, 1, BACKEND)).request
    rendered = BACKEND.render(request, RenderTools({clip.sha256: clip.path}))
    return np.concatenate(list(rendered.frames)), rendered


def shown(picture: np.ndarray) -> list[int]:
    """The clip's frame that each frame shows, by its grey."""
    return [round(float(frame[:, 40:].mean()) / 5) for frame in picture]


def test_the_same_rate_is_frame_for_frame(clip: Asset) -> None:
    picture, rendered = conform(clip, start=7)
    assert picture.shape == (24, 48, 48, 3)
    assert shown(picture) == list(range(7, 31))
    assert rendered.audio() is None


@pytest.mark.parametrize("fps", [12, 24, 30, 50])
def test_another_rate_shows_what_was_on_screen(clip: Asset, fps: int) -> None:
    picture, _ = conform(clip, start=2, frames=fps, fps=fps)
    assert shown(picture) == [int(Fraction((n + 2) * 25, fps)) for n in range(fps)]


def test_crop_fills_and_pad_shows_all(clip: Asset) -> None:
    cropped, _ = conform(clip, start=20)
    assert cropped[0][:, 8:].mean() < 120
    padded, _ = conform(clip, start=20, fit="pad")
    assert padded[0][:10].mean() < 3
    assert padded[0][24, :10].mean() > 240
    with pytest.raises(RefusalError, match="crop"):
        conform(clip, fit="stretch")


def test_a_clip_that_ends_too_early_is_refused(clip: Asset) -> None:
    assert len(conform(clip, start=26)[0]) == 24
    assert shown(conform(clip, start=27)[0])[-2:] == [49, 49]
    with pytest.raises(RenderError, match="frames before the shot does"):
        conform(clip, start=40)


def test_cancel(clip: Asset) -> None:
    shot = make_shot(source=OwnFootage(clip, 0, True))
    request = request_for(make_film([shot]), shot, 1, BACKEND)
    tools = RenderTools({clip.sha256: clip.path}, should_stop=lambda: True)
    with pytest.raises(CancelledError):
        list(BACKEND.render(request, tools).frames)


def test_registry() -> None:
    assert {"animatic", "footage", "ltx2"} < set(known_backends())
    assert backend_named("footage").id == "footage"
    backends = InstalledBackends()
    assert backends["footage"] is backends["footage"]
    assert "ltx3" not in backends
    with pytest.raises(UsageError, match='did you mean "animatic"'):
        backend_named("animatik")
    with pytest.raises(UsageError, match=r'no backend "ltx3" .*use auto or one of'):
        backend_named("ltx3")
