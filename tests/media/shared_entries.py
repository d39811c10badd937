"""Entries of a shared store, and processes on other machines that make them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.media.object_server import (
    Farm,
)

ROOT = Path(__file__).resolve().parents[2]


def key_of(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def write_two(folder: Path) -> dict[str, object]:
    (folder / "picture.mp4").write_bytes(b"picture" * 1000)
    (folder / "sound.wav").write_bytes(b"sound")
    return {"num_frames": 24}


def never(folder: Path) -> dict[str, object]:
    pytest.fail("built again")


MAKER = dedent("""
    import hashlib, os, sys, time
    from pathlib import Path
    from media.shared_store import local_root
    from media.store import ContentStore
    url, log, first, last, pause = sys.argv[1], Path(sys.argv[2]), *map(float, sys.argv[3:6])
    store = ContentStore(local_root(url), "takes")
    def build(folder):
        with log.open("a") as built:
            built.write("x")
        for part in range(4):
            with (folder / f"part{part}.bin").open("ab") as file:
                file.write(bytes([part]) * 400_000)
            time.sleep(pause)
        return {"num_frames": 4}
    store.peek("0" * 64)
    print("ready", flush=True)
    for number in range(int(first), int(last)):
        store.make(hashlib.sha256(str(number).encode()).hexdigest(), build)
""")


def start_maker(
    farm: Farm, machine: str, *arguments: object, **environ: str
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAKER, farm.url, str(farm.folder / "builds"), *map(str, arguments)],
        cwd=ROOT,
        env=farm.environ(machine, **environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def after(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have passed."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until
