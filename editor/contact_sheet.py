"""The film at a glance: a thumbnail of every clip, in order, on printed pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from editor.framing import framed
from editor.lettering import font_at, shortened
from editor.lut import apply_lut, load_lut
from editor.timeline import Clip, Timeline
from media.colour import i420_to_rgb
from media.image import write_image
from media.timebase import frames_to_seconds, timecode
from media.video import read_planes

__all__ = ["contact_sheet"]

MAX_THUMBS = 200
"""On one page; a longer film takes more pages."""

PAPER, INK, GREY, AMBER = (24, 25, 28), (238, 239, 241), (150, 154, 162), (255, 196, 84)


def contact_sheet(
    timeline: Timeline,
    out: Path,
    *,
    framings: Mapping[str, str],
    columns: int = 5,
    thumb_width: int = 320,
) -> tuple[Path, ...]:
    """Write the sheet to `out` (.jpg or .png) and return its pages, `out` first.

    `framings` says by shot id what stands below its picture, such as `MCU · push in · 50 mm`.
    Further pages are called `name-2.jpg` and so on.
    """
    columns = max(1, min(columns, len(timeline.clips)))
    per_page = max(1, MAX_THUMBS // columns) * columns
    thumb_height = round(thumb_width * timeline.size[1] / timeline.size[0] / 2) * 2
    grid = _Grid(columns, (thumb_width, max(2, thumb_height)))
    starts = range(0, len(timeline.clips), per_page)
    pages: list[Path] = []
    for number, start in enumerate(starts, 1):
        path = out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")
        clips = timeline.clips[start : start + per_page]
        page = _page(timeline, clips, framings, grid)
        _write_head(page, timeline, grid, f"{number} / {len(starts)}")
        write_image(path, np.asarray(page))
        pages.append(path)
    return tuple(pages)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where things stand on a page, in pixels."""

    columns: int
    thumb: tuple[int, int]

    @property
    def text_px(self) -> int:
        return max(9, round(self.thumb[0] * 0.048))

    @property
    def gap(self) -> int:
        return round(self.thumb[0] * 0.07)

    @property
    def head(self) -> int:
        return round(self.text_px * 3.4)

    @property
    def cell(self) -> tuple[int, int]:
        below = round(self.text_px * 3.6) + self.gap // 2
        return self.thumb[0] + self.gap, self.thumb[1] + below

    def page_size(self, num_clips: int) -> tuple[int, int]:
        rows = -(-num_clips // self.columns)
        height = self.head + self.gap + self.cell[1] * rows
        return self.cell[0] * self.columns + self.gap, height

    def place(self, index: int) -> tuple[int, int]:
        row, column = divmod(index, self.columns)
        x = self.gap + column * self.cell[0]
        return x, self.head + self.gap // 2 + row * self.cell[1]


def _page(
    timeline: Timeline, clips: tuple[Clip, ...], framings: Mapping[str, str], grid: _Grid
) -> Image.Image:
    page = Image.new("RGB", grid.page_size(len(clips)), PAPER)
    pen = ImageDraw.Draw(page)
    for index, clip in enumerate(clips):
        x, y = grid.place(index)
        page.paste(_thumbnail(clip, timeline, grid.thumb), (x, y))
        words = framings.get(clip.shot, "")
        _write_below(pen, clip, timeline, words, (x, y + grid.thumb[1], grid.thumb[0]))
    return page


def _write_head(page: Image.Image, timeline: Timeline, grid: _Grid, number: str) -> None:
    pen, width, gap, text_px = ImageDraw.Draw(page), page.width, grid.gap, grid.text_px
    large, small = font_at(round(text_px * 1.5), timeline.lang), font_at(text_px, timeline.lang)
    length = timecode(timeline.num_frames, timeline.fps)
    facts = (
        f"{len(timeline.clips)} shots  ·  {length}  ·  {float(timeline.fps):g} fps  ·  "
        f"{timeline.size[0]}×{timeline.size[1]}  ·  {number}"
    )
    baseline = gap // 2 + round(text_px * 1.6)
    pen.text((width - gap, baseline), facts, fill=GREY, font=small, anchor="rs")
    room = width - 3 * gap - small.getlength(facts)
    title = shortened(f"{timeline.title} · {timeline.name}", large, max(0, room))
    pen.text((gap, baseline), title, fill=INK, font=large, anchor="ls")


def _thumbnail(clip: Clip, timeline: Timeline, size: tuple[int, int]) -> Image.Image:
    middle = clip.media.start_frame + clip.num_frames // 2
    frame = next(read_planes(clip.media.path, start=middle, num_frames=1))
    picture = framed(frame, size, timeline.fit)
    if clip.lut:
        apply_lut(picture, load_lut(clip.lut, clip.lut_digest, clip.lut_strength))
    return Image.fromarray(i420_to_rgb(picture))


def _write_below(
    pen: ImageDraw.ImageDraw,
    clip: Clip,
    timeline: Timeline,
    framing: str,
    place: tuple[int, int, int],
) -> None:
    """Shot and length in one row; framing and where it stands in the film in the next."""
    x, y, width = place
    text_px = max(9, round(width * 0.048))
    font = font_at(text_px, timeline.lang)
    first = y + round(text_px * 1.35)
    second = first + round(text_px * 1.35)
    length = f"{float(frames_to_seconds(clip.num_frames, timeline.fps)):.1f} s"
    pen.text((x + width, first), length, fill=INK, font=font, anchor="rs")
    name = shortened(clip.shot, font, width - font.getlength(length) - text_px)
    pen.text((x, first), name, fill=AMBER, font=font, anchor="ls")
    start = timecode(clip.start_frame, timeline.fps)
    pen.text((x + width, second), start, fill=GREY, font=font, anchor="rs")
    words = shortened(framing, font, width - font.getlength(start) - text_px)
    pen.text((x, second), words, fill=GREY, font=font, anchor="ls")
