"""The film cut into pieces that are encoded once, and what identifies each piece.

A span is a run of frames whose ingredients stay the same: the body of a clip, the overlap of
two, a body under a title. Its key says everything that its pixels come from and nothing about
where it stands, so a shot that moves takes its pieces along.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import av

from editor.timeline import Clip, Edge, Overlay, Timeline
from editor.timeline_problems import overlap_of
from media.files import sha256_file
from media.fonts import font_path
from media.timebase import seconds_to_frames
from media.video import Encoding
from storyboards.fields import TransitionKind

__all__ = ["Layer", "Span", "Words", "cut_spans", "span_key"]

GRID_S = 10
"""A long body is cut every this many seconds of its shot: pieces in parallel, edits local."""

RECIPE = 3
"""Goes up when the same ingredients make other pixels."""

_MIXED = (TransitionKind.DISSOLVE, TransitionKind.WIPE)


@dataclass(frozen=True, slots=True)
class Layer:
    """A clip seen in a span."""

    clip: Clip
    first_frame: int
    """Frame of the shot (from 0) that the span starts on."""


@dataclass(frozen=True, slots=True)
class Words:
    """An overlay seen in a span."""

    overlay: Overlay
    first_frame: int
    """Frame of the overlay (from 0) that the span starts on."""


@dataclass(frozen=True, slots=True)
class Span:
    """Film frames [start_frame, start_frame + num_frames), made of the same things throughout."""

    start_frame: int
    num_frames: int
    layers: tuple[Layer, ...]
    """One clip, or the one that goes and the one that comes."""
    words: tuple[Words, ...]


def cut_spans(timeline: Timeline) -> tuple[Span, ...]:
    """The spans of the film, in order, covering every frame once."""
    edges = sorted(
        {overlay.start_frame for overlay in timeline.overlays}
        | {overlay.start_frame + overlay.num_frames for overlay in timeline.overlays}
    )
    grid = max(1, seconds_to_frames(GRID_S, timeline.fps))
    spans: list[Span] = []
    for clips, start, end in _runs(timeline):
        inner = set(edges[bisect_right(edges, start) : bisect_right(edges, end)])
        if len(clips) == 1:
            inner |= _inner_cuts(clips[0], grid)
        points = [start, *sorted(point for point in inner if start < point < end), end]
        for first, after in pairwise(points):
            layers = tuple(Layer(clip, first - clip.start_frame) for clip in clips)
            spans.append(Span(first, after - first, layers, _words(timeline, first)))
    return tuple(spans)


def span_key(span: Span, timeline: Timeline, encoding: Encoding) -> str:
    """SHA-256 (hex) of everything that the encoded piece depends on.

    Of the timeline only rate, size, fit and grain go in. The encoder is part of it because pieces
    of two x264 versions may not join.
    """
    font = ""
    if span.words or _slate_layer(span):
        font = sha256_file(font_path())
    ingredients = {
        "recipe": RECIPE,
        "encoder": av.__version__,
        "encoding": asdict(encoding),
        "size": timeline.size,
        "fit": timeline.fit,
        "fps": str(timeline.fps),
        "num_frames": span.num_frames,
        "layers": [_layer_ingredients(layer, span.num_frames) for layer in span.layers],
        "edge": _edge_ingredients(span.layers[1].clip.head) if len(span.layers) == 2 else None,
        "words": [_words_ingredients(words) for words in span.words],
        "font": font,
    }
    if timeline.grain:
        ingredients["grain"] = timeline.grain
    text = json.dumps(ingredients, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _runs(timeline: Timeline) -> Iterator[tuple[tuple[Clip, ...], int, int]]:
    """Which clips are seen from which film frame to which."""
    clips = timeline.clips
    for index, clip in enumerate(clips):
        start, end = clip.start_frame, clip.end_frame
        head = clip.head
        if index and head is not None and overlap_of(clip):
            if head.kind in _MIXED:
                yield (clips[index - 1], clip), start, start + head.num_frames
            if head.kind is not TransitionKind.L_CUT:
                start += head.num_frames
        if index + 1 < len(clips):
            after = clips[index + 1]
            if after.head is not None and after.head.kind is not TransitionKind.J_CUT:
                end -= overlap_of(after)
        if start < end:
            yield (clip,), start, end


def _inner_cuts(clip: Clip, grid: int) -> set[int]:
    """Film frames at which a clip alone on the screen is cut: the grid, and where fades end."""
    cuts = set(range(clip.start_frame + grid, clip.end_frame, grid))
    if clip.head is not None and clip.head.kind is TransitionKind.FADE:
        cuts.add(clip.start_frame + clip.head.num_frames)
    if clip.tail_fade is not None:
        cuts.add(clip.end_frame - clip.tail_fade.num_frames)
    return cuts


def _words(timeline: Timeline, frame: int) -> tuple[Words, ...]:
    return tuple(
        Words(overlay, frame - overlay.start_frame)
        for overlay in timeline.overlays
        if overlay.start_frame <= frame < overlay.start_frame + overlay.num_frames
    )


def _slate_layer(span: Span) -> bool:
    return any(layer.clip.slate is not None for layer in span.layers)


def _layer_ingredients(layer: Layer, num_frames: int) -> dict[str, Any]:
    clip, first = layer.clip, layer.first_frame
    head_left = 0
    if clip.head is not None and clip.head.kind is TransitionKind.FADE:
        head_left = max(0, clip.head.num_frames - first)
    tail = clip.tail_fade
    in_tail = tail is not None and first + num_frames > clip.num_frames - tail.num_frames
    ingredients: dict[str, Any] = {
        "media": clip.media.digest,
        "media_size": clip.media.size,
        "first_frame": clip.media.start_frame + first,
        "head_fade": [_edge_ingredients(clip.head), first] if head_left else None,
        "tail_fade": [_edge_ingredients(tail), clip.num_frames - first] if in_tail else None,
        "lut": [clip.lut_digest, clip.lut_strength] if clip.lut else None,
    }
    if clip.slate is not None:
        ingredients["slate"] = [clip.slate.shot, clip.slate.lines, first]
    return ingredients


def _edge_ingredients(edge: Edge | None) -> list[object]:
    if edge is None:
        return []
    return [edge.kind.value, edge.num_frames, edge.direction, edge.colour]


def _words_ingredients(words: Words) -> list[object]:
    overlay = words.overlay
    text = [overlay.text, overlay.subtitle, overlay.style, overlay.lang]
    return [*text, overlay.num_frames, words.first_frame]
