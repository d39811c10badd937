"""What a cut sounds like: where, for how long, in whose voice, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from generator.sound.jobs import SoundJob, SoundPlan
from generator.sound.levels import loudness_lufs
from generator.sound.plan import plan_sound
from generator.sound.render import SOUND_FILE, render_sound
from generator.sound.requests import BedRequest, CueRequest, FileRequest, LineRequest
from media.errors import MediaError
from media.sound import read_sound, write_sound
from media.store import ContentStore
from media.timebase import SAMPLE_RATE
from storyboards.film import Film, cut_of
from storyboards.resolve import load_film

FILM = """
version: 1
project: {code: TST, title: Test, fps: 24}
cast:
  mara: {description: "woman, 60s", name: Mara}
  tom: {description: young man, name: Tom, voice: {name: Ryan}}
music:
  bed: {prompt: slow cello, from: a/s2, to: b/s4, duck_db: -9}
scenes:
  - id: a
    slugline: EXT. PIER - DAY
    ambience: [surf, zither concerto]
    shots:
      - {id: s1, duration: 2s, sfx: [{cue: door, at: 1s}, {cue: theremin, at: 1s}]}
      - id: s2
        duration: 4s
        transition_out: {type: dissolve, duration: 12f}
        dialogue:
          - {who: mara, line: Hello there., at: 0.5s, langs: {fr: "Bonjour."}}
          - {who: tom, line: And hello to you., at: 2s}
  - id: b
    slugline: INT. SHED - DAY
    ambience: wind
    shots:
      - {id: s3, duration: 2s, transition_out: {type: l_cut, duration: 12f},
         dialogue: [{who: mara, line: "One, two, three, four.", at: 1.5s}]}
      - {id: s4, duration: 3s}
      - {id: s5, duration: 2s, audio: voice, dialogue: [{who: tom, line: Yes., at: 0s}]}
      - {id: s6, duration: 2s, audio: none, dialogue: [{who: tom, line: No., at: 0s}]}
