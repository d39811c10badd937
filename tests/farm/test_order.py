"""A film asked for with `produce --farm`, on a real farm of one machine with a GPU worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.farm.links import linked_path, served_address
from media.video import read_frames
from tests.farm.one_machine import START, Machine, environment, gpu_worker, machine_up, until

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

PLUGIN = Path(__file__).parent / "plugin"
REPOSITORY = Path(__file__).parents[2]
PATHS = os.pathsep.join((str(REPOSITORY), str(PLUGIN)))

FILM = """
version: 1
project: {code: TIN, title: The Tin, fps: 24, size: 160x90}
defaults: {backend: sketch}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots:
      - {id: sh0010, size: LS, duration: 12f, action: A tin rolls., ambience: surf}
      - {id: sh0020, size: CU, duration: 12f, action: The tin., backend: pastel}
      - {id: sh0030, size: ELS, duration: 12f, action: The sea takes it back.}
      - {id: sh0040, size: ELS, duration: 12f, action: The sea., backend: animatic}
"""


@dataclass(frozen=True)
class Farm:
    """A machine that is up, and what its commands are called with."""

    machine: Machine
    variables: dict[str, str]

    def takeboard(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", START, *words],
            env=environment(self.machine.home, **self.variables), cwd=self.folder,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def newest(self, key: str) -> str:
        """What a run has last recorded under that key."""
        (found,) = self.machine.ask(
            "artifacts", artifacts={"key": {"any_": [key]}}, sort="CREATED_DESC", limit=1
        )
        return str(found["data"])

    @property
    def folder(self) -> Path:
        return self.machine.home.parent

    def film(self, name: str, text: str = FILM) -> Path:
        """A storyboard in a folder of its own."""
        path = self.folder / name / "film.yaml"
        path.parent.mkdir()
        path.write_text(text.replace("The Tin", f"The {name}"))
        return path


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    home = tmp_path_factory.mktemp("farm") / "home"
    variables = {
        "PYTHONPATH": PATHS,
        "SKETCH_STEP_S": "0.1",
    }
    with (
        machine_up(home, "--root", str(home.parent), **variables) as machine,
        gpu_worker(home, **variables),
    ):
        yield Farm(machine, variables)


def test_a_film_of_the_farm_is_that_of_one_process(farm: Farm) -> None:
    film = farm.film("Rolling")
    shown = farm.takeboard("produce", str(film), "--farm")
    assert shown.returncode == 0, shown.stderr
    assert "The Rolling: 4 takes rendered, 0 reused; running time 2.0 s\n" in shown.stdout
    assert "  film      Rolling/deliveries/TIN/TIN_master_en.mp4\n" in shown.stdout
    assert "/runs/flow-run/" in shown.stderr
    assert "Beginning flow run" not in shown.stderr

    alone = farm.film("Alone", FILM.replace("title: The Tin", "title: The Rolling"))
    assert farm.takeboard("produce", str(alone), "--local").returncode == 0
    made, expected = (
        b"".join(chunk.tobytes() for chunk in read_frames(path / "TIN_master_en.mp4"))
        for path in (film.parent / "deliveries/TIN", alone.parent / "deliveries/TIN")
    )
    assert made == expected

    again = farm.takeboard("produce", str(film), "--farm", "--json")
    (told,) = json.loads(again.stdout)
    assert told["said"] == "0 takes rendered, 4 reused; running time 2.0 s"
    assert [Path(path).name for path in told["films"]] == ["TIN_master_en.mp4"]
    assert Path(told["report"]).is_file()


def test_a_film_made_here_is_linked_to_where_the_farm_serves_it(farm: Farm, tmp_path: Path) -> None:
    """Recorded on the farm's server; another delivery lies where that may not look."""
    farm.variables["PREFECT_API_URL"] = farm.machine.url
    try:
        film = farm.film("Recorded")
        assert farm.takeboard("produce", str(film)).returncode == 0
        inside = film.parent / "deliveries/TIN/report.html"
        assert farm.newest("tin-report") == f"[{inside}]({served_address(inside)})"
        assert farm.takeboard("produce", str(film), "--out", str(tmp_path)).returncode == 0
        outside = tmp_path / "report.html"
        assert farm.newest("tin-report") == f"[{outside}]({outside.as_uri()})"
    finally:
        del farm.variables["PREFECT_API_URL"]


def test_what_goes_wrong_there_is_said_here(farm: Farm) -> None:
    film = farm.film("Broken", FILM.replace("The tin.", "An unpaintable tin."))
    shown = farm.takeboard("produce", str(film), "--farm", "--quiet")
    assert shown.returncode == 4
    assert "sc010/sh0020" in shown.stderr
    assert "the paint ran" in shown.stderr
    assert "use thicker paint" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_wrong_storyboard_is_not_asked_for(farm: Farm) -> None:
    film = farm.film("Wrong", FILM.replace("duration: 12f", "duration: -1f"))
    shown = farm.takeboard("produce", str(film), "--farm")
    assert shown.returncode == 2
    assert not farm.machine.ask("flow_runs", flow_runs={"name": {"any_": ["The Wrong"]}})


def test_ctrl_c_cancels_the_film_and_its_shots(farm: Farm) -> None:
    slow = FILM.replace(
        "duration: 12f, action: The sea takes", "duration: 48f, action: A slow sea takes"
    )
    film = farm.film("Cancelled", slow)
    process = subprocess.Popen(
        [sys.executable, "-c", START, "produce", str(film), "--farm"],
        env=environment(farm.machine.home, **farm.variables), cwd=farm.folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        until(lambda: farm.machine.ask("flow_runs", flow_runs={"name": {"like_": "TIN sc010"},
              "state": {"type": {"any_": ["RUNNING"]}}}) or None)  # fmt: skip
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, errors
    states = {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING", "SCHEDULED"]}}
    until(lambda: True if not farm.machine.ask("flow_runs", flow_runs={"state": states}) else None)


def test_no_farm_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "film.yaml").write_text(FILM)
    shown = subprocess.run(
        [sys.executable, "-c", START, "produce", "film.yaml", "--farm"],
        env=environment(tmp_path / "home", PYTHONPATH=PATHS),
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert shown.returncode == 2
    assert shown.stderr.startswith("no farm runs on this machine and none is configured; ")
    assert len(shown.stderr.splitlines()) == 1


def test_a_film_is_made_here_or_on_the_farm(tmp_path: Path) -> None:
    (tmp_path / "film.yaml").write_text(FILM)
    shown = subprocess.run(
        [sys.executable, "-c", START, "produce", "film.yaml", "--farm", "--local"],
        env=environment(tmp_path / "home", PYTHONPATH=PATHS),
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (shown.returncode, shown.stderr) == (2, "expected one of --farm and --local, got both\n")


def test_links_are_read_back_as_paths(tmp_path: Path) -> None:
    path = tmp_path / "a film [1] (cut).mp4"
    assert linked_path(f"[{path}]({path.as_uri()})") == path
    assert linked_path(f"[{path}]({served_address(path)})") == path
    assert linked_path("[{path}](/takeboard/else/film.mp4)") is None
    assert linked_path("# a page with a [link](https://example.com)") is None
