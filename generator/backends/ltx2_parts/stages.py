"""One take's stages on the loaded model: what the pipeline is called with, twice at most."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from generator.backends.base import FrameRule, RenderRequest, RenderTools
from generator.backends.ltx2_parts.conditions import (
    Held,
    call_frames,
    held_frames,
    sheet_clip,
)
from generator.backends.ltx2_parts.pipeline import EncodedWords, use_adapters
from generator.backends.ltx2_parts.recipe import Setup, Stage
from generator.local.family import Tensors
from generator.local.levers import step_cache
from generator.local.seeds import noise_generator
from media.errors import CancelledError

__all__ = ["Denoiser", "Progress", "TakeStages"]

_GUIDANCE = {
    "guidance_scale": 3.0,
    "stg_scale": 1.0,
    "modality_scale": 3.0,
    "guidance_rescale": 0.7,
    "audio_guidance_scale": 7.0,
    "audio_stg_scale": 1.0,
    "audio_modality_scale": 3.0,
    "audio_guidance_rescale": 0.7,
    "spatio_temporal_guidance_blocks": [28],
}
"""The pipelines' own defaults, which are Lightricks' for LTX-2.3 and 2.5."""

_NO_GUIDANCE = {
    name: 1.0 if name.endswith(("guidance_scale", "modality_scale")) else 0.0
    for name in _GUIDANCE
    if name != "spatio_temporal_guidance_blocks"
}


@dataclass(slots=True)
class Denoiser:
    """What `load_denoiser` loads."""

    pipe: Any
    upsample: Any
    """LTX2LatentUpsamplePipeline, or None."""
    schedule: Any
    """The scheduler of the folder: what others are made from."""
    step_cache: str
    downscale: int = 1
    """Of reference clips."""
    loras: tuple[tuple[str, float], ...] = ()
    """Adapters of the characters, by name, with their weights."""


@dataclass(slots=True)
class Progress:
    """Steps of all stages of one take, counted for `tools`."""

    tools: RenderTools
    total: int
    done: int = field(default=0)

    def require_going(self) -> None:
        """Raise CancelledError when somebody asked to stop."""
        if self.tools.should_stop():
            raise CancelledError(f"cancelled at step {self.done} of {self.total}")

    def __call__(self, pipe: Any, step: int, timestep: Any, tensors: Any) -> dict[str, Any]:
        self.done += 1
        self.tools.on_step(self.done, self.total)
        if self.done < self.total:
            self.require_going()
        return {}


@dataclass(slots=True)
class TakeStages:
    """The stages of one take on one denoiser."""

    setup: Setup
    rule: FrameRule
    denoiser: Denoiser
    request: RenderRequest
    encoded: Tensors
    tools: RenderTools
    progress: Progress
    generator: Any = None

    def stage(
        self, stage: Stage, size: tuple[int, int], video: Any = None, audio: Any = None
    ) -> tuple[Any, Any]:
        """Latents of picture and sound after one stage at `size`; a second starts from some."""
        pipe, request = self.denoiser.pipe, self.request
        num_frames = call_frames(request, self.rule)
        if self.generator is None:
            self.generator = noise_generator(request.seed)
        held = list(held_frames(request, self.tools, size))
        pipe.exact_frames = tuple(one.frame for one in held if one.latent)
        use_adapters(pipe, self._adapters(stage))
        schedule = self._schedule(stage)
        with step_cache(
            pipe.transformer,
            self.denoiser.step_cache,
            num_steps=stage.steps,
            timestep=lambda: pipe._current_timestep,
        ):
            made: tuple[Any, Any] = pipe(
                **self._words(),
                **schedule,
                **(_GUIDANCE if stage.kind == "guided" else _NO_GUIDANCE),
                conditions=[self._condition(one) for one in held] or None,
                **({} if stage.kind == "refine" else self._references(size, num_frames)),
                width=size[0],
                height=size[1],
                num_frames=num_frames,
                frame_rate=float(request.fps),
                latents=video,
                audio_latents=audio,
                generator=self.generator,
                output_type="latent",
                return_dict=False,
                callback_on_step_end=self.progress,
            )
        return made

    def _words(self) -> dict[str, Any]:
        pipe, encoded = self.denoiser.pipe, self.encoded
        pipe.connectors = EncodedWords(int(encoded["width"]))
        words = encoded["words"].to(pipe.device_name, pipe.transformer.dtype)
        mask = encoded["mask"].to(pipe.device_name)
        named = {"prompt_embeds": words[-1:], "prompt_attention_mask": mask[-1:]}
        if len(words) == 2:
            named["negative_prompt_embeds"] = words[:1]
            named["negative_prompt_attention_mask"] = mask[:1]
        return named

    def _schedule(self, stage: Stage) -> dict[str, Any]:
        """The noise levels, and the scheduler that walks them as they are."""
        from diffusers import FlowMatchEulerDiscreteScheduler
        from diffusers.pipelines.ltx2.utils import (
            DISTILLED_SIGMA_VALUES,
            STAGE_2_DISTILLED_SIGMA_VALUES,
        )

        config = self.denoiser.schedule.config
        if stage.kind == "guided":
            self.denoiser.pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
            return {"num_inference_steps": stage.steps}
        # The distilled levels are meant as they stand: no shift by size, none to an end.
        self.denoiser.pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(
            config, use_dynamic_shifting=False, shift_terminal=None, shift=1.0
        )
        levels = DISTILLED_SIGMA_VALUES
        if stage.kind == "refine":
            levels = STAGE_2_DISTILLED_SIGMA_VALUES
        sigmas = [levels[index] for index in stage.picks]
        return {
            "num_inference_steps": len(sigmas),
            "sigmas": sigmas,
            "noise_scale": sigmas[0],
        }

    def _adapters(self, stage: Stage) -> list[tuple[str, float]]:
        on = list(self.denoiser.loras)
        if self.request.references and stage.kind != "refine":
            on.append(("ingredients", 1.0))
        if stage.kind != "guided" and not self.setup.distilled:
            on.append(("distilled", 1.0))
        return on

    def _condition(self, held: Held) -> Any:
        from diffusers.pipelines.ltx2 import LTX2VideoCondition

        crf = self.setup.image_crf if held.recompressed else 0
        return LTX2VideoCondition(held.frames, held.latent, held.strength, crf)

    def _references(self, size: tuple[int, int], num_frames: int) -> dict[str, Any]:
        clip = sheet_clip(self.request, self.tools, size, num_frames)
        if clip is None:
            return {}
        from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import LTX2ReferenceCondition

        return {
            "reference_conditions": [LTX2ReferenceCondition(clip)],
            "reference_downscale_factor": self.denoiser.downscale,
        }
