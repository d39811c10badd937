"""A shot as a `RenderRequest`: all that changes its picture or sound, and nothing else.

Ids, order, titles, transitions, effects, notes and the slate stay outside, so that moving,
renaming or retitling a shot leaves its takes as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from generator.backends.base import (
    AudioMode,
    Backend,
    ContinueFrom,
    Description,
    EditOf,
    KeyPicture,
    LoraWeight,
    MotionArea,
    Placement,
    Reference,
    RefRole,
    RenderRequest,
)
from generator.keys import content_digest
from generator.prompts import negative_prompt, write_prompt
from media.timebase import seconds_to_frames
from storyboards.film import Asset, Film, Shot, SpokenLine, film_shots
from storyboards.references import recording_seconds
from storyboards.speech_length import estimate_speech_s

__all__ = ["FOOTAGE", "Raster", "assets_for", "raster_of", "request_for", "seed_for"]

FOOTAGE = "footage"
"""The backend that turns the user's own clip into a take."""


@dataclass(frozen=True, slots=True)
class Raster:
    """The size and rate that takes are made at."""

    size: tuple[int, int]
    fps: Fraction

    def frames(self, num_frames: int, film_fps: Fraction) -> int:
        """Frames of the film's rate as the nearest number of this one's."""
        if film_fps == self.fps:
            return num_frames
        return seconds_to_frames(num_frames / film_fps, self.fps)


def raster_of(film: Film) -> Raster:
    """The film's own."""
    return Raster(film.size, film.fps)


def request_for(
    film: Film,
    shot: Shot,
    take: int,
    backend: Backend,
    *,
    picked: str = "",
    raster: Raster | None = None,
) -> RenderRequest:
    """The request for a take (counted from 1) of `shot`, before the backend snaps it.

    `picked` is the key of the take that the shot continues or edits.
    """
    target = raster or raster_of(film)
    num_frames = max(1, target.frames(shot.num_frames, film.fps))
    if shot.source is not None:
        return _footage_request(film, shot, target, num_frames)
    lang = film.lang
    names = _subjects(shot)
    return RenderRequest(
        prompt=write_prompt(shot, lang, backend.id),
        negative=negative_prompt(shot),
        seed=seed_for(film, shot, take),
        size=target.size,
        fps=target.fps,
        num_frames=num_frames,
        profile=shot.profile,
        description=Description(
            slugline=shot.slugline,
            action=shot.action,
            size=shot.size,
            angle=shot.angle,
            camera=shot.camera,
            setting_seed=_setting_seed(film, shot),
            placements=tuple(_placements(film, shot, target, num_frames, names)),
            dialogue=tuple(
                (names.get(line.character.id, _name(line)), line.text[lang], line.delivery)
                for line in shot.dialogue
            ),
            focus=shot.focus,
        ),
        references=tuple(_references(shot, names)),
        key_pictures=tuple(
            KeyPicture(
                num_frames - 1
                if key.frame == shot.num_frames - 1
                else target.frames(key.frame, film.fps),
                key.picture.sha256,
                key.strength,
            )
            for key in shot.keyframes
        ),
        motion=tuple(_motion(shot)),
        continue_from=_continuation(film, shot, target, picked),
        edit=_edit(shot, picked),
        audio=_audio_mode(film, shot, backend),
        audio_sha256=_driving_sound(film, shot, backend),
        loras=tuple(_loras(shot, backend, names)),
        options=_options(shot),
    )


def seed_for(film: Film, shot: Shot, take: int) -> int:
    """The storyboard's seed for the take, or one derived from what the shot frames.

    Derived from the setting, the framing, who is in it and the take; not from ids or order, so
    that moving a shot costs nothing, and not from the wording, the length or the raster, so that
    an edit changes the picture no more than it asks for and a preview resembles the film.
    """
    if take <= len(shot.seeds):
        return shot.seeds[take - 1]
    cast = tuple((one.character.description, one.position, one.depth) for one in shot.cast)
    return _digest_seed(
        "seed", film.seed, _setting_seed(film, shot), shot.size, shot.angle, cast, take
    )


