"""Pictures inside the pages of a run: a page holds what it shows, wherever it is looked at."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from media.errors import MediaError, translate_os_errors

__all__ = ["data_address"]

_WIDTH = 1200
_JPEG_QUALITY = 80
"""About 300 kB for a sheet of that width."""


def data_address(sheet: Path, width: int = _WIDTH) -> str:
    """The picture, at most `width` pixels wide, as an address that a page can show.

    MediaError when it cannot be read.
    """
    with translate_os_errors("read a contact sheet", sheet, MediaError), Image.open(sheet) as image:
        small = image.convert("RGB")
    if small.width > width:
        height = max(1, round(small.height * width / small.width))
        small = small.resize((width, height), Image.Resampling.LANCZOS)
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode("ascii")
