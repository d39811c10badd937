"""A machine with two GPUs joins a farm with one command: a worker each, ended with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flows.farm.crew import gpus_of_crew
from flows.farm.processes import Identity
from tests.farm.one_machine import START, environment, until
from tests.flows.prefect_server import free_port

LISTING = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaaaaaa-0000-0000-0000-000000000000)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbbbbbb-0000-0000-0000-000000000000)
"""


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A search path on which `nvidia-smi` lists two GPUs."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTING}END\n")
    tool.chmod(0o755)
    path = os.pathsep.join((str(tool.parent), os.environ["PATH"]))
    monkeypatch.setenv("PATH", path)
    return path


def test_one_gpu_or_none_needs_no_crew(two_gpus: str) -> None:
    assert [gpu.name for gpu in gpus_of_crew("gpu", {})] == ["gpu0", "gpu1"]
    assert gpus_of_crew("gpu", {"CUDA_VISIBLE_DEVICES": "1"}) == ()
    assert gpus_of_crew("cpu", {}) == ()


def test_a_worker_for_each_gpu_until_it_is_told_to_stop(two_gpus: str, tmp_path: Path) -> None:
    # A farm whose server is away: workers wait for it.
    farm = f"http://127.0.0.1:{free_port()}/api"
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-c", START, "worker", "--pool", "gpu"],
        env=environment(home, PATH=two_gpus, PREFECT_API_URL=farm), cwd=tmp_path, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        host = socket.gethostname()
        logs = home / "logs"
        assert process.stdout.readline() == (
            f"workers {host}-gpu0, {host}-gpu1; logs in {logs}; Ctrl-C ends them\n"
        )
        # Between fork and exec a process still has its parent's environment.
        workers = until(lambda: _seeing(process.pid, ["GPU-aaaa", "GPU-bbbb"]))
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert said == "stopping: the workers hand back what they are doing\n"
    assert [pid for pid in workers if Identity.of(pid)] == []


def _seeing(parent: int, gpus: list[str]) -> list[int] | None:
    """The processes that `parent` has started, once each sees one of the GPUs."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    workers = [int(pid) for pid in children]
    return workers if sorted(_gpu_of(pid) for pid in workers) == gpus else None


def _gpu_of(pid: int) -> str:
    environ = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    given = (one.partition("=")[2] for one in environ if one.startswith("CUDA_VISIBLE_DEVICES="))
    return next(given, "")[:8]
