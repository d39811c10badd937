"""What the models behind a `/v1/videos` server take and make, as data.

A server tells nothing of this: it is read from the engines' own request code (vLLM-Omni 0.30.0
`entrypoints/openai/video`, SGLang 0.5.23 `multimodal_gen`, both November 2026). `variant` in
`models.toml` names a row here; else the row is told from the name of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from generator.backends.base import Capabilities, FrameRule, Licence, RefKind, Task

__all__ = [
    "H3_MOST_REFERENCES",
    "SERVED_MODELS",
    "UNKNOWN_MODEL",
    "Dialect",
    "ServedModel",
    "capabilities_of",
    "h3_shapes",
    "model_named",
    "most_pixels",
]

Dialect = Literal["vllm_omni", "sglang"]

_RATE = Fraction(24)
_720P = 1280 * 720
_480P = 832 * 480
_LONGEST_TAKE_S = 180
"""Longest take that is joined from calls that each go on from the last frame of the one before."""

H3_MOST_REFERENCES = 12
H3_ASPECTS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
_H3_SHORT_EDGE = 768
_H3_MOST_PIXELS = 768 * 1344


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One kind of model, as both engines serve it."""

    id: str
    marks: tuple[str, ...]
    """A model whose name holds all of these is of this kind."""
    frame_rule: FrameRule
    fps: Fraction
    size_multiple: int
    max_pixels: int
    licence: Licence
    text: bool = True
    """False: it makes nothing from words alone."""
    positions: Literal["none", "first", "first_last"] = "none"
    """Where a picture can stand. `first` is what goes on from a last frame, too."""
    references: Mapping[RefKind, int] = field(default_factory=dict)
    dialects: tuple[Dialect, ...] = ("vllm_omni", "sglang")
    """Where references can be given."""
    sound: bool = False
    negative: bool = True
    gpu_seconds_per_second: float = 60.0

    @property
    def called(self) -> str:
        """The model in messages."""
        return self.id if self.marks else "a model whose kind (variant in models.toml) is not told"

    @property
    def is_h3(self) -> bool:
        """Whether it is asked in H3's own form: a task, conditions and a target."""
        return self.id.startswith("minimax_h3")


_H3 = ServedModel(
    id="minimax_h3",
    marks=("minimax", "h3"),
    # 4 to 15 s may be asked for, which 17n+5 frames from 107 to 345 fit into.
    frame_rule=FrameRule(step=17, offset=5, minimum=107, maximum=345),
    fps=_RATE,
    size_multiple=32,
    max_pixels=768 * 1344,
    licence=Licence(
        "minimax-h3",
        revenue_cap_usd=20_000_000,
        excluded_territories=("EU", "United Kingdom", "South Korea", "USA"),
        needs_acknowledgement=True,
        url="https://huggingface.co/MiniMaxAI/MiniMax-H3/blob/main/LICENSE",
    ),
    positions="first_last",
    references={"image": 9, "video": 3, "audio": 3},
    sound=True,
    negative=False,
    gpu_seconds_per_second=54.0,
)
"""54 s of a GPU a second: the 270 s for 5 s of 1280x704 that are quoted for an RTX 5090."""

_WAN = ServedModel(
    id="wan_t2v",
    marks=("wan", "t2v"),
    frame_rule=FrameRule(step=4, offset=1, minimum=5, maximum=81),
    fps=Fraction(16),
    size_multiple=16,
    max_pixels=_720P,
    licence=Licence("Apache-2.0", url="https://github.com/Wan-Video/Wan2.2/blob/main/LICENSE.txt"),
)

_HUNYUAN = ServedModel(
    id="hunyuanvideo",
    marks=("hunyuanvideo",),
    frame_rule=FrameRule(step=4, offset=1, minimum=5, maximum=121),
    fps=_RATE,
    size_multiple=16,
    max_pixels=_720P,
    licence=Licence(
        "tencent-hunyuan-community",
        excluded_territories=("EU", "United Kingdom", "South Korea"),
        needs_acknowledgement=True,
        url="https://huggingface.co/tencent/HunyuanVideo-1.5/blob/main/LICENSE",
    ),
)

