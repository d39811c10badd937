"""The raster that a model was trained at, in the shape of the film."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from generator.backends.base import Capabilities, RenderRequest
from generator.local.fitting import fit_request, fitting_size

__all__ = ["Canvas", "fit_to_canvas"]


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where a model is at home."""

    pixels: int
    """Area of its training, and the most that is asked of it."""
    short_edge: int = 0
    """Its training's shorter side; 0: only the area matters."""
    fixed: tuple[int, int] | None = None
    """The one size there is, whatever the film's shape: the cut crops."""

    def size_for(self, size: tuple[int, int], able: Capabilities) -> tuple[int, int]:
        """The model's own size that is nearest to the shape of `size`."""
        if self.fixed is not None:
            return self.fixed
        # Rounding changes the shape, and with it the size that is nearest. What this ends on is
        # fitted to itself, so that a fitted request stays as it is.
        tried: list[tuple[int, int]] = []
        while size not in tried:
            tried.append(size)
            size = self._nearest(size, able)
        return max(tried[tried.index(size) :])

    def _nearest(self, size: tuple[int, int], able: Capabilities) -> tuple[int, int]:
        width, height = size
        edge = self.short_edge / min(size) if self.short_edge else math.inf
        scale = min(edge, math.sqrt(self.pixels / (width * height)))
        asked = (max(1, round(width * scale)), max(1, round(height * scale)))
        return fitting_size(asked, able.size_multiple, able.max_size, max_pixels=self.pixels)


def fit_to_canvas(
    request: RenderRequest, able: Capabilities, canvas: Canvas
) -> tuple[RenderRequest, tuple[str, ...]]:
    """The request as the model makes it best, and what was changed, as sentences.

    A draft keeps the film's raster where that is smaller, at most half the model's own area;
    other profiles are made at the model's own size, and the finish brings them to the film's.
    """
    if canvas.fixed is None and request.profile == "draft":
        return fit_request(request, able, max_pixels=canvas.pixels // 2)
    size = canvas.size_for(request.size, able)
    changes: Sequence[str] = ()
    if size != request.size:
        (width, height), (wide, high) = request.size, size
        changes = (f"size {width}x{height} to {wide}x{high}, which the model was trained at",)
    fitted, more = fit_request(replace(request, size=size), able)
    return fitted, (*changes, *more)