def assets_for(film: Film) -> Mapping[str, Path]:
    """Every file of the film's that a request can name, by SHA-256."""
    return {asset.sha256: asset.path for asset in _assets(film)}


def _footage_request(film: Film, shot: Shot, target: Raster, num_frames: int) -> RenderRequest:
    assert shot.source is not None
    fit = shot.options.get("fit", "crop")
    return RenderRequest(
        prompt="",
        negative="",
        seed=0,
        size=target.size,
        fps=target.fps,
        num_frames=num_frames,
        profile="standard",
        description=Description("", "", shot.size, shot.angle, shot.camera, 0),
        references=(Reference("video", "plate", shot.source.clip.sha256),),
        audio="native" if shot.source.with_audio else "none",
        options=(
            ("fit", fit),
            ("start_frame", target.frames(shot.source.start_frame, film.fps)),
        ),
    )


@lru_cache(maxsize=4096, typed=True)
def _digest_seed(*parts: object) -> int:
    return int(content_digest(*parts)[:8], 16)


def _setting_seed(film: Film, shot: Shot) -> int:
    place = shot.location
    plates = tuple(plate.sha256 for plate in place.plates) if place else ()
    words = place.description if place else ""
    return _digest_seed("setting", film.seed, " ".join(shot.slugline.split()), words, plates)


def _subjects(shot: Shot) -> Mapping[str, str]:
    """What each of the shot's cast is called in the request: their name, told apart if need be."""
    people = {one.character.id: one.character.name or one.character.id for one in shot.cast}
    names = list(people.values())
    return {id: name if names.count(name) == 1 else f"{name} ({id})" for id, name in people.items()}


def _name(line: SpokenLine) -> str:
    return line.character.name or line.character.id


def _placements(
    film: Film, shot: Shot, target: Raster, num_frames: int, names: Mapping[str, str]
) -> Iterator[Placement]:
    for one in shot.cast:
        spans = [
            _span(line, film, target, num_frames)
            for line in shot.dialogue
            if line.character.id == one.character.id
        ]
        asset = one.character.refs.get(one.ref)
        yield Placement(
            subject=names[one.character.id],
            description=one.character.description,
            sha256=asset.sha256 if asset else "",
            position=one.position,
            facing=one.facing,
            depth=one.depth,
            height_m=one.character.height_m,
            enters=one.enters,
            exits=one.exits,
            action=one.action,
            speaking=tuple(span for span in spans if span[1] > span[0]),
        )


def _span(line: SpokenLine, film: Film, target: Raster, num_frames: int) -> tuple[int, int]:
    """First frame of the line and the frame after its last, held to the shot."""
    recording = line.audio.get(film.lang)
    if recording is not None:
        length_s = recording_seconds(recording)
    else:
        length_s = estimate_speech_s(line.text[film.lang], film.lang, line.delivery)
    start = min(target.frames(line.start_frame, film.fps), num_frames)
    return start, min(start + seconds_to_frames(length_s, target.fps), num_frames)


def _references(shot: Shot, names: Mapping[str, str]) -> Iterator[Reference]:
    """Cast, voices, place, look, motion, edit: in this order, each in the storyboard's own."""
    for one in shot.cast:
        views = sorted(one.character.refs.items(), key=lambda view: view[0] != one.ref)
        for _, asset in views:
            yield Reference("image", "character", asset.sha256, names[one.character.id])
    if shot.audio == "native":
        spoken = {line.character.id for line in shot.dialogue}
        for one in shot.cast:
            if one.character.voice_ref is not None and one.character.id in spoken:
                voice = one.character.voice_ref.sha256
                yield Reference("audio", "voice", voice, names[one.character.id])
    if shot.location is not None:
        for plate in shot.location.plates:
            yield Reference("image", "plate", plate.sha256)
        for layer in shot.location.layers:
            yield Reference("image", "layer", layer.picture.sha256, depth_m=layer.depth_m)
    if shot.look is not None:
        for asset in shot.look.refs:
            yield Reference("image", "style", asset.sha256)
    if shot.motion_from is not None:
        move = shot.motion_from
        subject = names.get(move.character, "")
        yield Reference("video", "motion", move.clip.sha256, subject, move.strength)
    if shot.edit is not None:
        role: RefRole = "character" if shot.edit.operation == "insert" else "style"
        for asset in shot.edit.refs:
            yield Reference("image", role, asset.sha256)


