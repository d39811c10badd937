"""The film's sound on four stems and one mix, placed to the sample, never joined from pieces.

Two passes over the film, a block at a time: the dialogue first, because everything else makes
room for it; then effects, ambience, music and their sum.
"""

from __future__ import annotations

from collections.abc import Set
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from editor.ducking import Ducking, SpeechMeter
from editor.sound_files import BLOCK_SAMPLES, Block, SoundReader, SoundWriter
from editor.timeline import Clip, Timeline
from media.errors import MediaError, translate_os_errors
from media.files import free_bytes
from media.sound import db_to_gain
from media.timebase import SAMPLE_RATE, samples_at
from storyboards.fields import TransitionKind

__all__ = ["STEMS", "Stems", "mix"]

STEMS = ("dialogue", "effects", "ambience", "music")

_DECLICK_SAMPLES = 8 * SAMPLE_RATE // 1000
"""Fade at a hard edge of a clip's own sound: long enough for no click, too short to hear."""

_FILM_BYTES_PER_SAMPLE = 8


@dataclass(frozen=True, slots=True)
class Stems:
    """Stereo float WAVs, each exactly `num_samples` long; the four sum to `film`."""

    dialogue: Path
    effects: Path
    ambience: Path
    music: Path
    film: Path
    num_samples: int

    def by_name(self) -> dict[str, Path]:
        """The four stems, without the mix."""
        return {name: getattr(self, name) for name in STEMS}


@dataclass(slots=True)
class _Part:
    """One sound on a stem, film samples [start, end)."""

    stem: str
    path: Path
    start: int
    end: int
    source_start: int
    gain: float
    fade_in: int
    fade_out: int
    duck_db: float = 0.0
    reader: SoundReader | None = None


def mix(timeline: Timeline, out_folder: Path, *, speaking: Set[str] = frozenset()) -> Stems:
    """Write the stems and the mix of `timeline` into `out_folder`.

    `speaking` names the shots whose clip's own sound holds speech: it goes on the dialogue
    stem, where music makes room for it; that of other clips goes on the effects stem.
    """
    num_samples = samples_at(timeline.num_frames, timeline.fps)
    with translate_os_errors("make a folder", out_folder, MediaError):
        out_folder.mkdir(parents=True, exist_ok=True)
    _require_space(out_folder, num_samples)
    parts = sorted(
        [*_placed_parts(timeline), *_clip_parts(timeline, speaking)], key=lambda part: part.start
    )
    parts = [part for part in parts if part.start < min(part.end, num_samples) and part.end > 0]
    paths = {name: out_folder / f"{name}.wav" for name in (*STEMS, "film")}
    ducking = _write_dialogue(parts, paths["dialogue"], num_samples)
    _write_rest(parts, paths, num_samples, ducking)
    return Stems(num_samples=num_samples, **paths)


def _require_space(folder: Path, num_samples: int) -> None:
    needed = num_samples * _FILM_BYTES_PER_SAMPLE * (len(STEMS) + 1)
    if (free := free_bytes(folder)) < needed:
        raise MediaError(
            f"the stems need {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free",
            where=str(folder),
            todo="free some disk space and run again: finished takes are kept",
        )


def _placed_parts(timeline: Timeline) -> list[_Part]:
    return [
        _Part(
            stem=sound.stem,
            path=sound.path,
            start=sound.start_sample,
            end=sound.start_sample + sound.num_samples,
            source_start=sound.source_start_sample,
            gain=db_to_gain(sound.gain_db),
            fade_in=sound.fade_in_samples,
            fade_out=sound.fade_out_samples,
            duck_db=sound.duck_db,
        )
        for sound in timeline.sounds
    ]


def _clip_parts(timeline: Timeline, speaking: Set[str]) -> list[_Part]:
    """The clips' own sounds, whose source is heard from where the picture is seen."""
    parts = []
    for index, clip in enumerate(timeline.clips):
        if clip.media.sound is None:
            continue
        after = timeline.clips[index + 1] if index + 1 < len(timeline.clips) else None
        start = samples_at(clip.start_frame, timeline.fps)
        end = samples_at(clip.end_frame, timeline.fps)
        fade_in, fade_out = _clip_fades(clip, after)
        parts.append(
            _Part(
                stem="dialogue" if clip.shot in speaking else "effects",
                path=clip.media.sound,
                start=start,
                end=end,
                source_start=samples_at(clip.media.start_frame, clip.media.fps),
                gain=1.0,
                fade_in=min(samples_at(fade_in, timeline.fps) or _DECLICK_SAMPLES, end - start),
                fade_out=min(samples_at(fade_out, timeline.fps) or _DECLICK_SAMPLES, end - start),
            )
        )
    return parts


