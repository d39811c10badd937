"""What Wan makes of a request before anything is loaded: pipeline, raster, refusals, losses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from local_takes import asked

from generator.backends.base import (
    ContinueFrom,
    EditOf,
    KeyPicture,
    LoraWeight,
    Reference,
    RenderRequest,
)
from generator.backends.wan import WanBackend
from generator.backends.wan_parts.models import DEFAULT_NEGATIVE, PARTS, needs_of, wan_of
from generator.keys import request_key
from generator.local.settings import LocalSettings, ModelSettings, PartSettings
from media.errors import RefusalError
from storyboards.shot_schema import Camera, CameraKey

pytest.importorskip("diffusers")

FACE = Reference("image", "character", "a" * 64, "ada")
MOVE = Reference("video", "motion", "c" * 64, "ada")
POSE = (("motion_clip", "pose"), ("motion_from.start_s", "0"), ("motion_from.what", "performance"))


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Makes a backend whose folders have the names of what is needed, and nothing in them."""

    def backend(*parts: str, variant: str = "2.2", **settings: Any) -> WanBackend:
        for need in needs_of(wan_of(ModelSettings(variant=variant))):
            for name in need.files:
                path = tmp_path / need.name / name.replace("*", "any")
                path.mkdir(parents=True, exist_ok=True)
        model = ModelSettings(
            source=str(tmp_path / "main"),
            variant=variant,
            parts={name: PartSettings(source=str(tmp_path / name)) for name in parts},
            **settings,
        )
        return WanBackend(LocalSettings(device="cpu", models={"wan": model}))

    return backend


def shot(num_frames: int = 81, **changes: Any) -> RenderRequest:
    """Five seconds at Wan's own rate and a raster that it was trained at."""
    plain: dict[str, Any] = {"size": (832, 480), "fps": Fraction(16), "options": ()}
    return asked(**plain | {"num_frames": num_frames, "profile": "standard"} | changes)


def keyed(*frames: int, **changes: Any) -> RenderRequest:
    return shot(key_pictures=tuple(KeyPicture(at, "b" * 64) for at in frames), **changes)


def after(frames: int, **changes: Any) -> RenderRequest:
    return shot(64, continue_from=ContinueFrom("t" * 64, "extend", frames), **changes)


def pipeline(wan: WanBackend, request: RenderRequest) -> object:
    return dict(wan.snap(request).request.options)["pipeline"]


@pytest.mark.parametrize(
    ("parts", "request_", "expected"),
    [
        ("", shot(), "text"),
        ("i2v", shot(), "text"),
        ("i2v", keyed(0), "image"),
        ("i2v", keyed(0, 80), "first_last"),
        ("i2v", after(17), "image"),
        ("i2v", shot(200), "image"),
        ("vace", shot(), "text"),
        ("vace", shot(200), "vace"),
        ("vace", keyed(0), "vace"),
        ("vace i2v", keyed(0), "image"),
        ("vace i2v", keyed(0, references=(FACE,)), "vace"),
        ("vace i2v", keyed(0, 40), "vace"),
        ("vace i2v", keyed(80), "vace"),
        ("vace i2v", after(17), "vace"),
        ("vace i2v", after(1), "image"),
        ("vace", shot(references=(FACE,)), "vace"),
        ("animate", shot(77, references=(FACE, MOVE), options=POSE), "animate"),
        ("vace", shot(options=(("pipeline", "vace"),)), "vace"),
    ],
)
def test_what_is_needed_decides_what_makes_it(
    make: Any, parts: str, request_: RenderRequest, expected: str
) -> None:
    wan = make(*parts.split())
    assert pipeline(wan, request_) == expected
    once = wan.snap(request_)
    again = wan.snap(once.request)
    assert again.request == once.request
    assert not again.adjustments
    assert not again.losses


