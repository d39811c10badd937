"""Takes and timelines that the tests of the cut share."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from editor.timeline import Clip, ClipMedia, Edge, Overlay, Timeline
from editor.timeline_problems import overlap_of
from media.video import MEZZANINE, write_video

FPS = Fraction(24)
SIZE = (128, 96)
COLOURS = ((200, 40, 40), (40, 180, 60), (50, 70, 220), (210, 190, 40), (150, 60, 190))


def grey_of(frame: int) -> int:
    """The grey that frame `frame` of a sample take shows in its lower half."""
    return 40 + frame * 7 % 160


def make_take(folder: Path, index: int, num_frames: int, size: tuple[int, int] = SIZE) -> ClipMedia:
    """A take whose upper half is its own colour, and whose lower half counts frames in greys."""
    path = folder / f"take{index}_{num_frames}_{size[0]}x{size[1]}.mp4"
    frames = np.empty((num_frames, size[1], size[0], 3), np.uint8)
    frames[:] = COLOURS[index % len(COLOURS)]
    for frame in range(num_frames):
        frames[frame, size[1] // 2 :] = grey_of(frame)
    write_video(path, [frames], size=size, fps=FPS, encoding=MEZZANINE)
    return ClipMedia(path, f"digest-{index}-{num_frames}-{size}", num_frames, size, FPS)


def cut_together(
    takes: Sequence[ClipMedia],
    heads: Sequence[Edge | None],
    *,
    shots: Sequence[str] = (),
    overlays: Sequence[Overlay] = (),
    size: tuple[int, int] = SIZE,
) -> Timeline:
    """The takes in order; `heads[i]` says how take i takes over."""
    clips: list[Clip] = []
    end = 0
    for index, (take, head) in enumerate(zip(takes, heads, strict=True)):
        name = shots[index] if shots else f"sc010/sh{index + 1:03}0"
        clip = Clip(name, take, 0, take.num_frames, head=head)
        start = end - overlap_of(clip)
        clips.append(Clip(name, take, start, take.num_frames, head=head))
        end = start + take.num_frames
    return Timeline(
        name="master",
        title="Sample",
        fps=FPS,
        size=size,
        fit="crop",
        lang="en",
        num_frames=end,
        clips=tuple(clips),
        overlays=tuple(overlays),
    )