def _clip_fades(clip: Clip, after: Clip | None) -> tuple[int, int]:
    """Frames over which a clip's own sound comes in and goes out; 0: a hard edge.

    In a J cut the later clip is heard in full from its first frame while the earlier one goes;
    in an L cut the earlier one is heard in full to its last while the later one comes.
    """
    fade_in = fade_out = 0
    if clip.head is not None and clip.head.kind is not TransitionKind.J_CUT:
        fade_in = clip.head.num_frames
    if clip.tail_fade is not None:
        fade_out = clip.tail_fade.num_frames
    elif after is not None and after.head is not None:
        full = after.head.kind in (TransitionKind.L_CUT, TransitionKind.FADE)
        fade_out = 0 if full else after.head.num_frames
    return fade_in, fade_out


def _write_dialogue(parts: list[_Part], path: Path, num_samples: int) -> Ducking:
    dialogue = [part for part in parts if part.stem == "dialogue"]
    meter = SpeechMeter()
    with SoundWriter(path, num_samples) as writer:
        for start in range(0, num_samples, BLOCK_SAMPLES):
            length = min(BLOCK_SAMPLES, num_samples - start)
            bus = np.zeros((length, 2), np.float32)
            for part in _sounding(dialogue, start, length):
                _add(bus, start, part, None)
            meter.add(bus)
            writer.write(bus)
    _close(dialogue)
    return meter.ducking()


def _write_rest(
    parts: list[_Part], paths: dict[str, Path], num_samples: int, ducking: Ducking
) -> None:
    beds = [part for part in parts if part.stem != "dialogue"]
    with ExitStack() as stack:
        dialogue = stack.enter_context(SoundReader(paths["dialogue"]))
        writers = {
            name: stack.enter_context(SoundWriter(path, num_samples))
            for name, path in paths.items()
            if name != "dialogue"
        }
        for start in range(0, num_samples, BLOCK_SAMPLES):
            length = min(BLOCK_SAMPLES, num_samples - start)
            buses = {name: np.zeros((length, 2), np.float32) for name in STEMS[1:]}
            for part in _sounding(beds, start, length):
                _add(buses[part.stem], start, part, ducking)
            film = np.array(dialogue.read(start, length))
            for name, bus in buses.items():
                film += bus
                writers[name].write(bus)
            writers["film"].write(film)
    _close(beds)


def _sounding(parts: list[_Part], start: int, length: int) -> list[_Part]:
    """Parts heard in the block; files of those before it are closed."""
    _close([part for part in parts if part.end <= start])
    return [part for part in parts if part.start < start + length and part.end > start]


def _close(parts: list[_Part]) -> None:
    for part in parts:
        if part.reader is not None:
            part.reader.close()
            part.reader = None


def _add(bus: Block, block_start: int, part: _Part, ducking: Ducking | None) -> None:
    """Add what `part` sounds in the block to the bus."""
    if part.reader is None:
        part.reader = SoundReader(part.path)
    begin = max(part.start, block_start)
    end = min(part.end, block_start + len(bus))
    source = part.reader.read(part.source_start + begin - part.start, end - begin)
    if not len(source):
        return
    end = begin + len(source)
    heard = source * np.float32(part.gain)
    _fade(heard, begin, part)
    duck = ducking.gain(begin, len(heard), part.duck_db) if ducking is not None else None
    if duck is not None:
        heard *= duck[:, np.newaxis]
    bus[begin - block_start : end - block_start] += heard


def _fade(heard: Block, begin: int, part: _Part) -> None:
    """Equal-power fades, sin and cos: two of them crossed keep the loudness of unlike sounds."""
    end = begin + len(heard)
    if begin < part.start + part.fade_in:
        stop = min(end, part.start + part.fade_in)
        at = (np.arange(begin, stop) - part.start + 0.5) / part.fade_in
        heard[: stop - begin] *= np.sin(at * np.pi / 2).astype(np.float32)[:, np.newaxis]
    if end > part.end - part.fade_out:
        start = max(begin, part.end - part.fade_out)
        at = (part.end - np.arange(start, end) - 0.5) / part.fade_out
        heard[start - begin :] *= np.sin(at * np.pi / 2).astype(np.float32)[:, np.newaxis]
