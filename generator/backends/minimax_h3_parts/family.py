"""MiniMax-H3, phase by phase: what its encoders see, one packed sequence denoised, two decoders.

diffusers has H3 as modular blocks only. Each phase is a pipeline of just its blocks:

    encode    words and pictures through Qwen3-VL, pictures, clips and voices through the VAEs
    denoise   picture and sound together, from noise; nothing but the transformer is loaded
    decode    frames chunk by chunk, then the sound

The conditions are encoded under a fixed seed (the released model's), so that they do not depend on
the take and are kept with the embeddings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.backends.base import FrameRule, Frames, RenderRequest, RenderTools
from generator.backends.minimax_h3_parts.words import h3_prompt, workflow_of
from generator.local.choices import steps_of
from generator.local.clips import (
    call_frames,
    closing_picture,
    frames_from_unit,
    given_frames,
    opening_picture,
    steps_watched,
    trimmed,
)
from generator.local.family import Placing, Sources, Tensors
from generator.local.levers import place
from generator.local.seeds import noise_generator
from media.errors import RenderError
from media.timebase import SAMPLE_RATE, samples_at

__all__ = ["FPS", "SOUND_RATE", "STEPS", "MiniMaxH3Family"]

FPS = 24
SOUND_RATE = 32_000
STEPS: Mapping[str, int] = {"draft": 19, "standard": 49, "fine": 49}
"""By profile. The model is distilled for guidance, not for steps: its authors take a schedule of 50
points, between which lie 49 steps."""

_PIXEL_MEAN = (0.485, 0.456, 0.406)
_PIXEL_STD = (0.229, 0.224, 0.225)
"""What the VAE's pixels are normalised by (`MiniMaxH3ModularPipeline.pixel_mean`, `pixel_std`)."""

_CONFIGS = ("canvas_short_edge", "canvas_max_pixels", "reference_image_short_edge")


@dataclass(slots=True)
class _Reader:
    """The encoder: Qwen3-VL, and the VAEs for pictures and voices."""

    text_encoder: Any
    tokenizer: Any
    eyes: Any
    vaes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Denoiser:
    transformer: Any
    schedulers: Mapping[str, Any]
    device: str
    dtype: Any


@dataclass(frozen=True, slots=True)
class _Decoder:
    vae: Any
    audio_vae: Any
    device: str


