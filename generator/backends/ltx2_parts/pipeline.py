"""The diffusers pipeline of LTX-2 as the denoiser needs it: words come in encoded, keyframes stand
on their own frame, adapters are on or off by stage.

diffusers is imported inside the functions: a plan must not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from media.errors import RenderError

__all__ = [
    "EncodedWords",
    "conditioning_pipeline",
    "load_adapter",
    "reference_downscale",
    "require_transformer_only",
    "use_adapters",
]


class EncodedWords:
    """Stands where the pipeline has its text connectors: what they say was computed before.

    The pipelines run the connectors on 49 layers of the text encoder's states, 385 MB a prompt in
    bf16; what comes out is 12 MB. So the phase that encodes runs them, and the pipeline is handed
    both streams side by side as its `prompt_embeds`.
    """

    def __init__(self, video_width: int) -> None:
        self._video_width = video_width

    def __call__(self, embeds: Any, mask: Any, padding_side: str = "left") -> tuple[Any, Any, Any]:
        """Embeddings of the picture, of the sound, and the mask of both."""
        return embeds[..., : self._video_width], embeds[..., self._video_width :], mask


@cache
def conditioning_pipeline() -> Any:
    """A subclass of LTX2InContextPipeline, which takes keyframes and reference clips at once.

    Two things differ. A keyframe (`LTX2VideoCondition`) names a latent, eight frames; Lightricks'
    own `VideoConditionByKeyframeIndex` places it on a frame, and so does this, by the frames in
    `exact_frames`, one for each condition that is not at latent 0. And the device is said, not
    guessed from the modules, which may be offloaded.
    """
    import torch
    from diffusers import LTX2InContextPipeline

    class ExactKeyframes(LTX2InContextPipeline):  # type: ignore[misc]  # diffusers is untyped
        exact_frames: Sequence[int] = ()
        device_name = "cpu"

        @property
        def _execution_device(self) -> Any:
            return torch.device(self.device_name)

        def prepare_latents(self, *args: Any, **options: Any) -> Any:
            self._places = iter(self.exact_frames)
            return super().prepare_latents(*args, **options)

        def _prepare_keyframe_coords(self, **options: Any) -> Any:
            options["pixel_frame_idx"] = next(self._places)
            return super()._prepare_keyframe_coords(**options)

    return ExactKeyframes


def load_adapter(pipe: Any, path: str, name: str) -> None:
    """Load LoRA weights, a file or a folder with one, as the transformer's adapter `name`.

    RenderError for a file that is not there or changes more than the transformer.
    """
    file = _adapter_file(path)
    require_transformer_only(file)
    try:
        pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=name)
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        if "memory" in str(error).lower():
            raise
        raise RenderError(
            f"the adapter does not fit this model: {str(error).splitlines()[0][:300]}",
            where=file.name,
            todo="adapters are made for one generation of LTX-2: use one of this",
        ) from error


def use_adapters(pipe: Any, weights: Sequence[tuple[str, float]]) -> None:
    """Switch on exactly these of the loaded adapters."""
    if weights:
        pipe.enable_lora()
        pipe.set_adapters([name for name, _ in weights], [weight for _, weight in weights])
    elif getattr(pipe.transformer, "peft_config", None):
        pipe.disable_lora()


def reference_downscale(path: str) -> int:
    """How much smaller than the take an in-context adapter wants its reference clip.

    From the metadata that Lightricks' trainer writes (`reference_downscale_factor`); 1 without.
    """
    from safetensors import safe_open

    with safe_open(str(_adapter_file(path)), "pt") as file:
        return int((file.metadata() or {}).get("reference_downscale_factor", 1))


def require_transformer_only(file: Path) -> None:
    """Raise RenderError for an adapter that also changes how words are read."""
    from safetensors import safe_open

    with safe_open(str(file), "pt") as weights:
        others = [
            name
            for name in weights.keys()  # noqa: SIM118  # safe_open is no mapping
            if name.startswith(("connectors.", "text_embedding_projection."))
        ]
    if others:
        raise RenderError(
            f"the adapter also changes how words are read ({others[0]}), which is not applied",
            where=file.name,
            todo="use an adapter of the transformer alone",
        )


def _adapter_file(path: str) -> Path:
    named = Path(path)
    if named.is_file():
        return named
    found = sorted(named.glob("*.safetensors"))
    if len(found) != 1:
        raise RenderError(
            f"expected one .safetensors file, found {len(found)}",
            where=str(named),
            todo="name the file with weight_name in the models file",
        )
    return found[0]
