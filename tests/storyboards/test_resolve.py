"""From text to exact frames: inheritance, staging, times, edges, deliverables."""

from __future__ import annotations

import json
import os
import wave
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel

from media.errors import StoryboardError
from media.files import sha256_file
from storyboards.fields import Angle, CameraMove, ShotSize, TransitionKind
from storyboards.film import Asset, Film, Shot, cut_of, film_shots
from storyboards.loader import load_storyboard
from storyboards.resolve import load_film, resolve_film
from storyboards.speech_length import estimate_speech_s

BOARD = """\
version: 1
project: {code: LHT, title: The Lighthouse, fps: 24, size: 1280x720, lang: en}
defaults: {look: dusk, takes: 2, tags: [day], options: {steps: 20, cfg: 3}, camera: static}
cast:
  mara: {description: woman, refs: {side: mara.png, front: mara.png}, voice: voice.wav}
  tom: {description: man}
locations:
  gallery: {refs: mara.png, layers: [{path: mara.png, depth_m: 2}, {path: mara.png, depth_m: 90}]}
looks: {dusk: {prompt: blue hour}, day: {prompt: noon}}
music: {m1: {prompt: slow cello, from: sc010/a, fade_out: 12f}}
scenes:
  - id: sc010
    slugline: EXT. GALLERY - DUSK
    location: gallery
    ambience: surf
    takes: {seeds: [7, 8, 9]}
    options: {cfg: 4}
    shots:
      - id: a
        size: wide
        angle: low_angle
        duration: 4s
        transition_out: {type: dissolve, duration: 12f}
      - id: b
        cast: [mara]
        camera: {move: [dolly_in, pan], lens_mm: 50}
        look: day
        tags: night
        options: {seed_mode: fixed}
        frames: {first: mara.png, mid: [{at: 1s, image: mara.png}], last: mara.png}
        dialogue:
          - {who: mara, line: It never went out., delivery: quiet, langs: {fr: Elle ne s'est jamais éteinte.}}
          - {who: mara, line: Never., langs: {fr: {line: Jamais., audio: voice.wav}}}
        sfx: [rail creak, {cue: gull, at: 1s, duration: 500ms}]
        titles: [{text: Mara, style: lower_third, langs: {fr: Mara}}]
        transition_out: fade
      - id: c
        join: b
        cast: [mara, tom]
        transition_in: fade
  - id: sc020
    slugline: INT. ROOM - NIGHT
    shots:
      - {id: a, transition_in: {type: wipe, direction: up}, cast: [tom]}
deliverables:
  - {name: master, langs: [en, fr], captions: [srt, vtt]}
  - {name: tall, aspect: 9:16, shots: [sc020/a, b]}
  - {name: scope, aspect: "2.39:1", shots: sc010/a}
exports: otio
"""  # noqa: E501


def silence(path: Path, seconds: float) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 48_000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * int(48_000 * seconds)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (16, 16), "teal").save(tmp_path / "mara.png")
    silence(tmp_path / "voice.wav", 6)
    return tmp_path


def load(folder: Path, text: str = BOARD) -> Film:
    path = folder / "storyboard.yaml"
    path.write_text(text, encoding="utf-8")
    return load_film(path)


def shot(film: Film, name: str) -> Shot:
    return next(shot for shot in film_shots(film) if shot.id == name)


def small(*shots: str, head: str = "") -> str:
    lines = "".join(f"      - {each}\n" for each in shots)
    return (
        "version: 1\nproject: {code: A, title: T}\ncast: {mara: {description: x}, tom: "
        "{description: y}, ada: {description: z}}\n" + head + "scenes:\n  - id: sc\n"
        "    slugline: s\n    shots:\n" + lines
    )


def test_what_a_shot_inherits(folder: Path) -> None:
    film = load(folder)
    first, second = shot(film, "sc010/a"), shot(film, "sc010/b")
    assert (first.size, first.angle) == (ShotSize.LS, Angle.LOW)
    assert first.look is not None
    assert first.look.id == "dusk"
    assert second.look is not None
    assert second.look.id == "day"
    assert (first.tags, second.tags) == (("day",), ("night",))
    assert first.options == {"steps": 20, "cfg": 4}
    assert second.options == {"steps": 20, "cfg": 4, "seed_mode": "fixed"}
    assert (first.take_count, first.seeds) == (3, (7, 8, 9))
    assert shot(film, "sc020/a").take_count == 2
    assert first.camera.move == (CameraMove.STATIC,)
    assert second.camera.move == (CameraMove.PUSH_IN, CameraMove.PAN_RIGHT)
    assert [cue.cue for cue in second.ambience] == ["surf"]
    assert (first.backends, first.audio, first.profile) == (("auto",), "native", "standard")
    assert first.location is not None
    assert [layer.depth_m for layer in first.location.layers] == [90, 2]


