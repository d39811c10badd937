"""The finished film in one file: picture copied, sound, soft captions, chapters and a title.

Nothing is encoded twice: the joined picture and the finished AAC are copied. The AAC's priming
samples are hidden by an edit list, so that sound and picture start together.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from editor.captions import write_srt
from editor.loudness import encode_aac
from editor.mix import Stems
from editor.timeline import Caption, Timeline
from media.errors import MediaError, translate_os_errors
from media.ffmpeg import run_ffmpeg
from media.files import free_bytes, publish_folder, temp_sibling
from media.probe import MediaFile, probe
from media.sound import sound_seconds
from media.timebase import SAMPLE_RATE

__all__ = ["Chapter", "deliver", "export_stems"]

_TIMEOUT_S = 900.0
_SPARE_BYTES = 16 * 2**20
_AAC_FRAME = 1024

# ISO 639-1 to 639-2/T, which is all that an MP4 can say (ISO/IEC 14496-12, 8.4.2).
_LANG_CODES = {
    "ar": "ara", "bg": "bul", "bn": "ben", "ca": "cat", "cs": "ces", "cy": "cym", "da": "dan",
    "de": "deu", "el": "ell", "en": "eng", "es": "spa", "et": "est", "eu": "eus", "fa": "fas",
    "fi": "fin", "fr": "fra", "ga": "gle", "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun",
    "id": "ind", "is": "isl", "it": "ita", "ja": "jpn", "ko": "kor", "lt": "lit", "lv": "lav",
    "ms": "msa", "nb": "nob", "nl": "nld", "no": "nor", "pl": "pol", "pt": "por", "ro": "ron",
    "ru": "rus", "sk": "slk", "sl": "slv", "sr": "srp", "sv": "swe", "sw": "swa", "ta": "tam",
    "te": "tel", "th": "tha", "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "zh": "zho",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chapter:
    """A mark on the film's time line, such as the start of a scene."""

    start_frame: int
    title: str


def deliver(
    timeline: Timeline,
    picture: Path,
    sound: Path,
    *,
    out: Path,
    captions: Mapping[str, Sequence[Caption]] | None = None,
    chapters: Sequence[Chapter] = (),
) -> Path:
    """Write the film to `out` (MP4, playable while it loads), whole or not at all.

    `picture` is the joined picture; `sound` the finished AAC, or a WAV that is encoded here.
    `captions` become soft subtitle tracks by language, the first one shown by default.
    """
    _require_picture(timeline, picture)
    with translate_os_errors("make a folder", out.parent, MediaError):
        out.parent.mkdir(parents=True, exist_ok=True)
        needed = picture.stat().st_size + sound.stat().st_size + _SPARE_BYTES
    if (free := free_bytes(out.parent)) < needed:
        raise MediaError(
            f"the film needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free",
            where=str(out.parent),
            todo="free some disk space and run again: finished takes are kept",
        )
    workshop = temp_sibling(out)
    try:
        with translate_os_errors("make a folder", out.parent, MediaError):
            workshop.mkdir()
        made = _mux(timeline, picture, _as_aac(sound, workshop), workshop, captions or {}, chapters)
        _require_exact(timeline, made)
        with translate_os_errors("write", out, MediaError):
            made.replace(out)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return out


def export_stems(stems: Stems, folder: Path) -> dict[str, Path]:
    """Copy the four stems and the mix as WAVs into `folder`, which appears when all are there."""
    sources = {**stems.by_name(), "mix": stems.film}
    if folder.exists():
        shutil.rmtree(folder)
    with publish_folder(folder) as temp, translate_os_errors("write", folder, MediaError):
        for name, source in sources.items():
            shutil.copyfile(source, temp / f"{name}.wav")
    return {name: folder / f"{name}.wav" for name in sources}


def _require_picture(timeline: Timeline, picture: Path) -> None:
    found = probe(picture, count_frames=True)
    if found.num_frames != timeline.num_frames or found.audio_channels:
        what = "with sound" if found.audio_channels else "without sound"
        raise MediaError(
            f"expected {timeline.num_frames} frames without sound, got {found.num_frames} {what}",
            where=str(picture),
        )


