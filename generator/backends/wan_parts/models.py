"""What is known of Wan's generations as data: weights, rasters, sampling, needs, speed.

Sources: the configurations and the README of github.com/Wan-Video/Wan2.2 at 42bf4cf
(`wan/configs/*.py`, "Computational Efficiency on Different GPUs"), generate.py and the README of
github.com/Wan-Video/Wan2.1 at 9737cba, and github.com/ModelTC/Wan2.2-Lightning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from generator.backends.base import Capabilities, FrameRule, Licence, Task
from generator.local.settings import ModelSettings
from generator.local.sources import Need

__all__ = [
    "ANIMATE_RULE",
    "DEFAULT_NEGATIVE",
    "FEW_STEPS",
    "FEW_STEPS_FOR",
    "LICENCE",
    "MAX_PICTURES",
    "PARTS",
    "PIPELINES",
    "Pipeline",
    "Sampling",
    "Wan",
    "capabilities_of",
    "needs_of",
    "unknown_variant",
    "wan_of",
]

Pipeline = Literal["text", "image", "first_last", "vace", "animate"]
PIPELINES: tuple[Pipeline, ...] = ("text", "image", "first_last", "vace", "animate")

LICENCE = Licence("Apache-2.0", url="https://github.com/Wan-Video/Wan2.2/blob/main/LICENSE.txt")

DEFAULT_NEGATIVE = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，"
    "低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，"
    "毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)
"""`sample_neg_prompt` of the shared configuration: the words that the models were tuned with."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a pipeline is sampled at its best (the profile `fine`)."""

    steps: int
    guidance: float
    """Of the expert for high noise, or of the only one; 1 is no guidance, and half the work."""
    low_noise_guidance: float
    shift: float
    """Of the noise schedule: above 1 more steps go into the coarse of the picture."""
    small_shift: float = 0.0
    """For pictures of 480p and less; 0: the same."""


FEW_STEPS = Sampling(4, 1.0, 1.0, 5.0)
"""Wan2.2-Lightning: four steps without guidance, shift 5, Euler."""

MAX_PICTURES = 4
"""References that VACE is given: each is a latent frame more to be made. A limit of ours: its
makers name none, and show two."""

ANIMATE_RULE = FrameRule(step=4, offset=1, minimum=13, maximum=77)
"""`frame_num` of the configuration; below 13 a call with 5 frames of tail would be two."""

_A14B = FrameRule(step=4, offset=1, minimum=5, maximum=81)
_ANIMATE = Sampling(20, 1.0, 1.0, 5.0)
_VACE = Sampling(50, 5.0, 5.0, 16.0)


@dataclass(frozen=True, slots=True)
class Wan:
    """One generation of the model."""

    variant: str
    fps: Fraction
    frame_rule: FrameRule
    size_multiple: int
    """Pixels of a latent times the transformer's patch: 8 * 2, with the 5B model's VAE 16 * 2."""
    max_size: tuple[int, int]
    sampling: Mapping[Pipeline, Sampling]
    weights: Mapping[Pipeline, str]
    """The part that holds a pipeline's transformers; what is not here cannot be done."""
    reference_gpu_s: float
    """Seconds of one GPU for the call below, at `fine`."""
    reference_pixels: int
    reference_frames: int
    size_gb: float
    hint: str

    def gpu_seconds(self, size: tuple[int, int], num_frames: int, sampling: Sampling) -> float:
        """Of one call, from the makers' table.

        Pixels enter with the power 1.39: that is what lies between its 480p (326.9 s) and 720p
        (1041.5 s), because attention grows with the square. Guidance calls the model twice.
        """
        pixels = size[0] * size[1] * num_frames
        area: float = (pixels / (self.reference_pixels * self.reference_frames)) ** 1.39
        calls = sampling.steps * (2 if sampling.guidance > 1 else 1)
        return self.reference_gpu_s * area * calls / (self.sampling["text"].steps * 2)


_TWO_EXPERTS = Wan(
    variant="2.2",
    fps=Fraction(16),
    frame_rule=_A14B,
    size_multiple=16,
    max_size=(1280, 720),
    sampling={
        "text": Sampling(40, 4.0, 3.0, 12.0),
        "image": Sampling(40, 3.5, 3.5, 5.0),
        "first_last": Sampling(40, 3.5, 3.5, 5.0),
        "vace": _VACE,
        "animate": _ANIMATE,
    },
    weights={
        "text": "main",
        "image": "i2v",
        "first_last": "i2v",
        "vace": "vace",
        "animate": "animate",
    },
    # H100, one GPU, T2V-A14B at 720P.
    reference_gpu_s=1041.5,
    reference_pixels=1280 * 720,
    reference_frames=81,
    size_gb=126.0,
    hint="Wan-AI/Wan2.2-T2V-A14B-Diffusers",
)

_FIVE_B = Wan(
    variant="2.2-5b",
    fps=Fraction(24),
    frame_rule=FrameRule(step=4, offset=1, minimum=5, maximum=121),
    size_multiple=32,
    max_size=(1280, 704),
    sampling={"text": Sampling(50, 5.0, 5.0, 5.0), "image": Sampling(50, 5.0, 5.0, 5.0)},
    weights={"text": "main", "image": "main"},
    # RTX 4090, one GPU, TI2V-5B at 720P: there is no figure for a larger one.
    reference_gpu_s=534.7,
    reference_pixels=1280 * 704,
    reference_frames=121,
    size_gb=34.0,
    hint="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
)

