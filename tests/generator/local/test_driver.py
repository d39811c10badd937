"""The way of a take through its phases: kept apart, freed, repeated only as far as needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generator.backends.base import Rendered, RenderTools
from media.errors import CancelledError, RefusalError, RenderError
from media.store import ContentStore
from media.timebase import samples_at
from tests.generator.local.tiny_family import tiny_model, tiny_renderer, tiny_request


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def tools(tmp_path: Path) -> RenderTools:
    return RenderTools({}, cache=tmp_path / "store")


def frames_of(rendered: Rendered) -> np.ndarray:
    chunks = list(rendered.frames)
    assert all(len(chunk) <= 16 for chunk in chunks)
    return np.concatenate(chunks)


def test_a_take_has_its_frames_and_its_sound(folder: Path, tools: RenderTools) -> None:
    renderer, _, _ = tiny_renderer(folder)
    request = tiny_request()
    rendered = renderer.render(request, tools)
    assert frames_of(rendered).shape == (20, 16, 32, 3)
    sound = rendered.audio()
    assert sound is not None
    assert sound.shape == (1, samples_at(20, request.fps))
    assert rendered.versions["denoiser_rung"] == "resident"
    assert rendered.versions["device"] == "cpu"
    assert set(rendered.timings) == {"encode_s", "load_s", "denoise_s", "decode_s"}
    assert rendered.warnings == []


def test_a_seed_repeats_and_another_differs(folder: Path, tools: RenderTools) -> None:
    renderer, _, _ = tiny_renderer(folder)
    first = frames_of(renderer.render(tiny_request(), tools))
    alone = RenderTools({})
    again = frames_of(tiny_renderer(folder)[0].render(tiny_request(), alone))
    other = frames_of(renderer.render(tiny_request(seed=8), tools))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_failed_decode_never_repeats_denoising(folder: Path, tools: RenderTools) -> None:
    renderer, family, _ = tiny_renderer(folder)
    family.fail_decode = 1
    with pytest.raises(ValueError, match="broke"):
        frames_of(renderer.render(tiny_request(), tools))
    # In a new process too: what was denoised lies in the store.
    renderer, family, _ = tiny_renderer(folder)
    whole = frames_of(renderer.render(tiny_request(), tools))
    assert (family.calls["denoise"], family.calls["encode"]) == (0, 0)
    expected = frames_of(tiny_renderer(folder)[0].render(tiny_request(), RenderTools({})))
    assert np.array_equal(whole, expected)


def test_without_a_cache_nothing_is_kept(folder: Path, tmp_path: Path) -> None:
    renderer, family, _ = tiny_renderer(folder)
    for _ in range(2):
        frames_of(renderer.render(tiny_request(), RenderTools({})))
    assert (family.calls["encode"], family.calls["denoise"]) == (2, 2)
    assert list(tmp_path.iterdir()) == []


def test_prepare_encodes_all_prompts_with_one_load_and_frees_it(
    folder: Path, tools: RenderTools
) -> None:
    renderer, family, pool = tiny_renderer(folder)
    requests = [tiny_request(prompt=f"shot {at}") for at in range(3)]
    renderer.prepare([*requests, replace(requests[0], seed=99)], tools)
    assert (family.calls["load_encoder"], family.calls["encode"]) == (1, 3)
    assert pool.loaded == ()
    for request in requests:
        frames_of(renderer.render(request, tools))
    assert (family.calls["load_encoder"], family.calls["encode"]) == (1, 3)
    assert family.calls["load_denoiser"] == 1


def test_models_stay_warm_between_takes(folder: Path, tools: RenderTools) -> None:
    renderer, family, _ = tiny_renderer(folder)
    for seed in range(3):
        frames_of(renderer.render(tiny_request(seed=seed), tools))
    assert [family.calls[f"load_{part}"] for part in ("encoder", "denoiser", "decoder")] == [1] * 3


def test_levers_follow_the_profile(folder: Path, tools: RenderTools) -> None:
    profiles = {"draft": {"precision": "bf16"}}
    renderer, family, _ = tiny_renderer(folder, precision="fp32", profiles=profiles)
    dtypes = {}
    for profile in ("draft", "standard", "draft"):
        rendered = renderer.render(tiny_request(profile=profile), tools)
        frames_of(rendered)
        dtypes[profile] = rendered.versions["dtype"]
    assert dtypes == {"draft": "bfloat16", "standard": "float32"}
    # A prompt is read in the precision that its take is made in.
    assert (family.calls["encode"], family.calls["denoise"]) == (2, 2)


@pytest.mark.parametrize("part", ["encoder", "denoiser", "decoder"])
def test_out_of_memory_goes_one_rung_down_and_says_so(
    folder: Path, tools: RenderTools, part: str
) -> None:
    renderer, family, _ = tiny_renderer(folder)
    family.no_room = {part: {"resident"}}
    rendered = renderer.render(tiny_request(), tools)
    assert len(frames_of(rendered)) == 20
    below = "group_offload" if part == "decoder" else "quantised"
    assert rendered.versions[f"{part}_rung"] == below
    assert any(f"the {part} ran out of memory (resident)" in said for said in rendered.warnings)
    # The next take starts where this one ended.
    loads = family.calls[f"load_{part} resident"]
    frames_of(renderer.render(tiny_request(seed=8, prompt="night"), tools))
    assert family.calls[f"load_{part} resident"] == loads


def test_a_smaller_take_starts_on_the_rung_above(folder: Path, tools: RenderTools) -> None:
    renderer, family, _ = tiny_renderer(folder)
    family.no_room = {"denoiser": {"resident"}}
    frames_of(renderer.render(tiny_request(), tools))
    family.no_room = {}
    small = renderer.render(tiny_request(num_frames=5), tools)
    assert small.versions["denoiser_rung"] == "resident"


def test_below_the_lowest_rung_there_is_a_clear_error(folder: Path, tools: RenderTools) -> None:
    renderer, family, _ = tiny_renderer(folder)
    rungs = {"resident", "quantised", "group_offload", "sequential_offload"}
    family.no_room = {"denoiser": rungs}
    with pytest.raises(RenderError, match=r"the denoiser does not fit even .*sequential"):
        renderer.render(tiny_request(), tools)
    tried = [family.calls[f"load_denoiser {rung}"] for rung in rungs]
    assert all(tried)
    family.no_room = {}
    assert len(frames_of(renderer.render(tiny_request(), tools))) == 20


def test_what_was_noted_is_noted_again_when_latents_are_found(
    folder: Path, tools: RenderTools
) -> None:
    renderer, family, _ = tiny_renderer(folder)
    family.no_room = {"denoiser": {"resident"}}
    first = renderer.render(tiny_request(), tools)
    second = tiny_renderer(folder)[0].render(tiny_request(), tools)
    assert second.versions["denoiser_rung"] == "quantised"
    assert second.warnings == first.warnings


def test_out_of_memory_in_the_middle_of_decoding_delivers_each_frame_once(
    folder: Path, tools: RenderTools
) -> None:
    import torch

    renderer, family, _ = tiny_renderer(folder)
    expected = frames_of(renderer.render(tiny_request(num_frames=50), tools))
    fails = iter([False, True, *[False] * 20])

    def on_chunk(at: int) -> None:
        if next(fails):
            raise torch.OutOfMemoryError("full")

    family.on_chunk = on_chunk
    rendered = renderer.render(tiny_request(num_frames=50), tools)
    assert np.array_equal(frames_of(rendered), expected)


def test_cancel_leaves_the_pool_usable(folder: Path, tools: RenderTools) -> None:
    renderer, family, _ = tiny_renderer(folder)
    steps: list[tuple[int, int]] = []
    stopping = replace(
        tools,
        should_stop=lambda: len(steps) >= 2,
        on_step=lambda done, total: steps.append((done, total)),
    )
    with pytest.raises(CancelledError):
        renderer.render(tiny_request(), stopping)
    assert steps == [(1, 4), (2, 4)]
    assert len(frames_of(renderer.render(tiny_request(), tools))) == 20
    assert family.calls["load_denoiser"] == 1


def test_cancel_while_decoding_keeps_the_latents(folder: Path, tools: RenderTools) -> None:
    renderer, family, _ = tiny_renderer(folder)
    stop: list[bool] = []
    rendered = renderer.render(
        tiny_request(num_frames=40), replace(tools, should_stop=lambda: bool(stop))
    )
    frames: Iterator[np.ndarray] = rendered.frames
    next(frames)
    stop.append(True)
    with pytest.raises(CancelledError):
        next(frames)
    assert len(frames_of(renderer.render(tiny_request(num_frames=40), tools))) == 40
    assert family.calls["denoise"] == 1


def test_latents_lie_in_the_store_by_content(folder: Path, tools: RenderTools) -> None:
    renderer, _, _ = tiny_renderer(folder)
    assert tools.cache is not None
    for request in (tiny_request(), tiny_request(), tiny_request(seed=8)):
        frames_of(renderer.render(request, tools))
    assert len(list(ContentStore(tools.cache, "latents").keys())) == 2
    assert len(list(ContentStore(tools.cache, "prompts").keys())) == 1


def test_an_unready_model_is_refused_before_anything_loads(
    tmp_path: Path, tools: RenderTools
) -> None:
    renderer, family, _ = tiny_renderer(tmp_path / "nowhere")
    assert "nowhere" in renderer.unready
    with pytest.raises(RefusalError, match="nowhere"):
        renderer.render(tiny_request(), tools)
    assert not family.calls
