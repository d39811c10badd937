"""How fast takes become one picture, against a plain transcode of the same frames.

python -m bench.join                 200 shots, 16 minutes at 720p
python -m bench.join --quick         a tenth of it

The pieces of the film that only one take is in are encoded as each take lands (row `landing`);
the join then encodes what transitions touch, and copies the rest. Memory is the peak
of one process, for a tenth of the shots and for all of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.measure import Cost, run_command
from editor.landing import Landing
from editor.render import encode_spans, render_picture
from editor.spans import Span
from editor.timeline import Clip, ClipMedia, Edge, Overlay, Timeline
from media.ffmpeg import ffmpeg_exe
from media.store import ContentStore
from media.video import DELIVERY, MEZZANINE, write_video
from storyboards.fields import TransitionKind

__all__ = ["main"]

FPS = Fraction(24)
SHOT_FRAMES = 118
VARIETY = 4
"""Different takes on disk; every shot has a digest of its own, so nothing is shared."""


def main() -> None:
    """Print a table of seconds, ratios and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "SHOTS", "FOLDER"))
    given = parser.parse_args()
    size = (given.height * 16 // 9 // 2 * 2, given.height)
    if given.child:
        what, shots, folder = given.child
        _child(what, int(shots), Path(folder), size)
        return
    shots = 20 if given.quick else 200
    with tempfile.TemporaryDirectory(prefix="takeboard-bench-") as name:
        folder = Path(name)
        for number in range(VARIETY):
            _make_take(_take_path(folder, number), number, size)
        print(f"{'':<34} {'wall':>8} {'ratio':>7} {'CPU':>8} {'peak':>8}")
        for count in (shots // 10, shots):
            _measure(count, folder, given.height)


def _measure(shots: int, folder: Path, height: int) -> None:
    def child(what: str) -> Cost:
        words = ["--height", str(height), "--child", what, str(shots), str(folder)]
        return run_command([sys.executable, "-m", "bench.join", *words], timeout_s=7200)

    landing, join, again = child("landing"), child("join"), child("join")
    film, limit = folder / "film.mp4", folder / "limit.mp4"
    transcode = [ffmpeg_exe(), "-v", "error", "-y", "-i", str(film), "-c:v", "libx264"]
    transcode += ["-preset", DELIVERY.preset, "-crf", str(DELIVERY.crf), "-t", "7200"]
    plain = run_command([*transcode, "-fs", str(8 * 2**30), str(limit)], timeout_s=7200)
    frames = join.out.strip()
    _row(f"{shots} shots: plain transcode", plain, plain)
    _row(f"{shots} shots: landing, 2 jobs", landing, plain)
    _row(f"{shots} shots: join ({frames})", join, plain)
    _row(f"{shots} shots: join, nothing changed", again, plain)


def _row(what: str, cost: Cost, limit: Cost) -> None:
    ratio = f"{cost.wall_s / limit.wall_s:6.2f}x"
    spent = f"{cost.wall_s:6.1f} s {ratio} {cost.cpu_s:6.1f} s {cost.peak_mb:5.0f} MB"
    print(f"{what:<34} {spent}", flush=True)


def _child(what: str, shots: int, folder: Path, size: tuple[int, int]) -> None:
    timeline = _timeline(shots, folder, size)
    store = ContentStore(folder / f"store{shots}", "segments")
    jobs = min(4, os.cpu_count() or 1)
    if what == "landing":
        landing = Landing(timeline)
        spans = [span for clip in timeline.clips for span in landing.land(clip.shot, clip.media)]

        def encode(span: Span) -> int:
            return encode_spans([span], timeline, store, encoding=DELIVERY)

        with ThreadPoolExecutor(jobs) as pool:
            # What needs two takes is left to the join, as if they had landed in one moment.
            list(pool.map(encode, [span for span in spans if len(span.layers) == 1]))
        return
    report = render_picture(timeline, store, folder / "film.mp4", encoding=DELIVERY, jobs=jobs)
    print(f"{report.encoded} of {report.spans} encoded")


def _timeline(shots: int, folder: Path, size: tuple[int, int]) -> Timeline:
    """Every fourth shot comes in a dissolve; a title at the head, a lower third every 20 shots."""
    clips: list[Clip] = []
    overlays: list[Overlay] = []
    end = 0
    for index in range(shots):
        head = Edge(TransitionKind.DISSOLVE, 12) if index % 4 == 3 else None
        start = end - (head.num_frames if head else 0)
        path = _take_path(folder, index % VARIETY)
        media = ClipMedia(path, f"take{index}", SHOT_FRAMES, size, FPS)
        clips.append(Clip(f"sc010/sh{index:04}", media, start, SHOT_FRAMES, head=head))
        end = start + SHOT_FRAMES
        if index % 20 == 0:
            style: Literal["title", "lower_third"] = "lower_third" if index else "title"
            overlays.append(Overlay("The Lighthouse", "A film", style, start + 12, 72, "en"))
    return Timeline(
        name="master",
        title="Bench",
        fps=FPS,
        size=size,
        fit="crop",
        lang="en",
        num_frames=end,
        clips=tuple(clips),
        overlays=tuple(overlays),
    )


def _take_path(folder: Path, number: int) -> Path:
    return folder / f"take{number}.mp4"


def _make_take(path: Path, number: int, size: tuple[int, int]) -> None:
    chunks = (picture[None] for picture in _natural(number, size))
    write_video(path, chunks, size=size, fps=FPS, encoding=MEZZANINE)


def _natural(number: int, size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """A still with the 1/f detail of photographs, panned and grained."""
    random = np.random.default_rng(number)
    wide, high = size[0] + 256, size[1] + 64
    still = np.zeros((high, wide, 3), np.float32)
    for octave in range(1, 8):
        shape = (max(2, high >> octave), max(2, wide >> octave), 3)
        noise = random.normal(0, 2.0**octave, shape).astype(np.float32)
        still += cv2.resize(noise, (wide, high), interpolation=cv2.INTER_CUBIC)
    still = 128 + still * (45 / still.std())
    for frame in range(SHOT_FRAMES):
        x, y = 256 * frame / SHOT_FRAMES, 64 * frame / SHOT_FRAMES
        shift = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
        picture = cv2.warpAffine(still, shift, size, flags=cv2.INTER_LINEAR)
        grain = random.normal(0, 2, (size[1], size[0], 1)).astype(np.float32)
        yield np.clip(picture + grain, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
