"""HunyuanVideo 1.5 on tiny random weights: the real pipelines, phase by phase, on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pytest
from local_takes import asked, continued, frames_and_sound, picture, with_key

from generator.backends.base import KeyPicture, Reference, RenderTools
from generator.backends.hunyuanvideo import HunyuanVideo
from generator.local.family import Placing, Sources
from generator.local.settings import LocalSettings, ModelSettings, PartSettings
from media.errors import CancelledError, RefusalError, RenderError
from tests.generator.local.tiny_hunyuan import save_tiny_hunyuan

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

LICENCE = "tencent-hunyuan-community"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return save_tiny_hunyuan(tmp_path_factory.mktemp("hunyuan"))


def settings_for(
    folders: tuple[Path, Path], licences: tuple[str, ...] = (LICENCE,), **model: Any
) -> LocalSettings:
    text, image = folders
    parts = model.pop("parts", {"image": PartSettings(source=str(image))})
    found = ModelSettings(source=str(text), parts=parts, **model)
    return LocalSettings(device="cpu", acknowledged=licences, models={"hunyuanvideo": found})


@pytest.fixture(scope="module")
def backend(folders: tuple[Path, Path]) -> HunyuanVideo:
    return HunyuanVideo(settings_for(folders))


def small(**changes: Any) -> Any:
    return asked(**{"num_frames": 9, **changes})


def frames_of(backend: HunyuanVideo, request: Any, tools: RenderTools | None = None) -> Any:
    return frames_and_sound(backend, request, tools)[0]


def test_text_becomes_exactly_the_frames_and_no_sound(backend: HunyuanVideo) -> None:
    snapped = backend.snap(small(num_frames=10, audio="native"))
    assert snapped.request.num_frames == 13
    assert [loss.field for loss in snapped.losses] == ["audio"]
    frames, sound, rendered = frames_and_sound(backend, snapped.request)
    assert sound is None
    assert rendered.licence == LICENCE
    assert len(np.unique(frames)) > 8


def test_the_seed_and_the_negative_decide(backend: HunyuanVideo) -> None:
    request = backend.snap(small()).request
    first, again = (frames_of(backend, request) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, frames_of(backend, replace(request, seed=8)))
    assert not np.array_equal(first, frames_of(backend, replace(request, negative="crowd")))


def test_phases_give_what_the_pipeline_gives_in_one_call(
    backend: HunyuanVideo, folders: tuple[Path, Path]
) -> None:
    from diffusers import HunyuanVideo15Pipeline

    frames = frames_of(backend, backend.snap(small()).request)
    pipe = HunyuanVideo15Pipeline.from_pretrained(folders[0])
    whole = pipe(
        prompt="Rain.",
        negative_prompt="blur",
        width=80,
        height=48,
        num_frames=9,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(7),
        output_type="np",
    ).frames[0]
    assert np.array_equal(frames, (whole * 255).round().astype(np.uint8))


def test_starts_from_a_picture(backend: HunyuanVideo, tmp_path: Path) -> None:
    shots = []
    for level in (30, 200):
        keyed, tools = with_key(small(), picture(tmp_path, f"board{level}", level), 0)
        snapped = backend.snap(keyed)
        assert not snapped.losses
        assert snapped.request.size == (80, 48)
        shots.append(frames_of(backend, snapped.request, tools))
    assert not np.array_equal(*shots)
    with pytest.raises(RenderError, match=r"key picture .* was not handed over"):
        backend.render(snapped.request, RenderTools({}))


def test_goes_on_from_the_last_frame_of_a_take(backend: HunyuanVideo) -> None:
    request, tools = continued(backend.snap(small()).request)
    request = backend.snap(request).request
    going_on = frames_of(backend, request, tools)
    assert len(going_on) == 9
    assert not np.array_equal(going_on, frames_of(backend, *continued(request, level=230)))


def test_tiles_are_those_of_the_vae_itself(backend: HunyuanVideo, folders: Any) -> None:
    from diffusers import AutoencoderKLHunyuanVideo15

    family = backend.family(Sources(str(folders[0])))
    latents = torch.randn(1, 4, 2, 4, 20, generator=torch.Generator().manual_seed(1))
    request = small(num_frames=5, size=(320, 64))
    streamed = list(family.decode(family.load_decoder(Placing()), request, {"video": latents}))
    vae = AutoencoderKLHunyuanVideo15.from_pretrained(folders[0], subfolder="vae")
    vae.enable_tiling()
    with torch.no_grad():
        whole = vae.decode(latents / vae.config.scaling_factor).sample
    unit = (whole * 0.5 + 0.5).clamp(0, 1)[0].permute(1, 2, 3, 0).numpy()
    assert np.array_equal(np.concatenate(streamed), (unit * 255).round().astype(np.uint8))


def test_stops_at_a_step(backend: HunyuanVideo) -> None:
    steps: list[tuple[int, int]] = []
    tools = RenderTools(
        {},
        should_stop=lambda: len(steps) == 2,
        on_step=lambda done, total: steps.append((done, total)),
    )
    request = backend.snap(small(num_frames=5, options=(("steps", 4),))).request
    with pytest.raises(CancelledError):
        backend.render(request, tools)
    assert steps == [(1, 4), (2, 4)]


def test_names_what_it_drops(backend: HunyuanVideo) -> None:
    snapped = backend.snap(
        small(
            references=(Reference("image", "character", "a" * 64, "ada"),),
            key_pictures=(KeyPicture(0, "d" * 64), KeyPicture(8, "f" * 64)),
            options=(("guidance", 3),),
        )
    )
    assert [loss.field for loss in snapped.losses] == [
        "cast.ada.refs",
        "frames.last",
        "options.guidance",
    ]
    again = backend.snap(snapped.request)
    assert again.request == snapped.request
    assert not (again.losses)
    assert not (again.adjustments)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_frames": 0},
        {"num_frames": 24 * 31},
        {"size": (8, 8)},
        {"key_pictures": (KeyPicture(99, "c" * 64),)},
        {"options": (("steps", 1000),)},
    ],
)
def test_refuses_what_cannot_be(backend: HunyuanVideo, changes: dict[str, Any]) -> None:
    with pytest.raises(RefusalError):
        backend.snap(small(**changes))


def test_without_image_weights_pictures_are_refused(folders: tuple[Path, Path]) -> None:
    backend = HunyuanVideo(settings_for(folders, parts={}))
    assert backend.capabilities.extension == "none"
    with pytest.raises(RefusalError, match=r"models\.hunyuanvideo\.parts\.image"):
        backend.snap(small(key_pictures=(KeyPicture(0, "c" * 64),)))


def test_the_licence_stands_before_everything(folders: tuple[Path, Path]) -> None:
    backend = HunyuanVideo(settings_for(folders, licences=()))
    for attempt in (
        lambda: backend.snap(small()),
        lambda: backend.render(small(), RenderTools({})),
    ):
        with pytest.raises(RefusalError, match=r"EU, United Kingdom, South Korea"):
            attempt()


def test_the_variant_decides_size_steps_and_negative(folders: tuple[Path, Path]) -> None:
    final = small(size=(1280, 720), profile="standard", options=())
    sizes = {"": (1280, 720), "480p": (848, 480), "720p-distilled": (1280, 720)}
    for variant, size in sizes.items():
        snapped = HunyuanVideo(settings_for(folders, variant=variant)).snap(final)
        assert snapped.request.size == size
        assert bool(snapped.request.negative) == (variant != "720p-distilled")
    assert "expected variant" in HunyuanVideo(settings_for(folders, variant="1080p")).unready


def test_step_caches_work_and_leave_nothing_behind(
    backend: HunyuanVideo, folders: tuple[Path, Path]
) -> None:
    family = backend.family(Sources(str(folders[0])))
    request = small(num_frames=5, size=(32, 32), options=(("steps", 8),))
    encoded = family.encode(family.load_encoder(Placing()), request)
    made = []
    for name in ("", "pyramid", "taylorseer"):
        denoiser = family.load_denoiser(Placing(variant="text", step_cache=name))
        one, again = (
            family.denoise(denoiser, request, encoded, RenderTools({}))["video"] for _ in range(2)
        )
        assert torch.equal(one, again)
        assert not any(torch.equal(one, other) for other in made)
        made.append(one)


def test_step_caches_that_do_not_work_are_refused(folders: tuple[Path, Path]) -> None:
    backend = HunyuanVideo(settings_for(folders, step_cache="firstblock"))
    assert "does not know the blocks" in backend.unready


def test_a_quote_is_that_of_the_figure(folders: tuple[Path, Path]) -> None:
    backend = HunyuanVideo(settings_for(folders, variant="480p-distilled"))
    request = backend.snap(small(size=(848, 480), num_frames=121, profile="fine", options=()))
    # The authors' 75 s in 12 passes, here in 50.
    assert backend.quote(request.request).gpu_seconds == pytest.approx(75 / 12 * 50, rel=0.05)


@pytest.mark.parametrize("tight", [{"precision": "bf16"}, {"offload": "sequential"}])
def test_runs_in_half_precision_and_in_little_memory(
    folders: tuple[Path, Path], tmp_path: Path, tight: dict[str, str]
) -> None:
    backend = HunyuanVideo(settings_for(folders, **tight))
    keyed, tools = with_key(small(num_frames=5), picture(tmp_path, "board", 60), 0)
    for request, files in ((small(num_frames=5), RenderTools({})), (keyed, tools)):
        _, _, rendered = frames_and_sound(backend, backend.snap(request).request, files)
        assert not rendered.warnings


def test_importing_it_loads_no_torch() -> None:
    code = (
        "import sys, generator.backends.hunyuanvideo; "
        "assert not {'torch', 'diffusers', 'cv2', 'av'} & set(sys.modules)"
    )
    assert run([sys.executable, "-c", code], timeout=60).returncode == 0
