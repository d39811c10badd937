"""The storyboard on the desk while it becomes a film: its shots in order, and its names."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from storyboards.fields import did_you_mean
from storyboards.film import Character, Location, Look
from storyboards.loader import LoadedStoryboard
from storyboards.marks import Loc, Problems
from storyboards.references import References
from storyboards.schema import SceneText, StoryboardText
from storyboards.shot_schema import ShotText

__all__ = ["Place", "Script", "open_script"]


@dataclass(slots=True)
class Place:
    """A shot's place in the storyboard."""

    id: str
    """`scene/shot`"""
    index: int
    """In film order, from 0."""
    scene: SceneText
    scene_loc: Loc
    text: ShotText
    loc: Loc
    damaged: bool
    """Lost a malformed field, so that its timing says nothing."""


@dataclass(slots=True)
class Script:
    """A storyboard, the problems found in it, and what is resolved so far."""

    loaded: LoadedStoryboard
    text: StoryboardText
    problems: Problems
    references: References
    places: list[Place] = field(default_factory=list)
    by_id: dict[str, Place] = field(default_factory=dict)
    cast: dict[str, Character] = field(default_factory=dict)
    locations: dict[str, Location] = field(default_factory=dict)
    looks: dict[str, Look] = field(default_factory=dict)

    @property
    def fps(self) -> Fraction:
        """Frame rate of the project."""
        return self.text.project.fps

    @property
    def lang(self) -> str:
        """The language that the lines are written in."""
        return self.text.project.lang

    def langs(self) -> tuple[str, ...]:
        """Every language that is spoken in some deliverable, the film's own first."""
        used = [lang for deliverable in self.text.deliverables for lang in deliverable.langs]
        return tuple(dict.fromkeys([self.lang, *used]))

    def inherited(self, place: Place, name: str) -> tuple[Any, Loc]:
        """The value of a field from shot, scene or defaults, and where it is written."""
        levels = (
            (place.text, place.loc),
            (place.scene, place.scene_loc),
            (self.text.defaults, ("defaults",)),
        )
        for level, loc in levels:
            value = getattr(level, name)
            if value is not None:
                return value, (*loc, name)
        return None, place.loc

    def shot_of(self, ref: str, loc: Loc, scene: str = "") -> Place | None:
        """The shot that `ref` names, seen from `scene`; None, with a problem, when it is not."""
        if "/" in ref or scene:
            full = ref if "/" in ref else f"{scene}/{ref}"
        else:
            matches = [place.id for place in self.places if place.id.endswith(f"/{ref}")]
            if len(matches) > 1:
                self.problems.add(
                    loc, f'the shot "{ref}" is in several scenes, expected {" or ".join(matches)}'
                )
                return None
            full = matches[0] if matches else ref
        if full in self.by_id:
            return self.by_id[full]
        if full not in self.loaded.names.shots:
            known = [place.id for place in self.places]
            hint = "" if self.problems.many else did_you_mean(full, known)
            listed = f", expected one of {', '.join(known[:8])}" if not hint else ""
            self.problems.add(loc, f'unknown shot "{ref}"{listed}{hint}')
        return None

    def check_name(self, name: str | None, what: str, known: tuple[str, ...], loc: Loc) -> None:
        """A problem when `name` is not among `known`."""
        if name is None or name in known:
            return
        hint = "" if self.problems.many else did_you_mean(name, list(known))
        listed = f"expected one of {', '.join(known[:12])}" if known else "none is defined"
        self.problems.add(loc, f'unknown {what} "{name}", {listed}{hint}')


def open_script(loaded: LoadedStoryboard) -> Script:
    """The script with its shots in order; shots and scenes of one id are problems."""
    problems = Problems(loaded.marks)
    script = Script(loaded, loaded.text, problems, References(loaded.folder, problems))
    scene_lines: dict[str, int] = {}
    for scene_index, scene in enumerate(loaded.text.scenes):
        scene_loc: Loc = ("scenes", scene_index)
        _require_new(script, scene.id, "scene", scene_lines, scene_loc)
        shot_lines: dict[str, int] = {}
        for shot_index, shot in enumerate(scene.shots):
            loc: Loc = (*scene_loc, "shots", shot_index)
            _require_new(script, shot.id, "shot", shot_lines, loc)
            damaged = id(loaded.marks.node(loc)) in loaded.damaged
            place = Place(
                f"{scene.id}/{shot.id}", len(script.places), scene, scene_loc, shot, loc, damaged
            )
            script.places.append(place)
            script.by_id.setdefault(place.id, place)
    return script


def _require_new(script: Script, name: str, what: str, lines: dict[str, int], loc: Loc) -> None:
    # Ids become folder names, which some disks compare without case.
    if name.lower() in lines:
        first = lines[name.lower()]
        script.problems.add(
            (*loc, "id"), f'the {what} "{name}" is here twice, first in line {first}'
        )
    lines.setdefault(name.lower(), script.loaded.marks.line((*loc, "id")))