@pytest.mark.parametrize(
    ("parts", "variant", "request_", "said"),
    [
        ("", "2.2", keyed(0), "parts.i2v"),
        ("", "2.2", keyed(0, 80), "parts.i2v"),
        ("i2v", "2.1", keyed(0, 80), "parts.flf2v"),
        ("i2v", "2.2", keyed(40), "parts.vace"),
        ("i2v", "2.2", keyed(80), "parts.vace"),
        ("", "2.2", after(17), "parts.i2v"),
        ("", "2.1-1.3b", keyed(0), "parts.vace"),
        ("", "2.2-5b", keyed(0, 80), 'variant = "2.2"'),
        ("", "2.2", shot(77, references=(FACE, MOVE), options=POSE), "parts.animate"),
        ("", "2.2", shot(options=(("few_steps", True),)), "parts.lightning"),
        ("animate", "2.2", shot(77, references=(FACE, MOVE)), "src_pose.mp4"),
        ("animate", "2.2", shot(77, references=(MOVE,), options=POSE), "picture"),
        ("vace", "2.2", shot(16 * 181), "shorten"),
        ("vace", "2.2", keyed(0, options=(("pipeline", "text"),)), "option pipeline"),
    ],
)
def test_what_is_not_there_is_asked_for_by_name(
    make: Any, parts: str, variant: str, request_: RenderRequest, said: str
) -> None:
    wan = make(*parts.split(), variant=variant)
    with pytest.raises(RefusalError) as refused:
        wan.snap(request_)
    assert said in refused.value.what + refused.value.todo


@pytest.mark.parametrize("option", ["animate", "video", 3])
def test_an_unknown_pipeline_is_refused(make: Any, option: object) -> None:
    with pytest.raises(RefusalError, match="expected the option pipeline"):
        make().snap(shot(options=(("pipeline", option),)))


def test_references_are_lost_by_name_where_nothing_holds_them(make: Any) -> None:
    asked_for = (
        FACE,
        Reference("image", "style", "d" * 64),
        Reference("audio", "voice", "e" * 64, "ada"),
    )
    snapped = make().snap(shot(references=asked_for))
    assert snapped.request.references == ()
    lost = {loss.field: loss.reason for loss in snapped.losses}
    assert "models.wan.parts.vace" in lost["cast.ada.refs"]
    assert {"look.refs", "cast.ada.voice.ref"} <= set(lost)
    held = make("vace").snap(shot(references=asked_for))
    assert held.request.references == (FACE,)
    assert "cast.ada.refs" not in {loss.field for loss in held.losses}


def test_too_many_pictures_lose_second_views_first(make: Any) -> None:
    views = tuple(
        Reference("image", "character", name * 64, who)
        for name, who in zip("123456", ["ada", "ada", "ben", "ben", "cat", "dan"], strict=True)
    )
    kept = make("vace").snap(shot(references=views)).request.references
    assert [ref.subject for ref in kept] == ["ada", "ben", "cat", "dan"]


def test_says_what_it_does_not_do(make: Any) -> None:
    described = replace(asked().description, camera=Camera(path=(_key(0), _key(1))))
    snapped = make().snap(
        shot(
            description=described,
            audio="driven",
            audio_sha256="f" * 64,
            edit=EditOf("t" * 64, "relight", "make it dawn"),
            options=(("no_such_option", 1),),
        )
    )
    fields = {loss.field for loss in snapped.losses}
    assert {"camera.path", "dialogue.audio", "edit", "options.no_such_option"} <= fields
    assert (snapped.request.audio, snapped.request.edit) == ("none", None)


def test_a_pose_video_moves_one_person_and_no_camera(make: Any) -> None:
    others = (Reference("image", "character", "9" * 64, "ben"), FACE, MOVE)
    both = (*POSE[:2], ("motion_from.what", "both"))
    snapped = make("animate", "vace").snap(
        shot(
            60,
            references=others,
            options=both,
            loras=(LoraWeight("8" * 64, 1.0, "ada"),),
            negative="rain",
        )
    )
    assert [ref.subject for ref in snapped.request.references] == ["ada", "ada"]
    assert snapped.request.num_frames == 61
    assert (snapped.request.loras, snapped.request.negative) == ((), "")
    fields = {loss.field for loss in snapped.losses}
    assert {"refs", "motion_from.camera", "motion_from.face", "cast.ada.lora"} <= fields
    assert "negative" in fields


