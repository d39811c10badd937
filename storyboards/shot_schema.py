"""A shot as a person writes it: every field of the language that stands inside a scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import core_schema

from storyboards.fields import (
    AngleWord,
    BackendName,
    CameraMoveWord,
    Identifier,
    Lang,
    Length,
    Offset,
    RefPath,
    ShortText,
    ShotRef,
    ShotSizeWord,
    Text,
    TransitionWord,
)

__all__ = ["Words"]


class Words(BaseModel):
    """Base of everything in the language: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class OneOrMany:
    """Reads a single value as a list of one, so that people may leave the brackets out."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: value if isinstance(value, (list, tuple)) else [value], handler(source)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        many = handler(schema)
        if "maxLength" in many:
            # pydantic takes the limit of a validated tuple for a text's.
            many["maxItems"] = many.pop("maxLength")
        return {"anyOf": [many["items"], many]}


@dataclass(frozen=True, slots=True)
class Shorthand:
    """Reads a bare value as a mapping with only `field` in it."""

    field: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: value if isinstance(value, (dict, Words)) else {self.field: value},
            handler(source),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        whole = handler(schema)
        bare = handler.resolve_ref_schema(whole)["properties"][self.field]
        # The title belongs to the field of the mapping, not to the bare value.
        short = {key: value for key, value in bare.items() if key not in ("title", "default")}
        return {"anyOf": [short, whole]}


Point = Annotated[
    tuple[
        Annotated[float, Field(ge=0, le=1)],
        Annotated[float, Field(ge=0, le=1)],
    ],
    Field(strict=False),
]
"""A place in the frame: x, y from 0, 0 (top left) to 1, 1."""
Box = Annotated[
    tuple[
        Annotated[float, Field(ge=0, le=1)],
        Annotated[float, Field(ge=0, le=1)],
        Annotated[float, Field(ge=0, le=1)],
        Annotated[float, Field(ge=0, le=1)],
    ],
    Field(strict=False),
]
"""A part of the frame: left, top, right, bottom from 0 to 1."""
GainDb = Annotated[float, Field(ge=-60, le=24, allow_inf_nan=False)]
Strength = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Names = Annotated[tuple[Identifier, ...], OneOrMany(), Field(strict=False)]


class CameraKey(Words):
    """The camera at one moment. Metres and degrees, against where the shot starts."""

    at: Offset
    x_m: Annotated[float, Field(ge=-100, le=100, description="right")] = 0.0
    y_m: Annotated[float, Field(ge=-100, le=100, description="up")] = 0.0
    z_m: Annotated[float, Field(ge=-100, le=100, description="towards the subject")] = 0.0
    pan_deg: Annotated[float, Field(ge=-180, le=180, description="to the right")] = 0.0
    tilt_deg: Annotated[float, Field(ge=-90, le=90, description="upwards")] = 0.0
    roll_deg: Annotated[float, Field(ge=-180, le=180, description="clockwise")] = 0.0
    lens_mm: Annotated[float, Field(ge=8, le=400)] | None = None


class Camera(Words):
    """One move, several at once, or a path of key positions; and the lens."""

    move: Annotated[
        tuple[CameraMoveWord, ...],
        OneOrMany(),
        Field(strict=False, max_length=4),
    ] = ()
    amount: Annotated[float, Field(gt=0, le=4, description="1 = the usual size of the move")] = 1.0
    ease: Literal["linear", "in", "out", "in_out"] = "in_out"
    lens_mm: Annotated[float, Field(ge=8, le=400, description="full-frame focal length")] = 35.0
    path: Annotated[tuple[CameraKey, ...], Field(strict=False, max_length=64)] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Camera:
        if self.move and self.path:
            raise ValueError("expected either move or path, got both")
        if len(self.path) == 1:
            raise ValueError("expected at least two key positions in path, got one")
        return self


class MotionRegion(Words):
    """A part of the first frame and the way it travels."""

    box: Box | None = None
    mask: RefPath | None = None
    trajectory: Annotated[tuple[Point, ...], Field(strict=False, min_length=2, max_length=64)]

    @model_validator(mode="after")
    def _one_area(self) -> MotionRegion:
        if (self.box is None) == (self.mask is None):
            raise ValueError("expected either box or mask")
        return self


class MotionBrush(Words):
    """Up to six parts that move, and parts that must stay still."""

    regions: Annotated[tuple[MotionRegion, ...], Field(strict=False, max_length=6)] = ()
    static: Annotated[tuple[Box, ...], Field(strict=False, max_length=6)] = ()


class MotionReference(Words):
    """Footage whose movement a character or the camera takes over."""

    file: RefPath
    what: Literal["performance", "camera", "both"] = "performance"
    who: Identifier | None = None
    start: Offset | None = None
    strength: Strength = 1.0


class MidFrame(Words):
    """A picture that the shot passes through."""

    at: Offset
    image: RefPath
    strength: Strength = 1.0


class Frames(Words):
    """Pictures that the shot starts on, passes through and ends on."""

    first: RefPath | None = None
    mid: Annotated[tuple[MidFrame, ...], Field(strict=False, max_length=16)] = ()
    last: RefPath | None = None


class CastInShot(Words):
    """Who is in the shot, and where they stand."""

    who: Identifier
    position: Literal["far_left", "left", "centre", "right", "far_right"] | None = None
    facing: Literal["camera", "left", "right", "away"] | None = None
    depth: Literal["near", "mid", "far"] | None = None
    ref: Identifier | None = Field(None, description="which of the character's references")
    enters: Literal["left", "right"] | None = None
    exits: Literal["left", "right"] | None = None
    action: ShortText | None = None


class LineVariant(Words):
    """The line in another language, as text or as the user's own recording."""

    line: Text | None = None
    audio: RefPath | None = None

    @model_validator(mode="after")
    def _something(self) -> LineVariant:
        if self.line is None and self.audio is None:
            raise ValueError("expected line or audio, got neither")
        return self


