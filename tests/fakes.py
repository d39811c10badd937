"""A backend that draws flat colours, for tests of what stands around backends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

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
from generator.backends.footage import FootageBackend
from media.errors import CancelledError, RefusalError
from media.timebase import samples_at

__all__ = ["FakeBackend"]


@dataclass
class FakeBackend:
    """Frames of one grey that follows from the seed; counts how often it renders."""

    id: str = "fake"
    revision: str = "1"
    usd: float = 0.0
    gpu_seconds: float = 0.0
    frame_step: int = 1
    refuses: str = ""
    loses: tuple[str, ...] = ()
    unready: str = ""
    native_audio: bool = False
    licence: Licence = Licence("fake")  # noqa: RUF009  # frozen
    renders: list[str] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        return replace(
            FootageBackend.capabilities, native_audio=self.native_audio, licence=self.licence
        )

    def snap(self, request: RenderRequest) -> Snapped:
        if self.refuses:
            raise RefusalError(self.refuses)
        num_frames = FrameRule(step=self.frame_step, offset=1).snap(request.num_frames)
        changes = () if num_frames == request.num_frames else (f"frames to {num_frames}",)
        losses = tuple(Loss(name, "not here") for name in self.loses)
        return Snapped(replace(request, num_frames=num_frames), changes, losses)

    def quote(self, request: RenderRequest) -> Quote:
        return Quote(self.usd, self.gpu_seconds, 0.1)

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        self.prepared += [request.prompt for request in requests]

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        self.renders.append(request.prompt)
        samples = samples_at(request.num_frames, request.fps)
        return Rendered(
            frames=self._frames(request, tools),
            num_frames=request.num_frames,
            fps=request.fps,
            size=request.size,
            seed=request.seed,
            revision=self.revision,
            audio=lambda: np.zeros((1, samples), np.float32),
            cost_usd=self.usd,
        )

    def _frames(self, request: RenderRequest, tools: RenderTools) -> Iterator[Frames]:
        width, height = request.size
        for first in range(0, request.num_frames, 16):
            if tools.should_stop():
                raise CancelledError("cancelled")
            count = min(16, request.num_frames - first)
            yield np.full((count, height, width, 3), request.seed % 256, np.uint8)
