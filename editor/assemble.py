"""Shots and their takes become a `Timeline`: the cut of one deliverable in one language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from editor.timeline import Caption, Clip, ClipMedia, Edge, Overlay, PlacedSound, Slate, Timeline
from editor.timeline_problems import timeline_problems
from media.errors import MediaError
from media.fonts import check_glyphs
from storyboards.fields import Angle, TransitionKind
from storyboards.film import (
    Cut,
    Film,
    FilmDeliverable,
    Shot,
    ShotTransition,
    cut_of,
    overlap_frames,
)

__all__ = ["assemble", "require_media", "slate_lines"]


def assemble(
    film: Film,
    deliverable: FilmDeliverable,
    lang: str,
    media: Mapping[str, ClipMedia],
    *,
    slates: Set[str],
    notes: Mapping[str, str] | None = None,
    sounds: Sequence[PlacedSound] = (),
    captions: Sequence[Caption] = (),
) -> Timeline:
    """The deliverable's cut in `lang`, with the media of every shot by its id.

    `slates` names the shots that carry their slate in the picture, `notes` by shot what its
    director said of the take before, for the slate.

    MediaError names the first shot whose media is missing, too short or of another frame rate.
    Captions become words in the picture when the deliverable wants them burnt in.
    """
    cut = cut_of(film, deliverable.shots)
    if not cut.shots:
        raise MediaError(
            "the deliverable has no shots",
            where=deliverable.name,
            todo="name shots of this film in the deliverable",
        )
    for shot in cut.shots:
        require_media(shot, media.get(shot.id), film)
    overlays = _overlays(film, cut, lang)
    if "burned" in deliverable.captions:
        overlays += _burnt(captions, lang)
    words = {
        shot.id: _slate(shot, (notes or {}).get(shot.id, ""))
        for shot in cut.shots
        if shot.id in slates
    }
    timeline = Timeline(
        name=deliverable.name,
        title=film.title,
        fps=film.fps,
        size=deliverable.size,
        fit=deliverable.fit,
        lang=lang,
        num_frames=cut.num_frames,
        clips=tuple(_clip(cut, index, media, words) for index in range(len(cut.shots))),
        overlays=overlays,
        sounds=tuple(sounds),
        captions=tuple(captions),
        grain=film.finish.grain,
    )
    if problems := timeline_problems(timeline):
        raise MediaError("; ".join(problems[:3]), where=f"timeline {timeline.name}")
    return timeline


def require_media(shot: Shot, found: ClipMedia | None, film: Film) -> None:
    """Refuse media that cannot fill the shot: MediaError says why."""
    where = f"shot {shot.id}"
    if found is None:
        raise MediaError("there is no take of it", where=where, todo="render the shot first")
    if found.fps != film.fps:
        raise MediaError(
            f"expected {float(film.fps):g} fps, got {float(found.fps):g}",
            where=f"{where}: {found.path}",
            todo="conform the clip to the film's rate",
        )
    available = found.num_frames - found.start_frame
    if available < shot.num_frames:
        raise MediaError(
            f"expected {shot.num_frames} frames, got {available}"
            + (f" from frame {found.start_frame} on" if found.start_frame else ""),
            where=f"{where}: {found.path}",
            todo="render the shot again or shorten it",
        )


def _clip(
    cut: Cut, index: int, media: Mapping[str, ClipMedia], slates: Mapping[str, Slate]
) -> Clip:
    shot = cut.shots[index]
    lut = shot.look.lut if shot.look else None
    return Clip(
        shot=shot.id,
        media=media[shot.id],
        start_frame=cut.start_frames[index],
        num_frames=shot.num_frames,
        head=_head(cut, index),
        tail_fade=_fade(shot.transition_out, shot),
        slate=slates.get(shot.id),
        lut=lut.path if lut else None,
        lut_digest=lut.sha256 if lut else "",
        lut_strength=shot.look.lut_strength if shot.look and lut else 1.0,
    )


def _head(cut: Cut, index: int) -> Edge | None:
    shot = cut.shots[index]
    if index:
        before = cut.shots[index - 1]
        overlap = overlap_frames(before, shot)
        if overlap:
            leaving = before.transition_out
            return Edge(leaving.kind, overlap, leaving.direction, leaving.colour)
    return _fade(shot.transition_in, shot)


def _fade(transition: ShotTransition, shot: Shot) -> Edge | None:
    """A fade from or to colour, never longer than the shot."""
    if transition.kind is not TransitionKind.FADE:
        return None
    num_frames = min(transition.num_frames, shot.num_frames)
    if num_frames == 0:
        return None
    return Edge(TransitionKind.FADE, num_frames, colour=transition.colour)


def _slate(shot: Shot, note: str) -> Slate:
    framing, action = slate_lines(shot)
    # A note is typed in a hurry: what the font lacks of it is left out, not refused.
    said = "".join(sign for sign in note if not check_glyphs(sign))
    return Slate(shot.id, (framing, f"{action} ({said})" if said else action))


def slate_lines(shot: Shot) -> tuple[str, str]:
    """What a slate says of a shot, in film words: `MCU · low angle · push in · 50 mm`, action."""
    words = [shot.size.value]
    if shot.angle is not Angle.EYE:
        angle = shot.angle.value
        words.append(angle if shot.angle in (Angle.OVERHEAD, Angle.DUTCH) else f"{angle} angle")
    moves = " + ".join(move.value.replace("_", " ") for move in shot.camera.move)
    words.append(moves or ("camera path" if shot.camera.path else "static"))
    words.append(f"{shot.camera.lens_mm:g} mm")
    return " · ".join(words), " ".join(shot.action.split())


def _overlays(film: Film, cut: Cut, lang: str) -> tuple[Overlay, ...]:
    overlays: list[Overlay] = []
    for shot, start in zip(cut.shots, cut.start_frames, strict=True):
        for title in shot.titles:
            first = start + title.start_frame
            num_frames = min(title.num_frames, cut.num_frames - first)
            if num_frames < 1:
                continue
            spoken = lang if lang in title.text else film.lang
            overlays.append(
                Overlay(title.text[spoken], title.subtitle, title.style, first, num_frames, spoken)
            )
    return tuple(overlays)


def _burnt(captions: Sequence[Caption], lang: str) -> tuple[Overlay, ...]:
    return tuple(
        Overlay(caption.text, "", "caption", caption.start_frame, caption.num_frames, lang)
        for caption in captions
    )
