"""MiniMax-H3 on tiny random weights: its three kinds of work, phase by phase, on the CPU."""

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
from local_takes import asked, continued, frames_and_sound, held_bytes, picture, sha, with_key

from generator.backends.base import KeyPicture, ListedShot, Reference, RenderTools
from generator.backends.minimax_h3 import MiniMaxH3
from generator.backends.minimax_h3_parts.family import MiniMaxH3Family
from generator.backends.minimax_h3_parts.words import h3_prompt
from generator.local.family import Placing, Sources
from generator.local.settings import LocalSettings, ModelSettings
from generator.prompts import write_shot_list
from media.errors import CancelledError, RefusalError, RenderError
from media.sound import write_sound
from media.timebase import SAMPLE_RATE
from media.video import MEZZANINE, write_video
from tests.generator.local.tiny_h3 import save_tiny_h3

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_h3(tmp_path_factory.mktemp("h3"))


def settings_for(folder: Path, *, licences: tuple[str, ...] = ("minimax-h3",), **model: Any) -> Any:
    found = ModelSettings(source=str(folder), **model)
    return LocalSettings(device="cpu", acknowledged=licences, models={"minimax_h3": found})


@pytest.fixture(scope="module")
def backend(folder: Path) -> MiniMaxH3:
    return MiniMaxH3(settings_for(folder))


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> RenderTools:
    """Two pictures, a voice of 3 s and a clip of 2.5 s, by hash, in this order."""
    folder = tmp_path_factory.mktemp("cast")
    voice, clip = folder / "voice.wav", folder / "clip.mp4"
    tone = np.sin(np.arange(SAMPLE_RATE * 3) / 20, dtype=np.float32)
    write_sound(voice, 0.5 * tone[None])
    noise = np.random.default_rng(0).integers(0, 255, (60, 32, 64, 3), np.uint8)
    write_video(clip, [noise], size=(64, 32), fps=Fraction(24), encoding=MEZZANINE)
    files = (picture(folder, "front", 40), picture(folder, "side", 200), voice, clip)
    return RenderTools({sha(path): path for path in files})


def small(**changes: Any) -> Any:
    return asked(**{"size": (64, 32), "audio": "native", "negative": "", **changes})


def references(tools: RenderTools) -> tuple[Reference, ...]:
    front, side, voice, clip = tools.assets
    return (
        Reference("image", "character", front, "ada"),
        Reference("image", "plate", side),
        Reference("audio", "voice", voice, "ada"),
        Reference("video", "motion", clip, "ada"),
    )


def frames_of(backend: MiniMaxH3, request: Any, tools: RenderTools | None = None) -> Any:
    return frames_and_sound(backend, request, tools)[0]


def test_words_become_picture_and_sound_of_exactly_one_length(backend: MiniMaxH3) -> None:
    snapped = backend.snap(small(negative="blur", options=(("guidance", 3), ("steps", 2))))
    assert snapped.request.num_frames == 124
    assert [loss.field for loss in snapped.losses] == ["negative", "options.guidance"]
    frames, sound, rendered = frames_and_sound(backend, snapped.request)
    assert sound.shape == (2, 124 * 2000)
    assert float(np.abs(sound).max()) > 0.01
    assert not np.array_equal(sound[0], sound[1])
    assert len(np.unique(frames)) > 8
    assert rendered.licence == "minimax-h3"
    silent = backend.snap(small(audio="none")).request
    assert frames_and_sound(backend, silent)[1] is None


