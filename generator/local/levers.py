"""Speed levers: what each asks of a model, and putting a loaded module where its placing says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from generator.local.family import Placing
from generator.local.settings import ModelSettings
from media.errors import RenderError
from storyboards.fields import did_you_mean

__all__ = ["ATTENTIONS", "STEP_CACHES", "LeverSupport", "lever_refusal", "place", "step_cache"]

STEP_CACHES = ("firstblock", "magcache", "pyramid", "taylorseer")

ATTENTIONS = (
    *("native", "flex", "flash", "flash_hub", "flash_varlen", "flash_varlen_hub", "flash_4_hub"),
    *("_flash_3", "_flash_varlen_3", "_flash_3_hub", "_flash_3_varlen_hub", "aiter_fa2_hub"),
    *("sage", "sage_hub", "sage_blackwell_hub", "sage_varlen", "xformers"),
    *("_native_cudnn", "_native_efficient", "_native_flash", "_native_math"),
    *("_native_npu", "_native_xla"),
    *("_sage_qk_int8_pv_fp8_cuda", "_sage_qk_int8_pv_fp8_cuda_sm90"),
    *("_sage_qk_int8_pv_fp16_cuda", "_sage_qk_int8_pv_fp16_triton"),
)
"""Diffusers' AttentionBackendName, written out: a plan does not load diffusers."""

_ATTENTION_PACKAGES = {
    "flash": "flash_attn",
    "flash_varlen": "flash_attn",
    "sage": "sageattention",
    "sage_varlen": "sageattention",
    "xformers": "xformers",
}
"""What diffusers' attention backends that come from elsewhere import (attention_dispatch.py)."""


@dataclass(frozen=True, slots=True)
class LeverSupport:
    """What a family can do with its denoiser; the driver refuses the rest with a reason."""

    compile: bool = True
    attention: bool = True
    quantise: frozenset[Literal["fp8", "int8"]] = frozenset({"fp8", "int8"})
    step_caches: frozenset[str] = frozenset()
    """Of STEP_CACHES."""
    reasons: tuple[tuple[str, str], ...] = ()
    """Why not, by lever (`compile`, `attention`, `fp8`, a step cache's name)."""

    def why_not(self, lever: str, default: str) -> str:
        """The reason of a refused lever."""
        return dict(self.reasons).get(lever, default)


def lever_refusal(model: ModelSettings, support: LeverSupport) -> str:
    """Why a lever that the settings ask for cannot be pulled; empty: all can. Loads nothing."""
    if model.compile and not support.compile:
        return "compile: " + support.why_not("compile", "this model cannot be compiled in parts")
    if model.attention and not support.attention:
        reason = support.why_not("attention", "this model has an attention of its own")
        return f"attention {model.attention}: {reason}"
    if model.attention and model.attention not in ATTENTIONS:
        hint = did_you_mean(model.attention, list(ATTENTIONS))
        return f"attention: expected one of {', '.join(ATTENTIONS)}, got {model.attention!r}{hint}"
    package = _ATTENTION_PACKAGES.get(model.attention, "")
    if package and find_spec(package) is None:
        return f"attention {model.attention}: needs the package {package}, which is not installed"
    if model.precision in ("fp8", "int8"):
        if model.precision not in support.quantise:
            reason = support.why_not(model.precision, "this model loses too much by it")
            return f"precision {model.precision}: {reason}"
        if model.precision == "int8" and find_spec("torchao") is None:
            return "precision int8: needs the package torchao, which is not installed"
    if model.step_cache and model.step_cache not in STEP_CACHES:
        return f"step_cache: expected one of {', '.join(STEP_CACHES)}, got {model.step_cache!r}"
    if model.step_cache and model.step_cache not in support.step_caches:
        reason = support.why_not(model.step_cache, "this model's blocks do not support it")
        return f"step_cache {model.step_cache}: {reason}"
    return ""


def place(module: Any, placing: Placing, *, levers: bool = True) -> Any:
    """The module (a `torch.nn.Module`) quantised, moved or offloaded as `placing` says, in
    inference mode; with `levers`, its attention and compiled blocks are set too.

    Adapters go in before: they are put beside the weights that they change.
    """
    import torch

    module.eval().requires_grad_(False)
    dtype = getattr(torch, placing.dtype)
    quantise = placing.quantise or ("fp8" if placing.rung == "quantised" else "")
    if levers and placing.attention:
        _set_attention(module, placing.attention)
    if quantise == "int8":
        _to_int8(module)
    elif quantise == "fp8":
        _to_fp8(module, dtype)
    device = torch.device(placing.device)
    if placing.rung == "group_offload":
        _offload_groups(module, device)
    elif placing.rung == "sequential_offload":
        from accelerate import cpu_offload

        cpu_offload(module, execution_device=device, offload_buffers=True)
    else:
        module.to(device)
    if levers and placing.compile:
        _compile(module)
    return module


