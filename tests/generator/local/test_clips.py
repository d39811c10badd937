"""Cutting a model's clip to the take, watching its steps, and the canvas it is made on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.backends.base import RenderTools
from generator.backends.minimax_h3 import MiniMaxH3
from generator.local.canvases import Canvas
from generator.local.clips import steps_watched, trimmed
from generator.local.settings import LocalSettings
from media.errors import CancelledError, RenderError


def numbered(lengths: list[int]) -> Iterator[Any]:
    start = 0
    for length in lengths:
        yield np.arange(start, start + length, dtype=np.uint8).reshape(-1, 1, 1, 1)
        start += length


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 3), st.data())
def test_trimmed_gives_what_was_asked_in_small_chunks(
    lengths: list[int], skip: int, data: st.DataObject
) -> None:
    made = sum(lengths)
    if made <= skip:
        with pytest.raises(RenderError, match="were not decoded"):
            list(trimmed(numbered(lengths), skip, 1))
        return
    wanted = data.draw(st.integers(1, made - skip))
    chunks = list(trimmed(numbered(lengths), skip, wanted))
    assert max(len(chunk) for chunk in chunks) <= 16
    assert np.concatenate(chunks).ravel().tolist() == list(range(skip, skip + wanted))


def test_what_comes_after_the_last_frame_is_not_decoded() -> None:
    def decoding() -> Iterator[Any]:
        yield np.zeros((8, 1, 1, 3), np.uint8)
        raise AssertionError("decoded too much")

    assert len(next(trimmed(decoding(), 0, 8))) == 8
    with pytest.raises(RenderError, match="2 were not decoded"):
        list(trimmed(iter([np.zeros((8, 1, 1, 3), np.uint8)]), 0, 10))


class Scheduler:
    """Counts; `eta` and `generator` are what pipelines look for."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self, sample: int, eta: float = 0.0, generator: object = None) -> int:
        self.steps += 1
        return sample + 1


def test_watched_steps_count_and_stop_and_leave_the_scheduler_as_it_was() -> None:
    scheduler, seen = Scheduler(), []
    tools = RenderTools(
        {}, should_stop=lambda: len(seen) == 2, on_step=lambda *step: seen.append(step)
    )
    with steps_watched(scheduler, 4, tools):
        assert "generator" in inspect.signature(scheduler.step).parameters
        assert [scheduler.step(sample) for sample in range(2)] == [1, 2]
        with pytest.raises(CancelledError, match="step 3 of 4"):
            scheduler.step(2)
    assert seen == [(1, 4), (2, 4)]
    assert scheduler.steps == 2
    assert "step" not in vars(scheduler)


@given(st.integers(64, 4096), st.integers(64, 4096))
def test_a_canvas_settles_within_its_limits(width: int, height: int) -> None:
    able = MiniMaxH3(LocalSettings()).capabilities
    canvas = Canvas(pixels=768 * 1344, short_edge=768)
    if not 0.3 < width / height < 3:
        return
    size = canvas.size_for((width, height), able)
    assert [edge % 32 for edge in size] == [0, 0]
    assert size[0] * size[1] <= canvas.pixels
    assert min(size) <= 768
    assert canvas.size_for(size, able) == size