def test_the_seed_decides_picture_and_sound(backend: MiniMaxH3) -> None:
    request = backend.snap(small()).request
    (first, sound, _), (again, sound_again, _) = (
        frames_and_sound(backend, request) for _ in range(2)
    )
    other, other_sound, _ = frames_and_sound(backend, replace(request, seed=8))
    assert np.array_equal(first, again)
    assert np.array_equal(sound, sound_again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(sound, other_sound)


def test_phases_give_what_the_whole_pipeline_gives(backend: MiniMaxH3, folder: Path) -> None:
    from diffusers.modular_pipelines.minimax_h3 import MiniMaxH3Blocks

    request = backend.snap(small()).request
    frames, sound, _ = frames_and_sound(backend, request)
    family = backend.family(Sources(str(folder)))
    reader, decoder = family.load_encoder(Placing()), family.load_decoder(Placing())
    denoiser = family.load_denoiser(Placing(variant="transformer"))
    pipe = MiniMaxH3Blocks().init_pipeline()
    pipe.update_components(
        text_encoder=reader.text_encoder,
        tokenizer=reader.tokenizer,
        processor=reader.eyes,
        transformer=denoiser.transformer,
        vae=decoder.vae,
        audio_vae=decoder.audio_vae,
        **denoiser.schedulers,
    )
    whole = pipe(
        prompt="Rain.",
        width=64,
        height=32,
        num_frames=124,
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(7),
        output_type="np",
        output=["videos", "audio"],
    )
    assert np.array_equal(frames, (whole["videos"][0] * 255).round().astype(np.uint8))
    # 32 kHz of the same wave, so every other sample of ours lies near every third of 96 kHz.
    theirs = whole["audio"][0].numpy()
    assert abs(theirs.shape[1] / 32_000 - sound.shape[1] / 48_000) < 0.02
    assert np.corrcoef(theirs[0, ::2][:60_000], sound[0, ::3][:60_000])[0, 1] > 0.9


def test_frames_come_chunk_by_chunk_as_from_one_decode(folder: Path, backend: MiniMaxH3) -> None:
    family = backend.family(Sources(str(folder)))
    decoder = family.load_decoder(Placing())
    for count in (124, 158):
        latent_frames = (count - 5) // 17 * 5 + 2
        noise = torch.randn(1, 24, latent_frames, 2, 4, generator=torch.Generator().manual_seed(2))
        request = small(num_frames=count)
        streamed = list(family.decode(decoder, request, {"video": noise}))
        mean = torch.tensor(decoder.vae.config.latents_mean).view(1, -1, 1, 1, 1)
        std = torch.tensor(decoder.vae.config.latents_std).view(1, -1, 1, 1, 1)
        with torch.no_grad():
            whole = decoder.vae.decode(noise * std + mean).sample
        pixels = whole * torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1, 1)
        pixels = pixels + torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1, 1)
        expected = (pixels.clamp(0, 1)[0].permute(1, 2, 3, 0).numpy() * 255).round()
        assert np.array_equal(np.concatenate(streamed), expected.astype(np.uint8))
        assert len(streamed) > count / 17


