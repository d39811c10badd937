"""What LTX-2 makes of a request, before anything is loaded: snapped, refused, quoted."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from generator.backends.base import (
    EditOf,
    KeyPicture,
    MotionArea,
    Reference,
)
from generator.backends.ltx2 import LTX2
from generator.backends.ltx2_parts.family import LTX2Family
from generator.backends.ltx2_parts.recipe import VARIANTS, setup_of
from generator.local.settings import LocalSettings, ModelSettings, PartSettings
from media.errors import RefusalError
from storyboards.shot_schema import Camera, CameraKey
from tests.generator.local.tiny_ltx2 import asked

TAKE = "t" * 64

_FILES = {
    "2.3": (
        "model_index.json",
        "transformer/x.safetensors",
        "text_encoder/x.safetensors",
        "tokenizer/x.json",
        "connectors/x.safetensors",
        "vae/x.safetensors",
        "audio_vae/x.safetensors",
        "vocoder/x.safetensors",
        "scheduler/x.json",
    ),
    "upsampler": ("latent_upsampler/x.safetensors",),
    "ingredients": ("x.safetensors",),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with the files that there must be, all empty: nothing here reads one."""
    folder = tmp_path_factory.mktemp("ltx2")
    for name, files in _FILES.items():
        for file in files:
            (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / file).touch()
    return folder


def backend(models: Path, *parts: str, **settings: Any) -> LTX2:
    model = ModelSettings(
        source=str(models / "2.3"),
        variant="2.3",
        parts={name: PartSettings(source=str(models / name)) for name in parts},
        **settings,
    )
    return LTX2(LocalSettings(device="cpu", models={"ltx2": model}))


@pytest.fixture(scope="module")
def ltx2(models: Path) -> LTX2:
    """Distilled, with a second stage and reference sheets."""
    return backend(models, "upsampler", "ingredients")


def test_without_the_part_references_are_named_not_dropped(models: Path) -> None:
    model = backend(models, "upsampler")
    refs = (
        Reference("image", "character", "a" * 64, "Mara"),
        Reference("image", "plate", "b" * 64),
    )
    snapped = model.snap(asked(references=refs))
    named = {loss.field: loss.reason for loss in snapped.losses}
    assert set(named) == {"cast.Mara.refs", "location.refs"}
    assert all("ingredients" in reason for reason in named.values())
    assert snapped.request.references == ()
    assert "references" not in model.capabilities.tasks


def test_a_sheet_takes_everybody_first_and_names_what_has_no_room(ltx2: LTX2) -> None:
    def view(name: str, number: int) -> Reference:
        digest = hashlib.sha256(f"{name}{number}".encode()).hexdigest()
        return Reference("image", "character", digest, name)

    views = tuple(view(name, number) for name in ("Ada", "Ben") for number in range(4))
    place = Reference("image", "plate", "c" * 64)
    snapped = ltx2.snap(asked(references=(*views, place)))
    assert len(snapped.request.references) == 8
    assert place in snapped.request.references
    assert [loss.field for loss in snapped.losses] == ["cast.Ben.refs"]
    crowd = tuple(view(f"extra {number}", 0) for number in range(9))
    with pytest.raises(RefusalError, match="at most 8 characters"):
        ltx2.snap(asked(references=crowd))


def test_stages_are_chosen_by_profile_and_by_option(ltx2: LTX2, models: Path) -> None:
    def stages(model: LTX2, **changes: Any) -> object:
        return dict(model.snap(asked(**changes)).request.options)["stages"]

    assert stages(ltx2) == 2
    assert stages(ltx2, profile="draft") == 1
    assert stages(ltx2, options=(("stages", 1),)) == 1
    assert stages(backend(models)) == 1
    assert ltx2.snap(asked(size=(96, 96))).request.size == (128, 128)
    assert ltx2.snap(asked(size=(96, 96), options=(("stages", 1),))).request.size == (96, 96)
    with pytest.raises(RefusalError, match="needs the part upsampler"):
        backend(models).snap(asked(options=(("stages", 2),)))
    with pytest.raises(RefusalError, match="1 or 2, got 3"):
        ltx2.snap(asked(options=(("stages", 3),)))


