"""Pictures in and out: PNG, JPEG, WebP and TIFF, checked before their pixels are believed."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from media.errors import MediaError, translate_os_errors
from media.files import write_atomic

__all__ = ["MAX_PIXELS", "check_image", "image_size", "read_image", "write_image"]

U8 = NDArray[np.uint8]

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded, width times height; 256 MB as RGBA."""

MAX_FILE_BYTES = 256 * 2**20

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
_FORMAT_BY_SUFFIX = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
_EXIF_ORIENTATION = 0x0112


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> U8:
    """The picture `(height, width, 4) uint8 RGBA`, straight alpha, upright as its EXIF says."""
    with _opened(path, max_pixels) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):
            # 16-bit grey; Pillow's own conversion to 8 bits clips instead of scaling.
            grey = np.asarray(upright).astype(np.int64) >> 8
            upright = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
        rgba: U8 = np.array(upright.convert("RGBA"))
        return rgba


def image_size(path: Path) -> tuple[int, int]:
    """`(width, height)` in pixels, upright, from the header alone."""
    with _opened(path, MAX_PIXELS) as image:
        turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
        return (image.height, image.width) if turned else (image.width, image.height)


def check_image(path: Path) -> str | None:
    """None when the whole picture is sound, else what is wrong with it.

    All of its data is read. A PNG carries checksums of its own, and checking them takes a
    hundredth of the time that its pixels would; a JPEG is decoded at an eighth of its size,
    anything else whole.
    """
    try:
        with _opened(path, MAX_PIXELS) as image:
            if image.format == "PNG":
                image.verify()
            else:
                image.draft("RGB", (image.width // 8, image.height // 8))
                image.load()
    except MediaError as error:
        return error.what
    return None


def write_image(path: Path, picture: U8) -> None:
    """Write `(height, width, 3 or 4) uint8 RGB(A)` in the format of the name, whole or not at all.

    JPEG has no alpha: it is dropped there.
    """
    kind = _FORMAT_BY_SUFFIX.get(path.suffix.lower())
    if kind is None:
        raise MediaError(
            f"expected a name ending in one of {', '.join(_FORMAT_BY_SUFFIX)}", where=str(path)
        )
    if picture.ndim != 3 or picture.shape[2] not in (3, 4) or picture.dtype != np.uint8:
        raise MediaError(
            f"expected (height, width, 3 or 4) uint8, got {picture.shape} {picture.dtype}",
            where=str(path),
        )
    pixels = picture[:, :, :3] if kind == "JPEG" else picture
    encoded = io.BytesIO()
    options = {"JPEG": {"quality": 92}, "PNG": {"compress_level": 3}}.get(kind, {})
    Image.fromarray(np.ascontiguousarray(pixels)).save(encoded, kind, **options)
    write_atomic(path, encoded.getvalue())


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """The picture with its header read and found sane; Pillow's errors are translated."""
    with translate_os_errors("read", path, MediaError):
        if not path.is_file():
            raise MediaError("there is no such file", where=str(path))
        num_bytes = path.stat().st_size
    if num_bytes == 0:
        raise MediaError("the file is empty", where=str(path))
    if num_bytes > MAX_FILE_BYTES:
        raise MediaError(
            f"expected at most {MAX_FILE_BYTES >> 20} MiB, found {num_bytes >> 20} MiB",
            where=str(path),
        )
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise MediaError(
                    f"expected at most {max_pixels / 1e6:g} megapixels, "
                    f"found {image.width}x{image.height}",
                    where=str(path),
                )
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaError("the picture is enormous", where=str(path)) from error
    except UnidentifiedImageError as error:
        raise MediaError(
            "expected a PNG, JPEG, WebP or TIFF picture, found something else", where=str(path)
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, struct.error) as error:
        # Pillow reports damaged data with all of these.
        raise MediaError(
            f"the picture is damaged or cut short: {error}", where=str(path)
        ) from error
