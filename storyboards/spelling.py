"""Names that stand for something: each is looked up where it is written."""

from __future__ import annotations

from storyboards.marks import Loc
from storyboards.script import Script
from storyboards.shot_schema import Inherited, ShotText

__all__ = ["check_names"]


def check_names(script: Script) -> None:
    """A problem for every cast member, location and look that is not defined."""
    names = script.loaded.names
    _check_inherited(script, script.text.defaults, ("defaults",))
    for index, scene in enumerate(script.text.scenes):
        loc: Loc = ("scenes", index)
        _check_inherited(script, scene, loc)
        script.check_name(scene.location, "location", names.locations, (*loc, "location"))
        seen: set[str] = set()
        for place, entry in enumerate(scene.staging):
            where: Loc = (*loc, "staging", place, "who")
            script.check_name(entry.who, "cast member", names.cast, where)
            if entry.who in seen:
                script.problems.add(where, f'"{entry.who}" is staged twice')
            seen.add(entry.who)
    for shot in script.places:
        _check_shot(script, shot.text, shot.loc)


def _check_shot(script: Script, shot: ShotText, loc: Loc) -> None:
    names = script.loaded.names
    _check_inherited(script, shot, loc)
    script.check_name(shot.location, "location", names.locations, (*loc, "location"))
    for index, entry in enumerate(shot.cast):
        script.check_name(entry.who, "cast member", names.cast, (*loc, "cast", index, "who"))
    for index, line in enumerate(shot.dialogue):
        script.check_name(line.who, "cast member", names.cast, (*loc, "dialogue", index, "who"))
    if shot.motion_from is not None:
        script.check_name(
            shot.motion_from.who, "cast member", names.cast, (*loc, "motion_from", "who")
        )


def _check_inherited(script: Script, level: Inherited, loc: Loc) -> None:
    script.check_name(level.look, "look", script.loaded.names.looks, (*loc, "look"))
