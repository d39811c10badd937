"""A take longer than one call of its model: segments, each going on from the tail of the last.

    segment 1   |---------------------|hh|
    segment 2                     [tail]-------------------|hh|
    segment 3                                          [tail]--------------|

The tail conditions the next call and is not returned by it. A handle (`hh`, only with sound) is
made beyond the seam and heard under the next segment's first frames, not seen. At the seam the
colour is matched (`generator/seam_colour.py`), the sound cross-faded (`segment_sound.py`), and
what is left of the step measured (`seams.py`): the numbers are in the take's manifest, with a
warning where one is above its threshold.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from generator.backends.base import (
    ContinueFrom,
    FrameRule,
    Frames,
    Rendered,
    RenderRequest,
    RenderTools,
    TakeMedia,
)
from generator.keys import content_digest
from generator.seam_colour import ColourMatch
from generator.seams import Seam, SeamWatch
from generator.segment_requests import (
    Segment,
    request_of_segment,
    seed_of_segment,
    write_driving_part,
)
from generator.segment_sound import join_sounds, loudness_steps
from media.errors import CancelledError, RefusalError, RenderError
from media.files import sha256_file
from media.timebase import samples_at

__all__ = [
    "Segment",
    "plan_segments",
    "render_in_segments",
    "seed_of_segment",
    "segments_of",
]

RenderOne = Callable[[RenderRequest, RenderTools], Rendered]

HANDLE_S = 0.125
"""Sound made beyond a seam to fade out under the next segment's: long enough to hide a change of
room tone, short enough not to double a word."""


def segments_of(request: RenderRequest, rule: FrameRule, overlap: int) -> tuple[Segment, ...]:
    """The segments of a snapped request: one when a single call makes it all."""
    going_on = request.continue_from
    given = going_on.tail_frames if going_on and going_on.mode == "extend" else 0
    heard = 0 if request.audio == "none" else max(1, round(HANDLE_S * request.fps))
    return plan_segments(request.num_frames, rule, overlap, first_tail=given, handle=heard)


def plan_segments(
    num_frames: int, rule: FrameRule, overlap: int, *, first_tail: int = 0, handle: int = 0
) -> tuple[Segment, ...]:
    """The fewest calls that make `num_frames` frames, about equally long, under the frame rule.

    Every call but the last covers exactly a count that the rule allows, so nothing is made to be
    thrown away. The last is at most one step of the rule shorter than an even share, unless the
    others must be longer: by the rule's minimum, or to hold a new frame beside tail and handle.
    `overlap` frames go over each seam as a tail, `first_tail` into the first segment, and every
    segment but the last makes a `handle`. RefusalError when these leave a call no room.
    """
    longest = rule.snap(rule.maximum)
    if first_tail + num_frames <= longest:
        return (Segment(0, 0, num_frames, first_tail),)
    room = longest - overlap - handle
    first_room = longest - first_tail - handle
    if min(room, first_room) < 1:
        raise RefusalError(
            f"a call of {longest} frames has no room for new ones beside {overlap} frames of tail "
            f"and {handle} of handle",
            todo="shorten the overlap of the join",
        )
    # The last call needs no handle: k calls make first_room + (k - 1) * room + handle frames.
    calls = 1 + -(-(num_frames - first_room - handle) // room)
    total = num_frames + first_tail + (calls - 1) * (overlap + handle)
    segments: list[Segment] = []
    start = made = 0
    for index in range(calls):
        tail = overlap if index else first_tail
        if index == calls - 1:
            segments.append(Segment(index, start, num_frames - start, tail))
            break
        # Up to the next count allowed from where an even share would end: what is made never
        # falls behind the even share, so the last call never needs more than one.
        share = -(-total * (index + 1) // calls) - made
        call = rule.snap(max(share, tail + handle + 1))
        segments.append(Segment(index, start, call - tail - handle, tail, handle))
        start += call - tail - handle
        made += call
    return tuple(segments)


def render_in_segments(
    request: RenderRequest,
    tools: RenderTools,
    segments: Sequence[Segment],
    render_one: RenderOne,
) -> Rendered:
    """The whole take, streamed: one segment is made while the one before is already shown.

    `render_one` is called for the first segment at once and for each further one while `frames`
    is consumed. From the second on its request has `continue_from` (`extend`), and the take that
    it names is in `tools.takes` with `tail` and `tail_sound`, as they were made. Each segment
    must return exactly its request's frames, and sound as long as they are or None. Progress is
    told in frames of the whole. Raises what `render_one` raises, and RenderError for a segment
    that is not what was asked for.
    """
    if len(segments) == 1:
        return render_one(request, tools)
    if request.edit is not None:
        raise RenderError(
            f"an edit is made in one call of the model, and {request.num_frames} frames need "
            f"{len(segments)}",
            todo="shorten the shot",
        )
    chain = _Chain(request, tools, segments, render_one)
    first = chain.render(segments[0])
    whole = Rendered(
        frames=iter(()),
        num_frames=request.num_frames,
        fps=request.fps,
        size=request.size,
        seed=request.seed,
        revision=first.revision,
        audio=lambda: chain.joined,
        versions=dict(first.versions),
        licence=first.licence,
        peak_memory_mb=lambda: chain.peak_memory_mb,
    )
    whole.frames = chain.frames(first, whole)
    return whole


@dataclass(slots=True)
class _Chain:
    """The segments of one take, made one after the other."""

    request: RenderRequest
    tools: RenderTools
    segments: Sequence[Segment]
    render_one: RenderOne
    sounds: list[np.ndarray | None] = field(default_factory=list)
    joined: np.ndarray | None = None
    """The take's sound, `(channels, samples) float32`, once every frame is made."""
    peak_memory_mb: float = 0.0
    _folder: TemporaryDirectory[str] | None = None
    _asked: RenderRequest | None = None
    """The request of the segment that was rendered last."""
    _tail: deque[np.ndarray] = field(default_factory=deque)
    """The last frames that were made to be seen, as they were made."""

    def render(self, segment: Segment) -> Rendered:
        """Start making `segment`; what comes before it is made."""
        if self.tools.should_stop():
            raise CancelledError("cancelled between two segments")
        request, tools = self._asked_of(segment)
        rendered = self.render_one(request, tools)
        asked = (request.size, request.fps, request.num_frames)
        if (rendered.size, rendered.fps, rendered.num_frames) != asked:
            raise RenderError(
                f"expected {request.num_frames} frames of {request.size} at {request.fps} fps, "
                f"got {rendered.num_frames} of {rendered.size} at {rendered.fps}",
                where=_where(segment),
            )
        self._asked = request
        return rendered

    def frames(self, first: Rendered, whole: Rendered) -> Iterator[Frames]:
        """Every frame of the take, and what became of each segment written into `whole`."""
        colour, watch = ColourMatch(self.request.fps), SeamWatch()
        rendered = first
        try:
            for segment in self.segments:
                if segment.index:
                    rendered = self.render(segment)
                seen = self._seen(segment, rendered)
                yield from watch.over(colour.over(seen, segment.num_frames))
                self._end(segment, rendered, whole)
        finally:
            if self._folder is not None:
                self._folder.cleanup()
        self.joined = join_sounds(self.segments, self.sounds, self.request.fps)
        self._measure(watch.seams, whole)

    def _end(self, segment: Segment, rendered: Rendered, whole: Rendered) -> None:
        """Keep what is known of a segment once its frames are made."""
        self.sounds.append(self._sound_of(segment, rendered))
        self.peak_memory_mb = max(self.peak_memory_mb, rendered.peak_memory_mb())
        whole.cost_usd += rendered.cost_usd
        whole.warnings += [text for text in rendered.warnings if text not in whole.warnings]
        whole.timings = {
            name: whole.timings.get(name, 0.0) + rendered.timings.get(name, 0.0)
            for name in {**whole.timings, **rendered.timings}
        }

    def _measure(self, seams: Sequence[Seam], whole: Rendered) -> None:
        """Write what the seams were measured at into `whole`."""
        if self.joined is not None:
            steps = loudness_steps(self.segments, self.joined, self.request.fps)
            seams = [
                replace(seam, loudness_lu=step) for seam, step in zip(seams, steps, strict=True)
            ]
        starts = [segment.start_frame for segment in self.segments[1:]]
        measured = [f"frame {start}: {seam}" for start, seam in zip(starts, seams, strict=True)]
        whole.versions = {**whole.versions, "seams": "; ".join(measured)}
        whole.warnings += [
            f"the seam of two segments at frame {start}: {fault}"
            for start, seam in zip(starts, seams, strict=True)
            for fault in seam.faults
        ]

    def _seen(self, segment: Segment, rendered: Rendered) -> Iterator[Frames]:
        """The segment's frames without its handle; the tail is kept for the next."""
        kept = max((one.tail_frames for one in self.segments[segment.index + 1 :]), default=0)
        self._tail = deque(self._tail, maxlen=kept)
        left = segment.num_frames
        made = 0
        for chunk in rendered.frames:
            made += len(chunk)
            seen = chunk[:left]
            left -= len(seen)
            # Copies: a chunk may be a view of frames that the model makes anew.
            self._tail.extend(frame.copy() for frame in seen[-kept:] if kept)
            if len(seen):
                yield seen
        if made != rendered.num_frames:
            raise RenderError(
                f"expected {rendered.num_frames} frames, got {made}", where=_where(segment)
            )

    def _sound_of(self, segment: Segment, rendered: Rendered) -> np.ndarray | None:
        sound = rendered.audio()
        expected = samples_at(rendered.num_frames, rendered.fps)
        if sound is not None and (sound.ndim != 2 or sound.shape[1] != expected):
            raise RenderError(
                f"expected {expected} samples of sound, got {sound.shape}", where=_where(segment)
            )
        return sound

    def _asked_of(self, segment: Segment) -> tuple[RenderRequest, RenderTools]:
        """The request and the tools of one call."""
        request = request_of_segment(self.request, segment)
        tools = replace(self.tools, on_step=self._progress_of(segment))
        if request.audio_sha256:
            request, tools = self._driven(request, tools, segment)
        if self._asked is None:
            return request, tools
        # What the earlier calls were asked for stands for the frames that they made, so whoever
        # keeps latents by request finds them again.
        key = content_digest("segment", self._asked)
        before = self.segments[segment.index - 1]
        tail = TakeMedia(
            picture=_NO_FILE,
            sound=None,
            num_frames=segment.start_frame,
            tail=np.stack(self._tail),
            tail_sound=self._tail_sound(before),
        )
        going_on = ContinueFrom(key, "extend", len(self._tail))
        return (
            replace(request, continue_from=going_on),
            replace(tools, takes={**tools.takes, key: tail}),
        )

    def _driven(
        self, request: RenderRequest, tools: RenderTools, segment: Segment
    ) -> tuple[RenderRequest, RenderTools]:
        """The call driven by its own part of the sound, which is in a file while it is needed."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="takeboard-", ignore_cleanup_errors=True)
        path = Path(self._folder.name) / f"{segment.index}.wav"
        write_driving_part(path, self.request, segment, self.tools)
        sha256 = sha256_file(path)
        driven = replace(request, audio_sha256=sha256)
        return driven, replace(tools, assets={**tools.assets, sha256: path})

    def _tail_sound(self, before: Segment) -> np.ndarray | None:
        sound = self.sounds[before.index]
        if sound is None:
            return None
        end = samples_at(before.num_frames, self.request.fps)
        start = samples_at(max(0, before.num_frames - len(self._tail)), self.request.fps)
        return sound[:, start:end]

    def _progress_of(self, segment: Segment) -> Callable[[int, int], None]:
        def on_step(done: int, total: int) -> None:
            frames = segment.num_frames * done // max(total, 1)
            self.tools.on_step(segment.start_frame + frames, self.request.num_frames)

        return on_step


_NO_FILE = Path(os.devnull)
"""A segment is in no file: its tail is at hand."""


def _where(segment: Segment) -> str:
    return f"segment {segment.index + 1}"
