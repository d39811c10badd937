"""LTX-2.3 and 2.5, phase by phase: words, latents of picture and sound, frames and waveform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.backends.base import FrameRule, Frames, RenderRequest, RenderTools
from generator.backends.ltx2_parts.conditions import tail_length
from generator.backends.ltx2_parts.pipeline import (
    conditioning_pipeline,
    load_adapter,
    reference_downscale,
    require_transformer_only,
)
from generator.backends.ltx2_parts.recipe import Recipe, Setup, recipe_of
from generator.backends.ltx2_parts.stages import Denoiser, Progress, TakeStages
from generator.backends.ltx2_parts.stream import steady_decoder, stream_decode
from generator.local.adapters import lora_name, set_loras
from generator.local.clips import frames_from_unit, trimmed
from generator.local.family import Placing, Sources, Tensors
from generator.local.levers import place
from media.errors import RenderError
from media.timebase import SAMPLE_RATE, samples_at

__all__ = ["LTX2Family"]

_TOKENS = 1024
"""Length of prompts in training (`max_sequence_length` of the pipelines)."""

_FADE_S = 0.005
"""Of the sound before silence is added: the waveform must not break off."""


@dataclass(slots=True)
class _Encoder:
    pipe: Any
    connectors: Any
    device: str


@dataclass(slots=True)
class _Decoder:
    vae: Any
    audio_vae: Any
    vocoder: Any
    device: str


@dataclass(frozen=True, slots=True)
class LTX2Family:
    """One checkpoint: `main` is an LTX2Pipeline folder; parts `upsampler`, `ingredients` and
    `distilled` add a second stage, reference sheets and the distilled schedule."""

    sources: Sources
    setup: Setup
    rule: FrameRule

    def encoded_from(self, request: RenderRequest) -> tuple[object, ...]:
        """Whether a negative is encoded too."""
        return (self._recipe(request).guided,)

    def load_encoder(self, placing: Placing) -> _Encoder:
        """Gemma and the connectors behind it."""
        from diffusers import LTX2Pipeline

        without = ("transformer", "vae", "audio_vae", "vocoder", "scheduler")
        pipe = self._loaded(LTX2Pipeline, placing, *without)
        place(pipe.text_encoder, placing, levers=False)
        place(pipe.connectors, _as_it_is(placing), levers=False)
        return _Encoder(pipe, pipe.connectors, placing.device)

    def encode(self, encoder: _Encoder, request: RenderRequest) -> Tensors:
        """`words` `(1 or 2, tokens, video + audio width)`, `mask`, and the video's `width`.

        Two where a negative guides, the negative first.
        """
        import torch

        with torch.no_grad():
            guided = self._recipe(request).guided
            found = encoder.pipe.encode_prompt(
                request.prompt,
                _negative(request) if guided else None,
                do_classifier_free_guidance=guided,
                device=encoder.device,
                max_sequence_length=_TOKENS,
            )
            embeds, mask = found[0], found[1]
            if guided:
                embeds, mask = torch.cat([found[2], embeds]), torch.cat([found[3], mask])
            embeds = embeds.to(encoder.connectors.dtype)
            video, audio, mask = encoder.connectors(
                embeds, mask, padding_side=encoder.pipe.tokenizer.padding_side
            )
        words = torch.cat([video, audio], dim=-1)
        return {
            "words": words.cpu(),
            "mask": mask.cpu(),
            "width": torch.tensor(video.shape[-1]),
        }

    def load_denoiser(self, placing: Placing) -> Denoiser:
        """The transformer with its adapters, the VAE that encodes what holds the take, and the
        latent upsampler where there is one."""
        without = ("text_encoder", "tokenizer", "connectors", "vocoder", "processor")
        pipe = self._loaded(conditioning_pipeline(), placing, *without)
        pipe.device_name = placing.device
        denoiser = Denoiser(pipe, None, pipe.scheduler, placing.step_cache)
        self._load_adapters(denoiser, placing)
        place(pipe.transformer, placing)
        for module in (pipe.vae, pipe.audio_vae):
            place(module, _as_it_is(placing), levers=False)
        if "upsampler" in self.sources.parts:
            denoiser.upsample = self._upsampler(pipe.vae, placing)
        return denoiser

    def denoise(
        self, denoiser: Denoiser, request: RenderRequest, encoded: Tensors, tools: RenderTools
    ) -> Tensors:
        """`video` `(1, channels, frames, h, w)` and `audio` `(1, channels, length, mels)`, the
        tail included, denormalised."""
        recipe = self._recipe(request)
        progress = Progress(tools, recipe.steps)
        progress.require_going()
        take = TakeStages(self.setup, self.rule, denoiser, request, encoded, tools, progress)
        video, audio = take.stage(recipe.first, recipe.first_size(request.size))
        if recipe.second is not None:
            if denoiser.upsample is None:
                raise RenderError("the second stage needs the part upsampler")
            doubled = denoiser.upsample(latents=video, output_type="latent", return_dict=False)[0]
            video, audio = take.stage(recipe.second, request.size, doubled.float(), audio)
        return {"video": video.cpu(), "audio": audio.cpu()}

    def load_decoder(self, placing: Placing) -> _Decoder:
        """The VAEs, and the vocoder in float32 whatever the rest is in: rounding adds up over its
        hundred convolutions in a row, and Lightricks' own `VocoderWithBWE` runs it so too."""
        from diffusers import LTX2Pipeline

        without = ("text_encoder", "tokenizer", "connectors", "transformer", "scheduler")
        pipe = self._loaded(LTX2Pipeline, placing, *without)
        if pipe.vocoder.config.output_sampling_rate != SAMPLE_RATE:
            raise RenderError(
                f"expected sound at {SAMPLE_RATE} Hz, the vocoder makes "
                f"{pipe.vocoder.config.output_sampling_rate}",
                todo="use LTX-2.3 or 2.5",
            )
        for module in (steady_decoder(pipe.vae), pipe.audio_vae):
            place(module, placing, levers=False)
        place(pipe.vocoder, replace(placing, dtype="float32"), levers=False)
        return _Decoder(pipe.vae, pipe.audio_vae, pipe.vocoder, placing.device)

    def decode(
        self, decoder: _Decoder, request: RenderRequest, latents: Tensors
    ) -> Iterator[Frames]:
        """The take's frames without the tail, at most 8 at a time."""
        chunks = stream_decode(decoder.vae, latents["video"], decoder.device)
        frames = (frames_from_unit(chunk / 2 + 0.5) for chunk in chunks)
        yield from trimmed(frames, tail_length(request), request.num_frames)

    def sound(self, decoder: _Decoder, request: RenderRequest, latents: Tensors) -> np.ndarray:
        """`(2, samples) float32` at 48 kHz under the take's frames.

        The model's own ends some 20 ms before its picture: silence follows a short fade.
        """
        import torch

        audio_vae, vocoder = decoder.audio_vae, decoder.vocoder
        with torch.no_grad():
            mels = latents["audio"].to(decoder.device, audio_vae.dtype)
            waves = vocoder(audio_vae.decode(mels, return_dict=False)[0].float())
        made = np.clip(waves[0].cpu().numpy(), -1.0, 1.0)
        start = samples_at(tail_length(request), request.fps)
        length = samples_at(request.num_frames, request.fps)
        return _as_long_as(made[:, start : start + length], length)

    def _recipe(self, request: RenderRequest) -> Recipe:
        return recipe_of(request, self.setup)

    def _loaded(self, pipeline: Any, placing: Placing, *without: str) -> Any:
        """The pipeline of the main folder without some of its parts."""
        import torch

        left_out = {
            name: None
            for name in (*without, "prompt_enhancer", "duration_head")
            if name in _accepted(pipeline)
        }
        try:
            pipe = pipeline.from_pretrained(
                self.sources.main,
                dtype={"vocoder": torch.float32, "default": getattr(torch, placing.dtype)},
                local_files_only=True,
                **left_out,
            )
        except (OSError, ValueError, KeyError) as error:
            raise RenderError(
                f"the model's folder cannot be read: {str(error).splitlines()[0][:300]}",
                where=self.sources.main,
                todo="fetch it again: it must be the diffusers layout of LTX-2.3 or 2.5",
            ) from error
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def set_loras(self, denoiser: Denoiser, loras: tuple[tuple[str, str, float], ...]) -> None:
        """Make these the characters' adapters; the parts' own stay."""
        for _, path, _ in loras:
            require_transformer_only(Path(path))
        set_loras(
            denoiser.pipe,
            loras,
            base=f"LTX-{self.setup.generation}",
            besides=dict.fromkeys(self._own_adapters, 1.0),
        )
        denoiser.loras = tuple((lora_name(sha256), weight) for sha256, _, weight in loras)

    @property
    def _own_adapters(self) -> tuple[str, ...]:
        return tuple(name for name in ("ingredients", "distilled") if name in self.sources.parts)

    def _load_adapters(self, denoiser: Denoiser, placing: Placing) -> None:
        for name in self._own_adapters:
            load_adapter(denoiser.pipe, self.sources.parts[name], name)
        if "ingredients" in self.sources.parts:
            denoiser.downscale = reference_downscale(self.sources.parts["ingredients"])
        self.set_loras(denoiser, placing.loras)

    def _upsampler(self, vae: Any, placing: Placing) -> Any:
        import torch
        from diffusers import LTX2LatentUpsamplePipeline
        from diffusers.pipelines.ltx2 import LTX2LatentUpsamplerModel

        model = LTX2LatentUpsamplerModel.from_pretrained(
            self.sources.parts["upsampler"],
            subfolder="latent_upsampler",
            dtype=getattr(torch, placing.dtype),
            local_files_only=True,
        )
        place(model, _as_it_is(placing), levers=False)
        return LTX2LatentUpsamplePipeline(vae=vae, latent_upsampler=model)


def _negative(request: RenderRequest) -> str:
    """The request's, or what Lightricks keeps out by default."""
    from diffusers.pipelines.ltx2.utils import DEFAULT_NEGATIVE_PROMPT

    return request.negative or str(DEFAULT_NEGATIVE_PROMPT)


def _accepted(pipeline: Any) -> Sequence[str]:
    import inspect

    return tuple(inspect.signature(pipeline.__init__).parameters)


def _as_it_is(placing: Placing) -> Placing:
    """For small modules: on the device, unquantised."""
    return replace(placing, rung="resident", quantise="")


def _as_long_as(sound: np.ndarray, samples: int) -> np.ndarray:
    """`(channels, samples) float32`: faded out and padded with silence where it is short."""
    missing = samples - sound.shape[1]
    if missing <= 0:
        return np.ascontiguousarray(sound[:, :samples])
    faded = sound.copy()
    fade = min(round(_FADE_S * SAMPLE_RATE), faded.shape[1])
    if fade:
        faded[:, -fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return np.pad(faded, ((0, 0), (0, missing)))
