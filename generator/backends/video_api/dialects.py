"""A request as each engine wants to be asked.

vLLM-Omni reads a form: references as JSON lists of data URLs in fields of text, or as uploaded
files where they are larger than a field of text may be. SGLang reads JSON: one picture as
`reference_url`, and for H3 a `task`, its `conditions` and a `target`. H3 knows the references by
labels that count each kind from 1 (`<Picture 1>`, `<Video 1>`, `<Audio 1>`), in the order given.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from generator.backends.base import RefKind
from generator.backends.video_api.served_models import Dialect, ServedModel, h3_shapes
from generator.backends.video_api.wire import Body, FormField
from media.errors import RefusalError

__all__ = ["OPTIONS", "Asking", "Material", "body_for"]

MOST_FIELD_BYTES = 1_000_000
"""Of a field of text in a form: Starlette, under both engines, refuses more than 1024 KiB."""

_MEDIA: Mapping[RefKind, tuple[str, str]] = {
    "image": ("image/png", "png"),
    "video": ("video/mp4", "mp4"),
    "audio": ("audio/wav", "wav"),
}
_LABELS: Mapping[RefKind, str] = {"image": "Picture", "video": "Video", "audio": "Audio"}

OPTIONS: Mapping[str, str] = {
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "flow_shift": "flow_shift",
}
"""Options of a storyboard, and what both engines call them."""


# The film is encoded once more as a take: what the server sends should not show it. Asked for
# nothing, vLLM-Omni takes x264's own crf 23 and SGLang the quality 50 of 100.
_VLLM_CODEC = {"preset": "veryfast", "crf": "12"}
_SGLANG_QUALITY = "high"


@dataclass(frozen=True, slots=True)
class Material:
    """A file in the form in which servers take it: PNG, JPEG, mp4 or WAV."""

    kind: RefKind
    data: bytes
    role: Literal["keyframe", "reference", "driving"] = "reference"
    last: bool = False
    """Of a key frame: it stands at the end, not at the start."""
    legend: str = ""
    """Of a reference: what it shows, in the prompt's words."""

    @property
    def media(self) -> tuple[str, str]:
        """Media type and suffix."""
        jpeg = self.kind == "image" and self.data.startswith(b"\xff\xd8")
        return ("image/jpeg", "jpg") if jpeg else _MEDIA[self.kind]

    @property
    def uri(self) -> str:
        """The file as a data URL."""
        return f"data:{self.media[0]};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True, slots=True)
class Asking:
    """What a job is to be asked for with, whatever the dialect."""

    prompt: str
    negative: str
    seed: int
    size: tuple[int, int]
    fps: Fraction
    num_frames: int
    """As the server is to make them."""
    sound: bool
    materials: tuple[Material, ...] = ()
    options: tuple[tuple[str, bool | int | float | str], ...] = ()

    def of(self, kind: RefKind) -> list[Material]:
        """The materials of one kind, in order."""
        return [one for one in self.materials if one.kind == kind]

    @property
    def labelled_prompt(self) -> str:
        """The prompt, after what each labelled reference shows."""
        said = []
        for kind, label in _LABELS.items():
            references = [one for one in self.of(kind) if one.role == "reference"]
            said += [
                f"<{label} {number}> {one.legend}."
                for number, one in enumerate(references, start=1)
                if one.legend
            ]
        return " ".join([*said, self.prompt])


def body_for(asking: Asking, dialect: Dialect, model: ServedModel, served_as: str) -> Body:
    """The job in the words of `dialect`; `served_as` is what the server calls the model."""
    if dialect == "vllm_omni":
        return Body(form=_form(asking, model, served_as))
    fields = _h3_json(asking) if model.is_h3 else _json(asking)
    fields["output_quality"] = _SGLANG_QUALITY
    if served_as:
        fields["model"] = served_as
    return Body(json=fields)


def h3_task(materials: Sequence[Material]) -> str:
    """H3's name for what is conditioned: text, first and last frames, or references."""
    roles = {one.role for one in materials}
    return "ref2va" if "reference" in roles else "fl2va" if "keyframe" in roles else "t2va"


