"""Takes made larger by an image model: any that spandrel reads, from one file of weights.

    [models.spandrel]
    source = "/models/4x-something.safetensors"

spandrel (an extra: `pip install takeboard[upscale]`) finds the architecture and the scale in the
weights. A frame goes through in overlapping tiles, so that the device's memory bounds the tile
and not the film, and a model of too small a scale is applied again. Models see one frame at a
time: what they invent may shimmer, which is for the eye of whoever picks the model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generator.local.settings import LocalSettings, local_settings
from media.errors import RenderError, UsageError
from media.files import sha256_file

__all__ = ["ImageModel", "SpandrelEnlarger", "enlarger_of", "read_image_model"]

U8 = NDArray[np.uint8]

BACKEND_ID = "spandrel"

TILE = 512
"""Side of a tile in pixels of the frame that goes in."""

OVERLAP = 32
"""Pixels that neighbouring tiles share on each side and that are thrown away: more than most
convolutional models see around a pixel."""

SMALLEST_TILE = 128


@dataclass(frozen=True, slots=True)
class ImageModel:
    """A model on its device."""

    run: Callable[[Any], Any]
    """`(1, 3, h, w)` tensor in [0, 1] to `(1, 3, h * scale, w * scale)`, of `dtype` on `device`."""
    scale: int
    device: str
    dtype: Any


@dataclass(slots=True)
class SpandrelEnlarger:
    """An upscaling model, loaded when the first frame comes. For any thread, one at a time."""

    weights: Path
    device: str = ""
    read: Callable[[Path, str], ImageModel] = field(default_factory=lambda: read_image_model)
    tile: int = TILE
    """Halved when the device runs out of memory, and kept there."""
    _model: ImageModel | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def identity(self) -> str:
        """The weights by SHA-256; where seams of tiles fall does not change what is made."""
        return f"spandrel/1 {sha256_file(self.weights)}"

    def enlarged(self, rgb: U8, size: tuple[int, int]) -> U8:
        """`(h, w, 3) uint8 RGB` of a whole scale of the model, at least as large as `size`."""
        with self._lock:
            if self._model is None:
                self._model = self.read(self.weights, self.device)
            if self._model.scale < 2:
                raise RenderError(
                    "the model makes pictures no larger",
                    where=self.weights.name,
                    todo="choose a super-resolution model for [models.spandrel]",
                )
            while rgb.shape[1] < size[0] or rgb.shape[0] < size[1]:
                rgb = self._once(rgb, self._model)
            return rgb

    def _once(self, rgb: U8, model: ImageModel) -> U8:
        from generator.local.device import free_memory, is_out_of_memory

        while True:
            try:
                return _in_tiles(rgb, model, self.tile)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise RenderError(
                        f"the model failed: {type(error).__name__}: {error}",
                        where=self.weights.name,
                    ) from error
                if self.tile <= SMALLEST_TILE:
                    raise RenderError(
                        f"the device has no room for tiles of {self.tile} pixels",
                        where=self.weights.name,
                        todo="use a smaller model, or a device with more memory",
                    ) from error
            self.tile //= 2
            free_memory(model.device)


def enlarger_of(settings: LocalSettings | None = None) -> SpandrelEnlarger | None:
    """The upscaling model that this machine is set up with, or None. UsageError when it is wrong.

    Reads no weights and imports neither torch nor spandrel.
    """
    chosen = local_settings() if settings is None else settings
    model = chosen.model(BACKEND_ID)
    if model is None or not model.source:
        return None
    weights = Path(model.source).expanduser()
    if not weights.is_file():
        raise UsageError(
            "expected a file of weights for upscaling, there is none",
            where=str(weights),
            todo='correct "source" of [models.spandrel] in the models file',
        )
    if find_spec("spandrel") is None:
        raise UsageError(
            "[models.spandrel] is set up, but spandrel is not installed",
            todo="pip install takeboard[upscale], or take the table out of the models file",
        )
    return SpandrelEnlarger(weights, chosen.device)


def read_image_model(weights: Path, device: str) -> ImageModel:
    """The model that the weights hold, on `device` (empty: the first GPU, else the CPU).

    RenderError for a file that spandrel does not know, or a model that is not one from RGB to RGB.
    """
    import torch
    from spandrel import ImageModelDescriptor, ModelLoader

    from generator.local.device import pick_device

    target = pick_device(device)
    try:
        found = ModelLoader(device=torch.device(target)).load_from_file(weights)
    except Exception as error:
        # spandrel, torch and safetensors each raise errors of their own.
        raise RenderError(
            f"cannot load the upscaling model: {error}",
            where=weights.name,
            todo="choose another file for [models.spandrel]",
        ) from error
    channels = (found.input_channels, found.output_channels)
    if not isinstance(found, ImageModelDescriptor) or channels != (3, 3):
        raise RenderError(
            f"expected a model from RGB to RGB, got one of {channels[0]} to {channels[1]} channels",
            where=weights.name,
        )
    half = target != "cpu" and found.supports_half
    dtype = torch.float16 if half else torch.float32
    found.to(device=torch.device(target), dtype=dtype).eval()
    return ImageModel(found, int(found.scale), target, dtype)


def _in_tiles(rgb: U8, model: ImageModel, tile: int) -> U8:
    height, width = rgb.shape[:2]
    scale = model.scale
    out: U8 = np.empty((height * scale, width * scale, 3), np.uint8)
    for top, bottom in _stretches(height, tile):
        for left, right in _stretches(width, tile):
            first_row, first_column = max(0, top - OVERLAP), max(0, left - OVERLAP)
            seen = rgb[first_row : bottom + OVERLAP, first_column : right + OVERLAP]
            made = _through(seen, model)
            row, column = (top - first_row) * scale, (left - first_column) * scale
            rows, columns = (bottom - top) * scale, (right - left) * scale
            out[top * scale : bottom * scale, left * scale : right * scale] = made[
                row : row + rows, column : column + columns
            ]
    return out


def _stretches(length: int, tile: int) -> Iterator[tuple[int, int]]:
    """`length` in as few equal parts as are no longer than a tile."""
    count = -(-length // tile)
    for index in range(count):
        yield index * length // count, (index + 1) * length // count


def _through(rgb: U8, model: ImageModel) -> U8:
    import torch

    with torch.inference_mode():
        picture = torch.from_numpy(np.ascontiguousarray(rgb)).to(model.device)
        given = picture.permute(2, 0, 1)[None].to(model.dtype) / 255
        made = model.run(given)[0].float().clamp(0, 1)
        levels = (made * 255 + 0.5).to(torch.uint8).permute(1, 2, 0)
        return np.ascontiguousarray(levels.cpu().numpy())
