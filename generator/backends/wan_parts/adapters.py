"""Wan's adapters: of characters, and the few-step ones, on one transformer or on two experts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from generator.local.adapters import lora_name
from generator.local.device import is_out_of_memory
from media.errors import RenderError

__all__ = ["FEW_STEPS_NAME", "activate", "few_step_files", "load_lora", "set_loras"]

FEW_STEPS_NAME = "few_steps"
"""Of the few-step adapter, and of the option that asks for it."""


def few_step_files(source: Path, num_experts: int) -> list[Path]:
    """The adapter of each expert, the one for high noise first."""
    if source.is_file():
        return [source] * num_experts
    files = sorted(source.glob("*.safetensors"))
    if num_experts == 1 and len(files) == 1:
        return files
    found = [[file for file in files if word in file.name.lower()] for word in ("high", "low")][
        :num_experts
    ]
    if num_experts == 1 or any(len(one) != 1 for one in found):
        raise RenderError(
            f"expected {num_experts} few-step adapters (high noise and low noise), "
            f"found {', '.join(file.name for file in files) or 'none'}",
            where=str(source),
            todo="name the file as weight_name in the models file",
        )
    return [one[0] for one in found]


def load_lora(pipe: Any, file: Path, name: str, *, second: bool = False) -> None:
    """Load an adapter onto one transformer. RenderError when it does not fit."""
    options = {"load_into_transformer_2": True} if second else {}
    try:
        pipe.load_lora_weights(
            str(file.parent), weight_name=file.name, adapter_name=name, **options
        )
    except (ValueError, KeyError, RuntimeError, AttributeError, OSError) as error:
        if is_out_of_memory(error):
            raise
        said = str(error).strip().splitlines()
        raise _foreign(file, said[0][:300] if said else type(error).__name__) from error
    expert = pipe.transformer_2 if second else pipe.transformer
    # diffusers passes over what it does not know, so what came is seen.
    if name not in getattr(expert, "peft_config", {}):
        raise _foreign(file, "it has no weights for this transformer")


def set_loras(
    pipe: Any, experts: Sequence[Any], loras: Sequence[tuple[str, str, float]]
) -> Mapping[str, float]:
    """Make `loras` (SHA-256, path, weight) the only adapters of characters; weights by name.

    One for both experts is loaded onto both. What is loaded already stays.
    """
    wanted = {lora_name(sha256): (Path(path), weight) for sha256, path, weight in loras}
    for index, expert in enumerate(experts):
        loaded = getattr(expert, "peft_config", {})
        gone = [name for name in loaded if name != FEW_STEPS_NAME and name not in wanted]
        if gone:
            expert.delete_adapters(gone)
        for name, (path, _) in wanted.items():
            known = name in getattr(expert, "peft_config", {})
            if not known and index in _experts_of(path, len(experts)):
                load_lora(pipe, path, name, second=index == 1)
    return {name: weight for name, (_, weight) in wanted.items()}


def activate(experts: Sequence[Any], loras: Mapping[str, float], *, few_steps: bool) -> None:
    """Switch the transformers to `loras` (name and weight), and to few steps or not."""
    for expert in experts:
        loaded = getattr(expert, "peft_config", {})
        wanted = {name: weight for name, weight in loras.items() if name in loaded}
        if few_steps:
            if FEW_STEPS_NAME not in loaded:
                raise RenderError("the few-step adapter is not loaded")
            wanted[FEW_STEPS_NAME] = 1.0
        if wanted:
            expert.enable_lora()
            expert.set_adapters(list(wanted), weights=list(wanted.values()))
        elif loaded:
            expert.disable_lora()


def _experts_of(path: Path, num_experts: int) -> tuple[int, ...]:
    """Which experts an adapter is for: its trainer names it, or it is for both."""
    name = path.name.lower()
    if num_experts == 1:
        return (0,)
    if "high_noise" in name or "highnoise" in name:
        return (0,)
    if "low_noise" in name or "lownoise" in name:
        return (1,)
    return (0, 1)


def _foreign(file: Path, said: str) -> RenderError:
    return RenderError(
        f"expected an adapter for this Wan's transformer: {said}",
        where=file.name,
        todo="name the model that it was made for as the lora's base in the storyboard",
    )
