from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import opentimelineio as otio
import pytest
from PIL import Image

from editor.contact_sheet import contact_sheet
from editor.otio_export import export_edl, export_fcp7xml, export_otio
from editor.timeline import Edge, Overlay, PlacedSound, Slate, Timeline
from media.errors import MediaError
from storyboards.fields import TransitionKind
from tests.editor.cut_samples import COLOURS, cut_together, make_take


@pytest.fixture
def timeline(tmp_path: Path) -> Timeline:
    takes = [make_take(tmp_path, index, 48) for index in range(3)]
    heads = [
        Edge(TransitionKind.FADE, 6),
        Edge(TransitionKind.DISSOLVE, 13),
        Edge(TransitionKind.L_CUT, 8),
    ]
    title = Overlay("The Lighthouse", "", "title", 10, 20, "en")
    made = cut_together(takes, heads, overlays=[title])
    sounds = [
        PlacedSound("line1", tmp_path / "a.wav", "dialogue", 2000 * 10, 2000 * 24, gain_db=-3),
        PlacedSound("line2", tmp_path / "b.wav", "dialogue", 2000 * 30, 2000 * 24),
        PlacedSound("line3", tmp_path / "c.wav", "dialogue", 2000 * 60, 2000 * 24),
        PlacedSound("m1", tmp_path / "m.wav", "music", 0, 2000 * made.num_frames, duck_db=-9),
    ]
    slate = Slate("sc010/sh0010", ("MCU · static · 35 mm", "Waits."))
    clips = (replace(made.clips[0], slate=slate), *made.clips[1:])
    return replace(made, clips=clips, sounds=tuple(sounds))


def test_otio_holds_the_cut(timeline: Timeline, tmp_path: Path) -> None:
    path = export_otio(timeline, tmp_path / "film.otio")
    film = otio.adapters.read_from_file(str(path))
    picture = film.video_tracks()[0]
    assert picture.duration().value == timeline.num_frames
    clips = list(picture.find_clips())
    assert [clip.name for clip in clips] == [clip.shot for clip in timeline.clips]
    ranges = [
        (clip.source_range.start_time.value, clip.source_range.duration.value) for clip in clips
    ]
    assert ranges == [(0, 41), (6, 38), (4, 44)]
    assert [clip.media_reference.available_range.duration.value for clip in clips] == [48] * 3
    assert clips[0].metadata["takeboard"]["fade_in"]["num_frames"] == 6
    assert clips[0].markers[0].name == "sc010/sh0010"
    assert picture.markers[0].name == "The Lighthouse"
    dissolves = [item for item in picture if isinstance(item, otio.schema.Transition)]
    offsets = [(item.in_offset.value, item.out_offset.value) for item in dissolves]
    assert offsets == [(6, 7), (4, 4)]
    assert [item.metadata["takeboard"]["kind"] for item in dissolves] == ["dissolve", "l_cut"]


def test_a_transition_reaches_over_frames_that_both_clips_have(
    timeline: Timeline, tmp_path: Path
) -> None:
    film = otio.adapters.read_from_file(str(export_otio(timeline, tmp_path / "film.otio")))
    items = list(film.video_tracks()[0])
    for index, item in enumerate(items):
        if isinstance(item, otio.schema.Transition):
            before, after = items[index - 1], items[index + 1]
            handle = before.available_range().end_time_exclusive().value
            used = before.source_range.end_time_exclusive().value
            assert handle - used == item.out_offset.value
            assert after.source_range.start_time.value == item.in_offset.value


def test_sounds_lie_on_tracks_of_their_stem(timeline: Timeline, tmp_path: Path) -> None:
    film = otio.adapters.read_from_file(str(export_otio(timeline, tmp_path / "film.otio")))
    tracks = {track.name: track for track in film.audio_tracks()}
    assert list(tracks) == ["dialogue 1", "dialogue 2", "music 1"]
    starts = {
        clip.name: clip.range_in_parent().start_time.value
        for track in tracks.values()
        for clip in track.find_clips()
    }
    assert starts == {
        "line1 (sound)": 10,
        "line2 (sound)": 30,
        "line3 (sound)": 60,
        "m1 (sound)": 0,
    }
    line = next(iter(tracks["dialogue 1"].find_clips()))
    assert line.metadata["takeboard"]["gain_db"] == -3
    assert line.metadata["takeboard"]["start_sample"] == 20000


def test_edl_has_every_shot_and_length(timeline: Timeline, tmp_path: Path) -> None:
    path = export_edl(timeline, tmp_path / "film.edl")
    text = path.read_text()
    assert all(clip.shot in text for clip in timeline.clips)
    read = otio.adapters.read_from_file(str(path), rate=24)
    assert read.tracks[0].duration().value == timeline.num_frames


def test_fcp7xml_has_picture_and_sound(timeline: Timeline, tmp_path: Path) -> None:
    read = otio.adapters.read_from_file(str(export_fcp7xml(timeline, tmp_path / "film.xml")))
    assert [clip.name for clip in read.video_tracks()[0].find_clips()] == [
        clip.shot for clip in timeline.clips
    ]
    assert read.video_tracks()[0].duration().value == timeline.num_frames
    assert len(read.audio_tracks()) == 3


def test_a_folder_that_is_not_there_is_one_error(timeline: Timeline, tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        export_otio(timeline, tmp_path / "absent" / "film.otio")


def test_a_contact_sheet_shows_every_clip(timeline: Timeline, tmp_path: Path) -> None:
    framings = {clip.shot: "MCU · static · 35 mm" for clip in timeline.clips}
    pages = contact_sheet(
        timeline, tmp_path / "sheet.png", framings=framings, columns=2, thumb_width=160
    )
    assert pages == (tmp_path / "sheet.png",)
    with Image.open(pages[0]) as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1_000_000) or []}
    for expected in COLOURS[:3]:
        assert any(
            max(abs(a - b) for a, b in zip(colour, expected, strict=True)) < 8
            for colour in colours
            if isinstance(colour, tuple)
        )


def test_a_long_film_takes_several_pages(timeline: Timeline, tmp_path: Path) -> None:
    take = timeline.clips[0].media
    long = cut_together([take] * 130, [None] * 130)
    out = tmp_path / "sheet.jpg"
    pages = contact_sheet(long, out, framings={}, columns=70, thumb_width=32)
    assert [page.name for page in pages] == ["sheet.jpg"]
    pages = contact_sheet(
        cut_together([take] * 210, [None] * 210), out, framings={}, columns=10, thumb_width=32
    )
    assert [page.name for page in pages] == ["sheet.jpg", "sheet-2.jpg"]
