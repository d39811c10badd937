"""Every take of every shot at a glance, to choose from: the picked ones framed.

A tile shows the middle of the take and, below it, four moments from its first frame to its last.
Takes of one shot stand side by side in a row of their own; every tile is as large as every other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from editor.contact_sheet import AMBER, GREY, INK, PAPER
from editor.framing import framed
from editor.lettering import font_at, shortened
from media.colour import i420_to_rgb
from media.image import write_image
from media.video import read_planes

__all__ = ["Tile", "take_sheet"]

MOST_TILES = 24
"""On one page: what can be looked at together."""

_COLUMNS = 4
_MOMENTS = 4
_NIGHT = (42, 44, 50)
"""Behind a tile."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One take."""

    shot: str
    take: int
    picture: Path
    num_frames: int
    """What the cut may use of it, from its first frame on."""
    picked: bool
    words: str
    """Below its name: the note that it was asked for with, what made it."""


def take_sheet(
    tiles: Sequence[Tile], out: Path, *, title: str, size: tuple[int, int], jobs: int = 1
) -> tuple[Path, ...]:
    """Write the sheet to `out` (.jpg or .png) and return its pages, `out` first.

    `size` is the film's; `jobs` takes are read at a time. Further pages are called `name-2.jpg`
    and so on; those of an earlier and longer sheet are removed.
    """
    rows = tuple(_rows(tiles))
    pages = tuple(_pages(rows))
    columns = min(_COLUMNS, max(map(len, rows), default=1))
    plan = _Layout(columns, size)
    names = [
        out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")
        for number in range(1, len(pages) + 1)
    ]
    for old in out.parent.glob(f"{out.stem}-*{out.suffix}"):
        if old not in names and old.stem.removeprefix(f"{out.stem}-").isdigit():
            old.unlink(missing_ok=True)
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as readers:
        for number, (name, page) in enumerate(zip(names, pages, strict=True), 1):
            image = Image.new("RGB", plan.page_size(len(page)), PAPER)
            _write_head(image, plan, title, f"{number} / {len(pages)}")
            places = [
                (tile, plan.place(row, column))
                for row, in_row in enumerate(page)
                for column, tile in enumerate(in_row)
            ]
            drawn = readers.map(lambda placed: _drawn(placed[0], plan), places)
            for (_, place), picture in zip(places, drawn, strict=True):
                image.paste(picture, place)
            write_image(name, np.asarray(image))
    return tuple(names)


def _rows(tiles: Sequence[Tile]) -> Iterator[tuple[Tile, ...]]:
    """A row for each shot that has several takes; neighbours that have one share theirs."""
    by_shot: dict[str, list[Tile]] = {}
    for tile in tiles:
        by_shot.setdefault(tile.shot, []).append(tile)
    for single, shots in groupby(by_shot.values(), lambda takes: len(takes) == 1):
        groups = list(shots)
        for group in [list(chain.from_iterable(groups))] if single else groups:
            for start in range(0, len(group), _COLUMNS):
                yield tuple(group[start : start + _COLUMNS])