def _as_aac(sound: Path, workshop: Path) -> Path:
    if probe(sound).codec.startswith("aac"):
        return sound
    aac = workshop / "sound.m4a"
    encode_aac(sound, aac)
    return aac


def _mux(
    timeline: Timeline,
    picture: Path,
    sound: Path,
    workshop: Path,
    captions: Mapping[str, Sequence[Caption]],
    chapters: Sequence[Chapter],
) -> Path:
    metadata = workshop / "metadata.txt"
    with translate_os_errors("write", metadata, MediaError):
        metadata.write_text(_metadata(timeline, chapters), "utf-8")
    shown = {lang: lines for lang, lines in captions.items() if lines}
    inputs = ["-i", f"file:{picture}", "-i", f"file:{sound}"]
    inputs += ["-f", "ffmetadata", "-i", f"file:{metadata}"]
    maps = ["-map", "0:v:0", "-map", "1:a:0", "-map_metadata", "2", "-map_chapters", "2"]
    tracks = ["-metadata:s:a:0", f"language={_language(timeline.lang)}"]
    for index, (lang, lines) in enumerate(shown.items()):
        srt = workshop / f"{index}.srt"
        write_srt(srt, lines, timeline.fps)
        inputs += ["-f", "srt", "-i", f"file:{srt}"]
        maps += ["-map", f"{index + 3}:s:0"]
        tracks += [f"-metadata:s:s:{index}", f"language={_language(lang)}"]
        tracks += [f"-disposition:s:{index}", "default" if index == 0 else "0"]
    made = workshop / "film.mp4"
    codecs = ["-c:v", "copy", "-c:a", "copy", "-c:s", "mov_text"]
    # The exact time scale of the rate keeps every frame of 24000/1001 on its own tick.
    scale = timeline.fps.numerator * (512 if timeline.fps.numerator < 1000 else 1)
    ending = ["-video_track_timescale", str(scale), "-movflags", "+faststart"]
    size = picture.stat().st_size + sound.stat().st_size
    # Twice the size of what goes in: room for the index, an end for a run that goes wild.
    ending += ["-fs", str(2 * size + _SPARE_BYTES), "-f", "mp4", f"file:{made}"]
    run_ffmpeg(
        [*inputs, *maps, *codecs, *tracks, *ending],
        what=f"put the film {timeline.name} together",
        timeout_s=_TIMEOUT_S,
    )
    return made


def _metadata(timeline: Timeline, chapters: Sequence[Chapter]) -> str:
    """Title and chapters in ffmpeg's own text form, times in exact frames."""
    lines = [";FFMETADATA1", f"title={_escaped(timeline.title)}"]
    marks = sorted(
        (chapter for chapter in chapters if chapter.start_frame < timeline.num_frames),
        key=lambda chapter: chapter.start_frame,
    )
    ends = [*(chapter.start_frame for chapter in marks), timeline.num_frames][1:]
    frame = 1 / timeline.fps
    for chapter, end in zip(marks, ends, strict=True):
        lines += ["[CHAPTER]", f"TIMEBASE={frame.numerator}/{frame.denominator}"]
        lines += [f"START={chapter.start_frame}", f"END={end}"]
        lines += [f"title={_escaped(chapter.title)}"]
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    """One line with what ffmetadata reads as syntax escaped."""
    return re.sub(r"([=;#\\])", r"\\\1", " ".join(text.split()))


def _language(lang: str) -> str:
    base = re.split("[-_]", lang.lower())[0]
    return base if len(base) == 3 else _LANG_CODES.get(base, "und")


def _require_exact(timeline: Timeline, made: Path) -> None:
    """Frames as planned, sound as long as the picture within one AAC frame."""
    found: MediaFile = probe(made, count_frames=True)
    if found.num_frames != timeline.num_frames:
        raise MediaError(
            f"expected {timeline.num_frames} frames in the film, got {found.num_frames}",
            where=str(made),
        )
    off_s = sound_seconds(made) - Fraction(timeline.num_frames) / timeline.fps
    if abs(off_s) > Fraction(2 * _AAC_FRAME, SAMPLE_RATE):
        raise MediaError(
            f"the sound is {float(off_s) * 1000:+.0f} ms longer than the picture",
            where=str(made),
        )
