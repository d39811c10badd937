"""Runs that a server would show as running for ever, until it is met again."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.flows.films import command, command_line, quiet_environment
from tests.flows.prefect_server import free_port, running_server

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(240)]

FILM = """
version: 1
project: {code: TIN, title: TITLE, fps: 24, size: 160x90}
defaults: {backend: animatic}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots: [{id: sh0010, size: LS, duration: 12f, action: A tin rolls.}]
"""

HALTING = """
import sys, flows.shots
real = flows.shots.render_take
def render_take(job, *rest):
    print("waiting", flush=True)
    sys.stdin.readline()
    return real(job, *rest)
flows.shots.render_take = render_take
"""


def test_a_server_met_again_hears_how_runs_ended(tmp_path: Path) -> None:
    port, home = free_port(), tmp_path / "server"
    url = f"http://127.0.0.1:{port}/api"
    with running_server(home, port=port):
        lonely = _halted(tmp_path, "The Lonely", url)
        killed = _halted(tmp_path, "The Killed", url)
        alive = _halted(tmp_path, "The Living", url)
    _, errors = lonely.communicate("go on\n", timeout=60)
    assert lonely.returncode == 0, errors
    assert "its record there is incomplete" in errors
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=10)

    with running_server(home, port=port) as server:
        try:
            states = [server.flow_runs(f"The {name}")[0]["state"] for name in ("Lonely", "Killed")]
            assert [state["type"] for state in states] == ["RUNNING", "RUNNING"]

            again = command("produce", "lonely.yaml", home=tmp_path, PREFECT_API_URL=url)
            assert again.returncode == 0, again.stderr
            told = server.flow_runs("The Lonely")[0]["state"]
            assert (told["type"], told["message"]) == (
                "COMPLETED", "1 take rendered, 0 reused; running time 0.5 s",
            )  # fmt: skip
            gone = server.flow_runs("The Killed")[0]["state"]
            assert (gone["type"], gone["message"]) == (
                "CRASHED", "its process ended without a word",
            )  # fmt: skip
            assert server.flow_runs("The Living")[0]["state"]["type"] == "RUNNING"
        finally:
            alive.communicate("go on\n", timeout=60)
        assert server.flow_runs("The Living")[0]["state"]["type"] == "COMPLETED"
    assert not list((tmp_path / ".prefect" / "takeboard" / "runs").iterdir())


def _halted(folder: Path, title: str, url: str) -> subprocess.Popen[str]:
    """A film under way, at its first take."""
    film = folder / f"{title.split()[1].lower()}.yaml"
    film.write_text(FILM.replace("TITLE", title), encoding="utf-8")
    store = folder / film.stem
    process = subprocess.Popen(
        command_line("produce", film, "--store", store / "store", "--out", store / "out",
                     before=HALTING),
        env=quiet_environment(folder, PREFECT_API_URL=url), cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    return process
