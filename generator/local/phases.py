"""What a phase made, kept under its content's key, so that no later failure makes it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generator.local.family import Tensors
from media.errors import StoreError
from media.store import ContentStore

__all__ = ["LATENTS", "PROMPTS", "Notes", "kept", "load_tensors", "save_tensors"]

PROMPTS = "prompts"
"""Kind of the store that holds embeddings of prompts."""

LATENTS = "latents"
"""Kind of the store that holds what was denoised: of no use once its take is in the store."""

_FILE = "tensors.safetensors"


@dataclass(frozen=True, slots=True)
class Notes:
    """What is to be said of a take when it is done; kept with what a phase made."""

    warnings: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by phase."""


def kept(
    root: Path | None,
    kind: str,
    key: str,
    make: Callable[[], Tensors],
    notes: Notes,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tensors:
    """The tensors of `key` from the store under `root`, made by `make` when they are not there.

    What `make` notes is kept with them and noted again by whoever finds them. Without a root
    nothing is kept. What was made and cannot be written (a full disk) is returned with a
    warning: it cost more than the space it lacks.
    """
    if root is None:
        return make()
    store = ContentStore(root, kind)
    made: list[Tensors] = []

    def build(folder: Path) -> Mapping[str, Any]:
        told, known = len(notes.warnings), dict(notes.versions)
        made.append(make())
        save_tensors(folder / _FILE, made[0])
        return {
            "warnings": notes.warnings[told:],
            "versions": {k: v for k, v in notes.versions.items() if known.get(k) != v},
        }

    try:
        entry = store.make(key, build, should_stop=should_stop)
    except StoreError as error:
        if not made:
            raise
        notes.warnings.append(f"{kind} could not be kept: {error}")
        return made[0]
    if made:
        return made[0]
    notes.warnings.extend(entry.details["warnings"])
    notes.versions.update(entry.details["versions"])
    return load_tensors(entry.files[_FILE])


def save_tensors(path: Path, tensors: Tensors) -> None:
    """Write tensors by name; those that share memory are written each by itself."""
    from safetensors.torch import save_file

    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(own, str(path))


def load_tensors(path: Path) -> Tensors:
    """The tensors of a file, on the CPU."""
    from safetensors.torch import load_file

    loaded: Tensors = load_file(str(path), device="cpu")
    return loaded
