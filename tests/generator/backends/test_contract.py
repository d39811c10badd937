"""One suite over every backend: what the planner and the take store rely on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contract import BACKENDS, Studio, frames_of, request_for

from generator.backends.base import Backend, EditOf, KeyPicture, LoraWeight, Reference, RenderTools
from media.errors import CancelledError, RefusalError, RenderError
from media.image import read_image


@pytest.fixture(params=BACKENDS, ids=lambda make: make.__name__.lower())
def backend(request: pytest.FixtureRequest) -> Backend:
    made: Backend = request.param()
    return made


def test_is_a_backend(backend: Backend) -> None:
    assert isinstance(backend, Backend)
    assert backend.id
    assert backend.revision


@pytest.mark.parametrize("num_frames", [1, 15, 16, 17, 33])
def test_gives_exactly_the_frames_in_small_chunks(backend: Backend, num_frames: int) -> None:
    request = backend.snap(request_for(num_frames)).request
    rendered = backend.render(request, RenderTools({}))
    chunks = list(rendered.frames)
    assert sum(len(chunk) for chunk in chunks) == rendered.num_frames == request.num_frames
    assert rendered.size == request.size
    for chunk in chunks:
        assert 1 <= len(chunk) <= 16
        assert chunk.dtype == np.uint8
        assert chunk.shape[1:] == (request.size[1], request.size[0], 3)


def test_snap_is_pure_and_settles(backend: Backend) -> None:
    request = request_for(size=(193, 109), negative="blur")
    once = backend.snap(request)
    assert backend.snap(request) == once
    again = backend.snap(once.request)
    assert again.request == once.request
    assert not again.adjustments
    assert not again.losses
    assert backend.quote(once.request) == backend.quote(once.request)
    multiple = backend.capabilities.size_multiple
    assert [edge % multiple for edge in once.request.size] == [0, 0]
    assert once.adjustments


def test_names_what_it_drops(backend: Backend) -> None:
    able = backend.capabilities
    asked = request_for(
        references=(Reference("audio", "voice", "a" * 64, "ada"),),
        loras=(LoraWeight("b" * 64, 1.0, "ada"),),
        edit=EditOf("t" * 64, "relight", "make it dawn"),
        audio="native",
        options=(("no_such_option", 1),),
    )
    snapped = backend.snap(asked)
    named = " ".join(loss.field for loss in snapped.losses)
    assert "no_such_option" in named
    if not able.loras:
        assert "lora" in named
        assert not snapped.request.loras
    if not able.edit:
        assert "edit" in named
        assert snapped.request.edit is None
    if not able.native_audio:
        assert "audio" in named
        assert snapped.request.audio == "none"
    if not able.max_references["audio"]:
        assert "cast.ada.voice" in named
    assert all(loss.reason for loss in snapped.losses)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_frames": 0},
        {"num_frames": 10**7},
        {"size": (4, 4)},
        {"key_pictures": (KeyPicture(99, "c" * 64),)},
    ],
)
def test_refuses_in_snap_what_cannot_be(backend: Backend, changes: dict[str, object]) -> None:
    with pytest.raises(RefusalError):
        backend.snap(replace(request_for(), **changes))  # type: ignore[arg-type]


def test_same_seed_same_pixels_in_any_thread(backend: Backend) -> None:
    request = request_for()
    first = frames_of(backend, request)
    with ThreadPoolExecutor(2) as pool:
        others = list(pool.map(lambda _: frames_of(backend, request), range(2)))
    assert all(np.array_equal(first, other) for other in others)


def test_other_seed_other_pixels(backend: Backend) -> None:
    if not backend.capabilities.seeded:
        pytest.skip("not seeded")
    one, other = (frames_of(backend, request_for(seed=seed)) for seed in (1, 2))
    assert np.abs(one.astype(int) - other).mean() > 0.5


def test_stops_when_asked(backend: Backend) -> None:
    asked = iter(range(10**6))
    tools = RenderTools({}, should_stop=lambda: next(asked) > 8)
    request = backend.snap(request_for(200)).request
    with pytest.raises(CancelledError):
        for _ in backend.render(request, tools).frames:
            pass
    assert next(asked) < 40


def test_reports_every_step(backend: Backend) -> None:
    steps: list[tuple[int, int]] = []
    tools = RenderTools({}, on_step=lambda done, total: steps.append((done, total)))
    list(backend.render(backend.snap(request_for(20)).request, tools).frames)
    assert steps[-1][0] == steps[-1][1]
    assert steps == sorted(steps)


def test_key_pictures_stand_exactly(backend: Backend, tmp_path: Path) -> None:
    if backend.capabilities.keyframe_positions == "none":
        pytest.skip("holds no pictures")
    for at in (0, 11, 19):
        request, tools = Studio(tmp_path).keyed(request_for(20), at)
        frames = frames_of(backend, request, tools)
        (path,) = tools.assets.values()
        assert np.array_equal(frames[at], read_image(path)[..., :3])
        before, after = frames[max(0, at - 1)], frames[min(19, at + 1)]
        assert not np.array_equal(before, after)


def test_goes_on_from_the_last_frame(backend: Backend, tmp_path: Path) -> None:
    if backend.capabilities.extension == "none":
        pytest.skip("extends nothing")
    request, tools, picture = Studio(tmp_path).continued(request_for(24))
    frames = frames_of(backend, request, tools)
    assert np.array_equal(frames[0], picture)
    first_step = np.abs(frames[1].astype(int) - frames[0]).mean()
    assert 0 < first_step < np.abs(frames[-1].astype(int) - frames[0]).mean()


def test_says_which_file_is_missing(backend: Backend) -> None:
    request = backend.snap(request_for(key_pictures=(KeyPicture(0, "d" * 64),))).request
    with pytest.raises(RenderError, match="dddddddddddd"):
        list(backend.render(request, RenderTools({})).frames)


def test_memory_does_not_grow_with_length(backend: Backend) -> None:
    peaks = []
    for num_frames in (16, 96):
        rendered = backend.render(backend.snap(request_for(num_frames)).request, RenderTools({}))
        for _ in rendered.frames:
            pass
        peaks.append(rendered.peak_memory_mb())
    assert peaks[0] > 0
    assert peaks[1] < 1.3 * peaks[0]