class Line(Words):
    """Something a character says."""

    who: Identifier
    line: Text
    delivery: ShortText | None = None
    at: Offset | None = Field(None, description="after the shot's start; default: after the last")
    audio: RefPath | None = Field(None, description="a recording instead of a synthetic voice")
    gain_db: GainDb = 0.0
    langs: dict[Lang, Annotated[LineVariant, Shorthand("line")]] = Field(default_factory=dict)


class Ambience(Words):
    """A continuous sound of the place: words for the synthesiser, or a file."""

    cue: ShortText | None = None
    file: RefPath | None = None
    gain_db: GainDb = 0.0

    @model_validator(mode="after")
    def _one_source(self) -> Ambience:
        if (self.cue is None) == (self.file is None):
            raise ValueError("expected either cue or file")
        return self


class Sfx(Ambience):
    """A sound at a moment."""

    at: Offset | None = None
    duration: Length | None = None


class Transition(Words):
    """How the shot begins or ends. The duration is the overlap (a fade overlaps nothing)."""

    type: TransitionWord
    duration: Length | None = None
    direction: Literal["left", "right", "up", "down"] = "left"
    colour: Literal["black", "white"] = "black"


class Join(Words):
    """How the shot goes on from an earlier one."""

    from_: ShotRef = Field(alias="from")
    mode: Literal["cut", "shared_keyframe", "extend"] = "extend"
    overlap: Length | None = None


class Takes(Words):
    """How many attempts, and with which seeds."""

    count: Annotated[int, Field(ge=1, le=64)] = 1
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(strict=False, max_length=64)
    ] = ()

    @model_validator(mode="after")
    def _enough(self) -> Takes:
        if self.seeds and len(self.seeds) < self.count and "count" in self.model_fields_set:
            raise ValueError(f"expected {self.count} seeds, got {len(self.seeds)}")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("expected different seeds, got one twice")
        return self


