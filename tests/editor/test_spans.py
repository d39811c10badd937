from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from editor.spans import Span, cut_spans, span_key
from editor.timeline import ClipMedia, Edge, Overlay, Slate, Timeline
from editor.timeline_problems import timeline_problems
from media.video import DELIVERY, DRAFT
from storyboards.fields import TransitionKind
from tests.editor.cut_samples import FPS, SIZE, cut_together


def media(index: int, num_frames: int) -> ClipMedia:
    return ClipMedia(Path(f"take{index}.mp4"), f"digest{index}", num_frames, SIZE, FPS)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    lengths = draw(st.lists(st.integers(1, 700), min_size=1, max_size=12))
    heads: list[Edge | None] = []
    for index, length in enumerate(lengths):
        kind = draw(st.sampled_from(list(TransitionKind)))
        longest = min(length, lengths[index - 1]) // 2 if index else 0
        if kind is TransitionKind.FADE:
            longest = length
        frames = draw(st.integers(0, longest)) if longest else 0
        heads.append(Edge(kind, frames) if frames and kind is not TransitionKind.CUT else None)
    takes = [media(index, length) for index, length in enumerate(lengths)]
    timeline = cut_together(takes, heads)
    overlays = []
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, timeline.num_frames - 1))
        frames = draw(st.integers(1, timeline.num_frames - start))
        overlays.append(Overlay("words", "", "title", start, frames, "en"))
    return replace(timeline, overlays=tuple(overlays))


@given(timelines())
def test_every_film_frame_is_covered_exactly_once(timeline: Timeline) -> None:
    assert timeline_problems(timeline) == []
    at = 0
    for span in cut_spans(timeline):
        assert span.start_frame == at
        assert span.num_frames > 0
        at += span.num_frames
    assert at == timeline.num_frames


@given(timelines())
def test_a_span_stays_inside_its_clips_and_words(timeline: Timeline) -> None:
    for span in cut_spans(timeline):
        for layer in span.layers:
            assert layer.clip.start_frame + layer.first_frame == span.start_frame
            assert layer.first_frame >= 0
            assert layer.first_frame + span.num_frames <= layer.clip.num_frames
        for words in span.words:
            assert words.first_frame >= 0
            assert words.first_frame + span.num_frames <= words.overlay.num_frames


def keys(timeline: Timeline) -> list[str]:
    return [span_key(span, timeline, DELIVERY) for span in cut_spans(timeline)]


def dissolve(frames: int) -> Edge:
    return Edge(TransitionKind.DISSOLVE, frames)


def test_the_cut_of_mixed_transitions() -> None:
    takes = [media(index, 48) for index in range(5)]
    heads = [
        None,
        dissolve(12),
        Edge(TransitionKind.J_CUT, 8),
        Edge(TransitionKind.L_CUT, 8),
        None,
    ]
    spans = cut_spans(cut_together(takes, heads))
    assert [_short(span) for span in spans] == [
        (0, 36, [("digest0", 0)]),
        (36, 12, [("digest0", 36), ("digest1", 0)]),
        (48, 36, [("digest1", 12)]),
        (84, 32, [("digest2", 8)]),
        (116, 48, [("digest3", 0)]),
        (164, 48, [("digest4", 0)]),
    ]


def _short(span: Span) -> tuple[int, int, list[tuple[str, int]]]:
    layers = [(layer.clip.media.digest, layer.first_frame) for layer in span.layers]
    return span.start_frame, span.num_frames, layers


def test_a_long_body_is_cut_on_the_grid_of_its_own_start() -> None:
    plain = cut_together([media(0, 100), media(1, 600)], [None, None])
    overlapped = cut_together([media(0, 100), media(1, 600)], [None, dissolve(24)])
    assert [span.num_frames for span in cut_spans(plain)] == [100, 240, 240, 120]
    assert keys(plain)[2:] == keys(overlapped)[3:]


def test_moving_a_shot_keeps_the_keys_of_bodies() -> None:
    takes = [media(index, 48) for index in range(4)]
    before = cut_together(takes, [None, dissolve(12), None, dissolve(12)])
    after = cut_together([takes[2], takes[3], takes[0], takes[1]], [None, dissolve(12)] * 2)
    assert sorted(keys(before)) == sorted(keys(after))


def test_names_titles_and_paths_are_not_in_the_keys() -> None:
    timeline = cut_together([media(0, 48), media(1, 48)], [None, dissolve(12)])
    clips = tuple(
        replace(
            clip,
            shot=f"other/{clip.shot}",
            media=replace(clip.media, path=Path("/elsewhere") / clip.media.path.name),
        )
        for clip in timeline.clips
    )
    renamed = replace(timeline, title="Other", name="other", clips=clips)
    assert keys(renamed) == keys(timeline)


def test_everything_seen_is_in_the_keys() -> None:
    timeline = cut_together([media(0, 48), media(1, 48)], [None, dissolve(12)])
    clip = timeline.clips[0]
    slate = Slate("sc010/sh0010", ("MCU", "Waits."))
    other_media = replace(clip.media, digest="other")
    changed = [
        replace(clip, media=other_media),
        replace(clip, slate=slate),
        replace(clip, slate=replace(slate, shot="sc010/sh0099")),
        replace(clip, lut=Path("dusk.cube"), lut_digest="aa"),
        replace(clip, lut=Path("dusk.cube"), lut_digest="aa", lut_strength=0.5),
        replace(clip, head=Edge(TransitionKind.FADE, 48)),
        replace(clip, head=Edge(TransitionKind.FADE, 48, colour="white")),
    ]
    bodies = [
        keys(replace(timeline, clips=(version, *timeline.clips[1:])))[0]
        for version in (clip, *changed)
    ]
    resized = replace(timeline, size=(64, 64))
    padded = replace(timeline, fit="pad")
    titled = replace(timeline, overlays=(Overlay("A", "", "title", 0, 36, "en"),))
    bodies += [keys(resized)[0], keys(padded)[0], keys(titled)[0]]
    bodies.append(span_key(cut_spans(timeline)[0], timeline, DRAFT))
    assert len(set(bodies)) == len(bodies)


def test_a_changed_title_changes_only_its_spans() -> None:
    timeline = cut_together([media(index, 96) for index in range(3)], [None, None, None])
    first = replace(timeline, overlays=(Overlay("One", "", "title", 100, 40, "en"),))
    second = replace(timeline, overlays=(Overlay("Two", "", "title", 100, 40, "en"),))
    assert len(set(keys(first)) - set(keys(second))) == 1
    assert len(keys(first)) == 5


def test_problems_are_found() -> None:
    timeline = cut_together([media(0, 48), media(1, 48)], [None, dissolve(12)])
    moved = replace(timeline.clips[1], start_frame=40)
    short = replace(timeline.clips[0], media=replace(timeline.clips[0].media, num_frames=20))
    assert "expected to start at frame 36, got 40" in " ".join(
        timeline_problems(replace(timeline, clips=(timeline.clips[0], moved)))
    )
    assert "expected 48 frames, got 20" in " ".join(
        timeline_problems(replace(timeline, clips=(short, timeline.clips[1])))
    )
    late = Overlay("Late", "", "title", 80, 10, "en")
    assert timeline_problems(replace(timeline, overlays=(late,)))
    assert timeline_problems(replace(timeline, num_frames=90))
