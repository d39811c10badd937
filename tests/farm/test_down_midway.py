"""`takeboard down` in the middle of a film: nothing is left running, and the next `up` goes on."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from flows.farm.processes import Identity
from tests.farm.one_machine import REPOSITORY, machine_up, takeboard, until

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(420)]

FILM = """
version: 1
project: {code: TIN, title: The Tin, fps: 24, size: 160x90}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots:
      - {id: sh0010, size: LS, duration: 12f, action: A tin rolls., backend: sketch}
"""

ONE_GPU = "#!/bin/sh\necho 'GPU 0: NVIDIA Easel (UUID: GPU-0000-easel)'\n"


def test_a_film_that_is_stopped_midway_goes_on_at_the_next_up(tmp_path: Path) -> None:
    home, log, film = tmp_path / "home", tmp_path / "sketch.log", tmp_path / "film.yaml"
    film.write_text(FILM)
    (tmp_path / "nvidia-smi").write_text(ONE_GPU)
    (tmp_path / "nvidia-smi").chmod(0o755)
    plugin = Path(__file__).parent / "plugin"
    variables = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, (plugin, REPOSITORY))),
        "SKETCH_LOG": str(log),
    }
    with machine_up(home, first_ever=True, SKETCH_STEP_S="30", **variables) as first:
        run = first.start_film("produce", storyboard=str(film))
        until(lambda: _told(log, "begin"), 90.0)
        (gpu_worker,) = (pid for name, pid in first.processes().items() if "gpu0" in name)
        environment = Path(f"/proc/{gpu_worker}/environ").read_bytes().split(b"\0")
        assert b"CUDA_VISIBLE_DEVICES=GPU-0000-easel" in environment
        started = [first.process.pid, *first.processes().values()]
        painter = int(log.read_text().splitlines()[-1].split()[-1])
        assert takeboard(home, "down").returncode == 0
        assert [pid for pid in (*started, painter) if Identity.of(pid)] == []
        assert any("hand back" in line for line in first.lines())
        assert not any("killed" in line for line in first.lines())
    assert _states(home) == {"produce": "SCHEDULED", "shot": "SCHEDULED"}

    with machine_up(home, SKETCH_STEP_S="0.01", **variables) as second:
        assert second.ended(run, 120.0)["type"] == "COMPLETED"
    assert (tmp_path / "deliveries" / "TIN" / "TIN_master_en.mp4").is_file()
    assert _states(home) == {"produce": "COMPLETED", "shot": "COMPLETED"}
    told = [line.split()[0] for line in log.read_text().splitlines()]
    assert (told.count("begin"), told.count("end")) == (2, 1)


def _told(log: Path, word: str) -> bool | None:
    return (log.exists() and any(line.startswith(word) for line in log.open())) or None


def _states(home: Path) -> dict[str, str]:
    """The states of the runs, by the name of their flow, as the server's database has them."""
    with sqlite3.connect(home / "prefect" / "prefect.db") as db:
        found = db.execute(
            "SELECT flow.name, flow_run.state_type FROM flow_run JOIN flow ON flow.id = flow_id"
        ).fetchall()
    assert len(found) == len(dict(found))
    return dict(found)
