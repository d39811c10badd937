"""The GPUs of this machine, found without loading torch."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from media.errors import UsageError

__all__ = ["Gpu", "find_gpus", "parse_gpus"]

_WITHIN_S = 30.0
_GPU = re.compile(r"GPU (\d+): (.+) \(UUID: (GPU-[\w-]+)\)")
_PART = re.compile(r"\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-[\w/-]+)\)")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or a part of one that is cut into several."""

    name: str
    """Short, such as `gpu0`, or `gpu0.1` for a part."""
    model: str
    uuid: str
    """What CUDA_VISIBLE_DEVICES takes; unlike a number it means the same everywhere."""


def find_gpus(asked: str | None = None, environ: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """The GPUs to work with: `all`, `none`, or some by number or UUID, with commas between.

    None: those of CUDA_VISIBLE_DEVICES, or all. UsageError for one that is not there.
    """
    chosen = environ.get("CUDA_VISIBLE_DEVICES", "all") if asked is None else asked
    words = [word.strip() for word in chosen.split(",") if word.strip()]
    if words in ([], ["none"], ["-1"]):
        return ()
    found = parse_gpus(_nvidia_smi())
    if words == ["all"]:
        return found
    named = {key: gpu for gpu in found for key in (gpu.name, gpu.name[3:], gpu.uuid)}
    if missing := [word for word in words if word not in named]:
        there = ", ".join(f"{gpu.name[3:]} ({gpu.model})" for gpu in found) or "none"
        raise UsageError(
            f"no GPU {missing[0]!r}; this machine has {there}",
            where="CUDA_VISIBLE_DEVICES" if asked is None else "--gpus",
        )
    return tuple(dict.fromkeys(named[word] for word in words))


def parse_gpus(listing: str) -> tuple[Gpu, ...]:
    """The GPUs in what `nvidia-smi -L` prints; of one that is cut into parts, the parts."""
    gpus: dict[str, Gpu] = {}
    parts: list[Gpu] = []
    whole: Gpu | None = None
    for line in listing.splitlines():
        if match := _GPU.match(line):
            whole = Gpu(f"gpu{match[1]}", match[2], match[3])
            gpus[whole.name] = whole
        elif whole is not None and (match := _PART.match(line)):
            gpus.pop(whole.name, None)
            parts.append(Gpu(f"{whole.name}.{match[2]}", f"{whole.model} {match[1]}", match[3]))
    return (*gpus.values(), *parts)


def _nvidia_smi() -> str:
    """What it lists, or nothing on a machine that has none."""
    try:
        return subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=_WITHIN_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
