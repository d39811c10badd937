"""The cut for an editing program: OpenTimelineIO, and what older formats can carry of it.

In OTIO the clips of a track follow each other without overlap, and a transition reaches into
both: of an overlap of n frames the earlier clip keeps n // 2, and the later clip the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import opentimelineio as otio

from editor.timeline import Clip, ClipMedia, PlacedSound, Stem, Timeline
from editor.timeline_problems import overlap_of
from media.errors import MediaError, translate_os_errors
from media.files import temp_sibling
from media.timebase import SAMPLE_RATE
from storyboards.fields import TransitionKind

__all__ = ["EDL_LOSES", "FCP7XML_LOSES", "export_edl", "export_fcp7xml", "export_otio"]

EDL_LOSES = (
    "sound: only the picture track is in it",
    "wipes, J and L cuts: they become dissolves of the same length",
    "fades, titles, slates and looks",
)
FCP7XML_LOSES = (
    "wipes, J and L cuts: they become dissolves of the same length",
    "titles, slates, looks and the curve of fades and ducking",
)

_FADES = (TransitionKind.FADE,)


def export_otio(timeline: Timeline, path: Path) -> Path:
    """Write the timeline to the .otio file `path`: picture, a track per stem, markers.

    It is read back and compared before it is kept.
    """
    made = _otio_timeline(timeline)
    with _written_whole(path) as temp:
        otio.adapters.write_to_file(made, str(temp), "otio_json")
        if not otio.adapters.read_from_file(str(temp), "otio_json").is_equivalent_to(made):
            raise MediaError("the timeline reads back differently", where=str(path))
    return path


def export_edl(timeline: Timeline, path: Path) -> Path:
    """Write the picture track to the CMX 3600 list `path`; EDL_LOSES says what it cannot hold."""
    made = _otio_timeline(timeline, sounds=False)
    rate = float(timeline.fps)
    with _written_whole(path) as temp:
        otio.adapters.write_to_file(made, str(temp), "cmx_3600", rate=rate, style="avid")
    return path


def export_fcp7xml(timeline: Timeline, path: Path) -> Path:
    """Write the timeline as Final Cut Pro 7 XML; FCP7XML_LOSES says what it cannot hold."""
    made = _otio_timeline(timeline)
    with _written_whole(path) as temp:
        otio.adapters.write_to_file(made, str(temp), "fcp_xml")
    return path


@contextmanager
def _written_whole(path: Path) -> Iterator[Path]:
    """A temporary name that becomes `path`; what a format's writer raises becomes a MediaError."""
    temp = temp_sibling(path)
    try:
        with translate_os_errors("write", path, MediaError):
            try:
                yield temp
            except (otio.exceptions.OTIOError, ValueError, KeyError, AttributeError) as error:
                raise MediaError(f"cannot write the cut: {error}", where=str(path)) from error
            temp.replace(path)
    finally:
        temp.unlink(missing_ok=True)


def _otio_timeline(timeline: Timeline, *, sounds: bool = True) -> Any:
    made = otio.schema.Timeline(timeline.title or timeline.name)
    made.global_start_time = _time(0, timeline.fps)
    made.metadata["takeboard"] = {
        "deliverable": timeline.name,
        "lang": timeline.lang,
        "fps": str(timeline.fps),
        "size": list(timeline.size),
        "fit": timeline.fit,
    }
    made.tracks.append(_picture_track(timeline))
    if sounds:
        for stem in get_args(Stem):
            placed = [sound for sound in timeline.sounds if sound.stem == stem]
            for lane, row in enumerate(_lanes(placed)):
                made.tracks.append(_sound_track(row, f"{stem} {lane + 1}", timeline.fps))
    return made


def _picture_track(timeline: Timeline) -> Any:
    track = otio.schema.Track("picture", kind=otio.schema.TrackKind.Video)
    for index, clip in enumerate(timeline.clips):
        after = timeline.clips[index + 1] if index + 1 < len(timeline.clips) else None
        overlap = overlap_of(clip) if index else 0
        if overlap:
            track.append(_transition(clip, overlap, timeline.fps))
        cut_head = overlap // 2
        next_overlap = overlap_of(after) if after else 0
        cut_tail = next_overlap - next_overlap // 2
        track.append(_picture_clip(clip, cut_head, cut_tail, timeline.fps))
    for overlay in timeline.overlays:
        if overlay.style != "caption":
            text = {"style": overlay.style, "subtitle": overlay.subtitle, "lang": overlay.lang}
            span = (overlay.start_frame, overlay.num_frames)
            track.markers.append(_marker(overlay.text, span, "GREEN", text, timeline.fps))
    return track