@dataclass(frozen=True, slots=True)
class MiniMaxH3Family:
    """The model from its published folder, which holds a transformer for each kind of work."""

    sources: Sources
    rule: FrameRule

    def variant(self, request: RenderRequest) -> str:
        """The folder of the transformer: one is for references, the other for all else."""
        return "transformer_ref" if workflow_of(request) == "ref2va" else "transformer"

    def encoded_from(self, request: RenderRequest) -> tuple[object, ...]:
        """Pictures, clips, voices, and the canvas and length that they are fitted to."""
        start = dict(request.options).get("motion_from.start_s", "")
        seen = (request.references, request.key_pictures, request.continue_from)
        return (*seen, request.size, request.num_frames, start)

    def load_encoder(self, placing: Placing) -> _Reader:
        """Qwen3-VL, its tokenizer and both VAEs: loaded later, when pictures are to be encoded,
        they would be loaded while other takes compute."""
        from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

        from generator.backends.minimax_h3_parts.eyes import load_eyes

        tokenizer = AutoTokenizer.from_pretrained(self._folder("tokenizer"))
        encoder = Qwen3VLForConditionalGeneration.from_pretrained(
            self._folder("text_encoder"), dtype=_dtype(placing)
        )
        place(encoder, placing, levers=False)
        eyes = load_eyes(self._folder("processor"), tokenizer)
        vaes = {name: self._vae(name, placing) for name in ("vae", "audio_vae")}
        return _Reader(encoder, tokenizer, eyes, vaes)

    def encode(self, encoder: _Reader, request: RenderRequest) -> Tensors:
        """Of words alone; see `encode_files`."""
        return self.encode_files(encoder, request, RenderTools({}))

    def encode_files(self, encoder: _Reader, request: RenderRequest, tools: RenderTools) -> Tensors:
        """`prompt_embeds` and `text_token_tags`; conditions as `picture_0` … and `sound_0` …."""
        from diffusers.modular_pipelines.minimax_h3 import before_encoder, encoders

        workflow = workflow_of(request)
        asked: dict[str, Any] = {"prompt": h3_prompt(request)}
        wanted = ["prompt_embeds", "text_token_tags"]
        if workflow == "t2va":
            blocks: dict[str, Any] = {"text": encoders.MiniMaxH3TextEncoderStep()}
        else:
            asked |= {"width": request.size[0], "height": request.size[1]}
            wanted.append("condition_latents")
        if workflow == "fl2va":
            blocks = {
                "resize": before_encoder.MiniMaxH3ResizeStep(),
                "text": encoders.MiniMaxH3FL2VATextEncoderStep(),
                "pictures": encoders.MiniMaxH3KeyframeVaeEncoderStep(),
            }
            asked |= _key_pictures(request, tools)
        elif workflow == "ref2va":
            from generator.backends.minimax_h3_parts.refs import reference_files

            blocks = {
                "references": before_encoder.MiniMaxH3Ref2VASetupStep(),
                "text": encoders.MiniMaxH3Ref2VATextEncoderStep(),
                "encoded": encoders.MiniMaxH3Ref2VAReferenceEncoderStep(),
            }
            num_frames = call_frames(request, self.rule)
            asked["references"] = reference_files(request, tools, num_frames)
            asked["num_frames"] = num_frames
            wanted.append("audio_condition_latents")
        pipe = self._pipeline(blocks, **self._reading(encoder, workflow))
        return _named(pipe(output=wanted, **asked))

    def load_denoiser(self, placing: Placing) -> _Denoiser:
        """The transformer of `placing.variant` and the two schedules."""
        from diffusers import MiniMaxH3Scheduler, MiniMaxH3Transformer3DModel

        transformer = MiniMaxH3Transformer3DModel.from_pretrained(
            self._folder(placing.variant), dtype=_dtype(placing)
        )
        schedulers = {
            name: MiniMaxH3Scheduler.from_pretrained(self._folder(name))
            for name in ("scheduler", "audio_scheduler")
        }
        place(transformer, placing)
        return _Denoiser(transformer, schedulers, placing.device, _dtype(placing))

    def denoise(
        self, denoiser: _Denoiser, request: RenderRequest, encoded: Tensors, tools: RenderTools
    ) -> Tensors:
        """`video` `(1, 24, frames, h, w)` and `audio` `(2, 32, latents)`, one item a channel."""
        from diffusers.modular_pipelines.minimax_h3 import modular_blocks_minimax_h3 as h3

        workflow = workflow_of(request)
        core = {
            "t2va": h3.MiniMaxH3CoreDenoiseStep,
            "fl2va": h3.MiniMaxH3FL2VACoreDenoiseStep,
            "ref2va": h3.MiniMaxH3Ref2VACoreDenoiseStep,
        }[workflow]
        components = {self.variant(request): denoiser.transformer, **denoiser.schedulers}
        pipe = self._pipeline({"denoise": core()}, **components)
        steps = steps_of(request, STEPS)
        with steps_watched(pipe.scheduler, steps, tools):
            made = pipe(
                output=["latents", "audio_latents"],
                prompt_embeds=encoded["prompt_embeds"].to(denoiser.device, denoiser.dtype),
                text_token_tags=encoded["text_token_tags"],
                width=request.size[0],
                height=request.size[1],
                num_frames=call_frames(request, self.rule),
                num_inference_steps=steps + 1,
                generator=noise_generator(request.seed),
                **_conditions(request, encoded, workflow),
            )
        return {"video": made["latents"].cpu(), "audio": made["audio_latents"].cpu()}

    def load_decoder(self, placing: Placing) -> _Decoder:
        """Both VAEs."""
        vae, audio_vae = (self._vae(name, placing) for name in ("vae", "audio_vae"))
        return _Decoder(vae, audio_vae, placing.device)

    def decode(
        self, decoder: _Decoder, request: RenderRequest, latents: Tensors
    ) -> Iterator[Frames]:
        """The take's frames, a chunk of 17 at a time, each faded into the last as the VAE itself
        does it: bit for bit what one `vae.decode` gives."""
        video = _denormalised(decoder.vae, latents["video"].to(decoder.device), 5)
        chunks = _decoded(decoder.vae, video)
        yield from trimmed(chunks, given_frames(request), request.num_frames)

    def sound(self, decoder: _Decoder, request: RenderRequest, latents: Tensors) -> np.ndarray:
        """`(2, samples)`: from 32 to 48 kHz, less what lies under frames that are not the take's,
        and padded with silence or cut to the frames' length (a latent lasts 25 ms)."""
        import torch
        from scipy.signal import resample_poly

        audio = _denormalised(decoder.audio_vae, latents["audio"].to(decoder.device), 3)
        with torch.no_grad():
            heard = decoder.audio_vae.decode(audio, return_dict=False)[0]
        waves = heard.float().permute(1, 0, 2)[0].cpu().numpy()
        resampled = resample_poly(waves, SAMPLE_RATE, SOUND_RATE, axis=1)
        skipped = samples_at(given_frames(request), request.fps)
        samples = samples_at(request.num_frames, request.fps)
        sound = np.zeros((waves.shape[0], samples), np.float32)
        ours = resampled[:, skipped : skipped + samples]
        sound[:, : ours.shape[1]] = np.clip(ours, -1.0, 1.0)
        return sound

    def _pipeline(self, blocks: Mapping[str, Any], **components: Any) -> Any:
        """A pipeline of these blocks, with the canvas that the folder's index names."""
        from diffusers.modular_pipelines import SequentialPipelineBlocks

        for block in blocks.values():
            _without_bars(block)
        pipe = SequentialPipelineBlocks.from_blocks_dict(dict(blocks)).init_pipeline()
        index = json.loads((Path(self.sources.main) / "modular_model_index.json").read_text())
        expected = {config.name for config in pipe.blocks.expected_configs}
        configs = {name: index[name] for name in _CONFIGS if name in index and name in expected}
        pipe.update_components(**components, **configs)
        return pipe

    def _reading(self, reader: _Reader, workflow: str) -> dict[str, Any]:
        """The components of an encoding pipeline."""
        needed = {"t2va": (), "fl2va": ("vae",), "ref2va": ("vae", "audio_vae")}[workflow]
        return {
            "text_encoder": reader.text_encoder,
            "tokenizer": reader.tokenizer,
            "processor": reader.eyes,
            **{name: reader.vaes[name] for name in needed},
        }

    def _vae(self, name: str, placing: Placing) -> Any:
        import diffusers

        classes = {
            "vae": diffusers.AutoencoderKLMiniMaxH3,
            "audio_vae": diffusers.AutoencoderKLMiniMaxH3Audio,
        }
        loaded = classes[name].from_pretrained(self._folder(name), dtype=_dtype(placing))
        # Rounding would be seen and heard.
        return place(loaded, replace(placing, rung="resident", quantise=""), levers=False)

    def _folder(self, name: str) -> Path:
        return Path(self.sources.main) / name


