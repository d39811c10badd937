"""Killed at any moment, or run twice at once: the film is the same, and nothing is done twice."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.flows.films import (
    F32,
    command_line,
    make,
    picture_digests,
    quiet_environment,
    sound_of,
    tree,
    write_film,
)

MOMENTS = 10
SHOTS = 5


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """The film as it should be, and how long it took from the first take's folder to the end."""

    pictures: list[bytes]
    sound: F32
    files: set[str]
    making_s: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    path = write_film(folder)
    process = start(path)
    began = wait_for_takes(folder)
    assert process.wait(60) == 0
    film = folder / "out/TNY_master_en.mp4"
    seconds = time.monotonic() - began
    return Undisturbed(picture_digests(film), sound_of(film), set(tree(folder / "out")), seconds)


def start(path: Path) -> subprocess.Popen[bytes]:
    """The command at work on the film, with its store and films beside the storyboard."""
    folder = path.parent
    return subprocess.Popen(
        command_line("produce", path, "--store", folder / "store", "--out", folder / "out",
                     "--jobs", 2, "--quiet"),
        env=quiet_environment(folder), cwd=folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_takes(folder: Path) -> float:
    """The moment at which the store appears; what comes before writes nothing."""
    deadline = time.monotonic() + 30
    while not (folder / "store").exists():
        assert time.monotonic() < deadline, "the run has not begun"
        time.sleep(0.002)
    return time.monotonic()


def takes_in(folder: Path) -> Mapping[str, tuple[int, int]]:
    """The finished takes by name."""
    found = tree(folder / "store/takes") if (folder / "store/takes").is_dir() else {}
    whole = {name.rsplit("/", 1)[0] for name in found if name.endswith("/manifest.json")}
    published = {name for name in whole if ".tmp" not in name}
    return {name: state for name, state in found.items() if name.rsplit("/", 1)[0] in published}


def require_same_film(folder: Path, undisturbed: Undisturbed) -> None:
    film = folder / "out/TNY_master_en.mp4"
    assert picture_digests(film) == undisturbed.pictures
    heard = sound_of(film)
    assert heard.size == undisturbed.sound.size
    assert np.abs(heard - undisturbed.sound).max() < 1e-4


def litter(folder: Path) -> list[Path]:
    """What no finished run may leave behind."""
    parts = (".tmp", ".cutting-")
    return [path for path in folder.rglob("*") if any(part in path.name for part in parts)]


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_killed_at_a_random_moment_the_film_is_the_same(
    tmp_path: Path, undisturbed: Undisturbed, moment: int
) -> None:
    path = write_film(tmp_path)
    share = (moment + random.Random(moment).random()) / MOMENTS
    process = start(path)
    wait_for_takes(tmp_path)
    time.sleep(share * undisturbed.making_s)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    kept = takes_in(tmp_path)
    whole = sum(name.endswith("manifest.json") for name in kept)
    made = make(path)
    assert made.rendered == SHOTS - whole, "what was finished is not rendered again"
    after = takes_in(tmp_path)
    assert {name: after[name] for name in kept} == kept
    require_same_film(tmp_path, undisturbed)
    assert set(tree(tmp_path / "out")) == undisturbed.files
    assert litter(tmp_path) == []


def test_killed_over_and_over_it_still_arrives(tmp_path: Path, undisturbed: Undisturbed) -> None:
    path = write_film(tmp_path)
    moments = random.Random(4)
    for _ in range(4):
        process = start(path)
        wait_for_takes(tmp_path)
        time.sleep(0.5 + moments.random() * undisturbed.making_s)
        process.kill()
        process.wait(10)
    make(path)
    require_same_film(tmp_path, undisturbed)
    assert litter(tmp_path) == []


def test_two_runs_at_once_share_the_work(tmp_path: Path, undisturbed: Undisturbed) -> None:
    path = write_film(tmp_path)
    log = tmp_path / "renders.log"
    with (tmp_path / "sitecustomize.py").open("w") as file:
        file.write(COUNT_RENDERS)
    environment = quiet_environment(tmp_path, RENDERS_LOG=str(log))
    environment["PYTHONPATH"] = f"{tmp_path}:{environment['PYTHONPATH']}"
    runs = [
        subprocess.Popen(
            command_line("produce", path, "--store", tmp_path / "store", "--out", out, "--quiet"),
            env=environment, cwd=tmp_path, stderr=subprocess.PIPE,
        )
        for out in (tmp_path / "out", tmp_path / "out", tmp_path / "elsewhere")
    ]  # fmt: skip
    ends = [run.communicate(timeout=120)[1].decode() for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], ends
    assert len(log.read_text().split()) == SHOTS
    require_same_film(tmp_path, undisturbed)
    elsewhere = tmp_path / "elsewhere/TNY_master_en.mp4"
    assert picture_digests(elsewhere) == undisturbed.pictures
    assert litter(tmp_path) == []


COUNT_RENDERS = """
import os
from generator.backends.animatic import Animatic

render = Animatic.render

def counted(self, request, tools):
    with open(os.environ["RENDERS_LOG"], "a") as log:
        log.write("render\\n")
    return render(self, request, tools)

Animatic.render = counted
"""