@pytest.mark.parametrize(
    ("rate", "made"), [(16, 16), (24, 24), (Fraction(30000, 1001), 30), (60, 30)]
)
def test_poses_set_the_rate(make: Any, rate: Fraction | int, made: int) -> None:
    request = shot(40, references=(FACE, MOVE), options=POSE, fps=Fraction(rate))
    assert make("animate").snap(request).request.fps == made


def test_a_tail_is_as_long_as_the_model_looks_back(make: Any) -> None:
    def frames(wan: WanBackend, tail: int) -> int:
        made = wan.snap(after(tail)).request.continue_from
        assert made is not None
        return made.tail_frames

    assert frames(make("vace"), 17) == 17
    assert frames(make("vace"), 60) == 33
    assert frames(make("i2v"), 17) == 1
    assert any("1 frames" in change for change in make("i2v").snap(after(17)).adjustments)


def test_a_last_picture_stands_on_the_last_frame_that_is_made(make: Any) -> None:
    wan = make("i2v")
    alone = wan.snap(keyed(0, 49, num_frames=50)).request
    assert (alone.num_frames, alone.key_pictures[-1].frame) == (53, 52)
    going_on = replace(after(1), key_pictures=(KeyPicture(63, "b" * 64),))
    snapped = wan.snap(going_on).request
    assert (snapped.num_frames, snapped.key_pictures[-1].frame) == (64, 63)
    long = wan.snap(keyed(0, 199, num_frames=200))
    assert long.request.key_pictures[-1].frame == 199
    assert any("up to 3 frames" in change for change in long.adjustments)
    assert not wan.snap(long.request).adjustments


def test_the_makers_negative_comes_before_the_shots(make: Any) -> None:
    wan = make("lightning")
    fine = wan.snap(shot(profile="fine", negative="rain")).request
    assert fine.negative == f"{DEFAULT_NEGATIVE}, rain"
    assert wan.snap(shot(profile="fine", negative="")).request.negative == DEFAULT_NEGATIVE


def test_few_steps_are_for_all_but_fine_takes(make: Any) -> None:
    wan = make("lightning")

    def few(request: RenderRequest) -> object:
        return dict(wan.snap(request).request.options)["few_steps"]

    assert few(shot()) is True
    assert few(shot(profile="draft")) is True
    assert few(shot(profile="fine")) is False
    assert few(shot(options=(("steps", 30),))) is False
    assert few(shot(options=(("few_steps", False),))) is False
    # A long take from words goes on by its last frame: both models must know few steps.
    assert not dict(make("i2v", "lightning").snap(shot(200)).request.options)["few_steps"]
    both = make("i2v", "lightning", "lightning_i2v").snap(shot(200)).request
    assert dict(both.options)["few_steps"]
    quick = wan.snap(shot(negative="rain"))
    assert quick.request.negative == ""
    assert "negative" in {loss.field for loss in quick.losses}


def test_words_that_are_not_read_cost_no_take(make: Any) -> None:
    spoken = replace(asked().description, dialogue=(("ada", "Good evening.", "quiet"),))
    wan = make()
    assert wan.snap(shot(description=spoken)).request == wan.snap(shot()).request


@pytest.mark.parametrize(
    ("variant", "size", "fps", "num_frames"),
    [
        ("2.2", (1280, 720), 16, 65),
        ("2.2-5b", (1248, 704), 24, 97),
        ("2.1", (1280, 720), 16, 65),
        ("2.1-1.3b", (832, 464), 16, 65),
    ],
)
def test_each_generation_has_its_raster(
    make: Any, variant: str, size: tuple[int, int], fps: int, num_frames: int
) -> None:
    film = shot(96, size=(1920, 1080), fps=Fraction(24))
    made = make(variant=variant).snap(film).request
    assert (made.size, made.fps, made.num_frames) == (size, fps, num_frames)
    draft = make(variant=variant).snap(replace(film, profile="draft")).request
    assert draft.size[0] * draft.size[1] <= 832 * 480


