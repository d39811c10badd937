"""A request's files in the forms that servers take, read when a job is asked for."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from generator.backends.base import Reference, RenderRequest, RenderTools, TakeMedia
from generator.backends.video_api.dialects import Material
from generator.backends.video_api.served_models import ServedModel
from generator.references import fitted, motion_clip, voice_sample
from media.errors import RefusalError, RenderError
from media.image import image_size
from media.probe import probe
from media.sound import read_sound, write_sound
from media.timebase import SAMPLE_RATE, samples_at
from media.video import DRAFT, last_frame, write_video

__all__ = ["materials_of"]

_CLIP_S = (2, 15)
"""Shortest and longest reference clip or voice of H3, in seconds; the longest also in all."""

_PICTURE_SIDES = (256, 2048)
_MOST_STRETCHED = 2.4
"""H3 takes reference pictures from 2:5 to 5:2."""

_VACE_SIDES = (64, 832)


def materials_of(
    request: RenderRequest, tools: RenderTools, model: ServedModel
) -> tuple[Material, ...]:
    """Pictures, clips and sounds in the order of the request; key frames shut references out.

    RenderError for a file or take that was not handed over, RefusalError for one that cannot be
    used.
    """
    keyframes = tuple(_keyframes(request, tools))
    if keyframes or not request.references:
        return (*keyframes, *_driving(request, tools))
    return (*_references(request, tools, model), *_driving(request, tools))


def _keyframes(request: RenderRequest, tools: RenderTools) -> Iterator[Material]:
    last = request.num_frames - 1
    continued = request.continue_from
    if continued is not None:
        take = tools.takes.get(continued.take_key)
        if take is None:
            raise RenderError(
                f"the take {continued.take_key[:12]} that this one continues was not handed over",
                todo="render the earlier shot first",
            )
        yield Material("image", _png(_end_of(take, request.size)), "keyframe")
    for key in request.key_pictures:
        at_end = key.frame == last
        if continued is not None and not at_end:
            continue
        picture = fitted(_file(key.sha256, tools), request.size)
        yield Material("image", _png(picture), "keyframe", last=at_end)


def _references(
    request: RenderRequest, tools: RenderTools, model: ServedModel
) -> Iterator[Material]:
    voices = [one for one in request.references if one.kind == "audio"]
    clips = [one for one in request.references if one.kind == "video"]
    for one in request.references:
        path = _file(one.sha256, tools)
        legend = _legend(one)
        if one.kind == "image":
            yield Material("image", _reference_picture(path, model), legend=legend)
        elif one.kind == "video":
            yield Material("video", _clip(path, request, len(clips)), legend=legend)
        else:
            sound = voice_sample(path, SAMPLE_RATE, _CLIP_S[1] / len(voices))
            if sound.shape[1] < _CLIP_S[0] * SAMPLE_RATE:
                raise RefusalError(
                    f"expected at least {_CLIP_S[0]} s of a voice, "
                    f"found {sound.shape[1] / SAMPLE_RATE:.1f} s",
                    where=path.name,
                    todo="record a longer line",
                )
            yield Material("audio", _wav(sound), legend=legend)


def _driving(request: RenderRequest, tools: RenderTools) -> Iterator[Material]:
    if request.audio == "driven":
        yield Material("audio", _wav(_spoken(request, tools)), "driving")


def _spoken(request: RenderRequest, tools: RenderTools) -> np.ndarray:
    """The recorded line where it is spoken, silence around it, as long as the take."""
    line = read_sound(_file(request.audio_sha256, tools))
    starts = [span[0] for one in request.description.placements for span in one.speaking]
    start = samples_at(min(starts, default=0), request.fps)
    sound = np.zeros((line.shape[0], samples_at(request.num_frames, request.fps)), np.float32)
    heard = line[:, : sound.shape[1] - start]
    sound[:, start : start + heard.shape[1]] = heard
    return sound


def _legend(reference: Reference) -> str:
    who = reference.subject
    if reference.kind == "audio":
        return f"is the voice of {who}" if who else "is the voice"
    if reference.kind == "video":
        return f"shows how {who} moves" if who else "shows the movement"
    if reference.role == "plate":
        return "shows the place"
    if reference.role == "style":
        return "shows the look"
    return f"shows {who}" if who else "shows what belongs into the picture"


def _end_of(take: TakeMedia, size: tuple[int, int]) -> np.ndarray:
    """The take's last frame, `(height, width, 3) uint8 RGB`, in `size`."""
    frame = take.tail[-1] if take.tail is not None else last_frame(take.picture)
    if (frame.shape[1], frame.shape[0]) == size:
        return frame
    picture = Image.fromarray(np.ascontiguousarray(frame))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def _reference_picture(path: Path, model: ServedModel) -> bytes:
    """The whole picture upright on a ground that shows nothing, within the model's limits."""
    width, height = image_size(path)
    if not model.is_h3:
        size = _within(width, height, _VACE_SIDES)
        return _jpeg(fitted(path, size, "contain"))
    wide = max(width, round(height / _MOST_STRETCHED))
    high = max(height, round(width / _MOST_STRETCHED))
    return _png(fitted(path, _within(wide, high, _PICTURE_SIDES), "contain"))


def _within(width: int, height: int, sides: tuple[int, int]) -> tuple[int, int]:
    """The size scaled so that its shorter side is not below and its longer not above `sides`."""
    scale = min(1.0, sides[1] / max(width, height))
    scale = max(scale, sides[0] / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _clip(path: Path, request: RenderRequest, num_clips: int) -> bytes:
    """What the take is to move like, as an mp4 without sound: what is heard there is not meant."""
    options = dict(request.options)
    start_s = Fraction(str(options.get("motion_from.start_s", "0")))
    fps = Fraction(24)
    there = int((probe(path).duration_s - start_s) * fps)
    wanted = min(there, request.num_frames, int(_CLIP_S[1] * fps / num_clips))
    if wanted < _CLIP_S[0] * fps:
        raise RefusalError(
            f"expected at least {_CLIP_S[0]} s of movement, found {float(wanted / fps):.1f} s",
            where=path.name,
            todo="give a longer clip, or start earlier in it",
        )
    frames = motion_clip(path, fps, wanted, request.size, start_s)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "clip.mp4")
        chunks = (frames[first : first + 16] for first in range(0, wanted, 16))
        write_video(written, chunks, size=request.size, fps=fps, encoding=DRAFT)
        return written.read_bytes()


def _wav(sound: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "voice.wav")
        write_sound(written, sound)
        return written.read_bytes()


def _png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(data, "PNG", compress_level=6)
    return data.getvalue()


def _jpeg(pixels: np.ndarray) -> bytes:
    """Where pictures go into a field of text, which has room for four of them as JPEG."""
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(data, "JPEG", quality=92, subsampling=0)
    return data.getvalue()


def _file(sha256: str, tools: RenderTools) -> Path:
    path = tools.assets.get(sha256)
    if path is None:
        raise RenderError(
            f"the file {sha256[:12]} was not handed over",
            todo="run the checks on the storyboard again",
        )
    return path
