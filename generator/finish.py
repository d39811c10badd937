"""Finished takes: picked takes brought to the rate and the size that the film is cut at.

A finished take lies in a store of its own, keyed by the take's key, what is asked of it and how
it is done, so a film that is cut again finishes nothing twice, and the take itself stays as the
model made it. Everything is one pass: decode → enlarge by a model → re-time → scale → encode,
frame by frame, so that memory does not grow with length. The sound is the take's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from generator.keys import content_digest
from generator.takes import PICTURE, Take
from media.errors import MediaError, RenderError
from media.store import ContentStore

__all__ = [
    "FINISHED",
    "Enlarger",
    "FinishRecipe",
    "FinishedFilm",
    "enlarger_for",
    "finish_key",
    "finish_take",
    "finished_picture",
    "recipe_for",
]

U8 = NDArray[np.uint8]

FINISHED = "finished"
"""Kind of the store that finished takes lie in."""

REVISION = "finish-1"
"""Goes up when the same take and recipe make other frames, here or in `generator/finishing`."""

_SPANDREL = "generator.finishing.spandrel"


class Enlarger(Protocol):
    """A model that makes pictures larger."""

    @property
    def identity(self) -> str:
        """Of model, weights and the way they are used; part of the key."""

    def enlarged(self, rgb: U8, size: tuple[int, int]) -> U8:
        """`(h, w, 3) uint8 RGB` at least as large as `size` (width, height), of the same shape."""


@dataclass(frozen=True, slots=True)
class FinishedFilm:
    """What takes are finished for."""

    raster: tuple[int, int]
    """That takes are made for."""
    upscale: int
    """How many times larger the film is cut."""
    fps: Fraction
    """That the film is cut at."""


@dataclass(frozen=True, slots=True)
class FinishRecipe:
    """What a take is to become."""

    size: tuple[int, int]
    fps: Fraction
    num_frames: int


def recipe_for(
    size: tuple[int, int], fps: Fraction, seconds: Fraction, wanted: FinishedFilm
) -> FinishRecipe | None:
    """What a take of `size` at `fps`, of which the cut uses `seconds`, must become; None: nothing.

    A take keeps its shape: it is made to cover the film's enlarged raster, and the cut crops it.
    Without an upscale the size is left to the cut, whose own scaling is as good and costs no file.
    """
    made = size
    if wanted.upscale > 1:
        scale = max(Fraction(wanted.raster[0], size[0]), Fraction(wanted.raster[1], size[1]))
        if scale * wanted.upscale > 1:
            made = (
                _even(size[0] * scale * wanted.upscale),
                _even(size[1] * scale * wanted.upscale),
            )
    if made == size and fps == wanted.fps:
        return None
    return FinishRecipe(made, wanted.fps, max(1, math.ceil(seconds * wanted.fps)))


def enlarger_for(wanted: FinishedFilm) -> Enlarger | None:
    """The upscaling model that this machine is set up with, where the film asks for one.

    None: takes are enlarged by a filter. UsageError when the model is set up wrongly.
    """
    if wanted.upscale == 1:
        return None
    # By name, as backends are: nothing that plans or cuts depends on torch.
    chosen: Callable[[], Enlarger | None] = import_module(_SPANDREL).enlarger_of
    return chosen()


def finish_key(take_key: str, recipe: FinishRecipe, enlarger: Enlarger | None = None) -> str:
    """Key of the finished take, in hexadecimal; known before the take is."""
    model = enlarger.identity if enlarger is not None else ""
    return content_digest(REVISION, take_key, recipe, model)


def finished_picture(key: str, store_root: Path) -> Path:
    """Where the picture of a finished take is or will be."""
    return ContentStore(store_root, FINISHED).entry_folder(key) / PICTURE


def finish_take(
    take: Take,
    recipe: FinishRecipe,
    store_root: Path,
    *,
    enlarger: Enlarger | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Take:
    """The finished take, made when it is not in the store; exactly `recipe.num_frames` frames.

    Its key is that of the finished take, its sound the take's own. Raises RenderError when the
    take is too short, CancelledError, StoreError; cancelled or failed, it leaves nothing.
    """
    key = finish_key(take.key, recipe, enlarger)

    def build(folder: Path) -> Mapping[str, Any]:
        # A plan asks for keys alone and must not wait for libav.
        from media.video import MEZZANINE, write_planes

        try:
            made = write_planes(
                folder / PICTURE,
                _counted(_finished_frames(take, recipe, enlarger), recipe.num_frames, on_step),
                size=recipe.size,
                fps=recipe.fps,
                encoding=MEZZANINE,
                should_stop=should_stop,
            )
        except MediaError as error:
            raise RenderError(
                f"the take {take.key[:12]} cannot be finished: {error.what}",
                where=error.where,
                todo=error.todo or "render the shot again",
            ) from error
        if made != recipe.num_frames:
            raise RenderError(f"expected {recipe.num_frames} frames, got {made}", where=take.key)
        return {
            "take": take.key,
            "size": list(recipe.size),
            "fps": str(recipe.fps),
            "num_frames": recipe.num_frames,
            "model": enlarger.identity if enlarger is not None else "",
            "revision": REVISION,
        }

    entry = ContentStore(store_root, FINISHED).make(key, build, should_stop=should_stop)
    return replace(
        take,
        key=key,
        picture=entry.files[PICTURE],
        num_frames=recipe.num_frames,
        fps=recipe.fps,
        size=recipe.size,
        manifest={**take.manifest, "finished": entry.details},
    )


def _finished_frames(take: Take, recipe: FinishRecipe, enlarger: Enlarger | None) -> Iterator[U8]:
    """The finished take's planes, each gone when the next is asked for."""
    from generator.finishing.interpolation import retimed
    from generator.finishing.lanczos import scaled
    from media.video import read_planes

    frames: Iterator[U8] = read_planes(take.picture)
    # A model's pictures are dear, so it sees each frame that was made once; a filter's are cheap,
    # and motion is measured faster in small pictures.
    if enlarger is not None and recipe.size[0] > take.size[0]:
        frames = scaled(_enlarged(frames, enlarger, recipe.size), recipe.size)
    if recipe.fps != take.fps:
        frames = retimed(frames, take.fps, recipe.fps, recipe.num_frames)
    else:
        frames = _held(frames, recipe.num_frames)
    return scaled(frames, recipe.size)


def _enlarged(frames: Iterator[U8], enlarger: Enlarger, size: tuple[int, int]) -> Iterator[U8]:
    from media.colour import i420_to_rgb, rgb_to_i420

    out: U8 | None = None
    for planes in frames:
        rgb = enlarger.enlarged(i420_to_rgb(planes), size)
        height, width = (side // 2 * 2 for side in rgb.shape[:2])
        out = rgb_to_i420(np.ascontiguousarray(rgb[:height, :width]), out)
        yield out


def _held(frames: Iterator[U8], num_frames: int) -> Iterator[U8]:
    """The first `num_frames` frames; the last is held for one frame that rounding may lack."""
    made = 0
    last: U8 | None = None
    for planes in frames:
        if made == num_frames:
            return
        last = planes
        yield planes
        made += 1
    if last is None or num_frames - made > 1:
        raise MediaError(f"expected {num_frames} frames, got {made}")
    if made < num_frames:
        yield last


def _counted(
    frames: Iterator[U8], num_frames: int, on_step: Callable[[int, int], None]
) -> Iterator[U8]:
    for done, planes in enumerate(frames, start=1):
        yield planes
        on_step(done, num_frames)


def _even(side: Fraction) -> int:
    """The even number that is not less."""
    return 2 * math.ceil(side / 2)