def test_files_are_hashed_and_named(folder: Path) -> None:
    film = load(folder)
    picture = film.cast["mara"].refs["front"]
    assert (picture.path, picture.sha256) == (
        folder / "mara.png",
        sha256_file(folder / "mara.png"),
    )
    assert shot(film, "sc020/a").cast[0].ref == ""


def test_the_view_fits_the_facing(folder: Path) -> None:
    def view(staged: str) -> str:
        return shot(load(folder, BOARD.replace("cast: [mara]", staged)), "sc010/b").cast[0].ref

    assert view("cast: [{who: mara, facing: camera}]") == "front"
    assert view("cast: [{who: mara, facing: left}]") == "side"
    assert view("cast: [{who: mara, facing: left, ref: front}]") == "front"
    assert view("cast: [{who: mara, facing: left}]\n        size: OTS") == "front"


def test_an_automatic_shot_lasts_as_long_as_its_longest_language(folder: Path) -> None:
    film = load(folder)
    lines = shot(film, "sc010/b").dialogue
    first_s = max(
        estimate_speech_s("It never went out.", "en", "quiet"),
        estimate_speech_s("Elle ne s'est jamais éteinte.", "fr", "quiet"),
    )
    second_start_s = Fraction(1, 2) + first_s + Fraction(1, 4)
    end_s = second_start_s + 6 + Fraction(3, 5)
    assert [line.start_frame for line in lines] == [12, -int(-second_start_s * 24 // 1)]
    assert shot(film, "sc010/b").num_frames == -int(-end_s * 24 // 1)
    assert lines[1].text == {"en": "Never.", "fr": "Jamais."}
    assert set(lines[1].audio) == {"fr"}


def test_silent_automatic_shots_last_three_seconds(folder: Path) -> None:
    assert shot(load(folder), "sc010/c").num_frames == 72


def test_lines_overlap_only_when_both_times_are_written(folder: Path) -> None:
    text = small(
        "{id: a, dialogue: [{who: mara, line: Listen to me now, at: 1s}, "
        "{who: tom, line: No, at: 1.5s}, {who: mara, line: Please}]}"
    )
    lines = film_shots(load(folder, text))[0].dialogue
    assert [line.start_frame for line in lines[:2]] == [24, 36]
    end_s = 1 + estimate_speech_s("Listen to me now")
    assert lines[2].start_frame == -int(-(end_s + Fraction(1, 4)) * 24 // 1)


def test_keyframes_stand_on_exact_frames(folder: Path) -> None:
    second = shot(load(folder), "sc010/b")
    assert [each.frame for each in second.keyframes] == [0, 24, second.num_frames - 1]


def test_transitions_and_the_cut(folder: Path) -> None:
    film = load(folder)
    a, b, c, d = film_shots(film)
    assert (a.transition_out.kind, a.transition_out.num_frames) == (TransitionKind.DISSOLVE, 12)
    assert (b.transition_out.kind, b.transition_out.num_frames) == (TransitionKind.FADE, 12)
    assert (c.transition_in.kind, c.transition_in.num_frames) == (TransitionKind.FADE, 12)
    # An overlap written at the beginning of a shot belongs to the one before it.
    assert (c.transition_out.kind, c.transition_out.direction) == (TransitionKind.WIPE, "up")
    assert d.transition_in.kind is TransitionKind.CUT
    assert cut_of(film).start_frames == (
        0,
        84,
        84 + b.num_frames,
        84 + b.num_frames + c.num_frames - 12,
    )


def test_continuations_name_whole_shots(folder: Path) -> None:
    continues = shot(load(folder), "sc010/c").continues
    assert continues is not None
    assert (continues.shot, continues.mode) == ("sc010/b", "extend")


def test_sounds_and_titles_in_frames(folder: Path) -> None:
    second = shot(load(folder), "sc010/b")
    assert [(cue.cue, cue.start_frame, cue.num_frames) for cue in second.sfx] == [
        ("rail creak", 0, None),
        ("gull", 24, 12),
    ]
    assert (second.titles[0].num_frames, second.titles[0].text["fr"]) == (96, "Mara")


def test_deliverables_keep_the_shorter_side(folder: Path) -> None:
    film = load(folder)
    assert [(each.name, each.size) for each in film.deliverables] == [
        ("master", (1280, 720)),
        ("tall", (720, 1280)),
        ("scope", (1720, 720)),
    ]
    assert film.deliverables[1].shots == ("sc010/b", "sc020/a")
    assert film.music[0].last_shot == "sc020/a"
    assert film.exports == ("otio",)


def test_a_film_without_deliverables_gets_a_master(folder: Path) -> None:
    (master,) = load(folder, small("{id: a}")).deliverables
    assert (master.name, master.size, master.langs, master.captions, master.shots) == (
        "master", (1280, 720), ("en",), ("srt",), ("sc/a",),
    )  # fmt: skip


def test_people_keep_their_sides_and_look_at_each_other(folder: Path) -> None:
    film = load(
        folder,
        small(
            "{id: a, cast: [mara, tom]}",
            "{id: b, cast: [tom]}",
            "{id: c, cast: [tom, mara]}",
            "{id: d, cast: [tom, ada, mara]}",
            "{id: e, cast: [{who: mara, position: right, facing: away}, tom]}",
        ),
    )
    stances = {
        each.id: {who.character.id: (who.position, who.facing) for who in each.cast}
        for each in film_shots(film)
    }
    assert stances["sc/a"] == {"mara": ("left", "right"), "tom": ("right", "left")}
    assert stances["sc/b"] == {"tom": ("centre", "left")}
    assert stances["sc/c"] == stances["sc/a"]
    assert stances["sc/d"] == {
        "mara": ("left", "right"), "ada": ("centre", "camera"), "tom": ("right", "left"),
    }  # fmt: skip
    assert stances["sc/e"]["mara"] == ("right", "away")
    assert stances["sc/e"]["tom"][0] == "left"


def test_a_person_alone_in_a_scene_looks_at_us(folder: Path) -> None:
    (who,) = film_shots(load(folder, small("{id: a, cast: [mara]}")))[0].cast
    assert (who.position, who.facing, who.depth) == ("centre", "camera", "mid")


def test_an_edit_lasts_as_long_as_what_it_edits(folder: Path) -> None:
    film = load(
        folder,
        small(
            "{id: a, edit: {from: b, operation: relight, instruction: dawn}}",
            "{id: b, edit: {from: c, operation: remove, instruction: the boat}}",
            "{id: c, duration: 31f}",
        ),
    )
    assert [each.num_frames for each in film_shots(film)] == [31, 31, 31]


def test_resolving_twice_gives_the_same_film(folder: Path) -> None:
    film = load(folder)
    assert resolve_film(load_storyboard(film.path)) == film


def test_frames_follow_the_rate(folder: Path) -> None:
    text = small("{id: a, duration: 2s}").replace("title: T", "title: T, fps: 23.976")
    assert film_shots(load(folder, text))[0].num_frames == 48


def plain(value: Any) -> Any:
    """`value` as JSON has it: fields by name, files without the folder, empty ones left out."""
    if isinstance(value, Asset):
        return value.path.name
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if is_dataclass(value):
        members = {each.name: plain(getattr(value, each.name)) for each in fields(value)}
        return {name: each for name, each in members.items() if each not in (None, "", [], {})}
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, (Fraction, Path)) else value


def test_a_whole_film_is_as_it_was(folder: Path) -> None:
    """Rewrite the golden with TAKEBOARD_GOLDENS=write, and read the difference."""
    # Written times: how long speech takes is another test's business.
    text = BOARD.replace("id: b\n", "id: b\n        duration: 8s\n")
    text = text.replace("delivery: quiet", "delivery: quiet, at: 1s")
    text = text.replace("Never.,", "Never., at: 4s,")
    film = plain(load(folder, text))
    film.pop("path")
    film.pop("folder")
    golden = Path(__file__).parent / "goldens" / "film.json"
    if os.environ.get("TAKEBOARD_GOLDENS") == "write":
        golden.write_text(json.dumps(film, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert film == json.loads(golden.read_text("utf-8"))


@given(
    lengths=st.lists(st.integers(2, 100), min_size=2, max_size=6),
    overlaps=st.lists(st.integers(1, 60), min_size=6, max_size=6),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_accepted_overlaps_are_kept_exactly(
    folder: Path, lengths: list[int], overlaps: list[int]
) -> None:
    lines = [
        f"{{id: s{place}, duration: {length}f, "
        f"transition_out: {{type: dissolve, duration: {overlap}f}}}}"
        for place, (length, overlap) in enumerate(zip(lengths[:-1], overlaps, strict=False))
    ]
    fits = all(
        overlap <= min(before, after) // 2
        for before, after, overlap in zip(lengths, lengths[1:], overlaps, strict=False)
    )
    text = small(*lines, f"{{id: last, duration: {lengths[-1]}f}}")
    if not fits:
        with pytest.raises(StoryboardError, match="expected at most"):
            load(folder, text)
        return
    cut = cut_of(load(folder, text))
    assert cut.num_frames == sum(lengths) - sum(overlaps[: len(lengths) - 1])
