"""The contract between Takeboard and whatever makes pictures: one file per backend fills it.

Planner → `capabilities` (data) → `snap` (what it would really make, what it would drop)
→ `quote` → `render` (a stream of frames and sound). `snap` and `quote` load nothing, spend
nothing and are pure: the same request gives the same answer. Arrays:

- pictures: `(frames, height, width, 3) uint8 RGB`, at most 16 frames a chunk
- sound: `(channels, samples) float32 in [-1, 1]` at `SAMPLE_RATE`

A take may come in another size, at another rate and with more frames than the film needs: snap
says so in the request, and `generator/finish.py` conforms what was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from storyboards.fields import Angle, ShotSize
from storyboards.shot_schema import Camera

__all__ = [
    "Backend",
    "Capabilities",
    "Frames",
    "Quote",
    "RenderRequest",
    "RenderTools",
    "Rendered",
    "Snapped",
]

Frames = np.ndarray
"""`(frames, height, width, 3) uint8 RGB`."""

RefKind = Literal["image", "video", "audio"]
RefRole = Literal["character", "style", "voice", "motion", "sheet", "plate", "layer"]
AudioMode = Literal["native", "driven", "none"]
Task = Literal[
    "text", "first_frame", "last_frame", "keyframes", "references", "extend", "edit", "motion_from"
]


@dataclass(frozen=True, slots=True)
class Reference:
    """A file that the backend is given, by hash; order is meaning."""

    kind: RefKind
    role: RefRole
    sha256: str
    subject: str = ""
    """The character or location that it shows."""
    strength: float = 1.0
    depth_m: float | None = None
    """Of a plate's layer."""


@dataclass(frozen=True, slots=True)
class KeyPicture:
    """A picture that must stand at `frame`."""

    frame: int
    sha256: str
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one of the cast stands in the frame and what they do."""

    subject: str
    description: str
    sha256: str
    """Picture to use; empty: the backend draws a stand-in."""
    position: Literal["far_left", "left", "centre", "right", "far_right"]
    facing: Literal["camera", "left", "right", "away"]
    depth: Literal["near", "mid", "far"]
    height_m: float
    enters: Literal["left", "right"] | None = None
    exits: Literal["left", "right"] | None = None
    action: str = ""
    speaking: tuple[tuple[int, int], ...] = ()
    """First frame and frame after the last of each of their lines."""


@dataclass(frozen=True, slots=True)
class Description:
    """The shot in film words, for backends that read more than a prompt. No ids, no titles."""

    slugline: str
    action: str
    size: ShotSize
    angle: Angle
    camera: Camera
    setting_seed: int
    """The same for every shot of one scene in one place: what is invented stays where it was."""
    placements: tuple[Placement, ...] = ()
    dialogue: tuple[tuple[str, str, str], ...] = ()
    """Speaker, line, delivery."""
    focus: tuple[float, float] | None = None
    """Point of the plate, 0 to 1 from its top left, that the frame centres on."""


@dataclass(frozen=True, slots=True)
class ContinueFrom:
    """The take that this one goes on from: filled in by the key of the picked take."""

    take_key: str
    mode: Literal["shared_keyframe", "extend"]
    tail_frames: int
    """Frames of the earlier take, from its end, that the model is given. They are not made again:
    the take's first frame is the one after them (for `shared_keyframe` it is the last of them)."""


@dataclass(frozen=True, slots=True)
class EditOf:
    """A take to change, and how."""

    take_key: str
    operation: Literal["insert", "remove", "restyle", "relight"]
    instruction: str
    mask_sha256: str = ""


@dataclass(frozen=True, slots=True)
class MotionArea:
    """A part of the first frame and its way through the picture (0 to 1)."""

    box: tuple[float, float, float, float] | None
    mask_sha256: str
    trajectory: tuple[tuple[float, float], ...]
    """Empty: stays still."""


@dataclass(frozen=True, slots=True)
class LoraWeight:
    """Adapter weights by hash."""

    sha256: str
    weight: float
    subject: str = ""


@dataclass(frozen=True, slots=True)
class ListedShot:
    """One of several shots in a single generation, cut hard from one to the next."""

    prompt: str
    start_s: Fraction
    """From the first frame of the generation."""
    length_s: Fraction


@dataclass(frozen=True, slots=True)
class CutFrom:
    """The generation that a take is cut from (`generator/shot_groups.py`)."""

    request: RenderRequest
    """Of the whole generation, as the backend makes it."""
    index: int
    """Which of its shots the take is."""
    needed: tuple[int, ...]
    """Frames that the takes of all its shots have, in order."""


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """All that changes a take's pixels or sound, and nothing else. Its hash is the take's key."""

    prompt: str
    negative: str
    seed: int
    size: tuple[int, int]
    fps: Fraction
    num_frames: int
    profile: Literal["draft", "standard", "fine"]
    description: Description
    references: tuple[Reference, ...] = ()
    key_pictures: tuple[KeyPicture, ...] = ()
    motion: tuple[MotionArea, ...] = ()
    continue_from: ContinueFrom | None = None
    edit: EditOf | None = None
    audio: AudioMode = "none"
    audio_sha256: str = ""
    """The sound that drives the picture, when `audio` is driven."""
    loras: tuple[LoraWeight, ...] = ()
    options: tuple[tuple[str, bool | int | float | str], ...] = ()
    shots: tuple[ListedShot, ...] = ()
    """Several shots to be made in one go, which `prompt` lists too; empty: one."""
    cut_from: CutFrom | None = None
    """Set when the take is cut from such a generation; no backend sees this."""