def _without_bars(block: Any) -> None:
    """Progress goes to whoever asked for the take, not to the terminal."""
    if hasattr(block, "set_progress_bar_config"):
        block.set_progress_bar_config(disable=True)
    for inner in getattr(block, "sub_blocks", {}).values():
        _without_bars(inner)


def _key_pictures(request: RenderRequest, tools: RenderTools) -> dict[str, Any]:
    """The first and the last picture, in the request's size, as the resize block takes them."""
    from PIL import Image

    pictures = {
        "image": opening_picture(request, tools),
        "last_image": closing_picture(request, tools),
    }
    return {name: Image.fromarray(found) for name, found in pictures.items() if found is not None}


def _named(made: Mapping[str, Any]) -> Tensors:
    tensors = {name: made[name].cpu() for name in ("prompt_embeds", "text_token_tags")}
    for name, found in (("picture", "condition_latents"), ("sound", "audio_condition_latents")):
        for index, latents in enumerate(made.get(found) or ()):
            tensors[f"{name}_{index}"] = latents.cpu()
    return tensors


def _conditions(request: RenderRequest, encoded: Tensors, workflow: str) -> dict[str, Any]:
    """What the encoders made of pictures and voices, as the denoising blocks take it."""
    if workflow == "t2va":
        return {}
    pictures, sounds = (_numbered(encoded, name) for name in ("picture", "sound"))
    if workflow == "fl2va":
        opened = request.continue_from is not None or any(
            key.frame == 0 for key in request.key_pictures
        )
        closed = any(key.frame == request.num_frames - 1 for key in request.key_pictures)
        anchors = ("first",) * opened + ("last",) * closed
        if len(anchors) != len(pictures):
            raise RenderError(f"expected {len(anchors)} key pictures, {len(pictures)} were encoded")
        return {"condition_latents": pictures, "keyframe_anchors": anchors}
    from generator.backends.minimax_h3_parts.refs import reference_kinds

    return {
        "condition_latents": pictures,
        "audio_condition_latents": sounds,
        "normalized_references": reference_kinds(request),
    }


