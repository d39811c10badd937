from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editor.landing import Landing
from editor.render import encode_spans, render_picture, render_span
from editor.spans import Span, cut_spans
from editor.timeline import ClipMedia, Edge, Overlay, Slate, Timeline
from media.colour import i420_to_rgb
from media.errors import CancelledError, MediaError
from media.store import ContentStore
from media.video import DRAFT, Encoding, probe, read_frame, read_frames
from storyboards.fields import TransitionKind
from tests.editor.cut_samples import COLOURS, FPS, SIZE, cut_together, grey_of, make_take

ENCODING = Encoding(preset="ultrafast", crf=8, gop=48)
EDGES = [
    None,
    Edge(TransitionKind.DISSOLVE, 7),
    Edge(TransitionKind.WIPE, 6, "right"),
    Edge(TransitionKind.J_CUT, 5),
    Edge(TransitionKind.L_CUT, 5),
    Edge(TransitionKind.FADE, 6),
]


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "store", "segments")


def colour_at(frame: np.ndarray, part: str = "upper") -> np.ndarray:
    """The middle of the upper (the take's colour) or lower (its counter) half."""
    y = SIZE[1] // 4 if part == "upper" else SIZE[1] * 3 // 4
    patch: np.ndarray = frame[y - 4 : y + 4, SIZE[0] // 2 - 4 : SIZE[0] // 2 + 4]
    return patch.reshape(-1, 3).mean(axis=0)


def near(got: np.ndarray, expected: object, within: float = 5) -> bool:
    return bool(np.abs(got - np.asarray(expected, float)).max() <= within)


def render(timeline: Timeline, store: ContentStore, tmp_path: Path) -> tuple[Path, int, int]:
    out = tmp_path / "film.mp4"
    report = render_picture(timeline, store, out, encoding=ENCODING, jobs=2)
    assert report.frames == timeline.num_frames
    assert report.encoded + report.reused == report.spans
    return out, report.encoded, report.reused


def test_many_shots_with_every_transition_have_exact_frames(
    tmp_path: Path, store: ContentStore
) -> None:
    lengths = [17, 24, 31, 20, 26, 19]
    takes = [make_take(tmp_path, index, length) for index, length in enumerate(lengths)]
    many = takes * 4
    heads = [EDGES[index % len(EDGES)] for index in range(len(many))]
    timeline = cut_together(many, heads)
    out, _, _ = render(timeline, store, tmp_path)
    found = probe(out, count_frames=True)
    overlaps = sum(edge.num_frames for edge in heads if edge and edge.kind != "fade")
    assert found.num_frames == sum(lengths) * 4 - overlaps
    assert (found.size, found.fps) == (SIZE, FPS)
    assert sum(len(chunk) for chunk in read_frames(out)) == timeline.num_frames


def test_a_cut_goes_from_last_frame_to_first(tmp_path: Path, store: ContentStore) -> None:
    takes = [make_take(tmp_path, index, 20) for index in range(2)]
    out, _, _ = render(cut_together(takes, [None, None]), store, tmp_path)
    for frame in (0, 7, 19):
        assert near(colour_at(read_frame(out, frame), "lower"), grey_of(frame))
        assert near(colour_at(read_frame(out, 20 + frame), "lower"), grey_of(frame))
    assert near(colour_at(read_frame(out, 19)), COLOURS[0])
    assert near(colour_at(read_frame(out, 20)), COLOURS[1])


def test_the_middle_of_a_dissolve_is_the_mix(tmp_path: Path, store: ContentStore) -> None:
    takes = [make_take(tmp_path, index, 24) for index in range(2)]
    timeline = cut_together(takes, [None, Edge(TransitionKind.DISSOLVE, 7)])
    out, _, _ = render(timeline, store, tmp_path)
    mix = (np.array(COLOURS[0]) + np.array(COLOURS[1])) / 2
    assert near(colour_at(read_frame(out, 17 + 3)), mix, 8)
    assert near(colour_at(read_frame(out, 20), "lower"), (grey_of(20) + grey_of(3)) / 2, 8)
    assert near(colour_at(read_frame(out, 16)), COLOURS[0])
    assert near(colour_at(read_frame(out, 24)), COLOURS[1])


def test_a_wipe_uncovers_in_its_direction(tmp_path: Path, store: ContentStore) -> None:
    takes = [make_take(tmp_path, index, 24) for index in range(2)]
    timeline = cut_together(takes, [None, Edge(TransitionKind.WIPE, 7, "right")])
    out, _, _ = render(timeline, store, tmp_path)
    middle = read_frame(out, 17 + 3)
    assert near(middle[10, 10], COLOURS[1], 12)
    assert near(middle[10, SIZE[0] - 10], COLOURS[0], 12)


def test_j_and_l_cuts_show_one_picture(tmp_path: Path, store: ContentStore) -> None:
    takes = [make_take(tmp_path, index, 24) for index in range(3)]
    heads = [None, Edge(TransitionKind.J_CUT, 6), Edge(TransitionKind.L_CUT, 6)]
    out, _, _ = render(cut_together(takes, heads), store, tmp_path)
    assert near(colour_at(read_frame(out, 23)), COLOURS[0])
    assert near(colour_at(read_frame(out, 24)), COLOURS[1])
    assert near(colour_at(read_frame(out, 24), "lower"), grey_of(6))
    assert near(colour_at(read_frame(out, 36)), COLOURS[2])
    assert near(colour_at(read_frame(out, 36), "lower"), grey_of(0))


def test_fades_start_and_end_on_their_colour(tmp_path: Path, store: ContentStore) -> None:
    timeline = cut_together([make_take(tmp_path, 0, 30)], [Edge(TransitionKind.FADE, 8)])
    white = Edge(TransitionKind.FADE, 8, colour="white")
    timeline = replace(timeline, clips=(replace(timeline.clips[0], tail_fade=white),))
    out, _, _ = render(timeline, store, tmp_path)
    assert near(colour_at(read_frame(out, 0)), (0, 0, 0))
    assert near(colour_at(read_frame(out, 4)), np.array(COLOURS[0]) / 2, 8)
    assert near(colour_at(read_frame(out, 15)), COLOURS[0])
    assert near(colour_at(read_frame(out, 29)), (255, 255, 255))


def test_only_what_a_change_touches_is_encoded(tmp_path: Path, store: ContentStore) -> None:
    takes = [make_take(tmp_path, index, 30) for index in range(4)]
    dissolve = Edge(TransitionKind.DISSOLVE, 6)
    title = Overlay("One", "", "title", 40, 10, "en")
    timeline = cut_together(takes, [None, None, dissolve, None], overlays=[title])
    _, encoded, _ = render(timeline, store, tmp_path)
    assert encoded == len(cut_spans(timeline))
    assert render(timeline, store, tmp_path)[1] == 0

    retitled = replace(timeline, title="Other", overlays=(replace(title, text="Two"),))
    assert render(retitled, store, tmp_path)[1] == 1

    moved = cut_together(
        [takes[3], *takes[:3]],
        [None, None, None, dissolve],
        overlays=[replace(title, start_frame=70)],
    )
    assert render(moved, store, tmp_path)[1] == 0

    swapped = cut_together([takes[0], takes[2], takes[1], takes[3]], [None, None, dissolve, None])
    touched = render(swapped, store, tmp_path)[1]
    assert 0 < touched < len(cut_spans(swapped))


def test_pieces_are_encoded_as_their_takes_land(tmp_path: Path, store: ContentStore) -> None:
    takes = [make_take(tmp_path, index, 30) for index in range(4)]
    dissolve = Edge(TransitionKind.DISSOLVE, 6)
    timeline = cut_together(takes, [None, dissolve, None, dissolve])
    landing = Landing(with_stand_ins(timeline, tmp_path))
    for clip in (*timeline.clips[2:], timeline.clips[0]):
        encode_spans(landing.land(clip.shot, clip.media), timeline, store, encoding=ENCODING)
    _, encoded, reused = render(timeline, store, tmp_path)
    assert (encoded, reused) == (2, 4), "the last take's body and its transition"


def with_stand_ins(timeline: Timeline, tmp_path: Path) -> Timeline:
    """The timeline before any of its takes is there."""
    absent = tmp_path / "absent.mp4"
    clips = [
        replace(clip, media=replace(clip.media, digest="", path=absent)) for clip in timeline.clips
    ]
    return replace(timeline, clips=tuple(clips))


@given(st.permutations(range(12)))
@settings(deadline=None, max_examples=30)
def test_every_piece_is_given_out_once_when_the_last_of_its_takes_lands(order: list[int]) -> None:
    take = ClipMedia(Path("take.mp4"), "take", 30, SIZE, FPS)
    timeline = cut_together([take] * 12, [None, *(EDGES[n % len(EDGES)] for n in range(11))])
    landing = Landing(with_stand_ins(timeline, Path()))
    landed: set[str] = set()
    given_out: list[Span] = []
    for index in order:
        clip = timeline.clips[index]
        landed.add(clip.shot)
        complete = landing.land(clip.shot, clip.media)
        assert all(clip in [layer.clip for layer in span.layers] for span in complete)
        assert all(layer.clip.shot in landed for span in complete for layer in span.layers)
        assert landing.land(clip.shot, clip.media) == ()
        given_out += complete
    by_start = sorted(given_out, key=lambda span: span.start_frame)
    assert tuple(by_start) == cut_spans(timeline)


def test_slate_and_frame_shape(tmp_path: Path, store: ContentStore) -> None:
    size = (96, 160)
    take = make_take(tmp_path, 0, 12)
    timeline = cut_together([take], [None], size=size)
    slate = Slate("sc010/sh0010", ("MCU · static · 35 mm", "She waits."))
    slated = replace(timeline, clips=(replace(timeline.clips[0], slate=slate),))
    clean, _, _ = render(timeline, store, tmp_path)
    upper = read_frame(clean, 5)[4:10, 8:40].astype(int)
    film, _, _ = render(slated, store, tmp_path)
    assert read_frame(film, 5).shape == (160, 96, 3)
    assert read_frame(film, 5)[4:10, 8:40].astype(int).mean() < upper.mean() - 20
    padded, _, _ = render(replace(timeline, fit="pad"), store, tmp_path)
    assert near(read_frame(padded, 5)[4, 40], (0, 0, 0))
    assert near(read_frame(padded, 5)[60, 40], COLOURS[0], 8)


def test_a_title_changes_nothing_beside_its_words(tmp_path: Path, store: ContentStore) -> None:
    look = tmp_path / "warm.cube"
    corners = [(r, g, b) for b in (0, 1) for g in (0, 1) for r in (0, 1)]
    look.write_text(
        "LUT_3D_SIZE 2\n" + "\n".join(f"{r} {0.9 * g} {0.7 * b}" for r, g, b in corners)
    )
    plain = cut_together([make_take(tmp_path, 0, 12)], [None])
    clip = replace(plain.clips[0], lut=look, lut_digest="warm", lut_strength=1.0)
    plain = replace(plain, clips=(clip,))
    titled = replace(plain, overlays=(Overlay("Mara", "", "lower_third", 0, 12, "en"),))
    (bare,), (worded,) = cut_spans(plain), cut_spans(titled)
    shown = zip(render_span(bare, plain), render_span(worded, titled), strict=True)
    for frame, (without, under) in enumerate(shown):
        before, after = i420_to_rgb(without), i420_to_rgb(under)
        expected = np.array(COLOURS[0]) * [1, 0.9, 0.7]
        assert near(colour_at(before), expected, 3)
        assert near(colour_at(before, "lower"), grey_of(frame) * np.array([1, 0.9, 0.7]), 4)
        words = (before != after).any(axis=2)
        assert not words[: SIZE[1] // 2].any()
        assert frame == 0 or words.any()


@pytest.mark.parametrize("kind", [TransitionKind.DISSOLVE, TransitionKind.WIPE])
def test_nothing_jumps_where_a_transition_begins_and_ends(
    tmp_path: Path, kind: TransitionKind
) -> None:
    take = make_take(tmp_path, 0, 30)
    timeline = cut_together([take, take], [None, Edge(kind, 20)])
    spans = cut_spans(timeline)
    assert [len(span.layers) for span in spans] == [1, 2, 1]
    for span in spans:
        for planes in render_span(span, timeline):
            # Two of the same picture mixed are the same picture, in whatever span it stands.
            assert near(colour_at(i420_to_rgb(planes)), COLOURS[0], 3)


def test_progress_and_cancelling(tmp_path: Path, store: ContentStore) -> None:
    takes = [make_take(tmp_path, index, 20) for index in range(3)]
    timeline = cut_together(takes, [None, None, None])
    told: list[tuple[int, int]] = []
    out = tmp_path / "film.mp4"
    with pytest.raises(CancelledError):
        render_picture(timeline, store, out, encoding=DRAFT, should_stop=lambda: True)
    assert not out.exists()
    render_picture(
        timeline, store, out, encoding=DRAFT, on_span=lambda done, total: told.append((done, total))
    )
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_damaged_take_is_named(tmp_path: Path, store: ContentStore) -> None:
    take = make_take(tmp_path, 0, 20)
    other = make_take(tmp_path, 1, 20)
    timeline = cut_together([take, other], [None, None])
    other.path.write_bytes(b"no film")
    with pytest.raises(MediaError, match="take1"):
        render_picture(timeline, store, tmp_path / "film.mp4", encoding=DRAFT)


def test_pieces_of_one_frame_join(tmp_path: Path, store: ContentStore) -> None:
    takes = [make_take(tmp_path, index, index + 1) for index in range(5)]
    timeline = cut_together(takes * 3, [None] * 15)
    out, _, _ = render(timeline, store, tmp_path)
    shown = [colour_at(frame) for chunk in read_frames(out) for frame in chunk]
    expected = [COLOURS[index] for _ in range(3) for index in range(5) for _ in range(index + 1)]
    assert all(near(got, want) for got, want in zip(shown, expected, strict=True))
