"""The device that models run on, asked in one way whichever it is: CUDA, MPS or the CPU."""

from __future__ import annotations

import gc
import os
import resource
import sys
from pathlib import Path
from typing import Literal

from media.errors import UsageError

__all__ = [
    "PeakMemory",
    "best_dtype",
    "device_name",
    "free_bytes",
    "free_memory",
    "is_out_of_memory",
    "pick_device",
]

Dtype = Literal["bfloat16", "float16", "float32"]


def pick_device(asked: str) -> str:
    """`asked`, or the first GPU there is, or `cpu`. UsageError when what was asked is not there."""
    import torch

    if not asked:
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    kind, _, index = asked.partition(":")
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in there or not (index or "0").isdigit() or int(index or 0) >= there[kind]:
        found = ", ".join(f"{count} {name}" for name, count in there.items() if count)
        raise UsageError(
            f"device {asked!r} is not on this machine, which has {found}",
            todo='correct "device" in the models file',
        )
    return f"cuda:{index or 0}" if kind == "cuda" else kind


def device_name(device: str) -> str:
    """A name of the device that is the same in every process of the machine: a GPU's own id."""
    if not device.startswith("cuda"):
        return device
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    return str(getattr(properties, "uuid", device)).replace("/", "-")


def best_dtype(device: str) -> Dtype:
    """bfloat16 where the GPU computes it (compute capability 8 and later), else what is exact."""
    if device == "cpu":
        return "float32"
    import torch

    if device.startswith("cuda"):
        major, _ = torch.cuda.get_device_capability(torch.device(device))
        return "bfloat16" if major >= 8 else "float16"
    return "bfloat16"


def free_bytes(device: str) -> int | None:
    """Bytes that can be allocated on the device now; None: it does not say."""
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(torch.device(device))
        # What torch has set aside and does not use is free to us.
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + held)
    if device == "cpu":
        return _available_ram()
    return None


def free_memory(device: str) -> None:
    """Give back what is no longer referred to: collect garbage, empty the device's cache."""
    gc.collect()
    if device == "cpu":
        return
    import torch

    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device.startswith("mps"):
        torch.mps.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device's (or the machine's) memory was too small for what was tried.

    CUDA raises `torch.OutOfMemoryError`; other devices and the CPU's allocator a RuntimeError
    that says so ("MPS backend out of memory", "can't allocate memory").
    """
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    if type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    return "out of memory" in said or "can't allocate memory" in said


class PeakMemory:
    """The most memory in use since this was made.

    On CUDA what torch allocated on the device; elsewhere the growth of the process's own memory,
    which is coarse: other threads count, and memory that is used again does not grow it.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        if device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(torch.device(device))
        self._start_mb = _resident_mb()
        self._seen_mb = 0.0

    def note(self) -> None:
        """Look now; called between phases."""
        if self._device.startswith("cuda"):
            import torch

            peak = torch.cuda.max_memory_allocated(torch.device(self._device)) / 2**20
        else:
            peak = _resident_mb() - self._start_mb
        self._seen_mb = max(self._seen_mb, peak)

    @property
    def megabytes(self) -> float:
        """MiB, never less than 0."""
        self.note()
        return self._seen_mb


def _resident_mb() -> float:
    """Memory of this process in MiB: now where Linux tells, elsewhere the most it has had."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, ValueError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _available_ram() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
