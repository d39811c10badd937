"""CogVideoX, phase by phase: T5 embeddings, latents `(1, frames, channels, h, w)`, causal VAE.

The text and the image checkpoint of a generation share text encoder and VAE, so the latents of
either are decoded with the main one's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from generator.backends.base import FrameRule, Frames, RenderRequest, RenderTools
from generator.local.choices import guidance_of, steps_of
from generator.local.clips import (
    call_frames,
    frames_from_unit,
    given_frames,
    opening_picture,
    steps_watched,
    trimmed,
)
from generator.local.family import Placing, Sources, Tensors
from generator.local.levers import place, step_cache
from generator.local.pipelines import computing_on
from generator.local.seeds import noise_generator

__all__ = ["STEPS", "CogVideoXFamily"]

STEPS: Mapping[str, int] = {"draft": 15, "standard": 30, "fine": 50}
"""By profile. 50 are the model card's; fewer are quicker and rougher."""

_LATENTS_AT_ONCE = 2
"""What the VAE decodes at a time with its convolutions' caches handed on
(`AutoencoderKLCogVideoX.num_latent_frames_batch_size`; "anything other than 2 would give poor
results")."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A part and where it computes."""

    module: Any
    device: str
    dtype: Any
    step_cache: str = ""


@dataclass(frozen=True, slots=True)
class CogVideoXFamily:
    """One generation of the model from its folders: `main` for text, the part `image` for I2V."""

    sources: Sources
    rule: FrameRule
    text_tokens: int
    """Length of prompts that the transformer was trained with (its `max_text_seq_length`)."""

    def variant(self, request: RenderRequest) -> str:
        """`image` when the clip starts from a picture."""
        opened = request.continue_from is not None or request.key_pictures
        return "image" if opened else "text"

    def load_encoder(self, placing: Placing) -> _Loaded:
        """The pipeline with nothing but T5."""
        from diffusers import CogVideoXPipeline

        pipe = computing_on(CogVideoXPipeline, placing.device).from_pretrained(
            self.sources.main, transformer=None, vae=None, dtype=_dtype(placing)
        )
        place(pipe.text_encoder, placing, levers=False)
        return _Loaded(pipe, placing.device, _dtype(placing))

    def encode(self, encoder: _Loaded, request: RenderRequest) -> Tensors:
        """`prompt` and `negative`, `(1, tokens, dim)` each."""
        import torch

        with torch.no_grad():
            prompt, negative = encoder.module.encode_prompt(
                request.prompt,
                request.negative,
                max_sequence_length=self.text_tokens,
                device=encoder.device,
            )
        return {"prompt": prompt.cpu(), "negative": negative.cpu()}

    def load_denoiser(self, placing: Placing) -> _Loaded:
        """The transformer of `placing.variant`; for `image` also the VAE that encodes it."""
        import diffusers

        no_words = {"text_encoder": None, "tokenizer": None}
        if placing.variant == "image":
            pipe = computing_on(
                diffusers.CogVideoXImageToVideoPipeline, placing.device
            ).from_pretrained(self.sources.parts["image"], dtype=_dtype(placing), **no_words)
            place(pipe.vae, _as_it_is(placing), levers=False)
        else:
            pipe = computing_on(diffusers.CogVideoXPipeline, placing.device).from_pretrained(
                self.sources.main, vae=None, dtype=_dtype(placing), **no_words
            )
        pipe.set_progress_bar_config(disable=True)
        place(pipe.transformer, placing)
        return _Loaded(pipe, placing.device, _dtype(placing), placing.step_cache)

    def denoise(
        self, denoiser: _Loaded, request: RenderRequest, encoded: Tensors, tools: RenderTools
    ) -> Tensors:
        """`video`, `(1, frames, channels, h, w)` as many latents as the call's frames have."""
        import torch

        pipe = denoiser.module
        steps = steps_of(request, STEPS)
        num_frames = call_frames(request, self.rule)
        picture = opening_picture(request, tools)
        opened = {} if picture is None else {"image": _pil(picture)}
        with (
            torch.no_grad(),
            steps_watched(pipe.scheduler, steps, tools),
            step_cache(
                pipe.transformer,
                denoiser.step_cache,
                num_steps=steps,
                timestep=lambda: pipe._current_timestep,
            ),
        ):
            latents = pipe(
                **opened,
                prompt_embeds=encoded["prompt"].to(denoiser.device, denoiser.dtype),
                negative_prompt_embeds=encoded["negative"].to(denoiser.device, denoiser.dtype),
                width=request.size[0],
                height=request.size[1],
                num_frames=num_frames,
                num_inference_steps=steps,
                guidance_scale=guidance_of(request, 6.0),
                # As the authors' own cli_demo.py: with DPM, not with DDIM.
                use_dynamic_cfg=type(pipe.scheduler).__name__ == "CogVideoXDPMScheduler",
                generator=noise_generator(request.seed),
                output_type="latent",
                return_dict=False,
            )[0]
        # 1.5 pads in front to whole patches of time; the pipeline cuts that off only itself.
        ours = (num_frames - 1) // pipe.vae_scale_factor_temporal + 1
        return {"video": latents[:, latents.shape[1] - ours :].cpu()}

    def load_decoder(self, placing: Placing) -> _Loaded:
        """The VAE."""
        from diffusers import AutoencoderKLCogVideoX

        vae = AutoencoderKLCogVideoX.from_pretrained(
            self.sources.main, subfolder="vae", dtype=_dtype(placing)
        )
        return _Loaded(place(vae, placing, levers=False), placing.device, _dtype(placing))

    def decode(
        self, decoder: _Loaded, request: RenderRequest, latents: Tensors
    ) -> Iterator[Frames]:
        """The take's frames, two latents (eight frames) at a time: the VAE's own batches with its
        convolutions' caches handed on, so bit for bit what one `vae.decode` gives."""
        video = latents["video"].to(decoder.device, decoder.dtype)
        decoded = _decoded(decoder.module, video)
        yield from trimmed(decoded, given_frames(request), request.num_frames)

    def sound(self, decoder: Any, request: RenderRequest, latents: Tensors) -> np.ndarray | None:
        """None: the model is silent."""
        return None


def _decoded(vae: Any, video: Any) -> Iterator[Frames]:
    import torch

    scaled = 1 / vae.config.scaling_factor * video.permute(0, 2, 1, 3, 4)
    count, cache = scaled.shape[2], None
    starts = range(count % _LATENTS_AT_ONCE, count, _LATENTS_AT_ONCE)
    for start in starts:
        first = 0 if start == starts[0] else start
        part = scaled[:, :, first : start + _LATENTS_AT_ONCE]
        # Entered for each part: a generator must not keep gradients off while it waits.
        with torch.no_grad():
            if vae.post_quant_conv is not None:
                part = vae.post_quant_conv(part)
            frames, cache = vae.decoder(part, conv_cache=cache)
            pixels = frames_from_unit(frames * 0.5 + 0.5)
        yield pixels


def _pil(picture: np.ndarray) -> Any:
    from PIL import Image

    return Image.fromarray(picture)


def _as_it_is(placing: Placing) -> Placing:
    """For small modules: on the device, unquantised."""
    return replace(placing, rung="resident", quantise="")


def _dtype(placing: Placing) -> Any:
    import torch

    return getattr(torch, placing.dtype)
