"""The contract between the phases that every open model goes through and one family of models.

A family is what a backend file knows of its model: how to load each part and how to call it.
`generator/local/driver.py` drives it: encode → denoise (a second stage included) → decode, each
phase cached apart, each part loaded only while it is needed. Torch is imported by families inside
functions. `levers.place` puts a loaded module where its `Placing` says.

A family that can do more also has the methods of `HasVariants`, `SwapsLoras`, `EncodesMore` or
`EncodesFiles`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from generator.backends.base import Frames, RenderRequest, RenderTools

__all__ = [
    "LEVER_NAMES",
    "EncodesFiles",
    "EncodesMore",
    "Family",
    "HasVariants",
    "Placing",
    "Rung",
    "Sources",
    "SwapsLoras",
    "Tensors",
]

Tensors = Mapping[str, Any]
"""torch tensors by name: what safetensors holds; sizes and flags go in as 0-d tensors."""

Rung = Literal["resident", "quantised", "group_offload", "sequential_offload"]
"""Where weights are while they are used, from the fastest to the smallest."""

LEVER_NAMES = ("compile", "attention", "quantise", "few_steps", "step_cache")


@dataclass(frozen=True, slots=True)
class Placing:
    """How a part is to be loaded."""

    device: str = "cpu"
    dtype: Literal["bfloat16", "float16", "float32"] = "float32"
    rung: Rung = "resident"
    quantise: Literal["", "fp8", "int8"] = ""
    """Used on the rung `quantised`, or everywhere when the settings ask for it."""
    attention: str = ""
    compile: bool = False
    step_cache: str = ""
    loras: tuple[tuple[str, str, float], ...] = ()
    """Adapters of the denoiser: SHA-256, path, weight."""
    variant: str = ""
    """Of the denoiser: what `HasVariants.variant` said of the request."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Folders of a model's files on this machine, found and checked."""

    main: str
    parts: Mapping[str, str] = field(default_factory=dict)
    """By name; a part with a `weight_name` is that file."""


class Family(Protocol):
    """One model family. Every method may raise RenderError; none catches out-of-memory errors."""

    def load_encoder(self, placing: Placing) -> Any:
        """What encodes prompts. Freed before the denoiser is loaded where room is short."""

    def encode(self, encoder: Any, request: RenderRequest) -> Tensors:
        """The prompt and negative as embeddings, on the CPU. Depends on the words alone."""

    def load_denoiser(self, placing: Placing) -> Any:
        """What turns noise into latents, with `placing.loras` and levers applied."""

    def denoise(
        self, denoiser: Any, request: RenderRequest, encoded: Tensors, tools: RenderTools
    ) -> Tensors:
        """Final latents (picture and sound) on the CPU, a second stage included.

        Calls `tools.on_step(done, total)` and asks `tools.should_stop()` at every step.
        """

    def load_decoder(self, placing: Placing) -> Any:
        """What turns latents into frames and sound."""

    def decode(self, decoder: Any, request: RenderRequest, latents: Tensors) -> Iterator[Frames]:
        """Exactly `request.num_frames` frames in chunks of at most 16, streamed."""

    def sound(self, decoder: Any, request: RenderRequest, latents: Tensors) -> np.ndarray | None:
        """`(channels, samples) float32` at SAMPLE_RATE, exactly as long as the frames, or None."""


@runtime_checkable
class HasVariants(Protocol):
    """A family with several checkpoints, of which one request uses one."""

    def variant(self, request: RenderRequest) -> str:
        """Which denoiser makes this request; the pool keeps one for each answer."""


@runtime_checkable
class SwapsLoras(Protocol):
    """A family whose loaded denoiser can be given other adapters (`adapters.set_loras`).

    Without it a denoiser is loaded anew for every set of adapters.
    """

    def set_loras(self, denoiser: Any, loras: tuple[tuple[str, str, float], ...]) -> None:
        """Make these the denoiser's only adapters: SHA-256, path, weight."""


@runtime_checkable
class EncodesMore(Protocol):
    """A family whose embeddings depend on more than the prompt and the negative."""

    def encoded_from(self, request: RenderRequest) -> tuple[object, ...]:
        """What else of the request `encode` reads, as plain values or frozen dataclasses."""


@runtime_checkable
class EncodesFiles(EncodesMore, Protocol):
    """A family whose encoder looks at pictures too: asked instead of `encode`."""

    def encode_files(self, encoder: Any, request: RenderRequest, tools: RenderTools) -> Tensors:
        """As `encode`, with the files and takes that `encoded_from` names."""