def _form(asking: Asking, model: ServedModel, served_as: str) -> tuple[FormField, ...]:
    width, height = asking.size
    fields: dict[str, object] = {
        "prompt": asking.labelled_prompt if model.is_h3 else asking.prompt,
        "model": served_as,
        "width": width,
        "height": height,
        "num_frames": asking.num_frames,
        "fps": _number(asking.fps),
        "seed": asking.seed,
        "negative_prompt": asking.negative,
        "generate_sound": "true" if asking.sound else "",
        **{OPTIONS[name]: value for name, value in asking.options},
    }
    extra: dict[str, object] = {"video_codec_options": _VLLM_CODEC}
    if model.is_h3:
        fields["aspect_ratio"] = _aspect(asking.size)
        extra.update(_h3_extra(asking))
    fields["extra_params"] = json.dumps(extra)
    texts = [(name, _text(value)) for name, value in fields.items() if value != ""]
    return (*texts, *_form_materials(asking, model))


def _h3_extra(asking: Asking) -> dict[str, object]:
    extra: dict[str, object] = {"task": h3_task(asking.materials)}
    if extra["task"] == "fl2va":
        keyframes = [one for one in asking.materials if one.role == "keyframe"]
        extra["frame_indices"] = [-1 if one.last else 0 for one in keyframes]
    if any(one.role == "driving" for one in asking.materials):
        extra["audio_mode"] = "lock_source"
    return extra


def _form_materials(asking: Asking, model: ServedModel) -> list[FormField]:
    """The references as lists in fields of text, or as files when that is too much text."""
    lists = {
        f"{kind}_reference": json.dumps([{f"{kind}_url": one.uri} for one in asking.of(kind)])
        for kind in _MEDIA
        if asking.of(kind)
    }
    if all(len(text) <= MOST_FIELD_BYTES for text in lists.values()):
        return [(name, _text(text)) for name, text in lists.items()]
    if not model.is_h3 and len(asking.materials) > 1:
        raise RefusalError(
            "the references are larger than the server's form takes",
            todo="give fewer or smaller reference pictures",
        )
    name = "input_references" if model.is_h3 else "input_reference"
    files: list[FormField] = []
    for kind in _MEDIA:
        for number, one in enumerate(asking.of(kind), start=1):
            media_type, suffix = one.media
            files.append((name, (f"{kind}{number}.{suffix}", one.data, media_type)))
    return files


def _json(asking: Asking) -> dict[str, Any]:
    width, height = asking.size
    fields: dict[str, Any] = {
        "prompt": asking.prompt,
        "size": f"{width}x{height}",
        "num_frames": asking.num_frames,
        # SGLang declares a whole number; every rate that a row of ours has is one.
        "fps": round(asking.fps),
        "seed": asking.seed,
    }
    if asking.negative:
        fields["negative_prompt"] = asking.negative
    fields.update((OPTIONS[name], value) for name, value in asking.options)
    for one in asking.materials:
        fields["reference_url"] = one.uri
    return fields


def _h3_json(asking: Asking) -> dict[str, Any]:
    """H3 takes no frame count or rate: 24 fps, and a duration that it rounds to whole frames."""
    return {
        "prompt": asking.labelled_prompt,
        "seed": asking.seed,
        "task": h3_task(asking.materials),
        "conditions": [_condition(one) for one in asking.materials],
        "target": {
            "short_edge": 768,
            "aspect_ratio": _aspect(asking.size),
            "duration_seconds": float(asking.num_frames / asking.fps),
        },
        **{OPTIONS[name]: value for name, value in asking.options},
    }


def _condition(material: Material) -> dict[str, Any]:
    condition: dict[str, Any] = {
        "type": material.kind,
        "uri": material.uri,
        "role": material.role,
    }
    if material.role == "keyframe":
        condition["frame_index"] = -1 if material.last else 0
    return condition


def _aspect(size: tuple[int, int]) -> str:
    return next(aspect for aspect, shape in h3_shapes().items() if shape == size)


def _text(value: object) -> tuple[str | None, bytes, str | None]:
    text = "true" if value is True else "false" if value is False else str(value)
    return (None, text.encode(), None)


def _number(fps: Fraction) -> str:
    return str(fps.numerator) if fps.denominator == 1 else str(float(fps))
