"""CogVideoX on tiny random weights: the real pipelines, phase by phase, on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pytest
from local_takes import asked, continued, frames_and_sound, held_bytes, picture, with_key

from generator.backends.base import EditOf, KeyPicture, Reference, RenderTools
from generator.backends.cogvideox import CogVideoX
from generator.backends.cogvideox_family import CogVideoXFamily
from generator.local.family import Placing, Sources
from generator.local.settings import LocalSettings, ModelSettings, PartSettings
from media.errors import CancelledError, RefusalError, RenderError
from tests.generator.local.tiny_cogvideox import save_tiny_cogvideox

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return save_tiny_cogvideox(tmp_path_factory.mktemp("cogvideox"))


def settings_for(folders: tuple[Path, Path], **model: Any) -> LocalSettings:
    text, image = folders
    parts = model.pop("parts", {"image": PartSettings(source=str(image))})
    found = ModelSettings(source=str(text), parts=parts, **model)
    return LocalSettings(device="cpu", acknowledged=("cogvideox",), models={"cogvideox": found})


@pytest.fixture(scope="module")
def backend(folders: tuple[Path, Path]) -> CogVideoX:
    return CogVideoX(settings_for(folders))


def test_text_becomes_exactly_the_frames_and_no_sound(backend: CogVideoX) -> None:
    snapped = backend.snap(asked(audio="native"))
    request = snapped.request
    assert (request.fps, request.num_frames, request.size) == (16, 17, (80, 48))
    assert "rate 24 to 16 fps, 24 to 16 frames" in snapped.adjustments
    assert [loss.field for loss in snapped.losses] == ["audio"]
    frames, sound, rendered = frames_and_sound(backend, request)
    assert sound is None
    assert rendered.licence == "cogvideox"
    assert rendered.seed == 7
    assert len(np.unique(frames)) > 8


def test_the_seed_decides(backend: CogVideoX) -> None:
    request = backend.snap(asked()).request
    first, again = (frames_and_sound(backend, request)[0] for _ in range(2))
    other = frames_and_sound(backend, replace(request, seed=8))[0]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_negative_is_read(backend: CogVideoX) -> None:
    request = backend.snap(asked()).request
    with_it = frames_and_sound(backend, request)[0]
    assert not np.array_equal(
        with_it, frames_and_sound(backend, replace(request, negative="night, crowd"))[0]
    )


def test_starts_from_a_picture(backend: CogVideoX, tmp_path: Path) -> None:
    shots = []
    for level in (30, 200):
        path = picture(tmp_path, f"board{level}", level)
        keyed, tools = with_key(asked(), path, 0)
        snapped = backend.snap(keyed)
        assert not snapped.losses
        shots.append(frames_and_sound(backend, snapped.request, tools)[0])
    assert not np.array_equal(*shots)
    with pytest.raises(RenderError, match=r"key picture .* was not handed over"):
        frames_and_sound(backend, snapped.request)


def test_goes_on_from_the_last_frame_of_a_take(backend: CogVideoX) -> None:
    request, tools = continued(backend.snap(asked()).request)
    request = backend.snap(request).request
    assert request.num_frames == 17
    going_on = frames_and_sound(backend, request, tools)[0]
    other = frames_and_sound(backend, *continued(request, level=220))[0]
    assert not np.array_equal(going_on, other)
    with pytest.raises(RenderError, match="take tttttttttttt that this one continues"):
        frames_and_sound(backend, request)


def test_a_take_longer_than_one_call_is_made_in_segments(backend: CogVideoX) -> None:
    request = backend.snap(asked(num_frames=24 * 11, options=(("steps", 1),))).request
    assert request.num_frames == 16 * 11
    frames, _, rendered = frames_and_sound(backend, request)
    assert len(frames) == 16 * 11
    assert rendered.versions["seams"].count(";") == 0


def test_streamed_frames_are_those_of_one_decode(folders: tuple[Path, Path]) -> None:
    from diffusers import AutoencoderKLCogVideoX

    family = CogVideoX(settings_for(folders)).family(Sources(str(folders[0])))
    vae = AutoencoderKLCogVideoX.from_pretrained(folders[0], subfolder="vae")
    for count, request in ((5, asked(num_frames=17)), (9, asked(num_frames=33))):
        latents = torch.randn(1, count, 4, 6, 10, generator=torch.Generator().manual_seed(1))
        decoder = family.load_decoder(Placing())
        streamed = list(family.decode(decoder, request, {"video": latents}))
        scaled = 1 / vae.config.scaling_factor * latents.permute(0, 2, 1, 3, 4)
        with torch.no_grad():
            whole = vae.decode(scaled).sample
        unit = (whole * 0.5 + 0.5).clamp(0, 1)[0].permute(1, 2, 3, 0).numpy()
        assert max(len(chunk) for chunk in streamed) < 16
        assert np.array_equal(np.concatenate(streamed), (unit * 255).round().astype(np.uint8))


def test_decoding_holds_no_more_for_a_longer_take(folders: tuple[Path, Path]) -> None:
    family = CogVideoX(settings_for(folders)).family(Sources(str(folders[0])))
    decoder = family.load_decoder(Placing())

    def most_held(count: int) -> int:
        latents = {"video": torch.randn(1, count, 4, 6, 10)}
        given = latents["video"].untyped_storage().nbytes()
        chunks = family.decode(decoder, asked(num_frames=4 * count - 3), latents)
        return max(held_bytes() - given * 2 for _ in chunks)

    # What is given, and its scaled copy, are as long as the take; what is decoded is not.
    assert most_held(41) <= most_held(9)


def test_phases_give_what_the_pipeline_gives_in_one_call(
    backend: CogVideoX, folders: tuple[Path, Path]
) -> None:
    from diffusers import CogVideoXPipeline

    request = backend.snap(asked()).request
    frames = frames_and_sound(backend, request)[0]
    pipe = CogVideoXPipeline.from_pretrained(folders[0])
    whole = pipe(
        prompt="Rain.",
        negative_prompt="blur",
        width=80,
        height=48,
        num_frames=17,
        num_inference_steps=2,
        guidance_scale=6.0,
        use_dynamic_cfg=True,
        max_sequence_length=224,
        generator=torch.Generator().manual_seed(7),
        output_type="np",
    ).frames[0]
    assert np.array_equal(frames, (whole * 255).round().astype(np.uint8))


@pytest.mark.parametrize("after", [0, 1])
def test_stops_at_a_step(backend: CogVideoX, after: int) -> None:
    steps: list[tuple[int, int]] = []
    tools = RenderTools(
        {},
        should_stop=lambda: len(steps) >= after and after > 0,
        on_step=lambda done, total: steps.append((done, total)),
    )
    request = backend.snap(asked(options=(("steps", 4),))).request
    if not after:
        frames_and_sound(backend, request, tools)
        assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
        return
    with pytest.raises(CancelledError):
        backend.render(request, tools)
    assert steps == [(1, 4)]


def test_names_what_it_drops(backend: CogVideoX) -> None:
    snapped = backend.snap(
        asked(
            references=(
                Reference("image", "character", "a" * 64, "ada"),
                Reference("audio", "voice", "b" * 64, "ada"),
                Reference("video", "motion", "c" * 64, "ada"),
            ),
            key_pictures=(KeyPicture(0, "d" * 64), KeyPicture(12, "e" * 64), KeyPicture(23, "f")),
            edit=EditOf("t" * 64, "relight", "make it dawn"),
            options=(("no_such_option", 1),),
        )
    )
    assert {loss.field for loss in snapped.losses} == {
        "cast.ada.refs",
        "cast.ada.voice.ref",
        "motion_from",
        "frames.mid",
        "frames.last",
        "edit",
        "options.no_such_option",
    }
    assert [key.frame for key in snapped.request.key_pictures] == [0]
    again = backend.snap(snapped.request)
    assert again.request == snapped.request
    assert not again.losses
    assert not again.adjustments


@pytest.mark.parametrize(
    "changes",
    [
        {"num_frames": 0},
        {"num_frames": 24 * 31},
        {"size": (8, 8)},
        {"key_pictures": (KeyPicture(99, "c" * 64),)},
        {"options": (("steps", 0),)},
        {"options": (("guidance", "much"),)},
    ],
)
def test_refuses_what_cannot_be(backend: CogVideoX, changes: dict[str, Any]) -> None:
    with pytest.raises(RefusalError):
        backend.snap(asked(**changes))


def test_without_image_weights_pictures_are_refused(folders: tuple[Path, Path]) -> None:
    backend = CogVideoX(settings_for(folders, parts={}))
    assert backend.capabilities.tasks == {"text"}
    assert backend.capabilities.extension == "none"
    with pytest.raises(RefusalError, match=r"image-to-video weights.*CogVideoX1\.5-5B-I2V"):
        backend.snap(asked(key_pictures=(KeyPicture(0, "c" * 64),)))
    with pytest.raises(RefusalError, match=r"at most 10\.06"):
        backend.snap(asked(num_frames=24 * 11))


def test_the_generation_decides_size_rate_and_licence() -> None:
    models = {"cogvideox": ModelSettings(source="/none", variant="2b")}
    backend = CogVideoX(LocalSettings(models=models))
    assert backend.capabilities.licence.id == "Apache-2.0"
    assert backend.capabilities.fps == (Fraction(8),)
    assert "the model is not at /none" in backend.unready
    with pytest.raises(RefusalError, match=r"about 13\.5 GB, licence Apache-2\.0"):
        backend.snap(asked())
    unknown = {"cogvideox": ModelSettings(source="/none", variant="3b")}
    assert "expected variant 1.5-5b or 5b or 2b" in CogVideoX(LocalSettings(models=unknown)).unready


def test_finals_are_made_at_the_size_of_the_training(folders: tuple[Path, Path]) -> None:
    wide = asked(size=(1280, 720), profile="standard")
    snapped = CogVideoX(settings_for(folders)).snap(wide)
    assert snapped.request.size == (1360, 768)
    small = CogVideoX(settings_for(folders, variant="5b")).snap(replace(wide, size=(360, 640)))
    assert small.request.size == (720, 480)
    assert small.request.fps == 8


def test_the_licence_is_asked_for_before_anything_is_loaded(folders: tuple[Path, Path]) -> None:
    settings = settings_for(folders).model_copy(update={"acknowledged": ()})
    backend = CogVideoX(settings)
    for attempt in (
        lambda: backend.snap(asked()),
        lambda: backend.render(asked(), RenderTools({})),
    ):
        with pytest.raises(RefusalError, match=r'acknowledged = \["cogvideox"\]'):
            attempt()


def test_a_lever_that_it_does_not_have_is_refused(folders: tuple[Path, Path]) -> None:
    for lever in ({"compile": True}, {"attention": "native"}, {"step_cache": "taylorseer"}):
        backend = CogVideoX(settings_for(folders, **lever))
        assert next(iter(lever)) in backend.unready


def test_a_quote_grows_with_seconds_steps_and_pixels(backend: CogVideoX) -> None:
    def cost(**changes: Any) -> float:
        return backend.quote(backend.snap(asked(**changes)).request).gpu_seconds

    # The authors' 550 s for 81 frames of 1360x768 in 50 steps on an H100.
    final = cost(size=(1360, 768), profile="fine", options=(), num_frames=120)
    assert final == pytest.approx(550, rel=0.02)
    assert cost(num_frames=48) > cost()
    assert cost(options=(("steps", 4),)) == pytest.approx(2 * cost())


@pytest.mark.parametrize("tight", [{"precision": "bf16"}, {"offload": "sequential"}])
def test_runs_in_half_precision_and_in_little_memory(
    folders: tuple[Path, Path], tmp_path: Path, tight: dict[str, str]
) -> None:
    backend = CogVideoX(settings_for(folders, **tight))
    keyed, tools = with_key(asked(num_frames=9), picture(tmp_path, "board", 60), 0)
    for request, files in ((asked(num_frames=9), RenderTools({})), (keyed, tools)):
        _, _, rendered = frames_and_sound(backend, backend.snap(request).request, files)
        assert not rendered.warnings


def test_importing_it_loads_no_torch() -> None:
    code = (
        "import sys, generator.backends.cogvideox; "
        "assert not {'torch', 'diffusers', 'cv2', 'av'} & set(sys.modules)"
    )
    assert run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_family_is_told_which_weights_a_request_needs() -> None:
    family = CogVideoXFamily(Sources(""), CogVideoX().capabilities.frame_rule, 224)
    assert family.variant(asked()) == "text"
    assert family.variant(asked(key_pictures=(KeyPicture(0, "c"),))) == "image"
    assert family.variant(continued(asked())[0]) == "image"
