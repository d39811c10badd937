"""The film's loudness, measured and set (EBU R128): gain first, a limiter only where needed.

ffmpeg's ebur128 is the judge, and it judges what is delivered: the AAC, decoded. Lossy coding
moves peaks, so the limiter's ceiling comes down until the delivered sound stays under it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from editor.limiter import F32, GainCurve, apply_curve, hop_peaks_db, limit
from editor.mix import Stems
from media.errors import MediaError, translate_os_errors
from media.ffmpeg import MAX_OUTPUT_BYTES, run_ffmpeg
from media.files import temp_sibling
from storyboards.schema import Loudness

__all__ = ["FinishedSound", "LoudnessReport", "encode_aac", "finish_sound", "measure_loudness"]

AAC_BITRATE = "320k"
_TIMEOUT_S = 1800.0

_CLOSE_LU = 0.1
"""ebur128 prints tenths: nearer than this cannot be seen."""
_AAC_MARGIN_DB = 0.3
"""Where the ceiling starts below the target: what 320 kb/s usually adds to peaks."""
_PEAK_ALLOWANCE_DB = 2.0
"""Peaks are looked for this much lower, so that later tries with more gain know them too."""
_MAX_GAIN_TRIES = 6
_MAX_CODING_TRIES = 4
_SILENCE_LUFS = -69.9
"""At and below the absolute gate of -70 LUFS there is nothing to measure (BS.1770-5)."""

_SUMMARY = {
    "lufs": re.compile(r"Integrated loudness:\s+I:\s+(\S+) LUFS"),
    "range_lu": re.compile(r"LRA:\s+(\S+) LU\b"),
    "peak_db": re.compile(r"True peak:\s+Peak:\s+(\S+) dBFS"),
}


@dataclass(frozen=True, slots=True)
class LoudnessReport:
    """What was asked for and what is delivered. None: there is nothing to measure."""

    target: Loudness
    lufs: float | None
    true_peak_db: float | None
    range_lu: float | None
    gain_db: float
    note: str = ""
    """Why the target was not met; empty when it was."""


@dataclass(frozen=True, slots=True)
class FinishedSound:
    """The film's sound as delivered."""

    aac: Path
    """AAC in MP4, what `deliver` copies into the film."""
    stems: Stems
    """At the film's loudness, still summing to the mix."""
    report: LoudnessReport


@dataclass(frozen=True, slots=True)
class Measured:
    """What ebur128 found; None: silence, or less than the 400 ms that it needs."""

    lufs: float | None
    true_peak_db: float | None
    range_lu: float | None


def finish_sound(
    stems: Stems, target: Loudness, folder: Path, *, with_stems: bool = False
) -> FinishedSound:
    """Bring the mix to `target` and encode it: `film.wav`, `film.m4a` in `folder`.

    `with_stems` writes the stems beside them with the mix's own gain and limiting, so that they
    still sum to it; otherwise the returned stems are the raw ones with the finished mix.
    """
    with translate_os_errors("make a folder", folder, MediaError):
        folder.mkdir(parents=True, exist_ok=True)
    film, aac = folder / "film.wav", folder / "film.m4a"
    if film == stems.film:
        raise MediaError("the finished mix needs another folder than the raw one", where=str(film))
    curve, report = _settle(stems.film, film, aac, target)
    paths = stems.by_name()
    if with_stems:
        for name, raw in paths.items():
            paths[name] = folder / f"{name}.wav"
            apply_curve(raw, paths[name], curve)
    finished = Stems(**paths, film=film, num_samples=stems.num_samples)
    return FinishedSound(aac, finished, report)


def measure_loudness(path: Path, *, true_peak: bool = True) -> Measured:
    """Integrated loudness, true peak and loudness range of a file's first sound stream."""
    peak = ":peak=true" if true_peak else ""
    arguments = ["-i", str(path), "-map", "0:a:0", "-vn"]
    arguments += ["-af", f"ebur128=framelog=quiet{peak}", "-f", "null", "-"]
    log = run_ffmpeg(arguments, what="measure the loudness", timeout_s=_TIMEOUT_S)
    found = {name: _number(pattern, log) for name, pattern in _SUMMARY.items()}
    lufs = found["lufs"]
    if lufs is None or lufs <= _SILENCE_LUFS:
        return Measured(None, found["peak_db"], None)
    return Measured(lufs, found["peak_db"], found["range_lu"])


