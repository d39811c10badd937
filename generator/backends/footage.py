"""The user's own clip as a take: trimmed, brought to the film's rate and raster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from generator.backends.base import (
    Capabilities,
    FrameRule,
    Frames,
    Licence,
    Loss,
    Quote,
    Rendered,
    RenderRequest,
    RenderTools,
    Snapped,
)
from media.colour import frame_to_rgb
from media.errors import CancelledError, RefusalError, RenderError
from media.probe import open_media, probe
from media.sound import read_sound
from media.timebase import SAMPLE_RATE, samples_at

__all__ = ["FootageBackend"]

_CHUNK_FRAMES = 16
_LATE_S = Fraction(1, 1000)
"""A frame counts as shown this much before its time: containers round times to 1/1000 s."""

_MOST_HELD_FRAMES = 2
"""A clip may end this many frames early, by the rounding of its length; the last one is held."""


class FootageBackend:
    """Conforms clips. A pseudo-backend: only a shot with a `source` is given to it."""

    id = "footage"
    revision = "1"
    unready = ""
    capabilities = Capabilities(
        tasks=frozenset({"references"}),
        max_references={"video": 1},
        max_key_pictures=0,
        keyframe_positions="none",
        camera="none",
        motion_areas=0,
        extension="none",
        native_audio=True,
        audio_rate=SAMPLE_RATE,
        frame_rule=FrameRule(),
        size_multiple=2,
        max_size=(8192, 8192),
        fps=(),
        seeded=True,
        shots_per_generation=1,
        loras=False,
        edit=frozenset(),
        licence=Licence("own footage"),
        usd_per_second=0.0,
        gpu_seconds_per_second=0.0,
    )

    def snap(self, request: RenderRequest) -> Snapped:
        """The request as it is; a raster of odd sides loses a line."""
        if len(request.references) != 1 or request.references[0].kind != "video":
            raise RefusalError("expected a shot with a source clip")
        fit = dict(request.options).get("fit", "crop")
        if fit not in ("crop", "pad"):
            raise RefusalError(f'expected the option fit to be "crop" or "pad", got {fit!r}')
        even = (request.size[0] // 2 * 2, request.size[1] // 2 * 2)
        if even == request.size:
            return Snapped(request)
        changed = f"size {request.size[0]}x{request.size[1]} to {even[0]}x{even[1]}"
        return Snapped(replace(request, size=even), (changed,), (Loss("size", changed),))

    def quote(self, request: RenderRequest) -> Quote:
        """Decoding and scaling: some milliseconds a frame at 720p on one core."""
        pixels = request.size[0] * request.size[1] * request.num_frames
        return Quote(cpu_seconds=pixels / 1e8)

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        """Clips share nothing."""

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        """The clip's frames, each the one that was on screen at its time in the take."""
        clip = tools.assets.get(request.references[0].sha256)
        if clip is None:
            raise RenderError("the source clip was not handed to the backend")
        return Rendered(
            frames=_chunks(request, clip, tools),
            num_frames=request.num_frames,
            fps=request.fps,
            size=request.size,
            seed=request.seed,
            revision=self.revision,
            audio=lambda: _sound(request, clip) if request.audio == "native" else None,
            versions={"opencv": cv2.__version__},
            licence=self.capabilities.licence.id,
        )


def _chunks(request: RenderRequest, clip: Path, tools: RenderTools) -> Iterator[Frames]:
    batch: list[np.ndarray] = []
    for done, frame in enumerate(_at_rate(request, clip), start=1):
        if tools.should_stop():
            raise CancelledError("cancelled while conforming footage", where=clip.name)
        batch.append(frame)
        if len(batch) == _CHUNK_FRAMES or done == request.num_frames:
            yield np.stack(batch)
            tools.on_step(done, request.num_frames)
            batch = []


def _at_rate(request: RenderRequest, clip: Path) -> Iterator[np.ndarray]:
    """`num_frames` frames at the request's rate, `(height, width, 3) uint8 RGB` each."""
    times = ((_start_frame(request) + index) / request.fps for index in range(request.num_frames))
    wanted = next(times)
    shown: np.ndarray | None = None
    made = 0
    for time_s, picture in _decoded(clip, wanted):
        while shown is not None and time_s > wanted + _LATE_S:
            yield shown
            made += 1
            if made == request.num_frames:
                return
            wanted = next(times)
        shown = _fitted(picture, request)
    # The last frame stays on screen for its own length, and a little for rounding.
    missing = request.num_frames - made
    own = probe(clip).fps or request.fps
    if shown is None or missing > max(1, round(request.fps / own)) + _MOST_HELD_FRAMES:
        raise RenderError(
            f"the clip ends {missing} frames before the shot does",
            where=clip.name,
            todo="shorten the shot, or let the source start earlier",
        )
    for _ in range(missing):
        yield shown


def _start_frame(request: RenderRequest) -> int:
    return int(dict(request.options).get("start_frame", 0))


def _decoded(clip: Path, start_s: Fraction) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Time after the clip's first frame, and the upright frame, from a little before `start_s`."""
    with open_media(clip) as container:
        if not container.streams.video:
            raise RenderError("expected a picture, found sound alone", where=clip.name)
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        time_base = Fraction(stream.time_base or 1)
        origin = stream.start_time or 0
        if start_s > 0:
            container.seek(origin + int(start_s / time_base), stream=stream)
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            turns = round(frame.rotation / 90) % 4
            yield (frame.pts - origin) * time_base, np.rot90(frame_to_rgb(frame), turns)


def _fitted(picture: np.ndarray, request: RenderRequest) -> np.ndarray:
    """Scaled to fill the raster and cropped, or to lie inside it on black."""
    width, height = request.size
    have_height, have_width = picture.shape[:2]
    ratios = (width / have_width, height / have_height)
    pad = dict(request.options).get("fit") == "pad"
    scale = min(ratios) if pad else max(ratios)
    scaled_width = max(1, round(have_width * scale))
    scaled_height = max(1, round(have_height * scale))
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(
        np.ascontiguousarray(picture), (scaled_width, scaled_height), interpolation=shrink
    )
    left, top = (width - scaled_width) // 2, (height - scaled_height) // 2
    if not pad:
        cropped: np.ndarray = scaled[-top : -top + height, -left : -left + width]
        return cropped
    framed = np.zeros((height, width, 3), np.uint8)
    framed[top : top + scaled_height, left : left + scaled_width] = scaled
    return framed


def _sound(request: RenderRequest, clip: Path) -> np.ndarray | None:
    """`(channels, samples) float32, 48 kHz`, as long as the frames; None for a silent clip."""
    if not probe(clip).audio_channels:
        return None
    start = samples_at(_start_frame(request), request.fps)
    length = samples_at(request.num_frames, request.fps)
    heard = read_sound(clip)[:, start : start + length]
    padded: np.ndarray = np.pad(heard, ((0, 0), (0, length - heard.shape[1])))
    return padded
