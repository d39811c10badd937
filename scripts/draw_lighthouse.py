"""Draws every reference, plate, board and LUT of the example film, the same bytes each time.

    python scripts/draw_lighthouse.py [FOLDER]

FOLDER defaults to storyboards/examples/lighthouse.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from lighthouse import mara, tomas
from lighthouse.grade import dusk_cube
from lighthouse.ink import Canvas, rgb
from lighthouse.palette import AMBER
from lighthouse.places import flatten, gallery, lamp_room, shore
from numpy.typing import NDArray
from PIL import Image

FIGURE_SIZE = (800, 1600)
PORTRAIT_SIZE = (1000, 1000)
BOARD_SIZE = (1280, 720)
EXAMPLE = Path(__file__).parent.parent / "storyboards" / "examples" / "lighthouse"

Figure = Callable[[Canvas], None]


def draw_all(folder: Path) -> list[Path]:
    """The files written, in drawing order."""
    for part in ("refs", "plates", "boards", "luts"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    written = []
    figures: dict[str, Figure] = {
        "mara_front": mara.front, "mara_side": mara.side,
        "tomas_front": tomas.front, "tomas_side": tomas.side,
    }  # fmt: skip
    for name, figure in figures.items():
        written.append(_png(folder / "refs" / f"{name}.png", _full_figure(figure)))
    for name, figure in (("mara", mara.front), ("tomas", tomas.front)):
        written.append(_png(folder / "refs" / f"{name}_portrait.png", _portrait(figure)))
    places: dict[str, Callable[[], list[Canvas]]] = {
        "shore": shore, "gallery": gallery, "gallery_dark": partial(gallery, lit=False),
        "lamp_room": lamp_room, "lamp_room_dark": partial(lamp_room, lit=False),
    }  # fmt: skip
    for name, paint in places.items():
        layers = paint()
        written += _place(folder / "plates", name, layers)
        if name == "gallery_dark":
            board = _close_up(flatten(layers), mara.front)
            written.append(_jpeg(folder / "boards" / "0080.jpg", board))
    (folder / "luts" / "dusk.cube").write_text(dusk_cube(), encoding="ascii", newline="\n")
    return [*written, folder / "luts" / "dusk.cube"]


def _full_figure(figure: Figure) -> NDArray[np.uint8]:
    """Head to feet on transparency, feet on the bottom edge, `(1600, 800, 4) uint8 RGBA`."""
    width, height = FIGURE_SIZE
    canvas = Canvas(width * 2, height * 2)
    figure(canvas.place(height * 2 / 1800, (width, 0)))
    return canvas.picture(2)


def _portrait(figure: Figure) -> NDArray[np.uint8]:
    """Head and shoulders on flat warm grey, as a photograph would come, `uint8 RGB`."""
    width, height = PORTRAIT_SIZE
    canvas = Canvas(width * 2, height * 2)
    canvas.lay(canvas.whole, rgb("b7aea3"))
    figure(canvas.place(3.9, (width, 130)))
    return canvas.picture(2)[..., :3]


def _close_up(plate: Canvas, figure: Figure) -> NDArray[np.uint8]:
    """A first frame: the character's face, a third to the right, the place soft behind."""
    width, height = BOARD_SIZE
    canvas = Canvas(width * 2, height * 2)
    part = plate.paint[90:900, 380:1820]
    soft = cv2.GaussianBlur(part, (0, 0), 7)
    canvas.paint[:] = cv2.resize(soft, (width * 2, height * 2), interpolation=cv2.INTER_CUBIC)
    halo = canvas.oval(width * 1.2, height * 0.9, 700, 700).blurred(240)
    canvas.glow(halo, AMBER, 0.12)
    figure(canvas.place(3.55, (width * 1.2, 20)))
    grain = np.random.default_rng(80).normal(0, 0.008, canvas.paint.shape[:2])
    canvas.paint[..., :3] += grain[..., None].astype(np.float32)
    return canvas.picture(2)[..., :3]


def _place(folder: Path, name: str, layers: list[Canvas]) -> list[Path]:
    """The flat plate and its depth layers, far to near."""
    far, *nearer = layers
    written = [
        _jpeg(folder / f"{name}.jpg", flatten(layers).picture()[..., :3]),
        _jpeg(folder / f"{name}_1_far.jpg", far.picture()[..., :3]),
    ]
    for number, layer in enumerate(nearer, start=2):
        kind = "middle" if number == 2 else "near"
        written.append(_png(folder / f"{name}_{number}_{kind}.png", layer.picture()))
    return written


def _png(path: Path, picture: NDArray[np.uint8]) -> Path:
    Image.fromarray(picture).save(path, optimize=True)
    return path


def _jpeg(path: Path, picture: NDArray[np.uint8]) -> Path:
    Image.fromarray(picture).save(path, quality=88, subsampling=0, optimize=True)
    return path


if __name__ == "__main__":
    for drawn in draw_all(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE):
        print(f"{drawn.stat().st_size:>9,}  {drawn}")
