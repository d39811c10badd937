"""The cast's files in the forms that models take: a sheet of views, a loop, a voice, a movement.

Everything here is deterministic: the same files give the same arrays. What cannot be used, because
it is damaged, too small or too short, is refused in one line that names the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from generator.backends.base import Frames
from generator.keys import content_digest
from media.errors import MediaError, RefusalError
from media.files import sha256_file
from media.image import read_image, write_image
from media.store import ContentStore

__all__ = ["REFERENCES", "fitted", "looped", "motion_clip", "reference_sheet", "voice_sample"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

REFERENCES = "references"
"""Kind of the store that prepared references lie in."""

NEUTRAL = 128
"""Level of red, green and blue of the ground that views stand on: middle grey, as on the sheets
that reference adapters are trained with, so that no colour of it finds its way into a shot."""

MIN_SIDE = 32
"""A reference with a shorter side than this, in pixels, shows no face that a model could hold."""

MIN_VOICE_S = 0.5
"""Shortest speech, in seconds without the silence around it, that has a timbre to go by."""

MAX_CLIP_BYTES = 4 * 2**30
"""Largest motion clip that is held in memory, decoded."""

_QUIET_DB = -40.0
"""Relative to the loudest window: below it is silence. Speech spans about 30 dB (ANSI S3.5)."""

_WINDOW_S = 0.02
_LONGEST_READ_S = 600
_ROWS_AT_ONCE = 256
_SHEET = "sheet.png"


def reference_sheet(
    pictures: Sequence[Path], size: tuple[int, int], *, cache: Path | None = None
) -> U8:
    """All `pictures` side by side on a neutral ground, `(height, width, 3) uint8 RGB`.

    In the given order, row by row, each whole and as large as the grid lets it be; the grid is
    the one that shows most of them. RefusalError for a picture that cannot be used. With `cache`,
    the root of the store, a sheet of the same bytes is composed once: reading a cast's pictures
    takes seconds, and every take of theirs wants the sheet.
    """
    if not pictures:
        raise RefusalError("expected pictures for a reference sheet, got none")
    if cache is None:
        return _composed(pictures, size)

    def build(folder: Path) -> Mapping[str, object]:
        write_image(folder / _SHEET, _composed(pictures, size))
        return {"pictures": [path.name for path in pictures]}

    key = content_digest("sheet-1", tuple(sha256_file(path) for path in pictures), size)
    entry = ContentStore(cache, REFERENCES).make(key, build)
    return np.ascontiguousarray(read_image(entry.files[_SHEET])[..., :3])


def looped(sheet: U8, num_frames: int) -> Frames:
    """`sheet` as a clip that stands still, `(num_frames, height, width, 3) uint8 RGB`.

    A read-only view: one picture in memory, however long the clip is.
    """
    if num_frames < 1:
        raise RefusalError(f"expected at least one frame, got {num_frames}")
    return np.broadcast_to(sheet, (num_frames, *sheet.shape))


def fitted(path: Path, size: tuple[int, int], how: Literal["cover", "contain"] = "cover") -> U8:
    """The picture in `size`, `(height, width, 3) uint8 RGB`: cropped to fill it, or whole on grey.

    A crop loses twice as much below as above, as the cut does: what stands on the upper third,
    where eyes are framed, stays. RefusalError for a picture that cannot be used.
    """
    picture = _opaque(path)
    width, height = size
    if how == "contain":
        ground: U8 = np.full((height, width, 3), NEUTRAL, np.uint8)
        _place(picture, ground)
        return ground
    have_height, have_width = picture.shape[:2]
    scale = max(width / have_width, height / have_height)
    kept_width = max(1, min(have_width, round(width / scale)))
    kept_height = max(1, min(have_height, round(height / scale)))
    left, top = (have_width - kept_width) // 2, (have_height - kept_height) // 3
    return _scaled(picture[top : top + kept_height, left : left + kept_width], size)


def voice_sample(path: Path, rate: int, max_s: float) -> F32:
    """A voice without the silence around it, `(1 or 2, samples) float32 in [-1, 1]` at `rate` Hz.

    At most `max_s` seconds, from the first word on. RefusalError when the file cannot be read or
    holds less than half a second of sound.
    """
    try:
        sound = _read_at(path, rate)
    except MediaError as error:
        raise _unusable(path, error) from error
    window = max(1, round(rate * _WINDOW_S))
    count = sound.shape[1] // window
    power = np.mean(
        sound[:, : count * window].reshape(sound.shape[0], count, window) ** 2, axis=(0, 2)
    )
    loudest = float(power.max(initial=0.0))
    heard = np.flatnonzero(power > loudest * 10 ** (_QUIET_DB / 10))
    length_s = (int(heard[-1]) + 1 - int(heard[0])) * window / rate if heard.size else 0.0
    if length_s < MIN_VOICE_S:
        raise RefusalError(
            f"expected at least {MIN_VOICE_S:g} s of a voice, found {length_s:.2f} s",
            where=path.name,
            todo="record a longer line",
        )
    start, end = int(heard[0]) * window, (int(heard[-1]) + 1) * window
    trimmed = sound[:, start : min(end, start + round(max_s * rate))]
    return np.ascontiguousarray(np.clip(trimmed, -1.0, 1.0), np.float32)


def motion_clip(
    path: Path,
    fps: Fraction,
    num_frames: int,
    size: tuple[int, int],
    start_s: Fraction = Fraction(0),
) -> Frames:
    """A clip's frames from `start_s` at `fps`, `(num_frames, height, width, 3) uint8 RGB`.

    Each is the frame that was on screen at its time, cropped to fill `size`; decoded one by one.
    RefusalError when the clip is damaged, ends too early or would not fit in memory.
    """
    width, height = size
    if num_frames * width * height * 3 > MAX_CLIP_BYTES:
        raise RefusalError(
            f"expected at most {MAX_CLIP_BYTES >> 30} GiB of motion, got {num_frames} frames "
            f"of {width}x{height}",
            where=path.name,
            todo="shorten the shot",
        )
    # Plans import this module through the backends; only a render decodes.
    from media.conform import frames_at_rate

    frames: Frames = np.empty((num_frames, height, width, 3), np.uint8)
    conformed = frames_at_rate(
        path, fps=fps, start_s=start_s, num_frames=num_frames, size=size, fit="crop"
    )
    try:
        for index, frame in enumerate(conformed):
            frames[index] = frame
    except MediaError as error:
        raise _unusable(path, error) from error
    return frames


def _composed(pictures: Sequence[Path], size: tuple[int, int]) -> U8:
    views = [_opaque(path) for path in pictures]
    width, height = size
    gap = max(1, min(size) // 64)
    columns = max(range(1, len(views) + 1), key=lambda n: (_shown(views, n, size, gap), n))
    rows = [views[first : first + columns] for first in range(0, len(views), columns)]
    sheet: U8 = np.full((height, width, 3), NEUTRAL, np.uint8)
    for row, shown in enumerate(rows):
        top, bottom = row * height // len(rows), (row + 1) * height // len(rows)
        # A last row of fewer views stands in the middle.
        spare = (columns - len(shown)) * width // (2 * columns)
        for column, view in enumerate(shown):
            left = spare + column * width // columns
            right = spare + (column + 1) * width // columns
            cell = sheet[top:bottom, left:right]
            inner = cell[gap : cell.shape[0] - gap, gap : cell.shape[1] - gap]
            _place(view, inner if min(inner.shape[:2]) > 0 else cell)
    return sheet


def _unusable(path: Path, error: MediaError) -> RefusalError:
    return RefusalError(
        f"the reference cannot be used: {error.what}",
        where=path.name,
        todo=error.todo or "replace the file",
    )


def _opaque(path: Path) -> U8:
    """The picture `(height, width, 3) uint8 RGB`, what is clear in it on the neutral ground."""
    try:
        rgba = read_image(path)
    except MediaError as error:
        raise _unusable(path, error) from error
    height, width = rgba.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise RefusalError(
            f"expected a reference of at least {MIN_SIDE} pixels a side, found {width}x{height}",
            where=path.name,
            todo="give a larger picture",
        )
    if rgba[..., 3].min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    rgb: U8 = np.empty((height, width, 3), np.uint8)
    for first in range(0, height, _ROWS_AT_ONCE):
        rows = rgba[first : first + _ROWS_AT_ONCE].astype(np.uint32)
        alpha = rows[..., 3:]
        mixed = (rows[..., :3] * alpha + NEUTRAL * (255 - alpha) + 127) // 255
        rgb[first : first + _ROWS_AT_ONCE] = mixed
    return rgb


def _shown(views: Sequence[U8], columns: int, size: tuple[int, int], gap: int) -> int:
    """Pixels of a grid of so many columns that views cover."""
    rows = -(-len(views) // columns)
    cell = (max(1, size[0] // columns - 2 * gap), max(1, size[1] // rows - 2 * gap))
    inner = (_inside(view, cell) for view in views)
    return sum(width * height for width, height in inner)


def _inside(view: U8, cell: tuple[int, int]) -> tuple[int, int]:
    """Width and height of `view` scaled to lie whole inside `cell`."""
    scale = min(cell[0] / view.shape[1], cell[1] / view.shape[0])
    width, height = round(view.shape[1] * scale), round(view.shape[0] * scale)
    return max(1, min(cell[0], width)), max(1, min(cell[1], height))


def _place(view: U8, cell: U8) -> None:
    """Draw `view` whole into the middle of `cell`."""
    width, height = _inside(view, (cell.shape[1], cell.shape[0]))
    left, top = (cell.shape[1] - width) // 2, (cell.shape[0] - height) // 2
    cell[top : top + height, left : left + width] = _scaled(view, (width, height))


def _scaled(picture: U8, size: tuple[int, int]) -> U8:
    # A plan must not wait for OpenCV.
    import cv2

    if size == (picture.shape[1], picture.shape[0]):
        return np.ascontiguousarray(picture)
    smaller = size[0] <= picture.shape[1] and size[1] <= picture.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=how), np.uint8)


def _read_at(path: Path, rate: int) -> F32:
    """The file's first ten minutes of sound, `(1 or 2, samples) float32` at `rate` Hz."""
    from av.audio.resampler import AudioResampler

    from media.probe import open_media

    blocks: list[F32] = []
    num_samples = 0
    with open_media(path) as container:
        if not container.streams.audio:
            raise MediaError("there is no sound in the file", where=str(path))
        stream = container.streams.audio[0]
        layout = "mono" if stream.channels == 1 else "stereo"
        resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
        for frame in container.decode(stream):
            heard = [np.asarray(one.to_ndarray(), np.float32) for one in resampler.resample(frame)]
            blocks += heard
            num_samples += sum(block.shape[1] for block in heard)
            if num_samples > _LONGEST_READ_S * rate:
                break
        else:
            if num_samples:
                rest = resampler.resample(None)
                blocks += [np.asarray(one.to_ndarray(), np.float32) for one in rest]
    sound: F32 = np.concatenate(blocks, axis=1) if blocks else np.zeros((1, 0), np.float32)
    if not np.isfinite(sound).all():
        raise MediaError("the sound holds values that are not numbers", where=str(path))
    return sound
