"""LTX-2 on its real pipelines with tiny weights: what it honours, names and refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from generator.backends.base import (  # noqa: E402
    ContinueFrom,
    Frames,
    KeyPicture,
    LoraWeight,
    Reference,
    RenderRequest,
    RenderTools,
    TakeMedia,
)
from generator.backends.ltx2 import LTX2  # noqa: E402
from generator.backends.ltx2_parts.family import LTX2Family  # noqa: E402
from generator.backends.ltx2_parts.recipe import setup_of  # noqa: E402
from generator.local.family import Placing, Sources  # noqa: E402
from generator.local.settings import LocalSettings, ModelSettings, PartSettings  # noqa: E402
from media.errors import CancelledError, RenderError  # noqa: E402
from media.image import write_image  # noqa: E402
from media.timebase import samples_at  # noqa: E402
from media.video import MEZZANINE, write_video  # noqa: E402
from tests.generator.local.tiny_ltx2 import (  # noqa: E402
    asked,
    save_adapter,
    save_pipeline,
    save_upsampler,
)

TAKE = "t" * 64


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models of both generations, their parts, and an adapter of a character."""
    folder = tmp_path_factory.mktemp("ltx2")
    save_pipeline(folder / "2.3", "2.3")
    save_pipeline(folder / "2.5", "2.5")
    save_upsampler(folder / "upsampler")
    save_adapter(folder / "ingredients" / "sheet.safetensors", 1, reference_downscale_factor="1")
    save_adapter(folder / "distilled" / "few.safetensors", 2)
    save_adapter(folder / "mara.safetensors", 3)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four pictures unlike each other, by SHA-256."""
    folder = tmp_path_factory.mktemp("pictures")
    found = {}
    for seed in range(4):
        path = folder / f"{seed}.png"
        noise = np.random.default_rng(seed).integers(0, 255, (6, 12, 3), np.uint8)
        write_image(path, np.kron(noise, np.ones((16, 16, 1), np.uint8)))
        found[hashlib.sha256(path.read_bytes()).hexdigest()] = path
    return found


def backend(models: Path, *parts: str, variant: str = "2.3", **settings: Any) -> LTX2:
    model = ModelSettings(
        source=str(models / variant[:3]),
        variant=variant,
        parts={name: PartSettings(source=str(models / name)) for name in parts},
        **settings,
    )
    return LTX2(LocalSettings(device="cpu", models={"ltx2": model}))


@pytest.fixture(scope="module")
def ltx2(models: Path) -> LTX2:
    """Distilled, with a second stage and reference sheets."""
    return backend(models, "upsampler", "ingredients")


def made(
    model: LTX2, request: RenderRequest, tools: RenderTools | None = None
) -> tuple[Frames, np.ndarray | None]:
    """All frames and the sound of the snapped request."""
    rendered = model.render(model.snap(request).request, tools or RenderTools({}))
    chunks = list(rendered.frames)
    assert all(1 <= len(chunk) <= 16 and chunk.dtype == np.uint8 for chunk in chunks)
    frames = np.concatenate(chunks)
    assert len(frames) == rendered.num_frames
    return frames, rendered.audio()


def test_makes_picture_and_sound_from_words_exactly_and_again(ltx2: LTX2) -> None:
    steps: list[tuple[int, int]] = []
    tools = RenderTools({}, on_step=lambda done, total: steps.append((done, total)))
    frames, sound = made(ltx2, asked(), tools)
    assert frames.shape == (17, 64, 128, 3)
    assert sound is not None
    assert sound.shape == (2, samples_at(17, Fraction(24)))
    assert sound.dtype == np.float32
    assert np.abs(sound).max() <= 1
    assert sound.std() > 0
    # Eight distilled steps, three more on the doubled latents.
    assert steps == [(done, 11) for done in range(1, 12)]
    again, sound_again = made(ltx2, asked())
    assert np.array_equal(frames, again)
    assert np.array_equal(sound, sound_again)
    other, _ = made(ltx2, asked(seed=6))
    assert np.abs(other.astype(int) - frames).mean() > 0.5
    told, _ = made(ltx2, asked(prompt="waves break below the lamp"))
    assert not np.array_equal(told, frames)


def test_sound_is_as_long_as_the_frames_at_any_rate(ltx2: LTX2) -> None:
    for fps in (Fraction(30000, 1001), Fraction(25)):
        frames, sound = made(ltx2, asked(9, fps=fps, profile="draft"))
        assert sound is not None
        assert sound.shape[1] == samples_at(len(frames), fps)
        # What the model leaves short is silence after a fade, not a break.
        assert not sound[:, -100:].any()
        assert np.abs(np.diff(sound, axis=1))[:, -2000:].max() < 0.5
    _, silent = made(ltx2, asked(9, audio="none", profile="draft"))
    assert silent is None


def test_25_reads_with_its_own_encoder_and_speaks_through_its_own_vocoder(models: Path) -> None:
    model = backend(models, variant="2.5")
    assert "one stage" in model.snap(asked()).adjustments[0]
    frames, sound = made(model, asked(9))
    assert frames.shape == (9, 64, 128, 3)
    assert sound is not None
    assert sound.shape == (2, 18000)


class Phases:
    """One family without the driver, for what can only be seen in the latents."""

    def __init__(self, models: Path, variant: str = "2.3", **parts: str) -> None:
        model = ModelSettings(variant=variant, parts={})
        sources = Sources(str(models / variant[:3]), parts)
        rule = LTX2().capabilities.frame_rule
        self.family = LTX2Family(sources, setup_of(model, parts), rule)
        self.encoder = self.family.load_encoder(Placing())
        self.denoiser = self.family.load_denoiser(Placing())
        self.vae = self.denoiser.pipe.vae

    def latents(self, request: RenderRequest, tools: RenderTools | None = None) -> Any:
        encoded = self.family.encode(self.encoder, request)
        return self.family.denoise(self.denoiser, request, encoded, tools or RenderTools({}))

    def seen(self, frames: Frames) -> Any:
        """Frames as the VAE sees them, denormalised latents."""
        pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None]
        with torch.no_grad():
            return self.vae.encode(pixels.float() / 127.5 - 1).latent_dist.mode()


@pytest.fixture(scope="module")
def phases(models: Path) -> Phases:
    return Phases(models)


def draft(num_frames: int = 17, **changes: Any) -> RenderRequest:
    return asked(num_frames, size=(64, 64), profile="draft", **changes)


def test_latents_and_frames_are_those_of_the_plain_pipeline(phases: Phases, models: Path) -> None:
    """Words encoded in another phase, no text encoder at hand, a stream: bit for bit the same."""
    from diffusers import FlowMatchEulerDiscreteScheduler, LTX2ConditionPipeline
    from diffusers.pipelines.ltx2.utils import DISTILLED_SIGMA_VALUES

    request = draft()
    pipe = LTX2ConditionPipeline.from_pretrained(models / "2.3")
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(
        pipe.scheduler.config, use_dynamic_shifting=False, shift_terminal=None
    )
    call = {
        "prompt": request.prompt,
        "width": 64,
        "height": 64,
        "num_frames": 17,
        "frame_rate": 24.0,
        "sigmas": [DISTILLED_SIGMA_VALUES[index] for index in (0, 4, 5, 6, 7)],
        "num_inference_steps": 5,
        "guidance_scale": 1.0,
        "stg_scale": 0.0,
        "modality_scale": 1.0,
        "guidance_rescale": 0.0,
        "audio_guidance_scale": 1.0,
        "audio_stg_scale": 0.0,
        "audio_modality_scale": 1.0,
        "audio_guidance_rescale": 0.0,
        "return_dict": False,
    }
    video, audio = pipe(
        **call, output_type="latent", generator=torch.Generator("cpu").manual_seed(5)
    )
    latents = phases.latents(request)
    assert torch.equal(latents["video"], video)
    assert torch.equal(latents["audio"], audio)
    shown, heard = pipe(**call, output_type="np", generator=torch.Generator("cpu").manual_seed(5))
    decoder = phases.family.load_decoder(Placing())
    frames = np.concatenate(list(phases.family.decode(decoder, request, latents)))
    # The norms of a steady decoder add up in another order: less than one level.
    assert np.abs(frames - shown[0] * 255).max() <= 1
    assert np.mean(frames != (shown[0] * 255).round()) < 0.001
    sound = phases.family.sound(decoder, request, latents)
    kept = heard.shape[-1] - 240
    assert np.array_equal(sound[:, :kept], heard[0].numpy().clip(-1, 1)[:, :kept])


def test_the_first_picture_is_the_first_latent(phases: Phases, pictures: dict[str, Path]) -> None:
    first, other = list(pictures)[:2]
    held = phases.latents(draft(key_pictures=(KeyPicture(0, first),)), RenderTools(pictures))
    also = phases.latents(draft(key_pictures=(KeyPicture(0, other),)), RenderTools(pictures))
    assert not torch.equal(held["video"][:, :, 0], also["video"][:, :, 0])
    free = phases.latents(
        draft(key_pictures=(KeyPicture(0, first),), seed=9), RenderTools(pictures)
    )
    # Held: the same whatever the noise was; the rest moves.
    assert torch.allclose(held["video"][:, :, 0], free["video"][:, :, 0], atol=1e-4)
    assert not torch.allclose(held["video"][:, :, 1], free["video"][:, :, 1], atol=1e-2)


def test_pictures_stand_on_their_own_frame(phases: Phases, pictures: dict[str, Path]) -> None:
    """Frames 6 and 7 are in one latent, and still not the same place."""
    tools, sha256 = RenderTools(pictures), list(pictures)[2]

    def at(frame: int, strength: float = 1.0) -> Any:
        key = KeyPicture(frame, sha256, strength)
        return phases.latents(draft(key_pictures=(key,)), tools)["video"]

    sixth, seventh, last = at(6), at(7), at(16)
    assert phases.denoiser.pipe.exact_frames == (16,)
    assert not torch.equal(sixth, seventh)
    assert not torch.equal(seventh, last)
    assert not torch.equal(last, at(16, 0.5))


def test_first_middle_and_last_picture_at_once_in_two_stages(
    ltx2: LTX2, pictures: dict[str, Path]
) -> None:
    keys = tuple(
        KeyPicture(frame, sha256) for frame, sha256 in zip((0, 7, 16), pictures, strict=False)
    )
    tools = RenderTools(pictures)
    free, _ = made(ltx2, asked())
    held, _ = made(ltx2, asked(key_pictures=keys), tools)
    without_last, _ = made(ltx2, asked(key_pictures=keys[:2]), tools)
    assert held.shape == free.shape
    assert not np.array_equal(held, free)
    assert not np.array_equal(held[16], without_last[16])


def test_says_which_file_is_missing(ltx2: LTX2) -> None:
    for changes in (
        {"key_pictures": (KeyPicture(0, "d" * 64),)},
        {"references": (Reference("image", "character", "d" * 64, "Mara"),)},
    ):
        with pytest.raises(RenderError, match="dddddddddddd"):
            made(ltx2, asked(**changes))
    with pytest.raises(RenderError, match="tttttttttttt"):
        made(ltx2, asked(continue_from=ContinueFrom(TAKE, "extend", 9)))


def test_the_sheet_of_references_holds_the_take(
    ltx2: LTX2, models: Path, pictures: dict[str, Path]
) -> None:
    tools = RenderTools(pictures)
    one, other = (Reference("image", "character", sha256, "Mara") for sha256 in list(pictures)[:2])
    place = Reference("image", "plate", list(pictures)[2])
    free, _ = made(ltx2, asked())
    snapped = ltx2.snap(asked(references=(one, place)))
    assert snapped.request.references == (one, place)
    assert snapped.request.prompt == (
        "### Reference Sheet Description **Panel 1 (Character):** Mara, grey braid. "
        "**Panel 2 (Setting):** EXT. GALLERY - DUSK. "
        "### Target Description a woman turns to camera"
    )
    shown, _ = made(ltx2, asked(references=(one,)), tools)
    shown_other, _ = made(ltx2, asked(references=(other,)), tools)
    assert not np.array_equal(shown, free)
    assert not np.array_equal(shown, shown_other)
    # Of a take without references the adapter knows nothing.
    plain, _ = made(backend(models, "upsampler"), asked())
    assert np.array_equal(plain, free)


def test_the_sheet_is_read_through_its_adapter(models: Path, pictures: dict[str, Path]) -> None:
    ref = Reference("image", "character", next(iter(pictures)), "Mara")
    request, tools = draft(9, references=(ref,)), RenderTools(pictures)
    one = Phases(models, ingredients=str(models / "ingredients")).latents(request, tools)
    other = Phases(models, ingredients=str(models / "distilled")).latents(request, tools)
    assert not torch.equal(one["video"], other["video"])


def test_the_sheet_is_looped_over_the_whole_call(
    models: Path, pictures: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from generator.backends.ltx2_parts import stages

    lengths: list[int] = []
    clip_of = stages.sheet_clip

    def spied(*args: Any) -> Any:
        clip = clip_of(*args)
        lengths.append(len(clip))
        assert clip[0].size == (64, 64)
        return clip

    monkeypatch.setattr(stages, "sheet_clip", spied)
    held = Phases(models, ingredients=str(models / "ingredients"))
    going_on = ContinueFrom(TAKE, "extend", 9)
    tail = np.zeros((9, 64, 64, 3), np.uint8)
    tools = RenderTools(pictures, {TAKE: TakeMedia(Path("x"), None, 9, tail)})
    ref = Reference("image", "character", next(iter(pictures)), "Mara")
    held.latents(draft(16, references=(ref,), continue_from=going_on), tools)
    assert lengths == [25]


def test_goes_on_from_the_tail_of_a_take(phases: Phases) -> None:
    clip = np.random.default_rng(0).integers(0, 255, (12, 64, 64, 3), np.uint8)
    request = draft(16, continue_from=ContinueFrom(TAKE, "extend", 9))
    tools = RenderTools({}, {TAKE: TakeMedia(Path("x"), None, 40, clip)})
    latents = phases.latents(request, tools)
    # 9 + 16 frames are 4 latents, of which the tail's own two are what the VAE sees of it.
    assert latents["video"].shape[2] == 4
    seen = phases.seen(clip[-9:])
    assert torch.allclose(latents["video"][:, :, :2], seen, atol=1e-4)
    decoder = phases.family.load_decoder(Placing())
    frames = np.concatenate(list(phases.family.decode(decoder, request, latents)))
    whole = np.concatenate(list(phases.family.decode(decoder, draft(25), latents)))
    assert np.array_equal(frames, whole[9:])
    sound = phases.family.sound(decoder, request, latents)
    whole_sound = phases.family.sound(decoder, draft(25), latents)
    assert sound.shape == (2, 32000)
    assert np.array_equal(sound, whole_sound[:, 18000:])


def test_goes_on_from_a_take_on_disk(ltx2: LTX2, tmp_path: Path) -> None:
    clip = np.random.default_rng(1).integers(0, 255, (12, 64, 128, 3), np.uint8)
    path = tmp_path / "take.mp4"
    write_video(path, [clip], size=(128, 64), fps=Fraction(24), encoding=MEZZANINE)
    snapped = ltx2.snap(asked(continue_from=ContinueFrom(TAKE, "extend", 12)))
    assert snapped.request.continue_from == ContinueFrom(TAKE, "extend", 9)
    assert "9 frames instead of 12" in " ".join(snapped.adjustments)
    on_disk = RenderTools({}, {TAKE: TakeMedia(path, None, 12)})
    frames, sound = made(ltx2, snapped.request, on_disk)
    free, _ = made(ltx2, asked())
    assert frames.shape == free.shape
    assert not np.array_equal(frames, free)
    assert sound is not None
    assert sound.shape[1] == samples_at(17, Fraction(24))
    short = RenderTools({}, {TAKE: TakeMedia(path, None, 5)})
    with pytest.raises(RenderError, match=r"expected 9 frames to go on from, .* has 5"):
        made(ltx2, snapped.request, short)


def test_a_shared_picture_is_the_first_frame(phases: Phases, ltx2: LTX2) -> None:
    clip = np.random.default_rng(2).integers(0, 255, (4, 64, 64, 3), np.uint8)
    going_on = ContinueFrom(TAKE, "shared_keyframe", 4)
    snapped = ltx2.snap(draft(continue_from=going_on, key_pictures=(KeyPicture(0, "a" * 64),)))
    assert snapped.request.continue_from == replace(going_on, tail_frames=1)
    assert [loss.field for loss in snapped.losses] == ["frames.first"]
    tools = RenderTools({}, {TAKE: TakeMedia(Path("x"), None, 4, clip)})
    latents = phases.latents(snapped.request, tools)
    assert latents["video"].shape[2] == 3
    seen = phases.seen(clip[-1:])
    assert torch.allclose(latents["video"][:, :, :1], seen, atol=1e-4)


def test_a_take_longer_than_a_call_is_made_in_segments(ltx2: LTX2) -> None:
    long = ltx2.snap(asked(500, size=(32, 32), profile="draft"))
    assert long.request.num_frames == 500
    rendered = ltx2.render(long.request, RenderTools({}))
    frames = sum(len(chunk) for chunk in rendered.frames)
    sound = rendered.audio()
    assert frames == 500
    assert sound is not None
    assert sound.shape == (2, samples_at(500, Fraction(24)))
    assert rendered.versions["seams"]
    one = ltx2.quote(replace(long.request, num_frames=481)).gpu_seconds
    assert one < ltx2.quote(long.request).gpu_seconds < 1.2 * one


def test_a_character_adapter_changes_the_picture(ltx2: LTX2, models: Path) -> None:
    path = models / "mara.safetensors"
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    tools = RenderTools({sha256: path})
    free, _ = made(ltx2, asked(profile="draft"))
    worn, _ = made(ltx2, asked(profile="draft", loras=(LoraWeight(sha256, 0.8, "Mara"),)), tools)
    less, _ = made(ltx2, asked(profile="draft", loras=(LoraWeight(sha256, 0.2, "Mara"),)), tools)
    again, _ = made(ltx2, asked(profile="draft"))
    assert not np.array_equal(worn, free)
    assert not np.array_equal(worn, less)
    assert np.array_equal(again, free)


def test_an_adapter_that_does_not_fit_is_refused_by_name(ltx2: LTX2, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    wrong = tmp_path / "other.safetensors"
    block = "transformer.transformer_blocks.0.attn1.to_q"
    save_file(
        {f"{block}.lora_A.weight": torch.zeros(4, 9), f"{block}.lora_B.weight": torch.zeros(9, 4)},
        wrong,
    )
    words = tmp_path / "words.safetensors"
    save_file({"connectors.video_text_proj_in.lora_A.weight": torch.zeros(4, 9)}, words)
    for path, said in ((wrong, "expected an adapter for LTX-2.3"), (words, "how words are read")):
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        request = asked(9, profile="draft", loras=(LoraWeight(sha256, 1.0, "Mara"),))
        with pytest.raises(RenderError, match=rf"{path.name}: .*{said}"):
            made(ltx2, request, RenderTools({sha256: path}))


def test_full_checkpoints_are_guided_and_read_a_negative(models: Path, ltx2: LTX2) -> None:
    full = backend(models, variant="2.3-dev")
    rough = asked(9, profile="draft", size=(64, 64))
    assert full.snap(replace(rough, negative="blurry")).losses == ()
    steps: list[tuple[int, int]] = []
    tools = RenderTools({}, on_step=lambda done, total: steps.append((done, total)))
    frames, _ = made(full, replace(rough, negative="blurry text"), tools)
    assert steps[-1] == (12, 12)
    other, _ = made(full, replace(rough, negative="rain"))
    assert not np.array_equal(frames, other)
    distilled = ltx2.snap(replace(rough, negative="blurry"))
    assert [loss.field for loss in distilled.losses] == ["negative"]
    assert distilled.request.negative == ""


def test_half_precision_speaks_through_an_exact_vocoder(
    models: Path, pictures: dict[str, Path]
) -> None:
    ref = Reference("image", "character", next(iter(pictures)), "Mara")
    keys = (KeyPicture(0, list(pictures)[1]), KeyPicture(5, list(pictures)[2]))
    request = asked(9, references=(ref,), key_pictures=keys)
    in_bf16 = backend(models, "upsampler", "ingredients", precision="bf16")
    frames, sound = made(in_bf16, request, RenderTools(pictures))
    assert frames.std() > 0
    assert sound is not None
    assert np.isfinite(sound).all()
    family = Phases(models, "2.5").family
    decoder = family.load_decoder(Placing(dtype="bfloat16"))
    assert {one.dtype for one in decoder.vocoder.parameters()} == {torch.float32}
    assert decoder.vae.dtype == decoder.audio_vae.dtype == torch.bfloat16


@pytest.mark.parametrize("offload", ["group", "sequential"])
def test_weights_that_come_as_needed_make_the_same_take(
    models: Path, ltx2: LTX2, pictures: dict[str, Path], offload: str
) -> None:
    ref = Reference("image", "character", next(iter(pictures)), "Mara")
    request, tools = asked(9, references=(ref,)), RenderTools(pictures)
    frames, sound = made(
        backend(models, "upsampler", "ingredients", offload=offload), request, tools
    )
    resident, heard = made(ltx2, request, tools)
    assert np.array_equal(frames, resident)
    assert np.array_equal(sound, heard)


def test_a_step_cache_is_pulled_where_there_are_steps_to_skip(models: Path) -> None:
    request = asked(9, profile="draft", size=(64, 64))
    plain, _ = made(backend(models, variant="2.3-dev"), request)
    cached = backend(models, variant="2.3-dev", step_cache="taylorseer")
    guessed, _ = made(cached, request)
    assert not np.array_equal(plain, guessed)
    assert np.array_equal(made(cached, request)[0], guessed)
    assert "picture and sound" in backend(models, variant="2.3-dev", step_cache="pyramid").unready


def test_fine_is_its_own_profile_only_where_the_model_is_not_distilled(
    models: Path, ltx2: LTX2
) -> None:
    snapped = ltx2.snap(asked(profile="fine"))
    assert snapped.request.profile == "standard"
    assert "profile fine to standard" in snapped.adjustments[0]
    both = backend(models, "distilled", "upsampler", variant="2.3-dev")
    fine, _ = made(both, asked(9, profile="fine"))
    quick, _ = made(both, asked(9))
    assert not np.array_equal(fine, quick)
    assert both.quote(both.snap(asked(profile="fine")).request).gpu_seconds > (
        3 * both.quote(both.snap(asked()).request).gpu_seconds
    )


@pytest.mark.parametrize("after", [0, 1, 4, 9])
def test_cancelled_at_a_step_the_next_take_is_as_ever(ltx2: LTX2, after: int) -> None:
    steps: list[int] = []
    tools = RenderTools(
        {},
        should_stop=lambda: len(steps) >= after,
        on_step=lambda done, total: steps.append(done),
    )
    with pytest.raises(CancelledError):
        ltx2.render(ltx2.snap(asked()).request, tools)
    assert len(steps) == after
    frames, _ = made(ltx2, asked())
    assert np.array_equal(frames, made(ltx2, asked())[0])