"""


def film_in(folder: Path, text: str = FILM) -> Film:
    path = folder / "film.yaml"
    path.write_text(text, "utf-8")
    return load_film(path)


def plan_of(film: Film, shots: Sequence[str] | None = None, **facts: object) -> SoundPlan:
    cut = cut_of(film, None if shots is None else tuple(shots))
    return plan_sound(film, cut, str(facts.pop("lang", "en")), **facts)  # type: ignore[arg-type]


def of(plan: SoundPlan, kind: str) -> list[SoundJob]:
    return [job for job in plan.jobs if job.kind == kind]


def at_s(*jobs: SoundJob) -> list[tuple[float, float]]:
    return [(job.start_sample / SAMPLE_RATE, job.num_samples / SAMPLE_RATE) for job in jobs]


def test_lines_have_the_room_up_to_the_next_line_or_the_end(tmp_path: Path) -> None:
    lines = of(plan_of(film_in(tmp_path)), "line")
    # s3 starts at 5.5 s; out of its L cut the line may run to the end of s4 at 10 s.
    assert at_s(*lines) == [(2.5, 1.5), (4.0, 2.0), (7.0, 3.0), (10.0, 2.0)]
    assert [job.spoken.speaker for job in lines if job.spoken] == ["Mara", "Tom", "Mara", "Tom"]
    requests = [job.request for job in lines]
    assert all(isinstance(request, LineRequest) for request in requests)
    assert requests[0].voice == requests[2].voice != requests[1].voice  # type: ignore[union-attr]


def test_ambience_is_one_bed_over_the_shots_of_a_scene(tmp_path: Path) -> None:
    beds = of(plan_of(film_in(tmp_path)), "ambience")
    # Through the dissolve both beds sound; `audio: voice` ends the second one at 10 s.
    assert at_s(*beds) == [(0.0, 6.0), (5.5, 4.6)]
    assert [job.fade_out_samples / SAMPLE_RATE for job in beds] == [0.5, 0.2]
    assert beds[1].fade_in_samples == SAMPLE_RATE // 2
    assert all(-6 <= job.duck_db < 0 for job in beds)


def test_effects_stand_on_their_frame_and_unknown_cues_are_named(tmp_path: Path) -> None:
    plan = plan_of(film_in(tmp_path))
    (door,) = of(plan, "sfx")
    assert (door.start_sample, door.stem) == (SAMPLE_RATE, "effects")
    lost = {(loss.shot, loss.field): loss.reason for loss in plan.losses}
    assert "'theremin'" in lost["a/s1", "sfx[1]"]
    assert "'zither concerto'" in lost["a/s1", "ambience"]
    assert "'Ryan'" in lost["", "cast.tom.voice.name"]


def test_music_ends_on_the_cut_and_follows_the_shots_that_are_there(tmp_path: Path) -> None:
    film = film_in(tmp_path)
    (bed,) = of(plan_of(film), "music")
    assert at_s(bed) == [(2.0, 8.0)]
    assert isinstance(bed.request, BedRequest)
    assert bed.request.num_samples == bed.num_samples
    assert bed.duck_db == -9
    (shorter,) = of(plan_of(film, ["a/s1", "a/s2", "b/s6"]), "music")
    assert at_s(shorter) == [(2.0, 4.0)]
    assert not of(plan_of(film, ["a/s1", "b/s6"]), "music")


def test_native_sound_is_not_sung_over(tmp_path: Path) -> None:
    film = film_in(tmp_path)
    plan = plan_of(film, native={"a/s1", "b/s3", "b/s5"})
    assert [job.shot for job in of(plan, "line")] == ["a/s2", "a/s2", "b/s5"]
    assert not of(plan, "sfx")
    assert [job.shot for job in of(plan, "ambience")] == ["a/s2", "b/s4"]


def test_lines_in_the_take_s_own_sound_are_known_for_captions(tmp_path: Path) -> None:
    plan = plan_of(film_in(tmp_path), native={"a/s2"})
    assert [(line.shot, line.spoken.speaker) for line in plan.native_lines] == [
        ("a/s2", "Mara"),
        ("a/s2", "Tom"),
    ]
    assert [line.start_sample / SAMPLE_RATE for line in plan.native_lines] == [2.5, 4.0]
    assert all(0 < line.num_samples < 2 * SAMPLE_RATE for line in plan.native_lines)
    assert plan.native == plan.speaking == {"a/s2"}
    silent = plan_of(film_in(tmp_path), native={"a/s1"})
    assert (silent.native, silent.speaking) == ({"a/s1"}, frozenset())


def test_a_dubbed_shot_does_not_keep_the_speech_of_its_take(tmp_path: Path) -> None:
    plan = plan_of(film_in(tmp_path), lang="fr", native={"a/s1", "a/s2"})
    assert plan.native == {"a/s1"}
    assert [job.shot for job in of(plan, "line")][:2] == ["a/s2", "a/s2"]
    assert any(
        loss.shot == "a/s2" and "the take's own sound is left out" in loss.reason
        for loss in plan.losses
    )


def test_another_language_speaks_its_own_text_or_says_that_it_cannot(tmp_path: Path) -> None:
    plan = plan_of(film_in(tmp_path), lang="fr")
    spoken = [job.spoken for job in of(plan, "line") if job.spoken]
    assert [(line.lang, line.text) for line in spoken[:2]] == [
        ("fr", "Bonjour."),
        ("en", "And hello to you."),
    ]
    assert any(loss.reason == "not translated: heard in en" for loss in plan.losses)
    with pytest.raises(MediaError, match="no voice"):
        plan_of(film_in(tmp_path, FILM.replace("fr:", "xx:")), lang="xx")


def test_keys_follow_what_is_heard_and_nothing_else(tmp_path: Path) -> None:
    keys = [job.key for job in plan_of(film_in(tmp_path)).jobs]
    renamed = FILM.replace("s2", "s2b").replace("title: Test", "title: Other")
    assert [job.key for job in plan_of(film_in(tmp_path, renamed)).jobs] == keys
    spoken = FILM.replace("Hello there.", "Hello where?")
    changed = [job.key for job in plan_of(film_in(tmp_path, spoken)).jobs]
    assert sum(a != b for a, b in zip(keys, changed, strict=True)) == 1


def test_own_recordings_stand_in_for_the_voice(tmp_path: Path) -> None:
    tone = np.sin(np.arange(SAMPLE_RATE) / 20).astype(np.float32)[np.newaxis] * 0.01
    write_sound(tmp_path / "line.wav", tone)
    write_sound(tmp_path / "sea.wav", tone)
    text = FILM.replace("line: Hello there.,", "line: Hello there., audio: line.wav,")
    film = film_in(tmp_path, text.replace("ambience: wind", "ambience: {file: sea.wav}"))
    plan = plan_of(film)
    line, sea = of(plan, "line")[0], of(plan, "ambience")[1]
    assert isinstance(line.request, FileRequest)
    store = ContentStore(tmp_path / "store", "sounds")
    heard = read_sound(render_sound(line, store, {}).folder / SOUND_FILE)
    assert loudness_lufs(heard) == pytest.approx(-20, abs=0.3)
    looped = read_sound(render_sound(sea, store, {}).folder / SOUND_FILE)
    assert looped.shape == (1, sea.num_samples)
    rms = [float(np.sqrt(np.mean(part**2))) for part in np.array_split(looped[0], 9)]
    assert min(rms[:-1]) > 0.5 * max(rms)


def test_every_sound_is_made_once(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "store", "sounds")
    plan = plan_of(film_in(tmp_path), ["a/s1", "b/s5"])
    for job in plan.jobs:
        entry = render_sound(job, store, {})
        audio = read_sound(entry.folder / SOUND_FILE)
        assert audio.shape == (entry.details["channels"], entry.details["num_samples"])
        assert np.isfinite(audio).all()
        assert audio.any()
        if isinstance(job.request, CueRequest):
            assert audio.shape[1] == job.request.num_samples
        if isinstance(job.request, LineRequest):
            (word,) = entry.details["words"]
            assert word[0] == "Yes."
            assert 0 <= word[1] < word[2] <= audio.shape[1] / SAMPLE_RATE
        stamp = (entry.folder / SOUND_FILE).stat().st_mtime_ns
        again = render_sound(job, store, {})
        assert (again.folder / SOUND_FILE).stat().st_mtime_ns == stamp


def test_the_plan_is_exact_at_ntsc_rates(tmp_path: Path) -> None:
    film = film_in(tmp_path, FILM.replace("fps: 24", "fps: 23.976"))
    assert film.fps == Fraction(24000, 1001)
    (door,) = of(plan_of(film), "sfx")
    assert door.start_sample == 24 * 2002


def test_a_long_effect_does_not_drown_the_lines(tmp_path: Path) -> None:
    film = film_in(tmp_path, FILM.replace("cue: door, at", "cue: foghorn, duration: 3s, at"))
    (horn,) = of(plan_of(film), "sfx")
    entry = render_sound(horn, ContentStore(tmp_path / "store", "sounds"), {})
    assert loudness_lufs(read_sound(entry.folder / SOUND_FILE)) <= -21.9
