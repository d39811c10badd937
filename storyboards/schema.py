"""The storyboard as a person writes it: the root of the language. Intent only.

No generated path, cost or pick stands inside a storyboard. `load_storyboard` reads a file into
these models; `resolve_film` turns them into the exact frames that everything else works on.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from storyboards.fields import (
    Aspect,
    Code,
    Fps,
    FrameSize,
    Identifier,
    Lang,
    Length,
    RefPath,
    ShortText,
    ShotRef,
    Text,
)
from storyboards.shot_schema import (
    CastInShot,
    GainDb,
    Inherited,
    OneOrMany,
    Shorthand,
    ShotText,
    Strength,
    Words,
)

__all__ = ["SCHEMA_VERSION", "StoryboardText"]

SCHEMA_VERSION = 1

Usd = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Identifiers = Annotated[tuple[Identifier, ...], OneOrMany(), Field(strict=False, max_length=32)]


class Project(Words):
    """What the film is and the raster it is made on."""

    code: Code
    title: ShortText
    fps: Fps = Field(default=24, validate_default=True)
    size: FrameSize = Field(default="1280x720", validate_default=True)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    lang: Lang = "en"
    logline: Text | None = None
    director: ShortText | None = None


class Budget(Words):
    """Caps that stop the film before it spends."""

    usd: Usd | None = None
    gpu_minutes: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None
    on_exceed: Literal["hold", "stop"] = Field(
        "hold", description="hold: render what fits the cap; stop: render nothing"
    )


class Lora(Words):
    """Adapter weights that carry a character or a look, bound to the model they were made on."""

    path: RefPath
    weight: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] = 1.0
    base: Identifier | None = Field(None, description="the backend the weights belong to")


class Voice(Words):
    """How a character sounds."""

    ref: RefPath | None = Field(None, description="a recording of the voice")
    lang: Lang | None = None
    name: ShortText | None = Field(None, description="a provider's or engine's own voice name")
    pitch: Annotated[float, Field(ge=0.5, le=2, description="1 = as cast")] | None = None
    rate: Annotated[float, Field(ge=0.5, le=2, description="1 = as cast")] | None = None


class Character(Words):
    """Somebody (or something) that must look the same in every shot."""

    description: Text
    name: ShortText | None = None
    refs: dict[Identifier, RefPath] = Field(default_factory=dict, max_length=16)
    voice: Annotated[Voice, Shorthand("ref")] | None = None
    lora: Annotated[
        tuple[Annotated[Lora, Shorthand("path")], ...],
        OneOrMany(),
        Field(strict=False, max_length=8),
    ] = ()
    height_m: Annotated[float, Field(gt=0.05, le=50, description="standing height")] = 1.7


class PlateLayer(Words):
    """One layer of a place, for parallax: the nearer, the faster it moves."""

    path: RefPath
    depth_m: Annotated[float, Field(ge=0.3, le=10_000)]


class Location(Words):
    """A place: plates of it, and optionally the same view in depth layers."""

    description: Text | None = None
    refs: Annotated[tuple[RefPath, ...], OneOrMany(), Field(strict=False, max_length=16)] = ()
    layers: Annotated[tuple[PlateLayer, ...], Field(strict=False, max_length=12)] = ()


class Look(Words):
    """How the picture feels: words for the models, a LUT for the finish."""

    prompt: Text | None = None
    negative: Text | None = None
    lut: RefPath | None = None
    lut_strength: Strength = 1.0
    refs: Annotated[tuple[RefPath, ...], OneOrMany(), Field(strict=False, max_length=9)] = ()


class Music(Words):
    """A bed under a stretch of shots: composed from words, or a file."""

    prompt: Text | None = None
    file: RefPath | None = None
    from_: ShotRef | None = Field(None, alias="from", description="default: the first shot")
    to: ShotRef | None = Field(None, description="the last shot it plays under")
    gain_db: GainDb = 0.0
    duck_db: Annotated[float, Field(ge=-40, le=0, allow_inf_nan=False)] = -9.0
    fade_in: Length | None = None
    fade_out: Length | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Music:
        if (self.prompt is None) == (self.file is None):
            raise ValueError("expected either prompt or file")
        return self


class SceneText(Inherited):
    """Shots in one place and time."""

    id: Identifier
    slugline: ShortText
    location: Identifier | None = None
    staging: Annotated[
        tuple[Annotated[CastInShot, Shorthand("who")], ...], Field(strict=False, max_length=12)
    ] = ()
    note: Text | None = None
    shots: Annotated[tuple[ShotText, ...], Field(strict=False, min_length=1, max_length=2000)]


class Loudness(Words):
    """EBU R128 target."""

    lufs: Annotated[float, Field(ge=-36, le=-5)] = -14.0
    true_peak_db: Annotated[float, Field(ge=-12, le=0)] = -1.0


class Finish(Words):
    """What happens to the picture and the sound after the takes."""

    upscale: Literal["1x", "2x", "4x"] = "1x"
    interpolate_fps: Fps | None = None
    loudness: Loudness = Loudness()
    grain: Strength = 0.0


Captions = Literal["none", "srt", "vtt", "soft", "burned"]


class Deliverable(Words):
    """One finished film: its shape, languages, captions and shots."""

    name: Identifier
    aspect: Aspect | None = None
    size: FrameSize | None = None
    fit: Literal["crop", "pad"] = Field("crop", description="how another aspect is filled")
    langs: Annotated[tuple[Lang, ...], OneOrMany(), Field(strict=False, max_length=32)] = ()
    captions: Annotated[tuple[Captions, ...], OneOrMany(), Field(strict=False, max_length=4)] = (
        "srt",
    )
    shots: (
        Annotated[tuple[ShotRef, ...], OneOrMany(), Field(strict=False, max_length=2000)] | None
    ) = None
    loudness: Loudness | None = None
    stems: bool = False


Export = Literal["otio", "edl", "fcp7xml", "contact_sheet", "c2pa"]
Approval = Literal["picks", "budget"]
VariableValue = str | int | float | bool


class StoryboardText(Words):
    """A whole storyboard file."""

    version: Literal[1]
    variables: dict[Identifier, VariableValue] = Field(default_factory=dict)
    variants: RefPath | None = Field(None, description="a table, YAML or CSV: one film a row")
    project: Project
    budget: Budget = Budget()
    defaults: Inherited = Inherited()
    cast: dict[Identifier, Character] = Field(default_factory=dict)
    locations: dict[Identifier, Location] = Field(default_factory=dict)
    looks: dict[Identifier, Look] = Field(default_factory=dict)
    music: dict[Identifier, Music] = Field(default_factory=dict)
    scenes: Annotated[tuple[SceneText, ...], Field(strict=False, min_length=1, max_length=1000)]
    finish: Finish = Finish()
    deliverables: Annotated[tuple[Deliverable, ...], Field(strict=False, max_length=64)] = ()
    exports: Annotated[tuple[Export, ...], OneOrMany(), Field(strict=False)] = ()
    approve: Annotated[tuple[Approval, ...], OneOrMany(), Field(strict=False)] = ()
