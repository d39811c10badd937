"""Room and company: rungs by size, adapters, variants, takes beside each other, segments."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.backends.base import FrameRule, Licence, LoraWeight, Rendered, RenderTools
from generator.local import making
from generator.local.driver import LocalRenderer
from generator.local.family import Sources
from generator.local.pool import ModelPool
from generator.local.settings import LocalSettings, ModelSettings
from media.errors import RenderError
from media.timebase import samples_at
from tests.generator.local.tiny_family import (
    NEEDS,
    TinyFamily,
    tiny_model,
    tiny_renderer,
    tiny_request,
)

GIB = 2**30


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def tools(tmp_path: Path) -> RenderTools:
    return RenderTools({}, cache=tmp_path / "store")


def frames_of(rendered: Rendered) -> np.ndarray:
    return np.concatenate(list(rendered.frames))


def renderer_of(folder: Path, family: TinyFamily, **more: Any) -> LocalRenderer:
    settings = LocalSettings(device="cpu", models={"tiny": ModelSettings(source=str(folder))})
    pool = ModelPool("cpu")
    return LocalRenderer(
        "tiny", "1", Licence("tiny"), NEEDS, lambda *_: family, settings, pool=pool, **more
    )


def started(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@dataclass
class SwappingFamily(TinyFamily):
    """Takes adapters on its loaded denoiser, and looks at pictures while it encodes."""

    swapped: list[Any] = field(default_factory=list)
    foreign: str = ""

    def set_loras(self, denoiser: Any, loras: tuple[tuple[str, str, float], ...]) -> None:
        if any(path == self.foreign for _, path, _ in loras):
            raise RenderError("expected an adapter for tiny")
        self.swapped.append([(Path(path).name, weight) for _, path, weight in loras])

    def variant(self, request: Any) -> str:
        return dict(request.options).get("checkpoint", "")

    def encoded_from(self, request: Any) -> tuple[object, ...]:
        return (request.references,)


def adapters(folder: Path, *names: str) -> tuple[tuple[LoraWeight, ...], dict[str, Path]]:
    loras, assets = [], {}
    for name in names:
        path = folder / name
        path.write_bytes(name.encode())
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        loras.append(LoraWeight(sha256, 0.5, "mara"))
        assets[sha256] = path
    return tuple(loras), assets


def test_a_device_too_small_starts_lower_without_a_failed_try(
    folder: Path, tools: RenderTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer, family, _ = tiny_renderer(folder)
    monkeypatch.setattr(making, "weights_bytes", lambda *_: 44 * GIB)
    monkeypatch.setattr(making, "free_bytes", lambda device: 40 * GIB)
    rendered = renderer.render(tiny_request(), tools)
    assert rendered.versions["denoiser_rung"] == "quantised"
    assert "held in 8 bits, for want of memory" in " ".join(rendered.warnings)
    assert family.calls["load_denoiser resident"] == 0
    # The next take finds the part where it stands.
    renderer.render(tiny_request(seed=8), tools)
    assert family.calls["load_denoiser"] == 1


def test_adapters_are_swapped_on_a_warm_model(
    folder: Path, tools: RenderTools, tmp_path: Path
) -> None:
    family = SwappingFamily(Sources(str(folder)))
    renderer = renderer_of(folder, family)
    loras, assets = adapters(tmp_path, "mara", "ben")
    tools = replace(tools, assets=assets)
    for at, some in enumerate([(), loras[:1], loras[:1], loras, ()]):
        frames_of(renderer.render(tiny_request(seed=at, loras=some), tools))
    assert family.calls["load_denoiser"] == 1
    assert family.swapped == [[("mara", 0.5)], [("mara", 0.5), ("ben", 0.5)], []]


def test_on_a_quantised_rung_the_model_is_loaded_with_its_adapters(
    folder: Path, tools: RenderTools, tmp_path: Path
) -> None:
    family = SwappingFamily(Sources(str(folder)))
    family.no_room = {"denoiser": {"resident"}}
    renderer = renderer_of(folder, family)
    loras, assets = adapters(tmp_path, "mara", "ben")
    tools = replace(tools, assets=assets)
    for some in (loras[:1], loras[1:]):
        frames_of(renderer.render(tiny_request(loras=some), tools))
    assert family.calls["load_denoiser quantised"] == 2
    assert family.swapped == []


def test_a_family_that_cannot_swap_is_loaded_anew(
    folder: Path, tools: RenderTools, tmp_path: Path
) -> None:
    renderer, family, _ = tiny_renderer(folder)
    loras, assets = adapters(tmp_path, "mara")
    tools = replace(tools, assets=assets)
    for some in ((), loras):
        frames_of(renderer.render(tiny_request(loras=some), tools))
    assert family.calls["load_denoiser"] == 2


def test_after_a_foreign_adapter_the_model_is_loaded_anew(
    folder: Path, tools: RenderTools, tmp_path: Path
) -> None:
    loras, assets = adapters(tmp_path, "mara", "foreign")
    family = SwappingFamily(Sources(str(folder)), foreign=str(tmp_path / "foreign"))
    renderer = renderer_of(folder, family)
    tools = replace(tools, assets=assets)
    with pytest.raises(RenderError, match="expected an adapter for tiny"):
        renderer.render(tiny_request(loras=loras[1:]), tools)
    frames_of(renderer.render(tiny_request(loras=loras[:1]), tools))
    assert family.calls["load_denoiser"] == 2


def test_an_adapter_that_is_not_at_hand_is_an_error(folder: Path, tools: RenderTools) -> None:
    renderer, family, _ = tiny_renderer(folder)
    lora = LoraWeight("f" * 64, 1.0, "mara")
    with pytest.raises(RenderError, match="the adapter of mara was not handed"):
        renderer.render(tiny_request(loras=(lora,)), tools)
    assert family.calls["denoise"] == 0


def test_each_checkpoint_has_a_denoiser_and_all_share_the_rest(
    folder: Path, tools: RenderTools
) -> None:
    family = SwappingFamily(Sources(str(folder)))
    renderer = renderer_of(folder, family)
    for name in ("", "image", "", "image"):
        options = (("checkpoint", name),)
        frames_of(renderer.render(tiny_request(options=options, prompt=name), tools))
    loads = [family.calls[f"load_{part}"] for part in ("encoder", "denoiser", "decoder")]
    assert loads == [1, 2, 1]


def test_embeddings_follow_what_they_are_made_from(folder: Path, tools: RenderTools) -> None:
    from generator.backends.base import Reference

    family = SwappingFamily(Sources(str(folder)))
    renderer = renderer_of(folder, family)
    seen = Reference("image", "character", "a" * 64)
    for references in ((), (seen,), (seen,)):
        renderer.render(tiny_request(references=references), tools)
    assert family.calls["encode"] == 2


def test_other_weights_make_other_takes(folder: Path, tmp_path: Path) -> None:
    other = tiny_model(tmp_path / "other")
    (other / "vae" / "config.json").write_text('{"kind": "tiny", "scale": 2}')
    revisions = {tiny_renderer(one)[0].revision for one in (folder, other, folder)}
    assert len(revisions) == 2
    assert all(revision.startswith("1+") for revision in revisions)


def test_a_take_is_decoded_while_the_next_is_denoised(folder: Path, tools: RenderTools) -> None:
    renderer, family, _ = tiny_renderer(folder)
    # The decoder is warm: it would not be loaded while something computes.
    frames_of(renderer.render(tiny_request(seed=9), tools))
    first = renderer.render(tiny_request(), tools)
    decoding, denoising = threading.Event(), threading.Event()
    both: list[bool] = []

    def on_chunk(at: int) -> None:
        decoding.set()
        both.append(denoising.wait(60))

    def on_denoise() -> None:
        denoising.set()
        both.append(decoding.wait(60))

    family.on_chunk, family.on_denoise = on_chunk, on_denoise
    reading = started(lambda: frames_of(first))
    second = renderer.render(tiny_request(seed=8), tools)
    reading.join(90)
    assert len(both) >= 2
    assert all(both)
    family.on_chunk = lambda at: None
    assert len(frames_of(second)) == 20


def test_two_takes_are_not_denoised_at_once(folder: Path, tools: RenderTools) -> None:
    family = SwappingFamily(Sources(str(folder)))
    renderer = renderer_of(folder, family)
    inside, most = [0], [0]
    lock = threading.Lock()

    def on_denoise() -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.2)
        with lock:
            inside[0] -= 1

    family.on_denoise = on_denoise
    # Not even by two checkpoints, which are two parts of the pool.
    requests = [tiny_request(seed=at, options=(("checkpoint", f"{at}"),)) for at in range(3)]
    threads = [
        started(lambda request=request: renderer.render(request, tools)) for request in requests
    ]
    for thread in threads:
        thread.join(90)
    assert (most[0], family.calls["denoise"], family.calls["load_denoiser"]) == (1, 3, 3)


def test_takes_of_one_prompt_side_by_side_encode_it_once(folder: Path, tools: RenderTools) -> None:
    renderer, family, _ = tiny_renderer(folder)
    made: list[Rendered] = []
    threads = [
        started(lambda seed=seed: made.append(renderer.render(tiny_request(seed=seed), tools)))
        for seed in range(4)
    ]
    threads.append(started(lambda: renderer.prepare([tiny_request()], tools)))
    for thread in threads:
        thread.join(90)
    assert len(made) == 4
    assert family.calls["encode"] == 1


def test_a_decode_without_room_waits_for_the_denoising_beside_it(
    folder: Path, tools: RenderTools
) -> None:
    import torch

    renderer, family, _ = tiny_renderer(folder)
    # The decoder is warm: it would not be loaded while something computes.
    frames_of(renderer.render(tiny_request(seed=9), tools))
    first = renderer.render(tiny_request(), tools)
    denoising, failed, done = threading.Event(), threading.Event(), threading.Event()

    def on_denoise() -> None:
        denoising.set()
        assert failed.wait(60)
        threading.Event().wait(0.2)
        done.set()

    def on_chunk(at: int) -> None:
        if not done.is_set():
            failed.set()
            raise torch.OutOfMemoryError("no room beside the denoiser")

    family.on_denoise, family.on_chunk = on_denoise, on_chunk
    beside = started(lambda: renderer.render(tiny_request(seed=8), tools))
    assert denoising.wait(60)
    assert len(frames_of(first)) == 20
    beside.join(90)
    assert first.versions["decoder_rung"] == "resident"
    assert first.warnings == []


def test_denoising_without_room_waits_for_the_decoding_beside_it(
    folder: Path, tools: RenderTools
) -> None:
    import torch

    renderer, family, pool = tiny_renderer(folder)
    first = renderer.render(tiny_request(num_frames=40), tools)
    failed, decoding, decoded = threading.Event(), threading.Event(), threading.Event()
    pool.drop("tiny@" + renderer.revision, "encoder")

    def on_chunk(at: int) -> None:
        decoding.set()
        assert failed.wait(60)
        if at == 32:
            # Time for a step down, if the denoising did not wait.
            threading.Event().wait(0.5)
            decoded.set()

    def on_denoise() -> None:
        if not decoded.is_set():
            failed.set()
            raise torch.OutOfMemoryError("no room beside the decoder")

    family.on_chunk, family.on_denoise = on_chunk, on_denoise
    reading = started(lambda: frames_of(first))
    assert decoding.wait(60)
    second = renderer.render(tiny_request(seed=8), tools)
    reading.join(90)
    assert failed.is_set()
    assert second.versions["denoiser_rung"] == "resident"
    assert second.warnings == []


def test_a_long_take_is_made_in_segments(folder: Path, tools: RenderTools) -> None:
    family = TinyFamily(Sources(str(folder)))
    rule = FrameRule(step=4, offset=1, minimum=5, maximum=21)
    renderer = renderer_of(folder, family, rule=rule, overlap_frames=5)
    request = tiny_request(num_frames=50)
    rendered = renderer.render(request, tools)
    assert len(frames_of(rendered)) == 50
    sound = rendered.audio()
    assert sound is not None
    assert sound.shape[1] == samples_at(50, request.fps)
    assert family.calls["denoise"] >= 3
    assert family.calls["encode"] == 1
    again = TinyFamily(Sources(str(folder)))
    frames_of(renderer_of(folder, again, rule=rule, overlap_frames=5).render(request, tools))
    assert again.calls["denoise"] == 0
