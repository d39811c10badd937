"""Small films made of nothing, for tests: only what a test is about has to be said."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from storyboards.fields import Angle, ShotSize
from storyboards.film import (
    STRAIGHT_CUT,
    Asset,
    Character,
    Film,
    Location,
    Look,
    Scene,
    Shot,
    SpokenLine,
    Staged,
    film_shots,
)
from storyboards.schema import Budget, Finish, Voice
from storyboards.shot_schema import Camera, Checks

__all__ = [
    "make_asset",
    "make_character",
    "make_film",
    "make_line",
    "make_location",
    "make_look",
    "make_shot",
    "make_staged",
]


def make_asset(name: str = "mara_front.png", digest: str = "") -> Asset:
    """A reference that is not on disk, unless `name` is the path of a file that is."""
    filler = "".join(f"{byte:02x}" for byte in name.encode())[-64:]
    return Asset(Path(name), digest or filler.rjust(64, "0"))


def make_character(id: str = "mara", **changes: Any) -> Character:
    """Somebody with one front view."""
    values: dict[str, Any] = {
        "id": id,
        "name": id.title(),
        "description": f"{id}, 60s, grey braid",
        "refs": {"front": make_asset(f"{id}_front.png")},
        "voice": Voice(),
        "voice_ref": None,
        "loras": (),
        "height_m": 1.7,
    }
    return Character(**_changed(values, changes))


def make_staged(character: Character | None = None, **changes: Any) -> Staged:
    """The character, in the middle and facing the camera."""
    someone = character or make_character()
    values: dict[str, Any] = {
        "character": someone,
        "position": "centre",
        "facing": "camera",
        "depth": "mid",
        "ref": next(iter(someone.refs), ""),
        "enters": None,
        "exits": None,
        "action": "",
    }
    return Staged(**_changed(values, changes))


def make_line(text: str = "It never went out.", **changes: Any) -> SpokenLine:
    """An English line of Mara's."""
    values: dict[str, Any] = {
        "character": make_character(),
        "delivery": "quiet",
        "start_frame": 12,
        "text": {"en": text},
        "audio": {},
        "gain_db": 0.0,
    }
    return SpokenLine(**_changed(values, changes))


def make_location(id: str = "gallery", **changes: Any) -> Location:
    """A place with one plate."""
    values: dict[str, Any] = {
        "id": id,
        "description": f"the {id} of a lighthouse",
        "plates": (make_asset(f"{id}_wide.png"),),
        "layers": (),
    }
    return Location(**_changed(values, changes))


def make_look(id: str = "dusk", **changes: Any) -> Look:
    """A look in words alone."""
    values: dict[str, Any] = {
        "id": id,
        "prompt": "overcast blue hour",
        "negative": "",
        "lut": None,
        "lut_strength": 1.0,
        "refs": (),
    }
    return Look(**_changed(values, changes))


def make_shot(id: str = "sc010/sh0010", **changes: Any) -> Shot:
    """A second of an empty place at 24 fps, cut straight to the next."""
    values: dict[str, Any] = {
        "id": id,
        "scene": id.split("/")[0],
        "slugline": "EXT. LIGHTHOUSE GALLERY - DUSK",
        "size": ShotSize.MS,
        "angle": Angle.EYE,
        "camera": Camera(),
        "num_frames": 24,
        "action": "Waves break below.",
        "prompt": "",
        "negative": "",
        "location": None,
        "look": None,
        "cast": (),
        "keyframes": (),
        "motion": None,
        "motion_masks": {},
        "motion_from": None,
        "dialogue": (),
        "ambience": (),
        "sfx": (),
        "titles": (),
        "transition_in": STRAIGHT_CUT,
        "transition_out": STRAIGHT_CUT,
        "continues": None,
        "group": "",
        "source": None,
        "edit": None,
        "backends": ("auto",),
        "take_count": 1,
        "seeds": (),
        "audio": "native",
        "profile": "standard",
        "checks": Checks(),
        "tags": (),
        "options": {},
        "line": 1,
    }
    return Shot(**_changed(values, changes))


def make_film(shots: Sequence[Shot] = (), **changes: Any) -> Film:
    """A film of the shots (one by default), with the scenes, cast, places and looks they name."""
    shots = tuple(shots) or (make_shot(),)
    names = list(dict.fromkeys(shot.scene for shot in shots))
    scenes = tuple(
        Scene(
            name,
            next(shot.slugline for shot in shots if shot.scene == name),
            (),
            tuple(shot for shot in shots if shot.scene == name),
        )
        for name in names
    )
    values: dict[str, Any] = {
        "path": Path("film.yaml"),
        "folder": Path(),
        "variant": "",
        "code": "LHT",
        "title": "The Lighthouse",
        "fps": Fraction(24),
        "size": (320, 180),
        "seed": 1,
        "lang": "en",
        "budget": Budget(),
        "cast": {one.character.id: one.character for shot in shots for one in shot.cast},
        "locations": {shot.location.id: shot.location for shot in shots if shot.location},
        "looks": {shot.look.id: shot.look for shot in shots if shot.look},
        "music": (),
        "scenes": scenes,
        "finish": Finish(),
        "deliverables": (),
        "exports": (),
        "approve": (),
    }
    film = Film(**_changed(values, changes))
    assert [shot.id for shot in film_shots(film)], "a film has at least one shot"
    return film


def _changed(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    unknown = set(changes) - set(values)
    if unknown:
        raise TypeError(f"no such field: {', '.join(sorted(unknown))}")
    return {**values, **changes}