def encode_aac(wav: Path, aac: Path) -> None:
    """Encode a WAV as 48 kHz AAC in MP4, whole or not at all.

    The fast coder takes half the time of the usual one; at 320 kb/s nobody hears which it was.
    """
    temp = temp_sibling(aac)
    arguments = ["-i", str(wav), "-c:a", "aac", "-aac_coder", "fast", "-b:a", AAC_BITRATE]
    arguments += ["-ar", "48000", "-fs", str(MAX_OUTPUT_BYTES), "-f", "mp4", str(temp)]
    try:
        run_ffmpeg(arguments, what="encode the sound", timeout_s=_TIMEOUT_S)
        with translate_os_errors("write", aac, MediaError):
            temp.replace(aac)
    finally:
        temp.unlink(missing_ok=True)


def _settle(raw: Path, film: Path, aac: Path, target: Loudness) -> tuple[GainCurve, LoudnessReport]:
    """Gain and ceiling such that the delivered sound meets the target."""
    measured = measure_loudness(raw, true_peak=False)
    gain_db = 0.0 if measured.lufs is None else target.lufs - measured.lufs
    ceiling_db = target.true_peak_db - _AAC_MARGIN_DB
    peaks_db = hop_peaks_db(raw, ceiling_db - gain_db - _PEAK_ALLOWANCE_DB)
    for attempt in range(_MAX_CODING_TRIES):
        curve = _reach(raw, film, peaks_db, (gain_db, ceiling_db), target, measured.lufs)
        encode_aac(film, aac)
        delivered = measure_loudness(aac)
        over_db = (delivered.true_peak_db or -math.inf) - target.true_peak_db
        if over_db <= 0 or attempt == _MAX_CODING_TRIES - 1:
            break
        ceiling_db -= over_db + 0.1
        gain_db = curve.gain_db
    report = LoudnessReport(
        target=target,
        lufs=delivered.lufs,
        true_peak_db=delivered.true_peak_db,
        range_lu=delivered.range_lu,
        gain_db=round(curve.gain_db, 2),
        note=_note(delivered, target, measured.lufs),
    )
    return curve, report


def _reach(
    raw: Path,
    film: Path,
    peaks_db: F32,
    start: tuple[float, float],
    target: Loudness,
    raw_lufs: float | None,
) -> GainCurve:
    """Write the mix at the target; where limiting costs loudness, gain makes up for it."""
    gain_db, ceiling_db = start
    for _ in range(_MAX_GAIN_TRIES):
        curve = limit(peaks_db, gain_db, ceiling_db)
        apply_curve(raw, film, curve)
        if raw_lufs is None or not curve.limits:
            break
        lufs = measure_loudness(film, true_peak=False).lufs
        missing = 0.0 if lufs is None else target.lufs - lufs
        if abs(missing) <= _CLOSE_LU:
            break
        # The limiter takes about a third of every step away again, hence more than is missing.
        gain_db += missing * (1.6 if missing > 0 else 1.0)
    return curve


def _note(delivered: Measured, target: Loudness, raw_lufs: float | None) -> str:
    if raw_lufs is None or delivered.lufs is None:
        return "silent or shorter than 0.4 s: there is no loudness to set"
    notes = []
    if abs(delivered.lufs - target.lufs) > 0.3:
        notes.append(
            f"{delivered.lufs:.1f} LUFS instead of {target.lufs:.1f}: the peaks are too high "
            f"above the rest for a ceiling of {target.true_peak_db:g} dBTP"
        )
    if delivered.true_peak_db is not None and delivered.true_peak_db > target.true_peak_db:
        notes.append(f"peaks reach {delivered.true_peak_db:.1f} dBTP")
    return "; ".join(notes)


def _number(pattern: re.Pattern[str], log: str) -> float | None:
    """The finite number that the pattern finds in the last summary of the log."""
    found = pattern.findall(log)
    try:
        value = float(found[-1]) if found else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
