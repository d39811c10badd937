"""A film from storyboard to files: exact, in step, and never made twice."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pysubs2
import pytest
from PIL import Image

from editor.loudness import measure_loudness
from flows.made import MadeFilm
from flows.options import FilmOptions, FilmRun
from flows.planning import plan_film
from generator.picks import pick_take
from media.errors import BudgetError, CancelledError
from media.ffmpeg import run_ffmpeg
from media.probe import probe
from media.sound import write_sound
from media.timebase import SAMPLE_RATE
from media.video import MEZZANINE, read_frames, write_video
from storyboards.resolve import load_film, load_films
from tests.fakes import FakeBackend
from tests.flows.films import board, install, lag_samples, make, noise, sound_of, tree, write_film

FRAMES = 78
SAMPLES_A_FRAME = 2000
RED, BLUE = (200, 30, 30), (30, 40, 200)

Board = dict[str, Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> MadeFilm:
    """The tiny film in two languages and a vertical version of its end, made once."""
    storyboard = board()
    storyboard["deliverables"] = [
        {"name": "master", "langs": ["en", "fr"], "captions": ["srt", "vtt", "soft"]},
        {
            "name": "vertical",
            "aspect": "9:16",
            "shots": ["sc020/sh0030", "sc020/sh0040", "sc020/sh0050"],
            "captions": "burned",
        },
    ]
    storyboard["exports"] = ["otio", "edl"]
    shot_of(storyboard, "sh0010")["dialogue"][0]["langs"] = {"fr": "Un, deux, trois."}
    shot_of(storyboard, "sh0050")["dialogue"][0]["langs"] = {"fr": {"line": "Deux."}}
    return make(write_film(tmp_path_factory.mktemp("finished"), storyboard))


def shot_of(storyboard: Board, id: str) -> Board:
    return next(
        shot for scene in storyboard["scenes"] for shot in scene["shots"] if shot["id"] == id
    )


def test_every_deliverable_has_exactly_its_frames(finished: MadeFilm) -> None:
    expected = {"master en": FRAMES, "master fr": FRAMES, "vertical en": 46}
    counted = {
        f"{one.name} {one.lang}": probe(one.film, count_frames=True).num_frames
        for one in finished.deliveries
    }
    assert counted == expected
    for one in finished.deliveries:
        assert one.num_frames == expected[f"{one.name} {one.lang}"]
        heard = sound_of(one.film).size
        assert abs(heard - one.num_frames * SAMPLES_A_FRAME) <= 1024


def test_the_vertical_version_stands_upright(finished: MadeFilm) -> None:
    vertical = probe(finished.deliveries[2].film)
    assert vertical.size is not None
    width, height = vertical.size
    assert abs(width / height - 9 / 16) < 0.02


def test_dialogue_is_in_step_in_the_first_and_in_the_last_shot(finished: MadeFilm) -> None:
    heard = sound_of(finished.deliveries[0].film)
    last_shot = FRAMES - 24
    for mark, first_frame in ((noise(1), 0), (noise(2), last_shot)):
        said = (first_frame + 6) * SAMPLES_A_FRAME
        assert abs(lag_samples(heard, mark[0], said)) <= 1


def test_loudness_is_what_was_asked_for(finished: MadeFilm) -> None:
    for one in finished.deliveries:
        measured = measure_loudness(one.film)
        assert measured.lufs is not None
        assert abs(measured.lufs - -14.0) <= 0.3, one.name
        assert measured.true_peak_db is not None
        assert measured.true_peak_db <= -0.9


def test_captions_are_in_each_language(finished: MadeFilm) -> None:
    english, french, vertical = finished.deliveries
    assert {path.suffix for path in english.captions} == {".srt", ".vtt"}
    for one, word in ((english, "One."), (french, "Un, deux")):
        for path in one.captions:
            events = pysubs2.load(str(path)).events
            assert word in events[0].plaintext
            assert events[0].start >= 250
            assert len(events) == 2
    assert vertical.captions == ()


def test_burnt_captions_are_in_the_picture(finished: MadeFilm, tmp_path: Path) -> None:
    storyboard = board()
    storyboard["deliverables"] = [
        {"name": "vertical", "aspect": "9:16", "captions": "none",
         "shots": ["sc020/sh0030", "sc020/sh0040", "sc020/sh0050"]},
    ]  # fmt: skip
    plain = make(write_film(tmp_path, storyboard), store=store_of(finished))
    assert plain.rendered == 0
    said, silent = 22 + 12, 4
    for frame, differs in ((said, True), (silent, False)):
        (burnt,) = next(read_frames(finished.deliveries[2].film, start=frame, num_frames=1))
        (bare,) = next(read_frames(plain.deliveries[0].film, start=frame, num_frames=1))
        apart = np.abs(burnt.astype(int) - bare.astype(int)).max()
        assert bool(apart > 80) is differs, frame


def store_of(made: MadeFilm) -> Path:
    return made.report.parent.parent / "store"


def test_the_timeline_reads_back(finished: MadeFilm) -> None:
    one = finished.deliveries[0]
    written = {path.suffix for path in one.timelines}
    assert written == {".otio", ".edl"}
    timeline = otio.adapters.read_from_file(str(one.timelines[0]))
    video = timeline.video_tracks()[0]
    assert video.duration().to_frames() == FRAMES
    assert len(list(video.find_clips())) == 5
    for clip in video.find_clips():
        assert Path(clip.media_reference.target_url.removeprefix("file://")).name == "picture.mp4"


def test_contact_sheet_and_report_are_there(finished: MadeFilm) -> None:
    with Image.open(finished.deliveries[0].contact_sheets[0]) as sheet:
        assert min(sheet.size) > 90
        assert len(sheet.convert("RGB").getcolors(2**24) or []) > 100
    page = finished.report.read_text(encoding="utf-8")
    assert "TNY_master_fr.mp4" in page
    assert "sh0050" in page


def test_nothing_is_left_lying_about(finished: MadeFilm) -> None:
    folder = finished.report.parent.parent
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_a_second_run_touches_nothing(tmp_path: Path) -> None:
    path = write_film(tmp_path)
    make(path)
    before = tree(tmp_path)
    again = make(path)
    assert (again.rendered, again.reused) == (0, 5)
    assert tree(tmp_path) == before


def test_a_deliverable_that_was_deleted_is_cut_again_from_what_is_kept(tmp_path: Path) -> None:
    path = write_film(tmp_path)
    film = make(path).deliveries[0].film
    film.unlink()
    again = make(path)
    assert again.rendered == 0
    assert (again.deliveries[0].segments_encoded, film.is_file()) == (0, True)


def rename_shot(storyboard: Board) -> None:
    shot_of(storyboard, "sh0020")["id"] = "sh0025"


def retitle(storyboard: Board) -> None:
    storyboard["project"]["title"] = "Small"


def move_shot(storyboard: Board) -> None:
    shots = storyboard["scenes"][1]["shots"]
    shots.insert(0, shots.pop())


def restyle_transition(storyboard: Board) -> None:
    shot_of(storyboard, "sh0020")["transition_out"] = {"type": "wipe", "duration": "6f"}


@pytest.mark.parametrize("change", [rename_shot, retitle, move_shot, restyle_transition])
def test_what_is_not_in_the_picture_renders_nothing(
    finished: MadeFilm, tmp_path: Path, change: Any
) -> None:
    storyboard = board()
    change(storyboard)
    made = make(write_film(tmp_path, storyboard), store=store_of(finished))
    assert (made.rendered, made.reused) == (0, 5)
    frames = probe(made.deliveries[0].film, count_frames=True).num_frames
    assert frames == FRAMES - (2 if change is restyle_transition else 0)


@pytest.mark.parametrize(
    ("shot", "field", "value", "rendered"),
    [
        ("sh0020", "action", "A gull.", {"sc010/sh0020"}),
        ("sh0050", "size", "LS", {"sc020/sh0050"}),
        ("sh0030", "size", "ELS", {"sc020/sh0030", "sc020/sh0040"}),
        ("sh0010", "duration", "26f", {"sc010/sh0010"}),
    ],
)
def test_an_edit_renders_its_shot_and_what_extends_it(
    finished: MadeFilm, tmp_path: Path, shot: str, field: str, value: str, rendered: set[str]
) -> None:
    storyboard = board()
    shot_of(storyboard, shot)[field] = value
    made = make(write_film(tmp_path, storyboard), store=store_of(finished))
    assert {job.shot_id for job in made.plan.missing} == rendered
    assert made.rendered == len(rendered)


def test_a_shot_that_extends_another_goes_on_from_its_last_frame(tmp_path: Path) -> None:
    made = make(write_film(tmp_path), slates=False)
    frames = np.concatenate(list(read_frames(made.deliveries[0].film))).astype(int)
    join = 24 + 12 + 12 - 4
    across = np.abs(frames[join] - frames[join - 1]).mean()
    elsewhere = np.abs(frames[join + 10] - frames[join + 9]).mean()
    assert across < 8 < elsewhere


def test_clean_leaves_the_slate_out_and_renders_nothing(finished: MadeFilm, tmp_path: Path) -> None:
    path = write_film(tmp_path)
    slated = make(path, store=store_of(finished))
    (before,) = next(read_frames(slated.deliveries[0].film, start=10, num_frames=1))
    clean = make(path, store=store_of(finished), slates=False)
    assert clean.rendered == 0
    (after,) = next(read_frames(clean.deliveries[0].film, start=10, num_frames=1))
    apart = np.abs(before.astype(int) - after.astype(int)).max(axis=(1, 2))
    assert apart.max() > 60
    assert np.median(apart) < 40, "only the strip of the slate differs"


def test_a_preview_is_small_and_stands_beside_the_film(tmp_path: Path) -> None:
    storyboard = board()
    storyboard["project"]["size"] = "1280x720"
    storyboard["deliverables"] = [{"name": "master"}, {"name": "square", "aspect": "1:1"}]
    made = make(write_film(tmp_path, storyboard), preview=True)
    assert len(made.deliveries) == 1
    found = probe(made.deliveries[0].film, count_frames=True)
    assert (found.size, found.num_frames) == ((640, 360), FRAMES)


def test_every_row_of_a_table_becomes_a_film(tmp_path: Path) -> None:
    storyboard = board()
    storyboard["variables"] = {"place": "shore"}
    storyboard["variants"] = "table.csv"
    storyboard["project"]["title"] = "By the {{ place }}"
    shot_of(storyboard, "sh0020")["action"] = "A wave at the {{ place }}."
    path = write_film(tmp_path, storyboard)
    (tmp_path / "table.csv").write_text("name,place\nsea,sea\nlake,lake\npond,pond\n")
    names = [film.variant for film in load_films(path)]
    assert names == ["sea", "lake", "pond"]
    made = [make(path, variant=name, out=tmp_path / name) for name in names]
    assert [one.film.title for one in made] == ["By the sea", "By the lake", "By the pond"]
    assert [one.rendered for one in made] == [5, 1, 1], "shots in common are rendered once"


def test_own_footage_brings_its_sound(tmp_path: Path) -> None:
    storyboard = board()
    storyboard["scenes"][0]["shots"].insert(
        1,
        {
            "id": "sh0015",
            "duration": "24f",
            "source": {"file": "own.mov", "start": "0.5s"},
        },
    )
    path = write_film(tmp_path, storyboard)
    mark = noise(7)[0]
    sound = np.concatenate([np.zeros(SAMPLE_RATE * 3 // 4, np.float32), mark])
    write_clip(tmp_path / "own.mov", RED, 48, np.pad(sound, (0, 2 * SAMPLE_RATE - sound.size)))
    film = make(path).deliveries[0].film
    (frame,) = next(read_frames(film, start=30, num_frames=1))
    assert np.abs(np.median(frame, axis=(0, 1)) - RED).max() < 12
    # The mark lies 0.75 s into the clip, which is shown from 0.5 s on.
    heard_at = 24 * SAMPLES_A_FRAME + SAMPLE_RATE // 4
    assert abs(lag_samples(sound_of(film), mark, heard_at)) <= 1


def write_clip(path: Path, colour: tuple[int, int, int], frames: int, sound: Any) -> None:
    """A clip of one colour with uncompressed sound, as a camera would make it."""
    picture, wav = path.with_suffix(".picture.mp4"), path.with_suffix(".wav")
    chunk = np.empty((frames, 90, 160, 3), np.uint8)
    chunk[:] = colour
    write_video(picture, [chunk], size=(160, 90), fps=Fraction(24), encoding=MEZZANINE)
    write_sound(wav, sound[None].astype(np.float32))
    run_ffmpeg(
        ["-i", str(picture), "-i", str(wav), "-map", "0:v", "-map", "1:a", "-c:v", "copy",
         "-c:a", "pcm_s16le", "-fs", "50M", str(path)],
        what="make a clip", timeout_s=30,
    )  # fmt: skip
    picture.unlink()
    wav.unlink()


@pytest.mark.parametrize(("kind", "red"), [("j_cut", 24), ("l_cut", 18), ("cut", 24)])
def test_split_edits_part_sound_from_picture(tmp_path: Path, kind: str, red: int) -> None:
    marks = {"red.mov": noise(8, 9600)[0], "blue.mov": noise(9, 9600)[0]}
    overlap = 0 if kind == "cut" else 6
    edge = {"type": kind} | ({"duration": "6f"} if overlap else {})
    storyboard = board()
    storyboard["scenes"] = [
        {
            "id": "sc010",
            "slugline": "INT. ROOM - DAY",
            "shots": [
                {"id": "sh0010", "duration": "24f", "source": "red.mov", "transition_out": edge},
                {"id": "sh0020", "duration": "24f", "source": "blue.mov"},
            ],
        }
    ]
    path = write_film(tmp_path, storyboard)
    # Red ends on its mark, blue begins with it: just what a split edit must keep whole.
    red_sound, blue_sound = np.zeros((2, SAMPLE_RATE), np.float32)
    red_sound[-12000:-2400], blue_sound[2400:12000] = marks["red.mov"], marks["blue.mov"]
    write_clip(tmp_path / "red.mov", RED, 24, red_sound)
    write_clip(tmp_path / "blue.mov", BLUE, 24, blue_sound)
    film = make(path).deliveries[0].film
    frames = np.concatenate(list(read_frames(film)))
    assert len(frames) == 48 - overlap
    assert int((frames.mean(axis=(1, 2))[:, 0] > 100).sum()) == red
    heard = sound_of(film)
    blue_begins = (24 - overlap) * SAMPLES_A_FRAME
    assert abs(lag_samples(heard, marks["red.mov"], SAMPLE_RATE - 12000)) <= 1
    assert abs(lag_samples(heard, marks["blue.mov"], blue_begins + 2400)) <= 1


def test_own_ambience_and_music_are_heard(tmp_path: Path) -> None:
    storyboard = board()
    for shot in ("sh0010", "sh0050"):
        del shot_of(storyboard, shot)["dialogue"]
    storyboard["scenes"][0]["ambience"] = {"file": "refs/surf.wav"}
    storyboard["music"] = {"m1": {"file": "refs/tune.wav", "from": "sc020/sh0030"}}
    storyboard["deliverables"] = [{"name": "master", "stems": True, "captions": "none"}]
    path = write_film(tmp_path, storyboard)
    surf, tune = noise(11, 3 * SAMPLE_RATE), noise(12, 3 * SAMPLE_RATE)
    write_sound(tmp_path / "refs/surf.wav", surf)
    write_sound(tmp_path / "refs/tune.wav", tune)
    film = make(path).deliveries[0]
    assert len(film.stems) == 5
    heard = sound_of(film.film)
    second_scene = 32 * SAMPLES_A_FRAME
    assert abs(lag_samples(heard, surf[0, :24000], 0)) <= 1
    assert abs(lag_samples(heard, tune[0, 24000:48000], second_scene + 24000)) <= 1


def test_a_pick_changes_the_cut_and_renders_nothing(tmp_path: Path) -> None:
    storyboard = board()
    shot_of(storyboard, "sh0020")["takes"] = {"count": 2, "seeds": [5, 6]}
    path = write_film(tmp_path, storyboard)
    options = FilmOptions(store=tmp_path / "store", out=tmp_path / "out", jobs=2)
    first = make(path)
    assert first.rendered == 6
    before = tree(tmp_path / "store/takes")
    film = load_film(path)
    pick_take(film, "sc010/sh0020", 2, plan_film(film, options).job("sc010/sh0020", 2).key)
    second = make(path)
    assert second.rendered == 0
    assert second.plan.picked["sc010/sh0020"] == 2
    assert tree(tmp_path / "store/takes") == before
    timeline = otio.adapters.read_from_file(str(second.deliveries[0].timelines[0]))
    used = "".join(clip.media_reference.target_url for clip in timeline.find_clips())
    assert second.plan.job("sc010/sh0020", 2).key in used
    assert second.plan.job("sc010/sh0020", 1).key not in used


def test_one_shot_alone_is_rendered_and_not_cut(tmp_path: Path) -> None:
    made = make(write_film(tmp_path), only=("sc010/sh0020",))
    assert (made.rendered, made.deliveries) == (1, ())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("on_exceed", ["stop", "hold"])
def test_a_cap_stops_before_anything_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_exceed: str
) -> None:
    dear = FakeBackend("dear", usd=3.0)
    install(monkeypatch, dear)
    storyboard = board()
    storyboard["defaults"] = {"backend": "dear"}
    storyboard["budget"] = {"usd": 2.5, "on_exceed": on_exceed}
    path = write_film(tmp_path, storyboard)
    del storyboard["scenes"][1]["shots"][1]["join"]
    path = write_film(tmp_path, storyboard)
    with pytest.raises(BudgetError, match=r"the film costs 15\.00 USD; the cap is 2\.50 USD"):
        make(path)
    assert dear.renders == []
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "out").exists()


def test_a_cancelled_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = write_film(tmp_path)
    run = FilmRun()

    class StopAfterOne(type(run.progress)):  # type: ignore[misc]
        def advance(self, name: str, steps: int = 1, label: str = "") -> None:
            if name == "shots" and list((tmp_path / "store/takes").glob("??/*/manifest.json")):
                run.stop.set()

    with pytest.raises(CancelledError):
        make(path, replace(run, progress=StopAfterOne()))
    kept = tree(tmp_path / "store/takes")
    assert any(name.endswith("manifest.json") for name in kept)
    made = make(path)
    assert 0 < made.rendered < 5
    after = tree(tmp_path / "store/takes")
    assert all(after[name] == state for name, state in kept.items() if "locks" not in name)


def test_the_record_of_deliveries_is_believed_only_when_it_is_whole(tmp_path: Path) -> None:
    path = write_film(tmp_path)
    make(path)
    record = tmp_path / "out/deliveries.json"
    for text in ("{", "[]", json.dumps({"version": 1, "deliveries": {"TNY_master_en": {}}})):
        record.write_text(text)
        again = make(path)
        assert (again.rendered, again.deliveries[0].segments_encoded) == (0, 0)
        assert again.deliveries[0].film.is_file()
