"""The sheet that takes are chosen from: equal tiles, marked picks, pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from editor.contact_sheet import AMBER
from editor.take_sheet import MOST_TILES, Tile, take_sheet
from tests.editor.cut_samples import COLOURS, make_take

SIZE = (128, 96)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("takes")
    return [make_take(folder, index, 13).path for index in range(3)]


def tile(clips: list[Path], shot: int, take: int, *, picked: bool = False) -> Tile:
    name = f"sc010/sh{shot:03}0"
    return Tile(name, take, clips[take % 3], 13, picked, "slower, less smile")


def pixels(path: Path) -> NDArray[np.int16]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), np.int16)


def boxes(page: NDArray[np.int16], colour: tuple[int, int, int]) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height of each frame of that colour, by its straight edges."""
    near = (np.abs(page - np.array(colour)) < 40).all(axis=2)
    found = []
    for top in runs(near.sum(axis=1) > 300):
        for left in runs(near[top[0] : top[1]].all(axis=0)):
            found.append((left[0], top[0], left[1] - left[0], top[1] - top[0]))
    return found


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_picked_takes_are_framed_and_every_tile_is_as_large(
    clips: list[Path], tmp_path: Path
) -> None:
    tiles = [
        tile(clips, 1, 1, picked=True),
        tile(clips, 1, 2),
        tile(clips, 2, 1),
        tile(clips, 2, 2, picked=True),
        tile(clips, 3, 1, picked=True),
    ]
    [page] = take_sheet(tiles, tmp_path / "takes.png", title="Tiny", size=SIZE)
    edges = boxes(pixels(page), AMBER)
    assert len(edges) == 6, "the upper and the lower edge of three frames"
    assert {width for _, _, width, _ in edges} == {380}
    lefts = [left for left, _, _, _ in edges]
    assert lefts == [lefts[0], lefts[0], lefts[2], lefts[2], lefts[0], lefts[0]]
    heights = {lower[1] - upper[1] for upper, lower in zip(edges[::2], edges[1::2], strict=True)}
    assert len(heights) == 1


def test_a_tile_shows_the_middle_and_four_moments(clips: list[Path], tmp_path: Path) -> None:
    [page] = take_sheet([tile(clips, 1, 1)], tmp_path / "takes.png", title="Tiny", size=SIZE)
    picture = pixels(page)
    own = (np.abs(picture - np.array(COLOURS[1])) < 24).all(axis=2)
    assert own.sum(axis=1).max() >= 360, "the middle of the take fills the tile"
    lower = np.flatnonzero(own.any(axis=1))[-1]
    assert len(runs(own[lower])) == 4
    greys = [int(picture[lower + 12, (left + right) // 2, 0]) for left, right in runs(own[lower])]
    assert [
        abs(grey - (40 + frame * 7)) < 6 for grey, frame in zip(greys, (0, 4, 8, 12), strict=True)
    ] == [True] * 4


def test_neighbours_with_one_take_share_a_row(clips: list[Path], tmp_path: Path) -> None:
    alone = [tile(clips, shot, 1) for shot in (1, 2, 3)]
    [together] = take_sheet(alone, tmp_path / "a.png", title="Tiny", size=SIZE)
    two = [tile(clips, 1, 1), tile(clips, 1, 2), tile(clips, 2, 1)]
    [apart] = take_sheet(two, tmp_path / "b.png", title="Tiny", size=SIZE)
    assert pixels(together).shape[0] < pixels(apart).shape[0]


def test_many_takes_take_pages_and_old_pages_go(clips: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "takes.jpg"
    (tmp_path / "takes-notes.jpg").write_bytes(b"mine")
    many = [tile(clips, shot, 1) for shot in range(1, MOST_TILES + 2)]
    pages = take_sheet(many, out, title="Tiny", size=SIZE, jobs=2)
    assert [page.name for page in pages] == ["takes.jpg", "takes-2.jpg"]
    assert take_sheet(many[:3], out, title="Tiny", size=SIZE) == (out,)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["takes-notes.jpg", "takes.jpg"]


def test_an_upright_film_keeps_its_shape(clips: list[Path], tmp_path: Path) -> None:
    [page] = take_sheet([tile(clips, 1, 1)], tmp_path / "u.png", title="Tiny", size=(720, 1280))
    assert pixels(page).shape[0] < 700
