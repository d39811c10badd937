"""A request holds what changes the picture or the sound, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from generator.keys import request_key
from generator.requests import Raster, assets_for, request_for, seed_for
from storyboards.fields import Angle, ShotSize, TransitionKind
from storyboards.film import (
    Continuation,
    Keyframe,
    OwnFootage,
    ShotTransition,
    SoundCue,
    TakeEdit,
    TitleCard,
)
from storyboards.schema import Lora
from storyboards.shot_schema import Camera, Checks, MotionBrush, MotionRegion
from tests.factories import (
    make_asset,
    make_character,
    make_film,
    make_line,
    make_location,
    make_look,
    make_shot,
    make_staged,
)
from tests.fakes import FakeBackend

MARA = make_character(refs={"front": make_asset("front.png"), "side": make_asset("side.png")})
SHOT = make_shot(
    num_frames=96,
    cast=(make_staged(MARA, ref="side"),),
    dialogue=(make_line(character=MARA),),
    location=make_location(),
    look=make_look(negative="text, blur"),
    negative="text",
    camera=Camera(move=("push_in",), lens_mm=50),
)


def key_of(shot: Any, **film: Any) -> str:
    return request_key(request_for(make_film([shot], **film), shot, 1, FakeBackend()), "fake", "1")


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "sc020/sh0990", "scene": "sc020"},
        {"line": 99},
        {"sfx": (SoundCue("rail creak", None, 1, 2, 0.0),)},
        {"ambience": (SoundCue("surf", None, 0, None, 0.0),)},
        {"titles": (TitleCard({"en": "Hello"}, "", "title", 0, 24),)},
        {"transition_out": ShotTransition(TransitionKind.DISSOLVE, 12, "left", "black")},
        {"checks": Checks(cuts=0)},
        {"tags": ("night",)},
        {"take_count": 4},
        {"backends": ("fake",)},
        {"group": "g1"},
        {"continues": Continuation("sc010/sh0001", "cut", 0)},
    ],
)
def test_what_is_not_in_the_picture_is_not_in_the_key(changes: dict[str, Any]) -> None:
    assert key_of(replace(SHOT, **changes)) == key_of(SHOT)


@pytest.mark.parametrize("changes", [{"title": "Other"}, {"code": "X"}, {"variant": "v"}])
def test_titles_of_the_film_are_not_in_the_key(changes: dict[str, Any]) -> None:
    assert key_of(SHOT, **changes) == key_of(SHOT)


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "She turns."},
        {"prompt": "rain"},
        {"num_frames": 97},
        {"size": ShotSize.CU},
        {"angle": Angle.LOW},
        {"camera": Camera(lens_mm=24)},
        {"slugline": "INT. LAMP ROOM"},
        {"location": make_location(plates=(make_asset("other.png"),))},
        {"look": make_look(prompt="noon")},
        {"look": make_look(refs=(make_asset("style.png"),))},
        {"cast": (make_staged(MARA, position="left"),)},
        {"cast": (make_staged(replace(MARA, refs={"front": make_asset("new.png")})),)},
        {"dialogue": (make_line("No.", character=MARA),)},
        {"dialogue": (make_line(character=MARA, start_frame=40),)},
        {"keyframes": (Keyframe(0, make_asset("board.png"), 1.0),)},
        {"continues": Continuation("sc010/sh0001", "extend", 4)},
        {"profile": "fine"},
        {"options": {"steps": 8}},
        {"seeds": (5,)},
    ],
)
def test_what_is_in_the_picture_is_in_the_key(changes: dict[str, Any]) -> None:
    assert key_of(replace(SHOT, **changes)) != key_of(SHOT)


def test_prompt_golden() -> None:
    request = request_for(make_film([SHOT]), SHOT, 1, FakeBackend())
    assert request.prompt == (
        "Medium shot. EXT. LIGHTHOUSE GALLERY - DUSK. the gallery of a lighthouse. "
        "Mara: mara, 60s, grey braid, centre of frame. Waves break below. "
        'Mara says, quiet: "It never went out." Camera push in, 50 mm lens. overcast blue hour.'
    )
    assert request.negative == "text, blur"


def test_template_text_in_a_storyboard_stays_text() -> None:
    shot = make_shot(action="{{ film.path }} {% raise %}")
    prompt = request_for(make_film([shot]), shot, 1, FakeBackend()).prompt
    assert "{{ film.path }} {% raise %}" in prompt


def test_references_in_order_the_chosen_view_first() -> None:
    names = [reference.role for reference in _request().references]
    assert names == ["character", "character", "plate"]
    assert _request().references[0].sha256 == MARA.refs["side"].sha256
    assert _request().references[0].subject == "Mara"


def test_two_people_of_one_name_are_told_apart() -> None:
    twin = make_character("twin", name="Mara")
    shot = make_shot(cast=(make_staged(MARA), make_staged(twin)))
    placed = request_for(make_film([shot]), shot, 1, FakeBackend()).description.placements
    assert [one.subject for one in placed] == ["Mara (mara)", "Mara (twin)"]


def test_speaking_spans_lie_inside_the_shot() -> None:
    start, end = _request().description.placements[0].speaking[0]
    assert start == 12
    assert 30 < end <= 96
    late = replace(SHOT, dialogue=(make_line(character=MARA, start_frame=90),))
    spans = request_for(make_film([late]), late, 1, FakeBackend()).description.placements[0]
    assert spans.speaking == ((90, 96),)


def test_seeds() -> None:
    film = make_film([SHOT])
    assert seed_for(film, replace(SHOT, seeds=(11, 12)), 2) == 12
    assert seed_for(film, SHOT, 1) != seed_for(film, SHOT, 2)
    assert seed_for(film, SHOT, 1) != seed_for(make_film([SHOT], seed=2), SHOT, 1)
    assert seed_for(film, replace(SHOT, action="Other", num_frames=5), 1) == seed_for(film, SHOT, 1)
    assert 0 <= seed_for(film, SHOT, 1) < 2**32


def test_one_setting_one_seed() -> None:
    other = replace(SHOT, id="sc010/sh0020", size=ShotSize.CU, action="Other")
    elsewhere = replace(SHOT, slugline="INT. LAMP ROOM")
    film = make_film([SHOT, other])
    seeds = [
        request_for(film, shot, 1, FakeBackend()).description.setting_seed
        for shot in (SHOT, other, elsewhere)
    ]
    assert seeds[0] == seeds[1] != seeds[2]


def test_another_raster_keeps_places_in_time() -> None:
    shot = replace(
        SHOT,
        keyframes=(Keyframe(48, make_asset("a"), 1.0), Keyframe(95, make_asset("b"), 1.0)),
    )
    raster = Raster((160, 90), Fraction(12))
    request = request_for(make_film([shot]), shot, 1, FakeBackend(), raster=raster)
    assert (request.size, request.fps, request.num_frames) == ((160, 90), 12, 48)
    assert [key.frame for key in request.key_pictures] == [24, 47]
    assert request.description.placements[0].speaking[0][0] == 6


def test_footage_is_trimmed_and_nothing_else() -> None:
    shot = make_shot(source=OwnFootage(make_asset("clip.mp4"), 12, True), action="One")
    request = request_for(make_film([shot]), shot, 1, FakeBackend())
    assert dict(request.options)["start_frame"] == 12
    assert request.audio == "native"
    assert key_of(shot) == key_of(replace(shot, action="Two", look=make_look()))


def test_motion_edit_and_lora_are_carried() -> None:
    mask = make_asset("mask.png")
    hero = replace(
        MARA,
        loras=(
            (Lora(path="a.safetensors"), make_asset("a")),
            (Lora(path="b.safetensors", base="ltx2"), make_asset("b")),
        ),
    )
    shot = make_shot(
        cast=(make_staged(hero),),
        motion=MotionBrush(
            regions=(MotionRegion(mask="mask.png", trajectory=((0, 0), (1, 1))),),
            static=((0, 0, 0.5, 0.5),),
        ),
        motion_masks={"mask.png": mask},
        edit=TakeEdit("sc010/sh0001", None, "remove", "the boat", mask, ()),
    )
    request = request_for(make_film([shot]), shot, 1, FakeBackend(), picked="f" * 64)
    assert [area.mask_sha256 for area in request.motion] == [mask.sha256, ""]
    assert request.edit is not None
    assert request.edit.take_key == "f" * 64
    assert [lora.sha256 for lora in request.loras] == [make_asset("a").sha256]
    assert {Path("mask.png"), Path("a"), Path("b")} <= set(assets_for(make_film([shot])).values())


def _request() -> Any:
    return request_for(make_film([SHOT]), SHOT, 1, FakeBackend())