SERVED_MODELS: tuple[ServedModel, ...] = (
    # A deployment may hold one of H3's two partitions only (SGLang `--model-variant`).
    replace(_H3, id="minimax_h3_fl2va", marks=("h3", "fl2va"), references={}),
    replace(_H3, id="minimax_h3_ref2va", marks=("h3", "ref2va"), text=False, positions="none"),
    _H3,
    # vLLM-Omni reads a list of pictures for VACE; SGLang's request has room for one file.
    replace(
        _WAN,
        id="wan_vace",
        marks=("wan", "vace"),
        references={"image": 4},
        dialects=("vllm_omni",),
    ),
    # Before `i2v`, which its name holds.
    replace(
        _WAN,
        id="wan_ti2v",
        marks=("wan", "ti2v"),
        frame_rule=FrameRule(step=4, offset=1, minimum=5, maximum=121),
        fps=_RATE,
        size_multiple=32,
        max_pixels=1280 * 704,
        positions="first",
        gpu_seconds_per_second=20.0,
    ),
    replace(_WAN, id="wan_i2v", marks=("wan", "i2v"), text=False, positions="first"),
    _WAN,
    ServedModel(
        id="ltx2",
        marks=("ltx-2",),
        frame_rule=FrameRule(step=8, offset=1, minimum=9, maximum=481),
        fps=_RATE,
        size_multiple=32,
        max_pixels=1920 * 1088,
        licence=Licence(
            "LTX-2-Community",
            revenue_cap_usd=10_000_000,
            url="https://github.com/Lightricks/LTX-2/blob/main/LICENSE",
        ),
        positions="first",
        sound=True,
        # 9.5 s on an H100 for 5 s of 768x512, in proportion to the pixels of 720p.
        gpu_seconds_per_second=4.5,
    ),
    replace(
        _HUNYUAN,
        id="hunyuanvideo_i2v",
        marks=("hunyuanvideo", "i2v"),
        text=False,
        positions="first",
    ),
    _HUNYUAN,
)

UNKNOWN_MODEL = ServedModel(
    id="unknown",
    marks=(),
    frame_rule=FrameRule(minimum=1, maximum=24 * 10),
    fps=_RATE,
    size_multiple=16,
    max_pixels=_720P,
    licence=Licence("as the server's model is licensed"),
)
"""Of a model that has no row nothing is promised but words to frames."""


def model_named(variant: str, model: str) -> ServedModel | None:
    """The row that `variant` names, or else the first that `model`'s name tells.

    None: there is no such variant. An untold name is `UNKNOWN_MODEL`.
    """
    if variant:
        return next((row for row in SERVED_MODELS if row.id == variant), None)
    name = model.lower()
    told = (row for row in SERVED_MODELS if all(mark in name for mark in row.marks))
    return next(told, UNKNOWN_MODEL)


def capabilities_of(model: ServedModel, dialect: Dialect) -> Capabilities:
    """What the planner may ask of `model` behind a server of `dialect`."""
    references = model.references if dialect in model.dialects else {}
    tasks: set[Task] = {"text"} if model.text else set()
    if references:
        tasks.add("references")
    if model.positions != "none":
        tasks |= {"first_frame", "extend"}
    if model.positions == "first_last":
        tasks.add("last_frame")
    longest = max(max(shape) for shape in h3_shapes().values()) if model.is_h3 else 1920
    return Capabilities(
        tasks=frozenset(tasks),
        max_references={kind: references.get(kind, 0) for kind in ("image", "video", "audio")},
        max_key_pictures={"none": 0, "first": 1, "first_last": 2}[model.positions],
        keyframe_positions=model.positions,
        camera="prompt",
        motion_areas=0,
        extension="none" if model.positions == "none" else "last_frame",
        native_audio=model.sound,
        audio_rate=(32_000 if model.is_h3 else 48_000) if model.sound else 0,
        frame_rule=model.frame_rule,
        size_multiple=model.size_multiple,
        max_size=(longest, longest),
        fps=(model.fps,),
        seeded=True,
        shots_per_generation=1,
        loras=False,
        edit=frozenset(),
        licence=model.licence,
        usd_per_second=0.0,
        gpu_seconds_per_second=model.gpu_seconds_per_second,
        max_take_s=0 if model.positions == "none" else _LONGEST_TAKE_S,
        remote=True,
    )


def most_pixels(model: ServedModel, profile: str) -> int:
    """Largest area that is asked for: a draft stays at 480p where the model has sizes at all."""
    return min(model.max_pixels, _480P) if profile == "draft" else model.max_pixels


def h3_shapes() -> Mapping[str, tuple[int, int]]:
    """H3's canvases by aspect, `(width, height)`.

    Both engines compute them alike: a short edge of 768, at most 768x1344 pixels, each side then
    rounded to the nearest multiple of 32 (`resolve_minimax_h3_output_canvas`).
    """
    return {aspect: _h3_shape(*map(int, aspect.split(":"))) for aspect in H3_ASPECTS}


def _h3_shape(wide: int, high: int) -> tuple[int, int]:
    width = _H3_SHORT_EDGE * max(1.0, wide / high)
    height = _H3_SHORT_EDGE * max(1.0, high / wide)
    scale = min(1.0, (_H3_MOST_PIXELS / (width * height)) ** 0.5)
    return round(width * scale / 32) * 32, round(height * scale / 32) * 32
