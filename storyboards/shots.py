"""One shot of the storyboard, with everything it inherits, in exact frames."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from media.timebase import Duration
from storyboards.cues import sound_cues, sound_effects, spoken_lines, title_cards
from storyboards.edges import Edges
from storyboards.fields import ShotSize
from storyboards.film import (
    Asset,
    Continuation,
    Keyframe,
    OwnFootage,
    Shot,
    ShotMotion,
    Staged,
    TakeEdit,
)
from storyboards.marks import Loc
from storyboards.references import clip_facts
from storyboards.script import Place, Script
from storyboards.shot_schema import Camera, Checks, Takes
from storyboards.staging import Facing, Position, Stance, stances
from storyboards.timing import ShotTime

__all__ = ["resolve_shot"]


def resolve_shot(
    script: Script,
    place: Place,
    time: ShotTime,
    edges: Edges,
    continues: Continuation | None,
    sides: dict[str, Position],
) -> Shot:
    """The shot; what cannot be resolved is left out and reported."""
    text = place.text
    takes: Takes = script.inherited(place, "takes")[0] or Takes()
    ambience, ambience_loc = script.inherited(place, "ambience")
    location = text.location or place.scene.location
    look = script.inherited(place, "look")[0]
    return Shot(
        id=place.id,
        scene=place.scene.id,
        slugline=place.scene.slugline,
        size=text.size,
        angle=text.angle,
        camera=_camera(script, place, time),
        num_frames=time.num_frames,
        action=text.action or "",
        prompt=text.prompt or "",
        negative=script.inherited(place, "negative")[0] or "",
        location=script.locations.get(location) if location else None,
        look=script.looks.get(look) if look else None,
        cast=_cast(script, place, sides),
        keyframes=_keyframes(script, place, time.num_frames),
        motion=text.motion,
        motion_masks=_masks(script, place),
        motion_from=_motion_from(script, place),
        dialogue=spoken_lines(script, place, time),
        ambience=sound_cues(script, ambience or (), ambience_loc, time.num_frames),
        sfx=sound_effects(script, place, time.num_frames),
        titles=title_cards(script, place, time.num_frames),
        transition_in=edges.into,
        transition_out=edges.out,
        continues=continues,
        group=text.group or "",
        source=_source(script, place, time.num_frames),
        edit=_edit(script, place),
        backends=script.inherited(place, "backend")[0] or ("auto",),
        take_count=_take_count(takes),
        seeds=takes.seeds,
        audio=script.inherited(place, "audio")[0] or "native",
        profile=script.inherited(place, "profile")[0] or "standard",
        checks=script.inherited(place, "checks")[0] or Checks(),
        tags=script.inherited(place, "tags")[0] or (),
        options={
            **(script.text.defaults.options or {}),
            **(place.scene.options or {}),
            **(text.options or {}),
        },
        line=script.loaded.marks.line(place.loc),
        focus=text.focus,
    )


def _take_count(takes: Takes) -> int:
    """Seeds without a count ask for a take each."""
    if takes.seeds and "count" not in takes.model_fields_set:
        return len(takes.seeds)
    return takes.count


def _camera(script: Script, place: Place, time: ShotTime) -> Camera:
    written, loc = script.inherited(place, "camera")
    camera: Camera = written or Camera()
    before = -1
    for index, key in enumerate(camera.path):
        frame = key.at.frames(script.fps)
        key_loc = (*loc, "path", index, "at")
        if frame <= before:
            script.problems.add(
                key_loc, f"expected a time after the key position before, got {key.at}"
            )
        # The end of the shot is a fair place for the last key position.
        if frame > time.num_frames and not place.damaged:
            script.problems.add(
                key_loc,
                f"expected a time inside the shot {place.id} of {time.num_frames} frames, "
                f"got {key.at} (frame {frame})",
            )
        before = max(before, frame)
    return camera


def _cast(script: Script, place: Place, sides: dict[str, Position]) -> tuple[Staged, ...]:
    staged: list[Staged] = []
    seen: set[str] = set()
    for index, (entry, stance) in enumerate(
        zip(place.text.cast, stances(place.text.cast, place.scene, sides), strict=True)
    ):
        loc: Loc = (*place.loc, "cast", index)
        if entry.who in seen:
            script.problems.add((*loc, "who"), f'"{entry.who}" is in the cast of the shot twice')
        seen.add(entry.who)
        character = script.cast.get(entry.who)
        if character is None:
            continue
        views = script.text.cast[entry.who].refs
        if entry.ref is not None:
            script.check_name(entry.ref, f"reference of {entry.who}", tuple(views), (*loc, "ref"))
        staged.append(
            Staged(
                character,
                stance.position,
                stance.facing,
                stance.depth,
                _view(stance, tuple(views), place.text.size),
                entry.enters,
                entry.exits,
                entry.action or "",
            )
        )
    return tuple(staged)


_VIEWS: Mapping[Facing, tuple[str, ...]] = {
    "camera": ("front",),
    "left": ("profile", "side", "three_quarter", "front"),
    "right": ("profile", "side", "three_quarter", "front"),
    "away": ("back", "front"),
}


def _view(stance: Stance, views: tuple[str, ...], size: ShotSize) -> str:
    """The reference that shows the character as they face; over a shoulder we see the face."""
    if stance.ref in views and stance.ref is not None:
        return stance.ref
    wanted = _VIEWS["camera" if size is ShotSize.OTS else stance.facing]
    fitting = [view for view in wanted if view in views]
    return fitting[0] if fitting else next(iter(views), "")


def _keyframes(script: Script, place: Place, num_frames: int) -> tuple[Keyframe, ...]:
    frames = place.text.frames
    if frames is None:
        return ()
    loc: Loc = (*place.loc, "frames")
    pictures: list[tuple[int, str, float, Loc, Loc]] = []
    if frames.first is not None:
        pictures.append((0, frames.first, 1.0, (*loc, "first"), (*loc, "first")))
    for index, mid in enumerate(frames.mid):
        mid_loc: Loc = (*loc, "mid", index)
        pictures.append(
            (mid.at.frames(script.fps), mid.image, mid.strength, (*mid_loc, "image"),
             (*mid_loc, "at"))
        )  # fmt: skip
    if frames.last is not None:
        pictures.append((num_frames - 1, frames.last, 1.0, (*loc, "last"), (*loc, "last")))
    found: dict[int, Keyframe] = {}
    taken: set[int] = set()
    for frame, name, strength, image_loc, at_loc in pictures:
        if frame in taken and not place.damaged:
            script.problems.add(at_loc, f"two pictures stand on frame {frame} of the shot")
        elif frame >= num_frames and not place.damaged:
            script.problems.add(
                at_loc, f"expected a time inside the shot of {num_frames} frames, got frame {frame}"
            )
        taken.add(frame)
        picture = script.references.asset(name, "image", image_loc)
        if picture is not None:
            found[frame] = Keyframe(frame, picture, strength)
    return tuple(found[frame] for frame in sorted(found))


def _masks(script: Script, place: Place) -> dict[str, Asset]:
    masks: dict[str, Asset] = {}
    regions = place.text.motion.regions if place.text.motion else ()
    for index, region in enumerate(regions):
        loc: Loc = (*place.loc, "motion", "regions", index, "mask")
        mask = script.references.asset(region.mask, "image", loc)
        if mask is not None and region.mask is not None:
            masks[region.mask] = mask
    return masks


def _motion_from(script: Script, place: Place) -> ShotMotion | None:
    motion = place.text.motion_from
    if motion is None:
        return None
    loc: Loc = (*place.loc, "motion_from")
    clip = script.references.asset(motion.file, "clip", (*loc, "file"))
    if clip is None:
        return None
    start_s = _start_inside(script, motion.start, clip, (*loc, "start"))
    return ShotMotion(clip, motion.what, motion.who or "", start_s, motion.strength)


def _start_inside(script: Script, start: Duration | None, clip: Asset, loc: Loc) -> Fraction:
    """When to start in `clip`, in seconds."""
    start_s = start.seconds(script.fps) if start else Fraction(0)
    length_s = clip_facts(clip).duration_s
    if start_s >= length_s:
        script.problems.add(
            loc, f"expected a time inside the clip of {float(length_s):.2f} s, got {start}"
        )
    return start_s


def _source(script: Script, place: Place, num_frames: int) -> OwnFootage | None:
    source = place.text.source
    if source is None:
        return None
    loc: Loc = (*place.loc, "source")
    clip = script.references.asset(source.file, "clip", (*loc, "file"))
    if clip is None:
        return None
    start_s = _start_inside(script, source.start, clip, (*loc, "start"))
    left = int((clip_facts(clip).duration_s - start_s) * script.fps)
    if place.text.duration != "auto" and num_frames > left > 0:
        script.problems.add(
            (*place.loc, "duration"),
            f"expected at most {left} frames, which the clip has from there, got {num_frames}",
        )
    # Footage is conformed to the project's rate before it is cut, so this counts in that rate.
    start = source.start.frames(script.fps) if source.start else 0
    return OwnFootage(clip, start, source.audio)


def _edit(script: Script, place: Place) -> TakeEdit | None:
    edit = place.text.edit
    if edit is None:
        return None
    loc: Loc = (*place.loc, "edit")
    edited = script.shot_of(edit.from_, (*loc, "from"), place.scene.id)
    if edited is place:
        script.problems.add((*loc, "from"), "expected another shot, got the shot itself")
    mask = script.references.asset(edit.mask, "image", (*loc, "mask"))
    refs = [
        script.references.asset(name, "image", (*loc, "refs", index))
        for index, name in enumerate(edit.refs)
    ]
    if edited is None:
        return None
    count = _take_count(script.inherited(edited, "takes")[0] or Takes())
    if edit.take is not None and edit.take > count:
        script.problems.add(
            (*loc, "take"), f"expected one of the {count} takes of {edited.id}, got {edit.take}"
        )
    return TakeEdit(
        edited.id, edit.take, edit.operation, edit.instruction, mask,
        tuple(asset for asset in refs if asset),
    )  # fmt: skip
