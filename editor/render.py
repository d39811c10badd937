"""The picture of a film: every span encoded once, then joined without encoding again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from editor.framing import framed
from editor.grain import add_grain
from editor.lut import apply_lut, load_lut
from editor.patch import lay_over
from editor.slate import SlateStrip
from editor.spans import Layer, Span, cut_spans, span_key
from editor.timeline import Timeline
from editor.titles import TitleClip
from editor.transitions import faded, mixed
from media.errors import CancelledError, MediaError
from media.store import ContentStore
from media.video import Encoding, concat_copy, probe, read_planes, write_planes

__all__ = ["PictureReport", "encode_spans", "render_picture", "render_span"]

U8 = NDArray[np.uint8]

PICTURE = "picture.mp4"


@dataclass(frozen=True, slots=True)
class PictureReport:
    """What rendering a film's picture took."""

    spans: int
    encoded: int
    reused: int
    frames: int


def render_picture(
    timeline: Timeline,
    store: ContentStore,
    out: Path,
    *,
    encoding: Encoding,
    jobs: int = 2,
    should_stop: Callable[[], bool] | None = None,
    on_span: Callable[[int, int], None] | None = None,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> PictureReport:
    """Write the film's picture to `out`, encoding only the spans that `store` does not hold.

    `out` has exactly the timeline's frames. `on_span(done, total)` is called from this thread.
    Spans are encoded, each, and joined within `turn()`: whoever makes several films at once may
    have one wait there for another.
    """
    spans = cut_spans(timeline)
    pieces, encoded = _pieces(spans, timeline, store, encoding, jobs, should_stop, on_span, turn)
    with turn():
        concat_copy(pieces, out, fps=timeline.fps)
        frames = probe(out, count_frames=True).num_frames
    if frames != timeline.num_frames:
        raise MediaError(f"expected {timeline.num_frames} frames, got {frames}", where=str(out))
    return PictureReport(len(spans), encoded, len(spans) - encoded, frames)


def encode_spans(
    spans: Iterable[Span],
    timeline: Timeline,
    store: ContentStore,
    *,
    encoding: Encoding,
    should_stop: Callable[[], bool] | None = None,
) -> int:
    """Encode pieces of a cut one after the other, and return how many `store` did not hold.

    With those that `editor.landing` gives out as takes land, little is left to be encoded when
    the last take is there.
    """
    encoded = 0
    for span in spans:
        key = span_key(span, timeline, encoding)
        encoded += not store.peek(key)
        _encode(key, span, timeline, store, encoding, should_stop or (lambda: False))
    return encoded


def render_span(span: Span, timeline: Timeline) -> Iterator[U8]:
    """The span's frames, one by one as Y, U, V planes `(height * 3 / 2, width) uint8`.

    A picture stays in the planes that it was decoded to: the way through RGB and back costs
    nearly as much as a quick encoding. The array is good until the next frame is asked for.
    """
    size, fps = timeline.size, timeline.fps
    titles = [TitleClip(words.overlay, size, fps) for words in span.words]
    slates = [
        SlateStrip(layer.clip.slate, size, fps) if layer.clip.slate else None
        for layer in span.layers
    ]
    streams = [_layer_frames(layer, span.num_frames, timeline) for layer in span.layers]
    for index, pictures in enumerate(zip(*streams, strict=True)):
        frame, seen = _composed(span, pictures, index)
        if timeline.grain:
            shot = span.layers[seen]
            add_grain(frame, timeline.grain, shot.clip.media.digest, shot.first_frame + index)
        for words, title in zip(span.words, titles, strict=True):
            lay_over(frame, title.patch_at(words.first_frame + index))
        slate = slates[seen]
        if slate is not None:
            slate.draw(frame, span.layers[seen].first_frame + index)
        yield frame


def _composed(span: Span, pictures: tuple[U8, ...], index: int) -> tuple[U8, int]:
    """The picture at `index`, and which layer's slate it carries: the one seen more of."""
    if len(pictures) == 1:
        return pictures[0], 0
    edge = span.layers[1].clip.head
    assert edge is not None
    at = span.layers[1].first_frame + index
    return mixed(pictures[0], pictures[1], edge, at), int(2 * (at + 1) > edge.num_frames)


def _layer_frames(layer: Layer, num_frames: int, timeline: Timeline) -> Iterator[U8]:
    clip = layer.clip
    look = load_lut(clip.lut, clip.lut_digest, clip.lut_strength) if clip.lut else None
    first = clip.media.start_frame + layer.first_frame
    frames = read_planes(clip.media.path, start=first, num_frames=num_frames)
    for shot_frame, planes in enumerate(frames, layer.first_frame):
        picture = framed(planes, timeline.size, timeline.fit)
        if look is not None:
            apply_lut(picture, look)
        yield faded(picture, clip, shot_frame)


def _pieces(
    spans: Sequence[Span],
    timeline: Timeline,
    store: ContentStore,
    encoding: Encoding,
    jobs: int,
    should_stop: Callable[[], bool] | None,
    on_span: Callable[[int, int], None] | None,
    turn: Callable[[], AbstractContextManager[None]],
) -> tuple[list[Path], int]:
    """The file of every span, in order, and how many had to be encoded."""
    keys = [span_key(span, timeline, encoding) for span in spans]
    found = {key: entry.folder for key in dict.fromkeys(keys) if (entry := store.find(key))}
    missing = {key: span for key, span in zip(keys, spans, strict=True) if key not in found}
    tell = on_span or (lambda _done, _total: None)
    tell(len(found), len(found) + len(missing))
    stop = _Stop(should_stop)

    def encode(key: str, span: Span) -> Path:
        with turn():
            return _encode(key, span, timeline, store, encoding, stop)

    with _one_thread_a_frame(), ThreadPoolExecutor(max(1, jobs), "span") as pool:
        waiting = {pool.submit(encode, key, span): key for key, span in missing.items()}
        try:
            _collect(waiting, found, tell)
        except BaseException:
            stop.now()
            for future in waiting:
                future.cancel()
            raise
    return [found[key] / PICTURE for key in keys], len(missing)


def _encode(
    key: str,
    span: Span,
    timeline: Timeline,
    store: ContentStore,
    encoding: Encoding,
    should_stop: Callable[[], bool],
) -> Path:
    """The folder of the encoded piece."""

    def build(folder: Path) -> Mapping[str, object]:
        frames = write_planes(
            folder / PICTURE,
            render_span(span, timeline),
            size=timeline.size,
            fps=timeline.fps,
            encoding=encoding,
            should_stop=should_stop,
        )
        return {"frames": frames}

    if should_stop():
        raise CancelledError("cancelled while encoding the film")
    return store.make(key, build, should_stop=should_stop).folder


class _Stop:
    """Says stop when the caller does, or when one of the pieces has failed."""

    def __init__(self, should_stop: Callable[[], bool] | None) -> None:
        self._should_stop = should_stop
        self._failed = threading.Event()

    def __call__(self) -> bool:
        asked = self._should_stop is not None and self._should_stop()
        return asked or self._failed.is_set()

    def now(self) -> None:
        self._failed.set()


def _collect(
    waiting: Mapping[Future[Path], str], found: dict[str, Path], tell: Callable[[int, int], None]
) -> None:
    total = len(found) + len(waiting)
    pending = set(waiting)
    while pending:
        finished, pending = wait(pending, return_when=FIRST_COMPLETED)
        for future in finished:
            found[waiting[future]] = future.result()
            tell(len(found), total)


@contextmanager
def _one_thread_a_frame() -> Iterator[None]:
    """Pieces run side by side, so OpenCV's own threads would only get in each other's way."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
