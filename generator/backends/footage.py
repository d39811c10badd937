"""The user's own clip as a take: trimmed, brought to the film's rate and raster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
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
from media.conform import frames_at_rate
from media.errors import CancelledError, MediaError, RefusalError, RenderError
from media.probe import probe
from media.sound import read_sound
from media.timebase import SAMPLE_RATE, samples_at

__all__ = ["FootageBackend"]

_CHUNK_FRAMES = 16


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
    try:
        yield from frames_at_rate(
            clip,
            fps=request.fps,
            start_s=_start_frame(request) / request.fps,
            num_frames=request.num_frames,
            size=request.size,
            fit="pad" if dict(request.options).get("fit") == "pad" else "crop",
        )
    except MediaError as error:
        raise RenderError(
            error.what,
            where=clip.name,
            todo=error.todo or "shorten the shot, or let the source start earlier",
        ) from error


def _start_frame(request: RenderRequest) -> int:
    return int(dict(request.options).get("start_frame", 0))


def _sound(request: RenderRequest, clip: Path) -> np.ndarray | None:
    """`(channels, samples) float32, 48 kHz`, as long as the frames; None for a silent clip."""
    if not probe(clip).audio_channels:
        return None
    start = samples_at(_start_frame(request), request.fps)
    length = samples_at(request.num_frames, request.fps)
    heard = read_sound(clip)[:, start : start + length]
    padded: np.ndarray = np.pad(heard, ((0, 0), (0, length - heard.shape[1])))
    return padded
