"""A checked storyboard, resolved: exact frames, files instead of names, nothing left to inherit.

Everything after the language works on these types. `resolve_film` (resolve.py) makes them from
the text. A shot's place in the film is arithmetic on whole frames:

    start of a shot = end of the one before it − the overlap of the transition between them

A dissolve and a wipe overlap both pictures. A J cut plays the next shot's sound, from its own
first frame, under the last frames of the one before, whose picture stays; an L cut shows the
next picture while the sound of the one before runs out. All four therefore shorten the film by
their duration. A cut and a fade overlap nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from storyboards.fields import Angle, ShotSize, TransitionKind
from storyboards.schema import Budget, Finish, Lora, Loudness, Voice
from storyboards.shot_schema import Camera, Checks, MotionBrush

__all__ = ["Asset", "Character", "Cut", "Film", "Scene", "Shot", "cut_of", "film_shots"]


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the user's: where it is, and the SHA-256 (hex) of its bytes."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Character:
    """One of the cast."""

    id: str
    name: str
    description: str
    refs: Mapping[str, Asset]
    """By view name: front, side, back, ..."""
    voice: Voice
    voice_ref: Asset | None
    loras: tuple[tuple[Lora, Asset], ...]
    height_m: float


@dataclass(frozen=True, slots=True)
class DepthLayer:
    """A picture of part of a place, `depth_m` metres from the camera."""

    picture: Asset
    depth_m: float


@dataclass(frozen=True, slots=True)
class Location:
    """A place."""

    id: str
    description: str
    plates: tuple[Asset, ...]
    layers: tuple[DepthLayer, ...]
    """Far to near; empty when the storyboard gives none."""


@dataclass(frozen=True, slots=True)
class Look:
    """How the picture feels."""

    id: str
    prompt: str
    negative: str
    lut: Asset | None
    lut_strength: float
    refs: tuple[Asset, ...]


@dataclass(frozen=True, slots=True)
class Staged:
    """A character in a shot, with the scene's staging filled in."""

    character: Character
    position: Literal["far_left", "left", "centre", "right", "far_right"]
    facing: Literal["camera", "left", "right", "away"]
    depth: Literal["near", "mid", "far"]
    ref: str
    """Key into `character.refs`; empty when the character has none."""
    enters: Literal["left", "right"] | None
    exits: Literal["left", "right"] | None
    action: str


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A line of dialogue, in one or more languages."""

    character: Character
    delivery: str
    start_frame: int
    """After the shot's first frame."""
    text: Mapping[str, str]
    """By language; the film's own language is always there."""
    audio: Mapping[str, Asset]
    """Recordings, by language."""
    gain_db: float


@dataclass(frozen=True, slots=True)
class SoundCue:
    """Ambience or an effect: words (`cue`) or a file; `num_frames` None = as long as it is."""

    cue: str
    file: Asset | None
    start_frame: int
    num_frames: int | None
    gain_db: float


@dataclass(frozen=True, slots=True)
class TitleCard:
    """Words over the picture, in frames after the shot's start."""

    text: Mapping[str, str]
    """By language; the film's own language is always there."""
    subtitle: str
    style: Literal["title", "card", "lower_third", "credit"]
    start_frame: int
    num_frames: int


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A picture that the shot must show at `frame` (from 0; negative is never used)."""

    frame: int
    picture: Asset
    strength: float


@dataclass(frozen=True, slots=True)
class ShotMotion:
    """Movement taken from the user's footage."""

    clip: Asset
    what: Literal["performance", "camera", "both"]
    character: str
    start_s: Fraction
    strength: float


@dataclass(frozen=True, slots=True)
class Continuation:
    """The earlier shot that this one goes on from."""

    shot: str
    mode: Literal["cut", "shared_keyframe", "extend"]
    overlap_frames: int


@dataclass(frozen=True, slots=True)
class OwnFootage:
    """The user's clip that stands in for a generated picture, from `start_frame` of it.

    Frames of the film's rate: the clip is conformed to it before it is cut.
    """

    clip: Asset
    start_frame: int
    with_audio: bool


@dataclass(frozen=True, slots=True)
class TakeEdit:
    """An earlier shot's take changed by instruction."""

    shot: str
    take: int | None
    operation: Literal["insert", "remove", "restyle", "relight"]
    instruction: str
    mask: Asset | None
    refs: tuple[Asset, ...]


@dataclass(frozen=True, slots=True)
class ShotTransition:
    """What happens at one edge of a shot, and for how many frames."""

    kind: TransitionKind
    num_frames: int
    direction: Literal["left", "right", "up", "down"]
    colour: Literal["black", "white"]

    @property
    def overlap_frames(self) -> int:
        """Frames that this shot and its neighbour share in the film."""
        return 0 if self.kind in (TransitionKind.CUT, TransitionKind.FADE) else self.num_frames


STRAIGHT_CUT = ShotTransition(TransitionKind.CUT, 0, "left", "black")


