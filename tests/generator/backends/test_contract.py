"""One suite over every backend: what the planner and the take store rely on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contract import SPECIMENS, Specimen, Studio, frames_of

from generator.backends.base import Backend, EditOf, KeyPicture, LoraWeight, Reference, RenderTools
from media.errors import CancelledError, RefusalError, RenderError
from media.image import read_image
from media.timebase import samples_at


@pytest.fixture(scope="module", params=SPECIMENS)
def specimen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Specimen]:
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with SPECIMENS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made
    torch.set_num_threads(threads)


@pytest.fixture
def backend(specimen: Specimen) -> Backend:
    return specimen.backend


def test_is_a_backend(backend: Backend) -> None:
    assert isinstance(backend, Backend)
    assert backend.id
    assert backend.revision
    assert backend.unready == ""


@pytest.mark.parametrize("num_frames", [1, 15, 16, 17, 33])
def test_gives_exactly_the_frames_in_small_chunks(
    specimen: Specimen, backend: Backend, num_frames: int
) -> None:
    request = backend.snap(specimen.ask(num_frames)).request
    rendered = backend.render(request, RenderTools({}))
    chunks = list(rendered.frames)
    assert sum(len(chunk) for chunk in chunks) == rendered.num_frames == request.num_frames
    assert rendered.size == request.size
    for chunk in chunks:
        assert 1 <= len(chunk) <= 16
        assert chunk.dtype == np.uint8
        assert chunk.shape[1:] == (request.size[1], request.size[0], 3)


def test_snap_is_pure_and_settles(specimen: Specimen, backend: Backend) -> None:
    request = specimen.ask(size=(193, 109), negative="blur")
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


def test_names_what_it_drops(specimen: Specimen, backend: Backend) -> None:
    able = backend.capabilities
    asked = specimen.ask(
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
def test_refuses_in_snap_what_cannot_be(
    specimen: Specimen, backend: Backend, changes: dict[str, object]
) -> None:
    with pytest.raises(RefusalError):
        backend.snap(replace(specimen.ask(), **changes))  # type: ignore[arg-type]


def test_same_seed_same_pixels_in_any_thread(specimen: Specimen, backend: Backend) -> None:
    request = specimen.ask()
    first = frames_of(backend, request)
    with ThreadPoolExecutor(2) as pool:
        others = list(pool.map(lambda _: frames_of(backend, request), range(2)))
    assert all(np.array_equal(first, other) for other in others)


def test_other_seed_other_pixels(specimen: Specimen, backend: Backend) -> None:
    if not backend.capabilities.seeded:
        pytest.skip("not seeded")
    one, other = (frames_of(backend, specimen.ask(seed=seed)) for seed in (1, 2))
    assert np.abs(one.astype(int) - other).mean() > 0.5


def test_stops_when_asked(specimen: Specimen, backend: Backend) -> None:
    asked = iter(range(10**6))
    tools = RenderTools({}, should_stop=lambda: next(asked) > 8)
    request = backend.snap(specimen.ask(200)).request
    with pytest.raises(CancelledError):
        for _ in backend.render(request, tools).frames:
            pass
    assert next(asked) < 40


def test_sound_is_as_long_as_the_frames(specimen: Specimen, backend: Backend) -> None:
    request = backend.snap(specimen.ask(audio="native")).request
    rendered = backend.render(request, RenderTools({}))
    for _ in rendered.frames:
        pass
    sound = rendered.audio()
    assert (sound is not None) == (request.audio == "native")
    if sound is not None:
        assert sound.dtype == np.float32
        assert sound.shape[1] == samples_at(request.num_frames, request.fps)
        assert np.abs(sound).max() <= 1.0


def test_reports_every_step(specimen: Specimen, backend: Backend) -> None:
    steps: list[tuple[int, int]] = []
    tools = RenderTools({}, on_step=lambda done, total: steps.append((done, total)))
    list(backend.render(backend.snap(specimen.ask(20)).request, tools).frames)
    assert steps[-1][0] == steps[-1][1]
    assert steps == sorted(steps)


def test_key_pictures_stand_exactly_where_they_are_drawn(
    specimen: Specimen, tmp_path: Path
) -> None:
    backend = specimen.backend
    if not specimen.draws:
        pytest.skip("a model holds a picture as well as it can")
    for at in (0, 11, 19):
        request, tools = Studio(tmp_path).keyed(specimen.ask(20), at)
        frames = frames_of(backend, request, tools)
        (path,) = tools.assets.values()
        assert np.array_equal(frames[at], read_image(path)[..., :3])
        before, after = frames[max(0, at - 1)], frames[min(19, at + 1)]
        assert not np.array_equal(before, after)


def test_a_key_picture_reaches_the_take(
    specimen: Specimen, backend: Backend, tmp_path: Path
) -> None:
    if backend.capabilities.keyframe_positions == "none" or specimen.served:
        pytest.skip("holds no pictures, or a server does")
    request, tools = Studio(tmp_path).keyed(specimen.ask(), 0)
    held = frames_of(backend, request, tools)
    assert not np.array_equal(held, frames_of(backend, specimen.ask()))


def test_a_take_that_is_gone_on_from_reaches_the_take(
    specimen: Specimen, backend: Backend, tmp_path: Path
) -> None:
    if backend.capabilities.extension == "none" or specimen.served:
        pytest.skip("extends nothing, or a server does")
    request, tools, _ = Studio(tmp_path).continued(specimen.ask())
    frames = frames_of(backend, request, tools)
    assert len(frames) == backend.snap(request).request.num_frames
    assert not np.array_equal(frames, frames_of(backend, specimen.ask()))


def test_goes_on_from_the_last_frame_to_the_pixel_where_it_draws(
    specimen: Specimen, tmp_path: Path
) -> None:
    backend = specimen.backend
    if not specimen.draws:
        pytest.skip("a model is shown the tail, and makes what comes after it")
    request, tools, picture = Studio(tmp_path).continued(specimen.ask(24))
    frames = frames_of(backend, request, tools)
    assert np.array_equal(frames[0], picture)
    first_step = np.abs(frames[1].astype(int) - frames[0]).mean()
    assert 0 < first_step < np.abs(frames[-1].astype(int) - frames[0]).mean()


def test_says_which_file_is_missing(specimen: Specimen, backend: Backend) -> None:
    request = backend.snap(specimen.ask(key_pictures=(KeyPicture(0, "d" * 64),))).request
    with pytest.raises(RenderError, match="dddddddddddd"):
        list(backend.render(request, RenderTools({})).frames)


def test_memory_does_not_grow_with_length(specimen: Specimen) -> None:
    backend = specimen.backend
    if not specimen.draws:
        pytest.skip("measured where models decode; HunyuanVideo's VAE holds the whole take")
    peaks = []
    for num_frames in (16, 96):
        rendered = backend.render(backend.snap(specimen.ask(num_frames)).request, RenderTools({}))
        for _ in rendered.frames:
            pass
        peaks.append(rendered.peak_memory_mb())
    assert peaks[0] > 0
    assert peaks[1] < 1.3 * peaks[0]