def test_quotes_follow_the_makers_table(make: Any) -> None:
    wan = make("vace")

    def seconds(size: tuple[int, int], **changes: Any) -> float:
        request = shot(size=size, profile="fine", **changes)
        return float(wan.quote(wan.snap(request).request).gpu_seconds)

    assert seconds((1280, 720)) == pytest.approx(1041.5)
    assert seconds((832, 480)) == pytest.approx(326.9, rel=0.01)
    assert seconds((1280, 720), options=(("steps", 10),)) == pytest.approx(1041.5 / 4, abs=0.1)
    assert seconds((1280, 720), num_frames=200) > 2 * seconds((1280, 720), options=_VACE)


_VACE: tuple[tuple[str, str], ...] = (("pipeline", "vace"),)


def test_capabilities_are_those_of_the_parts(make: Any) -> None:
    able = {
        parts: make(*parts.split()).capabilities for parts in ("", "i2v", "vace", "vace animate")
    }
    assert [one.extension for one in able.values()] == ["none", "last_frame", "tail", "tail"]
    assert able[""].tasks == {"text"}
    assert "last_frame" in able["i2v"].tasks
    assert able["i2v"].keyframe_positions == "first_last"
    assert able["vace"].max_references["image"] == 4
    assert able["vace animate"].max_references["video"] == 1
    assert not able["vace"].native_audio
    # Without a models file: all that the model could do, and why not here.
    bare = WanBackend(LocalSettings())
    assert "motion_from" in bare.capabilities.tasks
    assert "Wan-AI/Wan2.2-T2V-A14B-Diffusers" in bare.unready
    with pytest.raises(RefusalError, match=r"A14B-Diffusers"):
        bare.snap(shot())


def test_settings_that_cannot_be_are_said_before_loading(make: Any, tmp_path: Path) -> None:
    wan = WanBackend(LocalSettings(models={"wan": ModelSettings(source="x", variant="9")}))
    assert "expected variant 2.2 or 2.2-5b" in wan.unready
    assert wan.capabilities.native_audio is False
    with pytest.raises(RefusalError, match="got '9'"):
        wan.snap(shot())
    assert "does not use it" in make("i2v", variant="2.2-5b").unready
    assert "no step to spare" in make("lightning", step_cache="firstblock").unready
    assert "no effect" in make(step_cache="taylorseer").unready
    assert make(*PARTS, variant="2.1").unready == ""
    make("vace")
    (tmp_path / "vace" / "transformer").rmdir()
    bare = LocalSettings(
        models={
            "wan": ModelSettings(
                source=str(tmp_path / "main"),
                parts={"vace": PartSettings(source=str(tmp_path / "vace"))},
            )
        }
    )
    assert "vace lacks transformer" in WanBackend(bare).unready


def _key(at: int) -> CameraKey:
    return CameraKey.model_validate({"at": f"{at}s"})


def test_planning_loads_no_model_library() -> None:
    script = """
import sys
from generator.backends.wan import WanBackend
from generator.keys import request_key
from generator.local.settings import LocalSettings
wan = WanBackend(LocalSettings())
assert wan.unready and wan.capabilities and wan.revision
print(sorted({"torch", "diffusers", "transformers", "cv2", "av"} & set(sys.modules)))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_a_part_that_is_added_leaves_other_takes_as_they_are(make: Any, tmp_path: Path) -> None:
    def key(wan: WanBackend, request: RenderRequest) -> str:
        return request_key(wan.snap(request).request, wan.id, wan.revision)

    before, after_it = make("i2v"), make("i2v", "vace", "lightning_i2v")
    fine = {"profile": "fine"}
    assert key(before, shot(**fine)) == key(after_it, shot(**fine))
    assert key(before, keyed(0, **fine)) == key(after_it, keyed(0, **fine))
    assert key(before, keyed(0)) != key(after_it, keyed(0))
    # Other weights of the part that makes it are another take; of the main model, all are.
    opened, plain = key(before, keyed(0, **fine)), key(before, shot(**fine))
    (tmp_path / "i2v" / "transformer" / "new.safetensors").write_bytes(b"new")
    assert key(make("i2v"), keyed(0, **fine)) != opened
    assert key(make("i2v"), shot(**fine)) == plain
    (tmp_path / "main" / "vae" / "new.safetensors").write_bytes(b"new")
    assert key(make("i2v"), shot(**fine)) != plain
