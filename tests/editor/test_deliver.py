"""The delivered file, decoded: frames, sound to the sample, captions, chapters, all or nothing."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from editor import deliver as deliver_module
from editor.deliver import Chapter, deliver, export_stems
from editor.loudness import finish_sound
from editor.mix import Stems, mix
from editor.timeline import Caption, Timeline
from media.errors import MediaError
from media.ffmpeg import ffmpeg_exe
from media.sound import read_sound
from media.timebase import samples_at
from media.video import MEZZANINE, probe, write_video
from storyboards.schema import Loudness
from tests.editor.sound_samples import FPS, click, film_of, lag_of, noise, place

NTSC = Fraction(24000, 1001)


def picture_of(folder: Path, num_frames: int, fps: Fraction = FPS) -> Path:
    path = folder / "picture.mp4"
    frames = np.full((num_frames, 48, 64, 3), 90, np.uint8)
    frames[:, :, :, 0] = (np.arange(num_frames) % 200)[:, np.newaxis, np.newaxis]
    write_video(path, [frames], size=(64, 48), fps=fps, encoding=MEZZANINE)
    return path


def marked_film(folder: Path, fps: Fraction, num_frames: int) -> tuple[Timeline, Stems, list[int]]:
    """Noise with a mark at the first sample, in the middle and near the end."""
    frames = [0, num_frames // 2, num_frames - 3]
    marks = tuple(
        place(folder, f"m{frame}", click(), samples_at(frame, fps), stem="effects")
        for frame in frames
    )
    bed = place(folder, "bed", noise(float(num_frames / fps), -50), 0, stem="music")
    timeline = film_of(num_frames, sounds=(*marks, bed), fps=fps)
    stems = mix(timeline, folder / "raw")
    return timeline, stems, [samples_at(frame, fps) for frame in frames]


@pytest.mark.parametrize("fps", [FPS, NTSC, Fraction(25), Fraction(60)])
def test_marks_come_out_of_the_film_on_their_sample(tmp_path: Path, fps: Fraction) -> None:
    timeline, stems, starts = marked_film(tmp_path, fps, 241)
    finished = finish_sound(stems, Loudness(), tmp_path / "fin")
    picture = picture_of(tmp_path, 241, fps)
    out = deliver(timeline, picture, finished.aac, out=tmp_path / "out" / "film.mp4")
    heard = read_sound(out)
    assert [lag_of(heard, click(), start) for start in starts] == pytest.approx([0, 0, 0], abs=1)
    found = probe(out, count_frames=True)
    assert (found.num_frames, found.fps, found.sample_rate) == (241, fps, 48_000)
    assert abs(heard.shape[1] - samples_at(241, fps)) <= 1024
    with av.open(str(out)) as film:
        assert film.streams.video[0].start_time == 0
        base = film.streams.video[0].time_base or Fraction(1)
        times = [(packet.pts or 0) * base for packet in film.demux(video=0) if packet.size]
        assert sorted(time * fps for time in times) == list(range(241))


def test_a_wav_is_encoded_on_the_way(tmp_path: Path) -> None:
    timeline, stems, starts = marked_film(tmp_path, FPS, 48)
    out = deliver(timeline, picture_of(tmp_path, 48), stems.film, out=tmp_path / "film.mp4")
    assert lag_of(read_sound(out), click(), starts[1]) == 0


def test_captions_chapters_and_title_are_in_the_file(tmp_path: Path) -> None:
    timeline, stems, _ = marked_film(tmp_path, FPS, 96)
    title = "L'été; = #1 \\ 灯"
    captions = {
        "en": (Caption(12, 36, 'Say "hi" <b>now</b> --> {\\an8}up', "Mara"),),
        "zh": (Caption(12, 36, "你好，灯塔", "Mara"),),
    }
    out = deliver(
        replace(timeline, title=title),
        picture_of(tmp_path, 96),
        stems.film,
        out=tmp_path / "film.mp4",
        captions=captions,
        chapters=[Chapter(0, "INT. A = B; #2"), Chapter(48, "EXT. \\ NIGHT")],
    )
    with av.open(str(out)) as film:
        assert film.metadata["title"] == title
        tracks = film.streams.subtitles
        assert [track.metadata["language"] for track in tracks] == ["eng", "zho"]
        marks = [
            (int(mark["start"] * (mark["time_base"] or 0) * 24), mark["metadata"]["title"])
            for mark in film.chapters()
        ]
        assert marks == [(0, "INT. A = B; #2"), (48, "EXT. \\ NIGHT")]
    shown = caption_text(out, 0).replace("\u2060", "")
    assert "00:00:00,500 --> 00:00:02,000" in shown
    assert 'Say "hi" <b>now</b> --> {\\an8}up' in shown
    assert "你好，灯塔" in caption_text(out, 1)


def caption_text(film: Path, track: int) -> str:
    command = [ffmpeg_exe(), "-v", "error", "-i", str(film), "-map", f"0:s:{track}"]
    ended = subprocess.run([*command, "-f", "srt", "-"], capture_output=True, timeout=30)
    return ended.stdout.decode("utf-8")


def test_a_picture_of_another_length_is_refused(tmp_path: Path) -> None:
    timeline, stems, _ = marked_film(tmp_path, FPS, 48)
    with pytest.raises(MediaError, match="expected 48 frames without sound, got 47"):
        deliver(timeline, picture_of(tmp_path, 47), stems.film, out=tmp_path / "film.mp4")


def test_sound_of_another_length_is_never_delivered(tmp_path: Path) -> None:
    timeline, stems, _ = marked_film(tmp_path, FPS, 48)
    with pytest.raises(MediaError, match="longer than the picture"):
        deliver(
            replace(timeline, num_frames=24),
            picture_of(tmp_path, 24),
            stems.film,
            out=tmp_path / "film.mp4",
        )
    assert not (tmp_path / "film.mp4").exists()


def test_a_failure_midway_keeps_the_old_film_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeline, stems, _ = marked_film(tmp_path, FPS, 48)
    out = tmp_path / "out" / "film.mp4"
    out.parent.mkdir()
    out.write_bytes(b"the film of yesterday")
    picture = picture_of(tmp_path, 48)
    broken = tmp_path / "broken.sh"
    broken.write_text('#!/bin/sh\nfor last; do :; done\necho half > "${last#file:}"\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("TAKEBOARD_FFMPEG", str(broken))
    with pytest.raises(MediaError, match="cannot"):
        deliver(timeline, picture, stems.film, out=out)
    assert out.read_bytes() == b"the film of yesterday"
    assert list(out.parent.iterdir()) == [out]


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeline, stems, _ = marked_film(tmp_path, FPS, 48)
    monkeypatch.setattr(deliver_module, "free_bytes", lambda path: 1000)
    with pytest.raises(MediaError, match=r"MB are free.*free some disk space"):
        deliver(timeline, picture_of(tmp_path, 48), stems.film, out=tmp_path / "o" / "film.mp4")
    assert not list((tmp_path / "o").iterdir())


def test_stems_are_exported_as_wavs(tmp_path: Path) -> None:
    _, stems, _ = marked_film(tmp_path, FPS, 48)
    paths = export_stems(stems, tmp_path / "stems")
    assert sorted(paths) == ["ambience", "dialogue", "effects", "mix", "music"]
    assert {read_sound(path).shape for path in paths.values()} == {(2, 96_000)}
    assert export_stems(stems, tmp_path / "stems") == paths
