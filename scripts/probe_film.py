#!/usr/bin/env python
"""Look at a finished film with other eyes than those that made it: probe_film.py FILM.yaml

Reads what lies in `deliveries/CODE` beside the storyboard and holds it against the storyboard:
frames, rate, size, sound, loudness, picture, captions, timelines and the report's links. Prints a
line for each check that holds and ends with status 1 at the first that does not.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import opentimelineio as otio
import pysubs2

from media.errors import TakeboardError
from media.ffmpeg import run_ffmpeg
from media.probe import open_media
from media.sound import read_sound
from media.timebase import samples_at
from media.video import probe, read_frame
from storyboards.film import Cut, Film, FilmDeliverable, cut_of
from storyboards.resolve import load_film

AAC_FRAME = 1024
"""Samples in one AAC frame: ISO/IEC 14496-3, AAC LC."""

LOUDNESS_TOLERANCE_LU = 0.3
AUDIBLE_DB = -50.0
LATE_MS = 500
"""How long after a line begins its caption may appear: a voice may take a breath first."""

VISIBLE_DEVIATION = 4.0
"""Standard deviation of luma, in grey levels, above which a frame shows something."""


class ProbeError(Exception):
    """A film that is not what its storyboard says."""


@dataclass(frozen=True, slots=True)
class Probed:
    """One file to look at and what it should hold."""

    film: Film
    deliverable: FilmDeliverable
    lang: str
    cut: Cut
    folder: Path

    @property
    def stem(self) -> str:
        """Name of its files without their endings."""
        return f"{self.film.code}_{self.deliverable.name}_{self.lang}"

    def file(self, suffix: str) -> Path:
        """Its file that ends in `suffix`; ProbeError when it is not there or empty."""
        path = self.folder / f"{self.stem}{suffix}"
        require(path.is_file() and path.stat().st_size > 0, f"{path} is missing or empty")
        return path


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("storyboard", type=Path, metavar="FILM.yaml")
    try:
        probe_film(parser.parse_args().storyboard)
    except (ProbeError, TakeboardError) as error:
        print(f"FAIL {error}", file=sys.stderr)
        return 1
    return 0


def probe_film(storyboard: Path) -> None:
    """Check every deliverable of the storyboard in every language, and the report."""
    film = load_film(storyboard)
    folder = storyboard.resolve().parent / "deliveries" / film.code
    require(folder.is_dir(), f"{folder} is missing: make the film first")
    for deliverable in film.deliverables:
        cut = cut_of(film, deliverable.shots)
        for lang in deliverable.langs:
            each = Probed(film, deliverable, lang, cut, folder)
            check_picture(each)
            check_sound(each)
            check_loudness(each)
            check_captions(each)
            check_timeline(each)
    check_contact_sheet(film, folder)
    check_report(folder / "report.html")


def check_picture(each: Probed) -> None:
    path = each.file(".mp4")
    found = probe(path, count_frames=True)
    wanted = (each.cut.num_frames, each.film.fps, each.deliverable.size)
    got = (found.num_frames, found.fps, found.size)
    require(got == wanted, f"{path.name}: expected frames, fps, size {wanted}, got {got}")
    places = [each.cut.num_frames * tenth // 10 for tenth in range(1, 10)]
    deviations = [float(read_frame(path, place).mean(axis=2).std()) for place in places]
    seen = sum(deviation > VISIBLE_DEVIATION for deviation in deviations)
    require(seen >= 7, f"{path.name}: only {seen} of 9 frames show anything")
    say(f"{path.name}: {found.num_frames} frames, {float(each.film.fps):g} fps, {found.size}")


def check_sound(each: Probed) -> None:
    path = each.file(".mp4")
    sound = read_sound(path)
    wanted = samples_at(each.cut.num_frames, each.film.fps)
    off = sound.shape[1] - wanted
    require(abs(off) <= AAC_FRAME, f"{path.name}: the sound is {off} samples off the picture")
    level_db = 20 * np.log10(max(float(np.sqrt(np.mean(np.square(sound)))), 1e-9))
    require(level_db > AUDIBLE_DB, f"{path.name}: the sound is silent ({level_db:.0f} dB)")
    say(f"{path.name}: sound within {abs(off)} samples of the picture, {level_db:.1f} dB RMS")


def check_loudness(each: Probed) -> None:
    path = each.file(".mp4")
    seconds = float(each.cut.num_frames / each.film.fps)
    log = run_ffmpeg(
        ["-i", str(path), "-vn", "-af", "ebur128=peak=true", "-t", f"{seconds + 1:.3f}",
         "-f", "null", "-"],
        what=f"measure {path.name}",
        timeout_s=120 + seconds,
    )  # fmt: skip
    # The summary stands at the end of the log, after a line for every 100 ms.
    integrated = re.findall(r"I:\s+(-?[\d.]+) LUFS", log)
    peaks = re.findall(r"Peak:\s+(-?[\d.]+) dBFS", log)
    require(bool(integrated and peaks), f"{path.name}: the loudness could not be measured")
    lufs, peak_db = float(integrated[-1]), float(peaks[-1])
    target = each.deliverable.loudness
    require(
        abs(lufs - target.lufs) <= LOUDNESS_TOLERANCE_LU,
        f"{path.name}: expected {target.lufs:g} LUFS, got {lufs:g}",
    )
    # AAC adds a little over the limiter's ceiling (up to about 1 dB).
    require(
        peak_db <= target.true_peak_db + 1.0,
        f"{path.name}: expected a true peak of {target.true_peak_db:g} dB, got {peak_db:g}",
    )
    say(f"{path.name}: {lufs:g} LUFS, true peak {peak_db:g} dB")


def check_captions(each: Probed) -> None:
    lines = [
        (each.cut.start_of(shot.id) + line.start_frame, line)
        for shot in each.cut.shots
        for line in shot.dialogue
    ]
    for kind in ("srt", "vtt"):
        if kind not in each.deliverable.captions or not lines:
            continue
        path = each.file(f".{kind}")
        captions = [event for event in pysubs2.load(str(path)) if event.plaintext.strip()]
        end_ms = 1000 * each.cut.num_frames / each.film.fps
        for start, line in lines:
            at_ms = float(1000 * Fraction(start) / each.film.fps)
            near = [event for event in captions if event.start - LATE_MS <= at_ms < event.end]
            spoken = line.text.get(each.lang, line.text[each.film.lang])
            require(bool(near), f"{path.name}: nothing stands at {at_ms:.0f} ms for {spoken!r}")
        require(
            all(0 <= event.start < event.end <= end_ms + 1 for event in captions),
            f"{path.name}: a caption stands outside the film",
        )
        say(f"{path.name}: {len(captions)} captions for {len(lines)} lines")
    if "soft" in each.deliverable.captions and lines:
        path = each.file(".mp4")
        with open_media(path, decodes=False) as container:
            num_tracks = len(container.streams.subtitles)
        require(num_tracks > 0, f"{path.name}: there is no caption track inside it")
        say(f"{path.name}: {num_tracks} caption track inside it")


def check_timeline(each: Probed) -> None:
    if "otio" not in each.film.exports:
        return
    path = each.file(".otio")
    timeline = otio.adapters.read_from_file(str(path))
    pictures = [track for track in timeline.video_tracks() if track.find_clips()]
    require(bool(pictures), f"{path.name}: there is no picture track")
    num_clips = len(pictures[0].find_clips())
    num_shots = len(each.cut.shots)
    require(num_clips == num_shots, f"{path.name}: expected {num_shots} clips, got {num_clips}")
    num_frames = round(pictures[0].duration().rescaled_to(float(each.film.fps)).value)
    require(
        num_frames == each.cut.num_frames,
        f"{path.name}: expected {each.cut.num_frames} frames, got {num_frames}",
    )
    say(f"{path.name}: {num_clips} clips, {num_frames} frames")


def check_contact_sheet(film: Film, folder: Path) -> None:
    if "contact_sheet" in film.exports:
        found = sorted(folder.glob(f"{film.code}*contact*"))
        require(bool(found), f"{folder}: there is no contact sheet")
        say(f"contact sheet: {', '.join(path.name for path in found)}")


def check_report(path: Path) -> None:
    require(path.is_file(), f"{path} is missing")
    links = Links()
    links.feed(path.read_text(encoding="utf-8"))
    require(bool(links.found), f"{path.name}: there are no links")
    for link in links.found:
        parts = urlsplit(link)
        require(parts.scheme in ("", "data"), f"{path.name}: {link} leads to the network")
        if parts.scheme == "" and parts.path:
            target = path.parent / unquote(parts.path)
            require(target.exists(), f"{path.name}: {link} leads nowhere")
    say(f"{path.name}: {len(links.found)} links hold")


class Links(HTMLParser):
    """Every address in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = ("href", "src", "poster")
        self.found += [value for name, value in attrs if name in names and value]


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ProbeError(otherwise)


def say(line: str) -> None:
    print(f"ok   {line}")


if __name__ == "__main__":
    sys.exit(main())