_ONE_EXPERT = replace(
    _TWO_EXPERTS,
    variant="2.1",
    sampling={
        "text": Sampling(50, 5.0, 5.0, 5.0),
        "image": Sampling(40, 5.0, 5.0, 5.0, 3.0),
        "first_last": Sampling(50, 5.0, 5.0, 16.0),
        "vace": _VACE,
        "animate": _ANIMATE,
    },
    weights={**_TWO_EXPERTS.weights, "first_last": "flf2v"},
    # H100, one GPU, T2V-14B at 720P, before the makers had FlashAttention 3.
    reference_gpu_s=1837.9,
    size_gb=69.0,
    hint="Wan-AI/Wan2.1-T2V-14B-Diffusers",
)

_SMALL = replace(
    _ONE_EXPERT,
    variant="2.1-1.3b",
    max_size=(832, 480),
    # "We recommend --sample_guide_scale 6", and a shift of 8 to 12.
    sampling={"text": Sampling(50, 6.0, 6.0, 8.0), "vace": _VACE},
    weights={"text": "main", "vace": "vace"},
    # RTX 4090, one GPU, T2V-1.3B at 480P.
    reference_gpu_s=261.4,
    reference_pixels=832 * 480,
    size_gb=17.0,
    hint="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
)

_WANS = {wan.variant: wan for wan in (_TWO_EXPERTS, _FIVE_B, _ONE_EXPERT, _SMALL)}


@dataclass(frozen=True, slots=True)
class _Part:
    files: tuple[str, ...]
    size_gb: float
    hint: str
    use: str


PARTS: Mapping[str, _Part] = {
    "i2v": _Part(
        ("transformer",),
        114.0,
        "Wan-AI/Wan2.2-I2V-A14B-Diffusers (or Wan2.1-I2V-14B-720P-Diffusers)",
        "pictures that the shot starts and ends on",
    ),
    "flf2v": _Part(
        ("transformer",),
        66.0,
        "Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers",
        "a first and a last picture with Wan 2.1",
    ),
    "vace": _Part(
        ("transformer",),
        69.0,
        "Wan-AI/Wan2.1-VACE-14B-diffusers",
        "characters by pictures, pictures at any frame, extension of takes",
    ),
    "animate": _Part(
        ("transformer", "image_encoder", "image_processor"),
        69.0,
        "Wan-AI/Wan2.2-Animate-14B-Diffusers",
        "movement taken over from footage",
    ),
    "lightning": _Part(
        ("*.safetensors",),
        1.2,
        "lightx2v/Wan2.2-Lightning, folder Wan2.2-T2V-A14B-4steps-lora-rank64-Seko-V1.1",
        "four steps a take instead of forty",
    ),
    "lightning_i2v": _Part(
        ("*.safetensors",),
        1.2,
        "lightx2v/Wan2.2-Lightning, folder Wan2.2-I2V-A14B-4steps-lora-rank64-Seko-V1",
        "four steps a take instead of forty, for shots that start on a picture",
    ),
}
"""Further weights by their name in the models file."""

FEW_STEPS_FOR: Mapping[str, str] = {
    "main": "lightning",
    "vace": "lightning",
    "i2v": "lightning_i2v",
    "flf2v": "lightning_i2v",
}
"""The few-step adapter of a part: one for transformers that are given words, one for those that
are given pictures."""


def wan_of(settings: ModelSettings | None) -> Wan:
    """The generation that the settings name; Wan 2.2 where they name none, or one there is not."""
    return _WANS.get(settings.variant if settings else "", _WANS["2.2"])


def unknown_variant(settings: ModelSettings) -> str:
    """What is wrong with the generation that the settings name; empty: nothing is."""
    if settings.variant in ("", *_WANS):
        return ""
    return f"wan: expected variant {' or '.join(_WANS)}, got {settings.variant!r}"


def needs_of(wan: Wan) -> tuple[Need, ...]:
    """The files of the model and of each part that somebody may add."""
    main = ("model_index.json", "transformer", "text_encoder", "tokenizer", "vae", "scheduler")
    return (
        Need("main", main, wan.size_gb, LICENCE.id, wan.hint),
        *(
            Need(name, part.files, part.size_gb, LICENCE.id, part.hint, optional=True)
            for name, part in PARTS.items()
        ),
    )


def capabilities_of(wan: Wan, parts: frozenset[str]) -> Capabilities:
    """What the generation can do with these parts."""
    can = {name for name, part in wan.weights.items() if part == "main" or part in parts}
    tasks: set[Task] = {"text"}
    if can & {"image", "vace"}:
        tasks |= {"first_frame", "extend"}
    if can & {"first_last", "vace"}:
        tasks.add("last_frame")
    if "vace" in can:
        tasks |= {"keyframes", "references"}
    if "animate" in can:
        tasks.add("motion_from")
    pictures = MAX_PICTURES if "vace" in can else 1 if "animate" in can else 0
    return Capabilities(
        tasks=frozenset(tasks),
        max_references={"image": pictures, "video": int("animate" in can), "audio": 0},
        max_key_pictures=18 if "vace" in can else 2 if "first_last" in can else int("image" in can),
        keyframe_positions="any"
        if "vace" in can
        else "first_last"
        if "first_last" in can
        else "first"
        if "image" in can
        else "none",
        camera="prompt",
        motion_areas=0,
        extension="tail" if "vace" in can else "last_frame" if "image" in can else "none",
        native_audio=False,
        audio_rate=0,
        frame_rule=wan.frame_rule,
        size_multiple=wan.size_multiple,
        max_size=wan.max_size,
        fps=(wan.fps,),
        seeded=True,
        shots_per_generation=1,
        loras=True,
        edit=frozenset(),
        licence=LICENCE,
        usd_per_second=0.0,
        gpu_seconds_per_second=round(
            wan.reference_gpu_s * float(wan.fps) / wan.frame_rule.maximum, 1
        ),
        max_take_s=180,
    )