def test_decoding_holds_no_more_for_a_longer_take(folder: Path, backend: MiniMaxH3) -> None:
    family = backend.family(Sources(str(folder)))
    decoder = family.load_decoder(Placing())

    def most_held(count: int) -> int:
        latents = {"video": torch.randn(1, 24, (count - 5) // 17 * 5 + 2, 2, 4)}
        given = latents["video"].untyped_storage().nbytes()
        chunks = family.decode(decoder, small(num_frames=count), latents)
        return max(held_bytes() - given * 2 for _ in chunks)

    # What is given, and its scaled copy, are as long as the take; what is decoded is not.
    assert most_held(345) <= most_held(124)


def test_first_and_last_pictures_change_the_take(backend: MiniMaxH3, tmp_path: Path) -> None:
    whole = small(num_frames=124)
    dark, light = picture(tmp_path, "dark", 20), picture(tmp_path, "light", 220)
    first, tools = with_key(whole, dark, 0)
    both, both_tools = with_key(first, light, 123, tools)
    last, last_tools = with_key(whole, light, 123)
    made = []
    for request, files in ((first, tools), (both, both_tools), (last, last_tools)):
        snapped = backend.snap(request)
        assert not snapped.losses
        made.append(frames_of(backend, snapped.request, files))
    made.append(frames_of(backend, backend.snap(whole).request))
    for index, frames in enumerate(made):
        assert not any(np.array_equal(frames, other) for other in made[index + 1 :])
    with pytest.raises(RenderError, match="was not handed over"):
        backend.render(backend.snap(both).request, tools)


def test_a_last_picture_after_the_cut_is_told(backend: MiniMaxH3, tmp_path: Path) -> None:
    request, tools = with_key(small(), picture(tmp_path, "end", 60), 23)
    snapped = backend.snap(request)
    assert [key.frame for key in snapped.request.key_pictures] == [123]
    assert [loss.field for loss in snapped.losses] == ["frames.last"]
    assert "5.17 s long" in snapped.losses[0].reason
    assert backend.snap(snapped.request).request == snapped.request
    assert not backend.snap(snapped.request).losses
    going_on, more = continued(request)
    assert backend.snap(going_on).request.num_frames == 123
    assert len(
        frames_of(backend, backend.snap(going_on).request, replace(more, assets=tools.assets))
    )


def test_references_are_seen_and_heard_in_their_order(
    backend: MiniMaxH3, cast: RenderTools
) -> None:
    refs = references(cast)
    orders = [refs[:1], refs[:2], (refs[1], refs[0]), refs[:3], (*refs[:2], refs[3])]
    takes = []
    for order in orders:
        snapped = backend.snap(small(references=order))
        assert snapped.request.references == order
        assert not snapped.losses
        takes.append(frames_and_sound(backend, snapped.request, cast))
    pictures = [frames for frames, _, _ in takes]
    for index, frames in enumerate(pictures):
        assert not any(np.array_equal(frames, other) for other in pictures[index + 1 :])
    assert all(sound.shape == (2, 248_000) for _, sound, _ in takes)


def test_what_the_prompt_says_of_references_counts_by_kind(cast: RenderTools) -> None:
    request = small(
        references=references(cast),
        prompt="integrated_multimodal_description: [Shot 1] Rain. overall_soundscape: N/A",
    )
    prompt = h3_prompt(request)
    for part in (
        "subject_definitions: <Subject 1> is ada, woman, red coat, in <Picture 1>.",
        "<Picture 2> is the place of the shot.",
        "<Audio 1> is the voice timbre reference for <Subject 1>'s voice.",
        "<Video 1> is the movement that <Subject 1> makes.",
        "summary: [reference generation + audio reference]",
        "detailed_description: [Shot 1] Rain.",
    ):
        assert part in prompt
    assert "integrated" not in prompt


def test_the_prompt_says_where_key_pictures_stand() -> None:
    first = small(num_frames=124, key_pictures=(KeyPicture(0, "a"),))
    assert h3_prompt(first).startswith("For the target video, at 0.00 seconds")
    both = replace(first, key_pictures=(KeyPicture(0, "a"), KeyPicture(123, "b")))
    assert "Picture 2 (from Shot 1) aligns with the 5.12-second mark" in h3_prompt(both)
    last = replace(first, key_pictures=(KeyPicture(123, "b"),))
    assert "<Picture 1> (from [Shot 1]) aligns with the 5.12-second mark" in h3_prompt(last)
    assert h3_prompt(small()) == "Rain."


def test_pictures_that_must_stand_keep_references_out(backend: MiniMaxH3, cast: Any) -> None:
    request = small(references=references(cast), key_pictures=(KeyPicture(0, "d" * 64),))
    snapped = backend.snap(request)
    assert not snapped.request.references
    assert {loss.field for loss in snapped.losses} == {
        "cast.ada.refs",
        "cast.ada.voice.ref",
        "location.refs",
        "motion_from",
    }


def test_too_many_references_and_lone_voices_are_named(backend: MiniMaxH3) -> None:
    pictures = tuple(Reference("image", "character", f"{n:064d}", f"p{n}") for n in range(10))
    voices = tuple(Reference("audio", "voice", f"{n:064d}", f"p{n}") for n in range(20, 24))
    snapped = backend.snap(small(references=pictures + voices))
    kinds = [reference.kind for reference in snapped.request.references]
    assert (kinds.count("image"), kinds.count("audio")) == (9, 3)
    assert len(snapped.losses) == 2
    lone = backend.snap(small(references=voices[:1]))
    assert not lone.request.references
    assert "only together with a picture" in lone.losses[0].reason


def test_goes_on_from_a_take(backend: MiniMaxH3) -> None:
    request, tools = continued(backend.snap(small()).request)
    snapped = backend.snap(request).request
    frames, sound, _ = frames_and_sound(backend, snapped, tools)
    assert len(frames) == 124
    assert sound.shape == (2, 248_000)
    assert not np.array_equal(frames, frames_of(backend, *continued(snapped, level=230)))


def test_long_takes_are_made_in_segments_and_keep_their_length(backend: MiniMaxH3) -> None:
    request = backend.snap(small(num_frames=360, options=(("steps", 1),))).request
    assert request.num_frames == 360
    frames, sound, rendered = frames_and_sound(backend, request)
    assert len(frames) == 360
    assert sound.shape == (2, 720_000)
    assert "seams" in rendered.versions


def test_references_over_several_calls_are_refused(backend: MiniMaxH3, cast: RenderTools) -> None:
    with pytest.raises(RefusalError, match="holds references for at most 345 frames"):
        backend.snap(small(num_frames=400, references=references(cast)))


def test_stops_at_a_step(backend: MiniMaxH3) -> None:
    steps: list[tuple[int, int]] = []
    tools = RenderTools(
        {},
        should_stop=lambda: len(steps) == 2,
        on_step=lambda done, total: steps.append((done, total)),
    )
    request = backend.snap(small(options=(("steps", 4),))).request
    with pytest.raises(CancelledError):
        backend.render(request, tools)
    assert steps == [(1, 4), (2, 4)]


def test_what_was_encoded_is_kept_with_its_pictures(
    backend: MiniMaxH3, cast: RenderTools, tmp_path: Path
) -> None:
    tools = replace(cast, cache=tmp_path)
    request = backend.snap(small(references=references(cast)[:3])).request
    backend.prepare([request, replace(request, seed=9)], tools)
    assert len(list((tmp_path / "prompts").rglob("*.safetensors"))) == 1
    kept = frames_of(backend, request, tools)
    assert np.array_equal(kept, frames_of(backend, request, cast))
    backend.prepare([replace(request, references=request.references[:1])], tools)
    assert len(list((tmp_path / "prompts").rglob("*.safetensors"))) == 2


def test_the_licence_stands_before_everything(folder: Path) -> None:
    nothing = Path("/no/such/folder")
    for found in (folder, nothing):
        backend = MiniMaxH3(settings_for(found, licences=("cogvideox",)))
        for attempt in (
            lambda backend=backend: backend.snap(small()),
            lambda backend=backend: backend.render(small(), RenderTools({})),
            lambda backend=backend: backend.prepare([small()], RenderTools({}, cache=folder)),
        ):
            with pytest.raises(RefusalError) as refusal:
                attempt()
            said = str(refusal.value)
            for part in ("EU", "United Kingdom", "South Korea", "USA", "20,000,000"):
                assert part in said
            assert 'acknowledged = ["minimax-h3"]' in said


def test_missing_folders_are_named_with_their_size(folder: Path, tmp_path: Path) -> None:
    unready = MiniMaxH3(settings_for(tmp_path)).unready
    for part in ("transformer_ref", "audio_vae", "194 GB", "MiniMaxAI/MiniMax-H3"):
        assert part in unready
    without = MiniMaxH3(settings_for(tmp_path, variant="fl2va"))
    assert "transformer_ref" not in without.unready
    assert without.capabilities.max_references["image"] == 0
    assert "variant" in MiniMaxH3(settings_for(folder, variant="t2va")).unready


def test_finals_are_made_at_a_short_edge_of_768(backend: MiniMaxH3) -> None:
    sizes = {
        (1280, 720): (1344, 768),
        (720, 1280): (768, 1344),
        (1080, 1080): (768, 768),
        (1920, 800): (1568, 640),
    }
    for film, made in sizes.items():
        snapped = backend.snap(small(size=film, profile="standard")).request
        assert snapped.size == made
        assert backend.snap(snapped).request == snapped


@pytest.mark.parametrize(
    "changes",
    [
        {"num_frames": 0},
        {"num_frames": 24 * 61},
        {"size": (16, 16)},
        {"key_pictures": (KeyPicture(99, "c" * 64),)},
        {"options": (("steps", 0),)},
    ],
)
def test_refuses_what_cannot_be(backend: MiniMaxH3, changes: dict[str, Any]) -> None:
    with pytest.raises(RefusalError):
        backend.snap(small(**changes))


def test_several_shots_are_listed_with_the_times_of_their_cuts() -> None:
    def shot(text: str) -> str:
        return (
            f"integrated_multimodal_description: [Shot 1] {text} overall_soundscape: Rain. "
            "non_diegetic_music: N/A"
        )

    prompt = write_shot_list(
        [
            ListedShot(shot("A pier."), Fraction(0), Fraction(9, 2)),
            ListedShot(shot("A boat."), Fraction(9, 2), Fraction(3)),
        ],
        "minimax_h3",
    )
    assert prompt == (
        "integrated_multimodal_description: [Shot 1] A pier. [Shot 2] At 00:04.500, the camera "
        "cuts to: A boat. overall_soundscape: Rain. non_diegetic_music: N/A"
    )


def test_a_quote_is_that_of_the_figure(backend: MiniMaxH3) -> None:
    final = replace(
        backend.snap(small(num_frames=124, profile="fine", options=())).request, size=(1280, 704)
    )
    # 270 s for about 5 s on an RTX 5090.
    assert backend.quote(final).gpu_seconds == pytest.approx(270, rel=0.05)


@pytest.mark.parametrize("tight", [{"precision": "bf16"}, {"offload": "sequential"}])
def test_runs_in_half_precision_and_in_little_memory(
    folder: Path, cast: RenderTools, tight: dict[str, str]
) -> None:
    backend = MiniMaxH3(settings_for(folder, **tight))
    for refs in ((), references(cast)[:3]):
        snapped = backend.snap(small(references=refs, options=(("steps", 1),)))
        _, sound, rendered = frames_and_sound(backend, snapped.request, cast)
        assert sound is not None
        assert not rendered.warnings


def test_importing_it_loads_no_torch() -> None:
    code = (
        "import sys, generator.backends.minimax_h3; "
        "assert not {'torch', 'diffusers', 'cv2', 'av', 'scipy'} & set(sys.modules)"
    )
    assert run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_nothing_is_loaded_while_pictures_are_encoded(
    backend: MiniMaxH3, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers.models.modeling_utils import ModelMixin

    request, tools = with_key(small(), picture(tmp_path, "first", 90), 0)
    request = backend.snap(request).request
    family = MiniMaxH3Family(Sources(str(folder)), backend.capabilities.frame_rule)
    reader = family.load_encoder(Placing())
    # Loading changes torch for the whole process, in which another take may be decoded.
    monkeypatch.setattr(ModelMixin, "from_pretrained", None)
    assert "picture_0" in family.encode_files(reader, request, tools)