class Checks(Words):
    """What a take must pass; a take that fails is made again up to `retakes` times."""

    cuts: Annotated[int, Field(ge=0, le=100)] | None = None
    identity: Strength | None = None
    flicker: Strength | None = None
    frozen: Strength | None = None
    speech: Strength | None = Field(None, description="words heard against words written")
    retakes: Annotated[int, Field(ge=0, le=10)] = 0


class Source(Words):
    """The user's own footage instead of a generated shot."""

    file: RefPath
    start: Offset | None = None
    audio: bool = True


class Edit(Words):
    """An earlier take, changed by instruction."""

    from_: ShotRef = Field(alias="from")
    take: Annotated[int, Field(ge=1, le=64)] | None = None
    operation: Literal["insert", "remove", "restyle", "relight"]
    instruction: Text
    mask: RefPath | None = None
    refs: Annotated[tuple[RefPath, ...], Field(strict=False, max_length=9)] = ()


class Title(Words):
    """Words over the picture."""

    text: Text
    subtitle: ShortText | None = None
    style: Literal["title", "card", "lower_third", "credit"] = "title"
    at: Offset | None = None
    duration: Length | None = None
    langs: dict[Lang, Text] = Field(default_factory=dict)


class Inherited(Words):
    """What a shot takes from its scene, and a scene from `defaults`, unless it says otherwise."""

    backend: Annotated[tuple[BackendName, ...], OneOrMany(), Field(strict=False)] | None = None
    takes: Annotated[Takes, Shorthand("count")] | None = None
    look: Identifier | None = None
    audio: Literal["native", "voice", "none"] | None = None
    negative: Text | None = None
    profile: Literal["draft", "standard", "fine"] | None = None
    checks: Checks | None = None
    tags: Annotated[tuple[Identifier, ...], OneOrMany(), Field(strict=False)] | None = None
    camera: Annotated[Camera, Shorthand("move")] | None = None
    ambience: (
        Annotated[
            tuple[Annotated[Ambience, Shorthand("cue")], ...],
            OneOrMany(),
            Field(strict=False, max_length=8),
        ]
        | None
    ) = None
    options: dict[Identifier, bool | int | float | str] | None = Field(
        None, description="passed to the backend as they are"
    )


class ShotText(Inherited):
    """One shot of a scene."""

    id: Identifier
    size: ShotSizeWord = Field(default="MS", validate_default=True)
    angle: AngleWord = Field(default="eye", validate_default=True)
    duration: Length | Literal["auto"] = "auto"
    action: Text | None = None
    prompt: Text | None = Field(None, description="added to the prompt word for word")
    location: Identifier | None = None
    cast: Annotated[
        tuple[Annotated[CastInShot, Shorthand("who")], ...], Field(strict=False, max_length=12)
    ] = ()
    frames: Annotated[Frames, Shorthand("first")] | None = None
    motion: MotionBrush | None = None
    motion_from: Annotated[MotionReference, Shorthand("file")] | None = None
    dialogue: Annotated[tuple[Line, ...], Field(strict=False, max_length=64)] = ()
    sfx: Annotated[
        tuple[Annotated[Sfx, Shorthand("cue")], ...],
        OneOrMany(),
        Field(strict=False, max_length=64),
    ] = ()
    titles: Annotated[
        tuple[Annotated[Title, Shorthand("text")], ...],
        OneOrMany(),
        Field(strict=False, max_length=16),
    ] = ()
    transition_in: Annotated[Transition, Shorthand("type")] | None = None
    transition_out: Annotated[Transition, Shorthand("type")] | None = None
    join: Annotated[Join, Shorthand("from")] | None = None
    group: Identifier | None = Field(None, description="shots of one group: one generation")
    source: Annotated[Source, Shorthand("file")] | None = None
    edit: Edit | None = None
    focus: Point | None = Field(
        None, description="the point of the location's plate that the frame centres on"
    )
    note: Text | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> ShotText:
        origins = [name for name in ("source", "edit") if getattr(self, name) is not None]
        if self.join is not None and self.join.mode == "extend":
            origins.append("join")
        if len(origins) > 1:
            raise ValueError(f"expected one origin of the picture, got {' and '.join(origins)}")
        return self