def _motion(shot: Shot) -> Iterator[MotionArea]:
    if shot.motion is None:
        return
    for region in shot.motion.regions:
        mask = shot.motion_masks[region.mask].sha256 if region.mask else ""
        yield MotionArea(region.box, mask, region.trajectory)
    for box in shot.motion.static:
        yield MotionArea(box, "", ())


def _continuation(film: Film, shot: Shot, target: Raster, picked: str) -> ContinueFrom | None:
    joint = shot.continues
    if joint is None or joint.mode == "cut":
        return None
    return ContinueFrom(picked, joint.mode, max(1, target.frames(joint.overlap_frames, film.fps)))


def _edit(shot: Shot, picked: str) -> EditOf | None:
    if shot.edit is None:
        return None
    mask = shot.edit.mask.sha256 if shot.edit.mask else ""
    return EditOf(picked, shot.edit.operation, shot.edit.instruction, mask)


def _audio_mode(film: Film, shot: Shot, backend: Backend) -> AudioMode:
    """Native where the backend has it; without it the sound department speaks the lines."""
    if _driving_sound(film, shot, backend):
        return "driven"
    return "native" if shot.audio == "native" and backend.capabilities.native_audio else "none"


def _driving_sound(film: Film, shot: Shot, backend: Backend) -> str:
    """A shot spoken by one recording is driven by it, where the backend takes sound."""
    recordings = [line.audio[film.lang] for line in shot.dialogue if film.lang in line.audio]
    takes_sound = backend.capabilities.max_references.get("audio", 0) > 0
    if shot.audio == "voice" and takes_sound and len(shot.dialogue) == len(recordings) == 1:
        return recordings[0].sha256
    return ""


def _loras(shot: Shot, backend: Backend, names: Mapping[str, str]) -> Iterator[LoraWeight]:
    """Adapters made on this backend, or on none in particular."""
    for one in shot.cast:
        for lora, asset in one.character.loras:
            if lora.base in (None, backend.id):
                yield LoraWeight(asset.sha256, lora.weight, names[one.character.id])


def _options(shot: Shot) -> tuple[tuple[str, bool | int | float | str], ...]:
    options = dict(shot.options)
    if shot.motion_from is not None:
        # What is taken from the footage and from where; a dot cannot stand in a written name.
        options["motion_from.what"] = shot.motion_from.what
        options["motion_from.start_s"] = str(shot.motion_from.start_s)
    return tuple(sorted(options.items()))


def _assets(film: Film) -> Iterator[Asset]:
    for character in film.cast.values():
        yield from character.refs.values()
        yield from (asset for _, asset in character.loras)
        if character.voice_ref is not None:
            yield character.voice_ref
    for location in film.locations.values():
        yield from location.plates
        yield from (layer.picture for layer in location.layers)
    for look in film.looks.values():
        yield from look.refs
    for shot in film_shots(film):
        yield from _shot_assets(shot)


def _shot_assets(shot: Shot) -> Iterator[Asset]:
    yield from (key.picture for key in shot.keyframes)
    yield from shot.motion_masks.values()
    for line in shot.dialogue:
        yield from line.audio.values()
    if shot.motion_from is not None:
        yield shot.motion_from.clip
    if shot.source is not None:
        yield shot.source.clip
    if shot.edit is not None:
        yield from shot.edit.refs
        if shot.edit.mask is not None:
            yield shot.edit.mask
