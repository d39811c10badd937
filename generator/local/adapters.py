"""Adapters (LoRA) of characters on a loaded denoiser: changed between takes, the model stays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generator.local.device import is_out_of_memory
from media.errors import RenderError

__all__ = ["lora_name", "set_loras"]


def lora_name(sha256: str) -> str:
    """What the adapter of that content is called inside a model."""
    return f"lora_{sha256[:16]}"


def set_loras(
    pipe: Any,
    loras: tuple[tuple[str, str, float], ...],
    *,
    base: str,
    besides: Mapping[str, float] | None = None,
) -> None:
    """Make `loras` (SHA-256, path, weight) the pipeline's only adapters of characters.

    `pipe` is a diffusers pipeline with a LoRA loader and its denoiser as `transformer`; those of
    `besides`, loaded under names of their own, stay, at these weights. What is loaded already is
    only weighted anew. `base` says in an error what the files must have been made for:
    RenderError for a file that is no adapter, or one of another model.
    """
    model = pipe.transformer
    wanted = {lora_name(sha256): (Path(path), weight) for sha256, path, weight in loras}
    kept = dict(besides or {})
    gone = [
        name
        for name in getattr(model, "peft_config", {})
        if name.startswith("lora_") and name not in wanted and name not in kept
    ]
    if gone:
        pipe.delete_adapters(gone)
    for name, (path, _) in wanted.items():
        if name not in getattr(model, "peft_config", {}):
            _load(pipe, path, name, base)
    weights = kept | {name: weight for name, (_, weight) in wanted.items()}
    if weights:
        pipe.set_adapters(list(weights), adapter_weights=list(weights.values()))


def _load(pipe: Any, path: Path, name: str, base: str) -> None:
    """Load one adapter; diffusers passes over keys that it does not know, so what came is seen."""
    try:
        pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=name)
    except (ValueError, KeyError, RuntimeError, AttributeError, OSError) as error:
        if is_out_of_memory(error):
            raise
        said = str(error).strip().splitlines()
        raise _foreign(path, base, said[0][:300] if said else type(error).__name__) from error
    if name not in getattr(pipe.transformer, "peft_config", {}):
        raise _foreign(path, base, "it has no weights for this transformer")


def _foreign(path: Path, base: str, said: str) -> RenderError:
    return RenderError(
        f"expected an adapter for {base}: {said}",
        where=path.name,
        todo="name the model that it was made for as the lora's base in the storyboard",
    )