def _pages(rows: Sequence[tuple[Tile, ...]]) -> Iterator[tuple[tuple[Tile, ...], ...]]:
    per_page = MOST_TILES // _COLUMNS
    for start in range(0, max(1, len(rows)), per_page):
        yield tuple(rows[start : start + per_page])


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things stand, in pixels."""

    columns: int
    film_size: tuple[int, int]
    width: int = 380
    edge: int = 5
    """Of the frame around a picked take; other tiles leave it empty."""
    strip: int = 3
    """Between a take's middle and its moments."""
    gap: int = 18
    text_px: int = 19

    @property
    def inner(self) -> int:
        """Width of a tile's picture."""
        return self.width - 2 * self.edge

    @property
    def picture(self) -> tuple[int, int]:
        """The take's middle. An upright film is shown no higher than its tile is wide."""
        width, height = self.film_size
        scale = min(self.inner / width, self.inner / height)
        return _even(width * scale), _even(height * scale)

    @property
    def moment(self) -> tuple[int, int]:
        width, height = self.picture
        small = self.inner // _MOMENTS - 2
        scale = min(small / width, small / height)
        return _even(width * scale), _even(height * scale)

    @property
    def tile(self) -> tuple[int, int]:
        words = round(self.text_px * 3.1)
        height = self.picture[1] + self.strip + self.moment[1]
        return self.width, height + words + 2 * self.edge

    @property
    def head(self) -> int:
        return round(self.text_px * 2.8)

    def page_size(self, rows: int) -> tuple[int, int]:
        width = self.gap + self.columns * (self.tile[0] + self.gap)
        return width, self.head + self.gap + max(1, rows) * (self.tile[1] + self.gap)

    def place(self, row: int, column: int) -> tuple[int, int]:
        x = self.gap + column * (self.tile[0] + self.gap)
        return x, self.head + self.gap + row * (self.tile[1] + self.gap)


def _drawn(tile: Tile, plan: _Layout) -> Image.Image:
    image = Image.new("RGB", plan.tile, _NIGHT)
    pen = ImageDraw.Draw(image)
    last = max(0, tile.num_frames - 1)
    (width, height), (small_width, small_height) = plan.picture, plan.moment
    left = plan.edge + (plan.inner - width) // 2
    image.paste(_frame(tile.picture, last // 2, plan.picture), (left, plan.edge))
    below = plan.edge + height + plan.strip
    for moment in range(_MOMENTS):
        frame = _frame(tile.picture, last * moment // (_MOMENTS - 1), plan.moment)
        slot = plan.inner * moment // _MOMENTS + (plan.inner // _MOMENTS - small_width) // 2
        image.paste(frame, (plan.edge + slot, below))
    _write_words(pen, tile, plan, below + small_height)
    if tile.picked:
        pen.rectangle((0, 0, plan.tile[0] - 1, plan.tile[1] - 1), outline=AMBER, width=plan.edge)
    return image


def _frame(path: Path, index: int, size: tuple[int, int]) -> Image.Image:
    planes = next(read_planes(path, start=index, num_frames=1))
    return Image.fromarray(i420_to_rgb(framed(planes, size, "crop")))


def _write_words(pen: ImageDraw.ImageDraw, tile: Tile, plan: _Layout, y: int) -> None:
    """Shot and take in one row, the take's words in the next."""
    font, small = font_at(plan.text_px, "en"), font_at(round(plan.text_px * 0.84), "en")
    pad = plan.edge + 7
    first = y + round(plan.text_px * 1.3)
    right = plan.width - pad
    named = f"take {tile.take}" + (" · picked" if tile.picked else "")
    room = right - pad - font.getlength(named) - plan.text_px
    shot = shortened(tile.shot, font, max(0, room))
    pen.text((pad, first), shot, fill=INK, font=font, anchor="ls")
    pen.text((right, first), named, fill=AMBER if tile.picked else INK, font=font, anchor="rs")
    words = shortened(tile.words, small, right - pad)
    pen.text((pad, first + round(plan.text_px * 1.3)), words, fill=GREY, font=small, anchor="ls")


def _write_head(page: Image.Image, plan: _Layout, title: str, number: str) -> None:
    pen = ImageDraw.Draw(page)
    large, small = font_at(round(plan.text_px * 1.4), "en"), font_at(plan.text_px, "en")
    baseline = plan.gap // 2 + round(plan.text_px * 1.7)
    right = page.width - plan.gap
    pen.text((right, baseline), number, fill=GREY, font=small, anchor="rs")
    room = right - 2 * plan.gap - small.getlength(number)
    words = shortened(title, large, max(0, room))
    pen.text((plan.gap, baseline), words, fill=INK, font=large, anchor="ls")


def _even(pixels: float) -> int:
    return max(2, int(pixels) // 2 * 2)