def _transition(clip: Clip, overlap: int, fps: Fraction) -> Any:
    """The overlap around the edit point, where the earlier clip has given half its frames."""
    assert clip.head is not None
    # Every program knows the dissolve; what was written is in the metadata.
    return otio.schema.Transition(
        name=clip.head.kind.value,
        transition_type=otio.schema.TransitionTypes.SMPTE_Dissolve,
        in_offset=_time(overlap // 2, fps),
        out_offset=_time(overlap - overlap // 2, fps),
        metadata={"takeboard": {"kind": clip.head.kind.value, "direction": clip.head.direction}},
    )


def _picture_clip(clip: Clip, cut_head: int, cut_tail: int, fps: Fraction) -> Any:
    media = clip.media
    source = otio.schema.ExternalReference(
        target_url=media.path.absolute().as_uri(),
        available_range=_range(0, media.num_frames, fps),
    )
    # Takes are all called alike; lists such as EDL and XML name a source, and mean the shot.
    source.name = clip.shot
    made = otio.schema.Clip(
        name=clip.shot,
        media_reference=source,
        source_range=_range(
            media.start_frame + cut_head, clip.num_frames - cut_head - cut_tail, fps
        ),
        metadata={"takeboard": _clip_metadata(clip), "cmx_3600": {"reel": _reel(media)}},
    )
    shown = (media.start_frame + cut_head, clip.num_frames - cut_head - cut_tail)
    about = {"slate": list(clip.slate.lines)} if clip.slate else {}
    made.markers.append(_marker(clip.shot, shown, "CYAN", about, fps))
    return made


def _reel(media: ClipMedia) -> str:
    """The take as a reel name: eight letters and digits are what every EDL reader takes."""
    return "".join(sign for sign in media.digest.upper() if sign.isalnum())[:8] or "AX"


def _clip_metadata(clip: Clip) -> dict[str, object]:
    metadata: dict[str, object] = {
        "shot": clip.shot,
        "take": clip.media.digest,
        "start_frame": clip.start_frame,
        "num_frames": clip.num_frames,
    }
    fades = {"fade_in": clip.head, "fade_out": clip.tail_fade}
    for name, edge in fades.items():
        if edge is not None and edge.kind in _FADES:
            metadata[name] = {"num_frames": edge.num_frames, "colour": edge.colour}
    if clip.lut:
        metadata["lut"] = {"file": clip.lut.name, "strength": clip.lut_strength}
    return metadata


def _lanes(sounds: list[PlacedSound]) -> list[list[PlacedSound]]:
    """The sounds in as few rows as hold them without overlap: a track plays one at a time."""
    lanes: list[list[PlacedSound]] = []
    for sound in sorted(sounds, key=lambda placed: placed.start_sample):
        for lane in lanes:
            if lane[-1].start_sample + lane[-1].num_samples <= sound.start_sample:
                lane.append(sound)
                break
        else:
            lanes.append([sound])
    return lanes


def _sound_track(sounds: list[PlacedSound], name: str, fps: Fraction) -> Any:
    track = otio.schema.Track(name, kind=otio.schema.TrackKind.Audio)
    at = 0
    frames = _frames_of_samples(fps)
    for sound in sounds:
        start, end = frames(sound.start_sample), frames(sound.start_sample + sound.num_samples)
        start, end = max(start, at), max(end, max(start, at) + 1)
        if start > at:
            track.append(otio.schema.Gap(source_range=_range(0, start - at, fps)))
        track.append(_sound_clip(sound, end - start, fps))
        at = end
    return track


def _sound_clip(sound: PlacedSound, num_frames: int, fps: Fraction) -> Any:
    first = _frames_of_samples(fps)(sound.source_start_sample)
    source = otio.schema.ExternalReference(
        target_url=sound.path.absolute().as_uri(),
        available_range=_range(0, first + num_frames, fps),
    )
    # Final Cut Pro 7 XML joins files by name: a sound must not be called like a picture.
    source.name = f"{sound.path.name} (sound)"
    return otio.schema.Clip(
        name=f"{sound.name} (sound)",
        media_reference=source,
        source_range=_range(first, num_frames, fps),
        metadata={
            "takeboard": {
                "stem": sound.stem,
                "start_sample": sound.start_sample,
                "num_samples": sound.num_samples,
                "source_start_sample": sound.source_start_sample,
                "gain_db": sound.gain_db,
                "fade_in_samples": sound.fade_in_samples,
                "fade_out_samples": sound.fade_out_samples,
                "duck_db": sound.duck_db,
            }
        },
    )


def _frames_of_samples(fps: Fraction) -> Callable[[int], int]:
    """Samples to the nearest frame; the exact sample is in the clip's metadata."""
    return lambda sample: round(Fraction(sample, SAMPLE_RATE) * fps)


def _marker(
    name: str, span: tuple[int, int], colour: str, about: dict[str, Any], fps: Fraction
) -> Any:
    return otio.schema.Marker(
        name=name, marked_range=_range(*span, fps), color=colour, metadata={"takeboard": about}
    )


def _range(start: int, num_frames: int, fps: Fraction) -> Any:
    return otio.opentime.TimeRange(_time(start, fps), _time(num_frames, fps))


def _time(frame: int, fps: Fraction) -> Any:
    return otio.opentime.RationalTime(frame, float(fps))
