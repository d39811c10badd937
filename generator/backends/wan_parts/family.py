"""Wan, phase by phase: UMT5 embeddings, one of five pipelines, causal VAE.

Every checkpoint of a generation has the same text encoder and VAE, so prompts are encoded and
latents decoded with the main one's; a part brings its transformers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.backends.base import Frames, RenderRequest, RenderTools
from generator.backends.wan_parts.adapters import (
    FEW_STEPS_NAME,
    activate,
    few_step_files,
    load_lora,
    set_loras,
)
from generator.backends.wan_parts.calls import CALLS, watch
from generator.backends.wan_parts.decode import stream_frames
from generator.backends.wan_parts.inputs import call_frames, given_frames, pipeline_of
from generator.backends.wan_parts.models import (
    ANIMATE_RULE,
    FEW_STEPS,
    FEW_STEPS_FOR,
    Pipeline,
    Sampling,
    Wan,
)
from generator.local.clips import trimmed
from generator.local.family import Placing, Sources, Tensors
from generator.local.levers import place, step_cache
from generator.local.seeds import noise_generator

__all__ = ["PROFILE_STEPS", "WanFamily", "sampling_of"]

_TEXT_TOKENS = 512
"""`text_len` of the shared configuration."""

_SMALL_PIXELS = 832 * 480
PROFILE_STEPS = {"draft": 0.4, "standard": 0.75, "fine": 1.0}
"""Share of the makers' steps."""


def sampling_of(wan: Wan, request: RenderRequest, pipeline: Pipeline) -> Sampling:
    """Steps, guidance and shift for a snapped request."""
    options = dict(request.options)
    if options.get(FEW_STEPS_NAME):
        return FEW_STEPS
    own = wan.sampling[pipeline]
    small = request.size[0] * request.size[1] <= _SMALL_PIXELS
    guidance = float(options.get("guidance", own.guidance))
    return Sampling(
        steps=int(options.get("steps", max(1, round(own.steps * PROFILE_STEPS[request.profile])))),
        guidance=guidance,
        low_noise_guidance=guidance + own.low_noise_guidance - own.guidance,
        shift=own.small_shift if small and own.small_shift else own.shift,
    )


@dataclass(frozen=True, slots=True)
class _Encoder:
    tokenizer: Any
    model: Any
    device: str


@dataclass(slots=True)
class _Denoiser:
    """A checkpoint's transformers in the pipelines that use them."""

    pipes: dict[str, Any]
    device: str
    step_cache: str
    loras: Mapping[str, float] = field(default_factory=dict)
    """Adapters of characters by name, with their weights."""

    @property
    def pipe(self) -> Any:
        """One of the pipelines: they share their parts."""
        return next(iter(self.pipes.values()))

    @property
    def experts(self) -> tuple[Any, ...]:
        """The transformers: one, or one for high and one for low noise."""
        both = (self.pipe.transformer, getattr(self.pipe, "transformer_2", None))
        return tuple(expert for expert in both if expert is not None)