def test_refuses_before_anything_is_loaded(
    models: Path, ltx2: LTX2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*args: Any) -> Any:
        raise AssertionError("something was loaded")

    for name in ("load_encoder", "load_denoiser", "load_decoder"):
        monkeypatch.setattr(LTX2Family, name, loaded)
    unset = LTX2(LocalSettings(device="cpu"))
    assert "LTX-2-Community" in unset.unready
    with pytest.raises(RefusalError, match=r"transformer/\*.safetensors"):
        unset.snap(asked())
    (tmp_path / "transformer").mkdir()
    half = LTX2(LocalSettings(device="cpu", models={"ltx2": ModelSettings(source=str(tmp_path))}))
    with pytest.raises(RefusalError, match="lacks"):
        half.snap(asked())
    with pytest.raises(RefusalError, match="variant: expected"):
        LTX2(LocalSettings(models={"ltx2": ModelSettings(variant="3")})).snap(asked())
    with pytest.raises(RefusalError, match="none to skip"):
        backend(models, step_cache="taylorseer").snap(asked())
    for changes in (
        {"num_frames": 0},
        {"num_frames": 24 * 181},
        {"size": (4, 4)},
        {"key_pictures": (KeyPicture(99, "c" * 64),)},
    ):
        with pytest.raises(RefusalError):
            ltx2.snap(asked(**changes))


def test_nothing_is_dropped_without_a_word(ltx2: LTX2) -> None:
    path = Camera(path=(CameraKey(at="0s"), CameraKey(at="1s", x_m=1)))
    everything = asked(
        negative="blur",
        size=(193, 109),
        fps=Fraction(48),
        description=replace(asked().description, camera=path, focus=(0.5, 0.5)),
        references=(
            Reference("image", "character", "a" * 64, "Mara"),
            Reference("audio", "voice", "b" * 64, "Mara"),
            Reference("image", "style", "c" * 64),
            Reference("image", "layer", "d" * 64),
            Reference("video", "motion", "e" * 64, "Mara"),
        ),
        motion=(MotionArea((0, 0, 1, 1), "", ((0.1, 0.1), (0.5, 0.5))),),
        edit=EditOf(TAKE, "relight", "make it dawn"),
        options=(("motion_from.what", "camera"), ("no_such_option", 1)),
    )
    once = ltx2.snap(everything)
    assert {loss.field for loss in once.losses} == {
        "negative",
        "camera.path",
        "focus",
        "cast.Mara.voice.ref",
        "look.refs",
        "location.layers",
        "motion_from",
        "motion",
        "edit",
        "options.no_such_option",
    }
    assert all(loss.reason for loss in once.losses)
    assert once.request.references == everything.references[:1]
    assert once.request.fps == 24
    assert [edge % 64 for edge in once.request.size] == [0, 0]
    assert once.adjustments
    assert ltx2.snap(everything) == once
    again = ltx2.snap(once.request)
    assert again.request == once.request
    assert not again.adjustments
    assert not again.losses


def test_the_quote_is_the_figure_that_was_published(models: Path) -> None:
    model = backend(models)
    request = model.snap(asked(121, size=(768, 512))).request
    assert model.quote(request).gpu_seconds == pytest.approx(9.5, rel=1e-3)
    held = replace(request, references=(Reference("image", "character", "a" * 64, "Mara"),))
    assert model.quote(held).gpu_seconds == pytest.approx(19, rel=1e-3)


def test_a_plan_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from generator.backends.ltx2 import LTX2; model = LTX2(); "
        "model.capabilities; assert not {'torch', 'diffusers', 'cv2', 'av'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_pictures_are_compressed_as_the_generation_was_trained_to_see_them() -> None:
    """The pipelines guess it from a text encoder, which is not there when latents are made."""
    crf = {variant: setup_of(ModelSettings(variant=variant)).image_crf for variant in VARIANTS}
    assert crf == {"2.5": 18, "2.5-dev": 18, "2.3": 33, "2.3-dev": 33}