def _numbered(encoded: Tensors, name: str) -> list[Any]:
    count = sum(key.startswith(f"{name}_") for key in encoded)
    return [encoded[f"{name}_{index}"] for index in range(count)]


def _denormalised(vae: Any, latents: Any, ndim: int) -> Any:
    """Latents by the VAE's mean and deviation for each channel, the second of `ndim` axes."""
    import torch

    shape = (1, -1, *(1,) * (ndim - 2))
    mean = torch.tensor(vae.config.latents_mean, device=latents.device).view(shape)
    std = torch.tensor(vae.config.latents_std, device=latents.device).view(shape)
    return latents * std + mean


def _decoded(vae: Any, latents: Any) -> Iterator[Frames]:
    """`AutoencoderKLMiniMaxH3._decode`, one chunk at a time: each call sees five latents and the
    two after them, whose frames are faded into the next chunk's first."""
    import torch

    latents = latents.to(vae.post_quant_conv.weight.dtype)
    count, ratio = vae.tokens_chunk_size, vae.temporal_compression_ratio
    mean = torch.tensor(_PIXEL_MEAN, device=latents.device).view(1, -1, 1, 1, 1)
    std = torch.tensor(_PIXEL_STD, device=latents.device).view(1, -1, 1, 1, 1)
    before = None
    for start in range(0, latents.shape[2] - vae.token_overlap, count):
        # Entered for each chunk: a generator must not keep gradients off while it waits.
        with torch.no_grad():
            clip = vae._decode_clip(latents[:, :, start : start + count + vae.token_overlap])
            chunk = clip[:, :, vae.frame_pre_padding : count * ratio]
            if before is not None:
                chunk = vae._blend(before, chunk, vae.frame_overlap, dim=-3)
            before = clip[:, :, count * ratio :][:, :, vae.frame_pre_padding :]
            frames = frames_from_unit(chunk.float() * std + mean)
        yield frames
    if before is not None:
        yield frames_from_unit(before.float() * std + mean)


def _dtype(placing: Placing) -> Any:
    import torch

    return getattr(torch, placing.dtype)