class WanFamily:
    """One generation of Wan from its folders."""

    def __init__(self, sources: Sources, wan: Wan) -> None:
        self.sources, self.wan = sources, wan

    def variant(self, request: RenderRequest) -> str:
        """The part whose transformers make the request."""
        return self.wan.weights[pipeline_of(request)]

    def load_encoder(self, placing: Placing) -> _Encoder:
        """UMT5 and its tokenizer."""
        import torch
        from transformers import AutoTokenizer, UMT5EncoderModel

        # T5 was trained in bfloat16: its activations leave float16's range.
        placing = replace(placing, dtype="float32") if placing.dtype == "float16" else placing
        dtype, main = getattr(torch, placing.dtype), self.sources.main
        model = UMT5EncoderModel.from_pretrained(
            main, subfolder="text_encoder", dtype=dtype, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(
            main, subfolder="tokenizer", local_files_only=True
        )
        return _Encoder(tokenizer, place(model, placing, levers=False), placing.device)

    def encode(self, encoder: _Encoder, request: RenderRequest) -> Tensors:
        """`prompt` and `negative`, `(1, 512, dim)` each, zero behind the words.

        As the pipelines' `encode_prompt`, which cannot be called without the package ftfy; the
        prompts are our own and need no mending.
        """
        return {
            "prompt": _embedded(encoder, request.prompt),
            "negative": _embedded(encoder, request.negative),
        }

    def load_denoiser(self, placing: Placing) -> _Denoiser:
        """The pipelines of the part `placing.variant`, without text encoder."""
        part = placing.variant
        folder = self.sources.main if part == "main" else self.sources.parts[part]
        pipes = _PIPELINES[part](self, folder, placing)
        denoiser = _Denoiser(pipes, placing.device, placing.step_cache)
        self._load_few_steps(denoiser, part)
        self.set_loras(denoiser, placing.loras)
        pipe = denoiser.pipe
        for expert in denoiser.experts:
            place(expert, placing)
        for beside in (getattr(pipe, "image_encoder", None), pipe.vae):
            if beside is not None:
                _place_beside(beside, placing)
        for one in pipes.values():
            one.set_progress_bar_config(disable=True)
        return denoiser

    def set_loras(self, denoiser: _Denoiser, loras: tuple[tuple[str, str, float], ...]) -> None:
        """Make these the denoiser's only adapters of characters: SHA-256, path, weight."""
        denoiser.loras = set_loras(denoiser.pipe, denoiser.experts, loras)

    def denoise(
        self, denoiser: _Denoiser, request: RenderRequest, encoded: Tensors, tools: RenderTools
    ) -> Tensors:
        """`video`, `(1, channels, frames, h, w)`; its first frames may be an earlier take's."""
        import torch

        pipeline = pipeline_of(request)
        sampling = sampling_of(self.wan, request, pipeline)
        pipe = denoiser.pipes["image" if pipeline == "first_last" else pipeline]
        activate(denoiser.experts, denoiser.loras, few_steps=sampling is FEW_STEPS)
        pipe.scheduler = _scheduler(pipe, sampling)
        rule = ANIMATE_RULE if pipeline == "animate" else self.wan.frame_rule
        total = call_frames(request, rule)
        options = _sampling_options(pipe, sampling, request, encoded, denoiser)
        with torch.no_grad(), ExitStack() as stack:
            for expert in denoiser.experts:
                stack.enter_context(
                    step_cache(
                        expert,
                        denoiser.step_cache,
                        num_steps=sampling.steps,
                        timestep=lambda: pipe.current_timestep,
                    )
                )
            stack.callback(pipe.maybe_free_model_hooks)
            make = CALLS[pipeline]
            latents = make(pipe, request, tools, total, options, watch(tools, sampling.steps))
        return {"video": latents.float().cpu()}

    def load_decoder(self, placing: Placing) -> tuple[Any, Placing]:
        """The VAE in float32 ("for better decoding quality", diffusers' guide to Wan).

        It is small, so what is saved where room is short is features, not weights.
        """
        import torch
        from diffusers import AutoencoderKLWan

        vae = AutoencoderKLWan.from_pretrained(
            self.sources.main, subfolder="vae", dtype=torch.float32, local_files_only=True
        )
        return place(vae, _exact(placing), levers=False), placing

    def decode(
        self, decoder: tuple[Any, Placing], request: RenderRequest, latents: Tensors
    ) -> Iterator[Frames]:
        """The take's frames, a latent frame at a time, without those that were given."""
        vae, placing = decoder
        tiled = placing.rung != "resident"
        frames = stream_frames(vae, latents["video"], placing.device, tiled=tiled)
        return trimmed(frames, given_frames(request), request.num_frames)

    def sound(
        self, decoder: tuple[Any, Placing], request: RenderRequest, latents: Tensors
    ) -> np.ndarray | None:
        """Wan is silent."""
        return None

    def _main_pipes(self, folder: str, placing: Placing) -> dict[str, Any]:
        from diffusers import WanImageToVideoPipeline, WanPipeline

        if self.wan.weights.get("image") != "main":
            # Words alone need no VAE before decoding.
            return {"text": _loaded(WanPipeline, folder, placing, vae=None)}
        pipe = _loaded(WanPipeline, folder, placing, vae=self._vae())
        shared = {name: pipe.components[name] for name in ("vae", "scheduler", "transformer")}
        image = WanImageToVideoPipeline(
            **shared,
            tokenizer=None,
            text_encoder=None,
            expand_timesteps=pipe.config.expand_timesteps,
        )
        return {"text": pipe, "image": image}

    def _image_pipes(self, folder: str, placing: Placing) -> dict[str, Any]:
        from diffusers import WanImageToVideoPipeline

        return {"image": _loaded(WanImageToVideoPipeline, folder, placing, vae=self._vae())}

    def _vace_pipes(self, folder: str, placing: Placing) -> dict[str, Any]:
        from diffusers import WanVACEPipeline

        return {"vace": _loaded(WanVACEPipeline, folder, placing, vae=self._vae())}

    def _animate_pipes(self, folder: str, placing: Placing) -> dict[str, Any]:
        from diffusers import WanAnimatePipeline

        return {"animate": _loaded(WanAnimatePipeline, folder, placing, vae=self._vae())}

    def _vae(self) -> Any:
        """Of its own: encoding a picture clears what a decoding beside it remembers."""
        import torch
        from diffusers import AutoencoderKLWan

        return AutoencoderKLWan.from_pretrained(
            self.sources.main, subfolder="vae", dtype=torch.float32, local_files_only=True
        )

    def _load_few_steps(self, denoiser: _Denoiser, part: str) -> None:
        """The few-step adapters for the part, which a request switches on."""
        name = FEW_STEPS_FOR.get(part, "")
        if name not in self.sources.parts:
            return
        files = few_step_files(Path(self.sources.parts[name]), len(denoiser.experts))
        for index, file in enumerate(files):
            load_lora(denoiser.pipe, file, FEW_STEPS_NAME, second=index == 1)


_PIPELINES: dict[str, Callable[[WanFamily, str, Placing], dict[str, Any]]] = {
    "main": WanFamily._main_pipes,
    "i2v": WanFamily._image_pipes,
    "flf2v": WanFamily._image_pipes,
    "vace": WanFamily._vace_pipes,
    "animate": WanFamily._animate_pipes,
}


def _loaded(cls: Any, folder: str, placing: Placing, **given: Any) -> Any:
    """The pipeline from its folder with what is `given`, and without words."""
    import torch

    return cls.from_pretrained(
        folder,
        dtype={"image_encoder": torch.float32, "default": getattr(torch, placing.dtype)},
        text_encoder=None,
        tokenizer=None,
        local_files_only=True,
        **given,
    )


def _exact(placing: Placing) -> Placing:
    """For the VAE and the image encoder: small, and looked at closely."""
    return replace(placing, dtype="float32", rung="resident", quantise="")


def _place_beside(module: Any, placing: Placing) -> None:
    """Put what looks at pictures on the device, beside transformers that may be kept elsewhere."""
    place(module, _exact(placing), levers=False)
    if placing.rung == "sequential_offload":
        # Pipelines ask every part where they compute; offloaded ones answer by their hooks alone.
        from accelerate.hooks import AlignDevicesHook, add_hook_to_module

        add_hook_to_module(module, AlignDevicesHook(execution_device=placing.device))


def _embedded(encoder: _Encoder, text: str) -> Any:
    import torch

    tokens = encoder.tokenizer(
        " ".join(text.split()),
        padding="max_length",
        max_length=_TEXT_TOKENS,
        truncation=True,
        add_special_tokens=True,
        return_attention_mask=True,
        return_tensors="pt",
    )
    mask = tokens.attention_mask.to(encoder.device)
    with torch.no_grad():
        hidden = encoder.model(tokens.input_ids.to(encoder.device), mask).last_hidden_state
        return torch.where(mask[..., None] > 0, hidden, hidden.new_zeros(())).cpu()


def _scheduler(pipe: Any, sampling: Sampling) -> Any:
    """A scheduler of the take's own: what it counts belongs to one take."""
    from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler

    if sampling is not FEW_STEPS:
        return UniPCMultistepScheduler.from_config(
            pipe.scheduler.config,
            prediction_type="flow_prediction",
            use_flow_sigmas=True,
            flow_shift=sampling.shift,
        )
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=sampling.shift)
    spaced = scheduler.set_timesteps

    def set_timesteps(num_inference_steps: int, device: Any = None) -> None:
        # The adapters were trained at these noise levels; the scheduler's own end at 0.005.
        sigmas = np.linspace(1.0, 0.0, num_inference_steps, endpoint=False)
        spaced(num_inference_steps, device=device, sigmas=sigmas.tolist())

    scheduler.set_timesteps = set_timesteps
    return scheduler


def _sampling_options(
    pipe: Any, sampling: Sampling, request: RenderRequest, encoded: Tensors, denoiser: _Denoiser
) -> dict[str, Any]:
    options = {
        "prompt_embeds": encoded["prompt"].to(denoiser.device),
        "width": request.size[0],
        "height": request.size[1],
        "num_inference_steps": sampling.steps,
        "guidance_scale": sampling.guidance,
        "generator": noise_generator(request.seed),
        "output_type": "latent",
        "return_dict": False,
    }
    if sampling.guidance > 1:
        options["negative_prompt_embeds"] = encoded["negative"].to(denoiser.device)
    if pipe.config.get("boundary_ratio") is not None:
        options["guidance_scale_2"] = sampling.low_noise_guidance
    return options
