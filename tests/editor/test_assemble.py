from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from editor.assemble import assemble
from editor.spans import cut_spans
from editor.timeline import Caption, ClipMedia, Edge, Timeline
from media.errors import MediaError
from storyboards.fields import Angle, CameraMove, TransitionKind
from storyboards.film import Film, FilmDeliverable, Shot, ShotTransition, TitleCard, film_shots
from storyboards.schema import Loudness
from storyboards.shot_schema import Camera
from tests.factories import make_asset, make_film, make_look, make_shot


def transition(kind: TransitionKind, frames: int, colour: Any = "black") -> ShotTransition:
    return ShotTransition(kind, frames, "left", colour)


def deliverable(film: Film, **changes: Any) -> FilmDeliverable:
    shots = tuple(shot.id for shot in film_shots(film))
    made = FilmDeliverable("master", film.size, "crop", ("en",), (), shots, Loudness(), False)
    return replace(made, **changes)


def media_for(film: Film) -> dict[str, ClipMedia]:
    return {
        shot.id: ClipMedia(
            Path(f"{shot.id}.mp4"), f"take-{shot.id}", shot.num_frames, film.size, film.fps
        )
        for shot in film_shots(film)
    }


def sample_film() -> Film:
    card = TitleCard({"en": "The Lighthouse", "fr": "Le phare"}, "", "title", 6, 200)
    look = make_look(lut=make_asset("dusk.cube", "ab"), lut_strength=0.6)
    return make_film(
        [
            make_shot(
                "sc010/sh0010",
                num_frames=96,
                transition_in=transition(TransitionKind.FADE, 12),
                transition_out=transition(TransitionKind.DISSOLVE, 24),
                titles=(card,),
            ),
            make_shot(
                "sc010/sh0020",
                num_frames=48,
                angle=Angle.LOW,
                look=look,
                camera=Camera(move=(CameraMove.PUSH_IN,), lens_mm=50),
                transition_out=transition(TransitionKind.J_CUT, 10),
            ),
            make_shot("sc010/sh0030", num_frames=30),
            make_shot(
                "sc020/sh0010",
                num_frames=40,
                transition_out=transition(TransitionKind.FADE, 500, "white"),
            ),
        ]
    )


def cut(film: Film, *, slates: frozenset[str] = frozenset(), **changes: Any) -> Timeline:
    return assemble(film, deliverable(film, **changes), "en", media_for(film), slates=slates)


def test_the_cut_follows_the_storyboard() -> None:
    timeline = cut(sample_film())
    assert [(clip.shot, clip.start_frame, clip.num_frames) for clip in timeline.clips] == [
        ("sc010/sh0010", 0, 96),
        ("sc010/sh0020", 72, 48),
        ("sc010/sh0030", 110, 30),
        ("sc020/sh0010", 140, 40),
    ]
    assert timeline.num_frames == 180
    assert [clip.head for clip in timeline.clips] == [
        Edge(TransitionKind.FADE, 12),
        Edge(TransitionKind.DISSOLVE, 24),
        Edge(TransitionKind.J_CUT, 10),
        None,
    ]
    assert timeline.clips[3].tail_fade == Edge(TransitionKind.FADE, 40, colour="white")
    lutted = timeline.clips[1]
    assert (lutted.lut, lutted.lut_digest, lutted.lut_strength) == (Path("dusk.cube"), "ab", 0.6)
    assert timeline.clips[0].lut is None


def test_titles_speak_the_language_and_end_with_the_film() -> None:
    film = sample_film()
    for lang, text in (("fr", "Le phare"), ("de", "The Lighthouse")):
        timeline = assemble(film, deliverable(film), lang, media_for(film), slates=frozenset())
        assert timeline.overlays[0].text == text
        assert (timeline.overlays[0].start_frame, timeline.overlays[0].num_frames) == (6, 174)


def test_a_deliverable_of_some_shots_holds_the_transition_to_them() -> None:
    timeline = cut(sample_film(), shots=("sc010/sh0010", "sc010/sh0030"))
    assert [clip.start_frame for clip in timeline.clips] == [0, 81]
    assert timeline.clips[1].head == Edge(TransitionKind.DISSOLVE, 15)
    assert timeline.num_frames == 111


def test_slates_say_it_in_film_words() -> None:
    timeline = cut(sample_film(), slates=frozenset({"sc010/sh0020"}))
    slate = timeline.clips[1].slate
    assert slate is not None
    assert (slate.shot, slate.lines) == (
        "sc010/sh0020",
        ("MS · low angle · push in · 50 mm", "Waves break below."),
    )
    assert [clip.slate for clip in timeline.clips if clip.shot != slate.shot] == [None] * 3


def test_a_slate_says_what_the_director_said() -> None:
    film = sample_film()
    timeline = assemble(
        film, deliverable(film), "en", media_for(film), slates=frozenset({"sc010/sh0020"}),
        notes={"sc010/sh0020": "slower, less smile\U0001f642", "sc010/sh0010": "no slate here"},
    )  # fmt: skip
    slates = [clip.slate.lines[1] for clip in timeline.clips if clip.slate]
    assert slates == ["Waves break below. (slower, less smile)"]


def test_captions_are_burnt_in_only_when_wanted() -> None:
    film = sample_film()
    said = [Caption(10, 20, "It never went out.", "Mara")]
    for wanted, styles in (((), ["title"]), (("burned",), ["title", "caption"])):
        timeline = assemble(
            film,
            deliverable(film, captions=wanted),
            "en",
            media_for(film),
            slates=frozenset(),
            captions=said,
        )
        assert [overlay.style for overlay in timeline.overlays] == styles
        assert timeline.captions == tuple(said)


def _without(media: dict[str, ClipMedia], shot: str, **changes: Any) -> dict[str, ClipMedia]:
    kept = {name: clip for name, clip in media.items() if name != shot}
    return {**kept, shot: replace(media[shot], **changes)} if changes else kept


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({}, "sc010/sh0020: there is no take"),
        ({"num_frames": 40}, "expected 48 frames, got 40"),
        ({"start_frame": 10}, "expected 48 frames, got 38 from frame 10 on"),
        ({"fps": Fraction(25)}, "expected 24 fps, got 25"),
    ],
)
def test_media_that_does_not_fit_is_named(changes: dict[str, Any], match: str) -> None:
    film = sample_film()
    media = _without(media_for(film), "sc010/sh0020", **changes)
    with pytest.raises(MediaError, match=match):
        assemble(film, deliverable(film), "en", media, slates=frozenset())


def test_a_deliverable_of_no_shots_is_refused() -> None:
    with pytest.raises(MediaError, match="no shots"):
        cut(sample_film(), shots=())


def test_hundreds_of_short_shots_add_up() -> None:
    shots: list[Shot] = [make_shot(f"sc010/sh{number:04}", num_frames=7) for number in range(300)]
    timeline = cut(make_film(shots))
    assert timeline.num_frames == 2100
    assert sum(span.num_frames for span in cut_spans(timeline)) == 2100
