"""Film grain: how much, where, and the same again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from editor.grain import FULL_LEVELS, add_grain
from editor.render import render_picture, render_span
from editor.spans import cut_spans, span_key
from media.store import ContentStore
from media.video import DELIVERY, read_frames
from storyboards.fields import TransitionKind
from tests.editor.cut_samples import Edge, cut_together, make_take

U8 = NDArray[np.uint8]


def flat(luma: int, size: tuple[int, int] = (320, 180)) -> U8:
    """Planes of one grey."""
    planes = np.full((size[1] * 3 // 2, size[0]), 128, np.uint8)
    planes[: size[1]] = luma
    return planes


def grained(luma: int, strength: float, take: str = "a", frame: int = 0) -> NDArray[np.int_]:
    """What the grain adds to each luma sample of a flat grey."""
    planes = flat(luma)
    add_grain(planes, strength, take, frame)
    assert (planes[180:] == 128).all()
    return planes[:180].astype(int) - luma


def test_grain_is_strongest_in_the_middle_and_none_in_black_and_white() -> None:
    spread = {luma: grained(luma, 0.5).std() for luma in (16, 40, 126, 210, 235)}
    assert spread[16] == spread[235] == 0
    assert spread[126] == pytest.approx(FULL_LEVELS / 2, rel=0.05)
    assert 0.4 < spread[40] / spread[126] < 0.8
    assert abs(grained(126, 0.5).mean()) < 0.2


def test_grain_follows_its_strength_and_never_wraps_round() -> None:
    spread = [grained(126, strength).std() for strength in (0.1, 0.2, 0.4, 1.0)]
    assert spread == pytest.approx([1.4, 2.8, 5.6, 14.0], rel=0.1)
    planes = flat(230)
    add_grain(planes, 1.0, "a", 0)
    assert planes[:180].min() > 180


def test_every_frame_has_its_own_grain_and_always_the_same() -> None:
    first = grained(126, 0.5)
    assert (grained(126, 0.5) == first).all()
    for other in (grained(126, 0.5, frame=1), grained(126, 0.5, take="b")):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05


def test_a_shot_keeps_its_grain_wherever_it_stands(tmp_path: Path) -> None:
    takes = [make_take(tmp_path, index, 12) for index in range(2)]
    alone = replace(cut_together(takes[1:], [None]), grain=0.4)
    after = replace(cut_together(takes, [None, None]), grain=0.4)
    keys = [span_key(cut_spans(one)[-1], one, DELIVERY) for one in (alone, after)]
    assert keys[0] == keys[1]
    spans = [cut_spans(one)[-1] for one in (alone, after)]
    frames = [
        [f.copy() for f in render_span(s, t)] for s, t in zip(spans, (alone, after), strict=True)
    ]
    assert all((one == other).all() for one, other in zip(*frames, strict=True))
    plain = replace(alone, grain=0.0)
    assert span_key(cut_spans(plain)[-1], plain, DELIVERY) != keys[0]


def test_a_dissolve_is_as_grainy_as_what_it_joins(tmp_path: Path) -> None:
    takes = [make_take(tmp_path, index, 12) for index in range(2)]
    heads = [None, Edge(TransitionKind.DISSOLVE, 6)]
    films = {}
    for grain in (0.0, 1.0):
        timeline = replace(cut_together(takes, heads), grain=grain)
        path = tmp_path / f"{grain}.mp4"
        render_picture(timeline, ContentStore(tmp_path, "segments"), path, encoding=DELIVERY)
        films[grain] = np.concatenate(list(read_frames(path))).astype(int)
    assert len(films[1.0]) == 18
    apart = np.abs(films[1.0] - films[0.0]).mean(axis=(1, 2, 3))
    # A mix of two grained pictures would be 0.7 times as grainy.
    assert apart[6:12].mean() > 0.85 * apart[:6].mean()
    assert apart.min() > 2