@dataclass(frozen=True, slots=True)
class Shot:
    """One shot, complete: everything that was inherited is here."""

    id: str
    """`scene/shot`, unique in the film."""
    scene: str
    slugline: str
    size: ShotSize
    angle: Angle
    camera: Camera
    num_frames: int
    action: str
    prompt: str
    negative: str
    location: Location | None
    look: Look | None
    cast: tuple[Staged, ...]
    keyframes: tuple[Keyframe, ...]
    """In order; frame 0 is `frames.first`, frame num_frames-1 is `frames.last`."""
    motion: MotionBrush | None
    motion_masks: Mapping[str, Asset]
    """By the path written in the storyboard."""
    motion_from: ShotMotion | None
    dialogue: tuple[SpokenLine, ...]
    ambience: tuple[SoundCue, ...]
    sfx: tuple[SoundCue, ...]
    titles: tuple[TitleCard, ...]
    transition_in: ShotTransition
    """Only a fade or a cut: an overlap belongs to the shot before."""
    transition_out: ShotTransition
    continues: Continuation | None
    group: str
    source: OwnFootage | None
    edit: TakeEdit | None
    backends: tuple[str, ...]
    """In order of preference; `auto` = by capabilities."""
    take_count: int
    seeds: tuple[int, ...]
    """One a take when the storyboard gives them; otherwise derived when planned."""
    audio: Literal["native", "voice", "none"]
    profile: Literal["draft", "standard", "fine"]
    checks: Checks
    tags: tuple[str, ...]
    options: Mapping[str, bool | int | float | str]
    line: int
    """Of the storyboard file, for messages; never part of a hash."""
    focus: tuple[float, float] | None = None
    """Point of the location's plate, 0 to 1, that the frame centres on."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene and its shots in order."""

    id: str
    slugline: str
    ambience: tuple[SoundCue, ...]
    shots: tuple[Shot, ...]


@dataclass(frozen=True, slots=True)
class MusicCue:
    """A bed under the shots `first_shot` to `last_shot`, both included."""

    id: str
    prompt: str
    file: Asset | None
    first_shot: str
    last_shot: str
    gain_db: float
    duck_db: float
    fade_in_frames: int
    fade_out_frames: int


@dataclass(frozen=True, slots=True)
class FilmDeliverable:
    """One finished film to hand over; `shots` in film order."""

    name: str
    size: tuple[int, int]
    fit: Literal["crop", "pad"]
    langs: tuple[str, ...]
    captions: tuple[Literal["none", "srt", "vtt", "soft", "burned"], ...]
    shots: tuple[str, ...]
    loudness: Loudness
    stems: bool


@dataclass(frozen=True, slots=True)
class Film:
    """One film: a storyboard with its variables filled in (one row of the variants table)."""

    path: Path
    folder: Path
    variant: str
    """Name of the row, or empty."""
    code: str
    title: str
    fps: Fraction
    size: tuple[int, int]
    seed: int
    lang: str
    budget: Budget
    cast: Mapping[str, Character]
    locations: Mapping[str, Location]
    looks: Mapping[str, Look]
    music: tuple[MusicCue, ...]
    scenes: tuple[Scene, ...]
    finish: Finish
    deliverables: tuple[FilmDeliverable, ...]
    exports: tuple[str, ...]
    approve: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """Shots in order with their first frames in the film: the skeleton that sound hangs on."""

    shots: tuple[Shot, ...]
    start_frames: tuple[int, ...]
    num_frames: int

    def start_of(self, shot_id: str) -> int:
        """First film frame of a shot (where its sound starts, also in a J cut)."""
        for shot, start in zip(self.shots, self.start_frames, strict=True):
            if shot.id == shot_id:
                return start
        raise KeyError(shot_id)


def film_shots(film: Film) -> tuple[Shot, ...]:
    """Every shot of the film, in order."""
    return tuple(shot for scene in film.scenes for shot in scene.shots)


def cut_of(film: Film, shot_ids: tuple[str, ...] | None = None) -> Cut:
    """The cut of the whole film, or of the shots named, in film order.

    Between two shots that do not follow each other in the whole film, the transition written
    after the first is kept: it is how the person who wrote it wanted to leave that shot.
    """
    wanted = None if shot_ids is None else set(shot_ids)
    shots = tuple(shot for shot in film_shots(film) if wanted is None or shot.id in wanted)
    starts: list[int] = []
    end = 0
    for index, shot in enumerate(shots):
        overlap = overlap_frames(shots[index - 1], shot) if index else 0
        starts.append(end - overlap)
        end = starts[-1] + shot.num_frames
    return Cut(shots, tuple(starts), end)


def overlap_frames(before: Shot, after: Shot) -> int:
    """Frames that two neighbours share, never more than either has left to give.

    The checks refuse a transition longer than its shots; in a deliverable of some of the shots
    other neighbours meet, so the overlap is held to half of the shorter one.
    """
    longest = min(before.num_frames, after.num_frames) // 2
    return min(before.transition_out.overlap_frames, longest)
