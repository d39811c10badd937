"""Pictures inside the pages of a run: a page holds what it shows, wherever it is looked at."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from PIL import Image

from media.errors import MediaError, translate_os_errors

__all__ = ["Bar", "bar_picture", "data_address"]

_WIDTH = 1200
_JPEG_QUALITY = 80
"""About 300 kB for a sheet of that width."""

Bar = Literal["moving", "done", "failed", "left"]
_BAR_SIZE = (240, 8)
"""As wide as a card of the UI lets it be, so that the words stand below it."""
_TRACK = "#8888"
_COLOURS: Mapping[Bar, str] = {
    "moving": "#3b82f6",
    "done": "#2ac769",
    "failed": "#fb4e4e",
    "left": "#a3a3a3",
}
"""On light and on dark pages; those of Prefect's states where it has one."""


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


def bar_picture(percent: float, kind: Bar = "moving") -> str:
    """A bar that is full at 100, as an address that a page can show; some 400 characters."""
    width, height = _BAR_SIZE
    filled = round(width * min(100.0, max(0.0, percent)) / 100)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<rect width="{width}" height="{height}" fill="{_TRACK}"/>'
        f'<rect width="{filled}" height="{height}" fill="{_COLOURS[kind]}"/></svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
