"""Films whose `finish` asks for more lines and more frames than their takes have."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import opentimelineio as otio
import pytest

from flows.made import MadeFilm
from flows.options import FilmOptions, FilmRun
from flows.planning import plan_film
from flows.progress import Progress
from flows.sweep import sweep
from generator.finish import FINISHED
from media.store import ContentStore
from media.timebase import SAMPLE_RATE
from media.video import MEZZANINE, probe, read_frame, write_video
from storyboards.resolve import load_film
from tests.flows.films import (
    LAST_AT_S,
    board,
    lag_samples,
    make,
    noise,
    picture_digests,
    sound_of,
    write_film,
)


def finished_board(**finish: Any) -> dict[str, Any]:
    storyboard = board()
    storyboard["finish"] = finish
    storyboard["deliverables"] = [
        {"name": "master", "captions": ["srt"]},
        {"name": "vertical", "aspect": "9:16", "captions": "burned"},
        {"name": "small", "size": "128x72", "captions": "none"},
    ]
    storyboard["exports"] = ["edl"]
    return storyboard


ENLARGED = finished_board(upscale="2x", interpolate_fps=48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finished")


@pytest.fixture(scope="module")
def plain(folder: Path) -> MadeFilm:
    """The film as its takes are; the finished one is made of the same takes."""
    return make(write_film(folder, finished_board()), out=folder / "plain", slates=False)


@pytest.fixture(scope="module")
def finished(folder: Path, plain: MadeFilm) -> MadeFilm:
    return make(write_film(folder, ENLARGED), slates=False)


def test_the_film_has_twice_the_size_and_twice_the_frames(
    plain: MadeFilm, finished: MadeFilm
) -> None:
    assert finished.rendered == 0
    sizes = {"master": (320, 180), "vertical": (180, 320), "small": (128, 72)}
    for before, after in zip(plain.deliveries, finished.deliveries, strict=True):
        facts = probe(after.film, count_frames=True)
        assert facts.fps == after.fps == 48
        assert facts.num_frames == after.num_frames == 2 * before.num_frames == 156
        assert facts.size == after.size == sizes[after.name]
        assert after.seconds == before.seconds


def test_every_second_frame_is_the_film_as_it_was(plain: MadeFilm, finished: MadeFilm) -> None:
    """Cuts and dissolves lie on the same moments."""
    before, after = plain.deliveries[0].film, finished.deliveries[0].film
    for frame in (0, 10, 23, 24, 30, 34, 48, 56, 77):
        own = read_frame(before, frame).astype(int)
        made = cv2.resize(read_frame(after, 2 * frame), (160, 90), interpolation=cv2.INTER_AREA)
        assert np.abs(made - own).mean() < 4, frame
    # The cut from sh0010 to sh0020 stays a cut: neither frame beside it is a mix.
    last, first = (read_frame(after, frame).astype(int) for frame in (47, 48))
    assert np.abs(last - read_frame(after, 46)).mean() < np.abs(last - first).mean() / 3


def test_sound_and_words_stay_in_time(plain: MadeFilm, finished: MadeFilm) -> None:
    for made in (plain, finished):
        heard = sound_of(made.deliveries[0].film)
        last_at = round((Fraction(54, 24) + LAST_AT_S) * SAMPLE_RATE)
        for seed, at in ((1, SAMPLE_RATE // 4), (2, last_at)):
            assert abs(lag_samples(heard, noise(seed)[0], at)) <= 24
    words = [made.deliveries[0].captions[0].read_text() for made in (plain, finished)]
    assert "00:00:00,250 --> " in words[0]
    assert words[0] == words[1]


def test_timelines_name_the_finished_takes_at_their_rate(finished: MadeFilm) -> None:
    timeline = otio.adapters.read_from_file(str(finished.deliveries[0].timelines[0]))
    clips = [clip for clip in timeline.video_tracks()[0] if isinstance(clip, otio.schema.Clip)]
    assert timeline.duration() == otio.opentime.RationalTime(156, 48)
    assert len(clips) == 5
    for clip in clips:
        assert clip.source_range.duration.rate == 48
        path = Path(clip.media_reference.target_url.removeprefix("file://"))
        assert f"/{FINISHED}/" in str(path)
        assert probe(path, count_frames=True).fps == 48


def test_nothing_is_finished_twice_and_a_lost_finish_is_made_again(
    folder: Path, finished: MadeFilm
) -> None:
    class Told(Progress):
        stages: list[str]

        def stage(self, name: str, total: int) -> None:
            self.stages = [*getattr(self, "stages", []), name]

    path = write_film(folder, ENLARGED)
    again = make(path, slates=False)
    assert again.deliveries[0].segments_encoded == 0
    before = [picture_digests(one.film) for one in finished.deliveries]
    shutil.rmtree(folder / "store" / FINISHED)
    progress = Told()
    assert make(path, FilmRun(progress), slates=False).deliveries == again.deliveries
    # Nothing was cut, so nothing was finished.
    assert "finish" not in progress.stages
    shutil.rmtree(folder / "store" / "segments")
    finished.deliveries[0].film.unlink()
    progress = Told()
    once_more = make(path, FilmRun(progress), slates=False)
    assert "finish" in progress.stages
    assert [picture_digests(one.film) for one in once_more.deliveries] == before


def test_odd_ratios_keep_the_running_time(folder: Path, plain: MadeFilm) -> None:
    storyboard = finished_board(interpolate_fps=60)
    storyboard["scenes"][0]["shots"][0]["duration"] = "25f"
    made = make(write_film(folder, storyboard), out=folder / "sixty")
    # 79 frames at 24 are 197.5 at 60.
    assert made.deliveries[0].num_frames == 198
    assert probe(made.deliveries[0].film, count_frames=True).num_frames == 198
    assert made.rendered == 1


def test_a_preview_finishes_nothing(folder: Path, finished: MadeFilm) -> None:
    write_film(folder, ENLARGED)
    made = make(folder / "film.yaml", preview=True, out=folder / "preview")
    assert made.deliveries[0].fps == 24
    assert made.deliveries[0].num_frames == 78


def test_sweeping_keeps_what_the_film_is_cut_from(folder: Path, finished: MadeFilm) -> None:
    film = load_film(write_film(folder, ENLARGED))
    options = _options(folder)
    make(folder / "film.yaml", slates=False)
    store = ContentStore(options.store, FINISHED)
    kept = set(store.keys())
    assert len(kept) >= 5
    swept = sweep([(film, options)], older_than_days=0, run=True)
    removed = {one["key"] for one in swept["entries"] if one["kind"] == FINISHED}
    assert len(kept - removed) == 5
    assert make(folder / "film.yaml", slates=False).deliveries[0].segments_encoded == 0


def test_what_was_drawn_is_enlarged_by_the_cut_and_what_was_shot_by_a_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAKEBOARD_MODELS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    storyboard = finished_board(upscale="2x")
    path = write_film(tmp_path, storyboard)
    store = ContentStore(tmp_path / "store", FINISHED)
    assert _said_of_upscale(path) == set()
    made = make(path)
    assert probe(made.deliveries[0].film).size == (320, 180)
    assert list(store.keys()) == []
    frames = np.stack([np.full((90, 160, 3), 9 * n, np.uint8) for n in range(24)])
    clip = tmp_path / "refs" / "clip.mp4"
    write_video(clip, [frames], size=(160, 90), fps=Fraction(24), encoding=MEZZANINE)
    shot = storyboard["scenes"][0]["shots"][1]
    storyboard["scenes"][0]["shots"][1] = {
        "id": "sh0020",
        "source": {"file": "refs/clip.mp4"},
        **{name: shot[name] for name in ("size", "duration", "transition_out")},
    }
    write_film(tmp_path, storyboard)
    assert _said_of_upscale(path) == {
        "enlarged by ffmpeg's Lanczos filter, which adds no detail; for a model that does, "
        "set up [models.spandrel] in the models file"
    }
    made = make(path)
    assert probe(made.deliveries[0].film).size == (320, 180)
    (key,) = store.keys()
    entry = store.find(key)
    assert entry is not None
    assert probe(entry.files["picture.mp4"], count_frames=True).num_frames == 12
    assert entry.details["size"] == [320, 180]


def _said_of_upscale(path: Path) -> set[str]:
    losses = plan_film(load_film(path), _options(path.parent)).losses
    return {loss.reason for loss in losses if loss.field == "finish.upscale"}


def _options(folder: Path) -> FilmOptions:
    return FilmOptions(store=folder / "store", out=folder / "out", jobs=2)