@dataclass(frozen=True, slots=True)
class FrameRule:
    """Frame counts a model can make: `step * k + offset`, from `minimum` to `maximum`."""

    step: int = 1
    offset: int = 0
    minimum: int = 1
    maximum: int = 24 * 3600

    def snap(self, num_frames: int) -> int:
        """The smallest allowed count that is not less (the rest is trimmed), or the maximum."""
        wanted = max(num_frames, self.minimum)
        up = -(-(wanted - self.offset) // self.step) * self.step + self.offset
        highest = (self.maximum - self.offset) // self.step * self.step + self.offset
        return min(up, highest)


@dataclass(frozen=True, slots=True)
class Licence:
    """What the weights or the service may be used for."""

    id: str
    revenue_cap_usd: int | None = None
    excluded_territories: tuple[str, ...] = ()
    needs_acknowledgement: bool = False
    """True: `snap` refuses until the machine's models file acknowledges it by id."""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend honours, as data: the planner snaps, routes or refuses from it."""

    tasks: frozenset[Task]
    max_references: Mapping[RefKind, int]
    max_key_pictures: int
    keyframe_positions: Literal["none", "first", "first_last", "any"]
    camera: Literal["none", "prompt", "exact"]
    motion_areas: int
    extension: Literal["none", "last_frame", "tail"]
    native_audio: bool
    audio_rate: int
    frame_rule: FrameRule
    """Of one call of the model. With an `extension`, longer takes are made in segments."""
    size_multiple: int
    max_size: tuple[int, int]
    fps: tuple[Fraction, ...]
    """Rates it can make; empty: any."""
    seeded: bool
    shots_per_generation: int
    loras: bool
    edit: frozenset[str]
    licence: Licence
    usd_per_second: float
    gpu_seconds_per_second: float
    """Rough cost of one second of film at 720p, for the quote; 0 on a CPU backend."""
    retired_on: str = ""
    """ISO date after which the model is gone."""
    stand_in: bool = False
    """It stands in for the real thing: `auto` takes it only where nothing else will do."""
    max_take_s: int = 0
    """Longest take in seconds, segments joined; 0: what the frame rule says."""
    remote: bool = False
    """Another machine does the work: this one only asks, waits and fetches."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Something the storyboard asks for that this backend will not do."""

    field: str
    """In the storyboard's words, e.g. `camera`, `cast.mara.refs`."""
    reason: str


@dataclass(frozen=True, slots=True)
class Snapped:
    """The request as the backend will make it, what was changed to fit, and what is lost."""

    request: RenderRequest
    adjustments: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class Quote:
    """What a take will cost, before it is made."""

    usd: float = 0.0
    gpu_seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TakeMedia:
    """An earlier take that a request continues or edits."""

    picture: Path
    sound: Path | None
    num_frames: int
    tail: Frames | None = None
    """Its last frames as they were made, while they are still at hand; else read the picture."""
    tail_sound: np.ndarray | None = None
    """The sound under them, `(channels, samples) float32` at SAMPLE_RATE."""


@dataclass(frozen=True, slots=True)
class RenderTools:
    """What a backend is handed besides the request."""

    assets: Mapping[str, Path]
    """Files by SHA-256, all verified."""
    takes: Mapping[str, TakeMedia] = field(default_factory=dict)
    """Takes by key: what `continue_from` and `edit` name."""
    should_stop: Callable[[], bool] = lambda: False
    """Asked at every step; true: raise CancelledError."""
    on_step: Callable[[int, int], None] = lambda done, total: None
    cache: Path | None = None
    """Root of the store: what is worth keeping between phases goes there. None: keep nothing."""


@dataclass(slots=True)
class Rendered:
    """What came back. `frames` is consumed once, as it is made; the rest is final after that.

    A backend that needs a device alone (denoising) is done with that when `render` returns; what
    is left to `frames` (decoding) may run beside the next shot's `render`.
    """

    frames: Iterator[Frames]
    num_frames: int
    fps: Fraction
    size: tuple[int, int]
    seed: int
    revision: str
    """Of the model or drawing code."""
    audio: Callable[[], np.ndarray | None] = lambda: None
    """Asked after `frames` is exhausted: `(channels, samples) float32`, or None."""
    versions: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    cost_usd: float = 0.0
    warnings: list[str] = field(default_factory=list)
    peak_memory_mb: Callable[[], float] = lambda: 0.0
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds by phase, such as `denoise_s`."""


@runtime_checkable
class Backend(Protocol):
    """A model, a provider, or the animatic."""

    @property
    def id(self) -> str:
        """The name that storyboards use."""

    @property
    def revision(self) -> str:
        """Changes whenever the same request would give other pixels; part of every key."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def unready(self) -> str:
        """Why it cannot render on this machine as it is set up, and what to do; empty: it can.

        `auto` passes over a backend that is not ready; `snap` refuses with these words.
        """

    def snap(self, request: RenderRequest) -> Snapped:
        """The nearest request it can make. Raises RefusalError when there is none."""

    def quote(self, request: RenderRequest) -> Quote:
        """The cost of a snapped request."""

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        """Do at once what many takes share, such as encoding all prompts; called before `render`.

        Only an economy: `render` does whatever was not prepared.
        """

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        """Start making the take. Raises RenderError, RefusalError or CancelledError."""
