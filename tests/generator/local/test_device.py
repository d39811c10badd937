"""Devices: which one, how much room, and one process at a time."""

from __future__ import annotations

import mmap
import subprocess
import sys
import time
from pathlib import Path

import pytest

from generator.local.device import (
    PeakMemory,
    best_dtype,
    device_name,
    free_bytes,
    free_memory,
    is_out_of_memory,
    pick_device,
)
from generator.local.device_lock import DeviceLock, runtime_folder
from media.errors import RenderError, UsageError


def test_the_cpu_is_always_there() -> None:
    assert pick_device("cpu") == "cpu"
    assert best_dtype("cpu") == "float32"
    assert device_name("cpu") == "cpu"
    assert (free_bytes("cpu") or 0) > 2**20
    free_memory("cpu")


def test_the_first_gpu_is_taken_when_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [pick_device(asked) for asked in ("", "cuda", "cuda:1")] == [
        "cuda:0",
        "cuda:0",
        "cuda:1",
    ]
    with pytest.raises(UsageError, match="device 'cuda:2' is not on this machine, which has 1 cpu"):
        pick_device("cuda:2")


@pytest.mark.parametrize("asked", ["cuda:99", "tpu", "cuda:x"])
def test_a_device_that_is_not_there_is_an_error(asked: str) -> None:
    with pytest.raises(UsageError, match="is not on this machine"):
        pick_device(asked)


def test_out_of_memory_is_told_from_other_errors() -> None:
    import torch

    full = [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ]
    assert all(is_out_of_memory(error) for error in full)
    other = [RuntimeError("size mismatch"), ValueError("out of memory"), RenderError("no")]
    assert not any(is_out_of_memory(error) for error in other)


def test_peak_memory_grows_with_what_is_held() -> None:
    peak = PeakMemory("cpu")
    before = peak.megabytes
    # Pages of its own: what numpy is given may have been this process's before.
    held = mmap.mmap(-1, 64 * 2**20)
    held.write(bytes(64 * 2**20))
    assert peak.megabytes - before > 50
    del held
    assert peak.megabytes > 50


_HOLD = """
import sys, time
from pathlib import Path
from generator.local.device_lock import DeviceLock
lock = DeviceLock(Path(sys.argv[1]), "gpu")
lock.hold()
print("held", flush=True)
time.sleep(60)
"""


def test_another_process_is_kept_out_until_it_dies(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        ours = DeviceLock(tmp_path, "gpu")
        started = time.monotonic()
        asked: list[int] = []

        def should_stop() -> bool:
            asked.append(1)
            if len(asked) == 3:
                child.kill()
            return False

        ours.hold(should_stop)
        assert ours.held
        assert len(asked) >= 3
        assert time.monotonic() - started < 30
    finally:
        child.kill()
        child.wait(10)


def test_the_holder_sees_that_it_is_wanted(tmp_path: Path) -> None:
    ours = DeviceLock(tmp_path, "gpu")
    ours.hold()
    assert not ours.wanted
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 30
        while not ours.wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        assert ours.wanted
        ours.release()
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
    finally:
        child.kill()
        child.wait(10)


def test_locks_lie_in_a_folder_of_the_user(tmp_path: Path) -> None:
    assert runtime_folder({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "takeboard"
    elsewhere = [runtime_folder({}), runtime_folder({"XDG_RUNTIME_DIR": "/nowhere"})]
    assert elsewhere[0] == elsewhere[1]
    assert elsewhere[0].name.startswith("takeboard-")