@contextmanager
def step_cache(
    model: Any,
    name: str,
    *,
    num_steps: int,
    timestep: Callable[[], Any] | None = None,
    mag_ratios: Sequence[float] = (),
) -> Iterator[None]:
    """The step cache `name` (empty: none) on a diffusers transformer for one take.

    It is taken off again, so nothing of one take gets into the next. `timestep` returns the
    pipeline's current timestep, which `pyramid` follows; `mag_ratios` are what `magcache` goes
    by, measured on the model (MagCacheConfig's `calibrate`).
    """
    if not name:
        yield
        return
    model.enable_cache(_cache_config(name, num_steps, timestep, mag_ratios))
    try:
        yield
    finally:
        model.disable_cache()


def _cache_config(
    name: str,
    num_steps: int,
    timestep: Callable[[], Any] | None,
    mag_ratios: Sequence[float],
) -> Any:
    import diffusers

    if name == "taylorseer":
        # The last tenth in full, where detail is settled; as TaylorSeer's example has it.
        after = max(4, num_steps - max(1, num_steps // 10))
        return diffusers.TaylorSeerCacheConfig(disable_cache_after_step=after)
    if name == "firstblock":
        return diffusers.FirstBlockCacheConfig()
    if name == "magcache":
        return diffusers.MagCacheConfig(
            num_inference_steps=num_steps, mag_ratios=list(mag_ratios) or None
        )
    if name == "pyramid":
        return diffusers.PyramidAttentionBroadcastConfig(
            spatial_attention_block_skip_range=2,
            cross_attention_block_skip_range=6,
            current_timestep_callback=timestep,
        )
    raise RenderError(f"expected one of {', '.join(STEP_CACHES)}, got {name!r}")


def _set_attention(module: Any, backend: str) -> None:
    from diffusers.models.attention_dispatch import attention_backend

    try:
        # The module's own, and not, as diffusers would leave it, everybody's default as well.
        with attention_backend():
            module.set_attention_backend(backend)
    except (ValueError, RuntimeError, ImportError, AttributeError) as error:
        raise RenderError(
            f"attention {backend!r} cannot be used here: {str(error).splitlines()[0][:300]}",
            todo='correct "attention" in the models file, or install what it needs',
        ) from error


def _to_fp8(module: Any, compute_dtype: Any) -> None:
    import torch
    from diffusers.hooks import apply_layerwise_casting

    if hasattr(module, "enable_layerwise_casting"):
        module.enable_layerwise_casting(torch.float8_e4m3fn, compute_dtype)
        return
    # Models of transformers: embeddings are added to what is computed, and what they name
    # themselves (T5's `wo`) has to stay exact.
    exact = ("norm", "embed", "lm_head", *(getattr(module, "_keep_in_fp32_modules", None) or ()))
    apply_layerwise_casting(
        module, torch.float8_e4m3fn, compute_dtype, exact, (torch.nn.Embedding,)
    )


def _to_int8(module: Any) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(module, Int8WeightOnlyConfig())


def _offload_groups(module: Any, device: Any) -> None:
    import torch
    from diffusers.hooks import apply_group_offloading

    # Tiled decoders run another order of layers than the first pass that streams follow.
    streams = device.type == "cuda" and not hasattr(module, "use_tiling")
    if getattr(module, "_supports_group_offloading", False) and _has_blocks(module):
        module.enable_group_offload(
            device,
            torch.device("cpu"),
            offload_type="block_level",
            num_blocks_per_group=1,
            use_stream=streams,
        )
        return
    # Without blocks at the top (text encoders), the groups would be the whole module.
    apply_group_offloading(
        module, device, torch.device("cpu"), offload_type="leaf_level", use_stream=streams
    )


def _has_blocks(module: Any) -> bool:
    import torch

    return any(isinstance(child, torch.nn.ModuleList) for child in module.children())


def _compile(module: Any) -> None:
    try:
        module.compile_repeated_blocks(dynamic=None)
    except (ValueError, AttributeError) as error:
        raise RenderError(
            f"compile: {type(module).__name__} has no repeated blocks to compile",
            todo='set "compile = false" in the models file',
        ) from error
