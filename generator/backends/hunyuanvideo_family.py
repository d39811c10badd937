"""HunyuanVideo 1.5, phase by phase: two text encoders, latents `(1, channels, frames, h, w)`, VAE.

The text and the image checkpoint share text encoders and VAE, so the latents of either are decoded
with the main one's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.backends.base import FrameRule, Frames, RenderRequest, RenderTools
from generator.local.choices import steps_of
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

__all__ = ["HunyuanVideoFamily"]

_WORDS = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
_EMBEDS = ("prompt_embeds", "prompt_embeds_mask", "prompt_embeds_2", "prompt_embeds_mask_2")
_CHUNK_FRAMES = 16


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A part and where it computes."""

    module: Any
    device: str
    dtype: Any
    step_cache: str = ""


@dataclass(frozen=True, slots=True)
class HunyuanVideoFamily:
    """The model from its folders: `main` for text, the part `image` for I2V."""

    sources: Sources
    rule: FrameRule
    steps: Mapping[str, int]
    """By profile."""

    def variant(self, request: RenderRequest) -> str:
        """`image` when the clip starts from a picture."""
        opened = request.continue_from is not None or request.key_pictures
        return "image" if opened else "text"

    def load_encoder(self, placing: Placing) -> _Loaded:
        """The pipeline with Qwen2.5-VL and ByT5; of the VAE only its shape, which it asks for."""
        from diffusers import HunyuanVideo15Pipeline

        pipe = computing_on(HunyuanVideo15Pipeline, placing.device).from_pretrained(
            self.sources.main,
            transformer=None,
            vae=_hull(self.sources.main),
            dtype=_dtype(placing),
        )
        place(pipe.text_encoder, placing, levers=False)
        place(pipe.text_encoder_2, _as_it_is(placing), levers=False)
        return _Loaded(pipe, placing.device, _dtype(placing))

    def encode(self, encoder: _Loaded, request: RenderRequest) -> Tensors:
        """Embeddings and masks of prompt and glyphs, and the negative's (`negative_…`) where the
        checkpoint's guider compares with it."""
        import torch

        pipe = encoder.module
        guided = pipe.guider._enabled and pipe.guider.num_conditions > 1
        texts = {"": request.prompt} | ({"negative_": request.negative} if guided else {})
        encoded: dict[str, Any] = {}
        for prefix, text in texts.items():
            with torch.no_grad():
                made = pipe.encode_prompt(text, device=encoder.device, dtype=encoder.dtype)
            encoded |= {
                f"{prefix}{name}": tensor.cpu() for name, tensor in zip(_EMBEDS, made, strict=True)
            }
        return encoded

    def load_denoiser(self, placing: Placing) -> _Loaded:
        """The transformer of `placing.variant`; for `image` also what looks at the picture."""
        import diffusers

        words: dict[str, Any] = dict.fromkeys(_WORDS)
        if placing.variant == "image":
            pipe = computing_on(
                diffusers.HunyuanVideo15ImageToVideoPipeline, placing.device
            ).from_pretrained(self.sources.parts["image"], dtype=_dtype(placing), **words)
            place(pipe.vae, _as_it_is(placing), levers=False).enable_tiling()
            place(pipe.image_encoder, _as_it_is(placing), levers=False)
        else:
            pipe = computing_on(diffusers.HunyuanVideo15Pipeline, placing.device).from_pretrained(
                self.sources.main, vae=_hull(self.sources.main), dtype=_dtype(placing), **words
            )
        pipe.set_progress_bar_config(disable=True)
        place(pipe.transformer, placing)
        return _Loaded(pipe, placing.device, _dtype(placing), placing.step_cache)

    def denoise(
        self, denoiser: _Loaded, request: RenderRequest, encoded: Tensors, tools: RenderTools
    ) -> Tensors:
        """`video`, `(1, channels, latents, h, w)` as many latents as the call's frames have."""
        pipe = denoiser.module
        steps = steps_of(request, self.steps)
        picture = opening_picture(request, tools)
        with (
            steps_watched(pipe.scheduler, steps, tools),
            step_cache(
                pipe.transformer,
                denoiser.step_cache,
                num_steps=steps,
                timestep=lambda: pipe.current_timestep,
            ),
        ):
            latents = pipe(
                **_opened(pipe, picture, request.size),
                **{
                    name: tensor.to(denoiser.device, denoiser.dtype)
                    for name, tensor in encoded.items()
                },
                num_frames=call_frames(request, self.rule),
                num_inference_steps=steps,
                generator=noise_generator(request.seed),
                output_type="latent",
                return_dict=False,
            )[0]
        return {"video": latents.cpu()}

    def load_decoder(self, placing: Placing) -> _Loaded:
        """The VAE, tiled as its authors run it."""
        from diffusers import AutoencoderKLHunyuanVideo15

        vae = AutoencoderKLHunyuanVideo15.from_pretrained(
            self.sources.main, subfolder="vae", dtype=_dtype(placing)
        )
        place(vae, placing, levers=False).enable_tiling()
        return _Loaded(vae, placing.device, _dtype(placing))

    def decode(
        self, decoder: _Loaded, request: RenderRequest, latents: Tensors
    ) -> Iterator[Frames]:
        """The take's frames, decoded in one call and handed out in chunks.

        Not streamed in time: the VAE's middle block attends over all latents of a clip. Memory is
        bounded in space instead, by the 256-pixel tiles of `vae.enable_tiling()`, which the authors
        prescribe, and in time by the frame rule: a longer take is decoded segment by segment.
        """
        yield from trimmed(
            _decoded(decoder, latents["video"]), given_frames(request), request.num_frames
        )

    def sound(self, decoder: Any, request: RenderRequest, latents: Tensors) -> np.ndarray | None:
        """None: the model is silent."""
        return None


def _decoded(decoder: _Loaded, latents: Any) -> Iterator[Frames]:
    import torch

    vae = decoder.module
    with torch.no_grad():
        scaled = latents.to(decoder.device, decoder.dtype) / vae.config.scaling_factor
        video = vae.decode(scaled, return_dict=False)[0].cpu()
    for start in range(0, video.shape[2], _CHUNK_FRAMES):
        yield frames_from_unit(video[:, :, start : start + _CHUNK_FRAMES] * 0.5 + 0.5)


def _opened(pipe: Any, picture: np.ndarray | None, size: tuple[int, int]) -> dict[str, Any]:
    """The raster; with a picture the pipeline takes it from there, so the picture has it."""
    width, height = size
    if picture is None:
        return {"width": width, "height": height}
    from PIL import Image

    # It would pick the nearest of its buckets; the plan has picked, and the picture fits.
    pipe.video_processor.calculate_default_height_width = lambda **_: (height, width)
    return {"image": Image.fromarray(picture)}


def _hull(folder: str) -> Any:
    """The VAE without weights: the pipeline reads its shape when it is made, and no more."""
    import torch
    from diffusers import AutoencoderKLHunyuanVideo15

    config = AutoencoderKLHunyuanVideo15.load_config(Path(folder) / "vae")
    with torch.device("meta"):
        return AutoencoderKLHunyuanVideo15.from_config(config)


def _as_it_is(placing: Placing) -> Placing:
    """For small modules: on the device, unquantised."""
    return replace(placing, rung="resident", quantise="")


def _dtype(placing: Placing) -> Any:
    import torch

    return getattr(torch, placing.dtype)
