"""Takes: rendered once, checked frame by frame, whole or absent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.backends.base import Frames, RenderRequest, RenderTools
from generator.plan import Plan, plan_shots
from generator.rendering import render_take, tools_for
from generator.requests import assets_for
from generator.takes import TakeStore, record_plan, spent_usd
from media.errors import CancelledError, MediaError, RenderError
from media.files import sha256_file
from media.probe import probe
from media.video import read_frame
from storyboards.film import Asset, Continuation, Keyframe
from tests.factories import make_film, make_shot
from tests.fakes import FakeBackend

TOOLS = RenderTools({})


@pytest.fixture
def store(tmp_path: Path) -> TakeStore:
    return TakeStore(tmp_path / "store")


def planned(store: TakeStore, backend: FakeBackend, *shots: Any) -> Plan:
    film = make_film(shots, size=(64, 36))
    return plan_shots(film, {backend.id: backend}, store.entries, {})


def test_a_take_is_rendered_once(store: TakeStore) -> None:
    backend = FakeBackend(usd=0.5)
    plan = planned(store, backend, make_shot(seeds=(120,)))
    (job,) = plan.jobs
    steps: list[tuple[int, int]] = []
    tools = RenderTools({}, on_step=lambda done, total: steps.append((done, total)))
    take = render_take(job, backend, store, tools)
    assert render_take(job, backend, store, tools) == take == store.find(job.key)
    assert len(backend.renders) == 1
    assert steps == [(16, 24), (24, 24)]
    assert probe(take.picture, count_frames=True).num_frames == take.num_frames == 24
    assert (take.size, take.fps) == ((64, 36), 24)
    assert abs(int(read_frame(take.picture, 23).mean()) - 120) <= 1
    assert take.sound is not None
    assert take.manifest["backend"] == "fake"
    assert take.manifest["seed"] == 120
    assert take.manifest["request"]["num_frames"] == 24
    record_plan(plan, store)
    assert spent_usd(plan.film, store) == 0.5


class Bad(FakeBackend):
    """Gives back chunks that break the contract."""

    def __init__(self, chunks: list[Any]) -> None:
        super().__init__()
        self.chunks = chunks

    def _frames(self, request: RenderRequest, tools: RenderTools) -> Iterator[Frames]:
        yield from self.chunks


def grey(*shape: int, dtype: Any = np.uint8) -> Frames:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [grey(16, 36, 64, 3)],
        [grey(16, 36, 64, 3), grey(9, 36, 64, 3)],
        [grey(24, 36, 64, 3)],
        [grey(0, 36, 64, 3)],
        [grey(12, 64, 36, 3)] * 2,
        [grey(12, 36, 64, 4)] * 2,
        [grey(12, 36, 64, 3, dtype=np.float32)] * 2,
        [None],
    ],
)
def test_broken_chunks_are_refused_by_name(store: TakeStore, chunks: list[Any]) -> None:
    backend = Bad(chunks)
    (job,) = planned(store, backend, make_shot()).jobs
    with pytest.raises((RenderError, MediaError), match=r"sc010/sh0010 take 1|no frames"):
        render_take(job, backend, store, TOOLS)
    assert store.find(job.key) is None
    assert store.entries.litter() == []


def test_a_backends_own_exception_is_translated(store: TakeStore) -> None:
    class Broken(FakeBackend):
        def render(self, request: Any, tools: Any) -> Any:
            raise ZeroDivisionError("oops")

    backend = Broken()
    (job,) = planned(store, backend, make_shot()).jobs
    with pytest.raises(RenderError, match="take 1: fake failed: ZeroDivisionError: oops"):
        render_take(job, backend, store, TOOLS)


def test_another_raster_than_planned_is_refused(store: TakeStore) -> None:
    class Small(FakeBackend):
        def render(self, request: Any, tools: Any) -> Any:
            return super().render(replace(request, size=(32, 18)), tools)

    backend = Small()
    (job,) = planned(store, backend, make_shot()).jobs
    with pytest.raises(RenderError, match=r"expected 24 frames of 64x36 .* got .* 32x18"):
        render_take(job, backend, store, TOOLS)


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_cancelled_at_any_step_leaves_nothing(store: TakeStore, after: int) -> None:
    backend = FakeBackend()
    (job,) = planned(store, backend, make_shot()).jobs
    asked = iter([False] * after)
    tools = RenderTools({}, should_stop=lambda: next(asked, True))
    with pytest.raises(CancelledError):
        render_take(job, backend, store, tools)
    assert store.find(job.key) is None
    assert store.entries.litter() == []
    render_take(job, backend, store, TOOLS)


def test_tools_hold_the_files_and_the_parent_take(store: TakeStore, tmp_path: Path) -> None:
    board = tmp_path / "board.png"
    board.write_bytes(b"one")
    asset = Asset(board, sha256_file(board))
    first = make_shot("sc010/sh0010")
    second = make_shot(
        "sc010/sh0020",
        keyframes=(Keyframe(23, asset, 1.0),),
        continues=Continuation(first.id, "extend", 1),
    )
    backend = FakeBackend()
    plan = planned(store, backend, first, second)
    child = plan.job(second.id)
    with pytest.raises(RenderError, match="sc010/sh0020 take 1: the take that it goes on from"):
        tools_for(child, assets_for(plan.film), store, TOOLS)
    parent = render_take(plan.job(first.id), backend, store, TOOLS)
    tools = tools_for(child, assets_for(plan.film), store, TOOLS)
    assert tools.assets == {asset.sha256: board}
    assert tools.takes[child.waits_for].picture == parent.picture
    board.write_bytes(b"other")
    with pytest.raises(RenderError, match=r"board\.png has changed since the plan"):
        tools_for(child, assets_for(plan.film), store, TOOLS)
