"""How fast takes are finished, and how true frames between are, against plain ffmpeg.

python -m bench.finish               a take of 10 s at 720p
python -m bench.finish --quick       2 s

A character walks across a panning place, drawn at 48 fps; the take has every second of its
frames, so the frames between are known. Every row is one process with one take: seconds, seconds
of all cores, frames a second, peak memory, how many of the wanted frames came out, and for the
frames between their distance from the truth. Ratios are against the first ffmpeg row of the
same work in the same run.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.measure import Cost, run_command
from generator.finish import FinishRecipe, finish_take
from generator.takes import Take
from media.ffmpeg import ffmpeg_exe
from media.image import read_image
from media.video import MEZZANINE, probe, read_frames, write_video

__all__ = ["main"]

U8 = NDArray[np.uint8]

EXAMPLE = Path(__file__).parents[1] / "storyboards/examples/lighthouse"
FPS = Fraction(24)
SCALED = "scale={0}:{1}:flags=lanczos+accurate_rnd+full_chroma_int"
MOVED = "minterpolate=fps=48:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1"


@dataclass(frozen=True, slots=True)
class Row:
    """One way of doing one work."""

    work: str
    way: str
    size: tuple[int, int]
    fps: int
    filters: str = ""
    """ffmpeg's; empty: Takeboard's finish."""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--child", nargs=4, metavar=("TAKE", "WIDTH", "HEIGHT", "FPS"))
    given = parser.parse_args()
    if given.child:
        take, width, height, fps = given.child
        _finish(Path(take), (int(width), int(height)), int(fps))
        return
    size = (given.height * 16 // 9 // 2 * 2, given.height)
    with tempfile.TemporaryDirectory(prefix="takeboard-bench-") as name:
        _run(Path(name), size, 2 if given.quick else 10)


def _run(folder: Path, size: tuple[int, int], seconds: int) -> None:
    num_frames = 48 * seconds
    for name, step, fps in (("truth", 1, 2 * FPS), ("take", 2, FPS)):
        path = folder / f"{name}.mp4"
        write_video(path, _walk(size, num_frames, step), size=size, fps=fps, encoding=MEZZANINE)
    large = (size[0] * 2, size[1] * 2)
    both = SCALED.format(*large)
    print(f"a take of {seconds} s at {size[0]}x{size[1]}, 24 fps, each row one process\n")
    print(
        f"{'work':12} {'way':22} {'s':>6} {'fps':>6} {'ratio':>6} {'MB':>6} {'frames':>9} {'dB':>6}"
    )
    base: dict[str, float] = {}
    for row in (
        Row("x2", "ffmpeg lanczos", large, 24, both),
        Row("x2", "finish", large, 24),
        Row("24 to 48", "ffmpeg minterpolate", size, 48, MOVED),
        Row("24 to 48", "ffmpeg framerate", size, 48, "framerate=fps=48"),
        Row("24 to 48", "finish", size, 48),
        Row("x2, to 48", "ffmpeg minterpolate", large, 48, f"{MOVED},{both}"),
        Row("x2, to 48", "finish", large, 48),
    ):
        out = folder / "finished.mp4"
        cost = _measured(row, folder / "take.mp4", out)
        base.setdefault(row.work, cost.wall_s)
        wanted = seconds * row.fps
        got = probe(out, count_frames=True).num_frames
        true = ""
        if row.fps == 48 and row.size == size:
            true = f"{_truth(out, folder / 'truth.mp4'):.1f}"
        print(
            f"{row.work:12} {row.way:22} {cost.wall_s:6.1f} {cost.cpu_s:6.1f} "
            f"{wanted / cost.wall_s:6.1f} {cost.wall_s / base[row.work]:6.2f} "
            f"{cost.peak_mb:6.0f} {got:4} of {wanted:4} {true:>6}",
            flush=True,
        )


def _walk(size: tuple[int, int], num_frames: int, step: int) -> Iterator[U8]:
    """Every `step`th frame of the drawn shot, one a chunk."""
    width, height = size
    place = read_image(EXAMPLE / "plates/shore.jpg")[..., :3]
    wide = math.ceil(width * 1.25)
    place = cv2.resize(place, (wide, height), interpolation=cv2.INTER_AREA)
    mara = read_image(EXAMPLE / "refs/mara_side.png")
    tall = round(height * 0.8)
    across = round(mara.shape[1] * tall / mara.shape[0])
    mara = cv2.resize(mara, (across, tall), interpolation=cv2.INTER_AREA)
    alpha = mara[..., 3:].astype(np.float32) / 255
    for frame in range(0, num_frames, step):
        # The place pans by an eighth of the picture in 5 s; she crosses half of it.
        pan = width * 0.125 * (frame % 240) / 240
        shift = np.array([[1, 0, -pan], [0, 1, 0]], np.float32)
        picture = cv2.warpAffine(place, shift, (width, height), flags=cv2.INTER_CUBIC)
        left = round(width * (0.2 + 0.5 * (frame % 240) / 240))
        seen = picture[height - tall :, left : left + across]
        cover = alpha[:, : seen.shape[1]]
        mixed = seen + (mara[:, : seen.shape[1], :3].astype(np.float32) - seen) * cover
        seen[:] = (mixed + 0.5).astype(np.uint8)
        yield picture[None]


def _measured(row: Row, take: Path, out: Path) -> Cost:
    if row.filters:
        return run_command(_ffmpeg(take, row.filters, out), timeout_s=1800)
    words = ["--child", str(take), *map(str, row.size), str(row.fps)]
    cost = run_command([sys.executable, "-m", "bench.finish", *words], timeout_s=1800)
    Path(cost.out.split()[-1]).replace(out)
    return cost


def _ffmpeg(take: Path, filters: str, out: Path) -> Sequence[str]:
    options = [f"-{name}={value}" for name, value in MEZZANINE.ffmpeg_options().items()]
    words = [word for option in options for word in option.split("=", 1)]
    head = [ffmpeg_exe(), "-v", "error", "-y", "-i", str(take), "-vf", filters]
    return [*head, *words, "-fs", str(2**32), str(out)]


def _finish(path: Path, size: tuple[int, int], fps: int) -> None:
    """In a process of its own: finish the take and print where it is."""
    facts = probe(path)
    assert facts.size is not None
    take = Take("a" * 64, path, None, facts.num_frames, FPS, facts.size, {})
    recipe = FinishRecipe(size, Fraction(fps), facts.num_frames * fps // 24)
    with tempfile.TemporaryDirectory(dir=path.parent) as store:
        made = finish_take(take, recipe, Path(store)).picture
        print(made.replace(path.parent / "made.mp4"))


def _truth(made: Path, truth: Path) -> float:
    """Peak signal to noise of the frames between, in dB, over the middle of the take."""
    errors = []
    pairs = zip(read_frames(made, chunk=1), read_frames(truth, chunk=1), strict=False)
    for frame, (ours, own) in enumerate(pairs):
        if frame % 2:
            errors.append(float(np.mean((ours.astype(np.float32) - own) ** 2)))
    return float(10 * np.log10(255**2 / np.mean(errors[:-2])))


if __name__ == "__main__":
    main()
