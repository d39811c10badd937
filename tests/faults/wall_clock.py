"""A wall clock that a test can move, for some processes and while they run."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["WallClock", "clock_library"]

_SOURCE = Path(__file__).with_name("wall_clock.c")


@dataclass(frozen=True, slots=True)
class WallClock:
    """That of the processes which have its `environment`."""

    library: Path
    file: Path

    def __post_init__(self) -> None:
        self.file.write_bytes(bytes(8))

    @property
    def environment(self) -> Mapping[str, str]:
        """For a process, and for all that it starts."""
        return {"LD_PRELOAD": str(self.library), "TAKEBOARD_TEST_CLOCK": str(self.file)}

    def set_ahead(self, seconds: float) -> None:
        """Jump, so that the clock is so far ahead of the true time."""
        with self.file.open("r+b") as file:
            file.write(struct.pack("=q", round(seconds * 1e9)))


def clock_library(folder: Path) -> Path:
    """What has to be loaded into a process so that its clock can be moved; skips without a C
    compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("moving a process's clock needs a C compiler (cc)")
    library = folder / "wall_clock.so"
    words = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(_SOURCE)]
    built = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert built.returncode == 0, built.stderr
    return library
