"""A real farm whose parts are killed, filled up and cancelled: the film is the same, or says why.

`python -m bench.reliability` does the same for many seeds.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.faults.farm_checks import (
    Film,
    board,
    finished_takes,
    require_kept,
    require_once,
    require_settled,
    undisturbed,
    watched,
    write_board,
)
from tests.faults.farm_faults import Fault, survive
from tests.faults.farm_run import Farm, running_farm, until

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(400)]

FILM = board(6)
POISON = "A bottle of poison."


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    with running_farm(folder, SKETCH_STEP_S="0.4", SKETCH_DIES_AT="poison") as farm:
        yield farm


@pytest.fixture(scope="module")
def expected(farm: Farm) -> Film:
    return undisturbed(farm.folder / "undisturbed", FILM, farm)


def test_everything_is_killed_once_while_two_make_the_film(farm: Farm, expected: Film) -> None:
    faults = [
        Fault("gpu-0 child", 1.0, 0.0),
        Fault("cpu-0 child", 1.0, 0.0),
        Fault("server", 3.0, 2.0),
        Fault("gpu-0", 6.0, 1.0),
        Fault("cpu-0", 9.0, 1.0),
    ]
    told = survive(farm, farm.folder / "killed", FILM, expected, 0, faults, runs=2)
    assert "gpu-0 child" in told.met
    assert "server" in told.met


def test_a_poisoned_shot_is_set_aside_and_the_others_are_made(farm: Farm) -> None:
    path = write_board(farm.folder / "poisoned", board(4, {0: POISON}))
    store, begun = path.parent / "store", len(farm.marks("begin"))
    state = farm.over(_started(farm, path), 120)
    assert state["type"] == "FAILED"
    assert state["message"].startswith("sc010/sh0010 take 1: ")
    assert "the process that made it died (SIGKILL" in state["message"]
    assert "3 times: it is not tried again" in state["message"]
    poisoned = [pid for name, pid in farm.marks("begin")[begun:] if name.startswith("a0#")]
    assert len(poisoned) == len(set(poisoned)) == 3
    farm.killed |= set(poisoned)
    # The second shot goes on from it; the third and the fourth are made.
    assert len(finished_takes(store)) == 2
    require_once(farm, begun)
    require_settled(farm)


def test_a_film_that_is_cancelled_stops_at_the_next_step(farm: Farm, expected: Film) -> None:
    path = write_board(farm.folder / "cancelled", FILM)
    store, out, begun = path.parent / "store", path.parent / "out", len(farm.marks("begin"))
    with watched(farm, store) as watch:
        run = _started(farm, path)
        until(lambda: len(farm.marks("begin")) > begun or None, 90)
        farm.post(f"flow_runs/{run}/set_state", state={"type": "CANCELLING"})
        assert farm.over(run, 60)["type"] == "CANCELLED"
        require_settled(farm)
        begun_then = len(farm.marks("begin"))
        assert begun_then - begun < 6
        assert not list(store.rglob(".*.tmp"))
        again = _started(farm, path)
        assert farm.over(again, 120)["type"] == "COMPLETED"
        watch.look()
    assert Film.at(out) == expected
    require_kept(farm, watch, out, expected, begun_then)


def test_the_store_goes_away_for_a_while(farm: Farm, expected: Film) -> None:
    path = write_board(farm.folder / "away", FILM)
    store, gone = path.parent / "store", path.parent / "unmounted"
    ended = len(farm.marks("end"))
    run = _started(farm, path)
    until(lambda: len(farm.marks("end")) > 1 + ended or None, 90)
    kept = finished_takes(store)
    store.rename(gone)
    time.sleep(6)
    with suppress(OSError):
        store.rename(path.parent / "written meanwhile")
    gone.rename(store)
    assert farm.over(run, 150)["type"] == "COMPLETED"
    assert Film.at(path.parent / "out") == expected
    assert kept <= finished_takes(store)
    require_settled(farm)


def test_the_disk_is_full_for_a_while(farm: Farm, expected: Film) -> None:
    path = write_board(farm.folder / "full", FILM)
    store, begun = path.parent / "store", len(farm.marks("begin"))
    store.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(store)]
    if subprocess.run(small, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        run = _started(farm, path)
        until(lambda: len(farm.marks("begin")) > begun or None, 90)
        with suppress(OSError), (store / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(1 << 16))
                filler.flush()
        time.sleep(5)
        (store / "filler").unlink()
        assert farm.over(run, 150)["type"] == "COMPLETED"
        assert Film.at(path.parent / "out") == expected
        require_settled(farm)
    finally:
        subprocess.run(["umount", "-l", str(store)], check=False)


def _started(farm: Farm, path: Path, **given: Any) -> str:
    folder = path.parent
    return farm.start_film(path, store=str(folder / "store"), out=str(folder / "out"), **given)
