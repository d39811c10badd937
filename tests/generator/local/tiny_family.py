"""A model of a few hundred weights with every phase of a real one, and faults on demand."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from generator.backends.base import (
    Description,
    Frames,
    Licence,
    RenderRequest,
    RenderTools,
)
from generator.local.driver import LocalRenderer, Need
from generator.local.family import Placing, Sources, Tensors
from generator.local.levers import LeverSupport, place
from generator.local.pool import ModelPool
from generator.local.seeds import noise_generator
from generator.local.settings import LocalSettings, ModelSettings
from media.errors import CancelledError
from media.timebase import samples_at
from storyboards.fields import Angle, ShotSize
from storyboards.shot_schema import Camera

__all__ = ["TinyFamily", "tiny_model", "tiny_renderer", "tiny_request"]

NEEDS = (Need("main", ("transformer", "vae", "text_encoder"), 0.1, "tiny-1.0", "see the docs"),)
STEPS = 4


@dataclass
class TinyFamily:
    """Encodes a prompt to eight numbers, denoises one number a frame, decodes it to a grey."""

    sources: Sources
    calls: Counter[str] = field(default_factory=Counter)
    no_room: dict[str, set[str]] = field(default_factory=dict)
    """By part, the rungs on which it runs out of memory."""
    fail_decode: int = 0
    """How many decodings fail."""
    on_denoise: Callable[[], None] = lambda: None
    on_chunk: Callable[[int], None] = lambda at: None

    def load_encoder(self, placing: Placing) -> Any:
        return self._load("encoder", "text_encoder", placing)

    def encode(self, encoder: Any, request: RenderRequest) -> Tensors:
        import torch

        self.calls["encode"] += 1
        digest = hashlib.sha256(f"{request.prompt}|{request.negative}".encode()).digest()
        words = torch.frombuffer(bytearray(digest[:8]), dtype=torch.uint8).float() / 255
        return {"embeds": encoder(words)}

    def load_denoiser(self, placing: Placing) -> Any:
        return self._load("denoiser", "transformer", placing)

    def denoise(
        self, denoiser: Any, request: RenderRequest, encoded: Tensors, tools: RenderTools
    ) -> Tensors:
        import torch

        self.calls["denoise"] += 1
        self.on_denoise()
        noise = torch.randn(request.num_frames, 8, generator=noise_generator(request.seed))
        for step in range(STEPS):
            if tools.should_stop():
                raise CancelledError("cancelled while denoising")
            noise = torch.tanh(denoiser(noise) + encoded["embeds"])
            tools.on_step(step + 1, STEPS)
        return {"latents": noise.cpu()}

    def load_decoder(self, placing: Placing) -> Any:
        return self._load("decoder", "vae", placing)

    def decode(self, decoder: Any, request: RenderRequest, latents: Tensors) -> Iterator[Frames]:
        self.calls["decode"] += 1
        if self.calls["decode"] <= self.fail_decode:
            raise ValueError("the decoder broke")
        width, height = request.size
        greys = decoder(latents["latents"]).mean(dim=1).sigmoid().mul(255).numpy().astype(np.uint8)
        for first in range(0, request.num_frames, 16):
            self.on_chunk(first)
            some = greys[first : first + 16]
            yield np.broadcast_to(some[:, None, None, None], (len(some), height, width, 3)).copy()

    def sound(self, decoder: Any, request: RenderRequest, latents: Tensors) -> np.ndarray | None:
        samples = samples_at(request.num_frames, request.fps)
        return np.full((1, samples), float(latents["latents"][0, 0]), np.float32)

    def _load(self, part: str, folder: str, placing: Placing) -> Any:
        import torch
        from safetensors.torch import load_file

        self.calls[f"load_{part}"] += 1
        self.calls[f"load_{part} {placing.rung}"] += 1
        if placing.rung in self.no_room.get(part, set()):
            raise torch.OutOfMemoryError(f"no room for the {part}")
        module = torch.nn.Linear(8, 8)
        module.load_state_dict(load_file(Path(self.sources.main, folder, "model.safetensors")))
        return place(module, placing, levers=False)


def tiny_model(folder: Path) -> Path:
    """The model's folder, with weights that a seed decides."""
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    for at, name in enumerate(("text_encoder", "transformer", "vae")):
        (folder / name).mkdir(parents=True)
        torch.manual_seed(at)
        save_file(torch.nn.Linear(8, 8).state_dict(), folder / name / "model.safetensors")
        (folder / name / "config.json").write_text('{"kind": "tiny"}')
    return folder


def tiny_renderer(
    folder: Path, *, levers: LeverSupport | None = None, **model: Any
) -> tuple[LocalRenderer, TinyFamily, ModelPool]:
    """A renderer on the CPU with a pool of its own, and the family that it drives."""
    family = TinyFamily(Sources(str(folder)))
    pool = ModelPool("cpu")
    settings = LocalSettings(
        device="cpu", models={"tiny": ModelSettings(source=str(folder), **model)}
    )
    renderer = LocalRenderer(
        "tiny",
        "1",
        Licence("tiny-1.0"),
        NEEDS,
        lambda _sources, _model: family,
        settings,
        pool=pool,
        levers=levers,
    )
    return renderer, family, pool


def tiny_request(**changes: Any) -> RenderRequest:
    """A shot of 20 small frames."""
    words = Description("INT. ROOM", "Rain.", ShotSize.MLS, Angle.EYE, Camera(), 3)
    fields = {
        "prompt": "dusk",
        "negative": "",
        "seed": 7,
        "size": (32, 16),
        "fps": Fraction(24),
        "num_frames": 20,
        "profile": "draft",
        "description": words,
        "audio": "native",
        **changes,
    }
    return RenderRequest(**fields)
